"""What a row of the table of scores says, and one score as asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from xaieval.errors import MetricError
from xaieval.metrics.evaluator import Subject, Work
from xaieval.metrics.ranking import TIE_RULES, RankedMap, Ranking
from xaieval.metrics.rules import Rules
from xaieval.types import Score

Option = int | float | str
Options = Mapping[str, Option]
ScoreFunction = Callable[[Ranking, Options, Rules], Score]
ModelFunction = Callable[[RankedMap, Subject, Options], Work[Any]]
"""``fn(map, subject, options)``: a generator that asks the model (``evaluator.py``)."""
Reader = Callable[[Any], Score]
"""What a key reads from what the model's score found."""
Need = Literal["rank", "mass", "binarised", "model"]
Chance = float | str | None
"""What a map without information scores: a number; "area_share", that part of the bounds; the
name of an option that says it; None where there is no such number."""


@dataclass(frozen=True)
class Param:
    """One option of a score: its type, what it does, and what it may be.

    ``default`` None: the rules decide, or (``required``) the key must say it.
    """

    name: str
    type: type[int] | type[float] | type[str]
    summary: str
    required: bool = False
    minimum: float | None = None
    default: Option | None = None
    choices: tuple[str, ...] = ()
    maximum: float | None = None


TIES = Param(
    "ties", str, "which of the tied pixels count, as in the rules", choices=tuple(TIE_RULES)
)
"""For scores of order: a tie rule of the key's own."""


def tie_rule(options: Options, rules: Rules) -> str:
    """Return the key's own tie rule, else that of the rules."""
    return str(options.get("ties", rules.ties))


@dataclass(frozen=True)
class Variant:
    """Another key under which a score is known.

    ``key`` is an example as it is written. A variant with a ``name`` of its own
    (``precision@K=412``) brings its function and parameters, or reads something else from what a
    score that needs the model has found, with the score's own parameters; one without
    (``iou[otsu]``) sets an option of the score itself.
    """

    key: str
    label: str
    summary: str
    name: str | None = None
    fn: ScoreFunction | None = None
    params: tuple[Param, ...] = ()
    bounds: tuple[float, float] = (0.0, 1.0)
    read: Reader | None = None
    higher_is_better: bool | None = True
    chance: Chance = None
    formula: str = ""


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
    chance : float, str or None
        What a map without information scores (``Chance``).
    signed_ok : bool
        Whether maps with negative values can be scored.
    params, variants : tuples
    version : int
        Raised by hand whenever a number changes.
    paper : str
        Source.
    formula : str
        As ``xaieval.defining`` reads it; a named variant has its own.
    undefined : tuple of str
        Reasons for which the score is NaN (``REASONS``), whatever its options.
    fn : (Ranking, options, Rules) -> Score
        Of scores against a mask.
    ask, read : callables
        Of scores that need the model instead: ``ask(map, subject, options)`` finds something
        out, ``read`` makes a Score of it.
    """

    id: str
    label: str
    summary: str
    needs: frozenset[Need]
    fn: ScoreFunction | None = field(default=None, repr=False)
    ask: ModelFunction | None = field(default=None, repr=False)
    read: Reader | None = field(default=None, repr=False)
    higher_is_better: bool | None = True
    bounds: tuple[float, float] = (0.0, 1.0)
    chance: Chance = None
    signed_ok: bool = True
    params: tuple[Param, ...] = ()
    variants: tuple[Variant, ...] = ()
    version: int = 1
    paper: str = ""
    formula: str = ""
    undefined: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        model = "model" in self.needs
        if (
            (self.fn is None) != model
            or (self.ask is None) == model
            or (self.read is None) == model
        ):
            raise MetricError(
                "a score has fn, or needs the model and has ask and read", where=self.id
            )


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
    higher_is_better : bool or None
        Of this key; a variant may differ from its score.
    bounds : (float, float)
        Of this key.
    """

    key: str
    spec: MetricSpec
    options: Options
    name: str
    label: str
    fn: ScoreFunction | None = field(default=None, repr=False)
    read: Reader | None = field(default=None, repr=False)
    higher_is_better: bool | None = True
    bounds: tuple[float, float] = (0.0, 1.0)
    chance: Chance = None

    def chance_level(self, area_share: float) -> float | None:
        """Return what a map without information scores on a region of a given area share.

        None where there is no such number. Tolerances that grow the mask are not looked at.
        """
        if self.chance == "area_share":
            return self.bounds[0] + area_share * (self.bounds[1] - self.bounds[0])
        found = self.settings[self.chance] if isinstance(self.chance, str) else self.chance
        return None if found is None else float(found)

    @property
    def whole(self) -> bool:
        """Whether the score is of the whole map: it needs the model and no mask."""
        return "model" in self.spec.needs

    @property
    def settings(self) -> dict[str, Option]:
        """The options with their defaults filled in."""
        known = {p.name: p.default for p in self.spec.params if p.default is not None}
        return known | dict(self.options)

    def __call__(self, ranking: Ranking, rules: Rules) -> Score:
        """Score one map against one region."""
        assert self.fn is not None, "scores that need the model are asked through an evaluator"
        return self.fn(ranking, self.options, rules)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MetricCall) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)
