"""A results folder as blocks of a report: who wins, how well, on which images, made from what."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from xaieval.errors import ConfigError
from xaieval.export import (
    accuracy_table,
    gate_notes,
    method_labels,
)
from xaieval.export.files import made_from
from xaieval.report.blocks import (
    FigureBlock,
    TableBlock,
    download,
    moment,
    pretty,
    table_block,
    table_files,
)
from xaieval.report.study_figures import study_figures
from xaieval.study import Results, summary
from xaieval.study.results import OVERALL
from xaieval.study.summarise import Summary

_WINS = "win-rates"


@dataclass(frozen=True, eq=False)
class StudyPart:
    """Everything of one results folder that the page shows.

    ``files`` are its tables by file name, CSV and LaTeX.
    """

    kind = "study"
    id: str
    title: str
    note: str
    about: tuple[tuple[str, str], ...]
    figures: tuple[FigureBlock, ...]
    tables: tuple[TableBlock, ...]
    warnings: tuple[str, ...]
    sanity: str
    stand_ins: tuple[str, ...]
    problems: tuple[str, ...]
    provenance: str
    files: dict[str, bytes]
    record: dict[str, Any]


def study_part(folder: Path, *, id: str) -> StudyPart:
    """Read a results folder; ``id`` starts the ids of its elements on the page.

    Raises
    ------
    ResultsError
        When it is none, or damaged.
    """
    results = Results(folder)
    metric = _decisive(results)
    found = summary(results, metric=metric) if metric else None
    frames = _frames(results, found, metric)
    tables: list[TableBlock] = []
    files: dict[str, bytes] = {}
    for name, (title, caption, frame) in frames.items():
        made = table_files(name, title, frame, caption=caption)
        files |= made
        downloads = [download(file, data) for file, data in made.items()]
        tables.append(
            table_block(f"{id}-table-{name}", title, frame, caption=caption, downloads=downloads)
        )
    provenance = made_from(results) | {"folder": folder.name}
    return StudyPart(
        id=id,
        title=results.title,
        note=results.note,
        about=_about(results),
        figures=study_figures(results, metric, id=id),
        tables=tuple(tables),
        warnings=tuple(gate_notes(results)),
        sanity=_sanity(results),
        stand_ins=tuple(_stand_in(row) for row in found.stand_ins) if found else (),
        problems=tuple(found.problems) if found else (),
        provenance=pretty(provenance),
        files=files,
        record={"kind": "study", "manifest": dict(results.manifest), "provenance": provenance}
        | {"study": results.study.text, "sanity_failures": results.sanity_failures}
        | {
            "metric": metric,
            "tables": {name: _rows(frame) for name, (_, _, frame) in frames.items()},
        },
    )


def _decisive(results: Results) -> str:
    """Return the score that decides who wins; "" where nobody can win."""
    from xaieval.metrics import parse_metric

    if len(results.compete) < 2:
        return ""
    if "topk_overlap" in results.metric_keys:
        return "topk_overlap"
    for key in results.metric_keys:
        try:
            if parse_metric(key).higher_is_better is not None:
                return key
        except ConfigError:  # a score of a package that is not installed here
            continue
    return ""


def _about(results: Results) -> tuple[tuple[str, str], ...]:
    manifest, labels = results.manifest, method_labels(results)
    seeds = ", ".join(map(str, results.seeds))
    made_on = manifest.get("machine", {})
    rows = [
        ("Study", results.study.id),
        ("Results", "measured" if results.kind == "measured" else "published, not measured here"),
        ("Model", str(manifest.get("model_id", ""))),
        ("Seeds", f"{len(results.seeds)}: {seeds}" if len(results.seeds) > 1 else seeds),
        ("Classes", ", ".join(results.classes)),
        ("Methods", ", ".join(labels[key] for key in results.method_ids)),
        ("Scores", ", ".join(results.metric_keys)),
        ("Finished", moment(str(manifest.get("finished") or ""))),
        ("Machine", " ".join(str(v) for k, v in made_on.items() if k != "cpus") if made_on else ""),
        ("Command", shlex.join(manifest.get("command") or [])),
    ]
    return tuple((name, text) for name, text in rows if text)


def _frames(
    results: Results, found: Summary | None, metric: str
) -> dict[str, tuple[str, str, pd.DataFrame]]:
    """Return title, caption and table by file name."""
    frames = {}
    labels = method_labels(results)
    if found is not None:
        frames[_WINS] = (
            "Win rates",
            f"Share of images on which a method scores best ({metric}); correctly classified "
            f"images; ties: {'shared' if found.tie_rule == 'split' else 'to the first method'}; "
            "mean and std (ddof 0) over seeds; low and high: Wilson, 95 %, over seeds pooled; "
            "score: mean over images, then seeds; n and left out: images, summed over seeds.",
            _win_frame(found, labels, results),
        )
    accuracy = results.accuracy()
    if len(accuracy):
        frames["accuracy"] = (
            "Accuracy",
            "Over seeds; std with ddof 0; folds of a seed taken together; n: images of a seed.",
            accuracy_table(accuracy),
        )
        frames["accuracy-per-seed"] = ("Accuracy per seed", "Folds taken together.", accuracy)
    if results.kind == "measured":
        scores = _score_frame(results, labels)
        frames["scores"] = (
            "Scores",
            "Mean over correctly classified images, then mean and std (ddof 0) over seeds; n: "
            "scores, undefined: images without one, both summed over seeds.",
            scores,
        )
    return frames


def _win_frame(found: Summary, labels: dict[str, str], results: Results) -> pd.DataFrame:
    """Return the summary's rows, all classes together first; empty columns are left out."""
    splits, classes = list(results.splits), [OVERALL, *results.classes]
    ordered = sorted(
        found.rows, key=lambda row: (splits.index(row["split"]), classes.index(row["class"]))
    )
    rows = pd.DataFrame(
        [
            {
                "split": row["split"],
                "class": row["class"],
                "method": labels.get(row["method_id"], row["method_id"]),
                "win rate": row["win_rate"],
                "std": row["std"],
                "low": row["low"],
                "high": row["high"],
                "score": row["score"],
                "score std": row["score_std"],
                "area share": row["area_share"],
                "seeds": row["n_seeds"],
                "n": row["n"],
                "left out": row["left_out"],
                "left out by": ", ".join(f"{why} {n}" for why, n in row["left_out_by"].items()),
            }
            for row in ordered
        ]
    )
    for name in ("seeds", "n", "left out"):
        rows[name] = rows[name].astype("Int64")
    for name in ("win rate", "std", "low", "high", "score", "score std", "area share"):
        rows[name] = rows[name].astype("float64")
    empty = [name for name in rows.columns if rows[name].isna().all() or not rows[name].any()]
    return rows.drop(columns=[name for name in empty if name in ("area share", "left out by")])


def _score_frame(results: Results, labels: dict[str, str]) -> pd.DataFrame:
    """Return mean scores per metric, region, split and method, made by the database."""
    rules = results.manifest.get("rule_digest")
    frame = results.query(
        "WITH s AS (SELECT s.metric_key, s.region, p.split, s.method_id, s.seed, s.value, "
        "s.reason IS NULL AS there FROM scores s "
        "JOIN predictions p USING (sample_id, model_id, seed) "
        "WHERE p.correct AND (s.rule_digest = ? OR ? IS NULL)), "
        "m AS (SELECT metric_key, region, split, method_id, seed, "
        "avg(value) FILTER (WHERE there) AS mean, count(*) FILTER (WHERE there) AS n, "
        "count(*) FILTER (WHERE NOT there) AS undefined FROM s GROUP BY ALL) "
        "SELECT metric_key AS score, region, split, method_id AS method, avg(mean) AS mean, "
        "stddev_pop(mean) AS std, count(mean) AS seeds, sum(n)::BIGINT AS n, "
        "sum(undefined)::BIGINT AS undefined FROM m GROUP BY ALL",
        [rules, rules],
    )
    orders = {
        "score": list(results.metric_keys),
        "region": ["whole", *results.regions],
        "split": list(results.splits),
        "method": list(results.method_ids),
    }
    for name, order in orders.items():
        frame[name] = pd.Categorical(frame[name], order)
    frame = frame.sort_values(list(orders), ignore_index=True)
    frame = frame.astype(dict.fromkeys(orders, "object"))
    return frame.assign(method=[labels.get(key, key) for key in frame["method"]])


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    from xaieval.export.files import plain_rows

    return plain_rows(frame)


def _sanity(results: Results) -> str:
    if results.kind == "published":
        return ""
    if not results.sanity:
        return "The sanity gate was not run on these models (xaieval sanity)."
    failed, models = len(results.sanity_failures), len(results.sanity)
    return (
        f"The sanity gate was run on {models} of {len(results.manifest.get('models', {}))} models; "
        f"{failed or 'no'} of {len(results.method_ids)} methods failed it."
    )


def _stand_in(row: dict[str, Any]) -> str:
    before, after = dict(row["before"]), dict(row["after"])
    return (
        f"{row['split']}: with {row['variant']} in the place of {row['original']}, "
        f"{row['changed']} of {row['n']} wins change hands; its win rate is "
        f"{after[row['variant']]:.3f} instead of {before[row['original']]:.3f}."
    )
