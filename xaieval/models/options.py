"""The options of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from xaieval.digest import LATER
from xaieval.errors import ConfigError
from xaieval.models.augment import parse_augment

Schedule = Literal["constant", "cosine", "step"]
Optimizer = Literal["adam", "sgd"]


@dataclass(frozen=True)
class TrainOptions:
    """How a network is trained; the defaults are those of project_iml.

    Attributes
    ----------
    epochs, batch : int
    lr : float
        Learning rate.
    beta : float
        Weight of the mask loss; 0 trains the classifier alone.
    augment : str
        ``"flips"`` (horizontal and vertical), ``"mirror"`` (horizontal only), ``"rot90"``,
        ``"photometric"``, joined by ``+``, or ``"none"``. Training pictures only; masks go along.
    weight_decay : float
        Decoupled (AdamW); 0 is plain Adam.
    schedule : {"constant", "cosine", "step"}
        Cosine falls from ``lr`` to 0 over the run, step by step; "step" multiplies the rate by
        ``gamma`` after each epoch.
    optimizer : {"adam", "sgd"}
    momentum : float
        Of "sgd".
    gamma : float
        Of the schedule "step".
    encoder_weights : str or None
        File of pretrained weights (.safetensors, .pt, .pth) with torchvision's names.
    freeze_batchnorm : bool
        The encoder's batch norms use and keep their running statistics.
    recalibrate : bool
        First give the encoder's batch norms the statistics of the training pictures, without
        changing what the network computes.
    freeze_encoder_blocks : int
        So many blocks of the encoder, from the input on, are not trained.

    Raises
    ------
    ConfigError
        When a value is out of range.
    """

    epochs: int = 30
    batch: int = 32
    lr: float = 1e-3
    beta: float = 1.0
    augment: str = "flips"
    weight_decay: float = 0.0
    schedule: Schedule = "constant"
    encoder_weights: str | None = None
    freeze_batchnorm: bool = False
    recalibrate: bool = False
    freeze_encoder_blocks: int = 0
    optimizer: Optimizer = field(default="adam", metadata=LATER)
    momentum: float = field(default=0.0, metadata=LATER)
    gamma: float = field(default=0.7, metadata=LATER)

    def __post_init__(self) -> None:
        for key, low in (("epochs", 1), ("batch", 2), ("freeze_encoder_blocks", 0)):
            value = getattr(self, key)
            if not isinstance(value, int) or value < low:
                raise ConfigError(f"bad {key}", expected=f"an integer ≥ {low}", got=value)
        if not self.lr > 0:
            raise ConfigError("bad lr", expected="a number > 0", got=self.lr)
        for key in ("beta", "weight_decay"):
            if not getattr(self, key) >= 0:
                raise ConfigError(f"bad {key}", expected="a number ≥ 0", got=getattr(self, key))
        if self.schedule not in get_args(Schedule):
            raise ConfigError(
                "unknown schedule", expected=f"one of {get_args(Schedule)}", got=self.schedule
            )
        if self.optimizer not in get_args(Optimizer):
            raise ConfigError(
                "unknown optimizer", expected=f"one of {get_args(Optimizer)}", got=self.optimizer
            )
        if not 0 <= self.momentum < 1 or (self.momentum and self.optimizer != "sgd"):
            raise ConfigError(
                "bad momentum", expected="0 to below 1, of optimizer 'sgd'", got=self.momentum
            )
        if not 0 < self.gamma <= 1:
            raise ConfigError("bad gamma", expected="more than 0, at most 1", got=self.gamma)
        parse_augment(self.augment)
        if self.encoder_weights is not None:
            object.__setattr__(self, "encoder_weights", str(self.encoder_weights))
