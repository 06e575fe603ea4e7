"""What an experiment of project_iml shows: tables, charts, overlays, and a sheet per image."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from xaieval import __version__
from xaieval.digest import digest
from xaieval.export import SHEET_FORMATS, make_sheet, method_labels, sheet_bytes, sheet_name
from xaieval.figures.chart import Chart
from xaieval.figures.curves import QUANTITIES, curve_table
from xaieval.files import write_bytes, write_json
from xaieval.outcomes import Picture, Sheet
from xaieval.progress import Progress, Report
from xaieval.reproduce.gallery import gallery, overlay_rows
from xaieval.reproduce.project_iml.findings import GRADCAM, METRIC, of, overlaps, shares
from xaieval.stats import OVERALL, over_seeds
from xaieval.stats.bootstrap import two_way
from xaieval.study import Results, summary

if TYPE_CHECKING:
    from xaieval.backend import Backend

Arms = Mapping[float, Results]


def arm_name(beta: float) -> str:
    """Return the folder of an arm.

    >>> arm_name(1.0), arm_name(0.0)
    ('beta-1', 'beta-0')
    """
    return f"beta-{beta:g}"


# ---------------------------------------------------------------- tables


def tables(arms: Arms) -> tuple[Sheet, ...]:
    """Return win rates, scores and accuracies of both arms, mean ± std (ddof 0) over seeds."""
    rates, scores, accuracy = [], [], []
    for beta, results in arms.items():
        labels = method_labels(results)
        found = summary(results)
        for row in found.rows:
            head = {"β": f"{beta:g}", "split": row["split"], "class": row["class"]}
            head["method"] = labels[row["method_id"]]
            counts = {"seeds": row["n_seeds"], "n": row["n"]}
            if row["competes"]:
                rates.append(
                    {**head, "win rate": row["win_rate"], "std": row["std"]}
                    | {**counts, "left out": row["left_out"], "why": _causes(row["left_out_by"])}
                )
            if row["class"] == OVERALL:
                scores.append(
                    {**head, "Top-K overlap": row["score"], "std": row["score_std"]}
                    | {"area share": row["area_share"], "ceiling": row["ceiling"], **counts}
                )
        accuracy += [
            {
                "β": f"{beta:g}",
                "split": row["split"],
                "balanced accuracy": row["balanced_accuracy"],
                "std": row["balanced_accuracy_std"],
                "seeds": row["n_seeds"],
                "n": row["n"],
            }
            for row in found.accuracy
        ]
    others = pd.DataFrame(scores).drop(columns="class")
    who = "Correctly classified images with a mask; mean and standard deviation (ddof 0) over seeds"
    return (
        Sheet("win-rates", "Win rates by Top-K overlap", pd.DataFrame(rates), f"{who}.", 4),
        Sheet("scores", "Mean Top-K overlap", others, f"{who}; n counts images under seeds.", 4),
        Sheet(
            "other-scores",
            "Other scores",
            _other_scores(arms),
            f"{who} of the mean over images.",
            4,
        ),
        Sheet(
            "accuracy",
            "Balanced accuracy",
            pd.DataFrame(accuracy),
            "Of the images that are explained; mean and standard deviation (ddof 0) over seeds.",
            4,
        ),
    )


def _causes(counts: Mapping[str, int]) -> str:
    """Return why images are left out.

    >>> _causes({"empty-mask": 100, "misclassified": 19})
    'empty-mask 100, misclassified 19'
    """
    return ", ".join(f"{cause} {n}" for cause, n in counts.items())


def _other_scores(arms: Arms) -> pd.DataFrame:
    parts = []
    for beta, results in arms.items():
        labels = method_labels(results)
        for metric in ("topk_iou", "mass_accuracy"):
            scores = results.scores(metric_key=metric, region=results.regions[0])
            used = scores[scores["correct"] & scores["value"].notna()]
            by_seed = used.groupby(["split", "method_id", "seed"])["value"].mean()
            spread = by_seed.groupby(level=["split", "method_id"])
            table = pd.DataFrame(
                {"mean": spread.mean(), "std": spread.std(ddof=0), "seeds": spread.size()}
            ).reset_index()
            table["method"] = table["method_id"].map(labels)
            parts.append(table.assign(**{"β": f"{beta:g}", "score": metric}))
    columns = ["β", "split", "score", "method", "mean", "std", "seeds"]
    return pd.concat(parts, ignore_index=True)[columns]


# ---------------------------------------------------------------- charts


def charts(arms: Arms) -> tuple[Chart, ...]:
    """Return win-rate boxes and curves per arm, and what β changes."""
    found: list[Chart] = []
    for beta, results in arms.items():
        found.append(_boxes(beta, results))
        found += _curves(beta, results)
    return (*found, _beta_wins(arms), _beta_scores(arms))


def _boxes(beta: float, results: Results) -> Chart:
    rates = results.win_rates(METRIC)
    rates = rates[rates["n"] > 0]
    table = pd.DataFrame(
        {
            "where": [f"{s}: {c}" for s, c in zip(rates["split"], rates["class"], strict=True)],
            "method": rates["method_id"],
            "win_rate": rates["win_rate"],
            "seed": rates["seed"],
            "n": rates["n"],
        }
    )
    return Chart(
        id=f"win-rates-{arm_name(beta)}",
        kind="boxes",
        title=f"Win rates by Top-K overlap, β = {beta:g}",
        table=table,
        x="where",
        y="win_rate",
        group="method",
        x_label="split and class",
        y_label="win rate",
        y_range=(-0.05, 1.05),
        caption=(
            "Share of correctly classified images with a mask on which a method has the highest "
            "overlap (ties shared). Boxes over seeds, every seed a point."
        ),
    )


_CURVES = (("accuracy", "balanced_accuracy"), ("loss", "loss_total"), ("mask-loss", "loss_mask"))


def _curves(beta: float, results: Results) -> list[Chart]:
    history = results.history()
    found = []
    for name, quantity in _CURVES:
        table = curve_table(history, quantity)
        if table.empty or table["mean"].isna().all():
            continue  # without the mask loss there is no curve of it
        nothing = ((mask_losses(results)[1], "drawing nothing"),) if name == "mask-loss" else ()
        table = table.assign(low=table["mean"] - table["std"], high=table["mean"] + table["std"])
        found.append(
            Chart(
                id=f"{name}-{arm_name(beta)}",
                kind="lines",
                title=f"{QUANTITIES[quantity].capitalize()}, β = {beta:g}",
                table=table,
                x="epoch",
                y="mean",
                group="split",
                low="low",
                high="high",
                x_label="epoch",
                y_label=QUANTITIES[quantity],
                lines_at=nothing,
                caption="Mean over seeds, band ± 1 standard deviation (ddof 0).",
            )
        )
    return found


def _beta_wins(arms: Arms) -> Chart:
    rows = []
    for beta, results in arms.items():
        labels = method_labels(results)
        found = shares(results)
        for key in results.compete:
            mean = two_way(of(found, key))
            rows.append(
                {"method": labels[key], "β": f"β = {beta:g}", "win_rate": mean.estimate}
                | {"low": mean.low, "high": mean.high, "seeds": mean.n_seeds, "n": mean.n}
            )
    return Chart(
        id="beta-win-rates",
        kind="bars",
        title="Who wins the test images, with the mask loss and without",
        table=pd.DataFrame(rows),
        x="method",
        y="win_rate",
        group="β",
        low="low",
        high="high",
        y_label="win rate",
        y_range=(0.0, 1.0),
        caption="95 % intervals: two-way bootstrap over seeds and images.",
    )


def _beta_scores(arms: Arms) -> Chart:
    rows = []
    for beta, results in arms.items():
        labels = method_labels(results)
        found = overlaps(results)
        areas = results.scores(metric_key="area_share", split="test", region=results.regions[0])
        area = float(areas.loc[areas["correct"], "value"].mean())
        for key in results.method_ids:
            mean = two_way(of(found, key))
            rows.append(
                {"method": labels[key], "β": f"β = {beta:g}", "overlap": mean.estimate}
                | {"low": mean.low, "high": mean.high, "area_share": area, "n": mean.n}
            )
    return Chart(
        id="beta-overlap",
        kind="bars",
        title="Mean Top-K overlap on the test images, with the mask loss and without",
        table=pd.DataFrame(rows),
        x="method",
        y="overlap",
        group="β",
        low="low",
        high="high",
        reference="area_share",
        y_label="Top-K overlap",
        caption=(
            "95 % intervals: two-way bootstrap over seeds and images. The line is the mean area "
            "share of the masks: what chance gets."
        ),
    )


# ---------------------------------------------------------------- images


def chosen_images(results: Results, *, per_class: int, split: str = "test") -> list[str]:
    """Return some images of each class, by the digest of their ids: the same ones every time."""
    rows = results.predictions(split=split, seed=results.seeds[0])
    found: list[str] = []
    for name in results.classes:
        ids = rows.loc[rows["class"] == name, "sample_id"]
        found += sorted(ids, key=lambda it: digest("sheet", it))[:per_class]
    return found


def write_sheets(
    out: Path, arms: Arms, *, per_class: int, backend: Backend, report: Report
) -> list[str]:
    """Write the sheets of some images under each arm's first seed; return their paths in ``out``.

    Each as PNG, SVG and HTML, in ``sheets/<arm>/``. Sheets of the same results are kept.
    """
    wanted = [
        (beta, results, sample)
        for beta, results in arms.items()
        for sample in chosen_images(results, per_class=per_class)
    ]
    made_of = digest(
        __version__,
        [(arm_name(beta), sample) for beta, _, sample in wanted],
        [(it.method_ids, it.metric_keys, *map(it.manifest.get, _DECIDING)) for it in arms.values()],
    )
    kept = _kept(out, made_of)
    if kept is not None:
        return kept
    written, began = [], time.monotonic()
    for number, (beta, results, sample) in enumerate(wanted):
        elapsed_s = time.monotonic() - began
        report(Progress("draw sheets", number, len(wanted), elapsed_s, sample))
        sheet = make_sheet(results, sample, backend=backend)
        for format in SHEET_FORMATS:
            name = f"sheets/{arm_name(beta)}/{sheet_name(sheet, format)}"
            write_bytes(out / name, sheet_bytes(sheet, format=format))
            written.append(name)
    write_json(out / _INDEX, {"made_of": made_of, "files": written})
    return written


_INDEX = "sheets/index.json"
_DECIDING = ("base_digest", "rule_digest", "models")


def _kept(out: Path, made_of: str) -> list[str] | None:
    """Return the sheets that lie there, if they are all there and of these results."""
    try:
        found = json.loads((out / _INDEX).read_text(encoding="utf-8"))
        files: list[str] = found["files"]
        same = found["made_of"] == made_of
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return files if same and all((out / name).is_file() for name in files) else None


def pictures(arms: Arms, *, backend: Backend) -> tuple[Picture, ...]:
    """Return the overlays of one image of each class with a mask, with and without mask loss."""
    first = next(iter(arms.values()))
    scores = first.scores(metric_key=METRIC, region=first.regions[0], split="test")
    masked = set(scores.loc[scores["value"].notna(), "sample_id"])
    ids = [it for it in chosen_images(first, per_class=1) if it in masked]
    if not ids:
        return ()
    methods, seed = first.compete, first.seeds[0]
    labels = method_labels(first)
    rows: list[Any] = []
    for sample in ids:
        for beta, results in arms.items():
            rows += overlay_rows(
                results,
                [sample],
                methods=methods,
                seed=seed,
                label=f"beta = {beta:g}",  # the font of pictures has no Greek
                metric=METRIC,
                backend=backend,
            )
    columns = ["picture", *(labels[key] for key in methods)]
    names = ", ".join(ids)
    return (
        Picture(
            "overlays",
            "Heatmaps with the mask loss (β = 1) and without (β = 0)",
            gallery(columns, rows),
            f"Heatmaps of {', '.join(columns[1:])} over the test images {names}.",
            f"One test image of each class, chosen by digest; seed {seed}; the outline is the "
            "mask, the number the Top-K overlap.",
        ),
    )


def mask_losses(results: Results) -> tuple[float, float]:
    """Return the mask loss of test images after the last epoch, and that of drawing nothing.

    The mean squared error of a drawing that is 0 everywhere is the mean area share. Where both are
    alike the decoder draws nothing, and the mask loss has taught the encoder nothing.
    """
    history = results.history()
    test = history[history["split"] == "test"]
    last = test[test["epoch"] == test["epoch"].max()]
    areas = results.scores(
        metric_key="area_share", split="test", region=results.regions[0], method_id=GRADCAM
    )
    return float(last["loss_mask"].mean()), float(areas["value"].fillna(0).mean())


def facts(arms: Arms) -> dict[str, Any]:
    """Return every figure of the text, by arm: win rates under both tie rules, accuracies."""
    found: dict[str, Any] = {}
    for beta, results in arms.items():
        per_arm: dict[str, Any] = {"seeds": list(results.seeds)}
        for rule in ("split", "first"):
            spread = over_seeds(results.win_rates(METRIC, tie_rule=rule))
            overall = spread[spread["class"] == OVERALL]
            per_arm[f"win_rates_ties_{rule}"] = {
                split: {
                    row["method_id"]: {"mean": row["mean"], "std": row["std"], "n": row["n_images"]}
                    for row in part.to_dict("records")
                }
                for split, part in overall.groupby("split")
            }
        accuracy = results.accuracy()
        per_arm["balanced_accuracy"] = {
            split: {
                "mean": float(part["balanced_accuracy"].mean()),
                "std": float(part["balanced_accuracy"].std(ddof=0)),
                "per_seed": part["balanced_accuracy"].tolist(),
            }
            for split, part in accuracy.groupby("split")
        }
        found[arm_name(beta)] = per_arm
    return found
