"""What perturbation methods share: changed copies of each picture, one number kept of each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from xaieval.methods.passes import Passes
from xaieval.methods.spec import Option
from xaieval.methods.streams import Stream
from xaieval.types import Task

Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

NETWORKS = "any network, differentiable or not"


def output_option(default: str) -> Option:
    """Return the option that says which number of the network is watched."""
    return Option(
        default=default,
        help="what of the target is watched: its logit or its probability",
        kind="choice",
        choices=("logit", "probability"),
    )


def read_output(logits: Tensor, targets: Tensor, output: str, *, task: Task = "single") -> Doubles:
    """Return the targets' logits or probabilities, float64 (n,), in double precision.

    Probabilities are a softmax over the classes; of a single logit, and where classes do not
    exclude each other (``task`` "multilabel"), its sigmoid.

    >>> read_output(torch.tensor([[0.0, 0.0], [3.0, 1.0]]), torch.tensor([1, 0]), "logit").tolist()
    [0.0, 3.0]
    """
    values = logits.detach().cpu().double()
    if output == "probability":
        apart = values.shape[1] == 1 or task == "multilabel"
        values = values.sigmoid() if apart else values.softmax(1)
    found: Doubles = values.gather(1, targets.cpu()[:, None])[:, 0].numpy()
    return found


class Perturbation(Stream):
    """Changed copies of each picture, as many as ``counts`` says, and what the network answers.

    Of each copy one number is kept, so memory hardly grows with their number.

    Parameters
    ----------
    passes : Passes
    counts : sequence of int
        Copies of each picture, at least one.
    output : "logit" or "probability"

    Attributes
    ----------
    answers : tuple of float64 (count,), one per picture
    """

    def __init__(self, passes: Passes, counts: Sequence[int], output: str) -> None:
        self.passes, self.output = passes, output
        self.answers = tuple(np.empty(count) for count in counts)
        self._ends = np.cumsum(counts)
        self.rows = int(self._ends[-1])

    @abstractmethod
    def write(self, copies: Tensor, image: int, start: int) -> None:
        """Write copies ``start``, ``start`` + 1, … of a picture into ``copies`` (n, C, H, W).

        A pure function of ``image`` and the numbers of the copies.
        """

    def _pieces(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Yield (image, first copy, last copy + 1) of some rows."""
        image = int(np.searchsorted(self._ends, start, side="right"))
        while start < stop:
            begin = int(self._ends[image]) - len(self.answers[image])
            last = min(stop, int(self._ends[image]))
            yield image, start - begin, last - begin
            start, image = last, image + 1

    def points(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        x = self.passes.x
        last = x.is_contiguous(memory_format=torch.channels_last)
        rows = torch.empty(
            (stop - start, *x.shape[1:]),
            dtype=x.dtype,
            device=x.device,
            memory_format=torch.channels_last if last else torch.contiguous_format,
        )
        images, place = [], 0
        for image, first, end in self._pieces(start, stop):
            count = end - first
            self.write(rows[place : place + count], image, first)
            images += [image] * count
            place += count
        return rows, torch.tensor(images, device=x.device)

    def add(self, start: int, found: Tensor, image: Tensor) -> None:
        task = self.passes.classifier.task
        values = read_output(found, self.passes.targets[image], self.output, task=task)
        place = 0
        for number, first, end in self._pieces(start, start + len(values)):
            self.answers[number][first:end] = values[place : place + end - first]
            place += end - first


def as_maps(maps: Sequence[Doubles], passes: Passes) -> Tensor:
    """Return maps, each (H, W), as an attribution of one channel, (b, 1, H, W)."""
    return torch.from_numpy(np.stack(maps)[:, None]).to(passes.x)
