"""Which images the gate looks at, and as what the model sees them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import zip_longest

import numpy as np
import torch
from torch import Tensor

from xaieval.digest import digest
from xaieval.errors import DataError, MethodError, XaievalError
from xaieval.models import Classifier
from xaieval.sanity.limits import LEAST_IMAGES
from xaieval.types import Image, Sample


def taken_in_turn(groups: Mapping[str, Iterable[str]]) -> list[str]:
    """Return all ids, one of each group in turn, in a group by the digest of the id.

    >>> taken_in_turn({"good": ["g"], "crack": ["a", "b"]})[0]
    'g'
    """
    columns = [sorted(ids, key=lambda it: digest("sanity", it)) for ids in groups.values()]
    return [it for row in zip_longest(*columns) for it in row if it is not None]


def model_input(
    classifier: Classifier,
    ids: Iterable[str],
    read: Callable[[str], Sample],
    *,
    count: int,
) -> tuple[Tensor, list[Sample]]:
    """Return the first ``count`` readable images as model input (n, 3, H, W), and their samples.

    An image that cannot be read, or that equals one before it, is passed over.

    Raises
    ------
    MethodError
        When the classifier has no preprocessing.
    DataError
        When fewer than 4 images are left.
    """
    preprocessing = classifier.preprocessing
    if preprocessing is None:
        raise MethodError(
            "this model has no preprocessing, so pictures cannot be its input",
            where=classifier.name,
        )
    found: list[Sample] = []
    pictures: dict[bytes, Image] = {}
    problems: list[str] = []
    for sample_id in ids:
        if len(found) == count:
            break
        try:
            sample = read(sample_id)
            picture = preprocessing.picture(sample.image)
        except XaievalError as error:
            problems.append(str(error))
            continue
        if picture.tobytes() not in pictures:
            pictures[picture.tobytes()] = picture
            found.append(sample)
    if len(found) < LEAST_IMAGES:
        raise DataError(
            "too few images for the sanity gate",
            expected=f"at least {LEAST_IMAGES} different ones",
            got=len(found),
            fix=problems[0] if problems else "name a folder with more images",
        )
    return preprocessing.tensor(np.stack(list(pictures.values()))), found


def targets_of(target: str | int, samples: Sequence[Sample]) -> Tensor | None:
    """Return the explained classes (n,) of a study's target; None for the predicted ones."""
    if target == "predicted":
        return None
    classes = [sample.label if target == "label" else target for sample in samples]
    return torch.tensor([int(it) for it in classes])
