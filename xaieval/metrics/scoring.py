"""``score``: heatmaps and masks in, named numbers with their reasons out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from xaieval.errors import MetricError
from xaieval.metrics.arrays import heatmap_batch, mask_batch, pooled
from xaieval.metrics.evaluator import Evaluator
from xaieval.metrics.faithfulness import model_scores
from xaieval.metrics.ranking import RankedMap, Ranking
from xaieval.metrics.registry import MetricLike, resolve_metrics
from xaieval.metrics.rules import DEFAULT, Rules
from xaieval.metrics.spec import MetricCall
from xaieval.types import Grid, Score

if TYPE_CHECKING:
    import pandas as pd

Values = npt.NDArray[np.float64]
Reasons = npt.NDArray[np.object_]


class Scores(Mapping[str, Values]):
    """Metric key -> float64 (B,), or (B, P) where the masks had an axis of regions.

    Attributes
    ----------
    reasons : mapping key -> object array
        Same shapes; None where there is a number, else why there is none (``xaieval.types``).
    rules : Rules
    calls : tuple of MetricCall
        What was asked for, in order.
    """

    def __init__(
        self,
        values: Mapping[str, Values],
        reasons: Mapping[str, Reasons],
        *,
        rules: Rules,
        calls: tuple[MetricCall, ...],
    ) -> None:
        self._values, self.reasons = dict(values), dict(reasons)
        self.rules, self.calls = rules, calls

    def __getitem__(self, key: str) -> Values:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Scores({self._values!r})"

    def frame(
        self,
        sample_ids: Sequence[str],
        *,
        regions: Sequence[str] | None = None,
        columns: Mapping[str, object] | None = None,
    ) -> pd.DataFrame:
        """Return the scores in long form, one row per sample, region and metric.

        Parameters
        ----------
        sample_ids : sequence of str, length B
        regions : sequence of str, length P
            Names of the regions; for masks (B, H, W) one name. Default: "mask" for one region,
            positions as text for more.
        columns : mapping name -> value
            Constant columns to put first (model_id, seed, method_id, ...).

        Returns
        -------
        DataFrame
            ``[*columns, sample_id, region, metric_key, rule_digest, value, reason]``.

        Raises
        ------
        MetricError
            When the names do not fit the scores.
        """
        import pandas as pd

        shape = next(iter(self._values.values())).shape if self._values else (len(sample_ids),)
        n_regions = shape[1] if len(shape) == 2 else 1
        if regions is None:
            regions = ["mask"] if n_regions == 1 else [str(p) for p in range(n_regions)]
        if len(sample_ids) != shape[0] or len(regions) != n_regions:
            raise MetricError(
                "names do not fit the scores",
                expected=f"{shape[0]} samples, {n_regions} regions",
                got=f"{len(sample_ids)} samples, {len(regions)} regions",
            )
        parts = [
            pd.DataFrame(
                {
                    **(columns or {}),
                    "sample_id": np.repeat(np.asarray(sample_ids, dtype=object), n_regions),
                    "region": np.tile(np.asarray(regions, dtype=object), shape[0]),
                    "metric_key": key,
                    "rule_digest": self.rules.digest,
                    "value": values.reshape(-1),
                    # object, not pandas' str: there None would become NaN
                    "reason": pd.Series(self.reasons[key].reshape(-1), dtype=object),
                }
            )
            for key, values in self._values.items()
        ]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def score(
    heatmaps: Any,
    masks: Any = None,
    *,
    metrics: MetricLike | Sequence[MetricLike],
    rules: Rules = DEFAULT,
    evaluator: Evaluator | None = None,
    grid: Grid | None = None,
    signed: Literal["error", "nan"] = "error",
) -> Scores:
    """Score heatmaps against masks, each map on its own: a batch's size changes nothing.

    Parameters
    ----------
    heatmaps : float32 or float64 (B, H, W), numpy or torch
        Finite. (B, C, H, W) where ``rules.pooling`` names how channels become one map.
    masks : bool (B, H, W) or (B, P, H, W), numpy or torch
        At the heatmaps' size. None where every score is of the whole map (needs the model).
    metrics : list
        Ids (``METRICS``), keys such as ``precision@K=412`` or ``iou[mean+1std]``, or mappings.
    rules : Rules
        Default: ``Rules()``.
    evaluator : Evaluator, optional
        The model, for scores that need it; its ``subjects`` are the heatmaps' pictures, in order.
        Such a score is the same for every region of an image.
    grid : Grid, optional
        The coarse grid that the heatmaps were drawn from, for their ``ceiling``.
    signed : {"error", "nan"}
        What a map with negative values does to a score that needs mass: an error, or NaN with
        the reason ``signed-map`` (for tables of many methods and scores).

    Returns
    -------
    Scores
        Mapping key -> float64 (B,) or (B, P), with ``.reasons``. Where a score is undefined it is
        NaN with a reason, never 0. Of several regions of an image, an empty one is
        ``absent-part`` when another is not, else ``empty-mask``.

    Raises
    ------
    MetricError
        For a wrong shape or dtype, NaN or infinity in a heatmap, negative values where a score
        needs mass, an empty mask under ``Rules(empty_masks="error")``, or a score that lacks its
        masks or its evaluator.
    ConfigError
        For an unknown metric or option.

    >>> heatmap = np.array([[[9, 8, 0, 0]] * 4], np.float32)  # the left half is high
    >>> mask = np.zeros((1, 4, 4), bool)
    >>> mask[0, :2, :2] = True  # 4 pixels: 2 nines, 2 eights
    >>> score(heatmap, mask, metrics=["topk_overlap", "mass_accuracy"])
    Scores({'topk_overlap': array([0.5]), 'mass_accuracy': array([0.5])})
    """
    calls = resolve_metrics(metrics)
    maps = heatmap_batch(heatmaps, channels=rules.pooling is not None)
    regions, several = _regions(masks, maps, calls)
    ranked = [
        RankedMap(pooled(heatmap, rules.pooling), where=f"heatmap {b}", grid=grid)
        for b, heatmap in enumerate(maps)
    ]
    shape = regions.shape[:2]
    values = {call.key: np.full(shape, np.nan) for call in calls}
    reasons = {call.key: np.full(shape, None, dtype=object) for call in calls}
    local = [call for call in calls if not call.whole]
    for b in range(len(maps) if local else 0):
        for p, ranking in enumerate(rankings(ranked[b], regions[b])):
            if rules.empty_masks == "error" and ranking.mask_reason:
                raise MetricError("empty mask", where=f"image {b}, region {p}")
            for call in local:
                try:
                    result = call(ranking, rules)
                except MetricError:
                    if signed == "error" or call.spec.signed_ok or ranked[b].low >= 0:
                        raise
                    result = Score(math.nan, ranking.mask_reason or "signed-map")
                values[call.key][b, p], reasons[call.key][b, p] = result.value, result.reason
    whole = [call for call in calls if call.whole]
    for key, found in model_scores(whole, ranked, evaluator).items():
        values[key][:] = np.array([result.value for result in found])[:, None]
        reasons[key][:] = np.array([result.reason for result in found], dtype=object)[:, None]
    if not several:
        values = {key: array[:, 0] for key, array in values.items()}
        reasons = {key: array[:, 0] for key, array in reasons.items()}
    return Scores(values, reasons, rules=rules, calls=calls)


def _regions(
    masks: Any, maps: npt.NDArray[Any], calls: Sequence[MetricCall]
) -> tuple[npt.NDArray[np.bool_], bool]:
    """Return masks (B, P, H, W); without masks one region that nothing is scored against."""
    if masks is not None:
        return mask_batch(masks, maps)
    for call in calls:
        if not call.whole:
            raise MetricError(f"{call.key} needs masks", fix="pass masks, bool (B, H, W)")
    return np.zeros((len(maps), 1, *maps.shape[-2:]), bool), False


def rankings(ranked: RankedMap, regions: npt.NDArray[np.bool_]) -> list[Ranking]:
    """Return one map's rankings against its regions (P, H, W), absent parts marked as such."""
    some = bool(regions.any())
    return [Ranking(ranked, mask, absent=some) for mask in regions]
