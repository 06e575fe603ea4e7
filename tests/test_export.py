"""Exports: formats, labels, sidecars, and the command that makes the same file again."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from xaieval.errors import ConfigError, ResultsError
from xaieval.export import (
    View,
    accuracy_table,
    exhibit_table,
    export_figure,
    export_table,
    file_name,
    method_labels,
    save,
    sidecar,
)
from xaieval.export.latex import escape
from xaieval.study import Results, import_published

METHODS = ("gradcam", "saliency", "integrated_gradients")
NOTE = "re-aggregated from published runs, no model run here"


def run(cam: float) -> dict[str, object]:
    rest = (1 - cam) / 2
    share = dict(zip(METHODS, (cam, rest, rest), strict=True))
    block = {
        "win_rate": {"crack": share, "cut_&_hole": share, "overall": share},
        "balanced_accuracy": [0.5, cam],
        "loss_total_ce_mask": [[2.0, 1.5, 0.5], [1.0, 0.75, 0.25]],
    }
    return {"train": block, "test": block}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    folder = tmp_path_factory.mktemp("published")
    (folder / "runs.json").write_text(json.dumps({"42": run(1.0), "43": run(0.5)}))
    return import_published(folder / "runs.json", folder / "out")


@pytest.mark.parametrize("exhibit", ["win-rates", "curves"])
def test_figures_in_every_format(results: Results, exhibit: str):
    view = View(exhibit)
    png = Image.open(io.BytesIO(export_figure(results, view, format="png")))
    assert png.width > 1000
    assert "project-iml" in png.info["Description"] or "project_iml" in png.info["Description"]
    svg = export_figure(results, view, format="svg").decode()
    assert svg.startswith("<?xml")
    assert NOTE in svg  # as text, not as outlines
    assert "python -m xaieval.export" in svg
    assert export_figure(results, view, format="pdf").startswith(b"%PDF")


@pytest.mark.parametrize("format", ["png", "svg", "pdf"])
def test_same_results_same_bytes(results: Results, format: str):
    assert export_figure(results, View(), format=format) == export_figure(
        results, View(), format=format
    )


def test_unknown_formats_and_exhibits(results: Results):
    with pytest.raises(ConfigError, match="svg"):
        export_figure(results, View(), format="svgg")
    with pytest.raises(ConfigError, match="csv"):
        export_table(results, View(), format="cvs")
    with pytest.raises(ConfigError, match="win-rates"):
        View("win-rate")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="crack"):
        exhibit_table(results, View(classes=("crac",)))
    with pytest.raises(ResultsError, match="table only"):
        export_figure(results, View("accuracy"))


def test_table_holds_the_numbers_and_the_label(results: Results):
    table = pd.read_csv(io.StringIO(export_table(results, View(), format="csv")))
    row = table[(table["split"] == "test") & (table["class"] == "overall")].set_index("method_id")
    assert row.loc["gradcam", "mean"] == 0.75
    assert row.loc["gradcam", "std"] == 0.25  # population std of 1 and 0.5
    assert row.loc["gradcam", "n_seeds"] == 2
    assert set(table["note"]) == {NOTE}
    assert table["wilson_low"].isna().all()


def test_json_table_is_strict_json_with_its_sidecar(results: Results):
    def refuse(name: str) -> None:
        raise AssertionError(name)

    found = json.loads(export_table(results, View(), format="json"), parse_constant=refuse)
    assert found["about"]["note"] == NOTE
    assert found["about"]["origin"] == "published"
    assert len(found["rows"]) == 2 * 3 * 3
    assert found["rows"][0]["wilson_low"] is None


def test_latex_is_escaped_and_marks_the_best(results: Results):
    text = export_table(results, View(), format="tex")
    assert r"cut\_\&\_hole" in text
    assert r"\textbf{0.750 $\pm$ 0.250}" in text
    assert NOTE in text
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")]
    lines = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(lines) == 2 * 3
    assert {line.count(" & ") for line in lines} == {6}
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize("exhibit", ["accuracy", "curves"])
@pytest.mark.parametrize("format", ["csv", "tex", "json"])
def test_other_tables(results: Results, exhibit: str, format: str):
    text = export_table(results, View(exhibit), format=format)
    assert "0.75" in text
    assert NOTE in text


def test_escape_leaves_no_special_sign_bare():
    assert escape(r"\a&b%c$d#e_f{g}h~i^j±") == (
        r"\textbackslash{}a\&b\%c\$d\#e\_f\{g\}h\textasciitilde{}i\textasciicircum{}j$\pm$"
    )


def test_accuracy_table_by_hand():
    rows = [(1, "train", 1.0, 0.9, 8), (2, "train", 0.5, 0.7, 8), (1, "test", 0.25, 0.3, 4)]
    frame = pd.DataFrame(rows, columns=["seed", "split", "balanced_accuracy", "accuracy", "n"])
    table = accuracy_table(frame).set_index(["split", "quantity"])
    assert table.loc[("train", "balanced_accuracy"), ["mean", "std"]].tolist() == [0.75, 0.25]
    assert table.loc[("test", "accuracy"), ["mean", "std", "n_low"]].tolist() == [0.3, 0.0, 4]
    assert [split for split, _ in table.index] == ["train", "train", "test", "test"]
    assert accuracy_table(frame.iloc[:0]).empty


def test_labels_keep_options_visible(results: Results):
    assert method_labels(results)["gradcam"] == "Grad-CAM"


def test_sidecar_says_all_and_nothing_of_the_hour(results: Results):
    about = sidecar(results, View(splits=("test",)), format="pdf")
    assert about == sidecar(results, View(splits=("test",)), format="pdf")
    assert about["ids"]["seeds"] == [42, 43]
    assert about["ids"]["methods"] == list(METHODS)
    assert "test|crack|gradcam" in about["ids"]["boxes"]
    assert not any(box.startswith("train") for box in about["ids"]["boxes"])
    assert about["parameters"]["metric"] == "topk_overlap"
    assert about["parameters"]["tie_rule"] == "first"  # as published
    assert about["versions"].keys() >= {"xaieval", "python", "matplotlib"}
    assert len(about["digests"]["manifest"]) == 64
    assert len(about["results_made_by"]["source"]["sha256"]) == 64
    json.dumps(about, allow_nan=False)


@pytest.mark.parametrize(
    ("view", "format"),
    [
        (View(splits=("test",), classes=("overall", "cut_&_hole")), "csv"),
        (View("curves"), "svg"),
    ],
)
def test_the_command_makes_the_same_file(results: Results, tmp_path: Path, view: View, format: str):
    path, beside = save(results, view, tmp_path / f"mine.{format}")
    about = json.loads(beside.read_text())
    words = shlex.split(about["command"])
    assert words[0] == "python"
    again = tmp_path / "again"
    again.mkdir()
    done = subprocess.run(
        [sys.executable, *words[1:]], cwd=again, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    made = again / file_name(results, view, format=format)
    assert made.read_bytes() == path.read_bytes()
    assert json.loads(made.with_name(made.name + ".json").read_text()) == about


def test_bad_input_of_the_command_is_one_clear_sentence(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "xaieval.export", str(tmp_path), "--out", "x.csv"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "not a results folder" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "x.csv").exists()
