"""Sensitivity runs started from a page: one at a time in the process, outliving the page."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from xaieval.errors import Cancelled, XaievalError
from xaieval.progress import Progress, duration
from xaieval.sensitivity import run_sensitivity
from xaieval.study import Results

log = logging.getLogger("xaieval.app")

State = Literal["running", "done", "cancelled", "failed"]


@dataclass(frozen=True)
class Question:
    """Whose winner is asked for: one score in one region, over a split's images."""

    metric: str
    region: str | None
    split: str | None
    population: Literal["correct", "all"]


class SurvivalJob:
    """One sensitivity run in a thread of its own; what is finished is kept whatever happens.

    Attributes
    ----------
    state : {"running", "done", "cancelled", "failed"}
    step : Progress or None
    error : str
    """

    def __init__(
        self, results: Results, question: Question, images: int | None, backend: Any
    ) -> None:
        self.question = question
        self.state: State = "running"
        self.step: Progress | None = None
        self.error = ""
        self._stop = threading.Event()
        self._results, self._images, self._backend = results, images, backend
        self._thread = threading.Thread(target=self._work, name="xaieval-survival", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def cancel(self) -> None:
        """Stop after the images at hand."""
        self._stop.set()

    def join(self, timeout_s: float | None = None) -> None:
        """Wait for the end."""
        self._thread.join(timeout_s)

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop and has not stopped yet."""
        return self._stop.is_set() and self.state == "running"

    def _report(self, progress: Progress) -> None:
        self.step = progress

    def _work(self) -> None:
        asked = self.question
        try:
            run_sensitivity(
                self._results,
                metric=asked.metric,
                region=asked.region,
                split=asked.split,
                population=asked.population,
                images=self._images,
                backend=self._backend,
                command=self._results.manifest.get("command", ()),
                report=self._report,
                cancelled=self._stop.is_set,
            )
            self.state = "done"
        except Cancelled:
            self.state = "cancelled"
        except (XaievalError, OSError) as error:
            self.error, self.state = str(error), "failed"
        except Exception as error:
            log.exception("sensitivity run failed")
            self.error, self.state = f"{type(error).__name__}: {error}", "failed"


class SurvivalJobs:
    """The runs of this process: at most one goes on; the last of each question is kept."""

    def __init__(self) -> None:
        self._jobs: dict[tuple[Path, Question], SurvivalJob] = {}
        self._lock = threading.Lock()

    def of(self, results: Results, question: Question) -> SurvivalJob | None:
        """Return the last run of a question."""
        return self._jobs.get((results.path.resolve(), question))

    def running(self) -> SurvivalJob | None:
        """Return the run that goes on."""
        return next((job for job in self._jobs.values() if job.state == "running"), None)

    def start(
        self, results: Results, question: Question, images: int | None, backend: Any
    ) -> SurvivalJob | None:
        """Start a run; None while another one goes on."""
        with self._lock:
            if self.running():
                return None
            job = SurvivalJob(results, question, images, backend)
            self._jobs[results.path.resolve(), question] = job
            job.start()
            return job


SURVIVALS = SurvivalJobs()


def describe(job: SurvivalJob) -> tuple[str, int]:
    """Return what a run does at the moment, and the share done in percent (-1: not known)."""
    if job.stopping:
        return "Stopping after the images at hand …", -1
    step = job.step
    if step is None or not step.total:
        return "Starting …", -1
    left = f" · about {duration(step.left_s)} left" if step.left_s else ""
    note = f" · {step.note}" if step.note else ""
    return f"Measured {step.done} of {step.total} maps of images{note}{left}", round(
        100 * step.done / step.total
    )
