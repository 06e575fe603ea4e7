"""cache: the heatmaps kept on disk."""

from __future__ import annotations

import click


@click.group()
def cache() -> None:
    """Look at, or clear, the heatmaps kept on disk."""


@cache.command()
def info() -> None:
    """Say where the heatmaps lie and how much they take."""
    from xaieval.cache import HeatmapCache

    found = HeatmapCache()
    click.echo(f"{found.folder}: {found.info().disk_bytes / 1e6:.1f} MB")


@cache.command()
def clear() -> None:
    """Delete all kept heatmaps; they are computed again when needed."""
    from xaieval.cache import HeatmapCache

    found = HeatmapCache()
    size = found.info().disk_bytes
    found.clear()
    click.echo(f"{size / 1e6:.1f} MB freed in {found.folder}")
