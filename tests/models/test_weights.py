"""Weights from files: what is read, what is refused, what batch norms become."""

import copy
import os
import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from xaieval.errors import ConfigError, ModelError
from xaieval.models import (
    ModelConfig,
    PlainClassifier,
    TrainOptions,
    build,
    classifier_from_encoder,
    load_encoder_weights,
    load_weights,
    recalibrate_batchnorm,
)
from xaieval.models.weights import freeze

SIZE = (32, 32)
CONFIG = ModelConfig("small-cnn", 3, SIZE)


class Bomb:
    """Runs code when unpickled."""

    def __reduce__(self):
        return (os.system, ("touch bomb-went-off",))


def _contiguous(net):
    return {k: v.contiguous() for k, v in net.state_dict().items()}


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt", "w.pth"])
def test_every_supported_kind_reads_the_same(tmp_path, name):
    net = PlainClassifier("small-cnn", 4)
    path = tmp_path / name
    if name.endswith("safetensors"):
        save_file(_contiguous(net), path)
    else:
        torch.save({"state_dict": {f"module.{k}": v for k, v in net.state_dict().items()}}, path)
    loaded = load_weights(path)
    assert loaded.keys() == net.state_dict().keys()
    assert all(torch.equal(loaded[k], v) for k, v in net.state_dict().items())
    classifier = classifier_from_encoder("small-cnn", n_classes=4, weights=path)
    assert torch.equal(classifier.module.classifier[1].weight, net.classifier[1].weight)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_pickle_is_refused_and_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, write in (("evil.pt", torch.save), ("raw.pth", _pickle)):
        write({"state_dict": Bomb()}, tmp_path / name)
        with pytest.raises(ModelError, match=f"{name}: refused.*safetensors"):
            load_weights(tmp_path / name)
    assert not (tmp_path / "bomb-went-off").exists()


def _pickle(value, path):
    path.write_bytes(pickle.dumps(value))


def test_a_whole_model_is_refused(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "model.pt")
    with pytest.raises(ModelError, match="Python objects"):
        load_weights(tmp_path / "model.pt")


@pytest.mark.parametrize("name", ["w.pkl", "w.h5", "weights"])
def test_other_kinds_are_refused_by_name(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ModelError, match=r"expected \.safetensors, \.pt or \.pth"):
        load_weights(tmp_path / name)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_damaged_files_are_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x00" * 40)
    with pytest.raises(ModelError, match=name):
        load_weights(tmp_path / name)


def test_missing_and_empty_files(tmp_path):
    with pytest.raises(ModelError, match="no such weights file"):
        load_weights(tmp_path / "no.pt")
    torch.save({"epoch": 3}, tmp_path / "empty.pt")
    with pytest.raises(ModelError, match="no tensors"):
        load_weights(tmp_path / "empty.pt")


@pytest.mark.parametrize("source", ["torchvision", "checkpoint"])
def test_an_encoder_takes_features_and_leaves_the_rest(tmp_path, source):
    other = PlainClassifier("small-cnn", 7) if source == "torchvision" else build(CONFIG, seed=5)
    half = {k: v.half() if v.is_floating_point() else v for k, v in _contiguous(other).items()}
    save_file(half, tmp_path / "w.safetensors")
    net = build(CONFIG, seed=0)
    head = net.head.linear.weight.clone()
    load_encoder_weights(net.encoder, tmp_path / "w.safetensors", arch="small-cnn")
    features = (other if source == "torchvision" else other.encoder).features
    for ours, theirs in zip(net.encoder.features.parameters(), features.parameters(), strict=True):
        assert ours.dtype == torch.float32
        assert torch.equal(ours, theirs.half().float())
    assert torch.equal(net.head.linear.weight, head)


def test_encoder_weights_of_another_architecture_are_named(tmp_path):
    save_file(_contiguous(PlainClassifier("small-cnn", 3)), tmp_path / "w.safetensors")
    net = build(ModelConfig("mobilenet-v2", 3, SIZE))
    with pytest.raises(ModelError, match=r"not those of the encoder of mobilenet-v2 .*missing"):
        load_encoder_weights(net.encoder, tmp_path / "w.safetensors", arch="mobilenet-v2")
    save_file({"conv1.weight": torch.zeros(2)}, tmp_path / "resnet.safetensors")
    with pytest.raises(ModelError, match=r"begin with features\..*got conv1\.weight"):
        load_encoder_weights(net.encoder, tmp_path / "resnet.safetensors", arch="mobilenet-v2")


def _identity_norms(net):
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias, std=0.2)
    return net


def test_recalibration_keeps_the_function_and_makes_training_mode_agree():
    x = torch.randn(16, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(0)
    encoder = _identity_norms(build(CONFIG, seed=0).encoder)
    with torch.no_grad():
        before = encoder.eval()(x)
        destroyed = copy.deepcopy(encoder).train()(x)
        encoder.train()
        recalibrate_batchnorm(encoder, [x[:5], x[5:]])
        assert encoder.training
        torch.testing.assert_close(encoder.eval()(x), before, rtol=1e-3, atol=1e-4)
        # In training mode the statistics of this very batch give the same again.
        torch.testing.assert_close(encoder.train()(x), before, rtol=1e-2, atol=1e-3)
    assert (destroyed - before).abs().max() > 0.1


def test_recalibration_by_hand_on_an_identity_norm():
    norm = nn.BatchNorm2d(2)
    nn.init.constant_(norm.bias, 0.25)
    net = nn.Sequential(norm)
    x = torch.stack([torch.tensor([[1.0, 3.0]]), torch.tensor([[5.0, 5.0]])])[None]
    recalibrate_batchnorm(net, [x])
    assert norm.running_mean.tolist() == [2.0, 5.0]
    assert norm.running_var.tolist() == [1.0, 0.0]
    # weight = √(var + eps), bias += mean, up to the old norm's own eps.
    assert norm.weight.tolist() == pytest.approx([1.0, 1e-5**0.5], rel=1e-4)
    assert norm.bias.tolist() == pytest.approx([2.25, 5.25], rel=1e-4)


def test_freezing_blocks_and_norms():
    net = build(CONFIG).train()
    freeze(net, TrainOptions(freeze_encoder_blocks=2, freeze_batchnorm=True))
    blocks = list(net.encoder.features)
    assert not any(p.requires_grad for block in blocks[:2] for p in block.parameters())
    assert all(p.requires_grad for p in blocks[2].parameters())
    norms = [m for m in net.encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    assert not any(norm.training for norm in norms)
    assert all(m.training for m in net.decoder.modules())
    with pytest.raises(ConfigError, match="at most 8"):
        freeze(net, TrainOptions(freeze_encoder_blocks=9))
