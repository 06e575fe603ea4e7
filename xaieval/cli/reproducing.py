"""reproduce: the reference systems, run here; or their published runs, re-aggregated."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xaieval.cli.options import FILE, FOLDER, PATH
from xaieval.cli.progress import shown
from xaieval.errors import ConfigError
from xaieval.progress import duration

if TYPE_CHECKING:
    from xaieval.outcomes import Experiment
    from xaieval.reproduce import ExperimentSpec, Size

SIGNS = {"holds": "✓", "does not hold": "✗", "cannot be tested here": "–"}


@click.command()
@click.argument("target", metavar="SYSTEM[/EXPERIMENT]")
@click.option("--small", "size", flag_value="small", help="Runs anywhere, ten minutes at most.")
@click.option("--tiny", "size", flag_value="tiny", help="Two minutes at most: does it run at all?")
@click.option("--data", type=FOLDER, help="Folder of the dataset.")
@click.option("--out", type=FOLDER, help="Folder to write. [default: results/SYSTEM/EXPERIMENT]")
@click.option("--device", default="auto", show_default=True, help="A torch device.")
@click.option("--samples", type=click.IntRange(min=1), help="Explain at most so many images.")
@click.option("--encoder-weights", type=PATH, help="Pretrained weights: a file, or a folder.")
@click.option("--report", "reported", is_flag=True, help="Write the report page too.")
@click.option("--published", type=FILE, help="project-iml: JSON file of the published runs.")
def reproduce(
    target: str,
    size: Size | None,
    data: Path | None,
    out: Path | None,
    device: str,
    samples: int | None,
    encoder_weights: Path | None,
    reported: bool,
    published: Path | None,
) -> None:
    """Run a reference system, or one of its experiments, and say what became of its claims.

    Without --small or --tiny the published setting is run whole, on --data. What is finished is
    kept: the same command goes on where it was stopped. With --published no model is run: the
    published runs are aggregated again.
    """
    if published is not None:
        _published(target, published, out)
        return
    from xaieval.reproduce import Setup, default_folder, find_experiments, run_experiment

    specs = find_experiments(target)
    wanted: Size = size or "whole"
    chosen = [spec for spec in specs if len(specs) == 1 or wanted in spec.sizes]
    if not chosen:
        raise ConfigError(f"no experiment of {target} has a {wanted} form")
    for spec in specs:
        if spec not in chosen:
            click.echo(f"{spec.id} has no {wanted} form and is left out", err=True)
    for spec in chosen:
        click.echo(f"{spec.id} ({wanted}): {spec.sizes.get(wanted, '')}", err=True)
        folder = default_folder(target, specs, spec, out)
        with shown() as report:
            experiment = run_experiment(
                spec,
                Setup(
                    out=folder,
                    size=wanted,
                    data=data,
                    device=device,
                    samples=samples,
                    weights=encoder_weights,
                    command=("xaieval", *sys.argv[1:]),
                    report=report,
                ),
            )
        _tell(spec, experiment)
        if reported:
            from xaieval.report import write_report

            click.echo(f"report: {write_report(folder)}")


def _tell(spec: ExperimentSpec, experiment: Experiment) -> None:
    """Print gates, claims and where everything lies."""
    outcome = experiment.outcome
    click.echo(f"\n{spec.label} ({experiment.about.size})")
    for gate in outcome.gates:
        passed = "passed" if gate.passed else "NOT PASSED"
        click.echo(f"  gate {passed}: {gate.gate.text}: {gate.value:.3f} >= {gate.gate.minimum:g}")
    for finding in outcome.findings:
        click.echo(f"  {SIGNS[finding.verdict]} {finding.verdict}: {finding.claim.text}")
        parts = [finding.claim.published and f"published {finding.claim.published}"]
        if finding.value is not None and finding.low is not None and finding.high is not None:
            interval = f"[{finding.low:.3f}, {finding.high:.3f}]"
            parts.append(f"here {finding.value:.3f} {interval} {finding.unit}".rstrip())
        elif finding.value is not None:
            parts.append(f"here {finding.value:.3f} {finding.unit}".rstrip())
        parts += [finding.n and f"n: {finding.n}", finding.why]
        click.echo("      " + "; ".join(part for part in parts if part))
    for note in outcome.notes:
        click.echo(f"  note: {note}")
    took = duration(experiment.about.elapsed_s)
    click.echo(
        f"  in {experiment.path} after {took}; see it with 'xaieval serve {experiment.path}'"
    )


def _published(target: str, published: Path, out: Path | None) -> None:
    from xaieval.cli.summary_text import render
    from xaieval.study import import_published
    from xaieval.study import summary as summarise

    if target != "project-iml":
        raise ConfigError(
            "published runs are known of one system",
            where="--published",
            expected="project-iml",
            got=target,
        )
    results = import_published(published, out or Path("results") / f"{target}-published")
    click.echo(render(summarise(results), "table"))
    click.echo(f"results in {results.path}; see them with 'xaieval serve {results.path}'")
