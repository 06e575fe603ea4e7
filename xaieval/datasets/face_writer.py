"""Write drawn faces to disk, exactly as CelebAMask-HQ lies there."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from xaieval.datasets.celebamask_files import (
    ATTRIBUTE_FILE,
    IMAGES,
    MAPPING_FILE,
    PARTITION_FILE,
    POSE_FILE,
    mask_file,
)
from xaieval.datasets.face_parts import ATTRIBUTES
from xaieval.datasets.face_render import Drawn
from xaieval.datasets.face_traits import VERSION, Confound, draw_person, row
from xaieval.datasets.synthetic_faces import MAX_FACES, draw_face, face_attributes, split_of
from xaieval.errors import ConfigError, ResultsError
from xaieval.progress import Progress, Report, silent
from xaieval.types import Mask

MARK = "synthetic-faces.json"
"""Says of what options a folder was drawn; it is there when, and only when, the folder is whole."""
_CODES = {"train": 0, "val": 1, "test": 2}


def write_faces(
    folder: str | Path,
    *,
    n: int = 600,
    size: int = 128,
    seed: int = 0,
    confound: Confound | None = None,
    image_scale: int = 1,
    report: Report = silent,
) -> Path:
    """Draw faces into a folder that ``celebamask-hq`` opens; return the folder.

    Images are ``CelebA-HQ-img/N.jpg``, masks a file per part that is there (every tenth face's in
    RGB, as some of the real ones are), with attribute, pose, mapping and partition files. The
    folder gets its name when all is written; one that was drawn with the same options is kept.

    Parameters
    ----------
    n : int
        Number of faces; every fifth is a test face.
    size : int, 32 to 1024
        Side of the masks (px).
    seed : int
    confound : Confound, optional
        Ties two attributes of the training faces; test faces stay independent.
    image_scale : {1, 2}
        Images are so many times as large as the masks (2 in the published set).
    report : callable
        Called after every face.

    Raises
    ------
    ConfigError
        For a value out of range.
    ResultsError
        When the folder holds something else, or cannot be written.
    """
    for name, value, low, high in (
        ("n", n, 2, MAX_FACES),
        ("size", size, 32, 1024),
        ("seed", seed, 0, 2**63 - 1),
        ("image_scale", image_scale, 1, 2),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ConfigError(f"bad {name}", expected=f"{low} to {high}", got=value)
    target = Path(folder).expanduser()
    card = {
        "version": VERSION,
        "n": n,
        "size": size,
        "seed": seed,
        "confound": None if confound is None else asdict(confound),
        "image_scale": image_scale,
    }
    if target.is_dir() and any(target.iterdir()):
        if _card(target) == card:
            return target
        raise ResultsError(
            "holds something else",
            where=target,
            expected="no such folder, an empty one, or faces drawn with the same options",
            got="faces drawn with other options" if _card(target) else "other files",
            fix="choose another folder or remove it",
        )
    start = time.monotonic()
    with _beside(target) as made:
        _texts(made, n, seed, confound)
        for index in range(n):
            _write(made, index, size, seed, confound, image_scale)
            report(Progress("draw faces", index + 1, n, time.monotonic() - start))
        (made / MARK).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return target


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Yield a hidden folder beside the target; on success it takes the name, on error it goes."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        try:
            yield made
            made.chmod(0o755)
            if target.is_dir():  # empty, as was checked
                target.rmdir()
            os.replace(made, target)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as error:
        raise ResultsError(
            f"cannot write here ({error.strerror})",
            where=target,
            fix="choose another folder, change its permissions, or free some disk space",
        ) from error


def _card(folder: Path) -> Any:
    try:
        return json.loads((folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _texts(folder: Path, n: int, seed: int, confound: Confound | None) -> None:
    attributes, poses = [str(n), " ".join(ATTRIBUTES) + " "], [str(n), "Yaw Pitch Raw"]
    mapping, partition = ["idx        orig_idx   orig_file"], []
    for index in range(n):
        person = draw_person(seed, index)
        present = row(face_attributes(seed=seed, index=index, confound=confound))
        values = " ".join("1" if value else "-1" for value in present)
        attributes.append(f"{index}.jpg  {values}")
        poses.append(f"{index}.jpg {person.yaw:.4f} {person.pitch:.4f} {person.roll:.4f}")
        original = f"{index + 1:06d}.jpg"
        mapping.append(f"{index:<11d}{index:<11d}{original}")
        partition.append(f"{original} {_CODES[split_of(index)]}")
    for name, lines in (
        (ATTRIBUTE_FILE, attributes),
        (POSE_FILE, poses),
        (MAPPING_FILE, mapping),
        (PARTITION_FILE, partition),
    ):
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write(
    folder: Path, index: int, size: int, seed: int, confound: Confound | None, scale: int
) -> None:
    drawn = draw_face(size=size * scale, seed=seed, index=index, confound=confound)
    picture = folder / IMAGES / f"{index}.jpg"
    picture.parent.mkdir(exist_ok=True)
    PIL.Image.fromarray(drawn.image).save(picture, quality=95, subsampling=0)
    for part, mask in _masks(drawn, scale).items():
        path = folder / mask_file(index, part)
        path.parent.mkdir(parents=True, exist_ok=True)
        image = PIL.Image.fromarray(mask.astype(np.uint8) * np.uint8(255))
        if index % 10 == 0:
            image = image.convert("RGB")
        image.save(path, compress_level=1)


def _masks(drawn: Drawn, scale: int) -> dict[str, Mask]:
    """Return the masks at 1 / scale of the picture's size: every pixel is one of the larger."""
    step = slice(scale - 1, None, scale)
    picked = {name: mask[step, step] for name, mask in drawn.masks().items()}
    return {name: mask for name, mask in picked.items() if mask.any()}
