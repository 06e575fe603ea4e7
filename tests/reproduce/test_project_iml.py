"""project_iml end to end: two arms, every claim judged, nothing done twice, three layouts."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Pictures

from xaieval.datasets import open_dataset
from xaieval.errors import DataError
from xaieval.outcomes import Claim
from xaieval.reproduce import EXPERIMENTS, Setup, run_experiment
from xaieval.reproduce.project_iml import findings as judging
from xaieval.reproduce.project_iml import plans, shown
from xaieval.reproduce.project_iml.claims import PUBLISHED, gates, own
from xaieval.reproduce.project_iml.experiments import ELSEWHERE, run_plan
from xaieval.stats import OVERALL
from xaieval.study import Results

SYNTHETIC = EXPERIMENTS["project-iml/synthetic"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The tiny form, as the command runs it."""
    folder = tmp_path_factory.mktemp("iml")
    return run_experiment(SYNTHETIC, Setup(out=folder, size="tiny", device="cpu"))


def test_every_claim_has_its_verdict(tiny):
    outcome = tiny.outcome
    assert [it.claim for it in outcome.findings] == list(SYNTHETIC.claims)
    by_id = {it.claim.id: it for it in outcome.findings}
    for claim in PUBLISHED:
        assert by_id[claim.id].verdict == "cannot be tested here"
        assert by_id[claim.id].why == ELSEWHERE
    passed = {gate.gate.id: gate.passed for gate in outcome.gates}
    for found in outcome.findings:
        if not all(passed[gate] for gate in found.claim.gates):
            assert found.verdict == "cannot be tested here", "no claim below the gate"
    assert all(len(gate.values) == 2 for gate in outcome.gates), "one value per seed"


def test_both_arms_are_plain_results_that_differ_in_beta_alone(tiny):
    assert tiny.outcome.studies == ("studies/beta-1", "studies/beta-0")
    shown_, unshown = (Results(folder) for folder in tiny.study_folders)
    assert shown_.study.train.beta == 1
    assert unshown.study.train.beta == 0
    assert dataclasses.replace(shown_.study.train, beta=0.0) == unshown.study.train
    assert shown_.study.data == unshown.study.data
    assert shown_.study.explain == unshown.study.explain
    assert shown_.seeds == unshown.seeds == (42, 43)
    assert shown_.history()["loss_mask"].notna().any()
    assert not unshown.history()["loss_mask"].notna().any(), "no mask is seen without its loss"


def test_the_tables_say_what_the_studies_say(tiny):
    sheets = {sheet.id: sheet.frame for sheet in tiny.outcome.sheets}
    assert set(sheets) == {"win-rates", "scores", "other-scores", "accuracy"}
    for beta, folder in zip((1, 0), tiny.study_folders, strict=True):
        results = Results(folder)
        rates = results.win_rates()
        mine = sheets["win-rates"]
        for split in results.splits:
            part = rates[
                (rates["class"] == OVERALL)
                & (rates["split"] == split)
                & (rates["method_id"] == "gradcam")
            ]
            row = mine[
                (mine["β"].astype(int) == beta)
                & (mine["class"] == OVERALL)
                & (mine["split"] == split)
                & (mine["method"] == "Grad-CAM")
            ].iloc[0]
            values = part["win_rate"].dropna()
            if len(values):
                assert row["win rate"] == pytest.approx(values.mean())
                assert row["std"] == pytest.approx(values.std(ddof=0))
            assert row["left out"] == part["left_out"].sum()
    fact = tiny.outcome.facts["beta-1"]["balanced_accuracy"]["test"]
    assert fact["mean"] == pytest.approx(np.mean(tiny.outcome.gates[0].values))


def test_the_mask_loss_is_held_against_drawing_nothing(tiny):
    results = Results(tiny.study_folders[0])
    data = results.dataset()
    tested = results.predictions(split="test", seed=42)["sample_id"]
    areas = [data[sample].regions["defect"].mean() for sample in tested]
    found = tiny.outcome.facts["mask_loss"]
    assert found["drawing_nothing"] == pytest.approx(np.mean(areas))
    history = results.history()
    last = history[(history["epoch"] == history["epoch"].max()) & (history["split"] == "test")]
    assert found["last_epoch"] == pytest.approx(last["loss_mask"].mean())
    assert any("drawing nothing" in note for note in tiny.outcome.notes)


def test_charts_pictures_and_sheets_are_there(tiny):
    charts = {chart.id for chart in tiny.outcome.charts}
    for arm in ("beta-1", "beta-0"):
        assert {f"win-rates-{arm}", f"accuracy-{arm}", f"loss-{arm}"} <= charts
    assert "mask-loss-beta-1" in charts
    assert "mask-loss-beta-0" not in charts
    assert {"beta-win-rates", "beta-overlap"} <= charts
    (picture,) = tiny.outcome.pictures
    assert picture.image.shape[2] == 3
    sheets = tiny.outcome.facts["sheets"]
    assert len(sheets) == 5 * 4  # classes, formats; the tiny form draws one arm
    assert all((tiny.path / name).stat().st_size > 1000 for name in sheets)


def test_a_second_run_trains_and_explains_nothing(tiny, monkeypatch):
    def never(*arguments, **named):
        raise AssertionError("computed again")

    before = {path: path.stat().st_mtime_ns for path in tiny.path.rglob("*.safetensors")}
    monkeypatch.setattr("xaieval.study.runner.compute", never)
    monkeypatch.setattr("xaieval.models.trainer.Trainer.run_epoch", never)
    monkeypatch.setattr("xaieval.reproduce.project_iml.shown.sheet_bytes", never)
    again = run_experiment(SYNTHETIC, Setup(out=tiny.path, size="tiny", device="cpu"))
    assert again.outcome.findings == tiny.outcome.findings
    assert {path: path.stat().st_mtime_ns for path in tiny.path.rglob("*.safetensors")} == before


def test_at_most_so_many_images_are_explained(tmp_path):
    plan = plans.synthetic_plan(Setup(out=tmp_path, size="small", samples=30))
    assert plan.tables["data"]["filters"] == {"per_class": 3}
    assert plan.setup.weights is None


# ---------------------------------------------------------------- verdicts


class Wins:
    """Results of planted overlaps: ``values[method]`` is what every image gets."""

    compete = ("gradcam", "saliency", "integrated_gradients")
    splits = ("test",)
    regions = ("defect",)

    def __init__(self, values: dict[str, list[float]], *, seeds=(1, 2, 3)) -> None:
        rows = [
            {"seed": seed, "sample_id": f"i{place}", "method_id": method, "value": value}
            for method, row in values.items()
            for seed in seeds
            for place, value in enumerate(row)
        ]
        self.frame = pd.DataFrame(rows).assign(correct=True, reason=None, split="test")

    def scores(self, **wanted):
        return self.frame


CLAIM = Claim("c", "It is so.", "planted")


def test_gradcam_has_to_beat_the_nearest_of_the_others():
    ahead = Wins(
        {"gradcam": [0.9] * 12, "saliency": [0.1] * 12, "integrated_gradients": [0.2] * 12}
    )
    found = judging.wins_most(CLAIM, ahead)
    assert (found.verdict, found.value) == ("holds", 1.0)
    assert found.n == "3 seeds × 12 images, 36 pairs"
    # beats saliency everywhere and shares with the other half and half: no win
    half = Wins(
        {
            "gradcam": [0.9, 0.1] * 6,
            "saliency": [0.0] * 12,
            "integrated_gradients": [0.1, 0.9] * 6,
        }
    )
    found = judging.wins_most(CLAIM, half)
    assert found.verdict == "does not hold"
    assert found.value == pytest.approx(0)
    assert "integrated_gradients 0.500" in found.why
    assert judging.wins_most(CLAIM, ahead, split="train").verdict == "cannot be tested here"


def test_the_mask_loss_is_judged_on_the_same_images_and_seeds():
    a, b = Wins({"gradcam": [0.5, 0.9, 0.4, 0.8]}), Wins({"gradcam": [0.4, 0.7, 0.3, 0.5, 1.0]})
    found = judging.compared(CLAIM, a.frame, b.frame, unit="overlap")
    # the fifth image has no partner: 0.1, 0.2, 0.1, 0.3
    assert found.value == pytest.approx(0.175)
    assert found.verdict == "holds"
    nothing = Wins({"gradcam": [math.nan] * 4})
    assert judging.compared(CLAIM, nothing.frame, b.frame, unit="x").verdict == (
        "cannot be tested here"
    )


# ---------------------------------------------------------------- photographs


def _write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pictures.fromarray(pixels).save(path)


def write_mvtec(root: Path, layout: str, *, n: int = 4) -> Path:
    """Write rendered nuts as files in one of the three MVTec layouts."""
    nuts = open_dataset("synthetic-hazelnut", options={"n_per_class": n, "size": 48})
    for name, ids in nuts.by_class.items():
        for place, sample_id in enumerate(ids):
            sample = nuts[sample_id]
            mask = sample.regions["defect"].astype(np.uint8) * 255
            stem = f"{place:03d}"
            if layout == "resplit":
                home = root / ("test" if place < n // 2 else "train")
                image = home / "images" / name / f"{stem}.png"
                truth = home / "ground_truth" / name / f"{stem}_mask.png"
            else:
                train = name == "good" and place < n // 2
                image = root / ("train" if train else "test") / name / f"{stem}.png"
                mark = "_mask" if layout == "original" else ""
                truth = root / "ground_truth" / name / f"{stem}{mark}.png"
            _write(image, sample.image)
            if name != "good" or layout == "resplit":
                _write(truth, mask)
    return root


def hurried(plan: plans.Plan) -> plans.Plan:
    """Return a plan with a small network, one seed and one epoch."""
    tables = {name: dict(table) for name, table in plan.tables.items()}
    tables["model"] = {"arch": "small-cnn", "input_size": [32, 32]}
    tables["train"] |= {"seeds": [42], "epochs": 1, "batch": 8}
    tables["explain"]["methods"] = [*plans.COMPETE, "random", "sobel", "centre_prior"]
    return dataclasses.replace(plan, tables=tables, sheets_per_class=0)


@pytest.mark.parametrize("layout", ["original", "plain-names", "resplit"])
def test_the_published_setting_reads_every_layout(layout, tmp_path):
    data = write_mvtec(tmp_path / "hazelnut", layout)
    setup = Setup(out=tmp_path / "out", data=data, device="cpu")
    plan = plans.mvtec_plan(setup)
    assert plan.tables["model"]["arch"] == "efficientnet-b0"
    assert plan.tables["train"]["seeds"] == list(range(42, 52))
    scheme = plan.tables["data"]["split_scheme"]
    assert scheme == ("layout" if layout == "resplit" else "stratified")
    claims, limits = (*PUBLISHED, *own("On these")), gates(0.8)
    outcome = run_plan(hurried(plan), claims, limits)
    assert [it.claim for it in outcome.findings] == list(claims)
    results = Results(setup.out / "studies" / "beta-0")
    assert results.classes == ("crack", "cut", "good", "hole", "print")
    assert results.splits == ("train", "test")
    masks = results.map_stats(method_id="gradcam")["k"]
    assert (masks > 0).any()
    if layout == "resplit":
        tested = set(results.predictions(split="test")["sample_id"])
        assert all("test/" in sample for sample in tested)


def test_without_the_photographs_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("XAIEVAL_DATA", str(tmp_path / "nothing"))
    spec = EXPERIMENTS["project-iml/mvtec"]
    with pytest.raises(DataError, match="--data") as raised:
        run_experiment(spec, Setup(out=tmp_path / "out"))
    assert "mvtec.com" in str(raised.value)


def test_toy_without_its_photographs_tests_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("XAIEVAL_DATA", str(tmp_path / "nothing"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    spec = EXPERIMENTS["project-iml/hazelnut-toy"]
    found = run_experiment(spec, Setup(out=tmp_path / "out", size="small"))
    assert {it.verdict for it in found.outcome.findings} == {"cannot be tested here"}
    assert "not on this machine" in found.outcome.findings[0].why
    kept = json.loads((tmp_path / "out" / "experiment.json").read_text())
    assert kept["studies"] == []


def test_toy_starts_from_given_weights_or_says_so(tmp_path, monkeypatch):
    monkeypatch.delenv(plans.WEIGHTS_VARIABLE, raising=False)
    setup = Setup(out=tmp_path, size="small")
    plain = plans.toy_plan(setup)
    assert plain.tables["model"]["arch"] == "small-cnn"
    assert "random ones" in plain.notes[0]
    given = plans.toy_plan(dataclasses.replace(setup, weights=tmp_path / "w.safetensors"))
    assert given.tables["model"]["arch"] == "mobilenet-v2"
    assert given.tables["model"]["encoder_weights"] is None, "the file comes with the setup"
    monkeypatch.setenv(plans.WEIGHTS_VARIABLE, "w.safetensors")
    named = plans.toy_plan(setup)
    assert named.tables["model"]["encoder_weights"] == f"${plans.WEIGHTS_VARIABLE}"


def test_the_images_of_the_sheets_are_always_the_same(tiny):
    results = Results(tiny.study_folders[0])
    once, more = (shown.chosen_images(results, per_class=n) for n in (1, 2))
    assert len(once) == len(results.classes)
    assert set(once) <= set(more)
    assert once == shown.chosen_images(results, per_class=1)
