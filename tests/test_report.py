"""Reports: one file that opens anywhere and shows what the folder holds."""

from __future__ import annotations

import base64
import importlib.resources
import json
import re
import shutil
import tomllib
from fnmatch import fnmatch
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from by_hand import write_results
from click.testing import CliRunner
from outcome_made import ABOUT, EVIL, outcome

from xaieval.cli import main
from xaieval.errors import ResultsError
from xaieval.outcomes import EXPERIMENT, write_outcome
from xaieval.report import report_html, write_report
from xaieval.study import Results, import_published

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = {f"s{i}": "glad" if i % 2 else "sad" for i in range(12)}


class Page(HTMLParser):
    """The elements of a page: (tag, attributes), and its text outside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))
        self.text += " "
        if tag in ("script", "style"):
            self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "made"
    write_outcome(folder, ABOUT, outcome())
    return folder


@pytest.fixture(scope="module")
def written(experiment: Path) -> Path:
    return write_report(experiment, experiment.parent / "out" / "r.html")


@pytest.fixture(scope="module")
def page(written: Path) -> Page:
    return Page(written.read_text("utf-8"))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder by hand: Grad-CAM beats saliency on each image but two."""

    def value(sample: str, seed: int, method: str, region: str, metric: str) -> float | str:
        if metric == "area_share":
            return 0.25
        if region == "mouth" and sample == "s1":
            return "empty-mask"
        worse = sample in ("s0", "s2")
        if method == "gradcam":
            return 0.2 if worse else 0.6
        return 0.4 if method == "saliency" else 0.25

    folder = tmp_path_factory.mktemp("study") / "by-hand"
    return write_results(folder, value, samples=SAMPLES, seeds=(1, 2), title=f"Mouths {EVIL}")


# ---------------------------------------------------------------- an experiment


def test_every_claim_is_shown_with_sign_figure_and_reason(page: Page) -> None:
    text = " ".join(page.text.split())
    for part in (
        "Grad-CAM beats random. Published: 0.42 ± 0.03 Section 4, Table 2 ✓ holds "
        "0.310 [0.250, 0.360] IoU n: 5 seeds × 60 images",
        "✗ does not hold the interval contains 0 0.010 [−0.100, 0.130] difference n: 60 images",
        "– cannot be tested here needs ImageNet, which is not here –",
        "accuracy gate not passed: mean accuracy on faces, 0.700 instead of at least 0.8",
        "[–, ∞]",
        "balanced accuracy of every model 0.9 0.950 ✓ passed 5 models; 2 measured: 0.950, 0.970",
        "✗ not passed",
        "not measured",
        "xaieval reproduce made/by-hand --tiny --out 'a folder'",
        "1 min 24 s",
        "holds: 2",
        "Points: the",
    ):
        assert part in text, part


def test_what_cannot_be_tested_stands_last(page: Page) -> None:
    rows = " ".join(page.text.split()).split("Accuracy gates Stated")[0]
    last = max(rows.rfind("✓ holds"), rows.rfind("✗ does not hold"))
    assert 0 < last < rows.find("– cannot be tested here", rows.find("Measured"))


def test_claims_come_before_everything_else(page: Page) -> None:
    order = [a["id"] for _, a in page.elements if a.get("id", "").startswith("experiment-")]
    sections = ["claims", "gates", "notes", "figures", "pictures", "tables", "provenance"]
    found = [i for i in order if i.removeprefix("experiment-") in sections]
    assert found == [f"experiment-{name}" for name in sections]


def test_texts_are_shown_and_never_run(page: Page) -> None:
    assert page.text.count("<script>alert('x')</script>") >= 8
    scripts = page.all("script")
    assert len(scripts) == 1 + 7 + 1 + 2, "one switch, seven figures, colours, Bokeh and ours"


def test_nothing_is_fetched(page: Page) -> None:
    for tag, attributes in page.elements:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            value = attributes.get(name, "")
            if not value or value.startswith(("data:", "#")):
                continue
            assert tag == "a", f"<{tag} {name}={value[:60]}>"
            assert value.startswith("https://example.org/paper")
        assert not any(name.startswith("on") for name in attributes)
    assert not page.all("iframe")
    style = (importlib.resources.files("xaieval.report") / "page.css").read_text("utf-8")
    assert "url(" not in style
    assert "@import" not in style


def test_links_inside_the_page_lead_somewhere_and_ids_are_unique(page: Page) -> None:
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for link in page.all("a"):
        if link["href"].startswith("#"):
            assert link["href"][1:] in ids
    for _, attributes in page.elements:
        for name in ("aria-labelledby", "aria-describedby"):
            assert attributes.get(name, ids[0]) in ids


def test_everything_seen_has_a_name(page: Page) -> None:
    assert all(image["alt"] for image in page.all("img"))
    plots = [a for a in page.all("div") if a.get("class") == "plot"]
    assert len(plots) == 7
    assert all(plot["aria-label"] and plot["role"] == "img" for plot in plots)
    for box in page.all("div"):
        if box.get("class", "").startswith("scroll"):
            assert box["tabindex"] == "0"
            assert box["aria-labelledby"]
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert page.elements[0][1]["lang"] == "en"


def test_downloads_are_the_files_of_the_folder(page: Page, experiment: Path) -> None:
    links = {a["download"]: a["href"] for a in page.all("a") if "download" in a}
    for name in ("parts.csv", "parts.tex", "wide.csv"):
        data = base64.b64decode(links[name].partition("base64,")[2])
        assert data == (experiment / "tables" / name).read_bytes()
    chart = base64.b64decode(links["bars.csv"].partition("base64,")[2])
    assert chart == (experiment / "charts" / "bars.csv").read_bytes()


def test_a_file_too_large_for_the_page_is_named(experiment: Path, monkeypatch) -> None:
    monkeypatch.setattr("xaieval.report.blocks.DOWNLOAD_BYTES", 10)
    text = Page(report_html(experiment)).text
    assert "too large for this page, see parts.csv in the folder" in text


def test_the_same_folder_gives_the_same_page(experiment: Path, written: Path) -> None:
    assert report_html(experiment) == written.read_text("utf-8")


def test_json_beside_the_page_says_where_everything_comes_from(written: Path) -> None:
    kept = json.loads(written.with_suffix(".json").read_text("utf-8"))
    assert kept["command"].startswith("xaieval report ")
    (part,) = kept["parts"]
    assert part["about"]["experiment"] == "made/by-hand"
    assert part["findings"][0]["verdict"] == "holds"
    assert part["provenance"]["digests"][EXPERIMENT]
    assert set(part["sha256"]) <= set(part["provenance"]["digests"])
    assert {"xaieval", "python"} <= set(kept["versions"])
    assert not (written.parent / "tables").exists(), "an experiment has its tables already"


# ---------------------------------------------------------------- results, several, neither


def test_results_folder(study: Path, tmp_path: Path) -> None:
    made = write_report(study, tmp_path / "r.html")
    page = Page(made.read_text("utf-8"))
    text = " ".join(page.text.split())
    assert "Win rates over seeds" in text
    assert "The sanity gate was not run" in text
    assert f"Mouths {EVIL}" in text
    wins = pd.read_csv(tmp_path / "tables" / "win-rates.csv")
    row = wins[(wins["class"] == "overall") & (wins["method"] == "Grad-CAM")].iloc[0]
    assert row["win rate"] == pytest.approx(10 / 12)
    assert row["n"] == 24
    scores = pd.read_csv(tmp_path / "tables" / "scores.csv")
    row = scores.query("score == 'regional_precision' and region == 'mouth'").iloc[0]
    assert row["method"] == "Grad-CAM"
    assert row["mean"] == pytest.approx((2 * 0.2 + 9 * 0.6) / 11)
    assert (row["n"], row["undefined"], row["seeds"]) == (22, 2, 2)
    assert (tmp_path / "tables" / "scores.tex").read_text().startswith(r"\begin{table}")
    assert "regional" in text.lower(), "charts of the regions"
    kept = json.loads((tmp_path / "r.json").read_text("utf-8"))["parts"][0]
    assert kept["manifest"]["title"] == f"Mouths {EVIL}"
    assert len(kept["tables"]["scores"]) == len(scores)


def test_a_trained_study(demo_results: Results) -> None:
    page = Page(report_html(demo_results.path))
    assert "Training: balanced accuracy" in page.text
    assert "tiny" in page.text
    figures = [a for a in page.all("div") if a.get("class") == "plot"]
    assert len(figures) >= 3


def test_published_results(tmp_path: Path) -> None:
    share = {"gradcam": 0.6, "saliency": 0.3, "integrated_gradients": 0.1}
    block = {
        "win_rate": {"crack": share, "overall": share},
        "balanced_accuracy": [0.5, 0.75],
        "loss_total_ce_mask": [[2.0, 1.5, 0.5], [1.0, 0.75, 0.25]],
    }
    runs = {seed: {"train": block, "test": block} for seed in ("42", "43")}
    (tmp_path / "runs.json").write_text(json.dumps(runs))
    import_published(tmp_path / "runs.json", tmp_path / "out")
    page = Page(report_html(tmp_path / "out"))
    assert "published, not measured here" in page.text
    assert "no model run here" in page.text
    assert "Accuracy per seed" in page.text


def test_several_experiments_are_one_page_with_an_overview(
    experiment: Path, tmp_path: Path
) -> None:
    for name in ("system/one", "system/two"):
        shutil.copytree(experiment, tmp_path / name)
    page = Page(report_html(tmp_path))
    text = " ".join(page.text.split())
    assert f"2 experiments in {tmp_path.name}" in text
    assert "holds: 4" in text
    assert "1 of 3 tiny 1 min 24 s" in text
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert {"system-one", "system-two"} <= set(ids)


def test_experiments_hide_the_results_inside_them(
    experiment: Path, study: Path, tmp_path: Path
) -> None:
    shutil.copytree(experiment, tmp_path / "a")
    shutil.copytree(study, tmp_path / "a" / "studies" / "one")
    text = report_html(tmp_path)
    assert "<h1>Faces made by hand</h1>" in text


def test_a_folder_that_is_neither(tmp_path: Path, experiment: Path) -> None:
    with pytest.raises(ResultsError, match="neither an experiment nor a results folder"):
        report_html(tmp_path)
    with pytest.raises(ResultsError, match="no such folder"):
        report_html(tmp_path / "gone")
    with pytest.raises(ResultsError, match="HTML file"):
        write_report(experiment, tmp_path / "r.json")
    damaged = tmp_path / "damaged"
    shutil.copytree(experiment, damaged)
    (damaged / "tables" / "parts.csv").write_text("other numbers")
    with pytest.raises(ResultsError, match="gone or was changed"):
        report_html(damaged)


def test_command(experiment: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["report", str(experiment), "--out", str(tmp_path / "a.html")])
    assert done.exit_code == 0, done.output
    assert done.output.strip() == str(tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    done = CliRunner().invoke(main, ["report", str(tmp_path)])
    assert done.exit_code == 2
    assert "neither an experiment nor a results folder" in done.output


def test_templates_are_in_the_package_and_in_the_wheel() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    patterns = listed["tool"]["setuptools"]["package-data"]["xaieval.report"]
    folder = importlib.resources.files("xaieval.report")
    others = [f.name for f in folder.iterdir() if f.is_file() and not f.name.endswith(".py")]
    assert {"page.html", "page.css", "page.js"} <= set(others)
    assert all(any(fnmatch(name, pattern) for pattern in patterns) for name in others)
    assert any(name.startswith("jinja2") for name in listed["project"]["dependencies"])


# ---------------------------------------------------------------- in a browser


@pytest.mark.browser
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_opens_from_the_disk_without_a_network(written: Path, chromium: Browser, mode: str) -> None:
    context = chromium.new_context(
        color_scheme=mode, offline=True, viewport={"width": 1280, "height": 900}
    )
    view = context.new_page()
    view.set_default_timeout(30_000)
    errors: list[str] = []
    asked: list[str] = []
    view.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    view.on("pageerror", lambda error: errors.append(str(error)))
    view.on("dialog", lambda dialog: errors.append(dialog.message))
    view.on("request", lambda r: asked.append(r.url))
    view.goto(written.as_uri())
    for i in range(7):
        plot = view.locator(".plot").nth(i)
        plot.scroll_into_view_if_needed()
        view.wait_for_selector(f"#{plot.get_attribute('id')}[data-drawn] >> canvas >> nth=0")
    assert view.evaluate("document.documentElement.scrollWidth") == 1280, "nothing sticks out"
    ground = view.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(255, 255, 255)" if mode == "light" else "rgb(25, 27, 30)")

    def inks() -> set[str]:
        """Return the colours of the labels of every figure on the page."""
        found = view.evaluate(
            "[...document.querySelectorAll('.plot')].map(p => Bokeh.documents.findLast("
            "d => d.roots()[0]?.id.startsWith(p.id + '-')).roots()[0]"
            ".left[0].axis_label_text_color)"
        )
        assert len(found) == 7
        return set(found)

    colours = {"light": "#17191c", "dark": "#e9eaec"}
    assert inks() == {colours[mode]}
    # The page follows when the reader's system changes, and paper is always light.
    other = "dark" if mode == "light" else "light"
    view.emulate_media(color_scheme=other)
    view.wait_for_function(
        "mode => document.querySelectorAll(`.plot[data-drawn=${mode}]`).length === 7", arg=other
    )
    assert inks() == {colours[other]}
    view.emulate_media(media="print")
    assert view.locator(".printed").first.is_visible()
    assert view.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert not view.locator(".plot").first.is_visible()
    assert not errors
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    context.close()


@pytest.mark.browser
def test_is_read_without_scripts(written: Path, chromium: Browser) -> None:
    context = chromium.new_context(java_script_enabled=False)
    view = context.new_page()
    view.goto(written.as_uri())
    assert view.locator(".printed").count() == 7
    assert view.locator(".printed").first.is_visible()
    context.close()
