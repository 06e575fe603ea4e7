"""train, run, summary."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import click

from xaieval.cli.options import FILE, POPULATION, study_options
from xaieval.cli.progress import shown


@click.command()
@study_options
@click.option(
    "--encoder-weights",
    type=FILE,
    help="Start from these pretrained weights instead of the study's.",
)
def train(
    study: str,
    data: Path | None,
    out: Path | None,
    seeds: tuple[int, ...] | None,
    device: str | None,
    strict: bool,
    encoder_weights: Path | None,
) -> None:
    """Train the models of STUDY (a TOML file or a built-in id), one per seed and fold.

    Finished ones are kept, an interrupted one goes on after its last epoch.
    """
    from xaieval.study import load_study, train_study

    found = load_study(study)
    with shown() as report:
        paths = train_study(
            found,
            data=data,
            out=out,
            seeds=seeds,
            device=device,
            weights=encoder_weights,
            strict=strict,
            report=report,
        )
    click.echo(f"{len(paths)} trained models in {paths[0].parent}")
    _tell_problems(_card_problems(paths))


@click.command()
@study_options
def run(
    study: str,
    data: Path | None,
    out: Path | None,
    seeds: tuple[int, ...] | None,
    device: str | None,
    strict: bool,
) -> None:
    """Explain and score the images of STUDY under its trained models; only what is missing."""
    from xaieval.study import load_study, run_study

    found = load_study(study)
    with shown() as report:
        results = run_study(
            found,
            data=data,
            out=out,
            seeds=seeds,
            device=device,
            strict=strict,
            command=["xaieval", *sys.argv[1:]],
            report=report,
        )
    click.echo(f"results in {results.path}; see them with 'xaieval summary {results.path}'")
    _tell_problems([problem["what"] for problem in results.manifest["problems"]])


def _card_problems(paths: list[Path]) -> list[str]:
    from xaieval.models import read_card

    return list(dict.fromkeys(text for path in paths for text in read_card(path).problems))


def _tell_problems(problems: list[str]) -> None:
    if not problems:
        return
    click.echo(f"{len(problems)} faulty images were left out:", err=True)
    for text in problems[:20]:
        click.echo(f"  {text}", err=True)
    if len(problems) > 20:
        click.echo(f"  and {len(problems) - 20} more", err=True)


@click.command()
@click.argument("results", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "kind",
    type=click.Choice(["table", "json", "csv", "latex"]),
    default="table",
    show_default=True,
)
@click.option("--metric", default="topk_overlap", show_default=True, help="The score that wins.")
@click.option("--region", help="A scored region. [default: the first]")
@POPULATION
@click.option(
    "--tie-rule",
    type=click.Choice(["split", "first"]),
    default="split",
    show_default=True,
    help="A tied win is shared, or goes to the first method.",
)
def summary(
    results: Path,
    kind: str,
    metric: str,
    region: str | None,
    population: Literal["correct", "all"],
    tie_rule: Literal["split", "first"],
) -> None:
    """Print win rates, scores, accuracy and left-outs of a results folder."""
    from xaieval.cli.summary_text import render
    from xaieval.study import Results
    from xaieval.study import summary as summarise

    found = summarise(
        Results(results), metric=metric, region=region, population=population, tie_rule=tie_rule
    )
    click.echo(render(found, kind), nl=False)
