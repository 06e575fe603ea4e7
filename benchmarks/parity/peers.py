"""The libraries that maps are compared with; they live only in the extra ``parity``."""

from __future__ import annotations

import importlib
import importlib.metadata
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from types import ModuleType

import torch

DISTRIBUTIONS = ("captum", "grad-cam", "zennit", "torchvision", "scikit-learn", "scipy", "torch")
_keep: list[object] = []


def torchvision() -> ModuleType:
    """Import torchvision, also beside a torch build whose operators its own binary does not fit.

    A wheel for another build of torch (a CPU torch beside PyPI's torchvision) cannot load its
    binary; then only the two operators whose shape functions are registered on import are missed.
    Networks need neither.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError:
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _keep.append(library)  # what it defines goes when it goes
        for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        return importlib.import_module("torchvision")


def peer(name: str) -> ModuleType:
    """Import a peer's module, or stop with the command that installs it."""
    try:
        if name.split(".")[0] in ("pytorch_grad_cam", "zennit"):
            torchvision()
        return importlib.import_module(name)
    except ImportError as error:
        raise SystemExit(
            f"{error}. The peers live in an extra: pip install -c constraints.txt -e '.[parity]'"
        ) from error


def versions() -> dict[str, str]:
    """Return the version of each peer that is there."""
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


@contextmanager
def quiet() -> Iterator[None]:
    """Hide the progress bars that some peers draw."""
    with redirect_stderr(io.StringIO()):
        yield
