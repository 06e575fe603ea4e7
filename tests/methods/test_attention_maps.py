"""Raw attention and rollouts: by hand, against matrix products from the papers, token layouts."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xaieval.errors import NotDefinedError
from xaieval.methods import METHODS, Explainer, explain, resolve_methods
from xaieval.methods.passes import Attention, Passes
from xaieval.models import Classifier
from xaieval.models.attention import capture_attention
from xaieval.models.tokens import TokenGrid
from xaieval.models.vit import VisionTransformer, VitConfig

sys.path.append(str(Path(__file__).parents[1] / "models"))
from token_nets import TokenNet

METHODS_HERE = ("raw_attention", "attention_rollout", "gradient_rollout")


def run(
    method: str, weights: list[Tensor], gradients: list[Tensor], grid: TokenGrid
) -> list[list[float]]:
    unused: Any = SimpleNamespace(name="net")
    passes = Passes(
        x=torch.zeros(len(weights[0]), 3, grid.height, grid.width, dtype=weights[0].dtype),
        targets=torch.zeros(len(weights[0]), dtype=torch.int64),
        forward=unused,
        explain=unused,
        check=lambda: None,
        classifier=unused,
        prepared=SimpleNamespace(token_grid=grid),  # type: ignore[arg-type]
        sample_ids=("a",),
        values={"attention": Attention(tuple(weights), tuple(gradients))},  # type: ignore[dict-item]
    )
    spec = METHODS[method]
    return spec.fn(passes, spec.canonical({}))[0, 0].tolist()


# One class token and two patches, one head, two blocks.
FIRST = torch.tensor([[[[0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]]])
LAST = torch.tensor([[[[0.2, 0.6, 0.2], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]]])
GRID = TokenGrid(1, 1, 2, (0,))


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("raw_attention", [0.6, 0.2]),
        # Row 0 of the last with its skip: (0.6, 0.3, 0.1); the first's: (0.75, 0.25, 0); the other
        # rows are units: 0.3 + 0.6·0.25 and 0.1.
        ("attention_rollout", [0.45, 0.1]),
        # Positive products: last (0, 1.2, 0), first (1, 0.5, 0). Row: 1·(I + last) = (1, 1.2, 0),
        # then times (I + first): 1.2 + 0.5 and 0.
        ("gradient_rollout", [1.7, 0.0]),
    ],
)
def test_by_hand(method: str, expected: list[float]) -> None:
    # The other rows get no gradient.
    first_slope = torch.tensor([[[[2.0, 1.0, 3.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]])
    last_slope = torch.tensor([[[[-1.0, 2.0, -4.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]])
    found = run(method, [FIRST, LAST], [first_slope, last_slope], GRID)
    np.testing.assert_allclose(found, [expected], atol=1e-6)


def test_heads_are_averaged() -> None:
    two = torch.cat([LAST, FIRST], 1)
    found = run("raw_attention", [two], [two], GRID)
    np.testing.assert_allclose(found, [[0.55, 0.1]], atol=1e-6)
    # A negative product of one head does not eat a positive one of another.
    slope = torch.cat([torch.ones_like(LAST), -torch.ones_like(FIRST)], 1)
    found = run("gradient_rollout", [two], [slope], GRID)
    np.testing.assert_allclose(found, [[0.3, 0.1]], atol=1e-6)


def test_without_a_class_token_the_patches_rows_are_averaged() -> None:
    grid = TokenGrid(1, 1, 2)  # a register that the head does not read
    found = run("raw_attention", [LAST], [LAST], grid)
    np.testing.assert_allclose(found, [[0.5, 0.5]], atol=1e-6)


def test_no_gradient_leaves_what_the_head_reads() -> None:
    nothing = torch.zeros_like(LAST)
    assert run("gradient_rollout", [FIRST, LAST], [nothing, nothing], GRID) == [[0.0, 0.0]]


# ---------------------------------------------------------------- twins from the papers


def twin(
    method: str, weights: list[np.ndarray], gradients: list[np.ndarray], grid: TokenGrid
) -> np.ndarray:
    """Return the map (h, w) of one picture by products of whole matrices, first block first."""
    one = np.eye(grid.tokens)
    if method == "raw_attention":
        flow = weights[-1].mean(0)
    elif method == "attention_rollout":
        flow = one
        for block in weights:
            mixed = 0.5 * block.mean(0) + 0.5 * one
            flow = (mixed / mixed.sum(1, keepdims=True)) @ flow
    else:
        flow = one
        for block, slope in zip(weights, gradients, strict=True):
            flow = flow + np.maximum(slope * block, 0).mean(0) @ flow
    rows = list(grid.class_tokens) or list(range(grid.prefix, grid.tokens))
    row = flow[rows].mean(0)[grid.prefix :]
    return row.reshape(grid.height, grid.width)


LAYOUTS: dict[str, tuple[dict[str, Any], TokenGrid]] = {
    "class token": ({"prefix": 1}, TokenGrid(1, 4, 6, (0,))),
    "registers": ({"prefix": 4}, TokenGrid(4, 4, 6, (0,))),
    "two class tokens": ({"prefix": 2, "head": "both"}, TokenGrid(2, 4, 6, (0, 1))),
    "mean": ({"prefix": 0, "head": "mean"}, TokenGrid(0, 4, 6)),
    "mean, registers": ({"prefix": 2, "head": "mean"}, TokenGrid(2, 4, 6)),
    "module": ({"way": "multihead"}, TokenGrid(1, 4, 6, (0,))),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_networks_of_tokens(layout: str) -> None:
    options, grid = LAYOUTS[layout]
    torch.manual_seed(0)
    net = TokenNet(**options).eval().double()
    x, targets = torch.randn(2, 3, 16, 24).double(), torch.tensor([3, 0])
    found = explain(net, x, methods=list(METHODS_HERE), targets=targets, exact=True)
    with capture_attention() as seen:
        score = net(x).gather(1, targets[:, None]).sum()
    gradients = torch.autograd.grad(score, seen)
    for method in METHODS_HERE:
        for i in range(2):
            small = twin(
                method,
                [w[i].detach().numpy() for w in seen],
                [g[i].numpy() for g in gradients],
                grid,
            )
            drawn = torch.nn.functional.interpolate(
                torch.from_numpy(small)[None, None], size=(16, 24), mode="bilinear"
            )[0, 0]
            torch.testing.assert_close(found[method][i], drawn.float(), rtol=1e-5, atol=1e-9)


def test_only_the_gradient_knows_the_class() -> None:
    torch.manual_seed(0)
    net, x = TokenNet().eval(), torch.randn(1, 3, 16, 24)
    one, other = (explain(net, x, methods=list(METHODS_HERE), targets=t) for t in (0, 1))
    for method in METHODS_HERE:
        same = torch.equal(one[method], other[method])
        assert same == (method != "gradient_rollout")


def test_rows_of_a_rollout_sum_to_one() -> None:
    """Without skips nothing is lost: patches and the class token share 1."""
    torch.manual_seed(0)
    weights = [torch.rand(1, 3, 7, 7).softmax(-1) for _ in range(4)]
    grid = TokenGrid(0, 1, 7)
    found = np.array(run("attention_rollout", weights, weights, grid))
    np.testing.assert_allclose(found.sum(), 1, rtol=1e-6)


@pytest.mark.parametrize("exact", [False, True])
def test_company_changes_no_bit(exact: bool) -> None:
    torch.manual_seed(0)
    config = VitConfig((24, 16), 4, dim=8, depth=3, heads=2, mlp_dim=16, registers=1, n_classes=3)
    x = torch.randn(5, 3, 24, 16)
    explainer = Explainer(Classifier(VisionTransformer(config).eval(), example=x), exact=exact)
    methods = resolve_methods([*METHODS_HERE, "gradcam", "saliency"])
    together = explainer.run(x, methods=methods).maps
    for rows in ([4, 1, 0], [2], [3, 3]):
        for key, found in explainer.run(x[rows], methods=methods).maps.items():
            assert np.array_equal(found, together[key][rows]), key
    for method in METHODS_HERE:
        alone = explainer.run(x, methods=resolve_methods(method)).maps[method]
        assert np.array_equal(alone, together[method])


# ---------------------------------------------------------------- refusals


def test_convolutional_networks_have_no_attention(make_classifier: Any, make_noise: Any) -> None:
    explainer = Explainer(make_classifier("small-cnn", 64))
    methods = resolve_methods(["gradcam", *METHODS_HERE])
    found = explainer.run(make_noise(1, 64), methods=methods, skip_undefined=True)
    assert list(found.maps) == ["gradcam"]
    assert set(found.undefined) == set(METHODS_HERE)
    with pytest.raises(NotDefinedError, match="no attention"):
        explainer.run(make_noise(1, 64), methods=methods)


class Shrinking(nn.Module):
    """Attention over 16 patches, then, patches merged, over 4."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.merge = nn.Conv2d(3, 8, 4, 4), nn.Conv2d(8, 8, 2, 2)
        self.first = nn.MultiheadAttention(8, 2, batch_first=True)
        self.second = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = x + self.first(x, x, x)[0]
        x = self.merge(x.transpose(1, 2).unflatten(2, (4, 4))).flatten(2).transpose(1, 2)
        return self.head((x + self.second(x, x, x)[0]).mean(1))


@pytest.mark.parametrize("method", METHODS_HERE)
def test_other_tokens_in_other_blocks_are_refused(method: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 16, 16)
    with pytest.raises(NotDefinedError, match="does not attend over the tokens"):
        explain(Shrinking().eval(), x, methods=method)
