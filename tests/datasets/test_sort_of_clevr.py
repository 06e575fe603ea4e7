"""Sort-of-CLEVR: answers and masks against what a reader of the pixels finds."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from xaieval.datasets import Dataset, make_splits, open_dataset
from xaieval.datasets.clevr_questions import ANSWERS, LENGTH, WORDS
from xaieval.datasets.clevr_scene import COLOURS, draw_scene, make_scene
from xaieval.errors import ConfigError, DataError, XaievalError
from xaieval.types import Sample

SIZE = 150


def opened(**options: Any) -> Dataset:
    return open_dataset("sort-of-clevr", options={"n_images": 12, "size": SIZE, **options})


class Seen:
    """What the pixels of a picture show: places and shapes by colour."""

    def __init__(self, picture: np.ndarray) -> None:
        palette = np.array([(250, 250, 250), *COLOURS.values()], float)
        nearest = np.linalg.norm(picture[:, :, None] - palette, axis=3).argmin(2)
        pure = np.linalg.norm(picture - palette[nearest], axis=2) < 3
        self.place: dict[str, np.ndarray] = {}
        self.shape: dict[str, str] = {}
        for number, colour in enumerate(COLOURS, start=1):
            rows, columns = np.nonzero((nearest == number) & pure)
            self.place[colour] = np.array([rows.mean(), columns.mean()]) + 0.5
            box = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
            self.shape[colour] = "square" if len(rows) / box > 0.9 else "circle"

    def read(self, question: str) -> tuple[str, set[str]]:
        """Return answer and the colours it is read from."""
        (colour,) = re.findall("|".join(COLOURS), question)
        y, x = self.place[colour]
        away = {
            other: float(np.linalg.norm(place - self.place[colour]))
            for other, place in self.place.items()
            if other != colour
        }
        if question.startswith("how many"):
            alike = {it for it, shape in self.shape.items() if shape == self.shape[colour]}
            return str(len(alike)), alike
        if "left" in question:
            return "yes" if x < SIZE / 2 else "no", {colour}
        if "top" in question:
            return "yes" if y < SIZE / 2 else "no", {colour}
        if "nearest" in question:
            colour = min(away, key=lambda it: away[it])
        elif "furthest" in question:
            colour = max(away, key=lambda it: away[it])
        return self.shape[colour], {colour}


def colours_in(sample: Sample, region: str, seen: Seen) -> set[str]:
    mask = sample.regions[region]
    return {it for it, (y, x) in seen.place.items() if mask[int(y), int(x)]}


def test_answers_and_masks_are_what_the_pixels_show() -> None:
    dataset = opened(per_image=36)
    assert len(dataset) == 12 * 36
    for sample_id in dataset.ids:
        sample = dataset[sample_id]
        seen, meta = Seen(sample.image.astype(float)), sample.meta
        answer, read = seen.read(meta["question"])
        assert ANSWERS[int(np.asarray(sample.label))] == meta["answer"] == answer, sample_id
        (named,) = re.findall("|".join(COLOURS), meta["question"])
        assert colours_in(sample, "target", seen) == read, sample_id
        assert colours_in(sample, "named", seen) == {named}
        assert colours_in(sample, "all_objects", seen) == set(COLOURS)
        assert meta["relational"] == bool(re.search("nearest|furthest|many", meta["question"]))
    assert len({dataset.class_of(it) for it in dataset.ids}) >= 8


def test_masks_cover_exactly_the_objects() -> None:
    scene = make_scene(3, 0)
    picture, masks = draw_scene(scene, SIZE)
    together = np.sum(list(masks.values()), axis=0)
    assert together.max() == 1
    drawn = (picture != 250).any(2)
    assert not (together.astype(bool) & ~drawn).any()
    for thing in scene:
        side = 2 * 5 / 75 * SIZE
        area = side**2 * (1 if thing.shape == "square" else np.pi / 4)
        assert abs(masks[thing.colour].sum() - area) < 0.06 * area


def test_a_question_is_its_words() -> None:
    dataset = opened(n_images=2, per_image=36)
    questions = {}
    for sample_id in dataset.ids:
        sample = dataset[sample_id]
        assert sample.extra.shape == (LENGTH,)
        assert sample.extra.dtype == np.int64
        words = " ".join(WORDS[number] for number in sample.extra if number)
        assert f"{words}?" == sample.meta["question"]
        questions[words] = questions.get(words, 0) + 1
    assert set(questions.values()) == {2}
    assert WORDS[0] == ""
    assert len(set(WORDS)) == len(WORDS)


@pytest.mark.parametrize("scheme", ["auto", "layout", "stratified", "kfold"])
def test_no_picture_is_in_both_splits(scheme: str) -> None:
    dataset = opened(n_images=10, test_share=0.3)
    assert {len(samples) for samples in dataset.images.values()} == {20}
    plan = make_splits(dataset, scheme=scheme)
    tested: list[str] = []
    for fold in plan.folds:
        train, test = ({it.split("/")[0] for it in ids} for ids in (fold.train, fold.test))
        assert train
        assert test
        assert not train & test
        assert len(fold.train) + len(fold.test) == len(dataset)
        tested += test
    wanted = {"auto": 3, "layout": 3, "stratified": 2, "kfold": 10}[scheme]
    assert len(tested) == len(set(tested)) == wanted
    assert plan.scheme == ("layout" if scheme == "auto" else scheme)


def test_one_picture_cannot_be_divided() -> None:
    dataset = opened(n_images=1, test_share=0)
    with pytest.raises(DataError, match="about one image"):
        make_splits(dataset)
    with pytest.raises(DataError, match="no test image"):
        make_splits(dataset, scheme="layout")
    with pytest.raises(DataError, match="2 to 3"):
        make_splits(opened(n_images=3), scheme="kfold", folds=4)


def test_options_change_the_digest_and_nothing_else_does() -> None:
    first = opened()
    assert first.digest == opened().digest
    assert np.array_equal(first[first.ids[0]].image, opened()[first.ids[0]].image)
    for other in ({"seed": 1}, {"size": 75}, {"questions": "relational"}, {"per_image": 5}):
        assert opened(**other).digest != first.digest
    relational = opened(questions="relational")
    assert all(record.meta["relational"] for record in relational.records)
    assert len(opened(questions="non-relational", per_image=36)) == 12 * 18


@pytest.mark.parametrize(
    "options",
    [
        {"size": 20},
        {"n_images": 0},
        {"n_images": True},
        {"per_image": 37},
        {"questions": "relation"},
        {"test_share": 1.0},
        {"colours": 3},
    ],
)
def test_bad_options_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(XaievalError) as caught:
        opened(**options)
    assert isinstance(caught.value, ConfigError)
    assert next(iter(options)).split("_")[0] in str(caught.value)
