"""The losses of the multitask network and what is counted beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor


def class_weights(labels: Sequence[int], n_classes: int) -> Tensor:
    """Return weights float32 (n_classes,) that make every present class count the same.

    ``w_c = n / (k · n_c)`` with n samples, k present classes and n_c samples of class c, as
    scikit-learn's "balanced"; 0 for a class without samples.

    >>> class_weights([0, 0, 0, 1], 3)
    tensor([0.6667, 2.0000, 0.0000])
    """
    counts = np.bincount(np.asarray(labels, dtype=np.int64), minlength=n_classes)
    present = counts > 0
    weights = np.zeros(n_classes)
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return torch.tensor(weights, dtype=torch.float32)


def attribute_weights(labels: npt.ArrayLike) -> Tensor:
    """Return weights float32 (2, C) of absent and present attributes, of labels bool (n, C).

    Each attribute is a task of two classes, balanced as ``class_weights``: n_a of n samples lack
    the attribute and n_p have it, so ``w_a = n / (2 n_a)`` and ``w_p = n / (2 n_p)``, and every
    attribute weighs n. One that all samples have, or none, cannot be learned: weights 0.

    >>> attribute_weights([[True, True], [False, True], [False, True], [False, True]])
    tensor([[0.6667, 0.0000],
            [2.0000, 0.0000]])
    """
    given = np.asarray(labels, bool)
    present = given.sum(0)
    counts = np.stack([len(given) - present, present])
    weights = len(given) / (2 * np.maximum(counts, 1)) * counts.all(0)
    return torch.tensor(weights, dtype=torch.float32)


def mask_errors(mask_logits: Tensor, masks: Tensor) -> Tensor:
    """Return the mean squared error (B,) between mask logits (B, 1, H, W) and masks (B, H, W).

    The logits are compared with the 0/1 mask as they are, without a sigmoid, as project_iml does.
    """
    return F.mse_loss(mask_logits[:, 0], masks, reduction="none").mean((1, 2))


@dataclass
class Tally:
    """Running sums over one epoch of one split; turned into means at the end."""

    n_classes: int
    weighted_ce: float = 0.0
    weight: float = 0.0
    mask: float = 0.0
    n_masks: int = 0
    correct: list[int] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.correct, self.seen = [0] * self.n_classes, [0] * self.n_classes

    def add(
        self,
        *,
        logits: Tensor,
        labels: Tensor,
        weights: Tensor,
        mask_logits: Tensor | None,
        masks: Tensor | None,
        known: Tensor,
    ) -> tuple[Tensor, Tensor | None]:
        """Count one batch; return its weighted cross-entropy and its mask loss (None if none)."""
        rows, row_weights = self._losses(logits, labels, weights)
        rows = rows * row_weights
        total = row_weights.sum()
        ce = rows.sum() / total.clamp_min(torch.finfo(total.dtype).tiny)
        self.weighted_ce += float(rows.detach().sum())
        self.weight += float(total)
        self._count(logits.detach(), labels)
        if mask_logits is None or masks is None or not bool(known.any()):
            return ce, None
        errors = mask_errors(mask_logits, masks)[known]
        self.mask += float(errors.detach().sum())
        self.n_masks += len(errors)
        return ce, errors.mean()

    def _losses(self, logits: Tensor, labels: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Return losses and their weights, of one shape."""
        return F.cross_entropy(logits, labels, reduction="none"), weights[labels]

    def _count(self, logits: Tensor, labels: Tensor) -> None:
        right = (logits.argmax(1) == labels).tolist()
        for label, hit in zip(labels.tolist(), right, strict=True):
            self.seen[label] += 1
            self.correct[label] += hit

    @property
    def balanced_accuracy(self) -> float | None:
        """Mean recall of the classes that were seen; None before that."""
        recalls = [c / s for c, s in zip(self.correct, self.seen, strict=True) if s]
        return sum(recalls) / len(recalls) if recalls else None

    def means(self, beta: float) -> dict[str, float | None]:
        """Return loss_total, loss_ce, loss_mask and balanced_accuracy; None where undefined."""
        ce = self.weighted_ce / self.weight if self.weight else None
        mask = self.mask / self.n_masks if self.n_masks else None
        return {
            "loss_total": None if ce is None else ce + beta * (mask or 0.0),
            "loss_ce": ce,
            "loss_mask": mask,
            "balanced_accuracy": self.balanced_accuracy,
        }


@dataclass
class AttributeTally(Tally):
    """The same of attributes: labels bool (B, C), weights (2, C), binary cross-entropy.

    ``correct`` and ``seen`` count, at a threshold of 0 on the logit, first the samples without
    each attribute and then those with it.
    """

    def __post_init__(self) -> None:
        self.correct, self.seen = [0] * 2 * self.n_classes, [0] * 2 * self.n_classes

    def _losses(self, logits: Tensor, labels: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        given = labels.to(logits.dtype)
        rows = F.binary_cross_entropy_with_logits(logits, given, reduction="none")
        return rows, torch.where(labels, weights[1], weights[0])

    def _count(self, logits: Tensor, labels: Tensor) -> None:
        right = (logits >= 0) == labels
        for counts, chosen in (
            (self.seen, (~labels, labels)),
            (self.correct, (~labels & right, labels & right)),
        ):
            found = torch.cat([part.sum(0) for part in chosen]).tolist()
            counts[:] = [a + b for a, b in zip(counts, found, strict=True)]

    @property
    def balanced_accuracy(self) -> float | None:
        """Mean over the attributes of which both values were seen of their two recalls' mean."""
        seen = np.array(self.seen).reshape(2, -1)
        both = seen.all(0)
        if not both.any():
            return None
        recalls = np.array(self.correct).reshape(2, -1)[:, both] / seen[:, both]
        return float(recalls.mean())
