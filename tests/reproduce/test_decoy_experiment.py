"""Decoy MNIST as an experiment: what is judged, and a tiny run from end to end."""

from __future__ import annotations

import pandas as pd
import pytest

from xaieval.outcomes import read_outcome
from xaieval.reproduce import Setup, run_experiment
from xaieval.reproduce.explanation_alignment import decoy_mnist
from xaieval.reproduce.explanation_alignment.scoring import GRADIENT
from xaieval.study import Results


def test_every_printed_sign_is_a_claim_and_has_the_printed_order():
    claims = {claim.id: claim for claim in decoy_mnist.SPEC.claims}
    for id, pair, kind in decoy_mnist._pairs():
        a, b = getattr(pair, kind)
        assert a > b, "the first side is the greater one, as printed"
        assert claims[id].published == f"{a:.4f} against {b:.4f}"
    assert sum(id.endswith("-pointing") for id in claims) == 7
    assert sum(id.endswith("-iou") for id in claims) == 7


def _frame(values):
    rows = [
        {
            "seed": seed,
            "sample_id": f"{digit}",
            "condition": condition,
            "region": region,
            "method_id": GRADIENT,
            "metric_key": "iou[mean+1std]",
            "value": value,
        }
        for (condition, region), value in values.items()
        for seed in (1, 2, 3)
        for digit in range(4)
    ]
    return pd.DataFrame(rows)


def test_sides_are_read_from_their_arm_condition_and_region():
    honest = _frame({("uncorrelated", "digit"): 0.4, ("uncorrelated", "block"): 0.1})
    spurious = _frame({("uncorrelated", "digit"): 0.2, ("correlated", "digit"): 0.3})
    frames = {"honest": honest, "spurious": spurious}
    side = decoy_mnist._Side("spurious", "correlated", "digit")
    found = decoy_mnist._values(frames, side, GRADIENT, "iou[mean+1std]")
    assert found["value"].tolist() == [0.3] * 12


@pytest.mark.slow
def test_a_tiny_run_from_end_to_end(tmp_path, monkeypatch):
    monkeypatch.delenv("XAIEVAL_DATA", raising=False)  # drawn digits: the same everywhere
    setup = Setup(out=tmp_path / "out", size="tiny", device="cpu", command=("xaieval", "reproduce"))
    experiment = run_experiment(decoy_mnist.SPEC, setup)
    outcome = experiment.outcome
    assert {f.claim.id for f in outcome.findings} == {c.id for c in decoy_mnist.SPEC.claims}
    assert {gate.gate.minimum for gate in outcome.gates} == {0.9}
    blocked = [f for f in outcome.findings if f.verdict == "cannot be tested here"]
    if not all(gate.passed for gate in outcome.gates):
        assert len(blocked) == len(outcome.findings), "below the gate no claim is made"
    assert outcome.facts["digits"] == ["procedural digits"]
    means = outcome.sheets[0].frame
    random = means[(means["method_id"] == "random") & (means["metric_key"] == "mass_accuracy")]
    assert (abs(random["mean"] - random["area_share"]) < 0.05).all(), "chance is the area share"
    signed = means[(means["method_id"] == GRADIENT) & (means["metric_key"] == "mass_accuracy")]
    assert (signed["n"] == 0).all(), "a signed map has no mass"
    arms = [Results(folder) for folder in experiment.study_folders]
    assert [results.seeds for results in arms] == [(42, 43)] * 2
    trained = {
        path: path.stat().st_mtime_ns
        for folder in experiment.study_folders
        for path in (folder / "checkpoints").iterdir()
    }
    again = run_experiment(decoy_mnist.SPEC, setup)
    assert [f.value for f in again.outcome.findings] == [f.value for f in outcome.findings]
    assert all(path.stat().st_mtime_ns == then for path, then in trained.items())
    assert read_outcome(tmp_path / "out").about.size == "tiny"
