"""The table of methods. Another package adds a row through the group ``xaieval.methods``."""

from __future__ import annotations

from xaieval.methods import (
    attention,
    baselines,
    cam,
    deeplift,
    enhancers,
    gradient,
    kernel_shap,
    lime,
    lrp,
    modified_backward,
    occlusion,
    perturbed_cam,
    rise,
    sampled,
    sess,
    shapley,
)
from xaieval.methods.spec import MethodSpec
from xaieval.table import Table

METHODS: Table[MethodSpec] = Table(
    "method",
    [
        *cam.SPECS,
        *perturbed_cam.SPECS,
        *attention.SPECS,
        *gradient.SPECS,
        *sampled.SPECS,
        *deeplift.SPECS,
        *modified_backward.SPECS,
        *lrp.SPECS,
        *occlusion.SPECS,
        *rise.SPECS,
        *lime.SPECS,
        *kernel_shap.SPECS,
        *shapley.SPECS,
        *sess.SPECS,
        *enhancers.SPECS,
        *baselines.SPECS,
    ],
    group="xaieval.methods",
)
"""Every attribution method by id."""
