"""Class weights, losses and the counts of an epoch, against hand and naive computation."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils.class_weight import compute_class_weight

from xaieval.models.losses import Tally, class_weights, mask_errors


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_class_weights_agree_with_sklearn(labels):
    present = np.unique(labels)
    expected = np.zeros(5)
    expected[present] = compute_class_weight("balanced", classes=present, y=np.array(labels))
    np.testing.assert_allclose(class_weights(labels, 5), expected, rtol=1e-6)


def test_mask_error_by_hand():
    logits = torch.tensor([[[[2.0, 0.0], [0.0, 1.0]]]])
    mask = torch.tensor([[[1.0, 1.0], [0.0, 1.0]]])
    assert mask_errors(logits, mask).tolist() == [0.5]


def _add(tally, logits, labels, weights, known=None, mask_logits=None, masks=None):
    known = torch.ones(len(labels), dtype=torch.bool) if known is None else known
    return tally.add(
        logits=logits,
        labels=labels,
        weights=weights,
        mask_logits=mask_logits,
        masks=masks,
        known=known,
    )


def test_cross_entropy_agrees_with_torch_and_batches_add_up():
    torch.manual_seed(0)
    logits, labels = torch.randn(12, 3), torch.arange(12) % 3
    labels[:5] = 0
    weights = class_weights(labels.tolist(), 3)
    loss = torch.nn.CrossEntropyLoss(weight=weights)
    whole, parts = Tally(3), Tally(3)
    ce, mask = _add(whole, logits, labels, weights)
    torch.testing.assert_close(ce, loss(logits, labels))
    assert mask is None
    for i in range(0, 12, 5):
        _add(parts, logits[i : i + 5], labels[i : i + 5], weights)
    first, second = whole.means(1.0), parts.means(1.0)
    assert first["loss_ce"] == pytest.approx(second["loss_ce"], rel=1e-6)
    assert first["loss_mask"] is None
    expected = balanced_accuracy_score(labels, logits.argmax(1))
    assert first["balanced_accuracy"] == pytest.approx(expected)
    assert second["balanced_accuracy"] == pytest.approx(expected)


def test_unknown_masks_do_not_count():
    logits, labels = torch.zeros(2, 2), torch.tensor([0, 1])
    mask_logits = torch.stack([torch.full((1, 2, 2), 3.0), torch.full((1, 2, 2), 0.5)])
    masks = torch.ones(2, 2, 2)
    tally = Tally(2)
    known = torch.tensor([True, False])
    _, mask = _add(tally, logits, labels, torch.ones(2), known, mask_logits, masks)
    assert float(mask) == 4.0
    means = tally.means(0.5)
    assert means["loss_mask"] == 4.0
    assert means["loss_total"] == pytest.approx(np.log(2) + 2.0)


def test_nothing_counted_is_none():
    assert set(Tally(3).means(1.0).values()) == {None}
