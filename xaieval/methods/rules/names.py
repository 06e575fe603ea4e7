"""What torch functions are called, and which of them any backward rule lets pass.

A function reaches a watch under many names: ``x + y`` is ``Tensor.add``, ``x += y`` is
``Tensor.add_``, ``y - x`` is ``Tensor.__rsub__``. Tables here hold one name for all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_ALIASES = {
    "bmm": "matmul",
    "clip": "clamp",
    "concat": "cat",
    "concatenate": "cat",
    "divide": "div",
    "iadd": "add",
    "idiv": "div",
    "imul": "mul",
    "ipow": "pow",
    "isub": "sub",
    "itruediv": "div",
    "max_pool1d_with_indices": "max_pool1d",
    "max_pool2d_with_indices": "max_pool2d",
    "max_pool3d_with_indices": "max_pool3d",
    "mm": "matmul",
    "multiply": "mul",
    "negative": "neg",
    "radd": "add",
    "rmul": "mul",
    "rtruediv": "rdiv",
    "subtract": "sub",
    "swapdims": "transpose",
    "true_divide": "div",
    "truediv": "div",
    "upsample_bilinear": "upsample",
    "upsample_nearest": "upsample",
}


def names(text: str) -> frozenset[str]:
    """Return the words of a text.

    >>> sorted(names("relu tanh"))
    ['relu', 'tanh']
    """
    return frozenset(text.split())


# Move, copy or leave out values; a property such as ``.mT`` arrives as "get".
SHAPE = names(
    """
    adjoint alias as_strided atleast_1d atleast_2d atleast_3d broadcast_tensors broadcast_to cat
    channel_shuffle chunk clone column_stack contiguous cpu cuda detach diagonal dsplit dstack
    double expand expand_as flatten flip fliplr flipud float fold gather get getitem hsplit
    hstack index_select masked_fill moveaxis movedim narrow native_channel_shuffle pad permute
    pixel_shuffle pixel_unshuffle ravel repeat repeat_interleave requires_grad reshape
    reshape_as roll rot90 row_stack select split split_with_sizes squeeze stack swapaxes t
    take_along_dim tensor_split tile to transpose tril triu type type_as unbind unflatten
    unfold unsafe_chunk unsafe_split unsqueeze view view_as vsplit vstack
    """
)

# Linear in what carries the gradient, with constants for the rest.
LINEAR = names(
    """
    add adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d avg_pool1d avg_pool2d
    avg_pool3d copy cumsum index_add index_copy index_put interpolate masked_scatter mean neg
    positive rsub scatter scatter_add setitem sub sum trace upsample where
    """
)

# Hand on the largest value alone.
MAXIMA = names(
    """
    adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d amax max_pool1d max_pool2d
    max_pool3d
    """
)

# Random in training, nothing at all in eval mode.
DROPOUTS = names(
    """
    alpha_dropout dropout dropout1d dropout2d dropout3d feature_alpha_dropout feature_dropout
    """
)

# Activations with f(0) = 0 whose value at a place depends on that place alone.
ACTIVATIONS = names(
    """
    arctan asinh atan celu elu erf expm1 gelu hardshrink hardswish leaky_relu log1p mish prelu
    relu relu6 rrelu selu silu sin sinh softshrink softsign tanh tanhshrink
    """
)

# Like them, but whether f(0) = 0 is a matter of their arguments.
BOUNDED = names("clamp clamp_max clamp_min hardtanh threshold")

# Values in (0, 1) by which others are multiplied.
GATES = names("hardsigmoid sigmoid softmax")


def plain_name(func: Callable[..., Any]) -> str:
    """Return the one name of a torch function, its in-place form, operator and method.

    >>> import torch
    >>> [plain_name(f) for f in (torch.relu_, torch.Tensor.__radd__, torch.bmm)]
    ['relu', 'add', 'matmul']
    """
    name = str(getattr(func, "__name__", func)).strip("_")
    return _ALIASES.get(name, name)


def in_place(func: Callable[..., Any], options: dict[str, Any]) -> bool:
    """Say whether a call overwrites its first argument.

    >>> import torch
    >>> in_place(torch.relu_, {}), in_place(torch.relu, {}), in_place(torch.Tensor.__add__, {})
    (True, False, False)
    """
    name = str(getattr(func, "__name__", ""))
    dunder = name.startswith("__")
    own = name.startswith("__i") if dunder else name.endswith("_")
    return (own and name not in {"__invert__", "__index__", "__int__"}) or bool(
        options.get("inplace")
    )
