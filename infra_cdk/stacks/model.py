"""Model: the select and register stages, the two engines of jobs, and the state machine over all stages."""

import json

from aws_cdk import ArnFormat, Aws, CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra_cdk import asl, workflow
from infra_cdk.bundling import Bundles
from infra_cdk.config import STATE_MACHINE_NAME, Config
from infra_cdk.constructs import grants
from infra_cdk.constructs.function import Layers, ThinFunction
from infra_cdk.constructs.jobs import BatchEngine, JobImage, JobRights, is_aws, sagemaker_role
from infra_cdk.constructs.spark import SparkEngine
from infra_cdk.stacks.data import DataStack, state_machine_arn

CHECKPOINTS = "*/runs/*/checkpoints/*"


class ModelStack(Stack):
    """Deployed last: its state machine calls the functions of every other stack."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        config: Config,
        bundles: Bundles,
        data: DataStack,
        deploy: lambda_.IFunction,
        conclude: lambda_.IFunction,
    ) -> None:
        super().__init__(scope, name, description="modelmill: training, selection, the pipeline")
        layers = Layers(self, bundles)
        stages: dict[str, lambda_.IFunction] = {
            "Preprocess": data.preprocess,
            "Select": self._select(layers, data),
            "Register": self._register(layers, data),
            "Deploy": deploy,
            "Conclude": conclude,
        }
        image = JobImage(self, config)
        rights = JobRights(_job_statements(data), image)
        trainer = sagemaker_role(self, rights)
        on_aws = is_aws(self)
        batch = BatchEngine(self, config, image, rights, on_aws)
        spark = SparkEngine(self, bundles, on_aws, data.preparing_on_spark())
        machine = self._state_machine(
            config,
            {f"{stage}Arn": function.function_arn for stage, function in stages.items()}
            | batch.arns
            | spark.substitutions
            | {
                "JobImage": image.uri,
                "SageMakerRoleArn": trainer.role_arn,
                "TableName": data.table.table_name,
                "DataBucket": data.data.bucket_name,
                "ModelsBucket": data.models.bucket_name,
                "Region": Aws.REGION,
            },
        )
        statements = self._machine_statements(list(stages.values()), trainer, batch)
        for statement in (*statements, *spark.machine_statements(), *self._map_statements()):
            machine.add_to_role_policy(statement)
        CfnOutput(self, "StateMachineArn", value=machine.state_machine_arn)

    def _select(self, layers: Layers, data: DataStack) -> ThinFunction:
        return ThinFunction(
            layers,
            "model/select",
            memory=512,
            timeout=Duration.minutes(2),
            environment={"MODELMILL_TABLE": data.table.table_name, "MODELMILL_MODELS_BUCKET": data.models.bucket_name},
            statements=[
                *grants.records(data.table, "GetItem", "PutItem"),
                *grants.read(data.models, grants.RUNS),
            ],
        )

    def _register(self, layers: Layers, data: DataStack) -> ThinFunction:
        return ThinFunction(
            layers,
            "model/register",
            memory=1_024,
            timeout=Duration.minutes(2),
            environment={"MODELMILL_TABLE": data.table.table_name, "MODELMILL_MODELS_BUCKET": data.models.bucket_name},
            statements=[
                *grants.records(data.table, "GetItem", "PutItem", "UpdateItem"),
                *grants.read(data.models, grants.RUNS, grants.PACKAGES),
            ],
        )

    def _state_machine(self, config: Config, substitutions: dict[str, str]) -> sfn.StateMachine:
        log = logs.LogGroup(
            self,
            "PipelineLog",
            # Step Functions writes here by a resource policy, which is short of room unless the name begins so.
            log_group_name=f"/aws/vendedlogs/states/{STATE_MACHINE_NAME}",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=RemovalPolicy.DESTROY,
        )
        return sfn.StateMachine(
            self,
            "Pipeline",
            state_machine_name=STATE_MACHINE_NAME,
            state_machine_type=sfn.StateMachineType.STANDARD,
            definition_body=sfn.DefinitionBody.from_string(
                json.dumps(
                    workflow.definition(concurrency=config.train_concurrency, map_concurrency=config.map_concurrency)
                )
            ),
            definition_substitutions={name: substitutions[name] for name in workflow.SUBSTITUTIONS},
            # No execution data: it holds names that people chose. The run's record has them, per tenant.
            logs=sfn.LogOptions(destination=log, level=sfn.LogLevel.ALL, include_execution_data=False),
            tracing_enabled=True,
        )

    def _machine_statements(
        self, functions: list[lambda_.IFunction], trainer: iam.Role, batch: BatchEngine
    ) -> grants.Statements:
        """What the definition calls; CDK does not see into a definition given as text."""
        training_jobs = self._arn("sagemaker", "training-job", f"{asl.JOB_PREFIX}*")
        pass_role = grants.allow(["iam:PassRole"], [trainer.role_arn])
        pass_role.add_condition("StringEquals", {"iam:PassedToService": "sagemaker.amazonaws.com"})
        return [
            grants.allow(["lambda:InvokeFunction"], [function.function_arn for function in functions]),
            grants.allow(
                [
                    "sagemaker:CreateTrainingJob",
                    "sagemaker:DescribeTrainingJob",
                    "sagemaker:StopTrainingJob",
                    # `.sync` marks the job with the tag MANAGED_BY_AWS and looks for it.
                    "sagemaker:AddTags",
                    "sagemaker:ListTags",
                ],
                [training_jobs],
            ),
            pass_role,
            grants.allow(["batch:SubmitJob"], batch.submits),
            grants.allow(["batch:TerminateJob"], [self._arn("batch", "job", "*")]),
            # Batch lets nobody name the jobs to describe ("Actions, resources, and condition keys for AWS Batch").
            grants.allow(["batch:DescribeJobs"], ["*"]),
            # How `.sync` learns of a job's end ("IAM policies for integrated services", AWS Step Functions).
            grants.allow(
                ["events:PutTargets", "events:PutRule", "events:DescribeRule"],
                [
                    self._arn("events", "rule", "StepFunctionsGetEventsForSageMakerTrainingJobsRule"),
                    self._arn("events", "rule", "StepFunctionsGetEventsForBatchJobsRule"),
                ],
            ),
        ]

    def _map_statements(self) -> grants.Statements:
        """A distributed map starts executions of its own machine ("IAM policies for using Distributed Map states")."""
        children = self.format_arn(
            service="states",
            resource="execution",
            resource_name=f"{STATE_MACHINE_NAME}/*",
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )
        return [
            grants.allow(["states:StartExecution"], [state_machine_arn(self)]),
            grants.allow(["states:DescribeExecution", "states:StopExecution"], [children]),
        ]

    def _arn(self, service: str, resource: str, name: str) -> str:
        return self.format_arn(
            service=service, resource=resource, resource_name=name, arn_format=ArnFormat.SLASH_RESOURCE_NAME
        )


def _job_statements(data: DataStack) -> tuple[iam.PolicyStatement, ...]:
    """A job reads data and weights, writes its run's folder and packages, shares its trials, reports its progress."""
    return (
        *grants.records(data.table, "GetItem", "PutItem", "Query"),
        *grants.read(data.data, grants.DATASETS),
        *grants.read(data.models, grants.RUNS, grants.PACKAGES, grants.WEIGHTS),
        *grants.write(data.models, grants.RUNS, grants.PACKAGES),
        grants.allow(["s3:DeleteObject"], [data.models.arn_for_objects(CHECKPOINTS)]),
    )
