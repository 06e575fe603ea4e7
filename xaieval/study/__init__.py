"""A study = dataset × models × methods × metrics, written in one TOML; its training, run, results.

Names are imported when first used, so that reading results never loads torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xaieval.study.config import Study, builtin_studies, load_study
    from xaieval.study.gate import gate_study
    from xaieval.study.published import import_published
    from xaieval.study.results import Results, default_out, demo_results
    from xaieval.study.runner import run_study
    from xaieval.study.summarise import stand_ins, summary
    from xaieval.study.training import train_study

_HOME = {
    "Study": "config",
    "builtin_studies": "config",
    "load_study": "config",
    "gate_study": "gate",
    "import_published": "published",
    "Results": "results",
    "default_out": "results",
    "demo_results": "results",
    "run_study": "runner",
    "stand_ins": "summarise",
    "summary": "summarise",
    "train_study": "training",
}

__all__ = [
    "Results",
    "Study",
    "builtin_studies",
    "default_out",
    "demo_results",
    "gate_study",
    "import_published",
    "load_study",
    "run_study",
    "stand_ins",
    "summary",
    "train_study",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
