"""A copy of a network made ready for explanations: frozen, without in-place layers, folded."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import pairwise

import torch
import torch.fx
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from xaieval.errors import ModelError
from xaieval.models.extra import Extra, fitting_extra
from xaieval.models.logits import LogitsFunction
from xaieval.models.tokens import TokenGrid, find_token_grid, layer_maps

# Folding is undone when logits move by more than this share of the largest one. Rounding alone
# moves them by about 1e-6; a wrong pair moves them by far more.
_FOLDING_TOLERANCE = 1e-3


def frozen_copy(module: nn.Module, device: str | torch.device, *, name: str = "model") -> nn.Module:
    """Return a copy in eval mode, parameters frozen, activations not in place, on ``device``.

    In-place activations overwrite what hooks and gradients need.
    """
    if isinstance(module, torch.jit.ScriptModule):
        raise ModelError(
            "a network in TorchScript cannot be looked into",
            where=name,
            fix="pass the network that was scripted or traced",
        )
    try:
        twin = copy.deepcopy(module)
    except Exception as error:
        raise ModelError(
            f"the network cannot be copied ({error})",
            where=name,
            fix="detach tensors that it keeps as attributes",
        ) from error
    twin.eval().requires_grad_(False)
    for layer in twin.modules():
        if getattr(layer, "inplace", None) is True:
            layer.inplace = False  # type: ignore[assignment]
    return twin.to(device)


def _sequential_pairs(module: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield names of (convolution, batch norm) that follow each other in a plain Sequential."""
    for name, block in module.named_modules():
        if not isinstance(block, nn.Sequential) or type(block).forward is not (
            nn.Sequential.forward
        ):
            continue
        children = list(block.named_children())
        for (first, _), (second, _) in pairwise(children):
            yield f"{name}.{first}".lstrip("."), f"{name}.{second}".lstrip(".")


def _graph_pairs(module: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield names of layers where the second alone reads what the first puts out.

    Raises whatever torch.fx raises for a network that it cannot trace.
    """
    graph = torch.fx.Tracer().trace(module)
    for node in graph.nodes:
        if node.op != "call_module" or len(node.users) != 1:
            continue
        (user,) = node.users
        if user.op == "call_module" and user.args[:1] == (node,):
            yield str(node.target), str(user.target)


def _watched_calls(
    module: nn.Module, run: Callable[[], object]
) -> tuple[dict[str, int], set[tuple[str, str]]]:
    """Return how often each conv and norm runs, and the pairs where one feeds the other."""
    calls: dict[str, int] = {}
    made: dict[int, str] = {}
    kept: list[object] = []  # ids stay unique only while the tensors live
    pairs: set[tuple[str, str]] = set()
    hooks = []

    def watch(name: str) -> Callable[[nn.Module, tuple[object, ...], object], None]:
        def hook(layer: nn.Module, inputs: tuple[object, ...], output: object) -> None:
            calls[name] = calls.get(name, 0) + 1
            if isinstance(layer, nn.BatchNorm2d) and inputs and id(inputs[0]) in made:
                pairs.add((made[id(inputs[0])], name))
            if isinstance(layer, nn.Conv2d):
                made[id(output)] = name
                kept.append(output)

        return hook

    for name, layer in module.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.BatchNorm2d)):
            hooks.append(layer.register_forward_hook(watch(name)))
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in hooks:
            handle.remove()
    return calls, pairs


def fold_batchnorm(
    module: nn.Module,
    logits: LogitsFunction,
    example: Tensor,
    *,
    extra: tuple[Tensor, ...] = (),
    keep: str | None = None,
) -> tuple[nn.Module, tuple[str, ...]]:
    """Fold each batch norm into the convolution before it; return the network and notes.

    A pair is folded only where one watched pass shows that each runs once and the norm reads the
    convolution's output, and where nothing else can read that output: the two follow each other
    in a Sequential, or torch.fx proves it. The layer named ``keep`` stays as it is. At the end
    the logits are compared, and everything is undone when they moved.
    """
    calls, pairs = _watched_calls(module, lambda: logits(module, example, *extra))
    safe = set(_sequential_pairs(module))
    notes: list[str] = []
    if pairs - safe:
        try:
            safe |= set(_graph_pairs(module))
        except Exception as error:  # torch.fx documents no common base class
            notes.append(
                f"{len(pairs - safe)} batch norms not folded: torch.fx cannot trace "
                f"{type(module).__name__} ({str(error).splitlines()[0] if str(error) else error!r})"
            )
    chosen = [
        (conv, norm)
        for conv, norm in sorted(pairs & safe)
        if conv != keep and calls[conv] == 1 and calls[norm] == 1
    ]
    folded = _folded(module, chosen)
    moved = _moved(module, folded, logits, example, extra)
    if not moved <= _FOLDING_TOLERANCE and example.device.type != "mps":
        # A network that was never shown noise may blow rounding up a millionfold; a wrong pair
        # moves the logits in float64 too.
        wide = copy.deepcopy(module).double()
        wider = tuple(t.double() if t.is_floating_point() else t for t in extra)
        moved = _moved(wide, _folded(wide, chosen), logits, example.double(), wider)
    if not moved <= _FOLDING_TOLERANCE:
        return module, (*notes, f"nothing folded: it would move the logits by {moved:.1%}")
    return folded, tuple(notes)


def _folded(module: nn.Module, pairs: list[tuple[str, str]]) -> nn.Module:
    """Return a frozen copy in which pairs of (convolution, batch norm) are one convolution."""
    folded = copy.deepcopy(module)
    for conv_name, norm_name in pairs:
        conv, norm = folded.get_submodule(conv_name), folded.get_submodule(norm_name)
        if (
            not isinstance(conv, nn.Conv2d)
            or not isinstance(norm, nn.BatchNorm2d)
            or norm.running_mean is None
        ):
            continue
        _replace(folded, conv_name, fuse_conv_bn_eval(conv, norm))
        _replace(folded, norm_name, nn.Identity())
    return folded.requires_grad_(False)


@torch.no_grad()
def _moved(
    module: nn.Module,
    folded: nn.Module,
    logits: LogitsFunction,
    example: Tensor,
    extra: tuple[Tensor, ...],
) -> float:
    """Return by what share of the largest logit two networks differ; NaN compares false."""
    before, after = logits(module, example, *extra), logits(folded, example, *extra)
    return float((before - after).abs().max() / before.abs().max())


def _replace(module: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(module.get_submodule(parent), child, layer)


class PreparedModel:
    """A frozen copy of a classifier's network on one device; use it from one thread.

    Attributes
    ----------
    module : torch.nn.Module
    device : torch.device
    exact : bool
        True: as trained. False: batch norms folded, channels_last.
    target_layer : str
    example : Tensor
        What the network was looked at with.
    example_extra : tuple of Tensor
        A second input that the network was looked at with; empty when it takes none.
    notes : tuple of str
        What was left unfolded, and why.
    """

    def __init__(
        self,
        module: nn.Module,
        logits: LogitsFunction,
        *,
        device: torch.device,
        exact: bool,
        target_layer: str,
        example: Tensor,
        example_extra: tuple[Tensor, ...] = (),
        folded: bool | None = None,
        token_grid: TokenGrid | None = None,
        name: str = "model",
    ) -> None:
        self.device, self.exact, self.target_layer, self.name = device, exact, target_layer, name
        self.module = frozen_copy(module, device, name=name)
        self._logits = logits
        self.example_extra = tuple(t.to(device) for t in example_extra)
        self.example = example.to(device)
        self._grid = token_grid
        self.notes: tuple[str, ...] = ()
        if folded if folded is not None else not exact:
            self.module, self.notes = fold_batchnorm(
                self.module,
                logits,
                self.example,
                extra=self.example_extra,
                keep=target_layer,
            )
        if not exact:
            self.module = self.module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._layer = self.module.get_submodule(target_layer) if target_layer else None

    def _input(self, x: Tensor) -> Tensor:
        if not self.exact and x.ndim == 4:
            return x.contiguous(memory_format=torch.channels_last)
        return x

    @property
    def takes_extra(self) -> bool:
        """Whether the network has a second input."""
        return bool(self.example_extra)

    @cached_property
    def token_grid(self) -> TokenGrid | None:
        """Where the tokens of a transformer lie, as given or found; None without tokens."""
        if self._grid is not None:
            return self._grid
        return find_token_grid(
            self.module, self._logits, self.example, extra=self.example_extra, name=self.name
        )

    def logits(self, x: Tensor, extra: Extra | None = None) -> Tensor:
        """Return the logits (B, C) of model input (B, 3, H, W) and its second input, if any.

        ``extra`` follows ``x`` to its device, floating tensors to its type too.
        """
        more = fitting_extra(extra, example=self.example_extra, x=x, name=self.name)
        return self._logits(self.module, self._input(x), *more)

    def layer_map(self, output: Tensor) -> Tensor:
        """Return the target layer's output, or gradients by it, as maps (b, K, h, w).

        Tokens are laid out on their grid, those in front left out.

        Raises
        ------
        ModelError
            When the output is neither maps nor tokens, or the grid of tokens is not known.
        """
        return layer_maps(output, self.token_grid if output.ndim == 3 else None)

    def logits_and_layer(self, x: Tensor, extra: Extra | None = None) -> tuple[Tensor, Tensor]:
        """Return the logits (B, C) and the target layer's output (B, K, h, w), both in the graph.

        When ``x`` needs no gradient the graph starts at that layer, so that a gradient with
        respect to it costs no pass back through the encoder.

        Raises
        ------
        ModelError
            When there is no target layer, it did not run, or its output is not a tensor; when
            ``extra`` is missing, not wanted, or does not fit.
        """
        if self._layer is None:
            raise ModelError(
                "no target layer", where=self.name, fix="name a layer with target_layer="
            )
        seen: list[object] = []

        def hook(layer: nn.Module, inputs: object, output: object) -> object:
            if isinstance(output, Tensor) and not output.requires_grad and torch.is_grad_enabled():
                output = output.detach().requires_grad_()
            seen.append(output)
            return output

        handle = self._layer.register_forward_hook(hook)
        try:
            logits = self.logits(x, extra)
        finally:
            handle.remove()
        if len(seen) != 1 or not isinstance(seen[0], Tensor):
            raise ModelError(
                f"the target layer {self.target_layer!r} cannot be read",
                where=self.name,
                expected="one run that puts out one tensor",
                got=f"{len(seen)} runs" if len(seen) != 1 else type(seen[0]).__name__,
                fix="name another layer with target_layer=",
            )
        return logits, seen[0]
