"""``python -m xaieval.export``: one figure or table of a results folder, with its sidecar."""

from __future__ import annotations

from pathlib import Path

import click

from xaieval.errors import XaievalError
from xaieval.export.exhibits import EXHIBITS, Exhibit, Population, TieRule, View
from xaieval.export.files import TABLE_FORMATS, save
from xaieval.figures.saving import FIGURE_FORMATS
from xaieval.study import Results


@click.command()
@click.argument("results", type=click.Path(path_type=Path))
@click.option("--exhibit", type=click.Choice(list(EXHIBITS)), default="win-rates")
@click.option("--format", "kind", type=click.Choice([*FIGURE_FORMATS, *TABLE_FORMATS]))
@click.option("--metric", default="topk_overlap", show_default=True)
@click.option("--tie-rule", type=click.Choice(["split", "first"]), default="split")
@click.option("--population", type=click.Choice(["correct", "all"]), default="correct")
@click.option("--split", "splits", multiple=True)
@click.option("--class", "classes", multiple=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(
    results: Path,
    exhibit: Exhibit,
    kind: str | None,
    metric: str,
    tie_rule: TieRule,
    population: Population,
    splits: tuple[str, ...],
    classes: tuple[str, ...],
    out: Path,
) -> None:
    """Write a figure or table of RESULTS with its sidecar."""
    try:
        view = View(exhibit, metric, tie_rule, population, splits, classes)
        for path in save(Results(results), view, out, format=kind):
            click.echo(path)
    except XaievalError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
