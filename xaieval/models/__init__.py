"""Networks, the wrapper around any network, checkpoints and training."""

from xaieval.models.anatomy import Anatomy, anatomy
from xaieval.models.attention import capture_attention, explicit_attention, explicit_mha
from xaieval.models.checkpoints import (
    Card,
    HistoryRow,
    load_checkpoint,
    read_card,
    save_checkpoint,
)
from xaieval.models.classifier import Classifier, as_classifier
from xaieval.models.continuation import Continuation
from xaieval.models.extra import Extra
from xaieval.models.model_spec import ModelSpec
from xaieval.models.multitask import ModelConfig, MultitaskNet, build, calibrate_batchnorm
from xaieval.models.options import TrainOptions
from xaieval.models.pairs import embeddings, pair_classifier
from xaieval.models.plain import PlainClassifier, classifier_from_encoder, plain_network
from xaieval.models.prepared import PreparedModel
from xaieval.models.preprocessing import Preprocessing
from xaieval.models.receptive_field import ReceptiveField, measure_receptive_field
from xaieval.models.specs import MODELS
from xaieval.models.tokens import TokenGrid, find_token_grid, layer_maps, to_map
from xaieval.models.training import is_trained, resume_path, run_digest, train
from xaieval.models.weights import load_encoder_weights, load_weights, recalibrate_batchnorm

__all__ = [
    "MODELS",
    "Anatomy",
    "Card",
    "Classifier",
    "Continuation",
    "Extra",
    "HistoryRow",
    "ModelConfig",
    "ModelSpec",
    "MultitaskNet",
    "PlainClassifier",
    "PreparedModel",
    "Preprocessing",
    "ReceptiveField",
    "TokenGrid",
    "TrainOptions",
    "anatomy",
    "as_classifier",
    "build",
    "calibrate_batchnorm",
    "capture_attention",
    "classifier_from_encoder",
    "embeddings",
    "explicit_attention",
    "explicit_mha",
    "find_token_grid",
    "is_trained",
    "layer_maps",
    "load_checkpoint",
    "load_encoder_weights",
    "load_weights",
    "measure_receptive_field",
    "pair_classifier",
    "plain_network",
    "read_card",
    "recalibrate_batchnorm",
    "resume_path",
    "run_digest",
    "save_checkpoint",
    "to_map",
    "train",
]
