"""Draw a face whose every pixel is known to belong to one of the parts of CelebAMask-HQ.

Parts are painted back to front; a pixel is the part's that covers at least half of it last.
Nothing that an attribute decides reaches beyond its parts: no shadow, no blur, no colour. So the
same face with and without an attribute differs only where that part is, or was (and in the
pixels along its edge, which are mixed).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import PIL.Image

from xaieval.datasets.face_canvas import Canvas, Field, ellipse
from xaieval.datasets.face_features import brows, eyes, glasses, mouth, nose
from xaieval.datasets.face_hair import Strands, hair_behind, hair_in_front, hat
from xaieval.datasets.face_parts import PARTS
from xaieval.datasets.face_traits import VERSION, Person, draw_person
from xaieval.digest import rng
from xaieval.types import Image, Mask

SKIN, L_EAR, R_EAR, EARRING = (PARTS.index(name) for name in ("skin", "l_ear", "r_ear", "ear_r"))
NECK, NECKLACE, CLOTH = (PARTS.index(name) for name in ("neck", "neck_l", "cloth"))
_FACE = tuple(PARTS.index(name) for name in ("l_brow", "r_brow", "l_eye", "r_eye", "eye_g", "nose",
                                             "mouth", "u_lip", "l_lip"))  # fmt: skip


@dataclass(frozen=True, eq=False)
class Drawn:
    """A face: uint8 (S, S, 3), the number of each pixel's part uint8 (S, S), and who it is."""

    image: Image
    labels: npt.NDArray[np.uint8]
    person: Person

    def masks(self) -> dict[str, Mask]:
        """Return the mask of each part that is there, as annotators draw them.

        The skin goes on beneath brows, eyes, glasses, nose and lips; composed in the order of
        their numbers, later over earlier, the masks give ``labels``.
        """
        found = {}
        for number, name in enumerate(PARTS):
            mask = self.labels == number
            if number == SKIN:
                mask |= np.isin(self.labels, _FACE)
            if mask.any():
                found[name] = mask
        return found


def render_face(*, size: int, seed: int, index: int, attributes: Mapping[str, bool]) -> Drawn:
    """Draw one face.

    Parameters
    ----------
    size : int
        Side of the square picture (px), at least 32.
    seed, index : int
        They decide everything random; nothing depends on the attributes or on other faces.
    attributes : mapping name -> bool
        Every name of ``face_traits.VARIED``.
    """
    person = draw_person(seed, index)
    r = rng("synthetic-faces", VERSION, seed, index, "texture")
    canvas = Canvas(size, centre=person.centre, scale=person.scale, roll=person.roll)
    strands = Strands(r)
    skin = skin_colour(person, pale=attributes["Pale_Skin"])
    _ground(canvas, person, r)
    _cloth(canvas, person, r)
    hair_behind(canvas, person, attributes, strands)
    if attributes["Wearing_Necktie"]:
        _tie(canvas, person)
    _neck(canvas, person, skin, necklace=attributes["Wearing_Necklace"])
    _ears(canvas, person, skin, earrings=attributes["Wearing_Earrings"])
    shade = _head(canvas, person, skin, rosy=attributes["Rosy_Cheeks"])
    eyes(canvas, person, narrow=attributes["Narrow_Eyes"])
    brows(
        canvas,
        person,
        arched=attributes["Arched_Eyebrows"],
        bushy=attributes["Bushy_Eyebrows"],
    )
    nose(canvas, person, skin, shade, big=attributes["Big_Nose"])
    mouth(canvas, person, attributes)
    if attributes["Eyeglasses"]:
        glasses(canvas, person)
    hair_in_front(canvas, person, attributes, strands)
    if attributes["Wearing_Hat"]:
        hat(canvas, person, strands)
    return Drawn(_developed(canvas, person, r), canvas.labels, person)


def skin_colour(person: Person, *, pale: bool) -> Field:
    """Return the skin's sRGB colour: pale, or from tan to dark brown."""
    if pale:
        low, high = (0.90, 0.77, 0.69), (0.94, 0.83, 0.76)
    else:
        low, high = (0.42, 0.28, 0.20), (0.80, 0.58, 0.44)
    mixed = np.array(low) + person.tone * (np.array(high) - np.array(low))
    return np.asarray(mixed + person.warmth * np.array([0.012, 0.0, -0.015]), np.float32)


def _ground(canvas: Canvas, person: Person, r: np.random.Generator) -> None:
    """Paint a blurred room: a gradient of two colours, soft patches, now and then bars."""
    size = canvas.size
    first, second = (np.array(colour, np.float32) for colour in person.ground)
    line = np.linspace(0, 1, size, dtype=np.float32)
    slope = np.float32(person.light[0] * 0.5)
    t = np.clip(0.5 + slope * (line[None, :] - 0.5) + (line[:, None] - 0.5), 0, 1)
    patches = r.standard_normal((6, 6, 3)).astype(np.float32)
    soft = np.stack(
        [
            np.asarray(
                PIL.Image.fromarray(patches[:, :, k]).resize(
                    (size, size), PIL.Image.Resampling.BICUBIC
                )
            )
            for k in range(3)
        ],
        axis=2,
    )
    soft = 0.02 * soft + 0.09 * soft.mean(axis=2, keepdims=True)
    canvas.colour[:] = first + t[:, :, None] * (second - first) + soft
    if person.stripes > 0.6:
        bars = np.sin(line * np.float32(math.pi * (4 + 10 * person.stripes)) + person.parting)
        canvas.colour += (0.05 * np.tanh(3 * bars))[None, :, None].astype(np.float32)


def _cloth(canvas: Canvas, person: Person, r: np.random.Generator) -> None:
    window = canvas.all(body=True)
    x, y = window.x, window.y
    top = 1.17 + 0.10 * np.abs(x) + 0.22 * x * x
    cover = canvas.cover(np.asarray(top - y, np.float32))
    fold = 0.10 * np.sin(9 * x + 5 * person.parting + 3 * y) * np.clip(np.abs(x), 0, 1)
    weave = r.standard_normal((canvas.size, canvas.size), dtype=np.float32) * np.float32(0.02)
    shade = 1 + fold + 0.25 * person.light[0] * np.clip(x, -1, 1) + weave
    if person.stripes < 0.35:
        shade = shade - 0.16 * (np.sin(34 * y) > 0.3)
    canvas.paint(CLOTH, window, cover, _times(person.cloth, shade))


def _tie(canvas: Canvas, person: Person) -> None:
    """Paint a tie over the cloth: a knot below the neck, widening downwards."""
    window = canvas.all(body=True)
    x, y = window.x, window.y
    half = np.where(y < 1.50, 0.085 - 0.15 * np.abs(y - 1.43), 0.055 + 0.16 * (y - 1.50))
    band = canvas.cover(np.asarray(np.maximum(np.abs(x) - half, 1.36 - y), np.float32))
    stripes = 1 - 0.35 * (np.sin(46 * (y + 0.8 * x)) > 0.2)
    canvas.paint(CLOTH, window, band, _times(person.tie, stripes))


def _neck(canvas: Canvas, person: Person, skin: Field, *, necklace: bool) -> None:
    window = canvas.all(body=True)
    x, y = window.x, window.y
    column = np.maximum(np.abs(x) - (0.31 + 0.06 * np.clip(y - 0.8, 0, 1)), y - 1.2)
    throat = np.minimum(column, ellipse(x, y - np.float32(1.16), 0.40, 0.22))
    distance = np.asarray(np.maximum(throat, 0.3 - y), np.float32)
    cover = canvas.cover(distance)
    under_chin = np.exp(-(((y - 0.95) / 0.22) ** 2))
    shade = 0.90 - 0.26 * under_chin + 0.30 * person.light[0] * x
    canvas.paint(NECK, window, cover, _times(skin, shade))
    if necklace:
        hang = 1.13 + 0.155 * (1 - (x / 0.36) ** 2)
        chain = np.abs(y - hang) - np.where(np.abs(x) < 0.37, 0.024, -1.0)
        pendant = ellipse(x, y - np.float32(1.30), 0.05, 0.065)
        worn = np.maximum(np.minimum(chain, pendant), distance)
        beads = 0.80 + 0.30 * np.cos(x * np.float32(2 * math.pi / 0.075))
        canvas.paint(
            NECKLACE,
            window,
            canvas.cover(np.asarray(worn, np.float32)),
            _times(person.metal, beads),
        )


def _ears(canvas: Canvas, person: Person, skin: Field, *, earrings: bool) -> None:
    away = math.sin(math.radians(person.yaw))
    for part, side in ((L_EAR, -1), (R_EAR, 1)):
        cx = side * (person.width + 0.02) - 0.10 * away
        window = canvas.window(cx - 0.22, cx + 0.22, -0.25, 0.65)
        x, y = window.x - np.float32(cx), window.y
        shape = ellipse(x, y - np.float32(0.02), 0.115, 0.21)
        inner = np.exp(-((x / 0.06) ** 2) - ((y - 0.0) / 0.12) ** 2)
        shade = 0.92 - 0.30 * inner + 0.18 * person.light[0] * side
        canvas.paint(part, window, canvas.cover(shape), _times(skin, shade))
        if earrings:
            out = x - np.float32(side * 0.035)
            stud = ellipse(out, y - np.float32(0.25), 0.052, 0.052)
            drop = ellipse(out, y - np.float32(0.41), 0.062, 0.105)
            shine = 0.78 + 0.5 * np.exp(-(((out + 0.02) / 0.03) ** 2) - ((y - 0.38) / 0.05) ** 2)
            canvas.paint(
                EARRING, window, canvas.cover(np.minimum(stud, drop)), _times(person.metal, shine)
            )


def _head(canvas: Canvas, person: Person, skin: Field, *, rosy: bool) -> Field:
    """Paint the skin of the face; return its shading (S, S)."""
    window = canvas.all()
    x, y = window.x, window.y
    jaw = np.clip(y, 0, 1.1)
    shape = ellipse(x / (1 - 0.20 * jaw * jaw), y, person.width, 1.0)
    u, v = x / np.float32(person.width), np.clip(y, -1.1, 1.1)
    depth = np.sqrt(np.clip(1 - 0.8 * u * u - 0.5 * v * v, 0.05, 1))
    yaw = math.sin(math.radians(person.yaw))
    light = 0.42 * (person.light[0] - 0.5 * yaw) * u + 0.30 * person.light[1] * v
    shade = np.asarray(0.66 + 0.36 * depth + 0.55 * light, np.float32)
    for side in (-1, 1):  # eye sockets
        at = (x - np.float32(side * person.eye_gap - 0.30 * yaw), y + np.float32(0.12))
        shade -= np.float32(0.10) * np.exp(-((at[0] / 0.21) ** 2) - (at[1] / 0.16) ** 2)
    colour = _times(skin, shade)
    if rosy:
        for side in (-1, 1):
            at = (x - np.float32(side * 0.40 - 0.25 * yaw), y - np.float32(0.24))
            glow = 0.50 * np.exp(-((at[0] / 0.17) ** 2) - (at[1] / 0.14) ** 2)
            colour += glow[:, :, None] * (np.array([0.88, 0.34, 0.36], np.float32) - colour)
    canvas.paint(SKIN, window, canvas.cover(shape), colour)
    return np.asarray(shade, np.float32)


def _developed(canvas: Canvas, person: Person, r: np.random.Generator) -> Image:
    """Return the picture: light from one side, the camera's colour balance and noise."""
    size = canvas.size
    line = np.linspace(-1, 1, size, dtype=np.float32)
    fall = 1 + 0.10 * person.light[0] * line[None, :] + 0.08 * person.light[1] * line[:, None]
    picture = canvas.colour * np.array(person.gain, np.float32) * fall[:, :, None]
    noise = r.standard_normal((size, size, 3), dtype=np.float32)
    picture += np.float32(0.014) * noise
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def _times(colour: object, shade: object) -> Field:
    return np.asarray(
        np.asarray(shade, np.float32)[..., None] * np.asarray(colour, np.float32), np.float32
    )
