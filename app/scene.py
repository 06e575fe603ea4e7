"""One image as the model sees it: picture, regions, the mask to score and its outline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePosixPath

import numpy as np

from xaieval.digest import digest
from xaieval.geometry import Geometry
from xaieval.models import Preprocessing
from xaieval.render import data_uri, outline_path
from xaieval.types import Image, Mask, Sample

from .regions import Regions, carry


@dataclass(frozen=True, eq=False)
class Scene:
    """What the page needs to know of one sample; made once, shared by all sessions.

    ``picture`` uint8 (h, w, 3), ``regions`` and ``mask`` bool (h, w) lie in input space. ``mask``
    is that of ``region``: None without ground truth, or when nothing of it is left in input space;
    ``mask_note`` says why in words, ``reason`` as scores do. ``cut`` names the regions that
    cropping and resizing leave nothing of. ``key`` stands for the picture and its
    regions, ``mask_key`` for the mask too.
    """

    sample_id: str
    picture: Image
    src: str
    geometry: Geometry
    regions: Regions
    cut: frozenset[str]
    key: str
    region: str = ""
    mask: Mask | None = None
    mask_note: str = "No ground truth: scores need a mask."
    reason: str = "no-ground-truth"
    outline: str = ""

    @property
    def mask_key(self) -> str:
        return f"{self.key}/{self.region}"

    @cached_property
    def mask_px(self) -> int:
        return 0 if self.mask is None else int(self.mask.sum())

    @cached_property
    def share(self) -> float:
        """The mask's share of the image's area, 0 to 1."""
        return 0.0 if self.mask is None else float(self.mask.mean())

    @property
    def frame(self) -> dict[str, float]:
        """Where the picture lies in the original, as shares of that, and its size in px."""
        geometry = self.geometry
        (height, width), (top, left) = geometry.resized, geometry.offset
        return {
            "x": left / width,
            "y": top / height,
            "w": geometry.input[1] / width,
            "h": geometry.input[0] / height,
            "width": geometry.original[1],
            "height": geometry.original[0],
        }

    @property
    def default_k(self) -> int:
        """The mask's size in px; a twentieth of the image where there is no mask."""
        return self.mask_px or max(1, self.picture.shape[0] * self.picture.shape[1] // 20)

    def k_end(self, chosen: int | None = None) -> int:
        """The largest K on offer: a quarter of the image, or twice the mask, or what is chosen."""
        area = self.picture.shape[0] * self.picture.shape[1]
        return min(area, max(area // 4, 2 * self.mask_px, chosen or 0, 1))

    def of(self, region: str) -> Scene:
        """Return the same scene with another region as the mask; '' is the image's first one."""
        if not self.regions.names:
            return self
        region = region or self.regions.names[0]
        mask = self.regions.mask(region)
        if mask.any():
            return replace(
                self,
                region=region,
                mask=np.ascontiguousarray(mask),
                mask_note="",
                reason="",
                outline=outline_path(mask),
            )
        several = any(self.regions.sizes.values())
        if region in self.cut:
            note = (
                f"Nothing of the region {region} is left in the model's input: it lies outside "
                "the crop, or is too small."
            )
        elif several:
            note = f"The region {region} is not in this image: nothing to score against."
        else:
            note = "The mask is empty: nothing to score against."
        return replace(
            self,
            region=region,
            mask=None,
            mask_note=note,
            reason="absent-part" if several else "empty-mask",
            outline="",
        )


def make_scene(sample: Sample, preprocessing: Preprocessing, region: str = "") -> Scene:
    """Read a sample and carry it to input space.

    Raises
    ------
    DataError
        When the image or a mask is damaged.
    """
    image = sample.image
    geometry = preprocessing.geometry((image.shape[0], image.shape[1]))
    picture = preprocessing.picture(image)
    regions = carry(sample.regions, geometry)
    # The picture is what everything is compared with: exact while small, JPEG when large.
    src = data_uri(picture, format="png" if picture.size <= 3 * 128 * 128 else "jpeg")
    return Scene(
        sample_id=sample.id,
        picture=picture,
        src=src,
        geometry=geometry,
        regions=regions,
        cut=frozenset(n for n, m in sample.regions.items() if m.any() and not regions.sizes[n]),
        key=digest(sample.id, src)[:12],
    ).of(region)


def source_rows(scene: Scene, *, several: bool = False) -> list[dict[str, str]]:
    """Return the lines under the image: where it comes from and how large things are.

    ``several``: the dataset has regions to choose from.
    """
    height, width = scene.geometry.original
    input_height, input_width = scene.geometry.input
    rows = [
        {"label": "File", "text": PurePosixPath(scene.sample_id).name, "title": scene.sample_id},
        {"label": "Original", "text": f"{width} × {height} px"},
        {"label": "Model input", "text": f"{input_width} × {input_height} px"},
    ]
    if scene.mask is not None or (several and scene.region):
        rows.append({"label": "Scored" if several else "Region", "text": scene.region})
    if scene.mask is not None:
        rows += [
            {"label": "Area", "text": f"{scene.mask_px:,} px".replace(",", "\u2009")},
            {"label": "Area share", "text": f"{scene.share:.1%}"},
        ]
    return rows


def region_names(scene: Scene, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return a dataset's regions by what they are in this image: parts, overlapping, absent."""
    known = tuple(dict.fromkeys((*names, *scene.regions.names)))
    present = [name for name in known if scene.regions.sizes.get(name, 0)]
    return {
        "part": tuple(name for name in present if name in scene.regions.parts),
        "overlapping": tuple(name for name in present if name not in scene.regions.parts),
        "absent": tuple(name for name in known if name not in present),
    }
