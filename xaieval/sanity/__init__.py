"""The sanity gate: does a method show the model, or only the picture? Names load when first used.

Reading reports and marks never loads torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xaieval.sanity.gate import run_gate
    from xaieval.sanity.marks import MARK, failures, marked, notes, report_of, verdicts, verdicts_on
    from xaieval.sanity.report import (
        Check,
        SanityReport,
        Verdict,
        read_reports,
        write_reports,
    )

_HOME = {
    "run_gate": "gate",
    "MARK": "marks",
    "failures": "marks",
    "marked": "marks",
    "notes": "marks",
    "report_of": "marks",
    "verdicts": "marks",
    "verdicts_on": "marks",
    "Check": "report",
    "SanityReport": "report",
    "Verdict": "report",
    "read_reports": "report",
    "write_reports": "report",
}

__all__ = [
    "MARK",
    "Check",
    "SanityReport",
    "Verdict",
    "failures",
    "marked",
    "notes",
    "read_reports",
    "report_of",
    "run_gate",
    "verdicts",
    "verdicts_on",
    "write_reports",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
