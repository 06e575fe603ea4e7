"""triage: which images to look at first."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from xaieval.cli.options import FILE
from xaieval.cli.text import text_table

if TYPE_CHECKING:
    import pandas as pd

    from xaieval.journal import Marks
    from xaieval.study import Results
    from xaieval.triage import TriageTable


class Span(click.ParamType):  # type: ignore[type-arg]
    """Two numbers joined by a colon: ``0.8:1``; an end left out is not bounded."""

    name = "low:high"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        low, sign, high = str(value).partition(":")
        try:
            span = (float(low or "-inf"), float(high or "inf"))
        except ValueError:
            span = (math.nan, math.nan)
        if not sign or not span[0] <= span[1]:
            self.fail(f"{value!r} is no range; write low:high, such as 0.8:1", param, ctx)
        return span


class Top(click.ParamType):  # type: ignore[type-arg]
    """A number of rows, or ``all``."""

    name = "n|all"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, int):
            return value
        if value == "all":
            return None
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(f"{value!r} is no number of rows; write 20, or all", param, ctx)
        return int(value)


class Lines(click.ParamType):  # type: ignore[type-arg]
    """Three numbers: ``0.5,0.8,0.1``."""

    name = "high,covered,low"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            high, covered, low = map(float, str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not three numbers such as 0.5,0.8,0.1", param, ctx)
        return high, covered, low


@click.command()
@click.argument("results")
@click.option("--metric", help="The score. [default: topk_overlap, else the study's first]")
@click.option("--region", help="A scored region. [default: the first]")
@click.option("--method", help="Score and pattern of this one. [default: mean of the competing]")
@click.option("--order", default="surprise", show_default=True, help="See docs/triage.md.")
@click.option("--split", help="train or test.")
@click.option("--class", "class_name", help="A class.")
@click.option("--seed", type=int, help="A training seed.")
@click.option(
    "--answers",
    type=click.Choice(["all", "correct", "wrong"]),
    default="all",
    show_default=True,
    help="Of the model.",
)
@click.option("--confidence", type=Span(), help="Of the model, such as 0.9:1.")
@click.option("--score", type=Span(), help="Range of the score, such as 0:0.2.")
@click.option("--pattern", help="One of the Shared Interest patterns.")
@click.option("--thresholds", type=Lines(), help="Of the patterns. [default: 0.5,0.8,0.1]")
@click.option("--outcome", help="counted:METHOD, won:METHOD or lost:METHOD.")
@click.option(
    "--population",
    type=click.Choice(["correct", "all"]),
    default="correct",
    show_default=True,
    help="Who counts in --outcome.",
)
@click.option(
    "--tie-rule",
    type=click.Choice(["split", "first"]),
    default="split",
    show_default=True,
    help="Of --outcome.",
)
@click.option("--tag", help="Images with this tag.")
@click.option(
    "--marked",
    type=click.Choice(["all", "marked", "unmarked"]),
    default="all",
    show_default=True,
    help="Images with or without any tag or note.",
)
@click.option("--text", default="", help="Part of an image's id, tag or note.")
@click.option("--top", type=Top(), default=20, show_default=True, help="How many rows; all.")
@click.option("--csv", "csv_file", type=FILE, help="Write these rows as CSV.")
@click.option("--fiftyone", "fiftyone_file", type=FILE, help="Write them for FiftyOne, as JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print rows and settings as JSON.")
def triage(
    results: str,
    metric: str | None,
    region: str | None,
    method: str | None,
    order: str,
    split: str | None,
    class_name: str | None,
    seed: int | None,
    answers: Literal["all", "correct", "wrong"],
    confidence: tuple[float, float] | None,
    score: tuple[float, float] | None,
    pattern: str | None,
    thresholds: tuple[float, float, float] | None,
    outcome: str | None,
    population: Literal["correct", "all"],
    tie_rule: Literal["split", "first"],
    tag: str | None,
    marked: Literal["all", "marked", "unmarked"],
    text: str,
    top: int | None,
    csv_file: Path | None,
    fiftyone_file: Path | None,
    as_json: bool,
) -> None:
    """Print the images of RESULTS (a folder or a study's id) that are most worth a look."""
    from xaieval.journal import Journal, marks
    from xaieval.stats import Thresholds
    from xaieval.triage import Filters, Queue, export_csv, export_fiftyone, frame, open_triage

    opened = one_results(results)
    keys = opened.metric_keys
    chosen = metric or ("topk_overlap" if "topk_overlap" in keys or not keys else keys[0])
    table = open_triage(opened, metric=chosen, region=region, method=method)
    lines = Thresholds() if thresholds is None else Thresholds(*thresholds)
    filters = Filters(
        split=split,
        class_name=class_name,
        seed=seed,
        answers=answers,
        confidence=confidence,
        score=score,
        pattern=pattern,
        outcome=outcome,
        population=population,
        tie_rule=tie_rule,
        tag=tag,
        marked=marked,
        text=text,
    )
    held = marks(Journal().events(study=table.study))
    rows = table.select(filters, order=order, thresholds=lines, marks=held)
    shown = rows if top is None else rows[:top]
    queue = Queue(filters, order, lines, top)
    if csv_file is not None:
        export_csv(table, shown, held, csv_file, queue=queue)
    if fiftyone_file is not None:
        export_fiftyone(table, shown, held, fiftyone_file, queue=queue)
    if as_json:
        click.echo(_json(table, shown, len(rows), held, queue), nl=False)
        return
    sheet = frame(
        table, shown, marks=held, thresholds=lines, tie_rule=tie_rule, population=population
    )
    click.echo(_head(table, len(rows), len(shown), order))
    if len(shown):
        click.echo(_text(sheet))
    for file in (csv_file, fiftyone_file):
        if file is not None:
            click.echo(
                f"{len(shown):,} rows written to {file}; {file.name}.json says how", err=True
            )


def one_results(name: str) -> Results:
    """Open the one results folder that a name stands for.

    Raises
    ------
    ResultsError
        When it stands for several, or for none.
    """
    from xaieval.errors import ResultsError
    from xaieval.study.opening import open_results

    found = open_results(name)
    if len(found) > 1:
        raise ResultsError(
            f"{len(found)} results folders in there",
            where=name,
            expected="one",
            got=", ".join(str(results.path) for results in found[:6]),
            fix="name one of them",
        )
    return found[0]


def _head(table: TriageTable, found: int, shown: int, order: str) -> str:
    from xaieval.triage import ORDERS

    what = ORDERS[order]
    of = f"{found:,} of {len(table):,} rows"
    first = f", the first {shown:,}" if shown < found else ""
    whose = table.method or f"the mean of {', '.join(table.compete)}"
    named = table.results.named_region(table.metric.key, table.region)
    return (
        f"{of}{first}; order: {what.label.lower()} ({what.formula}); "
        f"score: {table.metric.key}{f' of {named}' if named else ''}, {whose}"
    )


def _text(sheet: pd.DataFrame) -> str:
    head = ["image", "seed", "split", "class", "predicted", "conf.", "score"]
    head += ["disagr.", "surprise", "pattern", "winner", "tags"]
    rows = []
    for row in sheet.to_dict("records"):
        answer = f"{'✓' if row['correct'] else '✗'} {row['predicted']}"
        numbers = [_number(row[name]) for name in ("score", "disagreement", "surprise")]
        facts = [str(row[name]) for name in ("sample_id", "seed", "split", "class")]
        tail = [str(row[name]) for name in ("pattern", "winner", "tags")]
        rows.append([*facts, answer, _number(row["confidence"]), *numbers, *tail])
    filled = [i for i in range(len(head)) if i < 9 or any(row[i] for row in rows)]
    return text_table([head[i] for i in filled], [[row[i] for i in filled] for row in rows])


def _number(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _json(table: TriageTable, rows: Any, found: int, held: dict[str, Marks], queue: Any) -> str:
    from xaieval.export.files import plain_rows
    from xaieval.triage import frame, sidecar

    filters = queue.filters
    sheet = frame(
        table,
        rows,
        marks=held,
        thresholds=queue.thresholds,
        tie_rule=filters.tie_rule,
        population=filters.population,
    )
    told = {"about": sidecar(table, rows, queue=queue), "found": found, "rows": plain_rows(sheet)}
    return json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
