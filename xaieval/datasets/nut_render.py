"""Rendering one hazelnut: a lit, textured body on dark ground, with one defect or none.

Grain, fibres and defects are a height field as well as a colour, so the light draws their edges.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from xaieval.datasets.nut_defects import REACH, SHAPES, signed_distance
from xaieval.datasets.nut_surface import (
    Body,
    Field,
    Vector,
    grid,
    linear,
    look_up,
    make_body,
    mix,
    noise_grid,
    shell,
    smoothstep,
    unit,
)
from xaieval.digest import rng
from xaieval.types import Image, Mask

AREA = (0.006, 0.045)
"""Least and largest share of the picture that a defect covers."""


@dataclass(frozen=True)
class Rendered:
    """Picture uint8 (S, S, 3) and the exact masks bool (S, S) of defect and marker."""

    image: Image
    defect: Mask
    marker: Mask


def _shaded(body: Body, albedo: Field, height: Field, light: Vector, gloss: Field) -> Field:
    """Light the nut: wrapped key light, cool fill, ground bounce, a broad and a small highlight."""
    gy, gx = np.gradient(height * np.float32(body.radius_px))
    normal = body.normal.copy()
    normal[0] -= gx
    normal[1] -= gy
    normal /= np.maximum(np.sqrt((normal**2).sum(0)), 1e-6)
    key = np.clip((np.tensordot(light, normal, 1) + 0.12) / 1.12, 0, None)
    fill = np.clip(np.tensordot(unit(0.8, 0.1, 0.5), normal, 1), 0, None)
    sky = 0.5 - 0.5 * normal[1]
    depth = np.clip(body.normal[2], 0, 1)
    occlusion = 0.35 + 0.65 * depth**0.55
    tint = np.array([1.0, 0.965, 0.90], np.float32)[:, None, None]
    cool = np.array([0.80, 0.92, 1.0], np.float32)[:, None, None]
    lit = 1.30 * key * tint + (0.10 * fill + 0.16 * sky) * cool + 0.04
    half = unit(light[0], light[1], light[2] + 1)
    facing = np.clip(np.tensordot(half, normal, 1), 0, 1)
    # Powers by squaring: facing**16 and facing**64 without pow.
    sheen = facing
    for _ in range(4):
        sheen = sheen * sheen
    glint = (sheen * sheen) ** 2
    fresnel = (1 - depth) ** 4
    return np.asarray(
        albedo * lit * occlusion
        + (gloss * (0.085 * sheen + 0.10 * glint) + 0.035 * fresnel * (0.3 + sky)) * occlusion,
        np.float32,
    )


def _place(r: np.random.Generator, label: str) -> tuple[Vector, Vector, Vector]:
    """Choose where on the visible side a defect sits: its centre and two tangent directions."""
    reach, angle = REACH[label] * math.sqrt(r.random()), r.uniform(0, 2 * math.pi)
    x, y = reach * math.cos(angle), reach * math.sin(angle)
    centre = unit(x, y, math.sqrt(1 - x * x - y * y))
    right = unit(centre[2], 0.0, -centre[0])
    down = np.cross(centre, right).astype(np.float32)
    return centre, right, down


def _damage(
    r: np.random.Generator,
    label: str,
    body: Body,
    albedo: Field,
    height: Field,
    light: Vector,
) -> tuple[Field, Field, Mask, Field, Field]:
    """Return albedo, height, mask, and factors of light and gloss (S, S) with the defect added."""
    size = body.inside.shape[0]
    centre, right, down = _place(r, label)
    shape = SHAPES[label](r)
    near = body.inside & (np.tensordot(centre, body.normal, 1) > 0.55)
    u = np.tensordot(right, body.normal[:, near], 1).astype(np.float32)
    v = np.tensordot(down, body.normal[:, near], 1).astype(np.float32)
    signed = np.full((size, size), 1.0, np.float32)
    signed[near] = signed_distance(
        shape, u, v, pixel_area=1 / size**2, lowest=AREA[0], highest=AREA[1]
    )
    mask = signed < 0
    pixel = np.float32(1 / body.radius_px)
    cover = np.clip(0.5 - signed / pixel, 0, 1)  # antialiased coverage of the whole defect
    speckle = gaussian_filter(r.standard_normal((size, size), dtype=np.float32), size / 160)
    speckle = speckle / np.float32(speckle.std())
    gy, gx = np.gradient(gaussian_filter(signed, max(0.6, size / 240)))
    slope = np.maximum(np.hypot(gx, gy), 1e-6)
    # +1 where the wall inside the defect looks towards the light, -1 where it looks away.
    facing = -(gx * light[0] + gy * light[1]) / (slope * math.hypot(light[0], light[1]))
    factor = np.ones((size, size), np.float32)
    if label in ("crack", "hole"):
        rim = 0.016 if label == "crack" else 0.030
        core = smoothstep(-0.25 * rim, -rim, signed)
        broken = linear(0.80, 0.64, 0.44)
        lit = np.clip(0.30 + 0.75 * facing + 0.10 * speckle, 0, 1).astype(np.float32)
        albedo = mix(albedo, mix(linear(0.20, 0.11, 0.06), broken, lit), cover)
        depth = smoothstep(-rim, -rim * (2.2 if label == "crack" else 5.0), signed)
        inner = mix(linear(0.23, 0.125, 0.065), linear(0.055, 0.035, 0.03), depth)
        if label == "hole":
            wall = np.clip(facing, 0, 1) ** 2 * (1 - depth) * (0.8 + 0.2 * speckle)
            inner = mix(inner, linear(0.50, 0.33, 0.19), np.clip(wall, 0, 1).astype(np.float32))
        albedo = mix(albedo, inner, core)
        factor = factor * (1 - 0.45 * core * depth)
        height = height * (1 - cover) - 0.012 * core
    elif label == "cut":
        flesh = np.clip(0.62 + 0.16 * speckle + 0.30 * facing, 0, 1).astype(np.float32)
        albedo = mix(albedo, mix(linear(0.60, 0.44, 0.27), linear(0.93, 0.83, 0.66), flesh), cover)
        groove = smoothstep(-0.012, -0.030, signed) * smoothstep(0.75, 0.2, slope)
        albedo = albedo * (1 - 0.55 * groove)
        height = height * (1 - cover) - 0.010 * cover
    else:
        worn = np.clip(0.86 + 0.16 * speckle, 0.35, 1).astype(np.float32)
        albedo = mix(albedo, linear(0.87, 0.86, 0.83), (cover * worn).astype(np.float32))
    dull = np.ones_like(cover) if label == "print" else 1 - cover
    return albedo, np.asarray(height, np.float32), mask, factor, np.asarray(dull, np.float32)


def _ground(r: np.random.Generator, body: Body, light: Vector) -> Field:
    """Dark cloth under a falling light, with the nut's soft shadow on it; linear (3, S, S)."""
    size = body.inside.shape[0]
    y, x = grid(size)
    grain = r.standard_normal((size, size), dtype=np.float32)
    fine = gaussian_filter(grain, size / 260) * (size / 96)
    cloud = look_up(noise_grid(r, 7, 7, (0.8, 0.8)), y * 0.4 + 0.5, x * 0.4 + 0.5)
    level = r.uniform(0.9, 1.25)
    pool = np.exp(-(((x + 0.35 * -light[0]) ** 2 + (y + 0.35 * -light[1]) ** 2) / 2.6))
    base = linear(0.215 + r.uniform(-0.015, 0.015), 0.21, 0.225 + r.uniform(-0.015, 0.02))
    cloth = base[:, None, None] * level * (0.35 + 0.75 * pool) * (1 + 0.10 * fine + 0.07 * cloud)
    shift = (-light[1] * 0.16 * body.radius_px, -light[0] * 0.16 * body.radius_px)
    shadow = _shifted(body.alpha, shift)
    soft = gaussian_filter(shadow, 0.11 * body.radius_px)
    contact = gaussian_filter(body.alpha, 0.045 * body.radius_px)
    return np.asarray(cloth * (1 - 0.72 * soft) * (1 - 0.45 * contact), np.float32)


def _shifted(field: Field, shift: tuple[float, float]) -> Field:
    """Move a field by whole pixels (y, x), the border repeated."""
    size = field.shape[0]
    rows = np.clip(np.arange(size) - round(shift[0]), 0, size - 1)
    columns = np.clip(np.arange(size) - round(shift[1]), 0, size - 1)
    return field[np.ix_(rows, columns)]


def _tag(r: np.random.Generator, size: int) -> tuple[Field, Field]:
    """A turned paper tag in the upper right corner: coverage (S, S) and linear colour (3, S, S)."""
    y, x = grid(size)
    cx, cy = 0.84 + r.uniform(-0.03, 0.03), -0.84 + r.uniform(-0.03, 0.03)
    turn = r.uniform(-0.35, 0.35)
    u = (x - cx) * math.cos(turn) + (y - cy) * math.sin(turn)
    v = (y - cy) * math.cos(turn) - (x - cx) * math.sin(turn)
    edge = np.maximum(np.abs(u) - 0.10, np.abs(v) - 0.075) * np.float32(size / 2)
    colour = linear(0.10, 0.56, 0.78) * (0.75 + 0.2 * (0.84 - x) - 0.15 * v)[:, :, None]
    line = np.abs(np.abs(v) - 0.025) * (size / 2) < 0.6
    line &= np.abs(u) < 0.07
    ink = np.where(line[:, :, None], 0.35, 1.0)
    return np.clip(0.5 - edge, 0, 1).astype(np.float32), (colour * ink).transpose(2, 0, 1).astype(
        np.float32
    )


def render(
    *, size: int, label: str, index: int, seed: int, marker: bool = False, intact: bool = False
) -> Rendered:
    """Draw one nut.

    Parameters
    ----------
    size : int
        Side of the square picture (px).
    label : str
        ``good`` or a key of ``SHAPES``.
    index, seed : int
        With ``label`` they decide everything random; nothing depends on what was drawn before.
    marker : bool
        Put a coloured tag into the corner.
    intact : bool
        Leave the defect out (same nut, same light, same noise): for tests and teaching.
    """
    r = rng("synthetic-hazelnut", seed, label, index, "nut")
    body = make_body(r, size)
    albedo, height = shell(r, body)
    turn = math.radians(r.uniform(-150, -105))
    light = unit(0.62 * math.cos(turn), 0.62 * math.sin(turn), r.uniform(0.68, 0.85))
    defect = np.zeros((size, size), bool)
    factor = sheen = np.ones((size, size), np.float32)
    if label in SHAPES and not intact:
        albedo, height, defect, factor, sheen = _damage(
            rng("synthetic-hazelnut", seed, label, index, "defect"),
            label, body, albedo, height, light,
        )  # fmt: skip
    nut = _shaded(body, albedo, height, light, sheen * np.float32(r.uniform(0.6, 1.2))) * factor
    scene = mix(_ground(r, body, light), nut, body.alpha)
    tagged = np.zeros((size, size), bool)
    if marker:
        cover, colour = _tag(rng("synthetic-hazelnut", seed, label, index, "tag"), size)
        shade = _shifted(gaussian_filter(cover, size / 90), (size / 80, size / 110))
        scene = mix(scene * (1 - 0.5 * shade), colour, cover)
        tagged = cover >= 0.5
    scene = scene * np.float32(r.uniform(0.92, 1.10))
    scene = gaussian_filter(scene, (0, size / 420, size / 420))
    picture = np.clip(scene, 0, 1) ** np.float32(1 / 2.2)
    noise = r.standard_normal((3, size, size), dtype=np.float32)
    noise = 0.6 * noise + 0.8 * noise[:1]
    picture = picture + noise * (0.006 + 0.007 * np.sqrt(picture))
    image = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    return Rendered(np.ascontiguousarray(image), defect, tagged)
