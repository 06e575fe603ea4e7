"""Regional scores out of a results folder, and folders of results opened whole."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from by_hand import write_results

from xaieval.errors import ConfigError, ResultsError
from xaieval.stats import region_table
from xaieval.study import Results
from xaieval.study.opening import find_results, open_folders, open_results
from xaieval.study.regional import (
    FACE_GROUPS,
    alignment,
    chance_scale,
    default_regions,
    falsification_metrics,
    parse_model_id,
    regional_metrics,
    regional_scores,
)

SAMPLES = {"0@smile": "smile", "0@hat": "hat", "1@smile": "smile", "2@hat": "hat"}
VALUES = {"eyes": 10.0, "nose": 4.0, "mouth": 30.0}
AREAS = {"eyes": 0.1, "nose": 0.02, "mouth": 0.1}


def value(sample: str, seed: int, method: str, region: str, metric: str) -> float | str:
    if metric.startswith("falsification"):
        return float(method == "random" or sample.startswith("0"))
    if region == "nose" and sample == "2@hat":
        return "absent-part" if metric != "area_share" else 0.0
    if metric == "area_share":
        return AREAS[region]
    shift = 0.0 if method == "gradcam" else -1.0
    return VALUES[region] + shift + seed


METRICS = ("regional_precision", "area_share", "falsification", "falsification@rule=area-matched")


@pytest.fixture
def results(tmp_path: Path) -> Results:
    out = write_results(
        tmp_path / "out",
        value,
        samples=SAMPLES,
        seeds=(1, 2),
        metrics=METRICS,
        wrong=frozenset({("1@smile", 1)}),
    )
    return Results(out)


def test_what_can_be_shown(results: Results):
    assert regional_metrics(results) == ("regional_precision",)
    assert falsification_metrics(results)[0] == "falsification@rule=area-matched"
    assert default_regions(results) == ("eyes", "nose", "mouth")
    assert (chance_scale("regional_precision"), chance_scale("auroc")) == (100.0, None)


def test_the_groups_of_a_face_are_shown_first():
    from xaieval.datasets.face_parts import GROUPS

    assert tuple(GROUPS) == FACE_GROUPS


def test_rows_stand_in_the_order_asked_for(results: Results):
    found = regional_scores(results, "regional_precision", regions=("mouth", "eyes"), seed=1)
    assert list(dict.fromkeys(found["region"])) == ["mouth", "eyes"]
    assert list(dict.fromkeys(found["method_id"])) == ["gradcam", "saliency", "random"]
    assert set(found["image"]) == {"0", "1", "2"}
    assert set(found["area"]) == {0.1}
    assert len(found) == 4 * 2 * 3
    whole = regional_scores(results, "falsification", class_name="hat")
    assert set(whole["region"]) == {"whole"}
    assert whole["area"].isna().all()


def test_a_table_by_hand(results: Results):
    table = region_table(regional_scores(results, "regional_precision"), scale=100.0)
    table = table.set_index(["region", "method_id"])
    eyes = table.loc[("eyes", "gradcam")]
    # four samples; 1@smile takes part under seed 2 only
    assert eyes["n"] == 4
    assert eyes["mean"] == pytest.approx((3 * 11.5 + 12) / 4)
    assert eyes["lift"] == pytest.approx((3 * 11.5 + 12) / 4 / 10)
    assert table.loc[("nose", "gradcam"), "left_out_by"] == "absent-part 1"


def test_unknown_names_are_told(results: Results):
    for arguments in ({"metric": "iou"}, {"regions": ("chin",)}, {"methods": ("gradcm",)}):
        asked = {"metric": "regional_precision", **arguments}
        with pytest.raises(ConfigError, match="unknown"):
            regional_scores(results, **asked)  # type: ignore[arg-type]


def test_alignment_by_hand(results: Results):
    found = alignment({"a": results}, "regional_precision", method="gradcam", region="eyes")
    assert found["id"].tolist() == ["a/seed-1", "a/seed-2"]
    assert found["value"].tolist() == pytest.approx([11.0, 12.0])
    assert found["accuracy"].tolist() == pytest.approx([0.75, 1.0])
    assert found["n"].tolist() == [4, 4]
    right = alignment({"a": results}, "regional_precision", method="gradcam", population="correct")
    assert right["n"].tolist() == [3, 4]
    for arguments in ({"method": "occlusion"}, {"method": "gradcam", "region": "chin"}):
        assert alignment({"a": results}, "regional_precision", **arguments).empty  # type: ignore[arg-type]


def test_a_results_folder_without_area_share(tmp_path: Path):
    out = write_results(tmp_path / "o", value, samples=SAMPLES, metrics=("regional_precision",))
    frame = regional_scores(Results(out), "regional_precision")
    assert frame["area"].isna().all()
    assert math.isnan(region_table(frame, scale=100.0)["lift"].iloc[0])


# ---------------------------------------------------------------- opening


def test_a_folder_opens_everything_in_it(tmp_path: Path, results: Results):
    for arm in ("beta-1", "beta-0"):
        write_results(tmp_path / "exp" / "studies" / arm, value, samples=SAMPLES)
    (tmp_path / "exp" / "tables").mkdir()
    (tmp_path / "exp" / ".hidden").mkdir()
    found = find_results(tmp_path / "exp")
    assert [path.name for path in found] == ["beta-0", "beta-1"]
    assert find_results(found[0]) == (found[0],)
    assert find_results(tmp_path / "none") == ()
    opened = open_folders([str(tmp_path / "exp"), str(results.path)])
    assert list(opened) == ["beta-0", "beta-1", "out"]  # all of the study "demo"
    assert list(open_folders([str(results.path)])) == ["demo"]
    assert list(open_folders([str(results.path)] * 2)) == ["demo", "demo~2"]
    with pytest.raises(ResultsError, match="not a results folder"):
        open_results(str(tmp_path / "exp" / "tables"))


def test_arms_of_two_experiments_keep_apart(tmp_path: Path):
    for experiment in ("one", "two"):
        write_results(tmp_path / experiment / "studies" / "honest", value, samples=SAMPLES)
    assert list(open_folders([str(tmp_path)])) == ["one/honest", "two/honest"]
    assert parse_model_id("one/honest/seed-3") == ("one/honest", 3)
    for bad in ("one", "/seed-3", "one/seed-", "one/seed-x", "one/seed-٣"):
        with pytest.raises(ResultsError, match="no id of a model"):
            parse_model_id(bad)
