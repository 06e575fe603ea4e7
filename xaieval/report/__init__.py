"""An experiment, or a results folder, as one page that opens anywhere."""

from xaieval.report.page import report_html, write_report

__all__ = ["report_html", "write_report"]
