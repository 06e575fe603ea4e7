"""The tables of a study file as frozen values; what is out of range is refused here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from xaieval.digest import LATER
from xaieval.errors import ConfigError

Item = str | Mapping[str, Any]
"""An id, or a table ``{id = …, option = value, …}``."""


def _positive(value: float, key: str) -> None:
    if not value > 0:
        raise ConfigError("out of range", where=key, expected="more than 0", got=value)


def _items(items: tuple[Item, ...], key: str) -> None:
    for item in items:
        if not isinstance(item, str) and not isinstance(item.get("id"), str):
            raise ConfigError(
                "an entry has no id", where=key, expected="a string or {id = …, …}", got=dict(item)
            )


@dataclass(frozen=True)
class Filters:
    """Which images are explained and scored (training always sees all of its split).

    ``classes``: only these (empty: all). ``per_class``: at most so many of each class and role,
    chosen by the digest of their ids. In a multi-label dataset the attributes are the classes.
    ``images``: at most so many images of each role, chosen likewise before all else; the pairs of
    an image and its attributes stay together.
    """

    classes: tuple[str, ...] = ()
    per_class: int | None = None
    images: int | None = None

    def __post_init__(self) -> None:
        for key in ("per_class", "images"):
            value = getattr(self, key)
            if value is not None:
                _positive(value, key)


@dataclass(frozen=True)
class DataSettings:
    """``[data]``: which images, and how they are split. ``path`` is relative to the study file.

    ``attributes``: of a multi-label dataset, those that are explained and scored, each on the
    images that have it (empty: all). Training is on all of them whatever stands here.
    """

    name: str
    path: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    split_scheme: Literal["auto", "layout", "stratified", "kfold"] = "auto"
    split_seed: int = 0
    test_share: float = 0.25
    folds: int = 5
    filters: Filters = Filters()
    attributes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.test_share < 1:
            raise ConfigError(
                "out of range",
                where="test_share",
                expected="between 0 and 1",
                got=self.test_share,
            )
        if self.folds < 2:
            raise ConfigError("out of range", where="folds", expected="2 or more", got=self.folds)


@dataclass(frozen=True)
class ModelSettings:
    """``[model]``: the network and how pictures become its input.

    ``encoder_weights`` is a safetensors file to start from; ``$NAME`` stands for an environment
    variable. ``resize`` is the short side in px before the centre crop; with an ``input_size``
    and no ``resize``, pictures are stretched to the input. ``mean`` and ``std`` are in units of 0
    to 1. Without ``input_size`` all of this comes from the architecture's defaults. ``width``
    multiplies the encoder's numbers of channels (small-cnn and mnist-cnn).
    """

    arch: str
    encoder_weights: str | None = None
    padding: Literal["torch", "same_tf"] = "torch"
    input_size: tuple[int, int] | None = None
    resize: int | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    dropout: float = 0.2
    decoder: bool = True
    width: float = field(default=1.0, metadata=LATER)

    def __post_init__(self) -> None:
        _positive(self.width, "width")
        for size in self.input_size or ():
            _positive(size, "input_size")
        if self.resize is not None:
            _positive(self.resize, "resize")
        if not 0 <= self.dropout < 1:
            raise ConfigError(
                "out of range", where="dropout", expected="0 to below 1", got=self.dropout
            )


@dataclass(frozen=True)
class TrainSettings:
    """``[train]``: the seeds, and how each is trained (``xaieval.models.TrainOptions``)."""

    seeds: tuple[int, ...] = tuple(range(42, 52))
    epochs: int = 30
    batch: int = 32
    lr: float = 1e-3
    beta: float = 1.0
    augment: str = "flips"
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine", "step"] = "constant"
    freeze_batchnorm: bool = False
    recalibrate: bool = False
    freeze_encoder_blocks: int = 0
    optimizer: Literal["adam", "sgd"] = field(default="adam", metadata=LATER)
    momentum: float = field(default=0.0, metadata=LATER)
    gamma: float = field(default=0.7, metadata=LATER)

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ConfigError(
                "bad list of seeds",
                where="seeds",
                expected="at least one, each once",
                got=list(self.seeds),
            )
        for key in ("epochs", "batch", "lr"):
            _positive(getattr(self, key), key)
        if self.beta < 0:
            raise ConfigError("out of range", where="beta", expected="0 or more", got=self.beta)


@dataclass(frozen=True)
class ExplainSettings:
    """``[explain]``: the methods, who competes for wins, and which class is explained.

    ``compete`` empty: every method of the study that is no baseline. ``seed`` is that of
    stochastic methods; it has nothing to do with the training seeds.
    """

    methods: tuple[Item, ...] = ("gradcam", "saliency", "integrated_gradients")
    compete: tuple[str, ...] = ()
    target: str | int = "predicted"
    upsampling: str = "paper"
    exact: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        _items(self.methods, "methods")
        if not self.methods:
            raise ConfigError("no method named", where="methods", fix="name at least one")
        if isinstance(self.target, str) and self.target not in ("predicted", "label"):
            raise ConfigError(
                "unknown target",
                where="target",
                expected="'predicted', 'label' or a class number",
                got=repr(self.target),
            )


@dataclass(frozen=True)
class ScoreSettings:
    """``[score]``: metrics, regions (empty: the dataset's first) and rules."""

    metrics: tuple[Item, ...] = ("topk_overlap", "topk_iou", "mass_accuracy", "area_share")
    regions: tuple[str, ...] = ()
    rules: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _items(self.metrics, "metrics")
        if not self.metrics:
            raise ConfigError("no metric named", where="metrics", fix="name at least one")


@dataclass(frozen=True)
class RunSettings:
    """``[run]``: device, whether one faulty image stops the run, which splits are scored.

    ``sanity``: run the sanity gate on every model afterwards.
    """

    device: str = "auto"
    strict: bool = False
    splits: tuple[Literal["train", "test"], ...] = ("train", "test")
    chunk: int = 32
    sanity: bool = False

    def __post_init__(self) -> None:
        _positive(self.chunk, "chunk")
        if not self.splits:
            raise ConfigError("no split named", where="splits", expected="train, test or both")
