"""Which studies the experiments of project_iml run, by size: the arms differ in β alone."""

from __future__ import annotations

import importlib.resources
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xaieval.reproduce.base import Setup

Tables = Mapping[str, Mapping[str, Any]]

BETAS = (1.0, 0.0)
"""With the mask loss, as published, and without."""
SEEDS = tuple(range(42, 52))
WEIGHTS_VARIABLE = "XAIEVAL_MOBILENET_V2"

COMPETE = ("gradcam", "saliency", "integrated_gradients")
METHODS = (
    "gradcam",
    {"id": "gradcam", "upsampling": "aligned"},
    "saliency",
    {"id": "integrated_gradients", "n_steps": 25},
    "random",
    "sobel",
    "centre_prior",
)
METRICS = ("topk_overlap", "topk_iou", "mass_accuracy", "area_share", "ceiling@of=topk_overlap")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is run: one study, once per β.

    Attributes
    ----------
    tables : tables of a study file, without β
    setup : Setup
    sheets_per_class : int
        Images of each class that get a sheet, per arm.
    sheets_of : tuple of float
        The arms that get sheets.
    settings : str
        The setting in one sentence, for the notes.
    notes : tuple of str
    """

    tables: Tables
    setup: Setup
    sheets_per_class: int
    sheets_of: tuple[float, ...] = BETAS
    settings: str
    notes: tuple[str, ...] = ()

    def arm(self, beta: float) -> Tables:
        """Return the study of one β, at most ``setup.samples`` images explained."""
        tables = {name: dict(table) for name, table in self.tables.items()}
        tables["train"]["beta"] = beta
        tables["study"]["id"] = f"{tables['study']['id']}-beta-{beta:g}"
        tables["study"]["title"] = f"{tables['study']['title']}, β = {beta:g}"
        return tables


def limited(tables: Tables, samples: int | None, *, groups: int) -> Tables:
    """Return tables with a filter: at most ``samples`` images in all, evenly over the groups.

    >>> limited({"data": {"name": "mvtec"}}, 20, groups=10)["data"]["filters"]
    {'per_class': 2}
    """
    if samples is None:
        return tables
    data = {**tables["data"], "filters": {"per_class": max(samples // groups, 1)}}
    return {**tables, "data": data}


def scored() -> dict[str, Mapping[str, Any]]:
    """Return the tables that say what is explained and scored."""
    return {
        "explain": {"methods": METHODS, "compete": COMPETE, "target": "predicted"},
        "score": {"metrics": METRICS},
    }


# Fixed by looking at time and accuracy alone, before any map was scored: ten seeds and both arms
# of the small form take some five minutes of one core.
_SYNTHETIC: dict[str, dict[str, Any]] = {
    "tiny": {"n": 12, "size": 96, "epochs": 10, "seeds": (42, 43), "explained": 3, "sheets": 1},
    "small": {"n": 40, "size": 128, "epochs": 40, "seeds": SEEDS, "explained": 10, "sheets": 1},
    "whole": {"n": 60, "size": 192, "epochs": 60, "seeds": SEEDS, "explained": None, "sheets": 2},
}


def synthetic_plan(setup: Setup) -> Plan:
    """Return the plan on rendered hazelnuts: nothing is read, nothing is downloaded."""
    form = _SYNTHETIC[setup.size]
    size, explained = form["size"], form["explained"]
    tables: Tables = {
        "study": {"id": "project-iml-synthetic", "title": "project_iml on synthetic hazelnuts"},
        "data": {
            "name": "synthetic-hazelnut",
            "options": {"n_per_class": form["n"], "size": size},
            "split_scheme": "stratified",
            "split_seed": 42,
            "filters": None if explained is None else {"per_class": explained},
        },
        "model": {"arch": "small-cnn", "input_size": [size, size]},
        "train": {
            "seeds": form["seeds"],
            "epochs": form["epochs"],
            "batch": 16,
            "lr": 3e-3,
            "schedule": "cosine",
            "augment": "flips",
        },
        **scored(),
    }
    return Plan(
        tables=limited(tables, setup.samples, groups=10),
        setup=replace(setup, data=None, weights=None),
        sheets_per_class=form["sheets"],
        sheets_of=BETAS[:1] if setup.size == "tiny" else BETAS,
        settings=(
            f"{form['n']} rendered hazelnuts of each of five classes at {size} px, a quarter of "
            f"them to test; a small network (small-cnn) from random weights, "
            f"{form['epochs']} epochs, {len(form['seeds'])} seeds."
        ),
    )


_TOY: dict[str, dict[str, Any]] = {
    "tiny": {"seeds": (42,), "folds": 2, "epochs": 2, "size": 96, "plain": 4},
    "small": {"seeds": SEEDS[:5], "folds": 3, "epochs": 6, "size": 160, "plain": 20},
    "whole": {"seeds": SEEDS, "folds": 5, "epochs": 12, "size": 224, "plain": 40},
}


def toy_plan(setup: Setup) -> Plan:
    """Return the plan on the 51 photographs: MobileNetV2 where its weights are, else small."""
    form = _TOY[setup.size]
    given = setup.weights is not None
    pretrained = given or bool(os.environ.get(WEIGHTS_VARIABLE))
    size, seeds, folds = form["size"], form["seeds"], form["folds"]
    train = {"seeds": seeds, "batch": 16, "schedule": "cosine", "augment": "flips"}
    half = [0.5, 0.5, 0.5]
    if pretrained:
        model = {
            "arch": "mobilenet-v2",
            "encoder_weights": None if given else f"${WEIGHTS_VARIABLE}",
            "padding": "same_tf",
            "input_size": [size, size],
            "mean": half,
            "std": half,
        }
        train |= {"epochs": form["epochs"], "lr": 3e-4, "freeze_batchnorm": True}
        network = f"MobileNetV2 from ImageNet weights at {size} px, {form['epochs']} epochs"
        notes: tuple[str, ...] = ()
    else:
        model = {"arch": "small-cnn", "input_size": [size, size]}
        train |= {"epochs": form["plain"], "lr": 3e-3}
        network = f"a small network (small-cnn) at {size} px, {form['plain']} epochs"
        notes = (
            "No pretrained weights were given (--encoder-weights FILE, or the environment variable "
            f"{WEIGHTS_VARIABLE}): the small network started from random ones.",
        )
    tables: Tables = {
        "study": {"id": "project-iml-toy", "title": "project_iml on hazelnut photographs"},
        "data": {
            "name": "hazelnut-toy",
            "split_scheme": "kfold",
            "folds": folds,
            "split_seed": 42,
        },
        "model": model,
        "train": train,
        **scored(),
    }
    return Plan(
        tables=limited(tables, setup.samples, groups=2 * folds),
        setup=setup,
        sheets_per_class=1 if setup.size == "tiny" else 2,
        sheets_of=BETAS[:1] if setup.size == "tiny" else BETAS,
        settings=(
            f"51 photographs, 17 with a defect; {network}; stratified {folds}-fold, every image "
            f"scored by a model that did not train on it, {len(seeds)} seed"
            f"{'' if len(seeds) == 1 else 's'}."
        ),
        notes=notes,
    )


def mvtec_plan(setup: Setup) -> Plan:
    """Return the published setting, on a folder in one of the three MVTec layouts.

    project_iml's own re-split keeps its split; the other layouts have no supervised one (training
    images are all good) and get the study's stratified, seeded split.

    Raises
    ------
    DataError
        When the photographs are not there.
    """
    from xaieval.datasets import open_dataset
    from xaieval.datasets.mvtec import is_resplit
    from xaieval.errors import DataError

    try:
        dataset = open_dataset("mvtec", setup.data)
    except DataError as error:
        raise DataError(
            "project-iml/mvtec needs the MVTec AD photographs of hazelnuts",
            where=setup.data,
            got=str(error),
            fix=(
                "fetch the category hazelnut from "
                "https://www.mvtec.com/company/research/datasets/mvtec-ad (its licence does not "
                "let this program do it) and name its folder with --data; without it: "
                "project-iml/synthetic"
            ),
        ) from None
    assert dataset.root is not None, "photographs lie in a folder"
    path = Path(str(importlib.resources.files("xaieval_assets"))) / "studies" / "project-iml.toml"
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    del tables["schema"]
    resplit = is_resplit(dataset.root)
    tables["data"]["split_scheme"] = "layout" if resplit else "stratified"
    aligned = {"id": "gradcam", "upsampling": "aligned"}
    tables["explain"]["methods"] = [*tables["explain"]["methods"], aligned]
    tables["explain"]["compete"] = list(COMPETE)
    tables["score"]["metrics"] = [*tables["score"]["metrics"], "ceiling@of=topk_overlap"]
    notes: tuple[str, ...] = ()
    if setup.weights is None:
        notes = (
            "No pretrained weights were given (--encoder-weights FILE): the encoder started from "
            "random ones, the published runs from ImageNet's.",
        )
    split = "the folders' own split" if resplit else "a stratified split, seed 42"
    return Plan(
        tables=limited(tables, setup.samples, groups=2 * len(dataset.class_names)),
        setup=setup,
        sheets_per_class=3,
        settings=(
            f"{len(dataset)} photographs of {len(dataset.class_names)} classes, {split}; "
            "EfficientNet-B0, 30 epochs, ten seeds."
        ),
        notes=notes,
    )
