"""What makes a drawn face: attributes, the parts that decide them, and what is left to chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from xaieval.datasets.face_parts import ATTRIBUTES
from xaieval.digest import rng
from xaieval.errors import ConfigError, unknown

VERSION = 1
"""Raised by hand whenever the same options give other faces; part of digests."""

_HAIR = ("hair",)
_MOUTH = ("mouth", "u_lip", "l_lip")
_LIPS = ("u_lip", "l_lip")
_BROWS = ("l_brow", "r_brow")
ATTRIBUTE_REGIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Arched_Eyebrows": _BROWS,
        "Bangs": _HAIR,
        "Big_Lips": _LIPS,
        "Big_Nose": ("nose",),
        "Black_Hair": _HAIR,
        "Blond_Hair": _HAIR,
        "Brown_Hair": _HAIR,
        "Bushy_Eyebrows": _BROWS,
        "Eyeglasses": ("eye_g",),
        "Gray_Hair": _HAIR,
        "Mouth_Slightly_Open": _MOUTH,
        "Narrow_Eyes": ("l_eye", "r_eye"),
        "Pale_Skin": ("skin", "nose", "neck", "l_ear", "r_ear"),
        "Rosy_Cheeks": ("skin",),
        "Smiling": _MOUTH,
        "Wearing_Earrings": ("ear_r",),
        "Wearing_Hat": ("hat",),
        "Wearing_Lipstick": _LIPS,
        "Wearing_Necklace": ("neck_l",),
        "Wearing_Necktie": ("cloth",),
    }
)
"""Attribute -> the parts that alone differ between a face with it and the same face without it
(and what they cover or uncover, where a part changes its shape)."""
VARIED = tuple(ATTRIBUTE_REGIONS)
"""The attributes that the generator varies; the other twenty are -1 in every face."""
HAIR_COLOURS = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair")
"""Attributes of which a face has exactly one."""


@dataclass(frozen=True)
class Confound:
    """Two attributes that agree (both present, or both absent) in a share of the faces."""

    attribute: str
    other: str
    rate: float

    def __post_init__(self) -> None:
        where = "synthetic-faces, option confound"
        for name in (self.attribute, self.other):
            if name not in VARIED:
                raise unknown("attribute", name, VARIED, where=where)
        pair = {self.attribute, self.other}
        if len(pair) == 1 or pair <= set(HAIR_COLOURS):
            raise ConfigError(
                "these two cannot be tied",
                where=where,
                expected="two attributes that can both be present",
                got=f"{self.attribute} and {self.other}",
            )
        rate = self.rate
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
            raise ConfigError("bad rate", where=where, expected="0 to 1", got=rate)

    @classmethod
    def of(cls, value: object) -> Confound | None:
        """Return a confound from ``(attribute, other, rate)``; None stays None.

        Raises
        ------
        ConfigError
            When it is anything else.
        """
        if value is None or isinstance(value, Confound):
            return value
        if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 3:
            raise ConfigError(
                "bad confound",
                where="synthetic-faces, option confound",
                expected='two attributes and a rate, as ["Smiling", "Blond_Hair", 0.95]',
                got=value,
            )
        return cls(str(value[0]), str(value[1]), value[2])

    @classmethod
    def parse(cls, text: str) -> Confound:
        """Return a confound from ``attribute:other:rate``.

        Raises
        ------
        ConfigError
            When it is anything else.

        >>> Confound.parse("Smiling:Blond_Hair:0.95")
        Confound(attribute='Smiling', other='Blond_Hair', rate=0.95)
        """
        words = text.split(":")
        try:
            attribute, other, rate = words[0], words[1], float(":".join(words[2:]))
        except (IndexError, ValueError):
            raise ConfigError(
                "bad confound", expected="A:B:RATE, as Smiling:Blond_Hair:0.95", got=text
            ) from None
        return cls(attribute, other, rate)


def draw_attributes(
    *, seed: int, index: int, confound: Confound | None = None
) -> Mapping[str, bool]:
    """Return the varied attributes of a face, each present in half of the faces.

    They are independent of each other, with two exceptions: of the hair colours exactly one is
    present (blond in half of the faces, black, brown or grey in a sixth each), and with a
    confound its second attribute copies the first at the confound's rate.
    """
    r = rng("synthetic-faces", VERSION, seed, index, "attributes")
    coins = dict(zip(VARIED, (r.random(len(VARIED)) < 0.5).tolist(), strict=True))
    dark = HAIR_COLOURS[:1] + HAIR_COLOURS[2:]
    colour = dark[int(r.integers(len(dark)))]
    agrees = bool(r.random() < confound.rate) if confound else False
    if confound is not None:
        first, second = confound.attribute, confound.other
        if first in HAIR_COLOURS:  # the colour follows the other attribute
            first, second = second, first
        if second in HAIR_COLOURS:
            return {**coins, **_hair(second, coins[first] == agrees, colour)}
        coins[second] = coins[first] == agrees
    return {**coins, **_hair("Blond_Hair", coins["Blond_Hair"], colour)}


def _hair(name: str, present: bool, otherwise: str) -> dict[str, bool]:
    """Return the four hair colours: the named one if present, else one of the others."""
    if otherwise == name:
        otherwise = "Blond_Hair"
    chosen = name if present else otherwise
    return {colour: colour == chosen for colour in HAIR_COLOURS}


def with_attributes(base: Mapping[str, bool], changed: Mapping[str, bool]) -> Mapping[str, bool]:
    """Return attributes with some of them changed; hair colours stay exactly one.

    Raises
    ------
    ConfigError
        For an attribute that is not varied.
    """
    found = dict(base)
    for name, present in changed.items():
        if name not in VARIED:
            raise unknown("attribute", name, VARIED, where="synthetic-faces")
        if name in HAIR_COLOURS:
            now = next(colour for colour in HAIR_COLOURS if found[colour])
            other = "Brown_Hair" if name != "Brown_Hair" else "Black_Hair"
            found.update(_hair(name, bool(present), now if now != name else other))
        found[name] = bool(present)
    return found


def row(attributes: Mapping[str, bool]) -> list[bool]:
    """Return all 40 attributes of CelebA in the order of its file."""
    return [attributes.get(name, False) for name in ATTRIBUTES]


Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Person:
    """Everything about a face that its attributes do not decide; drawn without looking at them.

    Lengths are in head units (1 is about the distance from the nose's root to the chin), angles
    in degrees, colours sRGB in [0, 1].
    """

    yaw: float
    pitch: float
    roll: float
    centre: tuple[float, float]
    scale: float
    width: float
    eye_gap: float
    mouth_y: float
    length: float
    hairline: float
    parting: float
    waves: float
    light: tuple[float, float]
    tone: float
    warmth: float
    hair_jitter: Colour
    brow: Colour
    iris: Colour
    lips: Colour
    lipstick: Colour
    frame: Colour
    metal: Colour
    hat: Colour
    cloth: Colour
    tie: Colour
    ground: tuple[Colour, Colour]
    stripes: float
    round_frames: bool
    brimmed: bool
    gain: Colour


def draw_person(seed: int, index: int) -> Person:
    """Return what is left to chance in a face; equal arguments give an equal person."""
    r = rng("synthetic-faces", VERSION, seed, index, "person")

    def between(low: float, high: float) -> float:
        return float(r.uniform(low, high))

    def jitter(colour: Colour, by: float) -> Colour:
        red, green, blue = np.clip(np.array(colour) + r.uniform(-by, by, 3), 0.02, 0.98).tolist()
        return red, green, blue

    def muted(low: float, high: float) -> Colour:
        red, green, blue = np.clip(between(low, high) + r.normal(0, 0.075, 3), 0.05, 0.95).tolist()
        return red, green, blue

    def one_of(colours: Sequence[Colour], by: float = 0.05) -> Colour:
        return jitter(colours[int(r.integers(len(colours)))], by)

    def angle(spread: float, most: float) -> float:
        return float(np.clip(r.normal(0, spread), -most, most))

    turn = between(-0.6, 0.6) * math.pi
    return Person(
        yaw=angle(9, 20),
        pitch=angle(5, 11),
        roll=angle(4, 9),
        centre=(between(-0.06, 0.06), between(-0.13, -0.05)),
        scale=between(0.555, 0.62),
        width=between(0.66, 0.76),
        eye_gap=between(0.285, 0.325),
        mouth_y=between(0.54, 0.59),
        length=(0.25, 0.95, 1.55)[int(r.integers(3))] + between(-0.1, 0.1),
        hairline=between(-0.70, -0.62),
        parting=between(-1, 1),
        waves=between(0, 0.05),
        light=(math.sin(turn), between(-0.6, 0.1)),
        tone=between(0, 1),
        warmth=between(-1, 1),
        hair_jitter=jitter((0.5, 0.5, 0.5), 0.025),
        brow=one_of([(0.22, 0.15, 0.11), (0.14, 0.10, 0.09), (0.32, 0.22, 0.15)], 0.03),
        iris=one_of([(0.28, 0.17, 0.09), (0.25, 0.42, 0.55), (0.30, 0.42, 0.26)]),
        lips=one_of([(0.70, 0.46, 0.42), (0.62, 0.40, 0.35), (0.72, 0.50, 0.48)], 0.03),
        lipstick=one_of([(0.78, 0.08, 0.14), (0.58, 0.07, 0.28), (0.86, 0.20, 0.20)], 0.04),
        frame=one_of([(0.08, 0.08, 0.09), (0.30, 0.15, 0.08), (0.50, 0.08, 0.10)], 0.04),
        metal=one_of([(0.93, 0.76, 0.26), (0.82, 0.84, 0.88)], 0.03),
        hat=one_of([(0.70, 0.16, 0.14), (0.16, 0.28, 0.52), (0.20, 0.42, 0.30),
                    (0.78, 0.62, 0.30), (0.30, 0.28, 0.30)]),
        cloth=one_of([(0.20, 0.26, 0.42), (0.50, 0.18, 0.22), (0.24, 0.40, 0.36),
                      (0.80, 0.78, 0.74), (0.30, 0.30, 0.33), (0.62, 0.50, 0.36)]),
        tie=one_of([(0.64, 0.10, 0.12), (0.12, 0.20, 0.56), (0.86, 0.66, 0.16)]),
        ground=(muted(0.25, 0.85), muted(0.20, 0.75)),
        stripes=between(0, 1),
        round_frames=bool(r.random() < 0.5),
        brimmed=bool(r.random() < 0.5),
        gain=(between(0.95, 1.05), between(0.97, 1.03), between(0.94, 1.06)),
    )  # fmt: skip
