"""Weights from files, pretrained encoders, and batch norms that survive training."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from xaieval.digest import digest_file
from xaieval.errors import ConfigError, ModelError
from xaieval.models.multitask import MultitaskNet
from xaieval.models.options import TrainOptions

# Under these keys training scripts keep the state dict inside a larger checkpoint.
_WRAPPERS = ("state_dict", "model_state_dict", "model")


def load_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a weights file by name, on the CPU, without running code from it.

    ``.safetensors`` holds nothing but tensors; ``.pt`` and ``.pth`` are read with
    ``torch.load(weights_only=True)``. A state dict inside ``state_dict`` or ``model`` is taken
    out, and the prefix ``module.`` of data-parallel training removed.

    Raises
    ------
    ModelError
        When the file is missing or damaged, of another kind, or holds Python objects.
    """
    if not path.is_file():
        raise ModelError("no such weights file", where=path, fix="check the path")
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise ModelError(
                f"damaged safetensors file ({error})", where=path, fix="fetch or train it again"
            ) from error
    if suffix not in (".pt", ".pth"):
        raise ModelError(
            f"weights are not read from {suffix or 'files without extension'}",
            where=path,
            expected=".safetensors, .pt or .pth",
            fix="save the state dict with safetensors.torch.save_file",
        )
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ModelError(
            "refused: the file is damaged or holds Python objects, and loading those could run "
            "code",
            where=path,
            expected="a state dict of tensors",
            fix="save model.state_dict() with safetensors.torch.save_file",
        ) from error
    for key in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    tensors = (
        {str(k): v for k, v in loaded.items() if isinstance(v, Tensor)}
        if isinstance(loaded, Mapping)
        else {}
    )
    if not tensors:
        raise ModelError("no tensors in this file", where=path, expected="a state dict of tensors")
    if all(key.startswith("module.") for key in tensors):
        tensors = {key.removeprefix("module."): value for key, value in tensors.items()}
    return tensors


def weights_sha(path: Path) -> str:
    """Return the sha256 of a weights file, or raise a ModelError when there is none."""
    if not path.is_file():
        raise ModelError("no such weights file", where=path, fix="check the path")
    return digest_file(path)


def load_into(net: nn.Module, tensors: Mapping[str, Tensor], *, where: Path, what: str) -> None:
    """Copy tensors into a network whose names and shapes must be exactly these.

    Raises
    ------
    ModelError
        When a name is missing or unknown or a shape differs; says which.
    """
    own = net.state_dict()
    missing = [k for k in own if k not in tensors and not k.endswith("num_batches_tracked")]
    extra = [k for k in tensors if k not in own]
    shapes = [
        f"{k} {tuple(tensors[k].shape)} instead of {tuple(own[k].shape)}"
        for k in own
        if k in tensors and tensors[k].shape != own[k].shape
    ]
    found = [
        f"{len(keys)} {text}: {', '.join(keys[:3])}{', …' if len(keys) > 3 else ''}"
        for text, keys in (("missing", missing), ("unknown", extra), ("of other shape", shapes))
        if keys
    ]
    if found:
        raise ModelError(
            f"the weights are not those of {what} ({'; '.join(found)})",
            where=where,
            fix="use weights of the same architecture and number of classes",
        )
    net.load_state_dict({**own, **tensors})


def load_encoder_weights(encoder: nn.Module, path: Path, *, arch: str) -> None:
    """Load pretrained weights into an encoder, in place.

    Takes the tensors that are named as the encoder's own (torchvision), or so with ``encoder.``
    before (our own checkpoints). A classifier, head or decoder in the file is left aside on
    purpose; any other name is an error. Half precision is widened.
    """
    names = encoder.state_dict().keys()
    parts = {name.split(".")[0] for name in names}
    found: dict[str, Tensor] = {}
    other: list[str] = []
    for key, tensor in load_weights(path).items():
        short = key.removeprefix("encoder.")
        # A transformer has a part called encoder itself, so whole names come first.
        name = short if short in names and key not in names else key
        if name.split(".")[0] not in parts:
            name = short
        if name.split(".")[0] in parts:
            found[name] = tensor
        elif not key.startswith(("classifier.", "head.", "heads.", "fc.", "decoder.")):
            other.append(key)
    if not found or other:
        raise ModelError(
            f"not encoder weights of {arch}",
            where=path,
            expected=f"names that begin with {'., '.join(sorted(parts))}., as in torchvision",
            got=", ".join(other[:3]) or "none",
        )
    load_into(encoder, found, where=path, what=f"the encoder of {arch}")


def freeze(net: MultitaskNet, options: TrainOptions) -> None:
    """Stop the encoder's first stages, and its batch norms, from changing, as options say.

    Raises
    ------
    ConfigError
        When more stages are to be frozen than there are.
    """
    stages = net.encoder.stages
    if options.freeze_encoder_blocks > len(stages):
        raise ConfigError(
            "freeze_encoder_blocks is too large",
            expected=f"at most {len(stages)} for {net.config.arch}",
            got=options.freeze_encoder_blocks,
        )
    frozen = {name for stage in stages[: options.freeze_encoder_blocks] for name in stage}
    for name, parameter in net.encoder.named_parameters():
        if any(f"{name}.".startswith(f"{first}.") for first in frozen):
            parameter.requires_grad_(False)
    for name, module in net.encoder.named_modules():
        if name in frozen:
            module.eval()
    if options.freeze_batchnorm:
        for module in net.encoder.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


@torch.no_grad()
def recalibrate_batchnorm(encoder: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give every batch norm the statistics of what it sees, in place, with outputs unchanged.

    Some converted networks have identity batch norms (mean 0, variance 1, everything folded into
    the bias); in training mode these would suddenly normalise, and every prediction is lost. With
    batch mean m and variance v of its input, a norm (m₀, v₀, weight w, bias b) becomes mean m,
    variance v, weight ``w √(v+ε) / √(v₀+ε)``, bias ``b + w (m − m₀) / √(v₀+ε)``: the same
    function, which training mode now keeps.
    """
    norms = [m for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)]
    sums = {norm: torch.zeros(2, norm.num_features, dtype=torch.float64) for norm in norms}
    counts = dict.fromkeys(norms, 0)

    def watch(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        x = inputs[0].cpu() if inputs[0].device.type == "mps" else inputs[0]  # no float64 there
        x = x.double()
        sums[norm] += torch.stack([x.sum((0, 2, 3)), (x * x).sum((0, 2, 3))]).cpu()
        counts[norm] += x.numel() // x.shape[1]

    modes = {module: module.training for module in encoder.modules()}
    hooks = [norm.register_forward_pre_hook(watch) for norm in norms]
    encoder.eval()
    try:
        for x in batches:
            encoder(x)
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes.items():
            module.training = mode
    for norm in norms:
        old_mean, old_var = norm.running_mean, norm.running_var
        if not counts[norm] or old_mean is None or old_var is None:
            continue
        mean, square = sums[norm] / counts[norm]
        var = (square - mean * mean).clamp_min(0)
        scale = norm.weight.double().cpu() / (old_var.double().cpu() + norm.eps).sqrt()
        shift = norm.bias.double().cpu() + scale * (mean - old_mean.double().cpu())
        norm.weight.copy_(scale * (var + norm.eps).sqrt())
        norm.bias.copy_(shift)
        old_mean.copy_(mean)
        old_var.copy_(var)
