"""Which part of a face decides an attribute? Five methods, regional precision, falsification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xaieval.outcomes import Finding, GateResult, Outcome, gated, untested
from xaieval.reproduce.base import ExperimentSpec, Setup
from xaieval.reproduce.celebamask_regions import claims, plans
from xaieval.reproduce.celebamask_regions.plans import RULES, Settings

if TYPE_CHECKING:
    from xaieval.reproduce.celebamask_regions.measured import Measured
    from xaieval.stats.falsification_link import FalsificationLink
    from xaieval.stats.split_half import SplitHalf
    from xaieval.study import Results


def run(setup: Setup) -> Outcome:
    """Train the attribute classifier over the seeds, explain test faces, judge the claims."""
    return run_settings(setup, plans.SIZES[setup.size])


def run_settings(setup: Setup, settings: Settings) -> Outcome:
    """Run with settings of one's own."""
    from xaieval.reproduce.arms import run_arm
    from xaieval.reproduce.celebamask_regions.measured import read

    folder = plans.data_folder(setup, settings)
    results = run_arm(setup, plans.ARM, plans.study(setup, settings), data=folder)
    return _outcome(setup, settings, results, read(results, settings, wanted_samples(results)))


def wanted_samples(results: Results) -> list[str]:
    """Return the samples that the study asks for; a folder may hold more of an earlier run."""
    from xaieval.study.data import populations, study_splits

    pairs = results.dataset()
    assert pairs is not None, "measured results have a dataset"
    found: list[str] = []
    for population in populations(results.study, pairs, study_splits(results.study, pairs)):
        found += population.roles
    return found


def measured_gate(results: Results) -> GateResult:
    """Return the balanced accuracy of every seed on all test faces."""
    accuracy = results.accuracy()
    test = accuracy[accuracy["split"] == "test"]
    return GateResult(
        claims.GATE, tuple(float(v) for v in test["balanced_accuracy"]), "one value per seed"
    )


def _outcome(setup: Setup, settings: Settings, results: Results, measured: Measured) -> Outcome:
    from xaieval.reproduce.celebamask_regions import findings, shown, tables

    gate = measured_gate(results)
    best = findings.best_method(measured)
    links = {rule: findings.link(measured, rule) for rule in RULES}
    classes = findings.random_classes(measured)
    found = _findings(settings, measured, best, links, classes)
    regions = tables.regions(measured)
    rates, parts = tables.falsification(measured), tables.attributes(measured)
    who = _who(measured)
    charts = [
        shown.boxes(measured, who),
        shown.lift_bars(regions),
        *shown.rates(rates),
        *(chart for rule, link in links.items() for chart in shown.scatter(link, rule)),
        shown.random_bars(classes),
    ]
    if best is not None:
        charts.append(shown.attribute_heat(measured, best.chosen))
    correlations = tables.correlations(links)
    specificity = tables.specificity(measured, within_image=True)
    return Outcome(
        findings=tuple(gated(found, [gate])),
        gates=(gate,),
        sheets=(
            tables.study_sheet(measured, regions, who=who),
            tables.regions_sheet(regions, who),
            tables.falsification_sheet(rates, settings.k),
            tables.correlations_sheet(correlations),
            tables.specificity_sheet(specificity, who),
            tables.attributes_sheet(parts, who),
            tables.random_sheet(classes),
            tables.shapes_sheet(measured),
        ),
        charts=tuple(charts),
        pictures=(shown.panels(regions, who), *_pictures(setup, results, measured)),
        facts={
            "regional_precision": tables.by_region(regions),
            "falsification": rates.to_dict("records"),
            "correlations": correlations.to_dict("records"),
            "specificity": specificity.to_dict("records"),
            "attribute_regions": parts.to_dict("records"),
            "random": [vars(it) for it in classes],
            "best_method": None if best is None else best.chosen,
            "choosing": {} if best is None else dict(best.choosing),
        },
        notes=(*_notes(settings, measured, best), tables.specificity_text(specificity)),
        studies=(f"studies/{plans.ARM}",),
    )


def _findings(
    settings: Settings,
    measured: Measured,
    best: SplitHalf | None,
    links: Mapping[str, FalsificationLink],
    classes: Sequence[Any],
) -> list[Finding]:
    from xaieval.reproduce.celebamask_regions import findings

    known = {claim.id: claim for claim in claims.ATTRIBUTES}
    published = known["published-correlation"]
    first = untested(published, "drawn faces are not CelebAMask-HQ; run it whole with --data")
    if settings.drawn is None:
        over = links["paper"].over_methods.pearson
        first = findings.by_study_rule(published, over, "methods")
    return [
        first,
        *findings.of_links(known, links, best),
        *findings.of_random(known, classes),
        *findings.of_best(known, measured, best),
        findings.parts_first(known["deciding-part-first"], measured, best),
        findings.tells_area(known["paper-rule-tells-area"], measured),
    ]


def _who(measured: Measured) -> str:
    from xaieval.reproduce.celebamask_regions.measured import correct

    own = correct(measured.precision)
    return (
        f"{own['sample_id'].nunique()} samples (image and attribute that the network found) of "
        f"{own['image'].nunique()} test images, {own['seed'].nunique()} seeds"
    )


def _pictures(setup: Setup, results: Results, measured: Measured) -> tuple[Any, ...]:
    from xaieval.backend import Backend
    from xaieval.datasets import AttributePairs
    from xaieval.reproduce.celebamask_regions import shown

    pairs = results.dataset()
    assert isinstance(pairs, AttributePairs), "the study explains attributes"
    images = sorted(set(measured.precision["image"]))[:5]
    backend = Backend(setup.device)
    try:
        overlays = shown.examples(results, measured, backend=backend)
    finally:
        backend.close()
    return (*overlays, shown.part_pictures(pairs.parent, images))


def _notes(settings: Settings, measured: Measured, best: SplitHalf | None) -> tuple[str, ...]:
    drawn = settings.drawn
    source = (
        f"Faces: {drawn.n} drawn ones of {drawn.size} px in the layout of CelebAMask-HQ, every "
        "fifth a test face."
        if drawn
        else "Faces: CelebAMask-HQ, CelebA's own split."
    )
    notes = [
        f"{source} Network: {settings.arch} at {settings.input_px} px, {settings.epochs} epochs, "
        f"{len(settings.seeds)} seeds.",
        "The original computed no maps: its maps were random numbers and its table held expected "
        "values. Network, training and number of samples here are this package's choice.",
        f"Falsification with k = {settings.k} copies of each set (the study: 100), KernelSHAP and "
        f"LIME with {settings.n_samples} samples each, integrated gradients with "
        f"{settings.n_steps} steps.",
        "Falsification measures the angle between the probabilities of all attributes, though a "
        "map is about one of them; the map of an attribute on which little of the output depends "
        "is therefore hard to tell from chance.",
        "The rate of inverted maps is that of the margin negated: inverting a map exchanges its "
        "high and low pixels.",
        "Precision of the deciding region sums the parts of the table ATTRIBUTE_REGIONS, which is "
        "the truth of drawn faces and an expectation of photographs.",
    ]
    if best is not None:
        means = ", ".join(f"{name} {value:.1f} %" for name, value in best.choosing.items())
        notes.append(
            f"Chosen on one half of the images by the precision of the deciding region: "
            f"{best.chosen} ({means})."
        )
    return tuple(notes)


SPEC = ExperimentSpec(
    id="celebamask-regions/attributes",
    label="Regional attribution: attributes of faces",
    summary=(
        "Grad-CAM, integrated gradients, KernelSHAP, LIME and random maps of a face-attribute "
        "classifier: precision by region, falsification rates, and whether they go together."
    ),
    source="regional study on CelebAMask-HQ (Lee et al., MaskGAN, CVPR 2020)",
    sizes={
        "tiny": "300 drawn faces, two seeds, 4 images, about a minute",
        "small": "1,500 drawn faces, three seeds, 16 images with all their attributes",
        "whole": "CelebAMask-HQ, three seeds, 500 images",
    },
    claims=claims.ATTRIBUTES,
    gates=(claims.GATE,),
    run=run,
)
