"""Published runs: the golden numbers to four digits, and the label that must never be lost."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from xaieval.errors import ResultsError
from xaieval.study.published import NOTE, import_published
from xaieval.study.results import Results

METHODS = ("gradcam", "saliency", "integrated_gradients")


def runs(*shares: tuple[float, float, float]) -> dict[str, object]:
    def block(share: tuple[float, float, float]) -> dict[str, object]:
        rate = dict(zip(METHODS, share, strict=True))
        return {
            "win_rate": {"crack": rate, "overall": rate},
            "balanced_accuracy": [0.5, 0.75],
            "loss_total_ce_mask": [[2.0, 1.5, 0.5], [1.0, 0.75, 0.25]],
        }

    return {str(42 + i): {"train": block(s), "test": block(s)} for i, s in enumerate(shares)}


def test_read_back_and_labelled(tmp_path: Path):
    (tmp_path / "runs.json").write_text(json.dumps(runs((1, 0, 0), (0.5, 0.25, 0.25))))
    import_published(tmp_path / "runs.json", tmp_path / "out")
    results = Results(tmp_path / "out")
    assert results.kind == "published"
    assert NOTE in results.title
    assert results.manifest["note"] == results.note == NOTE
    assert results.seeds == (42, 43)
    assert results.classes == ("crack",)
    assert results.compete == results.method_ids == METHODS
    rates = results.win_rates()
    overall = rates[(rates["split"] == "test") & (rates["class"] == "overall")]
    cam = overall[overall["method_id"] == "gradcam"].sort_values("seed")
    assert cam["win_rate"].tolist() == [1.0, 0.5]
    assert rates["n"].isna().all()
    assert set(results.accuracy()["balanced_accuracy"]) == {0.75}
    history = results.history()
    assert len(history) == 2 * 2 * 2
    assert history[history["epoch"] == 1]["loss_ce"].tolist() == [1.5] * 4
    assert results.dataset() is None
    assert results.predictions().empty
    with pytest.raises(ResultsError, match="only be shown as they were published"):
        results.win_rates(population="all")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nope", "not JSON"),
        ("{}", "no published runs"),
        ('{"42": {"train": {}}}', "run '42' is not of the published form"),
        ('{"x": 1}', "run 'x' is not"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, words: str):
    (tmp_path / "runs.json").write_text(text)
    with pytest.raises(ResultsError, match=words):
        import_published(tmp_path / "runs.json", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_never_over_other_files(tmp_path: Path):
    (tmp_path / "runs.json").write_text(json.dumps(runs((1, 0, 0))))
    with pytest.raises(ResultsError, match="holds other files"):
        import_published(tmp_path / "runs.json", tmp_path)


GOLDEN = {
    ("test", "gradcam"): (0.9017, 0.0739),
    ("test", "saliency"): (0.0192, 0.0405),
    ("test", "integrated_gradients"): (0.0792, 0.0712),
    ("train", "gradcam"): (0.8713, 0.0678),
    ("train", "saliency"): (0.0486, 0.0382),
    ("train", "integrated_gradients"): (0.0801, 0.0564),
}


def test_golden_numbers(tmp_path: Path):
    data = os.environ.get("XAIEVAL_DATA")
    if not data:
        pytest.skip("set XAIEVAL_DATA to a data folder with project_iml_runs.json in ../reference")
    source = Path(data).parent / "reference" / "project_iml_runs.json"
    if not source.is_file():
        pytest.skip("the published runs (project_iml_runs.json) are not beside the data folder")
    results = import_published(source, tmp_path / "out")
    rates = results.win_rates()
    for (split, method), golden in GOLDEN.items():
        mine = rates[
            (rates["split"] == split)
            & (rates["class"] == "overall")
            & (rates["method_id"] == method)
        ]["win_rate"]
        assert len(mine) == 10
        assert (round(mine.mean(), 4), round(mine.std(ddof=0), 4)) == golden
    accuracy = results.accuracy().groupby("split")["balanced_accuracy"]
    assert accuracy.mean().round(4).to_dict() == {"test": 0.9443, "train": 0.9837}
    assert accuracy.std(ddof=0).round(4).to_dict() == {"test": 0.0467, "train": 0.0144}
