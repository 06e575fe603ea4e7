"""One door to every definition: of scores by their key, and of whatever else a page shows."""

from __future__ import annotations

from xaieval.defining import Definition
from xaieval.errors import ConfigError, unknown
from xaieval.metrics import METRICS, parse_metric
from xaieval.metrics.definitions import metric_definition
from xaieval.metrics.rules import DEFAULT, Rules
from xaieval.sanity.definitions import SANITY
from xaieval.stats.definitions import NUMBERS

OTHERS: dict[str, Definition] = {**NUMBERS, SANITY.key: SANITY}
"""Key -> definition of what is no score of a map."""


def define(key: str, *, rules: Rules = DEFAULT) -> Definition:
    """Return the definition behind a number.

    Parameters
    ----------
    key : str
        A metric key (``"iou[mean+1std]"``), a key of ``OTHERS`` (``"win_rate"``), or "sanity".
    rules : Rules
        Under which the score was computed.

    Raises
    ------
    ConfigError
        For a key that nothing is known of, with the nearest known one; for a bad option.

    >>> define("win_rate").label, define("iou").plain
    ('Win rate', '|S ∩ M| / |S ∪ M|')
    """
    if key in OTHERS:
        return OTHERS[key]
    try:
        call = parse_metric(key)
    except ConfigError:
        if key.isidentifier():  # nothing but a name: say all that there are
            raise unknown("number", key, [*METRICS, *OTHERS]) from None
        raise
    return metric_definition(call, rules=rules)


_INTRO = """# Definitions

What stands behind every number that a page, table or figure shows. In the dashboard a click (or
Enter) on a number or its name opens the same text; of a heatmap's score it also shows the number
in full and what the same map scores under the named variants. In Python:
`xaieval.glossary.define(key)`.

This page is written by `python -m xaieval.glossary`, from the same table.
"""


def page() -> str:
    """Return the page of the docs that lists every definition, as Markdown."""
    parts = [_INTRO, "## Scores of a heatmap\n"]
    parts += [_entry(define(key)) for key in METRICS]
    parts += ["## Other numbers\n", *(_entry(found) for found in OTHERS.values())]
    return "\n".join(parts)


def _entry(found: Definition) -> str:
    lines = [f"### {found.label}\n", f"`{found.key}`. {found.words}\n"]
    if found.formula:
        lines.append(f"    {found.plain}\n")
    named = {
        "": found.symbols,
        "Equal values": found.tie_rule,
        "Left out": found.left_out,
        "Range": found.range + (f", {found.better} is better" if found.better else ""),
        "By chance": found.chance,
        "Source": found.source,
    }
    rules = [f"- {name}: {text}" if name else f"- {text}" for name, text in named.items() if text]
    lines += [*rules, ""] if rules else []
    others = [v for v in found.variants if v.pooling is None and not v.resize and v.id != "own"]
    if others:
        lines += ["| variant | key | published in |", "|---|---|---|"]
        lines += [f"| {v.label} | `{v.key}` | {v.source} |" for v in others]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    print(page(), end="")
