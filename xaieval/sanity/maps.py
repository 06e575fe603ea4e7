"""Is there anything to see, and does the sign mean what the method says it means?"""

from __future__ import annotations

from xaieval.sanity.limits import EMPTY_SHARE
from xaieval.sanity.report import Check
from xaieval.sanity.similarity import Floats


def empty_maps(maps: Floats) -> Check:
    """Return the share of maps (n, H, W) that are zero or flat.

    >>> import numpy as np
    >>> empty_maps(np.stack([np.zeros((2, 2)), np.eye(2)])).value
    0.5
    """
    flat = maps.reshape(len(maps), -1)
    return Check("empty maps", float((flat.min(1) == flat.max(1)).mean()), EMPTY_SHARE, n=len(maps))


def sign(attribution: Floats) -> Check:
    """Return the share of attributions (n, C, H, W) with a negative value anywhere.

    Only for methods whose specification says that there is none: each one is a fault.

    >>> import numpy as np
    >>> sign(np.array([[[[0.0, 1.0]]], [[[-1e-9, 1.0]]]])).passed
    False
    """
    negative = attribution.reshape(len(attribution), -1).min(1) < 0
    return Check("sign", float(negative.mean()), 0.0, n=len(attribution))
