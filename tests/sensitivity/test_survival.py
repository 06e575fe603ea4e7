"""Who wins under each variant: by hand, against the study's own win rates, stored and found."""

from __future__ import annotations

import math
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from xaieval.cli import main
from xaieval.errors import Cancelled, ResultsError
from xaieval.methods import parse_method
from xaieval.metrics import parse_metric, score
from xaieval.progress import Progress
from xaieval.sensitivity import read_sensitivity, run_sensitivity, sentence, why_not
from xaieval.sensitivity.axes import Asked
from xaieval.sensitivity.exhibit import Survival, survival_figure, survival_sidecar, survival_table
from xaieval.sensitivity.recipe import Recipe, Variant
from xaieval.sensitivity.result import answer_of
from xaieval.sensitivity.store import FOLDER, Settings
from xaieval.study import Results

AXES = ("k", "ties", "wins", "mask", "pooling", "target", "upsampling", "metric")
METHODS = ("gradcam", "saliency")


def settings(images: tuple[str, ...], seeds: tuple[int, ...] = (1,)) -> Settings:
    return Settings(
        metric="topk_overlap",
        region="mask",
        split="test",
        population="all",
        images=images,
        seeds=seeds,
        axes=("k",),
        base="",
    )


def rows(values: dict[tuple[str, str], tuple[float, float]]) -> pd.DataFrame:
    """(recipe, image) -> the scores of the two methods."""
    return pd.DataFrame(
        [
            {"sample_id": image, "seed": 1, "method_id": method, "recipe": recipe}
            | {"value": value, "reason": "empty-mask" if math.isnan(value) else None}
            for (recipe, image), pair in values.items()
            for method, value in zip(METHODS, pair, strict=True)
        ]
    )


ASKED = Asked(parse_metric("topk_overlap"), tuple(map(parse_method, METHODS)))
HALF = Variant("half", "half of K", Recipe(metric="topk_overlap", k_factor=0.5))
FIRST = Variant("first", "first", Recipe(metric="topk_overlap"), "first")
GONE = Variant("gone", "eroded", Recipe(metric="topk_overlap", mask_px=-3))
BASE = Recipe(metric="topk_overlap").key


def test_the_winner_flips_with_k_by_hand() -> None:
    # One map is sharp inside the mask and empty elsewhere, the other covers all of it weakly.
    mask = np.zeros((1, 4, 4), bool)
    mask[0, 0] = True
    sharp = np.zeros((1, 4, 4), np.float32)
    sharp[0, 0, :2], sharp[0, 2, :2] = (9, 8), (7, 6)  # two of the four best inside
    wide = np.zeros((1, 4, 4), np.float32)
    wide[0, 0], wide[0, 3, 0] = (3, 3, 3, 2), 4  # three of the four best, the best outside
    values = {
        ("all", name): float(score(m, mask, metrics=["topk_overlap"])["topk_overlap"][0])
        for name, m in (("sharp", sharp), ("wide", wide))
    }
    key = HALF.recipe.key_for(4, 16)
    values |= {
        ("half", name): float(score(m, mask, metrics=[key])[key][0])
        for name, m in (("sharp", sharp), ("wide", wide))
    }
    assert values["all", "sharp"] == 0.5
    assert values["all", "wide"] == 0.75
    assert values["half", "sharp"] == 1.0
    assert values["half", "wide"] == 0.5
    found = answer_of(
        rows(
            {
                (BASE, "a"): (values["all", "sharp"], values["all", "wide"]),
                (HALF.recipe.key, "a"): (values["half", "sharp"], values["half", "wide"]),
            }
        ),
        {"k": [HALF]},
        asked=ASKED,
        settings=settings(("a",)),
        methods=METHODS,
    )
    assert found.base_winners == ("saliency",)
    assert found.survived == (0, 1)
    verdict = found.variants.iloc[0]
    assert (verdict["winners"], verdict["tau"]) == ("gradcam", -1.0)
    text = sentence(found, {"gradcam": "Sharp", "saliency": "Wide"})
    assert text == "Wide wins in 0 of 1 variants; loses to Sharp at half of K."


def test_ties_are_shared_or_go_to_the_first() -> None:
    tied = rows({(BASE, "a"): (0.5, 0.5), (BASE, "b"): (0.2, 0.4)})
    found = answer_of(
        tied, {"wins": [FIRST]}, asked=ASKED, settings=settings(("a", "b")), methods=METHODS
    )
    table = found.table.set_index(["variant", "method_id"])["win_rate"]
    assert table["base", "saliency"] == 0.75
    assert table["base", "gradcam"] == 0.25
    assert table["first", "saliency"] == table["first", "gradcam"] == 0.5
    assert not found.variants.iloc[0]["survives"]  # both win, where one did
    assert "ties with" in sentence(found, {})


def test_what_erosion_removes_is_left_out_with_its_reason() -> None:
    nan = math.nan
    both = {(BASE, "a"): (0.5, 0.4), (BASE, "b"): (0.5, 0.4)}
    both |= {(GONE.recipe.key, "a"): (nan, nan), (GONE.recipe.key, "b"): (0.1, 0.4)}
    found = answer_of(
        rows(both), {"mask": [GONE]}, asked=ASKED, settings=settings(("a", "b")), methods=METHODS
    )
    row = found.variants.iloc[0]
    assert (row["n"], row["left_out"], row["left_out_by"]) == (1, 1, "eroded-away 1")
    assert row["winners"] == "saliency"


def test_nobody_wins_where_nothing_is_left() -> None:
    nan = math.nan
    found = answer_of(
        rows({(BASE, "a"): (0.5, 0.4), (GONE.recipe.key, "a"): (nan, nan)}),
        {"mask": [GONE]},
        asked=ASKED,
        settings=settings(("a",)),
        methods=METHODS,
    )
    row = found.variants.iloc[0]
    assert row["winners"] == ""
    assert not row["survives"]
    assert math.isnan(row["tau"])
    assert found.survived == (0, 0)


# ---------------------------------------------------------------- a trained study


@pytest.fixture(scope="module")
def own(demo_results: Results, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A copy that may be written to."""
    folder = tmp_path_factory.mktemp("survival") / "results"
    shutil.copytree(demo_results.path, folder)
    return Results(folder)


@pytest.fixture(scope="module")
def found(own: Results) -> object:
    return run_sensitivity(own, population="all", split="test", images=None, device="cpu")


def test_the_base_is_what_the_study_says(own: Results, found: object) -> None:
    table = found.frame[found.frame["variant"] == "base"].set_index(["seed", "method_id"])
    known = own.win_rates("topk_overlap", population="all")
    known = known[(known["split"] == "test") & (known["class"] == "overall")]
    for row in known.to_dict("records"):
        rate = table.loc[(row["seed"], row["method_id"])]
        assert rate["win_rate"] == pytest.approx(row["win_rate"])
        assert rate["n"] == row["n"]
    scores = own.scores(metric_key="topk_overlap", split="test").dropna(subset="value")
    means = scores.groupby(["seed", "method_id"])["value"].mean()
    for key, row in table.iterrows():
        assert row["score"] == pytest.approx(means[key], abs=1e-6)


def test_wins_are_counted_as_image_by_image(own: Results, found: object) -> None:
    """A naive count of one variant, from the stored scores."""
    from xaieval.sensitivity.store import read_scores

    stored = read_scores(own)
    key = Recipe(metric="topk_overlap", mask_px=2).key
    wins: Counter[str] = Counter()
    total: Counter[int] = Counter()
    by_seed: dict[tuple[int, str], float] = {}
    for (seed, _), group in stored[stored["recipe"] == key].groupby(["seed", "sample_id"]):
        known = group.dropna(subset="value")
        if known.empty:
            continue
        best = known["value"].max()
        tied = known[known["value"] >= best - 1e-9]["method_id"].tolist()
        total[seed] += 1
        for method in tied:
            wins[method] += 1
            by_seed[seed, method] = by_seed.get((seed, method), 0) + 1 / len(tied)
    table = found.table[found.table["variant"] == "mask=+2"].set_index("method_id")
    for method in found.methods:
        rates = [by_seed.get((seed, method), 0) / total[seed] for seed in total]
        assert table.loc[method, "win_rate"] == pytest.approx(np.mean(rates))


def test_every_axis_varies_something_and_says_who_wins(found: object) -> None:
    assert set(found.variants["axis"]) == {*AXES, "threshold"}
    assert not found.skipped
    assert found.table.groupby("variant")["win_rate"].sum().round(9).isin([0, 1]).all()
    known = found.table.dropna(subset="win_rate")
    assert (known["low"] <= known["win_rate"] + 1e-9).all()
    assert known[["low", "high"]].stack().between(0, 1).all()
    pooled = found.table[found.table["axis"] == "pooling"]
    assert pooled.groupby("method_id")["score"].nunique()["saliency"] > 1
    assert pooled.groupby("method_id")["score"].nunique()["gradcam"] == 1  # one channel


def test_a_second_run_computes_nothing(own: Results, found: object) -> None:
    steps: list[Progress] = []
    again = run_sensitivity(
        own, population="all", split="test", images=None, device="cpu", report=steps.append
    )
    assert not steps
    pd.testing.assert_frame_equal(again.frame, found.frame)
    read = read_sensitivity(own, population="all", split="test")
    assert read is not None
    pd.testing.assert_frame_equal(read.verdicts, found.verdicts)
    assert read.settings == again.settings == found.settings
    assert read_sensitivity(own, metric="mass_accuracy", population="all", split="test") is None


def test_another_score_takes_over_what_is_there(own: Results, found: object) -> None:
    steps: list[Progress] = []
    other = run_sensitivity(
        own,
        metric="mass_accuracy",
        population="all",
        split="test",
        images=None,
        axes=("wins", "metric"),
        device="cpu",
        report=steps.append,
    )
    assert not steps
    assert other.survived[1] == 5


def test_a_cancelled_run_keeps_what_it_has(own: Results, tmp_path: Path) -> None:
    shutil.copytree(own.path, tmp_path / "r", ignore=shutil.ignore_patterns(FOLDER))
    results = Results(tmp_path / "r")
    asked = {"population": "all", "split": "test", "images": None, "device": "cpu"}
    asked["axes"] = ("k", "wins")
    seen: list[Progress] = []
    with pytest.raises(Cancelled):
        run_sensitivity(results, **asked, report=seen.append, cancelled=lambda: len(seen) >= 1)
    assert read_sensitivity(results, population="all", split="test") is None
    rest: list[Progress] = []
    run_sensitivity(results, **asked, report=rest.append)
    assert 0 < rest[0].total < seen[0].total


def test_scores_of_another_study_do_not_count(own: Results, found: object, tmp_path: Path) -> None:
    shutil.copytree(own.path, tmp_path / "r")
    changed = Results(tmp_path / "r")
    changed.manifest = {**changed.manifest, "data_digest": "another"}
    assert read_sensitivity(changed, population="all", split="test") is None
    changed.manifest = {**own.manifest, "models": dict.fromkeys(own.manifest["models"], "f" * 64)}
    from xaieval.sensitivity.store import read_scores

    assert read_scores(changed).empty


def test_what_cannot_be_asked_is_said(own: Results) -> None:
    assert why_not(own, "topk_overlap") == ""
    assert "asks the model" in why_not(own, "deletion")
    with pytest.raises(ResultsError, match="quality"):
        run_sensitivity(own, metric="area_share")
    from xaieval.errors import ConfigError

    with pytest.raises(ConfigError, match="seed"):
        run_sensitivity(own, seeds=(7,), population="all")
    with pytest.raises(ConfigError, match="axis"):
        run_sensitivity(own, axes=("mas",), population="all")


def test_a_damaged_part_is_named(own: Results, found: object, tmp_path: Path) -> None:
    shutil.copytree(own.path, tmp_path / "r")
    part = next((tmp_path / "r" / FOLDER).glob("*.parquet"))
    part.write_bytes(b"nothing")
    with pytest.raises(ResultsError, match=part.name):
        read_sensitivity(Results(tmp_path / "r"), population="all", split="test")


def test_files_tell_the_same(own: Results, found: object) -> None:
    shown = Survival(own, found)
    assert survival_figure(shown, format="svg") == survival_figure(shown, format="svg")
    assert survival_figure(shown, format="pdf").startswith(b"%PDF")
    rows = survival_table(shown, format="csv").splitlines()
    assert len(rows) == 1 + len(found.table)
    assert survival_table(shown, format="tex").count(r"\\") == 1 + len(found.verdicts)
    about = survival_sidecar(shown, format="csv")
    assert about["survived"] == list(found.survived)
    assert about["command"].startswith("xaieval ")
    assert shown.draw("dark").name == "survival"


def test_the_command_says_it_in_a_table(own: Results, found: object, tmp_path: Path) -> None:
    out = tmp_path / "s.csv"
    words = ["sensitivity", str(own.path), "--population", "all", "--split", "test"]
    done = CliRunner().invoke(
        main, [*words, "--all-images", "--axes", "k,mask", "--csv", str(out), "--device", "cpu"]
    )
    assert done.exit_code == 0, done.output
    assert "eroded by 1 px" in done.output
    assert re.search(r"in \d+ of \d+ variants", done.output)
    assert out.read_text().startswith("axis,variant,label,method_id,method,")
    wrong = CliRunner().invoke(main, [*words[:2], "--metric", "topk"])
    assert wrong.exit_code == 2
    assert "topk_overlap" in wrong.output
