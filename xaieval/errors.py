"""One family of errors: each says what is wrong, where, what was expected, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class XaievalError(Exception):
    """Base class of every error that xaieval raises for bad input.

    Parameters
    ----------
    what : str
        What is wrong, in one clause.
    where : str or Path, optional
        The file, key or argument concerned.
    expected, got : object, optional
        What was expected and what came instead.
    fix : str, optional
        What the reader can do about it.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str | Path | None = None,
        expected: object = None,
        got: object = None,
        fix: str | None = None,
    ) -> None:
        self.what, self.where, self.expected, self.got, self.fix = what, where, expected, got, fix
        text = f"{where}: {what}" if where is not None else what
        if expected is not None:
            text += f"; expected {expected}"
        if got is not None:
            text += f", got {got}" if expected is not None else f"; got {got}"
        if fix:
            end = "" if fix.endswith("?") else "."
            text += f". {fix[0].upper()}{fix[1:].removesuffix('.')}{end}"
        super().__init__(text)


class DataError(XaievalError):
    """A dataset, image, mask or download is not as it must be."""


class ModelError(XaievalError):
    """A model, checkpoint or training run is not as it must be."""


class MethodError(XaievalError):
    """An attribution method cannot run as asked."""


class NotDefinedError(MethodError):
    """A method is not defined for a network; scores of it are NaN, "not-defined-for-model"."""

    @classmethod
    def because(
        cls, error: XaievalError, *, where: str | Path | None = None, fix: str | None = None
    ) -> NotDefinedError:
        """Return what another error says as a reason; ``where`` and ``fix`` replace its own."""
        return cls(
            error.what,
            where=error.where if where is None else where,
            expected=error.expected,
            got=error.got,
            fix=error.fix if fix is None else fix,
        )


class MetricError(XaievalError):
    """A score cannot be computed as asked."""


class ConfigError(XaievalError):
    """A study file, an option or an identifier is not valid."""


class ResultsError(XaievalError):
    """A results folder cannot be read or written."""


class JournalError(XaievalError):
    """Tags, notes or saved views cannot be read or written."""


class StoryError(XaievalError):
    """A story, a slide or a link's stamp is not as it must be."""


class Cancelled(Exception):
    """The work was cancelled by the person who asked for it. Not an error."""


def unknown(
    kind: str, name: object, known: Iterable[str], *, where: str | Path | None = None
) -> ConfigError:
    """Return the error for an unknown identifier, with the nearest known one as suggestion.

    >>> str(unknown("metric", "auroc2", ["auroc", "iou"]))
    "unknown metric 'auroc2'; expected one of auroc, iou. Did you mean 'auroc'?"
    """
    names = sorted(known)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    return ConfigError(
        f"unknown {kind} {str(name)!r}",
        where=where,
        expected="one of " + ", ".join(names),
        fix=f"did you mean {close[0]!r}?" if close else None,
    )
