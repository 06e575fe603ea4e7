"""What a network is made of, seen in one watched pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from xaieval.errors import ModelError
from xaieval.models.calls import Activation, Called, CallWatch
from xaieval.models.classifier import Classifier
from xaieval.models.logits import tensors_of
from xaieval.models.tokens import TokenGrid

_NORMS = (
    nn.modules.batchnorm._NormBase,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.LocalResponseNorm,
    nn.RMSNorm,
)


@dataclass(frozen=True)
class Norm:
    """A normalisation; ``folded``: one with its convolution in the fast copy."""

    kind: str
    layer: str
    folded: bool


@dataclass(frozen=True)
class AttentionBlocks:
    """Self-attention blocks of a network, and where its tokens lie if that is known."""

    blocks: int
    heads: tuple[int, ...]
    tokens: tuple[int, ...]
    grid: TokenGrid | None


@dataclass(frozen=True)
class Output:
    """A tensor that the network returns; ``fits``: it could be class logits."""

    path: str
    shape: tuple[int, ...]
    dtype: str
    fits: bool
    is_logits: bool


@dataclass(frozen=True)
class Anatomy:
    """What a network is made of. Plain data; ``print`` shows it.

    Attributes
    ----------
    input_shape : (channels, height, width)
        What it was looked at with.
    extra_shapes : tuple of shapes without the row axis
        Of a second input.
    outputs : tuple of Output
        Everything the network returns; ``is_logits`` marks what is explained.
    functions : tuple of Called
        Every function whose result carries a gradient, in order of first call.
    activations, norms : tuple
    reused : tuple of (layer, calls)
        Modules that run more than once in a pass.
    in_place : tuple of Called
        Functions other than activations that overwrite their argument.
    attention : AttentionBlocks or None
    target_layer : str
        Empty when there is none.
    target_shape : (channels, height, width) or None
        Of the target layer's maps, tokens laid out.
    notes : tuple of str
        What could not be found or folded, and why.
    """

    name: str
    input_shape: tuple[int, ...]
    extra_shapes: tuple[tuple[int, ...], ...]
    n_classes: int
    parameters: int
    outputs: tuple[Output, ...]
    functions: tuple[Called, ...]
    activations: tuple[Activation, ...]
    norms: tuple[Norm, ...]
    reused: tuple[tuple[str, int], ...]
    in_place: tuple[Called, ...]
    attention: AttentionBlocks | None
    target_layer: str
    target_shape: tuple[int, ...] | None
    notes: tuple[str, ...]

    @property
    def takes_extra(self) -> bool:
        """Whether the network has a second input."""
        return bool(self.extra_shapes)

    @property
    def kinds(self) -> dict[str, int]:
        """Kind of activation -> calls in one pass, most frequent first.

        >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU6(), nn.Flatten(), nn.Linear(144, 2))
        >>> anatomy(Classifier(net, example=torch.zeros(2, 3, 8, 8))).kinds
        {'relu6': 1}
        """
        counts = Counter[str]()
        for activation in self.activations:
            counts[activation.kind] += activation.count
        return dict(counts.most_common())

    @property
    def convolutions(self) -> int:
        """Calls of ``conv2d`` in one pass."""
        return self.calls("conv2d")

    def calls(self, function: str) -> int:
        """Return how often a function is called in one pass."""
        return sum(c.count for c in self.functions if c.function == function)

    def __str__(self) -> str:
        return "\n".join(f"{label:<13}{text}" for label, text in _lines(self))


def _lines(found: Anatomy) -> Iterator[tuple[str, str]]:
    """Yield (label, text) for each line that describes a network."""
    size = " x ".join(map(str, found.input_shape))
    yield "network", f"{found.name}, {found.parameters:,} parameters, {found.n_classes} classes"
    more = " and ".join(str(shape) for shape in found.extra_shapes)
    yield "input", size + (f", second input {more}" if more else "")
    for output in found.outputs:
        kind = "logits" if output.is_logits else "could be logits" if output.fits else "other"
        yield "output", f"{output.path or '(alone)'} {output.dtype} {output.shape}: {kind}"
    for kind, count in found.kinds.items():
        these = [a for a in found.activations if a.kind == kind]
        facts = [f"{kind} {count}"]
        facts += [f"{n} in place" for n in [sum(a.count for a in these if a.in_place)] if n]
        facts += [f"{n} functional" for n in [sum(a.count for a in these if a.functional)] if n]
        yield "activation", ", ".join(facts)
    for layer, count in found.reused:
        yield "reused", f"{layer} runs {count} times"
    for call in found.in_place:
        yield "in place", f"{call.function} in {call.layer or 'the network'}, {call.count} times"
    norms = Counter(norm.kind for norm in found.norms)
    folded = sum(norm.folded for norm in found.norms)
    yield (
        "layers",
        ", ".join(
            [f"{found.convolutions} convolutions", *(f"{n} {kind}" for kind, n in norms.items())]
            + ([f"{folded} norms folded in the fast copy"] if norms else [])
        ),
    )
    if found.attention is not None:
        a = found.attention
        heads, tokens = ("/".join(map(str, values)) for values in (a.heads, a.tokens))
        grid = (
            f", {a.grid.prefix} in front of {a.grid.height} x {a.grid.width} patches"
            if a.grid
            else ""
        )
        yield "attention", f"{a.blocks} blocks of {heads} heads over {tokens} tokens{grid}"
    maps = "" if found.target_shape is None else ", " + " x ".join(map(str, found.target_shape))
    yield "target layer", (found.target_layer or "none") + maps
    for note in found.notes:
        yield "note", note


_KNOWN: WeakKeyDictionary[Classifier, Anatomy] = WeakKeyDictionary()


def anatomy(classifier: Classifier) -> Anatomy:
    """Return what a network is made of; found once for each classifier.

    Raises
    ------
    ModelError
        When the network does not run or has no logits.
    """
    if classifier not in _KNOWN:
        _KNOWN[classifier] = _look_at(classifier)
    return _KNOWN[classifier]


def _look_at(classifier: Classifier) -> Anatomy:
    head, (x, extra) = classifier._head, classifier._looks
    network = classifier._exact_copy
    names = {module: name for name, module in network.named_modules()}
    watch = CallWatch(names, classifier.module)
    with _counted(network) as runs, torch.enable_grad(), watch:
        logits = head(network, x.detach().clone().requires_grad_(), *extra)
    notes: list[str] = []
    target = ""
    try:
        target = classifier.target_layer
    except ModelError as error:
        notes.append(error.what)
    prepared = classifier.prepared(classifier._home)
    notes.extend(prepared.notes)
    target_shape: tuple[int, ...] | None = None
    attention: AttentionBlocks | None = None
    if watch.seen:
        grid: TokenGrid | None = None
        try:
            grid = classifier.token_grid
        except ModelError as error:
            notes.append(error.what)
        attention = AttentionBlocks(
            blocks=len(watch.seen),
            heads=tuple(sorted({int(w.shape[1]) for w in watch.seen})),
            tokens=tuple(sorted({int(w.shape[2]) for w in watch.seen})),
            grid=grid,
        )
    if target:
        try:
            with torch.no_grad():
                layer = prepared.logits_and_layer(x, extra or None)[1]
            target_shape = tuple(prepared.layer_map(layer).shape[1:])
        except ModelError as error:
            notes.append(f"target layer {target}: {error.what}")
    return Anatomy(
        name=classifier.name,
        input_shape=tuple(x.shape[1:]),
        extra_shapes=tuple(tuple(t.shape[1:]) for t in extra),
        n_classes=classifier.n_classes,
        parameters=sum(p.numel() for p in network.parameters()),
        outputs=_outputs(network, x, extra, logits),
        functions=tuple(Called(*key, count) for key, count in watch.functions.items()),
        activations=tuple(watch.activations()),
        norms=tuple(
            Norm(type(module).__name__, name, _is_identity(prepared.module, name))
            for name, module in network.named_modules()
            if isinstance(module, _NORMS) and runs[name]
        ),
        reused=tuple((name, count) for name, count in runs.items() if count > 1),
        in_place=tuple(Called(*key, count) for key, count in watch.in_place.items()),
        attention=attention,
        target_layer=target,
        target_shape=target_shape,
        notes=tuple(notes),
    )


def _is_identity(network: nn.Module, name: str) -> bool:
    return isinstance(network.get_submodule(name), nn.Identity)


@torch.no_grad()
def _outputs(
    network: nn.Module, x: Tensor, extra: tuple[Tensor, ...], logits: Tensor
) -> tuple[Output, ...]:
    def same(tensor: Tensor) -> bool:
        slack = torch.finfo(logits.dtype).eps ** 0.5 * float(logits.abs().max())
        return torch.allclose(tensor, logits.to(tensor.dtype), rtol=0.0, atol=slack)

    found = []
    for path, tensor in tensors_of(network(x, *extra)):
        fits = tensor.ndim == 2 and len(tensor) == len(x) and tensor.is_floating_point()
        equal = fits and tensor.shape == logits.shape and same(tensor)
        dtype = str(tensor.dtype).removeprefix("torch.")
        found.append(Output(path, tuple(tensor.shape), dtype, fits, equal))
    return tuple(found)


@contextmanager
def _counted(network: nn.Module) -> Iterator[Counter[str]]:
    """Count the runs of each module inside the ``with``."""
    runs = Counter[str]()

    def count(name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            runs[name] += 1

        return hook

    hooks = [m.register_forward_hook(count(name)) for name, m in network.named_modules() if name]
    try:
        yield runs
    finally:
        for handle in hooks:
            handle.remove()
