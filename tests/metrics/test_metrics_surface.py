"""Keys, rules, results and errors of ``score``."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from small_models import SmallModel, small_net

import xaieval
from xaieval import Rules, score
from xaieval.digest import canonical_json
from xaieval.errors import ConfigError, MetricError, XaievalError
from xaieval.metrics import (
    METRICS,
    POOLINGS,
    TIE_RULES,
    expected_hits,
    parse_metric,
    pool,
    resolve_metrics,
    topk_weights,
)

LOCAL = [name for name, spec in METRICS.items() if "model" not in spec.needs]
HEATMAP = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
MASK = np.eye(4, dtype=bool)[None]


@pytest.mark.parametrize(
    ("given", "key", "label"),
    [
        ("iou", "iou", "IoU"),
        (" iou[mean+1.0std] ", "iou[mean+1std]", "IoU (mean+1std)"),
        ("iou[percentile=90]", "iou[percentile]", "IoU (percentile)"),
        ("gt_coverage[otsu]", "gt_coverage[otsu]", "Ground-truth coverage (otsu)"),
        ({"id": "iou", "binarisation": "minmax>=0.50"}, "iou[minmax>=0.5]", "IoU (minmax>=0.5)"),
        ("precision@K=0412", "precision@K=412", "Precision (K=412)"),
        ({"id": "recall", "K": 7}, "recall@K=7", "Recall (K=7)"),
        ("hits", "hits", "Hits"),
        ("hits@K=3", "hits@K=3", "Hits (K=3)"),
        (
            {"id": "pointing_game", "tolerance_px": 15},
            "pointing_game@tolerance_px=15",
            "Pointing game (tolerance_px=15)",
        ),
        (
            "pointing_game@ties=clevr_xai,tolerance_px=2",
            "pointing_game@tolerance_px=2,ties=clevr_xai",
            "Pointing game (tolerance_px=2, ties=clevr_xai)",
        ),
        ("regional_recall@share=0.1", "regional_recall", "Regional recall"),
        ("lift@of=mass_accuracy", "lift", "Lift"),
        ("n_components@share=0.05", "n_components@share=0.05", "Connected pieces (share=0.05)"),
    ],
)
def test_keys_have_one_form(given: Any, key: str, label: str) -> None:
    call = parse_metric(given)
    assert (call.key, call.label) == (key, label)
    assert parse_metric(call.key) == call
    assert parse_metric(call) is call


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("auroc2", "unknown metric 'auroc2'.*Did you mean 'auroc'"),
        ("precison@K=3", "Did you mean 'precision'"),
        ("precision", "'precision' needs K.*precision@K=412"),
        ("precision@K=0", "bad K.*int >= 1, got '0'"),
        ("precision@K=1.5", "bad K.*int >= 1"),
        ("precision@k=3", "unknown option.*Did you mean 'K'|unknown option of the metric"),
        ("auroc@K=3", "the metric 'auroc' has no option 'K'"),
        ("auroc[otsu]", "has no option 'binarisation'"),
        ("iou[median]", "unknown binarisation 'median'"),
        ("iou[minmax>=1.5]", "unknown binarisation"),
        ("iou[percentile=101]", "unknown binarisation"),
        ("iou@", "cannot read"),
        ("iou@x", "cannot read"),
        ("pointing_game@tolerance_px=-1", "float >= 0"),
        ("pointing_game@tolerance_px=nan", "float >= 0"),
        ("pointing_game@tolerance_px=inf", "float >= 0"),
        ("regional_recall@share=1.5", "bad share.*float >= 0 and <= 1, got '1.5'"),
        ("pointing_game@ties=first", "unknown ties of the metric 'pointing_game'"),
        ("lift@of=auroc", "unknown of of the metric 'lift'|unknown of"),
        ({"id": "precision", "K": 1.5}, "bad K"),
        ({"id": "precision", "K": True}, "bad K"),
        ({"K": 3}, "not a metric"),
        (3, "not a metric"),
    ],
)
def test_bad_keys(given: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_metric(given)


def test_the_same_score_twice_counts_once() -> None:
    calls = resolve_metrics(["iou", "auroc", {"id": "iou"}])
    assert [call.key for call in calls] == ["iou", "auroc"]
    assert [call.key for call in resolve_metrics("iou")] == ["iou"]


def test_the_table_says_what_every_score_is() -> None:
    wanted = ["topk_overlap", "topk_iou", "mass_accuracy", "pointing_game", "iou", "gt_coverage"]
    wanted += ["saliency_coverage", "auroc", "regional_precision", "regional_recall"]
    wanted += ["spatial_coherence", "lift", "area_share", "ceiling"]
    wanted += ["deletion", "insertion", "road", "falsification", "max_sensitivity"]
    wanted += ["adversarial_drift"]
    assert list(METRICS) == wanted
    pictures = torch.rand((1, 3, 30, 30), generator=torch.Generator().manual_seed(0))
    model = SmallModel(small_net(), pictures)
    for spec in METRICS.values():
        assert spec.label
        assert spec.summary
        assert spec.bounds[0] < spec.bounds[1]
        for variant in spec.variants:
            call = parse_metric(variant.key)
            assert (call.key, call.spec) == (variant.key, spec)
            heatmap = np.arange(900, dtype=np.float32).reshape(1, 30, 30)
            evaluator = model if call.whole else None
            found = score(heatmap, heatmap > 800, metrics=[call], evaluator=evaluator)[call.key]
            low, high = variant.bounds
            assert call.bounds == variant.bounds
            assert low <= found[0] <= high


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ties": "expcted"}, "unknown tie rule.*Did you mean 'expected'"),
        ({"empty_masks": "zero"}, "unknown rule for empty masks"),
        ({"binarisation": "mean"}, "unknown binarisation"),
        ({"pooling": "l3-norm"}, "unknown pooling.*Did you mean"),
        ({"tolerance_px": -1}, "bad tolerance_px"),
        ({"tolerance_px": float("nan")}, "bad tolerance_px"),
        ({"tolerance_px": "15"}, "bad tolerance_px"),
    ],
)
def test_bad_rules(options: dict[str, Any], message: str) -> None:
    with pytest.raises(XaievalError, match=message):
        Rules(**options)


def test_every_rule_changes_the_digest() -> None:
    changed = [
        Rules(),
        *(Rules(ties=ties) for ties in TIE_RULES if ties != "expected"),
        Rules(empty_masks="error"),
        Rules(binarisation="otsu"),
        Rules(tolerance_px=15),
        *(Rules(pooling=name) for name in POOLINGS),
    ]
    assert len({rules.digest for rules in changed}) == len(changed)
    assert Rules(tolerance_px=15).digest == Rules(tolerance_px=15.0).digest
    # stored beside results: it must not move from one release to the next by accident
    assert Rules().digest == Rules(ties="expected").digest
    assert canonical_json(Rules()) == (
        '{"binarisation":"minmax>=0.5","empty_masks":"nan","pooling":null,'
        '"ties":"expected","tolerance_px":0.0}'
    )


def test_numpy_and_torch_and_dtypes_agree() -> None:
    keys = ["topk_overlap", "mass_accuracy", "iou", "auroc"]
    expected = score(HEATMAP, MASK, metrics=keys)
    heatmap, mask = torch.from_numpy(HEATMAP).requires_grad_(), torch.from_numpy(MASK)
    for given in (
        heatmap,
        heatmap.detach().to(torch.bfloat16),
        HEATMAP.astype(np.float16),
        HEATMAP.astype(np.float64),
        np.asfortranarray(HEATMAP),
        list(HEATMAP),
    ):
        found = score(given, mask, metrics=keys)
        for key in keys:
            assert isinstance(found[key], np.ndarray)
            assert found[key].tolist() == expected[key].tolist()


def test_nothing_given_is_changed() -> None:
    heatmap, mask = HEATMAP.copy(), MASK.copy()
    heatmap.flags.writeable = mask.flags.writeable = False
    score(heatmap, mask, metrics=LOCAL)
    assert (heatmap == HEATMAP).all()


def test_double_precision_is_not_rounded_to_ties() -> None:
    heatmap = 1 + np.arange(16).reshape(1, 4, 4) * 1e-12
    assert score(heatmap, heatmap > 1 + 1.05e-11, metrics="topk_overlap")["topk_overlap"][0] == 1


@pytest.mark.parametrize(
    ("heatmaps", "masks", "message"),
    [
        (HEATMAP[0], MASK, r"expected float32 \(B, H, W\), got shape \(4, 4\).*batch axis"),
        (HEATMAP[None], MASK, "Name how channels become one map"),
        (HEATMAP.astype(np.uint8), MASK, "got dtype uint8"),
        (HEATMAP > 3, MASK, "got dtype bool"),
        (HEATMAP.astype(complex), MASK, "got dtype complex128"),
        (HEATMAP, MASK.astype(np.uint8), "bad masks.*got dtype uint8.*mask > 0"),
        (HEATMAP, MASK[0], r"masks do not fit.*bool \(1, 4, 4\).*got shape \(4, 4\)"),
        (HEATMAP, MASK[:, :3], "masks do not fit"),
        (HEATMAP, np.concatenate([MASK, MASK]), "masks do not fit"),
        (np.where(HEATMAP == 7, np.nan, HEATMAP), MASK, "heatmap 0: heatmap holds NaN"),
        (np.where(HEATMAP == 7, np.inf, HEATMAP), MASK, "heatmap 0: heatmap holds NaN"),
        (np.where(HEATMAP == 7, -np.inf, HEATMAP), MASK, "heatmap 0: heatmap holds NaN"),
        (HEATMAP[:, :0], MASK[:, :0], "no pixel"),
        ([HEATMAP[0], HEATMAP[0, :2]], MASK, "differ in shape"),
    ],
)
def test_bad_input(heatmaps: Any, masks: Any, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        score(heatmaps, masks, metrics=["auroc", "area_share"])


def test_signed_maps_need_a_pooling_for_mass() -> None:
    signed = HEATMAP - 8
    with pytest.raises(MetricError, match=r"heatmap 0: mass_accuracy needs.*Rules\(pooling="):
        score(signed, MASK, metrics="mass_accuracy")
    with pytest.raises(MetricError, match="mass_accuracy needs"):
        score(signed, MASK, metrics="mass_accuracy", rules=Rules(pooling="sum"))
    found = score(signed, MASK, metrics="mass_accuracy", rules=Rules(pooling="sum,pos"))
    assert found["mass_accuracy"][0] == pytest.approx((2 + 7) / 28)  # 0..7 is left, 2 and 7 inside
    fine = [key for key in LOCAL if METRICS[key].signed_ok]
    assert set(LOCAL) - set(fine) == {"mass_accuracy", "regional_precision", "lift"}
    assert np.isfinite([v[0] for v in score(signed, MASK, metrics=fine).values()]).all()


def test_k_beyond_the_map() -> None:
    with pytest.raises(MetricError, match=r"K does not fit.*0 to 16 px, got 17"):
        score(HEATMAP, MASK, metrics="hits@K=17")
    with pytest.raises(MetricError, match="got -1"):
        expected_hits(HEATMAP[0], MASK[0], -1)
    with pytest.raises(MetricError, match="got 99"):
        topk_weights(HEATMAP[0], 99)
    with pytest.raises(ConfigError, match="unknown tie rule"):
        expected_hits(HEATMAP[0], MASK[0], ties="last")


def test_poolings() -> None:
    a = np.array([[[[3.0]], [[-4.0]], [[-1.0]]]], np.float32)  # (1, 3, 1, 1)
    expected = {
        "sum,abs": 2,
        "sum,pos": 0,
        "max-norm": 4,
        "l1-norm": 8,
        "l2-norm": 26**0.5,
        "l2-norm,sq": 26,
        "pos,sum": 3,
        "sum": -2,
    }
    assert {name: float(pool(a, name).item()) for name in POOLINGS} == pytest.approx(expected)


def test_poolings_are_those_of_the_methods() -> None:
    """Methods pool on their device with torch, scores re-pool with numpy: one definition."""
    methods = pytest.importorskip("xaieval.methods.pooling")
    a = np.random.default_rng(0).standard_normal((2, 3, 5, 4)).astype(np.float32)
    assert set(methods.POOLINGS) == set(POOLINGS)
    for name in POOLINGS:
        twin = methods.pool(torch.from_numpy(a), name).numpy()
        assert pool(a, name) == pytest.approx(twin, abs=1e-6)


def test_channels_are_pooled_before_scoring() -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((2, 3, 4, 4)).astype(np.float32)
    masks = np.concatenate([MASK, ~MASK])
    keys = ["mass_accuracy", "topk_overlap"]
    found = score(a, masks, metrics=keys, rules=Rules(pooling="l1-norm"))
    by_hand = score(np.abs(a).sum(1), masks, metrics=keys)
    for key in keys:
        assert found[key] == pytest.approx(by_hand[key])


def test_no_images() -> None:
    found = score(HEATMAP[:0], MASK[:0], metrics=["iou"])
    assert found["iou"].shape == (0,)


def test_frame() -> None:
    masks = np.stack([MASK[0], np.zeros((4, 4), bool)])[None]
    scores = score(HEATMAP, masks, metrics=["auroc", "area_share"])
    frame = scores.frame(["a"], regions=["leaf", "spot"], columns={"seed": 42})
    assert frame.columns.tolist() == [
        *("seed", "sample_id", "region", "metric_key", "rule_digest", "value", "reason")
    ]
    assert frame[["seed", "sample_id", "region", "metric_key"]].to_numpy().tolist() == [
        [42, "a", "leaf", "auroc"],
        [42, "a", "spot", "auroc"],
        [42, "a", "leaf", "area_share"],
        [42, "a", "spot", "area_share"],
    ]
    assert frame["value"].tolist() == pytest.approx(
        [*scores["auroc"][0], *scores["area_share"][0]], nan_ok=True
    )
    assert frame["reason"].tolist() == [None, "absent-part", None, None]
    assert set(frame["rule_digest"]) == {Rules().digest}
    alone = score(HEATMAP, MASK, metrics="iou")
    assert alone.frame(["a"])["region"].tolist() == ["mask"]
    with pytest.raises(MetricError, match="expected 1 samples, 1 regions, got 2 samples"):
        alone.frame(["a", "b"])


def test_the_public_surface_loads_when_asked_for() -> None:
    assert {"score", "Rules"} <= set(dir(xaieval)) & set(xaieval.__all__)
    with pytest.raises(AttributeError, match="no attribute 'scores'"):
        _ = xaieval.scores
    code = (
        "import sys, xaieval; assert 'xaieval.metrics' not in sys.modules; "
        "xaieval.score; assert 'torch' not in sys.modules and 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
