"""Models at hand: loaded when first asked for, made ready per device, released when idle."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch

from xaieval.errors import ModelError
from xaieval.methods import Explainer
from xaieval.models import Classifier, load_checkpoint

_MAX_MODELS = 16


def pick_devices(device: str = "auto") -> tuple[str, ...]:
    """Return the devices to work on: all CUDA cards, else mps, else cpu; or the one named.

    Raises
    ------
    ModelError
        When the named device is not there.
    """
    cuda = tuple(f"cuda:{index}" for index in range(torch.cuda.device_count()))
    mps = ("mps",) if torch.backends.mps.is_available() else ()
    known = (*cuda, *mps, "cpu")
    if device == "auto":
        return cuda or mps or ("cpu",)
    if device == "cuda" and cuda:
        return cuda
    if device in known:
        return (device,)
    raise ModelError(
        "no such device here", got=repr(device), expected=f"auto or one of {', '.join(known)}"
    )


class Shelf:
    """Classifiers by checkpoint and explainers by device; those used longest ago go first.

    ``classifier`` may be called from any thread, the rest from the device's own.
    """

    def __init__(self, devices: tuple[str, ...]) -> None:
        self._models: OrderedDict[Any, Classifier] = OrderedDict()
        self._lock = threading.Lock()
        self._explainers: dict[str, OrderedDict[Any, Explainer]] = {
            device: OrderedDict() for device in devices
        }

    def classifier(self, checkpoint: Path | Classifier) -> Classifier:
        """Return the classifier of a checkpoint, loaded once while the file is unchanged."""
        if isinstance(checkpoint, Classifier):
            return checkpoint
        key = _key_of(checkpoint)
        with self._lock:
            if key not in self._models:
                self._models[key] = load_checkpoint(checkpoint)
            self._models.move_to_end(key)
            while len(self._models) > _MAX_MODELS:
                self._models.popitem(last=False)
            return self._models[key]

    def explainer(
        self, device: str, classifier: Classifier, *, exact: bool, upsampling: str
    ) -> Explainer:
        """Return the explainer of a classifier on a device, made when first asked for."""
        kept = self._explainers[device]
        key = (classifier.fingerprint, classifier.layer_if_any, exact, upsampling)
        if key not in kept:
            kept[key] = Explainer(classifier, device=device, exact=exact, upsampling=upsampling)
        kept.move_to_end(key)
        while len(kept) > _MAX_MODELS:
            kept.popitem(last=False)
        return kept[key]

    def release(self, device: str) -> None:
        """Give idle models and the device's spare memory back."""
        self._explainers[device].clear()
        with self._lock:
            self._models.clear()
        if device.startswith("cuda"):
            torch.cuda.empty_cache()

    def counts(self) -> dict[str, Any]:
        """Return how many models are loaded, and how many made ready on each device."""
        prepared = {device: len(kept) for device, kept in self._explainers.items()}
        return {"models": len(self._models), "prepared": prepared}


def _key_of(checkpoint: Path) -> tuple[str, int, int]:
    try:
        stat = checkpoint.stat()
    except OSError as error:
        raise ModelError(
            "no such checkpoint", where=checkpoint, fix="train it first: xaieval train STUDY"
        ) from error
    return str(checkpoint.resolve()), stat.st_mtime_ns, stat.st_size
