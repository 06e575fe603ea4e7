"""Narrower and wider networks, and digests from before there were any."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from xaieval.digest import digest
from xaieval.errors import ConfigError
from xaieval.models import Card, ModelConfig, Preprocessing, build, load_checkpoint, save_checkpoint
from xaieval.study.config import parse_study

STUDY = """
schema = 1
[study]
id = "s"
title = "S"
[data]
name = "synthetic-hazelnut"
[model]
arch = "small-cnn"
"""


def _parameters(net):
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(("arch", "size"), [("small-cnn", (32, 48)), ("mnist-cnn", (28, 28))])
def test_channels_are_multiplied(arch, size):
    nets = {
        width: build(ModelConfig(arch, 3, size, decoder=False, width=width), seed=0).eval()
        for width in (0.5, 1.0, 2.0)
    }
    channels = [net.encoder.out_channels for net in nets.values()]
    assert channels == [channels[1] // 2, channels[1], channels[1] * 2]
    assert _parameters(nets[0.5]) < _parameters(nets[1.0]) < _parameters(nets[2.0])
    for net in nets.values():
        assert net.classify(torch.rand(2, 3, *size)).shape == (2, 3)


def test_the_hidden_layer_goes_along():
    net = build(ModelConfig("mnist-cnn", 10, (28, 28), width=0.25), seed=0)
    assert net.head.hidden.out_features == 32
    assert net.head.linear.in_features == 32


def test_never_fewer_than_four_channels():
    net = build(ModelConfig("small-cnn", 2, (32, 32), width=0.01), seed=0)
    assert net.encoder.out_channels == 4


@pytest.mark.parametrize(
    ("arch", "width"), [("resnet18", 0.5), ("small-cnn", 0), ("small-cnn", 99)]
)
def test_widths_that_there_are_not(arch, width):
    with pytest.raises(ConfigError, match="width"):
        ModelConfig(arch, 2, (64, 64), width=width)


def test_width_one_is_what_there_was_before():
    config = ModelConfig("small-cnn", 2, (32, 32))
    fields = {k: v for k, v in dataclasses.asdict(config).items() if k != "width"}
    assert digest(config) == digest(fields)
    assert digest(dataclasses.replace(config, width=2.0)) != digest(config)
    plain, wide = parse_study(STUDY), parse_study(STUDY + "width = 2.0\n")
    assert "width" not in plain.train_settings()["model"]
    assert plain.digest("train") != wide.digest("train")


def test_a_checkpoint_keeps_its_width(tmp_path):
    config = ModelConfig("small-cnn", 2, (32, 32), decoder=False, width=0.5)
    net = build(config, seed=0).eval()
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, net, Card(config, ("a", "b"), Preprocessing((32, 32))))
    x = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(load_checkpoint(path).logits(x), net.classify(x))


def test_a_card_from_before_there_were_widths(tmp_path):
    config = ModelConfig("small-cnn", 2, (32, 32), decoder=False)
    path = tmp_path / "a.safetensors"
    net = build(config, seed=0)
    save_checkpoint(path, net, Card(config, ("a", "b"), Preprocessing((32, 32))))
    card = json.loads(path.with_suffix(".json").read_text())
    del card["config"]["width"]
    path.with_suffix(".json").write_text(json.dumps(card))
    assert load_checkpoint(path).n_classes == 2
