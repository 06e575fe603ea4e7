"""A method that failed the gate is marked wherever its numbers stand: sign and words."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from app.catalogue import Catalogue
from app.composing import Wish, compose
from app.pages.batch import BatchPage
from app.scorecard import marked_labels
from app.services import Services
from app.state import AppState
from xaieval.cli import main
from xaieval.cli.summary_text import FORMATS, render
from xaieval.digest import digest_file
from xaieval.export import View, export_figure, export_table, gate_notes, method_labels, sidecar
from xaieval.methods import resolve_methods
from xaieval.sanity import Check, SanityReport, Verdict, write_reports
from xaieval.study import Results, summary

WHY = "failed the sanity gate on 1 of 2 models: randomisation"
ONE = "failed the sanity gate: randomisation 0.93 (limit 0.61)"


def verdict(method: str, *, failed: bool = False) -> Verdict:
    call = resolve_methods(method)[0]
    check = Check("randomisation", 0.93 if failed else 0.2, 0.61, n=48)
    return Verdict("failed" if failed else "passed", call.digest, (check,))


@pytest.fixture
def results(demo_results: Results, tmp_path: Path) -> Results:
    """The small study, Grad-CAM failed on the first of its two models."""
    folder = tmp_path / "results"
    shutil.copytree(demo_results.path, folder)
    reports = [
        SanityReport(
            path.stem,
            "",
            ("head",),
            ("a",),
            {
                "gradcam": verdict("gradcam", failed=seed == 42),
                "saliency": verdict("saliency"),
                "random": Verdict("not gated", "", reason="never looks at the model"),
            },
            checkpoint_sha256=digest_file(path),
        )
        for seed, _, path in demo_results.checkpoints()
    ]
    write_reports(folder, reports)
    return Results(folder)


def test_results_know(results: Results, demo_results: Results) -> None:
    assert list(results.sanity) == ["seed-42", "seed-43"]
    assert results.sanity_failures == {"gradcam": WHY}
    assert demo_results.sanity_failures == {}


def test_another_model_or_method_version_has_no_verdict(results: Results) -> None:
    found = results.sanity["seed-42"]
    stale = dataclasses.replace(found, checkpoint_sha256="of a model trained since")
    write_reports(results.path, [dataclasses.replace(stale, fingerprint="x")])
    assert list(Results(results.path).sanity) == ["seed-43"]
    other = dataclasses.replace(found.verdicts["gradcam"], method_digest="of the next version")
    write_reports(
        results.path, [dataclasses.replace(found, fingerprint="y", verdicts={"gradcam": other})]
    )
    assert Results(results.path).sanity_failures == {}


@pytest.mark.parametrize("kind", FORMATS)
def test_summary(results: Results, demo_results: Results, kind: str) -> None:
    text = render(summary(results), kind)
    plain = render(summary(demo_results), kind)
    assert "failed the sanity gate" in text
    assert "failed the sanity gate" not in plain
    if kind == "table":
        assert "gradcam ⚠" in text
        assert f"⚠ gradcam {WHY}" in text.splitlines()
        assert "⚠" not in plain
    elif kind == "latex":
        assert r"gradcam $\ddagger$" in text
        assert text.count(r"\par\footnotesize $\ddagger$ gradcam failed") == 1
    elif kind == "json":
        rows = json.loads(text)["win_rates"]
        assert {(row["method_id"], row["sanity"]) for row in rows} == {
            ("gradcam", WHY), ("saliency", ""), ("integrated_gradients", ""), ("random", ""),
        }  # fmt: skip


def test_exports(results: Results) -> None:
    assert method_labels(results)["gradcam"] == "Grad-CAM ⚠"
    assert method_labels(results, marked=False)["gradcam"] == "Grad-CAM"
    assert gate_notes(results) == [f"⚠ Grad-CAM {WHY}"]
    assert gate_notes(results, ["saliency"]) == []
    csv = export_table(results, View(), format="csv").splitlines()
    assert "sanity" in csv[0].split(",")
    assert any(WHY in line for line in csv[1:])
    tex = export_table(results, View(), format="tex")
    assert r"Grad-CAM $\ddagger$ &" in tex
    assert rf"\par\footnotesize $\ddagger$ Grad-CAM {WHY}" in tex
    assert sidecar(results, View(), format="png")["sanity_failures"] == {"gradcam": WHY}


def test_printed_figure(results: Results, demo_results: Results) -> None:
    drawn = export_figure(results, View(), format="svg").decode()
    assert "Grad-CAM ⚠" in drawn
    assert f"⚠ Grad-CAM {WHY}" in drawn
    assert "⚠" not in export_figure(demo_results, View(), format="svg").decode()


def test_batch_page(results: Results) -> None:
    services = SimpleNamespace(
        results={"one": results}, problems=(), pool=ThreadPoolExecutor(1), backend=None
    )
    page = BatchPage(AppState(page="batch"), services)  # type: ignore[arg-type]
    asyncio.run(page._refresh())
    sign = f'<abbr class="gate" role="img" title="{WHY}" aria-label="{WHY}">⚠</abbr>'
    note = f'<div class="gate-note" role="note">⚠ Grad-CAM {WHY}</div>'
    assert f"Grad-CAM {sign}</th>" in page.sections.table.object
    assert note in page.sections.table.object
    assert f"Grad-CAM {sign}" in page.sections.legend.object
    assert f"Grad-CAM {sign}" in page.sections.head.object
    assert page.sections.table.object.count(sign) == 1
    points = page.sections.boxes.object.children[0].select_one({"name": "points"})
    assert "Grad-CAM ⚠" in set(points.data_source.data["label"])


def test_explore_card(results: Results) -> None:
    services = Services({"tiny": results})
    first, second = (path for _, _, path in results.checkpoints())
    calls = resolve_methods(["gradcam", "saliency", "integrated_gradients"])
    gate = services.verdicts("tiny", first, calls)
    assert {key: found.status for key, found in gate.items()} == {
        "gradcam": "failed",
        "saliency": "passed",
        "random": "not gated",
    }
    assert services.verdicts("tiny", second, calls)["gradcam"].status == "passed"
    finer = resolve_methods(["gradcam", "saliency[pooling=sum,abs]"])
    assert "saliency[pooling=sum,abs]" not in services.verdicts("tiny", first, finer)
    labels = marked_labels({"gradcam": "Grad-CAM", "saliency": "Saliency"}, gate)
    assert labels == {"gradcam": "Grad-CAM ⚠", "saliency": "Saliency"}


def test_explore_view(results: Results) -> None:
    from xaieval.backend import Backend, Request
    from xaieval.cache import HeatmapCache

    dataset = results.dataset()
    assert dataset is not None
    catalogue = Catalogue(results, dataset)
    backend = Backend("cpu", cache=HeatmapCache(disk_bytes=0))
    services = Services({"tiny": results}, backend=backend)
    item = next(it for it in catalogue.items("test", "crack"))
    checkpoint = results.checkpoints()[0][2]
    calls = resolve_methods(["gradcam", "saliency"])
    wish = Wish(
        study="tiny",
        sample_id=item.sample_id,
        label="crack",
        class_names=dataset.class_names,
        checkpoint=checkpoint,
        methods=calls,
        target="predicted",
        compete=frozenset({"gradcam", "saliency"}),
    )
    try:
        answer = backend.explain(Request(checkpoint, dataset[item.sample_id], calls))
        scene = services.scene("tiny", item.sample_id, checkpoint)
        view = compose(services, wish, scene, answer.maps, answer)
    finally:
        backend.close()
    cards = {shown["key"]: shown for shown in view["cards"]}
    assert cards["gradcam"]["badges"][0] == {
        "text": "⚠ sanity",
        "kind": "flag",
        "title": f"{ONE[0].upper()}{ONE[1:]}.",
        "define": "sanity",
    }
    assert "Passed the sanity gate" in cards["saliency"]["title"]
    assert "⚠ sanity" not in str(cards["saliency"]["badges"])
    assert "Grad-CAM ⚠" in str(view["verdict"])


def test_scores_of_one_image_carry_the_verdict(results: Results, tmp_path: Path) -> None:
    from PIL import Image

    dataset = results.dataset()
    assert dataset is not None
    Image.fromarray(dataset[dataset.ids[0]].image).save(tmp_path / "nut.png")
    checkpoint = results.checkpoints()[0][2]
    run = CliRunner().invoke(
        main,
        [
            *("explain", str(tmp_path / "nut.png"), "--checkpoint", str(checkpoint)),
            *("--methods", "gradcam,saliency,sobel", "--out", str(tmp_path / "out")),
        ],
        catch_exceptions=False,
    )
    assert run.exit_code == 0
    assert f"⚠ gradcam {ONE}" in run.output
    methods = json.loads((tmp_path / "out" / "scores.json").read_text())["methods"]
    assert methods["gradcam"]["sanity"] == {
        "status": "failed",
        "text": ONE,
        "checks": [
            {"name": "randomisation", "value": 0.93, "threshold": 0.61, "n": 48, "passed": False}
        ],
    }
    assert methods["saliency"]["sanity"]["status"] == "passed"
    assert methods["sobel"]["sanity"] is None
