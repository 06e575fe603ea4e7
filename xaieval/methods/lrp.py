"""Layer-wise relevance propagation as a method; its rules are in ``rules.lrp_rules``."""

from __future__ import annotations

from xaieval.methods.modified_backward import found_by_rule
from xaieval.methods.rules import COMPOSITES, LrpRule
from xaieval.methods.spec import MethodSpec, Option, Options


def _rule(options: Options) -> LrpRule:
    return LrpRule(options["composite"], epsilon=options["epsilon"], gamma=options["gamma"])


def _one(options: Options) -> int:
    return 1


SPECS = (
    MethodSpec(
        id="lrp",
        label="LRP",
        summary="the logit handed back layer by layer, to each input its share of what came out",
        family="modified-backward",
        fn=found_by_rule,
        cost=_one,
        paper="Bach et al. 2015, doi:10.1371/journal.pone.0130140; composites: Kohlbrenner et al. "
        "2020, arXiv:1910.09840, section 3",
        backward=_rule,
        conserves=True,
        options={
            "composite": Option(
                default="epsilon_plus",
                help="which rule serves which type of layer; _flat and _box: the rule at the input",
                kind="choice",
                choices=tuple(COMPOSITES),
            ),
            "epsilon": Option(
                default=1e-6,
                help="ε of the ε rule, in units of a layer's output",
                kind="float",
            ),
            "gamma": Option(default=0.25, help="γ of the γ rule", kind="float"),
        },
        default_pooling="sum,pos",
        signed=True,
        layers_defined="networks of linear layers, convolutions, activations with f(0) = 0, norms, "
        "poolings, sums, gates and attention",
    ),
)
