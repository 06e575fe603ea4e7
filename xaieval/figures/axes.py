"""The quiet look of every Bokeh figure's axes, and names short enough for them."""

from __future__ import annotations

from typing import Any

from xaieval.figures.palette import Ink
from xaieval.sanity.marks import MARK


def style_axes(fig: Any, ink: Ink) -> None:
    """Give every axis of a Bokeh figure the page's quiet look."""
    for axis in fig.axis:
        axis.axis_line_color = axis.major_tick_line_color = axis.minor_tick_line_color = None
        axis.major_label_text_color = ink.muted
        axis.axis_label_text_color = ink.text
        axis.major_label_text_font_size = axis.axis_label_text_font_size = "12px"
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font = axis.major_label_text_font = FONT


FONT = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"


def short_name(label: str) -> str:
    """Return a label's initials, for places too narrow for the label.

    >>> short_name("Grad-CAM"), short_name("Integrated gradients"), short_name("Saliency")
    ('GC', 'IG', 'Sal')
    >>> short_name("Saliency ⚠")
    'Sal⚠'
    """
    name, mark, _ = label.partition(MARK)
    words = name.replace("-", " ").replace("×", " × ").split()
    if len(words) == 1:
        return words[0][:3] + mark
    return "".join(word[0].upper() for word in words) + mark
