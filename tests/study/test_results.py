"""Results and their summary, on a folder whose numbers are known by hand."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pyarrow as pa
import pytest

from xaieval.cli.summary_text import render
from xaieval.errors import ConfigError, ResultsError
from xaieval.study.config import load_study
from xaieval.study.parts import SCHEMA_VERSION, SCHEMAS, write_part
from xaieval.study.results import Results
from xaieval.study.summarise import summary

# seed -> image -> (class, predicted right, reason of the mask, {method: score})
IMAGES = {
    1: {
        "a": ("crack", True, None, {"gradcam": 0.9, "saliency": 0.1, "random": 0.2}),
        "b": ("crack", True, None, {"gradcam": 0.3, "saliency": 0.5, "random": 0.2}),
        "c": ("hole", False, None, {"gradcam": 0.4, "saliency": 0.1, "random": 0.2}),
        "d": ("good", True, "empty-mask", {}),
    },
    2: {
        "a": ("crack", True, None, {"gradcam": 0.6, "saliency": 0.6, "random": 0.2}),
        "b": ("crack", False, None, {"gradcam": 0.3, "saliency": 0.5, "random": 0.2}),
        "c": ("hole", True, None, {"gradcam": 0.4, "saliency": 0.1, "random": 0.2}),
        "d": ("good", True, "empty-mask", {}),
    },
}
METHODS = ("gradcam", "saliency", "random")
CLASSES = ("crack", "good", "hole")


def make(out: Path) -> Path:
    """Write a measured results folder by hand."""
    predictions, scores = [], []
    for seed, images in IMAGES.items():
        for sample, (name, right, reason, values) in images.items():
            model = {"sample_id": sample, "model_id": "s/m", "seed": seed}
            label = CLASSES.index(name)
            predicted = label if right else (label + 1) % 3
            predictions.append(
                model
                | {"split": "test", "class": name, "fold": 0, "target_kind": "predicted"}
                | {"target": predicted, "predicted": predicted, "label": label}
                | {"confidence": 0.9, "correct": right}
            )
            for method in METHODS:
                for metric in ("topk_overlap", "area_share"):
                    value = values.get(method, float("nan"))
                    value = 0.25 if metric == "area_share" and values else value
                    scores.append(
                        model
                        | {"method_id": method, "method_digest": method, "region": "defect"}
                        | {"metric_key": metric, "rule_digest": "now", "value": value}
                        | {"reason": reason}
                    )
    old = [row | {"rule_digest": "before", "value": 0.0, "reason": None} for row in scores[:1]]
    for table, found in (("predictions", predictions), ("scores", scores + old)):
        rows = pa.Table.from_pylist(found, schema=SCHEMAS[table])
        write_part(out, table, rows, base="b", stem="s")
    manifest = {
        "schema": SCHEMA_VERSION,
        "kind": "measured",
        "title": "By hand",
        "rule_digest": "now",
        "classes": CLASSES,
        "regions": ["defect"],
        "methods": METHODS,
        "compete": METHODS[:2],
        "metrics": ["topk_overlap", "area_share"],
        "problems": [{"sample_id": "e", "what": "e: damaged"}],
    }
    (out / "manifest.json").write_text(json.dumps(manifest))
    (out / "study.toml").write_text(load_study("demo").text)
    return out


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(make(tmp_path / "out"))


def test_what_there_is(results: Results):
    assert results.kind == "measured"
    assert results.seeds == (1, 2)
    assert results.splits == ("test",)
    assert results.classes == CLASSES
    assert results.regions == ("defect",)
    assert results.method_ids == METHODS
    assert results.compete == METHODS[:2]
    assert results.metric_keys == ("topk_overlap", "area_share")
    assert len(results.predictions()) == 8
    assert len(results.predictions(seed=1, class_name="crack")) == 2
    scores = results.scores(metric_key="topk_overlap", method_id="gradcam", seed=1)
    assert scores["value"].tolist()[:3] == [0.9, 0.3, 0.4]
    assert scores["class"].tolist() == ["crack", "crack", "hole", "good"]
    assert set(results.scores()["rule_digest"]) == {"now"}
    assert results.map_stats().empty
    assert results.checkpoints() == []
    assert results.history().empty


def test_accuracy_by_hand(results: Results):
    accuracy = results.accuracy().set_index("seed")
    # seed 1: crack 2/2, hole 0/1, good 1/1; seed 2: crack 1/2, hole 1/1, good 1/1
    assert accuracy["balanced_accuracy"].tolist() == pytest.approx([2 / 3, 5 / 6])
    assert accuracy["accuracy"].tolist() == [0.75, 0.75]
    assert accuracy["n"].tolist() == [4, 4]


def rate(results: Results, seed: int, name: str, method: str, **options: str) -> float:
    table = results.win_rates(**options)
    found = table[
        (table["seed"] == seed) & (table["class"] == name) & (table["method_id"] == method)
    ]
    assert len(found) == 1
    return float(found["win_rate"].iloc[0])


def test_win_rates_by_hand(results: Results):
    assert rate(results, 1, "crack", "gradcam") == 0.5
    assert rate(results, 1, "overall", "saliency") == 0.5
    assert rate(results, 2, "crack", "gradcam") == 0.5  # a tie, shared
    assert rate(results, 2, "crack", "gradcam", tie_rule="first") == 1.0
    assert rate(results, 2, "overall", "gradcam") == 0.75
    assert rate(results, 1, "overall", "gradcam", population="all") == pytest.approx(2 / 3)
    with pytest.raises(ConfigError, match="unknown metric of these results 'topk'"):
        results.win_rates("topk")
    with pytest.raises(ConfigError, match="unknown method of these results"):
        results.win_rates(compete=["gradcm"])
    with pytest.raises(ResultsError, match="area_share is no quality"):
        results.win_rates("area_share")


def test_summary_by_hand(results: Results):
    found = summary(results)
    row = next(r for r in found.rows if (r["class"], r["method_id"]) == ("overall", "gradcam"))
    assert row["win_rate"] == pytest.approx((0.5 + 0.75) / 2)
    assert row["std"] == pytest.approx(0.125)
    assert row["n"] == 4
    assert row["n_seeds"] == 2
    assert row["left_out"] == 4
    assert row["left_out_by"] == {"empty-mask": 2, "misclassified": 2}
    assert row["score"] == pytest.approx(((0.9 + 0.3) / 2 + (0.6 + 0.4) / 2) / 2)
    assert row["area_share"] == 0.25
    baseline = next(r for r in found.rows if r["method_id"] == "random")
    assert baseline["win_rate"] is None
    assert baseline["score"] == pytest.approx(0.2)
    assert found.accuracy[0]["balanced_accuracy"] == pytest.approx(0.75)


def test_summary_as_text(results: Results):
    found = summary(results)
    table = render(found, "table")
    assert "0.6250 ± 0.1250" in table
    assert "4 (empty-mask 2, misclassified 2)" in table
    assert "1 faulty images were left out:\n  e: damaged" in table
    assert json.loads(render(found, "json"))["accuracy"][0]["n"] == 8
    lines = render(found, "csv").splitlines()
    assert len(lines) == 1 + len(found.rows)
    latex = render(found, "latex")
    assert latex.count(r"\begin{table}") == 2
    assert r"0.6250 $\pm$ 0.1250" in latex
    assert r"topk\_overlap" in latex


def test_a_form_that_stands_in_where_low_is_good(tmp_path: Path):
    out, aligned = make(tmp_path / "out"), "gradcam[upsampling=aligned]"
    values = {"gradcam": 0.5, "saliency": 0.4, "random": 0.9, aligned: 0.1}
    fixed = {"model_id": "s/m", "region": "whole", "metric_key": "deletion", "rule_digest": "now"}
    rows = [
        fixed
        | {"sample_id": sample, "seed": seed, "method_id": method, "method_digest": method}
        | {"value": value, "reason": None}
        for seed in IMAGES
        for sample in "abc"
        for method, value in values.items()
    ]
    write_part(
        out, "scores", pa.Table.from_pylist(rows, schema=SCHEMAS["scores"]), base="b", stem="w"
    )
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["methods"].append(aligned)
    manifest["metrics"].append("deletion")
    (out / "manifest.json").write_text(json.dumps(manifest))
    found = summary(Results(out), metric="deletion")
    assert "wins by deletion (the lowest); correctly classified images;" in render(found, "table")
    assert r"\par\footnotesize test: with gradcam[upsampling=aligned]" in render(found, "latex")
    assert found.region == ""
    (row,) = found.stand_ins
    assert (row["original"], row["variant"]) == ("gradcam", aligned)
    assert row["changed"] == row["n"] == 4
    assert dict(row["before"]) == {"gradcam": 0, "saliency": 1}
    assert dict(row["after"]) == {aligned: 1, "saliency": 0}


def test_read_from_several_threads(results: Results):
    counts: list[int] = []
    threads = [
        threading.Thread(target=lambda: counts.append(len(results.scores()))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [len(results.scores())] * 8


def test_refused_in_one_clear_sentence(tmp_path: Path):
    with pytest.raises(ResultsError, match=r"not a results folder.*no such folder"):
        Results(tmp_path / "none")
    with pytest.raises(ResultsError, match="not a results folder"):
        Results(tmp_path)
    out = make(tmp_path / "out")
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps(manifest | {"schema": 99}))
    with pytest.raises(ResultsError, match="schema version; expected 1, got 99"):
        Results(out)
    (out / "manifest.json").write_text("{")
    with pytest.raises(ResultsError, match="damaged manifest"):
        Results(out)
    (out / "manifest.json").write_text(json.dumps(manifest))
    for part in (out / "predictions").iterdir():
        part.unlink()
    with pytest.raises(ResultsError, match="no results in here yet"):
        Results(out)


def test_a_part_that_goes_missing_is_told(results: Results):
    for part in (results.path / "scores").iterdir():
        part.unlink()
    with pytest.raises(ResultsError, match="a part cannot be read"):
        results.scores()
