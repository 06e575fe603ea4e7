"""What is trained and explained in each size: faces, network, methods, scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xaieval.datasets import ATTRIBUTE_REGIONS, write_faces
from xaieval.datasets.face_parts import GROUPS, PARTS
from xaieval.errors import ConfigError
from xaieval.reproduce.base import Setup, Size

VARIED = tuple(ATTRIBUTE_REGIONS)
"""The attributes that are explained: those of which the deciding parts are stated."""
CLASSES = (*PARTS, "background")
"""The 19 classes; they share out the picture, so their precisions add up to 100 %."""
REGIONS = (*CLASSES, *(name for name in GROUPS if name not in CLASSES))
PRINTED = {"eyes": "Eyes", "nose": "Nose", "mouth_area": "Mouth", "face": "Face"}
"""The groups of the study's table, as it prints them."""

STUDIED = ("gradcam", "integrated_gradients", "kernel_shap", "lime", "random")
"""The study's five methods."""
COMPETE = STUDIED[:4]
BASELINES = ("random", "sobel", "centre_prior")
RULES = ("paper", "area-matched")
ARM = "attributes"
CEILING = "ceiling@of=regional_precision"
SALT = "celebamask-regions"


@dataclass(frozen=True)
class Drawn:
    """Faces that are written in the layout of CelebAMask-HQ; every fifth is a test face."""

    n: int
    size: int
    seed: int = 7


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One size of both experiments.

    Attributes
    ----------
    drawn : Drawn or None
        None: the real folder.
    images : int
        Test images that are explained, each for every attribute of ``VARIED`` that it has.
    pairs : int
        Pairs of faces.
    n_steps, n_samples, n_segments : int
        Of integrated gradients; of KernelSHAP and LIME each, and their superpixels.
    k : int
        Copies that falsification hides each set of pixels in; the study's is 100.
    """

    drawn: Drawn | None
    arch: str
    input_px: int
    width: float
    dropout: float
    seeds: tuple[int, ...]
    epochs: int
    batch: int
    lr: float
    images: int
    pairs: int
    n_steps: int
    n_samples: int
    n_segments: int
    k: int


SIZES: Mapping[Size, Settings] = {
    "tiny": Settings(
        drawn=Drawn(300, 64),
        arch="small-cnn",
        input_px=64,
        width=1.0,
        dropout=0.0,
        seeds=(42, 43),
        epochs=3,
        batch=16,
        lr=3e-3,
        images=4,
        pairs=10,
        n_steps=8,
        n_samples=64,
        n_segments=20,
        k=4,
    ),
    "small": Settings(
        drawn=Drawn(1500, 64),
        arch="small-cnn",
        input_px=64,
        width=2.0,
        dropout=0.0,
        seeds=(42, 43, 44),
        epochs=24,
        batch=16,
        lr=3e-3,
        images=16,
        pairs=100,
        n_steps=16,
        n_samples=200,
        n_segments=50,
        k=10,
    ),
    "whole": Settings(
        drawn=None,
        arch="efficientnet-b0",
        input_px=224,
        width=1.0,
        dropout=0.2,
        seeds=(42, 43, 44),
        epochs=6,
        batch=32,
        lr=5e-4,
        images=500,
        pairs=500,
        n_steps=50,
        n_samples=1000,
        n_segments=50,
        k=100,
    ),
}


def data_folder(setup: Setup, settings: Settings) -> Path | None:
    """Return the folder of the faces, drawn first where the size says so.

    Raises
    ------
    ConfigError
        When a folder is given to a size that draws its own faces.
    """
    drawn = settings.drawn
    if drawn is None:
        return setup.data
    if setup.data is not None:
        raise ConfigError(
            f"the {setup.size} form draws its own faces",
            where="--data",
            got=setup.data,
            fix="leave it away, or run the experiment whole",
        )
    return write_faces(
        setup.out / "data", n=drawn.n, size=drawn.size, seed=drawn.seed, report=setup.report
    )


def sampled(settings: Settings) -> dict[str, int]:
    """Return the options of KernelSHAP and LIME."""
    return {"n_samples": settings.n_samples, "n_segments": settings.n_segments}


def methods(settings: Settings) -> list[str | dict[str, Any]]:
    """Return the study's five methods and two reference lines."""
    return [
        "gradcam",
        {"id": "integrated_gradients", "n_steps": settings.n_steps},
        {"id": "kernel_shap", **sampled(settings)},
        {"id": "lime", **sampled(settings)},
        *BASELINES,
    ]


def falsifications(settings: Settings) -> list[dict[str, Any]]:
    """Return falsification, margin, violations and the two areas, under both rules."""
    names = ("", "_margin", "_violations", "_high", "_low")
    return [
        {"id": f"falsification{name}", "rule": rule, "k": settings.k}
        for rule in RULES
        for name in names
    ]


REGIONAL = ("regional_precision", "regional_recall", CEILING)
"""Scores of each region; ``area_share`` is scored beside them."""
SHAPES = ("spatial_coherence", "n_components")


def study(setup: Setup, settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the study of the attribute classifier, as ``run_arm`` takes it."""
    side = settings.input_px
    options: dict[str, Any] = {"size": side}
    if settings.drawn is not None:
        options["attributes"] = list(VARIED)
    return {
        "study": {"id": "celebamask-regions", "title": "Attributes of faces, by region"},
        "data": {
            "name": "celebamask-hq",
            "split_scheme": "layout",
            "options": options,
            "attributes": list(VARIED),
            "filters": {"images": setup.samples or settings.images},
        },
        "model": {
            "arch": settings.arch,
            "input_size": [side, side],
            "decoder": False,
            "dropout": settings.dropout,
            "width": settings.width,
        },
        "train": {
            "seeds": list(settings.seeds),
            "epochs": settings.epochs,
            "batch": settings.batch,
            "lr": settings.lr,
            "beta": 0.0,
            "augment": "mirror",
            "schedule": "cosine",
        },
        "explain": {"methods": methods(settings), "compete": list(COMPETE), "target": "label"},
        "score": {
            "metrics": [*REGIONAL, "area_share", *SHAPES, *falsifications(settings)],
            "regions": list(REGIONS),
        },
        "run": {"splits": ["test"], "chunk": 16},
    }
