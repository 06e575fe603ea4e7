"""Reading pictures and masks from files: every common mode, upright, with errors that help."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import PIL
import PIL.Image
from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH, TiffImageFile

from xaieval.errors import DataError
from xaieval.types import Image, Mask

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
"""Files that count as images, in any case of letters."""
MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff")
"""Files that count as masks: lossless formats, because a JPEG smears a mask's border."""

ORIENTATION = 0x0112  # EXIF 2.32, 4.6.4 A "Orientation"
_UPRIGHT = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}
_SIDEWAYS = {5, 6, 7, 8}
Values = TypeVar("Values", Mask, npt.NDArray[np.int32])
_INTACT = "replace it by an intact copy, or remove it"


def is_image_name(path: Path) -> bool:
    """Tell whether a name ends like an image's and is not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def read_image(path: Path, *, data: bytes | None = None) -> Image:
    """Read a picture as uint8 (H, W, 3) RGB, upright; of ``data``, ``path`` is only the name.

    Grey is repeated over the channels; palettes are resolved; transparency is composited on
    white; CMYK and other colour spaces are converted. 16-bit grey becomes round(v / 257), the
    inverse of widening 8 bits to 16; of 16-bit colour the high byte is taken (at most one level
    off). The EXIF orientation is applied where the file states it ahead of its pixels. Of several
    frames the first is read.

    Raises
    ------
    DataError
        When the file is missing, a folder, empty, no image, damaged, or holds floats or 32-bit
        integers, whose black and white nobody knows.
    """
    with opened(path, data=data) as image:
        upright = _upright(image)
        if image.mode.startswith("I"):
            return _rgb(np.round(_sixteen_bits(upright, path) / 257).astype(np.uint8))
        if image.mode == "F":
            raise _unknown_range(path, "floating point")
        if _has_alpha(upright):
            upright = _on(upright, "white")
        if upright.mode in ("1", "L"):
            return _rgb(np.array(upright.convert("L")))
        return np.array(upright.convert("RGB"))


def read_mask(path: Path, *, data: bytes | None = None) -> Mask:
    """Read a mask as bool (H, W): True where any channel is above 0, upright like images.

    Palettes count by their colours; transparent pixels are outside (composited on black).

    Raises
    ------
    DataError
        As ``read_image``.
    """
    with opened(path, data=data) as image:
        upright = _upright(image)
        if image.mode.startswith(("I", "F")):
            return np.array(upright) > 0
        if _has_alpha(upright):
            upright = _on(upright, "black")
        if upright.mode in ("1", "L"):
            return np.array(upright) > 0
        # Not by grey value: a dark colour such as (0, 0, 4) rounds to grey 0.
        return np.asarray(np.array(upright.convert("RGB")).any(axis=2))


def read_index_mask(path: Path) -> npt.NDArray[np.int32]:
    """Read an index mask as int32 (H, W): palette indices, or the grey values themselves.

    Raises
    ------
    DataError
        As ``read_image``; also for colour images, which hold no indices.
    """
    with opened(path) as image:
        if image.mode not in ("1", "L", "P") and not image.mode.startswith("I"):
            raise DataError(
                "not an index mask",
                where=path,
                expected="a palette or grey image whose values are region numbers",
                got=f"mode {image.mode}",
                fix="save it with a palette, or use one mask file per region",
            )
        return np.array(_upright(image)).astype(np.int32)


def image_size(path: Path) -> tuple[int, int]:
    """Return (height, width) of the upright image from the file's header, no pixel decoded.

    Raises
    ------
    DataError
        As ``read_image``, as far as the header shows it.
    """
    with opened(path) as image:
        width, height = image.size
        if isinstance(image, TiffImageFile):  # Pillow's versions differ in what size says here
            width, height = (image.tag_v2[tag] for tag in (IMAGEWIDTH, IMAGELENGTH))
        return (width, height) if _orientation(image) in _SIDEWAYS else (height, width)


def is_sideways(path: Path) -> bool:
    """Tell from the header whether a file's EXIF orientation swaps its height and width.

    Raises
    ------
    DataError
        As ``read_image``, as far as the header shows it.
    """
    with opened(path) as image:
        return _orientation(image) in _SIDEWAYS


def turn_like(values: Values, image: Path) -> Values:
    """Turn a mask (H, W) that was drawn on the stored pixels of a sideways image, else return it.

    Such a mask has the image's stored size. A square one does not show how it was drawn: it is
    taken as upright, which is what a person sees who draws it.

    Raises
    ------
    DataError
        As ``read_image``, as far as the image's header shows it.
    """
    upright = image_size(image)
    if values.shape == upright or values.shape != upright[::-1]:
        return values
    with opened(image) as stored:
        orientation = _orientation(stored)
    if orientation not in _SIDEWAYS:
        return values
    turned = PIL.Image.fromarray(values).transpose(_UPRIGHT[orientation])
    return np.array(turned).astype(values.dtype)


def verify(path: Path) -> None:
    """Check a file's checksums where its format has some (PNG), on top of what decoding finds.

    Raises
    ------
    DataError
        When they do not match.
    """
    with opened(path) as image:
        image.verify()


# Readers bound to files with functools.partial, so that records can be pickled.


def read_masks(files: Mapping[str, Path], image: Path) -> dict[str, Mask]:
    """Read one mask file per region of an image."""
    return {region: turn_like(read_mask(path), image) for region, path in files.items()}


def read_indexed(path: Path, legend: Mapping[int, str], image: Path) -> dict[str, Mask]:
    """Read every region of a legend {index: name} from one index mask; indices may share a name."""
    values = turn_like(read_index_mask(path), image)
    regions: dict[str, Mask] = {}
    for index, name in legend.items():
        here = values == index
        regions[name] = regions[name] | here if name in regions else here
    return regions


def read_empty(image: Path, region: str) -> dict[str, Mask]:
    """Return the region that is known to be empty, at the size of its image."""
    return {region: np.zeros(image_size(image), np.bool_)}


@contextmanager
def opened(path: Path, *, data: bytes | None = None) -> Iterator[PIL.Image.Image]:
    """Open a file lazily; whatever fails until the block ends becomes one clear DataError.

    ``data``: the file's bytes, where they are in memory; ``path`` only names them then.
    """
    if data is None and path.is_dir():
        raise DataError(
            "a folder named like an image", where=path, fix="rename the folder or remove it"
        )
    try:
        # From a stream: given a name, Pillow 13 maps uncompressed TIFFs and scrambles rotated ones.
        source = path.open("rb") if data is None else io.BytesIO(data)
        with source as stream, PIL.Image.open(stream) as image:
            yield image
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError("no such file", where=path, fix="check the path") from None
    except PermissionError as error:
        raise DataError(
            "cannot be read", where=path, got=error.strerror, fix="change its permissions"
        ) from error
    except PIL.UnidentifiedImageError:
        what, got = _not_an_image(path.read_bytes()[:512] if data is None else data[:512])
        raise DataError(what, where=path, expected="an image", got=got, fix=_INTACT) from None
    except PIL.Image.DecompressionBombError as error:
        raise DataError("too many pixels", where=path, got=error, fix="scale it down") from error
    except Exception as error:  # Pillow's readers raise whatever damaged bytes lead them to
        raise DataError(
            "damaged image", where=path, got=str(error) or type(error).__name__, fix=_INTACT
        ) from error


def _not_an_image(head: bytes) -> tuple[str, str]:
    if not head:
        return "empty file", "0 bytes"
    text = not any(byte < 9 for byte in head)
    try:
        head[:500].decode()
    except UnicodeDecodeError as error:
        text = text and error.reason == "unexpected end of data"
    return "not an image", "text" if text else "unknown bytes"


def _orientation(image: PIL.Image.Image) -> int:
    # The base class's method: PNG's own decodes every pixel to look for a trailing chunk.
    value: Any = PIL.Image.Image.getexif(image).get(ORIENTATION, 1)
    return value if isinstance(value, int) else 1


def _upright(image: PIL.Image.Image) -> PIL.Image.Image:
    orientation = _orientation(image)  # before load(), which may add what stands behind the pixels
    image.load()
    if orientation not in _UPRIGHT or isinstance(image, TiffImageFile):  # TIFF loads upright
        return image
    return image.transpose(_UPRIGHT[orientation])


def _has_alpha(image: PIL.Image.Image) -> bool:
    return "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info


def _on(image: PIL.Image.Image, colour: str) -> PIL.Image.Image:
    if image.mode == "La":  # premultiplied grey has no direct way to RGBA
        image = image.convert("LA")
    layer = image.convert("RGBA")
    ground = PIL.Image.new("RGBA", layer.size, colour)
    return PIL.Image.alpha_composite(ground, layer).convert("RGB")


def _sixteen_bits(image: PIL.Image.Image, path: Path) -> npt.NDArray[np.int64]:
    values = np.array(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise _unknown_range(path, f"values {values.min()} to {values.max()}")
    return values


def _rgb(grey: npt.NDArray[np.uint8]) -> Image:
    return np.repeat(grey[:, :, None], 3, axis=2)


def _unknown_range(path: Path, got: str) -> DataError:
    return DataError(
        "not an 8- or 16-bit image",
        where=path,
        expected="8 or 16 bits per channel",
        got=got,
        fix="convert it to 8-bit PNG",
    )
