"""Which passes a set of methods needs, each pass counted once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xaieval.methods.calls import MethodCall
from xaieval.methods.passes import POINT_NEEDS, Need
from xaieval.methods.rules import DeepLiftRule
from xaieval.methods.spec import BackwardRule
from xaieval.methods.streams import StreamSpec

Calls = tuple[MethodCall, ...]


@dataclass(frozen=True)
class Plan:
    """Calls by what they wait for; within the plan each row runs once.

    Attributes
    ----------
    free : tuple of MethodCall
        Need no network.
    point : tuple of MethodCall
        Share one forward and one backward at the picture itself.
    backward : mapping of BackwardRule -> tuple of MethodCall
        Read a backward by other rules; rules of one group share their forward.
    streams : mapping of StreamSpec -> tuple of MethodCall
        Share a stream of changed pictures.
    own : tuple of MethodCall
        Ask for logits, or for maps, of pictures of their own making.
    needs : frozenset of Need
        What the pass at the picture must find.
    kept : frozenset of Need
        What of it is kept for methods that run later.
    """

    free: Calls
    point: Calls
    backward: Mapping[BackwardRule, Calls]
    streams: Mapping[StreamSpec, Calls]
    own: Calls
    needs: frozenset[Need]
    kept: frozenset[Need]

    @property
    def groups(self) -> dict[str, tuple[BackwardRule, ...]]:
        """Rules by group."""
        groups: dict[str, tuple[BackwardRule, ...]] = {}
        for rule in self.backward:
            groups[rule.group] = (*groups.get(rule.group, ()), rule)
        return groups

    def gradient_rows(self, size: tuple[int, int]) -> int:
        """Return the rows with a forward and a plain backward for one image of ``size``."""
        streams = (s.per_image(size) or 0 for s in self.streams if s.reads == "gradients")
        return int(bool(self.needs)) + sum(streams)

    def describe(self, size: tuple[int, int]) -> list[str]:
        """Return the passes for one image of ``size`` (height, width) in words, a line each."""
        lines = []
        if self.needs:
            found = ", ".join(sorted(self.needs)).replace("_", " ")
            lines.append(_line("1 forward + 1 backward", f"the picture ({found})", self._at_point))
        for rules in self.groups.values():
            calls = sum((self.backward[rule] for rule in rules), ())
            rows = max(rule.rows for rule in rules)
            # DeepLIFT runs the baseline and the picture, anew for every baseline.
            forwards = 2 * len(rules) if isinstance(rules[0], DeepLiftRule) else 1
            work = f"{forwards * rows} forward + {len(rules) * rows} backward"
            lines.append(_line(work, f"modified backward ({rules[0].group})", calls))
        kinds = {
            "gradients": "forward + backward",
            "logits": "forward",
            "layer_logits": "forward",
        }
        for spec, calls in self.streams.items():
            count = spec.per_image(size)
            # Superpixels and channels are counted when it runs.
            shown = str(count) if count is not None else f"about {max(c.cost for c in calls)}"
            what = "from the target layer on, " if spec.reads == "layer_logits" else ""
            lines.append(_line(f"{shown} {kinds[spec.reads]}", what + _name(spec), calls))
        for call in self.own:
            lines.append(_line(f"about {call.cost} of its own", call.spec.summary, (call,)))
        if self.free:
            lines.append(_line("none", "the network unseen", self.free))
        return lines

    @property
    def _at_point(self) -> Calls:
        later = [*self.backward.values(), *self.streams.values(), self.own]
        return self.point + tuple(
            call for calls in later for call in calls if call.spec.needs & POINT_NEEDS
        )


def _line(work: str, what: str, calls: Calls) -> str:
    return f"{work:<34} {what}: {', '.join(call.key for call in calls)}"


def _name(spec: StreamSpec) -> str:
    """Return a stream's name in words: that of its class.

    >>> class NoisySamples: pass
    >>> _name(NoisySamples())
    'noisy samples'
    """
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in type(spec).__name__)
    return words.strip()


def plan(calls: Sequence[MethodCall]) -> Plan:
    """Return the smallest set of passes that serves all calls.

    >>> p = plan([MethodCall("gradcam"), MethodCall("saliency"), MethodCall("gradient_x_input")])
    >>> p.gradient_rows((224, 224)), sorted(p.needs)
    (1, ['input_grad', 'layer_act', 'layer_grad'])
    """
    free: list[MethodCall] = []
    point: list[MethodCall] = []
    own: list[MethodCall] = []
    backward: dict[BackwardRule, Calls] = {}
    streams: dict[StreamSpec, Calls] = {}
    kept: frozenset[Need] = frozenset()
    for call in calls:
        spec = call.spec
        reads = spec.needs & POINT_NEEDS
        later = True
        if spec.stream is not None:
            stream = spec.stream(call.options)
            streams[stream] = (*streams.get(stream, ()), call)
        elif spec.backward is not None:
            rule = spec.backward(call.options)
            backward[rule] = (*backward.get(rule, ()), call)
        elif spec.needs - POINT_NEEDS:
            own.append(call)
        else:
            later = False
            (point if reads else free).append(call)
        if later:
            kept |= reads
    needs = frozenset[Need]().union(*(call.spec.needs & POINT_NEEDS for call in calls))
    return Plan(tuple(free), tuple(point), backward, streams, tuple(own), needs, kept)
