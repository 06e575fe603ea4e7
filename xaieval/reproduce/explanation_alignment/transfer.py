"""One-shot transfer: does a model's alignment say how well it learns something else?

Whole: the published question, ImageNet models on CIFAR-100. Small and tiny: networks trained on
digits with a coloured block (true to the digit or not), moved to pictures they never saw.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from xaieval.outcomes import (
    Finding,
    GateResult,
    Outcome,
    Picture,
    gated,
    judged,
    untested,
)
from xaieval.reproduce.base import ExperimentSpec, Setup, Size
from xaieval.reproduce.explanation_alignment.embedding import target_ids, transfer_table
from xaieval.reproduce.explanation_alignment.transfer_claims import CLAIMS, SOURCE_GATE, TARGET_GATE
from xaieval.reproduce.explanation_alignment.transfer_tables import (
    add_transfer,
    by_colour,
    colour_note,
    link_table,
    rival_gap,
    transfer_charts,
    transfer_sheets,
)
from xaieval.reproduce.explanation_alignment.zoo import (
    METHODS,
    METRICS,
    RULES,
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

    from xaieval.datasets import Dataset
    from xaieval.study import Results

COLOURS = ("uncorrelated", "correlated")
RIVALS = ("accuracy", "accuracy_own")
"""What else might predict transfer: accuracy where the colour misleads, and on digits like those
trained on."""


@dataclass(frozen=True)
class _Settings:
    """The family (width × digits × epochs × colour), test digits, draws and the new task."""

    widths: tuple[float, ...]
    digits: tuple[int, ...]
    epochs: tuple[int, ...]
    n_test: int
    draws: int
    cifar: bool
    nuts: int
    """Drawn hazelnuts per class, where CIFAR-10 is not used."""
    nut_size: int


_SIZES: Mapping[Size, _Settings] = {
    "tiny": _Settings((0.25,), (1000,), (3, 8), 20, 20, False, 20, 48),
    "small": _Settings((0.25, 1.0), (500, 3000), (4, 12), 100, 50, True, 60, 64),
}
_WHOLE_DRAWS = 20


def run(setup: Setup) -> Outcome:
    """Train or load the source models, move each to the new task, and correlate."""
    if setup.size == "whole":
        from xaieval.reproduce.explanation_alignment.imagenet_models import PUBLISHED

        return run_published(setup, PUBLISHED)
    return run_settings(setup, _SIZES[setup.size])


def run_settings(setup: Setup, settings: _Settings) -> Outcome:
    members = tuple(family(settings))
    arms = run_family(
        setup, members, _study(setup, settings), id="transfer", title="Transfer source"
    )
    scores, right = scores_of(arms, region="digit"), right_of(arms)
    own = {member.name: str(member.traits["colour"]) for member in members}
    table = model_table(_condition(scores), _condition(right), members)
    table["accuracy_own"] = table["model"].map(_own_accuracy(right, own))
    target = _target(settings)
    notes = (
        f"Source: {len(members)} networks trained on digits "
        f"({arms[members[0].name].dataset().records[0].meta['source']}), "  # type: ignore[union-attr]
        "half of them with a block whose colour gives the digit away. Alignment with the digit "
        "and accuracy are measured where the colour misleads.",
    )
    return _outcome(
        setup, arms, table, _condition(scores), target, draws=settings.draws, notes=notes
    )


def run_published(setup: Setup, names: Sequence[str], *, draws: int = _WHOLE_DRAWS) -> Outcome:
    """Move pretrained models of torchvision to CIFAR-100."""
    from xaieval.datasets import open_dataset
    from xaieval.reproduce.explanation_alignment.imagenet_models import data_folder, run_imagenet

    target = open_dataset("cifar100", data_folder(setup, "cifar100"))
    arms, members = run_imagenet(setup, names, id="transfer")
    scores, right = scores_of(arms, region="box", split=None), right_of(arms, split=None)
    table = model_table(scores, right, members)
    table["accuracy_own"] = table["accuracy"]
    notes = (
        "Published: 195 models of the package timm, one draw of the shots, embeddings as the "
        "models put them out. Here: models of torchvision, the input of the last layer as "
        f"embedding, {draws} draws.",
    )
    return _outcome(setup, arms, table, scores, target, draws=draws, notes=notes)


def family(settings: _Settings) -> Iterator[Member]:
    """Yield every arm: width × training digits × epochs × colour of the block."""
    for width, n, epochs, colour in product(
        settings.widths, settings.digits, settings.epochs, COLOURS
    ):
        yield Member(
            f"width-{width:g}-digits-{n}-epochs-{epochs}-{colour}".replace(".", "_"),
            f"width {width:g}, {n} digits, {epochs} epochs, {colour} block",
            {"width": width, "digits": n, "epochs": epochs, "colour": colour},
            model={"width": width},
            train={"epochs": epochs},
            options={"train": colour, "n_train": n},
        )


def _study(setup: Setup, settings: _Settings) -> dict[str, dict[str, Any]]:
    return {
        "study": {},
        "data": {
            "name": "decoy-mnist",
            "split_scheme": "layout",
            "options": {
                "test_colours": "permuted",
                "n_test": max(10, setup.samples or settings.n_test),
            },
        },
        "model": {
            "arch": "mnist-cnn",
            "input_size": [28, 28],
            "decoder": False,
            "mean": [0.0, 0.0, 0.0],
            "std": [1.0, 1.0, 1.0],
        },
        "train": {"seeds": [42], "batch": 32, "lr": 1e-3, "beta": 0.0, "augment": "none"},
        "explain": {
            "methods": list(METHODS),
            "compete": ["gradcam", "saliency"],
            "target": "predicted",
        },
        "score": {"metrics": list(METRICS), "regions": ["digit"]},
        "run": {"splits": ["test"], "chunk": 100},
    }


def _target(settings: _Settings) -> Dataset:
    """Return the new task: CIFAR-10 where it is found, else drawn hazelnuts."""
    from xaieval.datasets import DATASETS, locate, open_dataset
    from xaieval.errors import DataError

    if settings.cifar:
        try:
            return open_dataset("cifar10", locate(DATASETS["cifar10"]))
        except DataError:
            pass
    options = {"n_per_class": settings.nuts, "size": settings.nut_size}
    return open_dataset("synthetic-hazelnut", options=options)


def _condition(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of digits whose colour misleads."""
    return frame[frame["sample_id"].str.startswith("uncorrelated/")]


def _own_accuracy(right: pd.DataFrame, own: Mapping[str, str]) -> dict[str, float]:
    """Return each model's accuracy on test digits like those that it trained on."""
    kind = right["sample_id"].str.partition("/")[0]
    mine = right[kind == right["arm"].map(own)]
    return {str(k): float(v) for k, v in mine.groupby("model")["value"].mean().items()}


def _outcome(
    setup: Setup,
    arms: Mapping[str, Results],
    table: pd.DataFrame,
    scores: pd.DataFrame,
    target: Dataset,
    *,
    draws: int,
    notes: Sequence[str],
) -> Outcome:
    drawn = transfer_table(setup, arms, target, draws=draws)
    table = add_transfer(table, drawn)
    groups = by_colour(table) if "colour" in table else None
    rules = (it.id for it in RULES if table[it.id].notna().any())
    predictors = [*rules, *RIVALS]
    links = link_table(table, drawn, predictors)
    rows = by_name(links, "x")
    chance = 1 / len(target.class_names)
    gates = (
        GateResult(SOURCE_GATE, tuple(table["accuracy_own"]), SOURCE_GATE.text),
        GateResult(TARGET_GATE, (float(table["transfer"].mean()) / chance,), TARGET_GATE.text),
    )
    gap, low, high = rival_gap(table, "iou", "accuracy_own")
    known = {claim.id: claim for claim in CLAIMS}
    whole = known["imagenet-alignment-predicts-transfer"]
    findings: list[Finding] = [
        correlated(whole, rows["iou"])
        if setup.size == "whole"
        else untested(
            whole, "needs ImageNet with boxes, its pretrained models, and CIFAR-100: --data"
        ),
        correlated(known["alignment-predicts-transfer"], rows["iou"]),
        correlated(known["pointing-predicts-transfer"], rows["pointing"]),
        judged(
            known["alignment-beats-accuracy"],
            value=gap,
            low=low,
            high=high,
            n=f"{len(table)} models",
            unit="difference of Pearson's r",
            why=f"r of IoU {rows['iou']['pearson']:.2f}, of the accuracy "
            f"{rows['accuracy_own']['pearson']:.2f}",
        ),
    ]
    return Outcome(
        findings=tuple(gated(findings, gates)),
        gates=gates,
        sheets=transfer_sheets(table, links, drawn, groups, scores, draws=draws),
        charts=transfer_charts(table, links, drawn, target.name, chance),
        pictures=_pictures(setup, arms, table),
        facts={
            "models": table.to_dict("records"),
            "links": links.to_dict("records"),
            "target": target.name,
            "target_images": len(target_ids(target)),
            "chance": chance,
            "draws": draws,
        },
        notes=(
            *notes,
            *_notes(table, target, draws, chance),
            floor_note(table, scores),
            *(() if groups is None else (colour_note(groups),)),
        ),
        studies=tuple(f"studies/{name}" for name in arms),
    )


def _pictures(
    setup: Setup, arms: Mapping[str, Results], table: pd.DataFrame
) -> tuple[Picture, ...]:
    """Return the same test images under the models that transfer least and best."""
    from xaieval.reproduce.explanation_alignment.model_pictures import same_images

    ordered = table.sort_values("transfer", ascending=False, ignore_index=True)
    digits = "colour" in table
    region, starts = ("digit", "uncorrelated/") if digits else ("box", "")
    return (same_images(setup, arms, ordered, heading="transfer", region=region, starts=starts),)


def _notes(table: pd.DataFrame, target: Dataset, draws: int, chance: float) -> tuple[str, ...]:
    low, high = table["transfer"].min(), table["transfer"].max()
    return (
        f"New task: {target.name}, {len(target_ids(target))} images of "
        f"{len(target.class_names)} classes, chance {chance:.3f}. One-shot accuracies span "
        f"{low:.3f} to {high:.3f}; the draws alone "
        f"spread by {table['transfer_std'].mean():.3f} (std), so that a single draw, as published, "
        "says little.",
        f"Logistic regression as in the notebook (C = 1) on {draws} draws of one image per class, "
        "the same for all models; embedding: what the last layer reads.",
    )


SPEC = ExperimentSpec(
    id="explanation-alignment/transfer",
    label="Explanation Alignment: one-shot transfer",
    summary=(
        "Does a source model's alignment predict its one-shot accuracy on another task, and "
        "better than its accuracy does?"
    ),
    source="Bang, Boggust and Satyanarayan 2024 (eXCV at ECCV)",
    sizes={
        "tiny": "four networks of digits, moved to drawn hazelnuts, 20 draws, about a minute",
        "small": "sixteen networks of digits, moved to CIFAR-10 (or drawn hazelnuts), 50 draws, "
        "within ten minutes",
        "whole": "the ImageNet models of torchvision, ImageNet with boxes, moved to CIFAR-100",
    },
    claims=CLAIMS,
    gates=(SOURCE_GATE, TARGET_GATE),
    run=run,
)
