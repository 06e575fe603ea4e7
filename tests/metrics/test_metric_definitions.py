"""Every score says what it is; what it says is true; variants are scored by score() itself."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from xaieval.defining import mathml, plain_formula
from xaieval.errors import ConfigError, MetricError
from xaieval.geometry import Geometry
from xaieval.glossary import OTHERS, define, page
from xaieval.metrics import METRICS, Rules, parse_metric, pool, score
from xaieval.metrics.definitions import metric_definition
from xaieval.metrics.variants import published_variants, variant_values

KEYS = [key for spec in METRICS.values() for key in (spec.id, *(v.key for v in spec.variants))]
LOCAL = [name for name, spec in METRICS.items() if "model" not in spec.needs]


@pytest.mark.parametrize("key", KEYS)
def test_every_score_is_defined_in_full(key: str) -> None:
    found = metric_definition(key)
    assert found.key == parse_metric(key).key
    for name in ("label", "formula", "words", "pooling", "left_out", "range", "source"):
        assert getattr(found, name), f"{key} lacks {name}"
    assert found.words.endswith(".")
    ElementTree.fromstring(found.mathml)  # well formed
    assert found.variants[0].id == "own"
    assert (
        found.better
        == {True: "higher", False: "lower", None: ""}[parse_metric(key).higher_is_better]
    )


@pytest.mark.parametrize("key", sorted(OTHERS))
def test_every_other_number_is_defined(key: str) -> None:
    found = define(key)
    assert found.key == key
    assert found.label
    assert found.words
    if found.formula:
        ElementTree.fromstring(found.mathml)


@pytest.mark.parametrize("key", KEYS)
def test_variants_are_known_keys_and_named_once(key: str) -> None:
    variants = published_variants(key)
    assert len({v.id for v in variants}) == len(variants)
    same = {parse_metric(v.key).key for v in variants if v.pooling is None and not v.resize}
    assert len(same) == sum(v.pooling is None and not v.resize for v in variants)
    assert all(v.source and v.label for v in variants)


@pytest.mark.parametrize("name", LOCAL)
def test_the_reasons_that_a_definition_names_are_those_that_happen(name: str) -> None:
    random = np.random.default_rng(0).random((6, 6)).astype(np.float32)
    some, empty, full = np.zeros((3, 6, 6), bool)
    some[1:3, 2:5], full[:] = True, True
    cases = [
        (random, some),
        (random, empty),
        (random, full),
        (np.zeros((6, 6), np.float32), some),
        (np.ones((6, 6), np.float32), some),
        (random - 0.5, some),
    ]
    seen = set()
    for heatmap, mask in cases:
        found = score(heatmap[None], mask[None], metrics=[name], signed="nan")
        seen.add(found.reasons[name][0])
    assert seen - {None} == set(METRICS[name].undefined)


def test_variants_are_what_score_gives() -> None:
    heatmap = np.array([[5, 5, 1, 0], [5, 3, 0, 0], [2, 0, 0, 0], [0, 0, 0, 9]], np.float32)
    mask = np.zeros((4, 4), bool)
    mask[0, 1], mask[1, 0], mask[1, 1] = True, True, True
    found = {v.id: s for v, s in variant_values(heatmap, mask, "topk_overlap") if s is not None}
    # highest three: the nine, and two of the three fives, of which two lie in the mask
    assert found["own"].value == pytest.approx(2 * 2 / 3 / 3)
    assert found["ties-favourable"].value == pytest.approx(2 / 3)
    assert found["ties-explanation_alignment"].value == pytest.approx(1 / 3)
    r = found["own"].value
    assert found["iou"].value == pytest.approx(r / (2 - r))
    for variant, value in variant_values(heatmap, mask, "iou"):
        if value is not None:
            again = score(heatmap[None], mask[None], metrics=[variant.key])
            assert value.value == pytest.approx(again[parse_metric(variant.key).key][0])


def test_variants_of_poolings_and_masks_need_what_they_are_of() -> None:
    attribution = np.random.default_rng(1).normal(size=(3, 8, 8)).astype(np.float32)
    mask = np.zeros((8, 8), bool)
    mask[2:5, 2:5] = True
    own = pool(attribution, "l1-norm")
    bare = dict(variant_values(own, mask, "mass_accuracy"))
    assert all((value is None) == bool(v.pooling or v.resize) for v, value in bare.items())
    names = {v.pooling for v in bare if v.pooling}
    assert "sum" not in names  # no mass
    pooled = {name: pool(attribution, name) for name in names}
    wide = np.pad(mask[1:-1, 1:-1], 1, mode="edge")
    found = variant_values(own, mask, "mass_accuracy", pooled=pooled, masks={"any": wide})
    for variant, value in found:
        if variant.pooling:
            rules = Rules(pooling=variant.pooling)
            again = score(attribution[None], mask[None], metrics=["mass_accuracy"], rules=rules)
            assert value is not None
            assert value.value == pytest.approx(again["mass_accuracy"][0], rel=1e-6)


def test_a_fixed_k_that_does_not_fit_has_no_value() -> None:
    values = variant_values(np.eye(4, dtype=np.float32), np.eye(4, dtype=bool), "topk_overlap")
    assert {v.id: s for v, s in values}["k1000"] is None


def test_masks_resized_as_others_do() -> None:
    geometry = Geometry(original=(4, 4), resized=(2, 2), offset=(0, 0), input=(2, 2))
    mask = np.zeros((4, 4), bool)
    mask[0, :2] = mask[1, 0] = True
    half, any_ = (geometry.mask(mask, resize=how) for how in ("half", "any"))
    assert half[0, 0]
    assert not half[1, 1]
    assert any_.sum() >= half.sum()
    assert not (half & ~any_).any()
    same = Geometry((4, 4), (4, 4), (0, 0), (4, 4))
    assert (same.mask(mask, resize="any") == mask).all()


def test_formulas_are_read_or_refused() -> None:
    assert plain_formula("[a + b] / [c]") == "(a + b) / c"
    assert mathml("r / [2 − r]").count("<mfrac>") == 1
    assert "<munder>" in mathml("Σ_M R")
    assert "<msub>" in mathml("d_high")
    assert "<msqrt>" in mathml("√[a + b]")
    assert "&lt;" in mathml('a "<" b')
    for bad in ("[a", "a ]", "(a", "a _"):
        with pytest.raises(MetricError):
            mathml(bad)


def test_what_nobody_knows_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="win_rate"):
        define("win_rat")
    with pytest.raises(ConfigError):
        define("iou[nonsense]")


def test_the_page_of_the_docs_is_today_s() -> None:
    written = Path(__file__).parents[2] / "docs" / "definitions.md"
    assert written.read_text(encoding="utf-8") == page(), "run python -m xaieval.glossary"
