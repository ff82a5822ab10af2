"""Audio: a WAV or FLAC file in; what it is, a fingerprint and a waveform out (libsndfile).

The whole file is decoded in blocks, so that damage shows and memory is flat.
"""

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile

from modelmill.core.limits import AUDIO_CHANNELS, AUDIO_LEAST_RATE, AUDIO_MOST_RATE, AUDIO_SECONDS
from modelmill.frames.media.seen import GRID, BadMedia, Seen, packed

WAVEFORM = (96, 32)
"""Width and height of the box in which a waveform is drawn."""
_SUFFIXES = {"wav": "WAV", "wave": "WAV", "flac": "FLAC"}
_BLOCK = 65_536
_HEARD = 2_000_000
"""Samples that a fingerprint is made of: four minutes of telephone, 45 seconds of CD."""
_SILENCE = 2e-4
"""From lowest to highest sample, of 2: under -80 dB of full scale."""
_FLOOR = 1e-3
"""Of the loudest band: what is 30 dB below it is noise, and may differ."""
_LOWEST, _HIGHEST = 100, 3_800
"""Hertz; what telephones carry, so that another sampling rate is the same sound."""
_UNKNOWN_SIZE = 0x7FFFF000
"""Programs that write to a pipe give the largest size that they can write, or nearly so."""
Samples = np.ndarray[Any, np.dtype[np.float32]]


def inspect_audio(path: Path) -> Seen:
    """Decode a sound file. Raises BadMedia."""
    with path.open("rb") as file:
        form = _format(file)
    heard: list[Samples] = []
    frames, low, high = 0, np.inf, -np.inf
    # By its path: libsndfile then reads without calling Python, where what a broken file makes it ask for is an error.
    with _opened(path) as sound:
        rate, channels, coding, declared = sound.samplerate, sound.channels, sound.subtype, sound.frames
        for block in _blocks(sound):
            if frames < _HEARD:
                heard.append(block.mean(axis=1, dtype=np.float64).astype(np.float32))
            frames += len(block)
            low, high = min(low, float(block.min())), max(high, float(block.max()))
    if not frames:
        raise BadMedia("no samples")
    if form == "FLAC" and frames < declared < _UNKNOWN_SIZE:
        raise BadMedia("truncated")
    noted = {"silent": high - low < _SILENCE, "misnamed": _SUFFIXES.get(path.suffix[1:].lower()) != form}
    return Seen(
        {"format": form, "mode": coding, "sample_rate": str(rate), "channels": str(channels)},
        {"seconds": frames / rate},
        tuple(name for name, is_so in noted.items() if is_so),
        b"" if noted["silent"] else _fingerprint(np.concatenate(heard)[:_HEARD], rate),
    )


def waveform(source: Path | bytes) -> str:
    """The `d` of an SVG path: how loud a sound is over its time, in a box of WAVEFORM. Raises BadMedia."""
    width, height = WAVEFORM
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        _format(file)
        with _opened(file) as sound:
            # The loudest of every block: as many as are drawn, or more.
            size = max(1, min(_BLOCK, sound.frames // width))
            peaks = np.array([np.abs(block).max() for block in _blocks(sound, size)])
    if not len(peaks):
        raise BadMedia("no samples")
    starts = np.unique(np.arange(width) * len(peaks) // width)
    loud = np.maximum.reduceat(peaks, starts)
    half = np.maximum(loud / max(float(loud.max()), _SILENCE) * height / 2, 0.5)
    step = width / len(loud)
    return "".join(
        f"M{(place + 0.5) * step:.1f} {height / 2 - size:.1f}V{height / 2 + size:.1f}"
        for place, size in enumerate(half)
    )


def _format(file: BinaryIO) -> str:
    """WAV or FLAC by the first bytes; libsndfile would try two dozen more. A WAV must hold what its header says."""
    head = file.read(12)
    if not head:
        raise BadMedia("the file is empty")
    if head.startswith(b"fLaC"):
        file.seek(0)
        return "FLAC"
    if head[:4] not in {b"RIFF", b"RIFX", b"RF64"} or head[8:] != b"WAVE":
        raise BadMedia("neither WAV nor FLAC")
    if head[:4] != b"RF64":
        _check_wave(file, ">" if head[:4] == b"RIFX" else "<")
    file.seek(0)
    return "WAV"


def _check_wave(file: BinaryIO, order: str) -> None:
    """Walk the chunks to the samples, of which as many bytes must be there as the header says."""
    end = file.seek(0, io.SEEK_END)
    place = 12
    while place + 8 <= end:
        file.seek(place)
        name, size = struct.unpack(f"{order}4sI", file.read(8))
        place += 8
        if name == b"data":
            if place + size > end + 1 and size < _UNKNOWN_SIZE:
                raise BadMedia("truncated")
            return
        place += size + size % 2
    raise BadMedia("no samples")


def _opened(file: Path | BinaryIO) -> soundfile.SoundFile:
    try:
        sound = soundfile.SoundFile(file)
    except (soundfile.LibsndfileError, RuntimeError, ValueError, TypeError) as error:
        raise BadMedia(_words(error)) from None
    if sound.channels > AUDIO_CHANNELS:
        raise BadMedia(f"more than {AUDIO_CHANNELS} channels")
    if not AUDIO_LEAST_RATE <= sound.samplerate <= AUDIO_MOST_RATE:
        raise BadMedia(f"not {AUDIO_LEAST_RATE:,} to {AUDIO_MOST_RATE:,} samples a second")
    return sound


def _blocks(sound: soundfile.SoundFile, size: int = _BLOCK) -> Iterator[Samples]:
    """Frames by channels, from -1 to 1, to the end."""
    frames = 0
    while True:
        try:
            block: Samples = sound.read(size, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise BadMedia(_words(error)) from None
        if not len(block):
            return
        frames += len(block)
        if frames > AUDIO_SECONDS * sound.samplerate:
            raise BadMedia(f"longer than {AUDIO_SECONDS} seconds")
        if not np.isfinite(block).all():
            raise BadMedia("samples that are no numbers")
        yield block


def _words(error: Exception) -> str:
    return "a coding that cannot be read" if "unimplemented" in str(error).lower() else "damaged"


def _fingerprint(samples: Samples, rate: int) -> bytes:
    """Whether, from one time to the next, a band grows more than the band above it (Haitsma, Kalker 2002)."""
    size = max(len(samples) // (GRID + 1), rate // 30)
    # Samples that are floating-point numbers may be of any size.
    loudest = max(float(np.abs(samples).max()), float(np.finfo(np.float32).tiny))
    padded = np.pad(samples / np.float32(loudest), (0, max(0, size - len(samples))))
    starts = np.linspace(0, len(padded) - size, GRID + 1).astype(np.int64)
    window = np.hanning(size).astype(np.float32)
    spectra = np.abs(np.fft.rfft(np.stack([padded[start : start + size] for start in starts]) * window)) ** 2
    edges = np.geomspace(_LOWEST, _HIGHEST, GRID + 2) * size / rate
    # Bands narrower than a line of the spectrum, and those that a low rate does not have, repeat the nearest line.
    places = np.minimum(np.maximum.accumulate(edges.astype(np.int64)), spectra.shape[1] - 1)
    bands = np.add.reduceat(spectra, places, axis=1)[:, :-1] / np.maximum(1, np.diff(places))
    loudness = np.log(bands + _FLOOR * bands.max())
    return packed(np.diff(np.diff(loudness, axis=1), axis=0) > 0)
