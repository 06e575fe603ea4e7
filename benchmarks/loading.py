"""Opening 30,000 faces with 372,767 masks in the published layout: seconds, memory, one sample.

The files are real ones (one drawn face), hard-linked under every name, so the folder is quickly
made; listing them costs what listing the published ones does. Each figure is from a process of its
own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import PIL.Image

IMAGES, MASKS = 30_000, 372_767
MAX_S, MAX_MIB = 5.0, 300.0

_CHILD = """
import json, sys, time
from pathlib import Path
def peak_mib():  # of this program alone: getrusage's figure includes the one that started it
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
from xaieval.datasets import open_dataset
base = peak_mib()
start = time.perf_counter()
dataset = open_dataset("celebamask-hq", Path(sys.argv[1]), strict=True)
opened = time.perf_counter()
memory = peak_mib()
masks = sum(len(record.meta["mask_files"]) for record in dataset.records)
dataset.digest
digested = time.perf_counter()
digested_mib = peak_mib()
times = []
for sample in dataset.ids[:40]:
    begin = time.perf_counter()
    read = dataset[sample]
    read.image, read.regions
    times.append(time.perf_counter() - begin)
print(json.dumps({
    "images": len(dataset), "masks": masks, "open_s": opened - start,
    "digest_s": digested - opened, "before_mib": base, "after_mib": memory,
    "digested_mib": digested_mib,
    "sample_ms": sorted(times)[len(times) // 2] * 1e3,
}))
"""


def make(root: Path, *, images: int = IMAGES, masks: int = MASKS) -> Path:
    """Write the published layout with so many images and masks, hard-linked from one drawn face."""
    from xaieval.datasets.celebamask_files import (
        ATTRIBUTE_FILE,
        MAPPING_FILE,
        POSE_FILE,
        mask_file,
    )
    from xaieval.datasets.celebamask_files import IMAGES as IMAGE_FOLDER
    from xaieval.datasets.face_parts import ATTRIBUTES, PARTS
    from xaieval.datasets.synthetic_faces import draw_face

    face = draw_face(size=1024, seed=0, index=0)
    originals = root / "originals"
    originals.mkdir(parents=True)
    picture = originals / "face.jpg"
    PIL.Image.fromarray(face.image).save(picture, quality=90)
    drawn = face.masks()
    for part in PARTS:
        mask = drawn.get(part, np.zeros_like(drawn["skin"]))[1::2, 1::2]
        PIL.Image.fromarray(mask.astype(np.uint8) * 255).save(originals / f"{part}.png")
    home = root / "CelebAMask-HQ"
    (home / IMAGE_FOLDER).mkdir(parents=True)
    r = np.random.default_rng(0)
    values = np.where(r.random((images, 40)) < 0.5, "1", "-1")
    rows, poses = [], []
    mapping = ["idx        orig_idx   orig_file"]
    originals_of = r.permutation(202_599)[:images] + 1
    each, more = divmod(masks, images)
    for number in range(images):
        os.link(picture, home / IMAGE_FOLDER / f"{number}.jpg")
        for part in PARTS[: each + (number < more)]:
            target = home / mask_file(number, part)
            if number % 2000 == 0:
                target.parent.mkdir(parents=True, exist_ok=True)
            os.link(originals / f"{part}.png", target)
        rows.append(f"{number}.jpg  " + " ".join(values[number]))
        poses.append(f"{number}.jpg 1.2345 -6.7891 2.3456")
        original = int(originals_of[number])
        mapping.append(f"{number:<11d}{original - 1:<11d}{original:06d}.jpg")
    head = [str(images), " ".join(ATTRIBUTES) + " "]
    for name, lines in (
        (ATTRIBUTE_FILE, [*head, *rows]),
        (POSE_FILE, [head[0], "Yaw Pitch Raw", *poses]),
        (MAPPING_FILE, mapping),
    ):
        (home / name).write_text("\n".join(lines) + "\n")
    return home


def measure(root: Path) -> dict[str, float]:
    """Open the dataset in a fresh process; return what it cost."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(root)], capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main(*, quick: bool = False) -> None:
    """Make the folder, open it several times, print the figures and whether they are met."""
    images, masks = (3_000, 37_277) if quick else (IMAGES, MASKS)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        root = make(Path(folder), images=images, masks=masks)
        print(f"  made in {time.perf_counter() - start:.0f} s (hard links)")
        runs = [measure(root) for _ in range(1 if quick else 5)]
    for run in runs:
        assert (run["images"], run["masks"]) == (images, masks)

    def median(name: str) -> float:
        return float(np.median([run[name] for run in runs]))

    seconds, memory = median("open_s"), median("after_mib")
    print(
        f"  {images:,} images and {masks:,} masks, median of {len(runs)}: opened in {seconds:.2f} s"
        f" (target ≤ {MAX_S} s: {'met' if seconds <= MAX_S else 'MISSED'}), peak resident memory"
        f" {memory:.0f} MiB, {median('before_mib'):.0f} MiB of it before"
        f" (target < {MAX_MIB:.0f} MiB: {'met' if memory < MAX_MIB else 'MISSED'})"
    )
    print(
        f"  digest {median('digest_s'):.2f} s (peak {median('digested_mib'):.0f} MiB);"
        f" one image of 1024² with its masks of 512²: {median('sample_ms'):.0f} ms"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the files, once")
    main(quick=parser.parse_args().quick)
