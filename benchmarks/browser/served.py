"""A served page and a browser to open it with."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
EMPTY = Path(__file__).with_name("empty_page.py")


@dataclass(frozen=True)
class Server:
    """Where a page is served, and by which process."""

    url: str
    pid: int

    def resident_mib(self) -> float:
        """Return how much memory the process holds, in MiB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError("the server has gone")


@contextmanager
def serving(
    folder: Path, *, results: Sequence[Path | str] = (), page: Path = ROOT / "app"
) -> Iterator[Server]:
    """Serve the dashboard on results (none: the built-in study) with an empty cache.

    ``page``: another file to serve. ``folder`` takes the cache, the journal and the log.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "panel", "serve", str(page), "--port", str(port)]
    command += ["--address", "127.0.0.1", "--allow-websocket-origin", f"127.0.0.1:{port}"]
    if results:
        command += ["--args", *map(str, results)]
    for name in ("cache", "state"):
        shutil.rmtree(folder / name, ignore_errors=True)
    env = {
        **os.environ,
        "XAIEVAL_CACHE": str(folder / "cache"),
        "XAIEVAL_STATE": str(folder / "state"),
    }
    log = folder / f"server-{port}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=stream, stderr=stream)
    url = f"http://127.0.0.1:{port}/{page.stem}"
    try:
        for _ in range(600):
            if process.poll() is not None:
                raise RuntimeError(log.read_text())
            try:
                urllib.request.urlopen(url, timeout=120).close()
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.2)
        yield Server(url, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:  # it still works for a page that has gone
            process.kill()
            process.wait()


@contextmanager
def chromium() -> Iterator[Any]:
    """Start the Chromium that is installed."""
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = os.environ.get("XAIEVAL_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


def new_page(browser: Any) -> Any:
    """Return a page of a session of its own, as large as a small laptop's screen."""
    return browser.new_context(viewport={"width": 1366, "height": 768}).new_page()
