"""Training and runs started from a page: one at a time in the process, outliving the page."""

from __future__ import annotations

import dataclasses
import datetime
import logging
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from xaieval.datasets import check
from xaieval.errors import Cancelled, XaievalError
from xaieval.progress import Progress
from xaieval.study import Results, run_study, train_study
from xaieval.study.training import ALL_MODELS

log = logging.getLogger("xaieval.app")

State = Literal["running", "done", "cancelled", "failed"]
CHECKING = "check the images"
LOG_LINES = 200
STEP_IMAGES = 8
"""Images explained between two reports: a cancel waits no longer. No number depends on it."""


class Job:
    """Train and run some seeds of a study in a thread of its own.

    What is finished is kept whatever happens: a cancelled or failed job goes on where it stopped
    when it is started again.

    Attributes
    ----------
    state : {"running", "done", "cancelled", "failed"}
    models, step : Progress or None
        Whole models trained, and the step at hand.
    error : str
        Why it failed.
    opened : Results or None
        The grown results, once done.
    log : deque of str
        What happened, with the hour; the last lines.
    """

    def __init__(self, results: Results, seeds: Sequence[int], backend: Any) -> None:
        self.path, self.seeds = results.path, tuple(seeds)
        self.state: State = "running"
        self.models: Progress | None = None
        self.step: Progress | None = None
        self.error = ""
        self.opened: Results | None = None
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self._stage = ""
        self._stop = threading.Event()
        self._results, self._backend = results, backend
        self._thread = threading.Thread(target=self._work, name="xaieval-job", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def cancel(self) -> None:
        """Stop after the step at hand."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop and has not stopped yet."""
        return self._stop.is_set() and self.state == "running"

    def join(self, timeout_s: float | None = None) -> None:
        """Wait for the end."""
        self._thread.join(timeout_s)

    def say(self, text: str) -> None:
        """Add a line to the log."""
        self.log.append(f"{datetime.datetime.now():%H:%M:%S} {text}")

    def _report(self, progress: Progress) -> None:
        if self._stop.is_set():
            raise Cancelled
        if progress.stage == ALL_MODELS:
            self.models = progress
            if progress.done < progress.total:
                self.say(f"model {progress.done + 1} of {progress.total}")
            return
        self.step = progress
        if progress.stage != self._stage:
            self._stage = progress.stage
            self.say(progress.stage)
        if progress.note.startswith("left out") or "damaged" in progress.note:
            self.say(progress.note)

    def _check(self) -> None:
        """Look at every image before hours are spent; faulty ones are named, a run leaves them out.

        Raises
        ------
        XaievalError
            When the dataset cannot be opened at all.
        """
        dataset = self._results.dataset()
        if dataset is None or dataset.root is None:
            return  # drawn when asked for: nothing to check
        self._report(Progress(CHECKING, 0, len(dataset), 0.0))
        found = check(dataset.root, self._results.study.data.name)
        for problem in found[:20]:
            self.say(str(problem))
        faulty = sum(problem.left_out for problem in found)
        notes = len(found) - faulty
        self.say(f"{len(dataset)} images: {faulty} faulty, left out; {notes} to be looked at")

    def _work(self) -> None:
        results, study = self._results, self._results.study
        data = results.manifest.get("data_path")
        try:
            self._check()
            train_study(study, data=data, out=self.path, seeds=self.seeds, report=self._report)
            self.models = None
            chunk = min(study.run.chunk, STEP_IMAGES)
            self.opened = run_study(
                dataclasses.replace(study, run=dataclasses.replace(study.run, chunk=chunk)),
                data=data,
                out=self.path,
                seeds=self.seeds,
                command=results.manifest.get("command", ()),
                backend=self._backend,
                report=self._report,
            )
            self.say("done")
            self.state = "done"
        except Cancelled:
            self.say("cancelled; what is finished is kept")
            self.state = "cancelled"
        except (XaievalError, OSError) as error:
            self._fail(str(error))
        except Exception as error:
            log.exception("job failed")
            self._fail(f"{type(error).__name__}: {error}")

    def _fail(self, text: str) -> None:
        self.say(f"failed: {text}")
        self.error, self.state = text, "failed"


class Jobs:
    """The jobs of this process: at most one runs; the last of each results folder is kept."""

    def __init__(self) -> None:
        self._jobs: dict[Path, Job] = {}
        self._lock = threading.Lock()

    def of(self, results: Results) -> Job | None:
        """Return the last job of a results folder."""
        return self._jobs.get(results.path.resolve())

    def running(self) -> Job | None:
        """Return the job that runs."""
        return next((job for job in self._jobs.values() if job.state == "running"), None)

    def start(self, results: Results, seeds: Sequence[int], backend: Any) -> Job | None:
        """Start a job; None while another one runs."""
        with self._lock:
            if self.running():
                return None
            job = self._jobs[results.path.resolve()] = Job(results, seeds, backend)
            job.start()
            return job


JOBS = Jobs()


def missing_seeds(results: Results) -> tuple[int, ...]:
    """Return the seeds that the study names and the results lack; none for published ones."""
    if results.kind == "published":
        return ()
    return tuple(seed for seed in results.study.train.seeds if seed not in results.seeds)
