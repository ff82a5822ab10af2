"""Sounds in (bytes of WAV or FLAC files), mono samples of one rate and length out.

Of a longer sound the middle is heard, a shorter one lies between silences. No more is decoded than that.
"""

import io
import math
from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from modelmill.core.limits import AUDIO_CHANNELS, AUDIO_LEAST_RATE, AUDIO_MOST_RATE, AUDIO_SECONDS
from modelmill.serving.features.cells import Arrays, Columns, rows_of
from modelmill.serving.features.files import Media, bad_media, file_of, too_large

_UNKNOWN_FRAMES = 2**31
"""Programs that write to a pipe give the largest number that they can write."""
_CROSSINGS = 16
"""Zero crossings of the resampling filter on either side; with its window what is folded back is below -60 dB."""
_ROLL_OFF = 0.95
_STEPS = 2_000
"""Most places between two samples that have a filter of their own; odder rates are off by less than 0.1 %."""
_BLOCK = 8_192
_LOUDEST = 8.0
"""Samples of floating-point files may be of any size."""
Samples = NDArray[np.float32]


class AudioFeatures:
    """One or more columns of sounds, all of them as `samples` samples at the `rate`."""

    word = "audio"

    def __init__(self, preprocess: Mapping[str, Any]) -> None:
        self.field_names: tuple[str, ...] = tuple(preprocess["inputs"])
        self._rate, self._samples = int(preprocess["rate"]), int(preprocess["samples"])
        self.media: dict[str, Media] = dict.fromkeys(self.field_names, self)

    def read(self, value: object, where: str) -> Samples:
        """A cell as float32 [samples]; raises ModelmillError naming `where`."""
        return decode(file_of(value, self.word, where), self._rate, self._samples, where)

    def arrays(self, columns: Columns) -> Arrays:
        """`sounds` float32 [B, columns, samples], silent where a row has none; cells may be arrays of `read`."""
        rows = rows_of(columns, self.field_names)
        sounds = np.zeros((len(rows), len(self.field_names), self._samples), dtype=np.float32)
        for row, cells in enumerate(rows):
            for place, (name, cell) in enumerate(zip(self.field_names, cells, strict=True)):
                if cell is not None:
                    sounds[row, place] = cell if isinstance(cell, np.ndarray) else self.read(cell, f"{name!r}")
        return {"sounds": sounds}


def decode(data: bytes, rate: int, samples: int, where: str) -> Samples:
    """The middle of a sound file, mono, float32 [samples]; raises ModelmillError: `bad_media`, `media_too_large`."""
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            _check(sound, where)
            given = sound.samplerate
            # A little more than is heard, so that the filter finds what it needs at both ends.
            wanted = math.ceil((samples + 4 * _CROSSINGS) * given / rate) + 4 * _CROSSINGS
            if wanted < sound.frames < _UNKNOWN_FRAMES:
                sound.seek((sound.frames - wanted) // 2)
            heard = sound.read(wanted, dtype="float32", always_2d=True).mean(axis=1, dtype=np.float64)
    except (soundfile.LibsndfileError, RuntimeError, ValueError, TypeError):
        raise bad_media(where, "the sound is damaged, or no WAV or FLAC") from None
    if not len(heard):
        raise bad_media(where, "the sound has no samples")
    if not np.isfinite(heard).all():
        raise bad_media(where, "the sound has samples that are no numbers")
    return _centred(resampled(heard.clip(-_LOUDEST, _LOUDEST).astype(np.float32), given, rate), samples)


def length_of(data: bytes) -> tuple[int, int] | None:
    """Frames and rate of a sound by its header alone; None for what is no sound."""
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            return sound.frames, sound.samplerate
    except (soundfile.LibsndfileError, RuntimeError, ValueError, TypeError):
        return None  # reading it will say why


def resampled(samples: Samples, given: int, rate: int) -> Samples:
    """The sound at another rate, by a windowed sinc (Smith 2011, "Digital Audio Resampling"), float32."""
    if given == rate:
        return samples
    up, down = Fraction(rate, given).limit_denominator(_STEPS).as_integer_ratio()
    filters = _filters(up, down)
    taps = filters.shape[1]
    padded = np.pad(samples, taps)
    result = np.empty(-(-len(samples) * up // down), dtype=np.float32)
    for start in range(0, len(result), _BLOCK):
        at = np.arange(start, min(start + _BLOCK, len(result)), dtype=np.int64) * down
        windows = padded[(at // up + taps // 2 + 1)[:, None] + np.arange(taps)]
        result[start : start + len(at)] = np.einsum("nt,nt->n", windows, filters[at % up])
    return result


@lru_cache(maxsize=4)
def _filters(up: int, down: int) -> Samples:
    """For each of `up` places between two samples the weights [up, taps] of the samples around it, which sum to 1."""
    cut = _ROLL_OFF * min(1.0, up / down)
    half = math.ceil(_CROSSINGS / cut)
    offsets = np.arange(1 - half, half + 1) - np.arange(up)[:, None] / up
    window = np.cos(np.pi / 2 * np.clip(offsets / half, -1, 1)) ** 2
    weights = np.sinc(offsets * cut) * window
    filters: Samples = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return filters


def _check(sound: soundfile.SoundFile, where: str) -> None:
    """Refuse what the data phase would, by its header."""
    if sound.format not in {"WAV", "WAVEX", "RF64", "FLAC"}:
        raise bad_media(where, "neither WAV nor FLAC")
    if sound.channels > AUDIO_CHANNELS:
        raise bad_media(where, f"the sound has more than {AUDIO_CHANNELS} channels")
    if not AUDIO_LEAST_RATE <= sound.samplerate <= AUDIO_MOST_RATE:
        raise bad_media(where, f"not {AUDIO_LEAST_RATE:,} to {AUDIO_MOST_RATE:,} samples a second")
    if AUDIO_SECONDS * sound.samplerate < sound.frames < _UNKNOWN_FRAMES:
        raise too_large(where, f"the sound is longer than {AUDIO_SECONDS} seconds", AUDIO_SECONDS)


def _centred(sound: Samples, samples: int) -> Samples:
    spare = len(sound) - samples
    if spare >= 0:
        return sound[spare // 2 : spare // 2 + samples]
    return np.pad(sound, (-spare // 2, -spare - -spare // 2))
