"""The gate for the models of a study, by call, by command and by study file."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from xaieval.cli import main
from xaieval.cli.sanity import affordable
from xaieval.errors import DataError, ModelError, ResultsError
from xaieval.models import load_checkpoint
from xaieval.progress import Progress
from xaieval.sanity import read_reports
from xaieval.sanity.images import model_input, taken_in_turn, targets_of
from xaieval.study import Results, gate_study, load_study, run_study
from xaieval.types import Sample


@pytest.fixture
def folder(demo_results: Results, tmp_path: Path) -> Path:
    out = tmp_path / "results"
    shutil.copytree(demo_results.path, out)
    return out


def invoke(*words: str | Path) -> str:
    run = CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)
    assert run.exit_code == 0, run.output
    return run.output


def test_every_model_once(demo_results: Results, folder: Path) -> None:
    said: list[Progress] = []
    asked = {"out": folder, "device": "cpu", "methods": ["saliency", "random"], "images": 4}
    reports = gate_study(demo_results.study, **asked, report=said.append)
    assert [report.model for report in reports] == ["seed-42", "seed-43"]
    assert [it.done for it in said] == sorted(it.done for it in said)
    assert said[-1].done == said[-1].total
    first = reports[0]
    assert first.verdicts["random"].status == "not gated"
    assert first.verdicts["saliency"].checks
    assert len(first.images) == 4
    # Test images, one of each class in turn.
    results = Results(folder)
    splits = results.predictions(seed=42).set_index("sample_id")[["split", "class"]]
    assert set(splits.loc[list(first.images), "split"]) == {"test"}
    assert splits.loc[list(first.images), "class"].nunique() == 4
    assert read_reports(folder) == {report.model: report for report in reports}
    assert set(results.sanity) == {"seed-42", "seed-43"}
    # Nothing is missing now; another method is added; other images begin anew.
    again: list[Progress] = []
    assert gate_study(demo_results.study, **asked, report=again.append) == reports
    assert not again
    more = gate_study(demo_results.study, **{**asked, "methods": ["gradcam"]}, seeds=[42])
    assert set(more[0].verdicts) == {"saliency", "random", "gradcam"}
    fresh = gate_study(demo_results.study, **{**asked, "images": 5}, seeds=[42])
    assert set(fresh[0].verdicts) == {"saliency", "random"}


def test_a_run_that_asks_for_it(demo_results: Results, folder: Path) -> None:
    text = demo_results.study.text + "\n[run]\nsanity = true\n"
    (folder.parent / "gated.toml").write_text(text)
    study = load_study(folder.parent / "gated.toml")
    assert study.run.sanity
    small = dataclasses.replace(
        study, explain=dataclasses.replace(study.explain, methods=("saliency",))
    )
    results = run_study(small, out=folder, device="cpu", seeds=[42])
    assert list(results.sanity) == ["seed-42"]
    assert list(results.sanity["seed-42"].verdicts) == ["saliency"]


def test_commands(folder: Path, tmp_path: Path) -> None:
    words = ["--methods", "saliency,sobel", "--images", "4", "--device", "cpu"]
    text = invoke("sanity", folder, *words, "--seeds", "42")
    assert f"sanity.json in {folder}" in text
    line = next(line for line in text.splitlines() if line.startswith("seed-42  saliency"))
    assert line.split()[2] in ("passed", "⚠")
    assert "not gated" in text
    checkpoint = folder / "checkpoints" / "seed-43.safetensors"
    text = invoke("sanity", checkpoint, *words, "--out", tmp_path / "beside")
    content = json.loads((tmp_path / "beside" / "sanity.json").read_text())
    assert list(content["models"]) == ["seed-43"]
    invoke("sanity", checkpoint, *words)
    assert (checkpoint.parent / "sanity.json").is_file()


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["nowhere"], "unknown study"),
        (["nowhere.safetensors", "--methods", "saliency"], "nowhere.safetensors"),
        (["demo", "--methods", "salency", "--out", "nowhere"], "did you mean 'saliency'"),
        (["demo", "--out", "nowhere"], "no model is trained yet"),
    ],
)
def test_bad_words(
    words: list[str], match: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke(main, ["sanity", *words])
    assert run.exit_code == 2
    assert match.lower() in run.output.lower()
    assert len(run.output.strip().splitlines()) == 1


def test_a_damaged_file_is_named(demo_results: Results, folder: Path) -> None:
    (folder / "sanity.json").write_text("{")
    with pytest.raises(ResultsError, match=r"sanity\.json"):
        _ = Results(folder).sanity
    with pytest.raises(ResultsError, match=r"sanity\.json"):
        gate_study(demo_results.study, out=folder, methods=["saliency"], images=4)


def test_no_model(demo_results: Results, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model is trained yet"):
        gate_study(demo_results.study, out=tmp_path)


def sample(name: str) -> Sample:
    value = sum(map(ord, name)) % 250

    def read() -> np.ndarray:
        if name == "broken":
            raise DataError("damaged", where=name)
        return np.full((64, 64, 3), value, np.uint8)

    return Sample(id=name, label=len(name), read_image=read)


def test_images_that_cannot_be_read_or_repeat_are_passed_over(demo_results: Results) -> None:
    classifier = load_checkpoint(demo_results.checkpoints()[0][2])
    names = ["broken", "ab", "ba", "c", "d", "e", "f"]  # "ab" and "ba" give the same picture
    x, found = model_input(classifier, names, sample, count=4)
    assert [it.id for it in found] == ["ab", "c", "d", "e"]
    assert x.shape == (4, 3, 64, 64)
    with pytest.raises(DataError, match=r"at least 4 different ones, got 2.*damaged"):
        model_input(classifier, ["broken", "ab", "ba", "c"], sample, count=4)
    assert targets_of("predicted", found) is None
    assert targets_of("label", found).tolist() == [2, 1, 1, 1]
    assert targets_of(3, found).tolist() == [3, 3, 3, 3]


def test_classes_take_turns() -> None:
    groups = {"a": ["1", "2", "3"], "b": ["4"], "c": []}
    found = taken_in_turn(groups)
    assert sorted(found) == ["1", "2", "3", "4"]
    assert found[1] == "4"
    assert found == taken_in_turn({"a": ["3", "1", "2"], "b": ["4"], "c": []})


def test_a_checkpoint_is_tried_with_what_it_can_afford() -> None:
    found = affordable()
    assert {"saliency", "gradcam", "guided_backprop", "lrp"} <= set(found)
    assert not {"random", "sobel", "rise"} & set(found)
