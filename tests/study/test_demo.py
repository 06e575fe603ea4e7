"""The built-in study as it is shipped: complete, small, and what the code computes today."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from xaieval.backend import Backend
from xaieval.cache import HeatmapCache
from xaieval.study.results import Results, demo_results
from xaieval.study.runner import run_study
from xaieval.study.settings import Filters

MB = 1_000_000


@pytest.fixture(scope="module")
def demo() -> Results:
    return demo_results()


def test_complete(demo: Results):
    assert demo.seeds == demo.study.train.seeds == tuple(range(42, 52))
    assert len(demo.checkpoints()) == 10
    assert demo.manifest["status"] == "finished"
    assert demo.manifest["problems"] == []
    assert demo.manifest["data_path"] is None
    dataset = demo.dataset()
    assert dataset is not None
    assert len(demo.predictions()) == len(dataset) * 10
    rows = len(dataset) * 10 * len(demo.method_ids)
    assert len(demo.scores()) == rows * len(demo.metric_keys)
    assert len(demo.map_stats()) == rows
    assert demo.splits == ("train", "test")
    assert set(demo.history()["seed"]) == set(demo.seeds)


def test_small(demo: Results):
    def size(*folders: str) -> int:
        return sum(p.stat().st_size for f in folders for p in (demo.path / f).iterdir())

    assert size("checkpoints") <= 3 * MB
    assert size("predictions", "scores", "map_stats") <= 1 * MB


def test_classifiers_better_than_chance(demo: Results):
    accuracy = demo.accuracy()
    test = accuracy[accuracy["split"] == "test"]["balanced_accuracy"]
    assert test.min() > 2 / len(demo.classes)


def test_one_seed_computed_again(demo: Results, tmp_path: Path):
    """Some images of seed 42, from the shipped weights. Another processor may round otherwise."""
    out = tmp_path / "out"
    (out / "checkpoints").mkdir(parents=True)
    for path in (demo.path / "checkpoints").glob("seed-42.*"):
        shutil.copy(path, out / "checkpoints")
    data = dataclasses.replace(demo.study.data, filters=Filters(per_class=3))
    study = dataclasses.replace(demo.study, data=data)
    backend = Backend("cpu", cache=HeatmapCache(folder=tmp_path / "cache"))
    try:
        again = run_study(study, out=out, seeds=[42], backend=backend)
    finally:
        backend.close()
    assert again.manifest["base_digest"] == demo.manifest["base_digest"]
    keys = ["sample_id", "method_id", "metric_key", "region"]
    new = again.scores().set_index(keys)
    old = demo.scores(seed=42).set_index(keys).loc[new.index]
    assert len(new) == 2 * 3 * 5 * len(demo.method_ids) * len(demo.metric_keys)
    assert new["method_digest"].equals(old["method_digest"])
    assert (new["reason"].fillna("") == old["reason"].fillna("")).all()
    difference = np.abs(new["value"] - old["value"]).dropna()
    assert (difference <= 1e-6).mean() >= 0.98
    assert difference.max() <= 0.05
    assert (
        again.predictions()["correct"].tolist()
        == (demo.predictions(seed=42).set_index("sample_id").loc[again.predictions()["sample_id"]])[
            "correct"
        ].tolist()
    )
