"""The faces of two experiments: drawn ones, or CelebA's, with smile and hair colour tied or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xaieval.errors import DataError
from xaieval.reproduce.base import Setup, Size

if TYPE_CHECKING:
    import pandas as pd

    from xaieval.study import Results

HAIR = ("Black_Hair", "Blond_Hair")
"""Only faces with one of these are used, as published; smiling goes with the first in the bias."""
RATES = {"unbiased": 0.5, "biased": 0.99}
"""Arm -> how often smile and black hair agree in training; published 0.5 and 20,000 of 20,200."""
BIAS_SOURCE = "celeba_bias_experiment, github.com/mitvis/explanation_alignment at 79fb563f"
GROUPS = {
    "Smiling|Black_Hair": "black hair, smiling",
    "not Smiling|Black_Hair": "black hair, not smiling",
    "Smiling|not Black_Hair": "blond hair, smiling",
    "not Smiling|not Black_Hair": "blond hair, not smiling",
}
"""The four groups as a dataset names them, and in words; the first and the last fit the bias."""
AGREEING = ("black hair, smiling", "blond hair, not smiling")
CONFLICTING = ("black hair, not smiling", "blond hair, smiling")


@dataclass(frozen=True)
class Settings:
    """Which faces, how many, and how the networks are trained; fixed before any map was scored.

    ``n_drawn`` faces are drawn, of which those with fitting hair are used; None: photographs.
    ``n_train`` is the most that an arm trains on: every arm as many as the others.
    """

    n_drawn: int | None
    side: int
    n_train: int
    n_test: int
    seeds: tuple[int, ...]
    epochs: int
    arch: str = "small-cnn"
    batch: int = 32
    lr: float = 3e-3
    gate: float = 0.9


# Drawn faces: chosen by time and by the accuracy of one network, before any heatmap was scored.
# Published: ResNet-50 from ImageNet weights, 20,000 faces, batch 128, Adam at 0.0001, 10 epochs.
SEEDS = (42, 43, 44, 45, 46)
SIZES: Mapping[Size, Settings] = {
    "tiny": Settings(3000, 64, 320, 24, (42, 43), 6),
    "small": Settings(10000, 80, 1200, 200, SEEDS, 15),
    "whole": Settings(None, 224, 20000, 2000, SEEDS, 10, "resnet50", 128, 1e-4),
}


@dataclass(frozen=True)
class Faces:
    """Where the faces come from, and the regions that are scored."""

    dataset: str
    path: Path | None
    mouth: str
    hair: str | None

    @property
    def drawn(self) -> bool:
        return self.path is None


def find_faces(setup: Setup, settings: Settings, *, masks: bool = False) -> Faces:
    """Return drawn faces, or the photographs of the setup: CelebAMask-HQ, or CelebA.

    With ``masks`` CelebA, which has a box about the mouth alone, is refused.

    Raises
    ------
    DataError
        When there are no photographs, or they are of another layout.
    """
    from xaieval.datasets import DATASETS, detect_layout, locate

    if settings.n_drawn is not None:
        return Faces("synthetic-faces", None, "mouth_area", "hair")
    known = ("celebamask-hq",) if masks else ("celebamask-hq", "celeba")
    fix = (
        "name a folder of CelebAMask-HQ"
        + ("" if masks else " (or of CelebA, for the mouth alone)")
        + " with --data; without one: --small, on drawn faces"
    )
    path, found = setup.data, ""
    if path is not None:
        found = detect_layout(path)
    else:
        for name in known:
            try:
                path, found = locate(DATASETS[name]), name
                break
            except DataError:
                continue
    if path is None or found not in known:
        raise DataError("no photographs of faces", where=path, got=found or "nothing", fix=fix)
    if found == "celeba":
        return Faces(found, path, "mouth_box", None)
    return Faces(found, path, "mouth_area", "hair")


def arm_options(
    faces: Faces,
    settings: Settings,
    *,
    attribute: str = "Smiling",
    bias: str = HAIR[0],
    rate: float = 0.5,
    features: bool = False,
) -> dict[str, Any]:
    """Return the options of an arm's dataset, all but how many images there are."""
    options: dict[str, Any] = {
        "attribute": attribute,
        "bias": bias,
        "bias_rate": rate,
        "among": list(HAIR),
    }
    if faces.dataset != "celeba":
        # Masks and pictures are read a little larger than the network's input is cropped.
        options["size"] = settings.side if faces.drawn else round(settings.side * 256 / 224)
        options["features"] = features
    if faces.drawn:
        options["n"] = settings.n_drawn
    return options


def common_size(faces: Faces, settings: Settings, arms: Mapping[str, Mapping[str, Any]]) -> int:
    """Return how many images every arm can train on, at most ``settings.n_train``.

    Raises
    ------
    DataError
        When there are too few for one of the arms.
    """
    from xaieval.datasets import open_dataset

    sizes = [settings.n_train]
    if not faces.drawn:  # of drawn faces there are enough, or the dataset says so
        for options in arms.values():
            dataset = open_dataset(faces.dataset, faces.path, options=options)
            sizes.append(sum(record.layout_split != "test" for record in dataset.records))
    return min(sizes)


def arm_study(
    name: str,
    title: str,
    *,
    faces: Faces,
    settings: Settings,
    options: Mapping[str, Any],
    n_train: int,
    n_test: int,
    scored: Mapping[str, Mapping[str, Any]],
) -> dict[str, Mapping[str, Any]]:
    """Return the study of one arm; ``scored`` holds its tables ``explain`` and ``score``."""
    size = [settings.side, settings.side]
    published = settings.arch == "resnet50"
    return {
        "study": {"id": name, "title": title},
        "data": {
            "name": faces.dataset,
            "split_scheme": "layout",
            "options": {**options, "train_samples": n_train, "samples": n_test},
        },
        "model": {
            "arch": settings.arch,
            "input_size": size,
            "resize": round(settings.side * 256 / 224) if published else None,
            # The published network gets pictures from 0 to 1, not normalised.
            "mean": [0.0, 0.0, 0.0] if published else None,
            "std": [1.0, 1.0, 1.0] if published else None,
            "dropout": 0.0 if published else 0.2,
            "decoder": False,
        },
        "train": {
            "seeds": list(settings.seeds),
            "epochs": settings.epochs,
            "batch": settings.batch,
            "lr": settings.lr,
            "beta": 0.0,
            "weight_decay": 1e-4 if published else 0.0,
            # Published: a fifth of the rate after epochs 2 and 5; this falls as far, step by step.
            "schedule": "step" if published else "cosine",
            "gamma": 0.04 ** (1 / 9) if published else None,
            "augment": "none" if published else "mirror",
        },
        **scored,
        "run": {"splits": ["test"], "chunk": 50},
    }


def with_groups(results: Results, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table with a column ``group``: which of the four groups in words."""
    dataset = results.dataset()
    assert dataset is not None, "measured results have a dataset"
    groups = {
        record.id: GROUPS.get(record.meta["group"], record.meta["group"])
        for record in dataset.records
    }
    return frame.assign(group=frame["sample_id"].map(groups))


def grid_note(settings: Settings) -> tuple[str, ...]:
    """Return what to know of Grad-CAM's maps of the small network; nothing of another one's."""
    if settings.arch != "small-cnn":
        return ()
    cells = -(-settings.side // 16)
    return (
        f"Grad-CAM's maps of the small network have {cells} × {cells} cells, each of which sees 87 "
        f"of {settings.side} pixels: what a cell answers to need not lie in it, and a part smaller "
        "than a cell cannot be marked alone (the ceiling stands in the table of means).",
    )
