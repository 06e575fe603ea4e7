"""LIME: a linear model of superpixels that answers like the network near the picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from xaieval.digest import rng
from xaieval.errors import MethodError
from xaieval.methods.passes import Passes
from xaieval.methods.perturbation import NETWORKS, Bools, Doubles, as_maps, output_option
from xaieval.methods.spec import MethodSpec, Option, Options
from xaieval.methods.streams import Reads
from xaieval.methods.superpixels import DrawnCoalitions, Game, Scene, scene_of, scene_options


def lime_coalitions(sample: str, seed: int, n_samples: int, players: int) -> Bools:
    """Return LIME's samples, bool (n_samples, players): the picture itself, then fair coins."""
    drawn: Bools = rng(sample, "lime", seed, players).random((n_samples, players)) < 0.5
    drawn[0] = True
    return drawn


def lime_weights(present: Bools, kernel_width: float) -> Doubles:
    """Return how much each sample counts: √exp(−d² / width²), d the cosine distance to all seen.

    A sample in which nothing is seen has distance 1. Ribeiro et al. 2016, section 3.4, with the
    root that the authors' code takes.

    >>> lime_weights(np.array([[True, True], [False, False]]), 1.0).round(4).tolist()
    [1.0, 0.6065]
    """
    distance = 1 - np.sqrt(present.mean(1))
    weights: Doubles = np.exp(-0.5 * (distance / kernel_width) ** 2)
    return weights


def ridge(present: Bools, answers: Doubles, weights: Doubles, alpha: float) -> Doubles:
    """Return the coefficients β of a weighted ridge regression with free intercept.

    β = argmin Σ_i w_i (y_i − β₀ − z_i β)² + α |β|²; where that leaves β open, the shortest.

    Parameters
    ----------
    present : bool (n, d)
    answers, weights : float64 (n,)
    alpha : float

    Returns
    -------
    float64 (d,)

    >>> z = np.array([[False, False], [True, False], [False, True], [True, True]])
    >>> ridge(z, 1.0 + 2 * z[:, 0] - z[:, 1], np.ones(4), 0.0).round(6).tolist()
    [2.0, -1.0]
    """
    share = weights / weights.sum()
    root = np.sqrt(weights)
    z = (present - share @ present) * root[:, None]
    y = (answers - share @ answers) * root
    players = present.shape[1]
    design = np.concatenate([z, np.sqrt(alpha) * np.eye(players)])
    found: Doubles = np.linalg.lstsq(design, np.concatenate([y, np.zeros(players)]), rcond=None)[0]
    return found


@dataclass(frozen=True)
class LimeSamples:
    """Copies in which each superpixel is seen with probability one half; the first is whole."""

    n_samples: int
    scene: Scene
    output: str
    reads: Reads = "logits"

    def per_image(self, size: tuple[int, int]) -> int:
        return self.n_samples

    def open(self, passes: Passes) -> LimeAnswers:
        return LimeAnswers(self, passes)


class LimeAnswers(DrawnCoalitions):
    """Answers to LIME's samples."""

    def __init__(self, spec: LimeSamples, passes: Passes) -> None:
        self.n_samples = spec.n_samples
        super().__init__(passes, spec.scene, spec.output)

    def prepare(self, passes: Passes, players: Sequence[int]) -> None:
        self.drawn = tuple(
            lime_coalitions(sample, passes.seed, self.n_samples, count)
            for sample, count in zip(passes.sample_ids, players, strict=True)
        )


def lime(passes: Passes, options: Options) -> Tensor:
    """Return each superpixel's coefficient in a local linear model of the network's answers.

    Ribeiro, Singh and Guestrin 2016, section 3, with the settings of the authors' code for images:
    cosine kernel, ridge regression on all superpixels.
    """
    maps = []
    games: tuple[Game, ...] = passes.found
    for game in games:
        players = game.present.shape[1]
        if options["alpha"] == 0 and len(game.present) <= players:
            raise MethodError(
                "too few samples for a regression without ridge",
                where="lime",
                expected=f"n_samples above {players}, the number of superpixels",
                got=len(game.present),
                fix="raise n_samples or alpha",
            )
        weights = lime_weights(game.present, options["kernel_width"])
        maps.append(ridge(game.present, game.answers, weights, options["alpha"])[game.labels])
    return as_maps(maps, passes)


def _stream(options: Options) -> LimeSamples:
    return LimeSamples(options["n_samples"], scene_of(options), options["output"])


def _cost(options: Options) -> int:
    return int(options["n_samples"])


SPECS = (
    MethodSpec(
        id="lime",
        label="LIME",
        summary="a linear model of superpixels, fitted to the logits of pictures near by",
        family="perturbation",
        fn=lime,
        cost=_cost,
        paper="Ribeiro, Singh, Guestrin 2016, arXiv:1602.04938, section 3",
        stream=_stream,
        options={
            # What the authors' code takes for images, but for SLIC's superpixels.
            "n_samples": Option(default=1000, help="samples near the picture", kind="int", low=2),
            "kernel_width": Option(
                default=0.25, help="width of the kernel on cosine distance", kind="float", low=1e-3
            ),
            "alpha": Option(default=1.0, help="strength of the ridge", kind="float"),
            **scene_options("superpixel"),
            "output": output_option("logit"),
        },
        default_pooling="sum,pos",
        signed=True,
        stochastic=True,
        layers_defined=NETWORKS,
    ),
)
