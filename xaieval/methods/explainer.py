"""Running methods on a batch: the plan's passes, then each method on what they found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from xaieval.errors import MethodError
from xaieval.methods.calls import MethodCall
from xaieval.methods.engine import Engine, Extra, Rows, rows_for, undivided
from xaieval.methods.inputs import check_range, checked_ids, checked_input, checked_targets
from xaieval.methods.run import About, Bench, Floats, OnMethod, Run, named
from xaieval.methods.steady import steady
from xaieval.methods.streams import Joined, Stream
from xaieval.methods.upsampling import check_upsampling
from xaieval.models import Classifier, PreparedModel
from xaieval.models.attention import capture_attention
from xaieval.models.extra import as_extra, fitting_extra
from xaieval.types import Grid

# Pictures whose sums and maps a run holds at a time.
_IMAGES = 32


@dataclass(frozen=True, eq=False)
class Explanation:
    """Maps of a batch and the prediction they explain.

    Attributes
    ----------
    logits : float32 (B, C)
    targets : int64 (B,)
    maps : dict of method key -> float32 (B, H, W), or (B, C, H, W) when not pooled
    undefined : dict of method key -> str
        Methods that are not defined for the network, and why.
    grids : dict of method key -> Grid
        The coarse grids that maps were drawn from.
    conservation : dict of method key -> float32 (B,)
        Of methods whose attribution adds up to the target logit (LRP): the share of the logit by
        which the sum misses it. Biases, and an ε that is not small, take their part.
    """

    logits: Floats
    targets: npt.NDArray[np.int64]
    maps: dict[str, Floats]
    undefined: dict[str, str] = field(default_factory=dict)
    grids: dict[str, Grid] = field(default_factory=dict)
    conservation: dict[str, Floats] = field(default_factory=dict)


class Explainer:
    """Explains one classifier on one device; keeps the prepared model. Use it from one thread.

    Parameters
    ----------
    classifier : Classifier
    device : str or torch.device
    exact : bool
        True: the network as it was trained, in float64 when the input is. False: batch norms
        folded into convolutions, channels_last, float32.
    upsampling : str
        How maps of a layer's size are brought to the input's: "paper" or "aligned".
    target_layer : str or torch.nn.Module, optional
        Overrides the classifier's.

    Raises
    ------
    ConfigError
        For an unknown upsampling.
    ModelError
        When the classifier has no such layer.
    MethodError
        When the network computes in half precision.
    """

    def __init__(
        self,
        classifier: Classifier,
        *,
        device: str | torch.device = "cpu",
        exact: bool = False,
        upsampling: str = "paper",
        target_layer: str | torch.nn.Module | None = None,
    ) -> None:
        self.classifier, self.exact = classifier, exact
        self.upsampling = check_upsampling(upsampling)
        self.device = torch.device(device)
        self.prepared = classifier.prepared(self.device, exact=exact, target_layer=target_layer)
        steady(self.prepared.module)
        found = (t.dtype for t in self.prepared.module.parameters() if t.is_floating_point())
        self.dtype = next(found, torch.float32)
        if self.dtype not in (torch.float32, torch.float64):
            raise MethodError(
                "the network computes in half precision",
                where=classifier.name,
                expected="float32 or float64",
                got=str(self.dtype).removeprefix("torch."),
                fix="pass model.float()",
            )
        self._rows: dict[tuple[int, int], Rows] = {}
        self._for_rules: dict[bool, PreparedModel] = {}
        self._attends: bool | None = None
        self._forms: set[tuple[int, ...]] = set()

    def run(
        self,
        x: Tensor,
        *,
        methods: Sequence[MethodCall],
        targets: Literal["predicted"] | Tensor = "predicted",
        extra: Tensor | tuple[Tensor, ...] | None = None,
        sample_ids: Sequence[str] | None = None,
        seed: int = 0,
        pooled: bool = True,
        skip_undefined: bool = False,
        on_method: OnMethod | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Explanation:
        """Explain a batch.

        Parameters
        ----------
        x : float (B, C, H, W), model input
        methods : sequence of MethodCall
        targets : "predicted" or int (B,)
            The class whose logit is explained, per image.
        extra : tensor (B, ...) or tuple of them, optional
            The second input of a network that has one.
        sample_ids : sequence of str, optional
            Seed stochastic methods; without them the pixels do.
        seed : int
            Study seed of stochastic methods.
        pooled : bool
            False keeps the channels: (B, C, H, W), signed where the method is.
        skip_undefined : bool
            Leave out methods that are not defined for the network (``Explanation.undefined``)
            instead of raising.
        on_method : callable, optional
            Called as methods finish, those of one pass before those of many.
        cancelled : callable, optional
            Asked before each pass, and on a CPU within it, module by module.

        Raises
        ------
        Cancelled
            When ``cancelled()`` says so; nothing is kept.
        NotDefinedError
            For a method that is not defined for the network, unless ``skip_undefined``.
        MethodError
            For input of another form, targets out of range, or values that are not finite (the
            method is named).
        """
        x = self._brought(checked_input(x, named(methods, self.classifier.name)))
        more = self._second(extra, x)
        self._check_form(x, more, named(methods, self.classifier.name))
        chosen = checked_targets(targets, len(x), x.device) if not isinstance(targets, str) else ""
        ids = checked_ids(sample_ids, x)
        whole = len(x) <= _IMAGES
        logits, found_targets, undefined = [], [], {}
        maps: dict[str, Floats] = {}
        sums: dict[str, Floats] = {}
        grids: dict[str, Grid] = {}
        for start in range(0, len(x), _IMAGES):
            place = slice(start, min(len(x), start + _IMAGES))
            run = Run(
                x[place],
                bench=self._bench,
                methods=methods,
                targets=chosen[place] if isinstance(chosen, Tensor) else targets,
                extra=tuple(t[place] for t in more),
                sample_ids=ids[place],
                seed=seed,
                pooled=pooled,
                skip_undefined=skip_undefined,
                on_method=on_method if whole else None,
                cancelled=cancelled,
            )
            part = run.run()
            logits.append(part[0])
            found_targets.append(part[1])
            undefined.update(run.undefined)
            grids.update(run.grids)
            for whole_batch, found in ((maps, part[2]), (sums, run.sums)):
                for key, values in found.items():
                    if key not in whole_batch:
                        whole_batch[key] = np.empty((len(x), *values.shape[1:]), np.float32)
                    whole_batch[key][place] = values
        for key in undefined:
            for kept in (maps, sums, grids):
                kept.pop(key, None)
        answer = Explanation(
            np.concatenate(logits), np.concatenate(found_targets), maps, undefined, grids, sums
        )
        if on_method is not None and not whole:
            for key, values in maps.items():
                on_method(key, values, answer.targets, About(grids.get(key), sums.get(key)))
        return answer

    def feed(
        self,
        streams: Sequence[Stream],
        *,
        extra: Tensor | tuple[Tensor, ...] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        """Run the rows of streams of logits, packed into full passes; they keep the answers.

        The one queue of changed pictures: perturbation methods and scores that need the model use
        it alike. ``extra`` holds the second input by the images that the streams name.

        Raises
        ------
        Cancelled
            When ``cancelled()`` says so.
        """
        joined = Joined(streams)
        if not joined.rows:
            return
        points, _ = joined.points(0, 1)
        rows = self.rows((points.shape[2], points.shape[3]))
        engine = Engine(self.prepared, rows, cancelled)
        more = as_extra(extra)

        def work(start: int, stop: int) -> None:
            x, image = joined.points(start, stop)
            found = engine.logits(self._brought(x), tuple(t[image.to(t.device)] for t in more))
            with undivided():
                joined.add(start, found, image)

        with torch.no_grad():
            engine.each_pass(joined.rows, work)

    def gradients(
        self,
        x: Tensor,
        targets: Tensor,
        *,
        extra: Tensor | tuple[Tensor, ...] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Tensor:
        """Return the gradient of each row's target logit by that row, float (n, C, H, W).

        Raises
        ------
        Cancelled
            When ``cancelled()`` says so.
        MethodError
            For a target out of range.
        """
        x = self._brought(checked_input(x))
        more, found = as_extra(extra), torch.zeros_like(x)
        chosen = checked_targets(targets, len(x), x.device)
        engine = Engine(self.prepared, self.rows((x.shape[2], x.shape[3])), cancelled)

        def work(start: int, stop: int) -> None:
            place = slice(start, stop)

            def choose(logits: Tensor) -> Tensor:
                if not start:
                    check_range(chosen, logits.shape[1], self.classifier.name)
                return chosen[place]

            seen = engine.gradients(
                x[place],
                choose,
                frozenset({"input_grad"}),
                tuple(t[place].to(x.device) for t in more),
            )
            gradient = seen.values["input_grad"]
            assert isinstance(gradient, Tensor)
            found[place] = gradient

        engine.each_pass(len(x), work)
        return found

    def _check_form(self, x: Tensor, extra: Extra, where: str) -> None:
        """Refuse input on which the network does not run; only a new form of input is tried."""
        form, given = (tuple(t.shape[1:]) for t in (self.prepared.example, x))
        if given in (form, *self._forms):
            return
        try:
            with torch.no_grad():
                self.prepared.logits(x[:1], tuple(t[:1] for t in extra) or None)
        except torch.cuda.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError, IndexError, AssertionError) as error:
            raise MethodError(
                "the network does not run on images of this form",
                where=where,
                expected=f"(B, {', '.join(map(str, form))}), as its example",
                got=tuple(x.shape),
                fix="pass images with the channels and the size that it takes",
            ) from error
        self._forms.add(given)

    def _second(self, extra: Tensor | tuple[Tensor, ...] | None, x: Tensor) -> Extra:
        """Return the second input on the device; the network says whether it wants one."""
        example = self.prepared.example_extra
        return fitting_extra(extra, example=example, x=x, name=self.classifier.name)

    @cached_property
    def _bench(self) -> Bench:
        return Bench(
            classifier=self.classifier,
            prepared=self.prepared,
            for_rules=self._prepared_for_rules,
            rows=self.rows,
            upsampling=self.upsampling,
            attends=self._has_attention,
        )

    def _prepared_for_rules(self, folded: bool) -> PreparedModel:
        """Return the copy for modified backwards, made when first needed.

        Published figures of guided backprop and its kin stem from unfolded networks; the rules of
        LRP are defined for networks without batch norms.
        """
        if folded != self.exact:
            return self.prepared
        if folded not in self._for_rules:
            twin = self.classifier.prepared(
                self.device,
                exact=True,
                folded=folded,
                target_layer=self.prepared.target_layer or None,
            )
            steady(twin.module)
            twin.module.to(self.dtype)
            self._for_rules[folded] = twin
        return self._for_rules[folded]

    def _has_attention(self, x: Tensor, extra: Extra) -> bool:
        if self._attends is None:
            with torch.no_grad(), capture_attention() as blocks:
                self.prepared.logits(x, extra or None)
            self._attends = bool(blocks)
        return self._attends

    def _brought(self, x: Tensor) -> Tensor:
        """Return input on the device in the network's type; exact work in float64 widens both."""
        if self.exact and x.dtype == torch.float64 and self.dtype == torch.float32:
            self.prepared.module.double()
            self.prepared.example = self.prepared.example.double()
            self.prepared.example_extra = tuple(
                t.double() if t.is_floating_point() else t for t in self.prepared.example_extra
            )
            self.dtype = torch.float64
            self._for_rules.clear()
        layout = torch.contiguous_format if self.exact else torch.channels_last
        return x.to(self.device, self.dtype).contiguous(memory_format=layout)

    def rows(self, size: tuple[int, int]) -> Rows:
        """Return how many rows a pass holds for pictures of ``size`` (height, width)."""
        if size not in self._rows:
            self._rows[size] = rows_for(self.device, size, torch.get_num_threads())
        return self._rows[size]
