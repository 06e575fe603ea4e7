"""Which images to look at first: a results folder as one table in memory, filtered and ordered."""

from __future__ import annotations

from xaieval.triage.exporting import Queue, export_csv, sidecar
from xaieval.triage.fiftyone import export_fiftyone
from xaieval.triage.filters import Filters
from xaieval.triage.links import explore_link
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
    "Queue",
    "Scatter",
    "TriageTable",
    "agreement",
    "explore_link",
    "export_csv",
    "export_fiftyone",
    "frame",
    "histogram",
    "open_triage",
    "pattern_counts",
    "scatter",
    "sidecar",
]
