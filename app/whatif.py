"""What a person does to the image on Explore: edits, own images, own masks."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import panel as pn
import platformdirs

from xaieval.datasets.folder_writer import add_to_folder, plain_name
from xaieval.datasets.own_files import MOST_BYTES, MOST_PIXELS, read_own_mask
from xaieval.edits import parse_edit, strokes_mask
from xaieval.errors import DataError, XaievalError

from .own import OWN_MASK, Own, OwnImages, OwnMask, Picture
from .services import Services
from .state import LONGEST_EDIT, AppState

log = logging.getLogger("xaieval.app")

PART_BYTES = 512 * 1024
"""A file travels in parts, each answered before the next: Bokeh takes no message above 20 MB."""


class Panel(Protocol):
    """Whatever shows what the panel says."""

    whatif: dict[str, Any]


@dataclass
class Upload:
    """A file on its way, of which some bytes are here."""

    id: str
    name: str
    size: int
    kind: str
    data: bytearray = field(default_factory=bytearray)


def own_folder(name: str) -> Path:
    """Return the folder of a data set that a person names; always under the user's data folder."""
    return Path(platformdirs.user_data_dir("xaieval")) / "own" / plain_name(name)


class WhatIf:
    """The panel's other half: hears what is done in the browser, says what came of it.

    ``refresh`` shows the image anew where the state does not change with it.
    """

    def __init__(
        self,
        state: AppState,
        services: Services,
        panel: Panel,
        own: OwnImages,
        refresh: Callable[[], None],
    ) -> None:
        self.state, self.services, self.panel, self.own = state, services, panel, own
        self._refresh = refresh
        self._upload: Upload | None = None
        self._said: dict[str, Any] = {}
        self._masked = 0
        self.tell()

    # ---------------------------------------------------------------- saying

    def tell(self, **said: Any) -> None:
        """Send the panel what it shows besides the view; ``said`` replaces what was said last."""
        own = self.own.get(self.state.image)
        self._said = said
        self.panel.whatif = {
            "edit": self.state.edit,
            "long": len(self.state.edit) > LONGEST_EDIT,
            "image": self.state.image,
            "own": None if own is None else own.item.sample_id.removeprefix("own/"),
            "masked": self._mask() is not None,
            "scored": self.state.region == OWN_MASK,
            "limits": {"bytes": MOST_BYTES, "pixels": MOST_PIXELS, "part": PART_BYTES},
            **said,
        }

    def follow(self, changed: set[str]) -> None:
        """Bring edit and own mask into what the image now shown has; before settling."""
        if changed & {"image", "study"} and "edit" not in changed and "brush=" in self.state.edit:
            self.state.edit = ""  # a brush on one image means nothing on the next
        if self.state.region == OWN_MASK and self._mask() is None and "region" not in changed:
            self.state.region = ""
        if changed & {"image", "study"}:
            self._said = {}  # what was said of one image is not said of the next

    def repeat(self) -> None:
        """Send it all again, after the state was settled."""
        self.tell(**self._said)

    def _mask(self) -> OwnMask | None:
        return self.own.mask(self.state.study, self.state.image)

    # ---------------------------------------------------------------- hearing

    def act(self, action: str, value: str) -> bool:
        """Do what the panel asks for; False when it is not the panel's business."""
        hear = {
            "edit": self._edit,
            "own-begin": self._begin,
            "own-part": self._part,
            "own-forget": self._forget,
            "own-keep": self._keep,
            "mask-strokes": self._draw,
            "mask-score": self._score,
            "mask-remove": self._remove,
        }.get(action)
        if hear is None:
            return False
        self._said = {}
        try:
            hear(value)
        except (XaievalError, ValueError, KeyError, TypeError) as error:
            self.tell(trouble=_sentence(error))
        return True

    def _edit(self, value: str) -> None:
        self.state.edit = parse_edit(value).text if value else ""

    # ---------------------------------------------------------------- own image

    def _begin(self, value: str) -> None:
        """A file is coming: {id, name, size, kind}."""
        told = json.loads(value)
        size = int(told["size"])
        self._upload = None
        if size > MOST_BYTES or size < 1:
            raise DataError(
                "the file is too large" if size else "empty file",
                where=str(told["name"])[:100],
                expected=f"at most {MOST_BYTES // 1_000_000} MB",
                got=f"{size / 1e6:.1f} MB",
            )
        kind = "mask" if told["kind"] == "mask" else "image"
        self._upload = Upload(str(told["id"]), str(told["name"])[:100], size, kind)
        self._ask_on()

    def _ask_on(self) -> None:
        upload = self._upload
        assert upload is not None
        self.tell(upload={"id": upload.id, "got": len(upload.data), "size": upload.size})

    def _part(self, value: str) -> None:
        """Some bytes of it: {id, at, data in base64}."""
        told = json.loads(value)
        upload = self._upload
        if upload is None or told["id"] != upload.id or int(told["at"]) != len(upload.data):
            return  # of a file that a newer one replaced
        try:
            upload.data += base64.b64decode(told["data"], validate=True)
        except binascii.Error as error:
            self._upload = None
            raise DataError("the file did not arrive whole", where=upload.name) from error
        if len(upload.data) < upload.size:
            self._ask_on()
            return
        pn.state.execute(self._arrived)

    async def _arrived(self) -> None:
        upload, self._upload = self._upload, None
        if upload is None:
            return
        loop = asyncio.get_running_loop()
        data = bytes(upload.data[: upload.size])
        try:
            if upload.kind == "mask":
                image = self.state.image

                def read() -> OwnMask:
                    return OwnMask.of(read_own_mask(data, upload.name, self._size(image)))

                self._take_mask(image, await loop.run_in_executor(self.services.pool, read))
                return
            picture = await loop.run_in_executor(
                self.services.pool, Picture.read, data, upload.name
            )
        except (XaievalError, MemoryError) as error:
            self.tell(trouble=_sentence(error))
            return
        own, dropped = self.own.add(picture, upload.name)
        for name in dropped:
            self.state.notify(f"Your own image {name} made room for {upload.name}.")
        self.state.param.update(image=own.item.id, edit="", region="")

    def _forget(self, _: str) -> None:
        image = self.state.image
        if image in self.own:
            self.own.forget(image)
            self.state.param.update(image="", region="", edit="")

    def _keep(self, value: str) -> None:
        """Write the own image into a data set's folder: {folder, class}."""
        told = json.loads(value)
        own = self.own.get(self.state.image)
        if own is None:
            return
        if not str(told["folder"]).strip():
            raise DataError("name a data set to keep the image in", got="nothing")
        root = own_folder(str(told["folder"]))
        class_name = str(told["class"]).strip() or "images"

        async def write() -> None:
            await self._write(own, root, class_name)

        pn.state.execute(write)

    async def _write(self, own: Own, root: Path, class_name: str) -> None:
        mask = self.own.mask("", own.item.id)
        name = Path(own.item.sample_id).stem

        def work() -> Path:
            masks = {} if mask is None else {"mask": mask.mask}
            return add_to_folder(
                root, own.picture.image, name=name, class_name=class_name, masks=masks
            )

        try:
            path = await asyncio.get_running_loop().run_in_executor(self.services.pool, work)
        except XaievalError as error:
            self.tell(trouble=_sentence(error))
            return
        self.tell(
            kept=f"Kept{' with its mask' if mask is not None else ''}: {path}. "
            f'To study the folder, name it in a study file: [data] name = "folder", '
            f'path = "{root}".'
        )

    # ---------------------------------------------------------------- own mask

    def _size(self, image: str) -> tuple[int, int]:
        """Return an image's original size; for the pool."""
        own = self.own.get(image)
        if own is not None:
            return own.size
        catalogue = self.services.catalogue(self.state.study)
        item = None if catalogue is None else catalogue.find(image)
        if item is None:
            raise DataError("there is no image to mask here")
        shape = self.services.sample(self.state.study, item.sample_id).image.shape
        return shape[0], shape[1]

    def _draw(self, value: str) -> None:
        """Take the drawn strokes as the own mask; none removes it."""
        if not value:
            self._remove("")
            return
        strokes = parse_edit(f"erase:mean:brush={value}").strokes
        image = self.state.image
        self._masked += 1
        turn = self._masked

        async def draw() -> None:
            def work() -> OwnMask:
                return OwnMask.of(strokes_mask(strokes, self._size(image)))

            try:
                loop = asyncio.get_running_loop()
                mask = await loop.run_in_executor(self.services.pool, work)
            except XaievalError as error:
                self.tell(trouble=_sentence(error))
                return
            if turn == self._masked and image == self.state.image:
                self._take_mask(image, mask)

        pn.state.execute(draw)

    def _take_mask(self, image: str, mask: OwnMask) -> None:
        if not mask.mask.any():
            self.tell(trouble="The brush is too thin to cover a pixel; choose a larger one.")
            return
        self.own.set_mask(self.state.study, image, mask)
        if image != self.state.image:
            return
        if self.state.region != OWN_MASK:
            self.state.region = OWN_MASK
        else:
            self.tell()
            self._refresh()

    def _score(self, value: str) -> None:
        """Score against the own mask, or against the data set's again."""
        if value == "own" and self._mask() is None:
            return
        self.state.region = OWN_MASK if value == "own" else ""

    def _remove(self, _: str) -> None:
        self._masked += 1
        self.own.set_mask(self.state.study, self.state.image, None)
        if OWN_MASK in self.state.edit:
            self.state.edit = ""
        if self.state.region == OWN_MASK:
            self.state.region = ""
        else:
            self.tell()
            self._refresh()


def _sentence(error: BaseException) -> str:
    if isinstance(error, XaievalError):
        text = str(error)
    elif isinstance(error, MemoryError):
        text = "There is not enough memory for this picture"
    else:
        log.exception("the what-if panel could not be followed", exc_info=error)
        text = "The page sent something that is not understood"
    return f"{text.removesuffix('.')}."
