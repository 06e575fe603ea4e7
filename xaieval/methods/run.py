"""One run of a plan over a batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from xaieval.errors import MethodError, ModelError, NotDefinedError
from xaieval.methods.baseline_inputs import baseline_input
from xaieval.methods.calls import MethodCall, parse_method
from xaieval.methods.engine import Engine, Extra, Rows, fill, undivided
from xaieval.methods.inputs import check_range, checked_ids, checked_targets
from xaieval.methods.passes import Found, Need, Passes
from xaieval.methods.planner import Plan, plan
from xaieval.methods.pooling import pool
from xaieval.methods.rules import DeepLiftRule, conservation
from xaieval.methods.spec import BackwardRule
from xaieval.methods.streams import Joined, Reads, Stream
from xaieval.models import Classifier, PreparedModel
from xaieval.types import Grid

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class About:
    """What is known of a method's maps beside their values.

    Attributes
    ----------
    grid : Grid, optional
        The coarse grid that they were drawn from.
    conservation : float32 (B,), optional
        By what share of the target logit each attribution's sum misses it.
    """

    grid: Grid | None = None
    conservation: Floats | None = None


OnMethod = Callable[[str, Floats, npt.NDArray[np.int64], About], None]
"""``on_method(key, maps, targets, about)``, called when a method has finished the whole batch."""

# Images whose maps a method that asks for logits of its own holds at a time.
_SLICE = 8
# The layers after the target layer are small: passes of so many times the usual rows.
_WIDER = 16


@dataclass(frozen=True, eq=False)
class Bench:
    """What a run works with: one classifier, made ready in the forms that methods need.

    Attributes
    ----------
    classifier : Classifier
    prepared : PreparedModel
    for_rules : callable
        ``for_rules(folded)``: the copy on which modified backwards run.
    rows : callable
        ``rows((height, width))``: how many rows a pass holds.
    upsampling : str
    attends : callable
        Whether the network has attention, found by running some input.
    """

    classifier: Classifier
    prepared: PreparedModel
    for_rules: Callable[[bool], PreparedModel]
    rows: Callable[[tuple[int, int]], Rows]
    upsampling: str
    attends: Callable[[Tensor, Extra], bool]


def named(calls: Sequence[MethodCall], model: str) -> str:
    """Return methods and model for an error: "gradcam, saliency and 3 more on my-net"."""
    keys = [call.key for call in calls]
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return f"{', '.join(keys[:3])}{more} on {model}"


class Opened:
    """Streams that run together, the methods that wait for each, and the streams just completed."""

    def __init__(self, calls: Mapping[Stream, tuple[MethodCall, ...]]) -> None:
        # The shortest first: its methods are answered sooner.
        self.calls = dict(sorted(calls.items(), key=lambda item: item[0].rows))
        self.joined = Joined(tuple(self.calls))
        self.complete: list[Stream] = []

    def add(self, start: int, found: Tensor, image: Tensor) -> None:
        with undivided():
            self.complete += self.joined.add(start, found, image)


class Run:
    """One call of ``Explainer.run``: its arguments, on the device, and what was found so far."""

    def __init__(
        self,
        x: Tensor,
        *,
        bench: Bench,
        methods: Sequence[MethodCall],
        targets: Literal["predicted"] | Tensor,
        extra: Extra = (),
        sample_ids: Sequence[str] | None = None,
        seed: int = 0,
        pooled: bool = True,
        skip_undefined: bool = False,
        on_method: OnMethod | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        self.x, self.bench, self.extra = x, bench, extra
        self.seed, self.pooled, self.on_method = seed, pooled, on_method
        self.skip_undefined, self.cancelled = skip_undefined, cancelled
        self.rows = bench.rows((x.shape[2], x.shape[3]))
        self.engine = Engine(bench.prepared, self.rows, cancelled)
        self.predict = isinstance(targets, str)
        self.targets = checked_targets(targets, len(x), x.device)
        self.ids = checked_ids(sample_ids, x)
        self.undefined: dict[str, str] = {}
        self.order = [call.key for call in methods]
        self.where = named(methods, bench.classifier.name)
        self.plan: Plan = plan([call for call in methods if not self._lacks(call)])
        self.logits: Tensor | None = None
        self.kept: dict[Need, dict[int, Tensor]] = {}
        self.maps: dict[str, Floats] = {}
        self.grids: dict[str, Grid] = {}
        self.sums: dict[str, Floats] = {}

    # ---------------------------------------------------------------- what the network lacks

    def _lacks(self, call: MethodCall) -> bool:
        """Say, and note, whether the network has not what a method reads."""
        needs = call.spec.needs
        error = None
        if (
            needs & {"layer_act", "layer_grad", "layer_raw", "continuation"}
            and not self.engine.prepared.target_layer
        ):
            error = NotDefinedError(
                "the network has no feature map that feeds the classifier",
                where=f"{call.key} on {self.bench.classifier.name}",
                fix="name a layer with target_layer=",
            )
        elif "attention" in needs and not self.bench.attends(self.x[:1], self._extra(slice(0, 1))):
            error = NotDefinedError(
                "the network has no attention",
                where=f"{call.key} on {self.bench.classifier.name}",
                expected="a transformer whose blocks call softmax over tokens",
                fix="choose a method for convolutional networks",
            )
        if error is not None:
            self._skip((call,), error)
        return error is not None

    def _skip(self, calls: Sequence[MethodCall], error: NotDefinedError) -> None:
        """Note that methods are not defined for this network, or raise."""
        model = self.bench.classifier.name
        where = str(error.where or "")
        if model not in where:
            where = named(calls, model) + (f", {where}" if where else "")
        told = NotDefinedError.because(error, where=where)
        if not self.skip_undefined:
            raise told from error
        self.undefined.update({call.key: str(told) for call in calls})

    # ---------------------------------------------------------------- running

    def run(self) -> tuple[Floats, npt.NDArray[np.int64], dict[str, Floats]]:
        """Run the plan; return logits, targets and maps in the order of the calls."""
        # Streams of gradients that wait for nothing may fill the last pass of the pictures.
        early = self._opened("gradients", now=True)
        self._points(early)
        for call in self.plan.free:
            self._apply(call, self._whole)
            self._finish(call)
        for call in self.plan.point:
            self._finish(call)
        for rules in self.plan.groups.values():
            self._by_rules(rules)
        self._feed(early, "gradients")
        self._feed(self._opened("gradients", now=False), "gradients")
        self._feed(self._opened("logits", now=False), "logits")
        self._continue(self._opened("layer_logits", now=False))
        for call in self.plan.own:
            kept = self._kept()
            for start in range(0, len(self.x), _SLICE):
                place = slice(start, min(len(self.x), start + _SLICE))
                self._apply(call, place, {need: value[place] for need, value in kept.items()})
            self._finish(call)
        assert self.logits is not None
        return (
            self.logits.cpu().float().numpy(),
            self.targets.cpu().numpy(),
            {key: self.maps[key] for key in self.order if key in self.maps},
        )

    def _points(self, early: Opened) -> None:
        """Run every picture once: logits, targets, and the maps that need no more.

        Rows that the last of these passes has to spare take the first rows of streams.
        """

        def work(start: int, stop: int) -> None:
            count, spare = stop - start, self.rows.count - (stop - start)
            x, image = self.x[start:stop], torch.arange(start, stop, device=self.x.device)
            extended = min(spare, early.joined.rows)
            if extended:
                points, origin = early.joined.points(0, extended)
                x, image = torch.cat([x, points]), torch.cat([image, origin])

            def choose(logits: Tensor) -> Tensor:
                self._keep_logits(start, stop, logits[:count])
                return self.targets[image]

            needs: frozenset[Need] = self.plan.needs
            if extended:
                needs |= {"input_grad"}
            found = self.engine.gradients(x, choose, needs, self._extra(image))
            values = {need: value[:count] for need, value in found.values.items()}
            for call in self.plan.point:
                self._apply(call, slice(start, stop), values)
            for need in self.plan.kept:
                value = values[need]
                assert isinstance(value, Tensor), "attention is read at once, never kept"
                self.kept.setdefault(need, {})[start] = value
            if extended:
                gradients = found.values["input_grad"]
                assert isinstance(gradients, Tensor)
                early.add(0, gradients[count:], image[count:])

        self.engine.each_pass(len(self.x), work)

    def _keep_logits(self, start: int, stop: int, logits: Tensor) -> None:
        classes = logits.shape[1]
        if not torch.isfinite(logits).all():
            raise MethodError(
                "the network puts out NaN or infinity, so there is nothing to explain",
                where=self.where,
                fix="check weights and preprocessing",
            )
        if self.logits is None:
            self.logits = logits.new_empty((len(self.x), classes))
            check_range(self.targets, classes, self.where)
        self.logits[start:stop] = logits
        if self.predict:
            self.targets[start:stop] = logits.argmax(1)

    def _by_rules(self, rules: Sequence[BackwardRule]) -> None:
        """Run the modified backwards of one group and the methods that read them."""
        prepared = self.bench.for_rules(rules[0].folded)
        engine = Engine(prepared, self.rows, self.cancelled)
        parts: dict[BackwardRule, list[Tensor]] = {rule: [] for rule in rules}
        passes = self._passes(self._whole, {})
        low, high = passes.bounds()
        baselines = {
            rule.baseline: baseline_input(rule.baseline, passes)
            for rule in rules
            if isinstance(rule, DeepLiftRule)
        }

        def work(start: int, stop: int) -> None:
            image = torch.arange(start, stop, device=self.x.device)
            found = engine.by_rules(
                rules,
                self.x[start:stop],
                self.targets[start:stop],
                self._extra(image),
                bounds=(low[start:stop], high[start:stop]),
                baselines={name: b[start:stop] for name, b in baselines.items()},
            )
            for rule, relevance in zip(rules, found, strict=True):
                parts[rule].append(relevance)

        try:
            engine.each_pass(len(self.x), work, share=max(rule.rows for rule in rules))
        except NotDefinedError as error:
            if len(rules) > 1:  # perhaps not defined for one of them
                for rule in rules:
                    self._by_rules((rule,))
            else:
                self._skip(self.plan.backward[rules[0]], error)
            return
        for rule in rules:
            for call in self.plan.backward[rule]:
                self._apply(call, self._whole, self._kept(), torch.cat(parts[rule]))
                self._finish(call)

    # ---------------------------------------------------------------- streams

    def _opened(self, reads: Reads, *, now: bool) -> Opened:
        """Open the streams that read one thing.

        ``now``: those whose methods need nothing of the pass at the picture; else the others.
        """
        opened: dict[Stream, tuple[MethodCall, ...]] = {}
        for spec, calls in self.plan.streams.items():
            free = spec.reads == "gradients" and not any(call.spec.needs for call in calls)
            if spec.reads != reads or free != now:
                continue
            try:
                kept = {} if now else self._kept()
                stream = spec.open(self._passes(self._whole, kept, call=calls[0]))
            except NotDefinedError as error:
                self._skip(calls, error)
            else:
                opened[stream] = calls
        return Opened(opened)

    def _feed(self, opened: Opened, reads: Reads) -> None:
        """Run all rows of some streams, packed."""
        joined = opened.joined

        def work(start: int, stop: int) -> None:
            self._settle(opened)
            points, image = joined.points(start, stop)
            opened.add(start, self._answers(points, image, reads), image)

        self.engine.each_pass(joined.rows, work, start=joined.done)
        self._settle(opened)

    def _answers(self, points: Tensor, image: Tensor, reads: Reads) -> Tensor:
        """Return what a stream wants of one pass's rows."""
        if reads == "logits":
            with torch.no_grad():
                return self.engine.logits(points, self._extra(image))
        needs: frozenset[Need] = frozenset({"input_grad"})
        found = self.engine.gradients(
            points, lambda logits: self.targets[image], needs, self._extra(image)
        )
        gradients = found.values["input_grad"]
        assert isinstance(gradients, Tensor)
        return gradients

    def _continue(self, opened: Opened) -> None:
        """Run rows that stand in the place of the target layer's output, from there on only.

        The rows of a picture come one after the other, as many for each.
        """
        if not opened.calls:
            return
        from xaieval.models.continuation import Continuation

        engine = Engine(self.bench.prepared, Rows(_WIDER * self.rows.count), self.cancelled)
        for stream, calls in opened.calls.items():
            alone, each = Opened({stream: calls}), stream.rows // len(self.x)
            for image in range(len(self.x)):
                one = slice(image, image + 1)
                extra = self._extra(one)
                try:
                    prepared = Continuation(engine.prepared, self.x[one], extra or None)
                except ModelError as error:
                    self._skip(calls, NotDefinedError.because(error))
                    break
                with prepared as continuation:
                    work = partial(self._continued, alone, continuation, engine.rows)
                    engine.each_pass(each * (image + 1), work, start=each * image)
            self._settle(alone)

    def _continued(
        self, opened: Opened, continuation: Any, rows: Rows, start: int, stop: int
    ) -> None:
        points, image = opened.joined.points(start, stop)
        full = fill(points, rows.count)
        with torch.no_grad():
            logits = continuation.logits(full, full.new_zeros(len(full), dtype=torch.int64))
        opened.add(start, logits[: len(points)], image)

    def _settle(self, opened: Opened) -> None:
        """Finish the methods of streams that have all their answers."""
        while opened.complete:
            stream = opened.complete[0]
            for call in opened.calls[stream]:
                self._apply(call, self._whole, self._kept(), stream.result())
                self._finish(call)
            opened.complete.pop(0)

    # ---------------------------------------------------------------- applying

    @property
    def _whole(self) -> slice:
        return slice(0, len(self.x))

    def _extra(self, place: Tensor | slice) -> Extra:
        """Return the second input of some rows, by the images that they belong to."""
        return tuple(t[place] for t in self.extra)

    def _kept(self) -> dict[Need, Found]:
        """Return what the pass at the picture found for methods that run later."""
        found: dict[Need, Found] = {}
        for need, parts in self.kept.items():
            tensors = [part for _, part in sorted(parts.items())]
            found[need] = torch.cat(tensors) if len(tensors) > 1 else tensors[0]
        return found

    def _passes(
        self,
        place: slice,
        values: Mapping[Need, Found],
        found: object = None,
        *,
        call: MethodCall | None = None,
    ) -> Passes:
        """Return what a method may read of some pictures; ``values`` hold just these."""
        x, targets, extra = self.x[place], self.targets[place], self._extra(place)
        views = Counter[int]()

        def forward(rows: Tensor, image: Tensor | None = None) -> Tensor:
            if extra and image is None:
                if len(rows) != len(x) and len(x) != 1:
                    raise MethodError(
                        "it is not said which second input each row takes",
                        expected=f"{len(x)} rows, or the argument image",
                        got=f"{len(rows)} rows",
                    )
                image = torch.arange(len(rows), device=x.device) % len(x)
            more = tuple(t[image] for t in extra) if image is not None else ()
            return self.engine.logits(rows, more)

        def explain(method: str, rows: Tensor, image: Tensor) -> Tensor:
            # Each view of a picture has its own random numbers, whatever else is explained.
            ids = []
            for i in image.tolist():
                ids.append(f"{self.ids[place.start + i]}#{views[i]}")
                views[i] += 1
            inner = Run(
                rows,
                bench=self.bench,
                methods=(parse_method(method),),
                targets=targets[image],
                extra=tuple(t[image] for t in extra),
                sample_ids=ids,
                seed=self.seed,
                cancelled=self.cancelled,
            )
            maps = next(iter(inner.run()[2].values()))
            return torch.from_numpy(maps).to(x)

        return Passes(
            x=x,
            targets=targets,
            forward=forward,
            explain=explain,
            check=self.engine.check,
            classifier=self.bench.classifier,
            prepared=self.bench.prepared,
            sample_ids=self.ids[place],
            seed=self.seed,
            upsampling=(call.options.get("upsampling") if call else None) or self.bench.upsampling,
            rows=self.rows.count,
            values=values,
            found=found,
            extra=extra,
        )

    def _apply(
        self,
        call: MethodCall,
        place: slice,
        values: Mapping[Need, Found] | None = None,
        found: object = None,
    ) -> None:
        """Run a method on some pictures and keep its map."""
        if call.key in self.undefined:
            return
        passes = self._passes(place, values or {}, found, call=call)
        try:
            attribution = call.spec.fn(passes, call.options)
        except NotDefinedError as error:
            self._skip((call,), error)
            return
        checked = self._checked(call, attribution, self.x[place])
        if passes.drawn.grid is not None and checked is passes.drawn.result:
            self.grids[call.key] = passes.drawn.grid
        attribution = checked.detach()
        if call.spec.conserves:
            self._keep_sums(call, place, attribution)
        if self.pooled:
            pooling = call.options.get("pooling")
            attribution = pool(attribution, pooling) if pooling else attribution[:, 0]
        if call.key not in self.maps:
            self.maps[call.key] = np.empty((len(self.x), *attribution.shape[1:]), np.float32)
        self.maps[call.key][place] = attribution.cpu().numpy()

    def _keep_sums(self, call: MethodCall, place: slice, attribution: Tensor) -> None:
        """Note by what share of the target logit each attribution's sum misses it."""
        assert self.logits is not None
        gap = conservation(attribution.double(), self.logits[place], self.targets[place])
        if call.key not in self.sums:
            self.sums[call.key] = np.full(len(self.x), np.nan, np.float32)
        self.sums[call.key][place] = gap.cpu().numpy()

    def _checked(self, call: MethodCall, found: object, x: Tensor) -> Tensor:
        channels = {1} if call.spec.default_pooling is None else {1, x.shape[1]}
        shape = tuple(found.shape) if isinstance(found, Tensor) else None
        right = {(len(x), c, *x.shape[2:]) for c in channels}
        if not isinstance(found, Tensor) or shape not in right:
            raise MethodError(
                "a method returned no attribution of the input",
                where=call.key,
                expected=f"a tensor {' or '.join(map(str, sorted(right)))}",
                got=shape or type(found).__name__,
            )
        if not torch.isfinite(found).all():
            raise MethodError(
                "the heatmap holds NaN or infinity",
                where=f"{call.key} on {self.bench.classifier.name}",
                fix="check the network: its gradients are not finite for this input",
            )
        return found

    def _finish(self, call: MethodCall) -> None:
        if self.on_method is not None and call.key not in self.undefined:
            about = About(self.grids.get(call.key), self.sums.get(call.key))
            self.on_method(call.key, self.maps[call.key], self.targets.cpu().numpy(), about)
