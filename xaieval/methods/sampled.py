"""Methods that average gradients over random samples near the picture or on the way to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from xaieval.digest import digest
from xaieval.methods.baseline_inputs import baseline_input, baseline_option
from xaieval.methods.passes import Passes
from xaieval.methods.spec import MethodSpec, Option, Options
from xaieval.methods.streams import Reads, Stream


def _generator(sample: str, name: str, seed: int, number: int) -> torch.Generator:
    """Return the generator of one sample's draw; the same on every device and in every batch."""
    return torch.Generator().manual_seed(int(digest(sample, name, seed, number)[:15], 16))


def _ranges(passes: Passes) -> Tensor:
    """Return the largest minus the least value of each picture, (b, 1, 1, 1)."""
    x = passes.x
    return x.amax((1, 2, 3), keepdim=True) - x.amin((1, 2, 3), keepdim=True)


@dataclass(frozen=True)
class NoisySamples:
    """Gradients at ``n_samples`` copies of each picture with Gaussian noise.

    σ is ``sigma`` times the range of the picture's values.
    """

    n_samples: int
    sigma: float
    reads: Reads = "gradients"

    def per_image(self, size: tuple[int, int]) -> int:
        return self.n_samples

    def open(self, passes: Passes) -> NoisyGradients:
        return NoisyGradients(self, passes)


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and variance (ddof 0) of gradients over samples, each (b, C, H, W)."""

    mean: Tensor
    variance: Tensor


class NoisyGradients(Stream):
    """Running mean and second moment (Welford 1962) of gradients at noisy copies.

    Memory does not depend on the number of samples.
    """

    def __init__(self, spec: NoisySamples, passes: Passes) -> None:
        self.spec, self.passes = spec, passes
        self.rows = len(passes.x) * spec.n_samples
        self.scale = spec.sigma * _ranges(passes)
        self.mean, self.m2 = torch.zeros_like(passes.x), torch.zeros_like(passes.x)

    def points(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        x, rows, images = self.passes.x, [], []
        for index in range(start, stop):
            image, number = divmod(index, self.spec.n_samples)
            generator = _generator(
                self.passes.sample_ids[image], "gaussian", self.passes.seed, number
            )
            noise = torch.randn(x.shape[1:], generator=generator).to(x)
            rows.append(torch.addcmul(x[image], noise, self.scale[image]))
            images.append(image)
        return torch.stack(rows), torch.tensor(images, device=x.device)

    def add(self, start: int, found: Tensor, image: Tensor) -> None:
        for index, gradient in enumerate(found, start):
            place, number = divmod(index, self.spec.n_samples)
            mean = self.mean[place]
            off = gradient - mean
            mean.add_(off, alpha=1 / (number + 1))
            self.m2[place].addcmul_(off, gradient - mean)

    def result(self) -> Moments:
        return Moments(self.mean, self.m2 / self.spec.n_samples)


def _moments(passes: Passes) -> Moments:
    assert isinstance(passes.found, Moments)
    return passes.found


def smoothgrad(passes: Passes, options: Options) -> Tensor:
    """Return the mean gradient over noisy copies. Smilkov et al. 2017, section 3."""
    return _moments(passes).mean


def smoothgrad_squared(passes: Passes, options: Options) -> Tensor:
    """Return the mean squared gradient over noisy copies. Hooker et al. 2019, section 3."""
    moments = _moments(passes)
    return moments.mean.square() + moments.variance


def vargrad(passes: Passes, options: Options) -> Tensor:
    """Return the variance (ddof 0) of the gradient over noisy copies. Adebayo et al. 2018."""
    return _moments(passes).variance


@dataclass(frozen=True)
class ShapSamples:
    """Gradients at random points between baselines and (noisy) pictures."""

    n_samples: int
    sigma: float
    baseline: str
    reads: Reads = "gradients"

    def per_image(self, size: tuple[int, int]) -> int:
        return self.n_samples

    def open(self, passes: Passes) -> ShapGradients:
        return ShapGradients(self, passes)


class ShapGradients(Stream):
    """Running mean of (x' − b) · ∇f_t(b + α(x' − b)) over draws of b, α and x' = x + noise."""

    def __init__(self, spec: ShapSamples, passes: Passes) -> None:
        self.spec, self.passes = spec, passes
        self.rows = len(passes.x) * spec.n_samples
        self.scale = spec.sigma * _ranges(passes)
        self.low, self.high = passes.bounds()
        # One baseline for all draws, but for noise: there each draw has its own.
        drawn = spec.baseline == "noise"
        self.fixed = None if drawn else baseline_input(spec.baseline, passes)
        self.mean = torch.zeros_like(passes.x)

    def _draw(self, index: int) -> tuple[Tensor, Tensor, float]:
        """Return the noisy picture, the baseline and α of one row."""
        image, number = divmod(index, self.spec.n_samples)
        x = self.passes.x[image]
        generator = _generator(
            self.passes.sample_ids[image], "gradient_shap", self.passes.seed, number
        )
        alpha = float(torch.rand((), generator=generator))
        if self.spec.sigma:
            noise = torch.randn(x.shape, generator=generator).to(x)
            x = torch.addcmul(x, noise, self.scale[image])
        if self.fixed is not None:
            return x, self.fixed[image], alpha
        share = torch.rand(x.shape, generator=generator).to(x)
        low, high = self.low[image], self.high[image]
        return x, low + share * (high - low), alpha

    def points(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        rows = []
        for number in range(start, stop):
            x, baseline, alpha = self._draw(number)
            rows.append(torch.lerp(baseline, x, alpha))
        index = torch.arange(start, stop, device=self.passes.x.device)
        return torch.stack(rows), index // self.spec.n_samples

    def add(self, start: int, found: Tensor, image: Tensor) -> None:
        for index, gradient in enumerate(found, start):
            x, baseline, _ = self._draw(index)
            self.mean[index // self.spec.n_samples].addcmul_(
                x - baseline, gradient, value=1 / self.spec.n_samples
            )

    def result(self) -> Tensor:
        return self.mean


def gradient_shap(passes: Passes, options: Options) -> Tensor:
    """Return the mean of (x' − b) · ∇f_t(b + α(x' − b)), b and α drawn at random.

    Lundberg and Lee 2017 as expected gradients (Erion et al. 2021, equation 5).
    """
    found: Tensor = passes.found
    return found


def _samples(options: Options) -> int:
    return int(options["n_samples"])


def _noisy(options: Options) -> NoisySamples:
    return NoisySamples(options["n_samples"], options["sigma"])


def _shap(options: Options) -> ShapSamples:
    return ShapSamples(options["n_samples"], options["sigma"], options["baseline"])


def _options(n_samples: int, sigma: float) -> dict[str, Option]:
    return {
        "n_samples": Option(
            default=n_samples, help="random samples per picture", kind="int", low=1
        ),
        "sigma": Option(
            default=sigma,
            help="σ of the noise as a share of the range of the picture's values",
            kind="float",
        ),
    }


def _noise_spec(
    id: str,
    label: str,
    summary: str,
    fn: Callable[[Passes, Options], Tensor],
    paper: str,
    *,
    signed: bool,
) -> MethodSpec:
    """Return a method that reads the moments of gradients at noisy copies.

    Smilkov et al. 2017, section 3, use 50 samples and noise of 10 to 20 % of the range.
    """
    return MethodSpec(
        id=id,
        label=label,
        summary=summary,
        family="gradient",
        fn=fn,
        cost=_samples,
        paper=paper,
        stream=_noisy,
        options=_options(50, 0.15),
        default_pooling="l1-norm",
        signed=signed,
        stochastic=True,
    )


SPECS = (
    _noise_spec(
        "smoothgrad",
        "SmoothGrad",
        "the gradient averaged over noisy copies of the picture",
        smoothgrad,
        "Smilkov, Thorat, Kim, Viégas, Wattenberg 2017, arXiv:1706.03825, section 3",
        signed=True,
    ),
    _noise_spec(
        "smoothgrad_squared",
        "SmoothGrad²",
        "the squared gradient averaged over noisy copies of the picture",
        smoothgrad_squared,
        "Hooker, Erhan, Kindermans, Kim 2019, arXiv:1806.10758, section 3",
        signed=False,
    ),
    _noise_spec(
        "vargrad",
        "VarGrad",
        "the gradient's variance over noisy copies of the picture",
        vargrad,
        "Adebayo, Gilmer, Goodfellow, Kim 2018, arXiv:1810.03307, section 2",
        signed=False,
    ),
    MethodSpec(
        id="gradient_shap",
        label="GradientSHAP",
        summary="gradients at random points on the way from random baselines, times the way",
        family="gradient",
        fn=gradient_shap,
        cost=_samples,
        paper="Lundberg and Lee 2017, arXiv:1705.07874; Erion et al. 2021, arXiv:1906.10670, eq. 5",
        stream=_shap,
        options={**_options(50, 0.0), "baseline": baseline_option("noise")},
        default_pooling="l1-norm",
        signed=True,
        stochastic=True,
    ),
)
