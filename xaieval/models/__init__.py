"""Networks, the wrapper around any network, checkpoints and training."""

from xaieval.models.classifier import Classifier, as_classifier
from xaieval.models.multitask import ModelConfig, MultitaskNet, build, calibrate_batchnorm
from xaieval.models.plain import PlainClassifier
from xaieval.models.prepared import PreparedModel
from xaieval.models.preprocessing import Preprocessing
from xaieval.models.specs import MODELS, ModelSpec

__all__ = [
    "MODELS",
    "Classifier",
    "ModelConfig",
    "ModelSpec",
    "MultitaskNet",
    "PlainClassifier",
    "PreparedModel",
    "Preprocessing",
    "as_classifier",
    "build",
    "calibrate_batchnorm",
]
