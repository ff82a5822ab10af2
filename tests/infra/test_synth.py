"""Synthesis: quick, deterministic, without Docker or the network; a refused context says why."""

import shutil
import socket
import time
from pathlib import Path

import aws_cdk as cdk
import pytest

from infra_cdk.app import make_app
from infra_cdk.bundling import Bundles
from infra_cdk.config import Config
from tests.infra.conftest import placeholder
from tests.infra.templates import Templates


def test_twice_gives_equal_bytes_and_is_quick(assembly: Path, bundles: Bundles, tmp_path: Path) -> None:
    begun = time.monotonic()
    make_app({"target": "aws"}, tmp_path, bundles).synth()
    assert time.monotonic() - begun < 20
    first = {file.name: file.read_bytes() for file in assembly.iterdir()}
    second = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert set(first) == set(second)
    assert [name for name in first if first[name] != second[name]] == []


def test_needs_no_network(bundles: Bundles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise AssertionError("synthesis opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("PATH", f"{tmp_path}")  # no docker, no aws, no git
    make_app({"target": "aws"}, tmp_path / "out", bundles).synth()


def test_a_changed_layer_publishes_a_new_version_of_predict(
    templates: Templates, bundles: Bundles, tmp_path: Path
) -> None:
    changed = Bundles(tmp_path / "bundles")
    shutil.copytree(bundles.folder, changed.folder)
    placeholder(changed.layer("serving"), "changed")
    make_app({"target": "aws"}, tmp_path / "out", changed).synth()
    (before, _), (after, _) = (
        next(found.resources("AWS::Lambda::Version")) for found in (templates, Templates.read(tmp_path / "out"))
    )
    assert before != after


def test_local_and_aws_differ_in_what_is_kept_alone(templates: Templates, bundles: Bundles, tmp_path: Path) -> None:
    make_app({"target": "local"}, tmp_path, bundles).synth()
    local = Templates.read(tmp_path)
    different = {
        (name, key)
        for (name, here), (_, there) in zip(templates.resources(), local.resources(), strict=True)
        for key in here
        if here[key] != there[key]
    }
    assert {key for _, key in different} <= {"DeletionPolicy", "UpdateReplacePolicy", "Properties"}
    assert {name.split("/")[1][:8] for name, key in different if key == "Properties"} == {"Registry"}


@pytest.mark.parametrize(
    "context", [{"target": "azure"}, {"retain": "perhaps"}, {"vpc_id": "vpc-1"}, {"subnet_ids": "subnet-1"}]
)
def test_refuses_a_senseless_context(context: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(context.values()))[:5] + "|together"):
        Config.of(cdk.App(context=context).node)


def test_uses_the_network_it_is_given(bundles: Bundles, tmp_path: Path) -> None:
    make_app({"vpc_id": "vpc-1", "subnet_ids": "subnet-1, subnet-2"}, tmp_path, bundles).synth()
    found = Templates.read(tmp_path)
    assert not list(found.resources("AWS::EC2::VPC"))
    for hosts in found.properties("AWS::Batch::ComputeEnvironment"):
        assert hosts["ComputeResources"]["Subnets"] == ["subnet-1", "subnet-2"]


def test_batch_has_every_queue_and_definition_that_the_workflow_names(templates: Templates) -> None:
    queues = {queue["JobQueueName"] for queue in templates.properties("AWS::Batch::JobQueue")}
    assert queues == {f"modelmill-jobs-{kind}-{market}" for kind in ("gpu", "cpu") for market in ("spot", "on-demand")}
    jobs = {job["JobDefinitionName"]: job for job in templates.properties("AWS::Batch::JobDefinition")}
    assert set(jobs) == {f"modelmill-job-{nodes}{kind}" for kind in ("gpu", "cpu") for nodes in ("", "nodes-")}
    for kind in ("gpu", "cpu"):
        (nodes,) = jobs[f"modelmill-job-nodes-{kind}"]["NodeProperties"]["NodeRangeProperties"]
        assert nodes["TargetNodes"] == "0:", "open above: the workflow says how many"
        for container in (jobs[f"modelmill-job-{kind}"]["ContainerProperties"], nodes["Container"]):
            wanted = {need["Type"] for need in container["ResourceRequirements"]}
            assert wanted == {"MEMORY", "VCPU", *(["GPU"] if kind == "gpu" else [])}


def test_only_hosts_of_the_same_jobs_reach_hosts_of_jobs(templates: Templates) -> None:
    groups = dict(templates.resources("AWS::EC2::SecurityGroup"))
    assert not any("SecurityGroupIngress" in group["Properties"] for group in groups.values())
    ways = list(templates.properties("AWS::EC2::SecurityGroupIngress"))
    assert len(ways) == 2
    for way in ways:
        assert way["GroupId"] == way["SourceSecurityGroupId"]
        assert way["IpProtocol"] == "tcp"


def test_alarms_reach_the_mailbox_that_is_named(bundles: Bundles, tmp_path: Path) -> None:
    make_app({"alarm_email": "ops@example.org"}, tmp_path, bundles).synth()
    (subscription,) = Templates.read(tmp_path).properties("AWS::SNS::Subscription")
    assert subscription["Endpoint"] == "ops@example.org"


def test_a_snapshot_is_made_when_asked_for_and_an_old_one_is_not_paid_for(bundles: Bundles, tmp_path: Path) -> None:
    make_app({"snap_start": "true"}, tmp_path, bundles).synth()
    found = Templates.read(tmp_path)
    assert found.function("serve/predict")["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    # SnapStart takes no more: "Improving startup performance with Lambda SnapStart", AWS Lambda.
    assert found.function("serve/predict").get("EphemeralStorage", {"Size": 512})["Size"] <= 512
    ((_, version),) = found.resources("AWS::Lambda::Version")
    assert version["DeletionPolicy"] == "Delete"


def test_an_account_that_has_a_log_role_keeps_it(bundles: Bundles, tmp_path: Path) -> None:
    make_app({"api_log_role": "false"}, tmp_path, bundles).synth()
    found = Templates.read(tmp_path)
    assert not list(found.resources("AWS::ApiGateway::Account"))
    assert len(list(found.resources("AWS::ApiGateway::Stage"))) == 1
