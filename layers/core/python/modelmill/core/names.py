"""Names that people choose (tenants, datasets, models) and the keys of S3 objects made from them."""

import re
import unicodedata
from dataclasses import dataclass

from modelmill.core.errors import Rejected
from modelmill.core.limits import NAME_CHARACTERS

DEFAULT_TENANT = "default"
RECIPE_FILE = "recipe.yaml"
# Letters and digits of any script, so that a Chinese name is a name; nothing that a key, a URL path or a shell reads.
_NAME = re.compile(r"[^\W_][\w.-]*", re.UNICODE)


def check_name(kind: str, name: str) -> str:
    """`name` in Unicode NFC if it is usable as a name, else raises Rejected (`bad_name`)."""
    name = unicodedata.normalize("NFC", name)
    if len(name) > NAME_CHARACTERS or not _NAME.fullmatch(name) or ".." in name:
        raise Rejected(
            "bad_name",
            f"{name[:80]!r} is not a {kind} name",
            limit=NAME_CHARACTERS,
            hint="use letters, digits, '-', '_' and '.', beginning with a letter or digit",
        )
    return name


@dataclass(frozen=True, slots=True)
class UploadKey:
    """The parts of `{tenant}/{dataset}/{upload_id}/{file}`, the only key under which an upload starts a pipeline."""

    tenant: str
    dataset: str
    upload_id: str
    file: str

    @classmethod
    def parse(cls, key: str) -> "UploadKey":
        """Parts of an (already URL-decoded) object key; raises Rejected (`bad_upload_key`) for any other shape."""
        parts = key.split("/", 3)
        if len(parts) != 4 or not all(parts):
            raise Rejected(
                "bad_upload_key",
                f"the object key {key[:200]!r} is not TENANT/DATASET/UPLOAD-ID/FILE",
                hint=f"for example {DEFAULT_TENANT}/reviews/first/reviews.csv",
            )
        tenant, dataset, upload_id, file = parts
        return cls(check_name("tenant", tenant), check_name("dataset", dataset), check_name("upload", upload_id), file)

    @property
    def key(self) -> str:
        """The S3 key."""
        return f"{self.tenant}/{self.dataset}/{self.upload_id}/{self.file}"

    @property
    def recipe_key(self) -> str:
        """Where the recipe of this upload lies, if it has one."""
        return f"{self.tenant}/{self.dataset}/{self.upload_id}/{RECIPE_FILE}"

    @property
    def is_recipe(self) -> bool:
        """True for the recipe itself, which starts nothing."""
        return self.file == RECIPE_FILE


def dataset_prefix(tenant: str, dataset: str, version: str) -> str:
    """Folder of one dataset version in the data bucket."""
    return f"{tenant}/datasets/{dataset}/{version}/"


def run_prefix(tenant: str, run_id: str) -> str:
    """Folder of one pipeline run in the models bucket: spec.json, candidates/, package.json, failure.json."""
    return f"{tenant}/runs/{run_id}/"


def package_prefix(tenant: str, digest: str) -> str:
    """Folder of one model package in the models bucket."""
    return f"{tenant}/packages/{digest}/"


def quarantine_key(upload: UploadKey) -> str:
    """Where a file that could not be used is kept in the data bucket, beside `….reason.json`."""
    return f"{upload.tenant}/quarantine/{upload.dataset}/{upload.upload_id}/{upload.file}"
