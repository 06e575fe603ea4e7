"""The triage table against slow twins: plain loops over the tables of the results."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from triage_made import CLASSES, METHODS, make

from xaieval.errors import ConfigError, ResultsError
from xaieval.stats import Thresholds, shared_interest_pattern
from xaieval.stats.patterns import PATTERNS
from xaieval.study import Results, demo_results
from xaieval.triage import ORDERS, Filters, TriageTable, open_triage


@pytest.fixture(scope="module")
def table(made: Results) -> TriageTable:
    return open_triage(made)


def twin(results: Results, metric: str = "topk_overlap") -> list[dict]:
    """Row by row, in the table's order: prediction and {method: score}."""
    scores = results.scores(metric_key=metric)
    by_row: dict[tuple, dict[str, float]] = {}
    for row in scores.to_dict("records"):
        by_row.setdefault((row["sample_id"], row["seed"]), {})[row["method_id"]] = row["value"]
    return [
        row | {"scores": by_row.get((row["sample_id"], row["seed"]), {})}
        for row in results.predictions().to_dict("records")
    ]


def numbers(row: dict, methods: tuple[str, ...]) -> list[float]:
    values = [row["scores"].get(method, math.nan) for method in methods]
    return [value for value in values if not math.isnan(value)]


def test_columns_are_those_of_the_predictions(made: Results, table: TriageTable) -> None:
    rows = table.rows
    for i, row in enumerate(twin(made)):
        assert rows.samples[rows.sample[i]] == row["sample_id"]
        assert (rows.seed[i], rows.fold[i]) == (row["seed"], row["fold"])
        assert rows.splits[rows.split[i]] == row["split"]
        assert rows.classes[rows.of_class[i]] == row["class"]
        assert (rows.label[i], rows.predicted[i]) == (row["label"], row["predicted"])
        assert (rows.confidence[i], rows.correct[i]) == (row["confidence"], row["correct"])
        for j, method in enumerate(table.methods):
            assert np.array_equal(
                table.scores.values[i, j], row["scores"].get(method, math.nan), equal_nan=True
            )


def test_surprise_and_disagreement_by_loops(made: Results, table: TriageTable) -> None:
    seen = 0
    for i, row in enumerate(twin(made)):
        there = numbers(row, METHODS[:3])
        alignment = sum(there) / len(there) if there else math.nan
        spread = max(there) - min(there) if len(there) > 1 else math.nan
        surprise = row["confidence"] * (1 - alignment) * spread
        assert table.alignment[i] == pytest.approx(alignment, nan_ok=True)
        assert table.score[i] == pytest.approx(alignment, nan_ok=True)
        assert table.disagreement[i] == pytest.approx(spread, nan_ok=True)
        assert table.surprise[i] == pytest.approx(surprise, nan_ok=True)
        assert (table.why(i) == "") == (not math.isnan(surprise))
        seen += not math.isnan(surprise)
    assert 0 < seen < len(table)


def test_one_methods_score(made: Results, table: TriageTable) -> None:
    of = table.of("random")
    assert of.rows is table.rows
    for i, row in enumerate(twin(made)):
        value = row["scores"]["random"]
        assert np.array_equal(of.score[i], value, equal_nan=True)
        assert of.misalignment[i] == pytest.approx(1 - value, nan_ok=True)
    assert np.array_equal(of.disagreement, table.disagreement, equal_nan=True)
    assert of.of(None).of("random").method == "random"
    with pytest.raises(ConfigError, match="Did you mean 'gradcam'"):
        table.of("gradcan")


@pytest.mark.parametrize("thresholds", [Thresholds(), Thresholds(high=0.8, covered=0.6, low=0.3)])
def test_patterns_are_those_of_the_statistics(
    made: Results, table: TriageTable, thresholds: Thresholds
) -> None:
    of = table.of("saliency")
    columns = [
        [row["scores"]["saliency"] for row in twin(made, metric)]
        for metric in ("iou", "gt_coverage", "saliency_coverage")
    ]
    correct = [row["correct"] for row in twin(made)]
    expected = shared_interest_pattern(*columns, correct, thresholds=thresholds)
    found = [list(PATTERNS)[code] for code in of.patterns(thresholds)]
    assert found == expected.tolist()
    assert len(set(found)) > 4


@pytest.mark.parametrize("population", ["correct", "all"])
@pytest.mark.parametrize("tie_rule", ["split", "first"])
@pytest.mark.parametrize("metric", ["topk_overlap", "deletion"])
def test_shares_add_up_to_the_win_rates(
    made: Results, metric: str, tie_rule: str, population: str
) -> None:
    check_win_rates(made, metric, tie_rule, population)


@pytest.mark.parametrize("population", ["correct", "all"])
@pytest.mark.parametrize("tie_rule", ["split", "first"])
def test_shares_add_up_to_the_win_rates_of_the_demo(tie_rule: str, population: str) -> None:
    check_win_rates(demo_results(), "topk_overlap", tie_rule, population)


def check_win_rates(results: Results, metric: str, tie_rule: str, population: str) -> None:
    table = open_triage(results, metric=metric)
    rates = results.win_rates(metric=metric, tie_rule=tie_rule, population=population)
    shares = table.wins(tie_rule=tie_rule, population=population)
    assert len(rates) > 8
    for row in rates.to_dict("records"):
        filters = Filters(
            seed=row["seed"],
            split=row["split"],
            class_name=None if row["class"] == "overall" else row["class"],
            outcome=f"counted:{row['method_id']}",
            tie_rule=tie_rule,
            population=population,
        )
        counted = table.select(filters)
        assert len(counted) == row["n"]
        won = shares[counted, table.compete.index(row["method_id"])]
        assert won.sum() == pytest.approx(row["wins"])
        if row["n"]:
            assert won.mean() == pytest.approx(row["win_rate"])


def test_a_score_where_smaller_is_better_is_turned_round(made: Results) -> None:
    bounded = open_triage(made, metric="deletion")
    assert bounded.region == "whole"
    assert np.allclose(bounded.normalised, 1 - bounded.scores.values, equal_nan=True)
    unbounded = open_triage(made, metric="max_sensitivity")
    there = ~np.isnan(unbounded.scores.values)
    order = np.argsort(unbounded.scores.values[there], kind="stable")
    assert (np.diff(unbounded.normalised[there][order]) <= 0).all()
    assert len(np.unique(unbounded.normalised[there])) == 6
    # Patterns are of a region all the same.
    assert len(bounded.patterns()) == len(bounded)


@pytest.mark.parametrize("metric", ["topk_overlap", "lift"])
def test_normalised_scores_keep_the_order_and_stay_in_0_to_1(made: Results, metric: str) -> None:
    table = open_triage(made, metric=metric)
    raw, scaled = table.scores.values, table.normalised
    assert np.array_equal(np.isnan(raw), np.isnan(scaled))
    there = ~np.isnan(raw)
    assert scaled[there].min() >= 0
    assert scaled[there].max() <= 1
    by_raw = np.argsort(raw[there], kind="stable")
    assert (np.diff(scaled[there][by_raw]) >= 0).all()
    same = np.diff(np.sort(raw[there])) == 0
    assert (np.diff(np.sort(scaled[there]))[same] == 0).all()


def test_mid_ranks_by_counting(made: Results) -> None:
    table = open_triage(made, metric="lift")
    pool = [v for row in twin(made, "lift") for v in numbers(row, METHODS[:3])]
    for i in range(0, len(table), 7):
        for j in range(4):
            value = table.scores.values[i, j]
            if not math.isnan(value):
                below = sum(other < value for other in pool)
                equal = sum(other == value for other in pool)
                expected = (below + equal / 2) / len(pool)
                assert table.normalised[i, j] == pytest.approx(expected)


def test_every_order_puts_the_greatest_key_first(table: TriageTable) -> None:
    for order in ORDERS.values():
        rows = table.select(order=order.id)
        assert sorted(rows.tolist()) == list(range(len(table)))
        keys = order.key(table)[rows]
        undefined = np.isnan(keys)
        assert not undefined[: (~undefined).sum()].any(), "rows without a key come last"
        assert (np.diff(keys[~undefined]) <= 0).all()
        # Rows of equal keys stay as they were.
        for start, end in itertools.pairwise(rows):
            if order.key(table)[start] == order.key(table)[end]:
                assert start < end


def test_orders_are_about_the_answers_they_name(table: TriageTable) -> None:
    correct = table.rows.correct
    for order, right in (
        ("wrong-reason", True),
        ("confident-mistake", False),
        ("aligned-mistake", False),
    ):
        keyed = ~np.isnan(ORDERS[order].key(table))
        assert keyed.any()
        assert (correct[keyed] == right).all()


def test_by_image_all_seeds_stand_together(table: TriageTable) -> None:
    rows = table.select(order="image")
    seen = [(table.rows.samples[table.rows.sample[row]], table.rows.seed[row]) for row in rows]
    assert seen == sorted(seen)


def test_find(table: TriageTable) -> None:
    row = table.find("crack/001", 2)
    assert row is not None
    assert table.rows.seed[row] == 2
    assert table.rows.samples[table.rows.sample[row]] == "crack/001"
    from xaieval.digest import url_id

    assert table.find(url_id("crack/001"), 2) == row
    assert table.find("crack/001") == table.find("crack/001", 1)
    assert table.find("crack/001", 99) is None
    assert table.find("nobody") is None


def test_a_score_that_is_no_quality_has_no_alignment(made: Results) -> None:
    table = open_triage(made, metric="area_share")
    assert np.isnan(table.alignment).all()
    assert not np.isnan(table.score).all()
    assert table.why(0) == "no-direction"
    with pytest.raises(ResultsError, match="no quality"):
        table.wins()
    with pytest.raises(ResultsError, match="no quality"):
        table.select(Filters(outcome="won:gradcam"))


def test_no_masks(tmp_path: Path) -> None:
    table = open_triage(Results(make(tmp_path, masks=False)))
    assert np.isnan(table.surprise).all()
    assert {table.why(i) for i in range(len(table))} == {"no-ground-truth"}
    assert len(table.select()) == len(table)
    assert len(table.select(Filters(outcome="counted:gradcam"))) == 0
    assert set(table.patterns()) == {list(PATTERNS).index("undefined")}


def test_one_method_one_seed(tmp_path: Path) -> None:
    folder = make(tmp_path, methods=("gradcam",), compete=("gradcam",), seeds=(7,), undefined=0)
    table = open_triage(Results(folder))
    assert table.seeds == (7,)
    assert np.isnan(table.disagreement).all()
    assert "one-method" in {table.why(i) for i in range(len(table))}
    counted = table.select(Filters(outcome="counted:gradcam"))
    assert len(counted) == len(table.select(Filters(outcome="won:gradcam")))
    # Without disagreement one still sees the worst maps first.
    assert not np.isnan(ORDERS["lowest-score"].key(table)).all()


def test_nobody_competes(tmp_path: Path) -> None:
    table = open_triage(Results(make(tmp_path, compete=())))
    assert np.isnan(table.alignment).all()
    assert table.wins().shape == (len(table), 0)
    assert not np.isnan(table.of("random").alignment).all()
    assert table.pattern_method == "gradcam"


def test_pairs_of_image_and_attribute(tmp_path: Path) -> None:
    table = open_triage(Results(make(tmp_path, task="multilabel")))
    assert table.find("crack/000@crack", 1) is not None
    assert len(table.select(Filters(class_name="crack"))) == 4 * 3


def test_without_the_scores_of_patterns(tmp_path: Path) -> None:
    table = open_triage(Results(make(tmp_path, metrics=("topk_overlap", "iou"))))
    assert table.pattern_metrics == ()
    with pytest.raises(ResultsError, match="no Shared Interest patterns"):
        table.patterns()


def test_patterns_of_another_binarisation(tmp_path: Path) -> None:
    keys = tuple(f"{name}[otsu]" for name in ("iou", "gt_coverage", "saliency_coverage"))
    table = open_triage(Results(make(tmp_path, metrics=("topk_overlap", "iou", *keys))))
    assert table.pattern_metrics == keys
    assert len(table.patterns()) == len(table)


def test_published_results_have_no_rows(tmp_path: Path) -> None:
    import json

    from xaieval.study import import_published

    run = {
        split: {
            "win_rate": {"overall": {"gradcam": 0.6, "saliency": 0.4}},
            "balanced_accuracy": [0.9],
            "loss_total_ce_mask": [[1.0, 0.5, 0.5]],
        }
        for split in ("train", "test")
    }
    (tmp_path / "runs.json").write_text(json.dumps({"42": run}))
    results = import_published(tmp_path / "runs.json", tmp_path / "out")
    with pytest.raises(ResultsError, match="no single images"):
        open_triage(results)


def test_what_is_not_there_is_named(made: Results) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'topk_overlap'"):
        open_triage(made, metric="topk_overlp")
    with pytest.raises(ConfigError, match="region of these results"):
        open_triage(made, region="mouth")


def test_two_scores_of_one_method_are_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from xaieval.study.parts import SCHEMAS, write_part

    make(tmp_path)
    (part,) = (tmp_path / "scores").glob("*.parquet")
    scores = pq.read_table(part).cast(pa.schema(SCHEMAS["scores"]))
    again = scores.filter(pc.equal(scores["rule_digest"], "now")).slice(0, 5)
    write_part(tmp_path, "scores", again, base="b", stem="again")
    metric = again["metric_key"][0].as_py()
    with pytest.raises(ResultsError, match="two scores of one method"):
        open_triage(Results(tmp_path), metric=metric)


def test_a_table_of_another_score_shares_the_predictions(made: Results, table) -> None:
    other = open_triage(made, metric="iou", like=table)
    assert other.rows is table.rows
    assert np.array_equal(
        other.scores.values, open_triage(made, metric="iou").scores.values, equal_nan=True
    )
    assert open_triage(demo_results(), like=table).rows is not table.rows


def test_classes_keep_the_order_of_the_dataset(table: TriageTable) -> None:
    assert table.rows.classes == CLASSES
    assert table.rows.splits == ("train", "test")
