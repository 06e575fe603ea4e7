"""Which images to look at first: a results folder as one table in memory, filtered and ordered."""

from __future__ import annotations

from xaieval.triage.filters import Filters
from xaieval.triage.orders import ORDERS, Order
from xaieval.triage.sheet import COLUMNS, Column, frame
from xaieval.triage.summaries import (
    Agreement,
    Histogram,
    Scatter,
    agreement,
    histogram,
    pattern_counts,
    scatter,
)
from xaieval.triage.table import TriageTable, open_triage

__all__ = [
    "COLUMNS",
    "ORDERS",
    "Agreement",
    "Column",
    "Filters",
    "Histogram",
    "Order",
    "Scatter",
    "TriageTable",
    "agreement",
    "frame",
    "histogram",
    "open_triage",
    "pattern_counts",
    "scatter",
]
