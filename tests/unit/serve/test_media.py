"""Images and sounds of requests: every form that they come in is read, and what cannot be read is refused by name."""

import base64
import io
import random
import zlib
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from modelmill.core.errors import ModelmillError
from modelmill.core.limits import AUDIO_SECONDS, IMAGE_PIXELS, MEDIA_BYTES
from modelmill.serving import instances, tensors
from modelmill.serving.features import Features
from modelmill.serving.features.audio import resampled
from modelmill.serving.instances import Field

GREY = {"kind": "image", "inputs": ["picture"], "height": 8, "width": 8, "channels": 1}
COLOUR = GREY | {"channels": 3}
SOUND = {"kind": "audio", "inputs": ["clip"], "rate": 8_000, "samples": 4_000}


def fields(preprocess: dict[str, Any]) -> list[Field]:
    features = Features(preprocess)
    return [Field(name, is_number=False, media=features.media.get(name)) for name in features.field_names]


def read(preprocess: dict[str, Any], *cells: object, name: str | None = None) -> np.ndarray[Any, Any]:
    """The model's array of rows with these cells, as a request sends them."""
    rows = [{name or preprocess["inputs"][0]: cell} for cell in cells]
    columns = instances.columns_of(rows, fields(preprocess), is_text=False)
    return next(iter(Features(preprocess).arrays(columns).values()))[:, 0]


def picture(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()


def halves(mode: str = "RGB", size: tuple[int, int] = (16, 16)) -> Image.Image:
    """White on the left, black on the right."""
    image = Image.new("L", size, 0)
    image.paste(255, (0, 0, size[0] // 2, size[1]))
    return image.convert(mode)


def sound(samples: np.ndarray[Any, Any], rate: int = 8_000, form: str = "WAV", **options: Any) -> bytes:
    target = io.BytesIO()
    soundfile.write(target, samples, rate, format=form, **options)
    return target.getvalue()


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def tone(hertz: float, seconds: float, rate: int) -> np.ndarray[Any, Any]:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


@pytest.mark.parametrize("preprocess", [GREY, COLOUR])
@pytest.mark.parametrize(
    "data",
    [
        picture(halves()),
        picture(halves("L")),
        picture(halves("1")),
        picture(halves("P")),
        picture(halves("RGBA")),
        picture(halves("LA")),
        picture(halves(), "JPEG", quality=95),
        picture(halves("CMYK"), "JPEG", quality=95),
        picture(halves("L", (640, 480)), "JPEG", quality=95),
        picture(halves(), "WEBP", lossless=True),
        picture(halves(), "BMP"),
        picture(halves("P"), "GIF"),
        picture(halves(), "GIF", save_all=True, append_images=[Image.new("RGB", (16, 16), "red")]),
        picture(Image.fromarray(np.asarray(halves("L")).astype(np.uint16) * 257)),
    ],
    ids=[
        "rgb",
        "grey",
        "bits",
        "palette",
        "alpha",
        "grey-alpha",
        "jpeg",
        "cmyk",
        "large",
        "webp",
        "bmp",
        "gif",
        "animated",
        "16-bit",
    ],
)
def test_an_image_in_any_form_is_the_same_pixels(preprocess: dict[str, Any], data: bytes) -> None:
    found = read(preprocess, text(data))
    assert found.shape == (1, 8, 8, preprocess["channels"])
    assert found.dtype == np.uint8
    assert found[0, :, :3].min() > 240
    assert found[0, :, 5:].max() < 15


def test_what_is_clear_is_white_also_in_a_palette() -> None:
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert read(GREY, text(picture(clear))).min() == 255
    palette = Image.new("P", (8, 8), 0)
    assert read(GREY, text(picture(palette, transparency=0))).min() == 255


def test_a_photograph_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = picture(halves("RGB", (32, 32)), "JPEG", exif=exif, quality=95)
    found = read(GREY, text(lying))[0, :, :, 0]
    assert found[:3].min() > 240
    assert found[5:].max() < 15


def test_a_single_pixel_and_a_missing_image_are_answered() -> None:
    one = text(picture(Image.new("RGB", (1, 1), (10, 20, 30))))
    assert (read(COLOUR, one)[0] == [10, 20, 30]).all()
    assert Features(COLOUR).arrays({"picture": [None]})["images"].max() == 0


def test_base64_may_be_a_data_url_broken_into_lines_and_under_the_alias() -> None:
    plain = text(picture(halves()))
    lines = "\n".join(plain[start : start + 60] for start in range(0, len(plain), 60))
    expected = read(COLOUR, plain)
    assert (read(COLOUR, f"data:image/png;base64,{plain}", lines) == expected).all()
    assert (read(COLOUR, plain, name="image") == expected).all()
    columns = tensors.columns_of(
        {"inputs": [{"name": "picture", "datatype": "BYTES", "shape": [1], "data": [plain]}]},
        fields(COLOUR),
        is_text=False,
    )
    assert (Features(COLOUR).arrays(columns)["images"][:, 0] == expected).all()


def bomb() -> str:
    """A PNG of a hundred bytes that says it has 100,000 pixels to each side."""
    data = bytearray(picture(Image.new("1", (16, 16))))
    data[16:24] = (100_000).to_bytes(4) * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
    return text(bytes(data))


@pytest.mark.parametrize(
    ("value", "code", "status"),
    [
        ("%%%", "not_base64", 400),
        ("abc", "not_base64", 400),
        ("", "bad_media", 400),
        ("data:image/png;base64,", "bad_media", 400),
        (text(b"hello world"), "bad_media", 400),
        (text(picture(halves())[:-30]), "bad_media", 400),
        (text(picture(halves("L", (64, 64)), "JPEG")[:300]), "bad_media", 400),
        (7, "bad_value", 400),
        ({"b64": "x"}, "bad_value", 400),
        (bomb(), "media_too_large", 413),
    ],
)
def test_an_image_that_cannot_be_read_is_refused_by_place(value: object, code: str, status: int) -> None:
    good = text(picture(halves()))
    with pytest.raises(ModelmillError, match=r"instances\[1\]\.picture") as refusal:
        read(COLOUR, good, value)
    assert (refusal.value.code, refusal.value.status) == (code, status)


def test_the_limits_are_said() -> None:
    with pytest.raises(ModelmillError) as pixels:
        read(COLOUR, bomb())
    assert pixels.value.limit == IMAGE_PIXELS
    with pytest.raises(ModelmillError) as size:
        read(COLOUR, "A" * (MEDIA_BYTES * 4 // 3 + 8))
    assert (size.value.status, size.value.limit) == (413, MEDIA_BYTES)
    with pytest.raises(ModelmillError) as seconds:
        read(SOUND, text(sound(np.zeros(1_000 * (AUDIO_SECONDS + 1)), 1_000, "FLAC")))
    assert (seconds.value.status, seconds.value.limit) == (413, AUDIO_SECONDS)


def test_a_row_without_an_image_is_refused() -> None:
    for row in ({}, {"picture": None}, {"other": 1}):
        with pytest.raises(ModelmillError, match="no field of this model"):
            instances.columns_of([row], fields(COLOUR), is_text=False)


def status_of(preprocess: dict[str, Any], data: bytes) -> int:
    """Of the answer to such a row; any other exception is a crash."""
    try:
        assert np.isfinite(read(preprocess, text(data))).all()
    except ModelmillError as error:
        return error.status
    return 200


def test_damaged_files_end_in_a_refusal_or_an_answer() -> None:
    chance, statuses = random.Random(1), set()
    for preprocess, whole in (
        (COLOUR, picture(halves())),
        (COLOUR, picture(halves(), "JPEG")),
        (COLOUR, picture(halves(), "WEBP")),
        (COLOUR, picture(halves("P"), "GIF")),
        (SOUND, sound(tone(440, 0.1, 8_000))),
        (SOUND, sound(tone(440, 0.1, 8_000), form="FLAC")),
    ):
        for _ in range(60):
            data = bytearray(whole)
            for _ in range(chance.randint(1, 8)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            statuses.add(status_of(preprocess, bytes(data[: chance.randint(1, len(data))])))
    assert {200, 400} <= statuses <= {200, 400, 413}


@pytest.mark.parametrize("rate", [4_000, 8_000, 11_025, 16_000, 44_100, 48_000])
@pytest.mark.parametrize(("form", "subtype"), [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_24")])
def test_a_sound_of_any_rate_and_coding_is_the_same_samples(rate: int, form: str, subtype: str) -> None:
    data = sound(np.stack([tone(440, 0.4, rate)] * 2, axis=1), rate, form, subtype=subtype)
    found = read(SOUND, text(data))[0]
    assert found.shape == (4_000,)
    # 3,200 samples between silences.
    middle = found[600:3_400]
    assert np.abs(middle - tone(440, 0.5, 8_000)[200:3_000]).max() < 0.01
    assert np.abs(found[:350]).max() < 0.05


def test_resampling_keeps_what_fits_and_drops_what_would_fold_back() -> None:
    low, high = (
        resampled(tone(hertz, 1, 48_000).astype(np.float32), 48_000, 8_000)[500:-500] for hertz in (1_000, 6_000)
    )
    assert low.std() == pytest.approx(0.5 / 2**0.5, rel=0.01)
    assert high.std() < 0.001


def test_a_rate_of_prime_numbers_is_resampled_by_few_filters() -> None:
    found = resampled(tone(1_000, 1, 191_999).astype(np.float32), 191_999, 8_000)
    assert len(found) == pytest.approx(8_000, abs=8)
    expected = tone(1_000, 1, 8_000)[100:900]
    assert np.corrcoef(found[100:900], expected)[0, 1] > 0.999


def test_of_a_long_sound_the_middle_is_heard() -> None:
    samples = np.zeros(80_000)
    samples[39_000:41_000] = 0.5
    assert read(SOUND, text(sound(samples)), text(sound(samples, form="FLAC"))).mean(axis=1) == pytest.approx(
        [0.25, 0.25], abs=0.01
    )


def test_silence_and_a_single_sample_are_answered() -> None:
    assert read(SOUND, text(sound(np.zeros(100))), text(sound(np.zeros(1)))).max() == 0


@pytest.mark.parametrize(
    "data",
    [
        b"RIFF",
        b"hello world",
        sound(np.zeros(0)),
        sound(tone(440, 0.1, 8_000), form="OGG"),
        sound(np.full(100, np.nan), subtype="FLOAT"),
        sound(np.zeros(100), 500),
        sound(np.zeros((100, 9))),
    ],
)
def test_a_sound_that_cannot_be_read_is_refused_by_place(data: bytes) -> None:
    with pytest.raises(ModelmillError, match=r"instances\[0\]\.audio|instances\[0\]\.clip") as refusal:
        read(SOUND, text(data))
    assert refusal.value.code == "bad_media"
