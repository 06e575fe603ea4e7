"""Several labels at once: weights, loss and accuracy by hand, training, cards, probabilities."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from sklearn.metrics import balanced_accuracy_score
from torch import nn

from xaieval.digest import rng
from xaieval.errors import Cancelled, DataError, ModelError
from xaieval.models import (
    Classifier,
    ModelConfig,
    Preprocessing,
    TrainOptions,
    load_checkpoint,
    read_card,
    train,
)
from xaieval.models.losses import AttributeTally, attribute_weights, class_weights
from xaieval.models.pictures import known_masks
from xaieval.types import Sample

SIZE = (32, 32)
NAMES = ("red", "green", "never")
OPTIONS = TrainOptions(epochs=3, batch=8, lr=3e-3, beta=0.0)


@dataclass(frozen=True)
class Fold:
    index: int
    train: tuple[str, ...]
    test: tuple[str, ...]


class Corners:
    """Noise with a red square in one corner, a green one in another, both, or neither."""

    name, task, digest = "corners", "multilabel", "corners-1"
    class_names, region_names = NAMES, ("red", "green")

    def __getitem__(self, sample_id):
        number = int(sample_id)
        image = rng("corner", number).integers(90, 160, (*SIZE, 3)).astype(np.uint8)
        label = np.array([number % 2 == 0, number % 3 == 0, False])
        red, green = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
        red[2:12, 2:12], green[20:30, 20:30] = True, True
        for mask, colour, there in (
            (red, (230, 30, 30), label[0]),
            (green, (30, 230, 30), label[1]),
        ):
            if there:
                image[mask] = colour
        regions = {"red": red} if label[0] else {}
        return Sample(sample_id, label, lambda: image, lambda: regions)


FOLD = Fold(0, tuple(f"{i:03d}" for i in range(24)), tuple(f"{i:03d}" for i in range(24, 36)))


def run(path, *, data=None, fold=FOLD, options=OPTIONS, seed=0, **more):
    return train(
        data or Corners(),
        fold,
        config=ModelConfig("small-cnn", 3, SIZE),
        preprocessing=Preprocessing(SIZE),
        options=options,
        seed=seed,
        path=path,
        **more,
    )


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    return run(tmp_path_factory.mktemp("first") / "seed-0.safetensors")


# ------------------------------------------------------------------ losses


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_each_attribute_is_balanced_as_a_task_of_two_classes(rows):
    weights = attribute_weights(rows)
    for c, column in enumerate(zip(*rows, strict=True)):
        alone = class_weights([int(value) for value in column], 2)
        expected = alone if len(set(column)) == 2 else torch.zeros(2)
        np.testing.assert_allclose(weights[:, c], expected, rtol=1e-6)


def _add(tally, logits, labels, weights):
    known = torch.ones(len(labels), dtype=torch.bool)
    return tally.add(
        logits=logits, labels=labels, weights=weights, mask_logits=None, masks=None, known=known
    )


def test_loss_and_accuracy_by_hand():
    labels = torch.tensor([[True, True], [False, True]])
    logits = torch.tensor([[0.0, -1.0], [2.0, 3.0]])
    weights = torch.tensor([[2.0, 1.0], [0.5, 3.0]])
    tally = AttributeTally(2)
    loss, _ = _add(tally, logits, labels, weights)
    softplus = lambda v: np.log1p(np.exp(v))  # noqa: E731
    parts = 0.5 * softplus(0) + 3 * softplus(1) + 2 * softplus(2) + 3 * softplus(-3)
    assert float(loss) == pytest.approx(parts / 8.5, rel=1e-6)
    # The first attribute: present and found (logit 0 counts), absent and missed: (1 + 0) / 2.
    # The second is always present: it has no balanced accuracy.
    assert tally.means(0.0)["balanced_accuracy"] == 0.5
    assert tally.means(0.0)["loss_ce"] == pytest.approx(parts / 8.5, rel=1e-6)


def test_batches_add_up_and_agree_with_sklearn():
    random = np.random.default_rng(0)
    labels = torch.from_numpy(random.random((20, 4)) < 0.4)
    labels[:, 3] = True
    logits = torch.from_numpy(random.standard_normal((20, 4))).float()
    weights = attribute_weights(labels)
    whole, parts = AttributeTally(4), AttributeTally(4)
    loss, _ = _add(whole, logits, labels, weights)
    for i in range(0, 20, 7):
        _add(parts, logits[i : i + 7], labels[i : i + 7], weights)
    each = nn.BCEWithLogitsLoss(reduction="none")(logits[:, :3], labels[:, :3].float())
    factor = torch.where(labels, weights[1], weights[0])[:, :3]
    assert float(loss) == pytest.approx(float((each * factor).sum() / factor.sum()), rel=1e-5)
    assert parts.means(1.0)["loss_ce"] == pytest.approx(whole.means(1.0)["loss_ce"], rel=1e-5)
    expected = np.mean([balanced_accuracy_score(labels[:, c], logits[:, c] >= 0) for c in range(3)])
    for tally in (whole, parts):
        assert tally.means(1.0)["balanced_accuracy"] == pytest.approx(expected)


def test_nothing_counted_is_none():
    assert set(AttributeTally(3).means(1.0).values()) == {None}


def test_only_masks_that_are_there_are_known():
    labels = {"a": np.array([True, False]), "b": np.array([False, False])}
    assert known_masks(["a", "b"], labels, {"a"}) == {"a": True, "b": False}


# ------------------------------------------------------------------ training


def _same(a, b):
    left, right = load_file(a), load_file(b)
    return all(torch.equal(left[key], right[key]) for key in left)


def test_the_same_seed_is_bit_identical_and_resumes(first, tmp_path):
    assert _same(first, run(tmp_path / "again.safetensors"))
    assert not _same(first, run(tmp_path / "other.safetensors", seed=1))
    path, calls = tmp_path / "seed-0.safetensors", 0

    def stop(progress):
        nonlocal calls
        calls += progress.stage.startswith("train")
        if calls == 5:
            raise Cancelled

    with pytest.raises(Cancelled):
        run(path, report=stop)
    assert not path.exists()
    assert _same(first, run(path))
    assert read_card(path).history == read_card(first).history


def test_the_card_says_what_it_is(first):
    card = read_card(first)
    assert card.task == "multilabel"
    assert [p for p in card.problems if "not learned" in p] == list(card.problems)
    assert "'never'" in card.problems[0]
    assert len(card.history) == 6
    assert load_checkpoint(first).task == "multilabel"


def test_cards_from_before_are_of_single_labels(first, tmp_path):
    path = tmp_path / "old.safetensors"
    path.write_bytes(first.read_bytes())
    card = json.loads(first.with_suffix(".json").read_text())
    del card["task"]
    path.with_suffix(".json").write_text(json.dumps(card))
    assert read_card(path).task == load_checkpoint(path).task == "single"


def test_it_learns_each_attribute_and_leaves_the_constant_one(tmp_path):
    path = run(tmp_path / "a.safetensors", options=replace(OPTIONS, epochs=25, augment="none"))
    assert read_card(path).history[-1].balanced_accuracy > 0.95


def test_mask_loss_goes_along(tmp_path):
    path = run(tmp_path / "a.safetensors", options=replace(OPTIONS, epochs=1, beta=1.0))
    assert all(row.loss_mask is not None for row in read_card(path).history)


def test_nothing_to_learn_is_an_error(tmp_path):
    fold = Fold(0, ("000", "006"), ("001",))
    with pytest.raises(DataError, match="agree on every attribute"):
        run(tmp_path / "a.safetensors", fold=fold)


# ------------------------------------------------------------------ probabilities


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))


def test_probabilities_follow_the_task():
    logits = np.array([[0.0, 2.0, -800.0], [1.0, 1.0, 1.0]])
    single = Classifier(net(), example=torch.zeros(2, 3, 8, 8))
    several = Classifier(net(), example=torch.zeros(2, 3, 8, 8), task="multilabel")
    np.testing.assert_allclose(single.probabilities(logits)[1], 1 / 3)
    np.testing.assert_allclose(
        several.probabilities(logits), 1 / (1 + np.exp(-logits.clip(-500))), atol=1e-12
    )
    assert several.with_module(net()).task == "multilabel"
    assert single.fingerprint != several.fingerprint
    with pytest.raises(ModelError, match="unknown task"):
        Classifier(net(), task="vqa")
