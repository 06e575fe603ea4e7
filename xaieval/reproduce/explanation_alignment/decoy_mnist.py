"""Decoy MNIST: is a model that learned the coloured block told apart from one that learned digits?

Two models per seed: one trained where the block's colour is random, one where it is that of the
digit. Both are tested on digits with a colour that gives nothing away and with one that does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
)
from xaieval.reproduce.base import ExperimentSpec, Setup, Size
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
    OUR_GRADIENT,
    PUBLISHED_GRADIENT,
    Scoring,
)

if TYPE_CHECKING:
    import pandas as pd

    from xaieval.datasets.base import Record
    from xaieval.stats.contrasts import Contrast
    from xaieval.study import Results

SOURCE = "mnist_spurious_experiment, github.com/mitvis/explanation_alignment at 79fb563f"
SEEDS = (42, 43, 44, 45, 46)
ARMS = {"honest": "uncorrelated", "spurious": "correlated"}
"""Arm -> how the block's colour goes with the digit in training."""
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


@dataclass(frozen=True)
class _Settings:
    """Numbers of digits, seeds and epochs; ``gamma`` multiplies the rate after each epoch."""

    n_train: int | None
    n_test: int | None
    seeds: tuple[int, ...]
    epochs: int
    batch: int
    gamma: float
    gate: float


# Published: 60,000 digits, 4 epochs in batches of 64, gamma 0.7: 3,752 steps. The small form has
# 7,000 digits; batches of 16 over 8 epochs give 3,504 steps at the same rate, which falls to the
# same share. Its gate was set for a ninth of the digits.
_SIZES: Mapping[Size, _Settings] = {
    "tiny": _Settings(1000, 30, (42, 43), 2, 16, 0.7 ** (4 / 2), 0.9),
    "small": _Settings(None, 200, SEEDS, 8, 16, 0.7 ** (4 / 8), 0.9),
    "whole": _Settings(None, 1000, SEEDS, 4, 64, 0.7, 0.97),
}

HONEST_GATE = Gate(
    "honest-accuracy",
    "accuracy of each honest model on digits with an uninformative block "
    "(at least 0.97 whole, 0.90 small and tiny)",
    0.97,
)
SPURIOUS_GATE = Gate(
    "spurious-accuracy",
    "accuracy of each spurious model on digits with their own colour "
    "(at least 0.97 whole, 0.90 small and tiny)",
    0.97,
)


@dataclass(frozen=True)
class _Side:
    """Where a mean comes from: arm, test condition, region."""

    arm: str
    condition: str
    region: str

    @property
    def text(self) -> str:
        return f"{self.arm} model, {self.condition} test, {self.region}"


@dataclass(frozen=True)
class _Contrast:
    """A published pair of means: the first is the greater one. ``short`` is for figures."""

    id: str
    short: str
    text: str
    a: _Side
    b: _Side
    iou: tuple[float, float]
    pointing: tuple[float, float]


_H_DIGIT = _Side("honest", "uncorrelated", "digit")
_H_BLOCK = _Side("honest", "uncorrelated", "block")
_S_DIGIT = _Side("spurious", "uncorrelated", "digit")
_S_BLOCK = _Side("spurious", "uncorrelated", "block")
_C_DIGIT = _Side("spurious", "correlated", "digit")
_C_BLOCK = _Side("spurious", "correlated", "block")

CONTRASTS = (
    _Contrast(
        "honest-digit-over-block",
        "honest: digit − block",
        "The honest model attends to the digit more than to the block",
        _H_DIGIT,
        _H_BLOCK,
        (0.2939, 0.0014),
        (0.6978, 0.0),
    ),
    _Contrast(
        "spurious-block-over-digit",
        "spurious: block − digit",
        "The spurious model attends to the block more than to the digit (uncorrelated test)",
        _S_BLOCK,
        _S_DIGIT,
        (0.2218, 0.0866),
        (0.9371, 0.0480),
    ),
    _Contrast(
        "digit-honest-over-spurious",
        "digit: honest − spurious",
        "The honest model attends to the digit more than the spurious one does",
        _H_DIGIT,
        _S_DIGIT,
        (0.2939, 0.0866),
        (0.6978, 0.0480),
    ),
    _Contrast(
        "block-spurious-over-honest",
        "block: spurious − honest",
        "The spurious model attends to the block more than the honest one does",
        _S_BLOCK,
        _H_BLOCK,
        (0.2218, 0.0014),
        (0.9371, 0.0),
    ),
    _Contrast(
        "block-uncorrelated-over-correlated",
        "spurious block: misleading − fitting",
        "The spurious model attends to the block more where its colour misleads than where it fits",
        _S_BLOCK,
        _C_BLOCK,
        (0.2218, 0.1442),
        (0.9371, 0.6129),
    ),
    _Contrast(
        "digit-correlated-over-uncorrelated",
        "spurious digit: fitting − misleading",
        "The spurious model attends to the digit more where the colour fits than where it misleads",
        _C_DIGIT,
        _S_DIGIT,
        (0.1526, 0.0866),
        (0.2142, 0.0480),
    ),
)
# On correlated digits the prints disagree: by IoU the spurious model attends to the digit
# slightly more, by the pointing game to the block far more. Both signs are claims.
_MIXED = {
    "iou": _Contrast(
        "correlated-digit-over-block",
        "fitting colour: digit − block",
        "On fitting colours the spurious model attends to the digit more than to the block",
        _C_DIGIT,
        _C_BLOCK,
        (0.1526, 0.1442),
        (0.2142, 0.6129),
    ),
    "pointing": _Contrast(
        "correlated-block-over-digit",
        "fitting colour: block − digit",
        "On fitting colours the spurious model attends to the block more than to the digit",
        _C_BLOCK,
        _C_DIGIT,
        (0.1442, 0.1526),
        (0.6129, 0.2142),
    ),
}
_GATES = (HONEST_GATE.id, SPURIOUS_GATE.id)


def _pairs() -> Iterator[tuple[str, _Contrast, str]]:
    """Yield (claim id, contrast, "iou" or "pointing") of every published sign."""
    for kind in ("iou", "pointing"):
        for found in (*CONTRASTS, _MIXED[kind]):
            yield f"{found.id}-{kind}", found, kind


def _claims() -> Iterator[Claim]:
    yield Claim(
        "accuracy-drops",
        "On digits whose block misleads, the spurious model is less accurate than the honest one.",
        SOURCE,
        "0.4608 against 0.9807",
        _GATES,
    )
    yield Claim(
        "accuracy-follows-colour",
        "The spurious model is more accurate where the colour fits than where it misleads.",
        SOURCE,
        "0.9964 against 0.4608",
        _GATES,
    )
    for id, pair, kind in _pairs():
        name = "IoU above mean + 1 std" if kind == "iou" else "pointing game"
        a, b = getattr(pair, kind)
        yield Claim(id, f"{pair.text} ({name}).", SOURCE, f"{a:.4f} against {b:.4f}", _GATES)
    for id, text in _PLANTED.items():
        yield Claim(id, text, "planted", gates=_GATES)


_PLANTED = {
    "best-beats-random": "Planted truth: the honest model's best method, chosen on half of the "
    "images, puts more of its mass on the digit than a random map does.",
    "best-beats-sobel": "Planted truth: the honest model's best method, chosen on half of the "
    "images, puts more of its mass on the digit than an edge detector does.",
    "alignment-falls": "Planted truth: by xaieval's rule (mass accuracy of that method) the "
    "spurious model is less aligned with the digit than the honest one.",
    "confound-gains": "Planted truth: by xaieval's rule (mass accuracy of that method) the "
    "spurious model puts more on the block than the honest one.",
}


def run(setup: Setup) -> Outcome:
    """Train both models over the seeds, explain both tests, and judge every printed contrast."""
    return run_settings(setup, _SIZES[setup.size])


def run_settings(setup: Setup, settings: _Settings) -> Outcome:
    from xaieval.reproduce.arms import run_arm

    arms = {name: run_arm(setup, name, _study(setup, settings, name)) for name in ARMS}
    return _outcome(setup, settings, arms)


def _study(setup: Setup, settings: _Settings, arm: str) -> dict[str, dict[str, Any]]:
    return {
        "study": {"id": f"decoy-mnist-{arm}", "title": f"Decoy MNIST, {arm} model"},
        "data": {
            "name": "decoy-mnist",
            "split_scheme": "layout",
            "options": {
                "train": ARMS[arm],
                "test_colours": "permuted",
                "n_train": settings.n_train,
                "n_test": setup.samples or settings.n_test,
            },
        },
        "model": {
            "arch": "mnist-cnn",
            "input_size": [28, 28],
            "dropout": 0.5,
            "decoder": False,
            "mean": [0.0, 0.0, 0.0],
            "std": [1.0, 1.0, 1.0],
        },
        "train": {
            "seeds": list(settings.seeds),
            "epochs": settings.epochs,
            "batch": settings.batch,
            "lr": 0.01,
            "optimizer": "sgd",
            "momentum": 0.5,
            "schedule": "step",
            "gamma": settings.gamma,
            "beta": 0.0,
            "augment": "none",
        },
        "explain": {"methods": list(METHODS), "compete": list(COMPETE), "target": "predicted"},
        "score": {"metrics": list(METRICS), "regions": ["digit", "block"]},
        "run": {"splits": ["test"], "chunk": 100},
    }


def _outcome(setup: Setup, settings: _Settings, arms: Mapping[str, Results]) -> Outcome:
    from xaieval.stats.contrasts import contrast

    frames = {name: _scores(results) for name, results in arms.items()}
    right = {name: _right(results) for name, results in arms.items()}
    gates = tuple(
        GateResult(_at(gate, settings.gate), by_seed(_of(right[arm], condition)), gate.text)
        for gate, arm, condition in (
            (HONEST_GATE, "honest", "uncorrelated"),
            (SPURIOUS_GATE, "spurious", "correlated"),
        )
    )
    known = {claim.id: claim for claim in SPEC.claims}
    findings = [
        _finding(
            known["accuracy-drops"],
            contrast(_of(right["honest"], "uncorrelated"), _of(right["spurious"], "uncorrelated")),
            "difference of accuracies",
        ),
        _finding(
            known["accuracy-follows-colour"],
            contrast(_of(right["spurious"], "correlated"), _of(right["spurious"], "uncorrelated")),
            "difference of accuracies",
        ),
    ]
    rows = []
    for id, pair, kind in _pairs():
        for scoring in (PUBLISHED_GRADIENT, OUR_GRADIENT):
            metric = scoring.iou if kind == "iou" else scoring.pointing
            found = contrast(
                *(_values(frames, side, scoring.method, metric) for side in (pair.a, pair.b))
            )
            rows.append(_row(id, pair, scoring, metric, found))
            if scoring is PUBLISHED_GRADIENT:
                name = "difference of IoU" if kind == "iou" else "difference of pointing games"
                findings.append(_finding(known[id], found, name))
    planted, best = _planted(frames, known)
    findings += planted
    means = mean_table(frames, ["condition", "region", "method_id", "metric_key"])
    table = _table(rows)
    records = _records(arms["honest"])
    return Outcome(
        findings=tuple(gated(findings, gates)),
        gates=gates,
        sheets=(
            Sheet(
                "means",
                "Alignment of both models, by test and region",
                means,
                f"Mean over {_settings_text(settings, records)}; the area share is what a map "
                "without information gets by mass and by the pointing game.",
            ),
            Sheet(
                "contrasts",
                "Every printed contrast under the published rule and under xaieval's",
                table,
                "Differences of means, paired by seed and digit, with two-way bootstrap intervals "
                "(95 %) over seeds and images.",
            ),
        ),
        charts=_charts(means, table),
        pictures=_pictures(setup, arms),
        facts={
            "best_method": best,
            "means": means.to_dict("records"),
            "contrasts": table.to_dict("records"),
            "digits": sorted({str(r.meta["source"]) for r in records}),
        },
        notes=_notes(records, settings, best),
        studies=tuple(f"studies/{name}" for name in arms),
    )


def _at(gate: Gate, minimum: float) -> Gate:
    return Gate(gate.id, gate.text, minimum)


def _scores(results: Results) -> pd.DataFrame:
    """Return the scores of an arm, test condition and digit parted from the sample's id."""
    frame = results.scores(split="test")
    parts = frame["sample_id"].str.partition("/")
    return frame.assign(condition=parts[0], sample_id=parts[2])


def _right(results: Results) -> pd.DataFrame:
    frame = results.predictions(split="test")
    parts = frame["sample_id"].str.partition("/")
    return frame.assign(
        condition=parts[0], sample_id=parts[2], value=frame["correct"].astype(float)
    )


def _of(frame: pd.DataFrame, condition: str) -> pd.DataFrame:
    return frame[frame["condition"] == condition]


def _values(
    frames: Mapping[str, pd.DataFrame], side: _Side, method: str, metric: str
) -> pd.DataFrame:
    frame = _of(frames[side.arm], side.condition)
    keep = (frame["region"] == side.region) & (frame["metric_key"] == metric)
    return frame[keep & (frame["method_id"] == method)]


def _finding(claim: Claim, found: Contrast, unit: str) -> Finding:
    return contrast_finding(claim, found, unit, what="digits")


def _row(
    id: str, pair: _Contrast, scoring: Scoring, metric: str, found: Contrast
) -> dict[str, Any]:
    return {
        "claim": id,
        "contrast": pair.short,
        "rule": scoring.label,
        "method": scoring.method,
        "metric": metric,
        "a": pair.a.text,
        "b": pair.b.text,
        **contrast_numbers(found),
        "digits": found.n_images,
    }


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows)


def _planted(
    frames: Mapping[str, pd.DataFrame], known: Mapping[str, Claim]
) -> tuple[list[Finding], str]:
    """Judge what is known of these data: the digit decides honestly, the block is the confound."""
    from xaieval.stats.contrasts import contrast

    frame = _of(frames["honest"], "uncorrelated")
    split = best_by_mass(frame, "digit", compete=COMPETE, salt="decoy-mnist")
    best = split.chosen
    unit = f"difference of mass accuracy ({best})"
    findings = [
        _finding(known[f"best-beats-{name}"], split.against[name], unit)
        for name in ("random", "sobel")
    ]
    for id, first, second in (
        ("alignment-falls", _H_DIGIT, _S_DIGIT),
        ("confound-gains", _S_BLOCK, _H_BLOCK),
    ):
        found = contrast(
            *(_values(frames, side, best, "mass_accuracy") for side in (first, second))
        )
        findings.append(_finding(known[id], found, unit))
    return findings, best


def _charts(means: pd.DataFrame, table: pd.DataFrame) -> tuple[Any, ...]:
    from xaieval.figures.chart import Chart

    charts = []
    for kind, name in (("iou", "IoU"), ("pointing", "pointing game")):
        part = table[table["claim"].str.endswith(f"-{kind}")]
        charts.append(
            Chart(
                id=f"contrasts-{kind}",
                kind="bars",
                title=f"Printed contrasts by {name}: positive as printed",
                table=part,
                x="contrast",
                y="difference",
                low="low",
                high="high",
                group="rule",
                y_label=f"difference of {name}",
                caption="Bars above 0 have the printed sign. Whiskers: 95 % two-way bootstrap.",
            )
        )
    mass = means[(means["metric_key"] == "mass_accuracy") & (means["condition"] == "uncorrelated")]
    for region in ("digit", "block"):
        charts.append(
            Chart(
                id=f"mass-{region}",
                kind="bars",
                title=f"Share of each map's mass on the {region} (uncorrelated test)",
                table=mass[(mass["region"] == region) & mass["mean"].notna()],
                x="method_id",
                y="mean",
                group="model",
                reference="area_share",
                y_label="mass accuracy",
                caption="Mean over seeds and images; ticks: the region's area share.",
            )
        )
    return tuple(charts)


def _pictures(setup: Setup, arms: Mapping[str, Results]) -> tuple[Picture, ...]:
    """Return the same digits under both models of the first seed."""
    from xaieval.backend import Backend
    from xaieval.reproduce.gallery import gallery, overlay_rows

    some = arms["honest"].predictions(split="test", seed=arms["honest"].seeds[0])
    some = some[some["sample_id"].str.startswith("uncorrelated/")]
    ids = some.drop_duplicates("class")["sample_id"].tolist()[:3]
    shown = (GRADIENT, "saliency", "gradcam", "sobel")
    backend = Backend(setup.device)
    try:
        rows = [
            row
            for sample in ids
            for name, results in arms.items()
            for row in overlay_rows(
                results,
                [sample],
                methods=shown,
                seed=results.seeds[0],
                label=f"{name} model",
                metric="pointing_game",
                backend=backend,
            )
        ]
    finally:
        backend.close()
    columns = ["picture and digit", "gradient, summed", "saliency", "Grad-CAM", "Sobel edges"]
    return (
        Picture(
            "examples",
            "The same digits under both models",
            gallery(columns, rows),
            "Rows of digits with a coloured block: maps of the honest and of the spurious model.",
            "Uncorrelated test, first seed; the outline is the digit's mask.",
        ),
    )


def _records(results: Results) -> Sequence[Record]:
    dataset = results.dataset()
    assert dataset is not None, "measured results have a dataset"
    return dataset.records


def _settings_text(settings: _Settings, records: Sequence[Record]) -> str:
    """Return what a number rests on, in words."""
    n = len({r.id.partition("/")[2] for r in records if r.layout_split == "test"})
    return f"{len(settings.seeds)} seeds and {n} test digits"


def _notes(records: Sequence[Record], settings: _Settings, best: str) -> tuple[str, ...]:
    source = str(records[0].meta["source"])
    n_train = sum(record.layout_split == "train" for record in records)
    return (
        f"Digits: {source}; {n_train} of them trained on for {settings.epochs} epochs in batches "
        f"of {settings.batch} (published: 60,000 digits, 4 epochs in batches of 64, one run). "
        "Network, optimiser, rate and colours are the published ones; the rate falls to the same "
        "share. With fewer digits the batch is smaller, so that there are as many steps.",
        "The published loader draws the colour of an uncorrelated training digit anew each time "
        "it is read; here each digit keeps the colour it drew.",
        "The published uncorrelated test gives all digits of a class one colour, by a random "
        "permutation; so does this one. One permutation serves all seeds.",
        f"The best method by mass accuracy on the digit, chosen on half of the images: {best}.",
    )


SPEC = ExperimentSpec(
    id="explanation-alignment/decoy-mnist",
    label="Explanation Alignment: decoy MNIST",
    summary=(
        "Digits with a coloured block, whose colour gives the digit away in training or not: "
        "the sign of every printed contrast, over five seeds."
    ),
    source="Bang, Boggust and Satyanarayan 2024 (eXCV at ECCV)",
    sizes={
        "tiny": "two seeds, 1,000 training and 30 test digits, about a minute",
        "small": "five seeds, all digits at hand (7,000 of MNIST's test file, or drawn ones), "
        "200 test digits, within ten minutes",
        "whole": "five seeds, MNIST's 60,000 training digits, 1,000 test digits",
    },
    claims=tuple(_claims()),
    gates=(HONEST_GATE, SPURIOUS_GATE),
    run=run,
)
