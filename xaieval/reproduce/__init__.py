"""The reference systems, as experiments: one file each, one table, one way to run them."""

from xaieval.reproduce.base import SIZES, ExperimentSpec, Setup, Size
from xaieval.reproduce.systems import (
    EXPERIMENTS,
    default_folder,
    find_experiments,
    run_experiment,
)

__all__ = [
    "EXPERIMENTS",
    "SIZES",
    "ExperimentSpec",
    "Setup",
    "Size",
    "default_folder",
    "find_experiments",
    "run_experiment",
]
