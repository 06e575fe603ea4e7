"""SESS: maps of patches of the enlarged picture, fused by what the patches say of the class."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from xaieval.methods.baseline_inputs import blur
from xaieval.methods.enhancers import OF, VIEWS, WHERE, maps_of, packed, resized, stretched
from xaieval.methods.passes import Passes
from xaieval.methods.perturbation import read_output
from xaieval.methods.spec import MethodSpec, Option, Options

# Tursun et al. work at 224 px; lengths in px are meant at that size.
_REFERENCE_PX = 224
_STEP = 2 / 7  # their scales are 64 px apart

Place = tuple[int, int, int]
"""Scale, top, left of a patch."""


def scaled_size(size: tuple[int, int], number: int) -> tuple[int, int]:
    """Return the size of scale 0, 1, …: the input's, each next one 2/7 of it larger.

    >>> [scaled_size((224, 224), number) for number in (0, 1, 11)]
    [(224, 224), (288, 288), (928, 928)]
    """
    factor = 1 + _STEP * number
    return round(size[0] * factor), round(size[1] * factor)


def starts(length: int, window: int, step: int) -> list[int]:
    """Return where windows start along a side; the last is moved back to end with it.

    >>> starts(10, window=4, step=3), starts(10, window=4, step=4), starts(4, window=4, step=4)
    ([0, 3, 6], [0, 4, 6], [0])
    """
    return [min(step * i, length - window) for i in range(-(-(length - window) // step) + 1)]


def patches(size: tuple[int, int], n_scales: int, stride: float) -> list[Place]:
    """Return (scale, top, left) of every patch of the input's size, all scales one after another.

    >>> len(patches((224, 224), 12, 1.0)), patches((10, 10), 2, 1.0)
    (122, [(0, 0, 0), (1, 0, 0), (1, 0, 3), (1, 3, 0), (1, 3, 3)])
    """
    found = []
    for scale in range(n_scales):
        large = scaled_size(size, scale)
        steps = [max(1, round(stride * side)) for side in size]
        tops, lefts = (starts(*sides) for sides in zip(large, size, steps, strict=True))
        found += [(scale, top, left) for top in tops for left in lefts]
    return found


def sess(passes: Passes, options: Options) -> Tensor:
    """Return the fused maps of patches of the input's size, cut from enlarged pictures.

    Tursun, Denman, Sridharan and Fookes 2022, section 3. Each patch's map is brought to 0..1 and
    weighted by the target's probability in the patch over the largest of them (the paper's
    channel weight); ``pre_filter`` leaves out that share of the patches, the least probable ones.
    Every pixel becomes the mean over those maps that exceed ``theta`` there (the spatial weighted
    average), smoothed by a Gaussian.
    """
    height, width = passes.size
    places = patches(passes.size, options["n_scales"], options["stride"])
    fused = []
    for image, x in enumerate(passes.x):
        scores = _scores(passes, image, places)
        order = torch.argsort(scores, stable=True)[int(len(places) * options["pre_filter"]) :]
        weights = scores / scores.max().clamp(min=torch.finfo(scores.dtype).tiny)
        total, count = x.new_zeros(height, width), x.new_zeros(height, width)
        kept = order.sort().values.tolist()
        for start in range(0, len(kept), VIEWS):
            part = kept[start : start + VIEWS]
            views = _cut(x, [places[number] for number in part])
            maps = stretched(maps_of(passes, options["of"], image, views))
            for number, values in zip(part, maps, strict=True):
                placed = _placed(values * float(weights[number]), places[number])
                over = placed > options["theta"]
                total += torch.where(over, placed, 0)
                count += over
        fused.append(total / count.clamp(min=1))
    found = torch.stack(fused)[:, None]
    return _smoothed(found, options["sigma"] * min(height, width) / _REFERENCE_PX)


def _smoothed(maps: Tensor, sigma: float) -> Tensor:
    """Blur by a Gaussian cut at σ (11 px wide at 224 px), edges mirrored: the authors' choice."""
    if not sigma:
        return maps
    frame = math.ceil(sigma) + 1
    framed = pad(maps, (frame, frame, frame, frame), mode="reflect")
    return blur(framed, sigma, reach=1)[..., frame:-frame, frame:-frame]


def _cut(x: Tensor, places: Sequence[Place]) -> list[Tensor]:
    """Cut patches (C, H, W) of the picture's own size out of the enlarged picture."""
    height, width = x.shape[1:]
    cut: list[Tensor] = []
    large, last = x, 0
    for scale, top, left in places:  # those of one scale stand together
        if scale != last:
            large, last = resized(x[None], scaled_size((height, width), scale))[0], scale
        cut.append(large[:, top : top + height, left : left + width])
    return cut


def _placed(values: Tensor, place: Place) -> Tensor:
    """Put a patch's map (H, W) where the patch was and bring the whole back to (H, W)."""
    scale, top, left = place
    height, width = values.shape
    canvas = values.new_zeros(scaled_size((height, width), scale))
    canvas[top : top + height, left : left + width] = values
    # As the authors do it: point samples, no antialiasing.
    return interpolate(
        canvas[None, None], size=(height, width), mode="bilinear", align_corners=False
    )[0, 0]


def _scores(passes: Passes, image: int, places: Sequence[Place]) -> Tensor:
    """Return the target's probability in every patch, float64 (n,)."""
    parts = []
    for start in range(0, len(places), VIEWS):
        passes.check()
        rows, whose = packed(passes, image, _cut(passes.x[image], places[start : start + VIEWS]))
        with torch.no_grad():
            logits = passes.forward(rows, whose)
        task = passes.classifier.task
        found = read_output(logits, passes.targets[whose], "probability", task=task)
        parts.append(torch.from_numpy(found))
    return torch.cat(parts)


def _cost(options: Options) -> int:
    """Return the patches of a square picture."""
    size = (_REFERENCE_PX, _REFERENCE_PX)
    return len(patches(size, options["n_scales"], options["stride"]))


SPECS = (
    MethodSpec(
        id="sess",
        label="SESS",
        summary="a method's maps of patches of the enlarged picture, fused by their probability",
        family="enhancer",
        fn=sess,
        cost=_cost,
        paper="Tursun, Denman, Sridharan, Fookes 2022, arXiv:2207.01769, section 3",
        needs=frozenset({"explain", "forward"}),
        options={
            "of": OF,
            # Defaults of the authors' code: 224, 288, … 928 px, step 224 px, nothing left out.
            "n_scales": Option(default=12, help="sizes of the picture", kind="int", low=1),
            "stride": Option(
                default=1.0,
                help="step between patches as a share of their side",
                kind="float",
                low=0.05,
                high=1,
            ),
            "pre_filter": Option(
                default=0.0,
                help="share of the patches left out, the least probable ones",
                kind="float",
                high=0.999,
            ),
            "theta": Option(
                default=0.0, help="values up to it stay out of the mean", kind="float", high=1
            ),
            "sigma": Option(
                default=5.0,
                help="σ of the smoothing in px at 224 px; 0: none",
                kind="float",
                high=40,
            ),
        },
        layers_defined=WHERE,
    ),
)
