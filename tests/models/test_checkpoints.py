"""Checkpoints: what goes in comes out, and each kind of damage has its own clear error."""

import json

import pytest
import torch
from safetensors import safe_open

from xaieval.errors import ModelError, ResultsError
from xaieval.models import (
    Card,
    HistoryRow,
    ModelConfig,
    Preprocessing,
    TrainOptions,
    build,
    load_checkpoint,
    read_card,
    save_checkpoint,
)
from xaieval.models.checkpoints import card_path

CONFIG = ModelConfig("small-cnn", 2, (32, 32))
CARD = Card(
    config=CONFIG,
    class_names=("good", "bäd"),
    preprocessing=Preprocessing((32, 32), 40),
    options=TrainOptions(epochs=1, lr=0.002),
    seed=42,
    fold=0,
    history=(HistoryRow(1, "train", 1.5, 1.0, None, 0.5),),
    dataset="synthetic",
    problems=("a/b left out: damaged",),
)


@pytest.fixture
def saved(tmp_path):
    net = build(CONFIG, seed=3).to(memory_format=torch.channels_last)
    path = tmp_path / "größe 1" / "seed-42.safetensors"
    save_checkpoint(path, net, CARD)
    return path, net


def test_round_trip(saved):
    path, net = saved
    card = read_card(path)
    assert card.weights_sha256
    assert {**vars(card), "weights_sha256": ""} == vars(CARD)
    classifier = load_checkpoint(path)
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(classifier.logits(x), net.eval().classify(x))
    assert classifier.class_names == ("good", "bäd")
    assert classifier.preprocessing == CARD.preprocessing
    assert classifier.target_layer == "encoder.features.7"
    assert classifier.fingerprint == load_checkpoint(path).fingerprint


def test_the_file_has_the_three_prefixes(saved):
    with safe_open(saved[0], "pt") as stream:
        assert {key.split(".")[0] for key in stream.keys()} == {"encoder", "decoder", "head"}  # noqa: SIM118


def test_no_absolute_path_and_no_nan_in_the_card(saved):
    text = card_path(saved[0]).read_text(encoding="utf-8")
    assert str(saved[0].parent) not in text
    json.loads(text, parse_constant=lambda name: pytest.fail(name))


def test_missing_card(saved):
    card_path(saved[0]).unlink()
    with pytest.raises(ModelError, match=r"seed-42\.json: the checkpoint has no card"):
        load_checkpoint(saved[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 99}, "unknown card schema; expected 1, got 99"),
        ({"config": {"arch": "small-cnn"}}, "does not fit its schema"),
        ({"class_names": ["one"]}, "expected 2 class names"),
        ({"surprise": 1}, "does not fit its schema"),
    ],
)
def test_damaged_cards(saved, change, message):
    where = card_path(saved[0])
    where.write_text(json.dumps({**json.loads(where.read_text()), **change}))
    with pytest.raises(ModelError, match=message):
        load_checkpoint(saved[0])


@pytest.mark.parametrize("text", ["{", "[]", ""])
def test_unreadable_cards(saved, text):
    card_path(saved[0]).write_text(text)
    with pytest.raises(ModelError, match="card cannot be read"):
        load_checkpoint(saved[0])


def test_weights_of_another_architecture(saved, tmp_path):
    other = ModelConfig("small-cnn", 5, (32, 32))
    names = ("a", "b", "c", "d", "e")
    save_checkpoint(
        tmp_path / "o.safetensors", build(other), Card(other, names, Preprocessing((32, 32)))
    )
    saved[0].write_bytes((tmp_path / "o.safetensors").read_bytes())
    with pytest.raises(ModelError, match=r"head\.linear\.weight \(5, 56\) instead of \(2, 56\)"):
        load_checkpoint(saved[0])


def test_other_weights_of_the_same_architecture(saved, tmp_path):
    save_checkpoint(tmp_path / "o.safetensors", build(CONFIG, seed=9), CARD)
    saved[0].write_bytes((tmp_path / "o.safetensors").read_bytes())
    with pytest.raises(ModelError, match="not the ones the card was written for"):
        load_checkpoint(saved[0])


def test_truncated_weights(saved):
    saved[0].write_bytes(saved[0].read_bytes()[:1000])
    with pytest.raises(ModelError, match="damaged safetensors"):
        load_checkpoint(saved[0])


def test_names_and_folders_that_cannot_be_written(tmp_path):
    with pytest.raises(ModelError, match=r"ending \.safetensors"):
        save_checkpoint(tmp_path / "a.pt", build(CONFIG), CARD)
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultsError, match="cannot write here"):
        save_checkpoint(tmp_path / "file" / "a.safetensors", build(CONFIG), CARD)


def test_a_state_dict_with_a_card_loads_too(saved):
    path, net = saved
    torch.save(net.state_dict(), path.with_suffix(".pt"))
    card = json.loads(card_path(path).read_text())
    card_path(path).write_text(json.dumps({**card, "weights_sha256": ""}))
    assert load_checkpoint(path.with_suffix(".pt")).n_classes == 2
