"""Model comparison: pairs, rankings, claims by hand, and a tiny run from end to end."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from xaieval.outcomes import read_outcome
from xaieval.reproduce import Setup, run_experiment
from xaieval.reproduce.explanation_alignment import model_comparison
from xaieval.reproduce.explanation_alignment.comparison_tables import (
    link_table,
    pair_table,
    ranking_rows,
    similar_pairs,
)
from xaieval.reproduce.explanation_alignment.zoo import (
    RULES,
    Member,
    by_name,
    correlated,
    correlation_row,
    model_table,
)
from xaieval.study import Results

IOU = {"a/1": 0.6, "b/1": 0.2, "c/1": 0.61}
RIGHT = {"a/1": 15, "b/1": 15, "c/1": 10}


def _tables(n=20):
    """Scores of three models on n images: a and b equally accurate, a and c equally aligned."""
    rows, right = [], []
    for model, level in IOU.items():
        for image in range(n):
            about = {"model": model, "arm": model[0], "seed": 1, "sample_id": f"{image:02d}"}
            right.append({**about, "value": float(image < RIGHT[model])})
            noise = 0.05 * math.sin(image * (1 + ord(model[0]) % 7))
            for rule in RULES:
                key = {"method_id": rule.method, "metric_key": rule.metric}
                rows.append({**about, **key, "value": level + noise})
            rows.append({**about, "method_id": "random", "metric_key": "iou", "value": 0.1})
    members = [Member(name, name, {"width": 1.0}) for name in "abc"]
    scores, right = pd.DataFrame(rows).drop_duplicates(), pd.DataFrame(right)
    return scores, right, model_table(scores, right, members)


def test_the_table_of_models():
    _, _, table = _tables()
    assert table["accuracy"].tolist() == [0.75, 0.75, 0.5]
    np.testing.assert_allclose(table["iou"], list(IOU.values()), atol=0.02)
    assert (table["iou_low"] < table["iou"]).all()
    assert (table["iou"] < table["iou_high"]).all()
    assert table["n_accuracy"].tolist() == table["n_masks"].tolist() == [20] * 3


def test_equal_accuracy_and_other_alignment_is_found():
    scores, _, table = _tables()
    assert similar_pairs(table) == [("a/1", "b/1")]
    pairs = pair_table(scores, table)
    assert len(pairs) == 1
    assert pairs.loc[0, "a"] == "a/1", "the more aligned model first"
    assert 0 < pairs.loc[0, "low"] <= pairs.loc[0, "difference"] <= pairs.loc[0, "high"]
    finding = model_comparison._similar(model_comparison.SIMILAR_CLAIM, pairs)
    assert finding.verdict == "holds"


def test_no_similar_pair_cannot_be_tested():
    scores, _, table = _tables()
    pairs = pair_table(scores, table[table["model"] != "b/1"])
    finding = model_comparison._similar(model_comparison.SIMILAR_CLAIM, pairs)
    assert finding.verdict == "cannot be tested here"


def test_more_pairs_widen_the_intervals():
    scores, _, table = _tables()
    alone = pair_table(scores, table)
    together = pair_table(scores, table.assign(accuracy=0.5))
    same = together[(together["a"] == "a/1") & (together["b"] == "b/1")].iloc[0]
    assert len(together) == 3
    assert same["difference"] == pytest.approx(alone.loc[0, "difference"])
    assert same["low"] < alone.loc[0, "low"]
    assert same["high"] > alone.loc[0, "high"]


def test_rankings_agree_where_the_rules_do():
    scores, right, _ = _tables()
    rows = {(row["first"], row["second"]): row for row in ranking_rows(scores, right)}
    assert rows["iou", "mass"]["tau"] == pytest.approx(1)
    assert rows["accuracy", "iou"]["tau"] < 1
    assert {row["models"] for row in rows.values()} == {3}


def test_correlation_over_models_and_over_arms():
    accuracy = np.array([0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
    table = pd.DataFrame({"arm": list("abcdef"), "accuracy": accuracy, "iou": accuracy / 2})
    alone = correlation_row(table, "accuracy", "iou")
    assert (alone["pearson"], alone["n"], alone["arms"]) == (pytest.approx(1), 6, 6)
    paired = correlation_row(table.assign(arm=list("aabbcc")), "accuracy", "iou")
    assert paired["arms"] == 3
    table["iou"] = table["iou"] + np.array([0.05, -0.05, 0.05, -0.05, 0.05, -0.05])
    alone_again = correlation_row(table, "accuracy", "iou")
    paired_again = correlation_row(table.assign(arm=list("aabbcc")), "accuracy", "iou")
    assert paired_again["low"] <= alone_again["low"], "arms never make an interval narrower"
    assert paired_again["high"] >= alone_again["high"]
    claim = model_comparison.CLAIMS[3]
    assert correlated(claim, paired).n == "6 models of 3 arms"
    assert correlated(claim, alone).verdict == "holds"
    table = table.assign(**{rule.id: table["iou"] for rule in RULES} | {"mass": np.nan})
    links = by_name(link_table(table), "y")
    assert "mass" not in links, "a rule without values is left out"


def test_the_family_is_a_grid_with_names_of_folders():
    small = list(model_comparison.family(model_comparison._SIZES["small"]))
    assert len({member.name for member in small}) == len(small) == 12
    assert all(member.name.replace("-", "").replace("_", "").isalnum() for member in small)
    assert {member.model["width"] for member in small} == {0.5, 1.0, 2.0}


@pytest.mark.slow
def test_a_tiny_comparison_from_end_to_end(tmp_path):
    setup = Setup(out=tmp_path / "out", size="tiny", device="cpu", command=("xaieval", "reproduce"))
    experiment = run_experiment(model_comparison.SPEC, setup)
    outcome = experiment.outcome
    assert len(outcome.findings[0].n or outcome.findings[0].why) > 0
    whole = [f for f in outcome.findings if f.claim.id.startswith("imagenet")]
    assert {f.verdict for f in whole} == {"cannot be tested here"}
    table = outcome.sheets[0].frame
    assert len(table) == 4
    assert table["n_accuracy"].tolist() == [120] * 4
    assert table["n_masks"].tolist() == [96] * 4, "good nuts have no defect"
    assert outcome.pictures[0].image.shape[2] == 3
    trained = {
        path: path.stat().st_mtime_ns
        for folder in experiment.study_folders
        for path in (folder / "checkpoints").iterdir()
    }
    assert [Results(folder).seeds for folder in experiment.study_folders] == [(42,)] * 4
    again = run_experiment(model_comparison.SPEC, setup)
    assert [f.value for f in again.outcome.findings] == [f.value for f in outcome.findings]
    assert all(path.stat().st_mtime_ns == then for path, then in trained.items())
    assert read_outcome(tmp_path / "out").about.size == "tiny"
