"""A results folder of drawn numbers: several splits, classes, seeds, reasons, ties."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from xaieval.metrics import parse_metric
from xaieval.study.config import load_study
from xaieval.study.parts import SCHEMA_VERSION, SCHEMAS, WHOLE, write_part

METHODS = ("gradcam", "saliency", "integrated_gradients", "random")
METRICS = ("topk_overlap", "iou", "gt_coverage", "saliency_coverage", "area_share", "lift")
METRICS += ("deletion", "max_sensitivity")
CLASSES = ("crack", "cut", "good", "hole", "print")


def make(
    out: Path,
    *,
    per_class: int = 4,
    seeds: Sequence[int] = (1, 2, 3),
    methods: Sequence[str] = METHODS,
    compete: Sequence[str] = METHODS[:3],
    metrics: Sequence[str] = METRICS,
    masks: bool = True,
    undefined: float = 0.1,
    random_seed: int = 0,
    task: str = "single",
) -> Path:
    """Write it; without ``masks`` no image has one, ``undefined`` is the share of other NaN."""
    r = np.random.default_rng(random_seed)
    predictions: list[dict[str, Any]] = []
    scores: list[dict[str, Any]] = []
    for seed in seeds:
        for label, name in enumerate(CLASSES):
            for number in range(per_class):
                predicted = label if r.random() < 0.7 else int(r.integers(len(CLASSES)))
                sample = f"{name}/{number:03d}" + (f"@{name}" if task == "multilabel" else "")
                model = {"sample_id": sample, "model_id": "made/small-cnn", "seed": seed}
                predictions.append(
                    model
                    | {"split": "test" if number % 2 else "train", "class": name, "fold": 0}
                    | {"target_kind": "predicted", "target": predicted, "predicted": predicted}
                    | {"label": label, "confidence": round(float(r.uniform(0.2, 1)), 2)}
                    | {"correct": predicted == label}
                )
                for metric in metrics:
                    region = WHOLE if parse_metric(metric).whole else "defect"
                    for method in methods:
                        # Few different values, so that there are ties.
                        value = float(r.integers(0, 6)) / 5
                        reason = None
                        if not masks or name == "good":
                            reason = "no-ground-truth"
                        elif r.random() < undefined:
                            reason = "all-zero-map"
                        scores.append(
                            model
                            | {"method_id": method, "method_digest": method, "region": region}
                            | {"metric_key": metric, "rule_digest": "now", "reason": reason}
                            | {"value": float("nan") if reason else value}
                        )
                        # Scores under other rules are none of the last run's.
                        if number == 0:
                            scores.append(scores[-1] | {"rule_digest": "earlier", "value": 1.0})
    for table, rows in (("predictions", predictions), ("scores", scores)):
        found = pa.Table.from_pylist(rows, schema=SCHEMAS[table])
        write_part(out, table, found, base="b", stem="s")
    manifest = {
        "schema": SCHEMA_VERSION,
        "kind": "measured",
        "title": "Made",
        "rule_digest": "now",
        "task": task,
        "classes": CLASSES,
        "regions": ["defect"],
        "methods": list(methods),
        "compete": list(compete),
        "metrics": list(metrics),
        "problems": [],
    }
    (out / "manifest.json").write_text(json.dumps(manifest))
    (out / "study.toml").write_text(load_study("demo").text)
    return out
