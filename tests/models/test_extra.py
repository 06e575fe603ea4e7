"""Networks with a second input: called, prepared, looked at, and refused when it does not fit."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from xaieval.errors import ModelError
from xaieval.models import Classifier, Preprocessing
from xaieval.models.extra import as_extra, fitting_extra, two_inputs

SIZE = (16, 16)
SMALL = Preprocessing(SIZE)
QUESTION = torch.tensor([[1, 2, 3, 0, 0]])


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


class Asked(nn.Module):
    """Picture and question: words gate the channels of a folded convolution."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.words = nn.Embedding(10, 4)
        self.fc = nn.Linear(4, 6)

    def forward(self, x, question):
        gate = torch.sigmoid(self.words(question).mean(1))
        return {"answer": self.fc(self.body(x).mean((2, 3)) * gate), "gate": gate[None]}


class Weighed(Asked):
    """A third input: a weight for each picture."""

    def forward(self, x, question, weight):
        return super().forward(x, question)["answer"] * weight


class Classified(Asked):
    def classify(self, x, question):
        return super().forward(x, question)["answer"]

    def forward(self, x, question):
        raise AssertionError("classify is preferred")


def _trained(net):
    with torch.no_grad():
        net.train()
        for _ in range(3):
            net.body(torch.randn(8, 3, *SIZE) * 2 + 1)
    return net.eval()


def _batch(rows=5):
    return torch.randn(rows, 3, *SIZE), torch.randint(0, 10, (rows, 7))


@pytest.mark.parametrize("rule", ["auto", "answer", lambda output: output["answer"]])
def test_every_rule_passes_the_second_input_on(rule):
    net = _trained(Asked())
    classifier = Classifier(net, preprocessing=SMALL, logits=rule, example_extra=QUESTION)
    x, question = _batch()
    with torch.no_grad():
        expected = net(x, question)["answer"]
    assert classifier.takes_extra
    assert classifier.n_classes == 6
    assert torch.equal(classifier.logits(x, question), expected)
    assert not torch.equal(classifier.logits(x, question.flip(0)), expected)


def test_classify_gets_it_too():
    net = _trained(Classified())
    classifier = Classifier(net, preprocessing=SMALL, example_extra=QUESTION)
    x, question = _batch()
    torch.testing.assert_close(classifier.logits(x, question), net.classify(x, question))


def test_folding_target_layer_and_gradients():
    net = _trained(Asked())
    classifier = Classifier(net, preprocessing=SMALL, example_extra=QUESTION, logits="answer")
    assert classifier.target_layer == "body"
    fast, exact = classifier.prepared(), classifier.prepared(exact=True)
    assert fast.notes == ()
    assert isinstance(fast.module.body[1], nn.Identity)
    assert fast.takes_extra
    x, question = _batch()
    x.requires_grad_()
    for prepared in (fast, exact):
        logits, layer = prepared.logits_and_layer(x, question)
        torch.testing.assert_close(logits, classifier.logits(x, question), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(layer, net.body(x), rtol=1e-4, atol=1e-5)
        found = torch.autograd.grad(logits[:, 2].sum(), layer)[0]
        # d logit / d map by hand: weight times gate, spread over the 14 x 14 cells.
        gate = torch.sigmoid(net.words(question).mean(1))
        expected = (net.fc.weight[2] * gate / 14**2)[:, :, None, None].expand_as(layer)
        torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-7)


def test_a_tuple_of_several():
    net = _trained(Weighed())
    example = (QUESTION, torch.ones(1, 1))
    classifier = Classifier(net, preprocessing=SMALL, example_extra=example)
    x, question = _batch(3)
    weight = torch.tensor([[1.0], [0.0], [-2.0]])
    logits = classifier.prepared(exact=True).logits(x, (question, weight))
    once = classifier.logits(x, (question, torch.ones(3, 1)))
    torch.testing.assert_close(logits, once * weight)
    # Floating tensors follow x to its type.
    wide = classifier.prepared(exact=True)
    wide.module.double()
    assert wide.logits(x.double(), (question, weight)).dtype == torch.float64


def test_rows_of_the_examples_are_brought_together():
    classifier = Classifier(
        Asked(), logits="answer", example=torch.randn(4, 3, *SIZE), example_extra=QUESTION
    )
    assert classifier.n_classes == 6
    three = QUESTION.expand(3, 5)
    assert Classifier(Asked(), preprocessing=SMALL, example_extra=three).n_classes == 6
    with pytest.raises(ModelError, match=r"do not belong together.*float32 \(4, 3, 16, 16\)"):
        _ = Classifier(Asked(), example=torch.zeros(4, 3, *SIZE), example_extra=three).n_classes


def test_the_fingerprint_does_not_depend_on_the_example():
    net = Asked()
    one = Classifier(net, preprocessing=SMALL, example_extra=QUESTION)
    two = Classifier(net, preprocessing=SMALL, example_extra=QUESTION + 1)
    assert one.fingerprint == two.fingerprint


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (None, r"Asked: the network needs a second input; expected int64 \(B, 5\) with B = 5"),
        (torch.zeros(4, 7).long(), r"does not fit; expected int64 \(B, 5\) with B = 5, got int64 "),
        (torch.zeros(5).long(), r"does not fit; .*got int64 \(5,\)"),
        ((torch.zeros(5, 7).long(),) * 2, r"got int64 \(5, 7\) and int64 \(5, 7\)"),
        ((), r"does not fit; .*got none"),
        ([[1, 2]], r"does not fit; .*got list"),
    ],
)
def test_what_does_not_fit_is_refused(exact, extra, message):
    classifier = Classifier(Asked(), preprocessing=SMALL, example_extra=QUESTION, logits="answer")
    x = torch.zeros(5, 3, *SIZE)
    prepared = classifier.prepared(exact=exact)
    for call in (classifier.logits, prepared.logits, prepared.logits_and_layer):
        with pytest.raises(ModelError, match=message):
            call(x, extra)


def test_what_is_not_wanted_is_refused():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    classifier = Classifier(net, preprocessing=SMALL)
    assert not classifier.takes_extra
    x = torch.zeros(1, 3, *SIZE)
    for call in (classifier.logits, classifier.prepared().logits):
        assert call(x).shape == call(x, None).shape == (1, 4)
        with pytest.raises(ModelError, match=r"takes no second input; .*got int64 \(1, 5\)"):
            call(x, QUESTION)


def test_a_network_that_needs_one_says_so():
    with pytest.raises(ModelError, match=r"needs a second input \(question\).*example_extra="):
        _ = Classifier(Asked(), preprocessing=SMALL).n_classes
    with pytest.raises(ModelError, match=r"needs a second input \(question, weight\)"):
        _ = Classifier(Weighed(), preprocessing=SMALL).target_layer


def test_examples_that_cannot_be():
    with pytest.raises(ModelError, match=r"expected a tensor \(B, …\).*got list"):
        Classifier(Asked(), example_extra=([1, 2],))
    with pytest.raises(ModelError, match=r"not a second input.*got int64 \(\)"):
        Classifier(Asked(), example_extra=torch.tensor(3))
    unknown_word = Classifier(Asked(), preprocessing=SMALL, example_extra=QUESTION + 50)
    with pytest.raises(ModelError, match=r"\(2, 3, 16, 16\) and \(2, 5\).*example_extra="):
        _ = unknown_word.n_classes


def test_functional_use_leaves_the_network_alone():
    net = _trained(Asked()).train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    prepared = Classifier(net, preprocessing=SMALL, example_extra=QUESTION).prepared()
    x, question = _batch()
    F.mse_loss(prepared.logits(x.requires_grad_(), question), torch.zeros(5, 6)).backward()
    assert net.training
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())


@given(st.integers(1, 4), st.lists(st.integers(1, 4), max_size=3))
@settings(max_examples=50, deadline=None)
def test_rows_agree_or_are_refused(rows, others):
    x, extra = torch.zeros(rows, 3), tuple(torch.zeros(n, 2) for n in others)
    wanted = {n for n in (rows, *others) if n > 1}
    if len(wanted) > 1:
        with pytest.raises(ModelError):
            two_inputs(x, extra)
        return
    first, rest = two_inputs(x, extra)
    assert {len(t) for t in (first, *rest)} == (wanted or {2})
    fitting = fitting_extra(rest or None, example=as_extra(extra or None), x=first)
    assert [tuple(t.shape) for t in fitting] == [(len(first), 2)] * len(extra)
