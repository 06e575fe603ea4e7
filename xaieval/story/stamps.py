"""Stamps: a few signs in a link that tell later whether it still shows the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xaieval import __version__
from xaieval.digest import digest
from xaieval.errors import StoryError

if TYPE_CHECKING:
    from xaieval.study import Results

_STAMP = re.compile(r"r([0-9a-f]{8})\.q([0-9a-f]{8})\.d([0-9a-f]{8})\.v([0-9A-Za-z.+]{1,40})")


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What a view rests on, as short digests.

    Attributes
    ----------
    results : str
        8 hex digits of the settings and the models of the results.
    rules : str
        8 hex digits of the scoring rules.
    data : str
        8 hex digits of the dataset.
    version : str
        Of xaieval.

    >>> stamp = Stamp(results="0" * 8, rules="1" * 8, data="2" * 8, version="0.1.0")
    >>> str(stamp)
    'r00000000.q11111111.d22222222.v0.1.0'
    >>> Stamp.read(str(stamp)) == stamp
    True
    """

    results: str
    rules: str
    data: str
    version: str

    def __str__(self) -> str:
        return f"r{self.results}.q{self.rules}.d{self.data}.v{self.version}"

    @classmethod
    def read(cls, text: str) -> Stamp:
        """Return the stamp that a text stands for.

        Raises
        ------
        StoryError
            When it is none.
        """
        match = _STAMP.fullmatch(text)
        if match is None:
            raise StoryError("not a stamp", expected="r….q….d….v…", got=repr(text[:60]))
        results, rules, data, version = match.groups()
        return cls(results=results, rules=rules, data=data, version=version)


def stamp_of(opened: Sequence[Results]) -> Stamp:
    """Return the stamp of what a view shows: one results folder, or several beside each other."""
    made = [results.manifest for results in opened]
    return Stamp(
        results=_short([[m.get("base_digest"), m.get("study"), m.get("models")] for m in made]),
        rules=_short([m.get("rule_digest") for m in made]),
        data=_short([m.get("data_digest") for m in made]),
        version=re.sub(r"[^0-9A-Za-z.+]", "", __version__)[:40] or "0",
    )


def changes(then: Stamp, now: Stamp) -> tuple[str, ...]:
    """Return what has changed between two stamps, a clause each; () when nothing has.

    >>> a = Stamp(results="0" * 8, rules="1" * 8, data="2" * 8, version="0.1.0")
    >>> b = Stamp(results="9" * 8, rules="1" * 8, data="2" * 8, version="0.2.0")
    >>> changes(a, b)
    ('the results were run again', 'it was made with xaieval 0.1.0, this is 0.2.0')
    >>> changes(a, a)
    ()
    """
    found = []
    if then.data != now.data:
        found.append("the dataset of its images changed")
    if then.results != now.results:
        found.append("the results were run again")
    if then.rules != now.rules:
        found.append("the scoring rules are others")
    if then.version != now.version:
        found.append(f"it was made with xaieval {then.version}, this is {now.version}")
    return tuple(found)


def changes_text(found: Sequence[str], *, what: str = "this link was copied") -> str:
    """Return the clauses of ``changes`` as one sentence.

    >>> changes_text(["the results were run again", "the scoring rules are others"])
    'Since this link was copied, the results were run again and the scoring rules are others.'
    """
    listed = " and ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found)
    return f"Since {what}, {listed}."


def _short(value: object) -> str:
    return digest(value)[:8]
