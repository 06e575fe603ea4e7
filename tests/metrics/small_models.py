"""Models small enough to think through, as evaluators of their own maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from xaieval.metrics import Subject
from xaieval.metrics.evaluator import Output

Logits = Callable[[Tensor], Tensor]


class SmallModel:
    """An evaluator over any differentiable function of model inputs.

    Pictures are their own model input (black 0, white 1) unless ``low`` and ``high`` say otherwise;
    the maps are |x · gradient| summed over channels.
    """

    def __init__(
        self,
        function: Logits,
        pictures: Tensor,
        *,
        rows: int = 7,
        low: float = 0.0,
        high: float = 1.0,
        output: Output = "softmax",
        target: int | None = None,
    ) -> None:
        self.function, self.rows = function, rows
        self.asked: list[tuple[str, int]] = []
        predicted = self._run(pictures).argmax(1).tolist()
        ends = [torch.full((pictures.shape[1], 1, 1), float(end)) for end in (low, high)]
        self.subjects = [
            Subject(
                f"sample-{i}",
                x,
                *ends,
                predicted=p,
                target=p if target is None else target,
                output=output,
            )
            for i, (x, p) in enumerate(zip(pictures, predicted, strict=True))
        ]

    def _run(self, rows: Tensor) -> Tensor:
        # Row by row: what packing would do to rounding is the business of a real model's passes.
        return torch.cat([self.function(row[None]) for row in rows])

    def logits(self, rows: Tensor, images: Sequence[int]) -> Tensor:
        self.asked.append(("logits", len(rows)))
        with torch.no_grad():
            return self._run(rows)

    def embeddings(self, rows: Tensor, images: Sequence[int]) -> Tensor:
        self.asked.append(("embeddings", len(rows)))
        with torch.no_grad():
            return self._run(rows)

    def gradients(self, rows: Tensor, images: Sequence[int], targets: Sequence[int]) -> Tensor:
        self.asked.append(("gradients", len(rows)))
        return self._gradients(rows, targets)

    def _gradients(self, rows: Tensor, targets: Sequence[int]) -> Tensor:
        x = rows.detach().clone().requires_grad_()
        logits = self._run(x)
        return torch.autograd.grad(logits[range(len(rows)), list(targets)].sum(), x)[0]

    def maps(self, rows: Tensor, images: Sequence[int]) -> Tensor:
        self.asked.append(("maps", len(rows)))
        targets = [self.subjects[i].target for i in images]
        return (rows * self._gradients(rows, targets)).abs().sum(1)


def linear(weights: Tensor, bias: float = 0.0) -> Logits:
    """Return logits (Σ w·x + bias, 0) of two classes."""

    def logits(x: Tensor) -> Tensor:
        first = (x * weights).flatten(1).sum(1) + bias
        return torch.stack([first, torch.zeros_like(first)], 1)

    return logits


def small_net(seed: int = 0, classes: int = 4, width: int = 8) -> torch.nn.Module:
    """Return a random convolutional net with pooling, in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, width, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.AvgPool2d(2),
        torch.nn.Conv2d(width, width, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(4 * width, classes),
    )
    with torch.no_grad():
        for parameter in net.parameters():
            scale = 3 / max(1, parameter[0].numel()) ** 0.5 if parameter.ndim > 1 else 0.1
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return net.eval()
