"""Eyes, brows, nose, mouth and glasses of a drawn face."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from xaieval.datasets.face_canvas import Canvas, Field, box, ellipse
from xaieval.datasets.face_parts import PARTS
from xaieval.datasets.face_traits import Person

L_BROW, R_BROW, L_EYE, R_EYE, GLASSES = (
    PARTS.index(name) for name in ("l_brow", "r_brow", "l_eye", "r_eye", "eye_g")
)
NOSE, MOUTH, U_LIP, L_LIP = (PARTS.index(name) for name in ("nose", "mouth", "u_lip", "l_lip"))

EYE_Y, BROW_Y = -0.10, -0.33
EYE_HALF_WIDTH = 0.165


def shift(person: Person, depth: float) -> tuple[float, float]:
    """Return how far a feature moves as the head turns and nods; depth is its height above it."""
    return (
        depth * math.sin(math.radians(person.yaw)),
        depth * math.sin(math.radians(person.pitch)),
    )


def eyes(canvas: Canvas, person: Person, *, narrow: bool) -> None:
    """Paint both eyes: white, iris, pupil, a glint, and the line of lashes."""
    dx, dy = shift(person, 0.30)
    half = 0.040 if narrow else 0.086
    white = np.array([0.95, 0.94, 0.93], np.float32)
    for part, side in ((L_EYE, -1), (R_EYE, 1)):
        cx, cy = side * person.eye_gap + dx, EYE_Y + dy
        window = canvas.window(cx - 0.2, cx + 0.2, cy - 0.11, cy + 0.11)
        x, y = window.x - np.float32(cx), window.y - np.float32(cy)
        u, v = x / np.float32(EYE_HALF_WIDTH), y / np.float32(half)
        lid = 1 - u * u
        distance = np.maximum((np.abs(v) - lid) * half, (np.abs(u) - 1) * EYE_HALF_WIDTH)
        away = ellipse(x - np.float32(0.25 * dx), y, 0.078, 0.078)
        iris = canvas.cover(away)[:, :, None]
        pupil = canvas.cover(away + np.float32(0.042))[:, :, None]
        lash = np.clip((-v - lid) * half * 40 + 1.0, 0, 1)[:, :, None]  # 0.025 below the lid
        glint = canvas.cover(ellipse(x + np.float32(0.02), y + np.float32(0.025), 0.022, 0.022))
        colour = white * (1 - 0.25 * np.abs(u))[:, :, None]
        colour = colour + iris * (np.array(person.iris, np.float32) - colour)
        colour = colour * (1 - 0.9 * pupil)
        colour = colour + 0.85 * glint[:, :, None] * (1 - colour)
        colour = colour + lash * (np.array([0.10, 0.07, 0.06], np.float32) - colour)
        canvas.paint(part, window, canvas.cover(np.asarray(distance, np.float32)), colour)


def brows(canvas: Canvas, person: Person, *, arched: bool, bushy: bool) -> None:
    """Paint both brows: straight or arched, thin or bushy."""
    dx, dy = shift(person, 0.32)
    half = 0.058 if bushy else 0.027
    arch = 0.105 if arched else 0.012
    for part, side in ((L_BROW, -1), (R_BROW, 1)):
        cx, cy = side * (person.eye_gap + 0.01) + dx, BROW_Y + dy + 0.35 * arch
        window = canvas.window(cx - 0.25, cx + 0.25, cy - 0.2, cy + 0.12)
        t = (window.x - np.float32(cx)) * np.float32(side / 0.21)  # -1 at the nose, 1 outside
        middle = cy - arch * (1.25 - 1.1 * (t - 0.12) ** 2)
        thick = half * np.clip(1.05 - 0.45 * t * t - 0.25 * t, 0.2, None)
        distance = np.maximum(np.abs(window.y - middle) - thick, (np.abs(t) - 1) * 0.21)
        hairs = 1 + 0.30 * np.sin(130 * (window.x + side * 0.7 * window.y))
        colour = hairs[:, :, None] * np.array(person.brow, np.float32)
        cover = canvas.cover(np.asarray(distance, np.float32))
        canvas.paint(part, window, cover, np.asarray(colour, np.float32))


def nose(canvas: Canvas, person: Person, skin: Field, shade: Field, *, big: bool) -> None:
    """Paint the nose: bridge, lit ridge, shaded sides, nostrils."""
    dx, dy = shift(person, 0.46)
    half = 0.215 if big else 0.125
    top, bottom = -0.10 + dy, 0.30 + dy
    window = canvas.window(dx - 0.3, dx + 0.3, top - 0.05, bottom + 0.08)
    x, y = window.x, window.y
    t = np.clip((y - top) / (bottom - top), 0, 1)
    middle = dx * (0.65 + 0.35 * t)
    across = x - middle
    width = 0.05 + (half - 0.05) * t**1.7
    bridge = np.maximum(np.abs(across) - width, np.maximum(top - y, y - bottom + 0.08))
    tip = ellipse(np.asarray(across, np.float32), y - np.float32(bottom - 0.08), half, 0.10)
    distance = np.asarray(np.minimum(bridge, tip), np.float32)
    u = across / np.maximum(width, 0.05)
    own = shade[window.rows, window.columns] * (1 - 0.05 * t)
    own = own + (0.05 + 0.10 * t) * np.exp(-((u / 0.38) ** 2))
    own = own - (0.07 + 0.20 * t) * np.clip(np.abs(u) - 0.35, 0, 1) * (0.75 + t)
    own = own + 0.09 * person.light[0] * np.clip(u, -1, 1)
    colour = own[:, :, None] * skin
    for side in (-1, 1):
        hole = ellipse(
            np.asarray(across - side * 0.48 * half, np.float32),
            y - np.float32(bottom - 0.015),
            0.24 * half + 0.012,
            0.028,
        )
        dark = 0.75 * canvas.cover(hole)[:, :, None]
        colour = colour * (1 - dark)
    canvas.paint(NOSE, window, canvas.cover(distance), np.asarray(colour, np.float32))


def mouth(canvas: Canvas, person: Person, attributes: Mapping[str, bool]) -> None:
    """Paint the lips, and between them, where the mouth is open, teeth above the dark."""
    dx, dy = shift(person, 0.34)
    smiling, slightly_open = attributes["Smiling"], attributes["Mouth_Slightly_Open"]
    half = 0.315 if smiling else 0.225
    lift = -0.115 if smiling else 0.012
    gap = 0.062 if slightly_open else 0.0
    full = 1.65 if attributes["Big_Lips"] else 1.0
    cy = person.mouth_y + dy - 0.3 * lift
    window = canvas.window(dx - 0.36, dx + 0.36, cy - 0.24, cy + 0.26)
    x, y = window.x - np.float32(dx), window.y
    u = x / np.float32(half)
    arch = np.clip(1 - u * u, 0, 1)
    line = cy + lift * u * u
    opening = gap * np.sqrt(arch)
    bow = 1 - 0.30 * np.exp(-((x / 0.045) ** 2))
    upper = full * 0.052 * arch**0.6 * bow
    lower = full * 0.070 * arch**0.55
    ends = (np.abs(u) - 1) * half

    def band(top: Field, bottom: Field) -> Field:
        return canvas.cover(np.asarray(np.maximum(np.maximum(top - y, y - bottom), ends)))

    tint = person.lipstick if attributes["Wearing_Lipstick"] else person.lips
    base = np.array(tint, np.float32)
    seam = 1 - 0.55 * np.exp(-(((y - line) / 0.018) ** 2)) if not slightly_open else 1.0
    high = (0.86 - 0.10 * np.abs(u)) * seam
    low = (1.0 + 0.16 * np.exp(-(((y - line - opening - 0.45 * lower) / 0.025) ** 2))) * seam
    # Both lips at once: between two that meet, half covered pixels would let skin through.
    top, bottom = line - opening - upper, line + opening + lower
    canvas.paint(U_LIP, window, band(top, bottom), _of(high, base))
    if slightly_open:
        teeth = canvas.cover(np.asarray(y - (line + 0.25 * opening), np.float32))[:, :, None]
        dark = np.array([0.24, 0.06, 0.07], np.float32)
        inside = dark + teeth * (np.array([0.94, 0.92, 0.88], np.float32) - dark)
        canvas.paint(MOUTH, window, band(line - opening, line + opening), inside)
    canvas.paint(L_LIP, window, band(line + opening, bottom), _of(low, base))


def glasses(canvas: Canvas, person: Person) -> None:
    """Paint the frames: two rims, the bridge, the temples; nothing in place of the lenses."""
    dx, dy = shift(person, 0.36)
    cy = EYE_Y + dy
    rim = 0.034
    window = canvas.window(-0.85, 0.85, cy - 0.26, cy + 0.26)
    x, y = window.x, window.y - np.float32(cy)
    distance = np.full(x.shape, 9, np.float32)
    for side in (-1, 1):
        out = x - np.float32(side * (person.eye_gap + 0.005) + dx)
        if person.round_frames:
            lens = ellipse(out, y, 0.225, 0.185)
        else:
            lens = box(out, y, 0.235, 0.155, 0.07)
        distance = np.minimum(distance, np.abs(lens) - np.float32(rim))
        outer = side * (person.eye_gap + 0.23) + dx
        edge = side * (person.width + 0.01)
        along = np.abs(x - np.float32((outer + edge) / 2)) - np.float32(abs(edge - outer) / 2)
        temple = np.maximum(along, np.abs(y + np.float32(0.05)) - np.float32(0.026))
        distance = np.minimum(distance, temple)
    bridge = np.maximum(
        np.abs(x - np.float32(dx)) - np.float32(person.eye_gap - 0.21),
        np.abs(y + np.float32(0.045)) - np.float32(0.026),
    )
    distance = np.minimum(distance, bridge)
    shine = 1 + 0.5 * np.exp(-(((y + 0.14) / 0.05) ** 2))
    canvas.paint(GLASSES, window, canvas.cover(distance), _of(shine, np.array(person.frame)))


def _of(shade: object, colour: object) -> Field:
    return np.asarray(
        np.asarray(shade, np.float32)[..., None] * np.asarray(colour, np.float32), np.float32
    )
