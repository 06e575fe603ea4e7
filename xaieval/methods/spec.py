"""What a method is: one frozen row of the table, and what it may read when it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from torch import Tensor

from xaieval.errors import ConfigError, MethodError, unknown
from xaieval.methods.pooling import POOLINGS

if TYPE_CHECKING:
    from xaieval.models import Classifier

Need = Literal["input_grad", "layer_act", "layer_grad", "path_grad", "forward"]
"""What a method asks of the network.

``input_grad``, ``layer_act``, ``layer_grad``: of the target logit at the picture itself, from one
forward and one backward that all methods share; ``path_grad``: a weighted sum of gradients along a
path; ``forward``: logits of changed pictures, or of a graph of its own.
"""
POINT_NEEDS: frozenset[str] = frozenset({"input_grad", "layer_act", "layer_grad"})

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Option:
    """One option of a method: its default, what it may be, and what it means.

    Attributes
    ----------
    default : object
    help : str
        Meaning and unit.
    kind : "int", "float", "choice" or "any"
        What values it takes; "any" is checked by whoever reads it.
    low : float
        Least value of a number.
    choices : tuple of str
        Of a choice.
    optional : bool
        Whether None is a value too.
    """

    default: Any
    help: str
    kind: Literal["int", "float", "choice", "any"]
    low: float = 0
    choices: tuple[str, ...] = ()
    optional: bool = False

    def check(self, name: str, value: Any, where: str) -> Any:
        """Return the value in canonical form.

        Raises
        ------
        ConfigError
            When it has another type, lies below ``low`` or is no known choice.
        """
        if self.kind == "any" or (value is None and self.optional):
            return value
        if self.kind == "choice":
            if value not in self.choices:
                raise unknown(f"value of {name}", value, self.choices, where=where)
            return str(value)
        whole = self.kind == "int"
        number = isinstance(value, int) or (isinstance(value, float) and not whole)
        if isinstance(value, bool) or not number or not value >= self.low:
            raise ConfigError(
                f"bad value of option {name!r}",
                where=where,
                expected=f"{'a whole number' if whole else 'a number'} of at least {self.low:g}",
                got=repr(value),
            )
        return value if whole else float(value)


@dataclass(frozen=True)
class Path:
    """A weighted sum of gradients at points between a baseline b and the picture x.

    ``Σ_s weights[s] · ∇f_t(b + alphas[s] · (x − b))``. Equal paths of several methods run once.
    """

    baseline: str
    alphas: tuple[float, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Passes:
    """What a method reads for some images: the picture and what the shared passes found.

    Attributes
    ----------
    x : float (b, C, H, W), model input
    targets : int64 (b,)
    values : mapping of Need -> Tensor
        Only what the method's spec declares.
    forward : callable
        Logits (n, classes) of any n rows; differentiable; stops between passes when cancelled.
    check : callable
        Raises ``Cancelled`` once nobody wants the maps; call it between long steps.
    classifier : Classifier
    target_layer : str
        Dotted name of the layer that layer methods read; empty when there is none.
    sample_ids : tuple of str
    seed : int
        Study seed of stochastic methods.
    upsampling : str
        How maps of a layer's size are brought to the input's.
    rows : int
        How many rows one pass should hold.
    """

    x: Tensor
    targets: Tensor
    forward: Callable[[Tensor], Tensor]
    check: Callable[[], None]
    classifier: Classifier
    target_layer: str
    sample_ids: tuple[str, ...]
    seed: int = 0
    upsampling: str = "paper"
    rows: int = 8
    values: Mapping[Need, Tensor] = field(default_factory=dict)

    def __getitem__(self, need: Need) -> Tensor:
        if need not in self.values:
            raise MethodError(
                f"a method reads {need!r} without declaring it",
                fix="name it in the needs of its MethodSpec",
            )
        return self.values[need]

    def pictures(self) -> Tensor:
        """Return the pictures behind ``x``, float (b, C, H, W), 0..1 where the scale is known."""
        preprocessing = self.classifier.preprocessing
        if preprocessing is None or self.x.shape[1] != 3:
            return self.x
        mean, std = (self.x.new_tensor(v) for v in (preprocessing.mean, preprocessing.std))
        return self.x * std[:, None, None] + mean[:, None, None]


@dataclass(frozen=True)
class MethodSpec:
    """One attribution method.

    Attributes
    ----------
    id, label, summary : str
    family : str
        ``gradient``, ``cam``, ``perturbation``, ``baseline``, ``captum`` or ``custom``.
    fn : callable
        ``fn(passes, options) -> attribution``, float (b, C, H, W), or (b, 1, H, W) when the method
        has one channel. Row i may depend on row i of ``passes`` only.
    cost : callable
        ``cost(options)``: rows that go through the network per image; rows at the picture itself
        are shared by all methods.
    paper : str
    needs : frozenset of Need
    path : callable, optional
        ``path(options)``: the Path whose ``path_grad`` the method reads.
    options : mapping of name -> Option
    default_pooling : str, optional
        How channels become one map (``pooling.py``); None: there is one channel.
    signed : bool
        Whether the attribution before pooling has negative values.
    stochastic : bool
    version : int
        Raised by hand whenever output changes.
    task : tuple of str
        What the classifier may solve.
    layers_defined : str
        For which networks the method is defined, in words.
    """

    id: str
    label: str
    summary: str
    family: str
    fn: Callable[[Passes, Options], Tensor]
    cost: Callable[[Options], int]
    paper: str
    needs: frozenset[Need] = frozenset()
    path: Callable[[Options], Path] | None = None
    options: Mapping[str, Option] = field(default_factory=dict)
    default_pooling: str | None = None
    signed: bool = False
    stochastic: bool = False
    version: int = 1
    task: tuple[str, ...] = ("single", "multilabel")
    layers_defined: str = "any differentiable network"

    def __post_init__(self) -> None:
        strange = self.needs - set(get_args(Need))
        if strange:
            raise unknown("need", sorted(strange)[0], get_args(Need), where=self.id)
        if (self.path is None) == ("path_grad" in self.needs):
            raise MethodError("a path and the need path_grad go together", where=self.id)
        if self.default_pooling is not None:
            pooling = Option(
                default=self.default_pooling,
                help="how the channels become one map",
                kind="choice",
                choices=tuple(POOLINGS),
            )
            pooling.check("default_pooling", self.default_pooling, self.id)
            object.__setattr__(self, "options", {**self.options, "pooling": pooling})

    @property
    def defaults(self) -> dict[str, Any]:
        """Each option's default."""
        return {name: option.default for name, option in self.options.items()}

    @property
    def baseline(self) -> bool:
        """Whether this is a reference line rather than a competitor."""
        return self.family == "baseline"

    def canonical(self, options: Options) -> dict[str, Any]:
        """Return all options, defaults filled in and values checked.

        Raises
        ------
        ConfigError
            For an unknown option, with the nearest known one as suggestion, or a bad value.
        """
        for name in options:
            if name not in self.options:
                if not self.options:
                    raise ConfigError(f"takes no option, got {name!r}", where=self.id)
                raise unknown("option", name, self.options, where=self.id)
        return {
            name: option.check(name, options.get(name, option.default), self.id)
            for name, option in self.options.items()
        }
