"""Grad-CAM + saliency + integrated gradients (25 steps) on EfficientNet-B0 at 224².

Four ways to the same three maps of the same pictures, alternating within one run:

ours
    One ``Explainer.run``: fixed passes of several rows, batch norms folded, channels_last,
    parameters frozen, the mask decoder never run.
captum
    What project_iml does. Per picture and with captum's plain calls on the multitask network
    itself, in eval mode: ``LayerGradCam.attribute`` and ``interpolate``; ``Saliency.attribute``;
    ``IntegratedGradients.attribute(n_steps=25, internal_batch_size=1)``, baseline zero. The
    forward function is ``lambda x: net(x)[0]``: every forward runs the decoder too, whose output
    is thrown away. Parameters keep ``requires_grad``, as after loading a checkpoint.
captum, no decoder
    The same calls on ``net.classify``.
floor
    26 bare passes per picture, forward and backward to the input, of the folded, frozen,
    channels_last classifier in the best of several batch sizes, found first in the same run.
    Nothing else: no points, no sums, no maps.

The first two ratios are ours to win (captum / ours ≥ 2.1, ours / floor ≤ 1.15).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from captum.attr import IntegratedGradients, LayerAttribution, LayerGradCam, Saliency
from torch import Tensor

from xaieval.methods import Explainer, resolve_methods
from xaieval.models import (
    Classifier,
    ModelConfig,
    MultitaskNet,
    Preprocessing,
    build,
    calibrate_batchnorm,
)

SIZE = 224
STEPS = 25
BATCH_SIZES = (2, 4, 6, 8, 12, 16)
WANTED = {"captum / ours": (2.1, "at least"), "ours / floor": (1.15, "at most")}


def network(size: int) -> tuple[MultitaskNet, Tensor]:
    """Return a calibrated network in eval mode, and six pictures of noise."""
    generator = torch.Generator().manual_seed(0)

    def pictures(count: int) -> Tensor:
        return torch.randn((count, 3, size, size), generator=generator)

    net = build(ModelConfig("efficientnet-b0", 5, (size, size)), seed=0)
    calibrate_batchnorm(net, pictures(4))
    return net.eval(), pictures(6)


def captum_loop(
    net: MultitaskNet, forward: Callable[[Tensor], Tensor], x: Tensor, targets: list[int]
) -> None:
    """Explain each picture by itself, each method by its own call."""
    layer = net.get_submodule("encoder.features.8")
    size = (x.shape[2], x.shape[3])
    for index, target in enumerate(targets):
        # A leaf that already asks for its gradient spares captum's warning, nothing else.
        row = x[index : index + 1].clone().requires_grad_()
        cam = LayerGradCam(forward, layer).attribute(row, target=target, relu_attributions=True)
        LayerAttribution.interpolate(cam, size, interpolate_mode="bilinear")
        Saliency(forward).attribute(row, target=target)
        IntegratedGradients(forward).attribute(
            row, baselines=0, target=target, n_steps=STEPS, internal_batch_size=1
        )


class Floor:
    """Bare passes of the prepared classifier."""

    def __init__(self, classifier: Classifier, x: Tensor) -> None:
        self.prepared = classifier.prepared("cpu")
        self.x = x.contiguous(memory_format=torch.channels_last)
        self.best = BATCH_SIZES[0]

    def passes(self, rows: int, size: int) -> None:
        while rows:
            count = min(rows, size)
            index = torch.arange(count) % len(self.x)
            batch = self.x[index].contiguous(memory_format=torch.channels_last).requires_grad_()
            torch.autograd.grad(self.prepared.logits(batch)[:, 0].sum(), batch)
            rows -= count

    def find_best(self, repeats: int) -> dict[int, float]:
        """Return seconds per row by batch size, the least of some repeats, and keep the best."""
        found = dict.fromkeys(BATCH_SIZES, float("inf"))
        for _ in range(repeats):
            for size in BATCH_SIZES:
                start = time.perf_counter()
                self.passes(48, size)
                found[size] = min(found[size], (time.perf_counter() - start) / 48)
        self.best = min(found, key=lambda size: found[size])
        return found


def main(*, quick: bool = False, size: int = SIZE) -> dict[str, float]:
    """Run the benchmark, print a table and one JSON line, and return the median ratios."""
    torch.set_num_threads(min(2, torch.get_num_threads()))
    net, x = network(size)
    classifier = Classifier(net, preprocessing=Preprocessing((size, size)))
    explainer = Explainer(classifier)
    methods = resolve_methods(["gradcam", "saliency", "integrated_gradients"])
    targets = classifier.logits(x).argmax(1).tolist()
    floor = Floor(classifier, x)
    if explainer.prepared.notes or floor.prepared.notes:
        raise SystemExit(f"batch norms were not folded: {explainer.prepared.notes}")
    sizes = floor.find_best(1 if quick else 3)
    ways: dict[str, Callable[[], object]] = {
        "ours": lambda: explainer.run(x, methods=methods),
        "captum": lambda: captum_loop(net, lambda rows: net(rows)[0], x, targets),
        "captum, no decoder": lambda: captum_loop(net, net.classify, x, targets),
        "floor": lambda: floor.passes(26 * len(x), floor.best),
    }
    explainer.run(x, methods=resolve_methods("saliency"))  # warm
    rounds: list[dict[str, float]] = []
    for _ in range(2 if quick else 5):
        times = {}
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            times[name] = (time.perf_counter() - start) / len(x)
        rounds.append(times)
        print("  ".join(f"{name} {s * 1e3:.0f} ms" for name, s in times.items()), flush=True)
    return _report(rounds, sizes, floor.best, len(x))


def _report(
    rounds: list[dict[str, float]], sizes: dict[int, float], best: int, pictures: int
) -> dict[str, float]:
    pairs = {
        "captum / ours": ("captum", "ours"),
        "captum, no decoder / ours": ("captum, no decoder", "ours"),
        "ours / floor": ("ours", "floor"),
    }
    medians = {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}
    # A ratio of neighbours in time, then the median: noise of the machine cancels.
    ratios = {
        name: statistics.median(r[a] / r[b] for r in rounds) for name, (a, b) in pairs.items()
    }
    print(
        f"{pictures} pictures, {len(rounds)} alternations, {torch.get_num_threads()} threads; "
        f"best batch of the floor {best}: "
        + ", ".join(f"{size}: {s * 1e3:.1f} ms/row" for size, s in sizes.items())
    )
    for name, seconds in medians.items():
        print(f"{name:28}{seconds * 1e3:9.0f} ms per picture (median)")
    for name, ratio in ratios.items():
        wanted = WANTED.get(name)
        note = f"   wanted: {wanted[1]} {wanted[0]}" if wanted else ""
        print(f"{name:28}{ratio:9.2f}{note}")
    print(json.dumps({"benchmark": "attribution", "s_per_picture": medians, "ratios": ratios}))
    return ratios


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two alternations")
    main(quick=parser.parse_args().quick)
