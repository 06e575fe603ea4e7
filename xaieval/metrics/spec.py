"""What a row of the table of scores says, and one score as asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from xaieval.metrics.ranking import Ranking
from xaieval.metrics.rules import Rules
from xaieval.types import Score

Option = int | float | str
Options = Mapping[str, Option]
ScoreFunction = Callable[[Ranking, Options, Rules], Score]
Need = Literal["rank", "mass", "binarised", "model"]


@dataclass(frozen=True)
class Param:
    """One option of a score: its type, what it does, and the smallest value allowed."""

    name: str
    type: type[int] | type[float] | type[str]
    summary: str
    required: bool = False
    minimum: float | None = None


@dataclass(frozen=True)
class Variant:
    """Another key under which a score is known.

    ``key`` is an example as it is written. A variant with a ``name`` of its own
    (``precision@K=412``) brings its function and parameters; one without (``iou[otsu]``) sets an
    option of the score itself.
    """

    key: str
    label: str
    summary: str
    name: str | None = None
    fn: ScoreFunction | None = None
    params: tuple[Param, ...] = ()
    bounds: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """One row of the table of scores.

    Attributes
    ----------
    id, label, summary : str
    needs : frozenset
        Of "rank", "mass", "binarised", "model".
    higher_is_better : bool or None
        None where the number is no quality (area_share).
    bounds : (float, float)
        Smallest and largest value.
    signed_ok : bool
        Whether maps with negative values can be scored.
    params, variants : tuples
    version : int
        Raised by hand whenever a number changes.
    paper : str
        Source.
    fn : (Ranking, options, Rules) -> Score
    """

    id: str
    label: str
    summary: str
    needs: frozenset[Need]
    fn: ScoreFunction = field(repr=False)
    higher_is_better: bool | None = True
    bounds: tuple[float, float] = (0.0, 1.0)
    signed_ok: bool = True
    params: tuple[Param, ...] = ()
    variants: tuple[Variant, ...] = ()
    version: int = 1
    paper: str = ""


@dataclass(frozen=True, eq=False)
class MetricCall:
    """One score with its options: what a key such as ``precision@K=412`` stands for.

    Attributes
    ----------
    key : str
        The canonical key: the same options give the same key.
    spec : MetricSpec
    options : mapping name -> value
        Only what was named; the rest comes from the rules.
    name : str
        The score's or the named variant's own name (``precision``).
    label : str
        For people: "Precision (K=412)".
    """

    key: str
    spec: MetricSpec
    options: Options
    name: str
    label: str
    fn: ScoreFunction = field(repr=False)

    def __call__(self, ranking: Ranking, rules: Rules) -> Score:
        """Score one map against one region."""
        return self.fn(ranking, self.options, rules)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MetricCall) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)
