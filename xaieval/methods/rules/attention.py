"""Attention, written out under a watch, so that each of its steps meets its own rule."""

from __future__ import annotations

from typing import Any

from xaieval.methods.rules.watch import Call, Watch
from xaieval.models.attention import explicit_attention, explicit_mha

ATTENTION = frozenset({"multi_head_attention_forward", "scaled_dot_product_attention"})


def attention(watch: Watch, call: Call) -> Any:
    """Run a call of a function in ``ATTENTION`` step by step under the watch.

    Extra keys (``bias_k``, ``add_zero_attn``, ``static_k``) have no rule.
    """
    if call.name == "scaled_dot_product_attention":
        with watch:
            return explicit_attention(*call.args, **call.options)[0]
    extra = [*call.args[7:10], call.options.get("static_k"), call.options.get("static_v")]
    if any(value is not None and value is not False for value in extra):
        found = call.run()
        watch.block(found, "attention with extra keys")
        return found
    with watch:
        return explicit_mha(*call.args, **call.options)
