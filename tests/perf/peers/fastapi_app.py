"""FastAPI under uvicorn: an infer endpoint as people write it, over the same ONNX file. MODEL and PORT in."""

import os
from typing import Any

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI, Request

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
types = {"INT64": np.int64, "FP32": np.float32}
app = FastAPI()


@app.post("/v2/models/{name}/infer")
async def infer(name: str, request: Request) -> dict[str, Any]:
    """One request."""
    body = await request.json()
    tensors = {t["name"]: np.array(t["data"], types[t["datatype"]]).reshape(t["shape"]) for t in body["inputs"]}
    (result,) = session.run(None, tensors)
    output = {"name": "logits", "datatype": "FP32", "shape": list(result.shape), "data": result.ravel().tolist()}
    return {"model_name": name, "model_version": "1", "outputs": [output]}


uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="error", access_log=False)
