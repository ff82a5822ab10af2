"""Least privilege: no star actions, every star resource explained, each role equal to what its code calls."""

import ast
from pathlib import Path
from typing import Any

import pytest

from infra_cdk.app import make_app
from infra_cdk.bundling import Bundles
from infra_cdk.layers import FUNCTION_LAYERS
from infra_cdk.prune import AWS_SERVICES
from modelmill.aws.lean import S3, DynamoDB
from tests.infra.reach import ACTIONS, ROOT, is_client, reach
from tests.infra.templates import Templates, listed, text

STAR_RESOURCES = {
    "xray:PutTraceSegments": "X-Ray has no resources to name",
    "xray:PutTelemetryRecords": "X-Ray has no resources to name",
    "xray:GetSamplingRules": "X-Ray has no resources to name",
    "xray:GetSamplingTargets": "X-Ray has no resources to name",
    "cloudwatch:GetMetricData": "CloudWatch metrics have no resources to name",
    "batch:DescribeJobs": "Batch has no resources to name for it",
    "ecr:GetAuthorizationToken": "the token is the account's, not a repository's",
    # Log delivery ("Logging to CloudWatch Logs", AWS Step Functions) is the account's: none of these names a resource.
    "logs:CreateLogDelivery": "log delivery has no resources to name",
    "logs:GetLogDelivery": "log delivery has no resources to name",
    "logs:UpdateLogDelivery": "log delivery has no resources to name",
    "logs:DeleteLogDelivery": "log delivery has no resources to name",
    "logs:ListLogDeliveries": "log delivery has no resources to name",
    "logs:PutResourcePolicy": "log delivery has no resources to name",
    "logs:DescribeResourcePolicies": "log delivery has no resources to name",
    "logs:DescribeLogGroups": "log delivery has no resources to name",
}
MANAGED_POLICIES = {
    "service-role/AmazonAPIGatewayPushToCloudWatchLogs": "API Gateway's one role per account for writing logs",
    "service-role/AmazonEC2ContainerServiceforEC2Role": "what the ECS agent on a Batch host needs",
}
BESIDE_THE_CODE = {
    "logs:CreateLogStream": "its log",
    "logs:PutLogEvents": "its log",
    "xray:PutTraceSegments": "its trace",
    "xray:PutTelemetryRecords": "its trace",
    "sqs:ReceiveMessage": "Lambda polls the queue with the function's role",
    "sqs:DeleteMessage": "Lambda polls the queue with the function's role",
    "sqs:ChangeMessageVisibility": "Lambda polls the queue with the function's role",
    "sqs:GetQueueAttributes": "Lambda polls the queue with the function's role",
    "sqs:GetQueueUrl": "Lambda polls the queue with the function's role",
    "sqs:SendMessage": "Lambda keeps events that the code failed on with the function's role",
    "s3:ListBucket": "without it S3 answers 403 for a missing key",
    "s3:AbortMultipartUpload": "a large object is uploaded in parts",
    "s3:GetObjectVersion": "an upload is read at the version that was announced",
    "s3:GetObjectTagging": "copying an object copies its tags",
    "s3:GetObjectVersionTagging": "copying an object copies its tags",
    "s3:PutObjectTagging": "copying an object copies its tags",
}


def test_no_action_is_a_star(templates: Templates) -> None:
    for role, statement in templates.statements():
        assert "NotAction" not in statement
        for action in listed(statement["Action"]):
            assert "*" not in action, f"{role}: {action}"


def test_every_star_resource_has_a_reason(templates: Templates) -> None:
    starred = {
        action
        for _, statement in templates.statements()
        if "*" in listed(statement["Resource"])
        for action in listed(statement["Action"])
    }
    assert starred - set(STAR_RESOURCES) == set()
    assert set(STAR_RESOURCES) - starred == set(), "a reason for what is not there any more"


def test_managed_policies_are_those_that_have_a_reason(templates: Templates) -> None:
    attached = {
        text(policy).split(":policy/")[1]
        for role in templates.properties("AWS::IAM::Role")
        for policy in role.get("ManagedPolicyArns", [])
    }
    assert attached == set(MANAGED_POLICIES)


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / "functions" / folder).rglob("*.py"))


def granted(templates: Templates, folder: str) -> set[str]:
    return {action for statement in templates.role_statements(folder) for action in listed(statement["Action"])}


@pytest.mark.parametrize("folder", FUNCTION_LAYERS)
def test_a_role_allows_what_its_code_calls_and_no_more(templates: Templates, folder: str) -> None:
    needed = reach(sources(folder)).actions
    assert needed - granted(templates, folder) == set(), "the code would be refused"
    assert granted(templates, folder) - needed - set(BESIDE_THE_CODE) == set(), "the role allows what no code calls"


@pytest.mark.parametrize("folder", FUNCTION_LAYERS)
def test_the_environment_names_what_the_code_reads_and_no_more(templates: Templates, folder: str) -> None:
    variables = templates.function(folder).get("Environment", {"Variables": {}})["Variables"]
    ours = {name for name in variables if name.startswith("MODELMILL_")}
    assert ours - {"MODELMILL_LEAN_CLIENTS"} == reach(sources(folder)).settings


def test_lean_clients_are_for_functions_that_need_no_others(templates: Templates) -> None:
    lean = {
        folder
        for folder in FUNCTION_LAYERS
        if "MODELMILL_LEAN_CLIENTS" in templates.function(folder).get("Environment", {"Variables": {}})["Variables"]
    }
    assert lean == {"serve/predict", "serve/authorise"}
    for folder in lean:
        assert reach(sources(folder)).calls <= set(dir(DynamoDB)) | set(dir(S3))


def test_a_job_may_do_what_its_code_calls(templates: Templates) -> None:
    needed = reach(sorted((ROOT / "layers/training/python").rglob("*.py"))).actions
    for role in ("SageMakerRole", "BatchJobRole"):
        allowed = {
            action
            for name, statement in templates.statements()
            if name.split("/")[1].startswith(role)
            for action in listed(statement["Action"])
        }
        assert needed <= allowed, role


def test_a_job_reads_pretrained_weights_and_does_not_write_them(templates: Templates) -> None:
    for role in ("SageMakerRole", "BatchJobRole"):
        actions = {
            action
            for name, statement in templates.statements()
            if name.split("/")[1].startswith(role) and "/*/weights/*" in text(statement["Resource"])
            for action in listed(statement["Action"])
        }
        assert actions == {"s3:GetObject"}, role


def test_the_call_graph_knows_every_way_in_which_services_are_called() -> None:
    services, methods = set(), set()
    for file in (ROOT / "layers/aws/python").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "client":
                services.add(ast.literal_eval(node.args[0]))
            if isinstance(node, ast.Attribute) and is_client(node.value):
                methods.add(node.attr)
    assert services == set(AWS_SERVICES), "prune.py must keep botocore's data of exactly these"
    assert methods - {"get_paginator", "generate_presigned_url", "meta"} <= set(ACTIONS)


def bucket_of(resource: Any) -> str:
    """The bucket's logical id of an object ARN."""
    found = [name for name in ("Uploads", "Data", "Models") if f"{name}" in text(resource).split("/")[0]]
    return found[-1] if found else ""


def test_nothing_triggers_itself(templates: Templates) -> None:
    """Only the uploads bucket starts anything, and nothing in the workflow may write there."""
    (rule,) = [p for p in templates.properties("AWS::Events::Rule") if "aws.s3" in str(p.get("EventPattern"))]
    (trigger,) = rule["EventPattern"]["detail"]["bucket"]["name"]
    started = trigger["Ref"]
    writers = {
        role
        for role, statement in templates.statements()
        if {"s3:PutObject", "s3:PutObjectTagging"} & set(listed(statement["Action"]))
        for resource in listed(statement["Resource"])
        if started in text(resource)
    }
    # control writes a recipe and signs links for people; it is no stage of the life cycle.
    assert {writer.split("/")[1][:11] for writer in writers} == {"ControlRole"}
    starters = {
        role for role, statement in templates.statements() if "states:StartExecution" in listed(statement["Action"])
    }
    # The machine starts children of itself: executions of a part of its definition, one for each part of a file.
    assert {starter.split("/")[1][:10] for starter in starters} == {"IngestRole", "ControlRol", "PipelineRo"}


def test_a_spark_job_writes_what_is_on_the_way_and_makes_keys_of_pseudonyms_alone(templates: Templates) -> None:
    """The version is the function's to write and to put on record."""
    own = [s for role, s in templates.statements() if role.split("/")[1].startswith("SparkRole")]
    needed = {"s3:PutObject", "s3:PutObjectTagging", "s3:GetObject", "s3:GetObjectVersion", "dynamodb:GetItem"}
    assert needed <= {action for statement in own for action in listed(statement["Action"])}
    writes = [s for s in own if {"s3:PutObject", "s3:PutObjectTagging"} & set(listed(s["Action"]))]
    assert {text(r).partition("/")[2] for s in writes for r in listed(s["Resource"])} == {"*/scratch/*"}
    (records,) = [s for s in own if "dynamodb:PutItem" in listed(s["Action"])]
    assert records["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["*#mask"]}}


def test_authorise_reads_keys_alone(templates: Templates) -> None:
    (statement,) = [
        s for s in templates.role_statements("serve/authorise") if "dynamodb:GetItem" in listed(s["Action"])
    ]
    assert statement["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["key#*"]}}


def test_the_state_machine_may_pass_each_role_to_its_own_service_alone(templates: Templates) -> None:
    passes = [statement for _, statement in templates.statements() if "iam:PassRole" in listed(statement["Action"])]
    allowed = {text(s["Resource"])[2:11]: s["Condition"]["StringEquals"]["iam:PassedToService"] for s in passes}
    assert allowed == {"SageMaker": "sagemaker.amazonaws.com", "SparkRole": "emr-serverless.amazonaws.com"}
    assert len(passes) == len(allowed)


def test_the_state_machine_may_run_one_spark_application_and_learn_of_its_end(templates: Templates) -> None:
    """`.sync` needs all of these ("IAM policies for Amazon EMR Serverless", AWS Step Functions)."""
    found = {
        action: text(statement["Resource"])
        for _, statement in templates.statements()
        for action in listed(statement["Action"])
        if action.startswith("emr-serverless:")
    }
    assert set(found) == {"emr-serverless:StartJobRun", "emr-serverless:GetJobRun", "emr-serverless:CancelJobRun"}
    assert found["emr-serverless:StartJobRun"].endswith(":/applications/?")
    assert found["emr-serverless:GetJobRun"].endswith(":/applications/?/jobruns/*")
    rules = [
        text(r)
        for _, s in templates.statements()
        if "events:PutRule" in listed(s["Action"])
        for r in listed(s["Resource"])
    ]
    assert any(rule.endswith("rule/StepFunctionsGetEventsForEMRServerlessJobRule") for rule in rules)


def test_the_state_machine_may_wait_for_its_own_children_alone(templates: Templates) -> None:
    """A distributed map ("IAM policies for using Distributed Map states", AWS Step Functions)."""
    (statement,) = [s for role, s in templates.statements() if "states:DescribeExecution" in listed(s["Action"])]
    assert {"states:DescribeExecution", "states:StopExecution"} == set(statement["Action"])
    assert text(statement["Resource"]).endswith(":execution:modelmill-pipeline/*")


def test_the_state_machine_may_mark_the_jobs_that_it_waits_for(templates: Templates) -> None:
    """`.sync` tags a training job MANAGED_BY_AWS: SageMaker refuses the job without sagemaker:AddTags."""
    (statement,) = [s for _, s in templates.statements() if "sagemaker:CreateTrainingJob" in listed(s["Action"])]
    assert {"sagemaker:AddTags", "sagemaker:ListTags"} <= set(statement["Action"])
    assert text(statement["Resource"]).endswith(":training-job/modelmill-*")


def pulls(templates: Templates) -> set[str]:
    """Repositories that the jobs' roles may pull from."""
    return {
        text(resource)
        for _, statement in templates.statements()
        if "ecr:BatchGetImage" in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }


@pytest.mark.parametrize(
    ("image", "arns"),
    [
        (
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/torch:7",
            {"arn:${AWS::Partition}:ecr:eu-west-1:123456789012:repository/team/torch"},
        ),
        ("public.ecr.aws/team/torch:7", set()),
    ],
)
def test_jobs_may_pull_the_image_that_is_named(image: str, arns: set[str], bundles: Bundles, tmp_path: Path) -> None:
    make_app({"job_image": image}, tmp_path, bundles).synth()
    assert pulls(Templates.read(tmp_path)) == arns


def test_jobs_may_pull_from_the_stacks_own_repository(templates: Templates) -> None:
    ((name, _),) = templates.resources("AWS::ECR::Repository")
    assert pulls(templates) == {f"${{{name.split('/')[1]}.Arn}}"}
