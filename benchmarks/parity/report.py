"""``docs/parity.md``: the table of what was compared, and what the oracles do not see."""

from __future__ import annotations

import platform
from collections.abc import Sequence

from benchmarks.__main__ import machine
from benchmarks.parity.networks import BUILDERS, Absent, network
from benchmarks.parity.peers import versions
from benchmarks.parity.rows import Result

HEAD = """\
# Parity: every method against its oracle

Written by `make parity`, not by hand. {machine}; Python {python};
{versions}; {elapsed_s:.0f} s.

**{passed} of {total} rows pass**{rest}. Both sides run in float64 with the same options. Unless the
measure says otherwise the number is the largest difference of any pixel as a share of the
reference's maximum, the worst image's. Ours is `explain(…, pooled=False, exact=True)`; its output
is float32, so 6e-8 is the least that can be seen. Sampled methods: where a row says so, the oracle
was fed the samples that our method drew, read off the network's own input.

Ours explain each network as its user wrote it. The oracle gets a twin with the same weights whose
activations are modules of their own wherever hooks would miss them.

"""

SILENT = (
    (
        "captum guided backprop, deconvnet",
        "hook `nn.ReLU` modules: `relu(x)`, `x.relu_()` and ReLU6 get the plain gradient",
        "on the ReLU CNN a twin with a module per activation; on ReLU6 and on ResNet a naive twin",
    ),
    (
        "captum DeepLIFT",
        "has no rule for SiLU, ReLU6, GELU, products and attention: they get the plain gradient, "
        "and the sum is lost; a reused ReLU is refused",
        "a naive twin of the rescale rule; on the ViT the sum alone",
    ),
    (
        "captum DeepLIFT",
        "where a max-pooling reads the very tensor that a ReLU put out, the ReLU is handed the "
        "plain gradient, and the sum is off by 1 to 2 %",
        "itself, with a copy between the two",
    ),
    ("captum LRP", "knows ReLU, Dropout, Tanh and a short list of layers", "zennit"),
    (
        "captum NoiseTunnel, GradientSHAP, LIME, KernelSHAP, Shapley sampling",
        "draw from global generators",
        "captum itself, fed the draws of ours",
    ),
    (
        "pytorch-grad-cam",
        "scales maps to 0..1 and resizes them with OpenCV, after the method proper",
        "its maps at the layer's size, before scaling, resized as ours are",
    ),
    (
        "pytorch-grad-cam Ablation-CAM",
        "puts −10⁷ instead of 0 where the layer's least value is not 0 (SiLU, linear bottlenecks)",
        "a naive twin from the paper",
    ),
    (
        "pytorch-grad-cam Score-CAM, Ablation-CAM, Eigen-CAM",
        "round scores and maps to float32",
        "themselves with those roundings taken out",
    ),
    (
        "zennit",
        "sees modules only: residual sums and functional calls have no rule without a canonizer",
        "itself, with its canonizer for ResNet and one like it for MobileNetV2",
    ),
    (
        "zennit",
        "a merged batch norm still divides by √(1 + eps), 5e-6 per layer",
        "itself, with that eps set to 0",
    ),
)


def silent() -> str:
    """Return the section on oracles that do not see everything."""
    lines = ["\n## Where an oracle is silent, and what stands in", ""]
    lines += ["| oracle | what it does without a word | stands in |", "|---|---|---|"]
    lines += [f"| {' | '.join(entry)} |" for entry in SILENT]
    return "\n".join(lines) + "\n"


def table(results: Sequence[Result]) -> str:
    """Return the Markdown table of one network's rows."""
    lines = ["| method | oracle | measure | found | allowed | |", "|---|---|---|---|---|---|"]
    for result in results:
        row = result.row
        value = "" if result.value is None else f"{result.value:.1e}"
        notes = "; ".join(part for part in (result.status, result.said, row.known) if part)
        cells = (row.name, row.oracle, row.measure, value, f"{row.tolerance:.0e}", notes)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


FAST = """\
## The fast path against the exact one

float32, batch norms folded, channels_last against float64 and nothing folded: 1 − the least rank
correlation (Spearman) of two images, at most 1e-3 (values closer than a millionth of the largest
are tied); and how far a score moves, `topk_overlap` and `auroc` against a disc of 4 % of the
picture. Few steps and samples, the same on both sides.

"""


def fast_table(results: Sequence[Result]) -> str:
    """Return the Markdown table of the fast path's rows."""
    lines = ["| network | method | 1 − Spearman | |", "|---|---|---|---|"]
    undefined: dict[str, list[str]] = {}
    for result in results:
        if result.status == "undefined":
            undefined.setdefault(result.row.method, []).append(result.row.net)
            continue
        value = "" if result.value is None else f"{result.value:.1e}"
        notes = "; ".join(part for part in (result.status, result.said) if part)
        lines.append(f"| {result.row.net} | {result.row.name} | {value} | {notes} |")
    if undefined:
        pairs = (f"{method} ({', '.join(nets)})" for method, nets in undefined.items())
        lines += ["", f"Not defined, and said so: {'; '.join(pairs)}."]
    return "\n".join(lines)


def report(results: Sequence[Result], elapsed_s: float) -> str:
    """Return the whole page."""
    states = [result.status for result in results]
    others = [status for status in ("fail", "missing", "skipped") if status in states]
    rest = ", ".join(f"{states.count(status)} {status}" for status in others)
    parts = [
        HEAD.format(
            machine=machine(),
            elapsed_s=elapsed_s,
            python=platform.python_version(),
            versions=", ".join(f"{n} {v}" for n, v in versions().items()),
            passed=states.count("pass"),
            total=len(states) - states.count("undefined"),
            rest=f" ({rest})" if rest else "",
        )
    ]
    for name in BUILDERS:
        own = [r for r in results if r.row.net == name and r.row.group == "oracle"]
        if own:
            parts.append(f"## {_label(name)}\n\n{table(own)}\n\n")
    fast = [r for r in results if r.row.group == "fast"]
    if fast:
        parts.append(FAST + fast_table(fast) + "\n")
    parts.append(silent())
    return "".join(parts)


def _label(name: str) -> str:
    try:
        return network(name).label
    except Absent as error:
        return f"{name} ({error})"
