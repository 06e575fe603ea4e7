"""The tables of regional attribution: regions, the study's LaTeX table, falsification, lifts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from xaieval.datasets import ATTRIBUTE_REGIONS
from xaieval.outcomes import Sheet
from xaieval.reproduce.celebamask_regions.findings import RandomClass, label
from xaieval.reproduce.celebamask_regions.measured import (
    Frame,
    Measured,
    correct,
    deciding,
    lifts,
    of,
    specific,
)
from xaieval.reproduce.celebamask_regions.plans import CEILING, CLASSES, PRINTED
from xaieval.stats import region_table
from xaieval.stats.bootstrap import two_way
from xaieval.stats.correlation import Correlation
from xaieval.stats.falsification_link import FalsificationLink, study_verdict


def regions(measured: Measured) -> Frame:
    """Return precision and recall by method and region, over samples found by the network."""
    table = region_table(measured.precision, scale=100.0)
    for name, metric in (("recall", "regional_recall"), ("ceiling", CEILING)):
        own = correct(measured.regional[metric])
        means = own.groupby(["region", "method_id"])["value"].mean()
        table[name] = [
            means.get((region, method), math.nan)
            for region, method in zip(table["region"], table["method_id"], strict=True)
        ]
    return table


def regions_sheet(table: Frame, who: str) -> Sheet:
    names = {
        "region": table["region"],
        "method": table["method_id"].map(label),
        "precision, %": table["mean"],
        "low": table["low"],
        "high": table["high"],
        "std": table["std"],
        "median": table["median"],
        "area share, %": 100 * table["area"],
        "lift": table["lift"],
        "ceiling, %": table["ceiling"],
        "recall": table["recall"],
        "n": table["n"],
        "left out": table["left_out"],
        "why": table["left_out_by"],
    }
    return Sheet(
        "regions",
        "Regional precision by region and method",
        pd.DataFrame(names),
        f"{who}; every sample with its mean over seeds; std with ddof 0; 95 % intervals over "
        "images and seeds; ceiling is what a map on the method's own grid can reach at most, lift "
        "mean precision over mean area share, recall the share of the region among the top 10 % "
        "of the pixels (chance: 0.1). The region 'nose' is also the group of that "
        "name; mouth_area joins mouth and lips.",
        2,
    )


def study_sheet(measured: Measured, table: Frame, *, id: str = "table", who: str = "") -> Sheet:
    """Return the study's table: Method, FR, Eyes, Nose, Mouth, Face."""
    rates = correct(measured.falsified["paper"]).groupby("method_id")["falsified"].mean()
    rows = []
    for key in measured.methods:
        own = of(table, key).set_index("region")["mean"]
        groups = {name: own.get(region, math.nan) for region, name in PRINTED.items()}
        rows.append({"Method": label(key), "FR": 100 * rates.get(key, math.nan), **groups})
    areas = 100 * table.groupby("region")["area"].mean()
    area = {name: areas.get(region, math.nan) for region, name in PRINTED.items()}
    rows.append({"Method": "Area share", "FR": math.nan, **area})
    return Sheet(
        id,
        "Falsification rate and regional precision",
        pd.DataFrame(rows),
        f"All in %, means over {who}; FR by the paper's rule. The groups overlap (the face holds "
        "eyes, nose and mouth). A map without information has the area share.",
        1,
    )


def falsification(measured: Measured) -> Frame:
    """Return FR, FR of the inverted maps, margins, violations and areas, by rule and method."""
    rows = []
    for rule, table in measured.falsified.items():
        for key in measured.methods:
            own = of(correct(table), key)
            named: dict[str, float] = {}
            for name in ("falsified", "inverted"):
                found = two_way(own, value=name, cluster="image")
                named |= {name: found.estimate}
                named |= {f"{name}_low": found.low, f"{name}_high": found.high}
            means = own[["margin", "violations", "high", "low"]].mean()
            rows.append(
                {
                    "rule": rule,
                    "method_id": key,
                    **named,
                    **{str(name): float(value) for name, value in means.items()},
                    "n": int(own["falsified"].notna().sum()),
                    "left_out": int(own["falsified"].isna().sum()),
                }
            )
    return pd.DataFrame(rows)


def falsification_sheet(table: Frame, k: int) -> Sheet:
    names = {
        "rule": table["rule"],
        "method": table["method_id"].map(label),
        "FR": table["falsified"],
        "low": table["falsified_low"].clip(0, 1),
        "high": table["falsified_high"].clip(0, 1),
        "FR of inverted map": table["inverted"],
        "margin, rad": table["margin"],
        "violations": table["violations"],
        "|high|": table["high"],
        "|low|": table["low"],
        "n": table["n"],
        "left out": table["left_out"],
    }
    return Sheet(
        "falsification",
        "Falsification under both rules",
        pd.DataFrame(names),
        f"k = {k} copies of each set; n counts maps (samples under seeds); 95 % intervals over "
        "images and seeds. |high| and |low| are shares of the picture. Inverting a map exchanges "
        "its two sets. Left out: flat or zero maps.",
    )


def correlations(links: Mapping[str, FalsificationLink]) -> Frame:
    """Return the correlation of FR and precision on three levels, under both rules."""
    rows: list[dict[str, Any]] = []
    for rule, found in links.items():
        levels = (("methods", found.over_methods), ("method × attribute", found.over_cells))
        for name, level in levels:
            for own in (level.pearson, level.spearman):
                rows.append({"rule": rule, "level": name, **_correlation(own)})
        for key, within in found.within.items():
            rows.append(
                {
                    "rule": rule,
                    "level": f"images, {label(key)}",
                    "kind": f"{within.kind} (margin)",
                    "r": within.r,
                    "low": within.low,
                    "high": within.high,
                    "n": within.n,
                }
            )
    return pd.DataFrame(rows)


def _correlation(found: Correlation) -> dict[str, Any]:
    own = {name: getattr(found, name) for name in ("kind", "r", "p", "low", "high", "n", "needed")}
    verdict = study_verdict(found.r, found.p) if found.kind == "pearson" else ""
    return {**own, "study's verdict": verdict}


def correlations_sheet(table: Frame) -> Sheet:
    return Sheet(
        "correlations",
        "Falsification against the precision of the deciding region",
        table.rename(columns={"needed": "|r| needed"}),
        "Over the study's five methods and their cells a point is a mean, the rate is correlated, "
        "and the study expected r ≈ −0.85; within the images of a method the margin is correlated "
        "(large where the rate is small), with a cluster bootstrap over images. Needed: for "
        "p < 0.01.",
    )


def attributes(measured: Measured) -> Frame:
    """Return the part with the highest lift per attribute and method, against the deciding ones."""
    own = correct(deciding(measured.precision))
    groups = own.groupby(["class", "method_id"], sort=False, observed=True)
    means = groups[["value", "share"]].mean().reset_index()
    found = lifts(correct(measured.precision), CLASSES)
    rows = []
    for name, parts in ATTRIBUTE_REGIONS.items():
        for key in measured.methods:
            part = found[(found["class"] == name) & (found["method_id"] == key)]
            if part.empty:
                continue
            first = part.iloc[int(part["lift"].to_numpy().argmax())]
            mean = means[(means["class"] == name) & (means["method_id"] == key)].iloc[0]
            rows.append(
                {
                    "attribute": name,
                    "method_id": key,
                    "deciding": ", ".join(parts),
                    "precision": mean["value"],
                    "area": mean["share"],
                    "lift": mean["value"] / mean["share"] if mean["share"] else math.nan,
                    "first": first["region"],
                    "first_lift": first["lift"],
                    "hit": first["region"] in parts,
                    "n": int(part["n"].max()),
                }
            )
    return pd.DataFrame(rows)


def attributes_sheet(table: Frame, who: str) -> Sheet:
    names = {
        "attribute": table["attribute"],
        "method": table["method_id"].map(label),
        "deciding parts": table["deciding"],
        "precision there, %": table["precision"],
        "area share, %": table["area"],
        "lift there": table["lift"],
        "part of highest lift": table["first"],
        "its lift": table["first_lift"],
        "agrees": table["hit"].map({True: "yes", False: "no"}),
        "n": table["n"],
    }
    return Sheet(
        "attribute-regions",
        "Which part gets most, per attribute and method",
        pd.DataFrame(names),
        f"{who}; n counts them under every seed. Lift: Σ precision over "
        "Σ area share; that of a large part such as hair cannot exceed 1 / area share.",
        2,
    )


def by_region(table: Frame) -> dict[str, dict[str, dict[str, Any]]]:
    """Return method -> region -> mean, std, median, n, left out and more."""
    names = ["mean", "std", "median", "low", "high", "area", "lift", "ceiling", "recall"]
    names += ["n", "left_out"]
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in table.to_dict("records"):
        own = {name: row[name] for name in names}
        found.setdefault(row["method_id"], {})[row["region"]] = own
    return found


def differing(measured: Measured) -> Frame:
    """Return precision and area share of the region in which two faces differ, by method."""
    own = deciding(measured.precision)
    own = own.assign(beyond=own["value"] - own["share"])
    rows = []
    for key in measured.methods:
        part = of(own, key)
        found = two_way(part, cluster="image")
        beyond = two_way(part, value="beyond", cluster="image")
        rows.append(
            {
                "method_id": key,
                "precision": found.estimate,
                "area": part.loc[part["value"].notna(), "share"].mean(),
                "beyond": beyond.estimate,
                "low": beyond.low,
                "high": beyond.high,
                "n": found.n,
                "left_out": int(part["value"].isna().sum()),
            }
        )
    return pd.DataFrame(rows)


def differing_sheet(table: Frame, who: str) -> Sheet:
    names = {
        "method": table["method_id"].map(label),
        "precision, %": table["precision"],
        "area share, %": table["area"],
        "difference": table["beyond"],
        "low": table["low"],
        "high": table["high"],
        "n": table["n"],
        "left out": table["left_out"],
    }
    return Sheet(
        "differing",
        "Precision of the region in which two faces differ",
        pd.DataFrame(names),
        f"{who}; the deciding parts of the attribute, in the face that has it; 95 % intervals of "
        "the difference to the area share, over pairs and seeds. Left out: maps that are zero.",
        2,
    )


def specificity(measured: Measured, *, within_image: bool) -> Frame:
    """Return ``measured.specific`` by method."""
    table = specific(correct(measured.precision), within_image=within_image)
    rows = []
    for key in measured.methods:
        own = of(table, key)
        found = two_way(own, cluster="image")
        kept = own[own["value"].notna()]
        rows.append(
            {
                "method_id": key,
                "own": kept["own"].mean(),
                "others": kept["others"].mean(),
                "difference": found.estimate,
                "low": found.low,
                "high": found.high,
                "n": found.n,
            }
        )
    return pd.DataFrame(rows)


def specificity_sheet(table: Frame, who: str) -> Sheet:
    names = {
        "method": table["method_id"].map(label),
        "where it decides": table["own"],
        "where another part does": table["others"],
        "difference": table["difference"],
        "low": table["low"],
        "high": table["high"],
        "n": table["n"],
    }
    return Sheet(
        "specificity",
        "Is it the attribute, or the face? The same region where another part decides",
        pd.DataFrame(names),
        f"{who}; precision of a region less its area share (%), in maps of the attribute that it "
        "decides and in the method's maps of attributes that other parts decide; 95 % intervals "
        "over images and seeds. Not among the claims: looked at afterwards.",
        2,
    )


def specificity_text(table: Frame) -> str:
    """Return the table of specificity as a sentence."""
    parts = []
    for row in table.to_dict("records"):
        numbers = f"{row['difference']:+.1f} [{row['low']:+.1f}, {row['high']:+.1f}]"
        parts.append(f"{label(row['method_id'])} {numbers.replace('-', '−')}")
    return (
        "Looked at afterwards, whether maps show the attribute or just the face: the precision of "
        "a region less its area share, in maps of the attribute that it decides minus in maps of "
        f"attributes that other parts decide (%): {', '.join(parts)}."
    )


def cosine_sheet(rows: Frame) -> Sheet:
    """Return how alike the embeddings of the two faces are, by attribute."""
    own = rows[rows["metric"] == "cosine"]
    groups = own.groupby("class", sort=False)["value"]
    table = groups.agg(["mean", "std", "min", "max", "size"]).reset_index()
    return Sheet(
        "cosine",
        "Cosine of the embeddings of two faces",
        table.rename(columns={"class": "attribute", "size": "n"}),
        "By the attribute in which they differ; n counts pairs under every seed.",
        4,
    )


def random_sheet(classes: list[RandomClass]) -> Sheet:
    rows = [
        {
            "class": it.region,
            "precision, %": it.precision,
            "area share, %": it.area,
            "difference": it.beyond,
            "low": it.beyond_low,
            "high": it.beyond_high,
            "difference to 1/19": it.precision - 100 / 19,
            "n": it.n,
        }
        for it in classes
    ]
    return Sheet(
        "random",
        "A random map's precision is the area share, not 1/19",
        pd.DataFrame(rows),
        "Samples that have the class; intervals of the difference to the area share that hold for "
        "all classes at once (95 %).",
    )


def shapes_sheet(measured: Measured) -> Sheet:
    rows = []
    for key in measured.methods:
        own = of(correct(measured.shape), key)
        found = two_way(own, value="spatial_coherence", cluster="image")
        rows.append(
            {
                "method": label(key),
                "spatial coherence": found.estimate,
                "low": found.low,
                "high": found.high,
                "pieces": own["n_components"].mean(),
                "n": found.n,
            }
        )
    return Sheet(
        "coherence",
        "Spatial coherence of the top 10 % of the pixels",
        pd.DataFrame(rows),
        "Share of the largest connected piece, and number of pieces; it describes a map and is no "
        "quality.",
    )
