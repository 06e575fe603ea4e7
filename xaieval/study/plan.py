"""What a run has to do: the study's ids looked up, and what of it is on disk already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from xaieval.errors import ResultsError, unknown
from xaieval.study.config import Study
from xaieval.study.parts import WHOLE, live_parts, read_part
from xaieval.study.settings import Item
from xaieval.study.toml_table import read_table

if TYPE_CHECKING:
    from xaieval.methods import MethodCall
    from xaieval.metrics import Rules
    from xaieval.metrics.spec import MetricCall


@dataclass(frozen=True)
class Resolved:
    """A study's methods, metrics, rules and regions as objects."""

    calls: tuple[MethodCall, ...]
    compete: tuple[str, ...]
    metrics: tuple[MetricCall, ...]
    rules: Rules
    regions: tuple[str, ...]


def resolve(study: Study, region_names: Sequence[str]) -> Resolved:
    """Look up every id that a study names.

    Parameters
    ----------
    region_names : of the dataset; the first is scored when the study names none

    Raises
    ------
    ConfigError
        For an unknown method, metric, option, rule, upsampling or region, with a suggestion.
    """
    from xaieval.methods import UPSAMPLINGS, resolve_methods
    from xaieval.metrics import Rules, resolve_metrics

    upsampling = study.explain.upsampling
    if upsampling not in UPSAMPLINGS:
        raise unknown("upsampling", upsampling, UPSAMPLINGS, where="[explain] upsampling")
    calls = tuple(resolve_methods([_plain(item) for item in study.explain.methods]))
    metrics = tuple(resolve_metrics([_plain(item) for item in study.score.metrics]))
    for region in study.score.regions:
        if region not in region_names:
            raise unknown("region", region, region_names, where="[score] regions")
    competing = [call.key for call in calls if not call.spec.baseline]
    if study.explain.compete:
        competing = []
        for name in study.explain.compete:
            # A key names one method; an id that is no key, all methods of that id.
            found = [call.key for call in calls if name == call.key]
            found = found or [call.key for call in calls if name == call.id]
            if not found:
                known = [call.key for call in calls]
                raise unknown("method of the study", name, known, where="[explain] compete")
            competing += found
    return Resolved(
        calls=calls,
        compete=tuple(dict.fromkeys(competing)),
        metrics=metrics,
        rules=read_table(Rules, study.score.rules, where="[score] rules"),
        regions=study.score.regions or tuple(region_names[:1]),
    )


def _plain(item: Item) -> Any:
    return item if isinstance(item, str) else dict(item)


@dataclass(frozen=True)
class Missing:
    """What one image of one model still lacks; images that lack the same are done together.

    ``stats``, ``scores`` and ``whole`` map a method key to what is missing of it: regions, pairs
    of (metric key, region), and keys of metrics of the whole map.
    """

    prediction: bool
    stats: tuple[tuple[str, tuple[str, ...]], ...]
    scores: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    whole: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def __bool__(self) -> bool:
        return self.prediction or bool(self.stats) or bool(self.scores) or bool(self.whole)

    @property
    def methods(self) -> tuple[str, ...]:
        """Keys of the methods whose maps are needed."""
        return tuple(dict.fromkeys(key for key, _ in (*self.stats, *self.scores, *self.whole)))


class Coverage:
    """The rows that a results folder holds, as sets to look things up in.

    Parameters
    ----------
    out : Path
    base : str
        Digest of the settings of this run.

    Raises
    ------
    ResultsError
        When a part was made under other settings, or by another version of a method.
    """

    def __init__(self, out: Path, *, base: str, calls: Sequence[MethodCall]) -> None:
        self._calls = calls
        tables = {name: _load(out, name, base) for name in ("predictions", "scores", "map_stats")}
        _refuse_other_versions(out, (tables["scores"], tables["map_stats"]), calls)
        frame = tables["predictions"]
        self._predicted = set(zip(frame["seed"], frame["fold"], frame["sample_id"], strict=True))
        self._stats = _sets(tables["map_stats"], ("seed", "method_id", "region"))
        self._scores = _sets(
            tables["scores"], ("seed", "method_id", "region", "metric_key", "rule_digest")
        )

    def missing(self, resolved: Resolved, *, seed: int, fold: int, sample: str) -> Missing:
        """Return what an image still lacks under a model."""
        nothing: frozenset[str] = frozenset()
        stats, scores, whole = [], [], []
        rules = resolved.rules.digest
        for call in self._calls:
            regions = tuple(
                region
                for region in resolved.regions
                if sample not in self._stats.get((seed, call.key, region), nothing)
            )
            pairs = tuple(
                (metric.key, region)
                for region in resolved.regions
                for metric in resolved.metrics
                if not metric.whole
                and sample
                not in self._scores.get((seed, call.key, region, metric.key, rules), nothing)
            )
            metrics = tuple(
                metric.key
                for metric in resolved.metrics
                if metric.whole
                and sample
                not in self._scores.get((seed, call.key, WHOLE, metric.key, rules), nothing)
            )
            if metrics:
                whole.append((call.key, metrics))
            if regions:
                stats.append((call.key, regions))
            if pairs:
                scores.append((call.key, pairs))
        predicted = (seed, fold, sample) in self._predicted
        return Missing(not predicted, tuple(stats), tuple(scores), tuple(whole))


def _sets(frame: pd.DataFrame, keys: tuple[str, ...]) -> Mapping[Any, frozenset[str]]:
    groups = frame.groupby(list(keys), observed=True)["sample_id"]
    return {key: frozenset(samples) for key, samples in groups}


def _load(out: Path, table: str, base: str) -> pd.DataFrame:
    parts = live_parts(out, table)
    for part in parts:
        if part.base != base:
            raise ResultsError(
                "this part was made under other settings",
                where=part.path,
                fix="give the changed study another --out, or delete this results folder",
            )
    tables = [read_part(part, table) for part in parts]
    frame: pd.DataFrame
    if not tables:
        from xaieval.study.parts import SCHEMAS

        frame = SCHEMAS[table].empty_table().to_pandas()
    else:
        frame = pa.concat_tables(tables).to_pandas()
    return frame


def _refuse_other_versions(
    out: Path, frames: Sequence[pd.DataFrame], calls: Sequence[MethodCall]
) -> None:
    digests = {call.key: call.digest for call in calls}
    for frame in frames:
        pairs = frame[["method_id", "method_digest"]].drop_duplicates()
        for method, found in pairs.itertuples(index=False):
            if digests.get(method, found) != found:
                raise ResultsError(
                    f"results of {method} were made by another version of this method",
                    where=out,
                    fix="give the study another --out, or delete this results folder",
                )
