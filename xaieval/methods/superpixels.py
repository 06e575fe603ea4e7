"""Superpixels, and pictures in which some of them are hidden: the games of LIME and Shapley."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from skimage.segmentation import quickshift, slic
from torch import Tensor

from xaieval.errors import MethodError
from xaieval.methods.baseline_inputs import BASELINE_INPUTS, baseline_input
from xaieval.methods.passes import Passes
from xaieval.methods.perturbation import Bools, Doubles, Perturbation
from xaieval.methods.spec import Option, Options

Labels = npt.NDArray[np.int64]

SEGMENTATIONS = ("slic", "quickshift", "grid")


def superpixels(picture: npt.NDArray[np.uint8], method: str, n_segments: int) -> Labels:
    """Return the superpixel of every pixel.

    ``slic`` (Achanta et al. 2012) and ``quickshift`` (Vedaldi and Soatto 2008; kernel 4,
    distance 200, ratio 0.2 as LIME's authors set it, which finds its own number) by scikit-image;
    ``grid``: equal rectangles, about square.

    Parameters
    ----------
    picture : uint8 (H, W, C)
    method : "slic", "quickshift" or "grid"
    n_segments : int
        How many are wanted; about so many are found.

    Returns
    -------
    int64 (H, W), labels 0, 1, … without gaps

    Raises
    ------
    MethodError
        When more are wanted than there are pixels.

    >>> superpixels(np.zeros((2, 4, 3), np.uint8), "grid", 2).tolist()
    [[0, 0, 1, 1], [0, 0, 1, 1]]
    """
    height, width = picture.shape[:2]
    if n_segments > height * width:
        raise MethodError(
            "more superpixels than pixels",
            expected=f"n_segments of at most {height * width}",
            got=n_segments,
        )
    if method == "grid":
        down = min(height, max(1, round((n_segments * height / width) ** 0.5)))
        across = min(width, max(1, round(n_segments / down)))
        rows, columns = (
            np.arange(side) * count // side for side, count in ((height, down), (width, across))
        )
        labels = rows[:, None] * across + columns
    elif method == "slic":
        labels = slic(picture, n_segments=n_segments, start_label=0, channel_axis=-1)
    else:
        # Lab only where the channels are a colour; the seed decides ties alone.
        colour = picture.shape[2] == 3
        labels = quickshift(
            picture, ratio=0.2, kernel_size=4, max_dist=200, convert2lab=colour, rng=0
        )
    return np.unique(labels, return_inverse=True)[1].reshape(height, width).astype(np.int64)


def as_bytes(passes: Passes) -> npt.NDArray[np.uint8]:
    """Return the pictures behind the input, uint8 (b, H, W, C), as superpixels see them.

    Rounded to 8 bits, so that they are found alike in single and double precision. Where the scale
    is not known, each picture's least and largest value become 0 and 255.
    """
    pictures = passes.pictures().detach().cpu().double().permute(0, 2, 3, 1).numpy()
    if passes.classifier.preprocessing is None or pictures.shape[3] != 3:
        low, high = (f(pictures, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
        pictures = (pictures - low) / np.where(high > low, high - low, 1)
    scaled: npt.NDArray[np.uint8] = np.rint(pictures.clip(0, 1) * 255).astype(np.uint8)
    return scaled


def colour_means(x: Tensor, labels: Labels) -> Tensor:
    """Return a picture (C, H, W) whose superpixels each have their mean colour."""
    flat = labels.ravel()
    sizes = np.bincount(flat)
    values = x.detach().cpu().double().numpy().reshape(len(x), -1)
    means = np.stack([(np.bincount(flat, channel) / sizes)[flat] for channel in values])
    return torch.from_numpy(means.reshape(x.shape)).to(x)


@dataclass(frozen=True)
class Scene:
    """What is hidden and what shows in its place.

    Attributes
    ----------
    superpixels : str
        Of ``SEGMENTATIONS``.
    n_segments : int
    baseline : str
        A baseline input, or ``superpixel``: each superpixel's mean colour.
    """

    superpixels: str
    n_segments: int
    baseline: str


def scene_of(options: Options) -> Scene:
    """Return the scene that a method's options describe."""
    return Scene(options["superpixels"], options["n_segments"], options["baseline"])


def scene_options(baseline: str) -> dict[str, Option]:
    """Return the options that ``scene_of`` reads."""
    return {
        "superpixels": Option(
            default="slic",
            help="how the picture is cut into superpixels",
            kind="choice",
            choices=SEGMENTATIONS,
        ),
        "n_segments": Option(
            default=50, help="superpixels wanted; about so many are found", kind="int", low=1
        ),
        "baseline": Option(
            default=baseline,
            help="what shows where a superpixel is hidden, in model-input space",
            kind="choice",
            choices=(*BASELINE_INPUTS, "superpixel"),
        ),
    }


class Coalitions(Perturbation):
    """Copies of each picture in which only some superpixels are seen.

    Attributes
    ----------
    labels : tuple of int64 (H, W), one per picture
        The superpixel of every pixel.
    """

    def __init__(self, passes: Passes, scene: Scene, output: str) -> None:
        self.labels = tuple(
            superpixels(picture, scene.superpixels, scene.n_segments)
            for picture in as_bytes(passes)
        )
        if scene.baseline == "superpixel":
            pairs = zip(passes.x, self.labels, strict=True)
            self.hidden = torch.stack([colour_means(x, labels) for x, labels in pairs])
        else:
            self.hidden = baseline_input(scene.baseline, passes)
        players = [int(labels.max()) + 1 for labels in self.labels]
        self.prepare(passes, players)
        super().__init__(passes, [self.count(i) for i in range(len(players))], output)

    @abstractmethod
    def prepare(self, passes: Passes, players: Sequence[int]) -> None:
        """Draw what will be seen, given the number of superpixels of each picture."""

    @abstractmethod
    def count(self, image: int) -> int:
        """Return how many copies of a picture there are."""

    @abstractmethod
    def present(self, image: int, start: int, stop: int) -> Bools:
        """Return which superpixels are seen in some copies, bool (n, superpixels)."""

    def write(self, copies: Tensor, image: int, start: int) -> None:
        seen = self.present(image, start, start + len(copies))[:, self.labels[image]]
        mask = torch.from_numpy(seen).to(copies.device)[:, None]
        torch.where(mask, self.passes.x[image], self.hidden[image], out=copies)

    def spread(self, image: int, values: Doubles) -> Doubles:
        """Return a map (H, W) on which each superpixel's pixels hold its value."""
        return values[self.labels[image]]


@dataclass(frozen=True, eq=False)
class Game:
    """What was seen of one picture and what the network answered.

    Attributes
    ----------
    labels : int64 (H, W)
    present : bool (n, superpixels)
    answers : float64 (n,)
    """

    labels: Labels
    present: Bools
    answers: Doubles


class DrawnCoalitions(Coalitions):
    """Coalitions that are drawn beforehand, one table for each picture."""

    drawn: tuple[Bools, ...]

    def count(self, image: int) -> int:
        return len(self.drawn[image])

    def present(self, image: int, start: int, stop: int) -> Bools:
        return self.drawn[image][start:stop]

    def result(self) -> tuple[Game, ...]:
        return tuple(
            Game(*found) for found in zip(self.labels, self.drawn, self.answers, strict=True)
        )
