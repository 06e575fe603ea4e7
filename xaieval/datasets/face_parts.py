"""The parts of a face as CelebAMask-HQ annotates them: numbers, groups, label maps, attributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from xaieval.errors import unknown
from xaieval.types import Mask

PARTS = (
    "skin",
    "l_brow",
    "r_brow",
    "l_eye",
    "r_eye",
    "eye_g",
    "l_ear",
    "r_ear",
    "ear_r",
    "nose",
    "mouth",
    "u_lip",
    "l_lip",
    "neck",
    "neck_l",
    "cloth",
    "hair",
    "hat",
)
"""Parts in the order of their numbers 0 to 17, named as the files are (``ear_r`` is an earring,
``neck_l`` a necklace, ``eye_g`` are glasses). Where masks overlap, the later part has the pixel."""
BACKGROUND = 18
"""Number of what no part covers; there is no file of it."""

GROUPS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "eyes": (1, 2, 3, 4, 5),
        "nose": (9,),
        "mouth_area": (10, 11, 12),
        "ears": (6, 7, 8),
        "face": (0, 1, 2, 3, 4, 9, 10, 11, 12),
        "accessories": (5, 8, 14, 17),
    }
)
"""The six groups of the regional study and the part numbers of each. They overlap on purpose:
glasses (5) and earrings (8) stand in two, so shares of groups need not add up to 1. The group of
the nose is the part ``nose``; that of the mouth is called ``mouth_area`` because ``mouth`` is the
part between the lips."""
GROUP_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "eyes": "Eyes",
        "nose": "Nose",
        "mouth_area": "Mouth",
        "ears": "Ears",
        "face": "Face",
        "accessories": "Accessories",
    }
)
"""What tables print for a group."""

NUMBERS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        **{name: (number,) for number, name in enumerate(PARTS)},
        "background": (BACKGROUND,),
        **GROUPS,
    }
)
"""Region -> the part numbers that it joins: 18 parts, the background, the groups."""

FEATURES: Mapping[str, str] = MappingProxyType(
    {
        "hair": "hair",
        "eye": "brows_eyes",
        "mouth": "mouth_area",
        "neck": "neck",
        "nose": "nose",
        "skin": "skin",
        "cloth": "cloth",
    }
)
"""The seven features that Explanation Alignment ranks, and the region of each. Only one is no part
or group: brows and eyes without the glasses."""
FEATURE_NUMBERS: Mapping[str, tuple[int, ...]] = MappingProxyType({"brows_eyes": (1, 2, 3, 4)})
"""Regions that are there with ``features`` alone."""

ATTRIBUTES = (
    "5_o_Clock_Shadow",
    "Arched_Eyebrows",
    "Attractive",
    "Bags_Under_Eyes",
    "Bald",
    "Bangs",
    "Big_Lips",
    "Big_Nose",
    "Black_Hair",
    "Blond_Hair",
    "Blurry",
    "Brown_Hair",
    "Bushy_Eyebrows",
    "Chubby",
    "Double_Chin",
    "Eyeglasses",
    "Goatee",
    "Gray_Hair",
    "Heavy_Makeup",
    "High_Cheekbones",
    "Male",
    "Mouth_Slightly_Open",
    "Mustache",
    "Narrow_Eyes",
    "No_Beard",
    "Oval_Face",
    "Pale_Skin",
    "Pointy_Nose",
    "Receding_Hairline",
    "Rosy_Cheeks",
    "Sideburns",
    "Smiling",
    "Straight_Hair",
    "Wavy_Hair",
    "Wearing_Earrings",
    "Wearing_Hat",
    "Wearing_Lipstick",
    "Wearing_Necklace",
    "Wearing_Necktie",
    "Young",
)
"""The 40 attributes of CelebA, in the order of its file."""


def region_names(first: str = "face", *, features: bool = False) -> tuple[str, ...]:
    """Return the 24 regions, the default one first: parts by number, background, groups.

    With ``features`` those of ``FEATURE_NUMBERS`` stand at the end.

    Raises
    ------
    ConfigError
        When ``first`` is none of them.

    >>> region_names()[:3], len(region_names())
    (('face', 'skin', 'l_brow'), 24)
    """
    if first not in NUMBERS:
        raise unknown("region", first, NUMBERS, where="faces, option region")
    more = FEATURE_NUMBERS if features else ()
    return (first, *(name for name in NUMBERS if name != first), *more)


def compose(masks: Iterable[tuple[int, Mask]], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Return the label map uint8 (H, W) of masks (number, bool (H, W)); 18 where there is none.

    Later numbers overwrite earlier ones, whatever order the masks come in.

    >>> eye, glasses = np.array([[1, 1, 0]], bool), np.array([[0, 1, 0]], bool)
    >>> compose([(5, glasses), (3, eye)], (1, 3)).tolist()
    [[3, 5, 18]]
    """
    labels = np.full(size, BACKGROUND, np.uint8)
    for number, mask in sorted(masks, key=lambda item: item[0]):
        labels[mask] = number
    return labels


def regions_of(labels: npt.NDArray[np.uint8], names: Iterable[str]) -> dict[str, Mask]:
    """Return the named regions of a label map uint8 (H, W): bool (H, W); absent parts are empty.

    >>> regions = regions_of(np.array([[3, 5, 18]], np.uint8), ("eyes", "hat", "background"))
    >>> {name: mask.astype(int).tolist() for name, mask in regions.items()}
    {'eyes': [[1, 1, 0]], 'hat': [[0, 0, 0]], 'background': [[0, 0, 1]]}
    """
    found = {}
    for name in names:
        table = np.zeros(256, np.bool_)
        table[list(NUMBERS[name] if name in NUMBERS else FEATURE_NUMBERS[name])] = True
        found[name] = table[labels]
    return found
