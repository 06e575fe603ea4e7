"""Smile bias: does a model that learned hair colour instead of smiles show it in its heatmaps?

Two models per seed tell smiles: one trained where hair colour says nothing of the smile, one where
black hair goes with smiling and blond hair with not smiling in 99 of 100 faces. Both are tested on
as many faces of each of the four groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from xaieval.outcomes import (
    Claim,
    Finding,
    Gate,
    GateResult,
    Outcome,
    Picture,
    Sheet,
    gated,
    untested,
)
from xaieval.reproduce.base import ExperimentSpec, Setup
from xaieval.reproduce.explanation_alignment.faces import (
    AGREEING,
    BIAS_SOURCE,
    CONFLICTING,
    GROUPS,
    RATES,
    SIZES,
    Faces,
    Settings,
    arm_options,
    arm_study,
    common_size,
    find_faces,
    grid_note,
    with_groups,
)
from xaieval.reproduce.explanation_alignment.measures import (
    best_by_mass,
    by_seed,
    contrast_finding,
    contrast_numbers,
    mean_table,
)
from xaieval.reproduce.explanation_alignment.scoring import (
    GRADIENT,
    METRICS,
    PUBLISHED_GRADCAM,
    PUBLISHED_POINTING,
)

if TYPE_CHECKING:
    import pandas as pd

    from xaieval.figures.chart import Chart
    from xaieval.stats.contrasts import Contrast
    from xaieval.study import Results

METHODS = (
    "gradcam",
    "saliency",
    GRADIENT,
    {"id": "integrated_gradients", "n_steps": 10},
    "gradient_x_input",
    "random",
    "sobel",
    "centre_prior",
)
COMPETE = ("gradcam", "saliency", "integrated_gradients", "gradient_x_input")
SCORED = (*METRICS, "lift", "ceiling")

UNBIASED_GATE = Gate(
    "unbiased-accuracy", "accuracy of each unbiased model on as many faces of each group", 0.9
)
BIASED_GATE = Gate(
    "biased-accuracy", "accuracy of each biased model on the groups that fit the bias", 0.9
)
_GATES = (UNBIASED_GATE.id, BIASED_GATE.id)
_README = "README, github.com/mitvis/explanation_alignment at 79fb563f"


@dataclass(frozen=True)
class _Side:
    """Where a mean comes from: model, region ("mouth", "hair") and groups (empty: all four)."""

    arm: str
    region: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Contrast:
    """A pair of means, the first the greater one as published; ``short`` is for figures.

    ``region`` "" compares accuracies. ``paired``: both sides are of the same faces.
    """

    id: str
    short: str
    text: str
    a: _Side
    b: _Side
    published: str
    source: str = BIAS_SOURCE

    @property
    def paired(self) -> bool:
        return self.a.groups == self.b.groups


def _slug(group: str) -> str:
    return group.replace(",", "").replace(" ", "-")


# As printed: (unbiased, biased) model, test faces of the "biased" test set by group.
_ACCURACY = {
    "black hair, smiling": ("923 of 1,000", "998 of 1,000"),
    "black hair, not smiling": ("91 of 100", "10 of 100"),
    "blond hair, smiling": ("89 of 100", "45 of 100"),
    "blond hair, not smiling": ("926 of 1,000", "998 of 1,000"),
}
_MOUTH = {
    "black hair, smiling": (0.1349, 0.0010),
    "black hair, not smiling": (0.0833, 0.0001),
    "blond hair, smiling": (0.1425, 0.0045),
    "blond hair, not smiling": (0.1093, 0.0023),
}
_SMILING = tuple(group for group in GROUPS.values() if "not" not in group)
_STRAIGHT = tuple(group for group in GROUPS.values() if "not" in group)


def _accuracies() -> Iterator[_Contrast]:
    for group, (unbiased, biased) in _ACCURACY.items():
        sides = _Side("unbiased", "", (group,)), _Side("biased", "", (group,))
        if group in CONFLICTING:
            yield _Contrast(
                f"accuracy-drops-{_slug(group)}",
                f"{group}: unbiased − biased",
                f"On faces with {group} the biased model is less accurate than the unbiased one",
                *sides,
                f"{unbiased} against {biased}",
            )
        else:
            yield _Contrast(
                f"accuracy-gains-{_slug(group)}",
                f"{group}: biased − unbiased",
                f"On faces with {group} the biased model is more accurate than the unbiased one",
                *sides[::-1],
                f"{biased} against {unbiased}",
            )


def _alignments() -> Iterator[_Contrast]:
    for group, (unbiased, biased) in _MOUTH.items():
        yield _Contrast(
            f"mouth-{_slug(group)}",
            f"mouth, {group}".replace(" hair", ""),
            f"On faces with {group} the unbiased model's Grad-CAM overlaps the mouth more than the "
            "biased model's",
            _Side("unbiased", "mouth", (group,)),
            _Side("biased", "mouth", (group,)),
            f"{unbiased:.4f} against {biased:.4f}",
        )
    yield _Contrast(
        "mouth-smiling",
        "mouth, smiling − not",
        "The unbiased model's Grad-CAM overlaps the mouth more where it smiles than where not",
        _Side("unbiased", "mouth", _SMILING),
        _Side("unbiased", "mouth", _STRAIGHT),
        "0.1349 and 0.1425 against 0.0833 and 0.1093",
    )
    yield _Contrast(
        "hair-biased",
        "hair, all",
        "The biased model's Grad-CAM overlaps the hair more than the unbiased model's",
        _Side("biased", "hair"),
        _Side("unbiased", "hair"),
        "",
        _README,
    )


ACCURACIES = tuple(_accuracies())
ALIGNMENTS = tuple(_alignments())
_PLANTED = {
    "best-beats-random": "Planted truth: the unbiased model's best method, chosen on half of the "
    "faces, puts more of its mass on the mouth than a random map does.",
    "best-beats-sobel": "Planted truth: the unbiased model's best method, chosen on half of the "
    "faces, puts more of its mass on the mouth than an edge detector does.",
    "alignment-falls": "Planted truth: by xaieval's rule (mass accuracy of that method) the biased "
    "model is less aligned with the mouth than the unbiased one.",
    "confound-gains": "Planted truth: by xaieval's rule (mass accuracy of that method) the biased "
    "model puts more on the hair than the unbiased one.",
}


def _claims() -> Iterator[Claim]:
    for pair in (*ACCURACIES, *ALIGNMENTS):
        unit = "(IoU)" if pair.a.region else ""
        text = f"{pair.text} {unit}".strip()
        yield Claim(f"celeba-{pair.id}", f"CelebA: {text}.", pair.source, pair.published, _GATES)
    for pair in (*ACCURACIES, *ALIGNMENTS):
        unit = "(IoU)" if pair.a.region else ""
        text = f"{pair.text} {unit}".strip()
        yield Claim(f"drawn-{pair.id}", f"Drawn faces: {text}.", "planted", gates=_GATES)
    for id, text in _PLANTED.items():
        yield Claim(id, text, "planted", gates=_GATES)


def run(setup: Setup) -> Outcome:
    """Train both models over the seeds, explain the four groups, and judge every contrast."""
    return run_settings(setup, SIZES[setup.size])


def run_settings(setup: Setup, settings: Settings) -> Outcome:
    from xaieval.reproduce.arms import run_arm

    faces = find_faces(setup, settings)
    setup = replace(setup, data=faces.path, weights=None if faces.drawn else setup.weights)
    options = {name: arm_options(faces, settings, rate=rate) for name, rate in RATES.items()}
    n_train = common_size(faces, settings, options)
    regions = [faces.mouth, *([faces.hair] if faces.hair else [])]
    scored: dict[str, dict[str, Any]] = {
        "explain": {"methods": list(METHODS), "compete": list(COMPETE), "target": "predicted"},
        "score": {"metrics": list(SCORED), "regions": regions},
    }
    arms = {
        name: run_arm(
            setup,
            name,
            arm_study(
                f"smile-bias-{name}",
                f"Smile bias, {name} model",
                faces=faces,
                settings=settings,
                options=options[name],
                n_train=n_train,
                n_test=setup.samples or settings.n_test,
                scored=scored,
            ),
        )
        for name in RATES
    }
    return _outcome(setup, settings, faces, arms, n_train)


def _outcome(
    setup: Setup,
    settings: Settings,
    faces: Faces,
    arms: Mapping[str, Results],
    n_train: int,
) -> Outcome:
    from xaieval.stats.contrasts import contrast

    names = {faces.mouth: "mouth", **({faces.hair: "hair"} if faces.hair else {})}
    frames = {
        name: with_groups(results, results.scores(split="test")).replace({"region": names})
        for name, results in arms.items()
    }
    right = {name: _right(results) for name, results in arms.items()}
    gates = tuple(
        GateResult(Gate(gate.id, gate.text, settings.gate), by_seed(_of(right[arm], groups)))
        for gate, arm, groups in (
            (UNBIASED_GATE, "unbiased", ()),
            (BIASED_GATE, "biased", AGREEING),
        )
    )
    claims = {claim.id: claim for claim in SPEC.claims}
    here, away = ("drawn", "celeba") if faces.drawn else ("celeba", "drawn")
    why = (
        "drawn faces are no photographs: run it whole, with --data"
        if faces.drawn
        else "photographs have no planted truth: run it with --small"
    )
    findings: list[Finding] = []
    elsewhere: list[Finding] = []
    for pair in ACCURACIES:
        found = contrast(*(_of(right[side.arm], side.groups) for side in (pair.a, pair.b)))
        claim = claims[f"{here}-{pair.id}"]
        findings.append(contrast_finding(claim, found, "difference of accuracies", what="faces"))
        elsewhere.append(untested(claims[f"{away}-{pair.id}"], why))
    best, planted = _planted(frames["unbiased"])
    rows = []
    for pair in ALIGNMENTS:
        claim = claims[f"{here}-{pair.id}"]
        elsewhere.append(untested(claims[f"{away}-{pair.id}"], why))
        if pair.a.region not in names.values():
            elsewhere.append(untested(claim, "these faces have no masks of the hair"))
            continue
        for rule, method, metric in _rules(best):
            found = _contrast(frames, pair, method, metric)
            rows.append(_row(pair, rule, method, metric, found))
            if (method, metric) == (PUBLISHED_GRADCAM.method, PUBLISHED_GRADCAM.iou):
                unit = "difference of IoU"
                findings.append(contrast_finding(claim, found, unit, what="faces"))
    for id, first, second, region in (
        ("alignment-falls", "unbiased", "biased", "mouth"),
        ("confound-gains", "biased", "unbiased", "hair"),
    ):
        pair = _Contrast(id, "", "", _Side(first, region), _Side(second, region), "")
        if faces.drawn:
            planted[id] = _contrast(frames, pair, best, "mass_accuracy")
    unit = f"difference of mass accuracy ({best})"
    for id in _PLANTED:
        if faces.drawn:
            findings.append(contrast_finding(claims[id], planted[id], unit, what="faces"))
        else:
            elsewhere.append(untested(claims[id], why))
    findings = [*gated(findings, gates), *elsewhere]
    order = {claim.id: place for place, claim in enumerate(SPEC.claims)}
    findings.sort(key=lambda finding: order[finding.claim.id])
    means = mean_table(frames, ["region", "method_id", "metric_key"])
    by_group = mean_table(frames, ["group", "region", "method_id", "metric_key"])
    accuracy = _accuracy_table(right)
    table = _frame(rows)
    n = right["unbiased"]["sample_id"].nunique()
    rests = f"{len(settings.seeds)} seeds and {n} test faces, as many of each group"
    return Outcome(
        findings=tuple(findings),
        gates=gates,
        sheets=(
            Sheet("accuracy", "Accuracy by group", accuracy, f"Mean over {rests}."),
            Sheet(
                "contrasts",
                "Every contrast under the published rule and under others",
                table,
                "Differences of means, paired by seed and face where both sides are of the same "
                "faces, with two-way bootstrap intervals (95 %) over seeds and faces.",
            ),
            Sheet(
                "means",
                "Alignment of both models, by region",
                means,
                f"Mean over {rests}; the area share is what a map without information gets by "
                "mass and by the pointing game.",
            ),
            Sheet("groups", "Alignment of both models, by group and region", by_group),
        ),
        charts=_charts(accuracy, means, by_group, table, rests),
        pictures=_pictures(setup, faces, arms),
        facts={
            "best_method": best,
            "n_train": n_train,
            "n_test": n,
            "accuracy": accuracy.to_dict("records"),
            "contrasts": table.to_dict("records"),
            "means": means.to_dict("records"),
        },
        notes=_notes(faces, settings, n_train, best),
        studies=tuple(f"studies/{name}" for name in arms),
    )


def _right(results: Results) -> pd.DataFrame:
    frame = with_groups(results, results.predictions(split="test"))
    return frame.assign(value=frame["correct"].astype(float))


def _of(frame: pd.DataFrame, groups: tuple[str, ...]) -> pd.DataFrame:
    return frame[frame["group"].isin(groups)] if groups else frame


def _contrast(
    frames: Mapping[str, pd.DataFrame], pair: _Contrast, method: str, metric: str
) -> Contrast:
    from xaieval.stats.contrasts import contrast

    sides = []
    for side in (pair.a, pair.b):
        frame = _of(frames[side.arm], side.groups)
        keep = (frame["region"] == side.region) & (frame["metric_key"] == metric)
        sides.append(frame[keep & (frame["method_id"] == method)])
    return contrast(*sides, paired=pair.paired)


def _rules(best: str) -> list[tuple[str, str, str]]:
    """Return (rule in words, method, metric) of every way to score that is shown."""
    rules = [
        ("Grad-CAM, IoU (published)", "gradcam", PUBLISHED_GRADCAM.iou),
        ("Grad-CAM, first maximum (published)", "gradcam", PUBLISHED_POINTING),
        ("summed gradient, IoU above mean + 1 std", GRADIENT, "iou[mean+1std]"),
        ("summed gradient, first maximum", GRADIENT, PUBLISHED_POINTING),
        ("Grad-CAM, mass accuracy", "gradcam", "mass_accuracy"),
        ("Grad-CAM, lift", "gradcam", "lift"),
        ("saliency, IoU", "saliency", "iou"),
    ]
    for metric in ("mass_accuracy", "lift", "topk_overlap"):
        rule = f"best method, {metric.replace('_', ' ')}"
        if (best, metric) not in [(method, of) for _, method, of in rules]:
            rules.append((rule, best, metric))
    return rules


def _planted(frame: pd.DataFrame) -> tuple[str, dict[str, Contrast]]:
    """Return the best method on the mouth, chosen on one half, and what it beats on the other."""
    split = best_by_mass(frame, "mouth", compete=COMPETE, salt="smile-bias")
    return split.chosen, {f"best-beats-{name}": split.against[name] for name in ("random", "sobel")}


def _row(pair: _Contrast, rule: str, method: str, metric: str, found: Contrast) -> dict[str, Any]:
    return {
        "contrast": pair.short,
        "rule": rule,
        "method": method,
        "metric": metric,
        **contrast_numbers(found),
        "faces": found.n_images,
        "published": pair.published,
    }


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows)


def _accuracy_table(right: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    from xaieval.stats.bootstrap import two_way

    rows = []
    for name, frame in right.items():
        for group, (unbiased, biased) in _ACCURACY.items():
            found = two_way(_of(frame, (group,)))
            rows.append(
                {
                    "model": name,
                    "group": group,
                    "fits_the_bias": group in AGREEING,
                    "accuracy": found.estimate,
                    "low": found.low,
                    "high": found.high,
                    "n": found.n,
                    "published": unbiased if name == "unbiased" else biased,
                }
            )
    return _frame(rows)


def _charts(
    accuracy: pd.DataFrame,
    means: pd.DataFrame,
    by_group: pd.DataFrame,
    table: pd.DataFrame,
    rests: str,
) -> tuple[Chart, ...]:
    from xaieval.figures.chart import Chart

    charts = [
        Chart(
            id="accuracy",
            kind="bars",
            title="Accuracy of both models, by group",
            table=accuracy,
            x="group",
            y="accuracy",
            low="low",
            high="high",
            group="model",
            y_range=(0.0, 1.0),
            y_label="accuracy",
            caption=f"{rests}; whiskers: 95 % two-way bootstrap. "
            "The first and the last group fit the bias.",
        )
    ]
    shown = by_group[(by_group["method_id"] == "gradcam") & (by_group["metric_key"] == "iou")]
    mass = means[(means["metric_key"] == "mass_accuracy") & means["mean"].notna()]
    for region in ("mouth", "hair"):
        if region not in set(means["region"]):
            continue
        charts.append(
            Chart(
                id=f"gradcam-iou-{region}",
                kind="bars",
                title=f"Grad-CAM's IoU with the {region}, by group",
                table=shown[shown["region"] == region],
                x="group",
                y="mean",
                group="model",
                y_label="IoU",
                caption=f"As published: half of the range. Mean over {rests}.",
            )
        )
        charts.append(
            Chart(
                id=f"mass-{region}",
                kind="bars",
                title=f"Share of each map's mass on the {region}",
                table=mass[mass["region"] == region],
                x="method_id",
                y="mean",
                group="model",
                reference="area_share",
                y_label="mass accuracy",
                caption=f"Mean over {rests}; ticks: the region's area share.",
            )
        )
    charts.append(
        Chart(
            id="contrasts",
            kind="bars",
            title="Contrasts by IoU: unbiased − biased (mouth), biased − unbiased (hair)",
            table=table[table["rule"].isin([rule for rule, _, of in _rules("") if "iou" in of])],
            x="contrast",
            y="difference",
            low="low",
            high="high",
            group="rule",
            y_label="difference of IoU",
            caption="Bars above 0 have the printed sign; smiling − not is of the unbiased model. "
            "Whiskers: 95 % two-way bootstrap.",
        )
    )
    return tuple(charts)


def _pictures(setup: Setup, faces: Faces, arms: Mapping[str, Results]) -> tuple[Picture, ...]:
    """Return a face of each group under both models of the first seed."""
    from xaieval.backend import Backend
    from xaieval.reproduce.gallery import gallery, overlay_rows

    first = arms["unbiased"]
    some = with_groups(first, first.predictions(split="test", seed=first.seeds[0]))
    chosen = some.sort_values("sample_id").drop_duplicates("group").set_index("group")["sample_id"]
    backend = Backend(setup.device)
    try:
        rows = [
            row
            for group in GROUPS.values()
            if group in chosen.index
            for name, results in arms.items()
            for row in overlay_rows(
                results,
                [chosen[group]],
                methods=("gradcam", "saliency", GRADIENT, "sobel"),
                seed=results.seeds[0],
                label=f"{name}\n" + group.replace(", ", ",\n"),
                region=faces.mouth,
                metric="topk_overlap",  # defined on the signed map too
                backend=backend,
            )
        ]
    finally:
        backend.close()
    columns = ["picture and mouth", "Grad-CAM", "saliency", "gradient, summed", "Sobel edges"]
    return (
        Picture(
            "examples",
            "A face of each group under both models",
            gallery(columns, rows),
            "Rows of faces with the mouth outlined: maps of the unbiased and of the biased model.",
            "First seed, the first face of each group.",
        ),
    )


def _notes(faces: Faces, settings: Settings, n_train: int, best: str) -> tuple[str, ...]:
    what = (
        f"Faces: drawn by this package at {settings.side} px; black or blond hair alone, as "
        "published. Half of them wear a hat, which leaves less hair to be seen."
        if faces.drawn
        else f"Faces: {faces.dataset}, those with either black or blond hair, as published."
    )
    where = {
        "mouth_area": "The mouth is the mask of lips and mouth, not the published box from "
        "corner to corner, which needs landmarks.",
        "mouth_box": "The mouth is the published box between its corners.",
    }
    return (
        what,
        f"Both models of a seed train on {n_train} faces for {settings.epochs} epochs; smile and "
        f"black hair agree in half of them, or in {RATES['biased']:.0%} (published: 20,000 faces, "
        "half; 20,200 faces, 99 %).",
        where[faces.mouth],
        "The notebook prints the unbiased model's IoU twice, under two states of its own code: "
        "0.480 over all groups, and 0.083 to 0.142 by group. The latter stand beside the biased "
        "model's and are quoted. It prints no figure for hair, no pointing game, and one seed.",
        "Grad-CAM explains the class that the model predicts, right or wrong.",
        *grid_note(settings),
        f"The best method by mass accuracy on the mouth, chosen on half of the faces: {best}.",
    )


SPEC = ExperimentSpec(
    id="explanation-alignment/smile-bias",
    label="Explanation Alignment: smile bias",
    summary=(
        "Smiles told by two models, one of which saw black hair smile and blond hair not: "
        "accuracy and alignment with mouth and hair, by group, over five seeds."
    ),
    source="Bang, Boggust and Satyanarayan 2024 (eXCV at ECCV)",
    sizes={
        "tiny": "two seeds, 320 drawn faces to train, 24 to test, about a minute",
        "small": "five seeds, 1,200 drawn faces to train, 200 to test, within ten minutes",
        "whole": "five seeds of ResNet-50 on CelebAMask-HQ (mouth and hair) or CelebA (mouth), "
        "up to 20,000 faces to train and 2,000 to test",
    },
    claims=tuple(_claims()),
    gates=(UNBIASED_GATE, BIASED_GATE),
    run=run,
)
