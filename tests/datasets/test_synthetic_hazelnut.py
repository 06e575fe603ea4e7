"""The procedural nuts: seeded, exact, and only where something is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xaieval.datasets.base import Dataset
from xaieval.datasets.synthetic_defects import DEFECTS
from xaieval.datasets.synthetic_hazelnut import CLASSES, SPEC, Recipe, render
from xaieval.errors import ConfigError


def dataset(**options: Any) -> Dataset:
    return SPEC.open(None, {"n_per_class": 4, "size": 96, **options})


def test_ids_labels_and_sizes() -> None:
    nuts = dataset()
    assert nuts.class_names == ("good", "crack", "cut", "hole", "print")
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
        assert (share == 0) if name == "good" else (0.002 < share < 0.08), sample_id
        assert nuts.record(sample_id).has_mask == (name != "good")


@pytest.mark.parametrize("name", DEFECTS)
def test_masks_are_exact(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn with and without its defect, a nut differs strongly inside the mask and little off it.

    Outside, only the soft shade and the lit rim remain, close to the mask.
    """
    recipe = Recipe(seed=5, size=192, tag=False)
    for index in range(4):
        with_defect, regions = render(name, f"{name}/{index}", recipe)
        monkeypatch.setitem(DEFECTS, name, blank(DEFECTS[name]))
        without, _ = render(name, f"{name}/{index}", recipe)
        monkeypatch.undo()
        change = np.abs(with_defect.astype(int) - without.astype(int)).max(-1)
        mask = regions["defect"]
        assert np.median(change[mask]) > 25
        assert (change[~mask] > 25).mean() < 0.02
        rows, columns = np.nonzero(mask)
        far = np.ones_like(mask)
        far[
            max(rows.min() - 14, 0) : rows.max() + 14,
            max(columns.min() - 14, 0) : columns.max() + 14,
        ] = 0
        assert change[far].max() <= 3


def blank(draw: Any) -> Any:
    """Run a defect's random numbers but draw nothing, so that the rest of the nut is the same."""

    def nothing(random: Any, nut: Any, light: Any) -> Any:
        from xaieval.datasets.synthetic_defects import Layer

        draw(random, nut, light)
        return Layer.none(nut.size)

    return nothing


def test_one_seed_is_the_same_nut_at_every_size() -> None:
    small, large = dataset(size=96)["hole/001"], dataset(size=192)["hole/001"]
    a = np.argwhere(small.regions["defect"]).mean(0) / 96
    b = np.argwhere(large.regions["defect"]).mean(0) / 192
    np.testing.assert_allclose(a, b, atol=0.02)


def test_the_tag_goes_with_its_class() -> None:
    nuts = dataset(n_per_class=60, confound={"class": "crack", "share": 0.9, "elsewhere": 0.1})
    tagged = {
        name: np.mean([nuts.record(sample).meta["confound"] for sample in ids])
        for name, ids in nuts.by_class.items()
    }
    assert tagged["crack"] > 0.75
    assert all(share < 0.3 for name, share in tagged.items() if name != "crack")
    sample_id = next(s for s in nuts.by_class["crack"] if nuts.record(s).meta["confound"])
    tag = nuts[sample_id].regions["confound"]
    assert 0.005 < tag.mean() < 0.03
    plain = dataset(n_per_class=60)[sample_id]
    differs = (nuts[sample_id].image != plain.image).any(-1)
    assert differs[tag].mean() > 0.95


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 10}, "48 to 2048"),
        ({"n_per_class": 0}, "n_per_class"),
        ({"n_per_class": True}, "n_per_class"),
        ({"confound": "crak"}, "did you mean 'crack'"),
        ({"confound": {"class": "crack", "shares": 1}}, "shares"),
        ({"confound": {"class": "crack", "share": 2}}, "0 to 1"),
        ({"confound": 3}, "class name"),
        ({"sizes": 96}, "did you mean 'size'"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match="(?i)" + words):
        dataset(**options)


def test_a_path_is_refused() -> None:
    with pytest.raises(ConfigError, match="drawn, not read"):
        SPEC.open(Path("somewhere"))
