"""Degenerate maps and models: NaN with a reason, never 0 or −1; and what falsification measures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_models import SmallModel, small_net

from xaieval.metrics import METRICS, Rules, score
from xaieval.metrics.evaluator import Output

NET = small_net()
PICTURES = torch.rand((2, 3, 8, 8), generator=torch.Generator().manual_seed(1))
ORDERED = [
    "deletion@steps=4",
    "insertion@steps=4",
    "road@parts=3",
    "road_morf@parts=3",
    "falsification@k=3",
    "falsification@rule=area-matched,k=3",
    "falsification_margin@k=3",
    "falsification_violations@k=3",
    "falsification_high@k=3",
]
EXPLAINED = ["max_sensitivity@n=2", "adversarial_drift@steps=2"]


@pytest.mark.parametrize(("level", "reason"), [(0.0, "zero-map"), (0.7, "flat-map")])
def test_maps_without_order(level: float, reason: str) -> None:
    maps = np.full((2, 8, 8), level, np.float32)
    maps[1] = np.arange(64).reshape(8, 8)
    fake = SmallModel(NET, PICTURES)
    found = score(maps, metrics=ORDERED, evaluator=fake)
    for key in ORDERED:
        assert np.isnan(found[key][0])
        assert found.reasons[key].tolist() == [reason, None]
        assert np.isfinite(found[key][1])


def test_every_score_that_needs_the_model_is_in_this_table() -> None:
    tested = {key.partition("@")[0].partition("_m")[0] for key in ORDERED}
    tested |= {key.partition("@")[0] for key in EXPLAINED}
    assert {name for name, spec in METRICS.items() if "model" in spec.needs} <= tested


@pytest.mark.parametrize("output", ["sigmoid", "cosine"])
def test_classes_that_do_not_exclude_each_other(output: Output) -> None:
    maps = np.random.default_rng(0).random((2, 8, 8)).astype(np.float32)
    fake = SmallModel(NET, PICTURES, output=output, target=0)
    found = score(maps, metrics=[*ORDERED, EXPLAINED[0]], evaluator=fake)
    for key in (*ORDERED, EXPLAINED[0]):
        assert np.isfinite(found[key]).all()


@pytest.mark.parametrize(("level", "reason"), [(0.0, "zero-map"), (0.7, "flat-map")])
def test_methods_that_ignore_the_picture(level: float, reason: str) -> None:
    class Constant(SmallModel):
        def maps(self, rows: torch.Tensor, images: object) -> torch.Tensor:
            return torch.full((len(rows), 8, 8), level)

    maps = np.random.default_rng(0).random((2, 8, 8)).astype(np.float32)
    keys = [*EXPLAINED, "adversarial_drift@steps=2,similarity=cosine"]
    found = score(maps, metrics=keys, evaluator=Constant(NET, PICTURES))
    assert found.reasons[keys[1]].tolist() == [reason] * 2
    if level:
        assert found[keys[0]].tolist() == [0, 0]
        assert found[keys[2]] == pytest.approx([1, 1])
    else:
        assert found.reasons[keys[0]].tolist() == [reason] * 2
        assert found.reasons[keys[2]].tolist() == [reason] * 2


def test_masks_do_not_enter() -> None:
    """A score of the whole map is the same for every region, an empty one too."""
    maps = np.random.default_rng(0).random((2, 8, 8)).astype(np.float32)
    masks = np.zeros((2, 3, 8, 8), bool)
    masks[:, 0, :2] = True
    masks[0, 1] = True
    keys = ["deletion@steps=4", "mass_accuracy"]
    found = score(maps, masks, metrics=keys, evaluator=SmallModel(NET, PICTURES))
    alone = score(maps, metrics=keys[0], evaluator=SmallModel(NET, PICTURES))
    assert found[keys[0]].shape == (2, 3)
    assert np.array_equal(found[keys[0]], np.repeat(alone[keys[0]][:, None], 3, 1))
    assert found.reasons["mass_accuracy"].tolist() == [
        [None, None, "absent-part"],
        [None, "absent-part", "absent-part"],
    ]
    assert found.frame(["a", "b"])["region"].tolist()[:3] == ["0", "1", "2"]


def test_no_images() -> None:
    fake = SmallModel(NET, PICTURES)
    fake.subjects = []
    found = score(np.zeros((0, 8, 8), np.float32), metrics=ORDERED, evaluator=fake)
    assert found[ORDERED[0]].shape == (0,)


def test_channels_are_pooled_first() -> None:
    a = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)
    key, fake = "deletion@steps=4", SmallModel(NET, PICTURES)
    pooled = score(a, metrics=key, rules=Rules(pooling="l1-norm"), evaluator=fake)
    assert np.array_equal(pooled[key], score(np.abs(a).sum(1), metrics=key, evaluator=fake)[key])


# ---------------------------------------------------------------- what falsification measures


@pytest.fixture(scope="module")
def rates() -> dict[str, float]:
    """Falsification rates of maps that know nothing of picture or net, over 24 pictures."""
    n, size = 24, 16
    generator = np.random.default_rng(0)
    pictures = torch.from_numpy(generator.random((n, 3, size, size)).astype(np.float32))
    y, x = np.mgrid[:size, :size]
    peaks = generator.integers(0, size, (n, 2, 1, 1))
    far = np.sqrt((y - peaks[:, 0]) ** 2 + (x - peaks[:, 1]) ** 2)
    peaky = np.exp(-far / 2).astype(np.float32)
    found = {}
    for name, maps in (("peaky", peaky), ("inverse", 1 - peaky)):
        keys = [
            "falsification@k=20",
            "falsification@rule=area-matched,k=20",
            "falsification_high@k=20",
        ]
        scores = score(maps, metrics=keys, evaluator=SmallModel(small_net(), pictures, rows=64))
        found |= {
            f"{name} paper": float(scores[keys[0]].mean()),
            f"{name} matched": float(scores[keys[1]].mean()),
            f"{name} high": float(scores[keys[2]].mean()),
        }
    return found


def test_the_paper_rule_mostly_measures_area(rates: dict[str, float]) -> None:
    assert rates["peaky high"] < 0.05
    assert rates["inverse high"] > 0.5
    assert rates["peaky paper"] >= 0.95
    assert rates["inverse paper"] <= 0.05


def test_the_area_matched_rule_does_not(rates: dict[str, float]) -> None:
    # 24 tosses of a coin: 0.5 ± 0.1 (one standard deviation)
    assert 0.2 <= rates["peaky matched"] <= 0.8
    assert 0.2 <= rates["inverse matched"] <= 0.8
    assert rates["peaky matched"] == pytest.approx(1 - rates["inverse matched"], abs=0.1)
