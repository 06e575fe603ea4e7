"""Which passes a set of methods needs, each pass counted once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xaieval.methods.calls import MethodCall
from xaieval.methods.spec import POINT_NEEDS, Path


@dataclass(frozen=True)
class Plan:
    """Calls by what they wait for; within the plan each row runs once.

    Attributes
    ----------
    free : tuple of MethodCall
        Need no network.
    point : tuple of MethodCall
        Share one forward and one backward at the picture itself.
    paths : mapping of Path -> tuple of MethodCall
        Share the path's gradients; the shortest path first.
    forward : tuple of MethodCall
        Ask for logits of pictures of their own making.
    input_grad, layer : bool
        What the pass at the picture must keep.
    """

    free: tuple[MethodCall, ...]
    point: tuple[MethodCall, ...]
    paths: dict[Path, tuple[MethodCall, ...]]
    forward: tuple[MethodCall, ...]
    input_grad: bool
    layer: bool

    @property
    def backward(self) -> bool:
        """Whether the pass at the picture goes backward too."""
        return self.input_grad or self.layer

    @property
    def rows(self) -> int:
        """Rows with a forward and a backward per image."""
        return int(self.backward) + sum(len(path.alphas) for path in self.paths)


def plan(calls: Sequence[MethodCall]) -> Plan:
    """Return the smallest set of passes that serves all calls.

    >>> p = plan([MethodCall("gradcam"), MethodCall("saliency"), MethodCall("gradient_x_input")])
    >>> p.rows, p.layer, p.input_grad
    (1, True, True)
    """
    free, point, forward = [], [], []
    paths: dict[Path, tuple[MethodCall, ...]] = {}
    for call in calls:
        spec = call.spec
        if spec.path is not None:
            path = spec.path(call.options)
            paths[path] = (*paths.get(path, ()), call)
        elif "forward" in spec.needs:
            forward.append(call)
        elif spec.needs & POINT_NEEDS:
            point.append(call)
        else:
            free.append(call)
    needs = frozenset[str]().union(*(call.spec.needs for call in calls))
    return Plan(
        free=tuple(free),
        point=tuple(point),
        paths=dict(sorted(paths.items(), key=lambda item: len(item[0].alphas))),
        forward=tuple(forward),
        input_grad="input_grad" in needs,
        layer=bool(needs & {"layer_act", "layer_grad"}),
    )
