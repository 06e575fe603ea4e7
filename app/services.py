"""What every session of the process shares: opened studies and the one backend."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from xaieval.backend import Backend
from xaieval.errors import XaievalError
from xaieval.study import Results, demo_results


@dataclass(frozen=True)
class Problem:
    """An argument that could not be opened: what the page says about it."""

    argument: str
    text: str


class Services:
    """Opened results by id, what could not be opened, and the backend (started when first used).

    Attributes
    ----------
    results : dict id -> Results, in the order of the command line
    problems : tuple of Problem
    """

    def __init__(self, results: dict[str, Results], problems: tuple[Problem, ...] = ()) -> None:
        self.results = results
        self.problems = problems
        self._datasets: dict[str, Any] = {}
        self._lock = threading.Lock()

    @property
    def backend(self) -> Backend:
        """The process's one backend."""
        return _backend()

    def dataset(self, study: str) -> Any:
        """Return the dataset of a study, opened once; None when it has none (published runs)."""
        with self._lock:
            if study not in self._datasets:
                self._datasets[study] = self.results[study].dataset()
            return self._datasets[study]


@lru_cache(maxsize=1)
def _backend() -> Backend:
    return Backend("auto")


@lru_cache(maxsize=8)
def open_services(arguments: tuple[str, ...]) -> Services:
    """Open what the command line names: results folders or study ids; nothing is the demo.

    A bad argument becomes a ``Problem`` that the page shows; the server keeps running.
    """
    results: dict[str, Results] = {}
    problems = []
    for argument in arguments or (None,):
        try:
            opened = demo_results() if argument is None else _open(argument)
        except (XaievalError, OSError) as error:
            problems.append(Problem(argument or "the built-in study", str(error)))
            continue
        name = key = opened.study.id
        number = 2
        while key in results:
            key, number = f"{name}~{number}", number + 1
        results[key] = opened
    return Services(results, tuple(problems))


def _open(argument: str) -> Results:
    if Path(argument).exists():
        return Results(Path(argument))
    return Results.of_study(argument)
