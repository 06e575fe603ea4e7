"""A model at work for scores that need it: their queue of changed pictures, run by an explainer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xaieval.errors import ModelError
from xaieval.jobs import Answer, extra_of
from xaieval.methods import Explainer, MethodCall
from xaieval.methods.streams import Stream
from xaieval.metrics import Subject
from xaieval.metrics.evaluator import Output
from xaieval.models import Classifier
from xaieval.models.pairs import PairNet
from xaieval.types import Sample


class ModelEvaluator:
    """What ``xaieval.metrics.Evaluator`` asks for, of one classifier and one method.

    Parameters
    ----------
    explainer : Explainer
    method : MethodCall
        Explains the pictures that max-sensitivity and drift change.
    subjects : sequence of Subject
    extra : tuple of tensors (B, ...)
        The second input of each subject, where the network takes one.
    seed : int
        Study seed of stochastic methods.
    cancelled : callable, optional
        Asked before each pass.
    give_way : callable, optional
        Called between passes, where other work may run.
    """

    def __init__(
        self,
        explainer: Explainer,
        method: MethodCall,
        subjects: Sequence[Subject],
        *,
        extra: tuple[Tensor, ...] = (),
        seed: int = 0,
        cancelled: Callable[[], bool] | None = None,
        give_way: Callable[[], None] = lambda: None,
    ) -> None:
        self._give_way = give_way
        self.explainer, self.method, self.subjects = explainer, method, tuple(subjects)
        self._extra, self._seed, self._cancelled = extra, seed, cancelled

    @property
    def rows(self) -> int:
        """How many rows fill a pass."""
        return self.explainer.rows(self.subjects[0].size).count if self.subjects else 1

    def logits(self, rows: Tensor, images: Sequence[int]) -> Tensor:
        """Return logits (n, classes) of rows (n, C, H, W)."""
        self._give_way()
        block = _Block(rows, images)
        self.explainer.feed([block], extra=self._extra or None, cancelled=self._cancelled)
        return torch.cat(block.found)

    def gradients(self, rows: Tensor, images: Sequence[int], targets: Sequence[int]) -> Tensor:
        """Return the gradient (n, C, H, W) of each row's target logit."""
        self._give_way()
        return self.explainer.gradients(
            rows, torch.tensor(targets), extra=self._second(images), cancelled=self._cancelled
        )

    def embeddings(self, rows: Tensor, images: Sequence[int]) -> Tensor:
        """Return embeddings (n, D) of rows (n, C, H, W), of a network that compares them.

        Raises
        ------
        ModelError
            For any other network.
        """
        self._give_way()
        module = self.explainer.prepared.module
        if not isinstance(module, PairNet):
            raise ModelError(
                "the network compares no embeddings",
                where=self.explainer.classifier.name,
                fix="make it one with xaieval.models.pair_classifier",
            )
        with torch.no_grad():
            return torch.cat([module.embed(part) for part in torch.split(rows, self.rows)])

    def maps(self, rows: Tensor, images: Sequence[int]) -> Any:
        """Return the method's maps float32 (n, H, W) of rows, for their subjects' targets."""
        self._give_way()
        explanation = self.explainer.run(
            rows,
            methods=(self.method,),
            targets=torch.tensor([self.subjects[i].target for i in images]),
            extra=self._second(images),
            # The same numbers for every copy: a stochastic method's luck is no sensitivity.
            sample_ids=[self.subjects[i].sample_id for i in images],
            seed=self._seed,
            cancelled=self._cancelled,
        )
        return explanation.maps[self.method.key]

    def _second(self, images: Sequence[int]) -> tuple[Tensor, ...] | None:
        return tuple(t[list(images)] for t in self._extra) or None


class _Block(Stream):
    """Rows that are there already."""

    def __init__(self, points: Tensor, images: Sequence[int]) -> None:
        self.rows, self._points = len(points), points
        self._images = torch.tensor(images, device=points.device)
        self.found: list[Tensor] = []

    def points(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        return self._points[start:stop], self._images[start:stop]

    def add(self, start: int, found: Tensor, image: Tensor) -> None:
        self.found.append(found)

    def result(self) -> Tensor:
        return torch.cat(self.found)


def subjects_of(
    classifier: Classifier, answers: Sequence[Answer], device: torch.device
) -> list[Subject]:
    """Return what scores need to know of pictures that were explained.

    Classes that an image can have several of have a sigmoid each, and no softmax.

    Raises
    ------
    ModelError
        When the classifier does not say how pictures become its input.
    """
    preprocessing = classifier.preprocessing
    if preprocessing is None:
        raise ModelError(
            "scores that change pictures need the range of model input",
            where=classifier.name,
            fix="give Classifier(..., preprocessing=Preprocessing(...))",
        )
    mean, std = (torch.tensor(v)[:, None, None] for v in (preprocessing.mean, preprocessing.std))
    low, high = (-mean / std).to(device), ((1 - mean) / std).to(device)
    return [
        Subject(
            answer.sample_id,
            preprocessing.tensor(answer.picture[None].copy())[0].to(device),
            low,
            high,
            predicted=answer.predicted,
            target=answer.target,
            output=_output(classifier, answer),
        )
        for answer in answers
    ]


def _output(classifier: Classifier, answer: Answer) -> Output:
    if isinstance(classifier.module, PairNet):
        return "cosine"
    several = answer.task == "multilabel" or isinstance(answer.label, np.ndarray)
    return "sigmoid" if several else "softmax"


def second_inputs(samples: Sequence[Sample]) -> tuple[Tensor, ...]:
    """Return the second input of some samples, tensors (B, ...); empty when they have none."""
    columns = zip(*(extra_of(sample) for sample in samples), strict=True)
    return tuple(torch.from_numpy(np.stack(parts)) for parts in columns)
