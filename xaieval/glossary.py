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
