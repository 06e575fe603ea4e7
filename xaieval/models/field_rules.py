"""How each function moves, widens or thins the receptive fields of a map's cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


@dataclass(frozen=True)
class Axis:
    """Fields along one axis of a map: cell i sees ``size`` px around ``centre0 + stride · i``."""

    centre0: float = 0.0
    stride: float = 1.0
    size: float = 1.0

    def window(self, kernel: int, stride: int, before: float, dilation: int = 1) -> Axis:
        """Return the fields after a window slides over the cells, ``before`` of them padding.

        >>> Axis().window(3, 2, 1).window(3, 2, 1)
        Axis(centre0=0.0, stride=4.0, size=7.0)
        """
        reach = (kernel - 1) * dilation
        return Axis(
            self.centre0 + (reach / 2 - before) * self.stride,
            self.stride * stride,
            self.size + reach * self.stride,
        )


@dataclass(frozen=True)
class Field:
    """The receptive fields of a map's cells.

    Attributes
    ----------
    axes : (Axis, Axis)
        Of height and width.
    dims : (int, int)
        Which axes of the tensor are height and width.
    exact : bool
        False after branches that look at different places.
    """

    axes: tuple[Axis, Axis] = (Axis(), Axis())
    dims: tuple[int, int] = (2, 3)
    exact: bool = True
    notes: tuple[str, ...] = ()

    def size_of(self, tensor: Tensor) -> tuple[int, int]:
        """Return height and width of a tensor that has these fields."""
        return int(tensor.shape[self.dims[0]]), int(tensor.shape[self.dims[1]])


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, (tuple, list)):
        return (int(value[0]), int(value[-1]))
    return int(value), int(value)


class _Call:
    """A function call whose arguments are read by place or name."""

    def __init__(self, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        self.args, self.options = args, options

    def get(self, place: int, name: str, default: Any = None) -> Any:
        return self.args[place] if place < len(self.args) else self.options.get(name, default)


def _windows(
    field: Field, kernel: Any, stride: Any, padding: Any, dilation: Any
) -> tuple[Axis, Axis]:
    kernels, dilations = _pair(kernel), _pair(dilation)
    strides = kernels if stride is None or stride == [] else _pair(stride)
    if padding == "same":
        # An odd total gives the extra zero to the end.
        before = ((kernels[0] - 1) * dilations[0] // 2, (kernels[1] - 1) * dilations[1] // 2)
    else:
        before = (0, 0) if padding == "valid" else _pair(padding)
    y, x = (
        axis.window(kernels[i], strides[i], before[i], dilations[i])
        for i, axis in enumerate(field.axes)
    )
    return y, x


def _conv(field: Field, source: Tensor, found: Tensor, call: _Call) -> Field:
    kernel = tuple(call.get(1, "weight").shape[2:])
    stride, padding = call.get(3, "stride", 1), call.get(4, "padding", 0)
    return replace(field, axes=_windows(field, kernel, stride, padding, call.get(5, "dilation", 1)))


def _max_pool(field: Field, source: Tensor, found: Tensor, call: _Call) -> Field:
    kernel, stride = call.get(1, "kernel_size"), call.get(2, "stride")
    padding, dilation = call.get(3, "padding", 0), call.get(4, "dilation", 1)
    return replace(field, axes=_windows(field, kernel, stride, padding, dilation))


def _avg_pool(field: Field, source: Tensor, found: Tensor, call: _Call) -> Field:
    kernel, stride = call.get(1, "kernel_size"), call.get(2, "stride")
    return replace(field, axes=_windows(field, kernel, stride, call.get(3, "padding", 0), 1))


def _lp_pool(field: Field, source: Tensor, found: Tensor, call: _Call) -> Field:
    kernel, stride = call.get(2, "kernel_size"), call.get(3, "stride")
    return replace(field, axes=_windows(field, kernel, stride, 0, 1))


def _adaptive(field: Field, source: Tensor, found: Tensor, call: _Call) -> Field | None:
    before, after = field.size_of(source), field.size_of(found)
    if any(b % a for b, a in zip(before, after, strict=True)):
        return None  # windows of several sizes
    window = before[0] // after[0], before[1] // after[1]
    return replace(field, axes=_windows(field, window, window, 0, 1))


def _resize(field: Field, source: Tensor, found: Tensor, call: _Call) -> Field | None:
    # Between two cells there is none, so an enlarged map's cells have no field of one size.
    return field if source.shape == found.shape else None


def _pad(field: Field, source: Tensor, found: Tensor, call: _Call) -> Field:
    widths = list(call.get(1, "pad"))
    axes = list(field.axes)
    for i, dim in enumerate(field.dims):
        place = 2 * (source.ndim - 1 - dim)  # pairs come from the last axis backwards
        if place < len(widths):
            axes[i] = axes[i].window(1, 1, widths[place])
    return replace(field, axes=(axes[0], axes[1]))


def _getitem(field: Field, source: Tensor, found: Tensor, call: _Call) -> Field | None:
    index = call.get(1, "index")
    parts = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in [p for p in parts if not isinstance(p, Tensor)]:
        place = next(i for i, p in enumerate(parts) if p is Ellipsis)
        missing = source.ndim - len(parts) + 1
        parts[place : place + 1] = [slice(None)] * missing
    if found.ndim != source.ndim or not all(isinstance(p, slice) for p in parts):
        return None
    axes = list(field.axes)
    for i, dim in enumerate(field.dims):
        if dim < len(parts):
            start, _, step = parts[dim].indices(source.shape[dim])
            axes[i] = axes[i].window(1, step, -start)
    return replace(field, axes=(axes[0], axes[1]))


def _permute(field: Field, source: Tensor, found: Tensor, call: _Call) -> Field:
    order = call.get(1, "dims")
    places = list(order) if isinstance(order, (tuple, list)) else list(call.args[1:])
    places = [int(p) % source.ndim for p in places]
    return replace(field, dims=(places.index(field.dims[0]), places.index(field.dims[1])))


def _transpose(field: Field, source: Tensor, found: Tensor, call: _Call) -> Field:
    one, other = (int(call.get(i, n)) % source.ndim for i, n in ((1, "dim0"), (2, "dim1")))
    swapped = {one: other, other: one}
    y, x = (swapped.get(d, d) for d in field.dims)
    return replace(field, dims=(y, x))


def _reshape(field: Field, source: Tensor, found: Tensor, call: _Call) -> Field | None:
    last = (source.ndim - 2, source.ndim - 1)
    if field.dims == last and found.ndim > 2 and found.shape[-2:] == source.shape[-2:]:
        return replace(field, dims=(found.ndim - 2, found.ndim - 1))
    return field if found.shape == source.shape else None


Rule = Callable[[Field, Tensor, Tensor, _Call], Field | None]

RULES: dict[str, Rule] = {
    "conv2d": _conv,
    "max_pool2d": _max_pool,
    "max_pool2d_with_indices": _max_pool,
    "avg_pool2d": _avg_pool,
    "lp_pool2d": _lp_pool,
    "adaptive_avg_pool2d": _adaptive,
    "adaptive_max_pool2d": _adaptive,
    "adaptive_max_pool2d_with_indices": _adaptive,
    "interpolate": _resize,
    "upsample": _resize,
    "pad": _pad,
    "__getitem__": _getitem,
    "permute": _permute,
    "transpose": _transpose,
    "swapaxes": _transpose,
    "reshape": _reshape,
    "view": _reshape,
    "flatten": _reshape,
    "unflatten": _reshape,
}
"""Function name -> the field of what it puts out, None where cells no longer have one place."""

# They may keep a map's size, yet move or mix its cells.
MOVING = frozenset(
    [
        "as_strided",
        "bmm",
        "conv_transpose2d",
        "cumsum",
        "einsum",
        "flip",
        "fold",
        "gather",
        "grid_sample",
        "index_select",
        "__matmul__",
        "matmul",
        "multi_head_attention_forward",
        "pixel_shuffle",
        "pixel_unshuffle",
        "roll",
        "rot90",
        "scaled_dot_product_attention",
        "sort",
        "unfold",
    ]
)


class FieldWatch(TorchFunctionMode):
    """Carries the receptive fields of an input's cells through whatever runs inside the ``with``.

    Attributes
    ----------
    lost : list of str
        Functions that made a map of one with fields, but whose fields are not known.
    patches : dict of (rows, columns) to Field
        The last field of a convolution's output of that size.
    """

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.lost: list[str] = []
        self.patches: dict[tuple[int, int], Field] = {}
        # The tensors are held with their fields, since ids of dead ones come back.
        self._fields: dict[int, tuple[Tensor, Field]] = {id(x): (x, Field())}

    def field_of(self, tensor: Tensor) -> Field | None:
        """Return the fields of a tensor's cells, if they have any."""
        return self._fields[id(tensor)][1] if id(tensor) in self._fields else None

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run a function and carry fields from its arguments to what it puts out."""
        options = kwargs or {}
        sources = [
            (tensor, field)
            for tensor in _tensors((args, options))
            if (field := self.field_of(tensor)) is not None
        ]
        found = func(*args, **options)
        if sources:
            name = getattr(func, "__name__", "")
            for tensor in _tensors(found):
                field = self._carried(name, sources, tensor, _Call(args, options))
                if field is not None:
                    self._fields[id(tensor)] = tensor, field
                    if func is F.conv2d:
                        self.patches[field.size_of(tensor)] = field
                else:
                    self._fields.pop(id(tensor), None)
                    if tensor.ndim == 4 and tensor.shape[2] * tensor.shape[3] > 1:
                        self.lost.append(name)
        return found

    def _carried(
        self, name: str, sources: list[tuple[Tensor, Field]], found: Tensor, call: _Call
    ) -> Field | None:
        first, field = sources[0]
        if name in RULES:
            return RULES[name](field, first, found, call)
        if name in MOVING:
            return None
        # A gate of a single cell, broadcast over the map, does not move it.
        branches = [
            each
            for tensor, each in sources
            if found.ndim == tensor.ndim and each.size_of(found) == each.size_of(tensor)
        ]
        return _joined(branches) if branches else None


def _joined(branches: list[Field]) -> Field:
    """Return the fields of cells that several branches feed: what any of them sees."""
    wide = max(branches, key=lambda f: f.axes[0].size)
    joined = replace(
        wide,
        exact=all(f.exact for f in branches),
        notes=tuple(dict.fromkeys(note for f in branches for note in f.notes)),
    )
    lines = [{f.axes[i] for f in branches} for i in (0, 1)]
    if all(f.dims == wide.dims for f in branches) and all(
        len({axis.stride for axis in line}) == 1 for line in lines
    ):
        joined = replace(joined, axes=(_union(lines[0]), _union(lines[1])))
        # Neighbours of equal size, as where a map is cut into phases, share one wider field.
        if all(
            len({axis.centre0 for axis in line}) == 1 or len({axis.size for axis in line}) == 1
            for line in lines
        ):
            return joined
    note = "branches look at different places: their union is taken"
    return replace(joined, exact=False, notes=tuple(dict.fromkeys((*joined.notes, note))))


def _union(axes: set[Axis]) -> Axis:
    """Return the smallest fields that hold those of several branches of one stride."""
    first = min(axis.centre0 - axis.size / 2 for axis in axes)
    last = max(axis.centre0 + axis.size / 2 for axis in axes)
    return Axis((first + last) / 2, next(iter(axes)).stride, last - first)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _tensors(part)
