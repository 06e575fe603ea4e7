"""A study, as one TOML file says it: dataset, model, training, methods, scores."""

from __future__ import annotations

import dataclasses
import importlib.resources
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from xaieval.digest import digest
from xaieval.errors import ConfigError, unknown
from xaieval.study.toml_table import read_table, refuse_unknown

SCHEMA = 1
Item = str | Mapping[str, Any]
"""An id, or a table ``{id = …, option = value, …}``."""


def _positive(value: float, key: str) -> None:
    if not value > 0:
        raise ConfigError("out of range", where=key, expected="more than 0", got=value)


def _items(items: tuple[Item, ...], key: str) -> None:
    for item in items:
        if not isinstance(item, str) and not isinstance(item.get("id"), str):
            raise ConfigError(
                "an entry has no id", where=key, expected="a string or {id = …, …}", got=dict(item)
            )


@dataclass(frozen=True)
class Filters:
    """Which images are explained and scored (training always sees all of its split).

    ``classes``: only these (empty: all). ``per_class``: at most so many of each class and role,
    chosen by the digest of their ids.
    """

    classes: tuple[str, ...] = ()
    per_class: int | None = None

    def __post_init__(self) -> None:
        if self.per_class is not None:
            _positive(self.per_class, "per_class")


@dataclass(frozen=True)
class DataSettings:
    """``[data]``: which images, and how they are split. ``path`` is relative to the study file."""

    name: str
    path: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    split_scheme: Literal["auto", "layout", "stratified", "kfold"] = "auto"
    split_seed: int = 0
    test_share: float = 0.25
    folds: int = 5
    filters: Filters = Filters()

    def __post_init__(self) -> None:
        if not 0 < self.test_share < 1:
            raise ConfigError(
                "out of range",
                where="test_share",
                expected="between 0 and 1",
                got=self.test_share,
            )
        if self.folds < 2:
            raise ConfigError("out of range", where="folds", expected="2 or more", got=self.folds)


@dataclass(frozen=True)
class ModelSettings:
    """``[model]``: the network and how pictures become its input.

    ``encoder_weights`` is a safetensors file to start from; ``$NAME`` stands for an environment
    variable. ``resize`` is the short side in px before the centre crop; with an ``input_size``
    and no ``resize``, pictures are stretched to the input. ``mean`` and ``std`` are in units of 0
    to 1. Without ``input_size`` all of this comes from the architecture's defaults.
    """

    arch: str
    encoder_weights: str | None = None
    padding: Literal["torch", "same_tf"] = "torch"
    input_size: tuple[int, int] | None = None
    resize: int | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    dropout: float = 0.2
    decoder: bool = True

    def __post_init__(self) -> None:
        for size in self.input_size or ():
            _positive(size, "input_size")
        if self.resize is not None:
            _positive(self.resize, "resize")
        if not 0 <= self.dropout < 1:
            raise ConfigError(
                "out of range", where="dropout", expected="0 to below 1", got=self.dropout
            )


@dataclass(frozen=True)
class TrainSettings:
    """``[train]``: the seeds, and how each is trained (``xaieval.models.TrainOptions``)."""

    seeds: tuple[int, ...] = tuple(range(42, 52))
    epochs: int = 30
    batch: int = 32
    lr: float = 1e-3
    beta: float = 1.0
    augment: str = "flips"
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    freeze_batchnorm: bool = False
    recalibrate: bool = False
    freeze_encoder_blocks: int = 0

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ConfigError(
                "bad list of seeds",
                where="seeds",
                expected="at least one, each once",
                got=list(self.seeds),
            )
        for key in ("epochs", "batch", "lr"):
            _positive(getattr(self, key), key)
        if self.beta < 0:
            raise ConfigError("out of range", where="beta", expected="0 or more", got=self.beta)


@dataclass(frozen=True)
class ExplainSettings:
    """``[explain]``: the methods, who competes for wins, and which class is explained.

    ``compete`` empty: every method of the study that is no baseline. ``seed`` is that of
    stochastic methods; it has nothing to do with the training seeds.
    """

    methods: tuple[Item, ...] = ("gradcam", "saliency", "integrated_gradients")
    compete: tuple[str, ...] = ()
    target: str | int = "predicted"
    upsampling: str = "paper"
    exact: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        _items(self.methods, "methods")
        if not self.methods:
            raise ConfigError("no method named", where="methods", fix="name at least one")
        if isinstance(self.target, str) and self.target not in ("predicted", "label"):
            raise ConfigError(
                "unknown target",
                where="target",
                expected="'predicted', 'label' or a class number",
                got=repr(self.target),
            )


@dataclass(frozen=True)
class ScoreSettings:
    """``[score]``: metrics, regions (empty: the dataset's first) and rules."""

    metrics: tuple[Item, ...] = ("topk_overlap", "topk_iou", "mass_accuracy", "area_share")
    regions: tuple[str, ...] = ()
    rules: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _items(self.metrics, "metrics")
        if not self.metrics:
            raise ConfigError("no metric named", where="metrics", fix="name at least one")


@dataclass(frozen=True)
class RunSettings:
    """``[run]``: device, whether one faulty image stops the run, which splits are scored."""

    device: str = "auto"
    strict: bool = False
    splits: tuple[Literal["train", "test"], ...] = ("train", "test")
    chunk: int = 32

    def __post_init__(self) -> None:
        _positive(self.chunk, "chunk")
        if not self.splits:
            raise ConfigError("no split named", where="splits", expected="train, test or both")


@dataclass(frozen=True)
class Study:
    """Everything that decides what a study computes. Made by ``load_study``."""

    id: str
    title: str
    data: DataSettings
    model: ModelSettings
    train: TrainSettings = TrainSettings()
    explain: ExplainSettings = ExplainSettings()
    score: ScoreSettings = ScoreSettings()
    run: RunSettings = RunSettings()
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
        model = dataclasses.asdict(self.model)
        del model["encoder_weights"]
        train = dataclasses.asdict(self.train)
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
