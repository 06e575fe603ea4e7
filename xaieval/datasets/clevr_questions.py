"""Questions about sort-of-CLEVR's scenes: their words, answers, and the objects these depend on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xaieval.datasets.clevr_scene import COLOURS, SHAPES, Scene, Thing

ANSWERS = ("yes", "no", *SHAPES, *(str(n) for n in range(1, len(COLOURS) + 1)))
"""The classes, in this order."""

Answer = tuple[str, tuple[Thing, ...]]
"""An answer and the objects from which it is read."""


@dataclass(frozen=True)
class Kind:
    """One kind of question: asked of each colour.

    ``relational``: the answer depends on objects that the question does not name.
    """

    id: str
    text: str
    relational: bool
    answer: Callable[[Thing, Scene], Answer]


def _others(thing: Thing, scene: Scene) -> list[Thing]:
    return sorted((it for it in scene if it is not thing), key=thing.distance)


def _alike(thing: Thing, scene: Scene) -> Answer:
    same = tuple(it for it in scene if it.shape == thing.shape)
    return str(len(same)), same


def _shape_of(thing: Thing) -> Answer:
    return thing.shape, (thing,)


def _said(thing: Thing, holds: bool) -> Answer:
    return "yes" if holds else "no", (thing,)


KINDS: Mapping[str, Kind] = {
    kind.id: kind
    for kind in (
        Kind("shape", "what shape is the {} object", False, lambda it, _: _shape_of(it)),
        Kind("left", "is the {} object on the left", False, lambda it, _: _said(it, it.x < 0.5)),
        Kind("top", "is the {} object at the top", False, lambda it, _: _said(it, it.y < 0.5)),
        Kind(
            "nearest",
            "what shape is the object nearest to the {} object",
            True,
            lambda it, scene: _shape_of(_others(it, scene)[0]),
        ),
        Kind(
            "furthest",
            "what shape is the object furthest from the {} object",
            True,
            lambda it, scene: _shape_of(_others(it, scene)[-1]),
        ),
        Kind("alike", "how many objects have the shape of the {} object", True, _alike),
    )
}
_FIXED = [word for kind in KINDS.values() for word in kind.text.split() if word != "{}"]
WORDS = ("", *dict.fromkeys(_FIXED), *COLOURS)
"""A word's place is its number; 0 pads a question at its end."""
LENGTH = max(len(kind.text.split()) for kind in KINDS.values())
"""Words of the longest question."""

_NUMBER = {word: number for number, word in enumerate(WORDS)}


def encode(text: str) -> npt.NDArray[np.int64]:
    """Return the word numbers of a question, int64 (LENGTH,), zeros at its end.

    >>> encode("is the red object on the left")[-2:].tolist()
    [0, 0]
    """
    numbers = np.zeros(LENGTH, np.int64)
    words = text.split()
    numbers[: len(words)] = [_NUMBER[word] for word in words]
    return numbers
