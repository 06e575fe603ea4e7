"""The scores of a shard that are of the whole map: those that ask the model, not a mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

if TYPE_CHECKING:
    from xaieval.jobs import Answer, Errand
    from xaieval.methods import Explainer, MethodCall
    from xaieval.metrics import MetricCall, Rules
    from xaieval.models import Classifier
    from xaieval.types import Sample, Score

T = TypeVar("T")
# Images whose changed pictures are packed together; between two such groups others get a turn.
_GROUP = 8


class Calling(Protocol):
    """What these scores ask of a backend (``xaieval.backend.Backend``)."""

    def call(
        self,
        checkpoint: Path | Classifier,
        work: Callable[[Explainer, Errand], T],
        *,
        upsampling: str,
        exact: bool,
    ) -> T: ...


def whole_scores(
    backend: Calling,
    checkpoint: Path | Classifier,
    pairs: Sequence[tuple[Sample, Answer]],
    method: MethodCall,
    metrics: Sequence[MetricCall],
    *,
    rules: Rules,
    upsampling: str,
    exact: bool,
    seed: int,
) -> list[Mapping[str, Score]]:
    """Score the maps of some images by a method: metric key -> Score, per image.

    Parameters
    ----------
    pairs : sequence of (sample, answer)
        Answers hold the method's map.
    metrics : sequence of MetricCall
        That need the model.
    seed : int
        Study seed of stochastic methods.
    """
    from xaieval.evaluating import ModelEvaluator, second_inputs, subjects_of
    from xaieval.metrics import score
    from xaieval.types import Score

    found: list[Mapping[str, Score]] = []
    for start in range(0, len(pairs), _GROUP):
        group = pairs[start : start + _GROUP]
        maps = np.stack([answer.maps[method.key].values for _, answer in group])

        def work(
            explainer: Explainer,
            errand: Errand,
            group: Sequence[tuple[Sample, Answer]] = group,
            maps: object = maps,
        ) -> list[Mapping[str, Score]]:
            evaluator = ModelEvaluator(
                explainer,
                method,
                subjects_of(explainer.classifier, [a for _, a in group], explainer.device),
                extra=second_inputs([sample for sample, _ in group]),
                seed=seed,
                cancelled=errand.cancelled,
                give_way=errand.give_way,
            )
            scores = score(maps, metrics=list(metrics), rules=rules, evaluator=evaluator)
            return [
                {
                    key: Score(float(values[i]), scores.reasons[key][i])
                    for key, values in scores.items()
                }
                for i in range(len(group))
            ]

        found += backend.call(checkpoint, work, upsampling=upsampling, exact=exact)
    return found
