"""Scores that need the model, on linear models whose every output can be written down."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from small_models import SmallModel, linear

from xaieval.errors import ConfigError, MetricError
from xaieval.metrics import completeness, parse_metric, removal_curves, score

# 4 × 4, one channel; the four left pixels count 1 each, the others nothing.
WEIGHTS = torch.zeros(1, 4, 4)
WEIGHTS[0, :, 0] = 1
WHITE = torch.ones(1, 1, 4, 4)
GOOD = np.arange(16, 0, -1, dtype=np.float32).reshape(4, 4).T[None].copy()  # column by column
BAD = GOOD.max() + 1 - GOOD


def sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


def model(**options: object) -> SmallModel:
    return SmallModel(linear(WEIGHTS), WHITE, **options)  # type: ignore[arg-type]


def test_deletion_by_hand() -> None:
    # After 0, 4, 8, 12, 16 pixels the logit is 4, 0, 0, 0, 0.
    p = [sigmoid(4), 0.5, 0.5, 0.5, 0.5]
    found = removal_curves(GOOD, model(), steps=4)[0]
    assert found.probabilities == pytest.approx(p)
    assert found.shares.tolist() == [0, 0.25, 0.5, 0.75, 1]
    area = (p[0] / 2 + 0.5 + 0.5 + 0.5 + 0.25) / 4
    assert score(GOOD, metrics="deletion@steps=4", evaluator=model())[
        "deletion@steps=4"
    ] == pytest.approx([area])
    # The other way round the logit stays at 4 until the last quarter.
    worst = removal_curves(BAD, model(), steps=4)[0].probabilities
    assert worst == pytest.approx([sigmoid(4)] * 4 + [0.5])


def test_deletion_fills() -> None:
    x = torch.tensor([[[[1.0, 0.0, 0.5, 0.5]] * 4]])  # mean 0.5
    fake = SmallModel(linear(WEIGHTS), x, low=-1.0, high=1.0)
    ends = {
        fill: removal_curves(GOOD, fake, steps=1, fill=fill)[0].probabilities[1]
        for fill in ("zero", "mean", "black", "road")
    }
    assert ends["zero"] == pytest.approx(sigmoid(0))
    assert ends["mean"] == pytest.approx(sigmoid(4 * 0.5))
    assert ends["black"] == pytest.approx(sigmoid(4 * -1))
    # All gone: the mean, with noise of 0.01 of the range 2 on four pixels.
    assert ends["road"] == pytest.approx(sigmoid(2), abs=5 * 0.02 * 2 * 0.25)


def test_insertion_by_hand() -> None:
    found = removal_curves(GOOD, model(), steps=4, insert=True)[0].probabilities
    assert found == pytest.approx([0.5] + [sigmoid(4)] * 4)
    area = score(GOOD, metrics="insertion@canvas=zero,steps=4", evaluator=model())
    assert next(iter(area.values())) == pytest.approx([(0.25 + 3.5 * sigmoid(4)) / 4])


def test_deletion_and_insertion_see_the_same_pictures_in_mirrored_order() -> None:
    deleted = removal_curves(GOOD, model(), steps=8)[0].probabilities
    inserted = removal_curves(BAD, model(), steps=8, insert=True)[0].probabilities
    assert deleted[::-1] == pytest.approx(inserted)


def test_ties_row_by_row() -> None:
    tied = np.array([[[1, 1, 0, 0]] * 4], np.float32)
    found = removal_curves(tied, model(), steps=16, ties="first")[0].probabilities
    logits = [4, 3, 3, 2, 2, 1, 1, 0] + [0] * 9
    assert found == pytest.approx([sigmoid(z) for z in logits])


def test_tied_pixels_go_in_an_order_of_the_sample_alone() -> None:
    tied = np.array([[[2, 2, 1, 1]] * 4, [[7, 7, 0, 0]] * 4], np.float32)
    white = SmallModel(linear(WEIGHTS), torch.ones(2, 1, 4, 4))
    a, b = removal_curves(tied, white, steps=16)
    assert not np.array_equal(a.probabilities, b.probabilities)  # two samples, two orders
    again = removal_curves(5 * tied, white, steps=16)
    assert np.array_equal(a.probabilities, again[0].probabilities)  # the same for every method
    for found in (a, b):
        assert found.probabilities[8:] == pytest.approx(0.5)  # the higher half goes first


def test_road_by_hand() -> None:
    # Constant columns: 1 in the first, 0 elsewhere. Rows are alike, so imputation acts on columns.
    x = torch.zeros(1, 1, 4, 4)
    x[..., 0] = 1
    fake = SmallModel(linear(WEIGHTS), x)
    keys = ["road@parts=4", "road_morf@parts=4", "road_lerf@parts=4"]
    found = score(GOOD, metrics=keys, evaluator=fake)
    # MoRF: with the first column gone it becomes a copy of the second, and so on: always 0.
    # LeRF: the first column is never removed: the logit stays 4.
    noise = 0.01 * 2  # four pixels
    assert found[keys[1]] == pytest.approx([0.5], abs=5 * noise * 0.25)
    assert found[keys[2]] == pytest.approx([sigmoid(4)])
    assert found[keys[0]] == pytest.approx((found[keys[2]] - found[keys[1]]) / 2)
    assert sum(n for kind, n in fake.asked if kind == "logits") == 6  # found once for three keys


def test_falsification_by_hand() -> None:
    # high: the first column (16..13 of 1..16: scaled 1, .93, .87, .8, and 12: .73); low: scaled
    # below 0.3 are 5..1. Hiding high takes the logit from 4 to 0, hiding low nothing.
    keys = [
        "falsification",
        "falsification_margin",
        "falsification_violations",
        "falsification_high",
        "falsification_low",
        "falsification@rule=area-matched",
    ]
    fake = model()
    found = score(GOOD, metrics=keys, evaluator=fake)
    angle = 2 * math.asin(
        math.hypot(
            math.sqrt(sigmoid(4)) - math.sqrt(0.5), math.sqrt(1 - sigmoid(4)) - math.sqrt(0.5)
        )
        / 2
    )
    assert found["falsification"].tolist() == [0]
    assert found["falsification_margin"] == pytest.approx([angle], abs=0.1)  # jitter, clipping
    assert found["falsification_violations"].tolist() == [0]
    assert found["falsification_high"].tolist() == [5 / 16]
    assert found["falsification_low"].tolist() == [5 / 16]
    assert found["falsification@rule=area-matched"].tolist() == [0]
    upside_down = score(BAD, metrics=keys, evaluator=model())
    assert upside_down["falsification"].tolist() == [1]
    assert upside_down["falsification_violations"].tolist() == [1]
    assert sum(n for _, n in fake.asked) == 2 * 201  # two rules, five keys of one


def test_max_sensitivity_by_hand() -> None:
    # The map |w · x| is x on four pixels: ‖Φ(x)‖ = 2, and the change is ‖δ‖ on these four.
    fake = model()
    found = score(GOOD, metrics="max_sensitivity@n=200,radius=0.1", evaluator=fake)
    value = next(iter(found.values()))[0]
    assert 0.8 * 0.1 < value <= 0.1  # the corner of the ball is at 2 · 0.1 / 2
    doubled = SmallModel(linear(3 * WEIGHTS), WHITE)
    again = score(GOOD, metrics="max_sensitivity@n=200,radius=0.1", evaluator=doubled)
    assert next(iter(again.values())) == pytest.approx([value], rel=1e-5)  # relative


def test_adversarial_drift_by_hand() -> None:
    # The logit is 0.1: the four left pixels may fall by less than 0.1 together.
    ramp = torch.linspace(0.5, 1, 16).reshape(1, 1, 4, 4)
    total = float(ramp[..., 0].sum())
    fake = SmallModel(linear(WEIGHTS, -total + 0.1), ramp)
    found = score(GOOD, metrics="adversarial_drift@radius=0.2,steps=4", evaluator=fake)
    assert next(iter(found.values())) == pytest.approx([1])  # all four fall alike: the order stays
    last = [kind for kind, _ in fake.asked]
    assert fake.asked[-1] == ("maps", 2)
    assert last.count("logits") > 4  # steps had to be halved


def test_drift_is_not_defined_where_nothing_moves() -> None:
    flat = SmallModel(
        lambda x: 0 * x.flatten(1).sum(1)[:, None] + torch.tensor([[1.0, 0.0]]), WHITE
    )
    found = score(GOOD, metrics=["adversarial_drift", "max_sensitivity"], evaluator=flat)
    assert found.reasons["adversarial_drift"].tolist() == ["not-defined-for-model"]
    assert found.reasons["max_sensitivity"].tolist() == ["zero-map"]


def test_completeness_by_hand() -> None:
    a = np.zeros((2, 3, 2, 2), np.float32)
    a[0, 0] = 0.5  # sums to 2
    a[1, 1, 0, 0] = -1
    found = completeness(a, [5.0, 1.0], torch.tensor([2.0, 2.0]))
    assert found.tolist() == [1, 0]
    assert completeness(a, [5.0, 2.0], [2.0, 2.0], relative=True) == pytest.approx(
        [1 / 3, math.nan], nan_ok=True
    )
    with pytest.raises(MetricError, match="do not fit"):
        completeness(a, [5.0], [2.0, 1.0])
    with pytest.raises(MetricError, match="NaN or infinite"):
        completeness(a, [5.0, math.inf], [2.0, 1.0])


def test_keys() -> None:
    assert parse_metric("deletion@fill=zero,steps=100").key == "deletion"
    assert parse_metric({"id": "falsification", "rule": "area-matched"}).key == (
        "falsification@rule=area-matched"
    )
    assert parse_metric("falsification_margin").higher_is_better is True
    assert parse_metric("falsification").higher_is_better is False
    assert parse_metric("deletion@steps=10").settings == {
        "fill": "zero",
        "steps": 10,
        "ties": "random",
    }
    with pytest.raises(ConfigError, match="unknown fill of the metric 'deletion' 'zeros'"):
        parse_metric("deletion@fill=zeros")
    with pytest.raises(ConfigError, match="bad steps"):
        parse_metric("deletion@steps=0")


def test_what_is_missing_is_said() -> None:
    masks = np.ones((1, 4, 4), bool)
    with pytest.raises(MetricError, match="deletion needs the model"):
        score(GOOD, masks, metrics=["iou", "deletion"])
    with pytest.raises(MetricError, match="iou needs masks"):
        score(GOOD, metrics=["iou", "deletion"], evaluator=model())
    with pytest.raises(MetricError, match="expected 2 pictures"):
        score(np.concatenate([GOOD, GOOD]), metrics="deletion", evaluator=model())
    with pytest.raises(MetricError, match="does not fit its picture"):
        score(GOOD[:, :2].copy(), metrics="deletion", evaluator=model())
