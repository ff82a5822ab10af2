"""predict in process, over the moto cloud with the registry's bucket and table."""

from tests.functions.serve.predicting import predict
from tests.unit.serve.kit import cloud

__all__ = ["cloud", "predict"]
