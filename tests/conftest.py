"""Shared by the rooms: a small results folder, a served dashboard, a watched browser."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from xaieval.study import Results

ROOT = Path(__file__).resolve().parents[1]

TINY_STUDY = """
schema = 1

[study]
id = "tiny"
title = "Tiny hazelnuts"

[data]
name = "synthetic-hazelnut"
split_scheme = "stratified"
options = { n_per_class = 6, size = 64 }

[model]
arch = "small-cnn"
input_size = [64, 64]

[train]
seeds = [42, 43]
epochs = 1
batch = 16

[explain]
methods = ["gradcam", "saliency", "integrated_gradients", "random"]

[score]
metrics = ["topk_overlap", "mass_accuracy", "pointing_game", "area_share"]
"""


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep heatmaps and tags of tests, and of processes they start, out of the user's folders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XAIEVAL_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("XAIEVAL_STATE", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def demo_results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A measured study, trained here in seconds: 5 classes of 6 images at 64 px, two seeds."""
    from xaieval.backend import Backend
    from xaieval.cache import HeatmapCache
    from xaieval.study import load_study, run_study, train_study

    folder = tmp_path_factory.mktemp("tiny")
    (folder / "tiny.toml").write_text(TINY_STUDY)
    study = load_study(folder / "tiny.toml")
    out = folder / "results"
    train_study(study, out=out, device="cpu")
    backend = Backend("cpu", cache=HeatmapCache(disk_bytes=0, folder=folder / "cache"))
    try:
        return run_study(study, out=out, device="cpu", backend=backend)
    finally:
        backend.close()


@pytest.fixture(scope="session")
def arms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an experiment with two trained arms, on images with three named regions."""
    from arms import train_arms

    return train_arms(tmp_path_factory.mktemp("arms"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(
    *arguments: str, folder: Path, seconds: float = 120.0, port: int | None = None
) -> Iterator[str]:
    """Run ``panel serve app --args …`` as its own process and yield the page's address."""
    port = port or free_port()
    command = [sys.executable, "-m", "panel", "serve", str(ROOT / "app"), "--port", str(port)]
    command += ["--address", "127.0.0.1", "--allow-websocket-origin", f"127.0.0.1:{port}"]
    if arguments:
        command += ["--args", *arguments]
    log = folder / f"server-{port}.log"
    env = {**os.environ, "XAIEVAL_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=stream, stderr=subprocess.STDOUT
        )
    url = f"http://127.0.0.1:{port}/app"
    try:
        deadline = time.monotonic() + seconds
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{log.read_text()}")
            try:
                with urllib.request.urlopen(url, timeout=seconds):
                    break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., AbstractContextManager[str]]:
    """``with serve(*arguments) as url``: a dashboard process of one's own."""
    return partial(serving, folder=tmp_path_factory.mktemp("serve"))


@pytest.fixture(scope="session")
def server(demo_results: Results, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The dashboard, served on the small study."""
    folder = tmp_path_factory.mktemp("server")
    with serving(str(demo_results.path), folder=folder) as url:
        yield url


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A headless Chromium; without one the test is skipped, or fails where CI is set.

    One per module: Playwright keeps an event loop running, which would disturb later tests.
    """
    sync_api = pytest.importorskip("playwright.sync_api")
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = os.environ.get("XAIEVAL_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    with sync_api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        except sync_api.Error as error:
            text = f"no Chromium to drive: {str(error).splitlines()[0]}"
            if os.environ.get("CI"):
                pytest.fail(text)
            pytest.skip(text)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """``open_page(url, **context)``: a watched page.

    At the end the test fails on any console error and on any request that left the machine.
    """
    contexts: list[Any] = []
    errors: list[str] = []
    strangers: list[str] = []

    def local(url: str) -> bool:
        parts = urlparse(url)
        return parts.scheme in {"data", "blob", "about"} or parts.hostname in {
            "127.0.0.1",
            "localhost",
        }

    def open_(url: str, **options: Any) -> Page:
        options.setdefault("viewport", {"width": 1366, "height": 768})
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("request", lambda r: None if local(r.url) else strangers.append(r.url))
        page.on("websocket", lambda w: None if local(w.url) else strangers.append(w.url))
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(error.stack or str(error)))
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not strangers, f"requests left the machine: {strangers}"
    assert not errors, f"errors in the browser's console: {errors}"
