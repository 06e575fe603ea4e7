"""Records, datasets, the table, and where data is looked for."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest

from xaieval.datasets import DATASETS, Dataset, Record, home, open_dataset
from xaieval.errors import ConfigError, DataError


def tiny(*records: Record, classes: tuple[str, ...] = ("a", "b")) -> Dataset:
    return Dataset(
        name="tiny",
        root=None,
        class_names=classes,
        region_names=(),
        records=records,
        fingerprint=lambda: "same",
    )


def record(sample_id: str, label: int = 0) -> Record:
    return Record(sample_id, label, None, False, read_image=lambda: None)  # type: ignore[arg-type,return-value]


def test_ids_are_sorted_and_looked_up() -> None:
    dataset = tiny(record("x/2", 1), record("x/1"))
    assert dataset.ids == ("x/1", "x/2")
    assert dataset.by_class == {"a": ("x/1",), "b": ("x/2",)}
    assert (dataset.label_of("x/2"), dataset.class_of("x/2")) == (1, "b")
    assert "x/1" in dataset
    with pytest.raises(DataError, match="Did you mean 'x/1'"):
        dataset["x/11"]


@pytest.mark.parametrize(
    ("records", "what"),
    [
        ((), "no image"),
        ((record("x"), record("x")), "share an id"),
        ((record("x", 2),), "no class"),
    ],
)
def test_a_dataset_must_make_sense(records: tuple[Record, ...], what: str) -> None:
    with pytest.raises(DataError, match=what):
        tiny(*records)


def test_digest_follows_contents_labels_and_names(tmp_path: Path, draw: SimpleNamespace) -> None:
    root = draw.mvtec_standard(tmp_path / "a")
    digest = open_dataset("mvtec", root).digest
    assert open_dataset("mvtec", draw.mvtec_standard(tmp_path / "b")).digest == digest
    draw.mask(root / "ground_truth/cut/000_mask.png", box=(2, 1, 5, 5))
    changed = open_dataset("mvtec", root).digest
    assert changed != digest
    (root / "test" / "cut" / "000.png").rename(root / "test" / "cut" / "7.png")
    (root / "ground_truth/cut/000_mask.png").rename(root / "ground_truth/cut/7_mask.png")
    assert open_dataset("mvtec", root).digest != changed


def test_records_of_files_can_be_sent_to_another_process(
    tmp_path: Path, draw: SimpleNamespace
) -> None:
    for item in open_dataset("mvtec", draw.mvtec_standard(tmp_path)).records:
        again = pickle.loads(pickle.dumps(item)).sample()
        assert (again.image == item.sample().image).all()
        assert again.regions.keys() == item.sample().regions.keys()


def test_data_is_looked_for_where_it_should_be(
    tmp_path: Path, draw: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "user"))
    monkeypatch.setattr("platformdirs.user_data_dir", lambda name: str(tmp_path / "user" / name))
    monkeypatch.setenv("XAIEVAL_DATA", str(tmp_path / "shared"))
    spec = DATASETS["hazelnut-toy"]
    assert home(spec) == tmp_path / "user" / "xaieval" / "datasets" / "hazelnut-toy"
    with pytest.raises(DataError, match=r"xaieval data get hazelnut-toy.*--data PATH"):
        open_dataset("hazelnut-toy")
    with pytest.raises(DataError, match=r"no data for coffee-leaf.*\. Name its folder"):
        open_dataset("coffee-leaf")
    draw.mvtec_standard(home(spec))
    assert open_dataset("hazelnut-toy").root == home(spec)
    shared = draw.mvtec_standard(tmp_path / "shared" / "hazelnut_toy", n=1)
    assert open_dataset("hazelnut-toy").root == shared
    monkeypatch.delenv("XAIEVAL_DATA")
    assert open_dataset("hazelnut-toy").root == home(spec)


def test_unknown_names_and_paths(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'mvtec'"):
        open_dataset("mvtek")
    with pytest.raises(DataError, match="no such folder"):
        open_dataset("mvtec", tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="built in"):
        open_dataset("synthetic-hazelnut", tmp_path)
    with pytest.raises(ConfigError, match="option of dataset mvtec"):
        open_dataset("mvtec", tmp_path, options={"size": 3})


def test_every_row_of_the_table_says_what_it_is() -> None:
    assert set(DATASETS) >= {"synthetic-hazelnut", "hazelnut-toy", "coffee-leaf", "mvtec", "folder"}
    for spec in DATASETS.values():
        assert all((spec.label, spec.summary, spec.layout, spec.licence, spec.source, spec.size))
