"""Compare every method with its oracle: ``python -m benchmarks.parity`` (``make parity``).

Writes ``docs/parity.md``; the exit code is 1 when a row fails or its method is missing.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.parity.report import report
from benchmarks.parity.rows import Result, Row
from benchmarks.parity.table import all_rows, compared
from xaieval.methods import METHODS

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
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1), help="processes")
    parser.add_argument("--times", action="store_true", help="say how long each row took")
    arguments = parser.parse_args()
    rows = all_rows()
    numbers: Sequence[int] = range(len(rows))
    if not arguments.patterns:
        covered = {row.method for row in rows if row.group == "oracle"}
        bare = [s.id for s in METHODS.values() if not s.baseline and s.id not in covered]
        if bare:
            parser.error(f"no oracle for {', '.join(bare)}")
    else:
        numbers = [n for n, row in enumerate(rows) if _chosen(row, arguments.patterns)]
    start = time.perf_counter()
    results = []
    for result in compared(numbers, arguments.jobs):
        results.append(result)
        print(_line(result, arguments.times), flush=True)
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


def _line(result: Result, times: bool) -> str:
    row = result.row
    value = "" if result.value is None else f"{result.value:.2e} ≤ {row.tolerance:.0e}"
    took = f"{result.elapsed_s:6.1f} s  " if times else ""
    said = f"  {result.said}" if result.said else ""
    return f"{took}{result.status:8}{row.net:10} {row.name:58} {row.oracle:40} {value}{said}"


if __name__ == "__main__":
    sys.exit(main())
