"""What an hour of an instance costs, by its type and the engine that starts it.

Dollars an hour in us-east-1 ("Amazon SageMaker AI pricing", training; "Amazon EC2 On-Demand Pricing"), as noted on
2026-11-24. Other regions cost up to half as much again. Budgets are reckoned with these; bills are AWS's.
"""

from typing import Literal

_EC2 = {
    "c5.xlarge": 0.17, "c5.2xlarge": 0.34, "c5.4xlarge": 0.68, "c5.9xlarge": 1.53, "c5.18xlarge": 3.06,
    "m5.large": 0.096, "m5.xlarge": 0.192, "m5.2xlarge": 0.384, "m5.4xlarge": 0.768, "m5.12xlarge": 2.304,
    "g4dn.xlarge": 0.526, "g4dn.2xlarge": 0.752, "g4dn.4xlarge": 1.204, "g4dn.8xlarge": 2.176,
    "g4dn.12xlarge": 3.912, "g4dn.16xlarge": 4.352,
    "g5.xlarge": 1.006, "g5.2xlarge": 1.212, "g5.4xlarge": 1.624, "g5.8xlarge": 2.448, "g5.12xlarge": 5.672,
    "g5.16xlarge": 4.096, "g5.24xlarge": 8.144, "g5.48xlarge": 16.288,
    "p3.2xlarge": 3.06, "p3.8xlarge": 12.24, "p3.16xlarge": 24.48,
}  # fmt: skip
_SAGEMAKER = {
    "c5.xlarge": 0.204, "c5.2xlarge": 0.408, "c5.4xlarge": 0.816, "c5.9xlarge": 1.836, "c5.18xlarge": 3.672,
    "m5.large": 0.115, "m5.xlarge": 0.23, "m5.2xlarge": 0.461, "m5.4xlarge": 0.922, "m5.12xlarge": 2.765,
    "g4dn.xlarge": 0.736, "g4dn.2xlarge": 0.94, "g4dn.4xlarge": 1.505, "g4dn.8xlarge": 2.72,
    "g4dn.12xlarge": 4.89, "g4dn.16xlarge": 5.44,
    "g5.xlarge": 1.408, "g5.2xlarge": 1.515, "g5.4xlarge": 2.03, "g5.8xlarge": 3.06, "g5.12xlarge": 7.09,
    "g5.16xlarge": 5.12, "g5.24xlarge": 10.18, "g5.48xlarge": 20.36,
    "p3.2xlarge": 3.825, "p3.8xlarge": 14.688, "p3.16xlarge": 28.152,
}  # fmt: skip
SPOT_SHARE = 0.7
"""Of the price on demand: spot capacity of these types costs 30 to 65 % of it, and its price moves."""


def dollars_an_hour(engine: Literal["sagemaker", "batch"], instance_type: str, *, spot: bool) -> float | None:
    """The price of one instance (`ml.g4dn.xlarge`), or None for a type that is not in the table."""
    price = (_SAGEMAKER if engine == "sagemaker" else _EC2).get(instance_type.removeprefix("ml."))
    return None if price is None else price * (SPOT_SHARE if spot else 1.0)


def priced() -> list[str]:
    """The instance types whose price is known."""
    return [f"ml.{name}" for name in _SAGEMAKER]
