"""The one place where models run: on demand, on the best device, each request computed once.

A request travels so: a small pool prepares it (reads the picture, looks into the cache); if every
map is cached the answer is given at once; else it joins the queue of the device's one worker,
which packs waiting requests of the same kind together. Identical requests share one computation.
Models are loaded when first asked for, kept, and released when idle.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch

from xaieval import __version__
from xaieval.cache import HeatmapCache
from xaieval.digest import digest
from xaieval.errors import Cancelled, MethodError, ModelError, XaievalError
from xaieval.jobs import (
    BATCH,
    BULK,
    INTERACTIVE,
    PREFETCH,
    Answer,
    Errand,
    Job,
    OnMap,
    Request,
    Target,
    Ticket,
    alike,
    as_known,
    extra_of,
    from_arrays,
    label_of,
    named_target,
    prediction_of,
    settle,
    target_of,
    to_arrays,
)
from xaieval.methods import About, Explainer, MethodCall
from xaieval.models import Classifier, Preprocessing
from xaieval.shelf import Shelf, pick_devices
from xaieval.types import Heatmap, Sample

__all__ = [
    "BULK",
    "INTERACTIVE",
    "PREFETCH",
    "Answer",
    "Backend",
    "Request",
    "Ticket",
    "pick_devices",
]

T = TypeVar("T")


class Backend:
    """Explains on demand for every session of a process.

    Parameters
    ----------
    device : str
        ``"auto"`` (all CUDA cards, else mps, else cpu) or a torch device.
    cache : HeatmapCache, optional
    idle_s : float
        Models not used for this long are released (s).
    """

    def __init__(
        self, device: str = "auto", *, cache: HeatmapCache | None = None, idle_s: float = 300.0
    ) -> None:
        self.devices = pick_devices(device)
        self.cache = cache if cache is not None else HeatmapCache()
        self.idle_s = idle_s
        self._condition = threading.Condition()
        self._queue: list[Job] = []
        self._errands: list[Errand] = []
        self._open: set[Job] = set()
        self._flying: dict[str, Job] = {}
        self._order = itertools.count()
        self._shelf = Shelf(self.devices)
        self._computed = 0
        self._closed = False
        self._preparing = ThreadPoolExecutor(2, thread_name_prefix="xaieval-prepare")
        self._workers = [
            threading.Thread(target=self._work, args=(d,), name=f"xaieval-{d}", daemon=True)
            for d in self.devices
        ]
        for worker in self._workers:
            worker.start()

    # ---------------------------------------------------------------- asking

    def submit(self, request: Request, *, on_map: OnMap | None = None) -> Ticket:
        """Ask for maps; ``on_map(method key, heatmap)`` is called as each is there.

        ``on_map`` runs in a thread of the backend. The ticket's future raises ``XaievalError`` for
        bad input and ``Cancelled`` after ``cancel()``.
        """
        if self._closed:
            raise MethodError("the backend is closed")
        job = Job(request, next(self._order), time.perf_counter(), priority=request.priority)
        ticket = Ticket(job, on_map)
        job.join(ticket)
        with self._condition:
            self._open.add(job)
        self._preparing.submit(self._prepare, job)
        return ticket

    def explain(self, request: Request) -> Answer:
        """Ask and wait."""
        return self.submit(request).future.result()

    def explain_many(
        self,
        checkpoint: Path | Classifier,
        samples: Iterable[Sample],
        *,
        methods: Sequence[MethodCall],
        target: Target = "predicted",
        upsampling: str = "paper",
        exact: bool = False,
        seed: int = 0,
        cacheable: bool = True,
        priority: int = BULK,
    ) -> list[Answer | XaievalError]:
        """Explain many samples, packed together; a faulty sample gives its error in its place."""
        tickets = [
            self.submit(
                Request(
                    checkpoint=checkpoint,
                    sample=sample,
                    methods=tuple(methods),
                    target=target,
                    upsampling=upsampling,
                    exact=exact,
                    priority=priority,
                    seed=seed,
                    cacheable=cacheable,
                )
            )
            for sample in samples
        ]
        answers: list[Answer | XaievalError] = []
        try:
            for ticket in tickets:
                try:
                    answers.append(ticket.future.result())
                except XaievalError as error:
                    answers.append(error)
        except BaseException:
            for ticket in tickets:
                ticket.cancel()
            raise
        return answers

    def call(
        self,
        checkpoint: Path | Classifier,
        work: Callable[[Explainer, Errand], T],
        *,
        upsampling: str = "paper",
        exact: bool = False,
        priority: int = BULK,
    ) -> T:
        """Have ``work(explainer, errand)`` done on a device's thread, and wait for it.

        ``work`` should call ``errand.give_way()`` between steps, so that whoever waits for a
        heatmap is served first, and hand ``errand.cancelled`` to what runs passes.

        Raises
        ------
        Cancelled
            When the backend is closed meanwhile.
        """
        errand = Errand(
            self.classifier(checkpoint), work, upsampling, exact, priority, next(self._order)
        )
        with self._condition:
            if self._closed:
                raise MethodError("the backend is closed")
            self._errands.append(errand)
            self._condition.notify()
        try:
            found: T = errand.future.result()
        except BaseException:
            errand.dropped = True
            raise
        return found

    def classifier(self, checkpoint: Path | Classifier) -> Classifier:
        """Return the classifier of a checkpoint, loaded once while the file is unchanged."""
        return self._shelf.classifier(checkpoint)

    def status(self) -> dict[str, Any]:
        """Return devices, queue length, loaded models, maps computed and the cache's state."""
        with self._condition:
            waiting, flying = len(self._queue), len(self._open)
        return {
            "devices": list(self.devices),
            "waiting": waiting,
            "in_flight": flying,
            **self._shelf.counts(),
            "maps_computed": self._computed,
            "cache": self.cache.info(),
        }

    def close(self) -> None:
        """Stop the workers after their current chunk; waiting requests end with ``Cancelled``."""
        with self._condition:
            self._closed = True
            jobs = list(self._open)
            self._queue.clear()
            errands, self._errands = self._errands, []
            self._condition.notify_all()
        for errand in errands:
            errand.future.set_exception(Cancelled())
        for job in jobs:
            for ticket in job.close():
                job.drop(ticket)
        self._preparing.shutdown(wait=True, cancel_futures=True)
        for worker in self._workers:
            worker.join()

    # ---------------------------------------------------------------- preparing

    def _prepare(self, job: Job) -> None:
        """Read the picture and what the cache holds; finish at once or join the queue."""
        try:
            if not job.wanted():
                self._finish(job, error=Cancelled())
                return
            request = job.request
            classifier = self.classifier(request.checkpoint)
            job.classifier = classifier
            job.target = named_target(request, classifier.task)
            image = request.sample.image
            preprocessing = _preprocessing(classifier)
            job.geometry = preprocessing.geometry((image.shape[0], image.shape[1]))
            job.picture = preprocessing.picture(image)
            job.extra = extra_of(request.sample)
            self._recall(job, classifier)
            if job.prediction is not None and not job.missing():
                self._finish(job)
                return
        except Exception as error:
            self._finish(job, error=as_known(error, job))
            return
        with self._condition:
            twin = self._flying.get(job.key)
            if twin is not None and job.hand_over(twin):
                self._open.discard(job)
            elif not self._closed:
                self._flying[job.key] = job
                self._queue.append(job)
                self._condition.notify()

    def _recall(self, job: Job, classifier: Classifier) -> None:
        request = job.request
        device = self.devices[0].split(":")[0]
        # The picture's bytes are hashed once, not for every method.
        seen = job.picture, *job.extra
        base = digest(__version__, classifier.fingerprint, seen, request.exact, device)
        job.keys["logits"] = digest("logits", base)
        for call in request.methods:
            job.keys[call.key] = digest(
                "map",
                base,
                job.target if job.target != "label" else label_of(request.sample),
                call.digest,
                classifier.layer_if_any,
                request.upsampling if _draws(call) else None,
                (request.sample.id, request.seed) if call.stochastic else None,
            )
        job.key = digest(*sorted(job.keys.items()), request.cacheable)
        if not request.cacheable:
            return
        logits = self.cache.get(job.keys["logits"])
        if logits is None:
            return
        job.prediction = np.asarray(logits["logits"])
        target = target_of(job, job.prediction)
        for call in request.methods:
            kept = self.cache.get(job.keys[call.key])
            if kept is not None and "undefined" in kept:
                job.undefined[call.key] = bytes(kept["undefined"]).decode()
            elif kept is not None:
                job.from_cache.add(call.key)
                job.add_map(call.key, from_arrays(kept, call.id, target))

    # ---------------------------------------------------------------- working

    def _work(self, device: str) -> None:
        while True:
            idle = False
            with self._condition:
                if not (self._queue or self._errands or self._closed):
                    idle = not self._condition.wait(timeout=self.idle_s)
                if self._closed:
                    return
                errand = self._next_errand()
                batch = [] if errand is not None else self._take()
            if errand is not None:
                self._serve(device, errand)
            elif batch:
                self._attempt(device, batch)
            elif idle:
                self._shelf.release(device)

    def _attempt(self, device: str, batch: list[Job]) -> None:
        """Run a batch; if it fails, run each job alone, so that one faulty job fails by itself."""
        try:
            self._run(device, batch)
        except Exception as error:
            if len(batch) == 1:
                self._finish(batch[0], error=as_known(error, batch[0]))
                return
            for job in batch:
                self._attempt(device, [job])

    def _take(self) -> list[Job]:
        """Take the first job and those that can run in the same passes; the condition is held."""
        self._queue.sort(key=lambda job: (job.priority, job.order))
        while self._queue and not self._queue[0].wanted():
            dead = self._queue.pop(0)
            self._finish(dead, error=Cancelled())
        if not self._queue:
            return []
        first = self._queue[0]
        size = BATCH.get(first.priority, 4)
        batch = [job for job in self._queue if alike(job, first)][:size]
        self._queue = [job for job in self._queue if job not in batch]
        return batch

    def _run(self, device: str, batch: list[Job]) -> None:
        first = batch[0]
        assert first.classifier is not None
        request = first.request
        explainer = self._shelf.explainer(
            device, first.classifier, exact=request.exact, upsampling=request.upsampling
        )
        preprocessing = _preprocessing(first.classifier)
        pictures = np.stack([job.picture for job in batch if job.picture is not None])
        x = preprocessing.tensor(pictures).to(device)
        columns = zip(*(job.extra for job in batch), strict=True)
        extra = tuple(torch.from_numpy(np.stack(parts)) for parts in columns)
        targets: Literal["predicted"] | torch.Tensor = "predicted"
        if first.target != "predicted":
            targets = torch.tensor([target_of(job, None) for job in batch])

        def on_method(key: str, maps: np.ndarray, chosen: np.ndarray, about: About) -> None:
            method = key.split("[")[0]
            sums = [None] * len(batch) if about.conservation is None else about.conservation
            for job, values, target, gap in zip(batch, maps, chosen, sums, strict=True):
                heatmap = Heatmap(
                    np.array(values),
                    method,
                    int(target),
                    grid=about.grid,
                    conservation=float(gap) if gap is not None and np.isfinite(gap) else None,
                )
                job.add_map(key, heatmap)
            self._computed += len(batch)

        def stop() -> bool:
            if self._closed or not any(job.wanted() for job in batch):
                return True
            if first.priority < PREFETCH:
                return False
            with self._condition:
                return any(waiting.priority < PREFETCH for waiting in self._queue)

        try:
            explanation = explainer.run(
                x,
                methods=first.missing(),
                targets=targets,
                extra=extra or None,
                sample_ids=[job.request.sample.id for job in batch],
                seed=request.seed,
                skip_undefined=True,
                on_method=on_method,
                cancelled=stop,
            )
        except Cancelled:
            self._put_back(batch)
            return
        for job, logits in zip(batch, explanation.logits, strict=True):
            job.prediction = np.asarray(logits, np.float64)
            job.undefined.update(explanation.undefined)
            self._remember(job)
            self._finish(job)

    def _next_errand(self) -> Errand | None:
        """Take the first errand unless a request comes before it; the condition is held."""
        self._errands = [errand for errand in self._errands if not errand.dropped]
        if not self._errands:
            return None
        errand = min(self._errands, key=lambda e: (e.priority, e.order))
        if any((job.priority, job.order) < (errand.priority, errand.order) for job in self._queue):
            return None
        self._errands.remove(errand)
        return errand

    def _serve(self, device: str, errand: Errand) -> None:
        """Do an errand; requests that matter more are served in its pauses."""

        def give_way() -> None:
            while True:
                with self._condition:
                    urgent = any(job.priority < errand.priority for job in self._queue)
                    batch = self._take() if urgent else []
                if errand.cancelled():
                    raise Cancelled
                if not batch:
                    return
                self._attempt(device, batch)

        errand.give_way = give_way
        errand.cancelled = lambda: self._closed or errand.dropped
        try:
            explainer = self._shelf.explainer(
                device, errand.classifier, exact=errand.exact, upsampling=errand.upsampling
            )
            errand.future.set_result(errand.work(explainer, errand))
        except (Exception, Cancelled) as error:  # told to whoever waits for it
            errand.future.set_exception(error)

    def _put_back(self, batch: list[Job]) -> None:
        """Queue again what is still wanted after a stop between chunks."""
        with self._condition:
            for job in batch:
                if job.wanted() and not self._closed:
                    self._queue.append(job)
                else:
                    self._finish(job, error=Cancelled())
            self._condition.notify()

    def _remember(self, job: Job) -> None:
        if not job.request.cacheable or job.prediction is None:
            return
        self.cache.put(job.keys["logits"], {"logits": job.prediction})
        for call in job.request.methods:
            if call.key in job.undefined:
                why = np.frombuffer(job.undefined[call.key].encode(), np.uint8)
                self.cache.put(job.keys[call.key], {"undefined": why})
            elif call.key not in job.from_cache:
                # What needs no pass is cheap to draw again, but not to wait for the worker.
                kept = to_arrays(job.maps[call.key])
                self.cache.put(job.keys[call.key], kept, disk=call.cost > 0)

    def _finish(self, job: Job, *, error: BaseException | None = None) -> None:
        with self._condition:
            self._open.discard(job)
            if self._flying.get(job.key) is job:
                del self._flying[job.key]
            tickets = job.close()
        if error is not None:
            for ticket in tickets:
                settle(ticket.future, error=error)
            return
        assert job.picture is not None
        assert job.geometry is not None
        assert job.prediction is not None
        assert job.classifier is not None
        task = job.classifier.task
        answer = Answer(
            sample_id=job.request.sample.id,
            picture=job.picture,
            geometry=job.geometry,
            logits=job.prediction,
            probabilities=job.classifier.probabilities(job.prediction),
            predicted=prediction_of(job, job.prediction, task),
            target=target_of(job, job.prediction),
            label=job.request.sample.label,
            class_names=job.classifier.class_names,
            maps={
                call.key: job.maps[call.key] for call in job.request.methods if call.key in job.maps
            },
            elapsed_s=time.perf_counter() - job.submitted,
            from_cache=frozenset(job.from_cache),
            undefined=dict(job.undefined),
            task=task,
        )
        for ticket in tickets:
            settle(ticket.future, answer=answer)


def _draws(call: MethodCall) -> bool:
    """Say whether a method's map may depend on the request's upsampling."""
    spec = call.spec
    return spec.low_resolution or spec.family in ("captum", "custom", "enhancer")


def _preprocessing(classifier: Classifier) -> Preprocessing:
    if classifier.preprocessing is None:
        raise ModelError(
            "the classifier does not say how pictures become its input",
            where=classifier.name,
            fix="give Classifier(..., preprocessing=Preprocessing(...))",
        )
    return classifier.preprocessing
