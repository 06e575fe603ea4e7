"""A results folder, opened for reading: tables through DuckDB, aggregates through ``stats``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
import pyarrow as pa

from xaieval.errors import ResultsError, unknown
from xaieval.sanity.limits import GATE_VERSION
from xaieval.sanity.marks import failures
from xaieval.sanity.report import SanityReport, read_reports
from xaieval.study.config import Study, load_study
from xaieval.study.manifest import MANIFEST, STUDY_FILE, read_manifest
from xaieval.study.parts import WHOLE
from xaieval.study.store import Store, conditions, where_clause

if TYPE_CHECKING:
    from xaieval.datasets import Dataset
    from xaieval.types import Task

Population = Literal["correct", "all"]
OVERALL = "overall"
HISTORY_COLUMNS = (
    "seed",
    "fold",
    "epoch",
    "split",
    "loss_total",
    "loss_ce",
    "loss_mask",
    "balanced_accuracy",
)


class Results:
    """The measured or published results of one study.

    Every table method returns a fresh DataFrame and may be called from any thread.

    Parameters
    ----------
    path : Path
        A folder that ``xaieval run`` or ``xaieval reproduce`` wrote.

    Raises
    ------
    ResultsError
        When it is no results folder, of another schema version, or holds nothing yet.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.manifest: Mapping[str, Any] = read_manifest(self.path)
        self.kind: Literal["measured", "published"] = self.manifest["kind"]
        self.study: Study = load_study(self.path / STUDY_FILE)
        self.title: str = self.manifest.get("title") or self.study.title
        self.note: str = self.manifest.get("note", "")
        self._store = Store(self.path)
        if self.kind == "measured" and "predictions" in self._store.empty:
            raise ResultsError(
                "no results in here yet", where=self.path, fix="run 'xaieval run' to the end"
            )

    @classmethod
    def of_study(cls, study: str) -> Results:
        """Open the results of a study by its id, where ``xaieval run`` puts them by default."""
        found = load_study(study)
        if found.id == "demo":
            return demo_results()
        return cls(default_out(found))

    # ---------------------------------------------------------------- tables

    def query(self, sql: str, values: Sequence[Any] = ()) -> pd.DataFrame:
        """Return what a DuckDB query over ``predictions``, ``scores`` and ``map_stats`` gives.

        Raises
        ------
        ResultsError
            When a part is damaged or has gone since these results were opened.
        """
        return self._store.query(sql, values)

    def arrow(self, sql: str, values: Sequence[Any] = ()) -> pa.Table:
        """Return what ``query`` does as an Arrow table, which is quicker for very many rows."""
        return self._store.arrow(sql, values)

    def predictions(
        self,
        *,
        seed: int | None = None,
        split: str | None = None,
        class_name: str | None = None,
    ) -> pd.DataFrame:
        """Return one row per model and image, columns as in ``parts.SCHEMAS``."""
        where, values = conditions(seed=seed, split=split, **{"class": class_name})
        return self.query(
            f"SELECT * FROM predictions{where} ORDER BY seed, fold, sample_id", values
        )

    def scores(
        self,
        *,
        metric_key: str | None = None,
        method_id: str | None = None,
        seed: int | None = None,
        split: str | None = None,
        class_name: str | None = None,
        sample_id: str | None = None,
        region: str | None = None,
    ) -> pd.DataFrame:
        """Return one row per score, with split, class, fold and correctness of its image beside it.

        Scores under other rules than those of the last run are not shown.
        """
        where, values = self._score_conditions(
            metric_key=metric_key,
            method_id=method_id,
            seed=seed,
            sample_id=sample_id,
            region=region,
            split=split,
            class_name=class_name,
        )
        return self.query(
            'SELECT s.*, p.split, p."class", p.fold, p.correct, p.predicted, p.label '
            "FROM scores s JOIN predictions p USING (sample_id, model_id, seed)"
            f"{where} ORDER BY metric_key, region, method_id, seed, sample_id",
            values,
        )

    def map_stats(
        self,
        *,
        method_id: str | None = None,
        seed: int | None = None,
        sample_id: str | None = None,
        region: str | None = None,
    ) -> pd.DataFrame:
        """Return the sufficient statistics of every map and region."""
        where, values = conditions(
            method_id=method_id, seed=seed, sample_id=sample_id, region=region
        )
        return self.query(
            f"SELECT * FROM map_stats{where} ORDER BY region, method_id, seed, sample_id", values
        )

    def _score_conditions(self, **wanted: Any) -> tuple[str, list[Any]]:
        columns = {
            "seed": "s.seed",
            "sample_id": "s.sample_id",
            "split": "p.split",
            "class_name": 'p."class"',
        }
        named = {columns.get(key, f"s.{key}"): value for key, value in wanted.items()}
        rules = self.manifest.get("rule_digest")
        return where_clause({"s.rule_digest": rules, **named})

    # ---------------------------------------------------------------- what there is

    @property
    def task(self) -> Task:
        """Whether an image has one class ("single"), or attributes ("multilabel")."""
        found: Task = self.manifest.get("task", "single")
        return found

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Training seeds, ascending."""
        if self.kind == "published":
            return tuple(sorted({int(seed) for seed in self._published("accuracy")["seed"]}))
        return tuple(self._store.distinct("predictions", "seed"))

    @cached_property
    def splits(self) -> tuple[str, ...]:
        """Splits that were scored: "train" before "test"."""
        if self.kind == "published":
            found = set(self._published("accuracy")["split"])
        else:
            found = set(self._store.distinct("predictions", "split"))
        return tuple(split for split in ("train", "test") if split in found)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the dataset."""
        return tuple(self.manifest["classes"])

    @cached_property
    def regions(self) -> tuple[str, ...]:
        """Regions that masks mark; the first is the default."""
        named = self.manifest.get("regions", [])
        found = self._store.distinct("scores", "region")
        return tuple(named) or tuple(region for region in found if region != WHOLE)

    def region_of(self, metric: str, region: str | None = None) -> str:
        """Return the region under which a metric's scores are kept; default: the first.

        Scores that need the model are of the whole map, whatever region is asked for.

        Raises
        ------
        ConfigError
            For an unknown metric or region.
        """
        from xaieval.metrics import parse_metric

        if parse_metric(metric).whole:
            return WHOLE
        region = region or self.regions[0]
        if region not in self.regions:
            raise unknown("region of these results", region, self.regions)
        return region

    def named_region(self, metric: str, region: str | None = None) -> str:
        """Return ``region_of`` where there are several regions to tell apart, else ''."""
        if self.kind == "published" or len(self.regions) < 2:
            return ""
        found = self.region_of(metric, region)
        return "" if found == WHOLE else found

    @cached_property
    def metric_keys(self) -> tuple[str, ...]:
        """Metric keys that were scored, in the study's order, then others."""
        if self.kind == "published":
            return tuple(self.manifest["metrics"])
        return _ordered(
            self._store.distinct("scores", "metric_key"), self.manifest.get("metrics", [])
        )

    @cached_property
    def method_ids(self) -> tuple[str, ...]:
        """Method keys that were scored, in the study's order, then others."""
        if self.kind == "published":
            return tuple(self.manifest["methods"])
        return _ordered(
            self._store.distinct("scores", "method_id"), self.manifest.get("methods", [])
        )

    @cached_property
    def compete(self) -> tuple[str, ...]:
        """The methods that share the wins."""
        return tuple(self.manifest["compete"])

    @cached_property
    def sanity(self) -> dict[str, SanityReport]:
        """What the sanity gate said of each model, by the name of its checkpoint.

        Only reports of today's gate on the models of these results; empty when it never ran.
        """
        models = self.manifest.get("models", {})
        return {
            name: report
            for name, report in read_reports(self.path).items()
            if report.version == GATE_VERSION and models.get(name) == report.checkpoint_sha256
        }

    @cached_property
    def sanity_failures(self) -> dict[str, str]:
        """Method key -> why it failed the sanity gate, on which share of the models.

        Verdicts on another version of a method than was scored do not count.
        """
        if not self.sanity:
            return {}
        pairs = self.query("SELECT DISTINCT method_id, method_digest FROM scores")
        scored: dict[str, set[str]] = {}
        for method, found in pairs.itertuples(index=False):
            scored.setdefault(method, set()).add(found)
        failed = failures(self.sanity.values(), scored)
        return {key: failed[key] for key in self.method_ids if key in failed}

    def checkpoints(self) -> list[tuple[int, int, Path]]:
        """Return (seed, fold, checkpoint file) of every model that is there."""
        from xaieval.study.checkpoints import find_checkpoints

        return [] if self.kind == "published" else find_checkpoints(self.path)

    def dataset(self, path: str | Path | None = None) -> Dataset | None:
        """Open what was explained; None for published results.

        Of a multi-label dataset these are the pairs of image and attribute
        (``datasets.AttributePairs``), as in the tables.

        Without ``path``: where the study says, else where the run found it.

        Raises
        ------
        DataError
            When it is not there (any more).
        """
        if self.kind == "published":
            return None
        from xaieval.study.data import explained_data, open_study_data

        found = open_study_data(self.study, path or self.manifest.get("data_path"))
        return explained_data(self.study, found)

    # ---------------------------------------------------------------- aggregates

    def _published(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.path / "published" / f"{name}.parquet")

    def win_rates(
        self,
        metric: str = "topk_overlap",
        *,
        region: str | None = None,
        compete: Sequence[str] | None = None,
        population: Population = "correct",
        tie_rule: Literal["split", "first"] = "split",
        nan: Literal["loses", "complete-case"] = "loses",
    ) -> pd.DataFrame:
        """Return win rates per seed, split, class ("overall": all) and method.

        Parameters
        ----------
        metric : str
            A metric key of these results.
        population : {"correct", "all"}
            Correctly classified images only (as project_iml does), or all. Images whose mask is
            empty or missing never take part.
        tie_rule, nan : see ``stats.win_shares``

        Returns
        -------
        DataFrame
            ``seed, split, class, method_id, win_rate, wins, n, left_out``; for published results
            the counts are NaN, because they were not published, and a tie went to the first
            method, whatever ``tie_rule`` says.

        Raises
        ------
        ConfigError
            For an unknown metric, region or method.
        ResultsError
            When published results are asked for what was not published.
        """
        methods = self._competing(metric, compete)
        if self.kind == "published":
            if set(methods) != set(self.compete) or population != "correct":
                raise ResultsError(
                    "published runs can only be shown as they were published",
                    expected="their own methods, correctly classified images",
                    fix="run the study yourself to change the methods or the population",
                )
            return self._published("win_rates")
        from xaieval.stats import win_rates

        return win_rates(
            self._ranked(metric, region),
            methods=methods,
            tie_rule=tie_rule,
            nan=nan,
            population=population,
        )

    def win_shares(
        self,
        metric: str = "topk_overlap",
        *,
        region: str | None = None,
        compete: Sequence[str] | None = None,
        population: Population = "correct",
        tie_rule: Literal["split", "first"] = "split",
        nan: Literal["loses", "complete-case"] = "loses",
    ) -> pd.DataFrame:
        """Return each competing method's share of the win, image by image.

        Arguments as in ``win_rates``, whose numbers are the means of these; columns as in
        ``stats.win_shares``. Empty for published results, which hold no image.

        Raises
        ------
        ConfigError
            For an unknown metric, region or method.
        """
        methods = self._competing(metric, compete)
        if self.kind == "published":
            columns = ["seed", "split", "class", "sample_id", "method_id", "share"]
            return pd.DataFrame(columns=columns)
        from xaieval.stats import population as keep
        from xaieval.stats import win_shares

        kept = keep(self._ranked(metric, region), kind=population).kept
        return win_shares(kept, methods=methods, tie_rule=tie_rule, nan=nan)

    def _competing(self, metric: str, compete: Sequence[str] | None) -> tuple[str, ...]:
        if metric not in self.metric_keys:
            raise unknown("metric of these results", metric, self.metric_keys)
        methods = tuple(compete) if compete is not None else self.compete
        for method in methods:
            if method not in self.method_ids:
                raise unknown("method of these results", method, self.method_ids)
        return methods

    def _ranked(self, metric: str, region: str | None) -> pd.DataFrame:
        """Return the scores of a metric, turned so that the highest wins."""
        from xaieval.metrics import parse_metric

        better = parse_metric(metric).higher_is_better
        scores = self.scores(metric_key=metric, region=self.region_of(metric, region))
        if better is None:
            raise ResultsError(
                f"{metric} is no quality of a heatmap, so nobody can win by it", where=self.path
            )
        if not better:
            scores["value"] = -scores["value"]
        return scores

    def accuracy(self) -> pd.DataFrame:
        """Return ``seed, split, balanced_accuracy, accuracy, n``; folds are taken together.

        Of a multi-label study ``accuracy`` is the share of the n scored pairs of image and
        attribute whose attribute the network found: its recall, because a pair is an attribute
        that the image has. ``balanced_accuracy``, which also needs the images without the
        attribute, is that of the last epoch over all images of the split and all attributes, as
        the checkpoints' histories say (the mean over folds); NaN without them.
        """
        if self.kind == "published":
            return self._published("accuracy")
        last = self._last_epochs() if self.task == "multilabel" else None
        from xaieval.stats import balanced_accuracy

        frame = self.query("SELECT seed, split, label, predicted FROM predictions")
        rows = [
            {
                "seed": seed,
                "split": split,
                "balanced_accuracy": balanced_accuracy(
                    group["label"].tolist(), group["predicted"].tolist()
                )
                if last is None
                else last.get((seed, split), float("nan")),
                "accuracy": float((group["label"] == group["predicted"]).mean()),
                "n": len(group),
            }
            for split in self.splits
            for seed, group in frame[frame["split"] == split].groupby("seed")
        ]
        return pd.DataFrame(rows)

    def _last_epochs(self) -> dict[tuple[Any, str], float]:
        """(seed, split) -> balanced accuracy after the last epoch, the mean over folds."""
        history = self.history()
        if history.empty:
            return {}
        ends = history.loc[history.groupby(["seed", "fold", "split"])["epoch"].idxmax()]
        means = ends.astype({"balanced_accuracy": float}).groupby(["seed", "split"])
        found = means["balanced_accuracy"].mean().reset_index()
        return {(seed, split): value for seed, split, value in found.itertuples(index=False)}

    def history(self) -> pd.DataFrame:
        """Return the training curves: ``HISTORY_COLUMNS``, one row per seed, fold, epoch, split."""
        if self.kind == "published":
            return self._published("history")
        from xaieval.study.checkpoints import read_history

        frames = [read_history(path, seed, fold) for seed, fold, path in self.checkpoints()]
        if not frames:
            return pd.DataFrame(columns=list(HISTORY_COLUMNS))
        return pd.concat(frames, ignore_index=True)


def _ordered(found: Sequence[str], first: Sequence[str]) -> tuple[str, ...]:
    known = [key for key in first if key in found]
    return (*known, *(key for key in found if key not in known))


def default_out(study: Study) -> Path:
    """Return the folder that results go to when no --out is given: ``results/<id>``."""
    return Path("results") / study.id


def demo_folder() -> Path:
    """Return the folder of the built-in results, inside the package."""
    import importlib.resources

    return Path(str(importlib.resources.files("xaieval_assets"))) / "demo"


def demo_results() -> Results:
    """Open the built-in results.

    Raises
    ------
    ResultsError
        When this installation lacks them.
    """
    folder = demo_folder()
    if not (folder / MANIFEST).is_file():
        raise ResultsError(
            "this installation lacks the built-in results",
            where=folder,
            fix="make them with 'make demo-assets', or install xaieval again",
        )
    return Results(folder)
