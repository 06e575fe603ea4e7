"""Colours that must be told apart are, for every kind of sight; the rest has a second sign."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from xaieval.errors import XaievalError
from xaieval.figures.palette import MARKS, group_colours, method_colours, method_marks
from xaieval.figures.simulation import MATRICES, difference, from_hex, simulated
from xaieval.render import TOPK_COLOURS

METHODS = (
    *("gradcam", "saliency", "integrated_gradients", "gradient_x_input", "occlusion"),
    "random",
)


def closest(colours: dict[str, str], vision: str) -> tuple[float, str]:
    return min(
        (difference(a[1], b[1], vision), f"{a[0]} and {b[0]}")  # type: ignore[arg-type]
        for a, b in itertools.combinations(colours.items(), 2)
    )


@pytest.mark.parametrize("vision", MATRICES)
def test_top_k_is_told_apart_by_colour_alone(vision: str) -> None:
    least, pair = closest(TOPK_COLOURS | {"outline": "#ffffff"}, vision)
    assert least >= 20, pair


@pytest.mark.parametrize("vision", MATRICES)
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_methods_are_told_apart(vision: str, mode: str) -> None:
    measured = method_colours(METHODS, mode=mode)  # type: ignore[arg-type]
    least, pair = closest(measured, vision)
    assert least >= 10, pair
    published = method_colours(METHODS[:3], mode=mode, origin="published")  # type: ignore[arg-type]
    least, pair = closest(published, vision)
    assert least >= 10, pair


@pytest.mark.parametrize("vision", MATRICES)
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_groups_are_told_apart(vision: str, mode: str) -> None:
    colours = {str(i): c for i, c in enumerate(group_colours(8, mode=mode))}  # type: ignore[arg-type]
    least, pair = closest(colours, vision)
    assert least >= 8, pair


def test_methods_beyond_the_known_ones_have_a_mark_of_their_own() -> None:
    keys = [f"method-{i}" for i in range(len(MARKS))]
    assert len(set(method_marks(keys).values())) == len(keys)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_marks_stand_out_from_their_ground(mode: str) -> None:
    """WCAG 1.4.11: 3 : 1 for what carries meaning."""
    ground = from_hex("#ffffff" if mode == "light" else "#191b1e")

    def luminance(rgb: np.ndarray) -> float:
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for colour in (*method_colours(METHODS, mode=mode).values(), *group_colours(8, mode=mode)):  # type: ignore[arg-type]
        high, low = sorted((luminance(from_hex(colour)), luminance(ground)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 3, colour


def test_what_each_kind_of_sight_confuses() -> None:
    """Red and green are nearer for those who lack the red or the green cone; blue and green not."""
    red, green = "#c04040", "#508030"
    assert difference(red, green) > 40
    assert difference(red, green, "deuteranopia") < 0.5 * difference(red, green)
    assert difference("#3070c0", "#308070", "tritanopia") < 0.5 * difference("#3070c0", "#308070")


def test_grey_stays_grey_and_colours_stay_in_range() -> None:
    rng = np.random.default_rng(0)
    image = rng.random((4, 5, 3))
    for vision in MATRICES:
        seen = simulated(image, vision)
        assert seen.shape == image.shape
        assert 0 <= seen.min() <= seen.max() <= 1
        np.testing.assert_allclose(
            simulated([[0.2] * 3, [0.9] * 3], vision)[:, 0], [0.2, 0.9], atol=1e-3
        )
    np.testing.assert_allclose(simulated(image, "trichromacy"), image, atol=1e-9)


def test_an_unknown_kind_of_sight_is_refused() -> None:
    with pytest.raises(XaievalError, match="protanopia"):
        simulated([0, 0, 0], "protanopa")  # type: ignore[arg-type]
