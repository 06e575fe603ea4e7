"""Reports as files: whole, merged, refused when damaged; and the words made of them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from xaieval.errors import ResultsError
from xaieval.sanity import (
    Check,
    SanityReport,
    Verdict,
    failures,
    notes,
    read_reports,
    report_of,
    verdicts,
    write_reports,
)
from xaieval.sanity.limits import GATE_VERSION

BAD = Verdict(
    "failed",
    "d1",
    (Check("randomisation", 0.931234, 0.6123, n=48), Check("empty maps", 0.0, 0.1, n=16)),
    spearman=(0.98765432, None),
    ssim=(0.5, None),
)
GOOD = Verdict("passed", "d2", (Check("randomisation", 1 / 3, 0.6, n=48),))
REPORT = SanityReport(
    "seed-42",
    "print",
    ("head", "conv"),
    ("a", "b"),
    {"guided": BAD, "saliency": GOOD},
    {"seed": 0},
    checkpoint_sha256="sha",
)


def test_round_trip(tmp_path: Path) -> None:
    path = write_reports(tmp_path, [REPORT])
    assert path.name == "sanity.json"
    assert read_reports(tmp_path) == {"seed-42": REPORT}
    assert json.loads(path.read_text())["models"]["seed-42"]["verdicts"]["guided"]["checks"][0] == {
        "name": "randomisation",
        "value": 0.9312,
        "threshold": 0.6123,
        "n": 48,
        "passed": False,
    }


def test_a_number_next_to_its_limit_reads_the_same_after_a_round_trip(tmp_path: Path) -> None:
    near = Check("randomisation", 0.612301, 0.612299, n=1)
    report = dataclasses.replace(REPORT, verdicts={"m": Verdict("passed", "d", (near,))})
    write_reports(tmp_path, [report])
    assert read_reports(tmp_path)["seed-42"].verdicts["m"].checks[0].passed is near.passed


def test_methods_and_models_add_up(tmp_path: Path) -> None:
    write_reports(tmp_path, [REPORT])
    write_reports(tmp_path, [dataclasses.replace(REPORT, verdicts={"lrp": GOOD})])
    write_reports(tmp_path, [dataclasses.replace(REPORT, model="seed-43")])
    found = read_reports(tmp_path)
    assert list(found) == ["seed-42", "seed-43"]
    assert set(found["seed-42"].verdicts) == {"guided", "saliency", "lrp"}
    # Another network, other images or another gate: nothing of the old report stays.
    write_reports(tmp_path, [dataclasses.replace(REPORT, fingerprint="new", verdicts={"x": GOOD})])
    assert set(read_reports(tmp_path)["seed-42"].verdicts) == {"x"}


def test_nothing_there(tmp_path: Path) -> None:
    assert read_reports(tmp_path) == {}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"schema": 99, "models": {}}',
        '{"schema": 1, "models": []}',
        '{"schema": 1, "models": {"a": {"model": "a"}}}',
        '{"schema": 1, "models": {"a": {"verdicts": {"m": {"checks": 3}}}}}',
    ],
)
def test_damaged_files_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "sanity.json").write_text(text)
    with pytest.raises(ResultsError, match=r"sanity\.json.*xaieval sanity"):
        read_reports(tmp_path)
    with pytest.raises(ResultsError):
        write_reports(tmp_path, [REPORT])
    assert (tmp_path / "sanity.json").read_text() == text


def test_bad_values() -> None:
    with pytest.raises(ResultsError, match="finite"):
        Check("randomisation", float("nan"), 0.5, n=1)
    with pytest.raises(ResultsError, match="unknown status"):
        Verdict("fine", "d")  # type: ignore[arg-type]


def test_words() -> None:
    other = dataclasses.replace(REPORT, model="seed-43", verdicts={"guided": GOOD})
    assert failures([REPORT]) == {
        "guided": "failed the sanity gate: randomisation 0.93 (limit 0.61)"
    }
    words = failures([REPORT, other])
    assert words == {"guided": "failed the sanity gate on 1 of 2 models: randomisation"}
    assert notes(words, {"saliency": "Saliency", "guided": "Guided backprop"}) == [
        "⚠ Guided backprop failed the sanity gate on 1 of 2 models: randomisation"
    ]
    crashed = dataclasses.replace(REPORT, verdicts={"m": Verdict("failed", "d", reason="NaN")})
    assert failures([crashed]) == {"m": "failed the sanity gate: NaN"}


def test_old_verdicts_do_not_count() -> None:
    assert failures([REPORT], {"guided": {"d1"}}) == failures([REPORT])
    assert failures([REPORT], {"guided": {"newer"}}) == {}
    old = dataclasses.replace(REPORT, version=GATE_VERSION - 1)
    assert verdicts(old) == {}
    assert failures([old]) == {}


def test_a_report_counts_for_its_own_file_only(tmp_path: Path) -> None:
    from xaieval.digest import digest_file

    folder = tmp_path / "checkpoints"
    folder.mkdir()
    checkpoint = folder / "seed-42.safetensors"
    checkpoint.write_bytes(b"weights")
    assert report_of(checkpoint) is None
    write_reports(
        tmp_path, [dataclasses.replace(REPORT, checkpoint_sha256=digest_file(checkpoint))]
    )
    found = report_of(checkpoint)
    assert found is not None
    assert found.verdicts["guided"] == BAD
    checkpoint.write_bytes(b"trained anew")
    assert report_of(checkpoint) is None
