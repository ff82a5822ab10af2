"""Where data that is too large for functions is prepared: an EMR Serverless application, its role, its log, its code.

The application stands in every deployment: without capacity kept warm it costs nothing while no job runs. What the
local cloud cannot make carries the condition `IsAws`, as in `jobs`.
"""

from aws_cdk import ArnFormat, Aspects, Aws, CfnCondition, Fn, RemovalPolicy, Stack
from aws_cdk import aws_emrserverless as emr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from infra_cdk.bundling import Bundles
from infra_cdk.constructs import grants
from infra_cdk.constructs.jobs import OnlyIf
from infra_cdk.layers import SPARK_ENTRY_POINT

RELEASE = "emr-7.13.0"
"""Spark 3.5.6 with Python 3.11; the extra `spark` of pyproject.toml has the same version of Spark."""
IDLE_MINUTES = 5
NAME = "modelmill-spark"


class SparkEngine(Construct):
    """A Spark application that starts with a job, grows to a bound and stops; what the workflow must know of it."""

    def __init__(self, scope: Construct, bundles: Bundles, is_aws: CfnCondition, statements: grants.Statements) -> None:
        """`statements`: what the code of a job may do."""
        super().__init__(scope, "Spark")
        application = emr.CfnApplication(
            self,
            "Application",
            name=NAME,
            type="Spark",
            release_label=RELEASE,
            architecture="X86_64",  # as all else: one set of libraries
            auto_start_configuration=emr.CfnApplication.AutoStartConfigurationProperty(enabled=True),
            auto_stop_configuration=emr.CfnApplication.AutoStopConfigurationProperty(
                enabled=True, idle_timeout_minutes=IDLE_MINUTES
            ),
            # A driver and fifteen executors of four. A new account has a quota of 16 vCPU, which EMR keeps to.
            maximum_capacity=emr.CfnApplication.MaximumAllowedResourcesProperty(
                cpu="64 vCPU", memory="256 GB", disk="1600 GB"
            ),
        )
        Aspects.of(application).add(OnlyIf(is_aws))
        log = logs.LogGroup(self, "Log", retention=logs.RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY)
        code = assets.Asset(self, "Code", path=str(bundles.spark))
        entry_point = assets.Asset(self, "EntryPoint", path=str(SPARK_ENTRY_POINT))
        self.role = self._role(statements, log, [code, entry_point])
        self.application = Fn.condition_if(is_aws.logical_id, application.attr_application_id, "local").to_string()
        self.substitutions = {
            "SparkApplication": self.application,
            "SparkRoleArn": self.role.role_arn,
            "SparkEntryPoint": entry_point.s3_object_url,
            "SparkArchive": code.s3_object_url,
            "SparkLog": log.log_group_name,
        }

    def _role(self, statements: grants.Statements, log: logs.LogGroup, code: list[assets.Asset]) -> iam.Role:
        ours = {"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}}
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("emr-serverless.amazonaws.com", conditions=ours))
        for statement in statements:
            role.add_to_policy(statement)
        files = [asset.bucket.arn_for_objects(asset.s3_object_key) for asset in code]
        role.add_to_policy(grants.allow(["s3:GetObject"], files))
        role.add_to_policy(grants.allow(["s3:ListBucket"], [code[0].bucket.bucket_arn]))
        role.add_to_policy(
            grants.allow(["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"], [log.log_group_arn])
        )
        # It looks for the group among all ("Encrypting logs" and "Storing logs", Amazon EMR Serverless).
        role.add_to_policy(grants.allow(["logs:DescribeLogGroups"], ["*"]))
        return role

    def machine_statements(self) -> grants.Statements:
        """What a state machine needs to run a job with `.sync` ("IAM policies for Amazon EMR Serverless")."""
        application = f"/applications/{self.application}"
        pass_role = grants.allow(["iam:PassRole"], [self.role.role_arn])
        pass_role.add_condition("StringEquals", {"iam:PassedToService": "emr-serverless.amazonaws.com"})
        return [
            grants.allow(["emr-serverless:StartJobRun"], [self._arn("emr-serverless", application)]),
            grants.allow(
                ["emr-serverless:GetJobRun", "emr-serverless:CancelJobRun"],
                [self._arn("emr-serverless", f"{application}/jobruns/*")],
            ),
            grants.allow(
                ["events:PutTargets", "events:PutRule", "events:DescribeRule"],
                [self._arn("events", "rule/StepFunctionsGetEventsForEMRServerlessJobRule")],
            ),
            pass_role,
        ]

    def _arn(self, service: str, resource: str) -> str:
        return Stack.of(self).format_arn(service=service, resource=resource, arn_format=ArnFormat.NO_RESOURCE_NAME)
