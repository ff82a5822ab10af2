"""Names that people choose (tenants, datasets, models) and the keys of S3 objects made from them."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from modelmill.core.errors import Rejected
from modelmill.core.limits import FILE_NAME_BYTES, NAME_CHARACTERS

DEFAULT_TENANT = "default"
RECIPE_FILE = "recipe.yaml"
SCRATCH_TAG = ("modelmill", "scratch")
"""Name and value of the tag of objects that a rule of their bucket removes after some days."""
REPORT = "report.html"
"""The page about a model in the folder of its run."""
MARKER_FILE = "upload.json"
"""Names the files of an upload of several; its arrival says that they are all there."""
# Letters and digits of any script, so that a Chinese name is a name; nothing that a key, a URL path or a shell reads.
_NAME = re.compile(r"[^\W_][\w.-]*", re.UNICODE)
# No separator of any system, no control characters, no half of a surrogate pair.
_FILE = re.compile(r"[^/\\\x00-\x1f\x7f\ud800-\udfff]+")


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


def check_file(name: str) -> str:
    """`name` if it can be a file's within an upload, with `/` between folders; else raises Rejected (`bad_file_name`).

    What passes stays below the folder that it is put in, on S3 and on disk.
    """
    for part in name.split("/"):
        if not _FILE.fullmatch(part) or part in (".", "..") or len(part.encode()) > FILE_NAME_BYTES:
            raise Rejected(
                "bad_file_name",
                f"{name[:128]!r} is not the name of a data file",
                limit=FILE_NAME_BYTES,
                hint="for example reviews.csv, or train/reviews.csv; a recipe goes into the field `recipe`",
            )
    return name


def check_files(names: Sequence[str]) -> None:
    """Raises Rejected if a name is none, or if two cannot lie in one folder (`bad_file_name`, `duplicate_file`)."""
    known: set[str] = set()
    for name in names:
        if check_file(name) in known:
            raise Rejected("duplicate_file", f"{name[:128]!r} is named twice")
        known.add(name)
    for name in names:
        parts = name.split("/")
        folder = next((path for n in range(1, len(parts)) if (path := "/".join(parts[:n])) in known), None)
        if folder is not None:
            raise Rejected("duplicate_file", f"{folder[:128]!r} is a file and a folder")


@dataclass(frozen=True, slots=True)
class UploadKey:
    """The parts of `{tenant}/{dataset}/{upload_id}/{file}`, the only key under which an upload starts a pipeline.

    An upload of several files has them at `{folder}files/{name}`, where they start nothing; `{folder}upload.json` does.
    """

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
    def folder(self) -> str:
        """Key prefix of everything that belongs to this upload."""
        return f"{self.tenant}/{self.dataset}/{self.upload_id}/"

    @property
    def files(self) -> str:
        """Key prefix of the files of an upload of several."""
        return f"{self.folder}files/"

    @property
    def recipe_key(self) -> str:
        """Where the recipe of this upload lies, if it has one."""
        return self.folder + RECIPE_FILE

    @property
    def marker_key(self) -> str:
        """Where an upload of several files says that it is complete."""
        return self.folder + MARKER_FILE

    @property
    def plan_key(self) -> str:
        """Where the API keeps what an upload in parts or of several files will consist of."""
        return f"{self.folder}plan/files.json"

    @property
    def is_recipe(self) -> bool:
        """True for the recipe itself, which starts nothing."""
        return self.file == RECIPE_FILE

    @property
    def is_marker(self) -> bool:
        """True for the list of an upload's files, which stands for them all."""
        return self.file == MARKER_FILE

    @property
    def starts_run(self) -> bool:
        """True for a data file or a marker; what lies deeper is a part of something that is not complete yet."""
        return "/" not in self.file and not self.is_recipe


def dataset_prefix(tenant: str, dataset: str, version: str) -> str:
    """Folder of one dataset version in the data bucket."""
    return f"{tenant}/datasets/{dataset}/{version}/"


def scratch_prefix(tenant: str, dataset: str, run_id: str = "") -> str:
    """Folder in the data bucket of what a run (all runs of a dataset, if none is named) needs only on the way."""
    return f"{tenant}/scratch/{dataset}/" + (f"{run_id}/" if run_id else "")


def run_prefix(tenant: str, run_id: str) -> str:
    """Folder of a run in the models bucket: spec.json, candidates/, package.json, report.html, failure.json."""
    return f"{tenant}/runs/{run_id}/"


def package_prefix(tenant: str, digest: str) -> str:
    """Folder of one model package in the models bucket."""
    return f"{tenant}/packages/{digest}/"


def quarantine_key(upload: UploadKey) -> str:
    """Where a file that could not be used is kept in the data bucket, beside `….reason.json`."""
    return f"{upload.tenant}/quarantine/{upload.dataset}/{upload.upload_id}/{upload.file}"
