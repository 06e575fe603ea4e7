"""KernelSHAP: Shapley values of superpixels as a weighted linear regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import comb

import numpy as np
from torch import Tensor

from xaieval.digest import rng
from xaieval.errors import MethodError
from xaieval.methods.passes import Passes
from xaieval.methods.perturbation import NETWORKS, Bools, Doubles, as_maps, output_option
from xaieval.methods.spec import MethodSpec, Option, Options
from xaieval.methods.streams import Reads
from xaieval.methods.superpixels import DrawnCoalitions, Game, Scene, scene_of, scene_options


def shapley_kernel(players: int) -> Doubles:
    """Return the chance of each coalition size 1 … players − 1, ∝ 1 / (k (players − k)).

    The Shapley kernel (players − 1) / (C(players, k) k (players − k)), summed over the
    C(players, k) coalitions of a size. Lundberg and Lee 2017, theorem 2.

    >>> shapley_kernel(4).round(4).tolist()
    [0.3636, 0.2727, 0.3636]
    """
    sizes = np.arange(1, players)
    share = 1 / (sizes * (players - sizes))
    found: Doubles = share / share.sum()
    return found


def enumerated(players: int, n_samples: int) -> bool:
    """Say whether all coalitions but the empty and the whole fit into ``n_samples``."""
    return players < 31 and 2**players - 2 <= n_samples


def kernel_coalitions(sample: str, seed: int, n_samples: int, players: int) -> Bools:
    """Return coalitions, bool (n, players): none, all, then those of the regression.

    Every one where ``n_samples`` suffice; else pairs of a random one, its size drawn from the
    Shapley kernel, and what it leaves out (Covert and Lee 2021, section 3.2).
    """
    ends = np.stack([np.zeros(players, bool), np.ones(players, bool)])
    if enumerated(players, n_samples):
        every = np.array(list(product((False, True), repeat=players)))
        return np.concatenate([ends, every[1:-1]])
    if n_samples < 2 * (players - 1):
        raise MethodError(
            "too few samples for so many superpixels",
            where="kernel_shap",
            expected=f"n_samples of at least {2 * (players - 1)}",
            got=n_samples,
            fix="raise n_samples or lower n_segments",
        )
    generator = rng(sample, "kernel_shap", seed, players)
    pairs = n_samples // 2
    sizes = generator.choice(np.arange(1, players), pairs, p=shapley_kernel(players))
    ranks = generator.random((pairs, players)).argsort(1).argsort(1)
    drawn = ranks < sizes[:, None]
    both = np.stack([drawn, ~drawn], 1).reshape(-1, players)
    return np.concatenate([ends, both])


def kernel_weights(present: Bools, n_samples: int) -> Doubles:
    """Return the weights of the regression's coalitions, those of ``kernel_coalitions`` from 2 on.

    The Shapley kernel where all are there; drawn ones count alike, as the kernel drew them.
    """
    players = present.shape[1]
    if not enumerated(players, n_samples):
        return np.ones(len(present))
    sizes = present.sum(1)
    ways = np.array([comb(players, size) for size in range(players + 1)], float)
    weights: Doubles = shapley_kernel(players)[sizes - 1] / ways[sizes]
    return weights


def kernel_shap_values(
    present: Bools, answers: Doubles, weights: Doubles, empty: float, whole: float
) -> Doubles:
    """Return φ = argmin Σ_i w_i (y_i − f(∅) − z_i φ)² with Σ φ = f(all) − f(∅).

    Lundberg and Lee 2017, equations 8 and 9, the two infinite weights as constraints. With every
    coalition and the Shapley kernel's weights these are the Shapley values.

    Parameters
    ----------
    present : bool (n, d)
        Neither empty nor whole coalitions.
    answers, weights : float64 (n,)
    empty, whole : float
        f of no superpixel and of all.

    >>> z = np.array([[True, False], [False, True]])
    >>> kernel_shap_values(z, np.array([3.0, 1.0]), np.ones(2), 0.0, 5.0).round(6).tolist()
    [3.5, 1.5]
    """
    players = present.shape[1]
    even = (whole - empty) / players
    # φ = even + P γ, P the projection on vectors that sum to zero; no superpixel is singled out.
    root = np.sqrt(weights)
    design = (present - present.mean(1, keepdims=True)) * root[:, None]
    left = (answers - empty - even * present.sum(1)) * root
    gamma: Doubles = np.linalg.lstsq(design, left, rcond=None)[0]
    values: Doubles = even + gamma - gamma.mean()
    return values


@dataclass(frozen=True)
class ShapleyKernelSamples:
    """Copies in which coalitions of superpixels are seen, drawn from the Shapley kernel."""

    n_samples: int
    scene: Scene
    output: str
    reads: Reads = "logits"

    def per_image(self, size: tuple[int, int]) -> None:
        return None  # few superpixels are enumerated

    def open(self, passes: Passes) -> ShapleyKernelAnswers:
        return ShapleyKernelAnswers(self, passes)


class ShapleyKernelAnswers(DrawnCoalitions):
    """Answers to coalitions drawn from the Shapley kernel."""

    def __init__(self, spec: ShapleyKernelSamples, passes: Passes) -> None:
        self.n_samples = spec.n_samples
        super().__init__(passes, spec.scene, spec.output)

    def prepare(self, passes: Passes, players: Sequence[int]) -> None:
        self.drawn = tuple(
            kernel_coalitions(sample, passes.seed, self.n_samples, count)
            for sample, count in zip(passes.sample_ids, players, strict=True)
        )


def kernel_shap(passes: Passes, options: Options) -> Tensor:
    """Return each superpixel's Shapley value, estimated by a weighted regression.

    Lundberg and Lee 2017, section 4.1. The values sum to f(picture) − f(baseline).
    """
    maps = []
    games: tuple[Game, ...] = passes.found
    for game in games:
        empty, whole = game.answers[:2]
        drawn = game.present[2:]
        weights = kernel_weights(drawn, options["n_samples"])
        values = kernel_shap_values(drawn, game.answers[2:], weights, empty, whole)
        maps.append(values[game.labels])
    return as_maps(maps, passes)


def _stream(options: Options) -> ShapleyKernelSamples:
    return ShapleyKernelSamples(options["n_samples"], scene_of(options), options["output"])


def _cost(options: Options) -> int:
    return int(options["n_samples"]) + 2


SPECS = (
    MethodSpec(
        id="kernel_shap",
        label="KernelSHAP",
        summary="Shapley values of superpixels by a weighted regression",
        family="perturbation",
        fn=kernel_shap,
        cost=_cost,
        paper="Lundberg and Lee 2017, arXiv:1705.07874, section 4.1",
        stream=_stream,
        options={
            # Of the order of the 2 d + 2048 samples that the authors' code takes.
            "n_samples": Option(
                default=2048, help="coalitions of superpixels, in pairs", kind="int", low=2
            ),
            **scene_options("zero"),
            "output": output_option("logit"),
        },
        default_pooling="sum,pos",
        signed=True,
        stochastic=True,
        layers_defined=NETWORKS,
    ),
)
