"""Method calls: canonical options, keys, digests, errors."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from captum.attr import Saliency

from xaieval.errors import ConfigError, MethodError
from xaieval.methods import METHODS, MethodCall, MethodSpec, parse_method, plan, resolve_methods


def test_defaults_are_filled_in_and_equal() -> None:
    bare, full = (
        MethodCall("integrated_gradients"),
        MethodCall("integrated_gradients", {"baseline": "zero", "n_steps": 25}),
    )
    assert bare == full
    assert hash(bare) == hash(full)
    assert bare.key == full.key == "integrated_gradients"
    assert bare.options == {"n_steps": 25, "baseline": "zero", "pooling": "l1-norm"}
    assert bare != MethodCall("integrated_gradients", {"n_steps": 26})
    counted = MethodCall("smoothgrad", {"n_samples": np.int64(3), "sigma": np.float32(0.5)})
    assert counted.key == "smoothgrad[n_samples=3,sigma=0.5]"
    assert pickle.dumps(counted.options) == pickle.dumps(parse_method(counted.key).options)


def test_key_survives_parsing() -> None:
    for call in (
        MethodCall("saliency", {"pooling": "sum,pos"}),
        MethodCall("integrated_gradients", {"n_steps": 3, "pooling": "l2-norm,sq"}),
        MethodCall("centre_prior", {"sigma": 0.1}),
        MethodCall("occlusion", {"window": 8}),
        MethodCall("gradcam"),
    ):
        assert parse_method(call.key) == call
    assert parse_method("occlusion[window=none]") == MethodCall("occlusion")
    assert parse_method("eigen_cam[centre=none]") == MethodCall("eigen_cam")


def test_calls_travel_between_processes() -> None:
    call = MethodCall("integrated_gradients", {"n_steps": 3})
    assert pickle.loads(pickle.dumps(call)) == call


def test_every_row_of_the_table_is_complete() -> None:
    for method in METHODS:
        call = MethodCall(method)
        assert call.spec.id == method
        assert call.spec.label
        assert call.spec.summary
        assert call.spec.paper
        assert (call.cost == 0) == call.spec.baseline
        assert all(option.help for option in call.spec.options.values())
        assert call.spec.canonical(call.spec.defaults) == call.spec.defaults


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("gradcamm", "Did you mean 'gradcam'"),
        ({"id": "integrated_gradients", "nsteps": 3}, "Did you mean 'n_steps'"),
        ({"id": "integrated_gradients", "n_steps": 0}, "at least 1"),
        ({"id": "integrated_gradients", "n_steps": 2.5}, "a whole number"),
        ({"id": "integrated_gradients", "n_steps": True}, "a whole number"),
        ({"id": "integrated_gradients", "baseline": "black"}, "zero"),
        ({"id": "centre_prior", "sigma": "wide"}, "a number"),
        ({"id": "centre_prior", "sigma": float("nan")}, "a number"),
        ({"id": "saliency", "pooling": "l1"}, "l1-norm"),
        ({"id": "random", "sigma": 1}, "takes no option"),
        ({"n_steps": 3}, "without id"),
        ("saliency[pooling", "not a method"),
        ("saliency[max]", "name=value"),
    ],
)
def test_what_is_wrong_is_said(method: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve_methods([method])


def test_not_a_method() -> None:
    with pytest.raises(MethodError, match="not a method"):
        resolve_methods([3])


def test_options_by_id() -> None:
    (call,) = resolve_methods("integrated_gradients", {"integrated_gradients": {"n_steps": 7}})
    assert call.options["n_steps"] == 7
    (both,) = resolve_methods(
        ["integrated_gradients[pooling=sum]"], {"integrated_gradients": {"n_steps": 7}}
    )
    assert (both.options["n_steps"], both.options["pooling"]) == (7, "sum")
    with pytest.raises(ConfigError, match="not among the methods"):
        resolve_methods(["gradcam"], {"saliency": {"pooling": "sum"}})


def test_nothing_and_twice() -> None:
    with pytest.raises(ConfigError, match="no method"):
        resolve_methods([])
    with pytest.raises(ConfigError, match="named twice"):
        resolve_methods(["saliency", {"id": "saliency", "pooling": "max-norm"}])
    keys = [c.key for c in resolve_methods(["saliency", "saliency[pooling=l1-norm]"])]
    assert keys == ["saliency", "saliency[pooling=l1-norm]"]


def test_custom_methods_are_never_taken_for_each_other() -> None:
    def mine(forward: object, x: object, targets: object) -> object:
        return x

    one, two = resolve_methods(mine)[0], resolve_methods(mine)[0]
    assert one.key == two.key == "custom:mine"
    assert one.digest == one.digest != two.digest
    assert resolve_methods(Saliency)[0].key == "captum:Saliency"


def test_equal_paths_are_run_once() -> None:
    calls = resolve_methods(
        [
            "integrated_gradients",
            "integrated_gradients[pooling=sum,pos]",
            "integrated_gradients[n_steps=5]",
            "gradcam",
            "saliency",
            "gradient_x_input",
            "random",
        ]
    )
    found = plan(calls)
    size = (64, 64)
    assert found.gradient_rows(size) == 1 + 5 + 25
    assert sorted(stream.per_image(size) for stream in found.streams) == [5, 25]
    assert [call.id for call in found.free] == ["random"]


def test_a_spec_says_what_it_needs() -> None:
    with pytest.raises(ConfigError, match="path_grad"):
        MethodSpec(
            id="x",
            label="x",
            summary="x",
            family="gradient",
            fn=METHODS["saliency"].fn,
            cost=METHODS["saliency"].cost,
            paper="",
            needs=frozenset({"path_grad"}),
        )
    with pytest.raises(MethodError, match="attention is read in the pass at the picture"):
        MethodSpec(
            id="x",
            label="x",
            summary="x",
            family="attention",
            fn=METHODS["raw_attention"].fn,
            cost=METHODS["raw_attention"].cost,
            paper="",
            needs=frozenset({"attention", "forward"}),
        )
