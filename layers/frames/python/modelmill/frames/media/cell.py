"""Media cells: what stands for a file in a stream of strings, `{blake2b-128 of its bytes}:{its path}`."""

from hashlib import blake2b, file_digest
from pathlib import Path

HEX = 32


def media_cell(folder: Path, name: str) -> str:
    """The cell of a file, whose posix path within `folder` is `name`."""
    with (folder / name).open("rb") as file:
        digest = file_digest(file, lambda: blake2b(digest_size=HEX // 2))
    return f"{digest.hexdigest()}:{name}"


def load_cell(folder: Path, cell: str) -> bytes:
    """The bytes of the file that a cell stands for. Raises ValueError if it does not stand for one in `folder`."""
    digest, _, name = cell.partition(":")
    path = folder / name
    # Links in the folder are ours, and lead to files that lie elsewhere; those of archives are never made.
    if name.startswith("/") or ".." in name.split("/") or not path.is_file():
        raise ValueError("a media cell that names no file of the upload")
    data = path.read_bytes()
    if blake2b(data, digest_size=HEX // 2).hexdigest() != digest:
        raise ValueError("a media file is not the one that was read")
    return data
