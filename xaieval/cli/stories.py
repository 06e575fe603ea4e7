"""story: pinned views, listed, checked, and written as one HTML file or PDF."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xaieval.cli.options import FILE, PATH

if TYPE_CHECKING:
    from xaieval.story import Story
    from xaieval.study import Results

_RESULTS = click.option(
    "--results",
    "folders",
    type=PATH,
    multiple=True,
    help="Where the results are; repeat for more. [default: where they were when pinned]",
)


@click.group()
def story() -> None:
    """Stories of pinned views: list, check, export.

    STORY is an id, a title, or a story's JSON file.
    """


@story.command("list")
def list_stories() -> None:
    """List the stories: id, slides, title."""
    from xaieval.story import Stories

    there = Stories().all()
    if not there:
        click.echo("no stories: pin a view in the dashboard")
    for one in there.values():
        click.echo(f"{one.id}  {len(one.slides):3d} slides  {one.title}")


@story.command()
@click.argument("name", metavar="STORY")
@_RESULTS
def check(name: str, folders: tuple[Path, ...]) -> None:
    """Say of every slide whether its results, image and model are there, and what changed.

    Exit code 1 where something is missing.
    """
    from xaieval.story.stamps import changes_text
    from xaieval.story.views import changed_since, troubles

    told, opened = _told(name), _opened(folders)
    missing = 0
    for number, slide in enumerate(told.slides, start=1):
        why = troubles(slide, opened)
        missing += bool(why)
        said = " ".join(why)
        if not why:
            found = changed_since(slide, opened)
            said = "ready. " + (changes_text(found, what="it was pinned") if found else "")
        click.echo(f"{number:3d}  {slide.page:8s} {slide.caption or '–'}: {said.strip()}")
    if missing:
        click.echo(f"{missing} of {len(told.slides)} slides cannot be shown", err=True)
        raise click.exceptions.Exit(1)


@story.command()
@click.argument("name", metavar="STORY")
@click.option("--html", type=FILE, help="One file that needs nothing else.")
@click.option("--pdf", type=FILE, help="One slide a page, 16:9.")
@click.option("--json", "as_json", type=FILE, help="The story itself, to be opened elsewhere.")
@_RESULTS
@click.option("--device", default="auto", show_default=True, help="A torch device.")
def export(
    name: str,
    html: Path | None,
    pdf: Path | None,
    as_json: Path | None,
    folders: tuple[Path, ...],
    device: str,
) -> None:
    """Write a story as HTML, PDF or JSON; heatmaps come from the cache or are made again."""
    from xaieval.cli.progress import shown
    from xaieval.files import write_bytes
    from xaieval.progress import Progress
    from xaieval.story import story_json
    from xaieval.story.plates import Studio, make_plates
    from xaieval.story.render import story_html, story_pdf

    if html is None and pdf is None and as_json is None:
        raise click.UsageError("name a file: --html FILE, --pdf FILE or --json FILE")
    told = _told(name)
    if as_json is not None:
        write_bytes(as_json, story_json(told).encode())
        click.echo(as_json)
    if html is None and pdf is None:
        return
    from xaieval.backend import Backend

    backend, began = Backend(device), time.perf_counter()
    try:
        with shown() as report:

            def step(done: int, total: int) -> None:
                report(Progress("slides", done, total, time.perf_counter() - began))

            studio = Studio(_opened(folders), backend=backend, device=device)
            plates = make_plates(told, studio, told=step)
    finally:
        backend.close()
    if html is not None:
        write_bytes(html, story_html(told, plates).encode())
        click.echo(html)
    if pdf is not None:
        write_bytes(pdf, story_pdf(told, plates))
        click.echo(pdf)
    for plate in plates:
        if plate.trouble:
            click.echo(f"slide {plate.number}: {plate.trouble}", err=True)


def _told(name: str) -> Story:
    from xaieval.story import Stories, read_story

    if name.endswith(".json") or Path(name).is_file():
        return read_story(name)
    return Stories().named(name)


def _opened(folders: tuple[Path, ...]) -> dict[str, Results]:
    from xaieval.study.opening import open_folders

    return open_folders([str(folder) for folder in folders]) if folders else {}
