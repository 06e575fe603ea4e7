"""Smile bias as an experiment: what is judged, and tiny runs on drawn faces and real layouts."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from xaieval.datasets import write_faces
from xaieval.errors import DataError
from xaieval.outcomes import read_outcome
from xaieval.reproduce import Setup, run_experiment
from xaieval.reproduce.explanation_alignment import smile_bias
from xaieval.reproduce.explanation_alignment.faces import (
    AGREEING,
    CONFLICTING,
    GROUPS,
    SIZES,
    Settings,
    find_faces,
)
from xaieval.reproduce.explanation_alignment.measures import by_seed, mean_table
from xaieval.study import Results


def test_every_printed_contrast_has_the_printed_sign_and_both_claims():
    claims = {claim.id: claim for claim in smile_bias.SPEC.claims}
    for pair in (*smile_bias.ACCURACIES, *smile_bias.ALIGNMENTS):
        assert claims[f"celeba-{pair.id}"].published == pair.published
        assert claims[f"drawn-{pair.id}"].source == "planted"
    for group, (unbiased, biased) in smile_bias._MOUTH.items():
        assert unbiased > biased, group
    for group, printed in smile_bias._ACCURACY.items():
        first, second = (eval(text.replace(",", "").replace(" of ", "/")) for text in printed)
        assert (first > second) == (group in CONFLICTING)
    assert sorted((*AGREEING, *CONFLICTING)) == sorted(GROUPS.values())


def _frame(values):
    rows = [
        {
            "seed": seed,
            "sample_id": f"{group}/{face}",
            "group": group,
            "region": region,
            "method_id": "gradcam",
            "metric_key": "iou",
            "value": value + (0.1 if seed == 2 else 0.0),
        }
        for (group, region), value in values.items()
        for seed in (1, 2)
        for face in range(3)
    ]
    return pd.DataFrame(rows)


def test_contrasts_take_their_model_region_and_groups():
    black, blond = "black hair, smiling", "blond hair, not smiling"
    frames = {
        "unbiased": _frame({(black, "mouth"): 0.5, (blond, "mouth"): 0.2, (black, "hair"): 0.1}),
        "biased": _frame({(black, "mouth"): 0.1, (blond, "mouth"): 0.2, (black, "hair"): 0.7}),
    }
    pairs = {pair.id: pair for pair in smile_bias.ALIGNMENTS}
    found = smile_bias._contrast(frames, pairs["mouth-black-hair-smiling"], "gradcam", "iou")
    assert found.paired
    assert found.difference == pytest.approx(0.4)
    found = smile_bias._contrast(frames, pairs["hair-biased"], "gradcam", "iou")
    assert found.difference == pytest.approx(0.6)
    found = smile_bias._contrast(frames, pairs["mouth-smiling"], "gradcam", "iou")
    assert not found.paired
    assert found.difference == pytest.approx(0.3)
    assert found.n_images == 6


def test_means_are_over_seeds_with_the_area_beside_them():
    frame = _frame({("black hair, smiling", "mouth"): 0.5})
    area = frame.assign(metric_key="area_share", method_id="", value=0.01)
    hole = frame.iloc[:1].assign(sample_id="x", value=float("nan"))
    table = mean_table(
        {"unbiased": pd.concat([frame, area, hole])}, ["region", "method_id", "metric_key"]
    )
    row = table.iloc[0]
    assert len(table) == 1
    assert (row["mean"], row["std_over_seeds"]) == (pytest.approx(0.55), pytest.approx(0.05))
    assert (row["n"], row["left_out"], row["area_share"]) == (6, 1, pytest.approx(0.01))
    assert by_seed(frame) == (pytest.approx(0.5), pytest.approx(0.6))


def test_photographs_are_asked_for_where_there_are_none(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("XAIEVAL_DATA", raising=False)
    with pytest.raises(DataError, match="--data"):
        find_faces(Setup(out=tmp_path / "out", size="whole"), SIZES["whole"])
    (tmp_path / "celeba" / "img_align_celeba").mkdir(parents=True)
    setup = Setup(out=tmp_path / "out", size="whole", data=tmp_path / "celeba")
    assert find_faces(setup, SIZES["whole"]).hair is None
    with pytest.raises(DataError, match="CelebAMask-HQ"):
        find_faces(setup, SIZES["whole"], masks=True)


@pytest.mark.slow
def test_a_tiny_run_from_end_to_end(tmp_path):
    setup = Setup(out=tmp_path / "out", size="tiny", device="cpu", command=("xaieval", "reproduce"))
    experiment = run_experiment(smile_bias.SPEC, setup)
    outcome = experiment.outcome
    assert {f.claim.id for f in outcome.findings} == {c.id for c in smile_bias.SPEC.claims}
    for finding in outcome.findings:
        if finding.claim.id.startswith("celeba-"):
            assert "drawn faces" in finding.why
    sheets = {sheet.id: sheet.frame for sheet in outcome.sheets}
    means = sheets["means"]
    random = means[(means["method_id"] == "random") & (means["metric_key"] == "mass_accuracy")]
    assert (abs(random["mean"] - random["area_share"]) < 0.01).all(), "chance is the area share"
    assert set(sheets["accuracy"]["n"]) == {12}, "six faces of each group, two seeds"
    assert set(sheets["contrasts"]["seeds"]) == {2}
    trained = {
        path: path.stat().st_mtime_ns
        for folder in experiment.study_folders
        for path in (Results(folder).path / "checkpoints").iterdir()
    }
    again = run_experiment(smile_bias.SPEC, setup)
    assert [f.value for f in again.outcome.findings] == [f.value for f in outcome.findings]
    assert all(path.stat().st_mtime_ns == then for path, then in trained.items())
    assert read_outcome(tmp_path / "out").about.size == "tiny"


@pytest.mark.slow
def test_the_whole_form_reads_the_published_layout(tmp_path):
    folder = write_faces(tmp_path / "CelebAMask-HQ", n=300, size=32, seed=1)
    setup = Setup(out=tmp_path / "out", size="whole", data=folder, device="cpu")
    settings = Settings(None, 32, 20000, 8, (7,), 1)
    outcome = smile_bias.run_settings(setup, replace(settings, gate=0.0))
    found = {finding.claim.id: finding for finding in outcome.findings}
    assert set(found) == {claim.id for claim in smile_bias.SPEC.claims}
    for id, finding in found.items():
        assert ("photographs have no planted truth" in finding.why) != id.startswith("celeba-")
    for pair in smile_bias.ACCURACIES:
        assert found[f"celeba-{pair.id}"].value is not None
    assert 0 < outcome.facts["n_train"] < 300, "as many as the scarcer arm allows"
    assert {row["contrast"] for row in outcome.facts["contrasts"]} == {
        pair.short for pair in smile_bias.ALIGNMENTS
    }
