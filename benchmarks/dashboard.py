"""What a person feels, in Chromium: warm, cold, steering, opening, many rows, a long session.

``python -m benchmarks dashboard [--only PART ...] [--quick]``. Clocks run inside the page, from
the click until all images are decoded and two frames have passed. The built-in study is served
where nothing else is said.
"""

from __future__ import annotations

import importlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

PARTS = ("warm", "cold", "steering", "opening", "rows", "session")
COMPARED = (
    "For scale: project_iml's own dashboard, on this kind of machine, takes 4 to 6 s from click "
    "to changed figure and 14 s to the first one."
)


def main(*, quick: bool = False, only: Sequence[str] = PARTS) -> None:
    """Print a line per figure with its bound, and one line of JSON with every single time."""
    found = {}
    for part in only:
        print(f"-- {part}", flush=True)
        measure = importlib.import_module(f"benchmarks.browser.{part}").measure
        with tempfile.TemporaryDirectory() as name:
            found[part] = measure(Path(name), quick=quick)
    print(COMPARED)
    print(json.dumps({"dashboard": found}))
