"""Pair mode: which pixels make two pictures alike? One logit, the cosine of two embeddings."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from xaieval.errors import ModelError
from xaieval.models.classifier import Classifier, as_classifier
from xaieval.models.layers import named_layer
from xaieval.models.logits import LogitsFunction

_ROWS = 16
# Below this product of lengths a cosine counts as 0, as in torch's cosine_similarity.
_LEAST = 1e-8


class _Tap(nn.Module):
    """Stands where a layer stood, and keeps what went into it."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.seen: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.seen = x
        found: Tensor = self.layer(x)
        return found


class PairNet(nn.Module):
    """A network that compares a picture with an embedding; made by ``pair_classifier``.

    ``forward(x, reference)`` returns (B, 1): the cosine, in [−1, 1], of the embedding of x and
    ``reference`` (B, D). ``embed(x)`` returns the embedding (B, D).
    """

    def __init__(
        self, network: nn.Module, head: LogitsFunction, layer: str, *, pooled: bool = False
    ) -> None:
        super().__init__()
        self.pooled = pooled
        # The weights are shared, not copied: the network is only looked at.
        kept = [*network.parameters(), *network.buffers()]
        self.network: nn.Module = copy.deepcopy(network, {id(t): t for t in kept})
        self.layer = layer
        self._head = head
        parent, _, child = layer.rpartition(".")
        tap = _Tap(self.network.get_submodule(layer))
        setattr(self.network.get_submodule(parent), child, tap)

    def extra_repr(self) -> str:
        """Name the layer whose input is the embedding."""
        return f"layer={self.layer!r}, pooled={self.pooled}"

    def embed(self, x: Tensor) -> Tensor:
        """Return the embedding (B, D): what goes into the layer; ``pooled``: its mean over h, w."""
        found = self.inputs(x)
        return found.mean((2, 3)) if self.pooled else found

    def inputs(self, x: Tensor) -> Tensor:
        """Return what goes into the layer."""
        tap = self.network.get_submodule(self.layer)
        assert isinstance(tap, _Tap)
        self._head(self.network, x)
        found, tap.seen = tap.seen, None
        if found is None:
            raise ModelError("the layer of the embedding did not run", where=self.layer)
        return found

    def forward(self, x: Tensor, reference: Tensor) -> Tensor:
        own = self.embed(x)
        lengths = ((own * own).sum(1) * (reference * reference).sum(1)).sqrt()
        cosine = (own * reference).sum(1) / lengths.clamp_min(_LEAST)
        return cosine[:, None]


def pair_classifier(classifier: Classifier | nn.Module, *, layer: str = "auto") -> Classifier:
    """Return a classifier whose one logit says how alike a picture is to another one.

    The logit is the cosine of the picture's embedding and of the partner's, which is the second
    input: ``explain(pairs, a, methods=…, targets=[0], extra=embeddings(pairs, b))`` shows which
    pixels of a make it like b. The embedding is what goes into the last linear layer: the pooled
    features of a network with one, its hidden layer where there are several. Methods without
    gradients work as they are; what a method cannot follow it says.

    Parameters
    ----------
    classifier : Classifier or torch.nn.Module
        With one input; it is not changed, and the weights are shared with it.
    layer : str
        Dotted name of a layer whose input (B, D), or (B, D, h, w) then averaged, is the embedding;
        ``"auto"``: the last linear layer that runs.

    Returns
    -------
    Classifier
        Of one class, "alike". Falsification measures its distance between embeddings.

    Raises
    ------
    ModelError
        When the network has a second input already, no linear layer, or a layer whose input is no
        embedding.

    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    >>> pairs = pair_classifier(Classifier(net, example=torch.zeros(2, 3, 8, 8)))
    >>> x = torch.rand(2, 3, 8, 8)
    >>> embeddings(pairs, x).shape, pairs.logits(x, embeddings(pairs, x)).shape
    (torch.Size([2, 144]), torch.Size([2, 1]))
    """
    classifier = as_classifier(classifier)
    if classifier.takes_extra:
        raise ModelError(
            "the network has a second input already",
            where=classifier.name,
            expected="a network of pictures alone",
        )
    name = last_linear(classifier) if layer == "auto" else layer
    name = named_layer(classifier.module, name, name=classifier.name)
    example = classifier._looks[0]
    net = PairNet(classifier.module, classifier._head, name).eval()
    with torch.no_grad():
        net.pooled = net.inputs(example).ndim == 4
        found = net.embed(example)
    if found.ndim != 2 or len(found) != len(example) or found.shape[1] < 2:
        raise ModelError(
            f"what goes into {name!r} is no embedding",
            where=classifier.name,
            expected=f"({len(example)}, D) or ({len(example)}, D, h, w)",
            got=tuple(found.shape),
            fix="name another layer with layer=",
        )
    generator = torch.Generator().manual_seed(0)
    other = torch.rand(found.shape, generator=generator).to(found)
    return Classifier(
        net,
        preprocessing=classifier.preprocessing,
        class_names=("alike",),
        target_layer=f"network.{classifier.layer_if_any}" if classifier.layer_if_any else "auto",
        name=f"{classifier.name} (pairs)",
        example=example,
        example_extra=other,
        token_grid=classifier.token_grid,
    )


def last_linear(classifier: Classifier) -> str:
    """Return the dotted name of the linear layer that runs last.

    Raises
    ------
    ModelError
        When there is none.
    """
    ran: list[str] = []
    module = classifier._exact_copy
    handles = [
        layer.register_forward_hook(lambda *_, name=name: ran.append(name))
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Linear)
    ]
    try:
        with torch.no_grad():
            classifier._head(module, classifier._looks[0])
    finally:
        for handle in handles:
            handle.remove()
    if not ran:
        raise ModelError(
            "no linear layer runs in this network",
            where=classifier.name,
            fix="name the layer whose input is the embedding with layer=",
        )
    return ran[-1]


@torch.no_grad()
def embeddings(classifier: Classifier | nn.Module, x: Tensor) -> Tensor:
    """Return the embeddings (B, D) of model input (B, C, H, W), as the pair mode compares them.

    Parameters
    ----------
    classifier : Classifier
        What ``pair_classifier`` returned; of another one, the pair classifier is made first.
    """
    known = isinstance(classifier, Classifier) and isinstance(classifier.module, PairNet)
    pairs = classifier if known else pair_classifier(classifier)
    assert isinstance(pairs, Classifier)
    net = pairs._exact_copy
    assert isinstance(net, PairNet)
    return torch.cat([net.embed(rows) for rows in torch.split(x.to(pairs._home), _ROWS)])
