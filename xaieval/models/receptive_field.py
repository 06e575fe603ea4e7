"""Where the cells of a layer look: centre and stride of their receptive fields."""

from __future__ import annotations

import math
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from xaieval.errors import ModelError
from xaieval.models.classifier import Classifier, as_classifier
from xaieval.models.field_rules import Field, FieldWatch
from xaieval.models.layers import named_layer
from xaieval.models.prepared import PreparedModel

# Gradients of a few noise pictures: enough to agree within a pixel or two at 224².
_NOISE_PICTURES = 4

Pair = tuple[float, float]


@dataclass(frozen=True)
class ReceptiveField:
    """Where the cells of a layer look in the input; all places (y, x) in px, pixel 0 at 0.0.

    Attributes
    ----------
    layer : str
    input_size, map_size : (height, width)
    centre0, stride : (y, x)
        Cell (i, j) looks at ``centre0 + stride · (i, j)``.
    size : (y, x)
        Side of a cell's field, pooled gates left out; NaN where it is not known.
    exact : bool
        Whether centre and stride are arithmetic of kernels, strides and padding, with all
        branches agreeing; otherwise they are estimates, and ``notes`` says of what.
    cell : (i, j)
        The central cell, at which the rest is measured.
    centroid : (y, x)
        Of the squared gradient of that cell's channels, mean over noise pictures: where the cell
        looks with the weights there are, borders included.
    assumed : (y, x)
        Where ``upsampling="paper"`` draws that cell: (i + ½) · height / rows - ½.
    notes : tuple of str
    """

    layer: str
    input_size: tuple[int, int]
    map_size: tuple[int, int]
    centre0: Pair
    stride: Pair
    size: Pair
    exact: bool
    cell: tuple[int, int]
    centroid: Pair
    assumed: Pair
    notes: tuple[str, ...] = ()

    @property
    def centre(self) -> Pair:
        """Centre (y, x) of the central cell's field, in px."""
        return (
            self.centre0[0] + self.stride[0] * self.cell[0],
            self.centre0[1] + self.stride[1] * self.cell[1],
        )

    @property
    def displacement(self) -> Pair:
        """How far too far down and right the central cell is drawn, in px: assumed - centre."""
        return self.assumed[0] - self.centre[0], self.assumed[1] - self.centre[1]

    @property
    def effective_displacement(self) -> Pair:
        """The same against what the weights look at, in px: assumed - centroid."""
        return self.assumed[0] - self.centroid[0], self.assumed[1] - self.centroid[1]


_KNOWN: WeakKeyDictionary[
    PreparedModel | Classifier, dict[tuple[str, tuple[int, int] | None], ReceptiveField]
] = WeakKeyDictionary()


def measure_receptive_field(
    model: PreparedModel | Classifier | nn.Module,
    *,
    layer: str | nn.Module | None = None,
    input_size: tuple[int, int] | None = None,
) -> ReceptiveField:
    """Return where the cells of a layer look, by arithmetic and by gradient.

    One pass is watched: a field of 1 px at stride 1 goes in, and every convolution, pooling and
    padding on the way widens, thins or moves it (Araujo et al., Computing receptive fields of
    convolutional neural networks, Distill 2019). Patch tokens look at their patches. Results are
    remembered for each model and size.

    Parameters
    ----------
    layer : str or module, optional
        The target layer by default.
    input_size : (height, width), optional
        In px; that of the model's preprocessing or example by default.

    Raises
    ------
    ModelError
        When there is no such layer, it puts out no map, or no gradient reaches the input.

    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Flatten(), nn.Linear(64, 2))
    >>> found = measure_receptive_field(Classifier(net, example=torch.zeros(2, 3, 8, 8)))
    >>> found.centre0, found.stride, found.size, found.displacement
    ((0.0, 0.0), (2.0, 2.0), (3.0, 3.0), (0.5, 0.5))
    """
    if isinstance(model, nn.Module):
        model = as_classifier(model)
    name = (
        model.target_layer if layer is None else named_layer(model.module, layer, name=model.name)
    )
    known = _KNOWN.setdefault(model, {})
    key = name, input_size
    if key not in known:
        known[key] = _measure(
            model.prepared(exact=True, target_layer=name)
            if isinstance(model, Classifier)
            else model,
            name,
            input_size,
        )
    return known[key]


@torch.enable_grad()
def _measure(
    model: PreparedModel, layer: str, input_size: tuple[int, int] | None
) -> ReceptiveField:
    like = model.example
    height, width = input_size or (int(like.shape[2]), int(like.shape[3]))
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((_NOISE_PICTURES, like.shape[1], height, width), generator=generator)
    x = x.to(like.device, like.dtype).requires_grad_()
    some = torch.arange(_NOISE_PICTURES, device=like.device) % len(like)
    extra = tuple(t[some] for t in model.example_extra)
    watch = FieldWatch(x)
    output = _output(model, layer, x, extra, watch)
    maps = model.layer_map(output)
    rows, columns = int(maps.shape[2]), int(maps.shape[3])
    cell = rows // 2, columns // 2
    gradient = _squared_gradient(maps[:, :, cell[0], cell[1]], x, model.name, layer)
    centroid = _centroid(gradient)
    field = watch.field_of(output)
    notes: list[str] = []
    if field is None and model.token_grid is not None:
        field = watch.patches.get((rows, columns))
    if field is None:
        stride = height / rows, width / columns
        notes.extend(f"not followed through {function}" for function in watch.lost)
        notes.append("centre estimated from the gradient, stride from the sizes")
        found = tuple(
            (c - s * i, s, math.nan) for c, s, i in zip(centroid, stride, cell, strict=True)
        )
    else:
        found = tuple((a.centre0, a.stride, a.size) for a in field.axes)
        notes.extend(field.notes)
        if _beyond(gradient, field, cell):
            notes.append("its cells also see the rest of the picture (attention, pooled gates)")
    (y0, ys, yn), (x0, xs, xn) = found
    return ReceptiveField(
        layer=layer,
        input_size=(height, width),
        map_size=(rows, columns),
        centre0=(y0, x0),
        stride=(ys, xs),
        size=(yn, xn),
        exact=field is not None and field.exact,
        cell=cell,
        centroid=centroid,
        assumed=(
            (cell[0] + 0.5) * height / rows - 0.5,
            (cell[1] + 0.5) * width / columns - 0.5,
        ),
        notes=tuple(dict.fromkeys(notes)),
    )


def _output(
    model: PreparedModel, layer: str, x: Tensor, extra: tuple[Tensor, ...], watch: FieldWatch
) -> Tensor:
    """Return a layer's output on x, in the graph, with all that led to it watched."""
    seen: list[object] = []
    handle = model.module.get_submodule(layer).register_forward_hook(
        lambda module, inputs, output: seen.append(output)
    )
    try:
        with torch.enable_grad(), watch:
            model.logits(x, extra or None)
    finally:
        handle.remove()
    if len(seen) != 1 or not isinstance(seen[0], Tensor):
        raise ModelError(
            f"the layer {layer!r} cannot be read",
            where=model.name,
            expected="one run that puts out one tensor",
            got=f"{len(seen)} runs" if len(seen) != 1 else type(seen[0]).__name__,
            fix="name another layer",
        )
    return seen[0]


def _squared_gradient(values: Tensor, x: Tensor, name: str, layer: str) -> Tensor:
    """Return the squared gradient (H, W) of one cell's channels (n, K), mean over pictures.

    Channels are summed with random signs: what is expected of the square is then the sum of the
    channels' squares, also where a norm fixes their plain sum.
    """
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, (values.shape[1],), generator=generator) * 2.0 - 1.0
    score = (values * signs.to(values)).sum()
    gradient: Tensor | None = None
    if score.requires_grad:
        gradient = torch.autograd.grad(score, x, allow_unused=True)[0]
    if gradient is None or not gradient.any():
        raise ModelError("no gradient of the layer reaches the input", where=f"{name}, {layer}")
    squares = gradient.double().square().sum(1)
    # Each picture weighs the same, whatever the size of its gradient.
    total = squares.sum((1, 2), keepdim=True)
    return (squares / total.where(total > 0, 1.0)).mean(0)


def _centroid(weights: Tensor) -> Pair:
    """Return the centroid (y, x) in px of weights (H, W)."""
    found = []
    for axis in (0, 1):
        profile = weights.sum(1 - axis)
        places = torch.arange(len(profile), dtype=profile.dtype, device=profile.device)
        found.append(float((profile * places).sum() / profile.sum()))
    return found[0], found[1]


def _beyond(gradient: Tensor, field: Field, cell: tuple[int, int]) -> bool:
    """Whether a gradient (H, W) of a cell leaves the field that arithmetic gives it."""
    inside = torch.ones_like(gradient, dtype=torch.bool)
    for axis, (line, index) in enumerate(zip(field.axes, cell, strict=True)):
        places = torch.arange(gradient.shape[axis], device=gradient.device)
        near = (places - (line.centre0 + line.stride * index)).abs() <= (line.size - 1) / 2 + 1e-6
        inside &= near[:, None] if axis == 0 else near[None, :]
    return bool((gradient[~inside] > 0).any())
