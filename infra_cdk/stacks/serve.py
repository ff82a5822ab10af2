"""Serve: the deploy stage, the HTTP API and its three functions."""

from aws_cdk import Duration, Stack
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra_cdk.bundling import Bundles
from infra_cdk.config import Config
from infra_cdk.constructs import grants
from infra_cdk.constructs.api import Api
from infra_cdk.constructs.function import MIB_PER_VCPU, Layers, ThinFunction
from infra_cdk.stacks.data import DataStack, state_machine_arn

LEAN = {"MODELMILL_LEAN_CLIENTS": "1"}
"""For functions on the path of a request: signed HTTP without botocore's clients (`modelmill.aws.lean`)."""


class ServeStack(Stack):
    """`deploy` moves routes; `predict` answers; `control` manages; `authorise` knows keys."""

    def __init__(self, scope: Construct, name: str, *, config: Config, bundles: Bundles, data: DataStack) -> None:
        super().__init__(scope, name, description="modelmill: HTTP API, prediction")
        layers = Layers(self, bundles)
        self.deploy = self._deploy(layers, data)
        self.predict = self._predict(layers, data, config)
        # Traffic goes to a published version: SnapStart needs one, and going back is moving the alias.
        live = lambda_.Alias(self, "Live", alias_name="live", version=self.predict.current_version)
        self.api = Api(
            self,
            config,
            predict=live,
            control=self._control(layers, data),
            authorise=self._authorise(layers, data),
        )

    def _deploy(self, layers: Layers, data: DataStack) -> ThinFunction:
        return ThinFunction(
            layers,
            "serve/deploy",
            memory=512,
            timeout=Duration.seconds(60),
            environment={
                "MODELMILL_TABLE": data.table.table_name,
                "MODELMILL_MODELS_BUCKET": data.models.bucket_name,
            },
            statements=[
                *grants.records(data.table, "GetItem", "PutItem", "UpdateItem"),
                *grants.read(data.models, grants.RUNS),
            ],
        )

    def _predict(self, layers: Layers, data: DataStack, config: Config) -> ThinFunction:
        return ThinFunction(
            layers,
            "serve/predict",
            memory=MIB_PER_VCPU,
            timeout=Duration.seconds(29),
            environment={
                "MODELMILL_TABLE": data.table.table_name,
                "MODELMILL_MODELS_BUCKET": data.models.bucket_name,
                # One vCPU: more threads than that only wait for each other.
                "OPENBLAS_NUM_THREADS": "1",
                "OMP_NUM_THREADS": "1",
                **LEAN,
            },
            statements=[
                *grants.records(data.table, "GetItem", "Query"),
                *grants.read(data.models, grants.PACKAGES),
            ],
            snap_start=config.snap_start,
        )

    def _control(self, layers: Layers, data: DataStack) -> ThinFunction:
        pipeline = state_machine_arn(self)
        return ThinFunction(
            layers,
            "serve/control",
            memory=1_024,
            timeout=Duration.seconds(29),
            environment={
                "MODELMILL_TABLE": data.table.table_name,
                "MODELMILL_UPLOADS_BUCKET": data.uploads.bucket_name,
                "MODELMILL_DATA_BUCKET": data.data.bucket_name,
                "MODELMILL_MODELS_BUCKET": data.models.bucket_name,
                "MODELMILL_STATE_MACHINE_ARN": pipeline,
            },
            statements=[
                *grants.records(
                    data.table, "BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem"
                ),
                # What a presigned link may do is what its signer may do.
                *grants.read(data.data, grants.DATASETS),
                *grants.read(data.models, grants.RUNS),
                *grants.read(data.uploads, grants.UPLOADS, versions=True),
                *grants.write(data.uploads, grants.UPLOADS),
                *grants.resume(data.uploads, grants.UPLOADS),
                # DELETE of a data set or a model removes the bytes too.
                *grants.erase(data.uploads, grants.UPLOADS),
                *grants.erase(data.data, grants.DATASETS, grants.QUARANTINE, grants.SCRATCH),
                *grants.erase(data.models, grants.RUNS, grants.PACKAGES),
                grants.allow(["states:StartExecution"], [pipeline]),
                grants.allow(["states:StopExecution"], [pipeline.replace(":stateMachine:", ":execution:") + ":*"]),
            ],
        )

    def _authorise(self, layers: Layers, data: DataStack) -> ThinFunction:
        find_key = grants.records(data.table, "GetItem")[0]
        find_key.add_condition("ForAllValues:StringLike", {"dynamodb:LeadingKeys": ["key#*"]})
        return ThinFunction(
            layers,
            "serve/authorise",
            memory=512,
            timeout=Duration.seconds(10),
            environment={"MODELMILL_TABLE": data.table.table_name, **LEAN},
            statements=[find_key],
        )
