"""A tap on a point, box or table cell of the Batch page: how many images, and the way to them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import param
from panel.custom import JSComponent

from xaieval.figures.boxes import Boxes
from xaieval.triage.filters import OUTCOMES

from .theme import TOKENS

_HERE = Path(__file__).parent

Mark = tuple[str, str, str, int | None, int, int, int, str]
"""split, class, method, seed (None: all), images counted, won, lost, win rate as text."""


class Taps(JSComponent):
    """The panel that opens at a tap, or at a button with ``data-open="ID"`` anywhere on the page.

    ``open_`` is called with the mark and one of ``OUTCOMES`` when an action of it is pressed.
    """

    marks = param.Dict(default={}, doc="id -> Mark")
    seeds = param.Dict(default={}, doc="id of a box -> ids of its points")
    labels = param.Dict(default={}, doc="method key -> name")

    _esm = _HERE / "taps.js"
    _stylesheets: ClassVar[list[str]] = [TOKENS, (_HERE / "taps.css").read_text(encoding="utf-8")]

    def __init__(self, open_: Callable[[Mark, str], None], **params: Any) -> None:
        super().__init__(width=0, height=0, margin=0, **params)
        self._open = open_

    def offer(self, data: Boxes, counts: pd.DataFrame, labels: dict[str, str]) -> None:
        """Take over what is shown; without counts of images (published runs) there is no way."""
        marks, seeds = marks_of(data, counts)
        self.param.update(marks=marks, seeds=seeds, labels=labels)

    def _handle_msg(self, message: Any) -> None:
        mark = self.marks.get(str(message.get("open"))) if isinstance(message, dict) else None
        outcome = message.get("outcome") if mark is not None else None
        if mark is not None and outcome in OUTCOMES:
            self._open(tuple(mark), str(outcome))


def marks_of(data: Boxes, counts: pd.DataFrame) -> tuple[dict[str, Mark], dict[str, list[str]]]:
    """Return what each box and point stands for, and the points of each box.

    The numbers of images are those of the win rates: a box has the sum of its seeds.
    """
    keys = ["split", "class", "method_id", "seed"]
    known = {
        tuple(key): numbers
        for *key, n, won, lost in counts[[*keys, "n", "won", "lost"]].itertuples(
            index=False, name=None
        )
        for numbers in ((int(n), int(won), int(lost)),)
    }
    marks: dict[str, Mark] = {}
    seeds: dict[str, list[str]] = {}
    sums: dict[str, list[int]] = {}
    for row in data.points.to_dict("records"):
        place = (row["split"], row["class"], row["method_id"])
        numbers = known.get((*place, row["seed"]))
        if numbers is None:
            continue
        marks[row["id"]] = (*place, int(row["seed"]), *numbers, f"{row['value']:.3f}")
        seeds.setdefault(row["box"], []).append(row["id"])
        total = sums.setdefault(row["box"], [0, 0, 0])
        for i, number in enumerate(numbers):
            total[i] += number
    for row in data.boxes.to_dict("records"):
        if row["id"] in sums:
            n, won, lost = sums[row["id"]]
            place = (row["split"], row["class"], row["method_id"])
            marks[row["id"]] = (*place, None, n, won, lost, f"{row['mean']:.3f}")
    return marks, seeds
