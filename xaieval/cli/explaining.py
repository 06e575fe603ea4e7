"""explain: heatmaps, Top-K overlays, raw maps and scores of one image."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xaieval.cli.options import FILE, FOLDER, Names
from xaieval.errors import MetricError, unknown

if TYPE_CHECKING:
    from xaieval.backend import Answer, Backend, Request
    from xaieval.metrics import MetricCall
    from xaieval.sanity import Verdict
    from xaieval.types import Mask, Score

    Scored = dict[str, dict[str, Score]]

METRICS = "topk_overlap,topk_iou,mass_accuracy,pointing_game,iou,auroc,area_share"


@dataclass(frozen=True, eq=False)
class Explained:
    """One image explained: what the model said, its maps, and its mask in input space if any.

    ``gate`` holds what the sanity gate said of the methods on this model, where that is known.
    """

    answer: Answer
    mask: Mask | None
    gate: Mapping[str, Verdict]


@click.command()
@click.argument("image", type=FILE)
@click.option("--checkpoint", type=FILE, required=True, help="A .safetensors file with its card.")
@click.option("--mask", type=FILE, help="Where the evidence is: a picture of the image's size.")
@click.option(
    "--methods",
    type=Names(),
    default="gradcam,saliency,integrated_gradients",
    show_default=True,
    help="Ids, with options in brackets: see 'xaieval list methods'.",
)
@click.option("--metrics", type=Names(), default=METRICS, help="Scores; most need a mask.")
@click.option("--target", default="predicted", show_default=True, help="A class name or number.")
@click.option(
    "--k", type=click.IntRange(1), help="Pixels of the Top-K overlay. [default: mask size]"
)
@click.option("--device", default="auto", show_default=True)
@click.option("--exact", is_flag=True, help="No folding of batch norms, no fast memory format.")
@click.option(
    "--upsampling",
    default="paper",
    show_default=True,
    help="Of maps of a layer's size: paper, or aligned (cells drawn where they look).",
)
@click.option("--plan", "only_plan", is_flag=True, help="Print the passes that it takes, and stop.")
@click.option("--out", type=FOLDER, help="Folder to write.")
def explain(
    image: Path,
    checkpoint: Path,
    mask: Path | None,
    methods: tuple[str, ...],
    metrics: tuple[str, ...],
    target: str,
    k: int | None,
    device: str,
    exact: bool,
    upsampling: str,
    only_plan: bool,
    out: Path | None,
) -> None:
    """Explain one IMAGE with a trained model.

    Writes the picture, an overlay and a Top-K overlay per method (PNG), the raw maps (maps.npz)
    and predictions and scores (scores.json).
    """
    if only_plan:
        _print_plan(methods, checkpoint, upsampling)
        return
    if out is None:
        raise click.UsageError("Missing option '--out'.")
    import numpy as np

    from xaieval.backend import Backend, Request
    from xaieval.methods import resolve_methods
    from xaieval.metrics import resolve_metrics
    from xaieval.sanity import notes, verdicts_on

    calls = tuple(resolve_methods(list(methods)))
    wanted = resolve_metrics(list(metrics))
    sample = _sample(image, mask)
    backend = Backend(device)
    try:
        classifier = backend.classifier(checkpoint)
        if classifier.task == "multilabel":  # nobody said which attributes the picture has
            nothing = np.zeros(classifier.n_classes, bool)
            sample = dataclasses.replace(sample, label=nothing)
        request = Request(
            checkpoint=checkpoint,
            sample=sample,
            methods=calls,
            target=_target(target, classifier.class_names),
            exact=exact,
            upsampling=upsampling,
        )
        answer = backend.explain(request)
        explained = Explained(
            answer,
            None if mask is None else answer.geometry.mask(sample.regions["mask"]),
            verdicts_on(checkpoint, calls),
        )
        scores = _scores(backend, request, explained, wanted)
    finally:
        backend.close()
    _write(explained, scores, out, k=k)
    _write_json(explained, scores, out, image=image, mask=mask, checkpoint=checkpoint)
    found = f"{answer.predicted_name} ({answer.confidence:.3f})"
    click.echo(f"predicted {found}; {_count(len(answer.maps), 'heatmap')} in {out}")
    for key, why in answer.undefined.items():
        click.echo(f"no map of {key}: {why}")
    failed = {key: it.text for key, it in explained.gate.items() if it.status == "failed"}
    for line in notes(failed, {key: key for key in answer.maps}):
        click.echo(line)


def _scores(
    backend: Backend, request: Request, explained: Explained, metrics: Sequence[MetricCall]
) -> Scored:
    """Score every map: against the mask if there is one, and by asking the model."""
    from xaieval.metrics import Rules, score
    from xaieval.study.whole import whole_scores
    from xaieval.types import Score

    against_mask = [metric for metric in metrics if not metric.whole]
    of_model = [metric for metric in metrics if metric.whole]
    found: Scored = {key: {} for key in explained.answer.maps}
    for call in request.methods:
        if call.key not in found:
            continue
        heatmap = explained.answer.maps[call.key]
        if explained.mask is not None and against_mask:
            scores = score(
                heatmap.values[None],
                explained.mask[None],
                metrics=against_mask,
                grid=heatmap.grid,
            )
            for key, values in scores.items():
                found[call.key][key] = Score(float(values[0]), scores.reasons[key][0])
        if of_model:
            found[call.key] |= whole_scores(
                backend,
                request.checkpoint,
                [(request.sample, explained.answer)],
                call,
                of_model,
                rules=Rules(),
                upsampling=request.upsampling,
                exact=request.exact,
                seed=request.seed,
            )[0]
    return found


def _print_plan(methods: tuple[str, ...], checkpoint: Path, upsampling: str) -> None:
    """Print which passes a set of methods shares, and how many each by itself would take."""
    from xaieval.methods import plan, resolve_methods
    from xaieval.methods.upsampling import check_upsampling
    from xaieval.models import load_checkpoint

    check_upsampling(upsampling)
    calls = resolve_methods(list(methods))
    preprocessing = load_checkpoint(checkpoint).preprocessing
    size = preprocessing.input_size if preprocessing is not None else (224, 224)
    together, alone = plan(calls), [plan([call]) for call in calls]
    click.echo(
        f"{_count(len(calls), 'method')}, rows through the network for one picture of "
        f"{size[0]}×{size[1]}:"
    )
    for line in together.describe(size):
        click.echo(f"  {line}")
    shared, apart = together.gradient_rows(size), sum(p.gradient_rows(size) for p in alone)
    click.echo(f"forward + backward rows: {shared} shared, {apart} one method at a time")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _sample(image: Path, mask: Path | None) -> Any:
    from xaieval.datasets.images import read_image, read_masks
    from xaieval.types import Sample

    return Sample(
        id=image.stem,
        label=0,
        read_image=lambda: read_image(image),
        read_regions=lambda: {} if mask is None else read_masks({"mask": mask}, image),
    )


def _target(text: str, class_names: tuple[str, ...]) -> Any:
    """Return "predicted" or the index of the class that a name or a number means."""
    if text == "predicted":
        return text
    if text in class_names:
        return class_names.index(text)
    if text.isdigit() and int(text) < len(class_names):
        return int(text)
    raise unknown("class", text, ["predicted", *class_names], where="--target")


def file_name(key: str) -> str:
    """Return a method key as a plain file name.

    >>> file_name("integrated_gradients[n_steps=50]")
    'integrated_gradients_n_steps=50'
    """
    return re.sub(r"[^\w.=-]+", "_", key).strip("_")


def _write(explained: Explained, scores: Scored, out: Path, *, k: int | None) -> None:
    import io

    import numpy as np

    from xaieval.files import write_bytes
    from xaieval.metrics import topk_weights
    from xaieval.render import encode, overlay, topk_overlay

    answer, mask = explained.answer, explained.mask
    size = k or (int(mask.sum()) if mask is not None else 0)
    limit = answer.picture.shape[0] * answer.picture.shape[1]
    if size > limit:
        raise MetricError("K is larger than the picture", expected=f"at most {limit}", got=size)
    write_bytes(out / "picture.png", encode(answer.picture))
    for key, heatmap in answer.maps.items():
        drawn = overlay(answer.picture, heatmap.values, mask=mask)
        write_bytes(out / f"{file_name(key)}-overlay.png", encode(drawn))
        if size:
            weights = topk_weights(heatmap.values, size)
            drawn = topk_overlay(answer.picture, weights, mask)
            write_bytes(out / f"{file_name(key)}-topk.png", encode(drawn))
    stream = io.BytesIO()
    maps: dict[str, Any] = {key: it.values for key, it in answer.maps.items()}
    np.savez_compressed(stream, **maps)
    write_bytes(out / "maps.npz", stream.getvalue())


def _verdict(found: Verdict | None) -> dict[str, Any] | None:
    """Return what the sanity gate said of a method on this model; None: it was never asked."""
    if found is None:
        return None
    return {
        "status": found.status,
        "text": found.text,
        "checks": [dataclasses.asdict(check) for check in found.checks],
    }


def _write_json(
    explained: Explained,
    scores: Scored,
    out: Path,
    *,
    image: Path,
    mask: Path | None,
    checkpoint: Path,
) -> None:
    import math

    from xaieval import __version__
    from xaieval.files import write_json

    answer = explained.answer
    found: dict[str, Any] = {
        key: {
            "flags": sorted(heatmap.flags),
            "conservation": heatmap.conservation,
            "scores": {
                metric: {
                    "value": None if math.isnan(score.value) else score.value,
                    "reason": score.reason,
                }
                for metric, score in scores.get(key, {}).items()
            },
            "sanity": _verdict(explained.gate.get(key)),
        }
        for key, heatmap in answer.maps.items()
    }
    for key, why in answer.undefined.items():
        found[key] = {"not_defined": why}
    content = {
        "image": str(image),
        "mask": None if mask is None else str(mask),
        "checkpoint": str(checkpoint),
        "predicted": answer.predicted_name,
        "target": answer.class_names[answer.target],
        "probabilities": dict(
            zip(answer.class_names, map(float, answer.probabilities), strict=True)
        ),
        "input_size": list(answer.picture.shape[:2]),
        "mask_size_px": None if explained.mask is None else int(explained.mask.sum()),
        "methods": found,
        "version": __version__,
    }
    write_json(out / "scores.json", content)
