"""Images: the bytes of a file in; what it is, a fingerprint and a small upright picture out (Pillow).

The whole file is decoded, so that damage shows. A JPEG is decoded at a reduced scale, which reads all of it.
"""

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from modelmill.core.limits import IMAGE_PIXELS, MIB
from modelmill.frames.media.seen import GRID, BadMedia, Seen, packed

THUMBNAIL = 96
"""Pixels of a thumbnail's longer side."""
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
_SUFFIXES = {"jpg": "JPEG", "jpeg": "JPEG", "jpe": "JPEG", "jfif": "JPEG"} | {name.lower(): name for name in _FORMATS}
_SCAN, _SCANS = b"\xff\xda", 100
"""A progressive JPEG has some ten scans; thousands, each of them a pass over all pixels, are an attack."""
_SMALL = 64
_MEMORY, _PER_PIXEL = IMAGE_PIXELS * 8, {"JPEG": 3, "MPO": 3, "WEBP": 16}
"""Bytes that decoding may take, and what it takes a pixel: of most formats 8, four channels twice."""
_LARGE_MEMORY, _LARGE_FILE = 48 * MIB, 8 * MIB
_TOO_LARGE = f"more than {IMAGE_PIXELS // 1_000_000} million pixels"
_THIN = 20
_GROWS = 4
"""Brighter by so much of 255: less is what another compression makes of an even area."""
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
Levels = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class _Decoded:
    """An image that was read to its end; `small` is upright and of mode L, RGB, RGBA or F."""

    small: Image.Image
    format: str
    mode: str
    size: tuple[int, int]
    notes: tuple[str, ...]


class LargeImage(Exception):
    """An image that is to be decoded alone, for its memory."""


def inspect_image(path: Path, *, alone: bool = True) -> Seen:
    """Decode an image. Raises BadMedia; where others are decoded at the same time (not `alone`), also LargeImage."""
    if not alone and path.stat().st_size > _LARGE_FILE:
        raise LargeImage
    image = _decode(path.read_bytes(), _SMALL, alone=alone)
    levels = _levels(image.small)
    width, height = image.size
    noted = {
        "thin": max(width, height) > _THIN * min(width, height),
        "blank": not np.ptp(levels),
        "misnamed": _SUFFIXES.get(path.suffix[1:].lower()) != image.format,
    }
    return Seen(
        {"format": image.format, "mode": image.mode},
        {"width": width, "height": height, "aspect": width / height},
        (*image.notes, *(name for name, is_so in noted.items() if is_so)),
        b"" if noted["blank"] or min(width, height) < GRID else _fingerprint(levels),
    )


def thumbnail(source: Path | bytes, side: int = THUMBNAIL) -> str:
    """An upright picture of at most `side` pixels as the data URI of a PNG, without metadata. Raises BadMedia."""
    small = _decode(source if isinstance(source, bytes) else source.read_bytes(), side, alone=True).small
    if small.mode == "F":
        small = Image.fromarray(_levels(small).astype(np.uint8))
    small.thumbnail((side, side))
    small.info = {}
    target = io.BytesIO()
    small.save(target, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(target.getvalue()).decode()


def _decode(data: bytes, least: int, *, alone: bool) -> _Decoded:
    """All of an image; of what is small the shorter side keeps `least` pixels, or what it has."""
    if not data:
        raise BadMedia("the file is empty")
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            _check(image, data, alone=alone)
            return _loaded(image, data, least)
    except (BadMedia, LargeImage, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadMedia(_TOO_LARGE) from None
    except UnidentifiedImageError:
        raise BadMedia(f"not one of {', '.join(_FORMATS)}") from None
    except Exception as error:  # noqa: BLE001 - the bytes are anybody's, and decoders raise whatever they stumble upon
        raise BadMedia("truncated" if "truncated" in str(error).lower() else "damaged") from None


def _check(image: Image.Image, data: bytes, *, alone: bool) -> None:
    """Refuse what would take too much time or memory, of which nothing is decoded yet."""
    pixels = image.width * image.height
    memory = pixels * _PER_PIXEL.get(str(image.format), 8)
    if pixels > IMAGE_PIXELS or memory > _MEMORY:
        raise BadMedia(_TOO_LARGE if pixels > IMAGE_PIXELS else f"more pixels than a {image.format} may have")
    if image.format in {"JPEG", "MPO"} and data.count(_SCAN) > _SCANS:
        raise BadMedia("more scans than a picture has")
    if memory > _LARGE_MEMORY and not alone:
        raise LargeImage


def _loaded(image: Image.Image, data: bytes, least: int) -> _Decoded:
    mode, size = image.mode, image.size
    # Phones put several pictures into one JPEG; the first is the photograph.
    is_jpeg = image.format in {"JPEG", "MPO"}
    if is_jpeg and mode in {"L", "RGB"}:
        image.draft(mode, (least, least))
    image.load()
    exif = image.getexif()
    orientation = exif.get(ExifTags.Base.Orientation)
    noted = {
        "animated": not is_jpeg and getattr(image, "is_animated", False),
        # Pillow gives colours of 16 bits as 8; byte 24 of a PNG is the number of bits (PNG 3rd edition, 11.2.1).
        "16-bit": mode.startswith("I") or (image.format == "PNG" and data[24] == 16),
        "alpha": "A" in mode or "transparency" in image.info,
        "rotated": orientation in _UPRIGHT,
        "located": bool(exif.get_ifd(ExifTags.IFD.GPSInfo)),
    }
    small = _reduced(image, least)
    if orientation in _UPRIGHT:
        small = small.transpose(_UPRIGHT[orientation])
    notes = tuple(name for name, is_so in noted.items() if is_so)
    return _Decoded(small, "JPEG" if is_jpeg else str(image.format), mode, size, notes)


def _reduced(image: Image.Image, least: int) -> Image.Image:
    """The image by areas (L, RGB, RGBA or F), so that its shorter side keeps `least` pixels or more."""
    has_alpha = "A" in image.mode or "transparency" in image.info
    if image.mode.startswith(("I", "F")):
        image = image.convert("F")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode in {"P", "PA"}:
        image = image.convert("RGBA" if has_alpha else "RGB")
    small = image.reduce(max(1, min(image.size) // least))
    return small if small.mode in {"L", "RGB", "RGBA", "F"} else small.convert("RGBA" if has_alpha else "RGB")


def _levels(small: Image.Image) -> Levels:
    """Brightness from 0 to 255, stretched so that another exposure is the same picture; what is clear is white."""
    if small.mode == "RGBA":
        small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small)
    grey = np.asarray(small if small.mode == "F" else small.convert("L"), np.float32)
    low, span = grey.min(), np.ptp(grey)
    return (grey - low) * np.float32(255 / span) if span else np.zeros_like(grey)


def _fingerprint(levels: Levels) -> bytes:
    """Whether brightness grows from each place to the next one on the right (dHash: Krawetz 2013)."""
    places = np.asarray(Image.fromarray(levels).resize((GRID + 1, GRID), Image.Resampling.BILINEAR))
    return packed(np.diff(places, axis=1) > _GROWS)
