"""sensitivity: does the winner survive another way to measure?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from xaieval.cli.options import FILE, FOLDER, POPULATION, Names, Seeds
from xaieval.cli.progress import shown
from xaieval.cli.text import text_table

if TYPE_CHECKING:
    from xaieval.sensitivity import Sensitivity


@click.command()
@click.argument("results")
@click.option("--metric", default="topk_overlap", show_default=True, help="The score that wins.")
@click.option("--region", help="A scored region. [default: the first]")
@click.option("--split", help="[default: test, where there is one]")
@POPULATION
@click.option("--axes", type=Names(), help="Some of the axes. [default: all]")
@click.option("--images", type=click.IntRange(1), default=40, show_default=True)
@click.option("--all-images", is_flag=True, help="Every image of the split.")
@click.option(
    "--seeds",
    type=Seeds(),
    help="Some of the seeds: 42,43 or 42-46. [default: as many as make 400 maps per method]",
)
@click.option("--data", type=FOLDER, help="Folder of the images.")
@click.option("--out", type=FOLDER, help="Keep the scores here instead of in RESULTS.")
@click.option("--csv", type=FILE, help="Write every number here, a row per variant and method.")
@click.option("--figure", type=FILE, help="Write the figure here: .png, .svg or .pdf.")
@click.option("--device", help="auto, cpu, cuda, cuda:1, mps. [default: auto]")
def sensitivity(
    results: str,
    metric: str,
    region: str | None,
    split: str | None,
    population: Literal["correct", "all"],
    axes: tuple[str, ...] | None,
    images: int,
    all_images: bool,
    seeds: tuple[int, ...] | None,
    data: Path | None,
    out: Path | None,
    csv: Path | None,
    figure: Path | None,
    device: str | None,
) -> None:
    """Vary how RESULTS were measured, one choice at a time, and count the wins again.

    RESULTS is a results folder or a study's id. Pooling, K, threshold, ties, the class explained,
    upsampling, the mask and the score itself are varied; what was computed before is not computed
    again.
    """
    from xaieval.errors import ResultsError
    from xaieval.files import write_bytes
    from xaieval.sensitivity import run_sensitivity, sentence
    from xaieval.sensitivity.exhibit import Survival, survival_figure, survival_table
    from xaieval.study.opening import open_results

    opened = open_results(results)
    if len(opened) != 1:
        raise ResultsError("name one results folder", where=results, got=f"{len(opened)} of them")
    with shown() as report:
        found = run_sensitivity(
            opened[0],
            metric=metric,
            region=region,
            split=split,
            population=population,
            axes=axes,
            images=None if all_images else images,
            seeds=seeds,
            data=data,
            out=out,
            device=device or "auto",
            command=("xaieval", *sys.argv[1:]),
            report=report,
        )
    survival = Survival(opened[0], found)
    click.echo(table(found, survival.labels))
    for axis, why in found.skipped.items():
        click.echo(f"{axis}: left out, {why}")
    click.echo(sentence(found, survival.labels))
    if csv is not None:
        write_bytes(csv, survival_table(survival, format="csv").encode())
    if figure is not None:
        data_of = survival_figure(survival, format=figure.suffix.removeprefix(".").lower())
        write_bytes(figure, data_of)


def table(found: Sensitivity, labels: dict[str, str]) -> str:
    """Return a line per variant: each method's win rate, the winner marked, tau, n, left out."""
    from xaieval.sensitivity.axes import AXES

    rates = found.table.pivot(index="variant", columns="method_id", values="win_rate")
    head = ["axis", "variant", *(labels[m] for m in found.methods), "τ", "n", "left out", ""]
    rows, last = [], ""
    for row in found.verdicts.to_dict("records"):
        winners = str(row["winners"]).split("+")
        cells = [
            f"{'*' if method in winners else ' '}{rates.loc[row['variant'], method]:.3f}"
            for method in found.methods
        ]
        axis = str(row["axis"])
        name = AXES[axis].label if axis in AXES else "As measured"
        lost = "" if row["survives"] else "changes"
        tau = "–" if row["tau"] != row["tau"] else f"{row['tau']:.2f}"
        label = str(row["label"]) if axis in AXES else ""
        out = str(row["left_out_by"]) or "0"
        rows.append([name if axis != last else "", label, *cells, tau, str(row["n"]), out, lost])
        last = axis
    return text_table(head, rows)
