"""Rows of a triage table as people and files see them: names and texts instead of codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from xaieval.digest import url_id
from xaieval.journal import NO_MARKS, Marks
from xaieval.stats.patterns import PATTERNS, Thresholds
from xaieval.triage.columns import USUAL, Columns
from xaieval.triage.filters import NO_TAGS


@dataclass(frozen=True)
class Column:
    """What a column of the sheet says."""

    id: str
    label: str
    summary: str


_LIST = (
    Column("sample_id", "image", "the image's id: its path in the dataset, without extension"),
    Column("image", "link id", "the image in links: s and 12 hex digits of the id's sha256"),
    Column("seed", "seed", "training seed of the model"),
    Column("fold", "fold", "fold of the model; 0 where there is one fold"),
    Column("split", "split", "whether the model was trained on the image"),
    Column("class", "class", "the image's label"),
    Column("predicted", "predicted", "what the model says"),
    Column("confidence", "confidence", "the model's probability of what it says, 0 to 1"),
    Column("correct", "correct", "whether the model is right"),
    Column("score", "score", "of the chosen method, or the mean over the competing methods"),
    Column("alignment", "alignment", "the score from 0 (worst) to 1 (best)"),
    Column("misalignment", "misalignment", "1 − alignment"),
    Column("disagreement", "disagreement", "largest minus smallest alignment of the methods"),
    Column("surprise", "surprise", "confidence × misalignment × disagreement"),
    Column("pattern", "pattern", "Shared Interest pattern; empty when it was not scored"),
    Column("winner", "winner", "who wins the image, joined by ' = ' when tied; empty: not counted"),
    Column("tags", "tags", "of the image, joined by '; '"),
    Column("notes", "notes", "of the image, 'author: text', joined by ' | '"),
    Column("why", "why", "why there is no surprise: a reason of the score, or of the methods"),
)
COLUMNS: dict[str, Column] = {column.id: column for column in _LIST}
"""Every column by its id; the scores of the methods stand between surprise and pattern."""


def frame(
    table: Columns,
    rows: npt.NDArray[np.int64] | Sequence[int],
    *,
    marks: Mapping[str, Marks] = NO_TAGS,
    thresholds: Thresholds = USUAL,
    tie_rule: Literal["split", "first"] = "split",
    population: Literal["correct", "all"] = "correct",
) -> pd.DataFrame:
    """Return some rows with all ``COLUMNS`` and, as ``score:METHOD``, every method's score.

    Ask for the rows that are shown, or for all of them to write a file.
    """
    at = np.asarray(rows, np.int64)
    held = table.rows
    samples = [held.samples[place] for place in held.sample[at]]
    found: dict[str, Any] = {
        "sample_id": samples,
        "image": [url_id(sample) for sample in samples],
        "seed": held.seed[at],
        "fold": held.fold[at],
        "split": _named(held.splits, held.split[at]),
        "class": _named(held.classes, held.of_class[at]),
        "predicted": _named(table.results.classes, held.predicted[at]),
        "confidence": held.confidence[at],
        "correct": held.correct[at],
        "score": table.score[at],
        "alignment": table.alignment[at],
        "misalignment": table.misalignment[at],
        "disagreement": table.disagreement[at],
        "surprise": table.surprise[at],
    }
    for number, method in enumerate(table.methods):
        found[f"score:{method}"] = table.scores.values[at, number]
    found["pattern"] = (
        _named(tuple(PATTERNS), table.patterns(thresholds)[at])
        if table.pattern_metrics
        else [""] * len(at)
    )
    found["winner"] = winners(table, at, tie_rule=tie_rule, population=population)
    of_rows = [marks.get(sample, NO_MARKS) for sample in samples]
    found["tags"] = ["; ".join(mark.tags) for mark in of_rows]
    found["notes"] = [" | ".join(f"{n.author}: {n.text}" for n in m.notes) for m in of_rows]
    found["why"] = [table.why(int(row)) for row in at]
    return pd.DataFrame(found)


def winners(
    table: Columns,
    rows: npt.NDArray[np.int64],
    *,
    tie_rule: Literal["split", "first"] = "split",
    population: Literal["correct", "all"] = "correct",
) -> list[str]:
    """Return who wins each row; '' where it is not counted or nobody can win by this score."""
    if table.metric.higher_is_better is None or not table.compete:
        return [""] * len(rows)
    shares = table.wins(tie_rule=tie_rule, population=population)[rows]
    return [
        " = ".join(key for key, part in zip(table.compete, row, strict=True) if part > 0)
        for row in shares.tolist()
    ]


def _named(names: Sequence[str], codes: npt.NDArray[np.integer[Any]]) -> list[str]:
    return [names[code] if 0 <= code < len(names) else str(code) for code in codes.tolist()]
