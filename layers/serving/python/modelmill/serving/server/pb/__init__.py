"""The Open Inference Protocol's messages; `open_inference_pb2` is generated, see the proto file."""
