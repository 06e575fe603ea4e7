"""Small folders in every layout, drawn on the spot."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest


def image(path: Path, *, size: tuple[int, int] = (12, 8), seed: int = 0) -> Path:
    """Write a noise picture; size is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    PIL.Image.fromarray(noise).save(path)
    return path


def mask(
    path: Path, *, size: tuple[int, int] = (12, 8), box: tuple[int, ...] = (2, 1, 5, 4)
) -> Path:
    """Write a 0/255 mask, 255 in the box (left, top, right, bottom)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros((size[1], size[0]), np.uint8)
    left, top, right, bottom = box
    values[top:bottom, left:right] = 255
    PIL.Image.fromarray(values).save(path)
    return path


def mvtec_standard(root: Path, *, marked: bool = True, n: int = 2) -> Path:
    for i in range(n):
        image(root / "train" / "good" / f"{i:03d}.png", seed=i)
        image(root / "test" / "good" / f"{i:03d}.png", seed=10 + i)
        for defect in ("crack", "cut"):
            image(root / "test" / defect / f"{i:03d}.png", seed=20 + i)
            stem = f"{i:03d}_mask" if marked else f"{i:03d}"
            mask(root / "ground_truth" / defect / f"{stem}.png")
    return root


def mvtec_resplit(root: Path, *, n: int = 2) -> Path:
    for split in ("train", "test"):
        for name in ("good", "crack"):
            for i in range(n):
                image(root / split / "images" / name / f"{split}{i}.png", seed=i)
                box = (0, 0, 0, 0) if name == "good" else (2, 1, 5, 4)
                mask(root / split / "ground_truth" / name / f"{split}{i}_mask.png", box=box)
    return root


def leaves(root: Path) -> Path:
    """Write four leaves: two healthy, one of rust, one unnamed."""
    lines = ["id,split,label,severity"]
    palette = [0, 0, 0, 0, 176, 0, 255, 0, 0]
    for key, split, label in (
        ("1", "train", "healthy"),
        ("2", "test", "healthy"),
        ("10", "val", "rust"),
        ("11", "train", "unnamed_5"),
    ):
        lines.append(f"{key},{split},{label},0")
        image(root / "segmentation" / "images" / f"{key}.jpg")
        values = np.zeros((8, 12), np.uint8)
        values[1:7, 1:9] = 1
        if label != "healthy":
            values[2:4, 3:5] = 2
        picture = PIL.Image.fromarray(values).convert("P")
        picture.putdata(values.ravel().tolist())
        picture.putpalette(palette)
        (root / "segmentation" / "masks").mkdir(exist_ok=True)
        picture.save(root / "segmentation" / "masks" / f"{key}.png")
    (root / "segmentation.csv").write_text("\n".join(lines) + "\n")
    return root


def legend(root: Path, entries: object) -> None:
    (root / "legend.json").write_text(json.dumps(entries))


@pytest.fixture(scope="session")
def draw() -> SimpleNamespace:
    """The functions that write small pictures, masks and whole folders."""
    return SimpleNamespace(
        image=image,
        mask=mask,
        legend=legend,
        leaves=leaves,
        mvtec_standard=mvtec_standard,
        mvtec_resplit=mvtec_resplit,
    )


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets, or a skip with the reason."""
    folder = os.environ.get("XAIEVAL_DATA")
    if not folder:
        pytest.skip("set XAIEVAL_DATA to a folder with hazelnut_toy/ and coffee_leaf/")
    return Path(folder)
