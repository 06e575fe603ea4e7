"""The arms of an experiment: plain studies, each trained and run into a folder of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xaieval.errors import ConfigError
from xaieval.reproduce.base import Setup
from xaieval.study import Results, Study, run_study, train_study
from xaieval.study.config import parse_study

STUDIES = "studies"


def arm_folder(setup: Setup, name: str) -> Path:
    """Return the results folder of an arm."""
    return setup.out / STUDIES / name


def study_text(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a study file (TOML) of the given tables; None values are left out.

    >>> print(study_text({"study": {"id": "a", "title": "A"}, "data": {"name": "mvtec"}}))
    schema = 1
    <BLANKLINE>
    [study]
    id = "a"
    title = "A"
    <BLANKLINE>
    [data]
    name = "mvtec"
    <BLANKLINE>
    """
    lines = ["schema = 1"]
    for name, table in tables.items():
        lines += ["", f"[{name}]"]
        lines += [f"{key} = {_toml(value)}" for key, value in table.items() if value is not None]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (str, Path)):
        text = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{text}"'
    if isinstance(value, Mapping):
        inner = ", ".join(f"{k} = {_toml(v)}" for k, v in value.items() if v is not None)
        return "{ " + inner + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    raise ConfigError("no value of a study file", expected="text, numbers, lists", got=repr(value))


def run_arm(
    setup: Setup,
    name: str,
    study: Study | Mapping[str, Mapping[str, Any]],
    *,
    data: Path | None = None,
    train: bool = True,
) -> Results:
    """Train and run one arm; what is finished is kept, so a stopped experiment goes on.

    Parameters
    ----------
    name : str
        Folder name of the arm: letters, digits, ``-`` and ``_``.
    study : Study, or tables as ``study_text`` takes them
    data : Path, optional
        Folder of its dataset; default: ``setup.data``.
    train : bool
        False for an arm whose checkpoints lie there already.
    """
    if not isinstance(study, Study):
        text = study_text(study)
        study = parse_study(text, where=f"{name} of the experiment")
    folder = arm_folder(setup, name)
    place = data or setup.data
    if train:
        train_study(
            study,
            data=place,
            out=folder,
            device=setup.device,
            weights=setup.weights,
            report=setup.report,
        )
    return run_study(
        study,
        data=place,
        out=folder,
        device=setup.device,
        command=setup.command,
        report=setup.report,
    )
