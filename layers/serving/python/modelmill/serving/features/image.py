"""Images in (bytes of PNG, JPEG, WebP, GIF or BMP files), pixels of one size out.

What is read is the first picture, upright, over white where it is clear, in 8 bits, stretched to the model's size:
a model sees all of a picture. Nothing is decoded before its header says that it is not too large.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from modelmill.core.errors import ModelmillError
from modelmill.core.limits import IMAGE_PIXELS
from modelmill.serving.features.cells import Arrays, Columns, rows_of
from modelmill.serving.features.files import Media, bad_media, file_of, too_large

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
_PER_PIXEL = {"WEBP": 2}
"""What decoding a pixel takes, of what most formats do."""
_SCAN, _SCANS = b"\xff\xda", 100
"""A progressive JPEG has some ten scans; thousands, each of them a pass over all pixels, are an attack."""
Pixels = NDArray[np.uint8]


class ImageFeatures:
    """One or more columns of images, all of them at the size (`height`, `width`) and with the `channels` (1 or 3)."""

    word = "image"

    def __init__(self, preprocess: Mapping[str, Any]) -> None:
        self.field_names: tuple[str, ...] = tuple(preprocess["inputs"])
        self._shape = (int(preprocess["height"]), int(preprocess["width"]), int(preprocess["channels"]))
        self.media: dict[str, Media] = dict.fromkeys(self.field_names, self)

    def read(self, value: object, where: str) -> Pixels:
        """A cell as uint8 [H, W, C]; raises ModelmillError naming `where`."""
        height, width, channels = self._shape
        return decode(file_of(value, self.word, where), (height, width), channels, where)

    def arrays(self, columns: Columns) -> Arrays:
        """`images` uint8 [B, columns, H, W, C], black where a row has none; cells may be arrays that `read` gave."""
        rows = rows_of(columns, self.field_names)
        images = np.zeros((len(rows), len(self.field_names), *self._shape), dtype=np.uint8)
        for row, cells in enumerate(rows):
            for place, (name, cell) in enumerate(zip(self.field_names, cells, strict=True)):
                if cell is not None:
                    images[row, place] = cell if isinstance(cell, np.ndarray) else self.read(cell, f"{name!r}")
        return {"images": images}


def decode(data: bytes, size: Sequence[int], channels: int, where: str) -> Pixels:
    """An image file as uint8 [H, W, channels]; raises ModelmillError: `bad_media` (400), `media_too_large` (413)."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check(image, data, where)
            height, width = size
            if image.format == "JPEG":
                # libjpeg then computes a half of the picture or less, where that is enough: twice the size or more.
                image.draft(image.mode, (max(size) * 2, max(size) * 2))
            image.load()
            upright = ImageOps.exif_transpose(_eight_bits(image))
            colours = upright.convert("RGB" if channels == 3 else "L")
            sized = colours.resize((width, height), Image.Resampling.BILINEAR)
            return np.asarray(sized, dtype=np.uint8).reshape(height, width, channels)
    except (ModelmillError, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many(where) from None
    except UnidentifiedImageError:
        raise bad_media(where, f"not an image of one of {', '.join(FORMATS)}") from None
    except Exception as error:  # noqa: BLE001 - the bytes are anybody's, and decoders raise whatever they stumble upon
        why = "truncated" if "truncated" in str(error).lower() else "damaged"
        raise bad_media(where, f"the image is {why}") from None


def size_of(data: bytes) -> tuple[int, int] | None:
    """Height and width of an image as it is seen upright, by its header alone; None for what is no image."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            turned = image.getexif().get(0x0112, 1) >= 5
            return (width, height) if turned else (height, width)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, reading it will say so
        return None


def _check(image: Image.Image, data: bytes, where: str) -> None:
    """Refuse what would take too much time or memory, of which nothing is decoded yet."""
    if image.width * image.height * _PER_PIXEL.get(str(image.format), 1) > IMAGE_PIXELS:
        raise _too_many(where)
    if image.format in {"JPEG", "MPO"} and data.count(_SCAN) > _SCANS:
        raise bad_media(where, "more scans than a picture has")


def _too_many(where: str) -> ModelmillError:
    return too_large(where, f"the image has more than {IMAGE_PIXELS // 1_000_000} million pixels", IMAGE_PIXELS)


def _eight_bits(image: Image.Image) -> Image.Image:
    """The image with 8 bits a channel and nothing clear; metadata are kept."""
    if image.mode.startswith("I"):
        levels = np.asarray(image).astype(np.int64)
        grey = Image.fromarray((levels >> 8).clip(0, 255).astype(np.uint8))
        grey.info = image.info
        return grey
    if "A" in image.mode or "transparency" in image.info:
        clear = image.convert("RGBA")
        solid = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
        solid.info = {name: value for name, value in image.info.items() if name != "transparency"}
        return solid
    return image
