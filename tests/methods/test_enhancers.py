"""SESS, Puzzle and test-time augmentation: naive twins, what they wrap, what they refuse."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from xaieval.errors import ConfigError, MethodError, NotDefinedError
from xaieval.methods import (
    Explainer,
    MethodCall,
    MethodSpec,
    Passes,
    explain,
    parse_method,
    resolve_methods,
)
from xaieval.methods.enhancers import stretched
from xaieval.methods.sess import patches, scaled_size, starts
from xaieval.models import Classifier

MakeClassifier = Callable[..., Classifier]
MakeNoise = Callable[..., Tensor]
SIZE = (24, 30)
ENHANCERS = ("sess", "puzzle", "tta")
QUICK = ["sess[n_scales=3]", "puzzle", "tta", "puzzle[of=rise[n_masks=5]]"]


class Bumps(nn.Module):
    """A small convolutional network that takes any size."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.features = nn.Conv2d(3, 6, 5, stride=2, padding=2)
        self.head = nn.Linear(6, 3)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) / 3

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x).relu().mean((2, 3)))
        return logits


@pytest.fixture
def x() -> Tensor:
    return torch.randn((2, 3, *SIZE), generator=torch.Generator().manual_seed(1)).double()


@pytest.fixture
def explainer(x: Tensor) -> Explainer:
    return Explainer(Classifier(Bumps(), example=x.float(), target_layer="features"), exact=True)


TARGETS = torch.tensor([2, 0])


def run(explainer: Explainer, x: Tensor, method: str, targets: Tensor = TARGETS) -> np.ndarray:
    ids = ["a", "b"][: len(x)]
    found = explainer.run(x, methods=resolve_methods(method), targets=targets, sample_ids=ids)
    return next(iter(found.maps.values()))


def one(explainer: Explainer, view: Tensor, method: str, target: int) -> np.ndarray:
    """Return the plain method's map of one view (C, h, w)."""
    return run(explainer, view[None], method, torch.tensor([target]))[0].astype(np.float64)


# ---------------------------------------------------------------- SESS


def naive_sess(
    explainer: Explainer, x: Tensor, target: int, *, n_scales: int, pre_filter: float, theta: float
) -> np.ndarray:
    """Return the paper's fusion, without the smoothing, a patch at a time."""
    height, width = SIZE
    net = explainer.classifier.module.double()
    found: list[tuple[float, np.ndarray]] = []
    for number in range(n_scales):
        tall, wide = round(height * (1 + 2 * number / 7)), round(width * (1 + 2 * number / 7))
        large = interpolate(x[None], size=(tall, wide), mode="bilinear")[0]
        top = 0
        while True:
            left = 0
            while True:
                i, j = min(top, tall - height), min(left, wide - width)
                patch = large[:, i : i + height, j : j + width]
                score = net(patch[None]).softmax(1)[0, target].item()
                values = one(explainer, patch, "gradcam", target)
                values = values - values.min()
                values = values / values.max() if values.max() > 0 else values
                canvas = torch.zeros(1, 1, tall, wide, dtype=torch.float64)
                canvas[0, 0, i : i + height, j : j + width] = torch.from_numpy(values)
                back = interpolate(canvas, size=SIZE, mode="bilinear")[0, 0].numpy()
                found.append((score, back))
                if left + width >= wide:
                    break
                left += width
            if top + height >= tall:
                break
            top += height
    found.sort(key=lambda item: item[0])
    best = found[-1][0]
    kept = [back * score / best for score, back in found[int(len(found) * pre_filter) :]]
    fused = np.zeros(SIZE)
    for i in range(height):
        for j in range(width):
            over = [values[i, j] for values in kept if values[i, j] > theta]
            fused[i, j] = sum(over) / len(over) if over else 0.0
    return fused


@pytest.mark.parametrize(
    ("n_scales", "pre_filter", "theta"), [(4, 0.0, 0.0), (3, 0.5, 0.0), (3, 0.0, 0.2)]
)
def test_sess_is_the_papers_fusion(
    explainer: Explainer, x: Tensor, n_scales: int, pre_filter: float, theta: float
) -> None:
    method = f"sess[n_scales={n_scales},pre_filter={pre_filter},theta={theta},sigma=0]"
    found = run(explainer, x, method)
    for b in range(2):
        twin = naive_sess(
            explainer,
            x[b],
            int(TARGETS[b]),
            n_scales=n_scales,
            pre_filter=pre_filter,
            theta=theta,
        )
        close = np.isclose(found[b], twin, rtol=1e-4, atol=1e-5)
        # A value may lie at the threshold and fall to either side.
        assert close.mean() > 0.98
        assert twin.max() > 0.5


def test_one_scale_without_smoothing_is_the_map_itself(explainer: Explainer, x: Tensor) -> None:
    found = run(explainer, x, "sess[n_scales=1,sigma=0]")
    plain = torch.from_numpy(run(explainer, x, "gradcam"))
    np.testing.assert_allclose(found, stretched(plain).numpy(), rtol=1e-5, atol=1e-6)


def test_smoothing_keeps_what_is_even_and_spreads_what_is_not(
    explainer: Explainer, x: Tensor
) -> None:
    rough = run(explainer, x, "sess[n_scales=1,sigma=0]")
    smooth = run(explainer, x, "sess[n_scales=1,sigma=20]")
    assert smooth.max() < rough.max()
    assert np.abs(np.diff(smooth)).mean() < np.abs(np.diff(rough)).mean()
    np.testing.assert_allclose(smooth.mean(), rough.mean(), rtol=0.1)


def test_patches_are_those_of_the_authors_code() -> None:
    sizes = [scaled_size((224, 224), number) for number in range(12)]
    assert sizes == [(224 + 64 * i, 224 + 64 * i) for i in range(12)]
    assert starts(928, 224, 224) == [0, 224, 448, 672, 704]
    for stride, count in ((1.0, 122), (0.5, 122 * 2)):
        found = patches((224, 224), 12, stride)
        assert len(found) >= count
        for scale, top, left in found:
            assert max(top, left) + 224 <= 224 + 64 * scale
    assert parse_method("sess").cost == 122


# ---------------------------------------------------------------- Puzzle


@pytest.mark.parametrize(("tiles", "view"), [(2, "input"), (3, "input"), (2, "tile"), (7, "tile")])
def test_puzzle_puts_each_tile_in_its_place(
    explainer: Explainer, x: Tensor, tiles: int, view: str
) -> None:
    found = run(explainer, x, f"puzzle[tiles={tiles},view={view},merge=tiles]")
    mean = run(explainer, x, f"puzzle[tiles={tiles},view={view}]")
    rows, columns = ([round(side * i / tiles) for i in range(tiles + 1)] for side in SIZE)
    for b in range(2):
        twin = np.zeros(SIZE)
        for i in range(tiles):
            for j in range(tiles):
                space = np.s_[rows[i] : rows[i + 1], columns[j] : columns[j + 1]]
                tile = x[b][:, space[0], space[1]]
                size = tuple(tile.shape[1:])
                if view == "input":
                    tile = interpolate(tile[None], size=SIZE, mode="bilinear")[0]
                values = torch.from_numpy(one(explainer, tile, "gradcam", int(TARGETS[b])))
                twin[space] = interpolate(
                    values[None, None], size=size, mode="bilinear", antialias=view == "input"
                )[0, 0].numpy()
        top = twin.max()
        np.testing.assert_allclose(found[b], twin, atol=1e-5 * top)
        plain = one(explainer, x[b], "gradcam", int(TARGETS[b]))
        np.testing.assert_allclose(mean[b], (twin + plain) / 2, atol=1e-5 * max(top, plain.max()))


def test_one_tile_is_the_picture(explainer: Explainer, x: Tensor) -> None:
    plain = run(explainer, x, "saliency")
    for merge in ("mean", "tiles"):
        found = run(explainer, x, f"puzzle[of=saliency,tiles=1,merge={merge}]")
        np.testing.assert_allclose(found, plain, rtol=1e-6)


def test_a_network_of_one_size_takes_enlarged_tiles_only() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2))
    x = torch.randn(1, 3, 8, 8)
    found = explain(net, x, methods=["puzzle[of=saliency]"])
    assert torch.isfinite(next(iter(found.values()))).all()
    with pytest.raises(NotDefinedError, match="view=input"):
        explain(net, x, methods=["puzzle[of=saliency,view=tile]"])
    with pytest.raises(MethodError, match="more tiles than pixels"):
        explain(net, x, methods=["puzzle[of=saliency,tiles=9]"])


def test_a_tile_without_memory_is_no_lack_of_the_network(x: Tensor) -> None:
    class Full(Bumps):
        def forward(self, x: Tensor) -> Tensor:
            if x.shape[2] < SIZE[0]:
                raise torch.OutOfMemoryError("full")
            return super().forward(x)

    explainer = Explainer(Classifier(Full(), example=x.float()))
    with pytest.raises(torch.OutOfMemoryError):
        run(explainer, x, "puzzle[of=saliency,view=tile]")


def test_each_view_has_random_numbers_of_its_own(explainer: Explainer, x: Tensor) -> None:
    """Also when a method asks for views of several pictures, or of one picture again."""

    def views(passes: Passes, options: object) -> Tensor:
        images = torch.arange(len(passes.x))
        first, again = (passes.explain("random", passes.x, images) for _ in range(2))
        assert not torch.equal(first, again)
        return torch.stack([first, again, first], 1)

    spec = MethodSpec(
        id="views",
        label="",
        summary="",
        family="custom",
        fn=views,
        cost=lambda options: 2,
        paper="",
        needs=frozenset({"explain"}),
        default_pooling="sum",
    )
    methods = resolve_methods([spec])
    both = explainer.run(x, methods=methods, sample_ids=["a", "b"]).maps["views"]
    alone = explainer.run(x[1:], methods=methods, sample_ids=["b"]).maps["views"]
    assert np.array_equal(both[1:], alone)


# ---------------------------------------------------------------- test-time augmentation


@pytest.mark.parametrize("scale", ["minmax", "raw"])
@pytest.mark.parametrize("contrast", [0.0, 0.1])
def test_tta_is_the_mean_over_mirror_and_contrast(
    explainer: Explainer, x: Tensor, scale: str, contrast: float
) -> None:
    found = run(explainer, x, f"tta[contrast={contrast},scale={scale}]")
    factors = (1 - contrast, 1, 1 + contrast) if contrast else (1,)
    for b in range(2):
        twin = np.zeros(SIZE)
        for mirrored in (False, True):
            for factor in factors:
                view = (x[b].flip(2) if mirrored else x[b]) * factor
                values = one(explainer, view, "gradcam", int(TARGETS[b]))
                if scale == "minmax":
                    values = (values - values.min()) / (values.max() - values.min())
                twin += values[:, ::-1] if mirrored else values
        twin /= 2 * len(factors)
        np.testing.assert_allclose(found[b], twin, rtol=1e-4, atol=1e-6)


def test_a_flat_map_stays_flat(explainer: Explainer, x: Tensor) -> None:
    assert not run(explainer, x, "tta[of=constant]").any()
    np.testing.assert_array_equal(run(explainer, x, "tta[of=constant,scale=raw]"), 1)


# ---------------------------------------------------------------- what they wrap


@pytest.mark.parametrize("method", ENHANCERS)
def test_keys_of_wrapped_methods_are_read_again(method: str) -> None:
    for inner in ("saliency[pooling=sum,pos]", "rise[n_masks=100,p=0.25]", "tta[of=occlusion]"):
        call = MethodCall(method, {"of": inner})
        assert call.options["of"] == parse_method(inner).key
        assert call.key == f"{method}[of={parse_method(inner).key}]"
        assert parse_method(call.key) == call
    both = MethodCall("puzzle", {"of": "saliency[pooling=sum,pos]", "tiles": 3})
    assert parse_method(both.key) == both
    assert both.key == "puzzle[of=saliency[pooling=sum,pos],tiles=3]"
    assert parse_method("puzzle[tiles=3, of=saliency[pooling=sum,pos]]") == both


def test_a_wrapped_method_may_be_a_mapping() -> None:
    (call,) = resolve_methods({"id": "sess", "of": {"id": "rise", "n_masks": 9}})
    assert call == MethodCall("sess", {"of": "rise[n_masks=9]"})
    assert MethodCall("sess", {"of": "gradcam"}).key == "sess"
    assert MethodCall("sess", {"of": "rise[n_masks=4000]"}).key == "sess[of=rise]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sess[of=gradcamm]", "Did you mean 'gradcam'"),
        ("sess[of=rise[nmasks=3]]", "Did you mean 'n_masks'"),
        ("sess[of=rise[n_masks=3]", "not a method|brackets"),
        ("sess[of=rise]]", "brackets that match"),
        ("sess[of=3]", "bad value of option 'of'"),
        ("sess[pre_filter=1]", "at most 0.999"),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_method(text)


def test_floats_in_keys_are_exact() -> None:
    call = MethodCall("rise", {"p": 0.123456789012345})
    assert parse_method(call.key) == call
    assert MethodCall("rise", {"p": 0.25}).key == "rise[p=0.25]"


def test_cost_chance_and_digest_follow_what_is_wrapped() -> None:
    assert parse_method("puzzle[of=rise[n_masks=10]]").cost == 5 * 10
    assert parse_method("tta[of=integrated_gradients]").cost == 6 * 25
    assert parse_method("puzzle[of=rise]").stochastic
    assert not parse_method("puzzle").stochastic
    digests = {parse_method(f"tta[of={inner}]").digest for inner in ("gradcam", "saliency", "rise")}
    assert len(digests) == 3


@pytest.mark.parametrize("method", ENHANCERS)
def test_what_is_not_defined_inside_is_not_defined(method: str) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 2))
    x = torch.randn(1, 3, 8, 8)
    explainer = Explainer(Classifier(net, example=x))
    with pytest.raises(NotDefinedError, match="gradcam"):
        explainer.run(x, methods=resolve_methods(method))
    found = explainer.run(x, methods=resolve_methods([method, "saliency"]), skip_undefined=True)
    assert list(found.maps) == ["saliency"]
    assert list(found.undefined) == [method]


def test_company_and_order_change_no_bit(
    make_classifier: MakeClassifier, make_noise: MakeNoise
) -> None:
    explainer = Explainer(make_classifier("small-cnn", 64))
    x, ids, methods = make_noise(3, 64), ["a", "b", "c"], resolve_methods(QUICK)

    def maps(rows: list[int]) -> dict[str, np.ndarray]:
        return explainer.run(x[rows], methods=methods, sample_ids=[ids[i] for i in rows]).maps

    together = maps([0, 1, 2])
    for rows in ([2, 0, 1], [1]):
        for key, found in maps(rows).items():
            assert np.array_equal(found, together[key][rows]), (key, rows)
