"""The gate on a small trained network: who passes, who fails, and that it repeats itself."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from scipy.ndimage import zoom
from torch import Tensor, nn

from xaieval.errors import Cancelled, MethodError, ModelError
from xaieval.methods import METHODS, MethodCall, MethodSpec, resolve_methods
from xaieval.methods.passes import Passes
from xaieval.models import Classifier
from xaieval.progress import Progress
from xaieval.sanity import run_gate
from xaieval.sanity.limits import NETWORKS


def pictures(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return clouds (count, 3, 32, 32) with a red or a green disc somewhere, and which it is."""
    draw = np.random.default_rng(seed)
    x = zoom(0.5 * draw.standard_normal((count, 3, 8, 8)), (1, 1, 4, 4), order=3)
    labels = draw.integers(0, 2, count)
    rows, columns = np.mgrid[:32, :32]
    for i, label in enumerate(labels):
        cy, cx = draw.integers(6, 26, 2)
        x[i, label] += 2.0 * ((rows - cy) ** 2 + (columns - cx) ** 2 < 20)
    return torch.from_numpy(x).float(), torch.from_numpy(labels)


@pytest.fixture(scope="module")
def trained() -> Classifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential()
        channels = 3
        for i, width in enumerate((8, 16, 16)):
            net.add_module(f"conv{i}", nn.Conv2d(channels, width, 3, stride=1 + i % 2, padding=1))
            net.add_module(f"norm{i}", nn.BatchNorm2d(width))
            net.add_module(f"relu{i}", nn.ReLU(inplace=True))
            channels = width
        net.add_module("pool", nn.AdaptiveAvgPool2d(1))
        net.add_module("flat", nn.Flatten())
        net.add_module("linear", nn.Linear(channels, 2))
        optimiser = torch.optim.Adam(net.parameters(), 1e-2)
        for step in range(40):
            x, labels = pictures(32, step)
            loss = nn.functional.cross_entropy(net(x), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        net.eval()
    x, labels = pictures(64, 99)
    assert (net(x).argmax(1) == labels).float().mean() > 0.95
    return Classifier(net, example=x[:2], name="discs")


@pytest.fixture(scope="module")
def images() -> Tensor:
    return pictures(10, 1234)[0]


def edges(forward: object, x: Tensor, targets: Tensor) -> Tensor:
    """An edge detector that calls itself a method of the model."""
    found = torch.zeros_like(x)
    found[:, :, 1:, 1:] = (x[:, :, 1:, 1:] - x[:, :, :-1, :-1]).abs()
    return found


def middle(forward: object, x: Tensor, targets: Tensor) -> Tensor:
    """The same map for every picture and every network."""
    rows = torch.linspace(-1, 1, x.shape[2])[:, None] ** 2
    columns = torch.linspace(-1, 1, x.shape[3]) ** 2
    return (2 - rows - columns).expand(len(x), 1, *x.shape[2:]).to(x)


def nothing(forward: object, x: Tensor, targets: Tensor) -> Tensor:
    """No map at all."""
    return torch.zeros_like(x)


def test_methods_of_the_model_pass_and_edges_fail(trained: Classifier, images: Tensor) -> None:
    report = run_gate(
        trained,
        images,
        resolve_methods(["saliency", "gradcam", "integrated_gradients", "sobel", edges, middle]),
    )
    status = {key: verdict.status for key, verdict in report.verdicts.items()}
    assert status == {
        "saliency": "passed",
        "gradcam": "passed",
        # Multiplied by the picture it draws it whatever the weights, as Adebayo et al. found.
        "integrated_gradients": "failed",
        "sobel": "not gated",
        "custom:edges": "failed",
        "custom:middle": "failed",
    }
    failed = report.verdicts["custom:edges"]
    assert [check.name for check in failed.failed_checks] == ["randomisation"]
    assert failed.failed_checks[0].value == 1.0
    assert set(failed.spearman) == {1.0}
    assert set(failed.ssim) == {1.0}
    assert report.model == "discs"
    assert report.stages[0] == "linear"
    assert report.stages[-1] == "conv0"
    assert len(report.verdicts["saliency"].spearman) == len(report.stages)
    sums = {check.name: check for check in report.verdicts["integrated_gradients"].checks}
    assert sums["completeness"].n == len(images)


def test_an_empty_method_fails(trained: Classifier, images: Tensor) -> None:
    found = run_gate(trained, images, resolve_methods([nothing])).verdicts["custom:nothing"]
    assert {check.name for check in found.failed_checks} == {"randomisation", "empty maps"}
    values = {check.name: check.value for check in found.checks}
    assert values["empty maps"] == 1.0
    assert values["randomisation"] is None


def test_a_method_without_a_map_of_random_networks_fails_and_spares_the_others(
    trained: Classifier, images: Tensor
) -> None:
    asked = 0

    def shy(passes: Passes, options: object) -> Tensor:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise MethodError("not for these weights", where="shy")
        return passes.x[:, :1]

    spec = MethodSpec(
        id="custom:shy",
        label="Shy",
        summary="",
        family="custom",
        fn=shy,
        cost=lambda options: 0,
        paper="",
        signed=True,
    )
    (saliency,) = resolve_methods("saliency")
    images = images[:4]
    report = run_gate(trained, images, [MethodCall(spec.id, {}, spec), saliency])
    found = report.verdicts["custom:shy"]
    assert found.status == "failed"
    assert "no map with random weights (shy" in found.text
    assert "not for these weights" in found.text
    alone = run_gate(trained, images, [saliency])
    assert report.verdicts["saliency"] == alone.verdicts["saliency"]


def test_a_sign_that_should_not_be_there_fails(trained: Classifier, images: Tensor) -> None:
    spec = METHODS["saliency"]
    lying = MethodSpec(
        id="lying",
        label="Lying",
        summary="saliency that says it has no sign",
        family="gradient",
        fn=spec.fn,
        cost=spec.cost,
        paper="",
        needs=spec.needs,
        default_pooling=spec.default_pooling,
        signed=False,
    )
    found = run_gate(trained, images, resolve_methods([lying])).verdicts["lying"]
    assert [check.name for check in found.failed_checks] == ["sign"]


def test_equal_arguments_give_equal_reports(trained: Classifier, images: Tensor) -> None:
    calls = resolve_methods(["saliency", "gradcam"])
    first = run_gate(trained, images, calls, seed=3)
    assert run_gate(trained, images, calls, seed=3) == first
    assert run_gate(trained, images, calls, seed=4) != first
    alone = run_gate(trained, images, calls[:1], seed=3)
    assert alone.verdicts["saliency"] == first.verdicts["saliency"]


def test_the_network_and_the_global_generator_are_untouched(
    trained: Classifier, images: Tensor
) -> None:
    before = copy.deepcopy(trained.module.state_dict())
    training = [module.training for module in trained.module.modules()]
    state = torch.random.get_rng_state()
    run_gate(trained, images, resolve_methods(["saliency"]))
    for key, value in trained.module.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert [module.training for module in trained.module.modules()] == training
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(p.requires_grad for p in trained.module.parameters())


def test_a_method_without_its_layer_is_not_defined() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 8), nn.Tanh(), nn.Linear(8, 2))
    x = torch.randn((4, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    report = run_gate(
        Classifier(net, example=x[:2]), x, resolve_methods(["gradcam", "saliency", "random"])
    )
    assert report.verdicts["gradcam"].status == "not defined"
    assert "layer" in report.verdicts["gradcam"].reason
    assert report.verdicts["saliency"].status in ("passed", "failed")
    assert report.verdicts["saliency"].checks


def test_progress_and_cancel(trained: Classifier, images: Tensor) -> None:
    said: list[Progress] = []
    run_gate(trained, images, resolve_methods(["saliency"]), report=said.append)
    assert [it.done for it in said][-1] == said[-1].total
    assert len(said) == said[-1].total + 1  # as trained, each network, the end
    assert said[-1].total > NETWORKS
    stop_after = iter([False] * 8)
    with pytest.raises(Cancelled):
        run_gate(
            trained,
            images,
            resolve_methods(["saliency"]),
            cancelled=lambda: next(stop_after, True),
        )


@pytest.mark.parametrize(
    ("x", "methods", "match"),
    [
        (torch.zeros(3, 3, 32, 32), ["saliency"], "n at least 4, got float32"),
        (torch.zeros(5, 3, 32, 32), ["saliency"], "two images of the sanity gate are equal"),
        (torch.zeros(5, 3, 32, 32, dtype=torch.uint8), ["saliency"], "got uint8"),
        (torch.rand(5, 3, 32, 32), [], "no method"),
    ],
)
def test_bad_input(trained: Classifier, x: Tensor, methods: list[str], match: str) -> None:
    calls = [MethodCall(name) for name in methods]
    with pytest.raises(MethodError, match=match):
        run_gate(trained, x, calls)


def test_ids_must_fit(trained: Classifier, images: Tensor) -> None:
    with pytest.raises(MethodError, match="sample_ids do not fit"):
        run_gate(trained, images, [MethodCall("saliency")], sample_ids=["a"])


def test_a_network_without_weights() -> None:
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    x = torch.rand((4, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    with pytest.raises(ModelError, match="no weight takes part"):
        run_gate(Classifier(net, example=x[:2]), x, [MethodCall("saliency")])


@pytest.mark.parametrize("baseline", ["zero", "mean", "noise"])
def test_completeness_starts_from_the_methods_own_baseline(
    trained: Classifier, images: Tensor, baseline: str
) -> None:
    call = MethodCall("integrated_gradients", {"baseline": baseline, "n_steps": 100})
    found = run_gate(trained, images[:4], [call]).verdicts[call.key]
    value = {check.name: check.value for check in found.checks}["completeness"]
    assert value is not None
    assert value < 0.01


def test_a_second_input() -> None:
    class Asked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 6, 3)
            self.words = nn.Linear(4, 6)
            self.head = nn.Linear(6, 2)

        def forward(self, x: Tensor, question: Tensor) -> Tensor:
            seen = self.conv(x).relu() * self.words(question)[:, :, None, None]
            return self.head(seen.mean((2, 3)))

    generator = torch.Generator().manual_seed(0)
    x = torch.randn((6, 3, 12, 12), generator=generator)
    question = torch.randn((6, 4), generator=generator)
    classifier = Classifier(Asked(), example=x[:2], example_extra=question[:2])
    report = run_gate(classifier, x, [MethodCall("saliency")], extra=question)
    assert report.verdicts["saliency"].checks
    assert set(report.stages) <= {"head", "words", "conv"}
