"""From a results folder's Parquet parts to numpy columns: codes instead of texts, one pivot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from xaieval.digest import url_id
from xaieval.errors import ResultsError
from xaieval.study import Results

Codes = npt.NDArray[np.integer[Any]]
Floats = npt.NDArray[np.float64]

# Rows are numbered alike in every query.
_ORDER = "seed, fold, sample_id, model_id"


@dataclass(frozen=True, eq=False)
class Rows:
    """What a study's models said: one row per image and training seed, columns of equal length n.

    A text column holds places in the tuple of texts beside it.

    Attributes
    ----------
    sample : int32 (n,), places in ``samples``
    split : int8 (n,), places in ``splits``
    of_class : int16 (n,), places in ``classes``
    seed, fold, label, predicted : int32 (n,)
    confidence : float64 (n,), of the predicted class, 0..1
    correct : bool (n,)
    """

    samples: tuple[str, ...]
    sample: Codes
    splits: tuple[str, ...]
    split: Codes
    classes: tuple[str, ...]
    of_class: Codes
    seed: Codes
    fold: Codes
    label: Codes
    predicted: Codes
    confidence: Floats
    correct: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.sample)

    @cached_property
    def urls(self) -> tuple[str, ...]:
        """The samples' url ids, in the order of ``samples``."""
        return tuple(map(url_id, self.samples))

    @cached_property
    def _places(self) -> Mapping[str, int]:
        """Sample id or url id -> its place in ``samples``."""
        by_url = {url: place for place, url in enumerate(self.urls)}
        return by_url | {sample: place for place, sample in enumerate(self.samples)}

    @cached_property
    def _rows_by_sample(self) -> tuple[Codes, Codes]:
        order = np.argsort(self.sample, kind="stable")
        starts = np.searchsorted(self.sample[order], np.arange(len(self.samples) + 1))
        return order, starts

    def of_sample(self, sample: str) -> Codes:
        """Return the rows of an image, named by sample id or url id; none when it is unknown."""
        place = self._places.get(sample)
        if place is None:
            return np.empty(0, np.int64)
        order, starts = self._rows_by_sample
        return order[starts[place] : starts[place + 1]]


def load_rows(results: Results) -> Rows:
    """Read all predictions."""
    table = results.arrow(
        'SELECT sample_id, split, "class", seed, fold, label, predicted, confidence, correct '
        f"FROM predictions ORDER BY {_ORDER}"
    )
    samples, sample = _coded(table["sample_id"])
    splits, split = _coded(table["split"], first=results.splits)
    classes, of_class = _coded(table["class"], first=results.classes)
    return Rows(
        samples=samples,
        sample=sample.astype(np.int32),
        splits=splits,
        split=split.astype(np.int8),
        classes=classes,
        of_class=of_class.astype(np.int16),
        **{
            name: table[name].to_numpy().astype(kind, copy=False)
            for name, kind in (
                ("seed", np.int32),
                ("fold", np.int32),
                ("label", np.int32),
                ("predicted", np.int32),
                ("confidence", np.float64),
                ("correct", np.bool_),
            )
        },
    )


def _coded(column: pa.ChunkedArray, first: Sequence[str] = ()) -> tuple[tuple[str, ...], Codes]:
    """Return a text column's values, those named first, others as they come, and the codes."""
    coded = column.combine_chunks().dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks()
    found = coded.dictionary.to_pylist()
    names = [*first, *(name for name in found if name not in first)] if first else found
    codes: Codes = coded.indices.to_numpy(zero_copy_only=False)
    if first:
        place = {name: number for number, name in enumerate(names)}
        codes = np.array([place[name] for name in found] or [0], np.int32)[codes]
    return tuple(names), codes


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of all rows by some methods: float64 (n, methods), NaN with a reason.

    ``reason`` holds places in ``reasons``; 0 ('') is none.
    """

    values: Floats
    reason: Codes
    reasons: tuple[str, ...]


def load_scores(
    results: Results,
    rows: Rows,
    *,
    keys: Sequence[tuple[str, str]],
    methods: Sequence[str],
) -> list[Scores]:
    """Read some scores in one query: one ``Scores`` per (metric key, region).

    Raises
    ------
    ResultsError
        When an image has two scores of one method under one metric.
    """
    metrics = list(dict.fromkeys(metric for metric, _ in keys))
    regions = list(dict.fromkeys(region for _, region in keys))
    rules = results.manifest.get("rule_digest")
    table = results.arrow(
        "WITH numbered AS (SELECT sample_id, model_id, seed, "
        f"row_number() OVER (ORDER BY {_ORDER}) - 1 AS place FROM predictions) "
        "SELECT place::INTEGER AS place, list_position($1, metric_key) - 1 AS metric, "
        "list_position($2, region) - 1 AS region, list_position($3, method_id) - 1 AS method, "
        "value, reason FROM scores JOIN numbered USING (sample_id, model_id, seed) "
        "WHERE list_contains($1, metric_key) AND list_contains($2, region) "
        "AND list_contains($3, method_id)" + (" AND rule_digest = $4" if rules else ""),
        [metrics, regions, list(methods), *([rules] if rules else [])],
    )
    place, metric, region, method = (
        table[name].to_numpy().astype(np.int64) for name in ("place", "metric", "region", "method")
    )
    value = table["value"].to_numpy()
    named, code = _coded(table["reason"].fill_null(""), first=("",))
    found = []
    for key, area in keys:
        own = (metric == metrics.index(key)) & (region == regions.index(area))
        cell = place[own] * len(methods) + method[own]
        values = np.full(len(rows) * len(methods), np.nan)
        values[cell] = value[own]
        reason = np.zeros(len(values), np.int16)
        reason[cell] = code[own]
        if np.bincount(cell, minlength=1).max(initial=0) > 1:
            twice = int(cell[np.argmax(np.bincount(cell)[cell] > 1)])
            raise ResultsError(
                f"an image has two scores of one method by {key}",
                where=rows.samples[rows.sample[twice // len(methods)]],
                got=methods[twice % len(methods)],
                fix="run the study again with another --out",
            )
        shape = (len(rows), len(methods))
        found.append(Scores(values.reshape(shape), reason.reshape(shape), named))
    return found
