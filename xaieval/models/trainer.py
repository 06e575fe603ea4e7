"""The state and the steps of one training run; ``training.train`` is the way in."""

from __future__ import annotations

import dataclasses
import math
import pickle
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from xaieval.digest import digest, rng
from xaieval.errors import DataError, ModelError
from xaieval.files import atomic_path
from xaieval.models.augment import augment_pair
from xaieval.models.checkpoints import Card, HistoryRow, versions
from xaieval.models.losses import AttributeTally, Tally, attribute_weights, class_weights
from xaieval.models.multitask import ModelConfig, MultitaskNet, build
from xaieval.models.options import TrainOptions
from xaieval.models.pictures import Pictures, TrainingData, known_masks, stack
from xaieval.models.preprocessing import Preprocessing
from xaieval.models.weights import freeze, load_encoder_weights, recalibrate_batchnorm, weights_sha
from xaieval.progress import Progress, Report

# So many training pictures, drawn by seed, give batch norms their statistics.
_RECALIBRATION_PICTURES = 512


class Fold(Protocol):
    """What training needs of a fold; ``xaieval.datasets.Fold`` has it."""

    @property
    def index(self) -> int: ...
    @property
    def train(self) -> tuple[str, ...]: ...
    @property
    def test(self) -> tuple[str, ...]: ...


@dataclasses.dataclass(frozen=True)
class Batch:
    """x float32 (B, 3, H, W), masks float32 (B, H, W), known bool (B,).

    ``labels`` are int64 (B,), or bool (B, classes) of samples with several.
    """

    x: Tensor
    labels: Tensor
    masks: Tensor
    known: Tensor


class Trainer:
    """One run: network, optimiser, pictures, history. ``train`` is the way in."""

    def __init__(
        self,
        data: TrainingData,
        fold: Fold,
        *,
        config: ModelConfig,
        preprocessing: Preprocessing,
        options: TrainOptions,
        seed: int,
        device: torch.device,
        region: str | None,
        strict: bool,
        memory_bytes: int,
        report: Report,
    ) -> None:
        self.data, self.fold, self.config = data, fold, config
        self.preprocessing, self.options = preprocessing, options
        self.seed, self.device, self.report = seed, device, report
        self.stage = f"train seed {seed}" + (f" fold {fold.index}" if fold.index else "")
        self.epoch, self.elapsed_s = 0, 0.0
        self.history: list[HistoryRow] = []
        self._load(region=region, strict=strict, memory_bytes=memory_bytes)
        self.several = data.task == "multilabel"
        self.weights = self._weights().to(device)
        self.net = self._network()
        self.optimizer = _optimizer(self.net, options)

    def _load(self, *, region: str | None, strict: bool, memory_bytes: int) -> None:
        data, fold = self.data, self.fold
        if region is None and data.region_names:
            region = data.region_names[0]
        if self.options.beta == 0:
            region = None
        self.pictures = Pictures(data, self.preprocessing, region=region, memory_bytes=memory_bytes)
        total, start, done = len(fold.train) + len(fold.test), time.monotonic(), 0

        def on_read() -> None:
            nonlocal done
            done += 1
            self.report(Progress("read images", done, total, time.monotonic() - start))

        self.train_ids, bad = self.pictures.load(fold.train, strict=strict, on_read=on_read)
        self.test_ids, worse = self.pictures.load(fold.test, strict=strict, on_read=on_read)
        self.problems = [*bad, *worse]
        for problem in self.problems:
            self.report(Progress("read images", done, total, time.monotonic() - start, problem))
        self.known = known_masks(
            [*self.train_ids, *self.test_ids], self.pictures.labels, self.pictures.with_mask
        )

    def _weights(self) -> Tensor:
        """Return the weights of classes (C,), or of attributes (2, C), in the loss."""
        data, ids = self.data, self.train_ids
        where = f"{data.name}, fold {self.fold.index}"
        labels = np.array([self.pictures.labels[i] for i in ids])
        if self.several:
            weights = attribute_weights(labels.reshape(-1, self.config.n_classes))
            constant = [
                n for n, w in zip(data.class_names, weights[1].tolist(), strict=True) if not w
            ]
            if len(constant) == len(data.class_names):
                raise DataError(
                    "a classifier cannot be trained",
                    where=where,
                    expected="an attribute that some training images have and others lack",
                    got=f"{len(ids)} images that agree on every attribute",
                )
            for name in constant:
                found = f"attribute {name!r} is not learned: it is the same in all training images"
                self.problems.append(found)
                self.report(Progress("read images", len(ids), len(ids), 0.0, found))
            return weights
        classes = sorted(set(labels.tolist()))
        if len(classes) < 2:
            raise DataError(
                "a classifier cannot be trained",
                where=where,
                expected="training images of at least two classes",
                got=f"{len(ids)} images of "
                f"{', '.join(data.class_names[c] for c in classes) or 'no class'}",
            )
        return class_weights(labels.tolist(), self.config.n_classes)

    def _network(self) -> MultitaskNet:
        net = build(self.config, seed=self.seed)
        options = self.options
        if options.encoder_weights is not None:
            load_encoder_weights(net.encoder, Path(options.encoder_weights), arch=self.config.arch)
        # On the CPU and on recent GPUs convolutions are fastest when channels lie together.
        net.to(self.device)
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if options.recalibrate:
            order = rng("recalibrate", self.seed).permutation(len(self.train_ids))
            ids = [self.train_ids[i] for i in order[:_RECALIBRATION_PICTURES]]
            recalibrate_batchnorm(net.encoder, (batch.x for batch in self._batches(ids)))
        net.train()
        freeze(net, options)
        return net

    def _batches(self, ids: Sequence[str], *, augment: bool = False) -> Iterator[Batch]:
        for start in range(0, len(ids), self.options.batch):
            chosen = ids[start : start + self.options.batch]
            pairs = [self.pictures.pair(i) for i in chosen]
            if augment:
                pairs = [
                    augment_pair(
                        picture,
                        mask,
                        augment=self.options.augment,
                        seed=self.seed,
                        epoch=self.epoch,
                        sample_id=i,
                    )
                    for i, (picture, mask) in zip(chosen, pairs, strict=True)
                ]
            pictures, masks = stack(pairs)
            yield Batch(
                x=self.preprocessing.tensor(torch.from_numpy(pictures).to(self.device)),
                labels=torch.from_numpy(np.array([self.pictures.labels[i] for i in chosen])).to(
                    self.device
                ),
                masks=torch.from_numpy(masks).to(self.device).float(),
                known=torch.tensor([self.known[i] for i in chosen], device=self.device),
            )

    def _tally(self) -> Tally:
        kind = AttributeTally if self.several else Tally
        return kind(self.config.n_classes)

    def _forward(self, batch: Batch, tally: Tally) -> Tensor:
        if self.options.beta > 0:
            logits, mask_logits = self.net(batch.x)
        else:
            logits, mask_logits = self.net.classify(batch.x), None
        ce, mask = tally.add(
            logits=logits,
            labels=batch.labels,
            weights=self.weights,
            mask_logits=mask_logits,
            masks=batch.masks,
            known=batch.known,
        )
        return ce if mask is None else ce + self.options.beta * mask

    def run_epoch(self) -> None:
        """Train one epoch, then measure the test images."""
        start = time.monotonic()
        # Seeded per epoch, so that a resumed run needs no random state from before.
        torch.manual_seed(int(rng("epoch", self.seed, self.epoch).integers(2**62)))
        steps = math.ceil(len(self.train_ids) / self.options.batch)
        order = rng("order", self.seed, self.epoch).permutation(len(self.train_ids))
        tally = self._tally()
        self.net.train()
        freeze(self.net, self.options)
        batches = self._batches([self.train_ids[i] for i in order], augment=True)
        for step, batch in enumerate(batches):
            for group in self.optimizer.param_groups:
                group["lr"] = self._lr(self.epoch + step / steps)
            loss = self._forward(batch, tally)
            if not bool(torch.isfinite(loss)):
                raise ModelError(
                    f"the loss is no longer finite in epoch {self.epoch + 1}",
                    where=self.stage,
                    fix="lower the learning rate",
                )
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            if step + 1 < steps:
                self.tell(step=step + 1, running_s=time.monotonic() - start)
        test = self._measure()
        self.epoch += 1
        for split, counted in (("train", tally), ("test", test)):
            self.history.append(HistoryRow(self.epoch, split, **counted.means(self.options.beta)))
        self.elapsed_s += time.monotonic() - start

    @torch.no_grad()
    def _measure(self) -> Tally:
        tally = self._tally()
        self.net.eval()
        for batch in self._batches(self.test_ids):
            self._forward(batch, tally)
        return tally

    def _lr(self, epoch: float) -> float:
        if self.options.schedule == "constant":
            return self.options.lr
        if self.options.schedule == "step":
            return self.options.lr * self.options.gamma ** math.floor(epoch)
        return self.options.lr * 0.5 * (1 + math.cos(math.pi * epoch / self.options.epochs))

    def tell(self, *, step: int = 0, running_s: float = 0.0) -> None:
        """Report so many finished steps of the epoch that runs."""
        steps = math.ceil(len(self.train_ids) / self.options.batch)
        done = self.epoch * steps + step
        note = f"epoch {min(self.epoch + 1, self.options.epochs)} of {self.options.epochs}"
        if self.history:
            shown = [
                f"{row.split} {row.balanced_accuracy:.3f}"
                for row in self.history[-2:]
                if row.balanced_accuracy is not None
            ]
            note += ", balanced accuracy " + ", ".join(shown)
        total = steps * self.options.epochs
        self.report(Progress(self.stage, done, total, self.elapsed_s + running_s, note))

    def save_state(self, path: Path, run: str) -> None:
        """Write what the next epoch needs, whole or not at all."""
        state = {
            "run": run,
            "epoch": self.epoch,
            "elapsed_s": self.elapsed_s,
            "history": [dataclasses.asdict(row) for row in self.history],
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        with atomic_path(path) as temporary:
            torch.save(state, temporary)

    def resume(self, path: Path, run: str) -> None:
        """Take up the state of the same run; that of another run, or a damaged one, is dropped."""
        if not path.is_file():
            return
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            if state["run"] != run:
                raise KeyError("run")
            self.net.load_state_dict(state["net"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.history = [HistoryRow(**row) for row in state["history"]]
            self.epoch, self.elapsed_s = int(state["epoch"]), float(state["elapsed_s"])
        except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError, TypeError):
            note = f"{path.name} is damaged or of another run: starting from the first epoch"
            self.report(Progress(self.stage, 0, self.options.epochs, 0.0, note))

    def card(self, run: str) -> Card:
        """Return the card of the network as it is."""
        weights = self.options.encoder_weights
        options = self.options
        if weights is not None:  # a path of this machine means nothing elsewhere
            options = dataclasses.replace(options, encoder_weights=Path(weights).name)
        return Card(
            config=self.config,
            class_names=tuple(self.data.class_names),
            preprocessing=self.preprocessing,
            options=options,
            seed=self.seed,
            fold=self.fold.index,
            history=tuple(self.history),
            dataset=self.data.name,
            dataset_digest=self.data.digest,
            train_ids_digest=digest(self.train_ids),
            test_ids_digest=digest(self.test_ids),
            n_train=len(self.train_ids),
            n_test=len(self.test_ids),
            encoder_weights_sha256=None if weights is None else weights_sha(Path(weights)),
            problems=tuple(self.problems),
            run_digest=run,
            task=self.data.task,
            versions={**versions(), "device": self.device.type},
        )


def _optimizer(net: MultitaskNet, options: TrainOptions) -> torch.optim.Optimizer:
    parameters = [p for p in net.parameters() if p.requires_grad]
    if options.optimizer == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=options.lr,
            momentum=options.momentum,
            weight_decay=options.weight_decay,
        )
    return torch.optim.AdamW(parameters, lr=options.lr, weight_decay=options.weight_decay)
