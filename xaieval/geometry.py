"""One mapping between a picture's original pixels and the model's input pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image as PILImage

from xaieval.types import Image, Mask


@dataclass(frozen=True)
class Geometry:
    """Resize to ``resized``, then cut the window ``input`` at ``offset``.

    All sizes are (height, width) in px; ``offset`` is the (top, left) corner of the crop in the
    resized picture. Everything is scored and shown in input space; this object carries images,
    masks and positions there and back.

    >>> g = Geometry(original=(512, 256), resized=(256, 128), offset=(16, 0), input=(224, 128))
    >>> g.to_original(0.0, 0.0), g.to_input(32.0, 0.0)
    ((32.0, 0.0), (0.0, 0.0))
    """

    original: tuple[int, int]
    resized: tuple[int, int]
    offset: tuple[int, int]
    input: tuple[int, int]

    def _crop_box(self) -> tuple[int, int, int, int]:
        top, left = self.offset
        return left, top, left + self.input[1], top + self.input[0]

    def image(self, image: Image) -> Image:
        """Carry a picture uint8 (H, W, 3) to input space (antialiased bilinear)."""
        if self.original == self.input == self.resized:
            return image
        resized = PILImage.fromarray(image).resize(
            (self.resized[1], self.resized[0]), PILImage.Resampling.BILINEAR
        )
        return np.asarray(resized.crop(self._crop_box()))

    def mask(self, mask: Mask, *, resize: Literal["nearest", "half", "any"] = "nearest") -> Mask:
        """Carry a mask bool (H, W) to input space.

        By the nearest pixel; "half" and "any" resize it bilinearly (antialiased) and keep what is
        above 0.5 (project_iml) or above 0 (CLEVR-XAI, which dilates it).
        """
        if self.original == self.input == self.resized:
            return mask
        if resize != "nearest":
            soft = PILImage.fromarray(mask.astype(np.float32)).resize(
                (self.resized[1], self.resized[0]), PILImage.Resampling.BILINEAR
            )
            found: Mask = np.asarray(soft.crop(self._crop_box())) > (0.5 if resize == "half" else 0)
            return found
        resized = PILImage.fromarray(mask.astype(np.uint8)).resize(
            (self.resized[1], self.resized[0]), PILImage.Resampling.NEAREST
        )
        return np.asarray(resized.crop(self._crop_box())).astype(bool)

    def to_original(self, y: float, x: float) -> tuple[float, float]:
        """Carry a position (px, corner of pixel (0, 0) is 0) from input to original space."""
        return (
            (y + self.offset[0]) * self.original[0] / self.resized[0],
            (x + self.offset[1]) * self.original[1] / self.resized[1],
        )

    def to_input(self, y: float, x: float) -> tuple[float, float]:
        """Carry a position (px) from original to input space; it may lie outside the window."""
        return (
            y * self.resized[0] / self.original[0] - self.offset[0],
            x * self.resized[1] / self.original[1] - self.offset[1],
        )
