"""One image as the model sees it: picture, mask, outline and what there is to say about it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

import numpy as np

from xaieval.digest import digest
from xaieval.geometry import Geometry
from xaieval.models import Preprocessing
from xaieval.render import data_uri, outline_path
from xaieval.types import Image, Mask, Sample


@dataclass(frozen=True, eq=False)
class Scene:
    """What the page needs to know of one sample; made once, shared by all sessions.

    ``picture`` uint8 (h, w, 3) and ``mask`` bool (h, w) lie in input space. ``mask`` is None
    without ground truth, or when nothing of it is left in input space; ``mask_note`` says why in
    words, ``reason`` as scores do.
    """

    sample: Sample
    picture: Image
    src: str
    mask: Mask | None
    region: str
    mask_note: str
    reason: str
    outline: str
    geometry: Geometry

    @cached_property
    def key(self) -> str:
        return digest(self.sample.id, self.src)[:12]

    @cached_property
    def mask_px(self) -> int:
        return 0 if self.mask is None else int(self.mask.sum())

    @cached_property
    def share(self) -> float:
        """The mask's share of the image's area, 0 to 1."""
        return 0.0 if self.mask is None else float(self.mask.mean())

    @property
    def default_k(self) -> int:
        """The mask's size in px; a twentieth of the image where there is no mask."""
        return self.mask_px or max(1, self.picture.shape[0] * self.picture.shape[1] // 20)


def make_scene(sample: Sample, preprocessing: Preprocessing) -> Scene:
    """Read a sample and carry it to input space.

    Raises
    ------
    DataError
        When the image or a mask is damaged.
    """
    image = sample.image
    geometry = preprocessing.geometry((image.shape[0], image.shape[1]))
    picture = preprocessing.picture(image)
    regions = sample.regions
    region, mask, note = "", None, "No ground truth: scores need a mask."
    if regions:
        region = next(iter(regions))
        mask = np.ascontiguousarray(geometry.mask(regions[region]))
        if not mask.any():
            cut = bool(regions[region].any())
            note = (
                "The mask lies outside the model's crop: nothing to score against."
                if cut
                else "The mask is empty: nothing to score against."
            )
            mask = None
    return Scene(
        sample=sample,
        picture=picture,
        # The picture is what everything is compared with: exact while small, JPEG when large.
        src=data_uri(picture, format="png" if picture.size <= 3 * 128 * 128 else "jpeg"),
        mask=mask,
        region=region,
        mask_note="" if mask is not None else note,
        reason="empty-mask" if regions else "no-ground-truth",
        outline="" if mask is None else outline_path(mask),
        geometry=geometry,
    )


def source_rows(scene: Scene) -> list[dict[str, str]]:
    """Return the lines under the image: where it comes from and how large things are."""
    height, width = scene.geometry.original
    input_height, input_width = scene.geometry.input
    rows = [
        {"label": "File", "text": PurePosixPath(scene.sample.id).name, "title": scene.sample.id},
        {"label": "Original", "text": f"{width} × {height} px"},
        {"label": "Model input", "text": f"{input_width} × {input_height} px"},
    ]
    if scene.mask is not None:
        rows += [
            {"label": "Region", "text": scene.region},
            {"label": "Area", "text": f"{scene.mask_px:,} px".replace(",", "\u2009")},
            {"label": "Area share", "text": f"{scene.share:.1%}"},
        ]
    return rows
