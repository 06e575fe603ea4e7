"""compare-methods: what it prints is what the functions find."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from by_hand import write_results
from click.testing import CliRunner

from xaieval.cli import main
from xaieval.errors import ConfigError
from xaieval.study import Results
from xaieval.study.comparison import compare_methods, metric_agreement

SAMPLES = {str(i): "xy"[i % 2] for i in range(6)}


def value(sample: str, seed: int, method: str, region: str, metric: str) -> float | str:
    better = method == "gradcam"
    if metric == "deletion":  # lower is better
        return 0.2 if better else 0.4 + seed / 100
    return 0.5 + 0.1 * better + seed / 100 + int(sample) / 50


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_results(
        tmp_path / "out",
        value,
        samples=SAMPLES,
        seeds=(1, 2, 3),
        metrics=("topk_overlap", "mass_accuracy", "area_share"),
        wrong=frozenset({("0", 1)}),
    )


def test_by_hand(folder: Path):
    found = compare_methods(Results(folder))
    assert found.friedman.ranks == (1.0, 2.0)
    assert found.friedman.p == pytest.approx(2 / 2**3)  # all three seeds one way, or the other
    assert not found.differs
    (pair,) = found.pairs
    assert pair.difference == pytest.approx(0.1)
    assert found.blocks.left_out == 0
    images = compare_methods(Results(folder), unit="image", class_name="x")
    assert images.friedman.n_blocks == 3
    agreement = metric_agreement(Results(folder))
    assert agreement[["a", "b"]].values.tolist() == [["topk_overlap", "mass_accuracy"]]
    assert agreement["r"].tolist() == [1.0]
    assert agreement["n"].tolist() == [17]  # one image is misclassified under one seed


def test_table_and_json_say_the_same(folder: Path):
    text = CliRunner().invoke(main, ["compare-methods", str(folder)])
    assert text.exit_code == 0, text.output
    assert "p 0.250 (counted over all orders), 3 seeds" in text.output
    assert "topk_overlap  mass_accuracy  +1.000" in text.output
    out = CliRunner().invoke(main, ["compare-methods", str(folder), "--format", "json"]).output
    found = json.loads(out)
    assert [row["rank"] for row in found["ranks"]] == [1.0, 2.0]
    assert found["pairs"][0]["p_holm"] == pytest.approx(0.25)
    assert found["about"]["parameters"]["unit"] == "seed"


@pytest.mark.parametrize("option", ["--split", "--class", "--metric", "--region"])
def test_unknown_names_are_refused(folder: Path, option: str):
    done = CliRunner().invoke(main, ["compare-methods", str(folder), option, "nope"])
    assert done.exit_code == 2
    assert "nope" in done.output


def test_unknown_unit(folder: Path):
    with pytest.raises(ConfigError, match="sead"):
        compare_methods(Results(folder), unit="sead")  # type: ignore[arg-type]
