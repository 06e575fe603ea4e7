"""Running backward rules: one forward for all rules of a group, one backward for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from xaieval.errors import MethodError, NotDefinedError
from xaieval.methods.rules import deeplift, lrp, relu
from xaieval.methods.rules.composites import LrpRule
from xaieval.methods.rules.deeplift import DeepLiftRule, DeepLiftWatch
from xaieval.methods.rules.lrp import LrpWatch
from xaieval.methods.rules.relu import ReluRule, ReluWatch
from xaieval.methods.rules.watch import Blocked, Watch, not_defined
from xaieval.methods.spec import BackwardRule

Rule = ReluRule | LrpRule | DeepLiftRule
Forward = Callable[[Tensor], Tensor]
_EXPECTED = {"relu": relu.EXPECTED, "lrp": lrp.EXPECTED, "deeplift": deeplift.EXPECTED}


def run_rules(
    rules: Sequence[BackwardRule],
    forward: Forward,
    x: Tensor,
    choose: Callable[[Tensor], Tensor],
    *,
    module: nn.Module,
    bounds: tuple[Tensor, Tensor] | None = None,
    baselines: Mapping[str, Tensor] | None = None,
) -> list[Tensor]:
    """Return the attribution of each rule.

    Row i of every result depends on row i of ``x`` alone, bit for bit while the number of rows
    stays the same. The network is left as it was, also when something is raised.

    Parameters
    ----------
    rules : sequence of one group
    forward : callable
        ``forward(rows (b, C, H, W))`` -> logits (b, classes), in the graph of the rows.
    x : float (b, C, H, W)
    choose : callable
        ``choose(logits)`` -> int64 (b,), the class to explain of each row.
    module : torch.nn.Module
        What ``forward`` runs: frozen, in eval mode. It names the layers in errors.
    bounds : (low, high), optional
        The least and largest value of ``x``, float of any shape that broadcasts to it; for the
        box rule.
    baselines : mapping of name -> float (b, C, H, W), optional
        For DeepLIFT; zeros when it is not there.

    Returns
    -------
    list of float (b, C, H, W)
        Gradient-like for the ReLU rules; relevance for LRP; multiplier · (x − baseline) for
        DeepLIFT.

    Raises
    ------
    NotDefinedError
        Before any backward, with the first function that has no rule and its layer; for parts in
        TorchScript.
    MethodError
        When the parameters are not frozen or the logits do not depend on the input.
    """
    known = _checked(rules, module)
    of_deeplift = [rule for rule in known if isinstance(rule, DeepLiftRule)]
    if of_deeplift:
        return [_deeplift(rule, forward, x, choose, module, baselines) for rule in of_deeplift]
    watch, leaf, logits = _watched(known, forward, x, module, bounds)
    _raise_blocked(known, watch, logits)
    score = _score(logits, choose)
    found = []
    for number, rule in enumerate(known):
        last = number == len(known) - 1
        if isinstance(watch, ReluWatch) and isinstance(rule, ReluRule):
            watch.kind = rule.kind
        elif isinstance(watch, LrpWatch) and isinstance(rule, LrpRule):
            watch.rule = rule
        gradient = _gradient(score, leaf, keep=not last)
        shared = isinstance(rule, LrpRule) and rule.first is None
        found.append(leaf.detach() * gradient if shared else gradient)
    return found


def undefined(
    rule: BackwardRule,
    forward: Forward,
    x: Tensor,
    *,
    module: nn.Module,
    bounds: tuple[Tensor, Tensor] | None = None,
) -> str | None:
    """Say why a rule is not defined for a network, or None when it is; runs no backward.

    Parameters as in ``run_rules``.
    """
    try:
        known = _checked([rule], module)
        if rule.group == "deeplift":
            watch, _, logits = _deeplift_logits(forward, x, torch.zeros_like(x), module)
        else:
            watch, _, logits = _watched(known, forward, x, module, bounds)
        _raise_blocked(known, watch, logits)
    except MethodError as error:
        return str(error)
    return None


def _checked(rules: Sequence[BackwardRule], module: nn.Module) -> list[Rule]:
    known = [rule for rule in rules if isinstance(rule, Rule)]
    if len(known) != len(rules) or len({rule.group for rule in rules}) != 1:
        raise MethodError(
            "rules that do not run together",
            expected="at least one, all ReluRule, all LrpRule or all DeepLiftRule",
            got=", ".join(map(repr, rules)),
        )
    if any(parameter.requires_grad for parameter in module.parameters()):
        raise MethodError(
            "the parameters are not frozen",
            where=known[0].label,
            fix="call module.requires_grad_(False)",
        )
    for name, layer in module.named_modules():
        if isinstance(layer, torch.jit.ScriptModule):
            raise NotDefinedError(
                f"{known[0].label} is not defined for this network: nobody sees what TorchScript "
                "computes",
                where=name or type(layer).__name__,
                fix="explain the network that was scripted or traced",
            )
    return known


def _watched(
    rules: Sequence[Rule],
    forward: Forward,
    x: Tensor,
    module: nn.Module,
    bounds: tuple[Tensor, Tensor] | None,
) -> tuple[Watch, Tensor, Tensor]:
    """Run the forward that rules of one group share; return (watch, input, logits)."""
    leaf = x.detach().requires_grad_()
    of_lrp = [rule for rule in rules if isinstance(rule, LrpRule)]
    watch = LrpWatch(module, of_lrp, bounds) if of_lrp else ReluWatch(module)
    if isinstance(watch, LrpWatch):
        watch.start(leaf)
    return watch, leaf, _seen(watch, forward, leaf)


def _seen(watch: Watch, forward: Forward, x: Tensor) -> Tensor:
    """Return the logits of a forward that a watch sees."""
    try:
        with torch.enable_grad(), watch:
            return forward(x)
    except BaseException:
        watch.forget()
        raise


def _raise_blocked(rules: Sequence[Rule], watch: Watch, logits: Tensor) -> None:
    """Raise for the first rule that has no backward for what the logits were made of."""
    blocked = watch.reached(logits)
    watch.forget()
    for rule in rules:
        special = isinstance(rule, LrpRule) and rule.first is not None
        concerned: list[Blocked] = [b for b in blocked if special or not b.first_only]
        if concerned:
            raise not_defined(rule.label, concerned, _EXPECTED[rule.group])
    if not logits.requires_grad:
        raise MethodError(
            "the logits have no gradient",
            where=rules[0].label,
            expected="a network that is differentiable throughout",
            fix="remove detach() and no_grad() from its forward",
        )


def _score(logits: Tensor, choose: Callable[[Tensor], Tensor]) -> Tensor:
    targets = choose(logits.detach())
    with torch.enable_grad():
        return logits.gather(1, targets[:, None]).sum()


def _gradient(score: Tensor, leaf: Tensor, *, keep: bool = False) -> Tensor:
    (found,) = torch.autograd.grad(score, leaf, retain_graph=keep, allow_unused=True)
    return torch.zeros_like(leaf) if found is None else found


def _deeplift_logits(
    forward: Forward, x: Tensor, baseline: Tensor, module: nn.Module
) -> tuple[Watch, Tensor, Tensor]:
    """Run baseline and picture; return (watch, input, logits of the picture)."""
    watch = DeepLiftWatch(module)
    # In the graph too, so that the same calls are seen in both runs.
    _seen(watch, forward, baseline.detach().requires_grad_())
    watch.turn()
    leaf = x.detach().requires_grad_()
    return watch, leaf, _seen(watch, forward, leaf)


def _deeplift(
    rule: DeepLiftRule,
    forward: Forward,
    x: Tensor,
    choose: Callable[[Tensor], Tensor],
    module: nn.Module,
    baselines: Mapping[str, Tensor] | None,
) -> Tensor:
    if baselines is None and rule.baseline != "zero":
        raise MethodError("no baseline was given", where=rule.label, expected=rule.baseline)
    baseline = torch.zeros_like(x) if baselines is None else baselines[rule.baseline]
    watch, leaf, logits = _deeplift_logits(forward, x, baseline, module)
    _raise_blocked([rule], watch, logits)
    multipliers = _gradient(_score(logits, choose), leaf)
    return (x - baseline) * multipliers
