"""Datasets: one file per layout on disk, one table of specs, the built-in generators."""

from __future__ import annotations

from xaieval.datasets.attribute_pairs import AttributePairs
from xaieval.datasets.base import Dataset, DatasetSpec, Download, Problem, Record
from xaieval.datasets.catalogue import DATASETS, detect_layout, home, locate, open_dataset
from xaieval.datasets.check import check
from xaieval.datasets.download import fetch
from xaieval.datasets.face_traits import ATTRIBUTE_REGIONS, Confound
from xaieval.datasets.face_writer import write_faces
from xaieval.datasets.images import read_image, read_index_mask, read_mask
from xaieval.datasets.splits import Fold, SplitPlan, make_splits

__all__ = [
    "ATTRIBUTE_REGIONS",
    "DATASETS",
    "AttributePairs",
    "Confound",
    "Dataset",
    "DatasetSpec",
    "Download",
    "Fold",
    "Problem",
    "Record",
    "SplitPlan",
    "check",
    "detect_layout",
    "fetch",
    "home",
    "locate",
    "make_splits",
    "open_dataset",
    "read_image",
    "read_index_mask",
    "read_mask",
    "write_faces",
]
