"""Random changes of training pictures, the same for the same seed, epoch and sample."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from xaieval.digest import rng
from xaieval.errors import unknown
from xaieval.types import Image, Mask

STEPS = ("flips", "mirror", "rot90", "photometric")
# Largest relative change of contrast and of brightness.
PHOTOMETRIC = 0.15


def parse_augment(augment: str) -> tuple[str, ...]:
    """Return the steps of an augmentation string, in the order in which they are applied.

    >>> parse_augment("photometric+flips"), parse_augment("none")
    (('flips', 'photometric'), ())
    """
    if augment == "none":
        return ()
    wanted = [step.strip() for step in augment.split("+")]
    for step in wanted:
        if step not in STEPS:
            raise unknown("augmentation", step, (*STEPS, "none"))
    return tuple(step for step in STEPS if step in wanted)


def augment_pair(
    picture: Image, mask: Mask, *, augment: str, seed: int, epoch: int, sample_id: str
) -> tuple[Image, Mask]:
    """Return one training picture uint8 (h, w, 3) and its mask bool (h, w), changed alike.

    Each flip happens with probability 1/2; ``mirror`` flips left and right only (faces have an
    upper end). ``rot90`` turns by 0, 90, 180 or 270 degrees (by 0 or
    180 where the picture is not square). ``photometric`` changes contrast and brightness by up
    to 15 % each and leaves the mask alone.
    """
    steps = parse_augment(augment)
    if not steps:
        return picture, mask
    random = rng("augment", seed, epoch, sample_id)
    # All numbers are drawn whatever the steps, so that adding one does not change the others.
    flip_y, flip_x = random.random(2) < 0.5
    turns = int(random.integers(4))
    contrast, brightness = random.uniform(1 - PHOTOMETRIC, 1 + PHOTOMETRIC, 2)
    if "flips" in steps and flip_y:
        picture, mask = picture[::-1], mask[::-1]
    if flip_x and ("flips" in steps or "mirror" in steps):
        picture, mask = picture[:, ::-1], mask[:, ::-1]
    if "rot90" in steps:
        if picture.shape[0] != picture.shape[1]:
            turns = turns // 2 * 2
        picture, mask = np.rot90(picture, turns), np.rot90(mask, turns)
    if "photometric" in steps:
        picture = _levels(float(contrast), float(brightness))[picture]
    return picture, mask


def _levels(contrast: float, brightness: float) -> npt.NDArray[np.uint8]:
    """Return the 256-entry table of changed grey values."""
    grey = np.arange(256, dtype=np.float64)
    changed = ((grey - 127.5) * contrast + 127.5) * brightness
    return changed.round().clip(0, 255).astype(np.uint8)
