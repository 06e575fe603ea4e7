"""What a network is made of."""

import pytest
import torch
from token_nets import WAYS, TokenNet
from torch import nn
from torch.nn import functional as F

from xaieval.models import MODELS, Classifier, TokenGrid, anatomy
from xaieval.models.anatomy import Norm
from xaieval.models.calls import Activation, Called


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def looked_at(net, size=(32, 32), **options):
    return anatomy(Classifier(net, example=torch.randn(2, 3, *size), **options))


class Zoo(nn.Module):
    """In-place, functional and reused activations; two heads; norms that fold and do not."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.relu, self.conv = nn.ReLU(), nn.Conv2d(4, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.six, self.swish = nn.ReLU6(), nn.SiLU()
        self.head, self.aux = nn.Linear(4, 5), nn.Linear(4, 7)

    def forward(self, x):
        x = self.stem(x)
        y = self.norm(self.relu(x))
        y += x
        y = self.relu(y)
        y = self.swish(self.six(F.relu(self.conv(y))))
        flat = torch.sigmoid(F.relu_(y * 2)).mean((2, 3))
        return {"logits": self.head(flat), "aux": self.aux(flat), "map": y}


def test_everything_of_a_small_zoo():
    found = looked_at(Zoo(), name="zoo")
    assert found.activations == (
        Activation("relu", "stem.2", 1, in_place=True, functional=False),
        Activation("relu", "relu", 2, in_place=False, functional=False),
        Activation("relu", "", 1, in_place=False, functional=True),
        Activation("relu6", "six", 1, in_place=False, functional=False),
        Activation("silu", "swish", 1, in_place=False, functional=False),
        Activation("relu", "", 1, in_place=True, functional=True),
        Activation("sigmoid", "", 1, in_place=False, functional=True),
    )
    assert found.kinds == {"relu": 5, "relu6": 1, "silu": 1, "sigmoid": 1}
    assert found.reused == (("relu", 2),)
    assert found.in_place == (Called("add", "", 1),)
    assert found.norms == (
        Norm("BatchNorm2d", "stem.1", folded=True),
        Norm("BatchNorm2d", "norm", folded=False),
    )
    assert found.convolutions == 2
    assert found.calls("linear") == 2
    assert Called("conv2d", "stem.0", 1) in found.functions
    outputs = {o.path: (o.shape, o.fits, o.is_logits) for o in found.outputs}
    assert outputs == {
        "logits": ((2, 5), True, True),
        "aux": ((2, 7), True, False),
        "map": ((2, 4, 28, 28), False, False),
    }
    assert (found.target_layer, found.target_shape) == ("swish", (4, 28, 28))
    assert found.attention is None
    assert not found.takes_extra
    text = str(found)
    assert "activation   relu 5, 2 in place, 2 functional" in text
    assert "reused       relu runs 2 times" in text
    assert "in place     add in the network, 1 times" in text
    assert "output       aux float32 (2, 7): could be logits" in text
    assert "target layer swish, 4 x 28 x 28" in text


@pytest.mark.parametrize("way", WAYS)
def test_attention_of_every_way(way):
    found = looked_at(TokenNet(way, prefix=2), (16, 24))
    blocks = found.attention
    assert (blocks.blocks, blocks.heads, blocks.tokens) == (3, (2,), (26,))
    assert blocks.grid == TokenGrid(2, 4, 6, (0,))
    assert found.target_shape == (16, 4, 6)
    assert found.kinds["gelu"] == 3
    assert "3 blocks of 2 heads over 26 tokens, 2 in front of 4 x 6 patches" in str(found)
    assert {n.kind for n in found.norms} == {"LayerNorm"}


@pytest.mark.parametrize(
    ("arch", "kinds"),
    [
        ("mobilenet-v2", {"relu6": 35}),
        ("efficientnet-b0", {"silu": 33 + 16, "sigmoid": 16}),
        ("resnet18", {"relu": 17}),
    ],
)
def test_known_networks(arch, kinds):
    from xaieval.models import PlainClassifier

    found = looked_at(PlainClassifier(arch, 3), (64, 64))
    assert found.kinds == kinds
    assert found.n_classes == 3
    assert all(norm.folded for norm in found.norms)
    expected = MODELS[arch].target_layer.removeprefix("encoder.")
    assert found.target_layer == expected


def test_a_second_input_is_said():
    class Asked(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.conv = nn.Embedding(6, 4), nn.Conv2d(3, 4, 3)
            self.head = nn.Linear(8, 2)

        def forward(self, x, words):
            flat = self.conv(x).tanh().mean((2, 3))
            return self.head(torch.cat([flat, self.words(words).mean(1)], 1))

    found = looked_at(Asked(), example_extra=torch.zeros(1, 7, dtype=torch.int64))
    assert found.takes_extra
    assert found.extra_shapes == ((7,),)
    assert found.kinds == {"tanh": 1}
    assert "second input (7,)" in str(found)


def test_networks_without_maps():
    found = looked_at(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), (2, 2))
    assert (found.target_layer, found.target_shape) == ("", None)
    assert found.notes == ("no feature map feeds the classifier",)
    assert "target layer none" in str(found)


def test_it_is_found_once_and_leaves_nothing_behind():
    classifier = Classifier(Zoo(), example=torch.randn(2, 3, 32, 32))
    assert anatomy(classifier) is anatomy(classifier)
    assert not any(m._forward_hooks for m in classifier._exact_copy.modules())
    assert classifier.module.stem[2].inplace
