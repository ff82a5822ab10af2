"""A toy assembly as CDK writes it: buckets, table, a function that logs EMF, machines with both `.sync` jobs."""

import json
from pathlib import Path
from typing import Any

FUNCTION = """
import json, time

def handler(event, context):
    print(json.dumps({
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [{
            "Namespace": "modelmill", "Dimensions": [["tenant"]],
            "Metrics": [{"Name": "Predictions", "Unit": "Count"}]}]},
        "tenant": event["tenant"], "Predictions": event.get("count", 0),
    }))
    return {"version": "7", "given": sorted(event)}
"""

JOB = """
import json, os, pathlib, sys, time
root = pathlib.Path(os.environ["MODELMILL_ML_ROOT"])
file = root / "input/config/hyperparameters.json"
given = json.loads(file.read_text()) if len(sys.argv) == 1 else {"do": sys.argv[1]}
print("job does", given["do"], flush=True)
if given["do"] == "fail":
    (root / "output/failure").write_text("the toy broke")
    sys.exit(1)
if given["do"] == "sleep":
    time.sleep(60)
if given["do"] == "read":
    print("channel:", (root / "input/data/dataset/part/rows.txt").read_text())
    (root / "model/weights.bin").write_bytes(b"w")
    (root / "checkpoints/1.pt").write_bytes(b"c")
time.sleep(float(given.get("seconds", 0)))
"""


def _training(do: str, **more: Any) -> dict[str, Any]:
    return {
        "TrainingJobName.$": "States.Format('toy-{}', $$.Execution.Name)",
        "AlgorithmSpecification": {
            "TrainingImage": "unused",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["python", "-c", JOB],
            "ContainerArguments": [],
        },
        "HyperParameters": {"do": do, **more.pop("hyperparameters", {})},
        "OutputDataConfig": {"S3OutputPath.$": "States.Format('s3://{}/jobs', $.bucket)"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        **more,
    }


def _task(resource: str, parameters: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": f"arn:aws:states:::{resource}.sync",
        "Parameters": parameters,
        "End": True,
        **more,
    }


def states() -> dict[str, dict[str, Any]]:
    """One machine for each behaviour, by name."""
    channel = {
        "ChannelName": "dataset",
        "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri.$": "States.Format('s3://{}/in/', $.bucket)"}},
    }
    checkpoint = {"S3Uri.$": "States.Format('s3://{}/checkpoints/', $.bucket)", "LocalPath": "/opt/ml/checkpoints"}
    batch = {
        "JobName.$": "States.Format('toy-{}-{}', $$.Execution.Name, $$.Map.Item.Index)",
        "JobQueue": "q",
        "JobDefinition": "d",
        "ContainerOverrides": {"Command.$": "$.command"},
    }
    parallel = {
        "Type": "Map",
        "ItemsPath": "$.items",
        "ItemSelector": {"command.$": "States.Array('python', '-c', $.code, $$.Map.Item.Value)"},
        "ItemProcessor": {"StartAt": "Job", "States": {"Job": _task("batch:submitJob", batch)}},
        "End": True,
    }
    return {
        "read": _task(
            "sagemaker:createTrainingJob",
            _training("read", InputDataConfig=[channel], CheckpointConfig=checkpoint),
        ),
        "fail": _task("sagemaker:createTrainingJob", _training("fail")),
        "sleep": _task("sagemaker:createTrainingJob", _training("sleep")),
        "limit": _task("sagemaker:createTrainingJob", _training("sleep", StoppingCondition={"MaxRuntimeInSeconds": 1})),
        "map": parallel,
        "wide": _wide(),
        "spark": _spark(),
    }


def _wide() -> dict[str, Any]:
    """A distributed map in JSONata, as the workflow writes it; `function` is the name of a function."""
    invoke = {
        "Type": "Task",
        "QueryLanguage": "JSONata",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": "{% $states.input.function %}", "Payload": "{% $states.input %}"},
        "Output": "{% $states.result.Payload.given %}",
        "End": True,
    }
    return {
        "Type": "Map",
        "QueryLanguage": "JSONata",
        "Items": "{% [0..$states.input.parts - 1] %}",
        "ItemSelector": {
            "index": "{% $states.context.Map.Item.Value %}",
            "tenant": "t",
            "function": "{% $states.input.function %}",
        },
        "MaxConcurrency": 40,
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "One",
            "States": {"One": invoke},
        },
        "Output": "{% {'kept': $states.input.parts, 'results': $states.result} %}",
        "End": True,
    }


def _spark() -> dict[str, Any]:
    """A Spark job whose entry point and code lie in a bucket."""
    submit = {
        "EntryPoint.$": "States.Format('s3://{}/code/main.py', $.bucket)",
        "EntryPointArguments.$": "States.Array($.do)",
        "SparkSubmitParameters.$": "States.Format('--conf spark.archives=s3://{}/code/code.zip#environment "
        "--conf spark.emr-serverless.driverEnv.PYTHONPATH=./environment/python "
        "--conf spark.emr-serverless.driverEnv.GIVEN=yes', $.bucket)",
    }
    request = {"ApplicationId": "a", "ExecutionRoleArn": "r", "Name": "toy", "ExecutionTimeoutMinutes": 5}
    return _task("emr-serverless:startJobRun", {**request, "JobDriver": {"SparkSubmit": submit}})


def write_assembly(folder: Path, extra: dict[str, Any] | None = None) -> Path:
    """A `cdk.out` with two stacks, of which `toy-serve` depends on `toy-data`."""
    folder.mkdir(parents=True, exist_ok=True)
    code = folder / "asset.code"
    code.mkdir(exist_ok=True)
    (code / "handler.py").write_text(FUNCTION, encoding="utf-8")
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"VersioningConfiguration": {"Status": "Enabled"}}}
    data = {
        "Resources": {
            "Uploads": bucket,
            "Data": bucket,
            "Models": bucket,
            "Table": {
                "Type": "AWS::DynamoDB::Table",
                "Properties": {
                    "BillingMode": "PAY_PER_REQUEST",
                    "AttributeDefinitions": [{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk")],
                    "KeySchema": [
                        {"AttributeName": "pk", "KeyType": "HASH"},
                        {"AttributeName": "sk", "KeyType": "RANGE"},
                    ],
                },
            },
            **(extra or {}),
        },
        "Outputs": {
            "UploadsBucket": {"Value": {"Ref": "Uploads"}},
            "DataBucket": {"Value": {"Ref": "Data"}},
            "ModelsBucket": {"Value": {"Ref": "Models"}},
            "TableName": {"Value": {"Ref": "Table"}},
        },
    }
    _write_stack(folder, "toy-data", data, {})
    _write_stack(folder, "toy-serve", _serve(), {"code": {"source": {"path": "asset.code", "packaging": "zip"}}})
    artifacts = {
        # The dependent one first: the order must come from the dependencies.
        "toy-serve": {
            "type": "aws:cloudformation:stack",
            "properties": {"templateFile": "toy-serve.template.json"},
            "dependencies": ["toy-data", "toy-serve.assets"],
        },
        "toy-serve.assets": {"type": "cdk:asset-manifest"},
        "toy-data": {"type": "aws:cloudformation:stack", "properties": {"templateFile": "toy-data.template.json"}},
    }
    (folder / "manifest.json").write_text(json.dumps({"artifacts": artifacts}), encoding="utf-8")
    return folder


def _serve() -> dict[str, Any]:
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}},
    }
    arn = {"Fn::GetAtt": ["Role", "Arn"]}
    machines = {
        f"Machine{name.title()}": {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {
                "StateMachineName": f"toy-{name}",
                "RoleArn": arn,
                "DefinitionString": json.dumps({"StartAt": "Only", "States": {"Only": state}}),
            },
        }
        for name, state in states().items()
    }
    functions = {
        f"Function{name.title()}": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "FunctionName": f"toy-{name}",
                "Runtime": "python3.13",
                "Handler": "handler.handler",
                "Role": arn,
                "Code": {"S3Bucket": "toy-assets-000000000000-us-east-1", "S3Key": "code.zip"},
            },
        }
        for name in ("function", "select", "register", "deploy")
    }
    api = {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": "toy"}}
    return {
        "Resources": {"Role": role, **functions, "Api": api, **machines},
        "Outputs": {"ApiId": {"Value": {"Ref": "Api"}}, "StateMachineArn": {"Value": {"Ref": "MachineRead"}}},
    }


def _write_stack(folder: Path, name: str, template: dict[str, Any], assets: dict[str, Any]) -> None:
    (folder / f"{name}.template.json").write_text(json.dumps(template), encoding="utf-8")
    files = {**assets, "template": {"source": {"path": f"{name}.template.json", "packaging": "file"}}}
    for key, file in files.items():
        object_key = f"{name}-{hash(json.dumps(template)) & 0xFFFFFF:x}.json" if key == "template" else f"{key}.zip"
        file["destinations"] = {
            "current": {"bucketName": "toy-assets-${AWS::AccountId}-${AWS::Region}", "objectKey": object_key}
        }
    (folder / f"{name}.assets.json").write_text(json.dumps({"files": files}), encoding="utf-8")
