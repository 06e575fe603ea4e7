"""What the backend works on: requests, answers, and the jobs between them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from xaieval.errors import Cancelled, DataError, MethodError, XaievalError
from xaieval.geometry import Geometry
from xaieval.methods import Explainer, MethodCall
from xaieval.models import Classifier
from xaieval.types import Grid, Heatmap, Image, Sample, Task

Target = Literal["predicted", "label"] | int
OnMap = Callable[[str, Heatmap], None]

INTERACTIVE, BULK, PREFETCH = 0, 5, 10
"""Priorities: a lower number runs first; prefetching steps aside for anything else."""
BATCH = {INTERACTIVE: 4, BULK: 8, PREFETCH: 1}
"""How many requests of a priority share a run; few where somebody waits."""


@dataclass(frozen=True)
class Request:
    """What is to be explained, and how.

    Attributes
    ----------
    checkpoint : Path or Classifier
    sample : Sample
    methods : tuple of MethodCall
    target : "predicted", "label" or a class index
        Of a network whose classes do not exclude each other "predicted" means the label of a
        sample that has one (a pair of image and attribute), else the class with the highest logit.
    upsampling : see ``xaieval.explain``
    exact : bool
        No folding, no channels_last.
    priority : int
        ``INTERACTIVE``, ``BULK`` or ``PREFETCH``.
    seed : int
        Study seed of stochastic methods.
    cacheable : bool
        Whether maps may be read from and kept in the cache.
    """

    checkpoint: Path | Classifier
    sample: Sample
    methods: tuple[MethodCall, ...]
    target: Target = "predicted"
    upsampling: str = "paper"
    exact: bool = False
    priority: int = INTERACTIVE
    seed: int = 0
    cacheable: bool = True


@dataclass(frozen=True, eq=False)
class Answer:
    """The maps of one request, with the prediction they explain.

    ``picture`` uint8 (h, w, 3) and ``maps`` (method key -> Heatmap) share the model's input space;
    ``undefined`` says of the methods without a map why they are not defined for the network;
    ``logits`` and ``probabilities`` are float64 (C,); ``elapsed_s`` counts from submission.

    ``predicted`` is the class with the highest logit. Where classes do not exclude each other
    (``task`` "multilabel") it says of one attribute whether the network finds it: the index of
    ``asked``, or -1 for "not this attribute" (its logit is below 0).
    """

    sample_id: str
    picture: Image
    geometry: Geometry
    logits: npt.NDArray[np.float64]
    probabilities: npt.NDArray[np.float64]
    predicted: int
    target: int
    label: int | npt.NDArray[np.bool_]
    class_names: tuple[str, ...]
    maps: dict[str, Heatmap]
    elapsed_s: float
    from_cache: frozenset[str]
    undefined: Mapping[str, str] = field(default_factory=dict)
    task: Task = "single"

    @property
    def asked(self) -> int:
        """The attribute that ``predicted`` is about: the sample's label, else the target."""
        return self.target if isinstance(self.label, np.ndarray) else int(self.label)

    @property
    def predicted_name(self) -> str:
        """Name of the predicted class, or "not <attribute>"."""
        if self.predicted < 0:
            return f"not {self.class_names[self.asked]}"
        return self.class_names[self.predicted]

    @property
    def confidence(self) -> float:
        """Probability of what is predicted, in [0, 1]."""
        if self.predicted < 0:
            return 1 - float(self.probabilities[self.asked])
        return float(self.probabilities[self.predicted])


class Ticket:
    """A request in flight: its ``future``, and ``cancel()`` for whoever no longer wants it."""

    def __init__(self, job: Job, on_map: OnMap | None) -> None:
        self._job, self.on_map = job, on_map
        self.future: Future[Answer] = Future()

    def cancel(self) -> None:
        """Give up this ticket. The work stops between two chunks once nobody wants it."""
        self._job.drop(self)


@dataclass(eq=False)
class Job:
    """One computation and the tickets that wait for it."""

    request: Request
    order: int
    submitted: float
    tickets: list[Ticket] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    closed: bool = False
    priority: int = INTERACTIVE
    # filled in by preparation
    key: str = ""
    target: Target = "predicted"
    classifier: Classifier | None = None
    picture: Image | None = None
    geometry: Geometry | None = None
    keys: dict[str, str] = field(default_factory=dict)
    prediction: npt.NDArray[np.float64] | None = None
    maps: dict[str, Heatmap] = field(default_factory=dict)
    from_cache: set[str] = field(default_factory=set)
    undefined: dict[str, str] = field(default_factory=dict)
    extra: tuple[npt.NDArray[Any], ...] = ()

    def join(self, ticket: Ticket) -> bool:
        """Add a ticket unless the job has ended; maps already there are handed over at once."""
        with self.lock:
            if self.closed:
                return False
            self.tickets.append(ticket)
            done = list(self.maps.items())
        for key, heatmap in done:
            tell(ticket, key, heatmap)
        return True

    def hand_over(self, other: Job) -> bool:
        """Let another job that computes the same serve this one's tickets."""
        with self.lock:
            tickets = list(self.tickets)
            if not all(other.join(ticket) for ticket in tickets):
                return False
            for ticket in tickets:
                ticket._job = other
            self.tickets.clear()
            self.closed = True
        other.priority = min(other.priority, self.priority)
        return True

    def drop(self, ticket: Ticket) -> None:
        with self.lock:
            if ticket in self.tickets:
                self.tickets.remove(ticket)
        settle(ticket.future, error=Cancelled())

    def wanted(self) -> bool:
        with self.lock:
            return bool(self.tickets)

    def add_map(self, key: str, heatmap: Heatmap) -> None:
        with self.lock:
            self.maps[key] = heatmap
            tickets = list(self.tickets)
        for ticket in tickets:
            tell(ticket, key, heatmap)

    def missing(self) -> tuple[MethodCall, ...]:
        known = self.maps.keys() | self.undefined.keys()
        return tuple(call for call in self.request.methods if call.key not in known)

    def close(self) -> list[Ticket]:
        with self.lock:
            self.closed = True
            return list(self.tickets)


@dataclass(eq=False)
class Errand:
    """Work of any kind that needs a device's thread; ``give_way`` and ``cancelled`` are for it.

    Attributes
    ----------
    give_way : callable
        Serves requests that matter more; raises ``Cancelled`` when nobody waits any more.
    cancelled : callable
        Says whether nobody waits any more.
    """

    classifier: Classifier
    work: Callable[[Explainer, Errand], Any]
    upsampling: str
    exact: bool
    priority: int
    order: int
    future: Future[Any] = field(default_factory=Future)
    dropped: bool = False
    give_way: Callable[[], None] = lambda: None
    cancelled: Callable[[], bool] = lambda: False


def tell(ticket: Ticket, key: str, heatmap: Heatmap) -> None:
    """Call a listener; its failure concerns its own ticket only."""
    if ticket.on_map is None:
        return
    try:
        ticket.on_map(key, heatmap)
    except Exception as error:  # a listener's own fault, reported where it waits
        settle(ticket.future, error=error)


def settle(
    future: Future[Answer], *, answer: Answer | None = None, error: BaseException | None = None
) -> None:
    """Resolve a future once; a later result for the same future is dropped."""
    try:
        if answer is not None:
            future.set_result(answer)
        elif error is not None:
            future.set_exception(error)
    except InvalidStateError:
        return


def alike(job: Job, first: Job) -> bool:
    """Say whether two jobs can share passes."""
    a, b = job.request, first.request
    assert job.classifier is not None
    assert first.classifier is not None
    assert job.picture is not None
    assert first.picture is not None
    return (
        job.classifier.fingerprint == first.classifier.fingerprint
        and job.classifier.layer_if_any == first.classifier.layer_if_any
        and job.priority == first.priority
        and job.picture.shape == first.picture.shape
        and [part.shape for part in job.extra] == [part.shape for part in first.extra]
        and job.missing() == first.missing()
        and (job.target == "predicted") == (first.target == "predicted")
        and (a.upsampling, a.exact, a.seed) == (b.upsampling, b.exact, b.seed)
        and job.wanted()
    )


def extra_of(sample: Sample) -> tuple[npt.NDArray[Any], ...]:
    """Return a sample's second input as arrays without a batch axis; empty when it has none."""
    if sample.extra is None:
        return ()
    parts = sample.extra if isinstance(sample.extra, tuple) else (sample.extra,)
    return tuple(np.asarray(part) for part in parts)


def to_arrays(heatmap: Heatmap) -> dict[str, npt.NDArray[Any]]:
    """Return what the cache keeps of a heatmap."""
    kept: dict[str, npt.NDArray[Any]] = {"map": heatmap.values}
    if heatmap.grid is not None:
        grid = heatmap.grid
        kept["grid"] = np.array([*grid.shape, *grid.centre, *grid.stride], np.float64)
    if heatmap.conservation is not None:
        kept["conservation"] = np.array([heatmap.conservation], np.float64)
    return kept


def from_arrays(kept: Mapping[str, npt.NDArray[Any]], method: str, target: int) -> Heatmap:
    """Return the heatmap of which the cache kept some arrays."""
    grid = None
    if "grid" in kept:
        rows, columns, *rest = kept["grid"].tolist()
        grid = Grid((int(rows), int(columns)), (rest[0], rest[1]), (rest[2], rest[3]))
    conservation = float(kept["conservation"][0]) if "conservation" in kept else None
    values = np.asarray(kept["map"])
    return Heatmap(values, method, target, grid=grid, conservation=conservation)


def label_of(sample: Sample) -> int:
    if not isinstance(sample.label, (int, np.integer)):
        raise DataError(
            "this sample has several labels",
            where=sample.id,
            fix="name the class to explain instead of target 'label'",
        )
    return int(sample.label)


def named_target(request: Request, task: Task) -> Target:
    """Return what a request's target means to a network of some task."""
    several = task == "multilabel" and not isinstance(request.sample.label, np.ndarray)
    return "label" if several and request.target == "predicted" else request.target


def target_of(job: Job, logits: npt.NDArray[np.float64] | None) -> int:
    """Return the class that a job explains."""
    if job.target == "predicted":
        assert logits is not None
        return int(logits.argmax())
    return label_of(job.request.sample) if job.target == "label" else int(job.target)


def prediction_of(job: Job, logits: npt.NDArray[np.float64], task: Task) -> int:
    """Return ``Answer.predicted``."""
    if task != "multilabel":
        return int(logits.argmax())
    label = job.request.sample.label
    asked = target_of(job, logits) if isinstance(label, np.ndarray) else int(label)
    return asked if logits[asked] >= 0 else -1


def as_known(error: Exception, job: Job) -> Exception:
    """Give an unforeseen error the sample's name; known ones pass as they are."""
    if isinstance(error, XaievalError):
        return error
    wrapped = MethodError(f"{type(error).__name__}: {error}", where=job.request.sample.id)
    wrapped.__cause__ = error
    return wrapped
