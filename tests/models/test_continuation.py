"""Running only what follows the target layer."""

import pytest
import torch
from token_nets import WAYS, TokenNet
from torch import nn
from torch.nn import functional as F

from xaieval.errors import ModelError
from xaieval.models import Classifier, Continuation, PlainClassifier, calibrate_batchnorm
from xaieval.models.stubs import changed as with_changed

SIZE = (16, 24)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def prepared(net, layer="auto", size=SIZE, **options):
    example = torch.randn(2, 3, *size)
    return Classifier(net, example=example, target_layer=layer, **options).prepared()


class Counted(nn.Module):
    """Counts how often it runs, and on how many rows."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.rows = inner, []

    def forward(self, x):
        self.rows.append(len(x))
        return self.inner(x)


def naive(model, layer, activation, x, *extra):
    """Run everything with a layer's output replaced."""
    handle = model.module.get_submodule(layer).register_forward_hook(lambda *_: activation)
    try:
        with torch.no_grad():
            return model.logits(x, extra or None)
    finally:
        handle.remove()


def check(model, images=3, extra=(), size=SIZE):
    """Compare with the naive way on changed activations; return the continuation."""
    x = torch.randn(images, 3, *size)
    state = {name: set(vars(m)) for name, m in model.module.named_modules()}
    continuation = Continuation(model, x, extra or None)
    image = torch.randint(images, (5,))
    changed = continuation.activation[image] * torch.rand(5, *continuation.activation.shape[1:])
    before = changed.clone()
    with torch.no_grad():
        found = continuation.logits(changed, image)
    assert torch.equal(changed, before)
    expected = naive(model, model.target_layer, changed, x[image], *(t[image] for t in extra))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(found, continuation.expected[image])
    assert state == {name: set(vars(m)) for name, m in model.module.named_modules()}
    return continuation


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = Counted(nn.Conv2d(3, 4, 3, padding=1))
        self.second = Counted(nn.Conv2d(4, 4, 3, padding=1))
        self.last = Counted(nn.Linear(4, 5))

    def forward(self, x):
        return self.last(self.second(F.relu(self.first(x) * 2)).relu().mean((2, 3)))


def test_only_what_follows_runs():
    model = prepared(Plain(), "second")
    continuation = check(model)
    assert continuation.bypassing == () == continuation.notes
    for part in ("first", "second"):
        model.module.get_submodule(part).rows.clear()
    model.module.last.rows.clear()
    continuation.logits(torch.randn(7, 4, *SIZE), torch.zeros(7, dtype=torch.int64))
    assert (model.module.first.rows, model.module.second.rows) == ([], [])
    assert model.module.last.rows == [7]


@pytest.mark.parametrize("images", [1, 2, 4])
@pytest.mark.parametrize("arch", ["small-cnn", "mobilenet-v2", "efficientnet-b0", "resnet18"])
def test_networks_with_pooled_heads_keep_nothing(arch, images):
    net = PlainClassifier(arch, 4)
    calibrate_batchnorm(net, torch.randn(4, 3, 64, 64))
    continuation = check(prepared(net, size=(64, 64)), images, size=(64, 64))
    assert continuation.bypassing == () == continuation.notes


class Skips(nn.Module):
    """Skips around the target layer, functional and in place; a reused activation."""

    def __init__(self, inplace):
        super().__init__()
        self.stem, self.conv1, self.conv2 = (nn.Conv2d(c, 4, 3, padding=1) for c in (3, 4, 4))
        self.relu, self.down = nn.ReLU(inplace=True), nn.Conv2d(3, 4, 1)
        self.head, self.inplace = nn.Linear(4, 5), inplace

    def forward(self, x):
        y = self.relu(self.stem(x))
        z = self.conv2(self.relu(self.conv1(y)))
        if self.inplace:
            z += y
            z = F.relu(z, inplace=True)
        else:
            z = self.relu(z + y)
        return self.head(self.relu(z + self.down(x)).mean((2, 3)))


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("layer", ["conv2", "conv1", "stem"])
@pytest.mark.parametrize("inplace", [True, False])
def test_skips_are_kept(inplace, layer, images):
    continuation = check(prepared(Skips(inplace), layer), images)
    wanted = {"conv2": ("input", "relu"), "conv1": ("input", "relu"), "stem": ("input",)}
    assert continuation.bypassing == wanted[layer]
    assert continuation.notes == ()


class ChangedBefore(nn.Module):
    """What a module puts out before the target layer is changed in place afterwards."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        y = self.conv1(x)
        y += 1.0
        z = self.conv2(y)
        return self.head((z + y).mean((2, 3)))


def test_outputs_changed_in_place_are_kept_as_they_were():
    continuation = check(prepared(ChangedBefore(), "conv2"))
    assert continuation.notes == ()
    assert continuation.bypassing == ("conv1",)


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("way", WAYS)
def test_tokens(way, images):
    net = TokenNet(way, prefix=2)
    continuation = check(prepared(net), images)
    assert continuation.notes == ()
    assert len(continuation.bypassing) == 1  # the residual stream beside the last norm


class WithQuestion(nn.Module):
    """A recurrent question encoder, before the target layer or after it."""

    def __init__(self, first):
        super().__init__()
        self.words, self.lstm = nn.Embedding(6, 4), nn.LSTM(4, 4)
        self.conv, self.head, self.first = nn.Conv2d(3, 4, 3), nn.Linear(8, 5), first

    def question(self, words):
        return self.lstm(self.words(words).transpose(0, 1))[1][0][0]

    def forward(self, x, words):
        question = self.question(words) if self.first else None
        maps = self.conv(x).relu().mean((2, 3))
        return self.head(torch.cat([maps, question if self.first else self.question(words)], 1))


@pytest.mark.parametrize("images", [1, 2, 3])
@pytest.mark.parametrize("first", [True, False])
def test_a_second_input_follows_its_picture(first, images):
    words = torch.randint(6, (2, 3))
    model = prepared(WithQuestion(first), "conv", example_extra=words)
    continuation = check(model, images, extra=(torch.randint(6, (images, 3)),))
    assert continuation.notes == ()
    assert continuation.bypassing == (("words", "lstm") if first else ())[1:]


def test_gradients_start_at_the_activation():
    model = prepared(Plain(), "second")
    x = torch.randn(2, 3, *SIZE)
    logits, output = model.logits_and_layer(x)
    expected = torch.autograd.grad(logits[:, 1].sum(), output)[0]
    continuation = Continuation(model, x)
    given = continuation.activation.requires_grad_()
    found = continuation.logits(given, torch.arange(2))[:, 1].sum()
    torch.testing.assert_close(torch.autograd.grad(found, given)[0], expected)


class Stubborn(nn.Module):
    """Reads rows of a module's output in a way that cannot be repeated row by row."""

    def __init__(self):
        super().__init__()
        self.odd, self.conv, self.head = Odd(), nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

    def forward(self, x):
        hidden = self.odd(x)
        return self.head(self.conv(x).relu().mean((2, 3)) + hidden.values(x))


class Odd(nn.Module):
    def forward(self, x):
        means = x.mean((1, 2, 3))
        return Hidden(means)


class Hidden:
    """An output whose tensors cannot be seen from outside."""

    def __init__(self, means):
        self.means = means

    def values(self, x):
        if len(self.means) != len(x):
            raise ValueError("rows do not fit")
        return self.means[:, None]


def test_where_it_cannot_be_done_everything_runs_and_is_said():
    continuation = check(prepared(Stubborn(), "conv"))
    assert continuation.notes == (
        "the whole network runs for each change of the target layer (rows do not fit)",
    )


def test_nothing_stays_behind_after_an_exception():
    model = prepared(Plain(), "second")
    x = torch.randn(2, 3, *SIZE)
    continuation = Continuation(model, x)
    expected = model.logits(x)
    with pytest.raises(ModelError, match="do not fit the target layer"):
        continuation.logits(torch.zeros(2, 9, *SIZE), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(RuntimeError):
        continuation.logits(continuation.activation.double(), torch.arange(2))
    with continuation as same:
        assert same is continuation
    assert not any("forward" in vars(m) for m in model.module.modules())
    assert torch.equal(model.logits(x), expected)


def test_layers_that_cannot_be_read():
    class Twice(Plain):
        def forward(self, x):
            return self.last(self.second(self.second(self.first(x))).mean((2, 3)))

    with pytest.raises(ModelError, match="one run that puts out one tensor, got 2 runs"):
        Continuation(prepared(Twice(), "second"), torch.randn(1, 3, *SIZE))
    model = prepared(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), size=(2, 2))
    with pytest.raises(ModelError, match="no target layer"):
        Continuation(model, torch.randn(1, 3, 2, 2))


def test_nested_outputs():
    outer = {"a": (torch.zeros(2), [torch.ones(2)]), "b": "text"}
    found = with_changed(outer, lambda tensor, _: tensor + 1)
    assert found["a"][0].tolist() == [1, 1]
    assert found["a"][1][0].tolist() == [2, 2]
    assert found["b"] == "text"
    assert outer["a"][0].tolist() == [0, 0]
