"""The scores of the Explanation Alignment notebooks, from a gradient to its numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xaieval import explain, score

KEYS = ["iou[mean+1std]", "gt_coverage[mean+1std]", "saliency_coverage[mean+1std]"]
GAME = "pointing_game@ties=explanation_alignment"


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 5, padding=2), nn.Tanh(), nn.Flatten(), nn.Linear(6 * 16 * 16, 4)
    ).eval()


def notebook(model: nn.Module, image: Tensor, mask: np.ndarray) -> list[float]:
    """Vanilla gradient of the predicted class, summed over channels, above mean + 1 std."""
    x = image[None].clone().requires_grad_(True)
    logits = model(x)
    logits[0, int(logits.argmax())].backward()
    assert x.grad is not None
    saliency = x.grad[0].sum(0).double().numpy()
    chosen = saliency >= saliency.mean() + saliency.std()
    both = (chosen & mask).sum()
    y, x_ = np.unravel_index(saliency.argmax(), saliency.shape)
    ious = both / (chosen | mask).sum(), both / mask.sum(), both / chosen.sum()
    return [*map(float, ious), float(mask[y, x_])]


def test_signed_gradients_score_as_in_the_notebooks() -> None:
    model = net()
    images = torch.rand((6, 3, 16, 16), generator=torch.Generator().manual_seed(1))
    masks = np.zeros((6, 16, 16), bool)
    masks[:, 4:12, 2:9] = True
    maps = explain(model, images, methods=["saliency", "saliency[pooling=sum]"])
    signed = maps["saliency[pooling=sum]"]
    assert (signed < 0).any()
    assert (maps["saliency"] >= 0).all()
    found = score(signed, masks, metrics=[*KEYS, GAME])
    for i in range(6):
        expected = notebook(model, images[i], masks[i])
        assert [found[key][i] for key in (*KEYS, GAME)] == pytest.approx(expected)
