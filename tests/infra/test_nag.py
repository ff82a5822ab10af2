"""cdk-nag's AwsSolutions and Serverless packs: every finding is accepted here with its reason, or it fails."""

import json
import re
from pathlib import Path

import pytest
from aws_cdk import Validations
from cdk_nag import AwsSolutionsChecks, ServerlessChecks

from infra_cdk.app import make_app
from infra_cdk.bundling import Bundles

ACCEPTED = {
    "AwsSolutions-S1": "access logs need a bucket and fees of their own; CloudTrail can log data events",
    "AwsSolutions-L1": "3.13 is the newest for which every locked library is tested; SnapStart needs 3.12 or later",
    "AwsSolutions-APIG2": "the functions check requests and answer in the error shape, which the gateway cannot",
    "AwsSolutions-APIG3": "a web ACL costs a fee each month while idle; the stage throttles and keys are required",
    "AwsSolutions-APIG4": "the two health probes answer without a key, as the Open Inference Protocol's clients expect",
    "AwsSolutions-APIG6": "execution logs hold payloads; the access log has every request",
    "AwsSolutions-COG4": "machines call with bearer keys; there are no people to sign in",
    "AwsSolutions-VPC7": "flow logs cost by the gigabyte; hosts have no way in and run no more than jobs",
    "Serverless-LambdaLatestVersion": "as AwsSolutions-L1",
    "Serverless-LambdaDLQ": "conclude has one; of the others only observe is invoked by events, and the next makes up",
    "Serverless-LambdaEventSourceMappingDestination": "the source is a queue, whose dead-letter queue takes failures",
    "Serverless-SQSRedrivePolicy": "these are the dead-letter queues themselves",
    "Serverless-EventBusDLQ": "the hourly schedule: the next tick makes up for a lost one",
}
# Stars within a resource: the tenant is known at run time only, executions and jobs are named at run time.
ACCEPTED_STARS = (
    r"Resource::\*",  # test_permissions has a reason for each
    r"Resource::.*Uploads.*/\*",
    r"Resource::.*/\*/(datasets|quarantine|scratch|runs|packages|weights|runs/\*/checkpoints)/\*",
    r"Resource::.*:(execution:modelmill-pipeline:\*|training-job/modelmill-\*|job/\*)",
    r"Resource::.*:job-definition/modelmill-job-[a-z-]+:\*",
    r"Resource::.*:(execution:modelmill-pipeline/\*|/applications/.*/jobruns/\*)",
    r"Resource::.*:log-group:/aws/sagemaker/TrainingJobs:\*",
    r"Policy::.*/service-role/(AmazonAPIGatewayPushToCloudWatchLogs|AmazonEC2ContainerServiceforEC2Role)",
)


def findings(bundles: Bundles, folder: Path) -> dict[str, list[str]]:
    """Rule → paths of the constructs that break it."""
    app = make_app({"target": "aws"}, folder, bundles)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app), ServerlessChecks(app))
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()
    report = json.loads((folder / "validation-report.json").read_text())
    return {
        violation["ruleName"]: [construct["constructPath"] for construct in violation["violatingConstructs"]]
        for plugin in report["pluginReports"]
        for violation in plugin["violations"]
    }


def test_every_finding_is_accepted_with_a_reason(bundles: Bundles, tmp_path: Path) -> None:
    found = findings(bundles, tmp_path)
    stars = {rule: paths for rule, paths in found.items() if re.match(r"AwsSolutions-IAM[45]\[", rule)}
    plain = {rule: paths for rule, paths in found.items() if rule not in stars}
    assert {rule: paths for rule, paths in plain.items() if rule not in ACCEPTED} == {}
    assert set(ACCEPTED) - set(plain) == set(), "accepted, but not found any more"
    pattern = re.compile("|".join(f"(?:{accepted})" for accepted in ACCEPTED_STARS))
    assert [rule for rule in stars if not pattern.fullmatch(rule[len("AwsSolutions-IAM5[") : -1])] == []
    assert all("DeadLetters" in path or "Unclosed" in path for path in plain["Serverless-SQSRedrivePolicy"])
    assert plain["Serverless-EventBusDLQ"] == ["modelmill-watch/Hourly/Resource"]
