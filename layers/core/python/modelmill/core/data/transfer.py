"""What an upload in parts or of several files will consist of: sizes in, a plan of parts out.

The plan is kept beside the files, so that any client can go on with an upload that another one began.
"""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelmill.core.errors import ModelmillError, NotFound, Rejected
from modelmill.core.limits import MIB, MULTIPART_BYTES, MULTIPART_PARTS, OBJECT_KEY_BYTES, PART_BYTES, UPLOAD_BYTES
from modelmill.core.names import UploadKey, check_files


def part_bytes(size: int) -> int:
    """Bytes of each part but the last of a file of `size` bytes, in whole MiB, for at most MULTIPART_PARTS parts."""
    least = -(-size // MULTIPART_PARTS)
    return max(PART_BYTES, -(-least // MIB) * MIB)


class PlannedFile(BaseModel):
    """A file that is about to come: its name within the upload and its size; `part_bytes` is None for one PUT."""

    model_config = ConfigDict(frozen=True)
    file: str
    size: int = Field(ge=0)
    part_bytes: int | None = None

    @classmethod
    def of(cls, file: str, size: int, *, multipart: bool = False) -> Self:
        """Parts if it is large, or if they are asked for; an empty file has none."""
        in_parts = size > MULTIPART_BYTES or (multipart and size > 0)
        return cls(file=file, size=size, part_bytes=part_bytes(size) if in_parts else None)

    @property
    def parts(self) -> int | None:
        """How many parts it has, or None if it is sent in one PUT."""
        return None if self.part_bytes is None else -(-self.size // self.part_bytes)

    def part_size(self, number: int) -> int:
        """Bytes of a part, from 1; raises ModelmillError (`bad_part_number`)."""
        if self.part_bytes is None or self.parts is None:
            raise ModelmillError("no_parts", f"{self.file!r} is sent in one piece", status=422)
        if not 1 <= number <= self.parts:
            raise ModelmillError("bad_part_number", f"{self.file!r} has no part {number}", status=422, limit=self.parts)
        return min(self.part_bytes, self.size - (number - 1) * self.part_bytes)


class Transfer(BaseModel):
    """The files of one upload. `single` is one file, whose arrival is the upload's, without a list of files."""

    model_config = ConfigDict(frozen=True)
    files: list[PlannedFile]
    single: bool

    @model_validator(mode="after")
    def _one_is_one(self) -> Self:
        if self.single and len(self.files) != 1:
            raise ValueError("a single file is one")
        return self

    def check(self, upload: UploadKey) -> None:
        """Raises ModelmillError: bad_file_name, duplicate_file, bad_upload_key, upload_too_large."""
        check_files([file.file for file in self.files])
        longest = max((self.key(upload, file) for file in self.files), key=lambda key: len(key.encode()))
        if len(longest.encode()) > OBJECT_KEY_BYTES:
            raise Rejected("bad_file_name", f"{longest[:200]!r} is too long for a key", limit=OBJECT_KEY_BYTES)
        total = sum(file.size for file in self.files)
        if total > UPLOAD_BYTES:
            hint = f"at most {UPLOAD_BYTES // MIB} MiB in this version; compress the files or upload a sample"
            raise ModelmillError(
                "upload_too_large", f"{total} bytes are too many", status=413, limit=UPLOAD_BYTES, hint=hint
            )

    def key(self, upload: UploadKey, file: PlannedFile) -> str:
        """Where a file goes."""
        return (upload.folder if self.single else upload.files) + file.file

    def marker(self, upload: UploadKey) -> str:
        """The key whose arrival starts the run."""
        return self.key(upload, self.files[0]) if self.single else upload.marker_key

    def find(self, name: str | None) -> PlannedFile:
        """A file by its name; without one, the only file. Raises NotFound, or ModelmillError (`which_file`)."""
        if name is None and len(self.files) == 1:
            return self.files[0]
        if name is None:
            raise ModelmillError("which_file", "the upload has several files: name one in `file`", status=422)
        found = next((file for file in self.files if file.file == name), None)
        if found is None:
            raise NotFound("file", name[:128])
        return found
