"""Pretrained models as arms: a small ImageNet folder, and torchvision or a stand-in for it."""

from __future__ import annotations

import json
import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from xaieval.digest import rng
from xaieval.errors import DataError, ModelError
from xaieval.models import MODELS, ModelConfig, build
from xaieval.reproduce import Setup
from xaieval.reproduce.explanation_alignment import model_comparison, transfer
from xaieval.reproduce.explanation_alignment.imagenet_models import weight_files

WNIDS = {"n00000001": "disc", "n00000002": "square", "n00000003": "bar"}
NAMES = ("resnet_a", "resnet_b", "convnext_a", "wide_resnet_a")
BOX = """<annotation><size><width>80</width><height>64</height></size>
<object><name>{wnid}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax>
<ymax>{y1}</ymax></bndbox></object></annotation>"""


class Chain(nn.Module):
    """Named like torchvision's networks: features, avgpool, then fc or a classifier."""

    def __init__(self, n_classes: int = 3, *, width: int = 4, flattens: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, stride=16, padding=3)
        self.relu = nn.ReLU(inplace=True)
        self.layer4 = nn.Sequential(nn.Conv2d(width, width, 3, stride=2, padding=1), nn.ReLU())
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        if flattens:
            self.classifier = nn.Sequential(
                nn.Flatten(), nn.Dropout(0.3), nn.Linear(width, n_classes)
            )
        else:
            self.fc = nn.Linear(width, n_classes)
        self.flattens = flattens

    def forward(self, x):
        x = self.avgpool(self.layer4(self.relu(self.conv1(x))))
        return self.classifier(x) if self.flattens else self.fc(torch.flatten(x, 1))


MADE = {
    "resnet_a": lambda: Chain(),
    "resnet_b": lambda: Chain(width=8),
    "wide_resnet_a": lambda: Chain(width=12),
    "convnext_a": lambda: Chain(flattens=True),
    "no_chain": lambda: nn.Sequential(nn.Flatten(), nn.Linear(3, 3)),
}


@pytest.fixture
def stand_in(monkeypatch):
    """A module torchvision.models with a few small networks."""
    models = types.ModuleType("torchvision.models")
    models.list_models = lambda: sorted(MADE)
    models.get_model = lambda name, weights=None: MADE[name]()

    def get_model_weights(name):
        url = f"https://example.invalid/models/{name}-01234567.pth"
        return types.SimpleNamespace(DEFAULT=types.SimpleNamespace(url=url))

    models.get_model_weights = get_model_weights
    package = types.ModuleType("torchvision")
    package.models = models
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    from xaieval.models.torchvision_nets import torchvision_spec

    torchvision_spec.cache_clear()
    yield models
    torchvision_spec.cache_clear()


def _weights(folder):
    folder.mkdir()
    for number, name in enumerate(NAMES):
        torch.manual_seed(number)
        torch.save(MADE[name]().state_dict(), folder / f"{name}-01234567.pth")
    return folder


def _imagenet(folder):
    for number, wnid in enumerate(WNIDS):
        for index in range(3):
            pixels = rng("imagenet", wnid, index).integers(0, 90, (64, 80, 3)).astype(np.uint8)
            x0, y0, x1, y1 = 20 + 10 * number, 16, 40 + 10 * number, 40
            if index == 2:
                x0, x1 = 1, 6  # the centre crop removes it
            pixels[y0:y1, x0:x1, number] = 250
            image = folder / "imagenet" / "val" / wnid / f"{index}.JPEG"
            image.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(image)
            box = folder / "imagenet" / "Annotations" / wnid / f"{index}.xml"
            box.parent.mkdir(parents=True, exist_ok=True)
            box.write_text(BOX.format(wnid=wnid, x0=x0, y0=y0, x1=x1, y1=y1))
    table = {str(i): [wnid, name] for i, (wnid, name) in enumerate(WNIDS.items())}
    (folder / "imagenet" / "imagenet_class_index.json").write_text(json.dumps(table))
    for name in ("apple", "bowl"):
        for index in range(4):
            pixels = rng("cifar", name, index).integers(0, 255, (32, 32, 3)).astype(np.uint8)
            image = folder / "cifar100" / "test" / name / f"{index}.png"
            image.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(image)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_network_taken_apart_is_the_same_network(stand_in, name):
    arch = f"torchvision:{name}"
    twin = MADE[name]().eval()
    net = build(ModelConfig(arch, 3, (224, 224), decoder=False, dropout=0.0), seed=0).eval()
    net.load_state_dict(net.encoder.published(twin.state_dict()))
    x = torch.rand(2, 3, 224, 224)
    torch.testing.assert_close(net.classify(x), twin(x))
    assert net.encode(x).shape[2:] == (7, 7)
    assert MODELS[arch].target_layer == "encoder.layer4"
    assert build(ModelConfig(arch, 7, (224, 224), decoder=False)).eval().classify(x).shape == (2, 7)
    assert not any(it.startswith("torchvision") for it in MODELS), "the table lists its own rows"


def test_networks_that_are_no_chain_or_unknown(stand_in):
    with pytest.raises(Exception, match="no chain"):
        MODELS["torchvision:no_chain"]
    with pytest.raises(Exception, match="resnet_a"):
        MODELS["torchvision:resnet_aa"]


def test_without_torchvision(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(ModelError, match=r"xaieval\[zoo\]"):
        MODELS["torchvision:resnet_c"]


def test_missing_weights_are_named(stand_in, tmp_path):
    setup = Setup(out=tmp_path, weights=_weights(tmp_path / "w"))
    assert set(weight_files(setup, NAMES)) == set(NAMES)
    (tmp_path / "w" / "resnet_b-01234567.pth").unlink()
    with pytest.raises(ModelError, match=r"1 of 4 .*resnet_b-01234567\.pth"):
        weight_files(setup, NAMES)


@pytest.mark.slow
def test_the_published_forms_on_a_small_imagenet(stand_in, tmp_path):
    data, weights = _imagenet(tmp_path / "data"), _weights(tmp_path / "w")
    setup = Setup(out=tmp_path / "out", data=data, weights=weights, device="cpu")
    outcome = model_comparison.run_published(setup, NAMES)
    assert {f.claim.id for f in outcome.findings} == {c.id for c in model_comparison.CLAIMS}
    table = outcome.sheets[0].frame
    assert table["model"].tolist() == [f"{name}/0" for name in NAMES]
    assert table["n_accuracy"].tolist() == [9] * 4, "both halves of the images"
    assert table["n_masks"].tolist() == [6] * 4, "the crop removes one box of each class"
    first = {
        p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "studies").rglob("*") if p.is_file()
    }
    again = model_comparison.run_published(setup, NAMES)
    assert [f.value for f in again.findings] == [f.value for f in outcome.findings]
    kept = [p for p, then in first.items() if p.suffix == ".safetensors"]
    assert all(p.stat().st_mtime_ns == first[p] for p in kept)
    moved = Setup(out=tmp_path / "transfer", data=data, weights=weights, device="cpu")
    outcome = transfer.run_published(moved, NAMES, draws=3)
    assert outcome.facts["target"] == "cifar100"
    assert outcome.sheets[0].frame["draws"].tolist() == [3] * 4


def test_classes_that_are_not_the_models(stand_in, tmp_path):
    data = _imagenet(tmp_path / "data")
    table = {"0": ["n00000001", "disc"], "1": ["n00000002", "square"], "2": ["n00000003", "bar"]}
    table["3"] = ["n00000004", "ring"]
    (data / "imagenet" / "imagenet_class_index.json").write_text(json.dumps(table))
    setup = Setup(out=tmp_path / "o", data=data, weights=_weights(tmp_path / "w"), device="cpu")
    with pytest.raises(DataError, match="classes are not those of the model"):
        model_comparison.run_published(setup, NAMES[:1])
