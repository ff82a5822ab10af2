"""Watch: the conclude and observe stages, alarms and the dashboard."""

from aws_cdk import Aws, Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra_cdk.bundling import Bundles
from infra_cdk.config import Config
from infra_cdk.constructs import grants
from infra_cdk.constructs.function import Layers, ThinFunction
from infra_cdk.stacks.data import DataStack, state_machine_arn
from infra_cdk.stacks.serve import ServeStack

MAX_P95 = Duration.seconds(1)


class WatchStack(Stack):
    """`conclude` closes runs; `observe` counts traffic; alarms and one dashboard look on."""

    def __init__(
        self, scope: Construct, name: str, *, config: Config, bundles: Bundles, data: DataStack, serve: ServeStack
    ) -> None:
        super().__init__(scope, name, description="modelmill: outcome of runs, traffic, alarms")
        layers = Layers(self, bundles)
        # Runs that ended and that conclude could not close, even when it was tried again.
        self.unclosed = sqs.Queue(
            self,
            "UnclosedRuns",
            enforce_ssl=True,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            retention_period=Duration.days(14),
        )
        self.conclude = self._conclude(layers, data)
        self._observe(layers, data)
        metrics = self._metrics(data, serve)
        self._alarms(config, metrics)
        self._dashboard(metrics)

    def _conclude(self, layers: Layers, data: DataStack) -> ThinFunction:
        conclude = ThinFunction(
            layers,
            "watch/conclude",
            memory=512,
            timeout=Duration.minutes(5),
            failed_events=self.unclosed,
            environment={
                "MODELMILL_TABLE": data.table.table_name,
                "MODELMILL_DATA_BUCKET": data.data.bucket_name,
                "MODELMILL_MODELS_BUCKET": data.models.bucket_name,
            },
            statements=[
                *grants.records(data.table, "GetItem", "PutItem", "Query"),
                *grants.read(data.models, grants.RUNS),
                *grants.read(data.uploads, grants.UPLOADS, versions=True),
                *grants.write(data.data, grants.QUARANTINE),
                # Copying an object copies its tags.
                grants.allow(
                    ["s3:GetObjectTagging", "s3:GetObjectVersionTagging"],
                    [data.uploads.arn_for_objects(grants.UPLOADS)],
                ),
                grants.allow(["s3:PutObjectTagging"], [data.data.arn_for_objects(grants.QUARANTINE)]),
            ],
        )
        events.Rule(
            self,
            "PipelineStopped",
            description="modelmill: a run ended where the workflow itself could not close it",
            event_pattern=events.EventPattern(
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={"stateMachineArn": [state_machine_arn(self)], "status": ["FAILED", "TIMED_OUT", "ABORTED"]},
            ),
            # This queue gets events that Lambda would not take; those that the code failed on, the function's own.
            targets=[targets.LambdaFunction(conclude, retry_attempts=5, dead_letter_queue=self.unclosed)],
        )
        return conclude

    def _observe(self, layers: Layers, data: DataStack) -> None:
        observe = ThinFunction(
            layers,
            "watch/observe",
            memory=512,
            timeout=Duration.minutes(1),
            environment={"MODELMILL_TABLE": data.table.table_name},
            statements=[
                *grants.records(data.table, "GetItem", "PutItem", "Query"),
                # CloudWatch has no resources to name ("Actions, resources, and condition keys for Amazon CloudWatch").
                grants.allow(["cloudwatch:GetMetricData"], ["*"]),
            ],
        )
        events.Rule(
            self,
            "Hourly",  # each look costs CloudWatch requests: every five minutes would be a dollar a month per version
            schedule=events.Schedule.rate(Duration.hours(1)),
            targets=[targets.LambdaFunction(observe, retry_attempts=2)],
        )

    def _metrics(self, data: DataStack, serve: ServeStack) -> dict[str, cloudwatch.IMetric]:
        """What is worth waking somebody for, by the name of their alarm."""
        period = Duration.minutes(5)

        def pipeline(name: str) -> cloudwatch.Metric:
            return cloudwatch.Metric(
                namespace="AWS/States",
                metric_name=name,
                dimensions_map={"StateMachineArn": state_machine_arn(self)},
                statistic="Sum",
                period=period,
            )

        return {
            "PoisonedUploads": data.queue.dead_letters.metric_approximate_number_of_messages_visible(
                statistic="Maximum", period=period
            ),
            "UnclosedRunsWaiting": self.unclosed.metric_approximate_number_of_messages_visible(
                statistic="Maximum", period=period
            ),
            # Data that was rejected, or only stored, is no fault: the execution succeeds, the record has the reason.
            "PipelineFailures": pipeline("ExecutionsFailed"),
            "PipelineTimeouts": pipeline("ExecutionsTimedOut"),
            "PredictErrors": serve.predict.metric_errors(statistic="Sum", period=period),
            "PredictSlow": serve.predict.metric_duration(statistic="p95", period=period),
            "ApiFaults": serve.api.rest.metric_server_error(statistic="Sum", period=period),
        }

    def _alarms(self, config: Config, metrics: dict[str, cloudwatch.IMetric]) -> None:
        # Not encrypted with the AWS key of SNS: CloudWatch may not publish under it. Alarms hold no data of anybody.
        topic = sns.Topic(self, "Alarms", enforce_ssl=True)
        # The policy about TLS takes the place of the topic's default one, by which alarms of the account may publish.
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            )
        )
        if config.alarm_email:
            topic.add_subscription(subscriptions.EmailSubscription(config.alarm_email))
        for name, metric in metrics.items():
            slow = name == "PredictSlow"
            alarm = cloudwatch.Alarm(
                self,
                name,
                metric=metric,
                threshold=MAX_P95.to_milliseconds() if slow else 0,
                evaluation_periods=3 if slow else 1,
                comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            )
            alarm.add_alarm_action(actions.SnsAction(topic))

    def _dashboard(self, metrics: dict[str, cloudwatch.IMetric]) -> None:
        dashboard = cloudwatch.Dashboard(self, "Dashboard", default_interval=Duration.days(1))
        dashboard.add_widgets(
            *(cloudwatch.GraphWidget(title=name, left=[metric], width=8) for name, metric in metrics.items())
        )
