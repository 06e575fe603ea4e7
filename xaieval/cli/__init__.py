"""The command line. Commands import what they need when they run, so that each starts at once."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from xaieval import __version__
from xaieval.cli.caching import cache
from xaieval.cli.comparing import compare_methods
from xaieval.cli.datasets import data
from xaieval.cli.doctoring import doctor
from xaieval.cli.explaining import explain
from xaieval.cli.listing import list_tables
from xaieval.cli.reporting import report
from xaieval.cli.reproducing import reproduce
from xaieval.cli.sanity import sanity
from xaieval.cli.sensitivity import sensitivity
from xaieval.cli.serving import demo, serve
from xaieval.cli.sheets import sheet
from xaieval.cli.stories import story
from xaieval.cli.studies import run, summary, train
from xaieval.cli.tagging import tags
from xaieval.cli.triaging import triage
from xaieval.errors import Cancelled, XaievalError

__all__ = ["main"]


class Commands(click.Group):
    """The group of all commands: bad input becomes one line and exit code 2, Ctrl-C code 130."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except XaievalError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(2)
        except (Cancelled, KeyboardInterrupt):
            click.echo("stopped", err=True)
            ctx.exit(130)
        except BrokenPipeError:
            # The reader of our output has gone (``xaieval summary … | head``).
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="xaieval")
def main() -> None:
    """Explain image classifiers with heatmaps, score them against pixel masks, compare methods."""


_STUDIES = (train, run, sanity, sensitivity, summary, compare_methods, triage, tags, reproduce)
for _command in (
    demo,
    serve,
    data,
    *_STUDIES,
    report,
    explain,
    sheet,
    story,
    doctor,
    list_tables,
    cache,
):
    main.add_command(_command)
