"""gRPC in, the data plane's answers out: the Open Inference Protocol's service, health and reflection.

Synchronous, with few threads: it costs half of what grpc.aio does. Tensors go out as raw contents whatever they came
as. The key travels in the metadata `authorization`, the sticky key in `x-modelmill-key`.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from modelmill.core.errors import ModelmillError
from modelmill.serving import report
from modelmill.serving.api import SERVER, sentence
from modelmill.serving.binary import bad, decode, encode, unknown_datatype
from modelmill.serving.plane import Call
from modelmill.serving.server.connection import BODY_BYTES
from modelmill.serving.server.pb import open_inference_pb2 as pb
from modelmill.serving.server.service import Service

NAME = "inference.GRPCInferenceService"
_THREADS = 4
_CODES = {
    401: grpc.StatusCode.UNAUTHENTICATED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    503: grpc.StatusCode.UNAVAILABLE,
    507: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
_FIELDS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


class Rpc:
    """The server and its services over the same plane, keys and counts as HTTP."""

    def __init__(self, service: Service, address: str, *, shared: bool) -> None:
        """Listen at once; `shared` lets other processes have the same port. Raises RuntimeError if it is taken."""
        self._service = service
        self._health = health.HealthServicer(experimental_non_blocking=True)
        self._server = grpc.server(
            ThreadPoolExecutor(_THREADS, thread_name_prefix="rpc"),
            options=[
                ("grpc.max_receive_message_length", BODY_BYTES),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", int(shared)),
            ],
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        methods: dict[str, tuple[Any, Callable[[Any, Any], Any]]] = {
            "ServerLive": (pb.ServerLiveRequest, lambda _request, _context: pb.ServerLiveResponse(live=True)),
            "ServerReady": (pb.ServerReadyRequest, self._server_ready),
            "ServerMetadata": (pb.ServerMetadataRequest, self._authorised(_server_metadata)),
            "ModelReady": (pb.ModelReadyRequest, self._authorised(self._model_ready)),
            "ModelMetadata": (pb.ModelMetadataRequest, self._authorised(self._model_metadata)),
            "ModelInfer": (pb.ModelInferRequest, self._authorised(self._model_infer)),
        }
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                method,
                request_deserializer=request.FromString,
                response_serializer=lambda message: message.SerializeToString(),
            )
            for name, (request, method) in methods.items()
        }
        self._server.add_registered_method_handlers(NAME, handlers)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NAME, handlers),))
        reflection.enable_server_reflection((NAME, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server)
        self.port = self._server.add_insecure_port(address)
        self.set_ready(ready=False)
        self._server.start()

    def set_ready(self, *, ready: bool) -> None:
        """What the health service says, of the server and of the inference service."""
        status = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", NAME):
            self._health.set(name, status)

    def stop(self, grace: float) -> None:
        """Take no new calls, give those under way `grace` seconds."""
        self._server.stop(grace).wait(grace + 1)

    def _server_ready(self, _request: Any, _context: grpc.ServicerContext) -> Any:
        return pb.ServerReadyResponse(ready=self._service.ready and not self._service.draining)

    def _authorised(self, run: Callable[[Call, Any], Any]) -> Callable[[Any, Any], Any]:
        """`run` with the caller's tenant; what it raises ends the call with a status."""

        def method(request: Any, context: grpc.ServicerContext) -> Any:
            started, request_id = time.perf_counter(), self._service.request_id()
            metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
            call = Call("-", "-", None, metadata.get("x-modelmill-key") or request_id)
            code, status, reason, answer = grpc.StatusCode.OK, 200, "", None
            try:
                call.tenant = self._service.keys.required(metadata.get("authorization", ""))
                answer = run(call, request)
            except ModelmillError as error:
                report.refused(request_id, call, error)
                status, reason = error.status, sentence(error)
                code = _CODES.get(status, grpc.StatusCode.INVALID_ARGUMENT)
            # The last boundary: the caller gets a request id, the log gets type and place.
            except Exception as error:  # noqa: BLE001
                report.failed(request_id, call, error)
                code, status = grpc.StatusCode.INTERNAL, 500
                reason = f"this is a fault of the server; quote the request id {request_id}"
            if isinstance(request, pb.ModelInferRequest):
                self._service.tally.add(call, status, time.perf_counter() - started)
            if code is not grpc.StatusCode.OK:
                context.abort(code, reason)
            return answer

        return method

    def _model_ready(self, call: Call, request: Any) -> Any:
        call.model, call.version = request.name, request.version or None
        return pb.ModelReadyResponse(ready=self._service.plane.ready(call)["ready"])

    def _model_metadata(self, call: Call, request: Any) -> Any:
        call.model, call.version = request.name, request.version or None
        return pb.ModelMetadataResponse(**self._service.plane.describe(call))

    def _model_infer(self, call: Call, request: Any) -> Any:
        call.model, call.version = request.model_name, request.model_version or None
        answer = self._service.plane.infer(call, document_of(request))
        response = pb.ModelInferResponse(
            model_name=answer["model_name"], model_version=answer["model_version"], id=answer.get("id", "")
        )
        for output in answer["outputs"]:
            response.outputs.add(name=output["name"], datatype=output["datatype"], shape=output["shape"])
            response.raw_output_contents.append(encode(output["data"]))
        return response


def _server_metadata(_call: Call, _request: Any) -> Any:
    return pb.ServerMetadataResponse(**SERVER)


def document_of(request: Any) -> dict[str, Any]:
    """A ModelInferRequest as the data plane takes it; raises ModelmillError naming the tensor."""
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise bad(f"there are {len(request.inputs)} inputs and {len(raw)} raw_input_contents")
    inputs = []
    for index, tensor in enumerate(request.inputs):
        where = f"inputs[{index}] ({tensor.name:.60})"
        if raw and tensor.HasField("contents"):
            raise bad(f"{where} has contents beside raw_input_contents")
        data = decode(tensor.datatype, raw[index], where) if raw else _contents(tensor, where)
        inputs.append({"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape), "data": data})
    document: dict[str, Any] = {"inputs": inputs, "outputs": [{"name": output.name} for output in request.outputs]}
    return document | {"id": request.id} if request.id else document


def _contents(tensor: Any, where: str) -> list[Any]:
    name = _FIELDS.get(tensor.datatype)
    if name is None:
        if tensor.datatype == "FP16":
            raise bad(f"{where} has the datatype FP16", "send it in raw_input_contents")
        raise unknown_datatype(tensor.datatype, where)
    if other := [field.name for field, _ in tensor.contents.ListFields() if field.name != name]:
        raise bad(f"{where} has {other[0]}, its datatype {tensor.datatype} is sent in {name}")
    values = list(getattr(tensor.contents, name))
    if name != "bytes_contents":
        return values
    try:
        return [value.decode() for value in values]
    except UnicodeDecodeError:
        raise bad(f"{where} holds bytes that are not UTF-8") from None
