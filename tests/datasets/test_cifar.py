"""CIFAR: batches as published (Python 2 pickles too), folders, broken and hostile files."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from xaieval.datasets import check, detect_layout, make_splits, open_dataset
from xaieval.datasets.cifar_batches import TEN
from xaieval.datasets.plain_pickle import RefusedPickle, read_plain_pickle
from xaieval.errors import DataError


class Python2:
    """Writes what Python 2's cPickle wrote at protocol 2: text as byte strings (opcode U or T)."""

    def __init__(self) -> None:
        self.data = b"\x80\x02"

    def value(self, value: object) -> Python2:
        if isinstance(value, dict):
            self.data += b"}("
            for key, inside in value.items():
                self.value(key).value(inside)
            self.data += b"u"
        elif isinstance(value, list):
            self.data += b"]("
            for inside in value:
                self.value(inside)
            self.data += b"e"
        elif isinstance(value, int):
            self.data += b"J" + struct.pack("<i", value)
        elif isinstance(value, str):
            raw = value.encode()
            self.data += b"T" + struct.pack("<i", len(raw)) + raw
        elif isinstance(value, np.ndarray):
            raw = value.tobytes()
            self.data += (
                b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
            )
            self.data += b"(K\x01"
            for size in value.shape:
                self.data += b"J" + struct.pack("<i", size)
            self.data += b"\x86" if value.ndim == 2 else b"\x85"
            self.data += b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
            self.data += b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
            self.data += b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"
        else:
            raise TypeError(value)
        return self

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.data + b".")


def rows(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 3072), np.uint8)


def cifar10(root: Path, *, n: int = 20) -> Path:
    home = root / "cifar-10-batches-py"
    for i, name in enumerate([*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]):
        batch = {
            "batch_label": f"{name} of 6",
            "labels": [k % 10 for k in range(n)],
            "data": rows(n, i),
            "filenames": [f"{TEN[k % 10]}_s_{k:06d}.png" for k in range(n)],
        }
        Python2().value(batch).write(home / name)
    meta = {"num_cases_per_batch": n, "label_names": list(TEN), "num_vis": 3072}
    Python2().value(meta).write(home / "batches.meta")
    return root


def cifar100(root: Path, *, n: int = 12) -> Path:
    home = root / "cifar-100-python"
    home.mkdir(parents=True)
    for i, name in enumerate(("train", "test")):
        batch = {
            "filenames": [f"x_s_{k:06d}.png" for k in range(n)],
            "batch_label": name,
            "fine_labels": [k % 4 for k in range(n)],
            "coarse_labels": [k % 2 for k in range(n)],
            "data": rows(n, i),
        }
        Python2().value(batch).write(home / name)
    meta = {
        "fine_label_names": ["apple", "aquarium_fish", "baby", "bear"],
        "coarse_label_names": ["plants", "animals"],
    }
    Python2().value(meta).write(home / "meta")
    return root


def test_python2_pickles_are_what_python_reads(tmp_path):
    """The writer above, checked against the standard library."""
    value = {"data": rows(2, 0), "labels": [3, 4], "names": ["a", "b"]}
    Python2().value(value).write(tmp_path / "x")
    expected = pickle.loads((tmp_path / "x").read_bytes(), encoding="bytes")
    found = read_plain_pickle(tmp_path / "x")
    assert list(found) == list(expected) == [b"data", b"labels", b"names"]
    np.testing.assert_array_equal(found[b"data"], expected[b"data"])
    assert found[b"labels"] == expected[b"labels"]
    assert found[b"names"] == expected[b"names"]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_python3(tmp_path, protocol):
    fortran = np.asfortranarray(rows(2, 1))
    value = {b"data": rows(2, 0), b"f": fortran, b"labels": [1, 2], b"filenames": [b"", b"a\xff"]}
    (tmp_path / "x").write_bytes(pickle.dumps(value, protocol=protocol))
    found = read_plain_pickle(tmp_path / "x")
    np.testing.assert_array_equal(found[b"data"], value[b"data"])
    np.testing.assert_array_equal(found[b"f"], fortran)
    assert found[b"filenames"] == value[b"filenames"]


def test_cifar10_batches(tmp_path):
    root = cifar10(tmp_path)
    dataset = open_dataset("cifar10", root)
    assert len(dataset) == 120
    assert dataset.class_names == TEN
    assert (dataset.region_names, dataset.problems) == ((), ())
    sample = dataset["data_batch_2/00013"]
    assert sample.label == 3
    assert sample.meta["name"] == "cat_s_000013.png"
    row = rows(20, 1)[13]
    # Red plane first, each plane row by row: pixel (y, x) of channel c is byte 1024 c + 32 y + x.
    for y, x, c in ((0, 0, 0), (5, 7, 1), (31, 31, 2), (12, 30, 0)):
        assert sample.image[y, x, c] == row[1024 * c + 32 * y + x]
    plan = make_splits(dataset)
    assert (plan.scheme, len(plan.folds[0].train), len(plan.folds[0].test)) == ("layout", 100, 20)
    assert detect_layout(root) == detect_layout(root / "cifar-10-batches-py") == "cifar10"
    assert open_dataset("cifar10", root / "cifar-10-batches-py").digest == dataset.digest
    assert check(root) == []
    record = pickle.loads(pickle.dumps(dataset.records[0]))
    np.testing.assert_array_equal(record.read_image(), dataset.records[0].read_image())


def test_cifar100_batches(tmp_path):
    dataset = open_dataset("cifar100", cifar100(tmp_path))
    assert dataset.class_names == ("apple", "aquarium_fish", "baby", "bear")
    assert dataset["test/00005"].label == 1
    assert dataset["test/00005"].meta["coarse"] == "animals"
    assert {r.layout_split for r in dataset.records} == {"train", "test"}
    assert detect_layout(tmp_path) == "cifar100"
    (tmp_path / "cifar-100-python" / "meta").unlink()
    with pytest.raises(DataError, match=r"meta.*cannot be read"):
        open_dataset("cifar100", tmp_path)


class Hostile:
    """Would write a file when read by pickle.load."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.write_text, (self.path, "owned"))


@pytest.mark.parametrize("where", ["data", "labels", "alone"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_hostile_pickle_is_refused_and_nothing_runs(tmp_path, where, protocol):
    root, trap = cifar10(tmp_path / "set"), tmp_path / "owned.txt"
    value: object = Hostile(trap)
    if where != "alone":
        value = {b"data": rows(2, 0), b"labels": [0, 1], where.encode(): [Hostile(trap)]}
    file = root / "cifar-10-batches-py" / "data_batch_3"
    file.write_bytes(pickle.dumps(value, protocol=protocol))
    with pytest.raises(RefusedPickle, match="data_batch_3: refused: the pickle calls for"):
        open_dataset("cifar10", root)
    assert not trap.exists()
    assert "refused" in check(root)[0].what
    pickle.loads(file.read_bytes())  # the trap works
    assert trap.exists()


@pytest.mark.parametrize(
    "data",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"cbuiltins\ngetattr\n(cnumpy\ndtype\nS'__init__'\ntR.",
        b"\x80\x02}q\x00U\x01aU\x01bQs.",  # a persistent id
    ],
)
def test_names_outside_the_table_are_refused(tmp_path, data):
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(RefusedPickle):
        read_plain_pickle(tmp_path / "x")


def test_a_pickle_cannot_change_the_stand_ins(tmp_path):
    # BUILD with slot state is setattr on whatever the table gave.
    (tmp_path / "x").write_bytes(b"cnumpy\ndtype\n(N}S'__call__'\nI1\nstb.")
    with pytest.raises(DataError):
        read_plain_pickle(tmp_path / "x")
    (tmp_path / "y").write_bytes(pickle.dumps(rows(1, 0)))
    np.testing.assert_array_equal(read_plain_pickle(tmp_path / "y"), rows(1, 0))


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "damaged or no pickle"),
        (b"hello", "damaged or no pickle"),
        ({b"data": rows(3, 0), b"labels": [1, 2]}, r"no batch of cifar10 \(2 labels\)"),
        ({b"data": rows(2, 0), b"labels": [1, -2]}, "no batch of cifar10"),
        ({b"data": rows(2, 0)[:, :100], b"labels": [1, 2]}, r"no batch of cifar10 \(\(2, 100\)\)"),
        ({b"labels": [1, 2]}, r"no batch of cifar10 \(\['labels'\]\)"),
        ({b"data": rows(2, 0).astype(np.int64), b"labels": [1, 2]}, "'i8', not of uint8"),
        ({b"data": rows(2, 0), b"labels": [1, 12]}, "label 12 of 10 classes"),
        ([1, 2], "not a table"),
    ],
)
def test_a_faulty_batch_is_left_out_and_named(tmp_path, content, match):
    root = cifar10(tmp_path)
    data = content if isinstance(content, bytes) else pickle.dumps(content)
    (root / "cifar-10-batches-py" / "data_batch_4").write_bytes(data)
    dataset = open_dataset("cifar10", root)
    assert len(dataset) == 100
    assert [p.path.name for p in dataset.problems] == ["data_batch_4"]
    with pytest.raises(DataError, match=match):
        open_dataset("cifar10", root, strict=True)


def test_a_truncated_or_missing_batch(tmp_path):
    home = cifar10(tmp_path) / "cifar-10-batches-py"
    whole = (home / "test_batch").read_bytes()
    (home / "test_batch").write_bytes(whole[: len(whole) // 2])
    (home / "data_batch_1").unlink()
    (home / "batches.meta").unlink()
    dataset = open_dataset("cifar10", home)
    assert len(dataset) == 80
    assert dataset.class_names == TEN
    named = {p.path.name for p in dataset.problems}
    assert named == {"test_batch", "data_batch_1", "batches.meta"}


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(rows(1, 0).reshape(32, 32, 3)).save(path)


def test_folders_of_classes(tmp_path):
    for split in ("train", "test"):
        for name in ("truck", "cat"):
            picture(tmp_path / split / name / "0001.png")
    dataset = open_dataset("cifar10", tmp_path)
    assert dataset.ids == ("test/cat/0001", "test/truck/0001", "train/cat/0001", "train/truck/0001")
    assert dataset.label_of("train/truck/0001") == 9
    assert make_splits(dataset).scheme == "layout"
    assert detect_layout(tmp_path) == "cifar10"
    assert open_dataset("cifar100", tmp_path).class_names == ("cat", "truck")


def test_a_list_of_labels(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        picture(tmp_path / "images" / name)
    table = tmp_path / "labels.csv"
    table.write_text("file,index,label\na.png,0,airplane\nb.png,8,ship\nd.png,8,ship\n")
    dataset = open_dataset("cifar10", tmp_path)
    assert dataset.ids == ("images/a", "images/b")
    assert dataset.label_of("images/b") == 8
    assert {p.path.name for p in dataset.problems} == {"c.png", "d.png"}
    assert detect_layout(tmp_path) == "cifar10"
    table.write_text("name\na.png\n")
    with pytest.raises(DataError, match=r"not a table of labels.*got name"):
        open_dataset("cifar10", tmp_path)


def test_a_wrong_folder(tmp_path):
    with pytest.raises(DataError, match=r"no cifar10 here.*data_batch_1"):
        open_dataset("cifar10", tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        open_dataset("cifar100", tmp_path / "nowhere")


def test_the_real_sample(real_data):
    if not (real_data / "cifar10_sample").is_dir():
        pytest.skip("no cifar10_sample/ in XAIEVAL_DATA")
    dataset = open_dataset("cifar10", real_data / "cifar10_sample")
    assert (len(dataset), dataset.class_names) == (500, TEN)
    assert {len(ids) for ids in dataset.by_class.values()} == {50}
    assert dataset.problems == ()
    assert dataset.records[0].read_image().shape == (32, 32, 3)
