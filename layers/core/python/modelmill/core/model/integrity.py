"""Integrity of a model package: a digest, a manifest and bytes in, TamperedPackage out unless all of them agree.

Standard library only: serving verifies a package on its hot path, where pydantic's import would cost more than the
check. The typed manifest is `modelmill.core.model.package.Manifest`.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from modelmill.core.digest import digest_of, sha256
from modelmill.core.errors import ModelmillError

MANIFEST = "MANIFEST.json"
FILES = (
    "model.onnx",
    "signature.json",
    "preprocess.json",
    "labels.json",
    "metrics.json",
    "profile.bin",
    "card.md",
)
FORMAT = 1
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class TamperedPackage(ModelmillError):
    """The bytes are not those that were registered."""

    def __init__(self, message: str) -> None:
        super().__init__("tampered_package", message, status=409, hint="register the model again")


def read_manifest(document: bytes, expected_digest: str) -> Mapping[str, str]:
    """File name → sha256 of the package `expected_digest`; raises TamperedPackage if `document` is not its manifest."""
    try:
        manifest = json.loads(document)
    except (ValueError, RecursionError):
        raise TamperedPackage("the package's manifest is not JSON") from None
    return check_manifest(manifest, expected_digest)


def check_manifest(manifest: Any, expected_digest: str) -> Mapping[str, str]:
    """The same for a manifest that was parsed."""
    try:
        digest = digest_of(manifest)
    except ValueError:  # NaN or half a surrogate pair: no manifest of ours holds them
        raise TamperedPackage("the package's manifest has no canonical form") from None
    if digest != expected_digest:
        raise TamperedPackage(f"manifest digest {digest} is not {expected_digest}")
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise TamperedPackage(f"the package is not of format {FORMAT}, the one that this release reads")
    files: dict[str, str] = manifest["files"]
    if any(name == MANIFEST or not _SAFE_NAME.fullmatch(name) for name in files):
        raise TamperedPackage("the package's manifest names a file that no package has")
    return files


def check_file(name: str, expected_sha256: str, content: bytes | Iterable[bytes]) -> None:
    """Raise TamperedPackage unless the content (whole or in chunks) has the sha256 that the manifest names."""
    if sha256(content) != expected_sha256:
        raise TamperedPackage(f"{name} was changed after it was registered")
