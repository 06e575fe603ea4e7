"""A slide for those who were not there: its figure, its facts, and the command that makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from xaieval.errors import StoryError, XaievalError
from xaieval.export.charted import charted, charted_command
from xaieval.export.exhibits import exhibit_table, gate_notes, method_labels, view_boxes
from xaieval.export.files import command
from xaieval.export.regional import RegionalView
from xaieval.export.sheet import make_sheet, sheet_command
from xaieval.export.sheet_options import SheetOptions
from xaieval.figures.chart import Chart
from xaieval.figures.chart_print import chart_figure
from xaieval.figures.printed import print_win_rates
from xaieval.figures.sheet import ImageSheet, Look, SheetPanel, draw_sheet
from xaieval.story.model import Slide, Story
from xaieval.story.views import (
    OVERALL,
    Link,
    all_results_of,
    batch_view,
    changed_since,
    parts_view,
    results_of,
    sample_of,
)

if TYPE_CHECKING:
    import pandas as pd

    from xaieval.backend import Backend
    from xaieval.study import Results

PAGE_TITLES = {
    "explore": "One image",
    "triage": "Images to look at first",
    "batch": "Win rates",
    "parts": "Named regions",
    "compare": "Models side by side",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Plate:
    """One slide as it is exported.

    Attributes
    ----------
    slide : Slide
    number, total : int
        Its place in the story, from 1.
    title : str
        What it shows.
    facts : tuple of (name, text)
        Ids and parameters.
    commands : tuple of str
        What makes the same files again.
    draw : callable
        Returns a fresh figure; raises nothing. None where there is none.
    sheet : ImageSheet or None
        Of an image, for those who show its parts.
    charts : tuple of callable
        Further figures of the view.
    table : DataFrame or None
    changed : tuple of str
        What has changed since it was pinned.
    trouble : str
        Why there is no figure.
    """

    slide: Slide
    number: int
    total: int
    title: str
    facts: tuple[tuple[str, str], ...] = ()
    commands: tuple[str, ...] = ()
    draw: Callable[[], Figure] | None = None
    sheet: ImageSheet | None = None
    charts: tuple[Callable[[], Figure], ...] = ()
    table: pd.DataFrame | None = None
    changed: tuple[str, ...] = ()
    trouble: str = ""


@dataclass(frozen=True, eq=False)
class Studio:
    """What plates are made with.

    Attributes
    ----------
    opened : mapping key -> Results
    backend : Backend or None
        Default: one of its own.
    device : str
    """

    opened: Mapping[str, Results] = field(default_factory=dict)
    backend: Backend | None = None
    device: str = "auto"


def make_plates(
    story: Story,
    studio: Studio,
    *,
    slides: Sequence[str] = (),
    told: Callable[[int, int], None] | None = None,
) -> tuple[Plate, ...]:
    """Return a plate per slide, or of some slides; one that cannot be made says why.

    ``told(done, total)`` is called after each.
    """
    chosen = [s for s in story.slides if not slides or s.id in slides]
    made = []
    for done, slide in enumerate(chosen, start=1):
        number = (story.at(slide.id) or 0) + 1
        made.append(make_plate(slide, studio, number=number, total=len(story.slides)))
        if told is not None:
            told(done, len(chosen))
    return tuple(made)


def make_plate(slide: Slide, studio: Studio, *, number: int = 1, total: int = 1) -> Plate:
    """Return the plate of a slide; where it cannot be made, one that says why."""
    base: dict[str, Any] = {"slide": slide, "number": number, "total": total}
    title = PAGE_TITLES.get(slide.page, slide.page)
    facts = tuple(
        (name, slide.facts[key])
        for key, name in (("title", "Study"), ("sample", "Image"))
        if slide.facts.get(key)
    )
    try:
        results = results_of(slide, studio.opened)
        changed = changed_since(slide, studio.opened)
        found = _MAKERS[slide.page](slide, results, studio)
    except KeyError:
        return Plate(
            **base, title=title, facts=facts, trouble="This page has no figure of its own."
        )
    except (XaievalError, OSError) as error:
        return Plate(**base, title=title, facts=facts, trouble=str(error))
    return Plate(**base, changed=changed, **found)


def _explore(slide: Slide, results: Results, studio: Studio) -> dict[str, Any]:
    link = Link(slide.link)
    sample_id = sample_of(slide, results)
    sheet = make_sheet(
        results,
        sample_id,
        seed=link.seed,
        region=link.get("region") or None,
        methods=link.methods or explore_methods(results),
        options=explore_options(link),
        backend=studio.backend,
        device=studio.device,
    )
    facts = [
        ("Study", results.title),
        ("Image", sheet.sample_id),
        ("Model", f"seed {sheet.seed}" + (f", fold {sheet.fold}" if sheet.fold else "")),
        ("Split", sheet.split),
        ("Explained", sheet.target),
        ("Region", sheet.region),
        ("Cut", sheet.cut),
        ("Colours", f"{sheet.look.colormap}, {sheet.look.scale}"),
    ]
    if sheet.edit:
        facts.append(("Changed", sheet.edit))
    return {
        "title": f"{sheet.where}; {sheet.verdict}",
        "facts": tuple(facts),
        "commands": (sheet_command(results, sheet),),
        "sheet": sheet,
        "draw": lambda: draw_sheet(sheet),
    }


def explore_methods(results: Results) -> tuple[str, ...]:
    """Return what Explore shows until somebody chooses: who competes, and one baseline."""
    from xaieval.methods import METHODS

    own = results.method_ids
    shown = [key for key in own if key in results.compete] or list(own[:1])
    lines = [
        key
        for key in own
        if key.partition("[")[0] in METHODS and METHODS[key.partition("[")[0]].baseline
    ]
    return (*shown, *lines[:1])


def explore_options(link: Link) -> SheetOptions:
    """Return how the Explore page of a link cuts, scores and draws.

    The page scores what it shows; so does the sheet.
    """
    from xaieval.export.sheet_options import USUAL

    metric = link.get("metric", "topk_overlap")
    target = link.get("target", "predicted")
    split = link.get("split")
    return SheetOptions(
        split="" if split == "all" else split,
        target=target,
        k=link.k,
        threshold=link.threshold,
        metrics=tuple(dict.fromkeys((metric, *USUAL)))[:5],
        edit=link.get("edit"),
        look=Look(
            colormap=link.colormap,
            opacity=link.opacity,
            show=link.get("view", "both"),
            scale=link.get("scale", "each"),
            display=link.get("display", "minmax"),
        ),
    )


def _batch(slide: Slide, results: Results, studio: Studio) -> dict[str, Any]:
    view = batch_view(results, Link(slide.link))
    boxes = view_boxes(results, view)
    table = exhibit_table(results, view)
    keep = ["split", "class", "method", "mean", "std", "n_seeds", "n_low", "n_high"]
    table = table[[name for name in keep if name in table]]
    splits = ", ".join(view.splits) or "all"
    classes = ", ".join(name for name in view.classes if name != OVERALL) or "all"
    return {
        "title": f"{results.title}: win rates over seeds",
        "facts": (
            ("Study", results.title),
            ("Score", view.metric),
            ("Ties", view.tie_rule),
            ("Images", view.population),
            ("Split", splits),
            ("Class", classes),
            ("Seeds", ", ".join(map(str, results.seeds))),
        ),
        "commands": (command(results, view, format="pdf"),),
        "draw": lambda: print_win_rates(
            boxes,
            labels=method_labels(results),
            origin=results.kind,
            value_label=f"win rate ({view.metric})",
            note=results.note,
            footnotes=gate_notes(results, results.compete),
        ),
        "table": table,
    }


def _parts(slide: Slide, results: Results, studio: Studio) -> dict[str, Any]:
    view = parts_view(results, Link(slide.link))
    shown = {"": results}
    exhibits = ["regions", "lift", "falsification", "class-regions"]
    found = []
    for exhibit in exhibits:
        try:
            one = charted(shown, _as(view, exhibit))
        except XaievalError:
            continue
        if one.chart is not None and len(one.table):
            found.append(one)
    if not found:
        raise StoryError("no image takes part in these regional scores", where=results.path)
    first = found[0]
    keep = ["region", "method", "n", "mean", "median", "q1", "q3", "area", "lift"]
    return {
        "title": first.title,
        "facts": (
            ("Study", results.title),
            ("Score", view.metric),
            ("Split", view.split),
            ("Class", view.class_name or "all"),
            ("Seed", "all" if view.seed is None else str(view.seed)),
            ("Images", view.population),
            ("Regions", ", ".join(view.regions)),
        ),
        "commands": tuple(charted_command(one, format="pdf") for one in found),
        "draw": _drawing(first.chart),
        "charts": tuple(_drawing(one.chart) for one in found[1:]),
        "table": first.table[[name for name in keep if name in first.table]],
    }


def _as(view: RegionalView, exhibit: str) -> RegionalView:
    from dataclasses import replace

    return replace(view, exhibit=exhibit)  # type: ignore[arg-type]  # a key of REGIONAL_EXHIBITS


def _drawing(chart: Chart | None) -> Callable[[], Figure]:
    assert chart is not None
    return lambda: chart_figure(chart)


def _compare(slide: Slide, results: Results, studio: Studio) -> dict[str, Any]:
    """Return the cards of the models as one sheet, and alignment as a chart."""
    from xaieval.export.sheet_options import scored
    from xaieval.study.regional import regional_metrics

    link = Link(slide.link)
    opened = all_results_of(slide, studio.opened)
    sample_id = sample_of(slide, results)
    method = link.get("method") or results.method_ids[0]
    metric = link.get("measure") or next(iter(regional_metrics(results)), "mass_accuracy")
    asked = [model.rpartition("/seed-") for model in link.names("models")]
    models = [(key, int(seed)) for key, _, seed in asked if key in opened and seed.isdigit()]
    models = models or [(next(iter(opened)), seed) for seed in results.seeds[:3]]
    options = explore_options(link)
    sheets: list[tuple[str, ImageSheet]] = []
    why = []
    for key, seed in models:
        try:
            sheet = make_sheet(
                opened[key],
                sample_id,
                seed=seed,
                region=link.get("region") or None,
                methods=(method,),
                options=options,
                backend=studio.backend,
                device=studio.device,
            )
        except XaievalError as error:
            why.append(f"{key}, seed {seed}: {error}")
            continue
        name = f"{opened[key].title}, seed {seed}" if len(opened) > 1 else f"seed {seed}"
        sheets.append((name, sheet))
    if not sheets:
        raise StoryError("none of the models can be shown: " + " ".join(why))
    panels = []
    for number, (name, sheet) in enumerate(sheets):
        panel = sheet.panels[0]
        scores = dict(panel.scores)
        if panel.values is not None and sheet.mask is not None:
            label = metric.replace("_", " ").capitalize()
            scores = {label: scored(panel.values, sheet.mask, [metric])[metric], **scores}
        panels.append(
            SheetPanel(
                key=f"model-{number}",
                label=f"{name}: {sheet.predicted}",
                values=panel.values,
                weights=panel.weights,
                scores=scores,
                undefined=panel.undefined,
            )
        )
    from dataclasses import replace

    first = sheets[0][1]
    together = replace(first, panels=tuple(panels), wins_by="")
    commands = [
        sheet_command(opened[key], sheet)
        for (key, _), (_, sheet) in zip(models, sheets, strict=False)
    ]
    label = method_labels(results).get(method, method)
    return {
        "title": f"{label} of {len(sheets)} models on {sample_id} ({first.class_name})",
        "facts": (
            ("Studies", ", ".join(one.title for one in opened.values())),
            ("Image", sample_id),
            ("Method", label),
            ("Models", ", ".join(name for name, _ in sheets)),
            ("Region", first.region),
            ("Score", metric),
            *((("Left out", " ".join(why)),) if why else ()),
        ),
        "commands": tuple(commands),
        "sheet": together,
        "draw": lambda: draw_sheet(together),
    }


def _triage(slide: Slide, results: Results, studio: Studio) -> dict[str, Any]:
    from xaieval.story.queue import triage_plate

    return triage_plate(Link(slide.link), results)


_MAKERS: dict[str, Callable[[Slide, Results, Studio], dict[str, Any]]] = {
    "explore": _explore,
    "batch": _batch,
    "parts": _parts,
    "compare": _compare,
    "triage": _triage,
}
