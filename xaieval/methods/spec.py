"""What a method is: one frozen row of the table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, Literal, Protocol, get_args

from torch import Tensor

from xaieval.errors import ConfigError, MethodError, unknown
from xaieval.methods.passes import POINT_NEEDS, Need, Passes
from xaieval.methods.pooling import POOLINGS
from xaieval.methods.streams import StreamSpec
from xaieval.methods.upsampling import UPSAMPLINGS

Options = Mapping[str, Any]

FAMILIES: dict[str, str] = {
    "gradient": "Gradients",
    "modified-backward": "Modified backward",
    "cam": "Class activation maps",
    "attention": "Attention",
    "perturbation": "Perturbation",
    "enhancer": "Enhancers of another method",
    "baseline": "Reference lines",
    "captum": "Captum",
    "custom": "Your own",
}
"""Family -> what it is called."""


@dataclass(frozen=True)
class Option:
    """One option of a method: its default, what it may be, and what it means.

    Attributes
    ----------
    default : object
    help : str
        Meaning and unit.
    kind : "int", "float", "choice", "method" or "any"
        What values it takes; "method": another method, by its key; "any" is checked by whoever
        reads it.
    low, high : float
        Least and largest value of a number.
    choices : tuple of str
        Of a choice.
    optional : bool
        Whether None is a value too.
    """

    default: Any
    help: str
    kind: Literal["int", "float", "choice", "method", "any"]
    low: float = 0
    high: float = math.inf
    choices: tuple[str, ...] = ()
    optional: bool = False

    def check(self, name: str, value: Any, where: str) -> Any:
        """Return the value in canonical form.

        Raises
        ------
        ConfigError
            When it has another type, lies outside ``low`` to ``high`` or is no known choice.
        """
        if self.kind in ("any", "method") or (value is None and self.optional):
            return value
        if self.kind == "choice":
            if value is None and "none" in self.choices:  # as keys are read
                value = "none"
            if value not in self.choices:
                raise unknown(f"value of {name}", value, self.choices, where=where)
            return str(value)
        whole = self.kind == "int"
        number = isinstance(value, Integral) or (isinstance(value, Real) and not whole)
        if isinstance(value, bool) or not number or not self.low <= value <= self.high:
            raise ConfigError(
                f"bad value of option {name!r}",
                where=where,
                expected=f"{'a whole number' if whole else 'a number'} of at least {self.low:g}"
                + (f" and at most {self.high:g}" if self.high < math.inf else ""),
                got=repr(value),
            )
        return int(value) if whole else float(value)


class BackwardRule(Protocol):
    """A backward that follows other rules than calculus: frozen and hashable (``rules``)."""

    @property
    def group(self) -> str:
        """Rules of one group share one forward."""
        ...

    @property
    def folded(self) -> bool:
        """Whether batch norms must have been folded into their convolutions."""
        ...

    @property
    def rows(self) -> int:
        """Rows that one image takes in a pass."""
        ...


@dataclass(frozen=True)
class MethodSpec:
    """One attribution method.

    Attributes
    ----------
    id, label, summary : str
    family : str
        A key of ``FAMILIES``.
    fn : callable
        ``fn(passes, options) -> attribution``, float (b, C, H, W), or (b, 1, H, W) when the method
        has one channel. Row i may depend on row i of ``passes`` only.
    cost : callable
        ``cost(options)``: rows that go through the network per image; rows at the picture itself
        are shared by all methods.
    paper : str
    needs : frozenset of Need
    stream : callable, optional
        ``stream(options)``: the StreamSpec whose result the method reads.
    backward : callable, optional
        ``backward(options)``: the BackwardRule whose result the method reads.
    options : mapping of name -> Option
    default_pooling : str, optional
        How channels become one map (``pooling.py``); None: there is one channel.
    signed : bool
        Whether the attribution before pooling has negative values.
    stochastic : bool
    conserves : bool
        Whether the attribution adds up to the target logit; by how much it fails is then reported
        for each map.
    low_resolution : bool
        Whether the map is drawn from a coarse grid; the option ``upsampling`` then says how.
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
    stream: Callable[[Options], StreamSpec] | None = None
    backward: Callable[[Options], BackwardRule] | None = None
    options: Mapping[str, Option] = field(default_factory=dict)
    default_pooling: str | None = None
    signed: bool = False
    stochastic: bool = False
    conserves: bool = False
    low_resolution: bool = False
    version: int = 1
    task: tuple[str, ...] = ("single", "multilabel")
    layers_defined: str = "any differentiable network"

    def __post_init__(self) -> None:
        strange = self.needs - set(get_args(Need))
        if strange:
            raise unknown("need", sorted(strange)[0], get_args(Need), where=self.id)
        if self.family not in FAMILIES:
            raise unknown("family", self.family, FAMILIES, where=self.id)
        if self.stream is not None and self.backward is not None:
            raise MethodError("a method has a stream or a backward, not both", where=self.id)
        later = self.stream or self.backward or self.needs - POINT_NEEDS
        if "attention" in self.needs and later:
            raise MethodError(
                "attention is read in the pass at the picture, and not kept for later",
                where=self.id,
                expected="no stream, no backward and no needs but those of that pass",
                got=", ".join(sorted(self.needs)),
            )
        if self.default_pooling is not None:
            pooling = Option(
                default=self.default_pooling,
                help="how the channels become one map",
                kind="choice",
                choices=tuple(POOLINGS),
            )
            pooling.check("default_pooling", self.default_pooling, self.id)
            object.__setattr__(self, "options", {**self.options, "pooling": pooling})

        if self.low_resolution:
            upsampling = Option(
                default=None,
                help="how cells become pixels; as the study says when not given",
                kind="choice",
                choices=tuple(UPSAMPLINGS),
                optional=True,
            )
            object.__setattr__(self, "options", {**self.options, "upsampling": upsampling})

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
