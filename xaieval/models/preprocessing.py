"""From a picture's pixels to the numbers a network takes, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from xaieval.errors import ConfigError, DataError
from xaieval.geometry import Geometry
from xaieval.types import Image, check_image

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes model input: resize, centre crop, scale to 0..1, normalise.

    Attributes
    ----------
    input_size : (height, width) in px
        What the network takes.
    resize : int or None
        Short side in px before the centre crop; None stretches straight to ``input_size``.
    mean, std : three floats
        Per channel (RGB), in units of 0..1: ``x = (pixel / 255 - mean) / std``.
    name : str
        For display.

    Raises
    ------
    ConfigError
        When sizes are not positive, the crop does not fit, or a std is not positive.

    >>> p = Preprocessing(input_size=(2, 2), mean=HALF, std=HALF)
    >>> x = p.tensor(np.full((1, 2, 2, 3), 255, np.uint8))
    >>> tuple(x.shape), float(x.min()), float(x.max())
    ((1, 3, 2, 2), 1.0, 1.0)
    """

    input_size: tuple[int, int]
    resize: int | None = None
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    name: str = "imagenet"

    def __post_init__(self) -> None:
        # Lists come from JSON and TOML; equal settings must be equal objects.
        for field in ("input_size", "mean", "std"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        if len(self.input_size) != 2 or min(self.input_size) < 1:
            raise ConfigError("bad input_size", expected="(height, width)", got=self.input_size)
        if self.resize is not None and self.resize < max(self.input_size):
            raise ConfigError(
                "the centre crop does not fit the resized picture",
                expected=f"resize of at least {max(self.input_size)} px",
                got=self.resize,
            )
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ConfigError(
                "bad mean or std", expected="three means, three positive stds", got=self
            )

    def geometry(self, original: tuple[int, int]) -> Geometry:
        """Return the mapping between a picture of size ``original`` (height, width) and input."""
        if self.resize is None:
            return Geometry(original, self.input_size, (0, 0), self.input_size)
        height, width = original
        short = min(original)
        resized = (
            max(self.resize, int(self.resize * height / short)),
            max(self.resize, int(self.resize * width / short)),
        )
        offset = (
            round((resized[0] - self.input_size[0]) / 2),
            round((resized[1] - self.input_size[1]) / 2),
        )
        return Geometry(original, resized, offset, self.input_size)

    def picture(self, image: Image) -> Image:
        """Carry an image uint8 (H, W, 3) to input space: uint8 (height, width, 3)."""
        check_image(image, "image")
        return self.geometry((image.shape[0], image.shape[1])).image(image)

    def tensor(self, pictures: npt.NDArray[np.uint8] | Tensor) -> Tensor:
        """Return model input, float32 (B, 3, height, width), of pictures uint8 (B, h, w, 3).

        The result lies in memory channel by channel last, as the pictures do; values do not
        depend on that. A tensor stays on its device.

        Raises
        ------
        DataError
            When the pictures are not uint8 (B, height, width, 3) of the input size.
        """
        batch = (
            torch.from_numpy(np.ascontiguousarray(pictures))
            if isinstance(pictures, np.ndarray)
            else pictures
        )
        wanted = (*self.input_size, 3)
        if batch.dtype != torch.uint8 or tuple(batch.shape[1:]) != wanted:
            raise DataError(
                "pictures do not fit the model's input",
                expected=f"uint8 (B, {wanted[0]}, {wanted[1]}, 3)",
                got=f"{batch.dtype} {tuple(batch.shape)}",
                fix="carry each image to input space with Preprocessing.picture",
            )
        mean = torch.tensor(self.mean, device=batch.device) * 255
        std = torch.tensor(self.std, device=batch.device) * 255
        return ((batch.float() - mean) / std).permute(0, 3, 1, 2)

    def untensor(self, x: Tensor) -> npt.NDArray[np.uint8]:
        """Return the pictures uint8 (B, h, w, 3) that lie behind model input (B, 3, h, w)."""
        mean = torch.tensor(self.mean, device=x.device, dtype=x.dtype)
        std = torch.tensor(self.std, device=x.device, dtype=x.dtype)
        unit = x.detach().permute(0, 2, 3, 1) * std + mean
        pictures: npt.NDArray[np.uint8] = (
            (unit * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
        )
        return pictures
