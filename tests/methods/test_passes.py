"""Shared passes: how many there are, and that company, order and memory change nothing."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import torch
import torch.nn.modules.module as module_hooks
from torch import Tensor, nn

from xaieval.errors import Cancelled, MethodError, NotDefinedError
from xaieval.methods import Explainer, MethodSpec, Passes, resolve_methods
from xaieval.methods.engine import Engine, Rows, fill, rows_for
from xaieval.methods.interrupting import interruptible
from xaieval.methods.sampled import NoisyGradients
from xaieval.methods.steady import steady, whole_size
from xaieval.models import Classifier

MakeClassifier = Callable[..., Classifier]
MakeNoise = Callable[..., Tensor]
ONE_PASS = ["gradcam", "saliency", "gradient_x_input"]


class Watch:
    """Rows and passes seen by a layer, forward; backward passes of the network."""

    def __init__(self) -> None:
        self.forward_rows = self.forwards = self.backwards = 0


@contextmanager
def watching(explainer: Explainer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    watch = Watch()
    first = next(m for m in explainer.prepared.module.modules() if isinstance(m, nn.Conv2d))

    def forward(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        watch.forwards += 1
        watch.forward_rows += len(inputs[0])

    grad = torch.autograd.grad

    def backward(*args: object, **kwargs: object) -> object:
        watch.backwards += 1
        return grad(*args, **kwargs)

    handle = first.register_forward_hook(forward)
    with monkeypatch.context() as patch:
        patch.setattr(torch.autograd, "grad", backward)
        yield watch
    handle.remove()


@pytest.fixture
def explainer(make_classifier: MakeClassifier) -> Explainer:
    made = Explainer(make_classifier("small-cnn", 64))
    made._rows[64, 64] = Rows(4)
    return made


@pytest.mark.parametrize("targets", ["predicted", torch.tensor([0, 1, 2, 3, 4, 0, 1, 2])])
def test_each_row_runs_once(
    explainer: Explainer,
    make_noise: MakeNoise,
    monkeypatch: pytest.MonkeyPatch,
    targets: str | Tensor,
) -> None:
    x = make_noise(8, 64)
    with watching(explainer, monkeypatch) as seen:
        explainer.run(x, methods=resolve_methods(ONE_PASS), targets=targets)
    assert (seen.forward_rows, seen.forwards, seen.backwards) == (8, 2, 2)
    with watching(explainer, monkeypatch) as seen:
        methods = resolve_methods([*ONE_PASS, "integrated_gradients", "random", "sobel"])
        explainer.run(x, methods=methods, targets=targets)
    assert (seen.forward_rows, seen.forwards, seen.backwards) == (8 * 26, 2 + 50, 2 + 50)


def test_a_lone_picture_shares_its_pass_with_its_path(
    explainer: Explainer, make_noise: MakeNoise, monkeypatch: pytest.MonkeyPatch
) -> None:
    explainer._rows[64, 64] = Rows(13)
    with watching(explainer, monkeypatch) as seen:
        methods = resolve_methods([*ONE_PASS, "integrated_gradients"])
        explainer.run(make_noise(1, 64), methods=methods)
    assert (seen.forward_rows, seen.forwards, seen.backwards) == (26, 2, 2)


def test_without_gradients_nothing_goes_backward(
    explainer: Explainer, make_noise: MakeNoise, monkeypatch: pytest.MonkeyPatch
) -> None:
    with watching(explainer, monkeypatch) as seen:
        explainer.run(make_noise(4, 64), methods=resolve_methods(["random", "centre_prior"]))
    assert (seen.forward_rows, seen.backwards) == (4, 0)


def test_the_decoder_never_runs(make_classifier: MakeClassifier, make_noise: MakeNoise) -> None:
    for exact in (False, True):
        explainer = Explainer(make_classifier("small-cnn", 64), exact=exact)
        decoder = explainer.prepared.module.get_submodule("decoder")

        def refuse(*_: object) -> None:
            raise AssertionError("the decoder ran")

        handles = [layer.register_forward_hook(refuse) for layer in decoder.modules()]
        methods = resolve_methods([*ONE_PASS, "integrated_gradients[n_steps=3]", "occlusion"])
        explainer.run(make_noise(2, 64), methods=methods)
        assert handles


@pytest.mark.parametrize(
    ("arch", "size", "exact"),
    [
        ("small-cnn", 64, False),
        ("small-cnn", 64, True),
        ("mobilenet-v2", 96, False),
        ("efficientnet-b0", 96, False),
        ("efficientnet-b0", 96, True),
        ("efficientnet-b0", 80, False),
    ],
)
def test_company_and_order_change_no_bit(
    make_classifier: MakeClassifier, make_noise: MakeNoise, arch: str, size: int, exact: bool
) -> None:
    explainer = Explainer(make_classifier(arch, size), exact=exact)
    methods = resolve_methods([*ONE_PASS, "integrated_gradients[n_steps=3]", "random", "sobel"])
    x = make_noise(5, size)
    ids = [f"image {i}" for i in range(5)]

    def maps(rows: list[int]) -> dict[str, np.ndarray]:
        found = explainer.run(x[rows], methods=methods, sample_ids=[ids[i] for i in rows])
        return {**found.maps, "logits": found.logits}

    together = maps([0, 1, 2, 3, 4])
    for rows in ([4, 2, 0, 3, 1], [3, 0], [2], [1, 4, 1]):
        for key, found in maps(rows).items():
            assert np.array_equal(found, together[key][rows]), (key, rows)


@pytest.mark.parametrize("arch", ["small-cnn", "efficientnet-b0"])
def test_company_changes_no_bit_of_other_backwards(
    make_classifier: MakeClassifier, make_noise: MakeNoise, arch: str
) -> None:
    """Passes that are full and those that were filled up are laid out in memory alike."""
    explainer = Explainer(make_classifier(arch, 64))
    explainer._rows[64, 64] = Rows(6)
    methods = resolve_methods(["guided_backprop", "deconvnet", "lrp", "deeplift"])
    x = make_noise(7, 64)
    targets = torch.tensor([0, 1, 2, 3, 4, 0, 1])

    def maps(rows: list[int]) -> dict[str, np.ndarray]:
        found = explainer.run(x[rows], methods=methods, targets=targets[rows], skip_undefined=True)
        return found.maps

    together = maps(list(range(7)))
    assert "deeplift" in together
    for rows in ([6, 1], [3]):
        for key, found in maps(rows).items():
            assert np.array_equal(found, together[key][rows]), (key, rows)


def test_which_methods_share_a_pass_changes_no_bit(
    explainer: Explainer, make_noise: MakeNoise
) -> None:
    x = make_noise(3, 64)
    names = [*ONE_PASS, "integrated_gradients[n_steps=4]", "occlusion"]
    together = explainer.run(x, methods=resolve_methods(names)).maps
    for name in names:
        (alone,) = explainer.run(x, methods=resolve_methods([name])).maps.values()
        assert np.array_equal(alone, together[name]), name


def test_cheap_methods_report_first(explainer: Explainer, make_noise: MakeNoise) -> None:
    names = ["occlusion", "integrated_gradients", "integrated_gradients[n_steps=3]", "gradcam"]
    told: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = []
    found = explainer.run(
        make_noise(3, 64),
        methods=resolve_methods([*names, "random"]),
        targets=torch.tensor([2, 0, 1]),
        on_method=lambda key, maps, targets, about: told.append((key, maps.shape, tuple(targets))),
    )
    assert [key for key, _, _ in told] == ["random", *reversed(names[1:]), "occlusion"]
    assert all(rest == ((3, 64, 64), (2, 0, 1)) for _, *rest in told for rest in [tuple(rest)])
    assert list(found.maps) == [*names, "random"]


@pytest.mark.parametrize("after", [0, 1, 3])
def test_cancel_between_passes(explainer: Explainer, make_noise: MakeNoise, after: int) -> None:
    asked = iter([False] * after)
    methods = resolve_methods(["gradcam", "integrated_gradients", "occlusion"])
    with pytest.raises(Cancelled):
        explainer.run(make_noise(2, 64), methods=methods, cancelled=lambda: next(asked, True))
    assert not any(layer._forward_hooks for layer in explainer.prepared.module.modules())


def test_a_run_asks_before_every_pass(
    explainer: Explainer, make_noise: MakeNoise, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xaieval.methods.engine.interruptible", lambda check: nullcontext())
    asked = []
    methods = resolve_methods(["gradcam", "integrated_gradients"])
    explainer.run(make_noise(4, 64), methods=methods, cancelled=lambda: bool(asked.append(1)))
    assert len(asked) == 26  # 4 rows, then 100, four at a time


@pytest.mark.parametrize("backward", [False, True])
def test_a_pass_ends_in_its_midst(
    explainer: Explainer, make_noise: MakeNoise, backward: bool
) -> None:
    """Nobody waits for the rest of a pass that is wanted no longer, forward or backward."""
    entered: list[str] = []

    def cancelled() -> bool:
        names = {frame.name for frame in traceback.extract_stack()}
        entered.append("back" if "_backward" in names else "on" if "logits" in names else "")
        return entered[-1] == ("back" if backward else "on")

    methods = resolve_methods(["integrated_gradients"])
    with pytest.raises(Cancelled):
        explainer.run(make_noise(2, 64), methods=methods, cancelled=cancelled)
    assert entered.count("back") == int(backward)
    assert entered.count("") == 1  # before the first pass, which is the only one
    assert not module_hooks._global_forward_hooks


def test_another_thread_is_not_interrupted(explainer: Explainer, make_noise: MakeNoise) -> None:
    module, x = explainer.prepared.module, torch.from_numpy(np.zeros((2, 3, 64, 64), np.float32))
    asked: list[int] = []
    with interruptible(lambda: asked.append(1)), ThreadPoolExecutor(1) as pool:
        pool.submit(module, x).result()
        assert not asked
        module(x)
    assert asked


def test_asking_within_passes_changes_no_number(
    explainer: Explainer, make_noise: MakeNoise
) -> None:
    x, methods = make_noise(3, 64), resolve_methods(["gradcam", "integrated_gradients"])
    bare = explainer.run(x, methods=methods)
    asked = explainer.run(x, methods=methods, cancelled=lambda: False)
    for key, maps in bare.maps.items():
        np.testing.assert_array_equal(asked.maps[key], maps)


def test_out_of_memory_halves_and_is_remembered(
    explainer: Explainer, make_noise: MakeNoise, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, methods = make_noise(5, 64), resolve_methods(["saliency", "integrated_gradients"])
    whole = explainer.run(x, methods=methods)
    explainer._rows[64, 64] = Rows(8)
    logits, sizes = explainer.prepared.logits, []

    def small_machine(rows: Tensor, extra: object = None) -> Tensor:
        sizes.append(len(rows))
        if len(rows) > 4:
            raise torch.OutOfMemoryError("out of memory")
        return logits(rows)

    monkeypatch.setattr(explainer.prepared, "logits", small_machine)
    halved = explainer.run(x, methods=methods)
    assert explainer.rows((64, 64)) == Rows(4)
    assert sizes.count(8) == 1
    for key, found in halved.maps.items():
        np.testing.assert_allclose(found, whole.maps[key], atol=1e-5 * whole.maps[key].max())
    explainer.run(x, methods=methods)
    assert sizes.count(8) == 1


def test_memory_that_ends_in_a_sum_is_an_error(
    explainer: Explainer, make_noise: MakeNoise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Halved, the pass would be repeated, and its first rows would count twice."""

    def add(self: NoisyGradients, start: int, found: Tensor, image: Tensor) -> None:
        raise torch.OutOfMemoryError("after a few rows")

    monkeypatch.setattr(NoisyGradients, "add", add)
    with pytest.raises(MethodError, match="memory ended"):
        explainer.run(make_noise(5, 64), methods=resolve_methods("smoothgrad[n_samples=3]"))
    assert explainer.rows((64, 64)) == Rows(4)


def test_a_new_form_of_input_is_tried_once(explainer: Explainer, make_noise: MakeNoise) -> None:
    x, rows = make_noise(2, 48), []
    (first, *_) = (m for m in explainer.prepared.module.modules() if isinstance(m, nn.Conv2d))
    with_hook = first.register_forward_hook(lambda _, inputs, __: rows.append(len(inputs[0])))
    for _ in range(3):
        explainer.run(x, methods=resolve_methods("saliency"))
    with_hook.remove()
    assert rows.count(1) == 1
    assert len(rows) == 4


def test_memory_that_never_suffices_is_an_error(
    explainer: Explainer, make_noise: MakeNoise, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(rows: Tensor, extra: object = None) -> Tensor:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(explainer.prepared, "logits", full)
    with pytest.raises(torch.OutOfMemoryError):
        explainer.run(make_noise(2, 64), methods=resolve_methods(["saliency"]))
    assert explainer.rows((64, 64)) == Rows(2)


def test_other_errors_pass_through(
    explainer: Explainer, make_noise: MakeNoise, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(rows: Tensor, extra: object = None) -> Tensor:
        raise RuntimeError("shape mismatch")

    monkeypatch.setattr(explainer.prepared, "logits", broken)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        explainer.run(make_noise(2, 64), methods=resolve_methods(["saliency"]))


def test_no_gradient_is_one_clear_error() -> None:
    class Detached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x.detach()).mean((2, 3))

    x = torch.zeros(2, 3, 8, 8)
    explainer = Explainer(Classifier(Detached(), example=x))
    with pytest.raises(MethodError, match="no gradient"):
        explainer.run(x, methods=resolve_methods(["saliency"]))


def test_rows_are_whole_per_thread() -> None:
    cpu = torch.device("cpu")
    for threads in (1, 2, 3, 4, 16):
        for side in (32, 64, 112, 192, 224, 512):
            rows = rows_for(cpu, (side, side), threads)
            assert rows.count % threads == 0
            assert 2 <= rows.count <= 16 + threads
    assert rows_for(torch.device("cuda"), (224, 224), 2) == Rows(32)


def test_fill_repeats_the_last_row() -> None:
    x = torch.arange(3.0)[:, None]
    assert fill(x, 5)[:, 0].tolist() == [0, 1, 2, 2, 2]
    assert fill(x, 3).tolist() == x.tolist()
    pictures = torch.zeros(2, 3, 4, 4)
    assert fill(pictures, 5).is_contiguous()
    last = pictures.contiguous(memory_format=torch.channels_last)
    assert fill(last, 5).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("target", [-1, 5])
def test_gradients_of_a_class_that_is_not_there(
    explainer: Explainer, make_noise: MakeNoise, target: int
) -> None:
    with pytest.raises(MethodError, match="target out of range"):
        explainer.gradients(make_noise(2, 64), torch.tensor([0, target]))


def test_a_method_that_some_pictures_do_not_have_leaves_nothing(
    explainer: Explainer, make_noise: MakeNoise
) -> None:
    """Of more pictures than a run holds, the last one makes a method undefined."""

    def fn(passes: Passes, options: object) -> Tensor:
        if (passes.x == 9).all((1, 2, 3)).any():
            raise NotDefinedError("nines")
        return passes.x

    spec = MethodSpec(
        id="no-nines",
        label="",
        summary="",
        family="custom",
        fn=fn,
        cost=lambda options: 0,
        paper="",
        default_pooling="sum",
        conserves=True,
    )
    x = make_noise(33, 64)
    x[32] = 9
    found = explainer.run(x, methods=resolve_methods([spec, "random"]), skip_undefined=True)
    assert list(found.maps) == ["random"]
    assert list(found.undefined) == ["no-nines"]
    assert found.conservation == {}


def test_whole_size_leaves_no_thread_a_rest() -> None:
    for numel in (1, 63, 64, 65, 1000, 32768, 32769, 98784, 262144, 300001):
        for threads in (1, 2, 3, 4, 7, 8):
            size = whole_size(numel, threads)
            sharing = min(threads, -(-size // 32768))
            assert size >= numel
            assert size % sharing == 0
            assert size // sharing % 64 == 0


@pytest.mark.parametrize("layer", [nn.SiLU(), nn.Sigmoid(), nn.GELU(), nn.Tanh(), nn.ELU()])
def test_steady_layers_compute_the_same(layer: nn.Module) -> None:
    x = torch.randn(3, 7, 5, 5, generator=torch.Generator().manual_seed(0))
    for layout in (torch.contiguous_format, torch.channels_last):
        twins = []
        for twin in (layer, nn.Sequential(type(layer)())):
            if twin is not layer:
                steady(twin)
            leaf = x.clone().contiguous(memory_format=layout).requires_grad_()
            y = twin(leaf)
            (gradient,) = torch.autograd.grad(y.square().sum(), leaf)
            twins.append((y.detach(), gradient))
        torch.testing.assert_close(twins[0], twins[1])


def test_one_logit_row_is_padded(explainer: Explainer, make_noise: MakeNoise) -> None:
    engine = Engine(explainer.prepared, Rows(8), None)
    x = make_noise(9, 64)
    alone = engine.logits(x[:1])
    assert torch.equal(alone, engine.logits(x)[:1])
