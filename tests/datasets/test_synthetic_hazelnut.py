"""The procedural nuts: seeded, exact, and only where something is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from xaieval.datasets import open_dataset
from xaieval.datasets.base import Dataset
from xaieval.datasets.nut_defects import SHAPES
from xaieval.datasets.nut_render import AREA, render
from xaieval.datasets.synthetic_hazelnut import CLASSES, SPEC
from xaieval.errors import ConfigError


def dataset(**options: Any) -> Dataset:
    return SPEC.open(None, {"n_per_class": 4, "size": 96, **options})


def test_ids_labels_and_sizes() -> None:
    nuts = dataset()
    assert nuts.class_names == ("crack", "cut", "good", "hole", "print")
    assert len(nuts) == 20
    sample = nuts["hole/003"]
    assert sample.label == 3
    assert sample.image.shape == (96, 96, 3)
    assert set(sample.regions) == {"defect"}


def test_same_seed_same_pixels_other_seed_others() -> None:
    first, again, other = dataset(), dataset(), dataset(seed=1)
    np.testing.assert_array_equal(first["cut/000"].image, again["cut/000"].image)
    assert not np.array_equal(first["cut/000"].image, other["cut/000"].image)
    assert first.digest == again.digest != other.digest


def test_one_sample_does_not_depend_on_the_others() -> None:
    few, many = dataset(n_per_class=1), dataset(n_per_class=9)
    np.testing.assert_array_equal(few["print/000"].image, many["print/000"].image)


@pytest.mark.parametrize("name", CLASSES)
def test_every_defect_has_a_mask_of_plausible_size_and_good_has_none(name: str) -> None:
    nuts = dataset(n_per_class=12)
    for sample_id in nuts.by_class[name]:
        share = nuts[sample_id].regions["defect"].mean()
        low, high = (0.0, 0.0) if name == "good" else AREA
        assert low <= share <= high, sample_id
        assert nuts.record(sample_id).has_mask == (name != "good")


@pytest.mark.parametrize("name", SHAPES)
def test_masks_are_exact(name: str) -> None:
    """Drawn with and without its defect, a nut differs inside the mask and hardly off it.

    Outside, only antialiasing and the light on the defect's slope remain, close to the mask.
    """
    for index in range(4):
        hurt = render(size=192, label=name, index=index, seed=5)
        intact = render(size=192, label=name, index=index, seed=5, intact=True)
        change = np.abs(hurt.image.astype(int) - intact.image.astype(int)).max(-1)
        near = binary_dilation(hurt.defect, iterations=5)
        assert np.median(change[hurt.defect]) > 25
        assert change[~near].max() <= 3
        assert not intact.defect.any()


def test_one_seed_is_the_same_nut_at_every_size() -> None:
    small, large = dataset(size=96)["hole/001"], dataset(size=192)["hole/001"]
    a = np.argwhere(small.regions["defect"]).mean(0) / 96
    b = np.argwhere(large.regions["defect"]).mean(0) / 192
    np.testing.assert_allclose(a, b, atol=0.02)


def test_the_tag_goes_with_its_class() -> None:
    nuts = dataset(n_per_class=20, confound={"crack": 0.9, "good": 0.1})
    tagged = {
        name: sum(nuts.record(sample).meta["confound"] for sample in ids)
        for name, ids in nuts.by_class.items()
    }
    assert tagged == {"crack": 18, "cut": 0, "good": 2, "hole": 0, "print": 0}
    sample_id = next(s for s in nuts.by_class["crack"] if nuts.record(s).meta["confound"])
    tag = nuts[sample_id].regions["confound"]
    assert 0.002 < tag.mean() < 0.03
    plain = dataset(n_per_class=20)[sample_id]
    differs = (nuts[sample_id].image != plain.image).any(-1)
    assert differs[tag].mean() > 0.95
    without = next(s for s in nuts.by_class["crack"] if not nuts.record(s).meta["confound"])
    assert not nuts[without].regions["confound"].any()


def test_a_class_name_alone_tags_the_whole_class() -> None:
    nuts = dataset(confound="hole")
    assert {r.id[:4] for r in nuts.records if r.meta["confound"]} == {"hole"}
    assert sum(r.meta["confound"] for r in nuts.records) == 4


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 10}, "32 to 2048"),
        ({"n_per_class": 0}, "n_per_class"),
        ({"n_per_class": True}, "n_per_class"),
        ({"confound": "crak"}, "did you mean 'crack'"),
        ({"confound": {"crack": "all"}}, "share of class"),
        ({"confound": {"crack": 2}}, "0 to 1"),
        ({"confound": 3}, "class: share"),
        ({"sizes": 96}, "did you mean 'size'"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match="(?i)" + words):
        dataset(**options)


def test_a_path_is_refused() -> None:
    with pytest.raises(ConfigError, match="built in"):
        open_dataset("synthetic-hazelnut", Path("somewhere"))
