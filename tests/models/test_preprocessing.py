"""Pictures to model input and back."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xaieval.errors import ConfigError, DataError
from xaieval.models.preprocessing import HALF, IMAGENET_MEAN, IMAGENET_STD, Preprocessing


def test_stretching_covers_the_whole_picture():
    geometry = Preprocessing((192, 192)).geometry((512, 256))
    assert geometry.resized == (192, 192)
    assert geometry.offset == (0, 0)
    assert geometry.to_original(192, 192) == (512, 256)


def test_short_side_and_centre_crop_by_hand():
    geometry = Preprocessing((224, 224), 256).geometry((512, 1024))
    assert geometry.resized == (256, 512)
    assert geometry.offset == (16, 144)
    assert geometry.to_original(0, 0) == (32, 288)


@given(st.integers(1, 700), st.integers(1, 700))
@settings(max_examples=200, deadline=None)
def test_the_crop_always_lies_inside(height, width):
    geometry = Preprocessing((224, 200), 256).geometry((height, width))
    for axis in (0, 1):
        assert geometry.offset[axis] >= 0
        assert geometry.offset[axis] + geometry.input[axis] <= geometry.resized[axis]


def test_tensor_by_hand_and_tf_convention():
    p = Preprocessing((1, 2), mean=HALF, std=HALF)
    pictures = np.array([[[[0, 127, 255], [51, 102, 204]]]], np.uint8)
    x = p.tensor(pictures)
    assert x.dtype == torch.float32
    expected = (pictures.astype(np.float64) - 127.5) / 127.5
    np.testing.assert_allclose(x.permute(0, 2, 3, 1).numpy(), expected, atol=1e-6)
    imagenet = Preprocessing((1, 2))
    expected = (pictures / 255 - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_STD)
    np.testing.assert_allclose(
        imagenet.tensor(torch.from_numpy(pictures)).permute(0, 2, 3, 1), expected, atol=1e-5
    )


def test_untensor_returns_every_grey_value():
    p = Preprocessing((16, 16))
    pictures = np.repeat(np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1), 3, 3)
    np.testing.assert_array_equal(p.untensor(p.tensor(pictures)), pictures)


def test_picture_has_input_size():
    image = np.zeros((30, 50, 3), np.uint8)
    assert Preprocessing((24, 16), 32).picture(image).shape == (24, 16, 3)


@pytest.mark.parametrize(
    "bad",
    [np.zeros((1, 4, 4, 3)), np.zeros((1, 4, 5, 3), np.uint8), np.zeros((4, 4, 3), np.uint8)],
)
def test_wrong_pictures_are_named(bad):
    with pytest.raises(DataError, match=r"Preprocessing\.picture"):
        Preprocessing((4, 4)).tensor(bad)


@pytest.mark.parametrize(
    "arguments",
    [
        {"input_size": (0, 4)},
        {"input_size": (224, 224), "resize": 200},
        {"input_size": (4, 4), "std": (1.0, 0.0, 1.0)},
    ],
)
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ConfigError):
        Preprocessing(**arguments)


def test_lists_from_a_card_make_an_equal_object():
    assert Preprocessing([4, 4], mean=list(HALF)) == Preprocessing((4, 4), mean=HALF)  # type: ignore[arg-type]
