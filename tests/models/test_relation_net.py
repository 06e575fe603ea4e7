"""The relation network: pairs by hand, padding, places, and that it can learn to answer."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from xaieval.errors import ConfigError
from xaieval.models import Classifier, Preprocessing
from xaieval.models.relation_net import RelationConfig, RelationNet, cell_places

SMALL = RelationConfig(
    vocabulary=9,
    n_classes=4,
    conv_widths=(5, 6),
    word_dim=4,
    question_dim=7,
    pair_widths=(16, 12),
    answer_widths=(10,),
)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def _net(config=SMALL):
    net = RelationNet(config).double()
    with torch.no_grad():
        for _ in range(3):
            net.image(torch.randn(8, 3, 17, 21).double() + 0.5)
    return net.eval()


def _inputs(rows=3):
    question = torch.tensor([[3, 1, 8, 2, 0], [5, 0, 0, 0, 0], [4, 4, 7, 6, 1]])
    return torch.randn(rows, 3, 17, 21).double(), question[:rows]


def _naive(net, x, question):
    """One picture, one pair at a time, questions packed."""
    lengths = (question != 0).sum(1)
    packed = pack_padded_sequence(
        net.words(question), lengths, batch_first=True, enforce_sorted=False
    )
    asked = net.lstm(packed)[1][0][0]
    logits = []
    for row, q in zip(net.image(x), asked, strict=True):
        height, width = row.shape[1:]
        cells = []
        for i in range(height):
            for j in range(width):
                px = (j - np.arange(width).mean()) / np.arange(width).std()
                py = (i - np.arange(height).mean()) / np.arange(height).std()
                cells.append(torch.cat([row[:, i, j], torch.tensor([px, py])]))
        total = 0
        for a in cells:
            for b in cells:
                h = torch.cat([a, b, q])
                for layer in net.g:
                    h = layer(h)
                total = total + h
        h = F.relu(net.f[0](total))
        logits.append(net.f[3](h))
    return torch.stack(logits)


@pytest.mark.parametrize("norm", ["after-relu", "before-relu"])
@pytest.mark.parametrize("padding", [0, 1])
def test_the_naive_twin(norm, padding):
    fields = vars(SMALL) | {"norm": norm, "conv_padding": padding}
    net = _net(RelationConfig(**fields))
    assert isinstance(net.image[1], nn.ReLU if norm == "after-relu" else nn.BatchNorm2d)
    x, question = _inputs()
    torch.testing.assert_close(net(x, question), _naive(net, x, question))


@given(st.lists(st.integers(1, 8), min_size=1, max_size=6), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_padding_changes_nothing(words, zeros):
    net = RelationNet(SMALL)
    bare = torch.tensor([words])
    padded = F.pad(bare, (0, zeros))
    torch.testing.assert_close(net.read(padded), net.read(bare))
    # Beside a longer question too.
    both = torch.cat([F.pad(bare, (0, 8 - len(words))), torch.arange(1, 9)[None]])
    torch.testing.assert_close(net.read(both)[:1], net.read(bare))


def test_a_question_of_zeros_alone_has_no_state():
    state = RelationNet(SMALL).read(torch.zeros(2, 3, dtype=torch.int64))
    assert torch.equal(state, torch.zeros(2, 7))


def test_places_by_hand():
    expected = [[-1, -1], [1, -1], [-1, 1], [1, 1]]
    assert cell_places(2, 2).tolist() == expected
    assert cell_places(1, 1).tolist() == [[0, 0]]
    np.testing.assert_allclose(cell_places(3, 4).mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(cell_places(3, 4).square().mean(0), 1, rtol=1e-6)


def test_sizes_of_the_clevr_model():
    net = RelationNet(RelationConfig(vocabulary=82, n_classes=28))
    assert net.cells(torch.zeros(1, 3, 128, 128)).shape == (1, 49, 26)
    assert tuple(net.g[0].weight.shape) == (256, 2 * 26 + 128)
    assert [type(layer).__name__ for layer in net.f] == [
        *("Linear", "ReLU", "Linear", "ReLU", "Dropout", "Linear")
    ]
    padded = RelationNet(RelationConfig(vocabulary=82, n_classes=28, conv_padding=1))
    assert padded.cells(torch.zeros(1, 3, 128, 128)).shape == (1, 64, 26)


@pytest.mark.parametrize(
    ("norm", "layer", "left"), [("after-relu", "image", 2), ("before-relu", "image", 0)]
)
def test_wrapped_prepared_and_folded(norm, layer, left):
    net = _net(RelationConfig(**(vars(SMALL) | {"norm": norm}))).float()
    x, question = (t.float() if t.is_floating_point() else t for t in _inputs())
    classifier = Classifier(
        net, preprocessing=Preprocessing((17, 21)), example_extra=torch.tensor([[1, 2, 0]])
    )
    assert classifier.n_classes == 4
    assert classifier.target_layer == layer
    expected = net(x, question)
    torch.testing.assert_close(classifier.logits(x, question), expected.detach())
    prepared = classifier.prepared()
    assert sum(isinstance(m, nn.BatchNorm2d) for m in prepared.module.modules()) == left
    logits, maps = prepared.logits_and_layer(x, question)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    assert maps.shape == (3, 6, 3, 4)
    assert torch.autograd.grad(logits[:, 0].sum(), maps)[0].abs().sum() > 0


def test_recording_gradients_changes_no_bit():
    net = _net().float().requires_grad_(False)
    x, question = _inputs()
    x = x.float()
    with torch.no_grad():
        expected = net(x, question)
    assert torch.equal(net(x.requires_grad_(), question), expected)


def _questions(seed, rows=64):
    """One bright square; word 1 asks whether it is right, word 2 whether it is at the bottom."""
    rng = torch.Generator().manual_seed(seed)
    corner = torch.randint(0, 4, (rows,), generator=rng)
    asked = torch.randint(1, 3, (rows, 1), generator=rng)
    x = 0.05 * torch.randn(rows, 3, 16, 16, generator=rng)
    for picture, place in zip(x, corner.tolist(), strict=True):
        top, left = 8 * (place // 2) + 2, 8 * (place % 2) + 2
        picture[:, top : top + 4, left : left + 4] += 1
    return x, asked, torch.where(asked[:, 0] == 1, corner % 2, corner // 2)


def test_it_learns_to_answer_two_questions():
    config = RelationConfig(**(vars(SMALL) | {"n_classes": 2, "dropout": 0.0}))
    net = RelationNet(config).train()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.003)
    for step in range(120):
        x, asked, labels = _questions(1 + step)
        optimizer.zero_grad()
        F.cross_entropy(net(x, asked), labels).backward()
        optimizer.step()
    net.eval()
    x, asked, labels = _questions(0, rows=200)
    right = (net(x, asked).argmax(1) == labels).float().mean()
    other = (net(x, 3 - asked).argmax(1) == labels).float().mean()
    assert right > 0.95
    assert other < 0.65  # the other question has the same answer for half the pictures


@pytest.mark.parametrize(
    "change",
    [
        {"vocabulary": 1},
        {"n_classes": 1},
        {"question_dim": 0},
        {"conv_widths": ()},
        {"pair_widths": (4, 0)},
        {"conv_padding": 2},
        {"norm": "nowhere"},
        {"dropout": 1.0},
    ],
)
def test_impossible_configs_are_refused(change):
    with pytest.raises(ConfigError):
        RelationConfig(**(vars(SMALL) | change))
