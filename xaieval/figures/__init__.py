"""Figures of a study, from its tables: Bokeh boxplots, HoloViews curves, matplotlib for paper.

They know no page and no session. Names are imported when first used, so that printing a table
never loads a drawing library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xaieval.figures.boxes import Boxes
    from xaieval.figures.boxplot import BoxFigure, win_rate_figure
    from xaieval.figures.curves import QUANTITIES, curve_table
    from xaieval.figures.printed import print_curves, print_win_rates
    from xaieval.figures.training import curve_figure

_HOME = {
    "BoxFigure": "boxplot",
    "Boxes": "boxes",
    "QUANTITIES": "curves",
    "curve_figure": "training",
    "curve_table": "curves",
    "print_curves": "printed",
    "print_win_rates": "printed",
    "win_rate_figure": "boxplot",
}

__all__ = [
    "QUANTITIES",
    "BoxFigure",
    "Boxes",
    "curve_figure",
    "curve_table",
    "print_curves",
    "print_win_rates",
    "win_rate_figure",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
