"""What the steps of a run leave to each other in S3: names and bytes in; objects that a rule removes later, out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from modelmill.aws import objects
from modelmill.aws.remote import Remote
from modelmill.core.names import SCRATCH_TAG


@dataclass(frozen=True, slots=True)
class S3Relay:
    """The objects below `prefix`. A step that runs again writes the same bytes under the same names."""

    bucket: str
    prefix: str

    def put(self, name: str, data: bytes) -> None:
        """Leave bytes."""
        objects.put(self.bucket, self.prefix + name, data, tag=SCRATCH_TAG)

    def get(self, name: str) -> bytes:
        """What was left; raises FileNotFoundError."""
        return objects.get(self.bucket, self.prefix + name)

    def find(self, name: str) -> bytes | None:
        """What was left, or None."""
        return objects.find(self.bucket, self.prefix + name)

    def get_range(self, name: str, start: int, end: int) -> bytes:
        """The bytes from `start` to before `end`."""
        return objects.get_range(self.bucket, self.prefix + name, start, end)

    def put_file(self, name: str, path: Path) -> None:
        """Leave a file."""
        objects.upload(self.bucket, self.prefix + name, path, tag=SCRATCH_TAG)

    def get_file(self, name: str, path: Path) -> None:
        """Fetch what was left; raises FileNotFoundError."""
        objects.download(self.bucket, self.prefix + name, path)

    def keep(self, name: str, path: Path) -> Path:
        """Leave a file, and say from where other steps can read it."""
        self.put_file(name, path)
        return Remote(self.bucket, self.prefix + name, "", path.stat().st_size).as_path()

    def place_of(self, path: Path) -> Any:
        """Where a file that stays in S3 lies, as a JSON value."""
        remote = cast(Remote, path)
        return {
            "bucket": remote.bucket,
            "key": remote.key,
            "version_id": remote.version_id,
            "size": remote.size,
        }

    def opened(self, place: Any) -> Path:
        """The inverse of `place_of`."""
        return Remote(**place).as_path()
