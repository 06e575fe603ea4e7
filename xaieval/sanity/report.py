"""What the gate found: checks, a verdict per method, a report per model, all of a study."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from xaieval.errors import ResultsError, XaievalError
from xaieval.files import write_bytes
from xaieval.sanity.limits import GATE_VERSION

SCHEMA = 1
FILE = "sanity.json"
Status = Literal["passed", "failed", "not gated", "not defined"]


@dataclass(frozen=True)
class Check:
    """One number held against its limit.

    Attributes
    ----------
    name : str
        ``randomisation``, ``empty maps``, ``sign``, ``completeness``, ``conservation``, ...
    value : float or None
        None when there was nothing to measure.
    threshold : float or None
        The most that passes; None: reported, decides nothing.
    passed : bool
    n : int
        How many numbers stand behind the value.

    >>> Check("empty maps", 0.25, 0.1, n=16).passed, Check("sign", None, 0.0, n=0).passed
    (False, False)
    """

    name: str
    value: float | None
    threshold: float | None
    n: int
    passed: bool = field(init=False)

    def __post_init__(self) -> None:
        # Rounded before they are compared, so that a report read again says the same.
        value, threshold = _rounded(self.value), _rounded(self.threshold)
        for number in (value, threshold):
            if number is not None and not math.isfinite(number):
                raise ResultsError("a check must be finite or None", where=self.name, got=number)
        passed = threshold is None or (value is not None and value <= threshold)
        object.__setattr__(self, "value", value)
        object.__setattr__(self, "threshold", threshold)
        object.__setattr__(self, "passed", passed)

    @property
    def text(self) -> str:
        """The number and its limit in words.

        >>> Check("randomisation", 0.934, 0.61, n=48).text
        'randomisation 0.93 (limit 0.61)'
        """
        value = "undefined" if self.value is None else f"{self.value:.2g}"
        limit = "" if self.threshold is None else f" (limit {self.threshold:.2g})"
        return f"{self.name} {value}{limit}"


@dataclass(frozen=True)
class Verdict:
    """What the gate says of one method on one model.

    Attributes
    ----------
    status : "passed", "failed", "not gated" or "not defined"
        ``not gated``: the method never looks at the model. ``not defined``: not for this model.
    method_digest : str
        Of the method with its version and options.
    checks : tuple of Check
    spearman, ssim : tuple of float or None
        Median |ρ| and SSIM to the trained model's maps, per stage of the cascade.
    reason : str
        Why there are no checks.
    """

    status: Status
    method_digest: str
    checks: tuple[Check, ...] = ()
    spearman: tuple[float | None, ...] = ()
    ssim: tuple[float | None, ...] = ()
    reason: str = ""

    def __post_init__(self) -> None:
        if self.status not in get_args(Status):
            raise ResultsError(
                "unknown status", expected=f"one of {', '.join(get_args(Status))}", got=self.status
            )
        object.__setattr__(self, "spearman", tuple(map(_rounded, self.spearman)))
        object.__setattr__(self, "ssim", tuple(map(_rounded, self.ssim)))

    @property
    def failed_checks(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if not check.passed)

    @property
    def text(self) -> str:
        """The verdict as a sentence people read.

        >>> failed = Check("randomisation", 0.93, 0.61, n=48)
        >>> Verdict("failed", "", (failed,)).text
        'failed the sanity gate: randomisation 0.93 (limit 0.61)'
        """
        if self.status == "failed":
            found = ", ".join(check.text for check in self.failed_checks)
            return f"failed the sanity gate: {found or self.reason}"
        if self.status == "passed":
            return "passed the sanity gate"
        return f"{self.status}: {self.reason}" if self.reason else self.status


@dataclass(frozen=True)
class SanityReport:
    """The verdicts on one model.

    Attributes
    ----------
    model : str
        Name of the checkpoint, without its ending.
    fingerprint : str
        ``Classifier.fingerprint``.
    checkpoint_sha256 : str
        Of the weights file; empty for a network that lies in no file.
    settings : mapping
        What decides the maps beside model, method and image: ``target``, ``upsampling``,
        ``exact``, ``seed``; and ``device``.
    stages : tuple of str
        Steps of the cascade: the first and last layer that is random at each.
    images : tuple of str
        Ids of the images.
    verdicts : mapping of method key -> Verdict
    version : int
        ``limits.GATE_VERSION``.
    """

    model: str
    fingerprint: str
    stages: tuple[str, ...]
    images: tuple[str, ...]
    verdicts: Mapping[str, Verdict]
    settings: Mapping[str, Any] = field(default_factory=dict)
    checkpoint_sha256: str = ""
    version: int = GATE_VERSION

    def comparable(self, other: SanityReport) -> bool:
        """Whether both are of the same model, images, settings and gate."""
        return all(
            getattr(self, name) == getattr(other, name)
            for name in ("fingerprint", "stages", "images", "version")
        ) and dict(self.settings) == dict(other.settings)

    def joined(self, earlier: SanityReport | None) -> SanityReport:
        """Return this report with the verdicts of a comparable earlier one on other methods."""
        if earlier is None or not self.comparable(earlier):
            return self
        return dataclasses.replace(self, verdicts={**earlier.verdicts, **self.verdicts})

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, content: Any) -> SanityReport:
        """Return the report that ``to_json`` wrote.

        Raises
        ------
        ResultsError
            When the content is of another form.
        """
        try:
            raw = dict(content)
            raw["verdicts"] = {
                str(key): Verdict(
                    **{
                        **verdict,
                        "checks": tuple(_check(check) for check in verdict["checks"]),
                        "spearman": tuple(verdict["spearman"]),
                        "ssim": tuple(verdict["ssim"]),
                    }
                )
                for key, verdict in raw["verdicts"].items()
            }
            raw["stages"], raw["images"] = tuple(raw["stages"]), tuple(raw["images"])
            return cls(**raw)
        except (TypeError, ValueError, KeyError, AttributeError, XaievalError) as error:
            raise ResultsError(f"no sanity report ({error})") from None


def _check(raw: Mapping[str, Any]) -> Check:
    return Check(raw["name"], raw["value"], raw["threshold"], raw["n"])


def _rounded(value: float | None) -> float | None:
    """Return four significant digits: limits lie near 1, errors of completeness near 1e-6."""
    return None if value is None else float(f"{value:.4g}")


def read_reports(folder: Path) -> dict[str, SanityReport]:
    """Return the reports in a folder's ``sanity.json`` by model; none when there is no file.

    Raises
    ------
    ResultsError
        When the file is damaged or of another schema version.
    """
    path = folder / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ResultsError(
            f"the sanity reports cannot be read ({error})",
            where=path,
            fix="delete the file and run 'xaieval sanity' again",
        ) from None
    version = content.get("schema") if isinstance(content, dict) else None
    if version != SCHEMA or not isinstance(content.get("models"), dict):
        raise ResultsError(
            "cannot read this schema version",
            where=path,
            expected=SCHEMA,
            got=version,
            fix="run 'xaieval sanity' again",
        )
    try:
        return {name: SanityReport.from_json(raw) for name, raw in content["models"].items()}
    except ResultsError as error:
        raise ResultsError(error.what, where=path, fix="run 'xaieval sanity' again") from None


def write_reports(folder: Path, reports: Iterable[SanityReport]) -> Path:
    """Write ``sanity.json`` whole or not at all; what it holds of other models and methods stays.

    Raises
    ------
    ResultsError
        When the folder cannot be written or holds a damaged file of that name.
    """
    kept = read_reports(folder)
    for report in reports:
        kept[report.model] = report.joined(kept.get(report.model))
    # A line per model: small, and still fit for a diff.
    models = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(kept[name].to_json(), ensure_ascii=False)}"
        for name in sorted(kept)
    )
    text = f'{{"schema": {SCHEMA}, "models": {{\n{models}\n}}}}\n'
    write_bytes(folder / FILE, text.encode())
    return folder / FILE
