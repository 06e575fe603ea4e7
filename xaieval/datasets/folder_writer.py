"""Adding a picture and its masks to a folder that ``folder`` opens; nothing is ever overwritten."""

from __future__ import annotations

import os
import re
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

from xaieval.datasets.folder import LEGEND, REGION
from xaieval.errors import DataError, ResultsError
from xaieval.types import Image, Mask, check_image


def add_to_folder(
    root: Path,
    image: Image,
    *,
    name: str,
    class_name: str,
    masks: Mapping[str, Mask] | None = None,
) -> Path:
    """Write ``images/<class>/<name>.png`` and ``masks/<class>/<name>[_<region>].png``.

    Each file appears whole or not at all. A name that is taken gets a number: ``photo-2``. Spaces
    and other signs in names become hyphens; an underscore would read as the start of a region.

    Parameters
    ----------
    root : Path
        The data set's folder; made when it is not there.
    image : uint8 (H, W, 3)
    name, class_name : str
    masks : mapping region -> bool (H, W), optional
        The region ``mask`` needs no ending.

    Returns
    -------
    Path
        Of the image.

    Raises
    ------
    DataError
        When the folder has index masks (``legend.json``), or a mask does not fit.
    ResultsError
        When the folder cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as root:
    ...     path = add_to_folder(Path(root), np.zeros((2, 2, 3), np.uint8), name="my photo",
    ...                          class_name="nut", masks={"mask": np.ones((2, 2), bool)})
    ...     print(path.relative_to(root).as_posix())
    ...     print(sorted(p.name for p in Path(root, "masks/nut").iterdir()))
    images/nut/my-photo.png
    ['my-photo.png']
    """
    check_image(image, name)
    masks = dict(masks or {})
    for region, mask in masks.items():
        if mask.dtype != np.bool_ or mask.shape != image.shape[:2]:
            raise DataError(
                f"the mask {region!r} does not fit its image",
                where=name,
                expected=f"bool {image.shape[:2]}",
                got=f"{mask.dtype} {mask.shape}",
            )
    for place in (root / LEGEND, root / "masks" / LEGEND):
        if place.exists():
            raise DataError(
                "this folder has index masks",
                where=place,
                expected="one mask file per region",
                fix="name another folder",
            )
    group = plain_name(class_name)
    home = root / "images" / group
    for stem in _stems(plain_name(name)):
        if _taken(root, group, stem):
            continue
        path = home / f"{stem}.png"
        if _write_new(path, image):
            break
    for region, mask in masks.items():
        ending = "" if region == REGION else f"_{plain_name(region)}"
        _write_new(root / "masks" / group / f"{stem}{ending}.png", mask.astype(np.uint8) * 255)
    return path


def plain_name(text: str) -> str:
    """Return a text as one part of a file's name: letters, digits, hyphens and dots inside.

    >>> plain_name("../My photo_1 (über).JPG"), plain_name("  ")
    ('My-photo-1-über-.JPG', 'image')
    """
    words = re.sub(r"[^\w.]+|_", "-", unicodedata.normalize("NFC", text))
    return re.sub(r"-{2,}", "-", words).lstrip("-.")[:80].rstrip(".") or "image"


def _stems(stem: str) -> Iterator[str]:
    yield stem
    number = 2
    while True:
        yield f"{stem}-{number}"
        number += 1


def _taken(root: Path, group: str, stem: str) -> bool:
    """Tell whether a stem names an image of any format, or a mask that would become this one's."""
    images = root / "images" / group
    masks = (root / "masks" / group, root / "masks")
    used = {path.stem for path in images.iterdir()} if images.is_dir() else set()
    for folder in masks:
        if folder.is_dir():
            used |= {path.stem for path in folder.iterdir()}
    return any(name == stem or name.startswith(f"{stem}_") for name in used)


def _write_new(path: Path, pixels: npt.NDArray[np.uint8]) -> bool:
    """Write a PNG under a name that nothing has yet; False when something has."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    except OSError as error:
        raise _refused(path, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            PILImage.fromarray(pixels).save(stream, "PNG")
        temporary.chmod(0o644)
        os.link(temporary, path)  # unlike a rename, never takes a name that is in use
    except FileExistsError:
        return False
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _refused(path: Path, error: OSError) -> ResultsError:
    return ResultsError(
        f"cannot write here ({error.strerror})",
        where=path,
        fix="name another folder or change its permissions",
    )
