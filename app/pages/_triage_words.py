"""What narrows the queue, in words: one sentence, and a chip for each filter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xaieval.triage import Filters, TriageTable


def sentence(
    shown: int, there: int, table: TriageTable, filters: Filters, labels: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the parts of the sentence on top; the chips follow it."""
    name = table.metric.label
    where = f" on {table.region}" if table.region in table.results.regions[1:] else ""
    of = f" of {labels.get(table.method, table.method)}" if table.method else ""
    narrowed = bool(chips(filters, labels))
    return [
        {"text": count(shown), "strong": True},
        {"text": f" of {count(there)} image-model pairs, by "},
        {"text": name, "define": table.metric.key},
        {"text": f"{where}{of}{':' if narrowed else ''}"},
    ]


def chips(filters: Filters, labels: Mapping[str, str]) -> list[dict[str, str]]:
    """Return {id, label} of every filter that narrows; the id is the state's name for it."""
    found: list[tuple[str, str]] = []
    if filters.outcome is not None:
        kind, method = filters.outcome_parts()
        name = labels.get(method, method)
        words = {"counted": f"counted for {name}", "won": f"{name} won", "lost": f"{name} lost"}
        who = "" if filters.population == "all" else ", classified correctly"
        ties = ", the first of a tie wins" if filters.tie_rule == "first" else ""
        found.append(("outcome", f"{words[kind]}{who}{ties}"))
    if filters.split is not None:
        found.append(("split", filters.split))
    if filters.class_name is not None:
        found.append(("class_name", filters.class_name))
    if filters.seed is not None:
        found.append(("part_seed", f"seed {filters.seed}"))
    if filters.answers != "all":
        found.append(("answers", "right answers" if filters.answers == "correct" else "wrong"))
    if filters.pattern is not None:
        found.append(("pattern", filters.pattern.replace("-", " ")))
    if filters.confidence is not None:
        found.append(("confidence", f"confidence {_range(filters.confidence)}"))
    if filters.score is not None:
        found.append(("span", f"score {_range(filters.score)}"))
    if filters.tag is not None:
        found.append(("tag", f"tag “{filters.tag}”"))
    if filters.text:
        found.append(("find", f"“{filters.text}”"))
    return [{"id": name, "label": text} for name, text in found]


def _range(span: tuple[float, float]) -> str:
    return f"{span[0]:.3g} to {span[1]:.3g}"


def count(number: int) -> str:
    """Return a count with thin spaces between thousands."""
    return f"{number:,}".replace(",", "\u2009")
