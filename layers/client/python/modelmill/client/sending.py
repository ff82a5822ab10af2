"""Files on their way to S3: local files in; a complete upload out. Parts go side by side, and are tried again.

An upload that was interrupted is gone on with: S3 says which parts and files it has, and they are not sent again.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar
from urllib.parse import quote

import httpx

from modelmill.client.files import LocalFile, Memory
from modelmill.client.transport import ATTEMPTS, Transport, error_of, pause
from modelmill.client.types import Document, Upload
from modelmill.core.errors import ModelmillError

Progress = Callable[[int, int], None]
"""Called with bytes sent and bytes in all."""
THREADS = 4
_CHUNK_BYTES = 1 << 20
_PAGE = 4 * THREADS
"""Links are asked for as they are needed, so that none is out of date before it is used."""
_RETRIED = frozenset({429, 500, 502, 503, 504})
_Item = TypeVar("_Item")


class _Meter:
    """Adds up what several threads send."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._sent, self._total, self._progress = 0, total, progress
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self._sent += count
            if self._progress:
                self._progress(self._sent, self._total)


class Sender:
    """Sends the files of one upload to a dataset."""

    def __init__(
        self,
        http: Transport,
        storage: httpx.Client,
        dataset: str,
        files: Sequence[LocalFile],
        progress: Progress | None,
    ) -> None:
        self._http, self._storage = http, storage
        self._base = f"/v1/datasets/{quote(dataset, safe='')}/uploads"
        self._files = {file.name: file for file in files}
        self._meter = _Meter(sum(file.size for file in files), progress)
        self._stopped = threading.Event()

    def send(self, body: Document, key: str, memory: Memory) -> Upload:
        """Begin with the request `body` under an idempotency key, or go on with what `memory` knows; to the end."""
        state = self._resumed(memory)
        if state is None:
            begun = self._http.call("POST", self._base, json=body, headers={"Idempotency-Key": key}, repeat=True)
            if "url" in begun:
                (file,) = self._files.values()
                self._put(begun["url"], file, 0, file.size)
                return Upload(begun["upload_id"], begun["key"])
            memory.keep(begun["upload_id"])
            state = begun | {"status": "open"}
        if state["status"] != "complete":
            self._send_files(state, single="files" not in body)
        memory.forget()
        return Upload(state["upload_id"], state["key"])

    def _resumed(self, memory: Memory) -> Document | None:
        upload_id = memory.get()
        if upload_id is None:
            return None
        try:
            return self._http.call("GET", f"{self._base}/{upload_id}")
        except ModelmillError as error:
            if error.status != 404:
                raise
        memory.forget()
        return None

    def _send_files(self, state: Document, *, single: bool) -> None:
        path = f"{self._base}/{state['upload_id']}"
        open_files = [one for one in state["files"] if not one.get("stored")]
        for one in state["files"]:
            if one.get("stored"):
                self._meter.add(one["size"])
        whole = [one["file"] for one in open_files if one["part_bytes"] is None]
        for page in _pages(whole, _PAGE):
            links = self._call(f"{path}/parts", {"files": page})["links"]
            self._at_once(self._send_whole, links)
        for one in open_files:
            if one["part_bytes"] is not None:
                self._send_parts(path, one)
        if not single:
            for file in self._files.values():
                file.check()
            self._call(f"{path}/complete", {})

    def _send_whole(self, link: Document) -> None:
        file = self._files[link["file"]]
        self._put(link["url"], file, 0, file.size)

    def _send_parts(self, path: str, one: Document) -> None:
        file, size = self._files[one["file"]], one["part_bytes"]
        known = one.get("uploaded_parts")
        if known is None:  # one of very many files: their parts are listed one by one
            (detail,) = self._http.call("GET", path, params={"file": file.name})["files"]
            known = detail["uploaded_parts"] or []
        lengths = {number + 1: min(size, file.size - number * size) for number in range(one["parts"])}
        etags = {part["number"]: part["etag"] for part in known if part["size"] == lengths.get(part["number"])}
        self._meter.add(sum(lengths[number] for number in etags))

        def send(link: Document) -> None:
            number = link["number"]
            etags[number] = self._put(link["url"], file, (number - 1) * size, lengths[number])

        for page in _pages([number for number in lengths if number not in etags], _PAGE):
            self._at_once(send, self._call(f"{path}/parts", {"file": file.name, "numbers": page})["links"])
        file.check()
        sent = [{"number": number, "etag": etags[number]} for number in sorted(etags)]
        self._call(f"{path}/complete", {"file": file.name, "parts": sent})

    def _call(self, path: str, body: Document) -> Document:
        """These calls can be repeated."""
        return self._http.call("POST", path, json=body, repeat=True)

    def _at_once(self, send: Callable[[Document], None], links: Iterable[Document]) -> None:
        """All of it, or the first error, after which nothing new is begun and what is under way stops."""
        pool = ThreadPoolExecutor(THREADS)
        try:
            for done in as_completed([pool.submit(send, link) for link in links]):
                done.result()
        # Also for Ctrl-C: what is under way must see that it is over. It is raised again.
        except BaseException:
            self._stopped.set()
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _put(self, url: str, file: LocalFile, start: int, length: int) -> str:
        """The ETag of what was put. A link is for one object or part: repeating it replaces the same."""
        headers = {"Content-Length": str(length)}
        for attempt in range(1, ATTEMPTS + 1):
            piece = _Piece(file, start, length, self._meter, self._stopped)
            try:
                response = self._storage.put(url, content=piece.chunks(), headers=headers)
            except httpx.TransportError as error:
                file.check()  # a file that shrank breaks off too
                if attempt == ATTEMPTS:
                    message = f"{file.name} could not be sent: {error}"
                    raise ModelmillError("upload_failed", message, status=503) from error
            else:
                if response.is_success:
                    return str(response.headers.get("ETag", "")).strip('"')
                if response.status_code not in _RETRIED or attempt == ATTEMPTS:
                    raise error_of(response)
            self._meter.add(-piece.sent)
            time.sleep(pause(attempt, None))
        raise AssertionError("the last attempt returns or raises")


class _Piece:
    """Bytes of a file, read as they are sent."""

    def __init__(self, file: LocalFile, start: int, length: int, meter: _Meter, stopped: threading.Event) -> None:
        self._file, self._start, self._length = file, start, length
        self._meter, self._stopped = meter, stopped
        self.sent = 0

    def chunks(self) -> Iterator[bytes]:
        with self._file.path.open("rb") as opened:
            opened.seek(self._start)
            while self.sent < self._length and (chunk := opened.read(min(_CHUNK_BYTES, self._length - self.sent))):
                if self._stopped.is_set():
                    raise ModelmillError("upload_failed", "another part could not be sent", status=503)
                yield chunk
                self.sent += len(chunk)
                self._meter.add(len(chunk))


def _pages(items: Sequence[_Item], size: int) -> Iterator[list[_Item]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
