"""What must hold of resources whatever else changes: kept data, no idle cost, guarded queues and buckets."""

import tomllib
from typing import Any

import pytest

from infra_cdk import preparation, workflow
from infra_cdk.layers import FUNCTION_LAYERS, ROOT
from modelmill.core.limits import API_TIMEOUT_SECONDS
from modelmill.core.names import SCRATCH_TAG
from tests.infra.templates import Templates, listed

ALWAYS_ON = (
    "AWS::EC2::NatGateway",
    "AWS::EC2::Instance",
    "AWS::EC2::EIP",
    "AWS::RDS::",
    "AWS::ECS::",
    "AWS::EKS::",
    "AWS::ElastiCache::",
    "AWS::OpenSearchService::",
    "AWS::SageMaker::Endpoint",
    "AWS::ElasticLoadBalancing::",
    "AWS::ElasticLoadBalancingV2::",
    "AWS::Kinesis::",
    "AWS::KMS::Key",
    "AWS::SecretsManager::",
    "AWS::ApplicationAutoScaling::",
)


def test_nothing_is_always_on(templates: Templates) -> None:
    assert [name for kind in ALWAYS_ON for name, _ in templates.resources(kind)] == []
    assert {p["VpcEndpointType"] for p in templates.properties("AWS::EC2::VPCEndpoint")} == {"Gateway"}
    assert {p["ComputeResources"]["MinvCpus"] for p in templates.properties("AWS::Batch::ComputeEnvironment")} == {0}
    assert {p["BillingMode"] for p in templates.properties("AWS::DynamoDB::Table")} == {"PAY_PER_REQUEST"}
    for published in (*templates.properties("AWS::Lambda::Version"), *templates.properties("AWS::Lambda::Alias")):
        assert "ProvisionedConcurrencyConfig" not in published
    assert not any("CacheClusterEnabled" in stage for stage in templates.properties("AWS::ApiGateway::Stage"))


def test_buckets_are_safe(templates: Templates) -> None:
    buckets = templates.properties("AWS::S3::Bucket")
    assert len(buckets) == 3
    for bucket in buckets:
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert bucket["BucketEncryption"]
        rules = bucket["LifecycleConfiguration"]["Rules"]
        (rule,) = [rule for rule in rules if "TagFilters" not in rule]
        assert rule["NoncurrentVersionExpiration"]
        assert rule["AbortIncompleteMultipartUpload"]
        assert "ExpirationInDays" not in rule, "what has no tag is kept"
    for policy in templates.properties("AWS::S3::BucketPolicy"):
        assert any(
            statement["Effect"] == "Deny" and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
            for statement in policy["PolicyDocument"]["Statement"]
        )


def test_what_is_only_on_the_way_goes_after_days_and_nothing_else_does(templates: Templates) -> None:
    buckets = {
        name: r["Properties"]["LifecycleConfiguration"]["Rules"] for name, r in templates.resources("AWS::S3::Bucket")
    }
    ((name, rule),) = [(name, r) for name, rules in buckets.items() for r in rules if "ExpirationInDays" in r]
    assert name.startswith("data/Data")
    assert rule["TagFilters"] == [dict(zip(("Key", "Value"), SCRATCH_TAG, strict=True))]
    # Longer than a run can take; the old version that a removal leaves behind does not stay for a month.
    assert 86_400 * rule["ExpirationInDays"] > 2 * preparation.SPARK_SECONDS
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}


def test_only_uploads_are_announced(templates: Templates) -> None:
    announced = [
        name for name, bucket in templates.resources("AWS::S3::Bucket")
        if "NotificationConfiguration" in bucket["Properties"]
    ]  # fmt: skip
    assert len(announced) == 1
    assert "Uploads" in announced[0]


def test_data_outlives_its_stack_and_no_data_is_deleted_by_a_resource(templates: Templates) -> None:
    for kind in ("AWS::S3::Bucket", "AWS::DynamoDB::Table"):
        assert {resource["DeletionPolicy"] for _, resource in templates.resources(kind)} == {"Retain"}
    (table,) = templates.properties("AWS::DynamoDB::Table")
    assert table["DeletionProtectionEnabled"] is True
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert not list(templates.resources("Custom::"))


def test_the_images_go_with_their_stack(templates: Templates) -> None:
    """Its name is fixed: one that stayed behind would make the next deployment fail."""
    ((_, repository),) = templates.resources("AWS::ECR::Repository")
    assert repository["DeletionPolicy"] == "Delete"
    assert repository["Properties"]["EmptyOnDelete"] is True


def test_the_queue_waits_six_times_as_long_as_ingest_and_has_a_dead_letter_queue(templates: Templates) -> None:
    (mapping,) = templates.properties("AWS::Lambda::EventSourceMapping")
    queue_name = mapping["EventSourceArn"]["Fn::GetAtt"][0]
    queue = templates.by_stack["data"]["Resources"][queue_name]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * templates.function("data/ingest")["Timeout"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] >= 5
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    watched = [str(alarm["Dimensions"]) for alarm in templates.properties("AWS::CloudWatch::Alarm")]
    assert any("DeadLetters" in dimensions for dimensions in watched)


def test_what_the_local_cloud_cannot_make_is_made_on_aws_only(templates: Templates) -> None:
    registry = pytest.importorskip("ministack.services.cloudformation.provisioners")._RESOURCE_HANDLERS
    unknown = [(name, resource) for name, resource in templates.resources() if resource["Type"] not in registry]
    assert unknown
    assert [name for name, resource in unknown if resource.get("Condition") != "IsAws"] == []


def unconditional(value: Any) -> Any:
    """A resource without what it takes on AWS alone."""
    if isinstance(value, dict):
        return {key: unconditional(inner) for key, inner in value.items() if key != "Fn::If" or inner[0] != "IsAws"}
    return [unconditional(inner) for inner in value] if isinstance(value, list) else value


def test_spark_costs_nothing_while_no_job_runs(templates: Templates) -> None:
    (application,) = templates.properties("AWS::EMRServerless::Application")
    assert application["AutoStopConfiguration"] == {"Enabled": True, "IdleTimeoutMinutes": 5}
    assert "InitialCapacity" not in application, "workers kept warm are paid for"
    assert int(application["MaximumCapacity"]["Cpu"].split()[0]) <= 64


def test_the_spark_that_is_tested_is_the_release_that_runs(templates: Templates) -> None:
    (application,) = templates.properties("AWS::EMRServerless::Application")
    assert application["ReleaseLabel"] == "emr-7.13.0"
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert "pyspark==3.5.6" in {pin.split(";")[0].strip() for pin in extras["spark"]}


def test_what_is_made_on_aws_only_is_named_by_nothing_else(templates: Templates) -> None:
    for template in templates.by_stack.values():
        conditional = {name for name, resource in template["Resources"].items() if "Condition" in resource}
        for name, resource in template["Resources"].items():
            if name not in conditional:
                assert not [other for other in conditional if f"'{other}'" in str(unconditional(resource))], name


def test_every_function_has_its_own_role_and_log_and_its_layers(templates: Templates) -> None:
    functions = [templates.function(folder) for folder in FUNCTION_LAYERS]
    assert len(templates.properties("AWS::Lambda::Function")) == len(functions)
    assert len({str(function["Role"]) for function in functions}) == len(functions)
    for folder, function in zip(FUNCTION_LAYERS, functions, strict=True):
        assert len(function["Layers"]) == len(FUNCTION_LAYERS[folder])
        assert function["Runtime"] == "python3.13"
        assert function["LoggingConfig"]["LogGroup"]
        assert function["TracingConfig"] == {"Mode": "Active"}
    assert {p["RetentionInDays"] for p in templates.properties("AWS::Logs::LogGroup")} == {30}


def test_predict_is_served_from_a_published_version_and_no_snapshot_is_paid_for(templates: Templates) -> None:
    predict = templates.function("serve/predict")
    assert "SnapStart" not in predict
    assert predict["Timeout"] <= API_TIMEOUT_SECONDS
    (alias,) = templates.properties("AWS::Lambda::Alias")
    assert alias["Name"] == "live"
    (version,) = [resource for _, resource in templates.resources("AWS::Lambda::Version")]
    assert version["DeletionPolicy"] == "Retain"
    integrations = [method["Integration"] for method in templates.properties("AWS::ApiGateway::Method")]
    predict_name = version["Properties"]["FunctionName"]["Ref"]
    assert not [each for each in integrations if predict_name in str(each)], "the API must call the alias"


def test_failures_of_the_life_cycle_reach_conclude_from_outside_too(templates: Templates) -> None:
    (rule,) = [p for p in templates.properties("AWS::Events::Rule") if "aws.states" in str(p.get("EventPattern"))]
    assert set(rule["EventPattern"]["detail"]["status"]) == {"FAILED", "TIMED_OUT", "ABORTED"}
    assert all("Conclude" in str(target["Arn"]) for target in listed(rule["Targets"]))


def test_events_that_conclude_fails_on_are_kept_and_watched(templates: Templates) -> None:
    """EventBridge's own queue gets only what Lambda would not take; Lambda drops an event after its third failure."""
    queue = templates.function("watch/conclude")["DeadLetterConfig"]["TargetArn"]["Fn::GetAtt"][0]
    (rule,) = [p for p in templates.properties("AWS::Events::Rule") if "aws.states" in str(p.get("EventPattern"))]
    assert {target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0] for target in rule["Targets"]} == {queue}
    assert any(queue in str(alarm["Dimensions"]) for alarm in templates.properties("AWS::CloudWatch::Alarm"))


def test_alarms_may_publish_to_their_topic(templates: Templates) -> None:
    """A topic's own policy replaces the default one, which lets the account's alarms in."""
    ((name, _),) = templates.resources("AWS::SNS::Topic")
    (policy,) = templates.properties("AWS::SNS::TopicPolicy")
    (allowed,) = [each for each in policy["PolicyDocument"]["Statement"] if each["Effect"] == "Allow"]
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Resource"] == {"Ref": name.split("/")[1]}
    assert allowed["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    alarms = templates.properties("AWS::CloudWatch::Alarm")
    assert alarms
    assert all(alarm["AlarmActions"] == [allowed["Resource"]] for alarm in alarms)


def test_a_job_that_no_host_can_run_does_not_block_its_queue(templates: Templates) -> None:
    for queue in templates.properties("AWS::Batch::JobQueue"):
        limits = {limit["Reason"]: limit["MaxTimeSeconds"] for limit in queue["JobStateTimeLimitActions"]}
        assert set(limits) == {
            "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
            "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
            "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
        }
        assert set(limits.values()) == {workflow.SPOT_WAIT_SECONDS}, "as long as SageMaker waits for a spot host"


def test_the_log_role_that_the_account_keeps_is_kept(templates: Templates) -> None:
    ((_, account),) = templates.resources("AWS::ApiGateway::Account")
    role = templates.by_stack["serve"]["Resources"][account["Properties"]["CloudWatchRoleArn"]["Fn::GetAtt"][0]]
    assert (account["DeletionPolicy"], role["DeletionPolicy"]) == ("Retain", "Retain")


def test_the_stacks_say_what_callers_need(templates: Templates) -> None:
    outputs = {name for template in templates.by_stack.values() for name in template["Outputs"]}
    assert outputs >= {"ApiId", "ApiUrl", "UploadsBucket", "DataBucket", "ModelsBucket", "TableName", "StateMachineArn"}
