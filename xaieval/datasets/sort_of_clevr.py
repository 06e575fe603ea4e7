"""Sort-of-CLEVR: questions about drawn scenes, with the exact masks of what they are about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from xaieval.datasets.base import Dataset, DatasetSpec, LayoutSplit, Record
from xaieval.datasets.clevr_questions import ANSWERS, KINDS, Kind, encode
from xaieval.datasets.clevr_scene import COLOURS, VERSION, Scene, draw_scene, make_scene
from xaieval.datasets.whole_numbers import whole
from xaieval.digest import rng
from xaieval.errors import ConfigError, unknown
from xaieval.types import Image, Mask

REGIONS = ("target", "named", "all_objects")
ASKED = ("all", "non-relational", "relational")
OPTIONS: Mapping[str, Any] = {
    "n_images": 200,
    "size": 75,
    "seed": 0,
    "questions": "all",
    "per_image": 20,
    "test_share": 0.2,
}
_WHERE = "sort-of-clevr"

_drawn = lru_cache(maxsize=512)(draw_scene)  # a picture is asked for once per question


def _image(scene: Scene, size: int) -> Image:
    return _drawn(scene, size)[0].copy()


def _regions(scene: Scene, size: int, kind: str, colour: str) -> dict[str, Mask]:
    masks = _drawn(scene, size)[1]
    named = next(thing for thing in scene if thing.colour == colour)
    _, read = KINDS[kind].answer(named, scene)
    wanted = {"target": read, "named": (named,), "all_objects": scene}
    return {
        region: np.logical_or.reduce([masks[thing.colour] for thing in wanted[region]])
        for region in REGIONS
    }


def _checked(options: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(options)
    limits = {"n_images": (1, 1_000_000), "size": (24, 1024), "per_image": (1, 36)}
    limits["seed"] = (0, 2**63 - 1)
    for key, (low, high) in limits.items():
        whole(found[key], key, low, high, dataset=_WHERE)
    if found["questions"] not in ASKED:
        raise unknown("kind of questions", found["questions"], ASKED, where=_WHERE)
    share = found["test_share"]
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
        raise ConfigError(
            "bad test_share",
            where=f"{_WHERE}, option test_share",
            expected="0 to below 1",
            got=share,
        )
    return found


def _asked(kinds: list[Kind], count: int, index: int, seed: int) -> Iterator[tuple[Kind, str]]:
    """Choose the questions of a scene: so many of all kinds and colours, at random."""
    pairs = [(kind, colour) for kind in kinds for colour in COLOURS]
    chosen = rng(_WHERE, "questions", VERSION, seed, index).permutation(len(pairs))[:count]
    return (pairs[place] for place in sorted(chosen.tolist()))


def open_sort_of_clevr(path: Path | None, options: Mapping[str, Any]) -> Dataset:
    """Return the dataset; nothing is drawn before it is asked for, nothing is read from disk.

    A sample is a question about a scene of six objects, one of each colour, square or round; its
    second input is the question's word numbers, int64 (10,), its class the answer: yes, no,
    square, circle, 1 to 6. Questions are of six kinds, three of which (nearest, furthest, how many
    alike) need objects that the question does not name.

    Options
    -------
    n_images : int
        Scenes.
    size : int, 24 to 1024
        Side of the square pictures (px); 75 in the source.
    seed : int
        Another seed draws other scenes.
    questions : "all", "non-relational" or "relational"
    per_image : int
        Questions of each scene, drawn from its 36 (18 of one sort) without repetition.
    test_share : float, 0 to below 1
        The last scenes, with all their questions, are the test split.

    Regions: ``target``, the objects from which the answer is read; ``named``, the object that the
    question names; ``all_objects``.

    Source: Santoro et al., A simple neural network module for relational reasoning, NeurIPS 2017,
    section 3.2; ground truths after Arras et al., CLEVR-XAI, Information Fusion 81, 2022.

    Raises
    ------
    ConfigError
        For a value out of range or an unknown kind of questions.
    """
    found = _checked(options)
    n, size, seed = found["n_images"], found["size"], found["seed"]
    kinds = [
        kind
        for kind in KINDS.values()
        if found["questions"] in ("all", "relational" if kind.relational else "non-relational")
    ]
    tests = round(n * found["test_share"])
    digits = max(4, len(str(n - 1)))
    records = []
    for index in range(n):
        scene = make_scene(index, seed)
        split: LayoutSplit = "test" if index >= n - tests else "train"
        name = f"{index:0{digits}d}"
        for kind, colour in _asked(kinds, found["per_image"], index, seed):
            text = kind.text.format(colour)
            answer, _ = kind.answer(scene[list(COLOURS).index(colour)], scene)
            records.append(
                Record(
                    id=f"{name}/{kind.id}-{colour}",
                    label=ANSWERS.index(answer),
                    layout_split=split,
                    has_mask=True,
                    read_image=partial(_image, scene, size),
                    read_regions=partial(_regions, scene, size, kind.id, colour),
                    meta={
                        "source": "drawn",
                        "image": name,
                        "question": f"{text}?",
                        "answer": answer,
                        "relational": kind.relational,
                    },
                    extra=encode(text),
                    image_id=name,
                )
            )
    return Dataset(
        name=_WHERE,
        root=None,
        class_names=ANSWERS,
        region_names=REGIONS,
        records=records,
        fingerprint=lambda: {"version": VERSION, **found},
        task="vqa",
    )


SPEC = DatasetSpec(
    id=_WHERE,
    label="Sort-of-CLEVR",
    summary="questions about six drawn objects, relational or not; exact masks of what they ask of",
    layout="none: drawn on demand",
    licence="MIT, as this package",
    source="this package, after Santoro et al. 2017",
    size="200 scenes with 20 questions each by default, any number on demand; no bytes on disk",
    opener=open_sort_of_clevr,
    detect=lambda path: False,
    task="vqa",
    builtin=True,
    options=OPTIONS,
)
