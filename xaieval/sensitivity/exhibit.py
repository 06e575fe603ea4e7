"""The answer as figure, table and files, with the sidecar that explains them."""

from __future__ import annotations

import json
import shlex
import textwrap
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from xaieval.errors import unknown
from xaieval.export import TABLE_FORMATS, method_labels
from xaieval.export.files import made_from, plain_rows, versions
from xaieval.export.latex import frame_latex
from xaieval.figures.palette import Mode
from xaieval.figures.saving import figure_bytes
from xaieval.figures.survival import Survivals, draw_survival, print_survival, survivals
from xaieval.sensitivity.axes import AXES
from xaieval.sensitivity.result import Sensitivity, sentence
from xaieval.study.results import Results

INTERVAL = "95 %, two-way bootstrap over images and seeds (1000 draws)"


@dataclass(frozen=True, eq=False)
class Survival:
    """A sensitivity run of opened results, ready to be shown or written."""

    results: Results
    found: Sensitivity

    @cached_property
    def labels(self) -> dict[str, str]:
        """Method key -> label, marked where the sanity gate failed it."""
        known = method_labels(self.results)
        return {method: known.get(method, method) for method in self.found.methods}

    @cached_property
    def rows(self) -> Survivals:
        """Where everything stands in the figure."""
        return survivals(
            self.found.table,
            self.found.verdicts,
            labels=self.labels,
            groups={name: axis.label for name, axis in AXES.items()},
        )

    @property
    def text(self) -> str:
        """The answer in a sentence."""
        return sentence(self.found, self.labels)

    @property
    def about(self) -> str:
        """What was looked at, in a line."""
        settings = self.found.settings
        which = "correctly classified" if settings.population == "correct" else "all"
        return (
            f"{len(settings.images)} {settings.split} images ({which}), {len(settings.seeds)} "
            f"seeds; wins by {settings.metric} in {settings.region}"
        )

    @property
    def stem(self) -> str:
        """A plain file name without extension."""
        return f"{self.results.study.id}-sensitivity"

    def draw(self, mode: Mode) -> Any:
        """Return the figure for a page."""
        return draw_survival(self.rows, methods=self.found.methods, mode=mode)


def survival_figure(shown: Survival, *, format: str = "png") -> bytes:
    """Return the figure as bytes of a PNG, SVG or PDF.

    Raises
    ------
    ConfigError
        For an unknown format.
    """
    title = f"{shown.results.study.title}: does the winner survive?"
    note = "\n".join(textwrap.wrap(f"{shown.text} {shown.about}.", 118))
    drawn = print_survival(
        shown.rows, methods=shown.found.methods, labels=shown.labels, title=title, note=note
    )
    return figure_bytes(drawn, format=format, source=f"{title} {_command(shown)}")


def survival_rows(shown: Survival) -> pd.DataFrame:
    """Return a row per variant and method, with the verdict on its variant beside."""
    verdicts = shown.found.verdicts[["variant", "survives", "tau", "left_out", "left_out_by"]]
    table = shown.found.table.merge(verdicts, on="variant")
    table.insert(4, "method", [shown.labels[m] for m in table["method_id"]])
    return table


def survival_table(shown: Survival, *, format: str = "csv") -> str:
    """Return the table as CSV or JSON in full precision, or as LaTeX to three digits."""
    if format not in TABLE_FORMATS:
        raise unknown("table format", format, TABLE_FORMATS)
    rows = survival_rows(shown)
    if format == "csv":
        return rows.to_csv(index=False, lineterminator="\n")
    if format == "json":
        whole = {"about": survival_sidecar(shown, format=format), "rows": plain_rows(rows)}
        return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    wide = shown.found.table.pivot(index="variant", columns="method_id", values="win_rate")
    verdicts = shown.found.verdicts
    axes = [AXES[a].label if a in AXES else "As measured" for a in verdicts["axis"]]
    named = [label if a in AXES else "" for a, label in zip(verdicts["axis"], verdicts["label"],
                                                            strict=True)]  # fmt: skip
    table = pd.DataFrame({"Choice": axes, "Variant": named})
    for method in shown.found.methods:
        table[shown.labels[method]] = [float(wide.loc[v, method]) for v in verdicts["variant"]]
    table["tau"] = verdicts["tau"].to_numpy()
    table["n"] = verdicts["n"].to_numpy()
    table["winner"] = ["same" if s else CHANGED for s in verdicts["survives"]]
    return frame_latex(table, caption=f"{shown.text} {shown.about}.")


CHANGED = "another"


def _command(shown: Survival) -> str:
    settings = shown.found.settings
    words = ["xaieval", "sensitivity", str(shown.results.path), "--metric", settings.metric]
    words += ["--region", settings.region, "--split", settings.split]
    words += ["--population", settings.population, "--axes", ",".join(settings.axes)]
    words += ["--images", str(len(settings.images))]
    words += ["--seeds", ",".join(map(str, settings.seeds))]
    return shlex.join(words)


def survival_sidecar(shown: Survival, *, format: str) -> dict[str, Any]:
    """Return what explains an export: ids, parameters, versions, digests, command."""
    settings = shown.found.settings
    survived, total = shown.found.survived
    return {
        "exhibit": "sensitivity",
        "title": "Does the winner survive?",
        "caption": shown.text,
        "format": format,
        "survived": [survived, total],
        "ids": {
            "study": shown.results.study.id,
            "methods": list(shown.found.methods),
            "images": list(settings.images),
            "seeds": list(settings.seeds),
        },
        "parameters": {
            "metric": settings.metric,
            "region": settings.region,
            "split": settings.split,
            "population": settings.population,
            "axes": list(settings.axes),
            "skipped": dict(shown.found.skipped),
            "interval": INTERVAL,
        },
        "made": {
            "finished": settings.finished,
            "elapsed_s": settings.elapsed_s,
            "versions": dict(settings.versions or {}),
            "machine": settings.machine,
        },
        **made_from(shown.results),
        "versions": versions(),
        "command": _command(shown),
    }
