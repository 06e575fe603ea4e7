"""Options that several commands share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
PATH = click.Path(path_type=Path)
POPULATION = click.option(
    "--population",
    type=click.Choice(["correct", "all"]),
    default="correct",
    show_default=True,
    help="Correctly classified images, or all.",
)
"""Which images count."""


class Seeds(click.ParamType):  # type: ignore[type-arg]
    """Whole numbers and ranges: ``42,44-46``."""

    name = "seeds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        seeds: list[int] = []
        for part in str(value).replace(" ", ",").split(","):
            match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
            if not match:
                self.fail(f"{part!r} is no seed; write 42,43 or 42-51", param, ctx)
            first, last = int(match[1]), int(match[2] or match[1])
            if last < first:
                self.fail(f"{part!r} runs backwards", param, ctx)
            seeds += range(first, last + 1)
        return tuple(dict.fromkeys(seeds))


def _split(text: str) -> list[str]:
    """Split at commas outside brackets that no option follows.

    >>> _split("gradcam,sess[of=rise[n_masks=9,p=0.5]]")
    ['gradcam', 'sess[of=rise[n_masks=9,p=0.5]]']
    >>> _split("deletion@fill=road,steps=10,iou[otsu]")
    ['deletion@fill=road,steps=10', 'iou[otsu]']
    """
    parts, depth = [""], 0
    for place, letter in enumerate(text):
        depth += (letter == "[") - (letter == "]")
        if letter == "," and depth == 0 and not re.match(r"\s*\w+=", text[place + 1 :]):
            parts.append("")
        else:
            parts[-1] += letter
    return parts


class Names(click.ParamType):  # type: ignore[type-arg]
    """Names joined by commas: ``gradcam,saliency``; commas before an option belong to a name."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        names = [part.strip() for part in _split(str(value))]
        if not all(names):
            self.fail("an empty name", param, ctx)
        return tuple(names)


def study_options(command: Any) -> Any:
    """Add STUDY, --data, --out, --seeds, --device and --strict to a command."""
    for add in (
        click.option("--strict", is_flag=True, help="Stop at the first faulty image."),
        click.option("--device", help="auto, cpu, cuda, cuda:1, mps. [default: the study's]"),
        click.option("--seeds", type=Seeds(), help="Some of the study's seeds: 42,43 or 42-46."),
        click.option("--out", type=FOLDER, help="Results folder. [default: results/STUDY]"),
        click.option("--data", type=FOLDER, help="Folder of the images."),
        click.argument("study"),
    ):
        command = add(command)
    return command
