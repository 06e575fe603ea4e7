"""What one person looks at: one small value object, kept in step with the page's address.

The link is read value by value: what cannot be understood falls back to its default and is
reported, everything else is kept. No value of a link ever reads as a number (``seed-42``,
``412px``, ``60pct``), so nothing on the way can turn it into one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode

import param

from xaieval.edits import parse_edit
from xaieval.errors import ConfigError, StoryError
from xaieval.stats import PATTERNS
from xaieval.story.stamps import Stamp, changes, changes_text

PAGES = ("explore", "triage", "batch", "parts", "compare", "present")
COLOUR_MAPS = ("inferno", "cividis", "jet")
VIEWS = ("both", "heatmap", "topk")
SCALES = ("each", "clipped", "shared")
DISPLAYS = ("minmax", "raw", "signed")
IMAGES = ("correct", "all")
POINTS = ("methods", "classes")
ANSWERS = ("all", "correct", "wrong")
OUTCOMES = ("counted", "won", "lost")
LISTED = ("table", "gallery")
CELLS = ("score", "lift")
TIES = ("split", "first")
UNITS = ("seed", "image")
MOST_MODELS = 6
LONGEST_EDIT = 1200
"""Characters of an edit that a link still holds."""
ANY = "all"
"""The split or class filter that lets everything through."""


class AppState(param.Parameterized):
    """Everything a link restores. Pages read and set it; the shell writes it to the address."""

    page = param.Selector(default="explore", objects=list(PAGES))
    study = param.String(default="", doc="id of an opened study; '' is the first one")
    split = param.String(default="", doc="'' is the study's first: test where there is one")
    class_name = param.String(default=ANY)
    image = param.String(default="", doc="url id of the sample; '' is the first one shown")
    seed = param.Integer(default=None, allow_None=True, doc="training seed; None is the first")
    methods = param.ClassSelector(
        default=(), class_=tuple, doc="keys; () is the study's own choice"
    )
    target = param.String(default="predicted", doc="'predicted', 'label' or a class name")
    metric = param.String(default="topk_overlap", doc="the score that ranks")
    region = param.String(default="", doc="the region scored; '' is the study's first")
    k = param.Integer(default=None, allow_None=True, bounds=(1, None), doc="px; None = mask size")
    opacity = param.Number(default=0.6, bounds=(0, 1))
    colormap = param.Selector(default="inferno", objects=list(COLOUR_MAPS))
    view = param.Selector(default="both", objects=list(VIEWS))
    scale = param.Selector(default="each", objects=list(SCALES))
    display = param.Selector(default="minmax", objects=list(DISPLAYS), doc="what colours mean")
    threshold = param.Number(
        default=None, allow_None=True, bounds=(0.01, 1), doc="of the min-max map; None: cut by K"
    )
    swipe = param.ClassSelector(default=(), class_=tuple, doc="() or two method keys in one well")
    measure = param.String(default="", doc="Parts, Compare: the score; '' is a regional one")
    parts = param.ClassSelector(default=(), class_=tuple, doc="Parts: regions; () is the study's")
    part_seed = param.Integer(default=None, allow_None=True, doc="Parts: training seed; None: all")
    images = param.Selector(default="", objects=["", *IMAGES], doc="'' is the page's own choice")
    falsified = param.String(default="", doc="Parts: a falsification score; '' is the area-matched")
    points = param.Selector(default="methods", objects=list(POINTS), doc="Parts: of falsification")
    cell = param.Selector(default="score", objects=list(CELLS), doc="Parts: of class and region")
    method = param.String(default="", doc="Parts, Compare: the one method; '' is the study's first")
    models = param.ClassSelector(default=(), class_=tuple, doc="Compare: model ids, 2 to 6")
    ties = param.Selector(default="split", objects=list(TIES), doc="equal scores: who wins")
    unit = param.Selector(default="seed", objects=list(UNITS), doc="Batch: a test's observation")
    answers = param.Selector(default="all", objects=list(ANSWERS), doc="Triage: whose predictions")
    pattern = param.String(default="", doc="Triage: a key of stats.PATTERNS; '' is every one")
    lines = param.ClassSelector(default=(), class_=tuple, doc="() or (high, covered, low)")
    order = param.String(default="surprise", doc="Triage: what comes first")
    confidence = param.ClassSelector(default=(), class_=tuple, doc="() or (from, to), both in")
    span = param.ClassSelector(default=(), class_=tuple, doc="() or (from, to) of the score")
    outcome = param.String(default="", doc="'' or counted:METHOD, won:METHOD, lost:METHOD")
    tag = param.String(default="", doc="Triage: '' is every image")
    find = param.String(default="", doc="Triage: text in the image's name, class, tags or note")
    listed = param.Selector(default="table", objects=list(LISTED))
    edit = param.String(default="", doc="what if: an edit's text, xaieval.edits; '' is none")
    story = param.String(default="", doc="Present: id of a story; '' is the one changed last")
    slide = param.String(default="", doc="Present: id of the slide chosen; '' is the first")
    presenting = param.Boolean(default=False, doc="the live pages are shown one after the other")
    came = param.Dict(default={}, doc="values of Batch when it opened Triage; not in the link")
    notices = param.List(default=[], item_type=str, doc="what the shell tells the person")

    def notify(self, *texts: str) -> None:
        """Show some sentences above the page, after those already there."""
        new = [text for text in texts if text not in self.notices]
        if new:
            self.notices = [*self.notices, *new]

    def restore(
        self,
        search: str,
        *,
        study: Callable[[str], str] = str,
        stamp: Callable[[AppState], Stamp | None] | None = None,
        keep: Sequence[str] = (),
        what: str = "this link was copied",
    ) -> None:
        """Take over a link: all that it names, the default of all else.

        What cannot be understood is reported, and so is what has changed since the link got its
        stamp (``what`` says when that was).

        ``study`` returns under which key what a link calls a study is opened here; ``stamp`` the
        stamp of what the state shows now. The parameters in ``keep`` stay as they are.
        """
        values, problems = read_link(search)
        if "study" in values:
            values["study"] = study(values["study"])
        rest = {f.name: self.param[f.name].default for f in FIELDS if f.name not in values}
        fresh = {name: value for name, value in (rest | values).items() if name not in keep}
        with param.parameterized.batch_call_watchers(self):
            # What belongs to an image is said again even where it stays the same.
            self.k, self.edit = None, ""
            self.param.update(**fresh)
        then, problem = read_stamp(search)
        now = stamp(self) if stamp is not None and then is not None else None
        found = changes(then, now) if then is not None and now is not None else ()
        said = [changes_text(found, what=what)] if found else []
        self.notify(*problems, *filter(None, [problem]), *said)


def _number(pattern: str, low: int, high: int | None) -> Callable[[str], int]:
    def read(text: str) -> int:
        match = re.fullmatch(pattern, text, re.ASCII)
        if not match or len(text) > 24:
            raise ValueError
        value = int(match.group(1))
        if value < low or (high is not None and value > high):
            raise ValueError
        return value

    return read


def _one_of(*known: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in known:
            raise ValueError
        return text

    return read


def _text(text: str) -> str:
    if not text or len(text) > 200 or not text.isprintable():
        raise ValueError
    return text


def _image(text: str) -> str:
    if not re.fullmatch(r"s[0-9a-f]{12}|own-[0-9]{1,4}", text):
        raise ValueError
    return text


def _edit(text: str) -> str:
    try:
        return parse_edit(text).text
    except ConfigError as error:
        raise ValueError from error


def _write_edit(text: str) -> str:
    """Return an edit as a link holds it; a long brush stays out, and the page says so."""
    return text if len(text) <= LONGEST_EDIT else ""


def _id(letter: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not re.fullmatch(letter + r"[0-9a-f]{8}", text):
            raise ValueError
        return text

    return read


def _methods(text: str) -> tuple[str, ...]:
    keys = tuple(dict.fromkeys(part for part in text.split(" ") if part))
    if not keys or len(keys) > 24:
        raise ValueError
    return keys


def _pair(text: str) -> tuple[str, ...]:
    keys = _methods(text)
    if len(keys) != 2:
        raise ValueError
    return keys


def _names(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(_text(unquote(part)) for part in text.split(" ") if part))
    if not names or len(names) > 64:
        raise ValueError
    return names


def _write_names(names: tuple[str, ...]) -> str:
    return " ".join(quote(name, safe="/[]=,:;()") for name in names)


def _models(text: str) -> tuple[str, ...]:
    models = _names(text)
    if len(models) > MOST_MODELS or not all(re.fullmatch(r".+/seed-\d{1,19}", m) for m in models):
        raise ValueError
    return models


_DECIMAL = r"-?\d{1,9}(?:\.\d{1,9})?"


def _range(text: str) -> tuple[float, float]:
    match = re.fullmatch(rf"({_DECIMAL})to({_DECIMAL})", text, re.ASCII)
    if not match:
        raise ValueError
    low, high = float(match.group(1)), float(match.group(2))
    if low > high:
        raise ValueError
    return low, high


def _write_range(values: tuple[float, float]) -> str:
    return "to".join(_decimal(value) for value in values)


def _decimal(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _lines(text: str) -> tuple[float, float, float]:
    pattern = rf"high-({_DECIMAL}) covered-({_DECIMAL}) low-({_DECIMAL})"
    match = re.fullmatch(pattern, text, re.ASCII)
    if not match:
        raise ValueError
    high, covered, low = (float(found) for found in match.groups())
    if not 0 <= low < high <= 1 or not 0 < covered <= 1:  # as stats.Thresholds asks
        raise ValueError
    return high, covered, low


def _write_lines(values: tuple[float, float, float]) -> str:
    return " ".join(
        f"{name}-{_decimal(value)}"
        for name, value in zip(("high", "covered", "low"), values, strict=True)
    )


def _outcome(text: str) -> str:
    what, _, method = _text(text).partition(":")
    if what not in OUTCOMES or not method:
        raise ValueError
    return text


@dataclass(frozen=True)
class Field:
    """One value of the link: its key there, its parameter, and how to read and write it."""

    key: str
    name: str
    read: Callable[[str], Any]
    write: Callable[[Any], str] = str
    hint: str = ""


_opacity = _number(r"(\d+)pct", 0, 100)
_share = _number(r"(\d+)pct", 1, 100)
FIELDS = (
    Field("page", "page", _one_of(*PAGES), hint=", ".join(PAGES)),
    Field("study", "study", _text, hint="the id of an opened study"),
    Field("split", "split", _text, hint="a split or 'all'"),
    Field("class", "class_name", _text, hint="a class or 'all'"),
    Field("image", "image", _image, hint="s and 12 hex digits, or own-1"),
    Field("seed", "seed", _number(r"seed-(\d+)", 0, 2**62), "seed-{}".format, "such as seed-42"),
    Field("methods", "methods", _methods, " ".join, "method ids joined by +"),
    Field("target", "target", _text, hint="predicted, label or a class"),
    Field("metric", "metric", _text, hint="a metric id"),
    Field("region", "region", _text, hint="a region of the dataset"),
    Field("k", "k", _number(r"(\d+)px", 1, 2**31), "{}px".format, "such as 412px"),
    Field(
        "opacity",
        "opacity",
        lambda text: _opacity(text) / 100,
        lambda value: f"{round(value * 100)}pct",
        "0pct to 100pct",
    ),
    Field("map", "colormap", _one_of(*COLOUR_MAPS), hint="one of " + ", ".join(COLOUR_MAPS)),
    Field("view", "view", _one_of(*VIEWS), hint="one of " + ", ".join(VIEWS)),
    Field("scale", "scale", _one_of(*SCALES), hint="each, clipped or shared"),
    Field("display", "display", _one_of(*DISPLAYS), hint="minmax, raw or signed"),
    Field(
        "threshold",
        "threshold",
        lambda text: _share(text) / 100,
        lambda value: f"{round(value * 100)}pct",
        "1pct to 100pct",
    ),
    Field("swipe", "swipe", _pair, " ".join, "two method ids joined by +"),
    Field("measure", "measure", _text, hint="a metric id"),
    Field("parts", "parts", _names, _write_names, "regions joined by +"),
    Field("of", "part_seed", _number(r"seed-(\d+)", 0, 2**62), "seed-{}".format, "such as seed-42"),
    Field("images", "images", _one_of(*IMAGES), hint="correct or all"),
    Field("falsified", "falsified", _text, hint="a falsification score"),
    Field("points", "points", _one_of(*POINTS), hint="methods or classes"),
    Field("cell", "cell", _one_of(*CELLS), hint="score or lift"),
    Field("method", "method", _text, hint="a method id"),
    Field("models", "models", _models, _write_names, "such as study/seed-42, joined by +, up to 6"),
    Field("edit", "edit", _edit, _write_edit, "such as erase:blur:region=mouth"),
    Field("ties", "ties", _one_of(*TIES), hint="split or first"),
    Field("unit", "unit", _one_of(*UNITS), hint="seed or image"),
    Field("answers", "answers", _one_of(*ANSWERS), hint="all, correct or wrong"),
    Field("pattern", "pattern", _one_of(*PATTERNS), hint="a pattern such as distractor"),
    Field("lines", "lines", _lines, _write_lines, "such as high-0.5 covered-0.8 low-0.1"),
    Field("order", "order", _text, hint="an order of the queue, such as surprise"),
    Field("confidence", "confidence", _range, _write_range, "such as 0.8to1"),
    Field("span", "span", _range, _write_range, "such as 0to0.25"),
    Field("outcome", "outcome", _outcome, hint="such as lost:gradcam"),
    Field("tag", "tag", _text, hint="a tag"),
    Field("find", "find", _text, hint="a text"),
    Field("listed", "listed", _one_of(*LISTED), hint="table or gallery"),
    Field("story", "story", _id("t"), hint="t and 8 hex digits"),
    Field("slide", "slide", _id("v"), hint="v and 8 hex digits"),
)


def read_link(search: str) -> tuple[dict[str, Any], list[str]]:
    """Return the readable values of ``?a=b&…`` and one sentence for each that is not."""
    try:
        query = parse_qs(search.removeprefix("?"), max_num_fields=60)
    except ValueError:
        return {}, ["The link holds too many values; it was ignored."]
    values: dict[str, Any] = {}
    problems = []
    for field in FIELDS:
        if field.key not in query:
            continue
        text = query[field.key][0]
        try:
            values[field.name] = field.read(text)
        except ValueError:
            shown = text if len(text) <= 40 else text[:40] + "…"
            problems.append(
                f"The link's {field.key} “{shown}” is not valid (expected {field.hint}); "
                "the default is shown."
            )
    return values, problems


def read_stamp(search: str) -> tuple[Stamp | None, str]:
    """Return a link's stamp, None without one, and a sentence when it cannot be understood."""
    try:
        text = parse_qs(search.removeprefix("?"), max_num_fields=60).get("as", [""])[0]
    except ValueError:
        return None, ""
    try:
        return (Stamp.read(text), "") if text else (None, "")
    except StoryError:
        shown = text if len(text) <= 40 else text[:40] + "…"
        return None, (
            f"The link's as “{shown}” is not valid: nobody can tell whether anything has changed."
        )


def write_link(state: AppState) -> str:
    """Return ``?a=b&…`` with every value that differs from its default."""
    pairs = []
    for field in FIELDS:
        value = getattr(state, field.name)
        if value != state.param[field.name].default and value not in ("", (), None):
            text = field.write(value)
            if text:
                pairs.append((field.key, text))
    return "?" + urlencode(pairs) if pairs else ""
