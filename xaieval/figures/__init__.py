"""Figures, from tables: Bokeh for pages, HoloViews for curves, matplotlib for paper.

They know no page and no session. Names are imported when first used, so that printing a table
never loads a drawing library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xaieval.figures.boxes import Boxes
    from xaieval.figures.boxplot import BoxFigure, win_rate_figure
    from xaieval.figures.chart import Chart
    from xaieval.figures.chart_bokeh import draw_chart
    from xaieval.figures.chart_parts import chart_note
    from xaieval.figures.chart_print import print_chart
    from xaieval.figures.critical_difference import (
        draw_critical_difference,
        print_critical_difference,
    )
    from xaieval.figures.curves import QUANTITIES, curve_table
    from xaieval.figures.printed import print_curves, print_win_rates
    from xaieval.figures.training import curve_figure

_HOME = {
    "BoxFigure": "boxplot",
    "Boxes": "boxes",
    "Chart": "chart",
    "QUANTITIES": "curves",
    "chart_note": "chart_parts",
    "curve_figure": "training",
    "curve_table": "curves",
    "draw_chart": "chart_bokeh",
    "draw_critical_difference": "critical_difference",
    "print_chart": "chart_print",
    "print_critical_difference": "critical_difference",
    "print_curves": "printed",
    "print_win_rates": "printed",
    "win_rate_figure": "boxplot",
}

__all__ = [
    "QUANTITIES",
    "BoxFigure",
    "Boxes",
    "Chart",
    "chart_note",
    "curve_figure",
    "curve_table",
    "draw_chart",
    "draw_critical_difference",
    "print_chart",
    "print_critical_difference",
    "print_curves",
    "print_win_rates",
    "win_rate_figure",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
