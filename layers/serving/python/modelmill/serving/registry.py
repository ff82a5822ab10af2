"""Where the data plane learns which model is which: the registry in DynamoDB, packages in S3."""

from typing import Any

from modelmill.aws.clients import FAULTS
from modelmill.aws.records import models
from modelmill.serving import packages
from modelmill.serving.graph import model_in
from modelmill.serving.plane import AnyModel


class AwsRegistry:
    """The registry that the pipeline writes; its methods raise one of `faults` while AWS does not answer."""

    faults: tuple[type[Exception], ...] = FAULTS

    def route(self, tenant: str, model: str) -> dict[str, Any] | None:
        """A model's record with its route, or None."""
        return models.get(tenant, model)

    def version(self, tenant: str, model: str, version: str) -> dict[str, Any] | None:
        """A version's record with its digest, or None."""
        return models.get_version(tenant, model, version)

    def versions(self, tenant: str, model: str) -> list[dict[str, Any]]:
        """The records of all versions."""
        return models.versions(tenant, model)

    def load(self, tenant: str, digest: str, max_bytes: int) -> AnyModel:
        """The model of a package, every byte of which was verified."""
        with packages.verified(tenant, digest, max_bytes) as folder:
            return model_in(folder)
