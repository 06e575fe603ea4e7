"""How colours look to dichromats, and how far two colours are apart."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from skimage.color import deltaE_ciede2000, rgb2lab

from xaieval.errors import unknown

Vision = Literal["trichromacy", "protanopia", "deuteranopia", "tritanopia"]
Floats = npt.NDArray[np.float64]

# Machado, Oliveira and Fernandes, A physiologically-based model for simulation of color vision
# deficiency, IEEE TVCG 15 (2009), table of severity 1.0; they act on linear RGB.
# https://www.inf.ufrgs.br/~oliveira/pubs_files/CVD_Simulation/CVD_Simulation.html
MATRICES: dict[Vision, Floats] = {
    "trichromacy": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}


def simulated(rgb: npt.ArrayLike, vision: Vision) -> Floats:
    """Return colours or an image as a dichromat sees them.

    Parameters
    ----------
    rgb : array_like, shape (..., 3)
        sRGB from 0 to 1.
    vision : {"trichromacy", "protanopia", "deuteranopia", "tritanopia"}

    Returns
    -------
    float64, shape (..., 3)
        sRGB from 0 to 1. What leaves the gamut is cut off, as a screen does.

    Raises
    ------
    ConfigError
        For an unknown kind of sight.

    Notes
    -----
    Machado, Oliveira and Fernandes (2009), severity 1. Their matrices keep grey grey:

    >>> simulated([0.5, 0.5, 0.5], "protanopia").round(3).tolist()
    [0.5, 0.5, 0.5]
    """
    if vision not in MATRICES:
        raise unknown("kind of sight", vision, MATRICES)
    colours = np.asarray(rgb, dtype=np.float64)
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ MATRICES[vision].T, 0.0, 1.0)
    return np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)


def from_hex(colour: str) -> Floats:
    """Return ``#rrggbb`` as sRGB from 0 to 1, shape (3,).

    >>> from_hex("#ff8000").round(2).tolist()
    [1.0, 0.5, 0.0]
    """
    return np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def difference(one: str, other: str, vision: Vision = "trichromacy") -> float:
    """Return CIEDE2000 between two colours ``#rrggbb`` as seen by a kind of sight.

    About 2 is just seen side by side; black and white are 100 apart.

    >>> round(difference("#000000", "#ffffff"))
    100
    """
    first, second = (rgb2lab(simulated(from_hex(it), vision)) for it in (one, other))
    return float(deltaE_ciede2000(first, second))
