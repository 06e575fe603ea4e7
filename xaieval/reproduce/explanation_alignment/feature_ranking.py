"""Feature ranking: which part of a face does a model use most, and is the order to be trusted?

Models that tell smiles, with and without the hair's help, and models whose deciding feature is
another, are asked which of seven features their heatmaps mark. The same maps are ranked by the
published scores (IoU, pointing game) and by scores that do not favour large features.
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
    judged,
    untested,
)
from xaieval.reproduce.base import ExperimentSpec, Setup, Size
from xaieval.reproduce.explanation_alignment.faces import (
    AGREEING,
    HAIR,
    RATES,
    SEEDS,
    Faces,
    Settings,
    arm_options,
    arm_study,
    common_size,
    find_faces,
    grid_note,
    with_groups,
)
from xaieval.reproduce.explanation_alignment.measures import by_seed, mean_table
from xaieval.reproduce.explanation_alignment.scoring import GRADIENT, PUBLISHED_POINTING

if TYPE_CHECKING:
    import pandas as pd

    from xaieval.figures.chart import Chart
    from xaieval.stats.rankings import RankAgreement
    from xaieval.study import Results

SOURCE = "celeba_mask_feature_ranking, github.com/mitvis/explanation_alignment at 79fb563f"
IG = "integrated_gradients[n_steps=10]"
METHODS = (
    "gradcam",
    "saliency",
    GRADIENT,
    {"id": "integrated_gradients", "n_steps": 10},
    "random",
    "sobel",
    "centre_prior",
)
COMPETE = ("gradcam", "saliency", "integrated_gradients")
SCORED = (
    "iou",
    "iou[mean+1std]",
    "pointing_game",
    PUBLISHED_POINTING,
    "mass_accuracy",
    "lift",
    "area_share",
    "ceiling",
)


@dataclass(frozen=True)
class Arm:
    """What a model tells, what helps it in training, and which feature has to decide."""

    name: str
    attribute: str
    bias: str
    rate: float
    feature: str
    text: str
    photographs: bool = True

    @property
    def gate(self) -> Gate:
        what = "on the groups that fit the bias" if self.rate > 0.5 else "on unbiased test faces"
        return Gate(f"{self.name}-accuracy", f"accuracy of each {self.text} {what}", 0.9)


# Of the generator's attributes those that a small network learns in minutes (accuracy 0.9 or more,
# looked at before any map was scored): brows (0.85) and nose (0.79) are not among them.
ARMS = (
    Arm("smiling", "Smiling", HAIR[0], RATES["unbiased"], "mouth", "unbiased smile model"),
    Arm("smiling-biased", "Smiling", HAIR[0], RATES["biased"], "hair", "biased smile model"),
    Arm("black-hair", HAIR[0], "Smiling", 0.5, "hair", "hair model"),
    Arm("necktie", "Wearing_Necktie", "Smiling", 0.5, "cloth", "necktie model", False),
)
SIZES: Mapping[Size, Settings] = {
    "tiny": Settings(3000, 64, 240, 16, (42, 43), 3),
    "small": Settings(10000, 80, 1200, 160, SEEDS, 12),
    "whole": Settings(None, 224, 20000, 2000, SEEDS, 10, "resnet50", 128, 1e-4),
}


@dataclass(frozen=True)
class Rule:
    """One way to rank: a method's maps under a score; ``short`` is for figures."""

    id: str
    short: str
    label: str
    method: str
    metric: str


PUBLISHED_IOU = Rule("published-iou", "Grad-CAM IoU", "Grad-CAM, IoU (published)", "gradcam", "iou")
PUBLISHED_FIRST = Rule(
    "published-pointing",
    "Grad-CAM maximum",
    "Grad-CAM, first maximum (published)",
    "gradcam",
    PUBLISHED_POINTING,
)
MASS = Rule("gradcam-mass", "Grad-CAM mass", "Grad-CAM, mass accuracy", "gradcam", "mass_accuracy")
LIFT = Rule("gradcam-lift", "Grad-CAM lift", "Grad-CAM, lift", "gradcam", "lift")
SALIENCY = Rule("saliency-lift", "saliency lift", "saliency, lift", "saliency", "lift")
GRADIENTS = Rule("ig-lift", "IG lift", "integrated gradients, lift", IG, "lift")
SUMMED = Rule(
    "gradient-iou",
    "Σ gradient IoU",
    "summed gradient, IoU above mean + 1 std",
    GRADIENT,
    "iou[mean+1std]",
)
RANDOM = Rule("random-iou", "random IoU", "random, IoU", "random", "iou")
SOBEL = Rule("sobel-lift", "Sobel lift", "Sobel edges, lift", "sobel", "lift")
CENTRE = Rule("centre-lift", "centre lift", "centre prior, lift", "centre_prior", "lift")
RULES = (
    PUBLISHED_IOU,
    PUBLISHED_FIRST,
    MASS,
    LIFT,
    SALIENCY,
    GRADIENTS,
    SUMMED,
    RANDOM,
    SOBEL,
    CENTRE,
)
AREA = Rule("area", "area", "area share", "", "area_share")
SHORT = {rule.id: rule.short for rule in (*RULES, AREA)}
PAIRS = (
    (PUBLISHED_IOU, AREA),
    (RANDOM, AREA),
    (MASS, AREA),
    (LIFT, AREA),
    (PUBLISHED_IOU, LIFT),
    (PUBLISHED_IOU, PUBLISHED_FIRST),
    (LIFT, SALIENCY),
    (LIFT, GRADIENTS),
)
"""Rankings that are set against each other, for every model."""
FOLLOWS = (("smiling", PUBLISHED_IOU), ("smiling-biased", PUBLISHED_IOU), ("smiling", RANDOM))


def _claims() -> Iterator[Claim]:
    for arm in ARMS[:2]:
        text = (
            f"of the seven features the {arm.feature} ranks first by Grad-CAM's IoU for the "
            f"{arm.text}."
        )
        said = f"{SOURCE}: what its README says each model relies on; it prints no ranking"
        yield Claim(f"celeba-{arm.name}", f"CelebAMask-HQ: {text}", said, gates=(arm.gate.id,))
        yield Claim(f"drawn-{arm.name}", f"Drawn faces: {text}", "planted", gates=(arm.gate.id,))
    for arm in ARMS:
        text = f"of the seven features the {arm.feature} ranks first by Grad-CAM's lift for the "
        yield Claim(
            f"lift-{arm.name}", f"Planted truth: {text}{arm.text}.", "planted", gates=(arm.gate.id,)
        )
    for name, rule in FOLLOWS:
        arm = _arm(name)
        yield Claim(
            f"area-{rule.id}-{name}",
            f"The {arm.text}'s ranking by {rule.label} goes with the features' area (tau above 0).",
            "xaieval: large features win IoU",
            gates=(arm.gate.id,),
        )


def _arm(name: str) -> Arm:
    return next(arm for arm in ARMS if arm.name == name)


def run(setup: Setup) -> Outcome:
    """Train the models over the seeds, rank the features of each, and judge the claims."""
    return run_settings(setup, SIZES[setup.size])


def run_settings(setup: Setup, settings: Settings) -> Outcome:
    from xaieval.datasets.face_parts import FEATURES
    from xaieval.reproduce.arms import run_arm

    faces = find_faces(setup, settings, masks=True)
    setup = replace(setup, data=faces.path, weights=None if faces.drawn else setup.weights)
    used = {arm.name: arm for arm in ARMS if faces.drawn or arm.photographs}
    options = {
        arm.name: arm_options(
            faces,
            settings,
            attribute=arm.attribute,
            bias=arm.bias,
            rate=arm.rate,
            features=True,
        )
        for arm in used.values()
    }
    n_train = common_size(faces, settings, options)
    scored: dict[str, dict[str, Any]] = {
        "explain": {"methods": list(METHODS), "compete": list(COMPETE), "target": "predicted"},
        "score": {"metrics": list(SCORED), "regions": list(FEATURES.values())},
    }
    arms = {
        arm.name: run_arm(
            setup,
            arm.name,
            arm_study(
                f"feature-ranking-{arm.name}",
                f"Feature ranking, {arm.text}",
                faces=faces,
                settings=settings,
                options=options[arm.name],
                n_train=n_train,
                n_test=setup.samples or settings.n_test,
                scored=scored,
            ),
        )
        for arm in used.values()
    }
    names = {region: feature for feature, region in FEATURES.items()}
    return _outcome(setup, settings, faces, arms, names, n_train)


def _outcome(
    setup: Setup,
    settings: Settings,
    faces: Faces,
    arms: Mapping[str, Results],
    names: Mapping[str, str],
    n_train: int,
) -> Outcome:
    frames = {
        name: results.scores(split="test").replace({"region": dict(names)})
        for name, results in arms.items()
    }
    gates = tuple(_gate(_arm(name), results, settings.gate) for name, results in arms.items())
    ranks = rank_table(frames)
    agreements = agreement_table(frames)
    findings = _findings(faces, frames, ranks, agreements, gates)
    means = mean_table(frames, ["region", "method_id", "metric_key"])
    n = arms["smiling"].predictions(split="test")["sample_id"].nunique()
    rests = f"{len(settings.seeds)} seeds and up to {n} test faces"
    across = across_table(frames)
    return Outcome(
        findings=findings,
        gates=gates,
        sheets=(
            Sheet(
                "ranks",
                "Places of the seven features, by model and rule",
                ranks,
                f"Rank 1 is the highest mean over {rests}; low and high: between which places the "
                "feature moves (95 %, two-way bootstrap).",
            ),
            Sheet(
                "agreements",
                "How well two rankings of one model agree",
                agreements,
                "Kendall's tau with two-way bootstrap intervals (95 %) over seeds and faces.",
            ),
            Sheet(
                "bias",
                "How well the rankings of the unbiased and the biased smile model agree",
                across,
                "Kendall's tau with two-way bootstrap intervals (95 %) over seeds and faces.",
            ),
            Sheet("means", "Mean scores of every feature", means, f"Mean over {rests}."),
        ),
        charts=_charts(ranks, agreements, rests),
        pictures=_pictures(setup, arms),
        facts={
            "n_train": n_train,
            "n_test": n,
            "ranks": ranks.to_dict("records"),
            "agreements": agreements.to_dict("records"),
            "bias": across.to_dict("records"),
        },
        notes=_notes(faces, settings, n_train, ranks),
        studies=tuple(f"studies/{name}" for name in arms),
    )


def _gate(arm: Arm, results: Results, minimum: float) -> GateResult:
    right = with_groups(results, results.predictions(split="test"))
    if arm.rate > 0.5:
        right = right[right["group"].isin(AGREEING)]
    right = right.assign(value=right["correct"].astype(float))
    return GateResult(Gate(arm.gate.id, arm.gate.text, minimum), by_seed(right), arm.text)


def _values(frame: pd.DataFrame, rule: Rule) -> pd.DataFrame:
    """Return the rows of a rule, column ``feature`` beside them."""
    keep = frame["metric_key"] == rule.metric
    if rule is not AREA:
        keep &= frame["method_id"] == rule.method
    found = frame[keep].rename(columns={"region": "feature"})
    return found.drop_duplicates(["seed", "sample_id", "feature"]) if rule is AREA else found


def rank_table(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return every feature's place under every model and rule, its area share beside it."""
    import pandas as pd

    from xaieval.stats.rankings import rank_intervals

    parts = []
    for name, frame in frames.items():
        shares = _values(frame, AREA).groupby("feature")["value"].mean()
        for rule in (*RULES, AREA):
            found = rank_intervals(_values(frame, rule), item="feature")
            found.insert(0, "model", name)
            found.insert(1, "rule", rule.label)
            found.insert(2, "rule_id", rule.id)
            parts.append(found.assign(area_share=found["feature"].map(shares)))
    return pd.concat(parts, ignore_index=True)


def agreement_table(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return how well the pairs of rankings agree, for every model."""
    import pandas as pd

    from xaieval.stats.rankings import ranking_agreement

    rows = []
    for name, frame in frames.items():
        for first, second in PAIRS:
            found = ranking_agreement(_values(frame, first), _values(frame, second), item="feature")
            rows.append({"model": name, **_agreement(first, second, found)})
    return pd.DataFrame(rows)


def across_table(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return how well the rankings of the two smile models agree, by rule."""
    import pandas as pd

    from xaieval.stats.rankings import ranking_agreement

    rows = []
    for rule in RULES:
        found = ranking_agreement(
            _values(frames["smiling"], rule),
            _values(frames["smiling-biased"], rule),
            item="feature",
        )
        rows.append(_agreement(rule, rule, found))
    return pd.DataFrame(rows)


def _agreement(first: Rule, second: Rule, found: RankAgreement) -> dict[str, Any]:
    return {
        "first": first.label,
        "second": second.label,
        "first_id": first.id,
        "second_id": second.id,
        "tau": found.estimate,
        "low": found.low,
        "high": found.high,
        "features": found.n_items,
        "faces": found.n_images,
        "seeds": found.n_seeds,
        "first_order": ", ".join(found.first),
        "second_order": ", ".join(found.second),
    }


def _findings(
    faces: Faces,
    frames: Mapping[str, pd.DataFrame],
    ranks: pd.DataFrame,
    agreements: pd.DataFrame,
    gates: tuple[GateResult, ...],
) -> tuple[Finding, ...]:
    claims = {claim.id: claim for claim in SPEC.claims}
    photographs = "photographs have no planted truth: run it with --small"
    elsewhere: list[Finding] = []
    findings: list[Finding] = []
    here, away = ("drawn", "celeba") if faces.drawn else ("celeba", "drawn")
    for arm in ARMS[:2]:
        findings.append(_first(claims[f"{here}-{arm.name}"], arm, PUBLISHED_IOU, ranks, frames))
        why = "drawn faces are no photographs: run it whole, with --data"
        elsewhere.append(
            untested(claims[f"{away}-{arm.name}"], why if faces.drawn else photographs)
        )
    for arm in ARMS:
        claim = claims[f"lift-{arm.name}"]
        if faces.drawn:
            findings.append(_first(claim, arm, LIFT, ranks, frames))
        else:
            elsewhere.append(untested(claim, photographs))
    for name, rule in FOLLOWS:
        keep = (agreements["model"] == name) & (agreements["first_id"] == rule.id)
        row = agreements[keep & (agreements["second_id"] == AREA.id)].iloc[0]
        findings.append(
            judged(
                claims[f"area-{rule.id}-{name}"],
                value=float(row["tau"]),
                low=float(row["low"]),
                high=float(row["high"]),
                n=f"{row['seeds']} seeds × {row['faces']} faces, {row['features']} features",
                unit="Kendall's tau",
                why=f"by area: {row['second_order']}",
            )
        )
    order = {claim.id: place for place, claim in enumerate(SPEC.claims)}
    found = [*gated(findings, gates), *elsewhere]
    return tuple(sorted(found, key=lambda finding: order[finding.claim.id]))


def _first(
    claim: Claim,
    arm: Arm,
    rule: Rule,
    ranks: pd.DataFrame,
    frames: Mapping[str, pd.DataFrame],
) -> Finding:
    """Judge that a feature ranks first: its place, and the places between which it moves."""
    table = ranks[(ranks["model"] == arm.name) & (ranks["rule_id"] == rule.id)]
    row = table[table["feature"] == arm.feature].iloc[0]
    frame = frames[arm.name]
    order = ", ".join(table.sort_values("rank")["feature"])
    return judged(
        claim,
        value=float(row["rank"]),
        low=float(row["low"]),
        high=float(row["high"]),
        n=f"{frame['seed'].nunique()} seeds × {frame['sample_id'].nunique()} faces",
        unit="place among seven",
        side="below",
        bound=1.5,
        why=f"order: {order}",
    )


def _charts(ranks: pd.DataFrame, agreements: pd.DataFrame, rests: str) -> tuple[Chart, ...]:
    from xaieval.figures.chart import Chart

    charts = []
    for rule, unit in ((PUBLISHED_IOU, "IoU"), (LIFT, "lift over area share")):
        charts.append(
            Chart(
                id=rule.id,
                kind="heat",
                title=f"Seven features by {rule.label}",
                table=ranks[ranks["rule_id"] == rule.id],
                x="model",
                y="feature",
                value="mean",
                caption=f"Mean {unit} over {rests}.",
            )
        )
    for arm in ARMS:
        part = ranks[ranks["model"] == arm.name]
        if part.empty:
            continue
        charts.append(
            Chart(
                id=f"places-{arm.name}",
                kind="heat",
                title=f"Place of each feature for the {arm.text}, by rule",
                table=part.assign(rule=part["rule_id"].map(SHORT)),
                x="rule",
                y="feature",
                value="rank",
                caption=f"1 is the highest mean over {rests}; the {arm.feature} has to decide.",
            )
        )
    for rule in (PUBLISHED_IOU, RANDOM):
        charts.append(
            Chart(
                id=f"area-{rule.id}",
                kind="points",
                title=f"{rule.label} against the features' area",
                table=ranks[ranks["rule_id"] == rule.id],
                x="area_share",
                y="mean",
                group="model",
                label="feature",
                x_label="area share",
                y_label="mean IoU",
                trend=True,
                caption=f"A point per model and feature, mean over {rests}.",
            )
        )
    pairs = agreements.assign(
        pair=[f"{SHORT[a]} | {SHORT[b]}" for a, b in agreements[["first_id", "second_id"]].values]
    )
    charts.append(
        Chart(
            id="agreements",
            kind="heat",
            title="How well two rankings of one model agree",
            table=pairs,
            x="model",
            y="pair",
            value="tau",
            caption=f"Kendall's tau over {rests}; intervals are in the table.",
        )
    )
    return tuple(charts)


def _pictures(setup: Setup, arms: Mapping[str, Results]) -> tuple[Picture, ...]:
    """Return two faces of every model, the feature that has to decide outlined."""
    from xaieval.backend import Backend
    from xaieval.datasets.face_parts import FEATURES
    from xaieval.reproduce.gallery import gallery, overlay_rows

    backend = Backend(setup.device)
    rows = []
    try:
        for name, results in arms.items():
            arm = _arm(name)
            some = results.predictions(split="test", seed=results.seeds[0]).sort_values("sample_id")
            rows += overlay_rows(
                results,
                some.drop_duplicates("class")["sample_id"].tolist(),
                methods=("gradcam", "saliency", IG, "sobel"),
                seed=results.seeds[0],
                label=arm.text.replace(" ", "\n", 1),
                region=FEATURES[arm.feature],
                metric="lift",
                backend=backend,
            )
    finally:
        backend.close()
    columns = ["picture and feature", "Grad-CAM", "saliency", "integrated gr.", "Sobel edges"]
    return (
        Picture(
            "examples",
            "Two faces under every model",
            gallery(columns, rows),
            "Rows of faces with the deciding feature outlined, and maps of the models on them.",
            "First seed; the outline is the feature that has to decide.",
        ),
    )


def _notes(faces: Faces, settings: Settings, n_train: int, ranks: pd.DataFrame) -> tuple[str, ...]:
    areas = ranks[(ranks["rule_id"] == AREA.id) & (ranks["model"] == "smiling")]
    shares = dict(zip(areas["feature"], areas["mean"], strict=True))
    source = "drawn by this package" if faces.drawn else faces.dataset
    by_area = ", ".join(f"{name} {100 * share:.1f} %" for name, share in shares.items())
    return (
        f"Faces: {source} at {settings.side} px; each model trains on {n_train} of them for "
        f"{settings.epochs} epochs.",
        f"Area shares: {by_area}.",
        *grid_note(settings),
        "The notebook ranks the features for the smile models of the bias experiment alone. The "
        "models whose deciding feature is another are added here, to see whether the right one "
        "comes first.",
        "The notebook counts a feature that a face lacks as 0; here it is left out of that "
        "feature's mean. Its skin is the whole mask, here what no later part covers.",
    )


SPEC = ExperimentSpec(
    id="explanation-alignment/feature-ranking",
    label="Explanation Alignment: feature ranking",
    summary=(
        "Seven features of a face ranked by what heatmaps mark, for models whose deciding feature "
        "is known: by IoU and pointing game as published, and by lift over area."
    ),
    source="Bang, Boggust and Satyanarayan 2024 (eXCV at ECCV)",
    sizes={
        "tiny": "four models of two seeds each, 240 drawn faces to train, about a minute",
        "small": "four models of five seeds each, 1,200 drawn faces to train, 160 to test, "
        "within ten minutes",
        "whole": "three models of five seeds each, ResNet-50 on CelebAMask-HQ",
    },
    claims=tuple(_claims()),
    gates=tuple(arm.gate for arm in ARMS),
    run=run,
)
