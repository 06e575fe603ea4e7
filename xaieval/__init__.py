"""xaieval: explain image classifiers with heatmaps and score them against pixel masks."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xaieval.methods import explain
    from xaieval.metrics import Rules, score

__version__ = "0.1.0"
__all__ = ["Rules", "__version__", "explain", "score"]

# Loaded when first asked for, so that `import xaieval` and the command line start at once.
_LAZY = {
    "Rules": "xaieval.metrics",
    "explain": "xaieval.methods",
    "score": "xaieval.metrics",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'xaieval' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
