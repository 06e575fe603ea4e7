"""Demšar's diagram and the exhibits of comparisons: layout by hand, files made again."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from by_hand import write_results
from click.testing import CliRunner

from xaieval.errors import ResultsError
from xaieval.export import View, export_figure, export_table, save, sidecar
from xaieval.export.__main__ import main
from xaieval.export.comparing import agreement_chart, agreement_rows
from xaieval.figures.critical_difference import (
    diagram,
    draw_critical_difference,
    print_critical_difference,
)
from xaieval.stats import nemenyi
from xaieval.study import Results

FOUND = nemenyi({"gradcam": 1.2, "saliency": 2.0, "random": 3.9, "lime": 2.9}, n_blocks=14)
LABELS = {"gradcam": "Grad-CAM", "saliency": "Saliency", "lime": "LIME", "random": "Random"}


def test_layout_by_hand():
    shown = diagram(FOUND, labels=LABELS, methods=("gradcam", "saliency", "random", "lime"))
    names = shown.names.set_index("label")
    assert names["side"].to_dict() == {"Grad-CAM": -1, "Saliency": -1, "LIME": 1, "Random": 1}
    # Outermost on top on either side, so that no line crosses another.
    assert names.loc["Grad-CAM", "y"] == names.loc["Random", "y"]
    assert names.loc["Saliency", "y"] == names.loc["LIME", "y"] == shown.bottom
    assert [(low, high) for low, high, _ in shown.bars] == [(1.2, 2.0), (2.0, 2.9), (2.9, 3.9)]
    assert (shown.low, shown.high) == (1, 4)
    assert all(y < 0 for *_, y in shown.bars)
    assert min(y for *_, y in shown.bars) > names["y"].max()


def test_page_and_paper_draw_the_same():
    fig = draw_critical_difference(FOUND, labels=LABELS)
    bars = [r for r in fig.renderers if getattr(r.glyph, "line_width", None) == 5]
    assert len(bars) == 3
    printed = print_critical_difference(FOUND, labels=LABELS, title="Ranks", note="a note")
    said = {text.get_text() for text in printed.axes[0].texts}
    assert {"critical difference 1.25", "Grad-CAM  1.20", "3.90  Random"} <= said
    dark = draw_critical_difference(FOUND, labels=LABELS, mode="dark")
    assert dark.height == fig.height


def test_a_ruler_longer_than_the_line_says_so():
    few = nemenyi({"gradcam": 1.0, "saliency": 2.0}, n_blocks=2)
    texts = [
        text.get_text()
        for text in print_critical_difference(few, labels=LABELS).axes[0].texts
        if "critical" in text.get_text()
    ]
    assert texts == ["critical difference 1.39: more than all ranks apart"]


@pytest.fixture
def results(tmp_path: Path) -> Results:
    def value(sample: str, seed: int, method: str, region: str, metric: str) -> float | str:
        return int(sample) / 9 + seed / 50 + (method == "gradcam") * 0.2

    metrics = ("topk_overlap", "mass_accuracy", "area_share")
    samples = {str(i): "xy"[i % 2] for i in range(4)}
    out = write_results(tmp_path / "out", value, samples=samples, seeds=(1, 2, 3), metrics=metrics)
    return Results(out)


@pytest.mark.parametrize("exhibit", ["ranks", "pairs", "agreement"])
def test_the_sidecars_command_makes_the_same_file_again(
    results: Results, exhibit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    view = View(exhibit, splits=("test",), classes=("x",), region="nose", unit="image")  # type: ignore[arg-type]
    kind = "csv" if exhibit == "pairs" else "svg"
    save(results, view, tmp_path / f"first.{kind}")
    about = sidecar(results, view, format=kind)
    words = shlex.split(about["command"])[3:]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    again = tmp_path / words[words.index("--out") + 1]
    assert again.read_bytes() == (tmp_path / f"first.{kind}").read_bytes()


def test_tables_in_three_forms(results: Results):
    for exhibit in ("ranks", "pairs", "agreement"):
        view = View(exhibit)  # type: ignore[arg-type]
        rows = json.loads(export_table(results, view, format="json"))["rows"]
        assert len(export_table(results, view).splitlines()) == len(rows) + 1
        assert r"\toprule" in export_table(results, view, format="tex")
    assert "p 0.250 (counted)" in export_table(results, View("ranks"), format="tex")
    with pytest.raises(ResultsError, match="table only"):
        export_figure(results, View("pairs"))


def test_the_matrix_is_symmetric_and_one_on_its_diagonal(results: Results):
    view = View("agreement")
    table = agreement_chart(results, view, agreement_rows(results, view)).table
    cells = {(x, y): v for x, y, v in table.itertuples(index=False)}
    assert len(cells) == 4
    assert all(cells[y, x] == v for (x, y), v in cells.items())
    assert {v for (x, y), v in cells.items() if x == y} == {1.0}
