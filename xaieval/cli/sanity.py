"""sanity: does each method show the model, or only the picture?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xaieval.cli.options import FOLDER, Names, Seeds
from xaieval.cli.progress import shown
from xaieval.cli.text import text_table
from xaieval.sanity.limits import IMAGES, LEAST_IMAGES, MOST_ROWS

if TYPE_CHECKING:
    from xaieval.progress import Report
    from xaieval.sanity import SanityReport, Verdict
    from xaieval.types import Sample


@click.command()
@click.argument("target", metavar="STUDY|RESULTS|CHECKPOINT")
@click.option(
    "--methods",
    type=Names(),
    help="[default: the study's; for a checkpoint, every method of at most "
    f"{MOST_ROWS} rows per image]",
)
@click.option("--images", type=click.IntRange(LEAST_IMAGES), default=IMAGES, show_default=True)
@click.option("--data", type=FOLDER, help="Folder of the images.")
@click.option("--seeds", type=Seeds(), help="Some of the study's seeds: 42,43 or 42-46.")
@click.option("--device", help="auto, cpu, cuda, cuda:1, mps. [default: the study's, or auto]")
@click.option(
    "--out", type=FOLDER, help="Where sanity.json goes. [default: results/STUDY; beside CHECKPOINT]"
)
def sanity(
    target: str,
    methods: tuple[str, ...] | None,
    images: int,
    data: Path | None,
    seeds: tuple[int, ...] | None,
    device: str | None,
    out: Path | None,
) -> None:
    """Run the sanity gate: what is left of each method's maps when the weights are random.

    For every trained model of a study, or one checkpoint. Writes sanity.json, which every table
    and page then reads.
    """
    path = Path(target)
    with shown() as report:
        if path.suffix == ".safetensors":
            folder = out or path.parent
            reports = [_gate_checkpoint(path, methods, images, data, device, folder, report)]
        else:
            from xaieval.study import default_out, gate_study, load_study
            from xaieval.study.manifest import STUDY_FILE

            home = path if (path / STUDY_FILE).is_file() else None
            study = load_study(target if home is None else home / STUDY_FILE)
            folder = out or home or default_out(study)
            reports = gate_study(
                study,
                data=data,
                out=folder,
                seeds=seeds,
                device=device,
                methods=methods,
                images=images,
                report=report,
            )
    click.echo(table(reports))
    for line in _failed(reports):
        click.echo(line)
    click.echo(f"sanity.json in {folder}")


def _gate_checkpoint(
    path: Path,
    methods: tuple[str, ...] | None,
    images: int,
    data: Path | None,
    device: str | None,
    folder: Path,
    report: Report,
) -> SanityReport:
    from xaieval.backend import pick_devices
    from xaieval.digest import digest_file
    from xaieval.methods import resolve_methods
    from xaieval.models import load_checkpoint, read_card
    from xaieval.sanity import read_reports, run_gate, write_reports
    from xaieval.sanity.images import model_input

    calls = resolve_methods(list(methods) if methods else affordable())
    classifier = load_checkpoint(path)
    ids, read = _pictures(read_card(path).dataset, data)
    x, samples = model_input(classifier, ids, read, count=images)
    found = run_gate(
        classifier,
        x,
        calls,
        sample_ids=[sample.id for sample in samples],
        device=pick_devices(device or "auto")[0],
        checkpoint_sha256=digest_file(path),
        report=report,
    )
    write_reports(folder, [found])
    return read_reports(folder)[found.model]


def affordable() -> list[str]:
    """Return the ids of methods that ask the model and take few rows per image."""
    from xaieval.methods import METHODS

    return [
        name
        for name, spec in METHODS.items()
        if not spec.baseline and spec.cost(spec.defaults) <= MOST_ROWS
    ]


def _pictures(dataset: str, data: Path | None) -> tuple[list[str], Callable[[str], Sample]]:
    """Return ids and a reader: of the dataset that the model was trained on, or of a folder."""
    from xaieval.datasets import DATASETS, open_dataset
    from xaieval.datasets.images import is_image_name
    from xaieval.errors import DataError
    from xaieval.sanity.images import taken_in_turn

    if dataset in DATASETS:
        opened = open_dataset(dataset, data)
        return taken_in_turn(opened.by_class), opened.__getitem__
    if data is None:
        raise DataError(
            "nobody knows which images this model is for",
            fix="name a folder of pictures with --data",
        )
    if not data.is_dir():
        raise DataError("no such folder", where=data, fix="check the path")
    files = {p.name: p for p in data.iterdir() if is_image_name(p)}
    return taken_in_turn({"": files}), lambda name: _sample(files[name])


def _sample(path: Path) -> Sample:
    from xaieval.datasets.images import read_image
    from xaieval.types import Sample

    return Sample(id=path.stem, label=0, read_image=lambda: read_image(path))


def table(reports: Sequence[SanityReport]) -> str:
    """Return a line per model and method: verdict, what is left of the map, its limit, the rest."""
    head = ["model", "method", "verdict", "|ρ| left", "limit", "same image", "empty", "sum error"]
    rows = [
        [report.model, key, _sign(verdict), *_numbers(verdict)]
        for report in reports
        for key, verdict in report.verdicts.items()
    ]
    return text_table(head, rows)


def _sign(verdict: Verdict) -> str:
    from xaieval.sanity import MARK

    return f"{MARK} failed" if verdict.status == "failed" else verdict.status


def _numbers(verdict: Verdict) -> list[str]:
    checks = {check.name: check for check in verdict.checks}

    def value(*names: str) -> str:
        found = next((checks[name].value for name in names if name in checks), None)
        return "–" if found is None else f"{found:.3g}"

    limit = checks["randomisation"].threshold if "randomisation" in checks else None
    return [
        value("randomisation"),
        "–" if limit is None else f"{limit:.3g}",
        value("random networks, same image"),
        value("empty maps"),
        value("completeness", "conservation"),
    ]


def _failed(reports: Sequence[SanityReport]) -> list[str]:
    """Return the sentences about methods that failed or are not defined, each once."""
    from xaieval.sanity import failures, notes

    failed = failures(reports)
    undefined = {
        key: f"{key} {verdict.text}"
        for report in reports
        for key, verdict in report.verdicts.items()
        if verdict.status == "not defined"
    }
    return [*notes(failed, {key: key for key in failed}), *undefined.values()]
