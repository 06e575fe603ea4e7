"""The model doctor: what a network is made of, where its maps lie, which methods it can bear."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from xaieval.errors import Cancelled, MethodError, ModelError, NotDefinedError, XaievalError
from xaieval.methods import METHODS, Explainer, MethodCall, resolve_methods
from xaieval.models import Anatomy, Classifier, ReceptiveField, anatomy, measure_receptive_field
from xaieval.types import Heatmap

Floats = npt.NDArray[np.float32]

# Options that say how often a method asks the network; a smoke map takes a few.
_SAMPLES = ("n_steps", "n_samples", "n_masks")
_FEW = 8
# Maps this far apart are scored both ways (px).
APART_PX = 4.0


@dataclass(frozen=True, eq=False)
class Trial:
    """One method tried on the network.

    Attributes
    ----------
    call : MethodCall
        With its default options.
    why_not : str
        Why there is no map; empty when there is one.
    heatmap : Heatmap, optional
        A smoke map: few samples, of a picture that may be noise.
    elapsed_s : float
        Of the smoke map (s).
    expected_s : float
        Estimated for the default options (s).
    """

    call: MethodCall
    why_not: str = ""
    heatmap: Heatmap | None = None
    elapsed_s: float = math.nan
    expected_s: float = math.nan


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What the doctor found; ``lines()`` puts it into words.

    Attributes
    ----------
    anatomy : Anatomy
    preprocessing : str
    class_names : tuple of str
    field : ReceptiveField, optional
        Where the target layer's cells look; None where there is no such layer or it is lost.
    mended : tuple of str
        What stood in the way of explanations and was put right, in the copy that is explained.
    warnings : tuple of str
        What could not be mended.
    trials : tuple of Trial
    """

    anatomy: Anatomy
    preprocessing: str
    class_names: tuple[str, ...]
    field: ReceptiveField | None
    mended: tuple[str, ...]
    warnings: tuple[str, ...]
    trials: tuple[Trial, ...]

    def lines(self) -> Iterator[str]:
        """Yield the diagnosis line by line, without the table of methods."""
        yield from str(self.anatomy).splitlines()
        yield f"{'pictures':<13}{self.preprocessing}"
        shown = ", ".join(self.class_names[:6])
        more = len(self.class_names) - 6
        yield f"{'classes':<13}{shown}{f' and {more} more' if more > 0 else ''}"
        if self.field is not None:
            yield from _about_field(self.field)
        for text in self.mended:
            yield f"{'mended':<13}{text}"
        for text in self.warnings:
            yield f"{'warning':<13}{text}"


def _about_field(field: ReceptiveField) -> Iterator[str]:
    def pair(values: tuple[float, float]) -> str:
        return ", ".join(f"{value:.1f}" for value in values)

    how = "arithmetic" if field.exact else "estimated"
    yield (
        f"{'cells':<13}{field.map_size[0]} x {field.map_size[1]}, centres at "
        f"({pair(field.centre0)}) + ({pair(field.stride)}) px per cell ({how}), each sees "
        f"({pair(field.size)}) px"
    )
    yield (
        f"{'displacement':<13}the central cell looks at ({pair(field.centre)}), its weights at "
        f'({pair(field.centroid)}), upsampling="paper" draws it at ({pair(field.assumed)}): '
        f"({pair(field.displacement)}) px off"
    )
    apart = max(map(abs, field.displacement))
    between = max(abs(a - b) for a, b in zip(field.centre, field.centroid, strict=True))
    if apart > APART_PX:
        yield f'{"":<13}score low-resolution maps with upsampling="aligned" beside "paper"'
    if between > APART_PX:
        yield (
            f"{'':<13}centre and what the weights look at differ by {between:.1f} px: "
            "aligned maps are off by as much"
        )
    for note in field.notes:
        yield f"{'':<13}{note}"


def examine(
    classifier: Classifier,
    *,
    methods: Sequence[MethodCall] | None = None,
    x: Tensor | None = None,
    device: str = "cpu",
    limit_s: float = 60.0,
    on_trial: Callable[[Trial], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Diagnosis:
    """Look a network over and try every method on it.

    Parameters
    ----------
    classifier : Classifier
    methods : sequence of MethodCall, optional
        Every method of the table by default.
    x : float (1, C, H, W), optional
        Model input to try them on; noise of the classifier's input size by default.
    device : str
    limit_s : float
        A method whose smoke map would take longer is not tried, and said so (s).
    on_trial : callable, optional
        Called after each method.
    cancelled : callable, optional

    Raises
    ------
    ModelError
        When the network does not run or has no logits.
    MethodError
        When it computes in half precision.
    Cancelled
        When ``cancelled()`` says so.
    """
    found = anatomy(classifier)
    warnings: list[str] = []
    field = None
    if found.target_layer:
        try:
            field = measure_receptive_field(classifier)
        except ModelError as error:
            warnings.append(f"where the cells look is not known: {error.what}")
    explainer = Explainer(classifier, device=device)
    example, extra = classifier._looks
    if _unsteady(classifier):
        warnings.append(
            "the same input gives other logits each time (dropout that ignores eval mode?): "
            "its maps change from run to run"
        )
    picture = example[:1] if x is None else x
    more = tuple(t[:1] for t in extra)
    trials = []
    for call in methods or resolve_methods(list(METHODS)):
        trial = _try(explainer, call, picture, more, limit_s, cancelled)
        trials.append(trial)
        if on_trial is not None:
            on_trial(trial)
    preprocessing = classifier.preprocessing
    return Diagnosis(
        anatomy=found,
        preprocessing=(
            "unknown: pass model input, or give the classifier a Preprocessing"
            if preprocessing is None
            else f"{preprocessing.name}: {_resized(preprocessing)}, mean {preprocessing.mean}, "
            f"std {preprocessing.std}"
        ),
        class_names=classifier.class_names,
        field=field,
        mended=tuple(_mended(classifier, found)),
        warnings=(*warnings, *_empty_maps(trials, noise=x is None)),
        trials=tuple(trials),
    )


def _resized(preprocessing: object) -> str:
    size = getattr(preprocessing, "input_size", (0, 0))
    resize = getattr(preprocessing, "resize", None)
    first = "stretched" if resize is None else f"short side {resize}, centre"
    return f"{first} to {size[0]} x {size[1]}"


def _mended(classifier: Classifier, found: Anatomy) -> Iterator[str]:
    """Yield what the copy for explanations does differently."""
    in_place = sum(a.count for a in found.activations if a.in_place and not a.functional)
    if in_place:
        yield f"{in_place} in-place activations overwrite what gradients need: switched off"
    functional = sum(a.count for a in found.activations if a.functional)
    if functional:
        yield f"{functional} functional activations escape hooks: rules follow calls, not modules"
    if found.reused:
        yield f"{len(found.reused)} modules run more than once: rules follow calls, not modules"
    folded = sum(norm.folded for norm in found.norms)
    if folded:
        yield f"{folded} batch norms folded into their convolutions (not with exact=True)"
    if classifier.module.training:
        yield "the network was in training mode: explained in eval mode"
    if any(p.requires_grad for p in classifier.module.parameters()):
        yield "parameters frozen: no gradient of a weight is ever computed"
    if len(found.outputs) > 1:
        yield f"{len(found.outputs)} outputs: the logits head was found and is explained alone"


def _unsteady(classifier: Classifier) -> bool:
    """Return whether two passes over the same input differ by more than rounding."""
    example, extra = classifier._looks
    first, second = (classifier.logits(example, extra or None) for _ in range(2))
    limit = 1e-3 * float(first.abs().max())
    return bool(((first - second).abs() > limit).any())


def _empty_maps(trials: Sequence[Trial], *, noise: bool) -> Iterator[str]:
    """Yield a line for zero maps and one for flat ones; a constant baseline is meant to be so."""
    for flag in ("zero", "flat"):
        keys = [
            trial.call.key
            for trial in trials
            if trial.heatmap is not None
            and flag in trial.heatmap.flags
            and not trial.call.spec.baseline
        ]
        if keys:
            where = "of noise; try them on a picture with --image" if noise else "of this picture"
            yield f"{flag} smoke maps {where}: {', '.join(keys)}"


def smoke(call: MethodCall) -> MethodCall:
    """Return a call with few samples, where it takes any.

    >>> smoke(MethodCall("smoothgrad")).key
    'smoothgrad[n_samples=8]'
    """
    few = {
        name: _FEW
        for name in _SAMPLES
        if isinstance(call.options.get(name), int) and call.options[name] > _FEW
    }
    if not few:
        return call
    try:
        return MethodCall(call.id, {**call.options, **few}, call.custom)
    except XaievalError:  # it wants more than a few
        return call


def _try(
    explainer: Explainer,
    call: MethodCall,
    x: Tensor,
    extra: tuple[Tensor, ...],
    limit_s: float,
    cancelled: Callable[[], bool] | None,
) -> Trial:
    deadline = time.perf_counter() + limit_s
    late = False

    def stop() -> bool:
        nonlocal late
        late = time.perf_counter() > deadline
        return late or (cancelled is not None and cancelled())

    few = smoke(call)
    for tried in (few, call) if few is not call else (call,):
        begin = time.perf_counter()
        try:
            found = explainer.run(x, methods=(tried,), extra=extra or None, cancelled=stop)
        except Cancelled:
            if not late:
                raise
            return Trial(call, f"available; its smoke map takes more than {limit_s:.0f} s here")
        except NotDefinedError as error:
            return Trial(call, str(error))
        except MethodError as error:
            if tried is call:
                return Trial(call, str(error))
            continue  # perhaps it wants more samples than a few
        break
    elapsed = time.perf_counter() - begin
    heatmap = Heatmap(found.maps[tried.key][0], call.id, int(found.targets[0]))
    share = call.cost / tried.cost if tried.cost else 1.0
    return Trial(call, "", heatmap, elapsed, elapsed * share)
