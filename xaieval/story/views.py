"""What the link of a slide asks for, read without the dashboard: results, images, exhibits."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

from xaieval.digest import url_id
from xaieval.errors import StoryError, XaievalError
from xaieval.export.exhibits import Population, TieRule, View
from xaieval.export.regional import RegionalView
from xaieval.story.model import Slide
from xaieval.story.stamps import Stamp, changes, stamp_of
from xaieval.study.regional import regional_metrics

if TYPE_CHECKING:
    from xaieval.study import Results

ANY = "all"
OVERALL = "overall"


@dataclass(frozen=True)
class Link:
    """The values of a link, as the dashboard writes them.

    >>> link = Link("?page=explore&k=412px&seed=seed-42&methods=gradcam+saliency")
    >>> link.page, link.k, link.seed, link.methods, link.colormap
    ('explore', 412, 42, ('gradcam', 'saliency'), 'inferno')
    """

    text: str

    @cached_property
    def values(self) -> Mapping[str, str]:
        """Key -> text, the first of each key."""
        try:
            found = parse_qs(self.text.removeprefix("?"), max_num_fields=80)
        except ValueError:
            raise StoryError("the link of a slide cannot be read", got=self.text[:60]) from None
        return {key: texts[0] for key, texts in found.items()}

    def get(self, key: str, default: str = "") -> str:
        """Return a value's text."""
        return self.values.get(key, default)

    def number(self, key: str, pattern: str) -> int | None:
        """Return a whole number that stands in a text such as ``412px``; None without one."""
        match = re.fullmatch(pattern, self.get(key), re.ASCII)
        return int(match[1]) if match and len(match[1]) < 20 else None

    def names(self, key: str) -> tuple[str, ...]:
        """Return names that are parted by blanks."""
        return tuple(dict.fromkeys(unquote(name) for name in self.get(key).split(" ") if name))

    @property
    def page(self) -> str:
        return self.get("page", "explore")

    @property
    def k(self) -> int | None:
        """Pixels of the Top-K; None for the mask's size."""
        return self.number("k", r"(\d+)px")

    @property
    def seed(self) -> int | None:
        """Of the model shown."""
        return self.number("seed", r"seed-(\d+)")

    @property
    def part_seed(self) -> int | None:
        """Whose scores are counted; None for all seeds."""
        return self.number("of", r"seed-(\d+)")

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.get("methods").split()))

    @property
    def opacity(self) -> float:
        percent = self.number("opacity", r"(\d+)pct")
        return 0.6 if percent is None else min(percent, 100) / 100

    @property
    def threshold(self) -> float | None:
        """Where a map is cut; None: by K."""
        percent = self.number("threshold", r"(\d+)pct")
        return None if percent is None else min(percent, 100) / 100

    @property
    def colormap(self) -> str:
        return self.get("map", "inferno")

    @property
    def population(self) -> Population:
        return "all" if self.get("images") == "all" else "correct"

    @property
    def ties(self) -> TieRule:
        return "first" if self.get("ties") == "first" else "split"


def results_of(slide: Slide, opened: Mapping[str, Results]) -> Results:
    """Return the results that a slide shows: opened ones, else those of the folder it names.

    Raises
    ------
    StoryError
        When they are neither opened nor where they were.
    """
    study = Link(slide.link).get("study") or slide.facts.get("study", "")
    folder = slide.facts.get("results", "")
    if folder:
        for results in opened.values():
            if results.path.resolve() == Path(folder):
                return results
    if study in opened:
        return opened[study]
    for results in opened.values():
        if results.study.id == study:
            return results
    if folder and Path(folder).is_dir():
        from xaieval.study import Results

        return Results(folder)
    if not study and opened:
        return next(iter(opened.values()))
    raise StoryError(
        f"the results {study or 'of this slide'} are not opened",
        where=folder or None,
        fix="name their folder",
    )


def all_results_of(slide: Slide, opened: Mapping[str, Results]) -> dict[str, Results]:
    """Return key -> results of everything that a slide rests on, its own study first."""
    first = results_of(slide, opened)
    found = {slide.facts.get("study", first.study.id): first}
    if slide.page == "compare":
        for model in Link(slide.link).names("models"):
            key = model.rpartition("/seed-")[0]
            if key in opened:
                found.setdefault(key, opened[key])
    return found


def changed_since(slide: Slide, opened: Mapping[str, Results]) -> tuple[str, ...]:
    """Return what has changed since a slide was pinned, a clause each.

    Raises
    ------
    StoryError
        When its results are not there.
    """
    if not slide.stamp:
        return ()
    try:
        then = Stamp.read(slide.stamp)
    except StoryError:
        return ("its stamp cannot be read",)
    return changes(then, stamp_of(list(all_results_of(slide, opened).values())))


def sample_of(slide: Slide, results: Results) -> str:
    """Return the id of the image that a slide shows.

    Raises
    ------
    StoryError
        When it is not among the images of the results.
    """
    named, short = slide.facts.get("sample", ""), Link(slide.link).get("image")
    if results.kind == "published":
        raise StoryError("published results hold no images", where=results.path)
    ids = results.query("SELECT DISTINCT sample_id FROM predictions")["sample_id"]
    if named in set(ids):
        return named
    for sample_id in ids:
        if url_id(sample_id) == short:
            return str(sample_id)
    raise StoryError(
        f"the image {named or short or 'of this slide'} is not in these results",
        where=results.path,
    )


def batch_view(results: Results, link: Link) -> View:
    """Return what the Batch page shows of a link."""
    split, class_name = link.get("split"), link.get("class", ANY)
    metric = link.get("metric", "topk_overlap")
    keys = results.metric_keys
    if metric not in keys:
        metric = "topk_overlap" if "topk_overlap" in keys else keys[0]
    published = results.kind == "published"
    return View(
        "win-rates",
        metric,
        "first" if published else link.ties,
        "correct" if published else link.population,
        (split,) if split in results.splits else (),
        (OVERALL, class_name) if class_name in results.classes else (),
        link.get("region") if _other_region(results, metric, link.get("region")) else "",
        "image" if link.get("unit") == "image" and not published else "seed",
    )


def _other_region(results: Results, metric: str, region: str) -> bool:
    """Whether a link names another region than the first, and the metric is scored there."""
    return region in results.regions[1:] and bool(results.named_region(metric))


def parts_view(results: Results, link: Link) -> RegionalView:
    """Return what the Parts page shows of a link.

    Raises
    ------
    StoryError
        When nothing was scored region by region.
    """
    scored = regional_metrics(results)
    if len(results.regions) < 2 or not scored:
        raise StoryError("these results are not scored region by region", where=results.path)
    known = results.regions
    split, class_name, seed = link.get("split"), link.get("class"), link.part_seed
    region, method, falsified = link.get("region"), link.get("method"), link.get("falsified")
    return RegionalView(
        metric=link.get("measure") if link.get("measure") in scored else "",
        split=split if split in results.splits else "",
        class_name=class_name if class_name in results.classes else "",
        seed=seed if seed in results.seeds else None,
        regions=tuple(name for name in link.names("parts") if name in known),
        methods=tuple(key for key in link.methods if key in results.method_ids),
        population=link.population,
        region=region if region in known else "",
        method=method if method in results.method_ids else "",
        falsified=falsified if falsified in results.metric_keys else "",
        cells=link.get("points") == "classes",
        lifted=link.get("cell") == "lift",
    ).settled(results)


def troubles(slide: Slide, opened: Mapping[str, Results]) -> tuple[str, ...]:
    """Return why a slide cannot be shown, a sentence each; () when everything is there.

    Results, image, model and methods are looked for; nothing is computed.
    """
    try:
        results = results_of(slide, opened)
    except (XaievalError, OSError) as error:
        return (str(error),)
    if slide.page == "parts":
        try:
            parts_view(results, Link(slide.link))
        except XaievalError as error:
            return (str(error),)
    if slide.page not in ("explore", "compare"):
        return ()
    found = []
    try:
        sample_id = sample_of(slide, results)
        data = results.dataset()
        if data is not None:
            data[sample_id]
    except (XaievalError, OSError) as error:
        found.append(str(error))
    seed = Link(slide.link).seed
    models = {s: path for s, _, path in results.checkpoints()}
    if slide.page == "explore" and seed is not None and seed not in models:
        found.append(f"The model of seed {seed} is not there.")
    elif not models:
        found.append("There is no trained model.")
    return tuple(found)
