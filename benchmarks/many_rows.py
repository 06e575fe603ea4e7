"""Triage of 100,000 rows: seconds to open a results folder, milliseconds to filter and order it.

``make`` writes a valid results folder of that many rows, four methods and four scores in seconds:
no model is run, the numbers are drawn. The images are those of the built-in dataset, so that the
page can show them. Each figure is the median of several processes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

ROWS, SEEDS = 100_000, 10
METHODS = ("gradcam", "saliency", "integrated_gradients", "random")
METRICS = ("topk_overlap", "iou", "gt_coverage", "saliency_coverage")
OPEN_S, SELECT_MS = 1.0, 50.0

STUDY = """
schema = 1

[study]
id = "many-rows"
title = "Drawn numbers, {rows} rows"

[data]
name = "synthetic-hazelnut"
split_scheme = "stratified"
options = {{ n_per_class = {n_per_class}, size = 64 }}

[model]
arch = "small-cnn"
input_size = [64, 64]

[train]
seeds = {seeds}

[explain]
methods = {methods}

[score]
metrics = {metrics}
"""

_CHILD = """
import json, sys, time
import numpy, pyarrow, pandas
from xaieval.study import Results
from xaieval.stats import Thresholds
from xaieval.triage import ORDERS, Filters, frame, histogram, open_triage, pattern_counts, scatter
import xaieval.metrics, duckdb

def timed(work):
    start = time.perf_counter()
    found = work()
    return found, time.perf_counter() - start

results, reading = timed(lambda: Results(sys.argv[1]))
table, opening = timed(lambda: open_triage(results, metric="topk_overlap"))
rows, first = timed(table.select)
wide = Filters(split="test", answers="correct", confidence=(0.5, 1.0), score=(0.0, 0.6))
counts, patterns = timed(lambda: pattern_counts(table))
selecting = {}
for name, filters in {
    "no filter": Filters(),
    "split, answers, confidence, score": wide,
    "lost": Filters(outcome="lost:gradcam"),
    "pattern": Filters(pattern="distractor"),
    "text": Filters(text="crack/00"),
}.items():
    for order in ORDERS:
        table.select(filters, order=order)  # each order is worked out once
    selecting[name] = [timed(lambda: table.select(filters, order=o))[1] for o in ORDERS]
moved = [timed(lambda: pattern_counts(table, thresholds=Thresholds(high=h)))[1]
         for h in (0.3, 0.4, 0.6)]
drawing = timed(lambda: (histogram(table, rows), scatter(table, rows)))[1]
print(json.dumps({
    "rows": len(rows), "open_s": reading + opening, "first_select_ms": first * 1e3,
    "first_patterns_ms": patterns * 1e3, "thresholds_ms": max(moved) * 1e3,
    "plots_ms": drawing * 1e3, "page_of_50_ms": timed(lambda: frame(table, rows[:50]))[1] * 1e3,
    "select_ms": {name: max(times) * 1e3 for name, times in selecting.items()},
}))
"""


def make(folder: Path, *, rows: int = ROWS, seeds: int = SEEDS) -> Path:
    """Write a results folder of about so many rows (whole images of five classes); return it."""
    from xaieval.study.config import parse_study
    from xaieval.study.data import open_study_data, study_splits
    from xaieval.study.parts import SCHEMA_VERSION, write_part

    per_class = max(2, round(rows / seeds / 5))
    text = STUDY.format(
        rows=f"{per_class * 5 * seeds:,}",
        n_per_class=per_class,
        seeds=list(range(42, 42 + seeds)),
        methods=json.dumps(METHODS),
        metrics=json.dumps(METRICS),
    )
    study = parse_study(text)
    dataset = open_study_data(study)
    test = {sample for fold in study_splits(study, dataset).folds for sample in fold.test}
    predictions, scores = _tables(dataset, test, study.model_id, seeds)
    write_part(folder, "predictions", predictions, base="drawn", stem="drawn")
    write_part(folder, "scores", scores, base="drawn", stem="drawn")
    manifest = {
        "schema": SCHEMA_VERSION,
        "kind": "measured",
        "title": study.title,
        "note": "drawn numbers, no model run here",
        "study": study.id,
        "model_id": study.model_id,
        "status": "finished",
        "rule_digest": "drawn",
        "data_path": None,
        "task": dataset.task,
        "classes": list(dataset.class_names),
        "regions": ["defect"],
        "methods": list(METHODS),
        "compete": list(METHODS[:3]),
        "metrics": list(METRICS),
        "models": {},
        "problems": [],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1))
    (folder / "study.toml").write_text(text)
    return folder


def _tables(dataset, test: set[str], model_id: str, seeds: int) -> tuple[pa.Table, pa.Table]:
    r = np.random.default_rng(0)
    records = list(dataset.records)
    images = len(records)
    n = images * seeds
    label = np.tile([record.label for record in records], seeds)
    has_mask = np.tile([record.has_mask for record in records], seeds)
    of_sample = np.tile(np.arange(images), seeds)
    seed = np.repeat(np.arange(42, 42 + seeds), images)
    right = r.random(n) < 0.9
    predicted = np.where(right, label, (label + r.integers(1, 5, n)) % 5)
    ids = pa.array([record.id for record in records])
    roles = pa.array(["test" if record.id in test else "train" for record in records])
    names = pa.array(dataset.class_names)

    def constant(value: object, length: int = n) -> pa.Array:
        return pa.repeat(pa.scalar(value), length)

    predictions = {
        "sample_id": ids.take(of_sample),
        "split": roles.take(of_sample),
        "class": names.take(label),
        "model_id": constant(model_id),
        "seed": pa.array(seed, pa.int32()),
        "fold": constant(0),
        "target_kind": constant("predicted"),
        "target": pa.array(predicted, pa.int32()),
        "predicted": pa.array(predicted, pa.int32()),
        "label": pa.array(label, pa.int32()),
        "confidence": pa.array(np.where(right, r.beta(8, 1.5, n), r.beta(4, 3, n))),
        "correct": pa.array(right),
    }
    parts = []
    for i, method in enumerate(METHODS):
        quality = r.beta(2 + (3 - i), 4, n)
        for metric in METRICS:
            value = np.clip(quality + r.normal(0, 0.15, n), 0, 1)
            value[~has_mask] = np.nan
            parts.append(
                {
                    "sample_id": predictions["sample_id"],
                    "model_id": predictions["model_id"],
                    "seed": predictions["seed"],
                    "method_id": constant(method),
                    "method_digest": constant(method),
                    "region": constant("defect"),
                    "metric_key": constant(metric),
                    "rule_digest": constant("drawn"),
                    "value": pa.array(value),
                    "reason": pa.array(np.where(has_mask, None, "no-ground-truth"), pa.string()),
                }
            )
    return pa.table(predictions), pa.concat_tables([pa.table(part) for part in parts])


def measure(folder: Path) -> dict[str, object]:
    """Open, filter and order a folder in a fresh process; return what it cost."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(folder)], capture_output=True, text=True, check=True
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


def main(*, quick: bool = False) -> None:
    """Make the folder, measure it several times, print the figures and whether they are met."""
    with tempfile.TemporaryDirectory() as name:
        start = time.perf_counter()
        folder = make(Path(name), rows=ROWS)
        size = sum(path.stat().st_size for path in folder.rglob("*.parquet")) / 1e6
        print(f"  made in {time.perf_counter() - start:.0f} s, {size:.0f} MB")
        runs = [measure(folder) for _ in range(2 if quick else 5)]

    def median(key: str, part: str | None = None) -> float:
        return float(np.median([run[key][part] if part else run[key] for run in runs]))

    opened = median("open_s")
    print(
        f"  {runs[0]['rows']:,} rows × {len(METHODS)} methods × {len(METRICS)} scores, median of "
        f"{len(runs)}: opened in {opened:.2f} s "
        f"(target ≤ {OPEN_S} s: {'met' if opened <= OPEN_S else 'MISSED'})"
    )
    for part in runs[0]["select_ms"]:
        ms = median("select_ms", part)
        verdict = "met" if ms <= SELECT_MS else "MISSED"
        print(f"  filtered and ordered, {part}: {ms:.1f} ms (target ≤ {SELECT_MS} ms: {verdict})")
    for key, what in (
        ("first_select_ms", "first order"),
        ("first_patterns_ms", "first pattern counts, three more scores read"),
        ("thresholds_ms", "pattern counts under moved thresholds"),
        ("plots_ms", "histogram and scatter of all rows"),
        ("page_of_50_ms", "50 rows as a sheet"),
    ):
        print(f"  {what}: {median(key):.1f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two processes instead of five")
    main(quick=parser.parse_args().quick)
