"""doctor: what a network is made of, and which methods it can bear."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xaieval.cli.options import FILE, FOLDER, Names
from xaieval.cli.text import text_table
from xaieval.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from xaieval.doctor import Diagnosis, Trial
    from xaieval.models import Classifier


class Size(click.ParamType):  # type: ignore[type-arg]
    """Channels, height and width: ``3x224x224``."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d+)[x×](\d+)[x×](\d+)", str(value))
        if not match or not all(map(int, match.groups())):
            self.fail(f"{value!r} is no size; write 3x224x224", param, ctx)
        return tuple(map(int, match.groups()))


@click.command()
@click.argument("model")
@click.option("--input", "size", type=Size(), help="Of model input: 3x224x224. [default: its own]")
@click.option("--image", type=FILE, help="A picture to try the methods on. [default: noise]")
@click.option("--methods", type=Names(), help="Some methods only.")
@click.option("--device", default="cpu", show_default=True)
@click.option(
    "--limit", "limit_s", default=60.0, show_default=True, help="Seconds for a smoke map, at most."
)
@click.option("--out", type=FOLDER, help="Folder for the smoke maps (PNG) and the findings (JSON).")
def doctor(
    model: str,
    size: tuple[int, int, int] | None,
    image: Path | None,
    methods: tuple[str, ...] | None,
    device: str,
    limit_s: float,
    out: Path | None,
) -> None:
    """Look a MODEL over: a checkpoint, or package.module:factory.

    A factory is a function without arguments (or an object) that gives a torch.nn.Module or a
    xaieval.models.Classifier. Printed are outputs, preprocessing, activations, target layer and
    where its cells lie in the picture, what was mended, and a smoke map of every method: how it
    came out and how long it takes, or why there is none.
    """
    from xaieval.doctor import examine
    from xaieval.methods import METHODS, resolve_methods

    classifier = _classifier(model, size)
    x = None if image is None else _picture(classifier, image)
    click.echo(f"looking at {model} …", err=True)
    calls = resolve_methods(list(methods or METHODS))

    def told(trial: Trial) -> None:
        click.echo(f"  {trial.call.key}", err=True)

    found = examine(classifier, methods=calls, x=x, device=device, limit_s=limit_s, on_trial=told)
    for line in found.lines():
        click.echo(line)
    click.echo("")
    click.echo(text_table(*_cells(found)))
    refused = [trial for trial in found.trials if trial.why_not]
    if refused:
        click.echo("\nwithout a map:")
        for trial in refused:
            click.echo(f"  {trial.call.key}: {trial.why_not}")
    if out is not None:
        _write(found, out)
        click.echo(f"\nsmoke maps and findings in {out}")


def _classifier(model: str, size: tuple[int, int, int] | None) -> Classifier:
    import torch
    from torch import nn

    from xaieval.models import Classifier, load_checkpoint

    if ":" not in model or Path(model).exists():
        return load_checkpoint(Path(model))
    made = _made(model)
    if isinstance(made, Classifier):
        return made
    if not isinstance(made, nn.Module):
        raise ModelError(
            "not a network", where=model, expected="a torch.nn.Module", got=type(made).__name__
        )
    shape = size or (3, 224, 224)
    generator = torch.Generator().manual_seed(0)
    return Classifier(
        made, example=torch.randn((2, *shape), generator=generator), name=model.split(":")[1]
    )


def _made(text: str) -> object:
    """Return what ``package.module:factory`` gives; the current folder is looked into first."""
    name, _, attribute = text.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found: Any = importlib.import_module(name)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"cannot be imported ({error})",
            where=text,
            expected="package.module:factory, or the path of a checkpoint",
        ) from error
    finally:
        sys.path.pop(0)
    from torch import nn

    if isinstance(found, type) or (callable(found) and not isinstance(found, nn.Module)):
        if hasattr(found, "prepared"):  # a classifier is no factory
            return found
        try:
            return found()
        except TypeError as error:
            raise ConfigError(
                f"the factory cannot be called without arguments ({error})",
                where=text,
                fix="name a function that takes none",
            ) from error
        except Exception as error:  # whatever the user's own code raises
            raise ModelError(
                f"the factory failed ({type(error).__name__}: {error})",
                where=text,
                fix="call it in Python to see where",
            ) from error
    return found


def _picture(classifier: Classifier, image: Path) -> Any:
    from xaieval.datasets.images import read_image

    if classifier.preprocessing is None:
        raise ModelError(
            "a picture needs a preprocessing and this model has none",
            where=classifier.name,
            fix="let the factory give Classifier(module, preprocessing=Preprocessing(...))",
        )
    fitted = classifier.preprocessing.picture(read_image(image))
    return classifier.preprocessing.tensor(fitted[None].copy())  # PIL lends read-only pixels


def _cells(found: Diagnosis) -> tuple[list[str], list[list[str]]]:
    head = ["method", "family", "map", "least", "greatest", "smoke", "at defaults"]
    rows = []
    for trial in found.trials:
        name = [trial.call.key, trial.call.spec.family]
        if trial.heatmap is None:
            rows.append([*name, "none", "", "", "", ""])
            continue
        values = trial.heatmap.values
        flags = ", ".join(sorted(trial.heatmap.flags)) or "yes"
        rows.append(
            [
                *name,
                flags,
                f"{values.min():.3g}",
                f"{values.max():.3g}",
                f"{trial.elapsed_s:.2f} s",
                f"{trial.expected_s:.2f} s",
            ]
        )
    return head, rows


def _write(found: Diagnosis, out: Path) -> None:
    import dataclasses

    from xaieval.cli.explaining import file_name
    from xaieval.files import write_bytes, write_json
    from xaieval.render import colourise, encode, levels

    for trial in found.trials:
        if trial.heatmap is not None:
            picture = encode(colourise(levels(trial.heatmap.values)))
            write_bytes(out / f"{file_name(trial.call.key)}.png", picture)
    content = {
        "anatomy": dataclasses.asdict(found.anatomy),
        "receptive_field": None if found.field is None else dataclasses.asdict(found.field),
        "mended": list(found.mended),
        "warnings": list(found.warnings),
        "methods": {
            trial.call.key: {"why_not": trial.why_not}
            if trial.heatmap is None
            else {"elapsed_s": trial.elapsed_s, "flags": sorted(trial.heatmap.flags)}
            for trial in found.trials
        },
    }
    write_json(out / "doctor.json", content)
