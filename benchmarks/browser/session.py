"""A session's memory: after 200 changes of the image against after 20."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.browser.figures import said
from benchmarks.browser.served import Server, chromium, new_page, serving
from benchmarks.browser.stage import open_stage, step

EARLY, LATE = 20, 200


def measure(folder: Path, *, quick: bool) -> dict[str, Any]:
    """Step through all images of the built-in study; the server and the browser's page."""
    found: dict[str, dict[str, float]] = {}
    late = 60 if quick else LATE
    with serving(folder) as server, chromium() as browser:
        page = new_page(browser)
        inspector = page.context.new_cdp_session(page)
        open_stage(page, server.url, split="all")
        forward = True
        for change in range(1, late + 1):
            ends = page.locator('button[aria-label="Next image"]').is_disabled()
            forward = False if ends else forward
            step(page, forward=forward)
            if change in (EARLY, late):
                page.wait_for_timeout(3000)
                found[str(change)] = _memory(server, inspector)
    early, end = found[str(EARLY)], found[str(late)]
    for name in early:
        ratio = 100 * end[name] / early[name]
        print(said(f"memory after {late} changes, {name}", ratio, 110.0, unit="%"))
        print(f"{'':4}{early[name]:.1f} MiB after {EARLY}, {end[name]:.1f} MiB after {late}")
    return found


def _memory(server: Server, inspector: Any) -> dict[str, float]:
    inspector.send("HeapProfiler.collectGarbage")
    used = inspector.send("Runtime.getHeapUsage")["usedSize"]
    return {"server": server.resident_mib(), "page": used / 2**20}
