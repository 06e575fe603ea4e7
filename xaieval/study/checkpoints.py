"""The checkpoints of a results folder: their names, their curves, and whether they fit a study."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from xaieval.digest import digest
from xaieval.errors import ConfigError, ModelError
from xaieval.study.config import Study

if TYPE_CHECKING:
    from xaieval.datasets import Dataset, Fold
    from xaieval.models import ModelConfig, Preprocessing
    from xaieval.models.options import TrainOptions

FOLDER = "checkpoints"
_NAME = re.compile(r"seed-(\d+)(?:-fold-(\d+))?\.safetensors")


def checkpoint_path(out: Path, seed: int, fold: int, n_folds: int) -> Path:
    """Return where the model of a seed and fold lies; one fold alone is not named.

    >>> checkpoint_path(Path("out"), 42, 0, 1).as_posix()
    'out/checkpoints/seed-42.safetensors'
    """
    name = f"seed-{seed}" + (f"-fold-{fold}" if n_folds > 1 else "")
    return out / FOLDER / f"{name}.safetensors"


def find_checkpoints(out: Path) -> list[tuple[int, int, Path]]:
    """Return (seed, fold, file) of every finished checkpoint in a results folder."""
    found = []
    for path in (out / FOLDER).glob("*.safetensors"):
        match = _NAME.fullmatch(path.name)
        if match and path.with_suffix(".json").is_file():
            found.append((int(match[1]), int(match[2] or 0), path))
    return sorted(found)


def read_history(path: Path, seed: int, fold: int) -> pd.DataFrame:
    """Return the training curves of a checkpoint, ``seed`` and ``fold`` in front."""
    from xaieval.models import read_card

    rows = [dataclasses.asdict(row) for row in read_card(path).history]
    frame = pd.DataFrame(rows)
    frame.insert(0, "seed", seed)
    frame.insert(1, "fold", fold)
    return frame


def model_settings(study: Study, n_classes: int) -> tuple[ModelConfig, Preprocessing]:
    """Return the network and the preprocessing that a study names.

    Raises
    ------
    ConfigError
        When the architecture is unknown or sizes do not fit.
    """
    from xaieval.models import MODELS, ModelConfig, Preprocessing

    wanted, default = study.model, MODELS[study.model.arch].preprocessing
    size = wanted.input_size or default.input_size
    mean, std = wanted.mean or default.mean, wanted.std or default.std
    config = ModelConfig(
        arch=wanted.arch,
        n_classes=n_classes,
        input_size=size,
        padding=wanted.padding,
        dropout=wanted.dropout,
        decoder=wanted.decoder,
        width=wanted.width,
    )
    preprocessing = Preprocessing(
        input_size=size,
        resize=wanted.resize if wanted.input_size or wanted.resize else default.resize,
        mean=mean,
        std=std,
        name=default.name if (mean, std) == (default.mean, default.std) else "custom",
    )
    return config, preprocessing


def train_options(study: Study, encoder_weights: Path | None = None) -> TrainOptions:
    """Return the training options of a study, with encoder weights if any."""
    from xaieval.models.options import TrainOptions

    settings = dataclasses.asdict(study.train)
    del settings["seeds"]
    return TrainOptions(
        **settings, encoder_weights=str(encoder_weights) if encoder_weights else None
    )


def encoder_weights(study: Study, given: str | Path | None = None) -> Path | None:
    """Return the file of encoder weights: the one given, else the study's own.

    Raises
    ------
    ConfigError
        When the study takes it from an environment variable that is not set.
    ModelError
        When there is no such file.
    """
    named = str(given) if given is not None else study.model.encoder_weights
    if named is None:
        return None
    text = os.path.expanduser(os.path.expandvars(named))
    unset = re.search(r"\$\{?(\w+)", text)
    if unset:
        raise ConfigError(
            f"this study starts from encoder weights that {unset[1]} names, which is not set",
            where="[model] encoder_weights",
            fix="pass --encoder-weights FILE, or set the variable to the file",
        )
    path = Path(text)
    if given is None and study.source:
        path = study.source.parent / path
    if not path.is_file():
        raise ModelError("no such file of encoder weights", where=path)
    return path


def differences(path: Path, study: Study, dataset: Dataset, fold: Fold, seed: int) -> list[str]:
    """Return in words how a checkpoint was made otherwise than a study says; empty: it fits.

    Encoder weights are not compared: where they lie is known when training only.
    """
    from xaieval.models import read_card

    card = read_card(path)
    config, preprocessing = model_settings(study, len(dataset.class_names))
    made = dataclasses.replace(card.options, encoder_weights=None) if card.options else None
    pairs: list[tuple[str, Any, Any]] = [
        ("", card.config, config),
        ("", card.preprocessing, preprocessing),
        ("", made, train_options(study)),
        ("seed", card.seed, seed),
        ("fold", card.fold, fold.index),
        ("classes", card.class_names, dataset.class_names),
        ("task", card.task, dataset.task),
        ("dataset", card.dataset, dataset.name),
        ("images", card.dataset_digest[:12], dataset.digest[:12]),
    ]
    if not card.problems or card.n_train == len(fold.train):
        pairs.append(("training images", card.train_ids_digest[:12], digest(fold.train)[:12]))
    found = []
    for name, then, now in pairs:
        if then == now:
            continue
        if name or then is None:
            found.append(f"{name or 'options'} {then} instead of {now}")
            continue
        before, after = dataclasses.asdict(then), dataclasses.asdict(now)
        found += [f"{k} {before[k]} instead of {after[k]}" for k in after if before[k] != after[k]]
    return found


def other_settings(path: Path, found: list[str]) -> ModelError:
    """Return the error for a checkpoint that does not fit the study."""
    return ModelError(
        f"this checkpoint was made under other settings ({'; '.join(found)})",
        where=path,
        fix="choose another --out, or delete this checkpoint and its card",
    )
