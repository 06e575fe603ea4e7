"""What a method asks the network, seen from the network's side: so that an oracle can be fed it.

Nothing of the method's code is used: the network itself notes its inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.parity.networks import INPUT, Net
from xaieval.methods import explain
from xaieval.models import Classifier

_notes: list[Tensor] | None = None


class Noting(nn.Module):
    """A network that notes what it is asked, also through copies of itself."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Any:
        if _notes is not None:
            _notes.append(x.detach().clone())
        return self.inner(x)


def explained_rows(
    net: Net, method: str, options: Mapping[str, Any], image: int, count: int
) -> tuple[Tensor, Tensor]:
    """Return our map (1, C, H, W) of one image and the rows (count, 3, H, W) that it drew.

    In order, from the first that differs from the picture on: the picture itself comes before, and
    after them rows that only fill a pass up.
    """
    global _notes
    x = net.x[image : image + 1]
    classifier = Classifier(
        Noting(net.module),
        preprocessing=INPUT,
        example=net.x[:2],
        target_layer=f"inner.{net.layer}",
    )
    _ = classifier.n_classes  # looks at the network once, before anything is noted
    _ = classifier.target_layer
    _notes = []
    try:
        (maps,) = explain(
            classifier,
            x,
            methods=[{"id": method, **options}],
            targets=int(net.targets[image]),
            pooled=False,
            exact=True,
        ).values()
        rows = torch.cat(_notes)
    finally:
        _notes = None
    start = int((rows != x).flatten(1).any(1).nonzero()[0])
    if len(rows) < start + count:
        raise ValueError(f"{method} drew {len(rows) - start} rows, expected {count}")
    return maps.double(), rows[start : start + count]
