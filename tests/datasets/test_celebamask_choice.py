"""Biased training sets, balanced tests, the first N: chosen by digest, at the counts asked for."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xaieval.datasets.face_choice import Face, _counts, _most, choose
from xaieval.datasets.face_options import OPTIONS, FaceOptions
from xaieval.errors import ConfigError, DataError

NAMES = ("A", "B", "C")
N = 1000
KEYS = [f"{n}.jpg" for n in range(N)]
VALUES = np.random.default_rng(0).random((N, 3)) < (0.5, 0.3, 0.1)
OFFICIAL = [("test" if n % 4 == 3 else "val" if n % 4 == 2 else "train") for n in range(N)]


def drawn(
    keys: list[str] = KEYS, values: Any = VALUES, official: Any = OFFICIAL, **options: Any
) -> list[Face]:
    wanted = FaceOptions.of({**OPTIONS, **options}, "here")
    _, faces = choose(
        keys, options=wanted, names=NAMES, values=values, official=official, where="here"
    )
    return faces


def groups(faces: list[Face], *, test: bool) -> Counter[str]:
    return Counter(face.group or "" for face in faces if (face.split == "test") == test)


@pytest.mark.parametrize("rate", [0.5, 0.8, 0.95, 1.0])
def test_a_biased_training_set_agrees_at_the_rate(rate: float) -> None:
    faces = drawn(attribute="A", bias="B", bias_rate=rate)
    train = groups(faces, test=False)
    n = sum(train.values())
    agree = train["A|B"] + train["not A|not B"]
    assert abs(agree - rate * n) <= 0.5
    assert abs(train["A|B"] + train["A|not B"] - n / 2) <= 1  # each attribute in half of them
    assert abs(train["A|B"] + train["not A|B"] - n / 2) <= 1
    there = Counter((a, b) for a, b in VALUES[[k for k in range(N) if k % 4 != 3]][:, :2].tolist())
    names = {"A|B": (True, True), "A|not B": (True, False), "not A|B": (False, True)}
    full = [train[name] >= there[key] - 1 for name, key in names.items()]
    assert any(full)  # no larger set would do
    for face in faces:
        a, b = VALUES[face.place, :2]
        assert face.group == f"{'' if a else 'not '}A|{'' if b else 'not '}B"
        assert face.label == a


def test_the_test_images_do_not_depend_on_the_rate() -> None:
    first, second = (drawn(attribute="A", bias="B", bias_rate=rate) for rate in (0.5, 0.99))
    tests = [{face.place for face in faces if face.split == "test"} for faces in (first, second)]
    assert tests[0] == tests[1]
    assert len(set(groups(first, test=True).values())) == 1  # as many of each group
    everything = [place for place in range(N) if OFFICIAL[place] == "test"]
    rarest = min(Counter(map(tuple, VALUES[everything][:, :2].tolist())).values())
    assert groups(first, test=True)["A|B"] == rarest


def test_samples_of_a_biased_set_stay_even_and_nested() -> None:
    few = drawn(attribute="A", bias="B", bias_rate=0.9, samples=8, train_samples=100)
    assert set(groups(few, test=True).values()) == {2}
    assert groups(few, test=False) == {"A|B": 45, "not A|not B": 45, "A|not B": 5, "not A|B": 5}
    more = drawn(attribute="A", bias="B", bias_rate=0.9, samples=16, train_samples=100)
    assert {face.place for face in few} < {face.place for face in more}


def test_more_training_images_than_there_are_is_an_error() -> None:
    with pytest.raises(DataError, match="at most"):
        drawn(attribute="A", bias="B", bias_rate=0.9, train_samples=900)
    alike = VALUES.copy()
    alike[:, 1] = alike[:, 0]
    with pytest.raises(DataError, match="no training set"):
        drawn(values=alike, attribute="A", bias="B", bias_rate=0.9)
    assert len(groups(drawn(values=alike, attribute="A", bias="B", bias_rate=1.0), test=True)) == 2


def test_only_images_with_exactly_one_of_some_attributes() -> None:
    faces = drawn(attribute="A", among=["B", "C"])
    assert {face.place for face in faces} == set(np.flatnonzero(VALUES[:, 1] != VALUES[:, 2]))
    with pytest.raises(ConfigError, match="among"):
        drawn(attribute="A", among="B")
    with pytest.raises(ConfigError, match="unknown attribute"):
        drawn(attribute="A", among=["B", "D"])
    with pytest.raises(DataError, match="exactly one"):
        drawn(values=np.zeros((N, 3), np.bool_), among=["B"])


def test_choices_follow_the_names_not_the_places() -> None:
    order = np.random.default_rng(1).permutation(N)
    options: dict[str, Any] = {"attribute": "A", "bias": "B", "samples": 20, "train_samples": 50}
    straight = {KEYS[face.place] for face in drawn(**options)}
    shuffled = drawn(
        [KEYS[k] for k in order], VALUES[order], [OFFICIAL[k] for k in order], **options
    )
    assert {KEYS[order[face.place]] for face in shuffled} == straight
    assert {KEYS[face.place] for face in drawn(**options, split_seed=1)} != straight


def test_an_image_without_an_official_split_trains() -> None:
    faces = drawn(official=[None, *OFFICIAL[1:3], None, *OFFICIAL[4:]])
    assert [face.split for face in faces][:5] == ["train", "train", "val", "train", "train"]


@given(
    sizes=st.lists(st.integers(0, 60), min_size=4, max_size=4),
    rate=st.floats(0.5, 1.0),
)
def test_the_largest_set_is_the_largest(sizes: list[int], rate: float) -> None:
    n = _most(sizes, rate)

    def fits(m: int) -> bool:
        return all(k <= size for k, size in zip(_counts(m, rate), sizes, strict=True))

    assert fits(n)
    assert sum(_counts(n, rate)) == n
    assert n >= max((m for m in range(sum(sizes) + 1) if fits(m)), default=0) - 2
