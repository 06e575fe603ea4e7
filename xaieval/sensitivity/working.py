"""Explain and score what a sensitivity run lacks, seed by seed, through the backend."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xaieval.backend import BULK, Backend, Request, Ticket
from xaieval.errors import Cancelled, ResultsError, XaievalError
from xaieval.jobs import Answer
from xaieval.methods import MethodCall
from xaieval.metrics import Rules
from xaieval.progress import Progress, Report
from xaieval.sensitivity.axes import Asked
from xaieval.sensitivity.measuring import call_for, measured
from xaieval.sensitivity.recipe import Recipe
from xaieval.sensitivity.store import Settings, write_scores
from xaieval.study.results import Results
from xaieval.types import Sample

STAGE = "does the winner survive"
CHUNK = 8
"""Images whose maps are asked for together."""


class Worker:
    """Explains and scores what is missing, seed by seed."""

    def __init__(
        self,
        results: Results,
        settings: Settings,
        asked: Asked,
        backend: Backend,
        target: str | int,
        rules: Rules,
        home: Path,
    ) -> None:
        self._results, self._settings, self._asked = results, settings, asked
        self._home = home
        self._backend, self._target, self._rules = backend, target, rules
        self._rows: list[dict[str, Any]] = []

    def work(
        self,
        missing: Mapping[tuple[int, int], list[tuple[str, tuple[str, ...]]]],
        recipes: Mapping[str, Recipe],
        models: Mapping[tuple[int, int], Path],
        sample_of: Callable[[str], Sample],
        report: Report,
        cancelled: Callable[[], bool],
        began: float,
    ) -> None:
        total, done = sum(map(len, missing.values())), 0
        base = self._settings.base
        for (seed, fold), lacking in missing.items():
            checkpoint = models.get((seed, fold))
            if checkpoint is None:
                raise ResultsError(
                    f"the model of seed {seed} is not here", where=self._results.path
                )
            try:
                for start in range(0, len(lacking), CHUNK):
                    if cancelled():
                        raise Cancelled
                    note = f"seed {seed}"
                    report(Progress(STAGE, done, total, time.monotonic() - began, note))
                    chunk = lacking[start : start + CHUNK]
                    self._chunk(seed, checkpoint, chunk, recipes, sample_of)
                    done += len(chunk)
            finally:
                stem = f"seed-{seed}-fold-{fold}"
                write_scores(self._home, self._rows, base=base, stem=stem)
                self._rows = []
        report(Progress(STAGE, done, total, time.monotonic() - began))

    def _chunk(
        self,
        seed: int,
        checkpoint: Path,
        chunk: Sequence[tuple[str, tuple[str, ...]]],
        recipes: Mapping[str, Recipe],
        sample_of: Callable[[str], Sample],
    ) -> None:
        samples = {name: sample_of(name) for name, _ in chunk}
        wanted = [recipes[key] for key in dict.fromkeys(k for _, keys in chunk for k in keys)]
        answers = self._answers(checkpoint, samples, wanted)
        model = self._results.manifest["models"][checkpoint.stem][:16]
        for name, keys in chunk:
            found = answers[name]
            if not found:
                continue
            any_answer = next(iter(found.values()))
            regions = samples[name].regions
            mask = any_answer.geometry.mask(regions[self._settings.region])
            scores = measured(
                [recipes[key] for key in keys],
                self._asked.compete,
                found,
                mask,
                rules=self._rules,
            )
            digests = {call.key: call.digest for call in self._asked.compete}
            self._rows += [
                {
                    "sample_id": name,
                    "seed": seed,
                    "model": model,
                    "method_id": method,
                    "method_digest": digests[method],
                    "region": self._settings.region,
                    "recipe": recipe,
                    "value": one.value,
                    "reason": one.reason,
                }
                for (recipe, method), one in scores.items()
            ]

    def _answers(
        self, checkpoint: Path, samples: Mapping[str, Sample], recipes: Sequence[Recipe]
    ) -> dict[str, dict[str, Answer]]:
        """Return sample id -> target name -> answer; a faulty image has none."""
        calls: dict[str, dict[str, MethodCall]] = {}
        for recipe in recipes:
            named = calls.setdefault(recipe.target, {})
            for call in self._asked.compete:
                changed = call_for(call, recipe)
                named[changed.key] = changed
        own = tuple(calls.pop("", {call.key: call for call in self._asked.compete}).values())
        tickets = {
            name: self._ask(checkpoint, sample, own, self._target)
            for name, sample in samples.items()
        }
        found: dict[str, dict[str, Answer]] = {name: {} for name in samples}
        for name, ticket in tickets.items():
            try:
                found[name][""] = ticket.future.result()
            except XaievalError:
                continue
        later: list[tuple[str, str, Ticket]] = []
        for target, others in calls.items():
            for name in samples:
                if "" in found[name]:
                    meant = _target(target, found[name][""])
                    ticket = self._ask(checkpoint, samples[name], tuple(others.values()), meant)
                    later.append((name, target, ticket))
        for name, target, ticket in later:
            found[name][target] = ticket.future.result()
        return found

    def _ask(
        self, checkpoint: Path, sample: Sample, calls: tuple[MethodCall, ...], target: Any
    ) -> Ticket:
        explain = self._results.study.explain
        return self._backend.submit(
            Request(
                checkpoint=checkpoint,
                sample=sample,
                methods=calls,
                target=target,
                upsampling=explain.upsampling,
                exact=explain.exact,
                priority=BULK,
                seed=explain.seed,
            )
        )


def _target(name: str, answer: Answer) -> Any:
    """Return the class that a target's name means for an image."""
    if name == "second":
        return int(np.argsort(answer.logits, kind="stable")[-2])
    return name
