"""Ranks, sentences and the rows of a card."""

from __future__ import annotations

import math

import numpy as np
import pytest

from app.scorecard import (
    Place,
    at_k,
    card,
    draw,
    draw_topk,
    ordinal,
    rank,
    rate,
    score_row,
    shown_metrics,
    verdict,
)
from xaieval.types import Grid, Heatmap, Score

NAMES = {"a": "Alpha", "b": "Beta", "c": "Gamma"}


def scores(**values: float) -> dict[str, Score]:
    return {
        key: Score(value, "zero-map" if math.isnan(value) else None)
        for key, value in values.items()
    }


def test_rank_by_hand() -> None:
    assert rank({"a": 0.1, "b": 0.3, "c": 0.2}) == {
        "b": Place(1, False),
        "c": Place(2, False),
        "a": Place(3, False),
    }
    assert rank({"a": 0.1, "b": 0.3}, higher_is_better=False)["a"] == Place(1, False)


def test_ties_share_a_place_and_leave_the_next_one_out() -> None:
    places = rank({"a": 0.5, "b": 0.5 + 5e-10, "c": 0.1})
    assert places["a"] == places["b"] == Place(1, True)
    assert places["c"] == Place(3, False)
    apart = rank({"a": 0.5, "b": 0.5 + 1e-8})
    assert apart["a"] == Place(2, False)


def test_undefined_scores_have_no_place() -> None:
    assert rank({"a": math.nan, "b": 0.0}) == {"b": Place(1, False)}
    assert rank({}) == {}


@pytest.mark.parametrize(
    ("found", "title", "inside"),
    [
        (scores(a=0.61, b=0.34, c=0.12), "★ Alpha wins", "Alpha 0.610 > Beta 0.340 > Gamma 0.120"),
        (scores(a=0.2, b=0.2, c=0.1), "Alpha and Beta tie", "Alpha 0.200 = Beta 0.200 > Gamma"),
        (scores(a=0.0, b=0.0, c=0.0), "Alpha, Beta and Gamma tie", "= Gamma 0.000"),
        (scores(a=math.nan, b=0.2, c=0.1), "★ Beta wins", "undefined: Alpha"),
        (scores(a=math.nan, b=math.nan), "No ranking", "zero everywhere"),
        (scores(a=0.3), "Alpha", "Alpha 0.300"),
    ],
)
def test_verdicts(found: dict[str, Score], title: str, inside: str) -> None:
    said = verdict(found, NAMES, metric="topk_overlap")
    assert said is not None
    assert said["title"] == title
    assert inside in said["text"]


def test_nobody_competes() -> None:
    assert verdict({}, NAMES, metric="topk_overlap") is None


def test_a_chosen_k_turns_overlap_into_precision() -> None:
    assert at_k("topk_overlap", 7) == "precision@K=7"
    assert at_k("topk_overlap", None) == "topk_overlap"
    assert at_k("iou", 7) == "iou"
    assert shown_metrics("auroc", None)[0] == "auroc"
    assert shown_metrics("topk_overlap", 7)[0] == "precision@K=7"


def two_maps() -> tuple[dict[str, Heatmap], np.ndarray]:
    mask = np.zeros((4, 5), bool)
    mask[1, 1:4] = True
    good = np.zeros((4, 5), np.float32)
    good[1, 1:4] = (3, 2, 1)
    constant = np.ones((4, 5), np.float32)
    return {"a": Heatmap(good, "a", 0), "b": Heatmap(constant, "b", 0)}, mask


def test_rate_by_hand() -> None:
    maps, mask = two_maps()
    found = rate(maps, mask, ["topk_overlap", "precision@K=6"])
    assert found["a"]["topk_overlap"].value == 1.0
    assert found["a"]["precision@K=6"].value == pytest.approx(0.5)
    assert found["b"]["topk_overlap"].value == pytest.approx(3 / 20)  # its area share


def test_rate_without_a_mask_has_a_reason() -> None:
    maps, _ = two_maps()
    assert rate(maps, None, ["iou"])["a"]["iou"].reason == "no-ground-truth"
    assert rate({}, None, ["iou"]) == {}


def test_score_rows() -> None:
    row = score_row("topk_overlap", Score(0.25), 0.1)
    assert (row["text"], row["share"], row["chance"]) == ("0.250", 0.25, 0.1)
    assert score_row("auroc", Score(0.75), 0.1)["chance"] == 0.5
    percent = score_row("regional_precision", Score(25.0), 0.1)
    assert (percent["share"], percent["chance"], percent["scale"]) == (0.25, 10, 100)
    assert percent["text"] == "25.0%"
    boundless = score_row("lift", Score(2.5), 0.1)
    assert (boundless["share"], boundless["chance"], boundless["scale"]) == (None, 1, None)
    undefined = score_row("mass_accuracy", Score(math.nan, "zero-map"), 0.1)
    assert undefined["text"] == "–"
    assert undefined["share"] is None
    assert "zero everywhere" in undefined["title"]


def build(key: str, *, mask: np.ndarray | None, place: Place | None) -> dict[str, object]:
    maps, _ = two_maps()
    return card(
        key=key,
        label=NAMES[key],
        title="",
        baseline=False,
        drawn=draw(maps[key]),
        topk=draw_topk(maps[key], mask, 3),
        identity="x",
        scores=rate(maps, mask, ["topk_overlap"])[key],
        place=place,
        competes=True,
        mask_note="" if mask is not None else "No ground truth: scores need a mask.",
        share=0.15,
    )


def test_a_card_marks_the_winner_and_flags() -> None:
    _, mask = two_maps()
    shown = build("a", mask=mask, place=Place(1, False))
    assert shown["winner"] is True
    assert [b["text"] for b in shown["badges"]] == ["★ 1st"]  # type: ignore[attr-defined]
    assert "3 of them in the mask" in str(shown["topk_alt"])
    flat = build("b", mask=mask, place=Place(2, True))
    assert [b["text"] for b in flat["badges"]] == ["flat", "=2nd"]  # type: ignore[attr-defined]


def test_a_card_without_a_mask_says_so() -> None:
    shown = build("a", mask=None, place=None)
    assert shown["rows"] == []
    assert shown["note"] == "No ground truth: scores need a mask."


def test_ordinals() -> None:
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 101)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "101st",
    ]  # fmt: skip


def test_relevance_that_is_not_conserved_is_told() -> None:
    def note(heatmap: Heatmap) -> object:
        mask = np.eye(4, dtype=bool)
        return card(
            key="lrp",
            label="LRP",
            title="",
            baseline=False,
            drawn=draw(heatmap),
            topk=draw_topk(heatmap, mask, 3),
            identity="x",
            scores=rate({"lrp": heatmap}, mask, ["topk_overlap"])["lrp"],
            place=None,
            competes=True,
            mask_note="",
            share=0.25,
        )["note"]

    values = np.arange(16, dtype=np.float32).reshape(4, 4)
    told = note(Heatmap(values, "lrp", 0, conservation=0.034))
    assert told == "Relevance adds up to the logit but for 3% of it."
    assert note(Heatmap(values, "lrp", 0)) == ""


def test_the_ceiling_of_a_grid_stands_on_its_bars() -> None:
    mask = np.zeros((8, 8), bool)
    mask[:2, :2] = True
    grid = Grid((2, 2), centre=(1.5, 1.5), stride=(4.0, 4.0))
    coarse = Heatmap(np.ones((8, 8), np.float32), "gradcam", 0, grid=grid)
    fine = Heatmap(np.ones((8, 8), np.float32), "saliency", 0)
    keys = ("topk_overlap", "mass_accuracy", "iou")
    rated = rate({"gradcam": coarse, "saliency": fine}, mask, keys)
    assert set(rated["saliency"]) == set(keys)
    assert {"ceiling", "ceiling@of=topk_overlap"} < set(rated["gradcam"])
    best = rated["gradcam"]["ceiling"]
    row = score_row("mass_accuracy", rated["gradcam"]["mass_accuracy"], 4 / 64, best)
    assert row["ceiling"] == best.value > row["chance"]
    assert "The method's grid allows" in row["title"]
    assert score_row("iou", rated["gradcam"]["iou"], 4 / 64)["ceiling"] is None
