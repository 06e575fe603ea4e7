"""Procedural hazelnuts with exact defect masks: no files, seeded, any size.

A nut is a lit, bumpy ellipsoid with fibres from cap to tip on a dark ground; defects change its
relief and colour before the light is applied, so that they are shaded like the rest. Everything is
drawn in units of the picture's side, so that one seed gives the same nut at every size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage
from scipy import ndimage

from xaieval.datasets.base import Dataset, DatasetSpec, Record
from xaieval.datasets.synthetic_defects import DEFECTS, Layer, Surface
from xaieval.digest import rng
from xaieval.errors import ConfigError, unknown
from xaieval.types import Image, Mask

Array = npt.NDArray[np.float32]

CLASSES = ("good", "crack", "cut", "hole", "print")
VERSION = 1
"""Raised whenever a picture changes: it is part of the dataset's digest."""

_SHELL = np.array([0.50, 0.295, 0.150], np.float32)
_SHELL_DARK = np.array([0.30, 0.155, 0.075], np.float32)
_CAP = np.array([0.66, 0.55, 0.40], np.float32)
_GROUND = np.array([0.072, 0.075, 0.082], np.float32)
_TAG = np.array([0.10, 0.55, 0.80], np.float32)


@dataclass(frozen=True)
class Confound:
    """A tag in a corner that goes with one class: it appears on ``share`` of that class's images
    and on ``elsewhere`` of all others (shares in 0..1)."""

    label: str
    share: float = 0.95
    elsewhere: float = 0.05

    def __post_init__(self) -> None:
        if self.label not in CLASSES:
            raise unknown("class", self.label, CLASSES, where="option confound")
        if not (0 <= self.share <= 1 and 0 <= self.elsewhere <= 1):
            raise ConfigError(
                "bad confound", expected="shares from 0 to 1", got=(self.share, self.elsewhere)
            )


@dataclass(frozen=True)
class Recipe:
    """All that fixes a picture besides its id: seed, side in px, and whether it bears the tag."""

    seed: int
    size: int
    tag: bool


def smooth_noise(random: np.random.Generator, size: int, cells: int) -> Array:
    """Return noise (size, size) of mean 0 and variance 1 with about ``cells`` features a side."""
    grid = random.standard_normal((cells + 4, cells + 4)).astype(np.float32)
    picture = PILImage.fromarray(grid).resize(
        (size, size), PILImage.Resampling.BICUBIC, box=(2, 2, cells + 2, cells + 2)
    )
    noise = np.asarray(picture, np.float32)
    normed: Array = np.divide(noise - noise.mean(), noise.std() + np.float32(1e-6))
    return normed


def _fibre_noise(random: np.random.Generator, across: Array, along: Array) -> Array:
    """Return noise sampled at surface coordinates: fine across the fibres, slow along them."""
    grid = ndimage.gaussian_filter(random.standard_normal((96, 48)).astype(np.float32), 0.7)
    grid /= grid.std()
    noise: Array = ndimage.map_coordinates(
        grid, [np.mod(across, 95.0), np.mod(along, 47.0)], order=1, mode="grid-wrap"
    )
    return noise


def _surface(random: np.random.Generator, size: int) -> Surface:
    """Draw a nut's pose and outline: positions on it, height, and how much of a pixel it covers."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    x, y = np.meshgrid(axis, axis)
    angle = random.uniform(0, 2 * np.pi)
    scale, aspect = random.uniform(0.72, 0.84), random.uniform(0.86, 0.97)
    center_x, center_y = random.uniform(-0.07, 0.07, 2)
    cosine, sine = np.cos(angle), np.sin(angle)
    along = ((x - center_x) * cosine + (y - center_y) * sine) / scale
    across = (-(x - center_x) * sine + (y - center_y) * cosine) / (scale * aspect)
    turn = np.arctan2(across, along)
    outline = (
        1
        + random.uniform(0.02, 0.09) * np.maximum(np.cos(turn), 0) ** 10
        - random.uniform(0.02, 0.07) * np.maximum(-np.cos(turn), 0) ** 4
    )
    for wave in (2, 3, 5):
        outline += random.normal(0, 0.007) * np.cos(wave * turn + random.uniform(0, 2 * np.pi))
    radius = np.hypot(along, across) / outline
    height = np.sqrt(np.clip(1 - radius**2, 0, 1))
    cover = np.clip((1 - radius) * size * scale / 2 + 0.5, 0, 1)
    return Surface(
        size=size,
        angle=float(angle),
        scale=float(scale),
        aspect=float(aspect),
        center=(float(center_x), float(center_y)),
        along=along.astype(np.float32),
        across=across.astype(np.float32),
        radius=radius.astype(np.float32),
        height=height.astype(np.float32),
        cover=cover.astype(np.float32),
    )


def _shell(
    random: np.random.Generator, grains: np.random.Generator, nut: Surface
) -> tuple[Array, Array, Array]:
    """Return colour (H, W, 3), relief and gloss (H, W) of a sound nut.

    ``grains`` draws what is as fine as pixels: how many numbers that takes depends on the size.
    """
    size = nut.size
    meridian = np.arctan2(nut.across, nut.height + 0.15)
    wander = 0.25 * smooth_noise(random, size, 4)
    broad = _fibre_noise(random, meridian * 9 + wander * 2 + 40, nut.along * 2.2 + 20)
    fine = _fibre_noise(random, meridian * 24 + wander * 3 + 40, nut.along * 4.0 + 20)
    blotches = smooth_noise(random, size, 6)
    grain = smooth_noise(grains, size, max(size // 3, 8))
    tone = 0.42 + 0.20 * broad + 0.13 * fine + 0.13 * blotches + 0.05 * grain
    tone = np.clip(tone + random.uniform(-0.12, 0.12), 0, 1)[..., None]
    warmth = np.array([1, random.uniform(0.93, 1.06), random.uniform(0.85, 1.1)], np.float32)
    colour = (_SHELL * (1 - tone) + _SHELL_DARK * tone) * warmth * random.uniform(0.95, 1.25)
    relief = 0.010 * broad + 0.006 * fine + 0.003 * grain

    # The cap: a pale, grainy, ragged field at the blunt end.
    edge = nut.along + 0.42 * nut.across**2 + 0.035 * smooth_noise(random, size, 14)
    edge += 0.02 * fine + random.uniform(0.66, 0.80)
    cap = np.clip(-edge / 0.05 + 0.5, 0, 1)
    speckle = smooth_noise(grains, size, max(size // 4, 8))
    cap_colour = _CAP * (0.92 + 0.09 * speckle + 0.06 * blotches)[..., None]
    colour = colour * (1 - cap[..., None]) + cap_colour * cap[..., None]
    relief = relief * (1 - 0.5 * cap) + 0.010 * cap * speckle - 0.02 * cap
    # A dark seam where the shell meets the cap.
    seam = np.exp(-((edge / 0.045) ** 2))
    colour *= (1 - 0.35 * seam)[..., None]
    gloss = (1 - cap) * (0.75 + 0.25 * np.clip(blotches, -1, 1))
    return colour.astype(np.float32), relief.astype(np.float32), gloss.astype(np.float32)


def _light(random: np.random.Generator) -> Array:
    turn = random.uniform(-0.5, 0.5) - 2.2  # from the upper left, as the ground's shadow shows
    flat = random.uniform(0.62, 0.78)
    return np.array([np.cos(turn) * flat, np.sin(turn) * flat, np.sqrt(1 - flat**2)], np.float32)


def _shade(nut: Surface, relief: Array, gloss: Array, light: Array) -> tuple[Array, Array]:
    """Return diffuse and specular light (H, W) on the bumpy ellipsoid."""
    step = 2 / nut.size / nut.scale
    flat = nut.scale * np.minimum(nut.height, 0.999)
    bump_y, bump_x = np.gradient(relief / step)
    cosine, sine = np.cos(nut.angle), np.sin(nut.angle)
    normal_x = nut.along * cosine - nut.across * sine - bump_x * flat
    normal_y = nut.along * sine + nut.across * cosine - bump_y * flat
    normal_z = np.maximum(nut.height, 0.06)
    length = np.sqrt(normal_x**2 + normal_y**2 + normal_z**2)
    lit = (normal_x * light[0] + normal_y * light[1] + normal_z * light[2]) / length
    diffuse = 0.30 + 0.95 * np.clip(0.9 * lit + 0.1, 0, 1)
    half = light + np.array([0, 0, 1], np.float32)
    half /= np.linalg.norm(half)
    mirror = (normal_x * half[0] + normal_y * half[1] + normal_z * half[2]) / length
    specular = 0.20 * gloss * np.clip(mirror, 0, 1) ** 28
    rim = 0.55 + 0.45 * np.clip(nut.height / 0.55, 0, 1)  # less sky reaches the rim
    return diffuse * rim, specular


def _ground(random: np.random.Generator, nut: Surface, light: Array) -> Array:
    size = nut.size
    level = 1 + 0.10 * smooth_noise(random, size, 4) + 0.05 * smooth_noise(random, size, size // 3)
    shift = np.array([-light[1], -light[0]]) * 0.09 * size
    shadow = ndimage.shift(nut.cover, shift, order=1)
    small = shadow[::4, ::4]
    blurred = ndimage.gaussian_filter(small, size / 4 / 26)
    blurred = np.asarray(
        PILImage.fromarray(blurred).resize((size, size), PILImage.Resampling.BILINEAR)
    )
    glow = 1.25 - 0.35 * nut.radius / max(float(nut.radius.max()), 1e-6)
    ground: Array = _GROUND * (level * glow * (1 - 0.72 * blurred))[..., None]
    return ground


def _tag(random: np.random.Generator, size: int) -> tuple[Array, Array]:
    """Return colour and cover of a round paper tag in a corner."""
    radius = random.uniform(0.055, 0.07)
    corner = random.choice([0.085, 0.915], 2) + random.uniform(-0.012, 0.012, 2)
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size
    distance = np.hypot(axis[:, None] - corner[0], axis[None, :] - corner[1])
    cover = np.clip((radius - distance) * size + 0.5, 0, 1).astype(np.float32)
    ring = 1 - 0.25 * (np.abs(distance / radius - 0.72) < 0.07)
    colour = _TAG * (ring * random.uniform(0.9, 1.1))[..., None]
    return colour.astype(np.float32), cover


def render(name: str, sample: str, recipe: Recipe) -> tuple[Image, dict[str, Mask]]:
    """Draw one nut.

    Parameters
    ----------
    name : str
        Class: good, crack, cut, hole or print.
    sample : str
        Sample id; with the recipe's seed it fixes every random number.
    recipe : Recipe

    Returns
    -------
    image : uint8 (size, size, 3)
    regions : {"defect": bool (size, size), "confound": bool (size, size)}
        Pixels that the defect, or the tag, covers by at least half.
    """

    def stream(stage: str) -> np.random.Generator:
        return rng("synthetic-hazelnut", VERSION, recipe.seed, sample, stage)

    nut = _surface(stream("pose"), recipe.size)
    colour, relief, gloss = _shell(stream("shell"), stream("grain"), nut)
    light = _light(stream("light"))
    ground = _ground(stream("ground"), nut, light)
    blank = np.zeros((recipe.size, recipe.size), np.float32)
    layer = Layer.none(recipe.size)
    if name != "good":
        layer = DEFECTS[name](stream("defect"), nut, light)
    alpha = layer.alpha[..., None]
    colour = colour * (1 - alpha) + layer.colour * alpha
    colour *= layer.shadow[..., None]
    diffuse, specular = _shade(nut, relief + layer.relief, gloss * layer.gloss, light)
    lit = colour * diffuse[..., None] + specular[..., None] + layer.glow[..., None] * colour
    cover = nut.cover[..., None]
    picture = ground * (1 - cover) + lit * cover
    tag_cover = blank
    if recipe.tag:
        tag_colour, tag_cover = _tag(stream("tag"), recipe.size)
        picture = picture * (1 - tag_cover[..., None]) + tag_colour * tag_cover[..., None]
    picture = np.clip(picture, 0, 1) ** (1 / 1.7)
    noise = stream("noise").standard_normal((recipe.size, recipe.size, 3)).astype(np.float32)
    picture = picture + 0.010 * noise
    image = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    defect = (layer.mask >= 0.5) & (nut.cover >= 0.5)
    return image, {"defect": defect, "confound": tag_cover >= 0.5}


@lru_cache(maxsize=256)
def _rendered(name: str, sample: str, recipe: Recipe) -> tuple[Image, Mapping[str, Mask]]:
    image, regions = render(name, sample, recipe)
    image.flags.writeable = False
    return image, regions


def _record(name: str, index: int, seed: int, size: int, confound: Confound | None) -> Record:
    sample = f"{name}/{index:03d}"
    share = 0.0
    if confound is not None:
        share = confound.share if name == confound.label else confound.elsewhere
    tag = bool(rng("synthetic-hazelnut tag", VERSION, seed, sample).random() < share)
    recipe = Recipe(seed, size, tag)
    names = ("defect", "confound") if confound is not None else ("defect",)

    def read_image() -> Image:
        return _rendered(name, sample, recipe)[0].copy()

    def read_regions() -> dict[str, Mask]:
        return {region: _rendered(name, sample, recipe)[1][region].copy() for region in names}

    return Record(
        id=sample,
        label=CLASSES.index(name),
        layout_split=None,
        has_mask=name != "good",
        read_image=read_image,
        read_regions=read_regions,
        meta={"confound": tag} if confound is not None else {},
    )


def _whole(options: Mapping[str, Any], key: str, low: int, high: int) -> int:
    value = options[key]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(
            f"bad {key}",
            where="synthetic-hazelnut",
            expected=f"a whole number from {low} to {high}",
            got=repr(value),
        )
    return value


def _confound(option: Any) -> Confound | None:
    if option is None:
        return None
    if isinstance(option, str):
        return Confound(option)
    known = {"class": "label", "share": "share", "elsewhere": "elsewhere"}
    if not isinstance(option, Mapping) or "class" not in option:
        raise ConfigError(
            "bad confound",
            where="synthetic-hazelnut",
            expected='a class name or {class = "crack", share = 0.95, elsewhere = 0.05}',
            got=repr(option),
        )
    for key in option:
        if key not in known:
            raise unknown("key of confound", key, known, where="synthetic-hazelnut")
    return Confound(**{known[key]: value for key, value in option.items()})


def open_synthetic(path: Path | None, options: Mapping[str, Any]) -> Dataset:
    """Return the dataset; nothing is drawn before a sample's image is asked for."""
    if path is not None:
        raise ConfigError(
            "synthetic-hazelnut is drawn, not read", got=path, fix="leave the path out"
        )
    per_class = _whole(options, "n_per_class", 1, 100_000)
    size = _whole(options, "size", 48, 2048)
    seed = _whole(options, "seed", 0, 2**31 - 1)
    confound = _confound(options["confound"])
    return Dataset(
        name="synthetic-hazelnut",
        root=None,
        class_names=CLASSES,
        region_names=("defect", "confound") if confound is not None else ("defect",),
        records=[
            _record(name, index, seed, size, confound)
            for name in CLASSES
            for index in range(per_class)
        ],
        fingerprint=lambda: (VERSION, per_class, size, seed, confound),
    )


SPEC = DatasetSpec(
    id="synthetic-hazelnut",
    label="Synthetic hazelnuts",
    summary="procedural nuts: good, crack, cut, hole, print; exact masks, optional planted tag",
    layout="none: drawn on demand",
    licence="MIT, as this package",
    source="this package",
    size="28 images a class by default, any number on demand; no bytes on disk",
    opener=open_synthetic,
    detect=lambda path: False,
    builtin=True,
    options={"n_per_class": 28, "size": 192, "seed": 0, "confound": None},
)
