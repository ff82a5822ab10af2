"""The signature: what a model takes and gives, in Open Inference Protocol v2 terms (names, datatypes, shapes).

Inputs are the raw columns, one tensor of shape [-1] each: a caller sends what is in the data, never token ids.
"""

from pydantic import BaseModel, ConfigDict


class Tensor(BaseModel):
    """OIP v2 tensor metadata; -1 is the number of rows."""

    model_config = ConfigDict(frozen=True)
    name: str
    datatype: str
    shape: list[int]


class Signature(BaseModel):
    """In: BYTES for text and categories, FP64 for numbers. Out: `label` BYTES [-1], `probabilities` FP32 [-1, C]."""

    model_config = ConfigDict(frozen=True)
    inputs: list[Tensor]
    outputs: list[Tensor]
