"""report: an experiment or a results folder as one page."""

from __future__ import annotations

from pathlib import Path

import click

from xaieval.cli.options import FOLDER


@click.command()
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The page to write. [default: report.html in DIR]",
)
def report(folder: Path, out: Path | None) -> None:
    """Write DIR as one HTML page that opens anywhere, with JSON and tables beside it.

    DIR is what 'xaieval reproduce' or 'xaieval run' wrote, or a folder of several.
    """
    from xaieval.report import write_report

    click.echo(write_report(folder, out))
