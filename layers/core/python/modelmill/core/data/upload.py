"""An upload as S3 tells of it: the EventBridge event "Object Created" in; what was stored, and the run's id, out."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from modelmill.core.digest import digest_of


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object that was put into a bucket. EventBridge gives the key as it is, not URL-encoded.

    `version_id` is None where the bucket keeps no versions; `time` is when S3 made the event.
    """

    bucket: str
    key: str
    version_id: str | None
    etag: str
    size: int
    time: datetime

    @classmethod
    def of(cls, event: dict[str, Any]) -> "StoredObject | None":
        """From an EventBridge event; None if it tells of something else. Raises KeyError or ValueError if malformed."""
        if event["source"] != "aws.s3" or event["detail-type"] != "Object Created":
            return None
        stored = event["detail"]["object"]
        return cls(
            event["detail"]["bucket"]["name"],
            stored["key"],
            stored.get("version-id"),
            stored.get("etag", ""),
            int(stored.get("size", 0)),
            datetime.fromisoformat(event["time"]),
        )

    @property
    def is_folder(self) -> bool:
        """True for the empty object that consoles make for a folder."""
        return self.key.endswith("/")

    @property
    def run_id(self) -> str:
        """`yyyymmddThhmmss-` and 10 hex digits: the same for the same event, however often it is delivered."""
        time = self.time.replace(tzinfo=self.time.tzinfo or UTC).astimezone(UTC)
        return f"{time:%Y%m%dT%H%M%S}-{digest_of([self.bucket, self.key, self.version_id or self.etag])[:10]}"

    def as_dict(self) -> dict[str, Any]:
        """`upload` of the execution's input."""
        return {"bucket": self.bucket, "key": self.key, "version_id": self.version_id, "size": self.size}
