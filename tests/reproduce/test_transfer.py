"""One-shot transfer: what predicts it, by hand, and a tiny run from end to end."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from xaieval.outcomes import read_outcome
from xaieval.reproduce import Setup, run_experiment
from xaieval.reproduce.explanation_alignment import embedding, transfer
from xaieval.reproduce.explanation_alignment.transfer_tables import (
    add_transfer,
    rival_gap,
    share_positive,
)


def _drawn(means, spread=0.01, draws=10):
    rows = [
        {"model": model, "draw": draw, "value": mean + spread * math.sin(draw)}
        for model, mean in means.items()
        for draw in range(draws)
    ]
    return pd.DataFrame(rows)


def test_means_over_draws_with_intervals():
    table = pd.DataFrame({"model": ["a/1", "b/1"], "arm": ["a", "b"]})
    found = add_transfer(table, _drawn({"a/1": 0.3, "b/1": 0.2})).set_index("model")
    assert found.loc["a/1", "transfer"] == pytest.approx(0.3, abs=0.01)
    assert found.loc["a/1", "transfer_low"] < found.loc["a/1", "transfer"]
    assert found.loc["b/1", "draws"] == 10


def test_draws_that_agree_with_the_mean():
    means = {"a": 0.1, "b": 0.2, "c": 0.3}
    table = pd.DataFrame({"model": list(means), "iou": [1.0, 2.0, 3.0], "less": [3.0, 2.0, 1.0]})
    drawn = _drawn(means)
    assert share_positive(table, drawn, "iou") == 1.0
    assert share_positive(table, drawn, "less") == 0.0


def test_the_better_predictor_by_a_known_amount():
    random = np.random.default_rng(0)
    y = np.linspace(0, 1, 40)
    table = pd.DataFrame(
        {
            "good": y + random.normal(size=40) * 0.1,
            "bad": random.normal(size=40),
            "transfer": y,
        }
    )
    gap, low, high = rival_gap(table, "good", "bad")
    wanted = np.corrcoef(table["good"], y)[0, 1] - np.corrcoef(table["bad"], y)[0, 1]
    assert gap == pytest.approx(wanted)
    assert 0 < low < gap < high
    assert rival_gap(table, "bad", "good")[2] == pytest.approx(-low)


def test_a_predictor_does_not_beat_itself():
    random = np.random.default_rng(1)
    x = random.normal(size=20)
    table = pd.DataFrame({"a": x, "b": x * 2, "transfer": x + random.normal(size=20)})
    gap, low, high = rival_gap(table, "a", "b")
    assert gap == pytest.approx(0)
    other = pd.DataFrame({"a": x, "b": random.normal(size=20), "transfer": table["transfer"]})
    _, lower, higher = rival_gap(other, "a", "b")
    assert low <= 0 <= high
    assert high - low < (higher - lower) / 3, "what goes together is told apart more sharply"


def test_the_gap_covers_what_it_should():
    """95 of 100 intervals hold the true difference of two dependent correlations."""
    random = np.random.default_rng(2)
    # Cor(x, y) = 0.6, Cor(z, y) = 0.3, Cor(x, z) = 0.5: the difference is 0.3.
    root = np.linalg.cholesky([[1, 0.5, 0.6], [0.5, 1, 0.3], [0.6, 0.3, 1]])
    held = 0
    for _ in range(200):
        points = random.normal(size=(25, 3)) @ root.T
        table = pd.DataFrame(points, columns=["x", "z", "transfer"])
        _, low, high = rival_gap(table, "x", "z")
        held += low <= 0.3 <= high
    assert 180 <= held <= 199


def test_three_models_say_nothing():
    table = pd.DataFrame({"a": [1.0, 2, 3], "b": [2.0, 1, 3], "transfer": [0.1, 0.2, 0.4]})
    assert np.isnan(rival_gap(table, "a", "b")[1:]).all()


def test_accuracy_on_digits_like_those_trained_on():
    right = pd.DataFrame(
        {
            "model": ["a/1"] * 4,
            "arm": ["a"] * 4,
            "sample_id": ["correlated/0", "correlated/1", "uncorrelated/0", "uncorrelated/1"],
            "value": [1.0, 0.0, 0.0, 0.0],
        }
    )
    assert transfer._own_accuracy(right, {"a": "correlated"}) == {"a/1": 0.5}
    assert transfer._own_accuracy(right, {"a": "uncorrelated"}) == {"a/1": 0.0}


def test_the_family_is_a_grid():
    small = list(transfer.family(transfer._SIZES["small"]))
    assert len({member.name for member in small}) == len(small) == 16
    assert sum(member.options["train"] == "correlated" for member in small) == 8


def test_a_damaged_file_of_accuracies_is_made_anew(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("{")
    assert embedding._kept(path, "key") is None
    path.write_text('{"key": "key", "accuracies": [0.5]}')
    assert embedding._kept(path, "key") == [0.5]
    assert embedding._kept(path, "another") is None


@pytest.mark.slow
def test_a_tiny_transfer_from_end_to_end(tmp_path, monkeypatch):
    monkeypatch.delenv("XAIEVAL_DATA", raising=False)  # drawn digits: the same everywhere
    setup = Setup(out=tmp_path / "out", size="tiny", device="cpu", command=("xaieval", "reproduce"))
    experiment = run_experiment(transfer.SPEC, setup)
    outcome = experiment.outcome
    assert outcome.facts["target"] == "synthetic-hazelnut"
    assert outcome.facts["target_images"] == 100
    table = outcome.sheets[0].frame
    assert len(table) == 4
    assert table["draws"].tolist() == [20] * 4
    assert outcome.gates[0].passed, "digits are learned"
    kept = sorted((tmp_path / "out" / "transfer").iterdir())
    assert len(kept) == 4
    times = [path.stat().st_mtime_ns for path in kept]
    again = run_experiment(transfer.SPEC, setup)
    assert [f.value for f in again.outcome.findings] == [f.value for f in outcome.findings]
    assert [path.stat().st_mtime_ns for path in kept] == times
    assert read_outcome(tmp_path / "out").about.size == "tiny"
