"""Every mode of picture reads as the right uint8 RGB, upright; every bad file says why."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xaieval.datasets.images import (
    image_size,
    read_image,
    read_index_mask,
    read_mask,
    verify,
)
from xaieval.errors import DataError

RED, HALF = (255, 0, 0), (10, 20, 30)


def save(path: Path, picture: PIL.Image.Image, **options: object) -> Path:
    picture.save(path, **options)
    return path


def grey(values: object, dtype: type = np.uint8) -> PIL.Image.Image:
    return PIL.Image.fromarray(np.array(values, dtype))


def test_grey_is_repeated_over_the_channels(tmp_path: Path) -> None:
    found = read_image(save(tmp_path / "a.png", grey([[0, 7], [200, 255]])))
    assert found.dtype == np.uint8
    assert found.tolist() == [[[0] * 3, [7] * 3], [[200] * 3, [255] * 3]]


def test_one_bit(tmp_path: Path) -> None:
    found = read_image(save(tmp_path / "a.png", grey([[0, 255]]).convert("1")))
    assert found.tolist() == [[[0] * 3, [255] * 3]]


def test_rgba_is_composited_on_white(tmp_path: Path) -> None:
    pixels = np.array([[[*RED, 255], [*RED, 0], [*RED, 51]]], np.uint8)
    found = read_image(save(tmp_path / "a.png", PIL.Image.fromarray(pixels)))
    # alpha 51 is 0.2: white gives 0.8 · 255 = 204 to green and blue
    assert found.tolist() == [[[255, 0, 0], [255, 255, 255], [255, 204, 204]]]


def test_grey_with_alpha(tmp_path: Path) -> None:
    pixels = np.array([[[0, 255], [0, 0]]], np.uint8)
    found = read_image(save(tmp_path / "a.png", PIL.Image.fromarray(pixels, "LA")))
    assert found.tolist() == [[[0] * 3, [255] * 3]]


@pytest.mark.parametrize("transparent", [False, True])
def test_palette(tmp_path: Path, transparent: bool) -> None:
    picture = PIL.Image.new("P", (2, 1))
    picture.putpalette([*HALF, *RED])
    picture.putpixel((1, 0), 1)
    options = {"transparency": 1} if transparent else {}
    found = read_image(save(tmp_path / "a.png", picture, **options))
    assert found.tolist() == [[list(HALF), [255] * 3 if transparent else list(RED)]]


def test_transparent_colour_of_rgb(tmp_path: Path) -> None:
    pixels = np.array([[RED, HALF]], np.uint8)
    path = save(tmp_path / "a.png", PIL.Image.fromarray(pixels), transparency=RED)
    assert read_image(path).tolist() == [[[255] * 3, list(HALF)]]


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=20))
@settings(max_examples=25, deadline=None)
def test_sixteen_bits_scale_to_eight(
    tmp_path_factory: pytest.TempPathFactory, values: list[int]
) -> None:
    path = tmp_path_factory.mktemp("deep") / "a.png"
    found = read_image(save(path, grey([values], np.uint16)))
    assert found[0, :, 0].tolist() == [int(value / 257 + 0.5) for value in values]


def test_sixteen_bits_invert_the_widening_of_eight(tmp_path: Path) -> None:
    eight = np.arange(256)
    found = read_image(save(tmp_path / "a.tif", grey([eight * 257], np.uint16)))
    assert np.array_equal(found[0, :, 1], eight)


def png(pixels: np.ndarray, *, colour_type: int, bits: int) -> bytes:
    """Write a PNG by hand; Pillow cannot save 16-bit colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    height, width = pixels.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(f">u{bits // 8}").tobytes() for row in pixels)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_sixteen_bit_colour_is_within_one_level(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (4, 5, 3))
    path = tmp_path / "a.png"
    path.write_bytes(png(values, colour_type=2, bits=16))
    assert np.abs(read_image(path) - values / 257).max() <= 1


def test_cmyk(tmp_path: Path) -> None:
    picture = PIL.Image.new("CMYK", (8, 8), (0, 255, 255, 0))  # no cyan: red
    found = read_image(save(tmp_path / "a.jpg", picture, quality=95))
    assert np.abs(found.astype(int) - np.array(RED)).max() <= 6


UPRIGHT = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
# What a camera stores so that the orientation brings it upright (EXIF 2.32, Orientation).
STORED = {
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.T,
    6: np.rot90(UPRIGHT),  # shown turned by 90° clockwise
    7: UPRIGHT[::-1, ::-1].T,
    8: np.rot90(UPRIGHT, -1),
}


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("orientation", STORED)
def test_orientation_is_applied_to_image_mask_and_size(
    tmp_path: Path, orientation: int, suffix: str
) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    stored = PIL.Image.fromarray(np.ascontiguousarray(STORED[orientation]))
    path = save(tmp_path / f"a.{suffix}", stored, exif=exif)
    assert np.array_equal(read_image(path)[:, :, 0], UPRIGHT)
    assert np.array_equal(read_mask(path), UPRIGHT > 0)
    assert np.array_equal(read_index_mask(path), UPRIGHT)
    assert image_size(path) == (2, 3)


def test_orientation_of_a_jpeg(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    stored = np.zeros((16, 32, 3), np.uint8)
    stored[:, :16] = 255  # left half white: on top of the image turned clockwise
    path = save(tmp_path / "a.jpg", PIL.Image.fromarray(stored), exif=exif)
    found = read_image(path)
    assert found.shape == (32, 16, 3) == (*image_size(path), 3)
    assert found[:16].min() > 200
    assert found[16:].max() < 50


def test_masks_are_true_above_zero(tmp_path: Path) -> None:
    assert read_mask(save(tmp_path / "a.png", grey([[0, 1, 255]]))).tolist() == [
        [False, True, True]
    ]
    deep = save(tmp_path / "b.png", grey([[0, 1, 65535]], np.uint16))
    assert read_mask(deep).tolist() == [[False, True, True]]  # 1 of 65535 survives
    colour = np.array([[[0, 0, 0], [0, 200, 0]]], np.uint8)
    assert read_mask(save(tmp_path / "c.png", PIL.Image.fromarray(colour))).tolist() == [
        [False, True]
    ]


def test_transparent_pixels_are_outside_a_mask(tmp_path: Path) -> None:
    pixels = np.array([[[255, 255, 255, 0], [255, 255, 255, 255]]], np.uint8)
    path = save(tmp_path / "a.png", PIL.Image.fromarray(pixels))
    assert read_mask(path).tolist() == [[False, True]]


def test_index_masks_keep_palette_indices(tmp_path: Path) -> None:
    picture = PIL.Image.new("P", (3, 1))
    picture.putpalette([9, 9, 9, 0, 0, 0, 255, 0, 0])
    picture.putdata([0, 1, 2])
    found = read_index_mask(save(tmp_path / "a.png", picture))
    assert found.dtype == np.int32
    assert found.tolist() == [[0, 1, 2]]
    assert read_index_mask(save(tmp_path / "b.png", grey([[300]], np.uint16))).tolist() == [[300]]
    with pytest.raises(DataError, match="not an index mask"):
        read_index_mask(save(tmp_path / "c.png", picture.convert("RGB")))


def truncated(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    PIL.Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize("reader", [read_image, read_mask, read_index_mask, image_size, verify])
@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda path: path.write_text("no picture at all, só text\n"), "not an image.*got text"),
        (lambda path: path.write_bytes(bytes(range(256))), "not an image.*unknown bytes"),
        (lambda path: path.write_bytes(b""), "empty file"),
        (lambda path: path.mkdir(), "a folder named like an image"),
        (lambda path: None, "no such file"),
    ],
)
def test_what_is_no_image_says_so(tmp_path: Path, reader, make, what: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "ü b.png"
    make(path)
    with pytest.raises(DataError, match=what) as caught:
        reader(path)
    assert caught.value.where == path
    assert caught.value.fix


def test_truncated_files(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    truncated(path)
    assert image_size(path) == (40, 40)  # the header is whole
    with pytest.raises(DataError, match="damaged image") as caught:
        read_image(path)
    assert caught.value.where == path
    whole = save(tmp_path / "b.jpg", PIL.Image.new("RGB", (64, 64), RED)).read_bytes()
    (tmp_path / "b.jpg").write_bytes(whole[: len(whole) - 40])
    with pytest.raises(DataError, match="damaged image"):
        read_image(tmp_path / "b.jpg")


def test_a_flipped_bit_fails_the_checksum(tmp_path: Path) -> None:
    data = bytearray(png(np.full((4, 4), 9), colour_type=0, bits=8))
    at = data.index(b"IDAT")
    data[at + 4 + (struct.unpack(">I", data[at - 4 : at])[0])] ^= 1  # in the chunk's CRC
    path = tmp_path / "a.png"
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="damaged image"):
        verify(path)


@pytest.mark.parametrize(
    "picture",
    [
        PIL.Image.fromarray(np.array([[0.5]], np.float32)),
        PIL.Image.fromarray(np.array([[70000]], np.int32)),
        PIL.Image.fromarray(np.array([[-1]], np.int32)),
    ],
)
def test_values_of_unknown_range_are_refused(tmp_path: Path, picture: PIL.Image.Image) -> None:
    with pytest.raises(DataError, match="not an 8- or 16-bit image"):
        read_image(save(tmp_path / "a.tif", picture))
