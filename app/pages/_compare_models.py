"""Which models can stand side by side, and what is asked of them: one image, one method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xaieval.methods import MethodCall
from xaieval.study.regional import model_id, parse_model_id, study_titles

from ..services import Services
from ..state import ANY, MOST_MODELS

FEW = 4
"""Models shown until somebody chooses, where several studies share the images."""


@dataclass(frozen=True)
class Model:
    """One model of an opened study: its seed (folds are chosen by the image)."""

    id: str
    study: str
    seed: int
    title: str

    @property
    def label(self) -> str:
        """Study and seed, as a chooser shows them."""
        return f"{self.title} · seed {self.seed}"


def offered(services: Services, study: str) -> tuple[Model, ...]:
    """Return the models of all opened studies of the same dataset, those of ``study`` first."""
    titles = study_titles(services.results)
    wanted = services.results[study].study.data.name
    keys = [study, *(key for key in services.results if key != study)]
    return tuple(
        Model(model_id(key, seed), key, seed, titles[key])
        for key in keys
        if services.results[key].study.data.name == wanted
        for seed in sorted({seed for seed, _, _ in services.results[key].checkpoints()})
    )


def first_choice(models: Sequence[Model]) -> tuple[Model, ...]:
    """Return what is shown until somebody chooses: a model per study, or three seeds of one."""
    firsts = {model.study: model for model in reversed(models)}
    if len(firsts) > 1:
        order = [model for model in models if firsts[model.study] is model]
        return tuple(order[:FEW])
    return tuple(models[:3])


def chosen(models: Sequence[Model], ids: Sequence[str]) -> tuple[tuple[Model, ...], list[str]]:
    """Return the models that ids name, and the ids that name none."""
    known = {model.id: model for model in models}
    found = tuple(known[it] for it in ids if it in known)[:MOST_MODELS]
    return found, [it for it in ids if it not in known]


def short_labels(models: Sequence[Model]) -> dict[str, str]:
    """Return the shortest name that tells each model from the others.

    Words with which all titles begin are left away.

    >>> a = Model("a/seed-1", "a", 1, "Smile bias: honest")
    >>> b = Model("b/seed-1", "b", 1, "Smile bias: spurious")
    >>> short_labels([a, b])["a/seed-1"], short_labels([a, Model("a/seed-2", "a", 2, "Honest")])
    ('honest', {'a/seed-1': 'seed 1', 'a/seed-2': 'seed 2'})
    """
    titles = {model.study: model.title for model in models}
    if len(titles) == 1:
        return {model.id: f"seed {model.seed}" for model in models}
    words = [title.split(" ") for title in titles.values()]
    shared = 0
    while all(len(it) > shared + 1 for it in words) and len({it[shared] for it in words}) == 1:
        shared += 1
    name = {key: " ".join(title.split(" ")[shared:]) for key, title in titles.items()}
    if len(titles) == len(models):
        return {model.id: name[model.study] for model in models}
    return {model.id: f"{name[model.study]} · seed {model.seed}" for model in models}


@dataclass(frozen=True)
class Seat:
    """A model at an image: the checkpoint that goes with the image's role, or why there is none."""

    model: Model
    checkpoint: Path | None
    role: str
    """"test", "train", or "" where the study does not split the image."""
    why: str = ""


@dataclass(frozen=True)
class Question:
    """One view of Compare."""

    sample_id: str
    label: str
    seats: tuple[Seat, ...]
    labels: dict[str, str]
    method: MethodCall
    target: str
    metric: str
    region: str
    regions: tuple[str, ...]

    @property
    def asked(self) -> tuple[object, ...]:
        """What the backend is asked for; metric and region are not part of it."""
        seats = tuple((seat.model.id, seat.checkpoint) for seat in self.seats)
        return (self.sample_id, seats, self.method.key, self.target)


def seat(services: Services, model: Model, image: str, split: str) -> Seat:
    """Return the place of a model at an image (its url id)."""
    catalogue = services.catalogue(model.study)
    item = None if catalogue is None else catalogue.find(image)
    if catalogue is None or item is None:
        return Seat(model, None, "", "This image is not among the study's.")
    checkpoint = catalogue.checkpoint(model.seed, split, item.sample_id)
    if checkpoint is None:  # of another role in this study
        split = ANY
        checkpoint = catalogue.checkpoint(model.seed, ANY, item.sample_id)
    role = split if split != ANY else catalogue.split_of(item.sample_id) or ""
    why = "" if checkpoint else f"Seed {model.seed} has no trained model for this image."
    return Seat(model, checkpoint, role, why)


__all__ = [
    "Model",
    "Question",
    "Seat",
    "chosen",
    "first_choice",
    "offered",
    "parse_model_id",
    "seat",
    "short_labels",
]
