"""Figures and tables of a results folder as files that say where they come from."""

from xaieval.export.exhibits import (
    EXHIBITS,
    Exhibit,
    View,
    accuracy_table,
    exhibit_table,
    gate_notes,
    method_labels,
    view_boxes,
)
from xaieval.export.files import (
    FIGURE_FORMATS,
    TABLE_FORMATS,
    export_figure,
    export_table,
    file_name,
    save,
    sidecar,
)

__all__ = [
    "EXHIBITS",
    "FIGURE_FORMATS",
    "TABLE_FORMATS",
    "Exhibit",
    "View",
    "accuracy_table",
    "exhibit_table",
    "export_figure",
    "export_table",
    "file_name",
    "gate_notes",
    "method_labels",
    "save",
    "sidecar",
    "view_boxes",
]
