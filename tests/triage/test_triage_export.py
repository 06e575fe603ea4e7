"""CSV and FiftyOne's JSON: every field, and the command that makes the same file again."""

from __future__ import annotations

import csv
import io
import json
import math
import shlex
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import PIL.Image
import pytest
from click.testing import CliRunner

from xaieval.cli import main
from xaieval.digest import url_id
from xaieval.journal import Marks, Note
from xaieval.stats import Thresholds
from xaieval.study import Results, demo_results
from xaieval.triage import (
    COLUMNS,
    Filters,
    Queue,
    TriageTable,
    explore_link,
    export_csv,
    export_fiftyone,
    frame,
    open_triage,
    sidecar,
)
from xaieval.triage.fiftyone import field_names


@pytest.fixture(scope="module")
def table(made: Results) -> TriageTable:
    return open_triage(made)


def marked(table: TriageTable, row: int) -> dict[str, Marks]:
    sample = table.rows.samples[table.rows.sample[row]]
    return {sample: Marks(("odd", "a, b"), (Note(1, "t", "ada", 'say "ü"\nthen, stop'),))}


def test_csv_holds_every_row_and_column(table: TriageTable) -> None:
    rows = table.select()
    marks = marked(table, int(rows[0]))
    read = list(csv.DictReader(io.StringIO(export_csv(table, rows, marks).decode())))
    assert len(read) == len(rows)
    methods = [f"score:{method}" for method in table.methods]
    assert set(read[0]) == {*COLUMNS, *methods, "link"}
    first = read[0]
    assert first["tags"] == "odd; a, b"
    assert first["notes"] == 'ada: say "ü"\nthen, stop'
    for row, line in zip(rows, read, strict=True):
        assert line["image"] == url_id(line["sample_id"])
        assert int(line["seed"]) == table.rows.seed[row]
        assert line["correct"] == str(bool(table.rows.correct[row]))
        surprise = float(line["surprise"]) if line["surprise"] else math.nan
        assert np.array_equal(surprise, table.surprise[row], equal_nan=True)
        assert (line["why"] == "") == (not math.isnan(surprise))


def test_a_winner_is_named_and_ties_are_told(table: TriageTable) -> None:
    rows = table.select(Filters(outcome="counted:gradcam"))
    shares = table.wins()
    for row, line in zip(rows, frame(table, rows).to_dict("records"), strict=True):
        winners = [m for m, share in zip(table.compete, shares[row], strict=True) if share > 0]
        assert line["winner"] == " = ".join(winners)
        assert winners
    rest = set(range(len(table))) - set(rows.tolist())
    assert set(frame(table, sorted(rest))["winner"]) == {""}


def test_a_link_names_image_model_and_score(table: TriageTable) -> None:
    row = table.find("crack/001", 2)
    assert row is not None
    link = parse_qs(explore_link(table, row).removeprefix("?"))
    assert link == {
        "study": [table.study],
        "split": ["test"],
        "image": [url_id("crack/001")],
        "seed": ["seed-2"],
        "metric": ["topk_overlap"],
    }


def test_the_sidecar_repeats_the_file(
    made: Results, table: TriageTable, tmp_path: Path, empty_state: Path
) -> None:
    queue = Queue(
        Filters(
            split="test",
            answers="wrong",
            confidence=(0.25, math.inf),
            score=(0.0, 0.9),
            outcome="lost:gradcam",
            population="all",
            tie_rule="first",
            text="0",
        ),
        order="confident-mistake",
        thresholds=Thresholds(high=0.6),
        top=2,
    )
    rows = table.of("saliency").select(
        queue.filters, order=queue.order, thresholds=queue.thresholds
    )[:2]
    assert len(rows) == 2
    first = tmp_path / "queue.csv"
    export_csv(table.of("saliency"), rows, {}, first, queue=queue)
    about = json.loads((tmp_path / "queue.csv.json").read_text())
    assert about["ids"]["rows"] == 2
    assert about["parameters"]["filters"]["confidence"] == [0.25, None]
    assert about["digests"]["manifest"]
    words = shlex.split(about["command"])
    assert words[0] == "xaieval"
    again = tmp_path / "again.csv"
    words[words.index("queue.csv")] = str(again)
    done = CliRunner().invoke(main, words[1:])
    assert done.exit_code == 0, done.output
    assert again.read_bytes() == first.read_bytes()


def test_a_sidecar_is_plain_json(table: TriageTable) -> None:
    queue = Queue(Filters(score=(np.float64(0.1), np.float64(0.2))))
    about = sidecar(table, table.select(queue.filters), queue=queue)
    assert json.loads(json.dumps(about, allow_nan=False)) == about


# FiftyOne's own names of types and of label classes, as its reader takes them:
# https://docs.voxel51.com/api/fiftyone.core.fields.html, …core.labels.html
FIELD = "fiftyone.core.fields."
LABEL = FIELD + "EmbeddedDocumentField(fiftyone.core.labels.{})"
PYTHON = {
    FIELD + "StringField": str,
    FIELD + "FloatField": float,
    FIELD + "IntField": int,
    FIELD + "BooleanField": bool,
    f"{FIELD}ListField({FIELD}StringField)": list,
    LABEL.format("Classification"): dict,
    LABEL.format("Segmentation"): dict,
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[TriageTable, np.ndarray, Path]:
    """Some rows of the demo, whose images are no files, with masks and without."""
    table = open_triage(demo_results())
    rows = np.concatenate(
        [table.select(Filters(class_name=name))[:2] for name in table.rows.classes]
    )
    path = tmp_path_factory.mktemp("fiftyone") / "queue.json"
    export_fiftyone(table, rows, marked(table, int(rows[0])), path)
    return table, rows, path


def test_fiftyone_field_by_field(exported: tuple[TriageTable, np.ndarray, Path]) -> None:
    table, rows, path = exported
    document = json.loads(path.read_text())
    assert document["name"] == "demo-triage"
    assert document["media_type"] == "image"
    fields = document["sample_fields"]
    assert set(fields.values()) <= set(PYTHON)
    assert len(document["samples"]) == len(rows)
    for sample in document["samples"]:
        assert set(sample) == {*fields, "metadata"}
        assert sample["metadata"] is None
        for name, kind in fields.items():
            if sample[name] is not None:
                assert type(sample[name]) is PYTHON[kind], name
        assert sample["ground_truth"]["_cls"] == "Classification"
        assert sample["ground_truth"]["label"] in table.results.classes
        assert 0 <= sample["prediction"]["confidence"] <= 1
    assert all(name.isidentifier() for name in fields)
    assert document["mask_targets"] == {"mask": {"255": "defect"}}
    assert set(document["info"]["methods"].values()) == set(table.methods)


def test_fiftyone_values(exported: tuple[TriageTable, np.ndarray, Path]) -> None:
    table, rows, path = exported
    names = field_names(table.methods)
    document = json.loads(path.read_text())
    for row, sample in zip(rows, document["samples"], strict=True):
        assert sample["seed"] == table.rows.seed[row]
        assert sample["prediction"]["label"] == table.results.classes[table.rows.predicted[row]]
        assert sample["prediction"]["confidence"] == table.rows.confidence[row]
        for number, method in enumerate(table.methods):
            value = table.scores.values[row, number]
            assert sample[names[method]] == (None if math.isnan(value) else value)
        surprise = table.surprise[row]
        assert sample["surprise"] == (None if math.isnan(surprise) else surprise)
    assert document["samples"][0]["tags"] == ["odd", "a, b"]
    assert document["samples"][0]["notes"] == ['ada: say "ü"\nthen, stop']


def test_fiftyone_images_and_masks_are_files(
    exported: tuple[TriageTable, np.ndarray, Path],
) -> None:
    table, _, path = exported
    document = json.loads(path.read_text())
    dataset = table.results.dataset()
    assert dataset is not None
    for sample in document["samples"]:
        own = dataset[sample["sample_id"]]
        assert Path(sample["filepath"]).is_absolute()
        assert np.array_equal(np.asarray(PIL.Image.open(sample["filepath"])), own.image)
        if sample["ground_truth"]["label"] == "good":
            assert sample["mask"] is None
            why = document["info"]["left_out"][f"mask of {sample['sample_id']}"]
            assert why == "no mask is written: the image has no defect"
        else:
            assert sample["mask"]["_cls"] == "Segmentation"
            mask = np.asarray(PIL.Image.open(sample["mask"]["mask_path"]))
            assert np.array_equal(mask == 255, own.regions["defect"])
            assert set(np.unique(mask)) == {0, 255}


def test_fiftyones_own_reader_takes_it(exported: tuple[TriageTable, np.ndarray, Path]) -> None:
    # What Dataset.from_json does, short of its data base.
    odm = pytest.importorskip("fiftyone.core.odm", reason="fiftyone is not installed")
    from fiftyone.core.fields import MaskTargetsField
    from fiftyone.core.sample import Sample

    document = json.loads(exported[2].read_text())
    for name, kind in document["sample_fields"].items():
        assert str(odm.create_field(name, **odm.get_field_kwargs(kind))) == kind
    for told in document["samples"]:
        sample = Sample.from_dict(dict(told))
        for name, kind in document["sample_fields"].items():
            if told[name] is not None:
                odm.create_field(name, **odm.get_field_kwargs(kind)).validate(sample[name])
        if told["mask"] is not None:
            assert sample.mask.get_mask().max() == 255
    found = MaskTargetsField().to_python(document["mask_targets"]["mask"])
    assert found == {255: "defect"}


def test_fiftyone_names_the_files_of_a_dataset(tmp_path: Path, arms: Path) -> None:
    table = open_triage(Results(arms / "studies" / "long"), metric="mass_accuracy")
    rows = table.select()[:4]
    document = json.loads(export_fiftyone(table, rows))
    for sample in document["samples"]:
        file = Path(sample["filepath"])
        assert file.is_absolute()
        assert file.is_file()
        assert file.as_posix().endswith(f"{sample['sample_id']}.png")
        assert sample["mask"] is None
    assert "export to a file" in document["info"]["left_out"]["mask"]
    export_fiftyone(table, rows, {}, tmp_path / "q.json")
    with_masks = json.loads((tmp_path / "q.json").read_text())
    assert {Path(s["mask"]["mask_path"]).parent.name for s in with_masks["samples"]} == {"q-media"}
    assert [s["filepath"] for s in with_masks["samples"]] == [
        s["filepath"] for s in document["samples"]
    ]


def test_fiftyone_without_a_file_says_what_is_missing() -> None:
    table = open_triage(demo_results())
    document = json.loads(export_fiftyone(table, table.select()[:1]))
    assert document["samples"][0]["filepath"].endswith(".png")
    assert "image" in document["info"]["left_out"]


def test_field_names_stay_apart() -> None:
    names = field_names(("a[x=1]", "a[x,1]", "a_x_1"))
    assert sorted(names.values()) == ["score_a_x_1", "score_a_x_1_2", "score_a_x_1_3"]
