"""Files that stay in S3: read anywhere and in any pieces they are the bytes that were put there."""

import random

import pytest

from modelmill.aws import objects
from modelmill.aws.clients import client
from modelmill.aws.relay import S3Relay
from modelmill.aws.remote import Remote
from modelmill.core.names import SCRATCH_TAG
from tests.contract.world import DATA, UPLOADS

CONTENT = random.Random(3).randbytes(900_000)
"""More than what is fetched at first."""


@pytest.mark.parametrize("named", [False, True])
def test_reads_anywhere_give_the_bytes_there(*, named: bool) -> None:
    objects.put(UPLOADS, "file", CONTENT)
    version = objects.head(UPLOADS, "file")["VersionId"] if named else ""
    remote, dice = Remote(UPLOADS, "file", version, len(CONTENT)), random.Random(1)
    with remote.open() as file:
        assert file.read() == CONTENT
        for _ in range(20):
            start, size = dice.randrange(len(CONTENT)), dice.randrange(300_000)
            file.seek(start)
            assert file.read(size) == CONTENT[start : start + size]
            assert file.tell() == min(len(CONTENT), start + size)
    with remote.open() as file:
        assert b"".join(iter(lambda: file.read(70_001), b"")) == CONTENT


def test_a_named_version_is_read_though_another_lies_over_it() -> None:
    objects.put(UPLOADS, "file", CONTENT)
    remote = Remote(UPLOADS, "file", objects.head(UPLOADS, "file")["VersionId"], len(CONTENT))
    objects.put(UPLOADS, "file", b"another")
    assert remote.read_range(500_000, 500_100) == CONTENT[500_000:500_100]
    with pytest.raises(FileNotFoundError):
        Remote(UPLOADS, "nothing", "", 5).read_range(0, 5)


def test_what_a_relay_keeps_is_tagged_and_a_copy_of_it_is_not() -> None:
    relay = S3Relay(DATA, "t/scratch/d/run/")
    relay.put("rows/train.parquet", CONTENT)
    assert relay.get_range("rows/train.parquet", 10, 20) == CONTENT[10:20]
    assert relay.find("nothing") is None
    place = relay.place_of(relay.opened({"bucket": DATA, "key": "k", "version_id": "", "size": 3}))
    assert relay.place_of(relay.opened(place)) == place
    objects.copy((DATA, "t/scratch/d/run/rows/train.parquet"), (DATA, "t/datasets/d/v/train.parquet"))
    tags = [
        client("s3").get_object_tagging(Bucket=DATA, Key=key)["TagSet"]
        for key in ("t/scratch/d/run/rows/train.parquet", "t/datasets/d/v/train.parquet")
    ]
    assert tags == [[{"Key": SCRATCH_TAG[0], "Value": SCRATCH_TAG[1]}], []]
