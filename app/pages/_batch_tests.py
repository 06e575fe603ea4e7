"""The Batch page's tests in plain words: do the methods differ, do the scores agree?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from types import MappingProxyType

import pandas as pd

from xaieval.export.comparing import p_text
from xaieval.stats import LEVELS, UNITS
from xaieval.study.comparison import MethodComparison

from ._batch_content import Tested
from ._batch_gate import method_name
from ._batch_html import define

STYLE = """
p.say { margin: 0 0 6px; max-width: 110ch; }
p.say b { font-weight: 650; }
.verdict { display: inline-block; border-radius: 8px; padding: 0 8px; border: 1px solid var(--line);
  font-size: var(--t-small); white-space: nowrap; }
.verdict.yes { border-color: currentColor; font-weight: 650; }
.verdict.cannot { border-style: dashed; color: var(--quiet); }
summary { cursor: pointer; color: var(--quiet); font-size: 12px; padding: 6px 0; min-height: 24px; }
"""


def difference_words(
    tests: Tested,
    labels: Mapping[str, str],
    metric: str,
    failed: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return Friedman's test in plain words, and what the diagram shows."""
    found = tests.compared
    if found is None:
        return f'<p class="say quiet">{escape(tests.reason)}</p>'
    test = found.friedman
    unit = "seed" if found.blocks.unit == "seed" else "image"
    blocks = f"{test.n_blocks} {unit}{'' if test.n_blocks == 1 else 's'}"
    over = f"{escape(tests.group.text)}, {_averaged(found)}"
    name = define("friedman", "Friedman's test")
    if test.reason:
        return (
            f'<p class="say">{name} needs blocks that differ: {escape(test.reason)} '
            f"({over}, {blocks}).</p>"
        )
    how = "counted over all orders" if test.p_from == "exact" else f"F = {test.f:.2f}"
    numbers = f"p {_equals(test.p)}, {how}; χ² = {test.chi2:.2f}, {blocks}"
    if found.differs:
        said = f"<b>Yes: the methods are not all alike</b> on {over} ({name}: {numbers})."
    else:
        said = (
            f"<b>Not shown.</b> On {over}, nothing speaks against the methods being all alike "
            f"({name}: {numbers}). Do not read the diagram and the pairs below as findings."
        )
    least = math.factorial(len(test.methods)) ** (1 - test.n_blocks)
    if least > found.alpha:
        said += f" So few {unit}s cannot show it: even full agreement would give p = {least:.3f}."
    ranks = ", ".join(
        f"{method_name(row['method_id'], labels, failed)} {row['rank']:.2f}"
        for _, row in found.rank_table().iterrows()
    )
    told = ""
    if found.nemenyi is not None:
        cd = define("critical_difference", "critical difference")
        told = (
            f"Average ranks by {metric}: {ranks}. A bar joins methods that are not told apart: "
            f"their ranks are nearer than the {cd}, {found.nemenyi.cd:.2f} "
            f"(Nemenyi, {100 * found.alpha:.0f} %)."
        )
    return f'<p class="say">{said}</p><p class="say quiet">{told}</p>{_few(found)}'


def question(unit: str) -> str:
    """Return what a test over such observations answers."""
    return f'<p class="say quiet">{escape("Observations are " + UNITS[unit])}</p>'


def _averaged(found: MethodComparison) -> str:
    if found.quantity == "win-rate":
        return "by each seed's win rate"
    if found.blocks.unit == "seed":
        n = found.blocks.n_images
        return f"each seed's mean over up to {n} image{'' if n == 1 else 's'}"
    n = found.blocks.n_seeds
    return f"each image's mean over up to {n} seed{'' if n == 1 else 's'}"


def _equals(p: float) -> str:
    text = p_text(p)
    return text if text.startswith("<") else f"= {text}"


def _few(found: MethodComparison) -> str:
    """Return a caution about tests that rest on little."""
    parts = []
    n = found.friedman.n_blocks
    least = 2.0 ** (1 - n)
    if found.blocks.unit == "seed" and least > found.alpha:
        parts.append(
            f"With {n} seed{'' if n == 1 else 's'} no pair of methods can have a Wilcoxon p below "
            f"{least:.3f}, whatever the scores; train more before saying that there is no "
            "difference."
        )
    if found.blocks.left_out:
        parts.append(
            f"{found.blocks.left_out} pairs of image and seed lack a score of some method and "
            "take no part."
        )
    if found.blocks.unit == "image" and found.blocks.n_seeds > 1:
        parts.append(
            "Images are taken as independent draws; several photographs of one object are not."
        )
    return f'<p class="say quiet small">{escape(" ".join(parts))}</p>' if parts else ""


def pair_table(
    tests: Tested, labels: Mapping[str, str], failed: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Return the pairs of methods as a table: difference, effect, p, Holm's p, verdict."""
    found = tests.compared
    if found is None or not found.friedman.n_blocks:
        return ""
    rows = []
    for _, row in found.pair_table().iterrows():
        names = [method_name(row[side], labels, failed) for side in ("a", "b")]
        rows.append(
            f'<tr><th scope="row">{names[0]} against {names[1]}</th>'
            f'<td class="num">{_signed(row["difference"])}</td>'
            f'<td class="num">{row["for_a"]} : {row["for_b"]} of {row["n"]}</td>'
            f'<td class="num">{_signed(row["effect"])}</td>'
            f'<td class="num">{p_text(row["p"])}</td>'
            f'<td class="num"><b>{p_text(row["p_holm"])}</b></td>'
            f'<td class="num">{p_text(row["p_nemenyi"])}</td>'
            f"<td>{_verdict(row, names, found.alpha)}</td></tr>"
        )
    unit = f"{found.blocks.unit}s"
    heads = (
        "difference",
        f"better in … {unit}",
        "effect",
        "p",
        "p, Holm",
        "p, Nemenyi",
    )
    cells = "".join(f'<th scope="col" class="num">{escape(head)}</th>' for head in heads)
    test = define("wilcoxon", "Wilcoxon's signed-rank test")
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Methods in pairs"><table>'
        f"<caption>{test} of every pair over the {unit}, corrected for all pairs by Holm. "
        "Difference: mean of the first minus the second. Effect: rank-biserial correlation, 1 "
        f"where the first is better in every one of the {unit}.</caption><thead><tr>"
        f'<th scope="col">Pair</th>{cells}<th scope="col">told apart</th></tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _signed(value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:+.3f}".replace("-", "−")


def _verdict(row: pd.Series, names: list[str], alpha: float) -> str:
    if row["p_holm"] < alpha:
        better = names[0] if row["effect"] > 0 else names[1]
        return f'<span class="verdict yes">{better} is better</span>'
    if row["least_p"] > alpha:
        title = f"so few could give no p below {row['least_p']:.3f}"
        return f'<span class="verdict cannot" title="{title}">too few to say</span>'
    return '<span class="verdict">not told apart</span>'


def agreement_words(tests: Tested) -> str:
    """Return what the matrix says in one or two sentences."""
    rows = tests.agreement
    if not len(rows):
        return (
            '<p class="say quiet">Two scores and two methods are needed: add scores to the '
            "study's [score] metrics, such as mass_accuracy or deletion, and run it again; "
            "finished work is kept.</p>"
        )
    against = rows[rows["verdict"] == "disagree"].sort_values("r")
    agree = int((rows["verdict"] == "agree").sum())
    if len(against):
        worst = [
            f"{_score(row['a'], tests)} and {_score(row['b'], tests)} ({_signed(row['r'])})"
            for _, row in against.head(3).iterrows()
        ]
        said = (
            f"<b>{len(against)} of {len(rows)} pairs of scores disagree</b> about which method is "
            f"better: {'; '.join(worst)}{' and others' if len(against) > 3 else ''}."
        )
    else:
        said = "<b>No pair of scores disagrees</b> about which method is better."
    rest = len(rows) - agree - len(against)
    said += f" {agree} agree" + (f", {rest} are undecided." if rest else ".")
    tau = define("kendall", "Kendall's tau")
    return (
        f'<p class="say">{said}</p><p class="say quiet">{tau} of the two rankings of the '
        f"methods on one image, {escape(tests.group.text)}, mean over images and seeds: 1 the same "
        "order, 0 unrelated, −1 the opposite. ↓ marks scores where lower is better; they are "
        "turned.</p>"
    )


def _score(key: str, tests: Tested) -> str:
    return define(key, tests.metrics.get(key, key))


def agreement_table(tests: Tested) -> str:
    """Return the matrix as a table to unfold: each pair with interval and n."""
    if not len(tests.agreement):
        return ""
    body = "".join(
        f'<tr><th scope="row">{_score(row["a"], tests)} and {_score(row["b"], tests)}</th>'
        f'<td class="num">{_signed(row["r"])}</td>'
        f'<td class="num">{_signed(row["low"])} to {_signed(row["high"])}</td>'
        f'<td class="num">{row["n"]}</td><td class="num">{row["left_out"]}</td>'
        f"<td>{escape(row['verdict'])}</td></tr>"
        for _, row in tests.agreement.iterrows()
    )
    heads = "".join(
        f'<th scope="col" class="num">{head}</th>'
        for head in ("tau", "95 % interval", "n", "left out")
    )
    return (
        "<details><summary>Every pair with its interval</summary>"
        '<div class="scroll" tabindex="0" role="region" aria-label="Agreement of scores"><table>'
        f"<caption>{escape(LEVELS['rankings'])}. Left out: images on which a score is undefined "
        "or puts all methods level.</caption>"
        f'<thead><tr><th scope="col">Scores</th>{heads}<th scope="col">verdict</th></tr></thead>'
        f"<tbody>{body}</tbody></table></div></details>"
    )
