"""The wrapper that makes any network explainable, in one form, without touching it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit
from torch import Tensor, nn

from xaieval.digest import digest
from xaieval.errors import ModelError
from xaieval.models.extra import Extra, as_extra, fitting_extra, two_inputs, unmet_inputs
from xaieval.models.layers import find_target_layer, named_layer
from xaieval.models.logits import LogitsFunction, LogitsRule, logits_function
from xaieval.models.prepared import PreparedModel, frozen_copy
from xaieval.models.preprocessing import Preprocessing
from xaieval.models.tokens import TokenGrid, find_token_grid
from xaieval.types import Task

_GUESSED_SIZE = (224, 224)


class Classifier:
    """A network with its preprocessing, class names, logits head and target layer.

    The network is never changed: everything runs on copies in eval mode, taken when first needed.

    Parameters
    ----------
    module : torch.nn.Module
        Takes (B, channels, H, W); returns logits (B, C), or a tuple, list or mapping that holds
        them. Probabilities are welcome but never assumed.
    preprocessing : Preprocessing, optional
        Needed only for pictures; model input is taken as it is.
    class_names : sequence of str, optional
    target_layer : str or torch.nn.Module
        Dotted name, or ``"auto"``: the last feature map that feeds the logits.
    logits : "auto", str, int or callable
        ``"auto"`` finds the logits in the output (``find_logits``); a key or dotted path such as
        ``"heads.0"`` names them; a function takes the output and returns them.
    name : str, optional
        For messages; the class name of the module by default.
    example : float tensor (B, channels, H, W), optional
        What to look at the network with, when neither preprocessing nor 224² fits it.
    example_extra : tensor (B, ...) or tuple of tensors (B, ...), optional
        For a network with a second input, called as ``module(x, *extra)``: what to look at it
        with. Values must be possible ones (word numbers of the vocabulary).
    token_grid : TokenGrid, optional
        Where the tokens of a transformer lie; found from its patch convolution when not given.
    task : "single" or "multilabel"
        Whether the classes exclude each other, so that their probabilities are a softmax, or a
        picture may have any number of them: a sigmoid each.

    Raises
    ------
    ModelError
        When there are no logits or several candidates, a named layer does not exist, a second
        input is missing, or the task is another one.

    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    >>> classifier = Classifier(net, example=torch.zeros(2, 3, 8, 8))
    >>> classifier.n_classes, classifier.target_layer
    (2, '1')
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        preprocessing: Preprocessing | None = None,
        class_names: Sequence[str] | None = None,
        target_layer: str | nn.Module = "auto",
        logits: LogitsRule = "auto",
        name: str | None = None,
        example: Tensor | None = None,
        example_extra: Extra | None = None,
        token_grid: TokenGrid | None = None,
        task: Task = "single",
    ) -> None:
        if not isinstance(module, nn.Module):
            raise ModelError("not a network", expected="a torch.nn.Module", got=type(module))
        if task not in ("single", "multilabel"):
            raise ModelError("unknown task", expected="single or multilabel", got=repr(task))
        # torch.compile's wrapper hides which functions run; the network behind it is explained.
        self.module: nn.Module = getattr(module, "_orig_mod", module)
        self.preprocessing, self.task = preprocessing, task
        self.name = name or type(self.module).__name__
        self._given_names = tuple(class_names) if class_names is not None else None
        self._rule: LogitsRule = logits
        self._example = example
        self._example_extra = as_extra(example_extra, name=self.name)
        self._grid = token_grid
        self._layer = (
            None
            if target_layer == "auto"
            else named_layer(self.module, target_layer, name=self.name)
        )

    @property
    def _home(self) -> torch.device:
        tensor = next(self.module.parameters(), None)
        return torch.device("cpu") if tensor is None else tensor.device

    @cached_property
    def _looks(self) -> tuple[Tensor, tuple[Tensor, ...]]:
        """What the network is looked at with: two rows of noise, and the second input."""
        first = next(self.module.parameters(), None)
        if self._example is not None:
            example = self._example.detach()
        else:
            size = self.preprocessing.input_size if self.preprocessing else _GUESSED_SIZE
            convs = (m for m in self.module.modules() if isinstance(m, nn.Conv2d))
            conv = next(convs, None)
            channels = conv.in_channels if conv is not None else 3
            generator = torch.Generator().manual_seed(0)
            rows = max([2, *(len(t) for t in self._example_extra)])
            example = torch.randn((rows, channels, *size), generator=generator)
        example, extra = two_inputs(example, self._example_extra, name=self.name)
        example = example.to(self._home, first.dtype if first is not None else example.dtype)
        return example, fitting_extra(extra or None, example=extra, x=example, name=self.name)

    @cached_property
    def _exact_copy(self) -> nn.Module:
        return frozen_copy(self.module, self._home, name=self.name)

    @cached_property
    def _head(self) -> LogitsFunction:
        """The function (module, x, *extra) -> logits; running it proves that the example fits."""
        look, extra = self._looks
        try:
            head = logits_function(
                self._exact_copy,
                rule=self._rule,
                example=look,
                extra=extra,
                n_classes=len(self._given_names) if self._given_names else None,
                name=self.name,
            )
            with torch.no_grad():
                found = head(self._exact_copy, look, *extra)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            needed = unmet_inputs(self.module)
            if not extra and needed:
                raise ModelError(
                    f"the network needs a second input ({', '.join(needed)})",
                    where=self.name,
                    fix="give example_extra= with a tensor (or a tuple of them) of one row",
                ) from error
            raise ModelError(
                f"the network does not run on input {_shapes(look, extra)} "
                f"({str(error).splitlines()[0]})",
                where=self.name,
                fix=(
                    "give preprocessing= with its input size, or example= with an input"
                    if self._example is None
                    else "give an example, or images, of the channels and size that it takes"
                )
                + (", or another example_extra=" if extra else ""),
            ) from error
        if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != len(look):
            got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ModelError(
                "the logits do not fit the input",
                where=self.name,
                expected=f"a tensor ({len(look)}, number of classes)",
                got=got,
                fix="name the right output with logits=",
            )
        self._columns = found.shape[1]
        if self._given_names is not None and len(self._given_names) != self._columns:
            raise ModelError(
                "class names do not fit the network",
                where=self.name,
                expected=f"{self._columns} names",
                got=f"{len(self._given_names)}",
            )
        return head

    @property
    def n_classes(self) -> int:
        """Columns of the logits."""
        _ = self._head
        return self._columns

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """The given names, or "class 0", "class 1", ..."""
        if self._given_names is not None:
            _ = self._head  # checks that they fit
            return self._given_names
        return tuple(f"class {i}" for i in range(self.n_classes))

    @cached_property
    def target_layer(self) -> str:
        """Dotted name of the layer that layer methods read."""
        if self._layer is not None:
            return self._layer
        look, extra = self._looks
        return find_target_layer(self._exact_copy, self._head, look, extra=extra, name=self.name)

    @cached_property
    def layer_if_any(self) -> str:
        """The target layer; empty for a network without one, which only methods of layers need."""
        try:
            return self.target_layer
        except ModelError:
            _ = self._head  # that the network runs at all is no matter of layers
            return ""

    @cached_property
    def token_grid(self) -> TokenGrid | None:
        """Where the tokens of a transformer lie, as given or found; None without tokens."""
        if self._grid is not None:
            return self._grid
        look, extra = self._looks
        return find_token_grid(self._exact_copy, self._head, look, extra=extra, name=self.name)

    @cached_property
    def fingerprint(self) -> str:
        """Sha256 of weights, architecture, configuration, preprocessing, logits rule."""
        weights = hashlib.sha256()
        for key, tensor in sorted(self.module.state_dict().items()):
            if not isinstance(tensor, Tensor):
                continue
            weights.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            weights.update(data.numpy().tobytes())
        kind = type(self.module)
        rule = self._rule if isinstance(self._rule, (str, int)) else repr(self._rule)
        return digest(
            weights.hexdigest(),
            f"{kind.__module__}.{kind.__qualname__}",
            _without_addresses(repr(self.module)),
            _without_addresses(repr(getattr(self.module, "config", None))),
            self.preprocessing,
            _without_addresses(str(rule)),
            *([] if self._grid is None else [self._grid]),
            *([] if self.task == "single" else [self.task]),
        )

    @property
    def takes_extra(self) -> bool:
        """Whether the network has a second input, as ``example_extra`` says."""
        return bool(self._example_extra)

    def with_module(self, module: nn.Module) -> Classifier:
        """Return the same wrapper around another network of the same structure."""
        return Classifier(
            module,
            preprocessing=self.preprocessing,
            class_names=self._given_names,
            # Where there is none the other network says so when it matters.
            target_layer=self.layer_if_any or "auto",
            logits=self._rule,
            name=self.name,
            example=self._example,
            example_extra=self._example_extra or None,
            token_grid=self._grid,
            task=self.task,
        )

    def probabilities(self, logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return probabilities float64 (..., C) of logits (..., C).

        A softmax over classes that exclude each other; else, and of a single logit, a sigmoid each.
        """
        values = np.asarray(logits, np.float64)
        if self.task == "multilabel" or values.shape[-1] == 1:
            return np.asarray(expit(values))
        shifted = np.exp(values - values.max(-1, keepdims=True))
        return np.asarray(shifted / shifted.sum(-1, keepdims=True))

    @torch.no_grad()
    def logits(self, x: Tensor, extra: Extra | None = None) -> Tensor:
        """Return the logits (B, C) of model input, without gradients, exactly as trained.

        ``extra`` is the second input of a network that has one.
        """
        head, x = self._head, x.to(self._home)
        more = fitting_extra(extra, example=self._looks[1], x=x, name=self.name)
        return head(self._exact_copy, x, *more)

    def prepared(
        self,
        device: str | torch.device = "cpu",
        *,
        exact: bool = False,
        folded: bool | None = None,
        target_layer: str | nn.Module | None = None,
    ) -> PreparedModel:
        """Return a new frozen copy on ``device``, for explanations.

        Unless ``exact``, batch norms are folded into their convolutions (never into one that is
        the target layer) and memory is channels_last; ``folded`` decides about folding by itself.
        ``target_layer`` overrides this one's. A
        network without feature maps is prepared without a target layer; only the methods that
        need one then fail.
        """
        if target_layer is not None and target_layer != "auto":
            layer = named_layer(self.module, target_layer, name=self.name)
        else:
            layer = self.layer_if_any
        look, extra = self._looks
        return PreparedModel(
            self.module,
            self._head,
            device=torch.device(device),
            exact=exact,
            target_layer=layer,
            example=look,
            example_extra=extra,
            token_grid=self._grid,
            folded=folded,
            name=self.name,
        )


def _shapes(look: Tensor, extra: tuple[Tensor, ...]) -> str:
    return " and ".join(str(tuple(t.shape)) for t in (look, *extra))


def _without_addresses(text: str) -> str:
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)


def as_classifier(model: Classifier | nn.Module) -> Classifier:
    """Return a classifier as it is, and any other network wrapped with every rule on "auto"."""
    return model if isinstance(model, Classifier) else Classifier(model)
