"""How the Batch page marks methods that failed the sanity gate: a sign, and words for everybody."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from xaieval.figures import Boxes
from xaieval.sanity import MARK, notes

STYLE = """
abbr.gate { text-decoration: none; cursor: help; font-weight: 700; }
.gate-note { color: var(--quiet); font-size: var(--t-small); margin-top: 4px; }
"""


def method_name(method: str, labels: Mapping[str, str], failed: Mapping[str, str]) -> str:
    """Return a method's name as HTML; behind a failed one the mark, which says why."""
    name = escape(labels.get(method, method))
    if method not in failed:
        return name
    why = escape(failed[method])
    sign = f'<abbr class="gate" role="img" title="{why}" aria-label="{why}">{MARK}</abbr>'
    return f"{name.removesuffix(MARK).rstrip()} {sign}"


def gate_notes(data: Boxes, labels: Mapping[str, str], failed: Mapping[str, str]) -> str:
    """Return a line of HTML per shown method that failed the sanity gate."""
    plain = {m: labels.get(m, m).removesuffix(MARK).rstrip() for m in data.methods}
    return "".join(
        f'<div class="gate-note" role="note">{escape(line)}</div>' for line in notes(failed, plain)
    )
