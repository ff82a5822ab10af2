"""Facts of media: what files are is counted, merges, and finds near twins and speakers; thumbnails can be looked at."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modelmill.frames.media import find
from modelmill.frames.media.audio import inspect_audio, waveform
from modelmill.frames.media.facts import MediaFacts
from modelmill.frames.media.groups import name_groups
from modelmill.frames.media.image import inspect_image, thumbnail
from modelmill.frames.media.near import NEAR, near_pairs
from modelmill.frames.media.rows import read_media
from modelmill.frames.media.seen import Seen
from tests.unit.data.media_files import encoded, picture, place, sound, tone


def seen(folder: Path, name: str, data: bytes) -> Seen:
    path = folder / name
    path.write_bytes(data)
    return inspect_audio(path) if path.suffix in (".wav", ".flac") else inspect_image(path)


def upright(turned: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = turned
    return encoded(picture(), "JPEG", exif=exif)


def located() -> bytes:
    exif = Image.Exif()
    exif.get_ifd(0x8825)[1] = "N"
    return encoded(picture(), "JPEG", exif=exif)


def frames(form: str) -> bytes:
    return encoded(picture(), form, save_all=True, append_images=[picture(1)])


@pytest.mark.parametrize(
    ("name", "data", "words", "notes"),
    [
        ("a.png", encoded(picture(), "PNG"), {"format": "PNG", "mode": "RGB"}, ()),
        ("a.jpg", encoded(picture().convert("CMYK"), "JPEG"), {"format": "JPEG", "mode": "CMYK"}, ()),
        ("a.jpg", encoded(picture(), "JPEG", progressive=True), {"format": "JPEG", "mode": "RGB"}, ()),
        ("a.jpg", upright(6), {"format": "JPEG", "mode": "RGB"}, ("rotated",)),
        ("a.jpg", located(), {"format": "JPEG", "mode": "RGB"}, ("located",)),
        ("a.jpg", encoded(picture(), "PNG"), {"format": "PNG", "mode": "RGB"}, ("misnamed",)),
        ("a.png", encoded(picture().convert("P"), "PNG"), {"format": "PNG", "mode": "P"}, ()),
        ("a.png", encoded(picture().convert("RGBA"), "PNG"), {"format": "PNG", "mode": "RGBA"}, ("alpha",)),
        ("a.png", encoded(picture().convert("LA"), "PNG"), {"format": "PNG", "mode": "LA"}, ("alpha",)),
        ("a.png", encoded(picture().convert("1"), "PNG"), {"format": "PNG", "mode": "1"}, ()),
        ("a.png", encoded(Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64)), "PNG"),
         {"format": "PNG", "mode": "I;16"}, ("16-bit",)),
        ("a.png", encoded(Image.new("RGB", (1, 1)), "PNG"), {"format": "PNG", "mode": "RGB"}, ("blank",)),
        ("a.png", encoded(picture(0, (60_000, 1)), "PNG"), {"format": "PNG", "mode": "RGB"}, ("thin",)),
        ("a.png", frames("PNG"), {"format": "PNG", "mode": "RGB"}, ("animated",)),
        ("a.gif", frames("GIF"), {"format": "GIF", "mode": "P"}, ("animated",)),
        ("a.webp", frames("WEBP"), {"format": "WEBP", "mode": "RGB"}, ("animated",)),
        ("a.bmp", encoded(picture(), "BMP"), {"format": "BMP", "mode": "RGB"}, ()),
    ],
)  # fmt: skip
def test_what_an_image_is(
    tmp_path: Path, name: str, data: bytes, words: dict[str, str], notes: tuple[str, ...]
) -> None:
    one = seen(tmp_path, name, data)
    assert (one.words, one.notes) == (words, notes)
    with Image.open(io.BytesIO(data)) as image:
        assert (one.measures["width"], one.measures["height"]) == image.size


CODINGS = ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"]


@pytest.mark.parametrize(
    ("form", "coding"),
    [("WAV", "IMA_ADPCM"), *((form, coding) for form in ("WAV", "WAVEX", "RF64") for coding in CODINGS)],
)
def test_wav_of_any_coding(tmp_path: Path, form: str, coding: str) -> None:
    one = seen(tmp_path, "a.wav", sound(np.stack([tone()] * 2, axis=1), form=form, coding=coding))
    assert one.words == {"format": "WAV", "mode": coding, "sample_rate": "8000", "channels": "2"}
    assert one.measures["seconds"] == pytest.approx(0.5, abs=0.1)
    assert one.notes == ()


def test_flac_and_silence(tmp_path: Path) -> None:
    one = seen(tmp_path, "a.flac", sound(tone(), form="FLAC", coding="PCM_24"))
    assert (one.words["format"], one.measures["seconds"]) == ("FLAC", 0.5)
    quiet = seen(tmp_path, "a.wav", sound(np.zeros(900), coding="PCM_U8"))
    assert (quiet.notes, quiet.print) == (("silent",), b"")


def test_samples_of_any_size_are_the_same_sound(tmp_path: Path) -> None:
    plain = seen(tmp_path, "a.wav", sound(tone(), coding="FLOAT")).print
    huge = np.stack([tone() * np.float32(3e38)] * 2, axis=1)
    assert near_pairs([plain], [seen(tmp_path, "b.wav", sound(huge, coding="FLOAT")).print], 0).count == 1


def test_facts_are_the_same_in_one_or_in_parts(tmp_path: Path) -> None:
    files = {f"{label}/{n}.png": encoded(picture(n, (20 + 9 * n, 40)), "PNG") for label in "ab" for n in range(6)}
    files |= {"a/x.png": b"", "b/x.gif": frames("GIF")}
    media = find(tmp_path, place(tmp_path, files))
    assert media is not None

    def facts(part: Any) -> MediaFacts:
        reading = read_media(type(media)(media.folder, media.kind, tuple(part)))
        assert all(batch.num_rows for batch in reading.batches)
        return reading.facts

    whole = facts(media.files)
    parts = facts(media.files[9:]).merge(facts(media.files[:9]))
    assert whole.as_json() == parts.as_json()
    assert whole.prints == parts.prints
    assert whole.warnings() == parts.warnings()
    assert (whole.count, whole.notes, whole.words["format"]) == (13, {"animated": 1}, {"PNG": 12, "GIF": 1})
    width = whole.as_json()["width"]
    assert (width["least"], width["most"], sum(count for _, count in width["bins"])) == (20, 65, 13)
    assert width["median"] == pytest.approx(47, rel=0.05)


def test_near_twins_are_found_and_others_are_not(tmp_path: Path) -> None:
    ours = [seen(tmp_path, "a.png", encoded(picture(n, (320, 240)), "PNG")).print for n in range(60)]
    again = [
        seen(tmp_path, "a.jpg", encoded(picture(3, (320, 240)), "JPEG", quality=40)).print,
        seen(tmp_path, "a.webp", encoded(picture(4, (320, 240)).resize((160, 120)), "WEBP", quality=80)).print,
        seen(tmp_path, "a.png", encoded(picture(5, (320, 240)).point(lambda level: level * 0.7), "PNG")).print,
    ]
    others = [seen(tmp_path, "a.png", encoded(picture(n, (320, 240)), "PNG")).print for n in range(100, 160)]
    pairs = near_pairs(ours, [*others, *again, b""], NEAR["image"])
    assert (pairs.count, pairs.compared) == (3, 63)
    assert sorted(pairs.examples) == [(3, 60), (4, 61), (5, 62)]


def test_a_turned_photograph_is_the_same_picture(tmp_path: Path) -> None:
    plain = seen(tmp_path, "a.png", encoded(picture(), "PNG")).print
    for turned, back in (
        (3, Image.Transpose.ROTATE_180),
        (6, Image.Transpose.ROTATE_90),
        (8, Image.Transpose.ROTATE_270),
    ):
        exif = Image.Exif()
        exif[0x0112] = turned
        stored = encoded(picture().transpose(back), "PNG", exif=exif)
        assert near_pairs([plain], [seen(tmp_path, "b.png", stored).print], NEAR["image"]).count == 1


def test_strokes_on_an_even_ground_are_not_compared(tmp_path: Path) -> None:
    prints = []
    for shift in range(4):
        stroke = np.zeros((28, 28), np.uint8)
        stroke[4:24, 12 + shift : 15 + shift] = 255
        prints.append(seen(tmp_path, "a.png", encoded(Image.fromarray(stroke), "PNG")).print)
    assert near_pairs(prints[:2], prints[2:], NEAR["image"]).compared == 0


def test_a_recording_is_known_louder_resampled_and_in_another_format(tmp_path: Path) -> None:
    ours = [seen(tmp_path, "a.wav", sound(tone(n))).print for n in range(60)]
    double = np.interp(np.arange(0, 3_999, 0.5), np.arange(4_000), tone(4))
    again = [
        seen(tmp_path, "a.flac", sound(0.2 * tone(3), form="FLAC")).print,
        seen(tmp_path, "a.wav", sound(double, rate=16_000, coding="FLOAT")).print,
    ]
    others = [seen(tmp_path, "a.wav", sound(tone(n))).print for n in range(100, 160)]
    pairs = near_pairs(ours, [*again, *others], NEAR["audio"])
    assert sorted(pairs.examples) == [(3, 0), (4, 1)]


def test_speakers_in_names_are_told_from_labels_and_numbers() -> None:
    paths = [f"{word}/{word}_{name}_{n}.wav" for word in "0123" for name in ("ann", "bob", "cy") for n in range(10)]
    labels = [path[0] for path in paths]
    (group,) = name_groups(paths, labels)
    assert (group.place, group.values, group.groups[10]) == (1, ["ann", "bob", "cy"], "bob")
    numbered = [f"x/subject{person}-{n}.wav" for person in range(1, 5) for n in range(10)]
    assert [group.values for group in name_groups(numbered, ["a", "b"] * 20)] == [["1", "2", "3", "4"]]
    assert name_groups([f"{n:04}.png" for n in range(100)], ["a", "b"] * 50) == []
    assert name_groups([f"img_{n}_{n % 5}.png" for n in range(100)], ["a", "b"] * 50) == []
    breeds = [f"{breed}_{n}.jpg" for breed in ("pug", "husky", "boxer") for n in range(20)]
    assert name_groups(breeds, [path.split("_")[0] for path in breeds]) == []


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "LA", "CMYK"])
def test_a_thumbnail_is_a_small_png_without_metadata(mode: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a description of a person"
    form = "JPEG" if mode == "CMYK" else "PNG"
    uri = thumbnail(encoded(picture(0, (400, 100)).convert(mode), form, exif=exif))
    data = base64.b64decode(uri.removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("PNG", (24, 96))
    assert b"person" not in data


def test_a_thumbnail_of_16_bits_shows_its_levels() -> None:
    deep = Image.fromarray((np.arange(4096, dtype=np.uint16) * 3).reshape(64, 64))
    with Image.open(io.BytesIO(base64.b64decode(thumbnail(encoded(deep, "PNG")).partition(",")[2]))) as image:
        assert image.getextrema() == (0, 255)


def test_a_waveform_is_as_loud_as_its_sound() -> None:
    path = waveform(sound(np.concatenate([tone() * 0.1, tone()])))
    heights = [float(part.split("V")[1]) - float(part.split("V")[0].split()[1]) for part in path.split("M")[1:]]
    assert len(heights) == 96
    assert max(heights[:40]) < 5
    assert max(heights[56:]) == pytest.approx(32, abs=0.1)
