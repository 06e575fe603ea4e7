"""What a wish is about: a data set's image, a person's own, or either of them edited."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from xaieval.backend import Answer
from xaieval.digest import digest
from xaieval.edits import Edit, Fill, edit_sample, place_of, topk_mask
from xaieval.types import Mask, Sample

from .scene import Scene
from .services import Services

if TYPE_CHECKING:
    from .composing import Wish


@dataclass(frozen=True, eq=False)
class Edited:
    """An edited sample; ``share`` of its pixels replaced, 0 to 1, or a ``note`` why none is."""

    sample: Sample
    place: Mask
    share: float
    note: str = ""


@dataclass(frozen=True, eq=False)
class Before:
    """An image before its edit: what was answered for it, and its picture for the browser."""

    answer: Answer
    edited: Edited
    picture: dict[str, str]


class Subjects:
    """Samples and scenes of one session; what only it may see stays in a memory of its own."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.private = services.private()
        self._edited: tuple[tuple[object, ...], Edited] | None = None

    def services_of(self, wish: Wish) -> Services:
        """Return the services whose memory may hold what a wish shows."""
        return self.private if wish.private else self.services

    def plain(self, wish: Wish) -> Sample:
        """Return the sample of a wish before any edit."""
        if wish.subject is not None:
            return wish.subject.sample
        return self.services.sample(wish.study, wish.sample_id)

    def sample(self, wish: Wish) -> Sample:
        """Return the sample that a wish explains."""
        return self.plain(wish) if wish.edit is None else self.edited(wish).sample

    def ready(self, wish: Wish) -> bool:
        """Tell whether the sample of a wish is at hand."""
        return wish.edit is None or (self._edited is not None and self._edited[0] == wish.asked)

    def edited(self, wish: Wish) -> Edited:
        """Return the edited sample of a wish that was prepared last."""
        assert self._edited is not None
        assert self._edited[0] == wish.asked
        return self._edited[1]

    def prepare(self, wish: Wish, before: Answer) -> Edited:
        """Edit the sample of a wish; for the pool.

        ``before``: the answer for the sample as it was, whose maps a Top-K is taken from.
        """
        assert wish.edit is not None
        sample = self.plain(wish)
        place, note = _place(wish.edit, sample, before)
        made = _edited(sample, wish.edit, place, note)
        _ = made.sample.image  # made here, not where somebody waits for it
        self._edited = wish.asked, made
        return made

    def with_fill(self, wish: Wish, edited: Edited, fill: Fill) -> Sample:
        """Return the sample of an edited wish with another fill in the same place; for the pool."""
        assert wish.edit is not None
        edit = replace(wish.edit, fill=fill)
        made = edit_sample(self.plain(wish), edit, place=edited.place)
        _ = made.image
        return made

    def scene(self, wish: Wish) -> Scene:
        """Return the scene of a wish; for the pool."""
        if not wish.private:
            return self.services.scene(
                wish.study, wish.sample_id, wish.checkpoint, region=wish.region
            )
        sample = self.sample(wish)
        seen = tuple(map(str, wish.asked))
        mask = wish.subject.mask if wish.subject is not None else ""
        scene = self.private.scene_of(
            (*seen, mask), lambda: sample, wish.checkpoint, region=wish.region
        )
        return replace(scene, key=digest(scene.key, mask)[:12]) if mask else scene

    def before(self, wish: Wish, answer: Answer) -> Before:
        """Return what a prepared wish was before its edit; for the pool."""
        scene = self.scene(wish.unedited)
        picture = {"id": f"picture-{scene.key}", "src": scene.src}
        return Before(answer, self.edited(wish), picture)

    def close(self) -> None:
        """Forget what was made."""
        self._edited = None
        self.private = self.services.private()


def _place(edit: Edit, sample: Sample, before: Answer) -> tuple[Mask, str]:
    """Return what an edit is about, and what to say when that is nothing."""
    size = (sample.image.shape[0], sample.image.shape[1])
    nothing = np.zeros(size, bool)
    if edit.topk:
        heatmap = before.maps.get(edit.topk)
        if heatmap is None or edit.k is None:
            why = before.undefined.get(edit.topk, "it has no map here")
            return nothing, f"{edit.topk} has no strongest pixels: {why}"
        place = topk_mask(heatmap.values, edit.k, before.geometry)
        why = f"Nothing stands out among the {edit.k} strongest pixels of {edit.topk}"
    elif edit.region and edit.region not in sample.regions:
        return nothing, f"{edit.region} is not in this image: nothing was changed."
    else:
        place = place_of(edit, size, sample.regions)
        why = f"{edit.region} is not in this image" if edit.region else "The brush is too thin"
    return place, "" if place.any() else f"{why}: nothing was changed."


def _edited(sample: Sample, edit: Edit, place: Mask, note: str) -> Edited:
    if note:
        return Edited(sample, place, 0.0, note)
    gone = float(place.mean())
    made = edit_sample(sample, edit, place=place)
    return Edited(made, place, gone if edit.kind == "erase" else 1 - gone)
