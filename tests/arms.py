"""Two arms of an experiment on one small dataset with three named regions, trained in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from xaieval.digest import rng
from xaieval.study import load_study, run_study, train_study

REGIONS = {"eyes": (8, 14, 8, 40), "nose": (18, 32, 20, 28), "mouth": (36, 42, 12, 36)}
"""Region -> first row, last row + 1, first column, last column + 1, of 48 px."""
CLASSES = {"smiling": "mouth", "winking": "eyes"}
"""Class -> the region that decides it."""

COLOURS = {"smiling": (240, 190, 40), "winking": (40, 120, 240)}

STUDY = """
schema = 1

[study]
id = "faces"
title = "Small faces, {name}"

[data]
name = "folder"
path = "{data}"
split_scheme = "stratified"

[model]
arch = "small-cnn"
input_size = [48, 48]

[train]
seeds = {seeds}
epochs = {epochs}
batch = 8

[explain]
methods = ["gradcam", "saliency", "random"]

[score]
metrics = ["mass_accuracy", "area_share", "pointing_game"]
regions = ["eyes", "nose", "mouth"]
"""


def write_faces(folder: Path, *, per_class: int = 8) -> Path:
    """Write images whose class is a bright region, with a mask per region (nose absent once)."""
    for name, deciding in CLASSES.items():
        for number in range(per_class):
            generator = rng("faces", name, number)
            pixels = generator.integers(60, 110, (48, 48, 3)).astype(np.uint8)
            top, bottom, left, right = REGIONS[deciding]
            pixels[top:bottom, left:right] = COLOURS[name]
            path = folder / "images" / name / f"{number:02d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
            for region, (top, bottom, left, right) in REGIONS.items():
                if region == "nose" and number == 0:
                    continue
                mask = np.zeros((48, 48), np.uint8)
                mask[top:bottom, left:right] = 255
                beside = folder / "masks" / name / f"{number:02d}_{region}.png"
                beside.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(mask).save(beside)
    return folder


def train_arms(folder: Path) -> Path:
    """Train and run two arms below ``folder/out/studies``; return ``folder/out``."""
    from xaieval.backend import Backend
    from xaieval.cache import HeatmapCache

    data = write_faces(folder / "data")
    backend = Backend("cpu", cache=HeatmapCache(disk_bytes=0, folder=folder / "cache"))
    try:
        for name, seeds, epochs in (("long", [1, 2], 8), ("short", [1], 1)):
            text = STUDY.format(name=name, data=data.as_posix(), seeds=seeds, epochs=epochs)
            file = folder / f"{name}.toml"
            file.write_text(text)
            out = folder / "out" / "studies" / name
            train_study(load_study(file), out=out, device="cpu")
            run_study(load_study(file), out=out, device="cpu", backend=backend)
    finally:
        backend.close()
    return folder / "out"
