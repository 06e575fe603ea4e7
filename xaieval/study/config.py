"""A study, as one TOML file says it: dataset, model, training, methods, scores."""

from __future__ import annotations

import dataclasses
import importlib.resources
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from xaieval.digest import counted_fields, digest
from xaieval.errors import ConfigError, unknown
from xaieval.study.settings import (
    DataSettings,
    ExplainSettings,
    ModelSettings,
    RunSettings,
    ScoreSettings,
    TrainSettings,
)
from xaieval.study.toml_table import read_table, refuse_unknown

SCHEMA = 1


@dataclass(frozen=True)
class Study:
    """Everything that decides what a study computes. Made by ``load_study``."""

    id: str
    title: str
    data: DataSettings
    model: ModelSettings
    train: TrainSettings = field(default_factory=TrainSettings)
    explain: ExplainSettings = field(default_factory=ExplainSettings)
    score: ScoreSettings = field(default_factory=ScoreSettings)
    run: RunSettings = field(default_factory=RunSettings)
    description: str = ""
    source: Path | None = field(default=None, compare=False)
    text: str = field(default="", compare=False, repr=False)

    @property
    def model_id(self) -> str:
        return f"{self.id}/{self.model.arch}"

    def train_settings(self) -> dict[str, Any]:
        """Return what decides the weights of one seed and fold, as plain values.

        Which seeds there are, where the data lies and where encoder weights lie do not; data and
        weights file are compared by their content when a checkpoint is looked up.
        """
        data = self.data
        model = counted_fields(self.model)
        del model["encoder_weights"]
        train = counted_fields(self.train)
        del train["seeds"]
        split = {
            "scheme": data.split_scheme,
            "seed": data.split_seed,
            "test_share": data.test_share,
            "folds": data.folds,
        }
        named = {"name": data.name, "options": dict(data.options), "split": split}
        return {"data": named, "model": model, "train": train}

    def explain_settings(self) -> dict[str, Any]:
        """Return what decides a heatmap, besides the weights, the sample and the method."""
        explain = self.explain
        return {
            "target": explain.target,
            "upsampling": explain.upsampling,
            "exact": explain.exact,
            "seed": explain.seed,
        }

    def digest(self, stage: Literal["train", "explain"]) -> str:
        """Return the digest of one stage's settings; a later stage never changes an earlier one."""
        settings = [self.train_settings()]
        if stage == "explain":
            settings.append(self.explain_settings())
        return digest("study", SCHEMA, stage, settings)


_TABLES: dict[str, type[Any]] = {
    "data": DataSettings,
    "model": ModelSettings,
    "train": TrainSettings,
    "explain": ExplainSettings,
    "score": ScoreSettings,
    "run": RunSettings,
}


@dataclass(frozen=True)
class _Head:
    id: str
    title: str
    description: str = ""

    def __post_init__(self) -> None:
        plain = self.id.replace("-", "").replace("_", "").replace(".", "")
        if not plain.isalnum():
            raise ConfigError(
                "not usable as an id",
                where="id",
                expected="letters, digits, '-', '_' and '.'",
                got=repr(self.id),
            )


def parse_study(text: str, *, where: str | Path = "study") -> Study:
    """Return the study that a TOML text describes.

    Raises
    ------
    ConfigError
        For a text that is no TOML, an unknown key, a wrong type or value, another schema version.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not a TOML file: {error}", where=where) from None
    schema = tables.pop("schema", None)
    if schema != SCHEMA:
        raise ConfigError(
            "cannot read this schema version", where=f"{where}: schema", expected=SCHEMA, got=schema
        )
    refuse_unknown(tables, ("schema", "study", *_TABLES), where=where)
    for key, table in tables.items():
        if not isinstance(table, dict):
            raise ConfigError(f"[{key}] must be a table", where=where, got=repr(table))
    for key in ("study", "data", "model"):
        if key not in tables:
            raise ConfigError(f"the table [{key}] is missing", where=where)
    head = read_table(_Head, tables["study"], where=f"{where}: [study]")
    parts = {
        key: read_table(cls, tables.get(key, {}), where=f"{where}: [{key}]")
        for key, cls in _TABLES.items()
    }
    return Study(id=head.id, title=head.title, description=head.description, text=text, **parts)


def builtin_studies() -> dict[str, Path]:
    """Return the studies that come with the package: id -> TOML file."""
    folder = Path(str(importlib.resources.files("xaieval_assets"))) / "studies"
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load_study(path_or_id: str | Path) -> Study:
    """Return the study in a TOML file, or the built-in one of that id.

    Raises
    ------
    ConfigError
        When there is neither, or the file is not valid.
    """
    path = Path(path_or_id)
    if path.suffix != ".toml" and not path.is_file():
        known = builtin_studies()
        if str(path_or_id) not in known:
            raise unknown("study (or study file)", path_or_id, known)
        path = known[str(path_or_id)]
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the study ({error.strerror})", where=path) from None
    except UnicodeDecodeError:
        raise ConfigError("not a text file in UTF-8", where=path) from None
    return dataclasses.replace(parse_study(text, where=path), source=path.resolve())
