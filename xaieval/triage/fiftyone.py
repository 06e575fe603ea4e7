"""A triage queue as JSON that FiftyOne reads: ``fiftyone.Dataset.from_json(FILE)``.

The form is that of FiftyOne's own ``Dataset.to_dict``: the fields' types by name, then one sample
per row. FiftyOne itself is not needed here.
https://docs.voxel51.com/api/fiftyone.core.dataset.html (from_json, from_dict)
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image

from xaieval.datasets import Dataset
from xaieval.datasets.images import IMAGE_SUFFIXES
from xaieval.digest import url_id
from xaieval.files import atomic_path, write_bytes, write_json
from xaieval.journal import NO_MARKS, Marks
from xaieval.triage.exporting import ALL, Queue, sidecar
from xaieval.triage.filters import NO_TAGS
from xaieval.triage.links import explore_link
from xaieval.triage.sheet import frame
from xaieval.triage.table import TriageTable

_FIELDS = "fiftyone.core.fields."
_LABEL = _FIELDS + "EmbeddedDocumentField(fiftyone.core.labels.{})"
_NUMBERS = ("score", "alignment", "misalignment", "disagreement", "surprise")
_TEXTS = ("sample_id", "split", "pattern", "winner", "why")
NO_MASK = "no mask is written: {}"


def export_fiftyone(
    table: TriageTable,
    rows: npt.NDArray[np.int64],
    marks: Mapping[str, Marks] = NO_TAGS,
    path: str | Path | None = None,
    *,
    queue: Queue = ALL,
    dataset: Dataset | None = None,
    masks: bool = True,
) -> bytes:
    """Return some rows as JSON for ``fiftyone.Dataset.from_json``.

    One sample per row: ``filepath``, ``tags``, ``ground_truth`` and ``prediction``
    (Classification, the latter with confidence), ``mask`` (Segmentation of the table's region),
    numbers as float fields (``score_METHOD`` among them; what is undefined is null), texts as
    string fields. ``info`` holds the sidecar, the methods' field names, and why a mask or a file
    is missing.

    Parameters
    ----------
    path : Path, optional
        Write the file there, its sidecar ``NAME.json`` beside it, and into the folder
        ``NAME-media`` the masks, and the images of a dataset that has no image files. Without a
        path only the dataset's own files can be named.
    dataset : Dataset, optional
        Default: the one of the results.
    masks : bool
        Whether to write masks; reading them all may take minutes.

    Raises
    ------
    DataError
        When the dataset is not where the study says.
    ResultsError
        When the folder cannot be written.
    """
    found = dataset if dataset is not None else table.results.dataset()
    assert found is not None, "a triage table is of measured results"
    path = None if path is None else Path(path)
    media = None if path is None else path.absolute().with_name(f"{path.stem}-media")
    region = next(iter(table.results.regions), "")
    if table.region in table.results.regions:
        region = table.region
    files = _Files(found, media, region if masks else "")
    sheet = frame(
        table,
        rows,
        marks=marks,
        thresholds=queue.thresholds,
        tie_rule=queue.filters.tie_rule,
        population=queue.filters.population,
    )
    names = field_names(table.methods)
    samples = []
    for row, facts in zip(rows.tolist(), sheet.to_dict("records"), strict=True):
        sample_id = str(facts["sample_id"])
        mark = marks.get(sample_id, NO_MARKS)
        samples.append(
            {
                "filepath": files.image(sample_id),
                "tags": list(mark.tags),
                "metadata": None,
                "ground_truth": _label("Classification", label=facts["class"]),
                "prediction": _label(
                    "Classification", label=facts["predicted"], confidence=facts["confidence"]
                ),
                "mask": files.mask(sample_id),
                "seed": int(facts["seed"]),
                "correct": bool(facts["correct"]),
                **{name: facts[name] for name in _TEXTS},
                **{name: _number(facts[name]) for name in _NUMBERS},
                **{name: _number(facts[f"score:{method}"]) for method, name in names.items()},
                "notes": [f"{note.author}: {note.text}" for note in mark.notes],
                "link": explore_link(table, row),
            }
        )
    about = sidecar(
        table, rows, queue=queue, format="fiftyone", name="" if path is None else path.name
    )
    document = {
        "name": f"{table.study}-triage",
        "media_type": "image",
        "sample_fields": _schema(names.values()),
        "info": {
            "about": about,
            "methods": {name: method for method, name in names.items()},
            "left_out": files.left_out,
        },
        "classes": {"ground_truth": list(table.results.classes)},
        "mask_targets": {"mask": {"255": region}},
        "samples": samples,
    }
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    data = (text + "\n").encode()
    if path is not None:
        write_bytes(path, data)
        write_json(path.with_name(path.name + ".json"), about)
    return data


def field_names(methods: tuple[str, ...]) -> dict[str, str]:
    """Return method key -> name of its score's field: letters, digits and "_", each once.

    >>> field_names(("gradcam", "gradcam[upsampling=aligned]"))["gradcam[upsampling=aligned]"]
    'score_gradcam_upsampling_aligned'
    """
    found: dict[str, str] = {}
    for method in methods:
        plain = "score_" + re.sub(r"[^0-9a-z]+", "_", method.lower()).strip("_")
        name, number = plain, 2
        while name in found.values():
            name, number = f"{plain}_{number}", number + 1
        found[method] = name
    return found


def _schema(scores: Any) -> dict[str, str]:
    return {
        "filepath": _FIELDS + "StringField",
        "tags": _FIELDS + f"ListField({_FIELDS}StringField)",
        "ground_truth": _LABEL.format("Classification"),
        "prediction": _LABEL.format("Classification"),
        "mask": _LABEL.format("Segmentation"),
        "seed": _FIELDS + "IntField",
        "correct": _FIELDS + "BooleanField",
        **{name: _FIELDS + "StringField" for name in (*_TEXTS, "link")},
        **{name: _FIELDS + "FloatField" for name in (*_NUMBERS, *scores)},
        "notes": _FIELDS + f"ListField({_FIELDS}StringField)",
    }


def _label(kind: str, **values: Any) -> dict[str, Any]:
    return {"_cls": kind, "tags": [], **values}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


class _Files:
    """Where images and masks lie, written where they are no files yet; each image once."""

    def __init__(self, dataset: Dataset, media: Path | None, region: str) -> None:
        self._dataset, self._media, self._region = dataset, media, region
        self._images: dict[str, str] = {}
        self._masks: dict[str, dict[str, Any] | None] = {}
        self.left_out: dict[str, str] = {}

    def image(self, sample_id: str) -> str:
        """Return the path of an image, absolute where there is a file."""
        if sample_id not in self._images:
            self._images[sample_id] = self._image(sample_id)
        return self._images[sample_id]

    def _image(self, sample_id: str) -> str:
        named = self._dataset[sample_id].meta.get("file")
        if self._dataset.root is not None and named:
            own = (self._dataset.root / str(named)).resolve()
            if own.suffix.lower() in IMAGE_SUFFIXES and own.is_file():
                return str(own)
        if self._media is None:
            self.left_out["image"] = "the dataset has no image files; export to a file to get them"
            return f"{url_id(sample_id)}.png"
        return self._write(f"{url_id(sample_id)}.png", self._dataset[sample_id].image)

    def mask(self, sample_id: str) -> dict[str, Any] | None:
        """Return the segmentation of an image's region; None where there is no mask."""
        if sample_id not in self._masks:
            self._masks[sample_id] = self._mask(sample_id)
        return self._masks[sample_id]

    def _mask(self, sample_id: str) -> dict[str, Any] | None:
        if not self._region or self._media is None:
            why = "not asked for" if self._media else "export to a file to get them"
            self.left_out["mask"] = NO_MASK.format(why)
            return None
        mask = self._dataset[sample_id].regions.get(self._region)
        if mask is None or not mask.any():
            self.left_out[f"mask of {sample_id}"] = NO_MASK.format(
                f"the image has no {self._region}"
            )
            return None
        name = f"{url_id(sample_id)}-mask.png"
        written = self._write(name, mask.astype(np.uint8) * 255)
        return _label("Segmentation", mask_path=written)

    def _write(self, name: str, pixels: npt.NDArray[np.uint8]) -> str:
        assert self._media is not None
        target = self._media / name
        with atomic_path(target) as temporary:
            PIL.Image.fromarray(pixels).save(temporary, format="png")
        return str(target)
