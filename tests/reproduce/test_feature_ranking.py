"""Feature ranking as an experiment: tables made by hand, and a tiny run from end to end."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from xaieval.datasets.face_parts import FEATURES
from xaieval.datasets.face_traits import ATTRIBUTE_REGIONS
from xaieval.outcomes import read_outcome
from xaieval.reproduce import Setup, run_experiment
from xaieval.reproduce.explanation_alignment import feature_ranking as fr
from xaieval.reproduce.explanation_alignment.faces import Faces

AREAS = {"hair": 0.3, "skin": 0.2, "mouth": 0.01}


def frame(**means):
    """Return scores of three features: by rule id the mean of each, the same for every face."""
    rules = {rule.id: rule for rule in (*fr.RULES, fr.AREA)}
    given = {"area": AREAS, **means}
    given = {id: given.get(id, AREAS) for id in rules}
    return pd.DataFrame(
        [
            {
                "seed": seed,
                "sample_id": face,
                "region": feature,
                "method_id": rules[id].method,
                "metric_key": rules[id].metric,
                "value": value + 0.001 * seed,
            }
            for id, values in given.items()
            for feature, value in values.items()
            for seed in (1, 2)
            for face in "abc"
        ]
    )


def test_the_deciding_feature_of_an_attribute_is_the_generators():
    parts = {"mouth": "mouth", "hair": "hair", "cloth": "cloth"}
    for arm in fr.ARMS:
        if arm.rate == 0.5:
            assert parts[arm.feature] in ATTRIBUTE_REGIONS[arm.attribute]
        else:
            assert arm.feature in ATTRIBUTE_REGIONS[arm.bias]
        assert arm.feature in FEATURES


def test_places_follow_the_means_of_each_rule():
    lifts = {"hair": 1.0, "skin": 2.0, "mouth": 9.0}
    ranks = fr.rank_table({"smiling": frame(**{"gradcam-lift": lifts})})
    rows = ranks.set_index(["rule_id", "feature"])
    assert rows.loc[("gradcam-lift", "mouth"), "rank"] == 1
    assert rows.loc[("published-iou", "mouth"), "rank"] == 3
    assert rows.loc[("gradcam-lift", "mouth"), ["low", "high"]].tolist() == [1, 1]
    assert rows.loc[("gradcam-lift", "skin"), "area_share"] == pytest.approx(0.2015)


def test_a_ranking_by_area_agrees_with_area_and_not_with_its_reverse():
    lifts = {"hair": 1.0, "skin": 2.0, "mouth": 9.0}
    table = fr.agreement_table({"smiling": frame(**{"gradcam-lift": lifts})})
    taus = table.set_index(["first_id", "second_id"])["tau"]
    assert taus["published-iou", "area"] == 1
    assert taus["gradcam-lift", "area"] == -1
    across = fr.across_table(
        {"smiling": frame(**{"gradcam-lift": lifts}), "smiling-biased": frame()}
    ).set_index("first_id")["tau"]
    assert across["published-iou"] == 1
    assert across["gradcam-lift"] == -1


@pytest.mark.parametrize(("mouth", "verdict"), [(9.0, "holds"), (0.5, "does not hold")])
def test_first_is_judged_by_the_places_between_which_it_moves(mouth, verdict):
    frames = {"smiling": frame(**{"gradcam-lift": {"hair": 1.0, "skin": 2.0, "mouth": mouth}})}
    claim = next(claim for claim in fr.SPEC.claims if claim.id == "lift-smiling")
    found = fr._first(claim, fr.ARMS[0], fr.LIFT, fr.rank_table(frames), frames)
    assert found.verdict == verdict
    assert found.value == (1 if mouth == 9.0 else 3)
    assert "skin, hair" in found.why


def test_photographs_say_nothing_of_planted_claims():
    names = [arm.name for arm in fr.ARMS if arm.photographs]
    frames = {name: frame() for name in names}
    gates = tuple(fr.GateResult(fr._arm(name).gate, (1.0,)) for name in names)
    found = fr._findings(
        Faces("celebamask-hq", Path("faces"), "mouth_area", "hair"),
        frames,
        fr.rank_table(frames),
        fr.agreement_table(frames),
        gates,
    )
    assert {finding.claim.id for finding in found} == {claim.id for claim in fr.SPEC.claims}
    for finding in found:
        planted = finding.claim.id.startswith(("drawn-", "lift-"))
        assert ("planted truth" in finding.why) == planted


@pytest.mark.slow
def test_a_tiny_run_from_end_to_end(tmp_path):
    setup = Setup(out=tmp_path / "out", size="tiny", device="cpu", command=("xaieval", "reproduce"))
    experiment = run_experiment(fr.SPEC, setup)
    outcome = experiment.outcome
    assert {f.claim.id for f in outcome.findings} == {c.id for c in fr.SPEC.claims}
    assert len(outcome.gates) == len(experiment.study_folders) == 4
    sheets = {sheet.id: sheet.frame for sheet in outcome.sheets}
    ranks = sheets["ranks"]
    assert set(ranks["feature"]) == set(FEATURES)
    assert (ranks.groupby(["model", "rule"])["rank"].sum() == 28).all(), "1 + 2 + … + 7"
    trained = {
        path: path.stat().st_mtime_ns
        for folder in experiment.study_folders
        for path in (folder / "checkpoints").iterdir()
    }
    again = run_experiment(fr.SPEC, setup)
    assert [f.value for f in again.outcome.findings] == [f.value for f in outcome.findings]
    assert all(path.stat().st_mtime_ns == then for path, then in trained.items())
    assert read_outcome(tmp_path / "out").about.size == "tiny"
