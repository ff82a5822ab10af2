"""A control API with state over real HTTP: what the client is tested against. Faults can be planted."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from modelmill.core.data.diff import diff

TOKEN = "mm_test"
METRICS = {"accuracy": {"value": 0.9, "low": 0.8, "high": 0.95}}
VERSION: dict[str, Any] = {
    "dataset": "d",
    "version": "v1",
    "task": "text-classification",
    "target": "y",
    "rows": {"read": 1_003, "used": 1_002, "quarantined": 1},
    "splits": {"train": 700, "test": 302},
    "columns": [
        {"name": "text", "kind": "text"},
        {"name": "y", "kind": "category"},
        {"name": "[id]", "kind": "number"},
    ],
    "inputs": [{"name": "text", "kind": "text"}],
    "quarantine": {"ragged_row": 1},
    "warnings": [{"code": "w", "message": "look"}],
    "sources": [{"bucket": "b", "key": "default/d/u/rows.csv", "version_id": "", "size": 3, "etag": "e"}],
    "source_count": 1,
    "runs": [{"id": "r1", "status": "SUCCEEDED", "started": "2026"}],
    "models": [{"model": "m", "version": "1"}],
    "created": "2026-11-24T16:03:01.209Z",
}
DIFF: dict[str, Any] = {"dataset": "d"} | diff(
    VERSION | {"labels": ["a", "b"]},
    VERSION | {"version": "v2", "labels": ["a"], "target": "z", "columns": VERSION["columns"][:2], "warnings": []},
    None,
    None,
)


class FakeApi:
    """`outcome` is what the next run ends with (`reason`, if it fails); `faults` are answered before the truth."""

    def __init__(self) -> None:
        self.outcome = "SUCCEEDED"
        self.reason = {"code": "one_class", "message": "only one class", "hint": "send more"}
        self.faults: list[tuple[int, Any]] = []
        self.uploads: dict[str, bytes] = {}
        self.recipes: dict[str, str] = {}
        self.stored: tuple[int, bytes] = (200, b"<!DOCTYPE html>")
        self.seen: list[tuple[str, str]] = []
        self.planned: list[str] = []
        self.polls: dict[str, int] = {}
        self.route: dict[str, Any] = {"weights": {"1": 1.0}, "shadow": None}

    def answer(self, method: str, target: str, body: bytes, token: str | None) -> tuple[int, Any]:
        url = urlsplit(target)
        path = [unquote(part) for part in url.path.split("/")[1:]]
        self.seen.append((method, target))
        if path[0] == "storage" and method == "GET":
            return self.stored
        if path[0] == "storage":
            self.uploads["/".join(path[1:])] = body
            return 200, None
        if token != f"Bearer {TOKEN}":
            return 401, {"error": {"code": "unauthorised", "message": "no such key", "hint": "make one"}}
        if self.faults:
            return self.faults.pop(0)
        return self._api(method, path[1:], json.loads(body or b"null"), parse_qs(url.query))

    def _api(self, method: str, path: list[str], body: Any, query: dict[str, list[str]]) -> tuple[int, Any]:
        if path[:1] == ["datasets"]:
            return self._data(method, path[1:], body, query)
        if path == ["pipelines"]:
            key = query.get("upload_key", [""])[0]
            found = [self._run(key)] if key in self.uploads else []
            return 200, {"pipelines": found if key else [self._run(one) for one in self.uploads]}
        if path[0] == "pipelines":
            key = path[1].replace("|", "/")
            return (200, self._run(key)) if key in self.uploads else _missing("pipeline run", path[1])
        if path[0] == "models":
            return self._models(method, path[1:], body)
        return _missing("path", "/".join(path))

    def _data(self, method: str, path: list[str], body: Any, query: dict[str, list[str]]) -> tuple[int, Any]:
        if method == "GET":
            return self._datasets(path)
        if method == "DELETE":
            trained = [{"model": "m", "version": "1"}]
            return 200, {"deleted": path[-1], "models": trained, "models_deleted": "models" in query}
        if len(path) > 2 or "files" in body:
            return self._several(path[0], path[2:], body)
        key = f"default/{path[0]}/u{len(self.uploads)}/{body['file']}"
        self.recipes[key] = body.get("recipe", "")
        return 201, {"upload_id": "u", "key": key, "url": f"{self.base}/storage/{key}", "method": "PUT"}

    def _several(self, dataset: str, rest: list[str], body: Any) -> tuple[int, Any]:
        """An upload of several files, each in one piece."""
        folder = f"default/{dataset}/u"
        if not rest:
            self.planned = [one["file"] for one in body["files"]]
            files = [{**one, "part_bytes": None, "parts": None} for one in body["files"]]
            return 201, {"upload_id": "u", "key": f"{folder}/upload.json", "files": files}
        if rest[1:] == ["parts"]:
            links = [{"file": file, "url": f"{self.base}/storage/{folder}/files/{file}"} for file in body["files"]]
            return 200, {"links": links}
        assert all(f"{folder}/files/{file}" in self.uploads for file in self.planned)
        self.uploads[f"{folder}/upload.json"] = b"{}"
        return 200, {"upload_id": "u", "key": f"{folder}/upload.json", "status": "complete"}

    def _datasets(self, path: list[str]) -> tuple[int, Any]:
        if not path:
            return 200, {"datasets": [{"name": "d", "latest": "v1", "updated": "2026-11-24T16:03:01.209Z"}]}
        if path == ["d"]:
            return 200, {"name": "d", "latest": "v1"}
        if path == ["d", "versions"]:
            return 200, {"versions": [VERSION]}
        if path == ["d", "versions", "v1"]:
            return 200, VERSION | {"links": {"report": f"{self.base}/storage/d/v1/report.html"}}
        if path == ["d", "versions", "v1", "diff", "v2"]:
            return 200, DIFF
        return _missing("version", path[-1])

    def _models(self, method: str, path: list[str], body: Any) -> tuple[int, Any]:
        version = {"version": "1", "digest": "d" * 64, "metrics": METRICS, "candidate": "ngram-linear"}
        version["links"] = {"report": f"{self.base}/storage/m/1/report.html"}
        version["created"] = "2026-11-24T16:03:01.209Z"
        if not path:
            return 200, {"models": [{"name": "m", "route": self.route}]}
        if path[0] != "m":
            return _missing("model", path[0])
        if path[1:] == ["route"] and method == "PUT":
            self.route = {"weights": body["weights"], "shadow": body["shadow"]}
        if path[-1] == "predict":
            rows = [
                {"label": "yes", "score": 0.9, "scores": {"yes": 0.9, "no": 0.1}, "row": one}
                for one in body["instances"]
            ]
            return 200, {"predictions": rows, "model": "m", "version": "1"}
        if path[-1] == "versions":
            return 200, {"versions": [version]}
        if path[1:] == ["versions", "1"]:
            return 200, version
        return 200, {"name": "m", "route": self.route, "latest": "1", **self.route}

    def _run(self, key: str) -> dict[str, Any]:
        """A run that is seen once under way before it ends."""
        self.polls[key] = self.polls.get(key, 0) + 1
        over = self.polls[key] > 2
        failed = over and self.outcome != "SUCCEEDED"
        stages = [{"stage": "preprocess", "candidate": None, "status": "SUCCEEDED", "fraction": 1.0, "message": "read"}]
        return {
            "id": key.replace("/", "|"),
            "status": self.outcome if over else "RUNNING",
            "dataset": key.split("/")[1],
            "dataset_version": "v1",
            "stages": stages,
            "reason": self.reason if failed else None,
            "rows": {"read": 3, "used": 2, "quarantined": 1},
            "warnings": [{"code": "w", "message": "look"}],
            "task": "text-classification",
            "target": "y",
            "model": {"name": "m", "version": "1", "metrics": METRICS} if over and not failed else None,
        }

    base = ""


def _missing(what: str, name: str) -> tuple[int, Any]:
    return 404, {"error": {"code": "not_found", "message": f"no {what} named {name!r}"}}


@contextmanager
def serving(api: FakeApi) -> Iterator[str]:
    """The API on a free port; yields its base URL."""

    class Handler(BaseHTTPRequestHandler):
        def _reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = api.answer(self.command, self.path, body, self.headers.get("Authorization"))
            data = b"" if answer is None else answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = _reply  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    api.base = f"http://127.0.0.1:{server.server_port}"
    try:
        yield f"{api.base}/v1"[: -len("/v1")]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
