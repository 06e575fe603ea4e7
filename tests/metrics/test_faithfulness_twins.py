"""Scores that need the model against their naive twins, and what packing must not change."""

from __future__ import annotations

import naive_faithfulness as naive
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from small_models import SmallModel, small_net

from xaieval.digest import rng
from xaieval.metrics import score
from xaieval.metrics.adversarial_drift import similarity
from xaieval.metrics.imputation import impute
from xaieval.metrics.removal import blurred

NET = small_net()
PICTURES = torch.rand((3, 3, 12, 12), generator=torch.Generator().manual_seed(1))
MAPS = np.random.default_rng(2).random((3, 12, 12)).astype(np.float32)
MAPS[1] = np.kron(np.random.default_rng(3).integers(0, 3, (4, 4)), np.ones((3, 3)))  # tied


def value(key: str, image: int) -> float:
    return float(score(MAPS, metrics=key, evaluator=SmallModel(NET, PICTURES))[key][image])


@pytest.mark.parametrize("image", range(3))
@pytest.mark.parametrize("mean", [False, True])
def test_deletion(image: int, mean: bool) -> None:
    key = f"deletion@{'fill=mean,' if mean else ''}steps=10"
    x, sample = PICTURES[image].numpy(), f"sample-{image}"
    twin = naive.deletion(NET, x, MAPS[image], sample, 10, mean)
    assert value(key, image) == pytest.approx(twin, abs=1e-6)


@pytest.mark.parametrize("image", range(3))
def test_insertion(image: int) -> None:
    twin = naive.insertion(NET, PICTURES[image].numpy(), MAPS[image], f"sample-{image}", 10)
    assert value("insertion@steps=10", image) == pytest.approx(twin, abs=1e-6)


def test_the_blur_is_the_authors_own() -> None:
    x = PICTURES[0].numpy().astype(np.float64)
    assert blurred(x) == pytest.approx(naive.petsiuk_blur(x), abs=1e-12)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_imputation(share: float) -> None:
    generator = np.random.default_rng(5)
    x, missing = PICTURES[0].numpy()[:, :7, :9], generator.random((7, 9)) < share
    ones = np.ones((3, 1, 1), np.float32)
    found = impute(x, missing, ones, generator, noise=0)
    assert found == pytest.approx(naive.imputed(x, missing), abs=1e-5)
    assert np.array_equal(found[:, ~missing], x[:, ~missing])
    noisy = impute(x, missing, 2 * ones, rng("a"), noise=0.5)
    drawn = rng("a").standard_normal((3, int(missing.sum())))
    assert noisy[:, missing] - found[:, missing] == pytest.approx(drawn, abs=1e-5)


def test_road() -> None:
    x, places = PICTURES[0].numpy(), naive.sequence(MAPS[0], "sample-0")
    target = int(np.argmax(naive.probability(NET, x)))
    means = []
    for order in (places, places[::-1]):
        p = []
        for part in range(1, 4):
            missing = np.zeros((12, 12), bool)
            for place in order[: part * 144 // 4]:
                missing[place] = True
            frame = naive.imputed(x, missing)
            noise = rng("sample-0", "road", part * 144 // 4)
            frame[:, missing] += 0.01 * noise.standard_normal((3, int(missing.sum())))
            p.append(naive.probability(NET, frame)[target])
        means.append(sum(p) / 3)
    assert value("road_morf@parts=4", 0) == pytest.approx(means[0], abs=1e-5)
    assert value("road@parts=4", 0) == pytest.approx((means[1] - means[0]) / 2, abs=1e-5)


@pytest.mark.parametrize("image", range(3))
@pytest.mark.parametrize("options", ["", "fill=mean,", "rule=area-matched,"])
def test_falsification(image: int, options: str) -> None:
    high, low = naive.falsification(
        NET,
        PICTURES[image].numpy(),
        MAPS[image],
        f"sample-{image}",
        k=5,
        fill="mean" if "mean" in options else "zero",
        matched="matched" in options,
    )
    margin = sum(high) / 5 - sum(low) / 5
    # the twin's arc cosine loses half of the digits
    assert value(f"falsification_margin@{options}k=5", image) == pytest.approx(margin, abs=1e-4)
    assert value(f"falsification@{options}k=5", image) == (margin <= 0)
    pairs = [h <= w for h in high for w in low]
    assert value(f"falsification_violations@{options}k=5", image) == pytest.approx(sum(pairs) / 25)


def test_max_sensitivity() -> None:
    fake = SmallModel(NET, PICTURES)

    def explain(x: np.ndarray) -> np.ndarray:
        return fake.maps(torch.from_numpy(x)[None], [0])[0].numpy()

    twin = naive.max_sensitivity(explain, PICTURES[0].numpy(), "sample-0", 4, 0.02)
    assert value("max_sensitivity@n=4", 0) == pytest.approx(twin, rel=1e-4)


def test_adversarial_drift_keeps_the_prediction_and_the_ball() -> None:
    seen: list[torch.Tensor] = []

    class Watched(SmallModel):
        def maps(self, rows: torch.Tensor, images: object) -> torch.Tensor:
            seen.extend(rows)
            return super().maps(rows, images)  # type: ignore[arg-type]

    fake = Watched(NET, PICTURES)
    found = score(MAPS, metrics="adversarial_drift@radius=0.1", evaluator=fake)
    values = next(iter(found.values()))
    for i, subject in enumerate(fake.subjects):
        first = next(n for n, row in enumerate(seen) if torch.equal(row, subject.x))
        before, after = seen[first], seen[first + 1]
        assert float((after - before).abs().max()) <= 0.1 + 1e-6
        assert not torch.equal(after, before)
        assert float(after.min()) >= 0
        assert float(after.max()) <= 1
        logits = NET(torch.stack([before, after]))
        assert logits.argmax(1).tolist() == [subject.predicted] * 2
        assert logits[1, subject.predicted] < logits[0, subject.predicted]
        maps = [SmallModel.maps(fake, row[None], [i])[0].numpy().ravel() for row in (before, after)]
        assert values[i] == pytest.approx(spearmanr(*maps).statistic)


@given(st.lists(st.integers(0, 5), min_size=2, max_size=12), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_spearman(ranks: list[int], seed: int) -> None:
    a = np.array(ranks, float)
    b = np.random.default_rng(seed).integers(0, 5, len(a)).astype(float)
    found = similarity(a, b, "spearman")
    if a.any() and b.any() and len(set(a)) > 1 and len(set(b)) > 1:
        assert found == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)
    else:
        assert found in ("zero-map", "flat-map")


KEYS = [
    "deletion@steps=9",
    "insertion@steps=9",
    "road@parts=3",
    "falsification@k=5",
    "falsification_margin@rule=area-matched,k=5",
    "max_sensitivity@n=3",
    "adversarial_drift@steps=2",
]


@pytest.mark.parametrize("rows", [1, 4, 7, 64])
def test_neither_packing_nor_company_changes_a_score(rows: int) -> None:
    together = score(MAPS, metrics=KEYS, evaluator=SmallModel(NET, PICTURES, rows=rows))
    for key in KEYS:
        fake = SmallModel(NET, PICTURES, rows=5)
        fake.subjects = fake.subjects[1:2]
        alone = score(MAPS[1:2], metrics=key, evaluator=fake)
        assert np.array_equal(alone[key], together[key][1:2])


def test_passes_are_full() -> None:
    fake = SmallModel(NET, PICTURES, rows=8)
    score(MAPS, metrics=["deletion@steps=9", "insertion@steps=10"], evaluator=fake)
    assert [n for _, n in fake.asked] == [8] * 7 + [7]  # 3 · (10 + 11) rows


@given(st.integers(0, 200))
@settings(max_examples=20, deadline=None)
def test_bounds_and_what_only_the_order_decides(seed: int) -> None:
    generator = np.random.default_rng(seed)
    heatmap = generator.random((1, 12, 12)).astype(np.float32)
    x = torch.from_numpy(generator.random((1, 3, 12, 12)).astype(np.float32))
    keys = ["deletion@steps=5", "insertion@steps=5", "road@parts=3", "falsification_margin@k=2"]
    found = score(heatmap, metrics=keys, evaluator=SmallModel(NET, x))
    grown = score(np.exp2(heatmap), metrics=keys[:3], evaluator=SmallModel(NET, x))
    for key in keys[:3]:
        assert grown[key] == found[key]
    stretched = score(4 * heatmap, metrics=keys[3], evaluator=SmallModel(NET, x))
    assert stretched[keys[3]] == found[keys[3]]
    for key, (low, high) in zip(
        keys, [(0, 1), (0, 1), (-0.5, 0.5), (-np.pi / 2, np.pi / 2)], strict=True
    ):
        assert low <= found[key][0] <= high
