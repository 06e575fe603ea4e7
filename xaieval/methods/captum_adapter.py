"""Any captum ``Attribution``, class or instance, as a method like all others.

A captum class gets a copy of the classifier's network whose output is the logits; an instance
runs on the network it is bound to, which must be the one that is explained. Each image runs by
itself, with captum's random numbers seeded by sample, method and study seed, so that a map does
not depend on the batch. A second input goes to whatever takes one beside the picture.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import torch
from captum.attr import Attribution
from torch import Tensor, nn

from xaieval.digest import digest
from xaieval.errors import Cancelled, MethodError, NotDefinedError, XaievalError
from xaieval.methods.passes import Passes
from xaieval.methods.spec import MethodSpec, Option, Options
from xaieval.methods.upsampling import upsample

if TYPE_CHECKING:
    from collections.abc import Iterator

# Channel pooling by captum class, where it is not l1-norm (metrics documentation).
_POOLING = {
    "Saliency": "max-norm",
    "LRP": "sum,pos",
    "LayerGradCam": "sum,pos",
    "Occlusion": "sum,pos",
    "FeatureAblation": "sum,pos",
    "ShapleyValues": "sum,pos",
    "ShapleyValueSampling": "sum,pos",
    "Lime": "sum,pos",
    "KernelShap": "sum,pos",
}
# Arguments of attribute() that are not the user's to set here.
_OURS = {"self", "inputs", "target", "return_convergence_delta", "additional_forward_args"}


class _Logits(nn.Module):
    """A network whose output is the logits, for captum classes that want a module.

    Attributes
    ----------
    extra : tuple of Tensor (1, ...)
        The second input of the one picture whose copies run.
    """

    def __init__(self, passes: Passes) -> None:
        super().__init__()
        prepared = passes.classifier.prepared(
            passes.x.device, exact=True, target_layer=passes.target_layer or None
        )
        self.inner = prepared.module.to(passes.x.dtype)
        self._read = prepared.logits
        self.extra: tuple[Tensor, ...] = ()

    def forward(self, x: Tensor) -> Tensor:
        more = tuple(t.expand(len(x), *t.shape[1:]) for t in self.extra)
        return self._read(x, more or None)


def is_captum(item: object) -> TypeGuard[Attribution | type[Attribution]]:
    """Say whether something is a captum method, class or instance."""
    return isinstance(item, Attribution) or (
        isinstance(item, type) and issubclass(item, Attribution)
    )


def captum_spec(method: Attribution | type[Attribution]) -> MethodSpec:
    """Make a method of a captum class or instance; its options are those of ``attribute``.

    Raises
    ------
    MethodError
        When run: the instance is bound to another network, captum refuses, or the result is no
        attribution of the input or of a layer's map.
    """
    name = (method if isinstance(method, type) else type(method)).__name__
    label = f"captum:{name}"

    def run(passes: Passes, options: Options) -> Tensor:
        instance = _instance(method, passes, label)
        given = {k: v for k, v in options.items() if v is not None and k != "pooling"}
        like = next((p for m in _modules(instance.forward_func) for p in m.parameters()), passes.x)
        maps = []
        with _eval(_modules(instance.forward_func)):
            for index, (target, sample) in enumerate(
                zip(passes.targets.tolist(), passes.sample_ids, strict=True)
            ):
                passes.check()
                row = passes.x[index : index + 1]
                seed = int(digest(sample, label, passes.seed)[:15], 16)
                more = tuple(t[index : index + 1] for t in passes.extra)
                found = _attribute(
                    instance,
                    row.to(like).detach().clone().requires_grad_(),
                    target,
                    {**given, **_second(instance.forward_func, more)},
                    seed,
                    label,
                )
                maps.append(found.to(passes.x))
        attribution = torch.cat(maps)
        if attribution.shape[-2:] != passes.x.shape[-2:]:
            attribution = upsample(attribution, passes)
        return attribution

    return MethodSpec(
        id=label,
        label=name,
        summary=f"captum's {name}",
        family="captum",
        fn=run,
        cost=lambda options: 1,
        paper="",
        needs=frozenset({"forward"}),
        options=_options(method),
        default_pooling=_POOLING.get(name, "l1-norm"),
        signed=True,
        stochastic=True,
    )


def _options(method: Attribution | type[Attribution]) -> Mapping[str, Option]:
    names = [
        parameter.name
        for parameter in inspect.signature(method.attribute).parameters.values()
        if parameter.name not in _OURS and parameter.kind is not parameter.VAR_KEYWORD
    ]
    if isinstance(method, Attribution) and hasattr(method, "attribution_method"):
        # NoiseTunnel and its kind hand the rest on to what they wrap.
        names += list(_options(method.attribution_method))
    return {
        name: Option(default=None, help="see captum; captum's default when not given", kind="any")
        for name in names
    }


def _instance(method: Attribution | type[Attribution], passes: Passes, label: str) -> Attribution:
    """Return the bound method: the instance itself, checked, or a new one on a copy."""
    if not isinstance(method, type):
        bound = _modules(method.forward_func)
        ours = {id(p) for p in passes.classifier.module.parameters()}
        theirs = {id(p) for module in bound for p in module.parameters()}
        if bound and not theirs <= ours:
            raise MethodError(
                "the captum instance is bound to another network",
                where=label,
                expected=passes.classifier.name,
                got=", ".join(type(module).__name__ for module in bound),
                fix="bind it to the network that you explain, or pass the class itself",
            )
        return method
    module = _Logits(passes)
    arguments: dict[str, Any] = {}
    if "layer" in inspect.signature(method).parameters:
        if not passes.target_layer:
            raise NotDefinedError(
                "the network has no feature map that feeds the classifier",
                where=label,
                fix="name a layer with target_layer=",
            )
        arguments["layer"] = module.inner.get_submodule(passes.target_layer)
    try:
        return method(module, **arguments)
    except TypeError as error:
        raise MethodError(
            f"captum needs more to make one ({error})",
            where=label,
            fix="make the instance yourself and pass it",
        ) from error


def _second(function: Any, extra: tuple[Tensor, ...]) -> dict[str, Any]:
    """Hand a second input to our own module, or return it for captum to hand on.

    A user's function that takes nothing but pictures has its own.
    """
    if isinstance(function, _Logits):
        function.extra = extra
        return {}
    called = function.forward if isinstance(function, nn.Module) else function
    try:
        inspect.signature(called).bind(None, *extra)
    except TypeError:
        return {}
    return {"additional_forward_args": extra} if extra else {}


def _modules(function: object) -> list[nn.Module]:
    """Return the networks that a forward function is, belongs to, or closes over."""
    if isinstance(function, nn.Module):
        return [function]
    owner = getattr(function, "__self__", None)
    if isinstance(owner, nn.Module):
        return [owner]
    if not inspect.isfunction(function):
        return []
    seen = inspect.getclosurevars(function)
    values = [*seen.nonlocals.values(), *seen.globals.values()]
    return [value for value in values if isinstance(value, nn.Module)]


@contextmanager
def _eval(modules: list[nn.Module]) -> Iterator[None]:
    """Put networks into eval mode, and back."""
    modes = {layer: layer.training for module in modules for layer in module.modules()}
    for module in modules:
        module.eval()
    try:
        yield
    finally:
        for layer, mode in modes.items():
            layer.training = mode


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the global generators that captum draws from (torch's and numpy's), and restore them."""
    state = np.random.get_state()  # noqa: NPY002 - captum's GradientShap uses this generator
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002


def _attribute(
    method: Attribution, row: Tensor, target: int, options: Options, seed: int, label: str
) -> Tensor:
    """Explain one image: (1, C, H, W), or a layer's map (1, K, h, w)."""
    try:
        with _seeded(seed, row.device):
            leaf = row.requires_grad_()
            found = method.attribute(leaf, target=target, **options)
    except (XaievalError, Cancelled):
        raise
    except Exception as error:  # whatever captum or the network raises
        raise MethodError(
            f"captum failed: {type(error).__name__}: {error}",
            where=label,
            fix="where the network has several outputs, bind captum to one that returns logits",
        ) from error
    if isinstance(found, tuple) and len(found) == 1:
        found = found[0]
    if not isinstance(found, Tensor) or found.ndim != 4 or len(found) != 1:
        got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise MethodError("no heatmap came out", where=label, expected="(1, C, H, W)", got=got)
    return found.detach()
