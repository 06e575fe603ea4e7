"""The Batch page's panel that asks whether the winner survives another way to measure."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import panel as pn
import panel_material_ui as pmui

from xaieval.digest import digest
from xaieval.errors import XaievalError
from xaieval.figures.palette import Mode, method_colours, method_marks
from xaieval.sensitivity import read_sensitivity, why_not
from xaieval.sensitivity.exhibit import (
    Survival,
    survival_figure,
    survival_sidecar,
    survival_table,
)
from xaieval.sensitivity.store import read_runs
from xaieval.study import Results

from ..downloads import Buttons
from ..latest import Latest, Superseded
from ..services import Services
from . import _batch_html as html
from ._batch_survival_jobs import SURVIVALS, Question, SurvivalJob, describe

log = logging.getLogger("xaieval.app")

POLL_MS = 400

STYLE = (
    html.STYLE
    + """
.question { max-width: 860px; margin: 0 0 4px; }
.answer-line { font-size: var(--t-lead); margin: 0 0 4px; max-width: 980px; }
.left-out { margin: 2px 0 0; padding-left: 18px; }
"""
)
QUESTION = (
    "Every choice behind the win rates is varied, one at a time, and the wins are counted again: "
    "pooling, K, threshold, ties, the class explained, upsampling, the mask grown or shrunk, and "
    "the score itself."
)


@dataclass(frozen=True, eq=False)
class Stored:
    """What there is for a question: an answer with its figure, or why there can be none."""

    survival: Survival | None = None
    figure: Any = None
    why: str = ""


_KEPT: OrderedDict[tuple[Path, Question, str], Survival] = OrderedDict()
_MOST_KEPT = 16


def stored(results: Results, question: Question, mode: Mode) -> Stored:
    """Read and draw what a run has stored; for the pool."""
    why = why_not(results, question.metric)
    if why:
        return Stored(why=why)
    # The answer takes a second to work out; it is of these runs and this manifest.
    runs = digest({name: asdict(run) for name, run in read_runs(results).items()})
    key = (results.path.resolve(), question, digest(runs, results.manifest))
    survival = _KEPT.get(key)
    if survival is None:
        found = read_sensitivity(
            results,
            metric=question.metric,
            region=question.region,
            split=question.split,
            population=question.population,
        )
        if found is None:
            return Stored()
        survival = _KEPT[key] = Survival(results, found)
        while len(_KEPT) > _MOST_KEPT:
            _KEPT.popitem(last=False)
    return Stored(survival, survival.draw(mode))


class SurvivalPanel(pn.viewable.Viewer):
    """Shows a stored answer, or offers to find it: start, progress, cancel.

    Parameters
    ----------
    results, question, mode : callables
        What the page shows at the moment.
    """

    def __init__(
        self,
        services: Services,
        results: Callable[[], Results],
        question: Callable[[], Question],
        mode: Callable[[], Mode],
    ) -> None:
        super().__init__()
        self._services, self._results = services, results
        self._question, self._mode = question, mode
        self._latest = Latest(services.pool)
        self._poll: Any = None
        self._seen: SurvivalJob | None = None
        self._shown: Survival | None = None
        self._build()

    def _build(self) -> None:
        def pane(text: str = "") -> pn.pane.HTML:
            return pn.pane.HTML(text, sizing_mode="stretch_width", margin=0, stylesheets=[STYLE])

        self._text = pane(html.words("Looking for a stored answer …"))
        self._legend = pane()
        self._figure = pn.pane.Bokeh(sizing_mode="stretch_width", margin=0)
        self._bar = pmui.LinearProgress(
            value=0, variant="determinate", sizing_mode="stretch_width", margin=(8, 0),
            visible=False,
        )  # fmt: skip
        self._images = pmui.Select(
            label="Images",
            options={"40, classes in turn": 40, "all": 0},
            value=40,
            size="small",
            width=190,
            margin=0,
        )
        small = {"size": "small", "margin": 0}
        self._start = pmui.Button(label="Measure it otherwise", variant="outlined", **small)
        self._cancel = pmui.Button(label="Cancel", variant="text", visible=False, **small)
        self._start.on_click(lambda _: self._begin())
        self._cancel.on_click(lambda _: self._stop())
        self._buttons = Buttons(
            "sensitivity",
            figure=lambda kind: survival_figure(self._answer, format=kind),
            table=lambda kind: survival_table(self._answer, format=kind).encode(),
            about=lambda: survival_sidecar(self._answer, format="png"),
            name=lambda kind: f"{self._answer.stem}.{kind}",
        )
        self._tools = pmui.Row(
            self._buttons.figure, self._buttons.table, margin=0, visible=False, sx={"gap": "4px"}
        )
        title = pane(f"<h2>{html.define('survival', 'Does the winner survive?')}</h2>")
        title.sizing_mode = None
        head = pmui.Row(
            title, pn.layout.HSpacer(), self._tools, sizing_mode="stretch_width",
            margin=(0, 0, 4, 0),
        )  # fmt: skip
        self._asking = pmui.Row(
            self._images,
            self._start,
            self._cancel,
            margin=(8, 0, 0, 0),
            sx={"gap": "12px", "alignItems": "center"},
        )
        # Figures stand in Panel's own columns, see batch.py.
        self._root = pn.Column(
            head,
            self._text,
            self._bar,
            self._legend,
            self._figure,
            self._asking,
            sizing_mode="stretch_width",
            margin=0,
        )

    @property
    def _answer(self) -> Survival:
        if self._shown is None:
            raise XaievalError("there is no answer to write yet", fix="run it first")
        return self._shown

    # ------------------------------------------------------------ showing

    def offer(self) -> None:
        """Show what there is for the page's question."""
        job = SURVIVALS.of(self._results(), self._question())
        if job is not None and job.state == "running":
            self._follow(job)
        else:
            self._unfollow()
            pn.state.execute(self._look)

    async def _look(self) -> None:
        results, question, mode = self._results(), self._question(), self._mode()
        try:
            found = await self._latest.run(lambda: stored(results, question, mode))
        except Superseded:
            return
        except Exception as error:
            known = isinstance(error, (XaievalError, OSError))
            if not known:
                log.exception("no sensitivity to show")
            text = str(error) if known else f"{type(error).__name__}: {error}"
            self._say(f"The stored answer cannot be read: {text}", role="alert", again=True)
            return
        self._show(found, SURVIVALS.of(results, question))

    def _show(self, found: Stored, job: SurvivalJob | None) -> None:
        self._shown = found.survival
        note = ""
        if job is not None and job.state == "failed":
            note = f"The last run failed: {job.error}"
        elif job is not None and job.state == "cancelled":
            note = "The last run was cancelled; what it measured is kept and it can go on."
        if found.why:
            self._say(found.why)
            self._asking.visible = False
            return
        if found.survival is None:
            self._say(f"{QUESTION} {note or 'Nobody has asked yet.'}", role="status")
            self._offer_run("Measure it otherwise")
            return
        self._fill(found.survival, found.figure, note)

    def _fill(self, survival: Survival, figure: Any, note: str) -> None:
        settings = survival.found.settings
        skipped = "".join(
            f"<li>{escape(axis.capitalize())} is not varied: {escape(why)}.</li>"
            for axis, why in survival.found.skipped.items()
        )
        about = f"{escape(survival.about)}. Measured {escape(settings.finished[:10])}."
        extra = f'<p class="quiet" role="alert">{escape(note)}</p>' if note else ""
        self._text.object = (
            f'<div data-state="filled"><p class="answer-line" role="status">'
            f"<b>{escape(survival.text.partition(';')[0])}</b>"
            f"{escape(''.join(survival.text.partition(';')[1:]))}</p>"
            f'<p class="quiet small question">{about}</p>{extra}'
            + (f'<ul class="quiet small left-out">{skipped}</ul>' if skipped else "")
            + "</div>"
        )
        self._legend.object = legend(survival, self._mode())
        self._figure.object = figure
        self._legend.visible = self._figure.visible = self._tools.visible = True
        self._offer_run("Measure more images")

    def _say(self, text: str, *, role: str = "status", again: bool = False) -> None:
        state = "error" if role == "alert" else "empty"
        self._text.object = (
            f'<div data-state="{state}"><p class="quiet question" role="{role}">'
            f"{escape(text)}</p></div>"
        )
        self._legend.visible = self._figure.visible = self._tools.visible = False
        self._bar.visible = self._cancel.visible = False
        if again:
            self._offer_run("Measure it again")

    def _offer_run(self, label: str) -> None:
        busy = SURVIVALS.running() is not None
        self._asking.visible = self._images.visible = True
        self._bar.visible = self._cancel.visible = False
        self._start.param.update(
            label="Another run is going on" if busy else label, visible=True, disabled=busy
        )

    # ------------------------------------------------------------ running

    def _begin(self) -> None:
        images = int(self._images.value) or None
        job = SURVIVALS.start(self._results(), self._question(), images, self._services.backend)
        if job is None:
            self._offer_run("")
        else:
            self._follow(job)

    def _stop(self) -> None:
        if self._seen is not None:
            self._seen.cancel()
            self._tick()

    def _follow(self, job: SurvivalJob) -> None:
        self._seen = job
        self._asking.visible = True
        self._start.visible = self._images.visible = False
        self._cancel.param.update(visible=True, disabled=False)
        self._bar.visible = True
        self._tick()
        if self._poll is None:
            self._poll = pn.state.add_periodic_callback(self._tick, period=POLL_MS)

    def _unfollow(self) -> None:
        self._seen = None
        if self._poll is not None:
            self._poll.stop()
            self._poll = None

    def _tick(self) -> None:
        job = self._seen
        if job is None:
            return
        if job.state != "running":
            self._unfollow()
            pn.state.execute(self._look)
            return
        text, share = describe(job)
        self._text.object = f'<div data-state="loading">{html.words(text)}</div>'
        self._cancel.disabled = job.stopping
        if share < 0:
            self._bar.variant = "indeterminate"
        else:
            self._bar.param.update(variant="determinate", value=share)

    def __panel__(self) -> pn.viewable.Viewable:
        return self._root


def legend(survival: Survival, mode: Mode) -> str:
    """Return what the signs of the figure mean."""
    methods = survival.found.methods
    colours, marks = method_colours(methods, mode=mode), method_marks(methods)
    entries = [
        f"{html.mark(marks[m], colours[m], hollow=False)}{escape(survival.labels[m])}"
        for m in methods
    ]
    entries.append("filled and ringed: the row's winner, with its 95 % interval")
    entries.append(
        '<svg width="20" height="8" aria-hidden="true" stroke="currentColor">'
        '<path d="M0 4H20" stroke-dasharray="4 3"/></svg>as the study measures'
    )
    entries.append("shaded: another method wins")
    return f'<div class="legend">{"".join(f"<span>{entry}</span>" for entry in entries)}</div>'
