"""Tables of a study as LaTeX (booktabs), escaped, the best of each row in bold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from xaieval.figures.boxes import count_text
from xaieval.sanity.marks import MARK
from xaieval.stats import FEW_IMAGES

_ESCAPES = {
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "ρ": r"$\rho$",
    "σ": r"$\sigma$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "→": r"$\rightarrow$",
    "−": r"$-$",
    "∞": r"$\infty$",
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

    A group of fewer than ten images carries a dagger, a method that failed the sanity gate a
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


def frame_latex(frame: pd.DataFrame, *, caption: str, decimals: int = 3) -> str:
    r"""Return any table as a ``table`` environment: texts left, numbers right, all escaped.

    Whole numbers stay whole, others are rounded to ``decimals``; NaN is a dash. Needs the package
    booktabs.

    >>> frame = pd.DataFrame({"part": ["l_eye"], "n": [12], "share": [-0.03125]})
    >>> print(frame_latex(frame, caption="Shares, 95 %", decimals=2))
    \begin{table}
    \centering
    \caption{Shares, 95 \%}
    \begin{tabular}{lrr}
    \toprule
    part & n & share \\
    \midrule
    l\_eye & 12 & $-$0.03 \\
    \bottomrule
    \end{tabular}
    \end{table}
    <BLANKLINE>
    """
    numeric = [is_numeric(frame.iloc[:, i]) for i in range(frame.shape[1])]
    rows = [
        " & ".join(_cell(value, decimals) for value in row)
        for row in frame.itertuples(index=False, name=None)
    ]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(caption)}}}",
        rf"\begin{{tabular}}{{{''.join('r' if right else 'l' for right in numeric)}}}",
        r"\toprule",
        " & ".join(escape(str(name)) for name in frame.columns) + r" \\",
        r"\midrule",
        *(row + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join([*lines, r"\end{table}", ""])


def is_numeric(column: pd.Series[Any]) -> bool:
    """Return whether a column holds numbers, which people read from the right.

    >>> is_numeric(pd.Series([1, None])), is_numeric(pd.Series([True])), is_numeric(pd.Series("a"))
    (True, False, False)
    """
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def cell_text(value: Any, decimals: int) -> str:
    """Return what a table for people shows of a value: rounded numbers, a dash for nothing.

    >>> [cell_text(v, 2) for v in (0.125, -0.001, 7, True, None, math.nan, "001")]
    ['0.12', '0.00', '7', 'yes', '–', '–', '001']
    """
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)) and not pd.isna(value):
        if math.isinf(value):
            return "∞" if value > 0 else "−∞"
        text = f"{value:.{decimals}f}"
        if not float(text):
            text = text.removeprefix("-")
        return text.replace("-", "−")
    if isinstance(value, (int, np.integer)):
        return str(value).replace("-", "−")
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return "–"
    return str(value)


def _cell(value: Any, decimals: int) -> str:
    return escape(cell_text(value, decimals))


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
