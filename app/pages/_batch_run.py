"""The Batch page's panel for runs: choose seeds, start, watch, cancel, go on; here or elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from html import escape
from typing import Any

import panel as pn
import panel_material_ui as pmui

from xaieval.progress import Progress, duration
from xaieval.study import Results
from xaieval.study.lock import Work, work_in

from ..services import Services
from . import _batch_html as html
from ._batch_jobs import JOBS, Job, missing_seeds

POLL_MS = 400
LOOK_MS = 2500
"""How often a page that shows no job looks whether one began, in another session or process."""
LAST_LINES = 8
START = "Train and run the missing seeds"
RESUME = "Go on with the missing seeds"
STYLE = """
pre { margin: 4px 0 0; padding: 8px 10px; max-height: 180px; overflow: auto; border-radius: 6px;
  background: var(--raised); font: 12px/1.5 ui-monospace, "DejaVu Sans Mono", monospace;
  white-space: pre-wrap; }
summary { cursor: pointer; color: var(--quiet); font-size: 12px; min-height: 24px; }
"""


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
    """Offers the missing seeds of the opened study and follows whatever makes them."""

    def __init__(
        self,
        services: Services,
        results: Callable[[], Results],
        reopened: Callable[[], None],
        *,
        looked_at: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__()
        self._services, self._results, self._reopened = services, results, reopened
        self._looked_at = looked_at
        self._poll: Any = None
        self._seen: Job | None = None
        self._elsewhere = self._resumed = False
        self._text = self._html()
        self._bar = pmui.LinearProgress(
            value=0,
            variant="determinate",
            sizing_mode="stretch_width",
            margin=(8, 0),
            visible=False,
        )
        self._choice = pmui.CheckButtonGroup(
            label="Seeds to make", options=[], value=[], size="small", margin=(8, 0, 0, 0)
        )
        self._start = pmui.Button(label=START, size="small", variant="outlined", margin=0)
        self._cancel = pmui.Button(label="Cancel", size="small", variant="text", margin=0)
        self._start.on_click(lambda _: self._begin())
        self._cancel.on_click(lambda _: self._stop())
        self._choice.param.watch(lambda _: self._name_start(), "value")
        self._log = self._html()
        self._root = pmui.Column(
            pn.pane.HTML("<h2>Seeds</h2>", stylesheets=[html.STYLE], margin=(0, 0, 4, 0)),
            self._text,
            self._bar,
            self._choice,
            pmui.Row(self._start, self._cancel, margin=(8, 0, 0, 0), sx={"gap": "8px"}),
            self._log,
            sizing_mode="stretch_width",
            margin=0,
            max_width=760,
        )
        if pn.state.curdoc is not None and pn.state.curdoc.session_context is not None:
            pn.state.add_periodic_callback(self._look, period=LOOK_MS)

    @staticmethod
    def _html() -> pn.pane.HTML:
        return pn.pane.HTML(
            "", stylesheets=[html.STYLE, STYLE], sizing_mode="stretch_width", margin=0
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

    async def _look(self) -> None:
        """Notice a job that began in another session, or work of another process, and its end."""
        results = self._results()
        if self._seen is not None or results.kind == "published" or not self._looked_at():
            return
        job = JOBS.of(results)
        if job is not None and job.state == "running":
            self._follow(job)
        elif job is not None and job.opened is not None and job.opened.seeds != results.seeds:
            self._take_over(job.opened)
        elif work_in(results.path) is not None:
            self._rest(job)
        elif self._elsewhere:  # it has ended: show what it made
            self._elsewhere = False
            opened = await asyncio.get_running_loop().run_in_executor(
                self._services.pool, Results, results.path
            )
            self._take_over(opened)

    def _rest(self, job: Job | None) -> None:
        """Show the panel while nothing of this process runs."""
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
        work = work_in(results.path) if results.kind != "published" else None
        if work is not None:
            text += f" {elsewhere(work)}"
        elif missing and busy is not None:
            text += " Another study is running in this server; wait for its end."
        self._elsewhere = self._elsewhere or work is not None
        self._text.object = html.words(text)
        self._show_log(job)
        self._cancel.visible = False
        self._bar.visible = work is not None
        if work is not None:
            self._show_share(_share(work.progress))
        options = list(map(str, missing))
        if options != self._choice.options:
            self._choice.param.update(options=options, value=options)
        can = bool(missing) and work is None
        self._choice.visible = can and len(missing) > 1
        resumed = job is not None and job.state in ("cancelled", "failed")
        self._resumed = resumed
        self._start.param.update(visible=can, disabled=busy is not None)
        self._name_start()

    def _name_start(self) -> None:
        chosen, every = self._choice.value, self._choice.options
        if len(chosen) == len(every):
            self._start.label = RESUME if self._resumed else START
        else:
            self._start.label = f"Train and run seed{'' if len(chosen) == 1 else 's'} "
            self._start.label += ", ".join(chosen) or "…"
        self._start.disabled = not chosen or JOBS.running() is not None

    def _begin(self) -> None:
        results = self._results()
        missing = missing_seeds(results)
        chosen = tuple(seed for seed in missing if str(seed) in self._choice.value)
        job = JOBS.start(results, chosen or missing, self._services.backend)
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
        self._start.visible = self._choice.visible = False
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
            self._show_share(share)
            self._show_log(job)
            return
        if self._poll is not None:
            self._poll.stop()
            self._poll = None
        self._seen = None
        if job.opened is not None:
            self._take_over(job.opened)
        self._rest(job)

    def _show_share(self, share: int) -> None:
        if share < 0:
            self._bar.variant = "indeterminate"
        else:
            self._bar.param.update(variant="determinate", value=share)

    def _show_log(self, job: Job | None) -> None:
        lines = list(job.log) if job is not None else []
        if not lines:
            self._log.object = ""
            return
        text = escape("\n".join(lines[-LAST_LINES:]))
        unfolded = " open" if job is not None and job.state != "done" else ""
        content = f"<details{unfolded}><summary>Last lines of the run</summary><pre>{text}</pre>"
        if content + "</details>" != self._log.object:
            self._log.object = content + "</details>"

    def _take_over(self, opened: Results) -> None:
        self._services.grown(opened)
        self._reopened()

    def __panel__(self) -> pn.viewable.Viewable:
        return self._root


def elsewhere(work: Work) -> str:
    """Return the sentence about work of another process, with its progress where it is known."""
    doing = "A run" if work.kind == "run" else "A training"
    text = f"{doing} is going on elsewhere, in another program"
    step = work.progress
    if step is not None and step.total:
        text += f": {step.stage}, {step.done} of {step.total}"
        if step.note:
            text += f", {step.note}"
        left = step.left_s
        if left is not None:
            text += f", about {duration(max(left - work.age_s, 0))} left in this step"
    return text + "."


def _share(step: Progress | None) -> int:
    return round(100 * step.done / step.total) if step is not None and step.total else -1
