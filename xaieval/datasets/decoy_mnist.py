"""MNIST with a coloured block in a corner, whose colour gives the digit away, or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from xaieval.datasets import digits
from xaieval.datasets.base import Dataset, DatasetSpec, Record
from xaieval.datasets.mnist import (
    MOST_DRAWN,
    Digits,
    Numbers,
    Split,
    drawn_sets,
    files_of,
    home_of,
    mnist_sets,
    spread,
)
from xaieval.datasets.scan import need_folder
from xaieval.datasets.whole_numbers import whole
from xaieval.digest import digest_file, rng
from xaieval.errors import unknown
from xaieval.types import Image, Mask

CLASSES = tuple("0123456789")
REGIONS = ("digit", "block")
COLOURS = (
    *((230, 25, 75), (245, 130, 48), (255, 225, 25), (210, 245, 60), (60, 180, 75)),
    *((70, 240, 240), (0, 130, 200), (145, 30, 180), (240, 50, 230), (0, 0, 128)),
)
"""The colour (RGB) of each digit's block, as in the notebook ``mnist_spurious_experiment`` of
https://github.com/mitvis/explanation_alignment at 79fb563f."""
BLOCK = 5
"""Side of the block (px), as there."""
CORNERS = ("top-left", "top-right", "bottom-left", "bottom-right")
CONDITIONS = ("uncorrelated", "correlated")
VERSION = 1
"""Raised by hand whenever the same options give other pixels; part of the digest."""

OPTIONS: Mapping[str, Any] = {
    "train": "uncorrelated",
    "test_colours": "random",
    "source": "auto",
    "n_train": None,
    "n_test": None,
    "corner": "top-left",
    "ground": "white",
    "seed": 0,
}
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "train": CONDITIONS,
    "test_colours": ("random", "permuted"),
    "source": ("auto", "mnist", "procedural"),
    "corner": (*CORNERS, "random"),
    "ground": ("white", "black"),
}


def block(corner: str) -> Mask:
    """Return the block's pixels, bool (28, 28).

    >>> block("top-left").sum(), bool(block("bottom-right")[27, 23])
    (np.int64(25), True)
    """
    mask = np.zeros((digits.SIDE, digits.SIDE), np.bool_)
    rows = slice(0, BLOCK) if corner.startswith("top") else slice(-BLOCK, None)
    columns = slice(0, BLOCK) if corner.endswith("left") else slice(-BLOCK, None)
    mask[rows, columns] = True
    return mask


# Bound with functools.partial, so that records can be pickled.


def _image(source: Digits, index: int, corner: str, colour: int, ground: str) -> Image:
    grey = source.picture(index)
    image = np.repeat((255 - grey if ground == "white" else grey)[:, :, None], 3, axis=2)
    image[block(corner)] = COLOURS[colour]
    return image


def _regions(source: Digits, index: int, corner: str) -> dict[str, Mask]:
    covered = block(corner)
    return {"digit": (source.picture(index) > 0) & ~covered, "block": covered}


def open_decoy_mnist(path: Path | None, options: Mapping[str, Any]) -> Dataset:
    """Open MNIST with a coloured 5×5 block, or the same with drawn digits.

    Options
    -------
    train : "uncorrelated" or "correlated"
        Training pictures: the block's colour is drawn at random, or is that of the digit.
    test_colours : "random" or "permuted"
        Uncorrelated test pictures: each draws its colour, or all digits of a class share one, by
        a random permutation of the ten colours, which may leave some in place (as published).
    source : "auto", "mnist" or "procedural"
        ``auto`` takes MNIST where a folder is given or found, else drawn digits.
    n_train, n_test : int, at least 10, or None
        So many digits, drawn with the classes' shares; a smaller set is part of a larger one.
        None takes all of MNIST, or draws 7000 and 3000.
    corner : one of ``CORNERS``, or "random"
    ground : "white" or "black"
        White turns the digits dark (255 - value), as published.
    seed : int
        Of colours, corners, choice and drawn digits.

    Each test digit is there twice, ``uncorrelated/<i>`` and ``correlated/<i>``; ``<i>`` counts
    within MNIST's file. Region ``digit`` is every pixel above 0, as published, the block's apart.
    Where MNIST's training files are missing, 30 % of each class are tested and the rest train.

    Raises
    ------
    ConfigError
        For a value out of range.
    DataError
        When files are missing or damaged.
    """
    for key, known in _CHOICES.items():
        if options[key] not in known:
            raise unknown(f"value of option {key}", options[key], known, where="decoy-mnist")
    seed = whole(options["seed"], "seed", 0, 2**63 - 1, dataset="decoy-mnist")
    procedural = options["source"] == "procedural" or (options["source"] == "auto" and path is None)
    root = None if procedural else need_folder(path, "decoy-mnist")
    sets = drawn_sets(seed) if root is None else mnist_sets(root, seed)
    records: list[Record] = []
    for split, (source, indices) in sets.items():
        wanted = options[f"n_{split}"]
        if wanted is not None:
            most = MOST_DRAWN if root is None else len(indices)
            wanted = whole(wanted, f"n_{split}", len(CLASSES), most, dataset="decoy-mnist")
            if root is None:
                indices = np.arange(wanted)
            else:
                order = spread(source.labels[indices], "choice", seed, split)
                indices = np.sort(indices[order[:wanted]])
        records += _records(source, indices, split, seed, options)
    files = files_of(sets)
    made = {key: value for key, value in options.items() if key != "source"}
    return Dataset(
        name="decoy-mnist",
        root=root,
        class_names=CLASSES,
        region_names=REGIONS,
        records=records,
        fingerprint=lambda: {
            "version": VERSION,
            "options": made,
            "digits": [digest_file(path) for path in files] or digits.VERSION,
        },
    )


def _records(
    source: Digits,
    indices: Numbers,
    split: Split,
    seed: int,
    options: Mapping[str, Any],
) -> Iterator[Record]:
    """Yield the pictures of one split; what an index gets does not depend on the others."""
    labels = source.labels
    conditions = (options["train"],) if split == "train" else CONDITIONS
    random = rng("decoy-mnist", "colours", seed, split).integers(len(COLOURS), size=len(labels))
    permutation = rng("decoy-mnist", "permutation", seed).permutation(len(COLOURS))
    corners = rng("decoy-mnist", "corners", seed, split).integers(len(CORNERS), size=len(labels))
    width = len(str(len(labels) - 1))
    for condition in conditions:
        if condition == "correlated":
            colours = labels
        elif split == "test" and options["test_colours"] == "permuted":
            colours = permutation[labels]
        else:
            colours = random
        for index in indices.tolist():
            corner = options["corner"]
            corner = CORNERS[corners[index]] if corner == "random" else corner
            colour = int(colours[index])
            yield Record(
                id=f"{'train' if split == 'train' else condition}/{index:0{width}d}",
                label=int(labels[index]),
                layout_split=split,
                has_mask=True,
                read_image=partial(_image, source, index, corner, colour, options["ground"]),
                read_regions=partial(_regions, source, index, corner),
                meta={
                    "source": source.name,
                    "condition": condition,
                    "block_colour_of": CLASSES[colour],
                    "corner": corner,
                },
            )


SPEC = DatasetSpec(
    id="decoy-mnist",
    label="Decoy MNIST",
    summary=(
        "MNIST digits with a coloured block in a corner, its colour tied to the digit or not; "
        "drawn digits where there is no MNIST"
    ),
    layout="train-images-idx3-ubyte(.gz), train-labels-idx1-ubyte(.gz), t10k-… likewise",
    licence="MNIST: CC BY-SA 3.0 as Keras states it; drawn digits: MIT, as this package",
    source="http://yann.lecun.com/exdb/mnist/ and its mirrors",
    size="70,000 digits of 28 x 28 pixels, 12 MB; drawn ones: no bytes on disk",
    opener=open_decoy_mnist,
    detect=lambda path: home_of(path) is not None,
    folder="mnist_t10k",
    standalone=True,
    options=OPTIONS,
)
