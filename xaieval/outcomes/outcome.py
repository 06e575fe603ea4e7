"""What an experiment leaves behind: findings, gates, tables, charts, pictures, facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from xaieval.errors import ResultsError
from xaieval.figures.chart import Chart
from xaieval.outcomes.claims import Finding, GateResult
from xaieval.types import Image


@dataclass(frozen=True, eq=False)
class Sheet:
    """A table for people: ``id`` names its file, ``caption`` says population, n and spread."""

    id: str
    title: str
    frame: pd.DataFrame
    caption: str = ""
    decimals: int = 3


@dataclass(frozen=True, eq=False)
class Picture:
    """An image for people, uint8 (H, W, 3); ``alt`` says in words what it shows."""

    id: str
    title: str
    image: Image
    alt: str
    caption: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Outcome:
    """Everything one experiment found.

    Attributes
    ----------
    findings : tuple of Finding
        One per claim of the experiment.
    gates : tuple of GateResult
    sheets, charts, pictures : tuples
    facts : mapping
        Plain values for programs: every number of the text, by name.
    notes : tuple of str
        What a reader has to know: deviations, settings, causes found. Whole sentences.
    studies : tuple of str
        Results folders of the experiment, relative to its own.
    """

    findings: tuple[Finding, ...]
    gates: tuple[GateResult, ...] = ()
    sheets: tuple[Sheet, ...] = ()
    charts: tuple[Chart, ...] = ()
    pictures: tuple[Picture, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    studies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for kind in ("sheets", "charts", "pictures"):
            ids = [item.id for item in getattr(self, kind)]
            if len(set(ids)) != len(ids):
                raise ResultsError(f"two {kind} share an id", got=sorted(ids))
