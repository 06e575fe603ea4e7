"""Charts and pictures of regional attribution."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image as Pictures
from PIL import ImageDraw, ImageFont

from xaieval.datasets import ATTRIBUTE_REGIONS
from xaieval.datasets.face_parts import GROUP_LABELS, GROUPS, NUMBERS, PARTS
from xaieval.digest import digest
from xaieval.figures.chart import Chart
from xaieval.outcomes import Picture
from xaieval.render import PART_COLOURS, part_legend, part_overlay, rgb
from xaieval.reproduce.celebamask_regions.findings import RandomClass, label
from xaieval.reproduce.celebamask_regions.measured import (
    Frame,
    Measured,
    correct,
    deciding,
    lifts,
    of,
)
from xaieval.reproduce.celebamask_regions.plans import CLASSES, COMPETE
from xaieval.reproduce.gallery import Cell, enlarged, gallery, overlay_rows
from xaieval.stats import over_images
from xaieval.stats.falsification_link import FalsificationLink
from xaieval.types import Image, Sample

if TYPE_CHECKING:
    from xaieval.backend import Backend
    from xaieval.datasets import Dataset
    from xaieval.jobs import Answer
    from xaieval.reproduce.celebamask_regions.twins import Pair
    from xaieval.study import Results

_INK, _PAPER = (23, 25, 28), (255, 255, 255)


def boxes(measured: Measured, who: str) -> Chart:
    """Return the boxplot of regional precision: a box per group and method."""
    own = correct(measured.precision)
    own = own[own["region"].isin(GROUPS) & own["value"].notna()]
    rows = over_images(own)
    shares = 100 * own.groupby("region")["area"].mean()
    rows["area share"] = rows["region"].map(shares)
    rows["group"] = rows["region"].map(GROUP_LABELS)
    order = {name: place for place, name in enumerate(GROUPS)}
    rows = rows.sort_values("region", key=lambda s: s.map(order), kind="stable")
    return Chart(
        id="regions",
        kind="boxes",
        title="Regional precision by group and method",
        table=rows[["group", "method_id", "value", "area share", "sample_id"]],
        x="group",
        y="value",
        group="method_id",
        reference="area share",
        y_label="regional precision (%)",
        caption=f"{who}, each with its mean over seeds. Ticks: mean area share, what a map without "
        "information scores. The groups overlap.",
    )


def differing_boxes(measured: Measured, who: str) -> Chart:
    """Return the precision of the differing region over its area share, a box per method."""
    own = deciding(measured.precision)
    own = own[own["value"].notna() & (own["share"] > 0)]
    means = own.groupby(["sample_id", "method_id"], sort=False)[["value", "share"]].mean()
    rows = means.reset_index()
    rows["beyond"] = rows["value"] - rows["share"]
    return Chart(
        id="differing",
        kind="boxes",
        title="Precision of the region in which two faces differ, less its area share",
        table=rows.assign(method=rows["method_id"].map(label)),
        x="method",
        y="beyond",
        y_label="precision − area share (%)",
        lines_at=((0.0, "no information"),),
        caption=f"{who}, each with its mean over seeds.",
    )


def lift_bars(table: Frame) -> Chart:
    """Return lift by group and method."""
    rows = table[table["region"].isin(GROUPS) & table["lift"].notna()]
    order = {name: place for place, name in enumerate(GROUPS)}
    rows = rows.sort_values("region", key=lambda s: s.map(order), kind="stable")
    return Chart(
        id="lift",
        kind="bars",
        title="Precision over area share",
        table=rows.assign(group=rows["region"].map(GROUP_LABELS)),
        x="group",
        y="lift",
        group="method_id",
        low="lift_low",
        high="lift_high",
        y_label="lift",
        lines_at=((1.0, "chance"),),
        caption="Mean precision over mean area share; whiskers: 95 %, images and seeds drawn anew.",
    )


def scatter(found: FalsificationLink, rule: str) -> tuple[Chart, Chart]:
    """Return FR against the precision of the deciding region, over methods and over cells."""
    charts = []
    for name, level in (("methods", found.over_methods), ("cells", found.over_cells)):
        r = level.pearson
        points = level.points.assign(label=level.points["method_id"].map(label))
        text = "no correlation" if np.isnan(r.r) else f"r = {r.r:.2f}, p = {r.p:.2g}"
        charts.append(
            Chart(
                id=f"falsification-{name}-{rule}",
                kind="points",
                title=f"Falsification rate against precision, over {name} ({rule} rule)",
                table=points,
                x="rate",
                y="precision",
                group="method_id",
                label="label" if name == "methods" else None,
                x_label="falsification rate",
                y_label="precision of the deciding region (%)",
                x_range=(-0.04, 1.04),
                trend=True,
                caption=f"Pearson: {text}, n = {r.n}, |r| ≥ {r.needed:.2f} needed for p < 0.01; "
                f"by the study's rule: {level.verdict}.".replace("= -", "= −"),
            )
        )
    return charts[0], charts[1]


def rates(table: Frame) -> tuple[Chart, ...]:
    """Return FR of each method's maps beside that of the same maps inverted, per rule."""
    charts = []
    for rule, rows in table.groupby("rule", sort=False):
        parts = []
        for kind, column in (("as it is", "falsified"), ("inverted", "inverted")):
            parts.append(
                pd.DataFrame(
                    {
                        "method": rows["method_id"].map(label),
                        "map": kind,
                        "FR": rows[column],
                        "low": rows[f"{column}_low"].clip(0, 1),
                        "high": rows[f"{column}_high"].clip(0, 1),
                    }
                )
            )
        charts.append(
            Chart(
                id=f"rates-{rule}",
                kind="bars",
                title=f"Falsification rate of maps and of their inverses ({rule} rule)",
                table=pd.concat(parts, ignore_index=True),
                x="method",
                y="FR",
                group="map",
                low="low",
                high="high",
                y_label="falsification rate",
                y_range=(0.0, 1.05),
                caption="Whiskers: 95 %, images and seeds drawn anew.",
            )
        )
    return tuple(charts)


def random_bars(classes: Sequence[RandomClass]) -> Chart:
    """Return random's precision in each class, with area share and 1/19."""
    table = pd.DataFrame(
        {
            "class": [it.region for it in classes],
            "precision": [it.precision for it in classes],
            "area share": [it.area for it in classes],
        }
    )
    return Chart(
        id="random",
        kind="bars",
        title="A random map's precision in each class",
        table=table,
        x="class",
        y="precision",
        reference="area share",
        y_label="regional precision (%)",
        lines_at=((100 / 19, "1/19"),),
        caption="Mean over the samples that have the class; ticks: area share.",
    )


def attribute_heat(measured: Measured, method: str) -> Chart:
    """Return the lift of each part per attribute, of one method."""
    rows = lifts(of(correct(measured.precision), method), CLASSES)
    order = {name: place for place, name in enumerate(ATTRIBUTE_REGIONS)}
    rows = rows.sort_values(
        ["class", "region"],
        key=lambda s: s.map(order if s.name == "class" else CLASSES.index),
    )
    return Chart(
        id="attribute-lift",
        kind="heat",
        title=f"Lift of each part per attribute, {label(method)}",
        table=rows[["class", "region", "lift", "n"]],
        x="region",
        y="class",
        value="lift",
        caption="Σ precision over Σ area share of the samples that have the part; 1 is chance.",
    )


# ---------------------------------------------------------------- pictures


def panels(table: Frame, who: str) -> Picture:
    """Return the 2 × 3 figure: a panel per group, a bar per method, area share as a line."""
    from xaieval.figures.chart_print import print_chart

    drawn = []
    for region in GROUPS:
        rows = table[table["region"] == region]
        share = 100 * float(rows["area"].mean())
        chart = Chart(
            id=region,
            kind="bars",
            title=GROUP_LABELS[region],
            table=rows.assign(method=rows["method_id"].map(label)),
            x="method",
            y="mean",
            low="low",
            high="high",
            y_label="precision (%)",
            lines_at=((share, "area share"),),
        )
        with Pictures.open(io.BytesIO(print_chart(chart, format="png"))) as image:
            drawn.append(image.convert("RGB").resize((image.width // 2, image.height // 2)))
    width, height = max(p.width for p in drawn), max(p.height for p in drawn)
    page = Pictures.new("RGB", (3 * width, 2 * height), _PAPER)
    for place, picture in enumerate(drawn):
        page.paste(picture, (place % 3 * width, place // 3 * height))
    return Picture(
        "groups",
        "The six groups",
        np.asarray(page),
        "Six panels of bars: mean regional precision of each method in eyes, nose, mouth, ears, "
        "face and accessories, each with its area share.",
        f"{who}; means over samples, 95 % intervals over images and seeds; dotted: area share.",
    )


def mask_region(attribute: str) -> str:
    """Return the region whose outline is drawn: a group of just the deciding parts, else the first.

    >>> mask_region("Smiling"), mask_region("Bangs"), mask_region("Narrow_Eyes")
    ('mouth_area', 'hair', 'l_eye')
    """
    parts = ATTRIBUTE_REGIONS[attribute]
    numbers = sorted(PARTS.index(part) for part in parts)
    same = [name for name in GROUPS if sorted(NUMBERS[name]) == numbers]
    return same[0] if same else parts[0]


def examples(
    results: Results, measured: Measured, *, backend: Backend, count: int = 8
) -> tuple[Picture, ...]:
    """Return overlays of some samples, of different attributes, chosen by digest."""
    seed = results.seeds[0]
    own = correct(measured.precision)
    own = own[own["seed"] == seed][["sample_id", "class"]].drop_duplicates()
    some = own.assign(at=own["sample_id"].map(lambda it: digest("example", it)))
    some = some.sort_values("at").drop_duplicates("class").head(count)
    if some.empty:
        return ()
    shown = measured.keys((*COMPETE, "random", "sobel"))
    rows: list[tuple[str, list[Cell]]] = []
    for sample, attribute in zip(some["sample_id"], some["class"], strict=True):
        rows += overlay_rows(
            results,
            [sample],
            methods=shown,
            seed=seed,
            region=mask_region(attribute),
            metric="regional_precision",
            backend=backend,
        )
    return (
        Picture(
            "examples",
            "Heatmaps of attributes",
            gallery(["picture", *map(label, shown)], rows),
            "Rows of faces: the picture and the overlays of "
            f"{', '.join(map(label, shown))} for one attribute each.",
            f"Test faces whose attribute was found, chosen by digest, seed {seed}; the outline is "
            "a part that decides the attribute, the number the precision there (%).",
        ),
    )


def pair_examples(
    pairs: Sequence[Pair],
    found: Sequence[tuple[Sample, Answer]],
    methods: Sequence[str],
    precision: Frame,
    *,
    seed: int,
) -> Picture:
    """Return rows of both faces of a pair and the overlays on the first."""
    from xaieval.render import draw_outline, overlay

    rows = []
    for pair, (sample, answer) in zip(pairs, found, strict=True):
        parts = ATTRIBUTE_REGIONS[pair.attribute]
        picture, factor = enlarged(answer.picture)
        mask = np.logical_or.reduce([answer.geometry.mask(sample.regions[p]) for p in parts])
        large = np.kron(mask, np.ones((factor, factor), np.bool_))
        own = precision[(precision["sample_id"] == pair.id) & precision["region"].isin(parts)]
        cells = [
            Cell(draw_outline(picture, large, width_px=1), "the face that is explained"),
            Cell(pair.b.image, f"cosine {float(answer.logits[0]):.3f}"),
        ]
        for key in methods:
            if key not in answer.maps:
                cells.append(Cell(picture, "not defined"))
                continue
            values = np.kron(answer.maps[key].values, np.ones((factor, factor), np.float32))
            share = own.loc[own["method_id"] == key, "value"].sum(min_count=1)
            text = "zero map" if np.isnan(share) else f"precision {share:.1f} %"
            cells.append(Cell(overlay(picture, values, mask=large), text))
        rows.append((pair.attribute, cells))
    names = [label(key) for key in methods]
    return Picture(
        "examples",
        "What makes two faces alike",
        gallery(["with", "without", *names], rows),
        f"Rows of two faces that differ in one attribute, and overlays of {', '.join(names)}.",
        f"Seed {seed}; the outline is the region in which the two differ.",
    )


def part_pictures(dataset: Dataset, ids: Sequence[str]) -> Picture:
    """Return faces with their parts coloured, and the legend of the parts that are seen."""
    row, seen = [], np.full((1, len(PARTS)), -1)
    for name in ids:
        sample = dataset[name]
        index = np.full(sample.image.shape[:2], -1, np.int16)
        for number, part in enumerate(PARTS):
            index[sample.regions[part]] = number
        present = np.unique(index[index >= 0])
        seen[0, present] = present
        row.append(Cell(part_overlay(sample.image, index, opacity=0.75), name))
    grid = gallery([f"face {n + 1}" for n in range(len(row))], [("parts", row)])
    return Picture(
        "parts",
        "The parts of a face",
        _with_legend(grid, part_legend(seen, PARTS, colours=PART_COLOURS)),
        "Faces with each annotated part in its own colour, and a legend of the colours.",
        "Uncoloured: background, which no part covers. Where parts overlap, the later one of the "
        "data set's order has the pixel.",
    )


def _with_legend(picture: Image, legend: Sequence[tuple[str, str]]) -> Image:
    font: Any = ImageFont.load_default(12)
    columns, line, side = 6, 20, 12
    lines = -(-len(legend) // columns)
    height, width = picture.shape[:2]
    page = Pictures.new("RGB", (width, height + lines * line + 8), _PAPER)
    page.paste(Pictures.fromarray(picture), (0, 0))
    draw = ImageDraw.Draw(page)
    for place, (name, colour) in enumerate(legend):
        left = 8 + place % columns * ((width - 16) // columns)
        top = height + place // columns * line
        draw.rectangle((left, top, left + side, top + side), fill=rgb(colour), outline=_INK)
        draw.text((left + side + 6, top - 2), name, font=font, fill=_INK)
    return np.asarray(page)
