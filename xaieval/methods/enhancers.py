"""Enhancers: maps of other views of the picture by some method, brought together into one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from xaieval.errors import Cancelled, MethodError, NotDefinedError, XaievalError
from xaieval.methods.engine import out_of_memory
from xaieval.methods.passes import Passes
from xaieval.methods.spec import MethodSpec, Option, Options

# Views whose maps are held at a time; a constant, as stochastic methods count them.
VIEWS = 48

OF = Option(default="gradcam", help="the method whose maps are brought together", kind="method")
WHERE = "wherever the method that is wrapped is defined"


def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Return pictures or maps (n, C, h, w) at another size: bilinear, pixel centres.

    Where it shrinks, evidence is averaged, not skipped.
    """
    if tuple(x.shape[2:]) == size:
        return x
    smaller = size[0] < x.shape[2] or size[1] < x.shape[3]
    return interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=smaller)


def stretched(maps: Tensor) -> Tensor:
    """Return maps (n, H, W) that each reach from 0 to 1; a flat one is 0."""
    maps = maps - maps.amin((1, 2), keepdim=True)
    top = maps.amax((1, 2), keepdim=True)
    return torch.where(top > 0, maps / top.clamp(min=torch.finfo(maps.dtype).tiny), 0)


def maps_of(passes: Passes, method: str, image: int, views: Sequence[Tensor]) -> Tensor:
    """Return the maps (n, h, w) of views of one picture, each (C, h, w), all of one size."""
    parts = []
    for start in range(0, len(views), VIEWS):
        passes.check()
        parts.append(passes.explain(method, *packed(passes, image, views[start : start + VIEWS])))
    return torch.cat(parts)


def packed(passes: Passes, image: int, views: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return views of one picture as rows (n, C, h, w) laid out like the input, and their image."""
    last = passes.x.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if last else torch.contiguous_format
    rows = torch.stack(list(views)).contiguous(memory_format=layout)
    return rows, torch.full((len(rows),), image, device=rows.device)


# ---------------------------------------------------------------- Puzzle


def puzzle(passes: Passes, options: Options) -> Tensor:
    """Return the maps of the picture's tiles, each explained by itself and put in its place.

    Jo and Yu 2021, section 2.2: ``tiles`` × ``tiles`` tiles that do not overlap. ``merge`` says
    whether the mean with the whole picture's map is taken. Tiles are brought to the input's size,
    so that one definition serves every network, also those that take one size only; ``view=tile``
    leaves them as they are, as the paper does with networks that take any size.
    """
    height, width = passes.size
    tiles = options["tiles"]
    if tiles > min(height, width):
        raise MethodError(
            "more tiles than pixels",
            where="puzzle",
            expected=f"at most {min(height, width)} along each side",
            got=tiles,
        )
    rows, columns = (
        [round(side * i / tiles) for i in range(tiles + 1)] for side in (height, width)
    )
    cuts = [
        (slice(rows[i], rows[i + 1]), slice(columns[j], columns[j + 1]))
        for i in range(tiles)
        for j in range(tiles)
    ]
    maps = []
    for image, x in enumerate(passes.x):
        merged = x.new_empty(height, width)
        pieces = [x[:, down, across] for down, across in cuts]
        if options["view"] == "input":
            pieces = [resized(piece[None], (height, width))[0] for piece in pieces]
        sizes = dict.fromkeys(piece.shape[1:] for piece in pieces)
        for size in sizes:  # tiles of one size together
            chosen = [n for n, piece in enumerate(pieces) if piece.shape[1:] == size]
            found = _tile_maps(passes, options, image, [pieces[n] for n in chosen])
            for number, values in zip(chosen, found, strict=True):
                down, across = cuts[number]
                space = (down.stop - down.start, across.stop - across.start)
                merged[down, across] = resized(values[None, None], space)[0, 0]
        if options["merge"] == "mean":
            merged = (merged + maps_of(passes, options["of"], image, [x])[0]) / 2
        maps.append(merged)
    return torch.stack(maps)[:, None]


def _tile_maps(passes: Passes, options: Options, image: int, pieces: Sequence[Tensor]) -> Tensor:
    try:
        return maps_of(passes, options["of"], image, pieces)
    except (XaievalError, Cancelled):
        raise
    except Exception as error:  # whatever the network raises
        if options["view"] == "input" or out_of_memory(error):
            raise
        raise NotDefinedError(
            f"the network does not take a tile of its own size ({error})",
            where="puzzle",
            got=f"{pieces[0].shape[1]}×{pieces[0].shape[2]} px",
            fix="let tiles be enlarged: view=input",
        ) from error


def _puzzle_cost(options: Options) -> int:
    return int(options["tiles"] ** 2) + int(options["merge"] == "mean")


# ---------------------------------------------------------------- test-time augmentation


def tta(passes: Passes, options: Options) -> Tensor:
    """Return the mean map of the picture and its mirror image, each at several contrasts.

    What pytorch-grad-cam calls ``aug_smooth``: six views (mirrored or not, the input times 1 − c, 1
    and 1 + c), each map brought to 0..1 (``scale=minmax``) and back to its place.
    """
    contrast = options["contrast"]
    factors = (1 - contrast, 1.0, 1 + contrast) if contrast else (1.0,)
    maps = []
    for image, x in enumerate(passes.x):
        views = [turned * factor for turned in (x, x.flip(2)) for factor in factors]
        found = maps_of(passes, options["of"], image, views)
        if options["scale"] == "minmax":
            found = stretched(found)
        total = torch.zeros_like(found[0])
        for number, values in enumerate(found):
            total += values if number < len(factors) else values.flip(1)
        maps.append(total / len(found))
    return torch.stack(maps)[:, None]


def _tta_cost(options: Options) -> int:
    return 6 if options["contrast"] else 2


SPECS = (
    MethodSpec(
        id="puzzle",
        label="Puzzle",
        summary="a method's maps of the picture's tiles, put together like a puzzle",
        family="enhancer",
        fn=puzzle,
        cost=_puzzle_cost,
        paper="Jo and Yu 2021, arXiv:2101.11253, section 2.2",
        needs=frozenset({"explain"}),
        options={
            "of": OF,
            "tiles": Option(default=2, help="tiles along each side", kind="int", low=1),
            "merge": Option(
                default="mean",
                help="mean with the map of the whole picture, or the tiles alone",
                kind="choice",
                choices=("mean", "tiles"),
            ),
            "view": Option(
                default="input",
                help="size at which a tile is seen: the input's or its own",
                kind="choice",
                choices=("input", "tile"),
            ),
        },
        layers_defined=WHERE,
    ),
    MethodSpec(
        id="tta",
        label="Test-time augmentation",
        summary="a method's maps of the picture and its mirror image at three contrasts, averaged",
        family="enhancer",
        fn=tta,
        cost=_tta_cost,
        paper="Gildenblat et al. 2021, pytorch-grad-cam, aug_smooth",
        needs=frozenset({"explain"}),
        options={
            "of": OF,
            "contrast": Option(
                default=0.1,
                help="c of the factors 1 − c, 1, 1 + c; 0: the mirror image alone",
                kind="float",
                high=1,
            ),
            "scale": Option(
                default="minmax",
                help="whether each map is brought to 0..1 first, or taken as it is",
                kind="choice",
                choices=("minmax", "raw"),
            ),
        },
        layers_defined=WHERE,
    ),
)
