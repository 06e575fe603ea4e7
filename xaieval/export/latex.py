"""Tables of a study as LaTeX (booktabs), escaped, the best of each row in bold."""

from __future__ import annotations

from typing import Any

import pandas as pd

from xaieval.figures.boxes import count_text
from xaieval.sanity.marks import MARK
from xaieval.stats import FEW_IMAGES

_ESCAPES = {
    "ρ": r"$\rho$",
    "|": r"\textbar{}",
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "–": "--",
    "⚠": r"$\ddagger$",
}


def escape(text: str) -> str:
    r"""Return text that LaTeX prints as it is.

    >>> escape("topk_overlap, 5 %")
    'topk\\_overlap, 5 \\%'
    """
    return "".join(_ESCAPES.get(sign, sign) for sign in text)


def latex_table(table: pd.DataFrame, *, exhibit: str, caption: str) -> str:
    """Return a ``table`` environment: win rates as a matrix with a column per method, anything
    else row by row.

    A group of fewer than five images carries a dagger, a method that failed the sanity gate a
    double one. Needs the package booktabs.
    """
    if exhibit == "win-rates":
        head, rows = _matrix(table)
    else:
        names = [c for c in table.columns if c != "note"]
        head = [escape(str(name)) for name in names]
        rows = [[_plain(row[name]) for name in names] for _, row in table.iterrows()]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(caption)}}}",
        rf"\begin{{tabular}}{{{'l' * min(2, len(head))}{'r' * max(len(head) - 2, 0)}}}",
        r"\toprule",
        " & ".join(head) + r" \\",
        r"\midrule",
        *(" & ".join(row) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if exhibit == "win-rates" and table["few"].any():
        lines.append(rf"\par\footnotesize $\dagger$ fewer than {FEW_IMAGES} images")
    if "sanity" in table:
        failed = table[table["sanity"] != ""].drop_duplicates("method_id")
        for method, why in zip(failed["method"], failed["sanity"], strict=True):
            lines.append(gate_line(f"{MARK} {method.removesuffix(f' {MARK}')} {why}"))
    return "\n".join([*lines, r"\end{table}", ""])


def gate_line(text: str) -> str:
    """Return a line under a table that says which method failed the sanity gate, and why."""
    return rf"\par\footnotesize {escape(text)}"


def _matrix(table: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    methods = list(dict.fromkeys(zip(table["method_id"], table["method"], strict=True)))
    head = ["Split", "Class", "$n$", "Left out", *(escape(label) for _, label in methods)]
    rows = []
    for (split, group), part in table.groupby(["split", "class"], sort=False):
        n = count_text(part["n_low"].min(), part["n_high"].max()).removeprefix("n ")
        few = r"$\dagger$" if part["few"].any() else ""
        left_out = part["left_out"].max()
        row = [escape(str(split)), escape(str(group)), (escape(n) or "--") + few]
        row.append("--" if pd.isna(left_out) else f"{left_out:.0f}")
        best = part["mean"].max()
        for method, _ in methods:
            cell = part[part["method_id"] == method]
            if cell.empty or pd.isna(cell["mean"].iloc[0]):
                row.append("--")
                continue
            mean, std = cell["mean"].iloc[0], cell["std"].iloc[0]
            text = rf"{mean:.3f} $\pm$ {std:.3f}"
            row.append(rf"\textbf{{{text}}}" if mean == best else text)
        rows.append(row)
    return head, rows


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return "--" if pd.isna(value) else f"{value:.3f}"
    return escape(str(value))
