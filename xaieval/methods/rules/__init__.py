"""Backwards that follow other rules than calculus: ReLU rules, LRP, DeepLIFT."""

from xaieval.methods.rules.composites import COMPOSITES, LrpRule, conservation
from xaieval.methods.rules.deeplift import DeepLiftRule
from xaieval.methods.rules.relu import ReluRule
from xaieval.methods.rules.run import Rule, run_rules, undefined

__all__ = [
    "COMPOSITES",
    "DeepLiftRule",
    "LrpRule",
    "ReluRule",
    "Rule",
    "conservation",
    "run_rules",
    "undefined",
]
