"""What a method may read when it runs: the picture, and what the shared passes found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from torch import Tensor

from xaieval.errors import MethodError
from xaieval.types import Grid

if TYPE_CHECKING:
    from xaieval.models import Classifier, PreparedModel

Need = Literal[
    "input_grad",
    "layer_act",
    "layer_grad",
    "layer_raw",
    "attention",
    "forward",
    "explain",
    "continuation",
]
"""What a method asks of the network.

``input_grad``, ``layer_act``, ``layer_grad``, ``layer_raw``, ``attention``: at the picture itself,
from one forward and one backward of the target logit that all methods share (a layer of tokens as
the map that they form, ``layer_raw`` as it is, ``attention`` as weights and gradients of each
block); ``forward``: logits of
pictures of its own making; ``explain``: maps of such pictures by another method;
``continuation``: the layers after the target layer.
"""
POINT_NEEDS: frozenset[Need] = frozenset(
    {"input_grad", "layer_act", "layer_grad", "layer_raw", "attention"}
)


@dataclass(frozen=True, eq=False)
class Attention:
    """Attention of every block, first to last: weights and the target logit's gradients by them.

    Each is float (b, heads, tokens, tokens), rows (queries) summing to 1 in ``weights``.
    """

    weights: tuple[Tensor, ...]
    gradients: tuple[Tensor, ...]

    def __getitem__(self, rows: slice) -> Attention:
        return Attention(
            tuple(w[rows] for w in self.weights), tuple(g[rows] for g in self.gradients)
        )


Found = Tensor | Attention


@dataclass(eq=False)
class Drawn:
    """The latest map that was drawn from a coarse grid, and that grid."""

    result: Tensor | None = None
    grid: Grid | None = None


class Forward(Protocol):
    """Logits of any rows; see ``Passes.forward``."""

    def __call__(self, rows: Tensor, image: Tensor | None = None) -> Tensor: ...


@dataclass(frozen=True, eq=False)
class Passes:
    """What a method reads for some images: the picture and what the shared passes found.

    Attributes
    ----------
    x : float (b, C, H, W), model input
    targets : int64 (b,)
    forward : callable
        ``forward(rows (n, C, H, W), image=None)`` -> logits (n, classes) of any n rows, in the
        graph; stops between passes when cancelled. ``image`` (int64 (n,)) says whose second input
        each row takes; without it row i is of image i, or all are of the only one.
    explain : callable
        ``explain(method, rows (n, C, h, w), image (n,))`` -> pooled maps (n, h, w) of other
        pictures for the same targets, by the method of that key.
    check : callable
        Raises ``Cancelled`` once nobody wants the maps; call it between long steps.
    classifier : Classifier
    prepared : PreparedModel
    sample_ids : tuple of str
    seed : int
        Study seed of stochastic methods.
    upsampling : str
        How maps of a layer's size are brought to the input's.
    rows : int
        How many rows one pass should hold.
    values : mapping of Need -> Tensor or Attention
        Only what the method's spec declares.
    found : object
        What the method's stream or backward found.
    extra : tuple of Tensor (b, ...)
        The second input, if the network takes one.
    drawn : Drawn
        Noted by ``upsample``.
    """

    x: Tensor
    targets: Tensor
    forward: Forward
    explain: Callable[[str, Tensor, Tensor], Tensor]
    check: Callable[[], None]
    classifier: Classifier
    prepared: PreparedModel
    sample_ids: tuple[str, ...]
    seed: int = 0
    upsampling: str = "paper"
    rows: int = 8
    values: Mapping[Need, Found] = field(default_factory=dict)
    found: Any = None
    extra: tuple[Tensor, ...] = ()
    drawn: Drawn = field(default_factory=Drawn)

    def _value(self, need: Need) -> Found:
        if need not in self.values:
            raise MethodError(
                f"a method reads {need!r} without declaring it",
                fix="name it in the needs of its MethodSpec",
            )
        return self.values[need]

    def __getitem__(self, need: Need) -> Tensor:
        value = self._value(need)
        assert isinstance(value, Tensor)
        return value

    @property
    def attention(self) -> Attention:
        """Attention of every block; for methods that need ``attention``."""
        value = self._value("attention")
        assert isinstance(value, Attention)
        return value

    @property
    def target_layer(self) -> str:
        """Dotted name of the layer that layer methods read; empty when there is none."""
        return self.prepared.target_layer

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the input."""
        return self.x.shape[2], self.x.shape[3]

    def bounds(self) -> tuple[Tensor, Tensor]:
        """Return the least and largest value that model input takes, each (b, C or 1, 1, 1).

        What preprocessing can give; without one, each picture's own least and largest value.
        """
        preprocessing = self.classifier.preprocessing
        if preprocessing is None or self.x.shape[1] != 3:
            return self.x.amin((1, 2, 3), keepdim=True), self.x.amax((1, 2, 3), keepdim=True)
        mean, std = (self.x.new_tensor(v) for v in (preprocessing.mean, preprocessing.std))
        shape = (len(self.x), 3, 1, 1)
        low, high = -mean / std, (1 - mean) / std
        return low[:, None, None].expand(shape), high[:, None, None].expand(shape)

    def pictures(self) -> Tensor:
        """Return the pictures behind ``x``, float (b, C, H, W), 0..1 where the scale is known."""
        preprocessing = self.classifier.preprocessing
        if preprocessing is None or self.x.shape[1] != 3:
            return self.x
        mean, std = (self.x.new_tensor(v) for v in (preprocessing.mean, preprocessing.std))
        return self.x * std[:, None, None] + mean[:, None, None]
