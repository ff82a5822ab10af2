"""Images and sounds for tests, made here: good ones, and bytes that mean harm."""

import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image

Levels = np.ndarray[Any, np.dtype[np.uint8]]


def picture(seed: int = 0, size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A smooth picture in colours, another one for each seed."""
    levels = np.random.default_rng(seed).integers(0, 255, (8, 10, 3)).astype(np.uint8)
    return Image.fromarray(levels).resize(size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()


def png_header(width: int, height: int, *, bits: int = 1) -> bytes:
    """A PNG that says it is so large, with next to no pixels."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0))]
    chunks += [(b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def scans(count: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = encoded(picture(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * count + data[-2:]


def tone(seed: int = 0, seconds: float = 0.5, rate: int = 8_000) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Some notes one after the other, others for each seed, from -0.8 to 0.8."""
    pitches = np.random.default_rng(seed).uniform(150, 3_000, (12, 3))
    times = np.arange(int(seconds * rate)) / rate
    which = np.minimum((times / seconds * len(pitches)).astype(int), len(pitches) - 1)
    waves = np.sin(2 * np.pi * pitches[which] * times[:, None]).mean(axis=1)
    samples: np.ndarray[Any, np.dtype[np.float32]] = (0.8 * waves).astype(np.float32)
    return samples


def sound(samples: Any, rate: int = 8_000, form: str = "WAV", coding: str = "PCM_16") -> bytes:
    target = io.BytesIO()
    soundfile.write(target, samples, rate, format=form, subtype=coding)
    return target.getvalue()


def zipped() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("a.txt", "text")
    return target.getvalue()


def place(folder: Path, files: dict[str, bytes]) -> Sequence[str]:
    """Write files; their names."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return list(files)
