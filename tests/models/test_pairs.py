"""Pair mode: one logit, the cosine of two embeddings, against plain torch."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from xaieval.backend import Backend, Request
from xaieval.cache import HeatmapCache
from xaieval.errors import ModelError
from xaieval.evaluating import ModelEvaluator, second_inputs, subjects_of
from xaieval.methods import explain, resolve_methods
from xaieval.metrics import score
from xaieval.models import (
    MODELS,
    Classifier,
    ModelConfig,
    Preprocessing,
    build,
    calibrate_batchnorm,
    embeddings,
    pair_classifier,
)
from xaieval.models.pairs import PairNet
from xaieval.types import Sample

SIZE = (48, 48)


def trained(arch="small-cnn"):
    """A network of ours with sensible activations, without training."""
    net = build(ModelConfig(arch, 3, SIZE), seed=1)
    calibrate_batchnorm(net, pictures(8, seed=5))
    return Classifier(
        net.eval(), preprocessing=Preprocessing(SIZE), target_layer=MODELS[arch].target_layer
    )


def pictures(n, *, seed=0):
    return torch.randn((n, 3, *SIZE), generator=torch.Generator().manual_seed(seed))


class Plain(nn.Module):
    """A network of a user: two linear layers, probabilities at the end, in a tuple."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(nn.Conv2d(3, 6, 5, stride=2), nn.ReLU(), nn.AvgPool2d(4))
        self.hidden, self.out = nn.Linear(6 * 25, 7), nn.Linear(7, 4)

    def forward(self, x):
        hidden = self.hidden(self.features(x).flatten(1)).tanh()
        return {"logits": self.out(hidden).softmax(1), "embedding": hidden}


class Convolutional(nn.Module):
    """No linear layer: a 1 × 1 convolution and the mean over the picture."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(nn.Conv2d(3, 6, 5, stride=2), nn.ReLU())
        self.classifier = nn.Conv2d(6, 3, 1)

    def forward(self, x):
        return self.classifier(self.features(x)).mean((2, 3))


def test_the_logit_is_the_cosine_of_what_the_linear_layer_reads():
    classifier = trained()
    pairs = pair_classifier(classifier)
    a, b = pictures(3), pictures(3, seed=1)
    net = classifier.module
    with torch.no_grad():
        own, other = (net.head.pool(net.encoder(x)).flatten(1) for x in (a, b))
    torch.testing.assert_close(embeddings(pairs, a), own)
    torch.testing.assert_close(embeddings(classifier, a), own)
    cosine = torch.cosine_similarity(own, other)
    torch.testing.assert_close(pairs.logits(a, other), cosine[:, None])
    torch.testing.assert_close(pairs.logits(a, own), torch.ones(3, 1))
    assert (pairs.n_classes, pairs.class_names, pairs.takes_extra) == (1, ("alike",), True)
    assert pairs.target_layer == "network.encoder.features.7"


def test_saliency_and_gradcam_are_the_gradients_of_the_cosine():
    classifier = trained()
    pairs = pair_classifier(classifier)
    a, b = pictures(2), pictures(2, seed=1)
    other = embeddings(pairs, b)
    maps = explain(
        pairs, a, methods=["saliency", "gradcam"], targets=[0, 0], extra=other, exact=True
    )
    net, x = classifier.module, a.clone().requires_grad_()
    layer = net.encoder(x)
    layer.retain_grad()
    own = net.head.pool(layer).flatten(1)
    torch.cosine_similarity(own, other).sum().backward()
    found = x.grad.abs().amax(1)
    torch.testing.assert_close(maps["saliency"], found, rtol=1e-3, atol=1e-3 * float(found.max()))
    weights = layer.grad.mean((2, 3), keepdim=True)
    cam = (weights * layer).sum(1, keepdim=True).relu()
    cam = nn.functional.interpolate(cam, SIZE, mode="bilinear", align_corners=False)[:, 0]
    scale = float(cam.detach().max())
    torch.testing.assert_close(maps["gradcam"], cam.detach(), rtol=1e-3, atol=1e-3 * scale)


def test_the_network_is_not_changed_and_its_weights_are_shared():
    classifier = trained()
    before, keys = copy.deepcopy(classifier.module.state_dict()), repr(classifier.module)
    pairs = pair_classifier(classifier)
    embeddings(pairs, pictures(1))
    assert repr(classifier.module) == keys
    after = classifier.module.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    own = {p.data_ptr() for p in classifier.module.parameters()}
    assert {p.data_ptr() for p in pairs.module.parameters()} == own
    assert pairs.fingerprint != classifier.fingerprint
    assert pairs.fingerprint == pair_classifier(classifier).fingerprint


@pytest.mark.parametrize("arch", ["efficientnet-b0", "resnet18", "mobilenet-v2"])
def test_it_works_on_the_architectures_and_folds_as_they_do(arch):
    classifier = trained(arch)
    pairs = pair_classifier(classifier)
    assert pairs.prepared().notes == classifier.prepared().notes
    a, other = pictures(1), embeddings(pairs, pictures(1, seed=1))
    maps = explain(pairs, a, methods=["gradcam", "occlusion"], targets=[0], extra=other)
    assert all(found.abs().max() > 0 for found in maps.values())


def test_networks_of_users():
    net = Plain()
    classifier = Classifier(net, preprocessing=Preprocessing(SIZE))
    pairs = pair_classifier(classifier)
    a, b = pictures(2), pictures(2, seed=1)
    assert pairs.module.layer == "out"
    with torch.no_grad():
        torch.testing.assert_close(embeddings(pairs, a), net(a)["embedding"])
    named = pair_classifier(classifier, layer="hidden")
    assert embeddings(named, a).shape == (2, 150)
    whole = Convolutional()
    with pytest.raises(ModelError, match="no linear layer"):
        pair_classifier(Classifier(whole, preprocessing=Preprocessing(SIZE)))
    pooled = pair_classifier(
        Classifier(whole, preprocessing=Preprocessing(SIZE)), layer="classifier"
    )
    with torch.no_grad():
        torch.testing.assert_close(embeddings(pooled, b), whole.features(b).mean((2, 3)))


def test_what_cannot_be_compared_is_said():
    classifier = trained()
    with pytest.raises(ModelError, match="second input already"):
        pair_classifier(pair_classifier(classifier))
    with pytest.raises(ModelError, match=r"head\.linea"):
        pair_classifier(classifier, layer="head.linea")


# ------------------------------------------------------------------ backend and scores


def sample(name, seed, partner=None):
    image = np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), np.uint8)
    return Sample(name, 0, lambda: image, extra=partner)


def test_backend_and_falsification_measure_embeddings(tmp_path):
    pairs = pair_classifier(trained())
    other = pairs.preprocessing.tensor(sample("b", 1).image[None])
    partner = embeddings(pairs, other)[0].numpy()
    first = sample("a", 0, partner)
    backend = Backend("cpu", cache=HeatmapCache(folder=tmp_path))
    try:
        call = resolve_methods(["saliency"])[0]
        answer = backend.explain(Request(pairs, first, (call,), target=0))
        x = pairs.preprocessing.tensor(first.image[None])
        own = embeddings(pairs, x)[0]
        cosine = float(torch.cosine_similarity(own, torch.from_numpy(partner), dim=0))
        assert answer.logits == pytest.approx([cosine], abs=1e-5)
        # Another partner is another question: nothing of the first answer is taken for it.
        turned = dataclasses.replace(first, extra=partner[::-1].copy())
        again = backend.explain(Request(pairs, turned, (call,), target=0))
        assert again.logits[0] != pytest.approx(cosine, abs=1e-4)

        def work(explainer, errand):
            (subject,) = subjects_of(pairs, [answer], explainer.device)
            assert subject.output == "cosine"
            evaluator = ModelEvaluator(explainer, call, [subject], extra=second_inputs([first]))
            rows = torch.stack([subject.x, subject.x * 0.5])
            found = evaluator.embeddings(rows, [0, 0])
            torch.testing.assert_close(found, embeddings(pairs, rows), rtol=1e-4, atol=1e-5)
            maps = answer.maps["saliency"].values[None]
            keys = ["falsification_margin@k=3", "deletion@steps=4", "adversarial_drift@steps=1"]
            return score(maps, metrics=keys, evaluator=evaluator)

        found = backend.call(pairs, work)
        assert all(np.isfinite(values).all() for values in found.values())
    finally:
        backend.close()


def test_embeddings_are_asked_of_networks_that_have_them(tmp_path):
    classifier = trained()
    assert not isinstance(classifier.module, PairNet)
    backend = Backend("cpu", cache=HeatmapCache(folder=tmp_path))
    try:
        call = resolve_methods(["saliency"])[0]
        answer = backend.explain(Request(classifier, sample("a", 0), (call,)))

        def work(explainer, errand):
            subjects = subjects_of(classifier, [answer], explainer.device)
            return ModelEvaluator(explainer, call, subjects).embeddings(subjects[0].x[None], [0])

        with pytest.raises(ModelError, match="pair_classifier"):
            backend.call(classifier, work)
    finally:
        backend.close()
