"""Training one network on one fold: deterministic per seed, resumable after every epoch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from xaieval.digest import digest, digest_file
from xaieval.errors import ConfigError, DataError, ModelError
from xaieval.models.checkpoints import card_path, check_name, read_card, save_checkpoint
from xaieval.models.multitask import ModelConfig
from xaieval.models.options import TrainOptions
from xaieval.models.pictures import DEFAULT_MEMORY_BYTES, TrainingData
from xaieval.models.preprocessing import Preprocessing
from xaieval.models.trainer import Fold, Trainer
from xaieval.models.weights import weights_sha
from xaieval.progress import Report, silent

# Raised by hand when the same inputs train to other weights.
TRAINING_VERSION = 1


@contextmanager
def _deterministic(device: torch.device, seed: int) -> Iterator[None]:
    """Seed torch and forbid varying convolution algorithms; put everything back afterwards."""
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32
    try:
        cudnn.deterministic, cudnn.benchmark = True, False
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            torch.manual_seed(seed)
            yield
    finally:
        cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32 = before


def run_digest(
    data: TrainingData,
    fold: Fold,
    *,
    config: ModelConfig,
    preprocessing: Preprocessing,
    options: TrainOptions,
    seed: int,
    region: str | None = None,
) -> str:
    """Return the digest of everything that decides what ``train`` computes."""
    weights = options.encoder_weights
    return digest(
        TRAINING_VERSION,
        data.digest,
        fold.train,
        fold.test,
        config,
        preprocessing,
        dataclasses.replace(options, encoder_weights=None),
        None if weights is None else weights_sha(Path(weights)),
        seed,
        region or (data.region_names[0] if data.region_names else None),
    )


def is_trained(path: Path, run: str) -> bool:
    """Tell whether ``path`` holds the finished checkpoint of the run with this digest."""
    if not path.is_file() or not card_path(path).is_file():
        return False
    try:
        card = read_card(path)
    except ModelError:
        return False
    return card.run_digest == run and card.weights_sha256 == digest_file(path)


def resume_path(path: Path) -> Path:
    """Return where an unfinished run keeps its state: ``<stem>.resume.pt`` beside the result."""
    return path.with_suffix(".resume.pt")


def train(
    data: TrainingData,
    fold: Fold,
    *,
    config: ModelConfig,
    preprocessing: Preprocessing,
    options: TrainOptions,
    seed: int,
    path: Path,
    device: str | torch.device = "cpu",
    region: str | None = None,
    strict: bool = False,
    memory_bytes: int = DEFAULT_MEMORY_BYTES,
    report: Report = silent,
) -> Path:
    """Train one network and write its checkpoint; return the checkpoint's path.

    The loss is class-balanced cross-entropy plus ``options.beta`` times the mean squared error
    between mask logits and the mask of ``region`` (default: the dataset's first region). Of a
    multi-label dataset it is binary cross-entropy over all attributes, each balanced
    (``losses.attribute_weights``); an attribute that is the same in every training image is not
    learned, which the card's problems say. The last epoch's network is kept; the test images
    choose nothing.

    The same arguments on the same machine give the same weights, bit for bit, whether the run was
    interrupted or not: after each epoch the state is written beside the result and taken up by
    the next call. A finished checkpoint of the same run is returned at once.

    Raises
    ------
    DataError
        When the training images hold one class only (or agree on every attribute), train and test
        overlap, the task is another one, or (``strict``) a sample is damaged. Otherwise damaged
        samples are left out, reported, and named in the card.
    ModelError, ConfigError
        When weights do not fit, options contradict each other, or the loss is no longer finite.
    ResultsError
        When the folder cannot be written.
    Cancelled
        Raised by ``report``; the last finished epoch is kept.
    """
    _check(data, fold, config=config, preprocessing=preprocessing, options=options)
    check_name(path)
    run = run_digest(
        data,
        fold,
        config=config,
        preprocessing=preprocessing,
        options=options,
        seed=seed,
        region=region,
    )
    if is_trained(path, run):
        resume_path(path).unlink(missing_ok=True)
        return path
    device = torch.device(device)
    with _deterministic(device, seed):
        trainer = Trainer(
            data,
            fold,
            config=config,
            preprocessing=preprocessing,
            options=options,
            seed=seed,
            device=device,
            region=region,
            strict=strict,
            memory_bytes=memory_bytes,
            report=report,
        )
        trainer.resume(resume_path(path), run)
        trainer.save_state(resume_path(path), run)  # an unwritable folder shows before the work
        while trainer.epoch < options.epochs:
            trainer.run_epoch()
            trainer.save_state(resume_path(path), run)
            trainer.tell()
    save_checkpoint(path, trainer.net, trainer.card(run))
    resume_path(path).unlink(missing_ok=True)
    return path


def _check(
    data: TrainingData,
    fold: Fold,
    *,
    config: ModelConfig,
    preprocessing: Preprocessing,
    options: TrainOptions,
) -> None:
    if data.task not in ("single", "multilabel"):
        raise DataError(
            "cannot train on this task",
            where=data.name,
            expected="single or multilabel",
            got=data.task,
        )
    if len(data.class_names) != config.n_classes:
        raise ConfigError(
            "the network does not fit the dataset",
            where=data.name,
            expected=f"n_classes = {len(data.class_names)}",
            got=config.n_classes,
        )
    if preprocessing.input_size != config.input_size:
        raise ConfigError(
            "preprocessing and network disagree on the input size",
            expected=config.input_size,
            got=preprocessing.input_size,
        )
    if options.beta > 0 and not config.decoder:
        raise ConfigError("a mask loss needs a decoder", fix="set beta = 0, or keep the decoder")
    both = set(fold.train) & set(fold.test)
    if both:
        raise DataError(
            f"{len(both)} images are in train and test",
            where=f"{data.name}, fold {fold.index}",
            got=min(both),
        )
