"""What an experiment is: its claims and gates, stated beforehand, and the function that runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from xaieval.errors import ConfigError
from xaieval.outcomes import Claim, Gate, Outcome
from xaieval.progress import Report, silent

Size = Literal["tiny", "small", "whole"]
SIZES: tuple[Size, ...] = ("tiny", "small", "whole")


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How an experiment is to be run.

    Attributes
    ----------
    out : Path
        Its folder.
    size : "tiny", "small" or "whole"
        ``tiny`` ends within two minutes on two cores and proves that the machinery works;
        ``small`` within ten; ``whole`` is the published setting.
    data : Path, optional
        Folder of the dataset; default: where the dataset is expected.
    device : str
        A torch device or "auto".
    samples : int, optional
        At most so many images are explained; default: as the size says.
    weights : Path, optional
        Pretrained encoder weights, where an experiment starts from some: a file, or the folder of
        several models' files.
    command : tuple of str
        Kept in what is written.
    report : callable
        Told of every step.
    """

    out: Path
    size: Size = "whole"
    data: Path | None = None
    device: str = "auto"
    samples: int | None = None
    weights: Path | None = None
    command: tuple[str, ...] = ()
    report: Report = field(default=silent, repr=False)

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise ConfigError("unknown size", expected=" or ".join(SIZES), got=self.size)
        if self.samples is not None and self.samples < 1:
            raise ConfigError("out of range", where="samples", expected="1 or more")


@dataclass(frozen=True, kw_only=True)
class ExperimentSpec:
    """One row of the table of experiments.

    Attributes
    ----------
    id : str
        ``<system>/<experiment>``.
    label, summary : str
    source : str
        The paper or repository it comes from.
    sizes : mapping size -> str
        What each size runs on; a size that is not there cannot be asked for.
    claims : tuple of Claim
        Stated beforehand; each gets one finding.
    gates : tuple of Gate
        Accuracies demanded beforehand.
    run : Setup -> Outcome
    """

    id: str
    label: str
    summary: str
    source: str
    sizes: Mapping[Size, str]
    claims: tuple[Claim, ...]
    gates: tuple[Gate, ...] = ()
    run: Callable[[Setup], Outcome] = field(repr=False)

    @property
    def system(self) -> str:
        return self.id.partition("/")[0]

    @property
    def name(self) -> str:
        return self.id.partition("/")[2]

    def claim(self, id: str) -> Claim:
        """Return one of its claims."""
        return next(claim for claim in self.claims if claim.id == id)

    def gate(self, id: str) -> Gate:
        """Return one of its gates."""
        return next(gate for gate in self.gates if gate.id == id)
