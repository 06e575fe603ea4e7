"""The gate itself: a model's methods, checked on some of its images."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xaieval.digest import digest
from xaieval.errors import Cancelled, MethodError
from xaieval.methods import Explainer, Explanation, MethodCall, MethodSpec, pool
from xaieval.methods.baseline_inputs import baseline_input
from xaieval.models import Classifier, Extra
from xaieval.progress import Progress, Report, silent
from xaieval.sanity.limits import LEAST_IMAGES, NETWORKS
from xaieval.sanity.maps import empty_maps, sign
from xaieval.sanity.networks import layers_in_order, randomised, stages
from xaieval.sanity.randomisation import Agreement, cascade, randomisation
from xaieval.sanity.report import Check, SanityReport, Verdict
from xaieval.sanity.similarity import Floats
from xaieval.sanity.sums import completeness, conservation

STAGE = "sanity gate"


def run_gate(
    classifier: Classifier,
    x: Tensor,
    calls: Sequence[MethodCall],
    *,
    targets: Tensor | None = None,
    extra: Extra | None = None,
    sample_ids: Sequence[str] | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
    upsampling: str = "paper",
    exact: bool = False,
    checkpoint_sha256: str = "",
    report: Report = silent,
    cancelled: Callable[[], bool] | None = None,
) -> SanityReport:
    """Check what methods show of a classifier.

    Every method that asks the model is run on the trained network, on the steps of one cascade of
    random weights from the logits down, and on two more networks with all weights random; the
    class that the trained network predicts (or ``targets``) is explained throughout. The copies
    are gone when the call ends.

    Parameters
    ----------
    x : float (n, C, H, W), model input
        At least 4 images, all different.
    calls : sequence of MethodCall
    targets : int64 (n,), optional
    extra : tensor (n, ...) or tuple of them, optional
        The second input of a network that has one.
    sample_ids : sequence of str, optional
        Seed stochastic methods; without them the pixels do.
    seed : int
        Of the random weights and of stochastic methods.
    upsampling, exact : as in ``Explainer``
    checkpoint_sha256 : str
        Kept in the report.

    Returns
    -------
    SanityReport
        A verdict per method key. Equal arguments give equal reports.

    Raises
    ------
    Cancelled
        When ``cancelled()`` says so.
    MethodError
        For fewer than 4 images, two equal ones, or none of the methods.
    ModelError
        When no weight takes part in the logits.

    References
    ----------
    Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim 2018, Sanity Checks for Saliency Maps,
    arXiv:1810.03292, section 3.1 (cascading randomisation).
    """
    ids = _checked(x, calls, sample_ids)
    if targets is None:
        targets = classifier.logits(x, extra).argmax(1).cpu()
    look = _Look(x, targets, extra, ids, seed, torch.device(device), upsampling, exact, cancelled)
    layers = layers_in_order(classifier, x, extra)
    steps = stages(list(layers))
    began, total = time.monotonic(), len(steps) + NETWORKS

    def tell(done: int, note: str) -> None:
        if cancelled is not None and cancelled():
            raise Cancelled
        report(Progress(STAGE, done, total, time.monotonic() - began, note))

    tell(0, f"{classifier.name}, as trained")
    raw, verdicts = _trained(look, classifier, calls)
    gated = [call for call in calls if call.key in raw]
    trained = _pooled(raw, gated)
    alike: dict[str, list[tuple[float | None, float | None]]] = {key: [] for key in trained}
    random: list[dict[str, Floats]] = []
    networks = [(step, 0) for step in steps] + [(steps[-1], n) for n in range(1, NETWORKS)]
    for done, (step, number) in enumerate(networks if gated else (), 1):
        tell(done, f"{classifier.name}, random from the logits down to {step.name}")
        drawn = {layer: layers[layer] for layer in step.layers}
        network = randomised(classifier, drawn, x, extra, seed=seed + number)
        shown, undefined, broken = look.each(network, gated)
        for call in gated:
            reason = undefined.get(call.key) or broken.get(call.key)
            if reason:
                verdicts[call.key] = Verdict(
                    "failed", call.digest, reason=f"no map with random weights ({reason})"
                )
        gated = [call for call in gated if call.key not in verdicts]
        found = _pooled(shown, gated)
        if number == 0:
            for key, maps in found.items():
                alike[key].append(cascade(trained[key], maps))
        if step is steps[-1]:
            random.append(found)
    for call in gated:
        checks = (
            *randomisation(Agreement.of(trained[call.key], [maps[call.key] for maps in random])),
            empty_maps(trained[call.key]),
            *([] if call.spec.signed else [sign(raw[call.key])]),
            *_sums(look, classifier, call, raw[call.key]),
        )
        verdicts[call.key] = Verdict(
            "passed" if all(check.passed for check in checks) else "failed",
            call.digest,
            checks,
            spearman=tuple(rho for rho, _ in alike[call.key]),
            ssim=tuple(similar for _, similar in alike[call.key]),
        )
    tell(total, classifier.name)
    return SanityReport(
        model=classifier.name,
        fingerprint=classifier.fingerprint,
        stages=tuple(step.name for step in steps),
        images=ids,
        verdicts={call.key: verdicts[call.key] for call in calls},
        settings={
            "targets": digest(targets.tolist())[:12],
            "seed": seed,
            "upsampling": upsampling,
            "exact": exact,
            "device": look.device.type,
        },
        checkpoint_sha256=checkpoint_sha256,
    )


def _checked(
    x: Tensor, calls: Sequence[MethodCall], sample_ids: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the images' ids, once images and methods are found right."""
    if x.ndim != 4 or not x.is_floating_point() or len(x) < LEAST_IMAGES:
        raise MethodError(
            "bad images for the sanity gate",
            expected=f"float (n, C, H, W), n at least {LEAST_IMAGES}",
            got=f"{str(x.dtype).removeprefix('torch.')} {tuple(x.shape)}",
        )
    if not calls:
        raise MethodError("no method for the sanity gate", fix="name at least one")
    pixels = [digest("pixels", row.cpu().numpy()) for row in x]
    if len(set(pixels)) < len(pixels):
        raise MethodError(
            "two images of the sanity gate are equal",
            fix="give different images: chance is measured between them",
        )
    if sample_ids is None:
        return tuple(pixels)
    if len(sample_ids) != len(x):
        raise MethodError(
            "sample_ids do not fit the images", expected=f"{len(x)} ids", got=len(sample_ids)
        )
    return tuple(sample_ids)


@dataclass(frozen=True, eq=False)
class _Look:
    """What stays the same while the weights change."""

    x: Tensor
    targets: Tensor
    extra: Extra | None
    ids: tuple[str, ...]
    seed: int
    device: torch.device
    upsampling: str
    exact: bool
    cancelled: Callable[[], bool] | None

    def explain(
        self, network: Classifier, calls: Sequence[MethodCall], *, skip_undefined: bool = False
    ) -> Explanation:
        """Return attributions (n, C, H, W) by method key."""
        explainer = Explainer(
            network, device=self.device, exact=self.exact, upsampling=self.upsampling
        )
        return explainer.run(
            self.x,
            methods=list(calls),
            targets=self.targets,
            extra=self.extra,
            sample_ids=self.ids,
            seed=self.seed,
            pooled=False,
            skip_undefined=skip_undefined,
            cancelled=self.cancelled,
        )

    def each(
        self, network: Classifier, calls: Sequence[MethodCall]
    ) -> tuple[dict[str, Floats], dict[str, str], dict[str, str]]:
        """Return attributions by method key, and why others have none: undefined, or broken."""
        if not calls:
            return {}, {}, {}
        try:
            found = self.explain(network, calls, skip_undefined=True)
            return dict(found.maps), dict(found.undefined), {}
        except MethodError as error:
            if len(calls) == 1:
                return {}, {}, {calls[0].key: str(error)}
        maps: dict[str, Floats] = {}
        undefined: dict[str, str] = {}
        broken: dict[str, str] = {}
        for call in calls:  # one by one, to see whose fault it was
            alone = self.each(network, [call])
            maps |= alone[0]
            undefined |= alone[1]
            broken |= alone[2]
        return maps, undefined, broken

    def logit(self, classifier: Classifier, x: Tensor) -> Floats:
        """Return the target logit (n,) of some input."""
        logits = classifier.logits(x, self.extra).cpu()
        return np.asarray(logits.gather(1, self.targets[:, None])[:, 0].numpy())


def _trained(
    look: _Look, classifier: Classifier, calls: Sequence[MethodCall]
) -> tuple[dict[str, Floats], dict[str, Verdict]]:
    """Return the attributions under the trained network, and verdicts where there are none."""
    verdicts = {
        call.key: Verdict("not gated", call.digest, reason="never looks at the model")
        for call in calls
        if call.spec.baseline
    }
    asked = [call for call in calls if not call.spec.baseline]
    raw, undefined, broken = look.each(classifier, asked)
    for call in asked:
        if call.key in broken:
            verdicts[call.key] = Verdict("failed", call.digest, reason=broken[call.key])
        if call.key in undefined:
            verdicts[call.key] = Verdict("not defined", call.digest, reason=undefined[call.key])
    return raw, verdicts


def _pooled(raw: Mapping[str, Floats], calls: Sequence[MethodCall]) -> dict[str, Floats]:
    """Return one map per image (n, H, W), channels pooled as the methods say."""
    found: dict[str, Floats] = {}
    for call in calls:
        attribution, pooling = raw[call.key], call.options.get("pooling")
        found[call.key] = (
            pool(torch.from_numpy(attribution), pooling).numpy() if pooling else attribution[:, 0]
        )
    return found


def _sums(look: _Look, classifier: Classifier, call: MethodCall, raw: Floats) -> Iterator[Check]:
    """Yield what a method's own axiom says about the sum of its attribution."""
    if call.id in ("integrated_gradients", "deeplift"):
        name = call.options["baseline"]
        reference = MethodCall("baseline input", custom=_reference(name))
        nothing = torch.from_numpy(look.explain(classifier, [reference]).maps[reference.key])
        change = look.logit(classifier, look.x) - look.logit(classifier, nothing)
        yield completeness(raw, change)
    elif call.id == "lrp":
        yield conservation(raw, look.logit(classifier, look.x))


def _reference(name: str) -> MethodSpec:
    """Return a "method" whose attribution is the baseline input that another one starts from."""
    return MethodSpec(
        id="baseline input",
        label="Baseline input",
        summary="what stands for 'nothing here'",
        family="baseline",
        fn=lambda passes, options: baseline_input(name, passes),
        cost=lambda options: 0,
        paper="",
        default_pooling="sum",
        signed=True,
    )
