"""Methods that go back through a ReLU by another rule than calculus."""

from __future__ import annotations

from torch import Tensor

from xaieval.methods.cam import gradcam
from xaieval.methods.passes import Passes
from xaieval.methods.rules import ReluRule
from xaieval.methods.spec import MethodSpec, Options

_LAYERS = "networks whose only activation on the way to the logits is ReLU or ReLU6"


def found_by_rule(passes: Passes, options: Options) -> Tensor:
    """Return what the method's backward rule found, (b, C, H, W)."""
    found: Tensor = passes.found
    return found


def guided_gradcam(passes: Passes, options: Options) -> Tensor:
    """Return guided backprop times the upsampled Grad-CAM. Selvaraju et al. 2017, section 3.2."""
    found: Tensor = passes.found
    return found * gradcam(passes, options)


def _guided(options: Options) -> ReluRule:
    return ReluRule("guided")


def _deconvnet(options: Options) -> ReluRule:
    return ReluRule("deconvnet")


def _one(options: Options) -> int:
    return 1


SPECS = (
    MethodSpec(
        id="guided_backprop",
        label="Guided backprop",
        summary="gradient that stops at every ReLU where it, or the activation, is negative",
        family="modified-backward",
        fn=found_by_rule,
        cost=_one,
        paper="Springenberg, Dosovitskiy, Brox, Riedmiller 2015, arXiv:1412.6806, section 3.4",
        backward=_guided,
        default_pooling="l1-norm",
        signed=True,
        layers_defined=_LAYERS,
    ),
    MethodSpec(
        id="deconvnet",
        label="DeconvNet",
        summary="gradient that stops at every ReLU where it is negative, whatever the activation",
        family="modified-backward",
        fn=found_by_rule,
        cost=_one,
        paper="Zeiler, Fergus 2014, arXiv:1311.2901, section 2.1",
        backward=_deconvnet,
        default_pooling="l1-norm",
        signed=True,
        layers_defined=_LAYERS,
    ),
    MethodSpec(
        id="guided_gradcam",
        label="Guided Grad-CAM",
        summary="guided backprop where Grad-CAM is positive",
        family="modified-backward",
        fn=guided_gradcam,
        cost=_one,
        paper="Selvaraju et al. 2017, arXiv:1610.02391, section 3.2",
        needs=frozenset({"layer_act", "layer_grad"}),
        backward=_guided,
        low_resolution=True,
        default_pooling="l1-norm",
        signed=True,
        layers_defined=_LAYERS + ", with a target layer that forms a map",
    ),
)
