"""Scores that need the model: what they ask it, and one queue that answers many of them at once.

Such a score is a generator. It yields an ``Ask``: so many changed pictures, made when they are
wanted, and what to find out about them; it is sent the answer and may ask again. ``drive`` runs
the generators of many images and scores together and packs their rows into full passes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from xaieval.errors import MetricError

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")
Kind = Literal["logits", "gradients", "maps", "embeddings"]
Output = Literal["softmax", "sigmoid", "cosine"]


@dataclass(frozen=True, eq=False)
class Subject:
    """One picture under one model, as scores see it.

    Attributes
    ----------
    sample_id : str
        Seeds whatever is random.
    x : float (C, H, W), model input
    low, high : float (C, 1, 1)
        Model input of a black and of a white pixel: the ends of the range of pictures.
    predicted, target : int
        The class with the highest logit, and the one whose map is scored.
    output : "softmax", "sigmoid" or "cosine"
        What the logits stand for: classes that exclude each other, attributes of which a picture
        may have any number, or the cosine of two embeddings.
    """

    sample_id: str
    x: Tensor
    low: Tensor
    high: Tensor
    predicted: int
    target: int
    output: Output = "softmax"

    def __post_init__(self) -> None:
        channels = len(self.x)
        if self.x.ndim != 3:
            raise MetricError(
                "bad model input", where=self.sample_id, expected="(C, H, W)", got=self.x.shape
            )
        for name in ("low", "high"):
            if tuple(getattr(self, name).shape) != (channels, 1, 1):
                raise MetricError(
                    f"bad {name} end of the range of pictures",
                    where=self.sample_id,
                    expected=f"({channels}, 1, 1)",
                    got=tuple(getattr(self, name).shape),
                )

    @property
    def watched(self) -> int:
        """Which logit scores follow: the predicted class's; else, that of the map."""
        return self.predicted if self.output == "softmax" else self.target

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in px."""
        return int(self.x.shape[1]), int(self.x.shape[2])


class Evaluator(Protocol):
    """A model and a method at work on some pictures; made by whoever has the model.

    ``images`` (n,) says to which of ``subjects`` each row belongs (its target, its second input).
    Row i of an answer depends on row i only.
    """

    @property
    def subjects(self) -> Sequence[Subject]: ...

    @property
    def rows(self) -> int:
        """Return how many rows fill a pass."""

    def logits(self, rows: Tensor, images: Sequence[int]) -> Tensor:
        """Return logits (n, classes) of model inputs (n, C, H, W)."""

    def gradients(self, rows: Tensor, images: Sequence[int], targets: Sequence[int]) -> Tensor:
        """Return the gradient (n, C, H, W) of the logit of each row's target."""

    def embeddings(self, rows: Tensor, images: Sequence[int]) -> Tensor:
        """Return embeddings (n, D) of rows; only asked for where ``output`` is "cosine"."""

    def maps(self, rows: Tensor, images: Sequence[int]) -> Any:
        """Return the scored method's maps (n, H, W) of rows, for their subjects' target."""


@dataclass(frozen=True, eq=False)
class Ask:
    """Rows that a score wants to know something about.

    Attributes
    ----------
    kind : "logits", "gradients", "maps" or "embeddings"
    rows : int
        How many.
    points : callable
        ``points(start, stop)`` -> model inputs (stop - start, C, H, W); the same arguments give
        the same rows. Asked for in passing, so that not all of them lie in memory.
    target : int
        The class of "gradients".
    """

    kind: Kind
    rows: int
    points: Callable[[int, int], Tensor]
    target: int = 0


Work = Generator[Ask, Any, T]
"""A score at work: yields an ``Ask``, is sent a tensor (rows, ...), returns what it found."""


def drive(works: Sequence[tuple[int, Work[T]]], evaluator: Evaluator) -> list[T]:
    """Run scores of many pictures together; what each finds depends on itself only.

    Parameters
    ----------
    works : sequence of (image, generator)
        ``image`` is a position in ``evaluator.subjects``.
    evaluator : Evaluator

    Returns
    -------
    list
        What each generator returned, in their order.
    """
    found: dict[int, T] = {}
    asks: dict[int, Ask] = {}

    def go_on(number: int, answer: Any) -> None:
        try:
            asks[number] = works[number][1].send(answer)
        except StopIteration as stop:
            found[number] = stop.value

    for number in range(len(works)):
        go_on(number, None)
    while asks:
        kind = next(iter(asks.values())).kind
        turn = {number: ask for number, ask in asks.items() if ask.kind == kind}
        for number in turn:
            del asks[number]
        answers = _answer(kind, turn, [image for image, _ in works], evaluator)
        for number in turn:
            go_on(number, answers.pop(number))
    return [found[number] for number in range(len(works))]


def _answer(
    kind: Kind, turn: dict[int, Ask], images: Sequence[int], evaluator: Evaluator
) -> dict[int, Tensor]:
    """Answer asks of one kind, pass after pass, each pass full but the last."""
    import torch

    parts: dict[int, list[Tensor]] = {number: [] for number in turn}
    waiting: list[tuple[int, Tensor]] = []
    count = 0

    def send() -> None:
        nonlocal count
        rows = torch.cat([points for _, points in waiting])
        owners = [number for number, points in waiting for _ in range(len(points))]
        of = [images[number] for number in owners]
        if kind == "logits":
            answer = evaluator.logits(rows, of)
        elif kind == "gradients":
            answer = evaluator.gradients(rows, of, [turn[number].target for number in owners])
        elif kind == "embeddings":
            answer = evaluator.embeddings(rows, of)
        else:
            answer = torch.as_tensor(evaluator.maps(rows, of))
        if len(answer) != len(rows):
            raise MetricError(
                f"the evaluator lost rows of {kind}", expected=len(rows), got=len(answer)
            )
        for number, part in zip(
            [number for number, _ in waiting],
            torch.split(answer, [len(points) for _, points in waiting]),
            strict=True,
        ):
            parts[number].append(part)
        waiting.clear()
        count = 0

    for number, ask in turn.items():
        start = 0
        while start < ask.rows:
            stop = min(ask.rows, start + max(1, evaluator.rows - count))
            waiting.append((number, ask.points(start, stop)))
            count += stop - start
            start = stop
            if count >= evaluator.rows:
                send()
    if waiting:
        send()
    return {number: torch.cat(found) for number, found in parts.items()}
