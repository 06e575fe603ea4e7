"""The backend: one computation per request, cancel, priorities, restarts, faulty samples."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from xaieval.backend import BULK, INTERACTIVE, PREFETCH, Backend, Request, pick_devices
from xaieval.cache import HeatmapCache
from xaieval.errors import Cancelled, DataError, MethodError, ModelError, XaievalError
from xaieval.jobs import Errand
from xaieval.methods import Explainer, MethodCall, MethodSpec, resolve_methods
from xaieval.models import Classifier, Preprocessing
from xaieval.types import Heatmap, Sample

SIZE = 32


class Net(torch.nn.Module):
    """A small ReLU net that counts the rows it sees and can be held at a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.head = torch.nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        CALLS.append(len(x))
        assert GATE.wait(20)
        return self.head(torch.relu(self.conv(x)).mean((2, 3)))


CALLS: list[int] = []
GATE = threading.Event()


@pytest.fixture
def model() -> Iterator[Classifier]:
    GATE.set()
    torch.manual_seed(0)
    classifier = Classifier(
        Net(),
        preprocessing=Preprocessing(
            input_size=(SIZE, SIZE), resize=None, mean=(0.5,) * 3, std=(0.5,) * 3, name="half"
        ),
        class_names=("a", "b", "c"),
        target_layer="conv",
    )
    CALLS.clear()
    yield classifier
    GATE.set()


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    made = Backend("cpu", cache=HeatmapCache(folder=tmp_path / "cache"))
    yield made
    GATE.set()
    made.close()


def sample(name: str = "x", size: int = SIZE) -> Sample:
    seed = sum(map(ord, name))

    def read() -> np.ndarray:
        return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)

    return Sample(id=name, label=1, read_image=read)


def broken() -> Sample:
    def read() -> np.ndarray:
        raise DataError("truncated", where="broken.png")

    return Sample(id="broken", label=0, read_image=read)


METHODS = resolve_methods(["gradcam", "saliency", {"id": "integrated_gradients", "n_steps": 4}])


def request(model: Classifier, one: Sample | None = None, **changes: object) -> Request:
    settings = {"checkpoint": model, "sample": one or sample(), "methods": METHODS} | changes
    return Request(**settings)  # type: ignore[arg-type]


def wait_for(condition: object, timeout_s: float = 10.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def test_an_answer_holds_prediction_maps_and_picture(backend: Backend, model: Classifier) -> None:
    told: dict[str, Heatmap] = {}
    answer = backend.submit(request(model), on_map=told.__setitem__).future.result(20)
    assert list(answer.maps) == [call.key for call in METHODS]
    assert set(told) == set(answer.maps)
    assert answer.picture.shape == (SIZE, SIZE, 3)
    assert answer.probabilities.sum() == pytest.approx(1)
    assert answer.predicted == answer.target == int(answer.logits.argmax())
    assert all(heatmap.values.shape == (SIZE, SIZE) for heatmap in answer.maps.values())
    assert answer.from_cache == frozenset()


def test_the_second_answer_is_equal_and_runs_no_model(backend: Backend, model: Classifier) -> None:
    methods = (*METHODS, *resolve_methods(["random", "sobel"]))  # baselines need none at all
    first = backend.explain(request(model, methods=methods))
    CALLS.clear()
    second = backend.explain(request(model, methods=methods))
    assert not CALLS
    assert second.from_cache == frozenset(first.maps)
    for key, heatmap in first.maps.items():
        np.testing.assert_array_equal(heatmap.values, second.maps[key].values)
    np.testing.assert_array_equal(first.logits, second.logits)


def test_the_cache_survives_a_restart(tmp_path: Path, model: Classifier) -> None:
    for restart in (False, True):
        backend = Backend("cpu", cache=HeatmapCache(folder=tmp_path))
        answer = backend.explain(request(model))
        backend.close()
        assert bool(answer.from_cache) == restart


def test_a_damaged_cache_entry_is_computed_again(tmp_path: Path, model: Classifier) -> None:
    backend = Backend("cpu", cache=HeatmapCache(folder=tmp_path))
    first = backend.explain(request(model))
    backend.close()
    for entry in tmp_path.glob("*/*.xac"):
        entry.write_bytes(entry.read_bytes()[:-3])
    backend = Backend("cpu", cache=HeatmapCache(folder=tmp_path))
    with pytest.warns(UserWarning, match="damaged"):
        second = backend.explain(request(model))
    backend.close()
    for key, heatmap in first.maps.items():
        np.testing.assert_array_equal(heatmap.values, second.maps[key].values)


def test_only_missing_methods_are_computed(backend: Backend, model: Classifier) -> None:
    backend.explain(request(model, methods=METHODS[:2]))
    answer = backend.explain(request(model))
    assert answer.from_cache == {"gradcam", "saliency"}


def test_identical_requests_are_computed_once(backend: Backend, model: Classifier) -> None:
    GATE.clear()
    hold = backend.submit(request(model, sample("hold")))
    wait_for(lambda: CALLS)
    twins = [backend.submit(request(model, sample("twin"))) for _ in range(3)]
    wait_for(lambda: backend.status()["waiting"] == 1 and backend.status()["in_flight"] == 2)
    GATE.set()
    hold.future.result(20)
    before = backend.status()["maps_computed"]
    answers = [ticket.future.result(20) for ticket in twins]
    assert all(answer is answers[0] for answer in answers)
    assert backend.status()["maps_computed"] - before <= len(METHODS)


def test_other_settings_are_other_requests(backend: Backend, model: Classifier) -> None:
    a = backend.explain(request(model, target=0))
    b = backend.explain(request(model, target=2))
    exact = backend.explain(request(model, target=2, exact=True))
    label = backend.explain(request(model, target="label"))
    assert (a.target, b.target, label.target) == (0, 2, 1)
    assert not np.array_equal(a.maps["saliency"].values, b.maps["saliency"].values)
    assert not b.from_cache
    assert not exact.from_cache


def test_same_id_other_pixels_is_another_request(backend: Backend, model: Classifier) -> None:
    backend.explain(request(model, sample("x")))
    other = Sample(id="x", label=1, read_image=sample("y").read_image)
    assert not backend.explain(request(model, other)).from_cache


def test_a_queued_request_can_be_cancelled(backend: Backend, model: Classifier) -> None:
    GATE.clear()
    hold = backend.submit(request(model, sample("hold")))
    wait_for(lambda: CALLS)
    waiting = backend.submit(request(model, sample("waiting")))
    waiting.cancel()
    GATE.set()
    with pytest.raises(Cancelled):
        waiting.future.result(20)
    hold.future.result(20)
    wait_for(lambda: backend.status()["in_flight"] == 0)


def test_a_running_request_stops_between_chunks(backend: Backend, model: Classifier) -> None:
    GATE.clear()
    long = resolve_methods([{"id": "integrated_gradients", "n_steps": 2000}])
    ticket = backend.submit(request(model, methods=long))
    wait_for(lambda: CALLS)
    ticket.cancel()
    GATE.set()
    with pytest.raises(Cancelled):
        ticket.future.result(20)
    wait_for(lambda: backend.status()["in_flight"] == 0)
    assert sum(CALLS) < 1000


def test_one_of_two_may_cancel(backend: Backend, model: Classifier) -> None:
    GATE.clear()
    hold = backend.submit(request(model, sample("hold")))
    wait_for(lambda: CALLS)
    first = backend.submit(request(model, sample("twin")))
    second = backend.submit(request(model, sample("twin")))
    wait_for(lambda: backend.status()["waiting"] == 1 and backend.status()["in_flight"] == 2)
    first.cancel()
    GATE.set()
    with pytest.raises(Cancelled):
        first.future.result(20)
    assert second.future.result(20).sample_id == "twin"
    hold.future.result(20)


def test_interactive_work_overtakes_bulk_and_prefetch(backend: Backend, model: Classifier) -> None:
    GATE.clear()
    hold = backend.submit(request(model, sample("hold")))
    wait_for(lambda: CALLS)
    finished: list[str] = []
    tickets = []
    for name, priority in [("prefetch", PREFETCH), ("bulk", BULK), ("now", INTERACTIVE)]:
        ticket = backend.submit(request(model, sample(name), priority=priority))
        ticket.future.add_done_callback(lambda f: finished.append(f.result().sample_id))
        tickets.append(ticket)
    wait_for(lambda: backend.status()["waiting"] == 3)
    GATE.set()
    for ticket in [hold, *tickets]:
        ticket.future.result(20)
    assert finished == ["now", "bulk", "prefetch"]


def test_many_are_packed_together_and_equal_one_by_one(
    backend: Backend, model: Classifier, tmp_path: Path
) -> None:
    samples = [sample(f"s{index}") for index in range(11)]
    together = backend.explain_many(model, samples, methods=METHODS)
    lonely = Backend("cpu", cache=HeatmapCache(folder=tmp_path / "other"))
    for one, answer in zip(samples, together, strict=True):
        assert not isinstance(answer, XaievalError)
        alone = lonely.explain(request(model, one))
        for key, heatmap in alone.maps.items():
            largest = np.abs(heatmap.values).max()
            np.testing.assert_allclose(answer.maps[key].values, heatmap.values, atol=1e-6 * largest)
    lonely.close()


def test_a_faulty_sample_gives_its_error_in_its_place(backend: Backend, model: Classifier) -> None:
    answers = backend.explain_many(model, [sample("a"), broken(), sample("b")], methods=METHODS)
    assert [type(answer).__name__ for answer in answers] == ["Answer", "DataError", "Answer"]
    assert "broken.png" in str(answers[1])


def test_a_listener_that_fails_harms_only_itself(backend: Backend, model: Classifier) -> None:
    def listener(key: str, heatmap: Heatmap) -> None:
        raise RuntimeError("page closed")

    bad = backend.submit(request(model, sample("x")), on_map=listener)
    with pytest.raises(RuntimeError, match="page closed"):
        bad.future.result(20)
    assert backend.explain(request(model, sample("x"))).sample_id == "x"


def test_one_faulty_job_fails_alone(backend: Backend, model: Classifier) -> None:
    GATE.clear()
    hold = backend.submit(request(model, sample("hold"), target=0))
    wait_for(lambda: CALLS)
    good = backend.submit(request(model, sample("good"), target=1))
    bad = backend.submit(request(model, sample("bad"), target=99))
    wait_for(lambda: backend.status()["waiting"] == 2)
    GATE.set()
    assert good.future.result(20).target == 1
    with pytest.raises(XaievalError, match="out of range"):
        bad.future.result(20)
    hold.future.result(20)


def test_other_target_layers_do_not_share_a_run(backend: Backend, model: Classifier) -> None:
    torch.manual_seed(1)
    deep = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.ReLU(),
        torch.nn.Conv2d(4, 4, 3),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
    )
    layers = [
        Classifier(deep, preprocessing=model.preprocessing, target_layer=layer)
        for layer in ("0", "2")
    ]
    cam = resolve_methods(["gradcam"])
    alone = [backend.explain(request(it, methods=cam, cacheable=False)) for it in layers]
    GATE.clear()
    hold = backend.submit(request(model, sample("hold")))
    wait_for(lambda: CALLS)
    tickets = [backend.submit(request(it, methods=cam, cacheable=False)) for it in layers]
    wait_for(lambda: backend.status()["waiting"] == 2)
    GATE.set()
    for before, ticket in zip(alone, tickets, strict=True):
        found = ticket.future.result(20).maps["gradcam"].values
        np.testing.assert_array_equal(found, before.maps["gradcam"].values)
    assert not np.array_equal(alone[0].maps["gradcam"].values, alone[1].maps["gradcam"].values)
    hold.future.result(20)


def test_a_network_without_feature_maps(backend: Backend) -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 2))
    classifier = Classifier(net, preprocessing=Preprocessing((8, 8)))
    picture = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    answer = backend.explain(
        Request(
            checkpoint=classifier,
            sample=Sample("flat", 0, lambda: picture),
            methods=resolve_methods(["saliency", "gradcam"]),
        )
    )
    assert list(answer.maps) == ["saliency"]
    assert list(answer.undefined) == ["gradcam"]


def test_cancelling_keeps_the_model(backend: Backend, model: Classifier) -> None:
    GATE.clear()
    hold = backend.submit(request(model, sample("hold")))
    wait_for(lambda: CALLS)
    waiting = backend.submit(request(model, sample("waiting")))
    wait_for(lambda: backend.status()["waiting"] == 1)
    waiting.cancel()
    GATE.set()
    hold.future.result(20)
    wait_for(lambda: backend.status()["in_flight"] == 0)
    assert backend.status()["prepared"] == {"cpu": 1}


def test_idle_models_are_released(tmp_path: Path, model: Classifier) -> None:
    backend = Backend("cpu", cache=HeatmapCache(folder=tmp_path), idle_s=0.05)
    backend.explain(request(model))
    wait_for(lambda: backend.status()["prepared"] == {"cpu": 0})
    assert backend.explain(request(model, sample("later"))).maps
    backend.close()


def test_a_closed_backend_ends_what_waits(tmp_path: Path, model: Classifier) -> None:
    backend = Backend("cpu", cache=HeatmapCache(folder=tmp_path))
    GATE.clear()
    running = backend.submit(request(model, sample("running")))
    wait_for(lambda: CALLS)
    waiting = backend.submit(request(model, sample("waiting")))
    closer = threading.Thread(target=backend.close)
    closer.start()
    with pytest.raises(Cancelled):
        waiting.future.result(20)
    GATE.set()
    closer.join(20)
    assert not closer.is_alive()
    with pytest.raises(Cancelled):
        running.future.result(20)


def test_a_missing_checkpoint_says_so(backend: Backend, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such checkpoint"):
        backend.explain(
            Request(checkpoint=tmp_path / "none.safetensors", sample=sample(), methods=METHODS)
        )


def test_devices_are_named_or_found() -> None:
    assert pick_devices("cpu") == ("cpu",)
    assert len(pick_devices()) >= 1
    with pytest.raises(ModelError, match="no such device"):
        pick_devices("quantum")


def needs_attention() -> MethodCall:
    spec = MethodSpec(
        id="custom:attending",
        label="Attending",
        summary="reads attention",
        family="custom",
        fn=lambda passes, options: passes.attention.weights[0],
        cost=lambda options: 1,
        paper="",
        needs=frozenset({"attention"}),
    )
    return MethodCall(spec.id, {}, spec)


def test_a_method_that_is_not_for_the_network_says_so_and_spares_the_others(
    backend: Backend, model: Classifier
) -> None:
    wish = request(model, methods=(*METHODS, needs_attention()))
    told: dict[str, Heatmap] = {}
    answer = backend.submit(wish, on_map=told.__setitem__).future.result(20)
    assert set(answer.maps) == set(told) == {call.key for call in METHODS}
    assert "no attention" in answer.undefined["custom:attending"]
    CALLS.clear()
    again = backend.explain(wish)
    assert again.undefined == answer.undefined
    assert not CALLS, "what is not defined is kept as well"


class Asked(torch.nn.Module):
    """Logits that depend on the picture and on a question of words."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.words = torch.nn.Embedding(9, 4)

    def forward(self, x: torch.Tensor, question: torch.Tensor) -> torch.Tensor:
        seen = torch.relu(self.conv(x)).mean((2, 3))
        return seen * self.words(question).sum(1)


def test_a_second_input_travels_with_its_sample(backend: Backend) -> None:
    torch.manual_seed(0)
    example = torch.zeros(2, 3, SIZE, SIZE), torch.ones((2, 3), dtype=torch.int64)
    classifier = Classifier(
        Asked(),
        preprocessing=Preprocessing(
            input_size=(SIZE, SIZE), resize=None, mean=(0.5,) * 3, std=(0.5,) * 3, name="half"
        ),
        example=example[0],
        example_extra=example[1],
        target_layer="conv",
    )
    picture = sample()
    answers = {}
    for name, words in {"short": [1, 2], "long": [1, 2, 3], "other": [4, 5, 6]}.items():
        asked = Sample(id=name, label=0, read_image=picture.read_image, extra=np.array(words))
        answers[name] = backend.explain(request(classifier, asked, target=1))
    maps = [answer.maps["saliency"].values for answer in answers.values()]
    assert not np.array_equal(maps[0], maps[1])
    assert not np.array_equal(maps[1], maps[2])
    net = classifier.module
    x = classifier.preprocessing.tensor(answers["long"].picture[None])  # type: ignore[union-attr]
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(net(x, torch.tensor([[1, 2, 3]]))[0, 1], x)
    twin = gradient.abs().amax(1)[0].numpy()
    np.testing.assert_allclose(maps[1], twin, atol=1e-6 * twin.max())
    with pytest.raises(ModelError, match="needs a second input"):
        backend.explain(request(classifier, picture))


# ---------------------------------------------------------------- errands


def test_an_errand_runs_on_the_device_s_thread(backend: Backend, model: Classifier) -> None:
    def work(explainer: Explainer, errand: Errand) -> tuple[str, bool]:
        return threading.current_thread().name, explainer.classifier is model

    assert backend.call(model, work) == ("xaieval-cpu", True)


def test_an_errand_gives_way_to_whoever_waits(backend: Backend, model: Classifier) -> None:
    order, begun, asked = [], threading.Event(), threading.Event()

    def work(explainer: Explainer, errand: Errand) -> None:
        begun.set()
        assert asked.wait(20)
        deadline = time.monotonic() + 20
        while not order and time.monotonic() < deadline:
            errand.give_way()
        order.append("errand")

    thread = threading.Thread(target=backend.call, args=(model, work))
    thread.start()
    assert begun.wait(20)
    ticket = backend.submit(request(model), on_map=lambda key, _: order.append(key))
    asked.set()
    ticket.future.result(20)
    thread.join(20)
    assert order[-1] == "errand"
    assert len(order) == 1 + len(METHODS)


def test_an_errand_s_error_is_told_to_whoever_sent_it(backend: Backend, model: Classifier) -> None:
    def work(explainer: Explainer, errand: Errand) -> None:
        raise DataError("odd", where="here")

    with pytest.raises(DataError, match="here: odd"):
        backend.call(model, work)
    assert backend.explain(request(model)).maps  # the worker lives


def test_closing_ends_an_errand(backend: Backend, model: Classifier) -> None:
    begun, ended = threading.Event(), []

    def work(explainer: Explainer, errand: Errand) -> None:
        begun.set()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            errand.give_way()

    def send() -> None:
        try:
            backend.call(model, work)
        except Cancelled:
            ended.append("cancelled")

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert begun.wait(20)
    backend.close()
    for thread in threads:
        thread.join(20)
    assert ended == ["cancelled"] * 2
    with pytest.raises(MethodError, match="closed"):
        backend.call(model, work)
