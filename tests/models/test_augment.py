"""Augmentation: seeded by seed, epoch and sample; masks follow their pictures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xaieval.errors import ConfigError
from xaieval.models.augment import PHOTOMETRIC, augment_pair


def _pair(height=6, width=6):
    rng = np.random.default_rng(0)
    mask = rng.random((height, width)) < 0.3
    picture = np.repeat(np.where(mask, 200, 60).astype(np.uint8)[:, :, None], 3, 2)
    return picture, mask


def _run(augment, epoch=0, sample_id="a", seed=0, pair=None):
    picture, mask = pair or _pair()
    return augment_pair(picture, mask, augment=augment, seed=seed, epoch=epoch, sample_id=sample_id)


@given(st.sampled_from(["flips", "rot90", "flips+rot90"]), st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_masks_follow_their_pictures(augment, epoch):
    picture, mask = _run(augment, epoch)
    np.testing.assert_array_equal(picture[:, :, 0] == 200, mask)


def test_flips_reach_all_four_states_and_nothing_else():
    _, mask = _pair()
    states = [mask, mask[::-1], mask[:, ::-1], mask[::-1, ::-1]]
    seen = set()
    for epoch in range(40):
        found = _run("flips", epoch)[1]
        matches = [i for i, state in enumerate(states) if np.array_equal(state, found)]
        assert len(matches) == 1
        seen.add(matches[0])
    assert seen == {0, 1, 2, 3}


def test_a_mirror_changes_left_and_right_only():
    _, mask = _pair()
    for epoch in range(20):
        found, flipped = _run("mirror", epoch)[1], _run("flips", epoch)[1]
        assert any(np.array_equal(found, state) for state in (mask, mask[:, ::-1]))
        # The same luck as with "flips", which contains it.
        assert any(np.array_equal(found, state) for state in (flipped, flipped[::-1]))
        np.testing.assert_array_equal(_run("mirror+flips", epoch)[1], flipped)


def test_the_same_seed_epoch_and_sample_give_the_same():
    first, again = _run("flips+rot90+photometric", 3), _run("photometric+rot90+flips", 3)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])


def test_epochs_samples_and_seeds_differ():
    def flips(**key):
        return [_run("flips+rot90", **{"epoch": e, **key})[1].tobytes() for e in range(20)]

    base = flips()
    assert len(set(base)) > 1
    assert base != flips(sample_id="b")
    assert base != flips(seed=1)


def test_quarter_turns_keep_the_shape_of_oblong_pictures():
    for epoch in range(10):
        picture, mask = _run("rot90", epoch, pair=_pair(4, 6))
        assert picture.shape == (4, 6, 3)
        assert mask.shape == (4, 6)


def test_photometric_is_modest_and_leaves_the_mask():
    picture, mask = _pair()
    changed, same = _run("photometric", 1, pair=(picture, mask))
    assert same is mask
    assert changed.dtype == np.uint8
    assert not np.array_equal(changed, picture)
    bound = (127.5 * PHOTOMETRIC + 255 * (1 + PHOTOMETRIC) * PHOTOMETRIC) + 1
    assert np.abs(changed.astype(int) - picture).max() <= bound


def test_none_and_unknown():
    picture, mask = _pair()
    assert _run("none", pair=(picture, mask)) == (picture, mask)
    with pytest.raises(ConfigError, match="Did you mean 'flips'"):
        _run("flip")
