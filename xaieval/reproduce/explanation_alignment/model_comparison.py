"""Model comparison: does accuracy say where a model looks?

Whole: the published ImageNet models. Small and tiny: one small network at several widths, lengths
of training and augmentations, on leaves with masks (or drawn hazelnuts where there are none).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from xaieval.outcomes import (
    Claim,
    Finding,
    GateResult,
    Outcome,
    gated,
    judged,
    untested,
)
from xaieval.reproduce.base import ExperimentSpec, Setup, Size
from xaieval.reproduce.explanation_alignment.comparison_claims import CLAIMS, GATE, SIMILAR_CLAIM
from xaieval.reproduce.explanation_alignment.comparison_tables import (
    SIMILAR,
    comparison_charts,
    comparison_sheets,
    link_table,
    pair_table,
    ranking_rows,
)
from xaieval.reproduce.explanation_alignment.model_pictures import same_images
from xaieval.reproduce.explanation_alignment.zoo import (
    METHODS,
    METRICS,
    Member,
    by_name,
    correlated,
    floor_note,
    model_table,
    right_of,
    run_family,
    scores_of,
)

if TYPE_CHECKING:
    import pandas as pd

    from xaieval.study import Results


@dataclass(frozen=True)
class _Settings:
    """The family and its data; ``leaves``: coffee leaves where they are found."""

    widths: tuple[float, ...]
    epochs: tuple[int, ...]
    augments: tuple[str, ...]
    seeds: tuple[int, ...]
    leaves: bool
    nuts: int
    """Drawn hazelnuts per class, where there are no leaves."""
    nut_size: int


_SIZES: Mapping[Size, _Settings] = {
    "tiny": _Settings((0.5, 1.0), (4, 12), ("none",), (42,), False, 60, 96),
    "small": _Settings(
        (0.5, 1.0, 2.0), (4, 12), ("none", "flips+photometric"), (42, 43), True, 120, 96
    ),
}


def run(setup: Setup) -> Outcome:
    """Train or load the family, score each model, and compare alignment with accuracy."""
    if setup.size == "whole":
        from xaieval.reproduce.explanation_alignment.imagenet_models import PUBLISHED

        return run_published(setup, PUBLISHED)
    return run_settings(setup, _SIZES[setup.size])


def run_published(setup: Setup, names: Sequence[str]) -> Outcome:
    """Compare pretrained models of torchvision on ImageNet with boxes."""
    from xaieval.reproduce.explanation_alignment.imagenet_models import run_imagenet

    arms, members = run_imagenet(setup, names, id="model-comparison")
    notes = [
        "Images are resized to 256 and cropped to 224, as published; weights are torchvision's "
        "default ones of the installed version (published: of version 0.13).",
        "Grad-CAM reads the last feature map before the pooling; the notebook reads the output of "
        "a convolution inside the last block.",
        "The notebook averages the accuracies of batches and divides the pointing game by all "
        "images, those without a box in the crop included; here both are means over images.",
    ]
    return _outcome(setup, arms, members, region="box", published=True, notes=notes)


def run_settings(setup: Setup, settings: _Settings) -> Outcome:
    members = tuple(family(settings))
    study, region, notes = _study(setup, settings)
    arms = run_family(setup, members, study, id="model-comparison", title="Model comparison")
    return _outcome(setup, arms, members, region=region, published=False, notes=notes)


def family(settings: _Settings) -> Iterator[Member]:
    """Yield every arm: width × epochs × augmentation."""
    for width, epochs, augment in product(settings.widths, settings.epochs, settings.augments):
        changed = "" if augment == "none" else "-augmented"
        words = "as they are" if augment == "none" else f"changed by {augment}"
        yield Member(
            f"width-{width:g}-epochs-{epochs}{changed}".replace(".", "_"),
            f"width {width:g}, {epochs} epochs, pictures {words}",
            {"width": width, "epochs": epochs, "augment": augment},
            model={"width": width},
            train={"epochs": epochs, "augment": augment},
        )


def _study(setup: Setup, settings: _Settings) -> tuple[dict[str, dict[str, Any]], str, list[str]]:
    """Return what all studies share, the region scored, and what to know of the data."""
    leaves = settings.leaves and _leaves_there(setup)
    data: dict[str, Any]
    if leaves:
        region, size = "symptom", [96, 192]
        data = {"name": "coffee-leaf", "split_scheme": "layout"}
        notes = [
            "Data: coffee leaves, the authors' split, 512 × 256 px stretched to 192 × 96; the "
            "healthy ones have no symptom and are left out of every alignment, not of the accuracy."
        ]
    else:
        region, size = "defect", [settings.nut_size] * 2
        data = {
            "name": "synthetic-hazelnut",
            "split_scheme": "stratified",
            "test_share": 0.4,
            "options": {"n_per_class": settings.nuts, "size": settings.nut_size},
        }
        notes = [
            "Data: drawn hazelnuts; the good ones have no defect and are left out of every "
            "alignment, not of the accuracy."
        ]
    cell = 16 * 16 / (size[0] * size[1])
    notes.append(f"A cell of Grad-CAM's grid (16 px) is {100 * cell:.1f} % of the picture.")
    if setup.samples:
        data["filters"] = {"per_class": setup.samples}
    model = {"arch": "small-cnn", "input_size": size, "decoder": False}
    train = {
        "seeds": settings.seeds,
        "batch": 16,
        "lr": 2e-3,
        "beta": 0.0,
        "schedule": "cosine",
    }
    study = {
        "study": {},
        "data": data,
        "model": model,
        "train": train,
        "explain": {
            "methods": list(METHODS),
            "compete": ["gradcam", "saliency"],
            "target": "predicted",
        },
        "score": {"metrics": list(METRICS), "regions": [region]},
        "run": {"splits": ["test"], "chunk": 64},
    }
    return study, region, notes


def _leaves_there(setup: Setup) -> bool:
    from xaieval.datasets import DATASETS, locate
    from xaieval.errors import DataError

    if setup.data is not None:
        return True
    try:
        locate(DATASETS["coffee-leaf"])
    except DataError:
        return False
    return True


def _similar(claim: Claim, pairs: pd.DataFrame) -> Finding:
    if pairs.empty:
        return untested(claim, f"no two models have accuracies within {SIMILAR}")
    best = pairs.iloc[0]
    clear = int((pairs["low"] > 0).sum())
    return judged(
        claim,
        value=float(best["difference"]),
        low=float(best["low"]),
        high=float(best["high"]),
        n=f"{len(pairs)} pairs of models, {best['images']} images",
        unit=f"difference of IoU, {best['a']} against {best['b']}",
        why=f"{clear} of {len(pairs)} pairs differ; accuracies {best['accuracy_a']:.3f} and "
        f"{best['accuracy_b']:.3f}",
    )


def _outcome(
    setup: Setup,
    arms: Mapping[str, Results],
    members: Sequence[Member],
    *,
    region: str,
    published: bool,
    notes: Sequence[str],
) -> Outcome:

    split = None if published else "test"
    scores, right = scores_of(arms, region=region, split=split), right_of(arms, split=split)
    table = model_table(scores, right, members)
    pairs = pair_table(scores, table)
    links = link_table(table)
    rows = by_name(links, "y")
    agreement = ranking_rows(scores, right)
    tau = next(a for a in agreement if {a["first"], a["second"]} == {"iou", "mass"})
    best = GateResult(GATE, (float(table["accuracy"].max()),), GATE.text)
    known = {claim.id: claim for claim in CLAIMS}
    elsewhere = "needs ImageNet with boxes and its pretrained models: xaieval reproduce … --data"
    findings = [
        _similar(SIMILAR_CLAIM, pairs),
        correlated(known["alignment-follows-accuracy"], rows["iou"]),
        correlated(known["pointing-follows-accuracy"], rows["pointing"]),
        judged(
            known["rules-agree"],
            value=tau["tau"],
            low=tau["low"],
            high=tau["high"],
            n=f"{len(table)} models, {tau['images']} images",
            unit="Kendall's tau",
        ),
        *(
            (
                _similar(known["imagenet-similar-accuracy"], pairs),
                correlated(known["imagenet-alignment-follows-accuracy"], rows["iou"]),
            )
            if published
            else (
                untested(known["imagenet-similar-accuracy"], elsewhere),
                untested(known["imagenet-alignment-follows-accuracy"], elsewhere),
            )
        ),
    ]
    return Outcome(
        findings=tuple(gated(findings, (best,))),
        gates=(best,),
        sheets=comparison_sheets(table, pairs, links, agreement, scores),
        charts=comparison_charts(table, agreement),
        pictures=(
            same_images(
                setup,
                arms,
                table.sort_values("iou", ascending=False, ignore_index=True),
                heading="iou",
                region=region,
            ),
        ),
        facts={
            "models": table.to_dict("records"),
            "pairs": pairs.to_dict("records"),
            "links": links.to_dict("records"),
            "rankings": agreement,
            "region": region,
        },
        notes=(*notes, *_notes(table, pairs), floor_note(table, scores)),
        studies=tuple(f"studies/{name}" for name in arms),
    )


def _notes(table: pd.DataFrame, pairs: pd.DataFrame) -> tuple[str, ...]:
    spread = table["iou"].max() - table["iou"].min()
    n = int(table["n_accuracy"].iloc[0])
    return (
        f"{len(table)} models; accuracies from {table['accuracy'].min():.3f} to "
        f"{table['accuracy'].max():.3f} over {n} test images, of which {table['n_masks'].iloc[0]} "
        f"have a mask; IoU spans {spread:.3f}.",
        f"Grad-CAM is 0 everywhere, hence undefined and left out, in "
        f"{int((table['n_masks'] - table['n_alignment']).sum())} of {int(table['n_masks'].sum())} "
        "maps of images with a mask.",
        f"{len(pairs)} pairs are similarly accurate (within {SIMILAR}).",
        "Models of one arm differ in their training seed only; the interval of a correlation is "
        "the wider of Fisher's and of one that resamples whole arms.",
    )


SPEC = ExperimentSpec(
    id="explanation-alignment/model-comparison",
    label="Explanation Alignment: model comparison",
    summary=(
        "Alignment against accuracy over a family of models: do equally accurate models look at "
        "the same parts?"
    ),
    source="Bang, Boggust and Satyanarayan 2024 (eXCV at ECCV)",
    sizes={
        "tiny": "four small networks on drawn hazelnuts, about a minute",
        "small": "twelve small networks × two seeds on coffee leaves (or drawn hazelnuts), within "
        "ten minutes",
        "whole": "the published ImageNet models (torchvision), ImageNet with boxes",
    },
    claims=CLAIMS,
    gates=(GATE,),
    run=run,
)
