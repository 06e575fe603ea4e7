"""Warm view changes: click to all cards decoded and painted, of four and of eight methods."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.browser.figures import median, p95, said
from benchmarks.browser.served import chromium, new_page, serving
from benchmarks.browser.stage import EIGHT, FOUR, open_stage, step

BOUNDS_MS = {4: 120.0, 8: 160.0}
IMAGES = 12
PAUSE_MS = 400


def measure(folder: Path, *, quick: bool) -> dict[str, Any]:
    """Step to and fro between images that were seen before, with four cards, then with eight."""
    rounds = 1 if quick else 3
    times: dict[int, list[float]] = {4: [], 8: []}
    with serving(folder) as server, chromium() as browser:
        for count, methods in ((4, FOUR), (8, EIGHT)):
            page = new_page(browser)
            open_stage(page, server.url, methods=methods)
            for lap in range(rounds + 1):  # the first one draws
                for forward in (True, False):
                    for _ in range(IMAGES):
                        took = step(page, forward=forward)
                        page.wait_for_timeout(PAUSE_MS)
                        if lap:
                            times[count].append(took)
            page.context.close()
    for count, bound in BOUNDS_MS.items():
        found = times[count]
        print(said(f"warm, {count} cards, p95 of {len(found)}", p95(found), bound))
        print(f"{'':4}median {median(found):.1f} ms")
    return {f"warm_{count}_ms": values for count, values in times.items()}
