"""The Batch page's panel for seeds that a study still lacks: start, progress, time left, cancel."""

from __future__ import annotations

from collections.abc import Callable

import panel as pn
import panel_material_ui as pmui

from xaieval.progress import Progress, duration
from xaieval.study import Results

from ..services import Services
from . import _batch_html as html
from ._batch_jobs import JOBS, Job, missing_seeds

POLL_MS = 400


def describe(job: Job) -> tuple[str, int]:
    """Return what a job does at the moment, and the share done in percent (-1: not known)."""
    if job.stopping:
        return "Stopping after the step at hand …", -1
    models, step = job.models, job.step
    parts = []
    if models is not None and models.total:
        parts.append(f"training model {min(models.done + 1, models.total)} of {models.total}")
    if step is not None and step.total:
        parts.append(f"{step.stage} {step.done} of {step.total}")
        if step.note:
            parts.append(step.note)
    left = _left(models, step)
    if left:
        parts.append(f"about {duration(left)} left in this step")
    if not parts:
        return "Starting …", -1
    text = " · ".join(parts)
    share = -1
    if step is not None and step.total:
        share = round(100 * step.done / step.total)
    return text[:1].upper() + text[1:], share


def _left(models: Progress | None, step: Progress | None) -> float | None:
    if models is not None and models.left_s is not None:
        return models.left_s
    return step.left_s if step is not None else None


class RunPanel(pn.viewable.Viewer):
    """Offers the missing seeds of the opened study and follows the job that makes them."""

    def __init__(
        self, services: Services, results: Callable[[], Results], reopened: Callable[[], None]
    ) -> None:
        super().__init__()
        self._services, self._results, self._reopened = services, results, reopened
        self._poll: object | None = None
        self._seen: Job | None = None
        self._text = pn.pane.HTML("", stylesheets=[html.STYLE], margin=0)
        self._bar = pmui.LinearProgress(
            value=0,
            variant="determinate",
            sizing_mode="stretch_width",
            margin=(8, 0),
            visible=False,
        )
        self._start = pmui.Button(
            label="Train and run the missing seeds", size="small", variant="outlined", margin=0
        )
        self._cancel = pmui.Button(label="Cancel", size="small", variant="text", margin=0)
        self._start.on_click(lambda _: self._begin())
        self._cancel.on_click(lambda _: self._stop())
        self._root = pmui.Column(
            pn.pane.HTML("<h2>Seeds</h2>", stylesheets=[html.STYLE], margin=(0, 0, 4, 0)),
            self._text,
            self._bar,
            pmui.Row(self._start, self._cancel, margin=(8, 0, 0, 0), sx={"gap": "8px"}),
            sizing_mode="stretch_width",
            margin=0,
            max_width=760,
        )

    def offer(self) -> None:
        """Show what can be done for the opened study."""
        results = self._results()
        self._root.visible = results.kind != "published"
        job = JOBS.of(results)
        if job is not None and job.state == "running":
            self._follow(job)
        else:
            self._rest(job)

    def _rest(self, job: Job | None) -> None:
        """Show the panel while nothing runs."""
        results = self._results()
        missing = missing_seeds(results)
        named = len(results.study.train.seeds)
        text = f"All {named} seeds of the study are here."
        if missing:
            seeds = ", ".join(map(str, missing))
            text = f"{named - len(missing)} of {named} seeds are here. Missing: {seeds}."
        if job is not None and job.state == "failed":
            text += f" The last run failed: {job.error}"
        elif job is not None and job.state == "cancelled":
            text += " The last run was cancelled; what it finished is kept and it can go on."
        busy = JOBS.running()
        if missing and busy is not None:
            text += " Another study is running in this server; wait for its end."
        self._text.object = html.words(text)
        self._bar.visible = self._cancel.visible = False
        self._start.param.update(visible=bool(missing), disabled=busy is not None)

    def _begin(self) -> None:
        results = self._results()
        job = JOBS.start(results, missing_seeds(results), self._services.backend)
        if job is None:
            self._rest(None)
        else:
            self._follow(job)

    def _stop(self) -> None:
        if self._seen is not None:
            self._seen.cancel()
            self._tick()

    def _follow(self, job: Job) -> None:
        self._seen = job
        self._start.visible = False
        self._cancel.param.update(visible=True, disabled=False)
        self._bar.visible = True
        self._tick()
        if self._poll is None:
            self._poll = pn.state.add_periodic_callback(self._tick, period=POLL_MS)

    def _tick(self) -> None:
        job = self._seen
        if job is None:
            return
        if job.state == "running":
            text, share = describe(job)
            self._text.object = html.words(text)
            self._cancel.disabled = job.stopping
            if share < 0:
                self._bar.variant = "indeterminate"
            else:
                self._bar.param.update(variant="determinate", value=share)
            return
        if self._poll is not None:
            self._poll.stop()
            self._poll = None
        self._seen = None
        if job.opened is not None:
            self._take_over(job.opened)
        self._rest(job)

    def _take_over(self, opened: Results) -> None:
        self._services.grown(opened)
        self._reopened()

    def __panel__(self) -> pn.viewable.Viewable:
        return self._root
