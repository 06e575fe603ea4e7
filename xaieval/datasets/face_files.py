"""Reading faces reduced, and part masks of any mode and size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image

from xaieval.datasets.images import opened
from xaieval.types import Image, Mask


def read_resized(path: Path, size: int | None) -> Image:
    """Read a picture as uint8 (size, size, 3) RGB; None: at its own size.

    A JPEG that is twice (or 4, 8 times) as large is decoded reduced, which takes a fraction of the
    time; the rest of the way is antialiased bilinear.

    Raises
    ------
    DataError
        When the file is missing, no image, or damaged.
    """
    with opened(path) as image:
        if size is None:
            return np.array(image.convert("RGB"))
        image.draft("RGB", (size, size))
        picture = image.convert("RGB")
        if picture.size != (size, size):
            picture = picture.resize((size, size), PIL.Image.Resampling.BILINEAR)
        return np.array(picture)


def read_part(path: Path, size: int) -> Mask:
    """Read a part's mask as bool (size, size): True where a channel is above half the brightest.

    Grey, RGB, palette and one-bit files count alike, whether white is 255 or 1; transparent pixels
    are outside. Of another size, the nearest pixel is taken.

    Raises
    ------
    DataError
        When the file is missing, no image, or damaged.
    """
    with opened(path) as image:
        if image.mode.startswith(("I", "F")):
            values = np.array(image)
        elif image.mode in ("1", "L"):
            values = np.array(image.convert("L"))
        else:
            colour = np.array(image.convert("RGBA"))
            values = colour[:, :, :3].max(axis=2) * (colour[:, :, 3] > 127)
    mask = values > values.max() / 2
    if mask.shape == (size, size):
        return np.asarray(mask)
    turned = PIL.Image.fromarray(mask).resize((size, size), PIL.Image.Resampling.NEAREST)
    return np.array(turned, dtype=np.bool_)
