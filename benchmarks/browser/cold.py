"""A cold view: from the click to the first card, against one chunk of passes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.browser.figures import median, said
from benchmarks.browser.served import chromium, new_page, serving
from benchmarks.browser.stage import clock, open_stage

EXTRA_MS = 100.0
STUDY = """
schema = 1
[study]
id = "bench-{arch}"
title = "Benchmark of {arch}"
[data]
name = "synthetic-hazelnut"
split_scheme = "stratified"
options = {{ n_per_class = 10, size = {size} }}
filters = {{ per_class = 1 }}
[model]
arch = "{arch}"
input_size = [{size}, {size}]
[train]
seeds = [42]
epochs = 1
batch = 8
[explain]
methods = ["gradcam", "saliency", {{ id = "integrated_gradients", n_steps = 25 }}]
[score]
metrics = ["topk_overlap"]
[run]
splits = ["test"]
"""


def prepare(arch: str, size: int, folder: Path) -> Path:
    """Train and run a one-seed study; return its results folder."""
    from xaieval.backend import Backend
    from xaieval.cache import HeatmapCache
    from xaieval.study import load_study, run_study, train_study

    file = folder / f"{arch}.toml"
    file.write_text(STUDY.format(arch=arch, size=size))
    study, out = load_study(file), folder / arch
    train_study(study, out=out, device="cpu")
    backend = Backend("cpu", cache=HeatmapCache(disk_bytes=0, folder=folder / "unused"))
    try:
        run_study(study, out=out, device="cpu", backend=backend)
    finally:
        backend.close()
    return out


class Chunk:
    """One chunk: a forward and backward pass of as many rows as the backend puts into one."""

    def __init__(self, results: Path, size: int) -> None:
        import torch

        from xaieval.methods import Explainer, resolve_methods
        from xaieval.models import load_checkpoint

        checkpoint = next((results / "checkpoints").glob("*.safetensors"))
        self._explainer = Explainer(load_checkpoint(checkpoint), device="cpu")
        self._x, self._methods = torch.rand(1, 3, size, size), resolve_methods(["saliency"])
        self.time_ms()

    def time_ms(self) -> float:
        """Time it."""
        began = time.perf_counter()
        self._explainer.run(self._x, methods=self._methods)
        return 1000 * (time.perf_counter() - began)


def measure(folder: Path, *, quick: bool) -> dict[str, Any]:
    """Jump to images that nobody asked for; a chunk is timed after every jump."""
    found: dict[str, Any] = {}
    nets = [("small-cnn", 192)] if quick else [("small-cnn", 192), ("efficientnet-b0", 224)]
    for arch, size in nets:
        results = prepare(arch, size, folder)
        chunk = Chunk(results, size)
        firsts, wholes, chunks = [], [], []
        with serving(folder, results=[results]) as server, chromium() as browser:
            page = new_page(browser)
            open_stage(page, server.url, split="train")
            page.wait_for_timeout(3000)
            thumbs = page.locator("button.thumb").count()
            start = page.locator('button.thumb[aria-selected="true"]').evaluate(
                "it => [...it.parentNode.children].indexOf(it)"
            )
            # Neighbours are prefetched: jumps of four leave them out.
            for jump in range(1, (5 if quick else 9)):
                first, whole = clock(page, "button.thumb", (start + 4 * jump) % thumbs)
                firsts.append(first)
                wholes.append(whole)
                page.wait_for_timeout(1500)
                chunks.append(chunk.time_ms())
        bound = median(chunks) + EXTRA_MS
        print(said(f"cold, {arch} at {size}: first card, median", median(firsts), bound))
        print(f"{'':4}chunk {median(chunks):.1f} ms; the whole view {median(wholes):.1f} ms")
        found[arch] = {"first_ms": firsts, "whole_ms": wholes, "chunk_ms": chunks}
    return found
