"""Methods as they are asked for: an id with its options, or anything that can be made one."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias, cast

import numpy as np
from captum.attr import Attribution
from torch import Tensor

from xaieval.digest import digest
from xaieval.errors import ConfigError, MethodError
from xaieval.methods.captum_adapter import captum_spec, is_captum
from xaieval.methods.passes import Passes
from xaieval.methods.registry import METHODS
from xaieval.methods.spec import MethodSpec, Options

CustomMethod = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], Tensor]
"""``f(forward, x, targets)`` -> attribution (b, C, H, W) or (b, H, W); ``forward(x)`` -> logits."""
MethodLike: TypeAlias = (
    str | Mapping[str, Any] | Attribution | type[Attribution] | MethodSpec | CustomMethod
)


@dataclass(frozen=True, eq=False)
class MethodCall:
    """A method with all its options, defaults filled in.

    Attributes
    ----------
    id : str
    options : mapping
        Canonical: every option of the method, checked; another method by its key.
    custom : MethodSpec, optional
        The method itself when it stands in no table.

    Raises
    ------
    ConfigError
        For an unknown id or option, with a suggestion, or a bad value.

    >>> MethodCall("sess", {"of": "rise[n_masks=100]", "n_scales": 3}).key
    'sess[n_scales=3,of=rise[n_masks=100]]'
    >>> MethodCall("integrated_gradients", {"n_steps": 50}).key
    'integrated_gradients[n_steps=50]'
    >>> MethodCall("integrated_gradients", {"n_steps": 25}).key
    'integrated_gradients'
    """

    id: str
    options: Options = field(default_factory=dict)
    custom: MethodSpec | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        options = self.spec.canonical(self.options)
        for name, option in self.spec.options.items():
            if option.kind == "method":
                options[name] = _inner(options[name], name, self.id).key
        object.__setattr__(self, "options", options)

    @property
    def spec(self) -> MethodSpec:
        """The row of the table, or the custom method."""
        return self.custom if self.custom is not None else METHODS[self.id]

    @property
    def key(self) -> str:
        """The id, followed by the options that differ from their defaults."""
        defaults = self.spec.defaults
        changed = [
            f"{name}={_written(value)}"
            for name, value in sorted(self.options.items())
            if name not in defaults or _differs(value, defaults[name])
        ]
        return f"{self.id}[{','.join(changed)}]" if changed else self.id

    @cached_property
    def inner(self) -> tuple[MethodCall, ...]:
        """The methods that this one wraps."""
        return tuple(
            parse_method(self.options[name])
            for name, option in self.spec.options.items()
            if option.kind == "method"
        )

    @cached_property
    def digest(self) -> str:
        """Sha256 of id, version and options; of a custom method, unique to this object."""
        if self.custom is not None:
            return digest("custom", self.id, uuid.uuid4().hex)
        # An upsampling that is left to the study is no part of the method.
        fixed = {k: v for k, v in self.options.items() if (k, v) != ("upsampling", None)}
        wrapped = [call.digest for call in self.inner]
        return digest(self.id, self.spec.version, fixed, *wrapped)

    @property
    def stochastic(self) -> bool:
        """Whether sample id and study seed decide the map too."""
        return self.spec.stochastic or any(call.stochastic for call in self.inner)

    @property
    def cost(self) -> int:
        """Rows through the network per image; 0 for methods that never ask it."""
        return self.spec.cost(self.options) * math.prod(call.cost for call in self.inner)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MethodCall) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


def _differs(value: object, default: object) -> bool:
    """Say whether an option is not at its default; arrays, which compare by cells, are not.

    >>> _differs(np.zeros(2), None), _differs(3, 3)
    (True, False)
    """
    if isinstance(value, (Tensor, np.ndarray)):
        return value is not default
    return bool(value != default)


def _written(value: object) -> str:
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    if isinstance(value, (Tensor, np.ndarray)):
        return f"{type(value).__name__}{tuple(value.shape)}"
    return "none" if value is None else str(value)


def parse_method(text: str) -> MethodCall:
    """Read a method as it is written in keys and on command lines.

    >>> parse_method("saliency[pooling=sum,pos]").options
    {'pooling': 'sum,pos'}
    >>> parse_method("puzzle[of=saliency[pooling=sum,pos],tiles=3]").options["of"]
    'saliency[pooling=sum,pos]'

    Raises
    ------
    ConfigError
        When the brackets do not match, or as ``MethodCall``.
    """
    match = re.fullmatch(r"\s*([^\[\]]+?)\s*(?:\[(.*)\])?\s*", text)
    if match is None:
        raise ConfigError("not a method", got=repr(text), expected="id or id[option=value,...]")
    options: dict[str, Any] = {}
    for part in _parts(match[2], text) if match[2] else ():
        name, equals, value = part.partition("=")
        if not equals:
            raise ConfigError("not an option", where=text, got=repr(part), expected="name=value")
        options[name.strip()] = _read(value.strip())
    return MethodCall(match[1], options)


def _parts(options: str, where: str) -> Iterator[str]:
    """Yield each ``name=value``.

    Values may hold commas (``sum,pos``): one separates only where a name follows, and outside the
    brackets of another method.
    """
    depth = start = 0
    for place, letter in enumerate(options):
        depth += (letter == "[") - (letter == "]")
        if depth < 0:
            break
        if letter == "," and depth == 0 and re.match(r",\s*\w+\s*=", options[place:]):
            yield options[start:place]
            start = place + 1
    if depth:
        raise ConfigError("not a method", got=repr(where), expected="brackets that match")
    yield options[start:]


def _read(text: str) -> int | float | str | None:
    if text.lower() == "none":
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _custom_spec(function: CustomMethod) -> MethodSpec:
    """Make a method of a plain function."""

    def run(passes: Passes, options: Options) -> Tensor:
        found = function(passes.forward, passes.x.clone(), passes.targets)
        return found[:, None] if isinstance(found, Tensor) and found.ndim == 3 else found

    name = getattr(function, "__name__", type(function).__name__)
    return MethodSpec(
        id=f"custom:{name}",
        label=name,
        summary=(getattr(function, "__doc__", None) or "a function of the user's").split("\n")[0],
        family="custom",
        fn=run,
        cost=lambda options: 1,
        paper="",
        needs=frozenset({"forward"}),
        default_pooling="l1-norm",
        signed=True,
    )


def _resolve(item: MethodLike, options: Mapping[str, Any]) -> MethodCall:
    if isinstance(item, Mapping):
        given: dict[str, Any] = dict(item)
        if "id" not in given:
            raise ConfigError("a method without id", got=dict(item), fix="write {'id': ...}")
        return _resolve(given.pop("id"), {**options, **given})
    if isinstance(item, str):
        call = parse_method(item)
        return MethodCall(call.id, {**_changed(call), **options}) if options else call
    if is_captum(item):
        spec = captum_spec(item)
    elif isinstance(item, MethodSpec):
        spec = item
    elif callable(item):
        spec = _custom_spec(item)
    else:
        raise MethodError(
            "not a method",
            got=repr(item),
            expected="an id, a mapping with an id, a captum Attribution or a function",
        )
    return MethodCall(spec.id, options, spec)


def _inner(value: Any, name: str, where: str) -> MethodCall:
    """Return the method of the table that an option names: a key, or a mapping with its id."""
    if not isinstance(value, (str, Mapping)):
        raise ConfigError(
            f"bad value of option {name!r}",
            where=where,
            expected="an id, 'id[option=value]' or a mapping with an id",
            got=repr(value),
        )
    return _resolve(value, {})


def _changed(call: MethodCall) -> dict[str, Any]:
    defaults = call.spec.defaults
    return {k: v for k, v in call.options.items() if _differs(v, defaults.get(k))}


def resolve_methods(
    methods: Iterable[MethodLike] | MethodLike,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[MethodCall, ...]:
    """Make calls of whatever names methods.

    Parameters
    ----------
    methods : sequence
        Of ids, ``"id[option=value]"``, mappings with ``id`` and options, captum ``Attribution``
        classes or instances, ``MethodSpec`` rows, functions ``f(forward, x, targets)``.
    options : mapping of id -> options, optional
        Added to the methods of that id.

    Raises
    ------
    ConfigError
        For an unknown id or option, with a suggestion; when options name a method that is not
        asked for; when nothing is asked for or one thing twice.
    """
    single = isinstance(methods, (str, Mapping, Attribution, MethodSpec)) or callable(methods)
    items: list[Any] = [methods] if single else list(cast(Iterable[Any], methods))
    options = options or {}
    if not items:
        raise ConfigError("no method named", fix=f"name some of {', '.join(METHODS)}")
    calls = []
    for item in items:
        call = _resolve(item, {})
        calls.append(_resolve(item, options[call.id]) if options.get(call.id) else call)
    stray = set(options) - {call.id for call in calls}
    if stray:
        raise ConfigError(
            f"options for {sorted(stray)[0]!r}, which is not among the methods",
            expected=f"one of {', '.join(sorted({call.id for call in calls}))}",
        )
    keys = [call.key for call in calls]
    twice = {key for key in keys if keys.count(key) > 1}
    if twice:
        raise ConfigError(f"method {sorted(twice)[0]!r} is named twice")
    return tuple(calls)
