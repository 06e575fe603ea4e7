"""Tables for the browser: every K and every threshold of a view, looked up there, computed here.

Scores travel in thousandths, as many as a card shows; ``NONE`` stands for an undefined one.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xaieval.metrics import k_table, parse_metric, place_table, threshold_table
from xaieval.types import Heatmap, Mask

from .scorecard import BINARISED, TIE

NONE = 65535
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Cuts:
    """One map's tables: ``packed`` for the browser, ``scores`` (float64, by metric) to rank by."""

    packed: dict[str, Any]
    scores: dict[str, Floats]


def cut(heatmap: Heatmap, mask: Mask | None, end: int) -> Cuts:
    """Return the tables of a map for K = 1 … end and all thresholds."""
    at_k, at_t = k_table(heatmap.values, mask, end), threshold_table(heatmap.values, mask)
    wide = heatmap.values.size > NONE
    small = np.uint32 if wide else np.uint16
    # What no K reaches needs no rank of its own: it packs to nothing.
    reached = np.minimum(at_k.stronger, end)
    scores = {"precision": at_k.precision} | {name: getattr(at_t, name) for name in BINARISED}
    packed: dict[str, Any] = {
        "wide": wide,
        "flat": bool(heatmap.values.min() == heatmap.values.max()),
        "rank": pack(reached.astype(small)),
        "above": pack(at_k.above.astype(small)),
        "share": pack(at_k.share),
        "hits": pack(np.rint(np.nan_to_num(at_k.hits)).astype(np.uint32)),
        "steps": pack(at_t.steps),
        "size": pack(at_t.size.astype(np.uint32)),
        "inside": pack(at_t.hits.astype(np.uint32)),
    } | {name: pack(thousandths(values)) for name, values in scores.items()}
    return Cuts(packed, scores)


def pack(array: npt.NDArray[Any]) -> str:
    """Return an array's bytes, little-endian, compressed (RFC 1950) and in base64."""
    data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    return base64.b64encode(zlib.compress(data, 1)).decode()


def thousandths(values: Floats) -> npt.NDArray[np.uint16]:
    """Return scores in 0..1 as the thousandths that ``f"{value:.3f}"`` shows; NaN is ``NONE``.

    >>> thousandths(np.array([0.0625, 0.5125, 1.0, np.nan])).tolist()
    [62, 512, 1000, 65535]
    """
    scaled = np.nan_to_num(values) * 1000
    found = np.rint(scaled)
    for at in np.flatnonzero(np.abs(np.abs(scaled - found) - 0.5) < 1e-6):
        found[at] = round(float(f"{values[at]:.3f}") * 1000)
    found[np.isnan(values)] = NONE
    return found.astype(np.uint16)


def places(cuts: Mapping[str, Cuts], metric: str) -> dict[str, str]:
    """Return each method's place at every K or threshold, where the ranking metric has one there.

    ``cuts``: of the methods that compete.
    """
    name = "precision" if metric == "topk_overlap" else metric
    if len(cuts) < 2 or name not in ("precision", *BINARISED):
        return {}
    table = place_table(
        np.stack([found.scores[name] for found in cuts.values()]),
        higher_is_better=parse_metric(metric).spec.higher_is_better is not False,
        tie=TIE,
    )
    return {key: pack(row.astype(np.uint8)) for key, row in zip(cuts, table, strict=True)}
