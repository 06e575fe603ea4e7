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
@click.option("--split", default="", help="In which it was scored. [default: test]")
@click.option("--target", default="", help="predicted, label or a class. [default: the study's]")
@click.option("--k", type=int, help="Pixels of the Top-K. [default: the mask's size]")
@click.option("--threshold", type=float, help="Cut maps here, 0 to 1, instead of by K.")
@click.option("--metrics", type=Names(), help="Score anew; the first decides. [default: as scored]")
@click.option("--edit", default="", help="Change the picture first: erase:blur:region=defect")
@click.option("--colormap", default="inferno", show_default=True, help="inferno, cividis, jet")
@click.option("--opacity", type=float, default=0.6, show_default=True, help="Of the heatmap.")
@click.option("--show", default="both", show_default=True, help="both, heatmap, topk")
@click.option("--scale", default="each", show_default=True, help="each, clipped, shared")
@click.option("--display", default="minmax", show_default=True, help="minmax, raw, signed")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["png", "svg", "pdf", "html"]),
    help="[default: as --out ends, else png]",
)
@click.option("--data", type=FOLDER, help="Folder of the images.")
@click.option("--device", default="auto", show_default=True, help="A torch device.")
@click.option("--out", type=FILE, help="File to write. [default: IMAGE-seed-N.FORMAT]")
@click.option("--about", is_flag=True, help="Write FILE.json too: ids, parameters, digests.")
def sheet(
    results: Path,
    sample_id: str,
    seed: int | None,
    methods: tuple[str, ...] | None,
    region: str | None,
    split: str,
    target: str,
    k: int | None,
    threshold: float | None,
    metrics: tuple[str, ...] | None,
    edit: str,
    colormap: str,
    opacity: float,
    show: str,
    scale: str,
    display: str,
    kind: str | None,
    data: Path | None,
    device: str,
    out: Path | None,
    about: bool,
) -> None:
    """Draw the sheet of one image: heatmaps, Top-K overlays and scores of every method.

    SAMPLE_ID is an image of the results folder RESULTS, such as crack/000.
    """
    from xaieval.export.sheet import make_sheet, sheet_bytes, sheet_name, sheet_sidecar
    from xaieval.export.sheet_options import SheetOptions
    from xaieval.figures.sheet import Look
    from xaieval.files import write_bytes, write_json
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
    options = SheetOptions(
        split=split,
        target=target,
        k=k,
        threshold=threshold,
        metrics=metrics or (),
        edit=edit,
        look=Look(colormap=colormap, opacity=opacity, show=show, scale=scale, display=display),
    )
    made = make_sheet(
        opened,
        sample_id,
        seed=seed,
        region=region,
        methods=methods,
        options=options,
        dataset=opened.dataset(data),
        device=device,
    )
    path = out or Path(sheet_name(made, format))
    write_bytes(path, sheet_bytes(made, format=format))
    if about:
        beside = path.with_name(path.name + ".json")
        write_json(beside, sheet_sidecar(opened, made, format=format))
    click.echo(f"{made.where}; {made.verdict}: {path}")
