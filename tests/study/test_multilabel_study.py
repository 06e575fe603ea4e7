"""A study of images with several labels: trained on images, explained and scored as pairs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xaieval.backend import Backend
from xaieval.cache import HeatmapCache
from xaieval.datasets import AttributePairs, Dataset, Record
from xaieval.errors import ConfigError
from xaieval.jobs import Request
from xaieval.methods import resolve_methods
from xaieval.models import load_checkpoint, read_card
from xaieval.sanity.report import read_reports
from xaieval.study import data as study_data
from xaieval.study import gate, results, runner, training
from xaieval.study.config import Study, parse_study
from xaieval.study.results import Results
from xaieval.study.runner import run_study
from xaieval.study.training import train_study

SIDE = 32
NAMES = ("Red", "Green", "Never")
TEXT = """
schema = 1
[study]
id = "corners"
title = "Corners"
[data]
name = "in-memory"
[model]
arch = "small-cnn"
input_size = [32, 32]
decoder = false
[train]
seeds = [1]
epochs = 12
batch = 8
lr = 3e-3
beta = 0.0
augment = "none"
[explain]
methods = ["gradcam", "saliency", "random"]
target = "label"
[score]
metrics = ["topk_overlap", "mass_accuracy", "deletion@steps=4", "falsification@k=2"]
regions = ["red", "green"]
[run]
device = "cpu"
chunk = 4
"""
READ: list[str] = []


def corners(n: int = 24) -> Dataset:
    """Return noise with a red square, a green one, both, or neither."""
    records = []
    for number in range(n):
        name = f"{number:03d}"
        label = np.array([number % 2 == 0, number % 3 == 0, False])
        red, green = np.zeros((SIDE, SIDE), bool), np.zeros((SIDE, SIDE), bool)
        red[2:12, 2:12], green[20:30, 20:30] = True, True

        def image(number: int = number, label: Any = label, name: str = name) -> Any:
            READ.append(name)
            found = np.random.default_rng(number).integers(90, 160, (SIDE, SIDE, 3), np.uint8)
            for box, colour, there in (
                ((slice(2, 12),) * 2, (230, 30, 30), label[0]),
                ((slice(20, 30),) * 2, (30, 230, 30), label[1]),
            ):
                if there:
                    found[box] = colour
            return found

        def regions(red: Any = red, green: Any = green) -> Mapping[str, Any]:
            return {"red": red, "green": green}

        records.append(Record(name, label, None, True, image, regions))
    return Dataset(
        name="in-memory",
        root=None,
        class_names=NAMES,
        region_names=("red", "green"),
        records=records,
        fingerprint=lambda: n,
        task="multilabel",
    )


def study(**changes: Any) -> Study:
    return dataclasses.replace(parse_study(TEXT), **changes)


@pytest.fixture(scope="module")
def use() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in (training, runner, gate, study_data):
            patch.setattr(module, "open_study_data", lambda *_, **__: corners())
        yield


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    made = Backend("cpu", cache=HeatmapCache(folder=tmp_path_factory.mktemp("cache")))
    yield made
    made.close()


@pytest.fixture(scope="module")
def folder(use: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("corners")
    train_study(study(), out=out)
    return out


@pytest.fixture(scope="module")
def found(folder: Path, backend: Backend) -> Results:
    return run_study(study(), out=folder, backend=backend)


def test_the_checkpoint_knows_its_task(folder: Path) -> None:
    card = read_card(folder / "checkpoints" / "seed-1.safetensors")
    assert card.task == "multilabel"
    assert card.n_train + card.n_test == 24


def test_predictions_are_of_pairs(found: Results) -> None:
    frame = found.predictions()
    pairs = AttributePairs(corners())
    assert sorted(frame["sample_id"]) == list(pairs.ids)
    assert set(frame["class"]) == {"Red", "Green"}
    assert (frame["target"] == frame["label"]).all()
    assert set(frame["target_kind"]) == {"label"}
    model = load_checkpoint(found.checkpoints()[0][2])
    assert model.preprocessing is not None
    for row in frame.itertuples():
        picture = model.preprocessing.picture(pairs[row.sample_id].image)
        logits = model.logits(model.preprocessing.tensor(picture[None]))[0].numpy()
        p = 1 / (1 + np.exp(-logits[row.label]))
        assert row.predicted == (row.label if p >= 0.5 else -1)
        assert row.correct == (p >= 0.5)
        assert row.confidence == pytest.approx(max(p, 1 - p), abs=1e-4)


def test_the_pairs_of_an_image_share_its_role(found: Results) -> None:
    frame = found.predictions()
    frame["image"] = frame["sample_id"].str.rpartition("@")[0]
    assert (frame.groupby("image")["split"].nunique() == 1).all()
    assert set(frame["split"]) == {"train", "test"}


def test_every_pair_has_every_score(found: Results) -> None:
    frame = found.scores()
    n = len(found.predictions())
    counts = frame.groupby(["metric_key", "region", "method_id"]).size()
    assert (counts == n).all()
    assert set(frame["metric_key"]) == set(found.metric_keys)
    assert frame.loc[frame["metric_key"] == "deletion@steps=4", "value"].between(0, 1).all()
    # What decides is known here, so gradients find it more than chance does.
    best = frame[(frame["metric_key"] == "mass_accuracy") & (frame["method_id"] == "saliency")]
    own = best[best["region"] == best["class"].str.lower()]["value"].mean()
    assert own > 100 / SIDE**2


def test_accuracy_is_recall_of_pairs_and_the_history_of_all_images(found: Results) -> None:
    frame, history = found.predictions(), found.history()
    last = history[history["epoch"] == 12].set_index("split")["balanced_accuracy"]
    for row in found.accuracy().itertuples():
        of = frame[frame["split"] == row.split]
        assert row.n == len(of)
        assert row.accuracy == pytest.approx(of["correct"].mean())
        assert row.balanced_accuracy == pytest.approx(last[row.split])


def test_results_open_the_pairs_and_their_splits(found: Results) -> None:
    dataset = found.dataset()
    assert isinstance(dataset, AttributePairs)
    assert found.task == "multilabel"
    plan = study_data.study_splits(found.study, dataset)
    frame = found.predictions()
    for row in frame.itertuples():
        assert plan.role(0, row.sample_id) == row.split


def test_a_second_run_does_nothing_and_more_attributes_are_added(
    folder: Path, use: None, backend: Backend, tmp_path: Path
) -> None:
    import shutil

    out = tmp_path / "out"
    shutil.copytree(folder / "checkpoints", out / "checkpoints")
    green = study(data=dataclasses.replace(study().data, attributes=("Green",)))
    first = run_study(green, out=out, backend=backend)
    assert set(first.predictions()["class"]) == {"Green"}
    both = run_study(study(), out=out, backend=backend)
    assert set(both.predictions()["class"]) == {"Red", "Green"}
    before = backend.status()["maps_computed"]
    run_study(study(), out=out, backend=backend)
    assert backend.status()["maps_computed"] == before


def test_the_filter_counts_images_of_each_attribute(use: None) -> None:
    filters = dataclasses.replace(study().data.filters, per_class=2)
    few = study(data=dataclasses.replace(study().data, filters=filters))
    dataset = study_data.explained_data(few, corners())
    (population,) = study_data.populations(few, dataset, study_data.study_splits(few, dataset))
    counts: dict[tuple[str, str], int] = {}
    for pair, role in population.roles.items():
        key = role, pair.rpartition("@")[2]
        counts[key] = counts.get(key, 0) + 1
    assert set(counts.values()) == {2}


def test_the_filter_of_images_keeps_their_pairs_together(use: None) -> None:
    def explained(images: int | None) -> set[str]:
        filters = dataclasses.replace(study().data.filters, images=images)
        some = study(data=dataclasses.replace(study().data, filters=filters))
        dataset = study_data.explained_data(some, corners())
        plan = study_data.study_splits(some, dataset)
        (population,) = study_data.populations(some, dataset, plan)
        return set(population.roles)

    whole, three, two = explained(None), explained(3), explained(2)
    assert two < three < whole
    for few in (two, three):
        images = {pair.rpartition("@")[0] for pair in few}
        assert few == {pair for pair in whole if pair.rpartition("@")[0] in images}


def test_an_image_is_read_once_for_its_pairs(
    folder: Path, use: None, backend: Backend, tmp_path: Path
) -> None:
    import shutil

    out = tmp_path / "out"
    shutil.copytree(folder / "checkpoints", out / "checkpoints")
    READ.clear()
    once = dataclasses.replace(study().run, chunk=100)
    scored = run_study(study(run=once), out=out, backend=backend)
    images = {pair.rpartition("@")[0] for pair in scored.predictions()["sample_id"]}
    assert sorted(READ) == sorted(images)


def test_the_gate_takes_pairs(folder: Path, use: None) -> None:
    gate.gate_study(study(), out=folder, methods=["saliency"], device="cpu")
    (report,) = read_reports(folder).values()
    assert all("@" in image for image in report.images)


def test_settings_that_make_no_sense(use: None, tmp_path: Path) -> None:
    one = study(explain=dataclasses.replace(study().explain, target=1))
    with pytest.raises(ConfigError, match=r"explain their own attribute.*'Green'"):
        train_study(one, out=tmp_path)
    wrong = study(data=dataclasses.replace(study().data, attributes=("Gren",)))
    with pytest.raises(ConfigError, match="Did you mean 'Green'"):
        train_study(wrong, out=tmp_path)
    plain = Dataset(
        name="plain",
        root=None,
        class_names=("a", "b"),
        region_names=(),
        records=[Record("x", 0, None, False, lambda: np.zeros((4, 4, 3), np.uint8))],
        fingerprint=lambda: 0,
    )
    asked = study(data=dataclasses.replace(study().data, attributes=("Green",)))
    with pytest.raises(ConfigError, match="classes, not attributes"):
        study_data.explained_data(asked, plain)


def test_what_is_asked_of_the_backend_by_hand(found: Results, backend: Backend) -> None:
    """Without a label the surest attribute is explained; of a pair, its own."""
    checkpoint = found.checkpoints()[0][2]
    calls = resolve_methods(["saliency"])
    image = corners()["000"]
    answer = backend.explain(Request(checkpoint, image, calls))
    assert answer.target == int(answer.logits.argmax())
    np.testing.assert_allclose(answer.probabilities, 1 / (1 + np.exp(-answer.logits)))
    assert answer.predicted in (answer.target, -1)
    pairs = AttributePairs(corners())
    for pair in ("000@Red", "000@Green"):
        answer = backend.explain(Request(checkpoint, pairs[pair], calls))
        assert answer.target == pairs.label_of(pair) == answer.asked
        never = backend.explain(Request(checkpoint, pairs[pair], calls, target=2))
        assert (never.target, never.predicted) == (2, answer.predicted)
        assert answer.predicted_name.removeprefix("not ") == pairs.class_of(pair)
        assert answer.confidence >= 0.5
    assert results.Results(found.path).classes == NAMES
