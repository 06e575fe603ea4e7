"""Trained networks on disk: weights as safetensors, everything else as a JSON card beside them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save as to_bytes

import xaieval
from xaieval.digest import digest_file
from xaieval.errors import ModelError, XaievalError
from xaieval.files import write_bytes, write_json
from xaieval.models.classifier import Classifier
from xaieval.models.multitask import ModelConfig, MultitaskNet, build
from xaieval.models.options import TrainOptions
from xaieval.models.preprocessing import Preprocessing
from xaieval.models.specs import MODELS
from xaieval.models.weights import load_into, load_weights
from xaieval.types import Task

SCHEMA = 1


@dataclass(frozen=True)
class HistoryRow:
    """One epoch on one split ("train" or "test"); None where a number is not defined.

    Losses on "train" are those of the training passes (augmented pictures, dropout on).
    """

    epoch: int
    split: str
    loss_total: float | None
    loss_ce: float | None
    loss_mask: float | None
    balanced_accuracy: float | None
    """Mean recall of the classes; of attributes, the mean of each one's two recalls, averaged."""


def versions() -> dict[str, str]:
    """Return the versions that decide what a training run computes."""
    return {
        "xaieval": xaieval.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


@dataclass(frozen=True)
class Card:
    """What is known about a checkpoint besides its weights.

    Attributes
    ----------
    config, class_names, preprocessing
        What is needed to use it.
    options, seed, fold
        How it was trained.
    history : tuple of HistoryRow
    dataset, dataset_digest, train_ids_digest, test_ids_digest, n_train, n_test
        On what; the digests are of the sample ids as used.
    encoder_weights_sha256 : str or None
        Of the file of pretrained weights.
    problems : tuple of str
        Samples that were left out, and why.
    run_digest : str
        Of everything that decides the result; equal for a run that needs no repetition.
    weights_sha256 : str
        Of the weights file; filled in by ``save_checkpoint``.
    task : "single" or "multilabel"
        Whether the classes exclude each other (softmax) or not (a sigmoid each). Cards from
        before this was written down are "single".
    """

    config: ModelConfig
    class_names: tuple[str, ...]
    preprocessing: Preprocessing
    options: TrainOptions | None = None
    seed: int | None = None
    fold: int | None = None
    history: tuple[HistoryRow, ...] = ()
    dataset: str = ""
    dataset_digest: str = ""
    train_ids_digest: str = ""
    test_ids_digest: str = ""
    n_train: int = 0
    n_test: int = 0
    encoder_weights_sha256: str | None = None
    problems: tuple[str, ...] = ()
    run_digest: str = ""
    versions: Mapping[str, str] = field(default_factory=versions)
    weights_sha256: str = ""
    task: Task = "single"
    schema: int = SCHEMA


def card_path(path: Path) -> Path:
    """Return where the card of a checkpoint lies: the same name with ``.json``."""
    return path.with_suffix(".json")


def check_name(path: Path) -> None:
    """Raise a ModelError when a checkpoint's name does not end on ``.safetensors``."""
    if path.suffix != ".safetensors":
        raise ModelError("bad checkpoint name", where=path, expected="a name ending .safetensors")


def save_checkpoint(path: Path, net: MultitaskNet, card: Card) -> None:
    """Write the weights (``encoder.``, ``decoder.``, ``head.``) and, after them, the card.

    Raises
    ------
    ModelError
        When the name does not end on ``.safetensors``.
    ResultsError
        When the folder cannot be written; nothing half-written stays.
    """
    check_name(path)
    # safetensors refuses tensors that do not lie row by row (channels_last).
    tensors = {k: v.detach().cpu().contiguous() for k, v in net.state_dict().items()}
    data = to_bytes(tensors, metadata={"format": "pt", "arch": card.config.arch})
    write_bytes(path, data)
    sha = hashlib.sha256(data).hexdigest()
    write_json(card_path(path), dataclasses.asdict(dataclasses.replace(card, weights_sha256=sha)))


def read_card(path: Path) -> Card:
    """Return the card of a checkpoint (give the path of the weights or of the card).

    Raises
    ------
    ModelError
        When it is missing, damaged, or of a newer schema.
    """
    where = card_path(path)
    try:
        raw: dict[str, Any] = json.loads(where.read_text(encoding="utf-8"))
        if not isinstance(raw, dict):
            raise TypeError("not an object")
    except FileNotFoundError:
        raise ModelError(
            "the checkpoint has no card",
            where=where,
            expected="a JSON file beside the weights",
            fix="copy it along; for weights of your own, build the network and wrap it in "
            "Classifier",
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"the card cannot be read ({error})", where=where) from error
    if raw.get("schema") != SCHEMA:
        raise ModelError(
            "unknown card schema",
            where=where,
            expected=SCHEMA,
            got=raw.get("schema"),
            fix="update xaieval",
        )
    try:
        return Card(
            **{
                **raw,
                "config": ModelConfig(**raw["config"]),
                "preprocessing": Preprocessing(**raw["preprocessing"]),
                "options": TrainOptions(**raw["options"]) if raw.get("options") else None,
                "class_names": tuple(raw["class_names"]),
                "history": tuple(HistoryRow(**row) for row in raw.get("history", ())),
                "problems": tuple(raw.get("problems", ())),
            }
        )
    except (KeyError, TypeError, XaievalError) as error:
        raise ModelError(f"the card does not fit its schema ({error})", where=where) from error


def load_checkpoint(path: Path | str) -> Classifier:
    """Return the trained network of a checkpoint as a classifier.

    Raises
    ------
    ModelError
        When weights or card are missing or damaged, when the weights are those of another
        architecture than the card says, or when they are not the ones the card was written for.
    """
    path = Path(path)
    tensors = load_weights(path)
    card = read_card(path)
    if len(card.class_names) != card.config.n_classes:
        raise ModelError(
            "the card contradicts itself",
            where=card_path(path),
            expected=f"{card.config.n_classes} class names",
            got=len(card.class_names),
        )
    net = build(card.config, seed=0)
    load_into(net, tensors, where=path, what=f"{card.config.arch} as its card describes it")
    if card.weights_sha256 and digest_file(path) != card.weights_sha256:
        raise ModelError(
            "the weights are not the ones the card was written for",
            where=path,
            fix="restore the pair from one run, or train again",
        )
    return Classifier(
        net.eval(),
        preprocessing=card.preprocessing,
        class_names=card.class_names,
        target_layer=MODELS[card.config.arch].target_layer,
        name=path.stem,
        task=card.task,
    )
