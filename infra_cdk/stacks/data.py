"""Data: an upload in the bucket in; an event, a queued message, a started run and a clean dataset version out."""

from aws_cdk import ArnFormat, Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda_event_sources as sources
from constructs import Construct

from infra_cdk.bundling import Bundles
from infra_cdk.config import STATE_MACHINE_NAME, Config
from infra_cdk.constructs import grants
from infra_cdk.constructs.function import Layers, ThinFunction
from infra_cdk.constructs.queue import QueueWithDlq
from infra_cdk.constructs.storage import RegistryTable, SafeBucket
from modelmill.core.limits import LAMBDA_SECONDS, LAMBDA_TMP_BYTES, MIB


def state_machine_arn(stack: Stack) -> str:
    """The pipeline's ARN, from its fixed name."""
    return stack.format_arn(
        service="states",
        resource="stateMachine",
        resource_name=STATE_MACHINE_NAME,
        arn_format=ArnFormat.COLON_RESOURCE_NAME,
    )


class DataStack(Stack):
    """Buckets and table, which every other stack uses; `ingest` and `preprocess`."""

    def __init__(self, scope: Construct, name: str, *, config: Config, bundles: Bundles) -> None:
        super().__init__(scope, name, description="modelmill: uploads, datasets, registry")
        self.uploads = SafeBucket(self, "Uploads", config, announces=True)
        self.data = SafeBucket(self, "Data", config, passing=True)
        self.models = SafeBucket(self, "Models", config)
        self.table = RegistryTable(self, "Registry", config)
        layers = Layers(self, bundles)
        self.queue = self._queue_of_uploads()
        self.ingest = self._ingest(layers)
        self.preprocess = self._preprocess(layers)

    def _queue_of_uploads(self) -> QueueWithDlq:
        """S3 → EventBridge → SQS. The message stays hidden for six times `ingest`'s timeout, as AWS advises."""
        upload_queue = QueueWithDlq(self, "UploadQueue", visibility=Duration.minutes(3))
        events.Rule(
            self,
            "ObjectCreated",
            description="modelmill: a file was put into the uploads bucket",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={"bucket": {"name": [self.uploads.bucket_name]}},
            ),
            targets=[targets.SqsQueue(upload_queue.queue, dead_letter_queue=upload_queue.dead_letters)],
        )
        return upload_queue

    def _ingest(self, layers: Layers) -> ThinFunction:
        pipeline = state_machine_arn(self)
        ingest = ThinFunction(
            layers,
            "data/ingest",
            memory=512,
            timeout=Duration.seconds(30),
            environment={
                "MODELMILL_TABLE": self.table.table_name,
                "MODELMILL_UPLOADS_BUCKET": self.uploads.bucket_name,
                "MODELMILL_STATE_MACHINE_ARN": pipeline,
            },
            statements=[
                *grants.records(self.table, "GetItem", "PutItem", "Query"),
                grants.allow(["states:StartExecution"], [pipeline]),
            ],
        )
        ingest.add_event_source(
            sources.SqsEventSource(self.queue.queue, batch_size=10, report_batch_item_failures=True)
        )
        return ingest

    def _preprocess(self, layers: Layers) -> ThinFunction:
        """Memory buys processors, here 1.7 (3,008 MiB are the most in a new account); the disk costs 1 % of that."""
        return ThinFunction(
            layers,
            "data/preprocess",
            memory=3_008,
            storage=LAMBDA_TMP_BYTES // MIB,
            timeout=Duration.seconds(LAMBDA_SECONDS),
            environment={
                "MODELMILL_TABLE": self.table.table_name,
                "MODELMILL_DATA_BUCKET": self.data.bucket_name,
                "MODELMILL_MODELS_BUCKET": self.models.bucket_name,
                # Each thread of C's allocator keeps memory of its own; with two such places 80 MB less are held.
                "MALLOC_ARENA_MAX": "1",
            },
            statements=[
                *grants.records(self.table, "GetItem", "PutItem"),
                *self.sharing(),
                *grants.write(self.data, grants.DATASETS),
                *grants.write(self.models, grants.RUNS),
            ],
        )

    def sharing(self) -> grants.Statements:
        """What whoever does a share of the preparation needs: read uploads, keep what is on the way."""
        return [
            *grants.read(self.uploads, grants.UPLOADS, versions=True),
            *grants.read(self.data, grants.SCRATCH),
            *grants.write(self.data, grants.SCRATCH),
            grants.allow(["s3:PutObjectTagging"], [self.data.arn_for_objects(grants.SCRATCH)]),
        ]

    def preparing_on_spark(self) -> grants.Statements:
        """A job does no more than its share; of the table it knows the keys of pseudonyms alone."""
        keys = grants.allow(["dynamodb:GetItem", "dynamodb:PutItem"], [self.table.table_arn])
        keys.add_condition("ForAllValues:StringLike", {"dynamodb:LeadingKeys": ["*#mask"]})
        return [keys, *self.sharing()]
