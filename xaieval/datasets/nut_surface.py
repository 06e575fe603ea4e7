"""A hazelnut's body and shell: geometry per pixel, colour and relief of a sound nut.

The nut is a ball behind a nut-shaped outline. Texture lives in the nut's own coordinates (angle
from the tip, angle about the axis), so fibres run from the tip to the scar at any pose.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from xaieval.types import Mask

Field = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Body:
    """The nut's geometry per pixel; unit vectors in image space (x right, y down, z to the eye)."""

    radius_px: float
    alpha: Field  # coverage of the nut, 0 to 1
    inside: Mask
    normal: Field  # (3, S, S)
    latitude: Field  # angle from the tip, 0 to pi
    longitude: Field  # -pi to pi
    pole: tuple[Field, Field]  # flat coordinates about the axis


def unit(*values: float) -> Vector:
    vector = np.array(values, np.float32)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def smoothstep(low: float, high: float, x: Field) -> Field:
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def noise_grid(r: np.random.Generator, rows: int, columns: int, blur: tuple[float, float]) -> Field:
    """Return smooth noise of mean 0 and deviation 1; columns wrap around."""
    grid = r.standard_normal((rows, columns), dtype=np.float32)
    grid = gaussian_filter1d(grid, blur[0], axis=0, mode="reflect")
    grid = gaussian_filter1d(grid, blur[1], axis=1, mode="wrap")
    return np.asarray((grid - grid.mean()) / grid.std(), np.float32)


def look_up(grid: Field, row: Field, column: Field) -> Field:
    """Sample a grid bilinearly at row, column in [0, 1); columns wrap, rows stop at the edge."""
    rows, columns = grid.shape
    y = np.clip(row, 0, 1) * np.float32(rows - 1)
    x = (column % 1.0) * np.float32(columns)
    y0 = np.minimum(y.astype(np.int32), rows - 2)
    x0 = x.astype(np.int32) % columns
    fy, fx = y - y0, x - np.floor(x)
    flat, x1 = grid.ravel(), (x0 + 1) % columns
    top = flat[y0 * columns + x0] * (1 - fx) + flat[y0 * columns + x1] * fx
    low = flat[(y0 + 1) * columns + x0] * (1 - fx) + flat[(y0 + 1) * columns + x1] * fx
    return np.asarray(top * (1 - fy) + low * fy, np.float32)


def grid(size: int) -> tuple[Field, Field]:
    line = (np.arange(size, dtype=np.float32) + 0.5) * np.float32(2 / size) - 1
    y, x = np.meshgrid(line, line, indexing="ij")
    return y, x


def make_body(r: np.random.Generator, size: int) -> Body:
    y, x = grid(size)
    radius = r.uniform(0.62, 0.74)
    cx, cy = r.uniform(-0.09, 0.09, 2)
    spin, lift = r.uniform(-math.pi, math.pi), r.uniform(-0.75, 0.8)
    flat = math.cos(lift)
    axis = unit(math.cos(spin) * flat, math.sin(spin) * flat, math.sin(lift))
    u, v = (x - np.float32(cx)) / np.float32(radius), (y - np.float32(cy)) / np.float32(radius)
    # The outline: longer along the axis, a point at the tip, flatter at the scar, a little uneven.
    turn = np.arctan2(v, u) - np.float32(spin)
    turn = (turn + np.pi) % (2 * np.pi) - np.pi
    back = np.pi - np.abs(turn)
    long, point, dent = r.uniform(0.02, 0.075), r.uniform(0.05, 0.13), r.uniform(0.03, 0.08)
    outline = 1 + flat * (
        long * np.cos(2 * turn)
        + point * np.exp(-((turn / r.uniform(0.28, 0.45)) ** 2))
        - dent * np.exp(-((back / 0.6) ** 2))
    )
    for k in (2, 3, 5):
        outline += r.uniform(-0.014, 0.014) * np.cos(k * turn + r.uniform(0, 6.28))
    rho = np.hypot(u, v) / outline
    edge_px = (1 - rho) * np.float32(radius * size / 2)
    inside = rho < 1
    z = np.sqrt(np.maximum(1 - rho**2, 0))
    scale = 1 / np.maximum(outline, 0.5)
    normal = np.stack([u * scale, v * scale, z]).astype(np.float32)
    normal /= np.maximum(np.sqrt((normal**2).sum(0)), 1e-6)
    side = unit(-math.sin(spin), math.cos(spin), 0.0)
    third = np.cross(axis, side).astype(np.float32)
    along = np.tensordot(axis, normal, 1)
    first, second = np.tensordot(side, normal, 1), np.tensordot(third, normal, 1)
    return Body(
        radius_px=radius * size / 2,
        alpha=np.clip(edge_px + 0.5, 0, 1).astype(np.float32),
        inside=inside,
        normal=normal,
        latitude=np.arccos(np.clip(along, -1, 1)).astype(np.float32),
        longitude=np.arctan2(second, first).astype(np.float32),
        pole=(first.astype(np.float32), second.astype(np.float32)),
    )


def mix(low: Field | Vector, high: Field | Vector, share: Field) -> Field:
    low = low[:, None, None] if low.ndim == 1 else low
    high = high[:, None, None] if high.ndim == 1 else high
    return np.asarray(low + (high - low) * share, np.float32)


def linear(*srgb: float) -> Vector:
    return np.asarray(np.array(srgb, np.float32) ** 2.2, np.float32)


def shell(r: np.random.Generator, body: Body) -> tuple[Field, Field]:
    """Return albedo (3, S, S), linear, and height (S, S) in nut radii."""
    row, column = body.latitude / np.float32(np.pi), body.longitude / np.float32(2 * np.pi)
    wave = look_up(noise_grid(r, 10, 14, (1.0, 1.0)), row, column)
    column = column + np.float32(0.010) * wave
    broad = look_up(noise_grid(r, 8, 16, (0.8, 1.0)), row, column)
    bands = look_up(noise_grid(r, 14, 72, (1.6, 0.9)), row, column)
    fibres = look_up(noise_grid(r, 40, 300, (2.2, 0.6)), row, column)
    pores = look_up(noise_grid(r, 110, 330, (1.1, 0.5)), row, column)
    blotch = look_up(noise_grid(r, 34, 48, (0.9, 0.9)), row, column)
    # Fibres crowd together at the poles: they fade there instead of turning into a star.
    calm = np.clip(np.sin(body.latitude) * 1.5, 0.15, 1)

    shade = r.uniform(-0.10, 0.10)
    tone: Field = np.asarray(
        0.52 + shade + 0.10 * broad + 0.07 * blotch + calm * (0.15 * bands + 0.10 * fibres),
        np.float32,
    )
    warm = r.uniform(-0.02, 0.02)
    dark = linear(0.30 + warm, 0.155, 0.065)
    middle = linear(0.575 + warm, 0.335, 0.150 - warm)
    pale = linear(0.80, 0.575 - warm, 0.335 - warm)
    albedo = mix(dark, middle, smoothstep(0.0, 0.62, tone))
    albedo = mix(albedo, pale, smoothstep(0.58, 1.15, tone))
    pits = smoothstep(1.25, 2.3, -pores) * calm
    albedo = np.asarray(albedo * (1 - 0.45 * pits), np.float32)

    # The tip: pale fuzz. The scar (hilum): rough, pale, with a ragged dark rim.
    fuzz = np.exp(-((body.latitude / r.uniform(0.24, 0.36)) ** 2)) * (0.55 + 0.12 * blotch)
    albedo = mix(albedo, linear(0.74, 0.63, 0.49), np.clip(fuzz, 0, 0.8).astype(np.float32))
    first, second = body.pole[0] * 0.5 + 0.5, body.pole[1] * 0.5 + 0.5
    rough = look_up(noise_grid(r, 90, 90, (0.8, 0.8)), first, second)
    coarse = look_up(noise_grid(r, 24, 24, (0.8, 0.8)), first, second)
    ragged = np.float32(math.pi - r.uniform(0.62, 0.86)) + 0.045 * coarse + 0.03 * bands
    beyond = body.latitude - ragged
    scar = smoothstep(0.0, 0.07, beyond)
    scar_tone = np.clip(0.55 + 0.20 * rough + 0.16 * coarse, 0, 1).astype(np.float32)
    albedo = mix(albedo, mix(linear(0.50, 0.37, 0.24), linear(0.77, 0.65, 0.49), scar_tone), scar)
    albedo = albedo * (1 - 0.42 * np.exp(-(((beyond - 0.005) / 0.035) ** 2)))

    height = calm * (0.0035 * bands + 0.0022 * fibres) - 0.004 * pits + 0.004 * broad
    height = height * (1 - scar) + scar * (0.006 * rough + 0.008 * coarse - 0.012)
    return albedo, np.asarray(height, np.float32)
