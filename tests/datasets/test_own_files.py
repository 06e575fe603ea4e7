"""A person's own files: read from memory within limits, kept without overwriting anything."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage

from xaieval.datasets import open_dataset
from xaieval.datasets.folder_writer import add_to_folder, plain_name
from xaieval.datasets.own_files import MOST_BYTES, read_own_image, read_own_mask
from xaieval.errors import DataError, ResultsError

PICTURE = np.random.default_rng(0).integers(0, 256, (6, 9, 3)).astype(np.uint8)


def encoded(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    PILImage.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def huge_png(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP"])
def test_lossless_formats_come_back_to_the_pixel(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    assert (read_own_image(encoded(PICTURE, kind, **options), "a") == PICTURE).all()


def test_a_photograph_stands_upright() -> None:
    exif = PILImage.Exif()
    exif[0x0112] = 6  # turned by a quarter
    data = encoded(PICTURE, "JPEG", exif=exif, quality=100, subsampling=0)
    assert read_own_image(data, "photo.jpg").shape == (9, 6, 3)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "note.txt: empty file"),
        (b"these are words\n", "note.txt: not an image.*text"),
        (encoded(PICTURE, "PNG")[:60], "note.txt: damaged image"),
        (encoded(PICTURE, "PNG")[:10], "note.txt: "),
        (encoded(PICTURE, "GIF"), "note.txt: not a format that is read here.*GIF"),
        (huge_png(8000, 5001), r"note.txt: the picture is too large.*40 megapixels.*8000 × 5001"),
        (huge_png(60_000, 60_000), "note.txt: .*too"),
        (b"\0" * (MOST_BYTES + 1), "note.txt: the file is too large.*20 MB"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(data: bytes, told: str) -> None:
    with pytest.raises(DataError, match=told):
        read_own_image(data, "note.txt")


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_moving_picture_is_refused(kind: str) -> None:
    frames = [PILImage.fromarray(np.roll(PICTURE, i, 0)) for i in range(3)]
    stream = io.BytesIO()
    frames[0].save(stream, kind, save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match=r"moving picture.*3 frames"):
        read_own_image(stream.getvalue(), "dance")


def test_a_mask_has_the_size_of_its_image() -> None:
    mask = np.zeros((6, 9), bool)
    mask[1:3, 2:5] = True
    data = encoded(mask.astype(np.uint8) * 255, "PNG")
    assert (read_own_mask(data, "m.png", (6, 9)) == mask).all()
    with pytest.raises(DataError, match="expected 6 × 9 px, got 9 × 6 px"):
        read_own_mask(data, "m.png", (9, 6))
    with pytest.raises(DataError, match=r"lossy format.*PNG or BMP"):
        read_own_mask(encoded(PICTURE, "JPEG"), "m.jpg", (6, 9))
    with pytest.raises(DataError, match="mask is empty"):
        read_own_mask(encoded(np.zeros((6, 9), np.uint8), "PNG"), "m.png", (6, 9))


def test_what_is_kept_opens_as_a_data_set(tmp_path: Path) -> None:
    mask = np.zeros((6, 9), bool)
    mask[1:3, 2:5] = True
    root = tmp_path / "new"
    first = add_to_folder(root, PICTURE, name="my_photo", class_name="nut", masks={"mask": mask})
    second = add_to_folder(root, 255 - PICTURE, name="my_photo", class_name="nut")
    third = add_to_folder(
        root, PICTURE, name="leaf", class_name="leaf", masks={"spot": mask, "mask": ~mask}
    )
    names = [path.relative_to(root).as_posix() for path in (first, second, third)]
    assert names == [
        "images/nut/my-photo.png",
        "images/nut/my-photo-2.png",
        "images/leaf/leaf.png",
    ]
    dataset = open_dataset("folder", root)
    assert not dataset.problems
    assert len(dataset) == 3
    found = {record.id: dataset[record.id] for record in dataset.records}
    one = next(sample for name, sample in found.items() if name.endswith("my-photo"))
    assert (one.image == PICTURE).all()
    assert (one.regions["mask"] == mask).all()
    two = next(sample for name, sample in found.items() if name.endswith("my-photo-2"))
    assert (two.image == 255 - PICTURE).all()
    assert not two.regions.get("mask", np.zeros(1, bool)).any()
    leaf = next(sample for name, sample in found.items() if name.endswith("leaf"))
    assert (leaf.regions["spot"] == mask).all()
    assert not list(root.rglob(".*"))


def test_nothing_is_overwritten_nor_read_as_another_mask(tmp_path: Path) -> None:
    for folder, name in (("images/nut", "a.jpg"), ("masks", "b_defect.png")):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / name).write_bytes(b"mine")
    a = add_to_folder(tmp_path, PICTURE, name="a", class_name="nut")
    b = add_to_folder(tmp_path, PICTURE, name="b", class_name="nut")
    assert (a.name, b.name) == ("a-2.png", "b-2.png")
    assert (tmp_path / "images/nut/a.jpg").read_bytes() == b"mine"


def test_folders_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not fit"):
        add_to_folder(
            tmp_path, PICTURE, name="a", class_name="b", masks={"mask": np.ones((9, 6), bool)}
        )
    (tmp_path / "legend.json").write_text("{}")
    with pytest.raises(DataError, match="index masks"):
        add_to_folder(tmp_path, PICTURE, name="a", class_name="b")
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="cannot write here"):
        add_to_folder(tmp_path / "file", PICTURE, name="a", class_name="b")


@pytest.mark.parametrize("text", ["../../etc/passwd", "..", "/abs", "a/b\\c", ".hidden", "a" * 300])
def test_a_name_is_one_part_of_a_path(text: str) -> None:
    name = plain_name(text)
    assert name == Path(name).name
    assert not name.startswith(".")
    assert len(name) <= 80
