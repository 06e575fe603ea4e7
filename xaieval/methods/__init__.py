"""Attribution methods: the table, shared passes, and ``explain``."""

from xaieval.methods.api import explain
from xaieval.methods.calls import MethodCall, MethodLike, parse_method, resolve_methods
from xaieval.methods.explainer import Explainer, Explanation
from xaieval.methods.passes import Passes
from xaieval.methods.planner import Plan, plan
from xaieval.methods.pooling import POOLINGS, pool
from xaieval.methods.registry import METHODS
from xaieval.methods.run import About
from xaieval.methods.spec import FAMILIES, MethodSpec, Option
from xaieval.methods.streams import Stream, StreamSpec
from xaieval.methods.upsampling import UPSAMPLINGS

__all__ = [
    "FAMILIES",
    "METHODS",
    "POOLINGS",
    "UPSAMPLINGS",
    "About",
    "Explainer",
    "Explanation",
    "MethodCall",
    "MethodLike",
    "MethodSpec",
    "Option",
    "Passes",
    "Plan",
    "Stream",
    "StreamSpec",
    "explain",
    "parse_method",
    "plan",
    "pool",
    "resolve_methods",
]
