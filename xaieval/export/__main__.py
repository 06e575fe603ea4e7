"""``python -m xaieval.export``: one figure or table of a results folder, with its sidecar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from xaieval.errors import XaievalError
from xaieval.export.charted import charted, save_charted
from xaieval.export.exhibits import EXHIBITS, Population, TieRule, View
from xaieval.export.files import TABLE_FORMATS, save
from xaieval.export.regional import REGIONAL_EXHIBITS, RegionalView
from xaieval.figures.saving import FIGURE_FORMATS
from xaieval.stats.agreement import Level
from xaieval.stats.blocks import Unit
from xaieval.study import Results
from xaieval.study.opening import open_folders


@click.command()
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--exhibit", type=click.Choice([*EXHIBITS, *REGIONAL_EXHIBITS]), default="win-rates")
@click.option("--format", "kind", type=click.Choice([*FIGURE_FORMATS, *TABLE_FORMATS]))
@click.option("--metric", help="[default: topk_overlap; of regions: regional precision]")
@click.option("--tie-rule", type=click.Choice(["split", "first"]), default="split")
@click.option("--population", type=click.Choice(["correct", "all"]), default="correct")
@click.option("--split", "splits", multiple=True)
@click.option("--class", "classes", multiple=True)
@click.option("--seed", type=int, help="Of regions: one seed.  [default: all]")
@click.option("--region", default="", help="The one scored.  [default: the first]")
@click.option("--unit", type=click.Choice(["seed", "image"]), default="seed")
@click.option("--level", type=click.Choice(["rankings", "values"]), default="rankings")
@click.option("--method", default="", help="The one of class-regions and alignment.")
@click.option("--regions", multiple=True, help="Of regions: only this one; repeat for more.")
@click.option("--methods", multiple=True, help="Of regions: only this one; repeat for more.")
@click.option("--falsified", default="", help="Of falsification: which of its scores.")
@click.option("--cells", is_flag=True, help="Of falsification: a point per method and class.")
@click.option("--lifted", is_flag=True, help="Of class-regions: lift instead of the score.")
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(
    results: tuple[Path, ...],
    exhibit: Any,
    kind: str | None,
    metric: str | None,
    tie_rule: TieRule,
    population: Population,
    splits: tuple[str, ...],
    classes: tuple[str, ...],
    seed: int | None,
    region: str,
    unit: Unit,
    level: Level,
    method: str,
    regions: tuple[str, ...],
    methods: tuple[str, ...],
    falsified: str,
    cells: bool,
    lifted: bool,
    out: Path,
) -> None:
    """Write a figure or table of RESULTS with its sidecar; "alignment" takes several."""
    try:
        if exhibit in EXHIBITS:
            if len(results) != 1:
                raise click.UsageError(f"{exhibit} is of one results folder")
            view = View(
                exhibit,
                metric or "topk_overlap",
                tie_rule,
                population,
                splits,
                classes,
                region,
                unit,
                level,
            )
            written = save(Results(results[0]), view, out, format=kind)
        else:
            regional = RegionalView(
                exhibit=exhibit,
                metric=metric or "",
                split=_one("--split", splits),
                class_name=_one("--class", classes),
                seed=seed,
                regions=regions,
                methods=methods,
                population=population,
                region=region,
                method=method,
                falsified=falsified,
                cells=cells,
                lifted=lifted,
            )
            shown = charted(open_folders([str(path) for path in results]), regional)
            written = save_charted(shown, out, format=kind)
        for path in written:
            click.echo(path)
    except XaievalError as error:
        raise click.ClickException(str(error)) from error


def _one(option: str, values: tuple[str, ...]) -> str:
    if len(values) > 1:
        raise click.UsageError(f"{option} can be given once with this exhibit")
    return values[0] if values else ""


if __name__ == "__main__":
    main()
