"""Claims, and what became of them: holds, does not hold, cannot be tested here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from xaieval.errors import ResultsError

Verdict = Literal["holds", "does not hold", "cannot be tested here"]


@dataclass(frozen=True)
class Gate:
    """An accuracy that is demanded beforehand; below it no claim is made.

    ``minimum`` is in the unit of what is measured; ``text`` says what that is.
    """

    id: str
    text: str
    minimum: float


@dataclass(frozen=True)
class GateResult:
    """What was measured at a gate.

    ``values`` are the single measurements (one per model), all of which have to pass.
    """

    gate: Gate
    values: tuple[float, ...]
    what: str = ""

    @property
    def value(self) -> float:
        """The worst value; NaN when nothing was measured."""
        return min(self.values, default=math.nan)

    @property
    def passed(self) -> bool:
        return bool(self.values) and self.value >= self.gate.minimum


@dataclass(frozen=True)
class Claim:
    """Something that is said and can be checked.

    Attributes
    ----------
    id, text : str
        The text is a whole sentence.
    source : str
        Who says it, and where. "planted" for a truth that the generator builds in.
    published : str
        The published figure, as printed; "" where there is none.
    gates : tuple of str
        Ids of gates that must be passed before it is judged.
    """

    id: str
    text: str
    source: str
    published: str = ""
    gates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """What was found about a claim.

    Attributes
    ----------
    claim : Claim
    verdict : "holds", "does not hold" or "cannot be tested here"
        A contrast holds when its whole interval is on the claimed side.
    value, low, high : float, optional
        The measured figure and its 95 % interval.
    n : str
        How much it rests on: "5 seeds × 300 images".
    unit : str
        What ``value`` is.
    why : str
        One sentence: why not, or what else to know ("the interval contains 0").

    Raises
    ------
    ResultsError
        When a verdict that rests on a measurement comes without one, or one that cannot be
        tested comes without a reason.
    """

    claim: Claim
    verdict: Verdict
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: str = ""
    unit: str = ""
    why: str = ""

    def __post_init__(self) -> None:
        if self.verdict == "cannot be tested here":
            if not self.why:
                raise ResultsError(
                    "a claim that cannot be tested needs a reason", where=self.claim.id
                )
        elif self.value is None or not self.n:
            raise ResultsError(
                "a verdict needs the figure and the n it rests on", where=self.claim.id
            )


def judged(
    claim: Claim,
    *,
    value: float,
    low: float,
    high: float,
    n: str,
    unit: str,
    side: Literal["above", "below"] = "above",
    bound: float = 0.0,
    why: str = "",
) -> Finding:
    """Return the finding of a claim that a figure lies above (or below) a bound.

    It holds when the whole 95 % interval lies there; else it does not hold, and ``why`` says
    whether the figure is reversed or the interval contains the bound. NaN cannot be tested.

    >>> claim = Claim("c", "A beats B.", "planted")
    >>> found = judged(claim, value=0.2, low=0.1, high=0.3, n="5 seeds", unit="difference")
    >>> found.verdict
    'holds'
    >>> judged(claim, value=0.2, low=-0.1, high=0.3, n="5 seeds", unit="difference").why
    'the interval contains 0'
    """
    if any(math.isnan(number) for number in (value, low, high)):
        return untested(claim, why or "the figure is undefined", n=n)
    right = low > bound if side == "above" else high < bound
    wrong = high < bound if side == "above" else low > bound
    if right:
        verdict: Verdict = "holds"
        reason = why
    else:
        verdict = "does not hold"
        cause = "reversed" if wrong else f"the interval contains {bound:g}"
        reason = f"{cause}; {why}" if why else cause
    return Finding(claim, verdict, value, low, high, n, unit, reason)


def untested(claim: Claim, why: str, *, n: str = "") -> Finding:
    """Return the finding of a claim that cannot be tested here."""
    return Finding(claim, "cannot be tested here", n=n, why=why)


def gated(findings: Iterable[Finding], results: Sequence[GateResult]) -> list[Finding]:
    """Return findings; those whose gate was not passed become "cannot be tested here".

    Raises
    ------
    ResultsError
        When a claim names a gate that was not measured.
    """
    known = {result.gate.id: result for result in results}
    checked = []
    for finding in findings:
        missing = [gate for gate in finding.claim.gates if gate not in known]
        if missing:
            raise ResultsError(
                "a claim's gate was not measured",
                where=finding.claim.id,
                expected=", ".join(missing),
                got=", ".join(known) or "none",
            )
        failed = [known[gate] for gate in finding.claim.gates if not known[gate].passed]
        if failed:
            worst = failed[0]
            why = (
                f"accuracy gate not passed: {worst.gate.text}, "
                f"{worst.value:.3f} instead of at least {worst.gate.minimum:g}"
            )
            finding = replace(finding, verdict="cannot be tested here", why=why)
        checked.append(finding)
    return checked
