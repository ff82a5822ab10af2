"""`Modelmill`: every path of the control API and predict as a method; files in, runs, models and answers out."""

import os
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import httpx

from modelmill.client.files import Memory, collect
from modelmill.client.home import read_cloud
from modelmill.client.sending import Progress, Sender
from modelmill.client.transport import TIMEOUT, Transport, error_of, is_loopback
from modelmill.client.types import Document, Run, Upload
from modelmill.core.errors import ModelmillError
from modelmill.core.names import check_name

_POLL_SECONDS = 0.5
_APPEAR_SECONDS = 120.0


class Modelmill:
    """A client of one modelmill. Raises `ModelmillError` (code, message, hint, HTTP status) for every refusal.

    `url` and `token` default to MODELMILL_URL and MODELMILL_TOKEN, then to the local cloud. Not safe for use by several
    threads at once. `transport` replaces the network (httpx's seam; for tests).
    """

    def __init__(
        self, url: str | None = None, token: str | None = None, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._http = Transport(*_target(url, token), transport)
        # Links lead to S3 without our key in a header; the local cloud's are on loopback, where no proxy belongs.
        self._storage = httpx.Client(timeout=TIMEOUT, transport=transport, trust_env=not is_loopback(self._http.url))

    @property
    def url(self) -> str:
        """The base URL."""
        return self._http.url

    def __enter__(self) -> Self:
        """Self."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes."""
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()
        self._storage.close()

    # --- data

    def upload(
        self,
        dataset: str,
        files: Path | str | Sequence[Path | str],
        recipe: str | None = None,
        progress: Progress | None = None,
    ) -> Upload:
        """Put a file, or several files and folders as one upload, where they start a pipeline.

        `recipe` is the text of a recipe in YAML. Large files go in parts, and what was interrupted is gone on with.
        """
        dataset = check_name("dataset", dataset)
        paths = [Path(files)] if isinstance(files, Path | str) else [Path(one) for one in files]
        found = collect(paths)
        body: Document = {} if recipe is None else {"recipe": recipe}
        if len(paths) == 1 and not paths[0].is_dir():
            body |= {"file": found[0].name, "size": found[0].size}
        else:
            body["files"] = [{"file": one.name, "size": one.size} for one in found]
        sender = Sender(self._http, self._storage, dataset, found, progress)
        return sender.send(body, uuid.uuid4().hex, Memory(self.url, dataset, recipe, found))

    def datasets(self) -> list[Document]:
        """The data sets."""
        return list(self._http.call("GET", "/v1/datasets")["datasets"])

    def dataset(self, name: str) -> Document:
        """One data set with its latest version."""
        return self._http.call("GET", f"/v1/datasets/{_part(name)}")

    def dataset_version(self, name: str, version: str) -> Document:
        """One version of a data set: where it came from, what came of it, links to its files."""
        return self._http.call("GET", f"/v1/datasets/{_part(name)}/versions/{_part(version)}")

    def diff(self, name: str, version: str, other: str) -> Document:
        """What changed from one version of a data set to another."""
        return self._http.call("GET", f"/v1/datasets/{_part(name)}/versions/{_part(version)}/diff/{_part(other)}")

    def dataset_versions(self, dataset: str) -> list[Document]:
        """The versions of a data set."""
        return list(self._http.call("GET", f"/v1/datasets/{_part(dataset)}/versions")["versions"])

    def report(self, dataset: str, version: str | None = None) -> tuple[str, bytes]:
        """A version (the latest if None) and its data report, a page of HTML."""
        version = version or str(self.dataset(dataset)["latest"])
        return version, self._page(self.dataset_version(dataset, version)["links"]["report"])

    def _page(self, link: str) -> bytes:
        try:
            response = self._storage.get(link)
        except httpx.TransportError as error:
            raise ModelmillError("unreachable", f"the report could not be fetched: {error}", status=503) from error
        if not response.is_success:
            raise error_of(response)
        return response.content

    # --- pipelines

    def runs(self, limit: int = 20) -> list[Run]:
        """The newest runs, newest first."""
        return [
            Run.parse(body) for body in self._http.call("GET", "/v1/pipelines", params={"limit": limit})["pipelines"]
        ]

    def run(self, run_id: str) -> Run:
        """One run with its stages."""
        return Run.parse(self._http.call("GET", f"/v1/pipelines/{_part(run_id)}"))

    def run_of(self, upload_key: str) -> Run | None:
        """The run that an upload started, or None if it is not there yet."""
        found = self._http.call("GET", "/v1/pipelines", params={"upload_key": upload_key})["pipelines"]
        return Run.parse(found[0]) if found else None

    def cancel(self, run_id: str) -> Document:
        """Stop a run."""
        return self._http.call("POST", f"/v1/pipelines/{_part(run_id)}/cancel", repeat=True)

    def wait(self, upload_key: str, timeout: float = 3_600, seen: Callable[[Run], None] | None = None) -> Run:
        """The run that an upload started, once it is over; `seen` gets every state on the way. Times in seconds."""
        started = time.monotonic()
        run = self.run_of(upload_key)
        while run is None or not run.over:
            waited = time.monotonic() - started
            if waited > timeout or (run is None and waited > _APPEAR_SECONDS):
                what = "was not started" if run is None else f"({run.id}) did not end"
                raise ModelmillError(
                    "timeout", f"the pipeline of {upload_key} {what} within {waited:.0f} s", status=504
                )
            time.sleep(_POLL_SECONDS)
            run = self.run(run.id) if run else self.run_of(upload_key)
            if run and seen:
                seen(run)
        return self.run(run.id)

    # --- models

    def models(self) -> list[Document]:
        """The models, each with its route."""
        return list(self._http.call("GET", "/v1/models")["models"])

    def model(self, name: str) -> Document:
        """One model."""
        return self._http.call("GET", f"/v1/models/{_part(name)}")

    def versions(self, name: str) -> list[Document]:
        """The versions of a model, newest first."""
        return list(self._http.call("GET", f"/v1/models/{_part(name)}/versions")["versions"])

    def version(self, name: str, version: str) -> Document:
        """One version of a model."""
        return self._http.call("GET", f"/v1/models/{_part(name)}/versions/{_part(version)}")

    def model_report(self, name: str, version: str | None = None) -> tuple[str, bytes]:
        """A version (the newest if None) and its report, a page of HTML: how good it is, and where not."""
        version = version or str(self.model(name)["latest"])
        return version, self._page(self.version(name, version)["links"]["report"])

    def route(self, name: str) -> Document:
        """How a model's traffic is shared."""
        return self._http.call("GET", f"/v1/models/{_part(name)}/route")

    def set_route(self, name: str, weights: Mapping[str, float], shadow: str | None = None) -> Document:
        """Share a model's traffic: version → weight, summing to 1; `shadow` sees all of it unanswered."""
        body = {"weights": dict(weights), "shadow": shadow}
        return self._http.call("PUT", f"/v1/models/{_part(name)}/route", json=body)

    def predict(self, model: str, instances: Sequence[Document], version: str | None = None) -> Document:
        """`{"predictions": [{"label", "score", "scores"}…], "model", "version"}` for raw rows."""
        middle = f"/versions/{_part(version)}" if version else ""
        body = {"instances": list(instances), "parameters": {}}
        return self._http.call("POST", f"/v1/models/{_part(model)}{middle}/predict", json=body, repeat=True)

    def delete(
        self, kind: str, name: str, version: str | None = None, *, force: bool = False, models: bool = False
    ) -> Document:
        """Remove a `dataset` or `model`, or one version of it.

        `force` removes also a model that has a route; `models` removes with data the models trained from it.
        """
        middle = f"/versions/{_part(version)}" if version else ""
        params = {"force": "true"} if force else {"models": "true"} if models else None
        return self._http.call("DELETE", f"/v1/{kind}s/{_part(name)}{middle}", params=params)


def _target(url: str | None, token: str | None) -> tuple[str, str]:
    cloud = read_cloud() or {}
    url = url or os.environ.get("MODELMILL_URL") or cloud.get("url")
    token = token or os.environ.get("MODELMILL_TOKEN")
    if not token and url == cloud.get("url"):  # the local cloud's key opens nothing else
        token = cloud.get("token")
    if not url:
        raise ModelmillError(
            "no_url", "there is no local cloud, and MODELMILL_URL is not set", hint="start one with: modelmill up"
        )
    if not token:
        raise ModelmillError("no_token", "MODELMILL_TOKEN is not set", status=401, hint=f"it holds the key for {url}")
    token = token.strip()  # files that hold keys end with a newline
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ModelmillError("bad_token", "MODELMILL_TOKEN is not a key", status=401, hint="a key is one word in ASCII")
    return url, token


def _part(name: str) -> str:
    """One segment of a path, whatever is in it."""
    return quote(name, safe="")
