"""All rows, and how they are run: in processes of one thread each."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context

import torch

from benchmarks.parity import (
    attending,
    cams,
    enhancing,
    fast,
    gradients,
    modified,
    perturbing,
    relevance,
)
from benchmarks.parity.rows import Result, Row, Status, compare

GROUPS = {
    "gradients": gradients.rows,
    "modified": modified.rows,
    "relevance": relevance.rows,
    "cams": cams.rows,
    "attending": attending.rows,
    "enhancing": enhancing.rows,
    "perturbing": perturbing.rows,
    "fast": fast.rows,
}


@cache
def all_rows() -> tuple[Row, ...]:
    """Return every row, always in the same order."""
    return tuple(row for group in GROUPS.values() for row in group())


def compared(numbers: Sequence[int], jobs: int) -> Iterator[Result]:
    """Yield the results of some rows, in order; processes of one thread each share the work.

    Two processes of one thread are faster than one of two: the networks are small.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    context = get_context("spawn")  # a fork would inherit threads
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_quietly) as pool:
        for number, found in zip(numbers, pool.map(_compare, numbers), strict=True):
            yield Result(all_rows()[number], *found)


def _quietly() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)


def _compare(number: int) -> tuple[Status, float | None, str, float]:
    """Run one row; what comes back holds no functions, which do not travel."""
    row = all_rows()[number]
    found = (fast.compare if row.group == "fast" else compare)(row)
    return found.status, found.value, found.said, found.elapsed_s
