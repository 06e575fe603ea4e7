"""Channel poolings: by hand, against loops, and as properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from xaieval.errors import ConfigError, MethodError
from xaieval.methods import METHODS, POOLINGS, pool

NAIVE = {
    "sum,abs": lambda c: abs(sum(c)),
    "sum,pos": lambda c: max(sum(c), 0.0),
    "max-norm": lambda c: max(abs(v) for v in c),
    "l1-norm": lambda c: sum(abs(v) for v in c),
    "l2-norm": lambda c: math.sqrt(sum(v * v for v in c)),
    "l2-norm,sq": lambda c: sum(v * v for v in c),
    "pos,sum": lambda c: sum(max(v, 0.0) for v in c),
    "sum": lambda c: sum(c),
}
ATTRIBUTIONS = arrays(
    np.float64,
    array_shapes(min_dims=4, max_dims=4, max_side=3),
    elements=st.floats(-100, 100, width=32),
)


def test_twins_cover_the_table() -> None:
    assert set(NAIVE) == set(POOLINGS)


@given(ATTRIBUTIONS, st.sampled_from(sorted(POOLINGS)))
def test_naive_twin(a: np.ndarray, name: str) -> None:
    pooled = pool(torch.from_numpy(a), name).numpy()
    rows, _, height, width = a.shape
    for b in range(rows):
        for y in range(height):
            for x in range(width):
                expected = NAIVE[name](a[b, :, y, x].tolist())
                assert pooled[b, y, x] == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(ATTRIBUTIONS)
def test_order_of_the_norms(a: np.ndarray) -> None:
    maps = {name: pool(torch.from_numpy(a), name).numpy() for name in POOLINGS}
    slack = 1e-9 * (1 + maps["l1-norm"])
    assert (maps["max-norm"] <= maps["l2-norm"] + slack).all()
    assert (maps["l2-norm"] <= maps["l1-norm"] + slack).all()
    assert (maps["sum,pos"] <= maps["pos,sum"] + slack).all()
    assert (maps["sum,abs"] <= maps["l1-norm"] + slack).all()
    assert all((m >= 0).all() for name, m in maps.items() if name != "sum")


@given(ATTRIBUTIONS, st.floats(0.1, 10))
def test_scale(a: np.ndarray, factor: float) -> None:
    for name in POOLINGS:
        power = 2 if name == "l2-norm,sq" else 1
        once = pool(torch.from_numpy(a), name).numpy() * factor**power
        np.testing.assert_allclose(pool(torch.from_numpy(a * factor), name).numpy(), once, 1e-9)


def test_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'l1-norm'"):
        pool(torch.zeros(1, 3, 2, 2), "l1norm")


@pytest.mark.parametrize("shape", [(2, 2), (1, 0, 2, 2)])
def test_no_channels(shape: tuple[int, ...]) -> None:
    with pytest.raises(MethodError, match="cannot pool"):
        pool(torch.zeros(shape), "sum")


def test_defaults_are_those_of_the_literature() -> None:
    assert {m: METHODS[m].default_pooling for m in METHODS} == {
        "gradcam": None,
        "gradcam_plus_plus": None,
        "hirescam": None,
        "layercam": None,
        "xgradcam": None,
        "eigen_cam": None,
        "score_cam": None,
        "ablation_cam": None,
        "raw_attention": None,
        "attention_rollout": None,
        "gradient_rollout": None,
        "saliency": "max-norm",
        "gradient_x_input": "l1-norm",
        "integrated_gradients": "l1-norm",
        "smoothgrad": "l1-norm",
        "smoothgrad_squared": "l1-norm",
        "vargrad": "l1-norm",
        "gradient_shap": "l1-norm",
        "deeplift": "l1-norm",
        "guided_backprop": "l1-norm",
        "deconvnet": "l1-norm",
        "guided_gradcam": "l1-norm",
        "lrp": "sum,pos",
        "occlusion": "sum,pos",
        "rise": None,
        "lime": "sum,pos",
        "kernel_shap": "sum,pos",
        "shapley_sampling": "sum,pos",
        "sess": None,
        "puzzle": None,
        "tta": None,
        "random": None,
        "constant": None,
        "sobel": None,
        "centre_prior": None,
    }
