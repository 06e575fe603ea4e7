"""One-shot accuracies of the arms on another dataset, kept beside the arms."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xaieval.digest import digest, digest_file

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import torch

    from xaieval.datasets import Dataset
    from xaieval.models import Classifier
    from xaieval.reproduce.base import Setup
    from xaieval.study import Results

FOLDER = "transfer"
STAGE = "one-shot transfer"
_ROWS = 64


def target_ids(dataset: Dataset) -> tuple[str, ...]:
    """Return the images of the new task: its test part where it has one, as published, or all."""
    test = tuple(record.id for record in dataset.records if record.layout_split == "test")
    return test or dataset.ids


def embed(
    classifier: Classifier,
    dataset: Dataset,
    ids: Sequence[str],
    *,
    device: torch.device | str = "cpu",
) -> np.ndarray[Any, Any]:
    """Return the embeddings float32 (n, D) of some images: what its last layer reads.

    Pictures become input as the classifier's own pictures do, whatever their size is.
    """
    import numpy as np
    import torch

    from xaieval.models import embeddings, pair_classifier

    preprocessing = classifier.preprocessing
    assert preprocessing is not None, "checkpoints say how pictures become input"
    classifier.module.to(device)
    pairs = pair_classifier(classifier)
    found = []
    for start in range(0, len(ids), _ROWS):
        pictures = np.stack(
            [preprocessing.picture(dataset[it].image) for it in ids[start : start + _ROWS]]
        )
        x = preprocessing.tensor(torch.from_numpy(pictures).to(device))
        found.append(embeddings(pairs, x).cpu().numpy())
    return np.concatenate(found)


def transfer_table(
    setup: Setup, arms: Mapping[str, Results], dataset: Dataset, *, draws: int
) -> pd.DataFrame:
    """Return a row per model and draw: arm, seed, model, draw, accuracy.

    What was computed before is read from ``OUT/transfer/``.
    """
    import numpy as np
    import pandas as pd

    from xaieval.backend import pick_devices
    from xaieval.files import write_json
    from xaieval.models import load_checkpoint
    from xaieval.progress import Progress
    from xaieval.reproduce.explanation_alignment.one_shot import one_shot_accuracies

    ids = target_ids(dataset)
    labels = np.array([dataset.label_of(it) for it in ids])
    models = [(arm, *found) for arm, results in arms.items() for found in results.checkpoints()]
    rows, began = [], time.monotonic()
    for number, (arm, seed, _, path) in enumerate(models):
        setup.report(Progress(STAGE, number, len(models), time.monotonic() - began))
        key = digest("one-shot", 1, digest_file(path), dataset.digest, draws)
        kept = setup.out / FOLDER / f"{arm}-seed-{seed}.json"
        found = _kept(kept, key)
        if found is None:
            device = pick_devices(setup.device)[0]
            vectors = embed(load_checkpoint(path), dataset, ids, device=device)
            found = one_shot_accuracies(vectors, labels, draws=draws).tolist()
            write_json(kept, {"key": key, "accuracies": found})
        rows += [
            {"arm": arm, "seed": seed, "model": f"{arm}/{seed}", "draw": draw, "value": value}
            for draw, value in enumerate(found)
        ]
    setup.report(Progress(STAGE, len(models), len(models), time.monotonic() - began))
    return pd.DataFrame(rows)


def _kept(path: Path, key: str) -> list[float] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return [float(it) for it in content["accuracies"]] if content.get("key") == key else None
