"""Results folders written by hand, whose numbers a test knows without running a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from xaieval.study.config import load_study
from xaieval.study.parts import SCHEMA_VERSION, SCHEMAS, WHOLE, write_part

Value = Callable[[str, int, str, str, str], float | str]
"""(sample, seed, method, region, metric) -> a score, or the reason why there is none."""


def write_results(
    out: Path,
    value: Value,
    *,
    samples: dict[str, str],
    seeds: Sequence[int] = (1,),
    methods: Sequence[str] = ("gradcam", "saliency", "random"),
    regions: Sequence[str] = ("eyes", "nose", "mouth"),
    metrics: Sequence[str] = ("regional_precision", "area_share"),
    wrong: frozenset[tuple[str, int]] = frozenset(),
    split: str = "test",
    title: str = "By hand",
) -> Path:
    """Write a measured results folder.

    ``samples``: sample id -> class; ``wrong``: (sample, seed) that are misclassified. Scores of
    falsification are of the whole map.
    """
    classes = tuple(dict.fromkeys(samples.values()))
    predictions, scores = [], []
    for seed in seeds:
        for sample, name in samples.items():
            model = {"sample_id": sample, "model_id": "s/m", "seed": seed}
            label, right = classes.index(name), (sample, seed) not in wrong
            predicted = label if right else (label + 1) % max(len(classes), 2)
            predictions.append(
                model
                | {"split": split, "class": name, "fold": 0, "target_kind": "predicted"}
                | {"target": predicted, "predicted": predicted, "label": label}
                | {"confidence": 0.9, "correct": right}
            )
            for metric in metrics:
                for region in (WHOLE,) if metric.startswith("falsification") else regions:
                    for method in methods:
                        found = value(sample, seed, method, region, metric)
                        there = not isinstance(found, str)
                        scores.append(
                            model
                            | {"method_id": method, "method_digest": method, "region": region}
                            | {"metric_key": metric, "rule_digest": "now"}
                            | {"value": found if there else float("nan")}
                            | {"reason": None if there else found}
                        )
    for table, rows in (("predictions", predictions), ("scores", scores)):
        found = pa.Table.from_pylist(rows, schema=SCHEMAS[table])
        write_part(out, table, found, base="b", stem="s")
    manifest = {
        "schema": SCHEMA_VERSION,
        "kind": "measured",
        "title": title,
        "rule_digest": "now",
        "classes": classes,
        "regions": list(regions),
        "methods": list(methods),
        "compete": list(methods)[:2],
        "metrics": list(metrics),
        "problems": [],
    }
    (out / "manifest.json").write_text(json.dumps(manifest))
    (out / "study.toml").write_text(load_study("demo").text)
    return out
