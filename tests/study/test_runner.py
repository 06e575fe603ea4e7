"""Training and running a tiny study: what is computed, what never twice, what is refused."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xaieval.backend import Backend
from xaieval.cache import HeatmapCache
from xaieval.datasets.base import Dataset, Record
from xaieval.errors import Cancelled, ConfigError, DataError, ModelError, ResultsError
from xaieval.study import data as study_data
from xaieval.study import runner, training
from xaieval.study.config import Study, parse_study
from xaieval.study.lock import locked
from xaieval.study.results import Results
from xaieval.study.runner import run_study
from xaieval.study.training import train_study

SIDE = 32
TEXT = """
schema = 1
[study]
id = "tiny"
title = "Tiny"
[data]
name = "in-memory"
split_scheme = "stratified"
[model]
arch = "small-cnn"
input_size = [32, 32]
[train]
seeds = [1, 2]
epochs = 1
batch = 4
[explain]
methods = ["gradcam", "saliency", "sobel"]
[score]
metrics = ["topk_overlap", "area_share"]
[run]
device = "cpu"
chunk = 4
"""


def image(label: int, number: int) -> np.ndarray:
    generator = np.random.default_rng([label, number])
    picture = generator.integers(0, 90, (SIDE, SIDE, 3), dtype=np.uint8)
    if label:
        picture[8:16, 8:20] = 250
    return picture


def mask(label: int) -> np.ndarray:
    found = np.zeros((SIDE, SIDE), bool)
    found[8:16, 8:20] = bool(label)
    return found


def dataset(*, damaged: str = "", unmasked: str = "", extra: int = 0) -> Dataset:
    """Return images of two classes; the first has an empty mask."""
    records = []
    for label, name in enumerate(("good", "spot")):
        for number in range(8 + extra):
            sample = f"{name}/{number}"

            def read(label: int = label, number: int = number, sample: str = sample) -> Any:
                if sample == damaged:
                    raise DataError("truncated picture", where=f"{sample}.png")
                return image(label, number)

            def regions(label: int = label, sample: str = sample) -> Any:
                return {} if sample == unmasked else {"spot": mask(label)}

            records.append(Record(sample, label, None, bool(label), read, regions))
    return Dataset(
        name="in-memory",
        root=None,
        class_names=("good", "spot"),
        region_names=("spot",),
        records=records,
        fingerprint=lambda: extra,
    )


class Counting:
    """A backend that counts what it is asked for, and what is really computed."""

    def __init__(self, folder: Path, *, stop_after: int | None = None) -> None:
        self.inner = Backend("cpu", cache=HeatmapCache(folder=folder))
        self.asked: list[tuple[str, ...]] = []
        self.stop_after = stop_after
        self.called = 0

    def explain_many(self, checkpoint: Path, samples: Sequence[Any], **options: Any) -> list[Any]:
        if self.stop_after is not None and len(self.asked) >= self.stop_after:
            raise KeyboardInterrupt
        answers = self.inner.explain_many(checkpoint, samples, **options)
        self.asked.append(tuple(call.key for call in options["methods"]))
        return answers

    def call(self, *arguments: Any, **options: Any) -> Any:
        self.called += 1
        return self.inner.call(*arguments, **options)

    @property
    def computed(self) -> int:
        return int(self.inner.status()["maps_computed"])


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Callable[..., Counting]]:
    made: list[Counting] = []

    def make(**options: Any) -> Counting:
        made.append(Counting(tmp_path / "cache", **options))
        return made[-1]

    yield make
    for one in made:
        one.inner.close()


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Dataset], None]:
    """Return a function that puts a dataset where studies look for theirs."""

    def put(found: Dataset) -> None:
        for module in (training, runner, study_data):
            monkeypatch.setattr(module, "open_study_data", lambda *_, **__: found)

    put(dataset())
    return put


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the two trained models of the study."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "open_study_data", lambda *_, **__: dataset())
        train_study(parse_study(TEXT), out=folder)
    return folder


@pytest.fixture
def out(trained: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(trained, tmp_path / "out"))


def study(**tables: dict[str, Any]) -> Study:
    base = parse_study(TEXT)
    changed = {k: dataclasses.replace(getattr(base, k), **v) for k, v in tables.items()}
    return dataclasses.replace(base, **changed)


def contents(out: Path) -> dict[str, bytes]:
    return {p.relative_to(out).as_posix(): p.read_bytes() for p in out.glob("*/*.parquet")}


# -------------------------------------------------------------------------------- training


def test_training_keeps_what_is_finished(out: Path, use: Any, monkeypatch: pytest.MonkeyPatch):
    before = {
        p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in (out / "checkpoints").iterdir()
    }
    assert set(before) == {f"seed-{s}.{e}" for s in (1, 2) for e in ("json", "safetensors")}
    monkeypatch.setattr("xaieval.models.train", None)  # would fail if anything were trained
    paths = train_study(study(), out=out)
    assert [path.stem for path in paths] == ["seed-1", "seed-2"]
    after = {
        p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in (out / "checkpoints").iterdir()
    }
    assert after == before


def test_a_later_stage_asks_for_no_new_training(out: Path, use: Any):
    before = contents(out)
    other = study(
        explain={"methods": ("saliency",), "target": "label"}, score={"metrics": ("auroc",)}
    )
    assert len(train_study(other, out=out)) == 2
    assert contents(out) == before


def test_other_settings_are_refused_before_any_training(out: Path, use: Any):
    with pytest.raises(
        ModelError, match=r"seed-1.safetensors.*other settings \(lr 0.001 instead of 0.01\)"
    ):
        train_study(study(train={"lr": 0.01}), out=out)
    with pytest.raises(ModelError, match=r"beta 1.0 instead of 0.0"):
        run_study(study(train={"beta": 0.0}), out=out)
    use(dataset(extra=1))
    with pytest.raises(ModelError, match=r"images .* instead of"):
        train_study(study(), out=out)


def test_misspelt_ids_are_found_before_any_training(tmp_path: Path, use: Any):
    with pytest.raises(ConfigError, match="Did you mean 'topk_overlap'"):
        train_study(study(score={"metrics": ("topk_overlp",)}), out=tmp_path / "new")
    with pytest.raises(ConfigError, match=r"\[explain\] upsampling.*Did you mean 'aligned'"):
        train_study(study(explain={"upsampling": "alinged"}), out=tmp_path / "new")
    with pytest.raises(ConfigError, match="no such seed"):
        train_study(study(), out=tmp_path / "new", seeds=[7])
    assert not (tmp_path / "new").exists()


def test_encoder_weights_are_asked_for(tmp_path: Path, use: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NO_SUCH_WEIGHTS", raising=False)
    named = study(model={"encoder_weights": "$NO_SUCH_WEIGHTS"})
    with pytest.raises(ConfigError, match=r"NO_SUCH_WEIGHTS.*--encoder-weights FILE"):
        train_study(named, out=tmp_path / "new")
    with pytest.raises(ModelError, match="no such file of encoder weights"):
        train_study(named, out=tmp_path / "new", weights=tmp_path / "none.safetensors")


# --------------------------------------------------------------------------------- running


def test_a_run_end_to_end(out: Path, use: Any, backend: Any):
    results = run_study(study(), out=out, backend=backend(), command=["xaieval", "run"])
    predictions = results.predictions()
    assert len(predictions) == 2 * 16
    assert set(predictions["split"]) == {"train", "test"}
    assert (predictions.groupby(["seed", "split"]).size().unstack()["test"] == 4).all()
    assert len(results.scores()) == 2 * 16 * 3 * 2
    assert len(results.map_stats()) == 2 * 16 * 3
    good = results.scores(class_name="good", metric_key="topk_overlap")
    assert set(good["reason"]) == {"empty-mask"}
    assert good["value"].isna().all()
    spot = results.scores(class_name="spot", metric_key="area_share")
    assert set(spot["value"]) == {8 * 12 / SIDE**2}
    assert results.compete == ("gradcam", "saliency")
    assert results.method_ids == ("gradcam", "saliency", "sobel")
    assert [c[:2] for c in results.checkpoints()] == [(1, 0), (2, 0)]
    assert len(results.history()) == 2 * 2
    manifest = results.manifest
    assert (manifest["status"], manifest["kind"]) == ("finished", "measured")
    assert manifest["command"] == ["xaieval", "run"]
    assert manifest["problems"] == []
    assert {"torch", "xaieval"} <= set(manifest["versions"])
    stats = results.map_stats(method_id="saliency", sample_id="spot/1", seed=1)
    value = results.scores(
        metric_key="topk_overlap", method_id="saliency", sample_id="spot/1", seed=1
    )["value"].iloc[0]
    assert stats["hits"].iloc[0] / stats["k"].iloc[0] == pytest.approx(value, abs=1e-12)
    assert len(list((out / "scores").iterdir())) == 1


def test_twice_computes_nothing_twice(out: Path, use: Any, backend: Any):
    run_study(study(), out=out, backend=backend())
    before = contents(out)
    again = backend()
    run_study(study(), out=out, backend=again)
    assert again.asked == []
    assert contents(out) == before


def test_two_runs_give_identical_files(trained: Path, tmp_path: Path, use: Any):
    import shutil

    found = []
    for name, chunk in (("a", 4), ("b", 7)):
        folder = Path(shutil.copytree(trained, tmp_path / name))
        counting = Counting(tmp_path / f"cache-{name}")
        try:
            run_study(study(run={"chunk": chunk}), out=folder, backend=counting)
        finally:
            counting.inner.close()
        found.append(contents(folder))
    assert found[0] == found[1]


def test_a_killed_run_goes_on_and_loses_nothing(
    trained: Path, out: Path, tmp_path: Path, use: Any, backend: Any
):
    import shutil

    whole = Path(shutil.copytree(trained, tmp_path / "whole"))
    run_study(study(), out=whole, backend=backend())
    with pytest.raises(KeyboardInterrupt):
        run_study(study(), out=out, backend=backend(stop_after=3))
    assert json.loads((out / "manifest.json").read_text())["status"] == "running"
    assert len(Results(out).predictions()) == 3 * 4
    rest = backend()
    run_study(study(), out=out, backend=rest)
    assert len(rest.asked) == 2 * 4 - 3
    assert contents(out) == contents(whole)
    assert json.loads((out / "manifest.json").read_text())["status"] == "finished"


def test_cancelled_by_whoever_watches(out: Path, use: Any, backend: Any):
    def stop(progress: Any) -> None:
        if progress.done >= 8:
            raise Cancelled

    with pytest.raises(Cancelled):
        run_study(study(), out=out, backend=backend(), report=stop)
    assert len(Results(out).predictions()) == 8


def test_a_new_metric_is_scored_from_kept_maps(out: Path, use: Any, backend: Any):
    run_study(study(), out=out, backend=backend())
    old = Results(out).scores()
    more = backend()
    wider = study(score={"metrics": ("topk_overlap", "area_share", "auroc")})
    results = run_study(wider, out=out, backend=more)
    assert more.inner.status()["cache"].disk_hits > 0
    assert more.computed == 2 * 16  # sobel only: it costs less than looking it up
    assert results.metric_keys == ("topk_overlap", "area_share", "auroc")
    new = results.scores()
    assert len(new) == len(old) * 3 // 2
    kept = new[new["metric_key"] != "auroc"].reset_index(drop=True)
    assert kept.equals(old.astype(kept.dtypes))


def test_a_new_method_is_the_only_one_explained(out: Path, use: Any, backend: Any):
    run_study(study(), out=out, backend=backend())
    more = backend()
    wider = study(explain={"methods": ("gradcam", "saliency", "sobel", "gradient_x_input")})
    results = run_study(wider, out=out, backend=more)
    assert set(more.asked) == {("gradient_x_input",)}
    assert results.method_ids[-1] == "gradient_x_input"
    assert len(results.scores(method_id="gradient_x_input")) == 2 * 16 * 2


FAITHFUL = ("deletion@steps=5", "falsification_margin@k=3", "max_sensitivity@n=2")


def test_scores_that_ask_the_model(out: Path, use: Any, backend: Any):
    run_study(study(), out=out, backend=backend())
    old = Results(out).scores()
    more = backend()
    wider = study(score={"metrics": ("topk_overlap", "area_share", *FAITHFUL)})
    results = run_study(wider, out=out, backend=more)
    assert more.called == 2 * 4 * 3  # seeds, chunks of four images, methods
    new = results.scores()
    assert len(new) == len(old) + 2 * 16 * 3 * 3
    assert results.regions == ("spot",)
    asked = new[new["metric_key"].isin(FAITHFUL)]
    assert set(asked["region"]) == {"whole"}
    assert set(new[~new["metric_key"].isin(FAITHFUL)]["region"]) == {"spot"}
    # An image without a mask (class "good") is scored as any other.
    assert asked["value"].notna().all()
    sobel = asked[(asked["method_id"] == "sobel") & (asked["metric_key"] == FAITHFUL[2])]
    assert (sobel["value"] > 0).all()
    rates = results.win_rates(FAITHFUL[0], population="all")
    assert (rates.groupby(["seed", "split", "class"])["win_rate"].sum().round(9) == 1).all()
    best = asked[asked["metric_key"] == FAITHFUL[0]].pivot_table(
        index=["seed", "sample_id"], columns="method_id", values="value"
    )[["gradcam", "saliency"]]
    overall = rates[(rates["class"] == "overall")].groupby("method_id")["wins"].sum()
    lower = (best["gradcam"] < best["saliency"]) + 0.5 * (best["gradcam"] == best["saliency"])
    assert overall["gradcam"] == pytest.approx(lower.sum())  # a low deletion score is a good one
    again = backend()
    run_study(wider, out=out, backend=again)
    assert (again.asked, again.called) == ([], 0)


def test_the_model_is_asked_the_same_whatever_the_chunks(
    trained: Path, tmp_path: Path, use: Any, backend: Any
):
    import shutil

    found = []
    for name, chunk in (("a", 4), ("b", 11)):
        folder = Path(shutil.copytree(trained, tmp_path / name))
        one = study(score={"metrics": FAITHFUL[:2]}, run={"chunk": chunk})
        run_study(one, out=folder, backend=backend())
        found.append(contents(folder))
    assert found[0] == found[1]


def test_other_rules_stand_beside_the_old(out: Path, use: Any, backend: Any):
    run_study(study(), out=out, backend=backend())
    count = len(Results(out).scores())
    other = study(score={"rules": {"ties": "favourable"}})
    results = run_study(other, out=out, backend=backend())
    assert len(results.scores()) == count
    assert len(results.query("SELECT DISTINCT rule_digest FROM scores")) == 2


def test_stale_settings_are_refused(out: Path, use: Any, backend: Any):
    run_study(study(), out=out, backend=backend())
    with pytest.raises(ResultsError, match=r"target predicted instead of label.*another --out"):
        run_study(study(explain={"target": "label"}), out=out, backend=backend())
    (out / "manifest.json").unlink()
    with pytest.raises(ResultsError, match="made under other settings"):
        run_study(study(explain={"target": "label"}), out=out, backend=backend())


def test_models_trained_anew_are_refused(out: Path, use: Any, backend: Any):
    run_study(study(), out=out, backend=backend())
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["models"]["seed-1"] = "0" * 64
    (out / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ResultsError, match="seed-1 was trained anew"):
        run_study(study(), out=out, backend=backend())


def test_untrained_seeds_are_named(out: Path, use: Any, backend: Any):
    (out / "checkpoints" / "seed-2.safetensors").unlink()
    with pytest.raises(ModelError, match=r"1 of 2 models are not trained yet \(seed-2\)"):
        run_study(study(), out=out, backend=backend())
    results = run_study(study(), out=out, seeds=[1], backend=backend())
    assert results.seeds == (1,)


def test_a_second_writer_is_kept_out(out: Path, use: Any, backend: Any):
    with locked(out), pytest.raises(ResultsError, match="another run is writing"):
        run_study(study(), out=out, backend=backend())
    run_study(study(), out=out, backend=backend())
    assert not (out / ".lock").exists()


def test_one_faulty_image_never_stops_a_run(out: Path, use: Any, backend: Any):
    use(dataset(damaged="spot/3"))
    results = run_study(study(), out=out, backend=backend())
    assert len(results.predictions()) == 2 * 15
    problems = results.manifest["problems"]
    assert len(problems) == 1
    assert problems[0]["sample_id"] == "spot/3"
    assert "truncated picture" in problems[0]["what"]
    with pytest.raises(DataError, match=r"spot/3.png: truncated picture"):
        run_study(study(), out=out, strict=True, backend=backend())


def test_images_without_masks_say_so(out: Path, use: Any, backend: Any):
    use(dataset(unmasked="spot/3"))
    results = run_study(study(), out=out, backend=backend())
    scores = results.scores(sample_id="spot/3")
    assert len(scores) == 2 * 3 * 2
    assert set(scores["reason"]) == {"no-ground-truth"}
    assert results.map_stats(sample_id="spot/3")["k"].isna().all()


def test_folds_score_every_image_once_out_of_fold(tmp_path: Path, use: Any, backend: Any):
    folded = study(
        data={"split_scheme": "kfold", "folds": 4},
        train={"seeds": (1,)},
        explain={"methods": ("saliency",)},
    )
    paths = train_study(folded, out=tmp_path / "folds")
    assert [p.stem for p in paths] == [f"seed-1-fold-{i}" for i in range(4)]
    results = run_study(folded, out=tmp_path / "folds", backend=backend())
    predictions = results.predictions()
    assert sorted(predictions["sample_id"]) == sorted(dataset().ids)
    assert set(predictions["split"]) == {"test"}
    assert sorted(set(predictions["fold"])) == [0, 1, 2, 3]


def test_filters_choose_what_is_explained(out: Path, use: Any, backend: Any):
    from xaieval.study.settings import Filters

    some = study(data={"filters": Filters(classes=("spot",), per_class=2)})
    results = run_study(some, out=out, backend=backend())
    counts = results.predictions().groupby(["seed", "split", "class"]).size()
    assert counts.tolist() == [2, 2, 2, 2]
    assert set(results.predictions()["class"]) == {"spot"}
    wider = run_study(study(), out=out, backend=backend())
    assert len(wider.predictions()) == 2 * 16
    with pytest.raises(ConfigError, match="unknown class 'spott'"):
        run_study(study(data={"filters": Filters(classes=("spott",))}), out=out, backend=backend())
