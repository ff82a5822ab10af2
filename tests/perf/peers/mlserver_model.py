"""A model for MLServer, whose own environment it runs in: tensors in, one session.run, a tensor out."""

import os

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Onnx(MLModel):  # type: ignore[misc]
    """The ONNX file that MODEL names."""

    async def load(self) -> bool:
        """Open the session."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        providers = ["CPUExecutionProvider"]
        self.session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=providers)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """One request."""
        types = {"INT64": np.int64, "FP32": np.float32}
        tensors = {t.name: np.array(t.data.root, types[t.datatype]).reshape(t.shape) for t in payload.inputs}
        (result,) = self.session.run(None, tensors)
        output = NumpyCodec.encode_output("logits", result)
        return InferenceResponse(model_name=self.name, model_version="1", outputs=[output])
