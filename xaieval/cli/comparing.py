"""compare-methods: do the methods really differ, and do the scores agree?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from xaieval.cli.options import POPULATION
from xaieval.cli.text import text_table

if TYPE_CHECKING:
    from xaieval.export import View
    from xaieval.study import Results


@click.command("compare-methods")
@click.argument("results", type=click.Path(path_type=Path))
@click.option("--metric", default="topk_overlap", show_default=True, help="The score compared.")
@click.option("--region", default="", help="A scored region. [default: the first]")
@click.option("--split", default="", help="[default: test, where there is one]")
@click.option("--class", "class_name", default="", help="[default: all classes together]")
@POPULATION
@click.option(
    "--unit",
    type=click.Choice(["seed", "image"]),
    default="seed",
    show_default=True,
    help="What one observation is: a seed's mean over images, or an image's mean over seeds.",
)
@click.option(
    "--format", "kind", type=click.Choice(["table", "json"]), default="table", show_default=True
)
def compare_methods(
    results: Path,
    metric: str,
    region: str,
    split: str,
    class_name: str,
    population: Literal["correct", "all"],
    unit: Literal["seed", "image"],
    kind: str,
) -> None:
    """Test whether the methods of RESULTS differ: Friedman, Nemenyi, Wilcoxon with Holm.

    Also says which scores agree about who is better.
    """
    from xaieval.export import View
    from xaieval.study import Results

    view = View(
        "ranks",
        metric=metric,
        population=population,
        splits=(split,) if split else (),
        classes=(class_name,) if class_name else (),
        region=region,
        unit=unit,
    )
    opened = Results(results)
    click.echo(_as_json(opened, view) if kind == "json" else _as_text(opened, view), nl=False)


def _as_text(results: Results, view: View) -> str:
    from xaieval.export import method_labels
    from xaieval.export.comparing import Group, agreement_rows, p_text, question, view_comparison

    found, labels = view_comparison(results, view), method_labels(results)
    test = found.friedman
    lines = [
        results.title,
        f"{view.metric} on {Group.of(results, view).text}; observations are {question(view)}",
        "",
    ]
    if test.reason:
        lines.append(f"no test: {test.reason}")
    else:
        how = "counted over all orders" if test.p_from == "exact" else "F"
        lines.append(
            f"Friedman: chi2 {test.chi2:.3f}, F {test.f:.3f}, p {p_text(test.p)} ({how}), "
            f"{test.n_blocks} {found.blocks.unit}s"
        )
    if found.nemenyi is not None:
        cd = found.nemenyi.cd
        lines.append(f"Nemenyi: critical difference {cd:.3f} at {found.alpha}; same letter: not")
        lines[-1] += " told apart"
    ranks = [
        [
            labels.get(row["method_id"], row["method_id"]),
            f"{row['rank']:.3f}",
            f"{row['mean']:.4f}",
            row["group"],
        ]
        for _, row in found.rank_table().iterrows()
    ]
    lines += ["", text_table(["method", "rank", "mean", "group"], ranks), ""]
    pairs = [
        [
            labels.get(pair.a, pair.a),
            labels.get(pair.b, pair.b),
            f"{pair.difference:+.4f}",
            f"{pair.for_a} : {pair.for_b} of {pair.n}",
            f"{pair.effect:+.3f}",
            *map(p_text, (pair.p, pair.p_holm, pair.least_p)),
        ]
        for pair in found.pairs
    ]
    head = ["method", "against", "difference", "better in", "effect", "p", "p (Holm)", "least p"]
    lines += [text_table(head, pairs)]
    rows = agreement_rows(results, view)
    if len(rows):
        scores = [
            [
                row["a"],
                row["b"],
                f"{row['r']:+.3f}",
                f"{row['low']:+.3f} to {row['high']:+.3f}",
                str(row["n"]),
                str(row["left_out"]),
                row["verdict"],
            ]
            for _, row in rows.iterrows()
        ]
        head = ["score", "and", "tau", "95 %", "n", "left out", "verdict"]
        lines += ["", text_table(head, scores)]
    if results.note:
        lines += ["", f"Note: {results.note}."]
    return "\n".join(lines) + "\n"


def _as_json(results: Results, view: View) -> str:
    import dataclasses

    from xaieval.export import exhibit_table, sidecar
    from xaieval.export.files import plain_rows

    parts: dict[str, Any] = {"about": sidecar(results, view, format="json")}
    for exhibit in ("ranks", "pairs", "agreement"):
        asked = dataclasses.replace(view, exhibit=exhibit)
        parts[exhibit] = plain_rows(exhibit_table(results, asked))
    return json.dumps(parts, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
