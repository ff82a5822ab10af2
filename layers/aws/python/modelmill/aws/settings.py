"""The environment of functions and jobs, read once: names that the CDK stacks set, nothing else."""

import os
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Settings:
    """Names of the deployed resources. A function gets only those that it may use; reading another raises KeyError."""

    @property
    def uploads_bucket(self) -> str:
        """Where people put files."""
        return os.environ["MODELMILL_UPLOADS_BUCKET"]

    @property
    def data_bucket(self) -> str:
        """Dataset versions and quarantined files."""
        return os.environ["MODELMILL_DATA_BUCKET"]

    @property
    def models_bucket(self) -> str:
        """Run artefacts and model packages."""
        return os.environ["MODELMILL_MODELS_BUCKET"]

    @property
    def table(self) -> str:
        """The registry's table."""
        return os.environ["MODELMILL_TABLE"]

    @property
    def state_machine_arn(self) -> str:
        """The pipeline."""
        return os.environ["MODELMILL_STATE_MACHINE_ARN"]


@cache
def settings() -> Settings:
    """The process's settings."""
    return Settings()
