"""The floor of one Python process: uvloop, httptools, orjson, session.run, and no check of anything. MODEL, PORT in."""

import asyncio
import os
from typing import Any

import httptools
import numpy as np
import onnxruntime
import orjson
import uvloop

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.add_session_config_entry("session.intra_op.allow_spinning", "0")
session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
types = {"INT64": np.int64, "FP32": np.float32}


class Probe(asyncio.Protocol):
    """A connection."""

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        self.transport, self.parser = transport, httptools.HttpRequestParser(self)
        self.size, self.parts = 0, list[bytes]()

    def data_received(self, data: bytes) -> None:
        """Parse."""
        self.parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note where binary tensors begin."""
        if name.lower() == b"inference-header-content-length":
            self.size = int(value)

    def on_body(self, body: bytes) -> None:
        """Collect."""
        self.parts.append(body)

    def on_message_complete(self) -> None:
        """Answer."""
        body, size = b"".join(self.parts), self.size
        self.parts, self.size = [], 0
        (tensor,) = orjson.loads(body[: size or None])["inputs"]
        kind = types[tensor["datatype"]]
        values = np.frombuffer(body, kind, offset=size) if size else np.array(tensor["data"], kind)
        (result,) = session.run(None, {tensor["name"]: values.reshape(tensor["shape"])})
        output: dict[str, Any] = {"name": "logits", "datatype": "FP32", "shape": list(result.shape)}
        if not size:
            output["data"] = result.ravel().tolist()
        answer = orjson.dumps({"outputs": [output]})
        extra = b""
        if size:
            extra, answer = b"inference-header-content-length: %d\r\n" % len(answer), answer + result.tobytes()
        self.transport.write(b"HTTP/1.1 200 OK\r\n%scontent-length: %d\r\n\r\n%s" % (extra, len(answer), answer))


async def main() -> None:
    """Serve for ever."""
    server = await asyncio.get_running_loop().create_server(Probe, "127.0.0.1", int(os.environ["PORT"]))
    await server.serve_forever()


uvloop.run(main())
