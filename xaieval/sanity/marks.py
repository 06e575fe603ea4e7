"""Signs and words for methods that failed, the same in every table, figure and page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from xaieval.digest import digest_file
from xaieval.sanity.limits import GATE_VERSION
from xaieval.sanity.report import FILE, SanityReport, Verdict, read_reports

MARK = "⚠"
"""Stands beside the name of a method that failed; ``notes`` says what it means."""


def failures(
    reports: Iterable[SanityReport], digests: Mapping[str, Iterable[str]] | None = None
) -> dict[str, str]:
    """Return method key -> why it failed, for methods that failed on at least one model.

    Parameters
    ----------
    reports : iterable of SanityReport
        One per model.
    digests : mapping of method key -> digests, optional
        Verdicts on other versions of a method do not count.

    >>> from xaieval.sanity.report import Check
    >>> bad = Verdict("failed", "d", (Check("randomisation", 0.93, 0.61, n=48),))
    >>> report = SanityReport("a", "", (), (), {"edges": bad, "saliency": Verdict("passed", "e")})
    >>> failures([report])
    {'edges': 'failed the sanity gate: randomisation 0.93 (limit 0.61)'}
    """
    found: dict[str, list[Verdict]] = {}
    for report in reports:
        for key, verdict in verdicts(report, digests).items():
            if verdict.status in ("passed", "failed"):
                found.setdefault(key, []).append(verdict)
    return {
        key: _words(given)
        for key, given in found.items()
        if any(verdict.status == "failed" for verdict in given)
    }


def verdicts(
    report: SanityReport, digests: Mapping[str, Iterable[str]] | None = None
) -> dict[str, Verdict]:
    """Return the verdicts that count: of today's gate, on methods of the given digests."""
    if report.version != GATE_VERSION:
        return {}
    return {
        key: verdict
        for key, verdict in report.verdicts.items()
        if digests is None or key not in digests or verdict.method_digest in digests[key]
    }


def _words(given: Sequence[Verdict]) -> str:
    """Return one sentence for all models of a study."""
    failed = [verdict for verdict in given if verdict.status == "failed"]
    if len(given) == 1:
        return failed[0].text
    names = dict.fromkeys(check.name for verdict in failed for check in verdict.failed_checks)
    why = ", ".join(names) or failed[0].reason
    return f"failed the sanity gate on {len(failed)} of {len(given)} models: {why}"


def marked(label: str, failed: bool) -> str:
    """Return a method's name with the mark behind it when it failed.

    >>> marked("Guided backprop", True), marked("Saliency", False)
    ('Guided backprop ⚠', 'Saliency')
    """
    return f"{label} {MARK}" if failed else label


def notes(failed: Mapping[str, str], labels: Mapping[str, str]) -> list[str]:
    """Return the lines that explain the marks of the methods in ``labels``.

    >>> notes({"edges": "failed the sanity gate: randomisation 1 (limit 0.6)"}, {"edges": "Edges"})
    ['⚠ Edges failed the sanity gate: randomisation 1 (limit 0.6)']
    """
    return [f"{MARK} {labels[key]} {failed[key]}" for key in labels if key in failed]


class Call(Protocol):
    """A method as it is asked for (``xaieval.methods.MethodCall``)."""

    @property
    def key(self) -> str: ...
    @property
    def digest(self) -> str: ...


def verdicts_on(checkpoint: Path, calls: Iterable[Call]) -> dict[str, Verdict]:
    """Return what the gate said of methods on a checkpoint, as far as it was asked.

    Raises
    ------
    ResultsError
        When ``sanity.json`` is damaged.
    """
    report = report_of(checkpoint)
    if report is None:
        return {}
    digests = {call.key: (call.digest,) for call in calls}
    return {key: found for key, found in verdicts(report, digests).items() if key in digests}


def report_of(checkpoint: Path) -> SanityReport | None:
    """Return the report on a checkpoint, from beside it or from its results folder.

    A report counts only for the very file it was made from.

    Raises
    ------
    ResultsError
        When ``sanity.json`` is damaged.
    """
    folders = [checkpoint.parent]
    if checkpoint.parent.name == "checkpoints":
        folders.append(checkpoint.parent.parent)
    for folder in folders:
        if (folder / FILE).is_file():
            found = read_reports(folder).get(checkpoint.stem)
            if found is not None and found.checkpoint_sha256 == digest_file(checkpoint):
                return found
    return None
