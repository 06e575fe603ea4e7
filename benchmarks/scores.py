"""All nine scores of 64 heatmaps against one ``torch.sort`` of the same maps.

Half of the maps are what Grad-CAM gives (7×7 cells, rectified, upsampled: massive ties), half
what gradients give (continuous, no ties); each has one mask of about 2 % of the image. Both sides
start from the same float32 array; sorting returns values and indices along the last axis.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from xaieval.metrics import METRICS, score

TARGET = 0.6
SIZE = 224
BUILT_IN = (
    "topk_overlap",
    "topk_iou",
    "mass_accuracy",
    "pointing_game",
    "iou",
    "gt_coverage",
    "saliency_coverage",
    "auroc",
    "area_share",
)


def inputs(n: int = 64) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return heatmaps float32 (n, 224, 224) and masks bool (n, 224, 224)."""
    rng = np.random.default_rng(0)
    cells = torch.from_numpy(rng.standard_normal((n // 2, 1, 7, 7)).astype(np.float32)).relu()
    cams = torch.nn.functional.interpolate(cells, (SIZE, SIZE), mode="bilinear")[:, 0].numpy()
    gradients = np.abs(rng.standard_normal((n - n // 2, 3, SIZE, SIZE))).max(1).astype(np.float32)
    y, x = np.mgrid[:SIZE, :SIZE]
    places = rng.uniform(30, SIZE - 30, (n, 2))
    radius = SIZE * (0.02 / np.pi) ** 0.5
    masks = np.stack([(y - a) ** 2 + (x - b) ** 2 <= radius**2 for a, b in places])
    return np.concatenate([cams, gradients]), masks


def measure(*, alternations: int = 9) -> dict[str, float]:
    """Return the median seconds of both sides, alternating, and their ratio."""
    heatmaps, masks = inputs()
    flat = torch.from_numpy(heatmaps.reshape(len(heatmaps), -1))

    def ours() -> None:
        score(heatmaps, masks, metrics=BUILT_IN)

    def sort() -> None:
        torch.sort(flat, dim=-1)

    times: dict[str, list[float]] = {"scores_s": [], "sort_s": []}
    for round_ in range(alternations + 1):
        for name, task in (("scores_s", ours), ("sort_s", sort)):
            seconds = _seconds(task)
            if round_:  # the first round warms caches and threads up
                times[name].append(seconds)
    median = {name: statistics.median(values) for name, values in times.items()}
    return {**median, "ratio": median["scores_s"] / median["sort_s"]}


def _seconds(task: Callable[[], None]) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def main(*, quick: bool = False) -> None:
    """Print both times and their ratio, for one thread and for the default number of threads."""
    assert set(BUILT_IN) <= set(METRICS)
    alternations = 5 if quick else 15
    print(
        f"{len(BUILT_IN)} scores of 64 maps at {SIZE}² (half upsampled CAMs, half gradients; masks"
        f" of 2 %) against one torch.sort of the same maps, median of {alternations} alternations"
    )
    threads = torch.get_num_threads()
    for number in dict.fromkeys((threads, 1)):
        torch.set_num_threads(number)
        found = measure(alternations=alternations)
        ours, sort = found["scores_s"] * 1e3, found["sort_s"] * 1e3
        verdict = "met" if found["ratio"] <= TARGET else "MISSED"
        print(
            f"  {number} thread{'s' * (number > 1)}: scores {ours:.1f} ms, sort {sort:.1f} ms,"
            f" ratio {found['ratio']:.2f} × (target ≤ {TARGET} ×: {verdict})"
        )
    torch.set_num_threads(threads)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer alternations")
    main(quick=parser.parse_args().quick)
