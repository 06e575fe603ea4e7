"""data: what is known, how to get it, and whether a folder is in order."""

from __future__ import annotations

from pathlib import Path

import click

from xaieval.cli.options import FOLDER
from xaieval.cli.progress import shown


@click.group()
def data() -> None:
    """List, fetch and check datasets."""


@data.command("list")
def list_datasets() -> None:
    """Say which datasets are known, how they lie on disk, where they are, licence and size."""
    from xaieval.datasets import DATASETS, locate
    from xaieval.errors import DataError

    for spec in DATASETS.values():
        click.echo(f"{spec.id}: {spec.label}")
        click.echo(f"  {spec.summary}")
        for name in ("layout", "licence", "source", "size"):
            text = " ".join(str(getattr(spec, name)).split())
            click.echo(f"  {name}: {text}")
        if not spec.builtin:
            try:
                click.echo(f"  here: {locate(spec)}")
            except DataError as error:
                click.echo(f"  not here; looked in {error.where}")
        click.echo(f"  get it: {_how(spec.builtin, spec.download is not None, spec.id)}")
        click.echo()


def _how(builtin: bool, fetched: bool, name: str) -> str:
    if builtin:
        return "built in, nothing to fetch"
    if fetched:
        return f"xaieval data get {name}"
    return "from its source, by hand; then name its folder with --data PATH"


@data.command()
@click.argument("name")
@click.option(
    "--to", "target", type=FOLDER, help="Folder to fetch into. [default: the user's data]"
)
@click.option("--base-url", help="A mirror with the same files.")
def get(name: str, target: Path | None, base_url: str | None) -> None:
    """Fetch the dataset NAME; what is there already is kept, every file's checksum verified."""
    from xaieval.datasets import fetch

    with shown() as report:
        folder = fetch(name, target, base_url=base_url, report=report)
    click.echo(f"{name} is in {folder}")


@data.group()
def make() -> None:
    """Draw a dataset into a folder."""


@make.command("synthetic-faces")
@click.argument("folder", type=FOLDER)
@click.option("--n", default=600, show_default=True, help="Number of faces; every fifth is tested.")
@click.option("--size", default=128, show_default=True, help="Side of the masks in pixels.")
@click.option("--seed", default=0, show_default=True, help="Another seed draws other faces.")
@click.option(
    "--confound",
    metavar="A:B:RATE",
    help="Tie two attributes of the training faces, as Smiling:Blond_Hair:0.95.",
)
@click.option(
    "--image-scale",
    default=1,
    show_default=True,
    help="Images so many times as large as the masks, 1 or 2.",
)
def make_faces(
    folder: Path, n: int, size: int, seed: int, confound: str | None, image_scale: int
) -> None:
    """Draw faces into FOLDER as CelebAMask-HQ lies on disk; open it as celebamask-hq."""
    from xaieval.datasets import Confound, write_faces

    with shown() as report:
        made = write_faces(
            folder,
            n=n,
            size=size,
            seed=seed,
            confound=None if confound is None else Confound.parse(confound),
            image_scale=image_scale,
            report=report,
        )
    click.echo(f"{n} faces are in {made}")


@data.command()
@click.argument("path", type=FOLDER)
@click.option("--name", help="Id of the layout to hold it against. [default: found out]")
def check(path: Path, name: str | None) -> None:
    """Name every faulty file of a folder; exit code 1 when there is any."""
    from xaieval.datasets import check as find_problems
    from xaieval.datasets import detect_layout

    layout = name or detect_layout(path)
    problems = find_problems(path, layout)
    for problem in problems:
        click.echo(str(problem))
    if problems:
        click.echo(f"{len(problems)} problems ({layout} layout)")
        click.get_current_context().exit(1)
    click.echo(f"in order ({layout} layout)")
