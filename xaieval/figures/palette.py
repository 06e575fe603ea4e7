"""Colours and marks of methods and splits: one method looks the same in every figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Mode = Literal["light", "dark"]
Origin = Literal["measured", "published"]

# After Okabe and Ito (https://jfly.uni-koeln.de/color/): the value for a light ground, then one of
# the same hue for a dark ground, moved in lightness until any two, and the grey of baselines, are
# apart for dichromats too (CIEDE2000 of 10 and more; of groups 8): tests/test_colour_vision.py.
_MEASURED: dict[str, tuple[str, str]] = {
    "gradcam": ("#0072b2", "#56a8e0"),
    "saliency": ("#d55e00", "#f39455"),
    "integrated_gradients": ("#006c4b", "#48ecb4"),
    "gradient_x_input": ("#743867", "#b95da4"),
    "occlusion": ("#9d8154", "#ffd14f"),
}
_MEASURED_SPARE = (("#4c5fb8", "#98a7f0"), ("#8a4b2d", "#d09a7c"), ("#3f7f8c", "#7cc3d1"))
_BASELINE = ("#73777f", "#a3a8b1")
BASELINES = frozenset({"random", "constant", "sobel", "centre_prior"})

# Figures that only repeat published numbers: a violet family, three steps of lightness apart.
_PUBLISHED: dict[str, tuple[str, str]] = {
    "gradcam": ("#54278f", "#7b84d8"),
    "saliency": ("#e94592", "#ca5da4"),
    "integrated_gradients": ("#6c82cf", "#8fc0f5"),
}
_PUBLISHED_SPARE = (("#8a4b9e", "#d4a5e3"), ("#46508f", "#a3adf0"), ("#a0527f", "#e0a3c6"))

# Groups that are no methods, moved likewise, after Paul Tol's schemes (https://sronpersonalpages.nl/~pault/),
# darkened for a light ground and lightened for a dark one.
_GROUPS = (
    ("#00538b", "#6498da"),
    ("#d24f4a", "#f5929d"),
    ("#1f7a33", "#9fe19c"),
    ("#694a08", "#d9cc63"),
    ("#79005f", "#c479ad"),
    ("#4c91aa", "#69d4e4"),
    ("#4962c7", "#a5b0ff"),
    ("#5c6166", "#b3b8c0"),
)

MARKS = ("circle", "square", "triangle", "diamond", "hex", "inverted_triangle", "star")
"""Marks of the points, by the method's place among the competitors (Bokeh's names)."""


@dataclass(frozen=True)
class Ink:
    """The colours of everything that is not data, for one ground."""

    text: str
    muted: str
    line: str
    band: str
    paper: str
    train: str
    test: str


INKS: dict[Mode, Ink] = {
    "light": Ink("#17191c", "#565a60", "#d0d3d7", "#f4f5f6", "#ffffff", "#8a6d1f", "#2b5fb4"),
    "dark": Ink("#e9eaec", "#a2a6ac", "#3c4046", "#24272b", "#191b1e", "#dcbc62", "#86b2f5"),
}


def base_id(key: str) -> str:
    """Return the method id of a method key.

    >>> base_id("integrated_gradients[n_steps=50]")
    'integrated_gradients'
    """
    return key.partition("[")[0]


def method_colours(
    keys: Sequence[str], *, mode: Mode = "light", origin: Origin = "measured"
) -> dict[str, str]:
    """Return one hex colour per method key, stable for the known methods.

    Parameters
    ----------
    keys : sequence of str
        Method keys in display order. Unknown ones, and the second key of a known method, take
        spare colours in that order.
    mode : {"light", "dark"}
        Ground the colours are seen on.
    origin : {"measured", "published"}
        Published numbers use another family of colours than measured ones.

    >>> method_colours(["gradcam", "random"])
    {'gradcam': '#0072b2', 'random': '#73777f'}
    """
    known = _MEASURED if origin == "measured" else _PUBLISHED
    spare = _MEASURED_SPARE if origin == "measured" else _PUBLISHED_SPARE
    place = 0 if mode == "light" else 1
    used: set[str] = set()
    colours: dict[str, str] = {}
    n_spare = 0
    for key in keys:
        method = base_id(key)
        if method in BASELINES:
            pair = _BASELINE
        elif method in known and method not in used:
            pair = known[method]
        else:
            pair = spare[n_spare % len(spare)]
            n_spare += 1
        used.add(method)
        colours[key] = pair[place]
    return colours


def method_marks(keys: Sequence[str]) -> dict[str, str]:
    """Return one mark per method key, so that colour is never the only sign.

    >>> method_marks(["gradcam", "saliency"])
    {'gradcam': 'circle', 'saliency': 'square'}
    """
    return {key: MARKS[i % len(MARKS)] for i, key in enumerate(keys)}


def group_colours(count: int, *, mode: Mode = "light") -> list[str]:
    """Return colours for groups that are no methods; with the marks, 56 differ.

    >>> group_colours(2)
    ['#00538b', '#d24f4a']
    """
    place = 0 if mode == "light" else 1
    return [_GROUPS[i % len(_GROUPS)][place] for i in range(count)]


def dark_colours() -> dict[str, str]:
    """Return the colour for a dark ground of every colour that a light figure uses.

    A page can turn a figure that is drawn once by exchanging its colours.

    >>> dark_colours()["#0072b2"]
    '#56a8e0'
    """
    light, dark = INKS["light"], INKS["dark"]
    pairs = [(getattr(light, name), getattr(dark, name)) for name in light.__dataclass_fields__]
    pairs += [*_MEASURED.values(), *_MEASURED_SPARE, _BASELINE, *_PUBLISHED.values()]
    return dict([*pairs, *_PUBLISHED_SPARE, *_GROUPS])
