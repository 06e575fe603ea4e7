"""tags: what people wrote about images, from the command line."""

from __future__ import annotations

import dataclasses
import difflib
import json
from pathlib import Path

import click

from xaieval.cli.options import FILE
from xaieval.cli.text import text_table

_author = click.option("--author", help="Who writes. [default: XAIEVAL_AUTHOR or the login name]")


@click.group()
def tags() -> None:
    """Tags and notes of images, the same that the dashboard shows.

    STUDY is a results folder, or the id of a study whose results are in results/ID. IMAGE is the
    id of an image, or its short form in links.
    """


@tags.command("list")
@click.argument("study", required=False)
@click.option("--image", help="Of one image.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_marks(study: str | None, image: str | None, as_json: bool) -> None:
    """Print the tags and notes of STUDY, or of all studies."""
    from xaieval.journal import Journal, Ledger

    of, wanted = None, None
    if study is not None:
        of, wanted = _about(study, image) if image else (_study(study), None)
    elif image:
        raise click.UsageError("--image needs a STUDY")
    found = Ledger(Journal().events(study=of)).marks()
    kept = {key: held for key, held in sorted(found.items()) if wanted in (None, key[1])}
    if as_json:
        rows = [
            {"study": name, "sample_id": sample, **dataclasses.asdict(held)}
            for (name, sample), held in kept.items()
        ]
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    if not kept:
        click.echo("no tags or notes yet")
        return
    lines = [
        [
            name,
            sample,
            "; ".join(held.tags),
            " | ".join(f"{n.author}: {' '.join(n.text.split())}" for n in held.notes),
        ]
        for (name, sample), held in kept.items()
    ]
    click.echo(text_table(["study", "image", "tags", "notes"], lines))


@tags.command()
@click.argument("study")
@click.argument("image")
@click.argument("names", metavar="TAG...", nargs=-1, required=True)
@_author
def add(study: str, image: str, names: tuple[str, ...], author: str | None) -> None:
    """Give IMAGE of STUDY one or several tags."""
    _write(study, image, "tag", names, author)


@tags.command()
@click.argument("study")
@click.argument("image")
@click.argument("names", metavar="TAG...", nargs=-1, required=True)
@_author
def remove(study: str, image: str, names: tuple[str, ...], author: str | None) -> None:
    """Take one or several tags from IMAGE of STUDY, whoever gave them."""
    from xaieval.errors import unknown
    from xaieval.journal import Journal, Ledger

    of, sample = _about(study, image)
    held = Ledger(Journal().events(study=of)).of(of, sample).tags
    for name in names:
        if name not in held:
            raise unknown("tag of this image", name, held, where=sample)
    _write(study, image, "untag", names, author)


@tags.command()
@click.argument("study")
@click.argument("image")
@click.argument("text")
@_author
def note(study: str, image: str, text: str, author: str | None) -> None:
    """Write TEXT about IMAGE of STUDY."""
    _write(study, image, "note", (text,), author)


@tags.command()
@click.argument("study", required=False)
@click.option("--event", type=int, help="Undo this event of yours. [default: your last]")
@_author
def undo(study: str | None, event: int | None, author: str | None) -> None:
    """Undo your last event (of STUDY), or one that --event names; an undo can be undone, too."""
    from xaieval.journal import Journal, author_name

    journal, who = Journal(), author or author_name()
    of = None if study is None else _study(study)
    if event is not None:
        done = journal.append(author=who, study=of or "", operation="undo", value=event)
    else:
        last = journal.undo(author=who, study=of)
        if last is None:
            click.echo(f"nothing of {who} to undo")
            return
        done = last
    named = next(e for e in journal.events(after=done.value - 1) if e.id == done.value)
    about = f" of {named.sample_id}" if named.sample_id else ""
    click.echo(f"event {named.id} undone: {named.operation} {_shown(named.value)}{about}")


@tags.command()
@click.argument("study", required=False)
@click.option("--out", type=FILE, help="Write a file instead of printing.")
def export(study: str | None, out: Path | None) -> None:
    """Print every event (of STUDY) as one line of JSON, undone ones among them."""
    from xaieval.files import write_bytes
    from xaieval.journal import Journal

    events = Journal().events(study=None if study is None else _study(study))
    text = "".join(
        json.dumps(dataclasses.asdict(event), ensure_ascii=False) + "\n" for event in events
    )
    if out is None:
        click.echo(text, nl=False)
    else:
        write_bytes(out, text.encode())
        click.echo(f"{len(events):,} events written to {out}", err=True)


def _write(
    study: str, image: str, operation: str, values: tuple[str, ...], author: str | None
) -> None:
    from xaieval.journal import Journal, author_name

    of, sample = _about(study, image)
    who = author or author_name()
    written = Journal().append_many(
        {"author": who, "study": of, "sample_id": sample, "operation": operation, "value": value}
        for value in values
    )
    for event in written:
        click.echo(f"event {event.id}: {operation} {_shown(event.value)} of {sample}")


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    first = text.splitlines()[0] if text else ""
    return repr(first if len(first) <= 60 else first[:60] + "…")


def _study(name: str) -> str:
    """Return the id of a study named by its results folder, or by the id itself."""
    if not Path(name).exists():
        return name
    from xaieval.cli.triaging import one_results

    return one_results(name).study.id


def _about(study: str, image: str) -> tuple[str, str]:
    """Return study id and sample id of an image that is there.

    Raises
    ------
    XaievalError
        When there are no such results, or no such image in them: a tag would never be seen.
    """
    from xaieval.cli.triaging import one_results
    from xaieval.digest import url_id
    from xaieval.errors import ResultsError

    results = one_results(study)
    found = results.query("SELECT DISTINCT sample_id FROM predictions")["sample_id"].tolist()
    if image in found:
        return results.study.id, image
    for sample in found:
        if url_id(sample) == image:
            return results.study.id, sample
    close = difflib.get_close_matches(image, found, n=1, cutoff=0.5)
    raise ResultsError(
        f"no image {image!r} in these results",
        where=results.path,
        expected=f"one of {len(found):,} ids, such as {min(found)}",
        fix=f"did you mean {close[0]!r}?" if close else None,
    )
