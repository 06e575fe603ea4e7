"""Regional exhibits as files: each says where it comes from, and its command makes it again."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pandas as pd
import pytest
from by_hand import write_results
from click.testing import CliRunner

from xaieval.errors import ResultsError
from xaieval.export.__main__ import main
from xaieval.export.charted import (
    charted,
    charted_command,
    charted_figure,
    charted_sidecar,
    charted_table,
    save_charted,
)
from xaieval.export.regional import REGIONAL_EXHIBITS, Regional, RegionalView
from xaieval.study import Results

SAMPLES = {f"{i}@{name}": name for i in range(6) for name in ("smile", "hat")}
METRICS = ("regional_precision", "area_share", "falsification@rule=area-matched")


def value(sample: str, seed: int, method: str, region: str, metric: str) -> float | str:
    number = int(sample[0])
    if metric == "area_share":
        return 0.05
    if metric.startswith("falsification"):
        return float(number % 3 == 0 or method == "random")
    if region == "nose" and number == 0:
        return "absent-part"
    return (8.0 if method == "gradcam" else 5.0) + number + seed


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    out = tmp_path_factory.mktemp("charted") / "out"
    return Results(write_results(out, value, samples=SAMPLES, seeds=(1, 2), metrics=METRICS))


@pytest.mark.parametrize("exhibit", REGIONAL_EXHIBITS)
def test_every_exhibit_is_drawn_and_tabled(results: Results, exhibit: str):
    shown = charted({"a": results}, RegionalView(exhibit=exhibit))  # type: ignore[arg-type]
    assert charted_figure(shown, format="png").startswith(b"\x89PNG")
    assert charted_table(shown, format="tex").count(r"\begin{table}") == 1
    rows = json.loads(charted_table(shown, format="json"))
    assert len(rows["rows"]) == len(shown.table)
    about = charted_sidecar(shown, format="png")
    assert json.loads(json.dumps(about)) == about
    assert about["parameters"]["metric"] == "regional_precision"
    assert about["results"]["a"]["digests"]["manifest"]


@pytest.mark.parametrize(
    "view",
    [
        RegionalView(exhibit="regions", regions=("nose", "eyes"), methods=("random",), seed=2),
        RegionalView(exhibit="falsification", region="mouth", cells=True, population="all"),
        RegionalView(exhibit="class-regions", method="saliency", lifted=True, class_name="hat"),
        RegionalView(exhibit="alignment", method="gradcam", region="nose"),
    ],
    ids=lambda view: view.exhibit,
)
def test_the_command_makes_the_same_file(results: Results, view: RegionalView, tmp_path: Path):
    opened = {"a": results}
    shown = charted(opened, view)
    words = shlex.split(charted_command(shown, format="csv"))
    assert words[:3] == ["python", "-m", "xaieval.export"]
    words[-1] = str(tmp_path / "again.csv")
    found = CliRunner().invoke(main, words[3:])
    assert found.exit_code == 0, found.output
    save_charted(shown, tmp_path / "first.csv")
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "first.csv").read_bytes()
    assert (tmp_path / "again.csv.json").exists()


def test_the_charts_say_what_is_seen(results: Results):
    regional = Regional.of(results, RegionalView())
    table = regional.table()
    chart = regional.boxes(table)
    assert chart.caption.startswith("Correctly classified test images; n 10–12")
    assert chart.reference == "area share"
    assert set(chart.table["area share"].round(6)) == {5.0}
    lift = regional.lift(table)
    assert lift is not None
    assert lift.lines_at == ((1.0, "chance"),)
    found = regional.falsification()
    assert found is not None
    assert found[1]["rate"].tolist() == pytest.approx([4 / 12, 4 / 12, 1.0])
    assert "n = 3" in found[0].caption
    heat, cells = regional.class_regions()
    assert heat.value == "mean"
    assert isinstance(cells, pd.DataFrame)
    assert len(cells) == 2 * 3


def test_what_was_not_scored_is_said(tmp_path: Path):
    def own(sample: str, seed: int, method: str, region: str, metric: str) -> float | str:
        return 0.5

    plain = write_results(tmp_path / "a", own, samples=SAMPLES, metrics=("iou",))
    with pytest.raises(ResultsError, match="falsification was not scored"):
        charted({"a": Results(plain)}, RegionalView(exhibit="falsification"))
    lift = charted({"a": Results(plain)}, RegionalView(exhibit="lift"))
    assert lift.chart is None
    with pytest.raises(ResultsError, match="no figure"):
        charted_figure(lift)
    whole = write_results(tmp_path / "b", own, samples=SAMPLES, metrics=("area_share",))
    with pytest.raises(ResultsError, match="no score of a region"):
        charted({"a": Results(whole)}, RegionalView())
    with pytest.raises(ResultsError, match="of one study"):
        charted({"a": Results(plain), "b": Results(plain)}, RegionalView())


def test_the_command_line_refuses_in_a_sentence(results: Results, tmp_path: Path):
    run = CliRunner()
    out = ["--out", str(tmp_path / "x.csv")]
    several = [str(results.path), str(results.path), *out]
    assert "one results folder" in run.invoke(main, several).output
    twice = [str(results.path), "--exhibit", "regions", "--split", "a", "--split", "b", *out]
    assert "can be given once" in run.invoke(main, twice).output
