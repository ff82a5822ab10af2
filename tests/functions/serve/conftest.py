"""The moto cloud with the registry's bucket and table."""

from tests.unit.serve.kit import cloud

__all__ = ["cloud"]
