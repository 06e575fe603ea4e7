"""Ends a pass in its midst: on a CPU one lasts so long that the next person would wait for it.

A hook on every module of the process, there only while somebody works so, and deaf in all other
threads. It changes no number: it looks at the outputs and returns none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.hooks import RemovableHandle


class _Own(threading.local):
    check: Callable[[], None] | None = None


_OWN = _Own()
_LOCK = threading.Lock()
_HOOKS: list[RemovableHandle] = []
_users = 0


@contextmanager
def interruptible(check: Callable[[], None]) -> Iterator[None]:
    """Call ``check`` after each module's forward and before its backward, in this thread.

    What it raises ends the pass. Backward passes on a CPU run in the thread that asks for them.
    """
    before = _OWN.check
    _OWN.check = check
    _count(1)
    try:
        yield
    finally:
        _count(-1)
        _OWN.check = before


def _count(change: int) -> None:
    global _users
    with _LOCK:
        _users += change
        if _users and not _HOOKS:
            _HOOKS.append(register_module_forward_hook(_forward))
        elif not _users and _HOOKS:
            _HOOKS.pop().remove()


def _ask(*_: object) -> None:
    if _OWN.check is not None:
        _OWN.check()


def _forward(module: nn.Module, args: object, output: object) -> None:
    if _OWN.check is None:
        return
    _ask()
    if isinstance(output, Tensor) and output.grad_fn is not None:
        output.grad_fn.register_prehook(_ask)
