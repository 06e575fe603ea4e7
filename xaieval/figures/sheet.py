"""The sheet of one image: the picture, each method's heatmap and Top-K overlay, and all scores."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Patch, PathPatch
from matplotlib.path import Path as MplPath

from xaieval.errors import ConfigError, unknown
from xaieval.figures.palette import INKS, Ink, method_colours
from xaieval.figures.printed import STYLE, new_figure
from xaieval.render import (
    COLOUR_MAPS,
    SIGNED,
    TOPK_COLOURS,
    levels,
    outline_path,
    overlay,
    topk_overlay,
)
from xaieval.types import Image, Mask, Score

TOPK_NAMES = {"hit": "hit", "miss": "miss", "false_alarm": "false alarm"}
SHOWN = ("both", "heatmap", "topk")
SCALES = ("each", "clipped", "shared")
DISPLAYS = ("minmax", "raw", "signed")
_CLIPPED = 0.005  # of a map's pixels may lie above the colours' end, as on the page
_COLUMNS = 4  # methods side by side; more go on below
_CELL_IN = 1.75
_LINE_IN = 0.125


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a sheet draws: as the page does under the same names.

    Attributes
    ----------
    colormap : str
        A key of ``render.COLOUR_MAPS``; "signed" maps have their own.
    opacity : float
        Of the heatmap over the picture, 0 to 1.
    show : {"both", "heatmap", "topk"}
    scale : {"each", "clipped", "shared"}
        Colours span each map's range, leave out its highest 0.5 %, or span all maps together.
    display : {"minmax", "raw", "signed"}
        What the colours mean: the map's own range, from zero to its largest value, or the same
        distance on both sides of zero.

    Raises
    ------
    ConfigError
        For an unknown name or an opacity outside 0 to 1.
    """

    colormap: str = "inferno"
    opacity: float = 0.6
    show: str = "both"
    scale: str = "each"
    display: str = "minmax"

    def __post_init__(self) -> None:
        for kind, name, known in (
            ("colour map", self.colormap, COLOUR_MAPS),
            ("view", self.show, SHOWN),
            ("scale", self.scale, SCALES),
            ("display", self.display, DISPLAYS),
        ):
            if name not in known:
                raise unknown(kind, name, known)
        if not 0 <= self.opacity <= 1:
            raise ConfigError("not a valid opacity", expected="0 to 1", got=self.opacity)


@dataclass(frozen=True, eq=False, kw_only=True)
class SheetPanel:
    """One method on the sheet.

    Attributes
    ----------
    key, label : str
    values : float (H, W) or None
        The heatmap; None where the method is not defined for the network (``undefined`` says why).
    weights : float (H, W) in [0, 1] or None
        What is among the K strongest pixels, K the mask's size; None without a mask.
    scores : mapping of label -> Score
    win : float or None
        Share of the win on this image; None for a method that does not compete.
    """

    key: str
    label: str
    values: npt.NDArray[np.floating] | None
    weights: npt.NDArray[np.floating] | None = None
    scores: Mapping[str, Score] = field(default_factory=dict)
    win: float | None = None
    undefined: str = ""

    @property
    def head(self) -> str:
        """The method's name, marked where it wins the image or shares the win.

        >>> SheetPanel(key="m", label="M", values=None, win=0.5).head
        'M (shares the win)'
        """
        if not self.win:
            return self.label
        return f"{self.label} ({'wins' if self.win > 1 - 1e-9 else 'shares the win'})"


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageSheet:
    """Everything that the sheet of one image under one model shows.

    Attributes
    ----------
    study, sample_id, class_name, split : str
    seed, fold : int
        Of the model.
    predicted, target : str
        What the model says, and the class whose evidence the maps show.
    correct : bool
    probabilities : tuple of (class name, probability), highest first
    picture : uint8 (H, W, 3), as the model sees it
    mask : bool (H, W) or None
    region : str
        Whose mask it is.
    panels : tuple of SheetPanel
    wins_by : str
        The score that decides who wins.
    look : Look
    k : int
        Pixels of the Top-K; 0 for the mask's size.
    threshold : float or None
        Where the min-max normalised maps are cut instead.
    edit : str
        What was done to the picture, in words.
    options : SheetOptions
        What it was asked for with (``export.sheet_options``); None for a sheet made by hand.
    """

    study: str
    sample_id: str
    class_name: str
    split: str
    seed: int
    fold: int
    predicted: str
    target: str
    correct: bool
    probabilities: tuple[tuple[str, float], ...]
    picture: Image
    mask: Mask | None
    region: str
    panels: tuple[SheetPanel, ...]
    wins_by: str = ""
    look: Look = field(default_factory=Look)
    k: int = 0
    threshold: float | None = None
    edit: str = ""
    options: Any = None

    @property
    def has_mask(self) -> bool:
        return self.mask is not None and bool(self.mask.any())

    @property
    def area_share(self) -> float:
        """The mask's share of the picture, what chance gets; NaN without a mask."""
        return float(self.mask.mean()) if self.mask is not None else math.nan

    @property
    def outline(self) -> str:
        """The mask's border as an SVG path in pixels; "" without a mask."""
        return outline_path(self.mask) if self.mask is not None else ""

    def heat(self, panel: SheetPanel) -> Image:
        """Return a method's heatmap over the picture."""
        assert panel.values is not None, panel.undefined
        low, high = self.span(panel)
        return overlay(
            self.picture,
            panel.values,
            low=low,
            high=high,
            opacity=self.look.opacity,
            colormap=SIGNED if self.look.display == "signed" else self.look.colormap,
        )

    def span(self, panel: SheetPanel) -> tuple[float, float]:
        """Return the values at the two ends of a panel's colours."""
        assert panel.values is not None, panel.undefined
        shown = [panel.values]
        if self.look.scale == "shared":
            shown = [other.values for other in self.panels if other.values is not None]
        low = min(float(values.min()) for values in shown)
        high = max(float(values.max()) for values in shown)
        if self.look.scale == "clipped" and high > low:
            counts = np.bincount(levels(panel.values).ravel(), minlength=256)
            above = np.cumsum(counts[::-1])[::-1]  # pixels at a level or higher
            few = above <= _CLIPPED * panel.values.size
            few[:2] = False
            top = int(np.argmax(few)) - 1 if few.any() else 255
            high = low + (high - low) * max(top, 1) / 255
        if self.look.display == "raw":
            low = min(low, 0.0)
        elif self.look.display == "signed":
            end = max(abs(low), abs(high))
            low, high = -end, end
        return low, high

    def topk(self, panel: SheetPanel) -> Image:
        """Return what a method's K strongest pixels hit and miss, over the dimmed picture."""
        assert panel.weights is not None, "there is no mask"
        return topk_overlay(self.picture, panel.weights, self.mask, outline=False)

    @property
    def verdict(self) -> str:
        """What the model says about the image, in words."""
        confidence = dict(self.probabilities).get(self.predicted)
        share = "" if confidence is None else f", p = {confidence:.3f}"
        right = "right" if self.correct else "wrong"
        return f"predicted {self.predicted} ({right}{share})"

    @property
    def where(self) -> str:
        """Study, image, class, split and model, in one line."""
        fold = f", fold {self.fold}" if self.fold else ""
        return f"{self.sample_id}: {self.class_name}, {self.split}; seed {self.seed}{fold}"

    @property
    def note(self) -> str:
        """How the scores and colours are to be read."""
        if not self.has_mask:
            return (
                f"No mask of {self.region}: no pixel can be hit, so nothing is scored against it."
            )
        assert self.mask is not None
        size = int(self.mask.sum())
        text = (
            f"White line: mask of {self.region}, {size} px, {self.area_share:.1%} of the picture "
            f"(area share {self.area_share:.3f}: the overlap that chance gets). {self.cut}"
        )
        text = f"{text} Wins are by {self.wins_by}." if self.wins_by else text
        return f"{text} {self.edit}" if self.edit else text

    @property
    def cut(self) -> str:
        """Which pixels of a map count as shown, in words."""
        if self.threshold is not None:
            return f"Cut: what reaches {self.threshold:.0%} of each map's range."
        k = self.k or (0 if self.mask is None else int(self.mask.sum()))
        return f"Top-K: the {k} strongest pixels of each map."


def score_text(score: Score) -> str:
    """Return a score as people read it: three decimals, or why there is none.

    >>> score_text(Score(0.5)), score_text(Score(math.nan, "empty-mask"))
    ('0.500', 'empty-mask')
    """
    return score.reason or f"{score.value:.3f}"


def draw_sheet(sheet: ImageSheet) -> Figure:
    """Draw a sheet for paper: a matplotlib figure on white.

    In each band the heatmaps stand above their Top-K overlays and scores; the picture, the class
    probabilities and the legend stand on the left.
    """
    with mpl.rc_context(STYLE):
        ink = INKS["light"]
        bands = [
            sheet.panels[start : start + _COLUMNS]
            for start in range(0, max(len(sheet.panels), 1), _COLUMNS)
        ]
        columns = min(max(len(sheet.panels), 1), _COLUMNS) + 1
        cuts = any(panel.weights is not None for panel in sheet.panels)
        rows = 2 if cuts and sheet.look.show == "both" else 1
        lines = max((len(panel.scores) for panel in sheet.panels), default=0)
        text_in = (lines + 2) * _LINE_IN if sheet.has_mask and lines else 0.2
        height, width = sheet.picture.shape[:2]
        cell_in = _CELL_IN * height / width
        first = cell_in + (0.2 if rows == 2 else 0.2 + text_in)
        ratios = [first, *([cell_in + text_in] if rows == 2 else [])] * len(bands)
        figure = new_figure(_CELL_IN * columns, sum(ratios) + 1.0, "light")
        grid = figure.subplots(
            len(ratios), columns, squeeze=False, gridspec_kw={"height_ratios": ratios}
        )
        for axes in grid.flat:
            axes.set_axis_off()
        name = "picture and mask" if sheet.has_mask else "picture"
        _show(grid[0][0], sheet, sheet.picture, name, ink.text)
        grid[0][0].set_anchor("N")
        _bars(grid[1][0] if len(ratios) > 1 else grid[0][0].inset_axes((0, -0.66, 1, 0.54)), sheet)
        colours = method_colours([panel.key for panel in sheet.panels])
        for number, band in enumerate(bands):
            for place, panel in enumerate(band, start=1):
                top = grid[number * rows][place]
                below = grid[number * rows + 1][place] if rows == 2 else None
                _panel(top, below, sheet, panel, colours[panel.key], ink)
        figure.suptitle(
            _plain(f"{sheet.study}\n{sheet.where}; {sheet.verdict}"), fontsize=9, color=ink.text
        )
        _legend(figure, sheet, ink)
        return figure


def _show(axes: Any, sheet: ImageSheet, image: Image, title: str, colour: str) -> None:
    """Draw an image and, thin enough to hide nothing, the mask's border: white on black."""
    axes.imshow(image, interpolation="nearest")
    points = []
    for x, y, way, length in re.findall(r"M(\d+) (\d+)([hv])(\d+)", sheet.outline):
        start = np.array([float(x), float(y)]) - 0.5  # imshow puts pixel centres at whole numbers
        step = [float(length), 0.0] if way == "h" else [0.0, float(length)]
        points += [start, start + step]
    if points:
        border = MplPath(np.array(points), [MplPath.MOVETO, MplPath.LINETO] * (len(points) // 2))
        for ink, width in (("black", 1.1), ("white", 0.55)):
            axes.add_patch(PathPatch(border, fill=False, edgecolor=ink, linewidth=width))
    axes.set_title(_plain(title), fontsize=7.5, color=colour, pad=3)


def _panel(
    top: Any, below: Any, sheet: ImageSheet, panel: SheetPanel, colour: str, ink: Ink
) -> None:
    if panel.values is None:
        top.set_title(_plain(panel.label), fontsize=7.5, color=colour)
        text = "\n".join(textwrap.wrap(f"no map: {panel.undefined}", 26))
        top.text(0.5, 0.5, _plain(text), ha="center", va="center", fontsize=7, color=ink.muted)
        return
    cut = sheet.look.show == "topk" and panel.weights is not None
    _show(top, sheet, sheet.topk(panel) if cut else sheet.heat(panel), panel.head, colour)
    top.set_anchor("N")
    if below is not None and panel.weights is not None:
        _show(below, sheet, sheet.topk(panel), "", ink.text)
    if not sheet.has_mask:
        return
    below = top if below is None else below
    below.set_anchor("N")
    names = "\n".join(panel.scores)
    values = "\n".join(map(score_text, panel.scores.values()))
    style = {"xycoords": "axes fraction", "textcoords": "offset points", "fontsize": 6.5}
    for at, text, align in ((0.0, names, "left"), (1.0, values, "right")):
        below.annotate(
            _plain(text), (at, 0), xytext=(0, -4), ha=align, va="top", color=ink.text, **style
        )


def _bars(axes: Any, sheet: ImageSheet) -> None:
    """Draw the highest class probabilities."""
    ink, shown = INKS["light"], sheet.probabilities[:6]
    axes.set_axis_on()
    axes.set_facecolor("none")
    axes.spines[:].set_visible(False)
    colours = [ink.test if name == sheet.predicted else ink.line for name, _ in shown]
    axes.barh(range(len(shown)), [p for _, p in shown], color=colours, height=0.5)
    for place, (name, share) in enumerate(shown):
        axes.text(0, place - 0.34, _plain(f"{name}  {share:.3f}"), fontsize=7, color=ink.text)
    axes.set_xlim(0, 1)
    axes.set_ylim(len(shown) - 0.4, -0.9)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title("class probabilities", fontsize=7.5, color=ink.text)


def _legend(figure: Figure, sheet: ImageSheet, ink: Ink) -> None:
    handles = [
        Patch(facecolor=TOPK_COLOURS[key], edgecolor=ink.muted, linewidth=0.4, label=name)
        for key, name in TOPK_NAMES.items()
        if sheet.has_mask
    ]
    room = int(figure.get_size_inches()[0] / 0.062)
    legend = figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=3,
        frameon=False,
        labelcolor=ink.text,
        title=_plain("\n".join(textwrap.wrap(sheet.note, room))),
        title_fontsize=7,
    )
    legend.get_title().set_color(ink.text)


def _plain(text: str) -> str:
    return text.replace("$", r"\$")
