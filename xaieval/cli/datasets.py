"""data: what is known, how to get it, and whether a folder is in order."""

from __future__ import annotations

import click


@click.group()
def data() -> None:
    """List, fetch and check datasets."""


@data.command("list")
def list_datasets() -> None:
    """Say which datasets are known, how they lie on disk, their licence and size."""
    from xaieval.datasets import DATASETS

    for spec in DATASETS.values():
        click.echo(f"{spec.id}: {spec.label}")
        click.echo(f"  {spec.summary}")
        for name in ("layout", "licence", "source", "size"):
            text = " ".join(str(getattr(spec, name)).split())
            if text:
                click.echo(f"  {name}: {text}")
        if spec.builtin:
            got = "built in, nothing to fetch"
        elif spec.download is not None:
            got = f"xaieval data get {spec.id}"
        else:
            got = "not fetched by this program; see its source"
        click.echo(f"  get it: {got}")
        click.echo()
