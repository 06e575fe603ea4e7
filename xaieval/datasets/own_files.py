"""A person's own picture and mask, read from a file's bytes in memory, within stated limits."""

from __future__ import annotations

from pathlib import Path

from xaieval.datasets.images import opened, read_image, read_mask
from xaieval.errors import DataError
from xaieval.types import Image, Mask

MOST_BYTES = 20_000_000
"""Of one file: 20 MB."""
MOST_PIXELS = 40_000_000
"""Of one picture: 40 megapixels."""
FORMATS = {"PNG": "PNG", "JPEG": "JPEG", "MPO": "JPEG", "WEBP": "WebP", "BMP": "BMP"}
"""Pillow's names of what is read; MPO is what telephones call a JPEG with a second view in it."""
_EXPECTED = "PNG, JPEG, WebP or BMP"


def read_own_image(data: bytes, name: str) -> Image:
    """Read a picture from a file's bytes as uint8 (H, W, 3), by the rules of ``read_image``.

    Parameters
    ----------
    data : bytes
        The whole file, at most ``MOST_BYTES``.
    name : str
        What errors call it.

    Raises
    ------
    DataError
        For more bytes or pixels than the limits, another format, a moving picture, or a damaged
        file. Pixels are counted from the header, before any is decoded.
    """
    _check(data, name)
    return read_image(Path(name), data=data)


def read_own_mask(data: bytes, name: str, size: tuple[int, int]) -> Mask:
    """Read a mask from a file's bytes as bool (H, W), by the rules of ``read_mask``.

    ``size``: (height, width) of the picture it belongs to.

    Raises
    ------
    DataError
        As ``read_own_image``; also for a lossy format, another size, and a mask without a pixel.
    """
    kind = _check(data, name)
    if kind not in ("PNG", "BMP"):
        raise DataError(
            "a mask in a lossy format",
            where=name,
            expected="PNG or BMP",
            got=FORMATS[kind],
            fix="save the mask as PNG: other formats smear its border",
        )
    mask = read_mask(Path(name), data=data)
    if mask.shape != size:
        raise DataError(
            "the mask has another size than the image",
            where=name,
            expected=f"{size[1]} × {size[0]} px",
            got=f"{mask.shape[1]} × {mask.shape[0]} px",
            fix="draw it on the image at its original size",
        )
    if not mask.any():
        raise DataError("the mask is empty", where=name, fix="mark what counts in any colour")
    return mask


def _check(data: bytes, name: str) -> str:
    """Return Pillow's name of the format, from the header."""
    if len(data) > MOST_BYTES:
        raise DataError(
            "the file is too large",
            where=name,
            expected=f"at most {MOST_BYTES // 1_000_000} MB",
            got=f"{len(data) / 1e6:.1f} MB",
            fix="save it smaller",
        )
    with opened(Path(name), data=data) as image:
        kind = image.format or ""
        width, height = image.size
        frames = int(getattr(image, "n_frames", 1)) if kind != "MPO" else 1
    if kind not in FORMATS:
        raise DataError(
            "not a format that is read here", where=name, expected=_EXPECTED, got=kind or "none"
        )
    if width * height > MOST_PIXELS:
        raise DataError(
            "the picture is too large",
            where=name,
            expected=f"at most {MOST_PIXELS // 1_000_000} megapixels",
            got=f"{width} × {height} px",
            fix="scale it down",
        )
    if frames > 1:
        raise DataError(
            "a moving picture",
            where=name,
            expected="one picture",
            got=f"{frames} frames",
            fix="save one frame of it",
        )
    return kind
