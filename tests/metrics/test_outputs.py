"""Scores that need the model where classes do not exclude each other: attributes, embeddings."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_models import SmallModel, linear, small_net

from xaieval.digest import rng
from xaieval.metrics import removal_curves, score
from xaieval.metrics.adversarial_drift import adversarial_drift
from xaieval.metrics.evaluator import Subject, drive
from xaieval.metrics.probabilities import angles, directions, watched
from xaieval.metrics.ranking import RankedMap

NET = small_net(classes=3)
PICTURES = torch.rand((2, 3, 8, 8), generator=torch.Generator().manual_seed(1))
MAPS = np.random.default_rng(0).random((2, 8, 8)).astype(np.float32)


def subject(output: str, *, predicted: int = 0, target: int = 1) -> Subject:
    ends = torch.zeros(1, 1, 1), torch.ones(1, 1, 1)
    x = torch.zeros(1, 2, 2)
    return Subject("a", x, *ends, predicted=predicted, target=target, output=output)  # type: ignore[arg-type]


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def test_what_curves_follow_by_hand() -> None:
    logits = torch.tensor([[0.0, np.log(3.0)]])
    assert watched(logits, subject("softmax"))[0] == pytest.approx(0.25)
    assert watched(logits, subject("sigmoid"))[0] == pytest.approx(0.75)
    assert watched(logits, subject("sigmoid", predicted=-1))[0] == pytest.approx(0.75)
    cosines = torch.tensor([[-1.0], [0.5]])
    assert watched(cosines, subject("cosine", target=0)).tolist() == [0.0, 0.75]


def test_distances_by_hand() -> None:
    sure, even = torch.tensor([[800.0, 800.0]]), torch.tensor([[0.0, 0.0]])
    one = subject("sigmoid")
    assert directions(sure, one)[0] == pytest.approx([0.5**0.5, 0.5**0.5, 0, 0])
    assert directions(even, one)[0] == pytest.approx([0.5] * 4)
    # cos = 2 · 0.5 · √0.5 = √0.5: 45 degrees, as between a sure and an even single attribute.
    assert angles(directions(sure, one), directions(even, one)[0]) == pytest.approx([np.pi / 4])
    found = directions(torch.tensor([[3.0, 4.0], [0.0, 0.0], [-3.0, -4.0]]), subject("cosine"))
    assert found.tolist() == [[0.6, 0.8], [0.0, 0.0], [-0.6, -0.8]]
    assert angles(found, found[0]) == pytest.approx([0, np.pi / 2, np.pi])


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_directions_are_unit_vectors(output: str) -> None:
    logits = torch.from_numpy(np.random.default_rng(0).normal(0, 8, (50, 7)))
    np.testing.assert_allclose(np.linalg.norm(directions(logits, subject(output)), axis=1), 1)


def test_the_curve_is_the_sigmoid_of_the_attribute_that_is_explained() -> None:
    fake = SmallModel(NET, PICTURES, output="sigmoid", target=2)
    for found, x, values in zip(removal_curves(MAPS, fake, steps=4), PICTURES, MAPS, strict=True):
        ranks = np.argsort(np.argsort(-values.ravel())).reshape(8, 8)
        for step, got in enumerate(found.probabilities):
            left = x * torch.from_numpy(ranks >= step * 16)
            with torch.no_grad():
                wanted = sigmoid(NET(left[None]).double().numpy())[0, 2]
            assert got == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("output", ["sigmoid", "cosine"])
def test_falsification_against_a_naive_twin(output: str) -> None:
    k = 5
    fake = SmallModel(NET, PICTURES, output=output, target=0)  # type: ignore[arg-type]
    found = score(MAPS, metrics=[f"falsification_margin@k={k}"], evaluator=fake)
    asked = {kind for kind, _ in fake.asked}
    assert asked == ({"embeddings"} if output == "cosine" else {"logits"})

    def unit(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            values = NET(torch.from_numpy(x.astype(np.float32))[None]).double().numpy()[0]
        if output == "cosine":
            return np.asarray(values / np.linalg.norm(values))
        p = sigmoid(values)
        return np.asarray([*np.sqrt(p / 3), *np.sqrt((1 - p) / 3)])

    for i, (x, values) in enumerate(zip(PICTURES.numpy(), MAPS, strict=True)):
        scaled = (values - values.min()) / (values.max() - values.min())
        means = []
        for hidden in (scaled > 0.7, scaled < 0.3):
            distances = []
            for number in range(k):
                noise = rng(f"sample-{i}", "falsification", number)
                copy = np.where(hidden, 0, x).reshape(3, -1)
                copy = copy + 0.02 * noise.standard_normal(copy.shape, np.float32)
                copy = np.clip(copy, 0, 1).reshape(x.shape)
                distances.append(np.arccos(np.clip(unit(copy) @ unit(x), -1, 1)))
            means.append(np.mean(distances))
        wanted = means[0] - means[1]
        assert found[f"falsification_margin@k={k}"][i] == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize(("bias", "sign"), [(0.2, 1), (-9.0, -1)])
def test_an_attack_drives_the_attribute_towards_its_border(bias: float, sign: int) -> None:
    """The logit is Σ x + bias: a found attribute loses, a missing one gains, none flips."""
    weights = torch.ones(1, 4, 4)
    x = torch.full((1, 1, 4, 4), 0.5)
    fake = SmallModel(linear(weights, bias), x, output="sigmoid", target=0)
    seen: list[torch.Tensor] = []
    inner = fake.maps

    def maps(rows: torch.Tensor, images: list[int]) -> torch.Tensor:
        seen.append(rows)
        return inner(rows, images)

    fake.maps = maps  # type: ignore[method-assign,assignment]
    ranked = RankedMap(np.random.default_rng(0).random((4, 4)).astype(np.float32))
    options = {"steps": 3, "radius": 0.1, "similarity": "cosine"}
    work = adversarial_drift(ranked, fake.subjects[0], options)
    drive([(0, work)], fake)
    before, after = (float(rows.sum()) + bias for rows in seen[0])
    assert (before >= 0) == (after >= 0) == (sign > 0)
    assert abs(after) < abs(before)


def test_an_embedding_without_length_is_not_defined() -> None:
    fake = SmallModel(lambda x: x.flatten(1)[:, :3] * 0, PICTURES, output="cosine", target=0)
    found = score(MAPS, metrics=["falsification@k=2"], evaluator=fake)
    assert found.reasons["falsification@k=2"].tolist() == ["not-defined-for-model"] * 2
