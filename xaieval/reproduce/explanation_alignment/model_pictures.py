"""The same images under several models of a family, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from xaieval.outcomes import Picture

if TYPE_CHECKING:
    import pandas as pd

    from xaieval.reproduce.base import Setup
    from xaieval.reproduce.gallery import Cell
    from xaieval.study import Results

_IMAGES, _MODELS = 4, 4


def same_images(
    setup: Setup,
    arms: Mapping[str, Results],
    ordered: pd.DataFrame,
    *,
    heading: str,
    region: str,
    starts: str = "",
) -> Picture:
    """Return images in rows, models in columns: Grad-CAM of the predicted class.

    Parameters
    ----------
    ordered : DataFrame
        Columns model, arm, seed, accuracy and ``heading``, whose value stands above a column; the
        first, the last and two between are shown.
    region : str
        Outlined; images without it are not shown.
    starts : str
        Only images whose id begins so; of each class the first.
    """
    from xaieval.backend import Backend
    from xaieval.reproduce.gallery import gallery, overlay_rows

    steps = min(_MODELS, len(ordered))
    places = sorted({round(i * (len(ordered) - 1) / max(1, steps - 1)) for i in range(steps)})
    shown = ordered.iloc[places]
    ids = _ids(arms[str(shown.iloc[0]["arm"])], region, starts)
    rows: dict[str, list[Cell]] = {it: [] for it in ids}
    labels: dict[str, str] = {}
    backend = Backend(setup.device)
    try:
        for arm, seed in zip(shown["arm"], shown["seed"], strict=True):
            found = overlay_rows(
                arms[arm],
                ids,
                methods=("gradcam",),
                seed=int(seed),
                region=region,
                metric="iou",
                backend=backend,
            )
            for sample, (label, cells) in zip(ids, found, strict=True):
                labels[sample] = label
                rows[sample] += cells[1:] if rows[sample] else cells
    finally:
        backend.close()
    heads = [f"{heading} {value:.3f}" for value in shown[heading]]
    pairs = zip(shown["model"], shown["accuracy"], strict=True)
    names = "; ".join(f"{model} (accuracy {accuracy:.2f})" for model, accuracy in pairs)
    return Picture(
        "examples",
        "The same images under several models",
        gallery(["picture and mask", *heads], [(labels[it], rows[it]) for it in ids]),
        f"Rows of images, each with Grad-CAM maps of {len(shown)} models.",
        f"Grad-CAM of the predicted class, models by {heading}, from left to right: {names}. The "
        "prediction below the picture is that of the first; the outline is the mask.",
    )


def _ids(results: Results, region: str, starts: str) -> list[str]:
    frame = results.scores(split="test", region=region, metric_key="iou", method_id="random")
    frame = frame[frame["sample_id"].str.startswith(starts)].dropna(subset="value")
    return [str(it) for it in frame.drop_duplicates("class")["sample_id"][:_IMAGES]]
