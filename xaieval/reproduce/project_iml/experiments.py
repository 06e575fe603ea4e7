"""The experiments of project_iml: does Grad-CAM win, and would it without being shown the mask?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from xaieval.errors import DataError
from xaieval.outcomes import Claim, Gate, Outcome, gated, untested
from xaieval.reproduce.arms import STUDIES, run_arm
from xaieval.reproduce.base import ExperimentSpec, Setup
from xaieval.reproduce.project_iml import shown
from xaieval.reproduce.project_iml.claims import PUBLISHED, SOURCE, gates, own, wins
from xaieval.reproduce.project_iml.findings import (
    measured_gates,
    own_findings,
    published_accuracy,
    wins_most,
)
from xaieval.reproduce.project_iml.plans import (
    BETAS,
    Plan,
    mvtec_plan,
    synthetic_plan,
    toy_plan,
)

ELSEWHERE = (
    "it is about the MVTec AD photographs, which this form does not use: "
    "xaieval reproduce project-iml/mvtec --data FOLDER"
)
NOTES = (
    "Two arms, alike but for β: with the mask loss, as published, and without it; with β = 0 no "
    "mask is even loaded in training.",
    "Scores are Top-K overlaps; project_iml's code computes Top-K IoU under that name, which ranks "
    "alike. Ties share the win; project_iml gives them to Grad-CAM (the facts hold both counts).",
    "Pictures are flipped in training only; project_iml flips them when testing too, so its scores "
    "move with the random state.",
    "Masks are resized by the nearest pixel; project_iml resizes them bilinearly and keeps what is "
    "above 0.5.",
    "The last epoch's network is kept; the test images choose nothing.",
    "Intervals: two-way bootstrap over seeds and images (95 %).",
)


def run_plan(plan: Plan, claims: Sequence[Claim], limits: Sequence[Gate]) -> Outcome:
    """Train and run both arms of a plan and judge the claims."""
    setup = plan.setup
    arms = {beta: run_arm(setup, shown.arm_name(beta), plan.arm(beta)) for beta in BETAS}
    stated = {claim.id: claim for claim in claims}
    found = []
    if "gradcam-wins" in stated:
        found += [untested(claim, ELSEWHERE) for claim in PUBLISHED]
        found.append(wins_most(stated["gradcam-wins"], arms[1.0]))
    else:
        found.append(wins_most(stated["published-win-rate-test"], arms[1.0]))
        train = stated["published-win-rate-train"]
        found.append(wins_most(train, arms[1.0], split="train"))
        found.append(published_accuracy(stated["published-accuracy"], arms[1.0]))
    found += own_findings(stated, arms)
    measured = measured_gates(limits, arms)
    from xaieval.backend import Backend

    backend = Backend(setup.device)
    try:
        sheets = shown.write_sheets(
            setup.out,
            {beta: arms[beta] for beta in plan.sheets_of},
            per_class=plan.sheets_per_class,
            backend=backend,
            report=setup.report,
        )
        overlays = shown.pictures(arms, backend=backend)
    finally:
        backend.close()
    tested = gated((it for it in found if it.value is not None), measured)
    drawn, nothing = shown.mask_losses(arms[1.0])
    by_id = {finding.claim.id: finding for finding in [*found, *tested]}
    return Outcome(
        findings=tuple(by_id[claim.id] for claim in claims),
        gates=measured,
        sheets=shown.tables(arms),
        charts=shown.charts(arms),
        pictures=overlays,
        facts={
            **shown.facts(arms),
            "mask_loss": {"last_epoch": drawn, "drawing_nothing": nothing},
            "sheets": sheets,
        },
        notes=(plan.settings, *plan.notes, _mask_note(drawn, nothing), *NOTES),
        studies=tuple(f"{STUDIES}/{shown.arm_name(beta)}" for beta in BETAS),
    )


def _mask_note(drawn: float, nothing: float) -> str:
    """Return whether the mask was learned at all, without which its loss can change nothing.

    >>> _mask_note(0.002, 0.01)
    'With β = 1 the mask loss of test images ends at 0.0020; drawing nothing has 0.0100.'
    """
    text = (
        f"With β = 1 the mask loss of test images ends at {drawn:.4f}; drawing nothing has "
        f"{nothing:.4f}."
    )
    if drawn < 0.9 * nothing:
        return text
    return (
        f"{text} The decoder has not learned the mask: the two arms cannot show what a learned "
        "mask does to Grad-CAM."
    )


def _spec(
    name: str,
    *,
    label: str,
    summary: str,
    sizes: dict[str, str],
    place: str,
    minimum: float,
    plan_of: Callable[[Setup], Plan],
    published: bool = False,
) -> ExperimentSpec:
    asked = own(place) if published else (wins(place), *own(place))
    claims, limits = (*PUBLISHED, *asked), gates(minimum)
    return ExperimentSpec(
        id=f"project-iml/{name}",
        label=label,
        summary=summary,
        source=SOURCE,
        sizes=sizes,  # type: ignore[arg-type]  # keys are sizes
        claims=claims,
        gates=limits,
        run=lambda setup: run_plan(plan_of(setup), claims, limits),
    )


SYNTHETIC = _spec(
    "synthetic",
    label="project_iml on synthetic hazelnuts",
    summary="Ten seeds of a small network on rendered nuts, with and without the mask loss.",
    sizes={
        "tiny": "rendered nuts at 96 px, two seeds, ten epochs: does it run?",
        "small": "rendered nuts at 128 px, ten seeds, 40 epochs; nothing is downloaded",
        "whole": "rendered nuts at 192 px, ten seeds, 60 epochs; nothing is downloaded",
    },
    place="On synthetic hazelnuts",
    minimum=0.8,
    plan_of=synthetic_plan,
)

MVTEC = _spec(
    "mvtec",
    label="project_iml on MVTec AD hazelnut",
    summary="The published setting, and the same seeds without the mask loss.",
    sizes={"whole": "MVTec AD hazelnut in one of three layouts (--data), EfficientNet-B0"},
    place="On MVTec hazelnut",
    minimum=0.8,
    plan_of=mvtec_plan,
    published=True,
)

_TOY = _spec(
    "hazelnut-toy",
    label="project_iml on photographs of hazelnuts",
    summary="51 photographs, good or with a colour defect, with and without the mask loss.",
    sizes={
        "tiny": "the photographs at 96 px, one seed, two folds: does it run?",
        "small": "the photographs, three folds; MobileNetV2 where its weights are given",
        "whole": "the photographs, ten seeds, five folds; MobileNetV2 where its weights are given",
    },
    place="On 17 photographs with a colour defect",
    minimum=0.9,
    plan_of=toy_plan,
)


def _toy_or_nothing(setup: Setup) -> Outcome:
    """Run the photographs; say that nothing can be tested where nobody has fetched them."""
    from xaieval.datasets import open_dataset

    started = (setup.out / STUDIES).exists()  # then the photographs are missed, not unknown
    if setup.data is None and setup.size != "whole" and not started:
        try:
            open_dataset("hazelnut-toy")
        except DataError as error:
            why = f"the photographs are not on this machine ({error})"
            return Outcome(findings=tuple(untested(claim, why) for claim in _TOY.claims))
    return _TOY.run(setup)


HAZELNUT_TOY = replace(_TOY, run=_toy_or_nothing)

PROJECT_IML = (SYNTHETIC, HAZELNUT_TOY, MVTEC)
