"""Two faces that differ in one attribute: do maps of their likeness show where they differ?"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xaieval.outcomes import Finding, GateResult, Outcome, Picture, gated, untested
from xaieval.reproduce.base import ExperimentSpec, Setup
from xaieval.reproduce.celebamask_regions import claims, plans
from xaieval.reproduce.celebamask_regions.plans import BASELINES, RULES, Settings

if TYPE_CHECKING:
    from xaieval.backend import Backend
    from xaieval.reproduce.celebamask_regions.measured import Frame, Measured
    from xaieval.reproduce.celebamask_regions.twins import Pair
    from xaieval.stats.split_half import SplitHalf
    from xaieval.study import Study

CLASSIFIER = "classifier"
KEPT = "pairs"


def run(setup: Setup) -> Outcome:
    """Train the attribute classifier (or take it from the other experiment), compare pairs."""
    return run_settings(setup, plans.SIZES[setup.size])


def run_settings(setup: Setup, settings: Settings) -> Outcome:
    """Run with settings of one's own."""
    from xaieval.backend import Backend
    from xaieval.reproduce.celebamask_regions.compared import compare, measured_pairs
    from xaieval.reproduce.celebamask_regions.twins import drawn_pairs, real_pairs
    from xaieval.study.data import open_study_data

    folder = plans.data_folder(setup, settings)
    study, checkpoints = _trained(setup, settings, folder)
    count = setup.samples or settings.pairs
    if settings.drawn is not None:
        pairs = drawn_pairs(settings.drawn, count)
    else:
        pairs = real_pairs(open_study_data(study, folder), count)
    backend = Backend(setup.device)
    try:
        rows = compare(
            pairs,
            checkpoints,
            settings,
            folder=setup.out / KEPT,
            backend=backend,
            report=setup.report,
        )
        pictures = _examples(settings, pairs, checkpoints, rows, backend)
    finally:
        backend.close()
    gate = _gate(checkpoints)
    return _outcome(settings, pairs, rows, measured_pairs(rows, settings), gate, pictures)


def _trained(
    setup: Setup, settings: Settings, folder: Path | None
) -> tuple[Study, dict[int, Path]]:
    """Return the study of the classifier and its checkpoints by seed."""
    from xaieval.reproduce.arms import arm_folder, study_text
    from xaieval.study import train_study
    from xaieval.study.checkpoints import checkpoint_path
    from xaieval.study.config import parse_study

    study = parse_study(study_text(plans.study(setup, settings)), where="the experiment's study")
    out = arm_folder(setup, CLASSIFIER)
    _take_over(setup, study, folder, out)
    train_study(
        study,
        data=folder,
        out=out,
        device=setup.device,
        weights=setup.weights,
        report=setup.report,
    )
    return study, {seed: checkpoint_path(out, seed, 0, 1) for seed in study.train.seeds}


def _take_over(setup: Setup, study: Study, folder: Path | None, out: Path) -> None:
    """Copy the other experiment's finished checkpoints, where they were trained alike."""
    from xaieval.study.checkpoints import FOLDER, checkpoint_path, differences
    from xaieval.study.data import open_study_data, study_splits

    other = setup.out.parent / "attributes" / "studies" / plans.ARM
    paths = {seed: checkpoint_path(other, seed, 0, 1) for seed in study.train.seeds}
    if (out / FOLDER).is_dir() or not all(
        path.is_file() and path.with_suffix(".json").is_file() for path in paths.values()
    ):
        return
    dataset = open_study_data(study, folder)
    fold = study_splits(study, dataset).folds[0]
    if any(differences(path, study, dataset, fold, seed) for seed, path in paths.items()):
        return
    (out / FOLDER).mkdir(parents=True)
    for path in paths.values():
        for file in (path, path.with_suffix(".json")):
            shutil.copyfile(file, out / FOLDER / file.name)


def _gate(checkpoints: dict[int, Path]) -> GateResult:
    from xaieval.study.checkpoints import read_history

    values = []
    for seed, path in checkpoints.items():
        history = read_history(path, seed, 0)
        test = history[history["split"] == "test"]
        values.append(float(test.sort_values("epoch")["balanced_accuracy"].iloc[-1]))
    return GateResult(claims.GATE, tuple(values), "one value per seed")


def _outcome(
    settings: Settings,
    pairs: Sequence[Pair],
    rows: Frame,
    measured: Measured,
    gate: GateResult,
    pictures: tuple[Picture, ...],
) -> Outcome:
    from xaieval.reproduce.celebamask_regions import findings, shown, tables

    candidates = [key for key in measured.methods if key not in measured.keys(BASELINES)]
    best = findings.best_method(measured, candidates)
    links = {rule: findings.link(measured, rule) for rule in RULES}
    regions = tables.regions(measured)
    rates, parts = tables.falsification(measured), tables.attributes(measured)
    seeds = len(settings.seeds)
    who = f"{len(pairs)} pairs of faces, {seeds} seeds"
    charts = [
        shown.boxes(measured, who),
        shown.lift_bars(regions),
        shown.differing_boxes(measured, who),
        *shown.rates(rates),
        *(chart for rule, link in links.items() for chart in shown.scatter(link, rule)),
    ]
    if best is not None:
        charts.append(shown.attribute_heat(measured, best.chosen))
    correlations = tables.correlations(links)
    specificity = tables.specificity(measured, within_image=False)
    differing = tables.differing(measured)
    return Outcome(
        findings=tuple(gated(_findings(measured, best), [gate])),
        gates=(gate,),
        sheets=(
            tables.study_sheet(measured, regions, who=who),
            tables.differing_sheet(differing, who),
            tables.regions_sheet(regions, who),
            tables.falsification_sheet(rates, settings.k),
            tables.correlations_sheet(correlations),
            tables.specificity_sheet(specificity, who),
            tables.attributes_sheet(parts, who),
            tables.cosine_sheet(rows),
        ),
        charts=tuple(charts),
        pictures=(shown.panels(regions, who), *pictures),
        facts={
            "regional_precision": tables.by_region(regions),
            "differing": differing.to_dict("records"),
            "falsification": rates.to_dict("records"),
            "correlations": correlations.to_dict("records"),
            "specificity": specificity.to_dict("records"),
            "attribute_regions": parts.to_dict("records"),
            "best_method": None if best is None else best.chosen,
            "choosing": {} if best is None else dict(best.choosing),
            "pairs": len(pairs),
        },
        notes=(*_notes(settings, pairs, best), tables.specificity_text(specificity)),
    )


def _findings(measured: Measured, best: SplitHalf | None) -> list[Finding]:
    from xaieval.reproduce.celebamask_regions import findings
    from xaieval.reproduce.celebamask_regions.findings import label
    from xaieval.reproduce.celebamask_regions.measured import deciding, of
    from xaieval.stats.contrasts import contrast

    known = {claim.id: claim for claim in claims.PAIRS}
    found = findings.of_best(known, measured, best, what="pairs")
    own = deciding(measured.precision)
    claim = known["best-beats-area-share"]
    if best is None:
        found.append(untested(claim, "no pair has a score of every method to choose from"))
    else:
        rows = findings.testing_half(of(own, best.chosen))
        beyond = contrast(rows, rows.assign(value=rows["share"]), cluster="image")
        name = label(best.chosen)
        found.append(
            findings.compared(claim, beyond, f"precision − area share, % ({name})", what="pairs")
        )
    for name in ("kernel_shap", "lime"):
        plain = measured.key(name)
        both = next(k for k in measured.methods if k.startswith(name) and k.endswith("sum,abs]"))
        difference = contrast(of(own, both), of(own, plain), cluster="image")
        claim = known[f"both-signs-{name.replace('_', '-')}"]
        found.append(
            findings.compared(claim, difference, "difference of precision, %", what="pairs")
        )
    return found


def _examples(
    settings: Settings,
    pairs: Sequence[Pair],
    checkpoints: dict[int, Path],
    rows: Frame,
    backend: Backend,
    *,
    count: int = 8,
) -> tuple[Picture, ...]:
    from xaieval.reproduce.celebamask_regions.compared import comparer, explained, pair_methods
    from xaieval.reproduce.celebamask_regions.shown import pair_examples

    seed, path = next(iter(checkpoints.items()))
    some = list({pair.attribute: pair for pair in reversed(pairs)}.values())
    some = some[:: max(1, len(some) // count)][:count]
    calls = [call for call in pair_methods(settings) if call.id not in ("random", "centre_prior")]
    found = explained(backend, comparer(path), some, calls)
    own = rows[(rows["seed"] == seed) & (rows["metric"] == "regional_precision")]
    return (pair_examples(some, found, [call.key for call in calls], own, seed=seed),)


def _notes(settings: Settings, pairs: Sequence[Pair], best: SplitHalf | None) -> tuple[str, ...]:
    if settings.drawn:
        source = (
            "Pairs: drawn twins, one person with and without an attribute and equal to the last "
            "pixel elsewhere; persons whom the network was not trained on. A hair colour that is "
            "taken away leaves another."
        )
    else:
        source = (
            "Pairs: photographs whose 40 annotations differ in exactly one attribute; they are of "
            "two persons, so they differ in much more than the attribute."
        )
    notes: list[Any] = [
        f"{source} {len(pairs)} pairs of {len({pair.attribute for pair in pairs})} attributes.",
        "The logit that is explained is the cosine of two embeddings (what goes into the last "
        "linear layer); the map lies on the face that has the attribute, the other one's embedding "
        "is the second input.",
        "Falsification measures the angle between the embeddings of the face and of its copies.",
        "What two faces differ in makes them less alike. KernelSHAP and LIME keep the positive "
        "part of their maps by default, Grad-CAM always does; 'both signs' takes the absolute "
        "values instead. Integrated gradients has no sign after its pooling.",
        f"Falsification with k = {settings.k} copies of each set (the study: 100), KernelSHAP and "
        f"LIME with {settings.n_samples} samples each, integrated gradients with "
        f"{settings.n_steps} steps.",
    ]
    if best is not None:
        from xaieval.reproduce.celebamask_regions.findings import label

        means = ", ".join(f"{label(k)} {v:.1f} %" for k, v in best.choosing.items())
        notes.append(
            "Chosen on one half of the pairs by the precision of the differing region: "
            f"{label(best.chosen)} ({means})."
        )
    return tuple(notes)


SPEC = ExperimentSpec(
    id="celebamask-regions/pairs",
    label="Regional attribution: pairs of faces",
    summary=(
        "Two faces that differ in one attribute, the cosine of their embeddings explained: do maps "
        "lie where the two differ?"
    ),
    source="regional study on CelebAMask-HQ (Lee et al., MaskGAN, CVPR 2020)",
    sizes={
        "tiny": "10 drawn twins, two seeds, about a minute",
        "small": "100 drawn twins, three seeds",
        "whole": "up to 500 pairs of CelebAMask-HQ, three seeds",
    },
    claims=claims.PAIRS,
    gates=(claims.GATE,),
    run=run,
)
