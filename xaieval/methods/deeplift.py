"""DeepLIFT as a method; its rules are in ``rules.deeplift``."""

from __future__ import annotations

from xaieval.methods.baseline_inputs import baseline_option
from xaieval.methods.modified_backward import found_by_rule
from xaieval.methods.rules import DeepLiftRule
from xaieval.methods.spec import MethodSpec, Options


def _rule(options: Options) -> DeepLiftRule:
    return DeepLiftRule(options["baseline"])


def _two(options: Options) -> int:
    return 2


SPECS = (
    MethodSpec(
        id="deeplift",
        label="DeepLIFT",
        summary="the logit's change from a baseline, shared by changes over changes (rescale rule)",
        family="gradient",
        fn=found_by_rule,
        cost=_two,
        paper="Shrikumar, Greenside, Kundaje 2017, arXiv:1704.02685, section 3.5.1",
        backward=_rule,
        options={"baseline": baseline_option()},
        default_pooling="l1-norm",
        signed=True,
        layers_defined="networks of linear layers, elementwise functions, products, softmax, norms,"
        " attention, sums and poolings",
    ),
)
