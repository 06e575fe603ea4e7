"""Compare every method with its oracle: ``python -m benchmarks.parity`` (``make parity``).

Writes ``docs/parity.md``; the exit code is 1 when a row fails or its method is missing.
"""

from __future__ import annotations

import argparse
import fnmatch
import logging
import sys
import time
import warnings
from pathlib import Path

import torch

from benchmarks.parity import (
    attending,
    cams,
    enhancing,
    fast,
    gradients,
    modified,
    perturbing,
    relevance,
)
from benchmarks.parity.report import report
from benchmarks.parity.rows import Result, Row, compare
from xaieval.methods import METHODS

GROUPS = {
    "gradients": gradients.rows,
    "modified": modified.rows,
    "relevance": relevance.rows,
    "cams": cams.rows,
    "attending": attending.rows,
    "enhancing": enhancing.rows,
    "perturbing": perturbing.rows,
    "fast": fast.rows,
}
PAGE = Path(__file__).resolve().parents[2] / "docs" / "parity.md"


def main() -> int:
    """Run the rows asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parity", description=__doc__)
    parser.add_argument(
        "patterns", nargs="*", metavar="PATTERN", help="rows whose METHOD/NET fits, as gradcam/*"
    )
    parser.add_argument(
        "--out", type=Path, default=None, help=f"default: {PAGE.name} of a full run"
    )
    parser.add_argument("--slow", action="store_true", help="say how long each row took")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(min(2, torch.get_num_threads()))
    rows = [row for group in GROUPS.values() for row in group()]
    if not arguments.patterns:
        covered = {row.method for row in rows if row.group == "oracle"}
        bare = [s.id for s in METHODS.values() if not s.baseline and s.id not in covered]
        if bare:
            parser.error(f"no oracle for {', '.join(bare)}")
    else:
        rows = [row for row in rows if _chosen(row, arguments.patterns)]
    start = time.perf_counter()
    results = []
    for row in rows:
        results.append((fast.compare if row.group == "fast" else compare)(row))
        print(_line(results[-1], arguments.slow), flush=True)
    out = arguments.out or (None if arguments.patterns else PAGE)
    if out is not None:
        out.write_text(report(results, time.perf_counter() - start), encoding="utf-8")
        print(f"wrote {out}")
    bad = sum(result.status in ("fail", "missing") for result in results)
    print(f"{len(results) - bad} of {len(results)} rows hold, {time.perf_counter() - start:.0f} s")
    return int(bad > 0)


def _chosen(row: Row, patterns: list[str]) -> bool:
    place = f"{row.method}/{row.net}"
    return any(fnmatch.fnmatch(place, p if "/" in p else f"{p}/*") for p in patterns)


def _line(result: Result, slow: bool) -> str:
    row = result.row
    value = "" if result.value is None else f"{result.value:.2e} ≤ {row.tolerance:.0e}"
    took = f"{result.elapsed_s:6.1f} s  " if slow else ""
    said = f"  {result.said}" if result.said else ""
    return f"{took}{result.status:8}{row.net:10} {row.name:58} {row.oracle:40} {value}{said}"


if __name__ == "__main__":
    sys.exit(main())
