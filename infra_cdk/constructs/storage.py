"""Where things are kept: a safe bucket and the registry's table.

Encryption is S3's and DynamoDB's own (SSE-S3, AWS-owned key): a customer key costs a fee each month and for each call,
and adds a way to lock oneself out; an account that must have one sets it as its default.
"""

from typing import cast

from aws_cdk import CfnOutput, Duration, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra_cdk.config import Config
from modelmill.core.names import SCRATCH_TAG


def removal(config: Config) -> RemovalPolicy:
    """What becomes of a thing that holds data when its stack goes."""
    return RemovalPolicy.RETAIN if config.retain else RemovalPolicy.DESTROY


# By tag: the tenant begins every key, so no prefix has the scratch of all. A run takes a day at most.
_PASSING = s3.LifecycleRule(
    tag_filters=dict([SCRATCH_TAG]),
    expiration=Duration.days(7),
    noncurrent_version_expiration=Duration.days(1),
)


class SafeBucket(s3.Bucket):
    """Versioned, encrypted, reached over TLS only, never public; old versions and broken uploads are swept away."""

    def __init__(
        self, scope: Construct, name: str, config: Config, *, announces: bool = False, passing: bool = False
    ) -> None:
        """With `announces`, every change is told to EventBridge; with `passing`, what is tagged as scratch goes."""
        super().__init__(
            scope,
            name,
            versioned=True,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            removal_policy=removal(config),
            auto_delete_objects=config.auto_delete,
            lifecycle_rules=[
                s3.LifecycleRule(
                    abort_incomplete_multipart_upload_after=Duration.days(7),
                    noncurrent_version_expiration=Duration.days(30),
                    expired_object_delete_marker=True,
                ),
                *([_PASSING] if passing else []),
            ],
        )
        if announces:
            # The L2 switch would add a Lambda with a star resource to do what CloudFormation does by itself.
            bucket = cast(s3.CfnBucket, self.node.default_child)
            bucket.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
                event_bridge_configuration=s3.CfnBucket.EventBridgeConfigurationProperty(event_bridge_enabled=True)
            )
        CfnOutput(scope, f"{name}Bucket", value=self.bucket_name)


class RegistryTable(dynamodb.Table):
    """One on-demand table, `pk` and `sk`: see `modelmill.aws.records`."""

    def __init__(self, scope: Construct, name: str, config: Config) -> None:
        super().__init__(
            scope,
            name,
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=config.retain,
            removal_policy=removal(config),
        )
        CfnOutput(scope, "TableName", value=self.table_name)
