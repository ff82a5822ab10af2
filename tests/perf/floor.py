"""The floor of a cold start: the path of an ONNX model in; nothing but a session and one run of it."""

import sys

import numpy as np
import onnxruntime

TYPES = {"tensor(int64)": np.int64, "tensor(float)": np.float32}
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
session.run(
    None,
    {
        tensor.name: np.ones([size if isinstance(size, int) else 1 for size in tensor.shape], TYPES[tensor.type])
        for tensor in session.get_inputs()
    },
)
