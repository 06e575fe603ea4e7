"""What travels with a map: the grid it was drawn from, how much relevance is not conserved."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xaieval.methods import About, Explainer, MethodCall, resolve_methods
from xaieval.models import Classifier, ModelConfig, build


@pytest.fixture(scope="module")
def explainer() -> Explainer:
    net = build(ModelConfig("small-cnn", n_classes=3, input_size=(64, 64)), seed=0)
    return Explainer(Classifier(net, example=torch.randn(2, 3, 64, 64)))


@pytest.fixture(scope="module")
def x() -> Tensor:
    return torch.randn((3, 3, 64, 64), generator=torch.Generator().manual_seed(0))


def test_maps_of_a_layer_say_where_their_cells_stand(explainer: Explainer, x: Tensor) -> None:
    told: dict[str, About] = {}
    names = ["gradcam", "gradcam[upsampling=aligned]", "guided_gradcam", "saliency", "score_cam"]
    found = explainer.run(
        x,
        methods=resolve_methods(names),
        on_method=lambda key, maps, targets, about: told.__setitem__(key, about),
    )
    assert set(found.grids) == {"gradcam", "gradcam[upsampling=aligned]", "score_cam"}
    paper, aligned = found.grids["gradcam"], found.grids["gradcam[upsampling=aligned]"]
    assert paper.shape == aligned.shape == (4, 4)
    assert paper.centre == (7.5, 7.5)
    assert aligned.centre == (0.0, 0.0)  # four convolutions of stride 2 with symmetric padding
    assert paper.stride == aligned.stride == (16.0, 16.0)
    assert told["gradcam"].grid == paper
    assert told["guided_gradcam"].grid is None  # every pixel of it is its own


def test_both_upsamplings_stand_side_by_side(explainer: Explainer, x: Tensor) -> None:
    calls = resolve_methods(["gradcam", "gradcam[upsampling=aligned]", "gradcam[upsampling=paper]"])
    maps = explainer.run(x, methods=calls).maps
    np.testing.assert_array_equal(maps["gradcam"], maps["gradcam[upsampling=paper]"])
    assert not np.array_equal(maps["gradcam"], maps["gradcam[upsampling=aligned]"])
    moved = Explainer(explainer.classifier, upsampling="aligned").run(x, methods=calls[:1])
    np.testing.assert_array_equal(moved.maps["gradcam"], maps["gradcam[upsampling=aligned]"])


def test_an_upsampling_left_to_the_study_is_no_part_of_the_method() -> None:
    plain = MethodCall("gradcam")
    assert plain.options["upsampling"] is None
    assert plain.key == "gradcam"
    assert plain.digest == MethodCall("gradcam", {"upsampling": None}).digest
    assert plain.digest != MethodCall("gradcam", {"upsampling": "paper"}).digest
    assert "upsampling" not in MethodCall("saliency").options


def test_conservation_is_told_for_each_map(x: Tensor) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * 62 * 62, 2, bias=False),
    )
    explainer = Explainer(Classifier(net, example=x[:2]), exact=True)
    found = explainer.run(
        x.double(), methods=resolve_methods(["lrp[composite=epsilon]"]), pooled=False
    )
    gap = found.conservation["lrp[composite=epsilon]"]
    assert gap.shape == (3,)
    assert gap.max() < 1e-4  # without biases nothing is lost but ε's share
    for i in range(3):
        logit = found.logits[i, found.targets[i]]
        total = found.maps["lrp[composite=epsilon]"][i].sum(dtype=np.float64)
        assert abs(total - logit) / abs(logit) == pytest.approx(gap[i], abs=1e-5)
    net[3].bias = nn.Parameter(torch.full((2,), 5.0))
    biased = Explainer(Classifier(net, example=x[:2]), exact=True)
    lost = biased.run(x.double(), methods=resolve_methods(["lrp[composite=epsilon]"])).conservation
    assert lost["lrp[composite=epsilon]"].min() > 0.1  # the bias takes its part
