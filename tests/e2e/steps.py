"""What a person does, as steps: put a file into S3 with plain boto3, wait, ask over HTTP."""

import json
import time
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import boto3
import httpx

WAIT_SECONDS = 240


@dataclass(frozen=True)
class Steps:
    """One tenant's view of a running local cloud; `cloud` is what `modelmill status --json` says."""

    cloud: dict[str, Any]
    token: str
    tenant: str = "default"

    @property
    def url(self) -> str:
        return str(self.cloud["url"])

    def aws(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.cloud["s3_endpoint"],
            region_name=self.cloud["region"],
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.request(method, self.url + path, headers=headers, timeout=60, **arguments)

    def get(self, path: str) -> httpx.Response:
        return self.request("GET", path)

    def post(self, path: str, body: Any) -> httpx.Response:
        return self.request("POST", path, json=body)

    def predict(self, model: str, *instances: dict[str, Any]) -> dict[str, Any]:
        reply = self.post(f"/v1/models/{model}/predict", {"instances": list(instances)})
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def run(self, dataset: str, content: bytes, file: str, recipe: bytes | None = None) -> dict[str, Any]:
        """Upload under the contract's key and wait for the end of the run that it starts."""
        folder = f"{self.tenant}/{dataset}/{uuid.uuid4().hex[:8]}"
        if recipe is not None:
            self.put(f"{folder}/recipe.yaml", recipe)
        return self.run_key(f"{folder}/{file}", content)

    def run_key(self, key: str, content: bytes) -> dict[str, Any]:
        self.put(key, content)
        return self.wait(key)

    def put(self, key: str, content: bytes) -> None:
        self.aws("s3").put_object(Bucket=self.cloud["uploads_bucket"], Key=key, Body=content)

    def wait(self, key: str) -> dict[str, Any]:
        end = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < end:
            runs = self.request("GET", "/v1/pipelines", params={"upload_key": key}).json()["pipelines"]
            if runs and runs[0]["status"] != "RUNNING":
                return dict(self.get(f"/v1/pipelines/{runs[0]['id']}").json())
            time.sleep(0.5)
        raise AssertionError(f"no run of {key} ended within {WAIT_SECONDS} s: {runs}")

    def quarantined(self, upload: dict[str, Any]) -> bytes:
        """The bytes of a rejected upload as kept in the data bucket."""
        tenant, dataset, rest = upload["key"].split("/", 2)
        bucket, key = self.cloud["data_bucket"], f"{tenant}/quarantine/{dataset}/{rest}"
        reason = json.loads(self.aws("s3").get_object(Bucket=bucket, Key=f"{key}.reason.json")["Body"].read())
        assert reason["code"]
        return bytes(self.aws("s3").get_object(Bucket=bucket, Key=key)["Body"].read())

    def deliver_again(self, run: dict[str, Any], times: int) -> None:
        """Send the upload's S3 event again, as EventBridge and SQS may at any time."""
        sqs = self.aws("sqs")
        queues = [
            url for url in sqs.list_queues()["QueueUrls"] if "dead" not in url.lower() and "dlq" not in url.lower()
        ]
        for _ in range(times):
            sqs.send_message(QueueUrl=queues[0], MessageBody=json.dumps(self._event(run)))
        time.sleep(4)

    def _event(self, run: dict[str, Any]) -> dict[str, Any]:
        upload = run["upload"]
        etag = self.aws("s3").head_object(Bucket=upload["bucket"], Key=upload["key"])["ETag"].strip('"')
        return {
            "version": "0",
            "source": "aws.s3",
            "detail-type": "Object Created",
            "time": datetime.strptime(run["id"][:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC).isoformat(),
            "detail": {
                "bucket": {"name": upload["bucket"]},
                "object": {"key": upload["key"], "size": upload["size"], "etag": etag},
            },
        }

    def observed(self, model: str) -> dict[str, Any]:
        """What `observe` counts of a model over the last day, measured now."""
        functions = self.aws("lambda").list_functions()["Functions"]
        observe = next(f["FunctionName"] for f in functions if "observe" in f["FunctionName"].lower())
        self.aws("lambda").invoke(FunctionName=observe, Payload=b"{}")
        return dict(self.get(f"/v1/models/{model}").json()["traffic"]["last_day"])

    def as_tenant(self, tenant: str) -> "Steps":
        """The same cloud seen with a key of another tenant."""
        from modelmill.local.cloud import create_key

        return replace(self, tenant=tenant, token=create_key(self.cloud, tenant, "test"))
