"""The network of the MNIST example: its sizes, its head, every method on it, training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from xaieval.datasets import make_splits, open_dataset
from xaieval.errors import ConfigError
from xaieval.methods import METHODS, Explainer, resolve_methods
from xaieval.models import (
    MODELS,
    Classifier,
    ModelConfig,
    PlainClassifier,
    TrainOptions,
    build,
    load_checkpoint,
    measure_receptive_field,
    train,
)

SPEC = MODELS["mnist-cnn"]
FEW: dict[str, dict[str, object]] = {
    "rise": {"n_masks": 20},
    "lime": {"n_samples": 30, "n_segments": 8},
    "kernel_shap": {"n_samples": 30, "n_segments": 8},
    "shapley_sampling": {"n_samples": 3, "n_segments": 8},
    "sess": {"of": "saliency", "n_scales": 2},
    "puzzle": {"of": "saliency"},
    "tta": {"of": "saliency"},
}


def network(size=(28, 28), **options):
    return build(ModelConfig("mnist-cnn", 10, size, **options), seed=0)


def written_out(net, x):
    """The example's forward pass, step by step."""
    convs = [m for m in net.encoder.modules() if isinstance(m, nn.Conv2d)]
    x = F.relu(F.conv2d(x, convs[0].weight, convs[0].bias))
    x = F.relu(F.conv2d(x, convs[1].weight, convs[1].bias))
    x = torch.flatten(F.max_pool2d(x, 2), 1)
    assert x.shape[1] == 9216
    x = F.relu(F.linear(x, net.head.hidden.weight, net.head.hidden.bias))
    return F.linear(x, net.head.linear.weight, net.head.linear.bias)


def test_it_is_the_example():
    net = network().eval()
    # 3·32·9 + 32, 32·64·9 + 64, 9216·128 + 128, 128·10 + 10
    counts = [sum(p.numel() for p in part.parameters()) for part in (net.encoder, net.head)]
    assert counts == [896 + 18496, 1179776 + 1290]
    x = torch.rand(2, 3, 28, 28)
    torch.testing.assert_close(net.classify(x), written_out(net, x))
    assert not [m for m in net.head.modules() if isinstance(m, nn.AdaptiveAvgPool2d)]


def test_dropout_half_as_often_of_whole_maps():
    head = network(dropout=0.5).head
    assert (head.dropout_maps.p, head.dropout.p) == (0.25, 0.5)
    assert isinstance(head.dropout_maps, nn.Dropout2d)
    plain = PlainClassifier("mnist-cnn", 10)
    assert (plain.dropout_maps.p, plain.dropout.p) == (0.25, 0.5)
    x = torch.rand(2, 3, 28, 28)
    state = {**network().encoder.state_dict(), **network().head.state_dict()}
    plain.load_state_dict(state)
    torch.testing.assert_close(plain.eval()(x), network().eval().classify(x))


@pytest.mark.parametrize("size", [(28, 28), (29, 31), (32, 32), (6, 7), (64, 48)])
def test_the_mask_covers_any_input(size):
    net = network(size).eval()
    logits, mask = net(torch.rand(2, 3, *size))
    assert logits.shape == (2, 10)
    assert mask.shape == (2, 1, *size)


def test_too_small_an_input_is_refused():
    with pytest.raises(ConfigError, match="at least 6 x 6"):
        network((28, 5))


def test_target_layer_and_where_its_cells_lie():
    classifier = Classifier(network(), preprocessing=SPEC.preprocessing)
    assert classifier.target_layer == SPEC.target_layer == "encoder.features.3"
    field = measure_receptive_field(classifier)
    # Two convolutions without padding: cell 0 is centred on pixel 2, 24 cells, one px apart.
    assert (field.map_size, field.stride, field.centre0) == ((24, 24), (1, 1), (2, 2))


def test_every_method_for_convolutional_networks_explains_it():
    classifier = Classifier(network(), preprocessing=SPEC.preprocessing)
    wanted = [id_ for id_, spec in METHODS.items() if "attention" not in spec.needs]
    methods = resolve_methods(wanted, {id_: FEW[id_] for id_ in wanted if id_ in FEW})
    x = torch.rand(2, 3, 28, 28, generator=torch.manual_seed(0))
    maps = Explainer(classifier, device="cpu").run(x, methods=methods).maps
    assert len(maps) == len(methods)
    for key, values in maps.items():
        assert values.shape == (2, 28, 28), key
        assert np.isfinite(values).all(), key
        assert values.std() > 0 or key == "constant", key


def test_it_learns_drawn_digits(tmp_path):
    """An honest network reads digits; the one trained on tied colours errs more without them."""
    found = {}
    for condition in ("uncorrelated", "correlated"):
        options = {"source": "procedural", "train": condition, "n_train": 400, "n_test": 100}
        data = open_dataset("decoy-mnist", options=options)
        path = train(
            data,
            make_splits(data).folds[0],
            config=ModelConfig("mnist-cnn", 10, (28, 28), decoder=False),
            preprocessing=SPEC.preprocessing,
            options=TrainOptions(epochs=4, batch=16, beta=0, augment="none"),
            seed=0,
            path=tmp_path / f"{condition}.safetensors",
        )
        classifier = load_checkpoint(path)
        for test in ("uncorrelated", "correlated"):
            ids = [i for i in data.ids if i.startswith(test)]
            pictures = np.stack([data[i].image for i in ids])
            answers = classifier.logits(SPEC.preprocessing.tensor(pictures)).argmax(1).numpy()
            found[condition, test] = np.mean(
                [a == data.label_of(i) for a, i in zip(answers, ids, strict=True)]
            )
    assert found["uncorrelated", "uncorrelated"] >= 0.93
    assert found["correlated", "correlated"] >= 0.97
    assert found["correlated", "uncorrelated"] < found["correlated", "correlated"]
