"""Which rows of a triage table are shown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from xaieval.errors import ConfigError, unknown
from xaieval.journal import Marks
from xaieval.stats.patterns import PATTERNS, Thresholds
from xaieval.triage.columns import Columns

Range = tuple[float, float]
OUTCOMES = ("counted", "won", "lost")
NO_TAGS: Mapping[str, Marks] = {}


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What a row must be to be shown; the default lets every row through.

    Attributes
    ----------
    split, class_name : str or None
    seed : int or None
    answers : {"all", "correct", "wrong"}
    confidence, score : (low, high) or None
        Both ends belong to it. A row without a score is in no range of scores.
    pattern : str or None
        A key of ``PATTERNS``, of the table's pattern method.
    outcome : str or None
        ``counted:METHOD``, ``won:METHOD`` or ``lost:METHOD``: who is counted in a win rate under
        ``population`` and ``tie_rule``, and then has a share of the win, or none.
    population, tie_rule
        As ``stats.win_rates`` takes them; they only matter to ``outcome``.
    tag : str or None
        Rows of images with this tag.
    marked : {"all", "marked", "unmarked"}
        Whether an image has any tag or note.
    text : str
        Part of the sample id, of a tag or of a note; capital or small.

    Raises
    ------
    ConfigError
        For a value that can be none of these.
    """

    split: str | None = None
    class_name: str | None = None
    seed: int | None = None
    answers: Literal["all", "correct", "wrong"] = "all"
    confidence: Range | None = None
    score: Range | None = None
    pattern: str | None = None
    outcome: str | None = None
    population: Literal["correct", "all"] = "correct"
    tie_rule: Literal["split", "first"] = "split"
    tag: str | None = None
    marked: Literal["all", "marked", "unmarked"] = "all"
    text: str = ""

    def __post_init__(self) -> None:
        for what, value, known in (
            ("answers", self.answers, ("all", "correct", "wrong")),
            ("population", self.population, ("correct", "all")),
            ("tie rule", self.tie_rule, ("split", "first")),
            ("marked", self.marked, ("all", "marked", "unmarked")),
        ):
            if value not in known:
                raise unknown(what, value, known)
        if self.pattern is not None and self.pattern not in PATTERNS:
            raise unknown("pattern", self.pattern, PATTERNS)
        for name in ("confidence", "score"):
            span = getattr(self, name)
            if span is not None and (any(map(math.isnan, span)) or span[0] > span[1]):
                raise ConfigError(f"not a range of {name}", expected="low <= high", got=span)
        if self.outcome is not None:
            self.outcome_parts()

    def outcome_parts(self) -> tuple[str, str]:
        """Return the kind of outcome and the method."""
        kind, sign, method = (self.outcome or "").partition(":")
        if kind not in OUTCOMES or not sign or not method:
            raise ConfigError(
                "not an outcome",
                expected="counted:METHOD, won:METHOD or lost:METHOD",
                got=repr(self.outcome),
            )
        return kind, method


EVERY_ROW = Filters()
"""Lets every row through."""


def kept(
    table: Columns,
    filters: Filters,
    *,
    thresholds: Thresholds,
    marks: Mapping[str, Marks],
) -> npt.NDArray[np.bool_]:
    """Return which rows pass, bool (n,)."""
    rows = table.rows
    keep = np.ones(len(rows), bool)
    if filters.split is not None:
        keep &= rows.split == _place("split", filters.split, rows.splits)
    if filters.class_name is not None:
        keep &= rows.of_class == _place("class", filters.class_name, rows.classes)
    if filters.seed is not None:
        if filters.seed not in table.seeds:
            raise unknown("seed of these results", filters.seed, map(str, table.seeds))
        keep &= rows.seed == filters.seed
    if filters.answers != "all":
        keep &= rows.correct == (filters.answers == "correct")
    if filters.confidence is not None:
        keep &= _within(rows.confidence, filters.confidence)
    if filters.score is not None:
        keep &= _within(table.score, filters.score)
    if filters.outcome is not None:
        keep &= _outcome(table, filters)
    if filters.pattern is not None:
        keep &= table.patterns(thresholds) == list(PATTERNS).index(filters.pattern)
    if filters.tag is not None:
        keep &= _of_images(table, {s for s, m in marks.items() if filters.tag in m.tags})
    if filters.marked != "all":
        of_marked = _of_images(table, {s for s, m in marks.items() if m})
        keep &= of_marked if filters.marked == "marked" else ~of_marked
    if filters.text.strip():
        keep &= _says(table, filters.text.strip(), marks)
    return keep


def _place(what: str, name: str, known: tuple[str, ...]) -> int:
    if name not in known:
        raise unknown(f"{what} of these results", name, known)
    return known.index(name)


def _within(values: npt.NDArray[np.float64], span: Range) -> npt.NDArray[np.bool_]:
    return (values >= span[0]) & (values <= span[1])


def _outcome(table: Columns, filters: Filters) -> npt.NDArray[np.bool_]:
    kind, method = filters.outcome_parts()
    if method not in table.compete:
        raise unknown("competing method of these results", method, table.compete)
    shares = table.wins(tie_rule=filters.tie_rule, population=filters.population)
    share = shares[:, table.compete.index(method)]
    counted = ~np.isnan(share)
    if kind == "counted":
        return counted
    return share > 0 if kind == "won" else counted & ~(share > 0)


def _of_images(table: Columns, samples: set[str]) -> npt.NDArray[np.bool_]:
    """Return which rows are of some images."""
    keep = np.zeros(len(table.rows), bool)
    for sample in samples:
        keep[table.rows.of_sample(sample)] = True
    return keep


def _says(table: Columns, text: str, marks: Mapping[str, Marks]) -> npt.NDArray[np.bool_]:
    found = pc.match_substring(pa.array(table.rows.samples, pa.string()), text, ignore_case=True)
    by_sample = found.to_numpy(zero_copy_only=False).astype(bool)
    small = text.casefold()
    told = {
        sample
        for sample, mark in marks.items()
        if any(small in words.casefold() for words in (*mark.tags, *(n.text for n in mark.notes)))
    }
    keep: npt.NDArray[np.bool_] = by_sample[table.rows.sample] | _of_images(table, told)
    return keep
