"""Memory: no more with more samples, and flat over many images.

samples
    Peak resident memory (VmHWM) of a process that explains one batch on EfficientNet-B0 at 224²:
    integrated gradients with 200 steps against 20, SmoothGrad with 200 samples against 20. Wanted:
    at most 10 % more.
flat
    All methods on, at most 16 samples each, small CNN at 64², 2,000 images through one explainer.
    Wanted: resident memory after the last image within 5 % of that after the 200th.

Each measurement is a process of its own.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from xaieval.methods import METHODS, Explainer, resolve_methods
from xaieval.models import Classifier, ModelConfig, Preprocessing, build, calibrate_batchnorm

PARTS = ("samples", "flat")
FEW, MANY = 20, 200
IMAGES, EARLY, BATCH = 2000, 200, 8
# At most 16 samples; superpixels so few that 16 coalitions determine them.
SMALL: dict[str, Any] = {
    "n_steps": 16,
    "n_samples": 16,
    "n_masks": 16,
    "n_scales": 2,
    "superpixels": "grid",
    "n_segments": 8,
}
# Options whose name means something else, or more, in one method.
SMALLER: dict[str, dict[str, Any]] = {
    "occlusion": {"window": 16, "stride": 16},
    "shapley_sampling": {"n_samples": 2},  # orders, of 7 rows each
}


def _status(field: str) -> float:
    """Return a field of /proc/self/status in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("this benchmark reads /proc/self/status, which Linux has")


def _explainer(arch: str, size: int) -> Explainer:
    net = build(ModelConfig(arch, 5, (size, size)), seed=0)
    generator = torch.Generator().manual_seed(0)
    calibrate_batchnorm(net, torch.randn((8, 3, size, size), generator=generator))
    return Explainer(Classifier(net.eval(), preprocessing=Preprocessing((size, size))))


def peak(method: str, count: int, size: int) -> dict[str, float]:
    """Explain one batch; return the peak of resident memory and what it was before, MiB."""
    explainer = _explainer("efficientnet-b0", size)
    rows = explainer.rows((size, size)).count
    x = torch.randn((rows, 3, size, size), generator=torch.Generator().manual_seed(1))
    option = "n_steps" if method == "integrated_gradients" else "n_samples"
    before = _status("VmRSS")
    explainer.run(x, methods=resolve_methods([{"id": method, option: count}]))
    return {"peak_mib": _status("VmHWM"), "before_mib": before}


def flat(images: int, early: int) -> dict[str, Any]:
    """Explain many images with every method; return resident memory early and late, MiB."""
    explainer = _explainer("small-cnn", 64)
    wanted = [
        {
            "id": spec.id,
            **{name: value for name, value in SMALL.items() if name in spec.options},
            **SMALLER.get(spec.id, {}),
        }
        for spec in METHODS.values()
    ]
    methods = resolve_methods(wanted)
    generator = torch.Generator().manual_seed(2)
    seen: dict[int, float] = {}
    undefined: dict[str, str] = {}
    for start in range(0, images, BATCH):
        x = torch.randn((BATCH, 3, 64, 64), generator=generator)
        ids = [f"image {number}" for number in range(start, start + BATCH)]
        found = explainer.run(x, methods=methods, sample_ids=ids, skip_undefined=True)
        undefined = dict(found.undefined)
        done = start + BATCH
        if done % early == 0:
            gc.collect()
            seen[done] = _status("VmRSS")
    return {
        "rss_mib": seen,
        "methods": len(methods) - len(undefined),
        "undefined": sorted(undefined),
    }


def _in_process(*arguments: str) -> dict[str, Any]:
    """Run this module in a process of its own; return what it prints as JSON."""
    command = [sys.executable, "-m", "benchmarks.memory", "--child", *arguments]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return found


def main(*, quick: bool = False, only: Sequence[str] = ()) -> dict[str, float]:
    """Run the chosen parts, print them and one JSON line, and return the ratios."""
    ratios: dict[str, float] = {}
    if "samples" in (only or PARTS):
        size = 96 if quick else 224
        for method in ("integrated_gradients", "smoothgrad"):
            few, many = (_in_process("peak", method, str(n), str(size)) for n in (FEW, MANY))
            ratios[method] = many["peak_mib"] / few["peak_mib"]
            print(
                f"{method:22}peak {few['peak_mib']:.0f} MiB at {FEW}, "
                f"{many['peak_mib']:.0f} MiB at {MANY} "
                f"(before: {few['before_mib']:.0f}, {many['before_mib']:.0f}): "
                f"{ratios[method]:.3f}   wanted: at most 1.10",
                flush=True,
            )
    if "flat" in (only or PARTS):
        images, early = (160, 40) if quick else (IMAGES, EARLY)
        found = _in_process("flat", str(images), str(early))
        memory = found["rss_mib"]
        ratios["flat"] = memory[str(images)] / memory[str(early)]
        course = ", ".join(f"{number}: {mib:.0f}" for number, mib in memory.items())
        print(
            f"{found['methods']} methods, {images} images of 64²; MiB after image {course}: "
            f"{ratios['flat']:.3f}   wanted: 0.95 to 1.05\n"
            f"not defined for this network: {', '.join(found['undefined']) or 'none'}"
        )
    print(json.dumps({"benchmark": "memory", "ratios": ratios}))
    return ratios


def _child(kind: str, *values: str) -> dict[str, Any]:
    torch.set_num_threads(min(2, torch.get_num_threads()))
    if kind == "peak":
        method, count, size = values
        return peak(method, int(count), int(size))
    images, early = values
    return flat(int(images), int(early))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="96² and 160 images")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=(), help="parts to run")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(_child(*arguments.child)))
    else:
        main(quick=arguments.quick, only=arguments.only)
