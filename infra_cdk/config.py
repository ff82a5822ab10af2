"""The deployment's settings: CDK context (`cdk.json`, `--context name=value`) in, one typed object out."""

from dataclasses import dataclass
from typing import Any, Literal

from constructs import Node

STATE_MACHINE_NAME = "modelmill-pipeline"
"""Fixed, so that `ingest`, which the machine's functions are deployed with, can start it: no cycle of stacks."""
JOB_REPOSITORY = "modelmill-job"


@dataclass(frozen=True, slots=True)
class Config:
    """What a deployment may choose. `local` keeps nothing when its stacks go; `aws` keeps data and models."""

    target: Literal["aws", "local"]
    retain: bool
    auto_delete: bool
    """Empty buckets when a stack is deleted: for try-outs. The local cloud cannot run it."""
    alarm_email: str | None
    job_image: str | None
    """URI of the training image; None: this account's repository `modelmill-job`, tagged with the version."""
    subnet_ids: tuple[str, ...]
    """Where Batch starts its hosts; empty: public subnets of a VPC of its own, without a NAT gateway."""
    vpc_id: str | None
    train_concurrency: int
    map_concurrency: int
    """Functions that prepare parts of one data set side by side; together with all others below the account's quota."""
    snap_start: bool
    """Keep `predict` as a snapshot, for quicker cold starts; the snapshot costs money also while nobody calls."""
    api_log_role: bool
    """Set the account's role by which API Gateway writes logs; false: the account has one already."""

    @classmethod
    def of(cls, node: Node) -> "Config":
        """Read the context of a construct's node; raises ValueError for a value that makes no sense."""

        def text(name: str) -> str | None:
            value: Any = node.try_get_context(name)
            return str(value) if value not in (None, "") else None

        target = text("target") or "aws"
        if target not in ("aws", "local"):
            raise ValueError(f"context target={target!r}: use aws or local")
        subnets = tuple(part.strip() for part in (text("subnet_ids") or "").split(",") if part.strip())
        if bool(subnets) != bool(text("vpc_id")):
            raise ValueError("context vpc_id and subnet_ids go together")
        auto_delete = _flag(text("auto_delete"), default=False)
        return cls(
            target="local" if target == "local" else "aws",
            retain=_flag(text("retain"), default=target == "aws" and not auto_delete),
            auto_delete=auto_delete,
            alarm_email=text("alarm_email"),
            job_image=text("job_image"),
            subnet_ids=subnets,
            vpc_id=text("vpc_id"),
            train_concurrency=int(text("train_concurrency") or 4),
            map_concurrency=int(text("map_concurrency") or 40),
            snap_start=_flag(text("snap_start"), default=False),
            api_log_role=_flag(text("api_log_role"), default=True),
        )


def _flag(value: str | None, *, default: bool) -> bool:
    """Context is text on the command line and JSON in cdk.json."""
    if value is None:
        return default
    if value.lower() not in ("true", "false"):
        raise ValueError(f"{value!r} is neither true nor false")
    return value.lower() == "true"
