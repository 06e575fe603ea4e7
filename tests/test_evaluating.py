"""Scores that need the model, asked through a real explainer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from xaieval.errors import Cancelled
from xaieval.evaluating import ModelEvaluator, subjects_of
from xaieval.jobs import Answer
from xaieval.methods import Explainer, parse_method
from xaieval.metrics import Subject, score
from xaieval.models import Classifier, Preprocessing

SIZE = 24
HALF = Preprocessing(
    input_size=(SIZE, SIZE), resize=None, mean=(0.5, 0.4, 0.3), std=(0.5, 0.25, 0.2), name="half"
)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 3, stride=2, padding=1),
        torch.nn.BatchNorm2d(6),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(6, 3),
    )
    with torch.no_grad():
        net[-1].weight.mul_(20)
    return Classifier(net, preprocessing=HALF, class_names=("a", "b", "c"))


def answers(classifier: Classifier, count: int = 3) -> list[Answer]:
    pictures = np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)
    with torch.no_grad():
        logits = classifier.module.eval()(HALF.tensor(pictures)).double().numpy()
    return [
        Answer(
            sample_id=f"s{i}",
            picture=pictures[i],
            geometry=HALF.geometry((SIZE, SIZE)),
            logits=logits[i],
            probabilities=np.exp(logits[i]) / np.exp(logits[i]).sum(),
            predicted=int(logits[i].argmax()),
            target=1,
            label=0,
            class_names=("a", "b", "c"),
            maps={},
            elapsed_s=0.0,
            from_cache=frozenset(),
        )
        for i in range(count)
    ]


def made(classifier: Classifier, method: str = "saliency", count: int = 3) -> ModelEvaluator:
    subjects = subjects_of(classifier, answers(classifier, count), torch.device("cpu"))
    return ModelEvaluator(Explainer(classifier), parse_method(method), subjects)


def test_subjects(classifier: Classifier) -> None:
    found = subjects_of(classifier, answers(classifier), torch.device("cpu"))
    black = HALF.tensor(np.zeros((1, SIZE, SIZE, 3), np.uint8))[0]
    white = HALF.tensor(np.full((1, SIZE, SIZE, 3), 255, np.uint8))[0]
    for subject, answer in zip(found, answers(classifier), strict=True):
        assert isinstance(subject, Subject)
        assert torch.equal(subject.x, HALF.tensor(answer.picture[None])[0])
        assert subject.low.expand_as(black).numpy() == pytest.approx(black.numpy(), abs=1e-6)
        assert subject.high.expand_as(white).numpy() == pytest.approx(white.numpy(), abs=1e-6)
        assert (subject.predicted, subject.target) == (answer.predicted, 1)
        assert subject.output == "softmax"


def test_answers_are_those_of_the_network(classifier: Classifier) -> None:
    evaluator = made(classifier)
    rows = torch.randn((11, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(1))
    images, targets = [i % 3 for i in range(11)], [i % 2 for i in range(11)]
    net = classifier.module.eval()
    x = rows.clone().requires_grad_()
    logits = net(x)
    (wanted,) = torch.autograd.grad(logits[range(11), targets].sum(), x)
    assert evaluator.logits(rows, images).numpy() == pytest.approx(
        logits.detach().numpy(), abs=1e-4
    )
    found = evaluator.gradients(rows, images, targets)
    assert found.numpy() == pytest.approx(wanted.numpy(), abs=1e-4)
    x = rows.clone().requires_grad_()
    (own,) = torch.autograd.grad(net(x)[:, 1].sum(), x)
    maps = evaluator.maps(rows, images)
    assert maps == pytest.approx(own.abs().amax(1).numpy(), abs=1e-4)


KEYS = ["deletion@steps=7", "falsification_margin@k=3", "max_sensitivity@n=2", "road@parts=3"]
KEYS += ["insertion@steps=7", "adversarial_drift@steps=2"]


def test_company_changes_nothing(classifier: Classifier) -> None:
    maps = np.random.default_rng(1).random((3, SIZE, SIZE)).astype(np.float32)
    together = score(maps, metrics=KEYS, evaluator=made(classifier))
    for key in KEYS:
        evaluator = made(classifier)
        evaluator.subjects = evaluator.subjects[2:]
        alone = score(maps[2:], metrics=key, evaluator=evaluator)
        assert np.isfinite(alone[key]).all()
        assert np.array_equal(alone[key], together[key][2:])


def test_a_stochastic_method_draws_the_same_numbers_for_every_copy(classifier: Classifier) -> None:
    evaluator = made(classifier, "smoothgrad[n_samples=3]", 1)
    x = evaluator.subjects[0].x
    maps = evaluator.maps(torch.stack([x, x]), [0, 0])
    assert np.array_equal(maps[0], maps[1])
    drawn = made(classifier, "random", 1)
    found = score(drawn.maps(x[None], [0]), metrics="max_sensitivity@n=2", evaluator=drawn)
    assert found["max_sensitivity@n=2"].tolist() == [0]


def test_cancelled(classifier: Classifier) -> None:
    asked = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 3

    subjects = made(classifier).subjects
    evaluator = ModelEvaluator(
        Explainer(classifier), parse_method("saliency"), subjects, cancelled=stop
    )
    maps = np.random.default_rng(1).random((3, SIZE, SIZE)).astype(np.float32)
    with pytest.raises(Cancelled):
        score(maps, metrics="deletion", evaluator=evaluator)
    assert len(asked) == 4
