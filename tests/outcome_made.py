"""An outcome made by hand: every kind of chart, NaN, signs, and texts that look like HTML."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from xaieval.figures.chart import Chart
from xaieval.outcomes import (
    About,
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

EVIL = "<script>alert('x')</script> & \"Ä\" $x$ β → 5 %"

ABOUT = About(
    experiment="made/by-hand",
    title="Faces made by hand",
    summary=f"Which region decides? {EVIL}",
    source="Nobody et al. 2031, https://example.org/paper",
    size="tiny",
    command=("xaieval", "reproduce", "made/by-hand", "--tiny", "--out", "a folder"),
    device="cpu",
    elapsed_s=83.5,
)

METHODS = ["gradcam", "integrated_gradients", "lime[n_samples=200]", "random"]
PARTS = ["eyes", "nose", "mouth", "hair", "background"]
AREA = dict(zip(PARTS, (0.05, 0.04, 0.06, 0.3, 0.35), strict=True))


def charts() -> tuple[Chart, ...]:
    """Return one chart or more of every kind."""
    rng = np.random.default_rng(7)
    rows = [
        (f"{part}|{method}|{i}", part, method, round(float(rng.beta(2, 4)), 4), AREA[part])
        for part in PARTS
        for method in METHODS
        for i in range(12)
    ]
    long = pd.DataFrame(rows, columns=["id", "region", "method", "precision", "area_share"])
    long.loc[3, "precision"] = math.nan
    many = pd.DataFrame({"part": np.repeat(PARTS, 900), "share": rng.beta(2, 5, 4500)})
    models = pd.DataFrame({"x": rng.random(10), "y": rng.random(10)})
    models = models.assign(
        low=models["y"] - 0.1,
        high=models["y"] + 0.07,
        kind=["honest", "biased"] * 5,
        name=[f"model {i}" for i in range(9)] + [EVIL],
    )
    lift = pd.DataFrame({"method": METHODS, "lift": [0.3, 0.2, -0.05, 0.01]})
    lift = lift.assign(low=lift["lift"] - 0.04, high=lift["lift"] + 0.05, area=0.1)
    groups = pd.DataFrame({"sex": np.repeat(["female", "male"], 3), "part": PARTS[:3] * 2})
    groups["mass"] = [0.3, 0.2, 0.1, 0.4, 0.5, math.nan]
    epochs = pd.DataFrame({"epoch": [*range(1, 9)] * 2, "split": ["train"] * 8 + ["test"] * 8})
    epochs["accuracy"] = [*np.linspace(0.5, 0.95, 8), *np.linspace(0.45, 0.8, 8)]
    epochs = epochs.assign(low=epochs["accuracy"] - 0.05, high=epochs["accuracy"] + 0.04)
    names = ["Smiling", "Eyeglasses", "Wearing_Hat", "Blond_Hair"]
    cells = pd.DataFrame([(n, p) for n in names for p in PARTS], columns=["attribute", "region"])
    cells["precision"] = rng.random(len(cells))
    cells.loc[2, "precision"] = math.nan
    return (
        Chart(
            id="boxes",
            kind="boxes",
            title="Regional precision",
            table=long,
            x="region",
            y="precision",
            group="method",
            reference="area_share",
            x_label="region",
            y_label="regional precision",
            caption=f"12 images per region. {EVIL}",
        ),
        Chart(
            id="boxes-many",
            kind="boxes",
            title="Many images",
            table=many,
            x="part",
            y="share",
            y_label="share of the mass",
            lines_at=((0.25, "chance"),),
        ),
        Chart(
            id="points",
            kind="points",
            title=f"Falsification against precision {EVIL}",
            table=models,
            x="x",
            y="y",
            low="low",
            high="high",
            group="kind",
            label="name",
            trend=True,
            x_label="regional precision",
            y_label="falsification rate",
            caption="One point per model; whiskers: 95 % interval; dashed: least squares.",
        ),
        Chart(
            id="bars",
            kind="bars",
            title="Lift over area share",
            table=lift,
            x="method",
            y="lift",
            low="low",
            high="high",
            reference="area",
            y_label="lift",
        ),
        Chart(
            id="bars-grouped",
            kind="bars",
            title="Mass per group",
            table=groups,
            x="sex",
            y="mass",
            group="part",
            y_label="share of the mass",
        ),
        Chart(
            id="lines",
            kind="lines",
            title="Accuracy while training",
            table=epochs,
            x="epoch",
            y="accuracy",
            low="low",
            high="high",
            group="split",
            x_label="epoch",
            y_label="accuracy",
            lines_at=((0.9, "gate 0.9"),),
        ),
        Chart(
            id="heat",
            kind="heat",
            title="Attribute and region",
            table=cells,
            x="region",
            y="attribute",
            value="precision",
            x_label="region",
            y_label="attribute",
        ),
    )


def outcome() -> Outcome:
    """Return an outcome with everything in it."""
    gates = (
        GateResult(Gate("acc", "balanced accuracy of every model", 0.9), (0.95, 0.97), "5 models"),
        GateResult(Gate("faces", "mean accuracy on faces", 0.8), (0.7, math.nan)),
        GateResult(Gate("none", f"never measured {EVIL}", 0.8), ()),
    )
    first = Claim("sign", "Grad-CAM beats random.", "Section 4, Table 2", "0.42 ± 0.03", ("acc",))
    second = Claim("scar", f"The mouth decides. {EVIL}", "planted")
    third = Claim("zoo", "Holds on ImageNet.", "https://example.org/paper?a=1&b=2", "r ≈ −0.85")
    fourth = Claim("faces", "Faces are told apart.", "planted", gates=("faces",))
    findings = gated(
        [
            judged(first, value=0.31, low=0.25, high=0.36, n="5 seeds × 60 images", unit="IoU"),
            judged(second, value=0.01, low=-0.1, high=0.13, n="60 images", unit="difference"),
            untested(third, "needs ImageNet, which is not here"),
            judged(fourth, value=0.2, low=0.1, high=0.3, n="8 faces", unit="share"),
        ],
        gates,
    )
    table = pd.DataFrame(
        {
            "code": ["001", "", EVIL],
            "n": [12, 7, 30],
            "mean": [0.12345, math.nan, -0.5],
            "right": [True, False, True],
        }
    )
    image = np.zeros((60, 90, 3), np.uint8)
    image[:30, :, 0] = np.arange(90, dtype=np.uint8) * 2
    odd = Claim("odd", "A figure whose interval has no end.", "planted")
    findings.append(Finding(odd, "holds", 3.0, low=math.nan, high=math.inf, n="1 run"))
    return Outcome(
        findings=tuple(findings),
        gates=gates,
        sheets=(
            Sheet("parts", f"Table of parts {EVIL}", table, "Mean over 12 images.", 2),
            Sheet("wide", "A wide table", pd.DataFrame({f"col {i}": [i / 7] for i in range(40)})),
        ),
        charts=charts(),
        pictures=(
            Picture("overlay", "An overlay", image, f"red above, black below {EVIL}", "Two."),
        ),
        facts={
            "r": np.float64(-0.85),
            "undefined": math.nan,
            "list": (1, 2),
        },
        notes=(f"The original had one seed; here are five. {EVIL}",),
        studies=(),
    )
