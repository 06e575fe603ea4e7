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
    TABLE_FORMATS,
    export_figure,
    export_table,
    file_name,
    save,
    sidecar,
)
from xaieval.export.latex import cell_text, frame_latex, is_numeric
from xaieval.export.sheet import (
    SHEET_FORMATS,
    make_sheet,
    sheet_bytes,
    sheet_command,
    sheet_name,
    sheet_sidecar,
)
from xaieval.export.sheet_options import SheetOptions
from xaieval.figures.saving import FIGURE_FORMATS

__all__ = [
    "EXHIBITS",
    "FIGURE_FORMATS",
    "SHEET_FORMATS",
    "TABLE_FORMATS",
    "Exhibit",
    "SheetOptions",
    "View",
    "accuracy_table",
    "cell_text",
    "exhibit_table",
    "export_figure",
    "export_table",
    "file_name",
    "frame_latex",
    "gate_notes",
    "is_numeric",
    "make_sheet",
    "method_labels",
    "save",
    "sheet_bytes",
    "sheet_command",
    "sheet_name",
    "sheet_sidecar",
    "sidecar",
    "view_boxes",
]
