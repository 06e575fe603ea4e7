"""Decoy MNIST: IDX files, drawn digits, what the block may and may not tell."""

from __future__ import annotations

import gzip
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xaieval.datasets import check, detect_layout, make_splits, open_dataset
from xaieval.datasets.decoy_mnist import COLOURS, CORNERS, block
from xaieval.datasets.digits import GLYPHS, draw_digit
from xaieval.datasets.idx import read_idx
from xaieval.errors import ConfigError, DataError


def idx(path: Path, values: np.ndarray, *, type_code: int = 8) -> Path:
    """Write an IDX file byte by byte as its description says; gzipped where the name says so."""
    data = bytes((0, 0, type_code, values.ndim))
    data += b"".join(struct.pack(">I", size) for size in values.shape) + values.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def mnist(root: Path, *, parts: dict[str, int], gz: bool = True) -> Path:
    """Write so many random digits of each part; pixels below 100 are ground."""
    for part, count in parts.items():
        random = np.random.default_rng(count)
        pictures = random.integers(0, 256, (count, 28, 28), np.uint8)
        pictures[pictures < 100] = 0
        end = ".gz" if gz else ""
        idx(root / f"{part}-images-idx3-ubyte{end}", pictures)
        idx(root / f"{part}-labels-idx1-ubyte{end}", (np.arange(count) % 10).astype(np.uint8))
    return root


@pytest.fixture
def folder(tmp_path):
    return mnist(tmp_path, parts={"train": 60, "t10k": 40})


def condition(dataset, name):
    return [i for i in dataset.ids if i.startswith(name)]


def test_idx_by_hand(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(bytes.fromhex("000008020000000200000003") + bytes(range(6)))
    assert read_idx(path, axes=2).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_both_pairs_of_files(folder):
    dataset = open_dataset("decoy-mnist", folder)
    assert len(condition(dataset, "train")) == 60
    assert [len(condition(dataset, c)) for c in ("uncorrelated", "correlated")] == [40, 40]
    assert dataset.class_names == tuple("0123456789")
    assert dataset.region_names == ("digit", "block")
    sample = dataset["correlated/37"]
    assert (sample.image.shape, sample.label) == ((28, 28, 3), 7)
    assert sample.meta["source"] == "MNIST t10k"
    assert sample.meta["condition"] == "correlated"
    assert sample.meta["block_colour_of"] == "7"
    assert dataset["train/12"].meta["source"] == "MNIST train"
    plan = make_splits(dataset)
    assert plan.scheme == "layout"
    assert (len(plan.folds[0].train), len(plan.folds[0].test)) == (60, 80)
    assert dataset.problems == ()
    assert detect_layout(folder) == "decoy-mnist"
    assert check(folder) == []


def test_pixels_by_hand(folder):
    grey = read_idx(folder / "t10k-images-idx3-ubyte.gz", axes=3)[23]
    image = open_dataset("decoy-mnist", folder)["correlated/23"].image
    assert (image[:5, :5] == COLOURS[3]).all()
    for channel in range(3):
        np.testing.assert_array_equal(image[5:, :, channel], 255 - grey[5:])
    options = {"ground": "black", "corner": "bottom-right"}
    black = open_dataset("decoy-mnist", folder, options=options)["correlated/23"]
    assert (black.image[23:, 23:] == COLOURS[3]).all()
    np.testing.assert_array_equal(black.image[:23, :, 1], grey[:23])
    # The digit is every pixel above 0, and none under the block.
    expected = grey > 0
    expected[23:, 23:] = False
    np.testing.assert_array_equal(black.regions["digit"], expected)
    assert black.regions["block"].sum() == 25
    assert black.regions["block"][23:, 23:].all()


def test_colours_tell_the_class_only_where_they_should():
    options = {"source": "procedural", "n_train": 400, "n_test": 400}
    for train in ("uncorrelated", "correlated"):
        dataset = open_dataset("decoy-mnist", options={**options, "train": train})
        for name, share in (("train", 1.0 if train == "correlated" else 0.1), ("correlated", 1.0)):
            ids = condition(dataset, name)
            told = np.mean(
                [dataset.record(i).meta["block_colour_of"] == dataset.class_of(i) for i in ids]
            )
            assert abs(told - share) < 0.06, (train, name)
        told = [
            dataset.record(i).meta["block_colour_of"] == dataset.class_of(i)
            for i in condition(dataset, "uncorrelated")
        ]
        assert abs(np.mean(told) - 0.1) < 0.06


def test_permuted_colours_are_one_per_class():
    options = {"source": "procedural", "n_train": 10, "n_test": 200, "test_colours": "permuted"}
    dataset = open_dataset("decoy-mnist", options=options)
    seen: dict[str, set[str]] = {}
    for i in condition(dataset, "uncorrelated"):
        seen.setdefault(dataset.class_of(i), set()).add(dataset.record(i).meta["block_colour_of"])
    assert all(len(colours) == 1 for colours in seen.values())
    assert {c for colours in seen.values() for c in colours} == set("0123456789")


def test_both_conditions_show_the_same_digits(folder):
    for dataset in (
        open_dataset("decoy-mnist", folder),
        open_dataset("decoy-mnist", options={"source": "procedural", "n_test": 20}),
    ):
        for i in condition(dataset, "correlated"):
            other = dataset[i.replace("correlated", "uncorrelated")]
            here = dataset[i]
            np.testing.assert_array_equal(here.regions["digit"], other.regions["digit"])
            free = ~here.regions["block"]
            np.testing.assert_array_equal(here.image[free], other.image[free])


def test_random_corners_use_all_four():
    options = {"source": "procedural", "n_train": 100, "n_test": 10, "corner": "random"}
    dataset = open_dataset("decoy-mnist", options=options)
    corners = {dataset.record(i).meta["corner"] for i in condition(dataset, "train")}
    assert corners == set(CORNERS)
    record = dataset.records[-1]
    region = record.read_regions()["block"]
    np.testing.assert_array_equal(region, block(record.meta["corner"]))
    assert (record.read_image()[region] == COLOURS[int(record.meta["block_colour_of"])]).all()


def test_one_pair_of_files_is_divided(tmp_path):
    root = mnist(tmp_path / "MNIST" / "raw", parts={"t10k": 200}, gz=False)
    dataset = open_dataset("decoy-mnist", tmp_path)
    train, test = condition(dataset, "train"), condition(dataset, "correlated")
    assert (len(train), len(test)) == (140, 60)
    numbers = {i.split("/")[1] for i in train} | {i.split("/")[1] for i in test}
    assert len(numbers) == 200
    assert {len([i for i in test if dataset.class_of(i) == c]) for c in "0123456789"} == {6}
    assert dataset.records[0].meta["source"] == "MNIST t10k, 140 of 200 to train and 60 to test"
    again = open_dataset("decoy-mnist", root)
    assert again.digest == dataset.digest
    other = open_dataset("decoy-mnist", root, options={"seed": 1})
    assert condition(other, "train") != train


def test_a_smaller_set_is_part_of_a_larger_one(folder):
    def opened(n):
        return open_dataset("decoy-mnist", folder, options={"n_train": n, "n_test": n})

    small, large = opened(20), opened(35)
    assert set(small.ids) < set(large.ids) < set(open_dataset("decoy-mnist", folder).ids)
    counts = [len([i for i in condition(small, "train") if small.class_of(i) == c]) for c in "0123"]
    assert counts == [2, 2, 2, 2]
    for i in small.ids:
        np.testing.assert_array_equal(small[i].image, large[i].image)
    drawn = open_dataset("decoy-mnist", options={"source": "procedural", "n_test": 30})
    assert len(drawn) == 7000 + 60


def test_where_there_is_no_mnist_digits_are_drawn(monkeypatch, tmp_path):
    monkeypatch.setenv("XAIEVAL_DATA", str(tmp_path))
    monkeypatch.setattr("platformdirs.user_data_dir", lambda _: str(tmp_path / "user"))
    dataset = open_dataset("decoy-mnist", options={"n_train": 10, "n_test": 10})
    assert dataset.records[0].meta["source"] == "procedural digits"
    assert dataset.root is None
    with pytest.raises(DataError, match="no such folder"):
        open_dataset("decoy-mnist", options={"source": "mnist"})
    mnist(tmp_path / "mnist_t10k", parts={"t10k": 100})
    found = open_dataset("decoy-mnist")
    assert found.records[0].meta["source"].startswith("MNIST t10k")


def test_records_can_be_pickled(folder):
    for dataset in (
        open_dataset("decoy-mnist", folder),
        open_dataset("decoy-mnist", options={"source": "procedural", "n_train": 10, "n_test": 10}),
    ):
        record = pickle.loads(pickle.dumps(dataset.records[3]))
        np.testing.assert_array_equal(record.read_image(), dataset.records[3].read_image())


def test_digest_follows_what_changes_pixels(folder):
    base = {"source": "procedural", "n_train": 10, "n_test": 10}
    changes = (
        *({}, {"train": "correlated"}, {"seed": 1}, {"ground": "black"}, {"n_test": 11}),
        *({"corner": "top-right"}, {"test_colours": "permuted"}),
    )
    digests = [open_dataset("decoy-mnist", options={**base, **c}).digest for c in changes]
    assert len(set(digests)) == len(changes)
    assert open_dataset("decoy-mnist", options=base).digest == digests[0]
    before = open_dataset("decoy-mnist", folder).digest
    mnist(folder, parts={"t10k": 41})
    assert open_dataset("decoy-mnist", folder).digest != before


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"train": "corelated"}, "Did you mean 'correlated'"),
        ({"corner": "middle"}, "unknown value of option corner"),
        ({"n_train": 5}, "bad n_train.*10 to 60.*5"),
        ({"n_test": 41}, "bad n_test.*10 to 40.*41"),
        ({"seed": True}, "bad seed"),
        ({"size": 3}, "unknown option"),
    ],
)
def test_bad_options(folder, options, match):
    with pytest.raises(ConfigError, match=match):
        open_dataset("decoy-mnist", folder, options=options)


def broken(root, how):
    images, labels = root / "t10k-images-idx3-ubyte.gz", root / "t10k-labels-idx1-ubyte.gz"
    pictures = np.zeros((40, 28, 28), np.uint8)
    if how == "short":
        plain = gzip.decompress(images.read_bytes())
        images.write_bytes(gzip.compress(plain[:-3]))
    elif how == "long":
        images.write_bytes(gzip.compress(gzip.decompress(images.read_bytes()) + b"!"))
    elif how == "cut archive":
        images.write_bytes(images.read_bytes()[:200])
    elif how == "header":
        images.write_bytes(bytes.fromhex("0000080300"))
    elif how == "labels as images":
        images.write_bytes(labels.read_bytes())
    elif how == "floats":
        idx(images, pictures, type_code=0x0D)
    elif how == "empty":
        images.write_bytes(b"")
    elif how == "size":
        idx(images, np.zeros((40, 32, 32), np.uint8))
    elif how == "count":
        idx(labels, np.zeros(39, np.uint8))
    elif how == "letters":
        idx(labels, (np.arange(40) % 26).astype(np.uint8))
    elif how == "half":
        labels.unlink()
    elif how == "folder":
        for path in root.iterdir():
            path.unlink()


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ("short", r"t10k-images.*truncated file.*31360 values \(40 x 28 x 28\), got 31357"),
        ("long", "more bytes than its header says"),
        ("cut archive", "t10k-images.*cannot be read"),
        ("header", "truncated header"),
        ("labels as images", "wrong kind of file.*magic 00000803.*got magic 00000801"),
        ("floats", "got magic 00000d03"),
        ("empty", "got 0 bytes"),
        ("size", "not MNIST.*28 x 28"),
        ("count", "labels and images differ.*expected 40, got 39"),
        ("letters", "not the labels of ten digits"),
        ("half", "half of a pair.*t10k-labels-idx1"),
        ("folder", "no MNIST files.*procedural"),
    ],
)
def test_broken_files_are_named(folder, how, match):
    broken(folder, how)
    with pytest.raises(DataError, match=match):
        open_dataset("decoy-mnist", folder)
    if how != "folder":
        assert [p.path.name[:4] for p in check(folder, "decoy-mnist")] == ["t10k"]


def test_drawn_digits_lie_inside_and_differ():
    for digit in range(10):
        drawn = [draw_digit(digit, i, seed=0) for i in range(40)]
        for picture in drawn:
            assert (picture.shape, picture.dtype, picture.max()) == ((28, 28), np.uint8, 255)
            border = np.concatenate([picture[[0, -1]].ravel(), picture[:, [0, -1]].ravel()])
            assert not border.any()
            assert 20 < (picture > 0).sum() < 260
        assert len({picture.tobytes() for picture in drawn}) == 40


@settings(max_examples=25, deadline=None)
@given(digit=st.integers(0, 9), index=st.integers(0, 10**6), seed=st.integers(0, 2**31))
def test_drawn_digits_are_the_same_again(digit, index, seed):
    first = draw_digit(digit, index, seed=seed)
    np.testing.assert_array_equal(first, draw_digit(digit, index, seed=seed))
    rows, columns = np.nonzero(first)
    assert 9 <= rows.max() - rows.min() <= 26
    assert columns.max() - columns.min() <= 26


def test_each_digit_has_more_than_one_form():
    assert len(GLYPHS) == 10
    assert min(map(len, GLYPHS)) >= 2


def test_the_real_test_images(real_data):
    if not (real_data / "mnist_t10k").is_dir():
        pytest.skip("no mnist_t10k/ in XAIEVAL_DATA")
    dataset = open_dataset("decoy-mnist", real_data / "mnist_t10k")
    assert len(condition(dataset, "train")) == 7000
    assert len(condition(dataset, "uncorrelated")) == 3000
    counts = {name: len(ids) for name, ids in dataset.by_class.items()}
    # t10k has 980 zeros and 1135 ones; 30 % of them are there twice.
    assert (counts["0"], counts["1"]) == (980 + 294, 1135 + 340)
    raw = read_idx(real_data / "mnist_t10k" / "t10k-images-idx3-ubyte.gz", axes=3)
    assert int((raw[:, :5, :5] > 0).any((1, 2)).sum()) == 13  # as docs/datasets.md says
