"""``xaieval.explain``: pictures or model input in, heatmaps out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from xaieval.errors import MethodError, ModelError
from xaieval.methods.calls import MethodLike, resolve_methods
from xaieval.methods.explainer import Explainer
from xaieval.models import Classifier, Preprocessing
from xaieval.models.extra import Extra, as_extra

Images = npt.NDArray[Any] | Tensor
Targets = int | Sequence[int] | npt.NDArray[Any] | Tensor | None
Preprocess = Literal["auto"] | Preprocessing | None


@overload
def explain(
    model: Classifier | nn.Module,
    images: npt.NDArray[Any],
    *,
    methods: Iterable[MethodLike] | MethodLike,
    targets: Targets = ...,
    preprocess: Preprocess = ...,
    target_layer: str | nn.Module | None = ...,
    pooled: bool = ...,
    upsampling: str = ...,
    options: Mapping[str, Mapping[str, Any]] | None = ...,
    extra: Extra | None = ...,
    exact: bool = ...,
) -> dict[str, npt.NDArray[np.float32]]: ...
@overload
def explain(
    model: Classifier | nn.Module,
    images: Tensor,
    *,
    methods: Iterable[MethodLike] | MethodLike,
    targets: Targets = ...,
    preprocess: Preprocess = ...,
    target_layer: str | nn.Module | None = ...,
    pooled: bool = ...,
    upsampling: str = ...,
    options: Mapping[str, Mapping[str, Any]] | None = ...,
    extra: Extra | None = ...,
    exact: bool = ...,
) -> dict[str, Tensor]: ...
def explain(
    model: Classifier | nn.Module,
    images: Images,
    *,
    methods: Iterable[MethodLike] | MethodLike,
    targets: Targets = None,
    preprocess: Preprocess = "auto",
    target_layer: str | nn.Module | None = None,
    pooled: bool = True,
    upsampling: str = "paper",
    options: Mapping[str, Mapping[str, Any]] | None = None,
    extra: Extra | None = None,
    exact: bool = False,
) -> dict[str, npt.NDArray[np.float32]] | dict[str, Tensor]:
    """Explain a classifier's logits with heatmaps; methods share their passes.

    Parameters
    ----------
    model : Classifier or torch.nn.Module
        It runs as a copy on its own device and is never changed.
    images : uint8 (B, H, W, 3) or float (B, C, H, W)
        Pictures of any size, preprocessed; or model input, taken as it is. numpy or torch.
    methods : sequence of str, mapping, captum Attribution, MethodSpec or callable
        ``xaieval list methods`` prints the ids.
    targets : int or int (B,), optional
        Classes to explain; the predicted ones when None.
    preprocess : "auto", Preprocessing or None
        "auto": the classifier's own.
    target_layer : str or torch.nn.Module, optional
        For layer methods; found by itself when None.
    pooled : bool
        False keeps channels and sign.
    upsampling : "paper" or "aligned"
        Of maps of a layer's size: bilinear as in the published comparisons, or each cell drawn
        where it looks.
    options : mapping of method id -> options, optional
    extra : tensor (B, ...) or tuple of tensors, optional
        The second input of a network that has one, such as a question.
    exact : bool
        No folding, no channels_last; float64 where the input is.

    Returns
    -------
    dict of method key -> float32 (B, H, W), or (B, C, H, W) when not pooled
        At the size of the model's input, same kind and device as ``images``. The key is the id,
        with the options that differ from their defaults.

    Raises
    ------
    ConfigError
        For unknown methods or options, with a suggestion.
    MethodError
        For images or targets of another form, and values that are not finite.
    ModelError
        When logits or target layer cannot be found.

    Examples
    --------
    Saliency of a linear model is its weight, gradient × input the weight times the pixel:

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2, bias=False))
    >>> _ = nn.init.constant_(net[1].weight, -3.0)
    >>> x = np.full((1, 3, 2, 2), 0.5, np.float32)
    >>> classifier = Classifier(net, example=torch.from_numpy(x))
    >>> maps = explain(classifier, x, methods=["saliency", "gradient_x_input"])
    >>> maps["saliency"].tolist(), maps["gradient_x_input"].tolist()
    ([[[3.0, 3.0], [3.0, 3.0]]], [[[4.5, 4.5], [4.5, 4.5]]])
    """
    calls = resolve_methods(methods, options)
    known = model.preprocessing if isinstance(model, Classifier) else None
    x = _model_input(images, known if preprocess == "auto" else preprocess)
    if isinstance(model, Classifier):
        classifier = model
    elif isinstance(model, nn.Module):
        more = as_extra(extra)
        classifier = Classifier(
            model, example=x[:2], example_extra=tuple(t[:2] for t in more) or None
        )
    else:
        raise ModelError("not a model", expected="a Classifier or torch.nn.Module", got=type(model))
    weight = next(classifier.module.parameters(), None)
    explainer = Explainer(
        classifier,
        device="cpu" if weight is None else weight.device,
        exact=exact,
        upsampling=upsampling,
        target_layer=target_layer,
    )
    explanation = explainer.run(
        x, methods=calls, targets=_classes(targets, len(x)), extra=extra, pooled=pooled
    )
    if isinstance(images, Tensor):
        return {k: torch.from_numpy(m).to(images.device) for k, m in explanation.maps.items()}
    return explanation.maps


def _model_input(images: Images, preprocessing: Preprocessing | None) -> Tensor:
    """Return float (B, C, H, W): pictures preprocessed, model input as it is."""
    if not isinstance(images, (np.ndarray, Tensor)):
        raise MethodError("bad images", expected="a numpy array or a tensor", got=type(images))
    x = torch.from_numpy(np.ascontiguousarray(images)) if isinstance(images, np.ndarray) else images
    if x.ndim == 3:
        raise MethodError(
            "one image without a batch axis", got=tuple(x.shape), fix="pass images[None]"
        )
    if x.dtype == torch.uint8:
        return _preprocessed(x, preprocessing)
    if x.ndim != 4 or not x.is_floating_point() or x.numel() == 0:
        raise MethodError(
            "no images" if x.ndim == 4 and not len(x) else "bad images",
            expected="uint8 (B, H, W, 3) pictures or float (B, C, H, W) model input, B at least 1",
            got=f"{str(x.dtype).removeprefix('torch.')} {tuple(x.shape)}",
        )
    if preprocessing is not None:
        _check_scale(x, preprocessing)
    return x


def _preprocessed(pictures: Tensor, preprocessing: Preprocessing | None) -> Tensor:
    if pictures.ndim != 4 or pictures.shape[3] != 3 or pictures.numel() == 0:
        raise MethodError(
            "bad pictures",
            expected="uint8 (B, H, W, 3) with at least one picture",
            got=f"uint8 {tuple(pictures.shape)}",
        )
    if preprocessing is None:
        raise MethodError(
            "pictures need a preprocessing and this model has none",
            fix="pass preprocess=Preprocessing(...), or model input as float (B, C, H, W)",
        )
    fitted = [preprocessing.picture(picture) for picture in pictures.cpu().numpy()]
    return preprocessing.tensor(np.stack(fitted)).to(pictures.device)


def _check_scale(x: Tensor, preprocessing: Preprocessing) -> None:
    """Refuse values far outside what preprocessing can give: pictures passed as model input."""
    ends = [
        (end - mean) / std
        for end in (0.0, 1.0)
        for mean, std in zip(preprocessing.mean, preprocessing.std, strict=True)
    ]
    low, high = min(ends), max(ends)
    largest = float(x.detach().abs().max())
    if largest > 10 * max(abs(low), abs(high)):
        raise MethodError(
            "these values are no model input",
            expected=f"values between about {low:.2g} and {high:.2g}",
            got=f"values up to {largest:.4g}",
            fix="pass pictures as uint8 (B, H, W, 3), or preprocess=None to take them as they are",
        )


def _classes(targets: Targets, count: int) -> Literal["predicted"] | Tensor:
    """Return int64 (count,), or "predicted"."""
    if targets is None:
        return "predicted"
    try:
        classes = torch.as_tensor(targets)
    except (TypeError, ValueError, RuntimeError) as error:
        raise MethodError(
            "bad targets", expected="None, a class index or one per image", got=repr(targets)
        ) from error
    return classes.expand(count) if classes.ndim == 0 else classes
