"""Two-way bootstrap and contrasts: by hand, against loops, and how often they are right."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xaieval.errors import ConfigError, ResultsError
from xaieval.stats import contrast, paired_difference, two_way, verdict
from xaieval.stats.bootstrap import crossed, draws, weighted_means
from xaieval.stats.intervals import percentiles, widened

NAN = math.nan


def frame(values: np.ndarray, **columns: object) -> pd.DataFrame:
    """Return a crossed table (seeds, images) as a long one; NaN stay."""
    rows = [
        (seed, f"i{image}", value)
        for seed, row in enumerate(np.asarray(values, float))
        for image, value in enumerate(row)
    ]
    return pd.DataFrame(rows, columns=["seed", "sample_id", "value"]).assign(**columns)


def noise(seed: int, shape: tuple[int, int], holes: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, shape)
    values[rng.random(shape) < holes] = NAN
    return values


def test_weighted_means_are_those_of_the_resampled_table() -> None:
    """Owen's weights, against drawing rows and columns and averaging the table that comes out."""
    values = noise(0, (4, 6), holes=0.3)
    table = crossed(frame(values))
    rng = np.random.default_rng(1)
    for _ in range(50):
        rows, columns = rng.integers(4, size=4), rng.integers(6, size=6)
        drawn = [values[s, i] for s in rows for i in columns if not math.isnan(values[s, i])]
        expected = sum(drawn) / len(drawn) if drawn else NAN
        weights = [np.bincount(rows, minlength=4), np.bincount(columns, minlength=6)]
        found = weighted_means(table, *(w[None].astype(float) for w in weights))
        assert found[0] == pytest.approx(expected, nan_ok=True)


def test_draws_are_draws_with_replacement() -> None:
    counts = draws(np.random.default_rng(0), 5, 4000)
    assert counts.shape == (4000, 5)
    assert set(counts.sum(axis=1)) == {5}
    # each is binomial(5, 1/5): mean 1, variance 0.8
    assert counts.mean(axis=0) == pytest.approx([1] * 5, abs=0.06)
    assert counts.var(axis=0) == pytest.approx([0.8] * 5, abs=0.08)
    assert draws(np.random.default_rng(0), 1, 3).tolist() == [[1]] * 3


def test_against_a_slow_bootstrap() -> None:
    values = noise(2, (5, 12), holes=0.2)
    found = two_way(frame(values), few_seeds="plain", replicates=4000)
    rng = np.random.default_rng(99)
    slow = []
    for _ in range(4000):
        drawn = values[rng.integers(5, size=5)][:, rng.integers(12, size=12)]
        slow.append(np.nanmean(drawn))
    low, high = np.quantile(slow, [0.025, 0.975])
    assert found.estimate == pytest.approx(np.nanmean(values))
    assert [found.low, found.high] == pytest.approx([low, high], abs=0.05)
    assert (found.n_seeds, found.n_images, found.n) == (5, 12, np.isfinite(values).sum())


def test_by_hand() -> None:
    # two images that differ, seeds that agree: both images the same in a quarter of the draws each
    found = two_way(frame([[0, 1], [0, 1], [0, 1]]))
    assert (found.estimate, found.low, found.high) == (0.5, 0, 1)
    same = two_way(frame(np.full((3, 4), 0.25)))
    assert (same.estimate, same.low, same.high) == (0.25, 0.25, 0.25)


@pytest.mark.parametrize(
    ("values", "estimate", "n"),
    [([[3.0]], 3, (1, 1, 1)), ([[NAN]], NAN, (0, 0, 0)), ([[NAN, 2.0]], 2, (1, 1, 1))],
)
def test_one_value_or_none_has_no_interval(
    values: list[list[float]], estimate: float, n: tuple[int, int, int]
) -> None:
    found = two_way(frame(values))
    assert found.estimate == pytest.approx(estimate, nan_ok=True)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert (found.n, found.n_seeds, found.n_images) == n


def test_one_seed_is_a_bootstrap_of_images_and_one_image_one_of_seeds() -> None:
    values = noise(3, (1, 40))
    images = two_way(frame(values))
    plain = frame(values).drop(columns="seed")
    assert two_way(plain) == images  # no column of seeds: one seed
    spread = values.std() / math.sqrt(40)
    assert images.high - images.low == pytest.approx(2 * 1.96 * spread, rel=0.15)
    seeds = two_way(frame(values.T), few_seeds="plain")
    assert seeds.high - seeds.low == pytest.approx(2 * 1.96 * spread, rel=0.15)
    assert (seeds.n_seeds, seeds.n_images) == (40, 1)


def test_few_seeds_are_widened_as_student_s_t() -> None:
    """All spread between five seeds: the interval is that of the t distribution."""
    means = np.array([0.1, 0.2, 0.4, 0.5, 0.8])
    table = frame(np.repeat(means[:, None], 30, axis=1))
    plain, wide = (two_way(table, few_seeds=how, replicates=4000) for how in ("plain", "widen"))
    factor = math.sqrt(5 / 4) * 2.7764 / 1.96
    assert wide.high - wide.estimate == pytest.approx(factor * (plain.high - plain.estimate), 1e-3)
    assert wide.estimate - wide.low == pytest.approx(factor * (plain.estimate - plain.low), 1e-3)
    student = 2.7764 * means.std(ddof=1) / math.sqrt(5)
    assert (wide.high - wide.low) / 2 == pytest.approx(student, rel=0.05)
    # nothing from the seeds, or one seed: nothing to widen
    images = frame(np.repeat(noise(0, (1, 30)), 5, axis=0))
    both = two_way(images), two_way(images, few_seeds="plain")
    assert [both[0].low, both[0].high] == pytest.approx([both[1].low, both[1].high])
    assert widened((-1, 2), 0, share=1, n_seeds=1, confidence=0.95) == (-1, 2)


def test_equal_numbers_give_equal_intervals_and_the_order_of_rows_is_nothing() -> None:
    table = frame(noise(4, (3, 9), holes=0.2))
    shuffled = table.sample(frac=1, random_state=1)
    assert two_way(table) == two_way(shuffled)
    assert two_way(table, rng=1) != two_way(table)


@given(st.integers(0, 10**6), st.floats(-3, 3), st.floats(0.1, 10))
@settings(max_examples=25, deadline=None)
def test_an_affine_change_moves_the_interval_with_it(seed: int, shift: float, scale: float) -> None:
    values = noise(seed, (3, 5), holes=0.1)
    before, after = (two_way(frame(v), replicates=200) for v in (values, values * scale + shift))
    assert [after.estimate, after.low, after.high] == pytest.approx(
        [v * scale + shift for v in (before.estimate, before.low, before.high)], abs=1e-9
    )


@pytest.mark.parametrize(
    ("seeds", "images", "residual"), [(1.0, 0.0, 0.1), (0.1, 1.0, 0.1), (0.3, 0.6, 0.4)]
)
def test_the_interval_covers_the_truth_as_often_as_it_says(
    seeds: float, images: float, residual: float
) -> None:
    """5 seeds × 40 images of known mean 0: 95 % intervals hold it in 95 % of 200 worlds."""
    rng = np.random.default_rng(11)
    hits = 0
    for world in range(200):
        values = rng.normal(0, seeds, (5, 1)) + rng.normal(0, images, (1, 40))
        table = frame(values + rng.normal(0, residual, (5, 40)))
        found = two_way(table, replicates=300, rng=world)
        hits += found.low <= 0 <= found.high
    assert 0.90 <= hits / 200 <= 0.995  # four standard errors below 0.95 are 0.89


def test_rows_of_one_photograph_are_drawn_as_one() -> None:
    """Ten copies of each photograph are no more news than one."""
    values = noise(6, (4, 12))
    alone = frame(values)
    copies = pd.concat(
        [
            alone.assign(photo=alone["sample_id"], sample_id=alone["sample_id"] + f"@{n}")
            for n in range(10)
        ]
    )
    together = two_way(copies, cluster="photo")
    once = two_way(alone)
    assert [together.estimate, together.low, together.high] == pytest.approx(
        [once.estimate, once.low, once.high]
    )
    assert (together.n, together.n_images) == (480, 12)
    apart = two_way(copies)
    assert apart.high - apart.low < 0.9 * (together.high - together.low)


@pytest.mark.parametrize("options", [{"replicates": 0}, {"confidence": 1.0}, {"few_seeds": "none"}])
def test_bad_options(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        two_way(frame(noise(0, (2, 3))), **options)  # type: ignore[arg-type]


def test_bad_tables() -> None:
    table = frame(noise(0, (2, 3)))
    with pytest.raises(ResultsError, match="lacks value"):
        two_way(table.drop(columns="value"))
    with pytest.raises(ResultsError, match="i0: an image has two values under one seed; got seed"):
        two_way(pd.concat([table, table]))


def test_percentiles_leave_out_nan() -> None:
    assert percentiles(np.array([NAN, 1.0, 2.0, 3.0, NAN]), 0.5) == (1.5, 2.5)
    assert np.isnan(percentiles(np.array([NAN]), 0.95)).all()


# Contrasts


def test_paired_difference() -> None:
    a, b = frame([[3, 4], [5, NAN]], method_id="a"), frame([[1, 1], [NAN, 1]], method_id="b")
    found = paired_difference(pd.concat([a, b]), "a", "b")
    assert found[["seed", "sample_id", "value"]].to_numpy().tolist() == [
        [0, "i0", 2],
        [0, "i1", 3],
    ]
    with pytest.raises(ResultsError, match="no values of 'c'"):
        paired_difference(pd.concat([a, b]), "a", "c")


def test_a_paired_contrast_sees_what_an_unpaired_one_cannot() -> None:
    """Images differ a lot, the two methods by a little and always the same way."""
    rng = np.random.default_rng(0)
    base = rng.normal(0, 1, (1, 60)) + rng.normal(0, 0.02, (5, 60))
    a, b = frame(base + 0.1 + rng.normal(0, 0.05, (5, 60))), frame(base)
    paired = contrast(a, b)
    apart = contrast(a, b, paired=False)
    assert paired.verdict == "holds"
    assert apart.verdict == "undecided"
    assert paired.difference == pytest.approx(apart.difference)
    assert (paired.seeds_for, paired.seeds_against) == (5, 0)
    assert (paired.n, paired.n_images, paired.n_seeds) == (300, 60, 5)
    assert (apart.n, apart.n_images, apart.n_seeds) == (600, 120, 5)
    back = contrast(b, a)
    assert back.verdict == "reversed"
    assert [back.difference, back.mean_a, back.mean_b] == pytest.approx(
        [-paired.difference, paired.mean_b, paired.mean_a]
    )


def test_pairs_only() -> None:
    a, b = frame([[3, 4, 9], [5, NAN, 9]]), frame([[1, 1], [NAN, 1]])
    found = contrast(a, b)
    assert (found.difference, found.mean_a, found.mean_b, found.n) == (2.5, 3.5, 1, 2)
    assert (found.seeds_for, found.n_seeds) == (1, 1)


def test_common_seeds_are_drawn_together() -> None:
    """Seeds move both groups alike: their spread cancels in the difference of two subgroups."""
    rng = np.random.default_rng(3)
    luck = rng.normal(0, 1, (6, 1))
    a = frame(luck + 0.5 + rng.normal(0, 0.1, (6, 30)))
    b = frame(luck + rng.normal(0, 0.1, (6, 20))).assign(
        sample_id=lambda f: "other-" + f["sample_id"]
    )
    together = contrast(a, b, paired=False)
    other_seeds = contrast(a, b.assign(seed=b["seed"] + 100), paired=False)
    assert together.verdict == "holds"
    assert other_seeds.verdict == "undecided"
    assert together.n_seeds == 6
    assert other_seeds.n_seeds == 12
    assert (other_seeds.seeds_for, other_seeds.seeds_against) == (0, 0)


def test_nothing_in_common() -> None:
    a, b = frame([[1, 2]]), frame([[1, 2]]).assign(sample_id=["x", "y"])
    found = contrast(a, b)
    assert math.isnan(found.difference)
    assert (found.verdict, found.n) == ("undecided", 0)
    one = contrast(frame([[1]]), frame([[0]]).assign(sample_id=["x"]), paired=False)
    assert one.difference == 1
    assert math.isnan(one.low)
    assert one.verdict == "undecided"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.1, 0.2, "holds"),
        (-0.2, -0.1, "reversed"),
        (-0.1, 0.1, "undecided"),
        (0.0, 0.1, "undecided"),
        (-0.1, 0.0, "undecided"),
        (NAN, NAN, "undecided"),
    ],
)
def test_verdicts(low: float, high: float, expected: str) -> None:
    assert verdict(low, high) == expected


def test_without_a_difference_few_contrasts_decide() -> None:
    rng = np.random.default_rng(8)
    decided = 0
    for world in range(120):
        shared = rng.normal(0, 1, (5, 1)) + rng.normal(0, 1, (1, 30))
        a, b = (
            frame(shared + rng.normal(0, 0.5, (5, 1)) + rng.normal(0, 0.5, (5, 30)))
            for _ in range(2)
        )
        decided += contrast(a, b, replicates=300, rng=world).verdict != "undecided"
    assert decided / 120 <= 0.12
