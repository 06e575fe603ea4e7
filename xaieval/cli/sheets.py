"""sheet: everything about one image of a results folder on one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from xaieval.cli.options import FILE, FOLDER, Names
from xaieval.errors import ConfigError

if TYPE_CHECKING:
    from xaieval.export.sheet import SheetFormat


@click.command()
@click.argument("results", type=click.Path(path_type=Path))
@click.argument("sample_id")
@click.option("--seed", type=int, help="Of the model. [default: the first]")
@click.option("--methods", type=Names(), help="Method keys. [default: all of the study]")
@click.option("--region", help="Whose mask is shown. [default: the first]")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["png", "svg", "html"]),
    help="[default: as --out ends, else png]",
)
@click.option("--data", type=FOLDER, help="Folder of the images.")
@click.option("--device", default="auto", show_default=True, help="A torch device.")
@click.option("--out", type=FILE, help="File to write. [default: IMAGE-seed-N.FORMAT]")
def sheet(
    results: Path,
    sample_id: str,
    seed: int | None,
    methods: tuple[str, ...] | None,
    region: str | None,
    kind: str | None,
    data: Path | None,
    device: str,
    out: Path | None,
) -> None:
    """Draw the sheet of one image: heatmaps, Top-K overlays and scores of every method.

    SAMPLE_ID is an image of the results folder RESULTS, such as crack/000.
    """
    from xaieval.export.sheet import make_sheet, sheet_bytes, sheet_name
    from xaieval.files import write_bytes
    from xaieval.outcomes import is_experiment, read_outcome
    from xaieval.study import Results

    if is_experiment(results):
        folders = read_outcome(results).study_folders
        raise ConfigError(
            "this is the folder of an experiment",
            where=results,
            fix="name one of its studies: " + ", ".join(map(str, folders)),
        )
    format = cast("SheetFormat", kind or (out.suffix.lstrip(".") if out and out.suffix else "png"))
    opened = Results(results)
    made = make_sheet(
        opened,
        sample_id,
        seed=seed,
        region=region,
        methods=methods,
        dataset=opened.dataset(data),
        device=device,
    )
    path = out or Path(sheet_name(made, format))
    write_bytes(path, sheet_bytes(made, format=format))
    click.echo(f"{made.where}; {made.verdict}: {path}")
