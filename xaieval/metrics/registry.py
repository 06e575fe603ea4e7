"""The table of scores, and the keys by which they are asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from xaieval.errors import ConfigError, unknown
from xaieval.metrics import (
    adversarial_drift,
    area_share,
    auroc,
    ceiling,
    deletion,
    falsification,
    gt_coverage,
    insertion,
    iou,
    lift,
    mass_accuracy,
    max_sensitivity,
    pointing_game,
    regional_precision,
    regional_recall,
    road,
    saliency_coverage,
    spatial_coherence,
    topk_iou,
    topk_overlap,
)
from xaieval.metrics.binarise import parse_binarisation
from xaieval.metrics.spec import MetricCall, MetricSpec, Option, Param, Variant
from xaieval.table import Table

METRICS: Table[MetricSpec] = Table(
    "metric",
    [
        topk_overlap.SPEC,
        topk_iou.SPEC,
        mass_accuracy.SPEC,
        pointing_game.SPEC,
        iou.SPEC,
        gt_coverage.SPEC,
        saliency_coverage.SPEC,
        auroc.SPEC,
        regional_precision.SPEC,
        regional_recall.SPEC,
        spatial_coherence.SPEC,
        lift.SPEC,
        area_share.SPEC,
        ceiling.SPEC,
        deletion.SPEC,
        insertion.SPEC,
        road.SPEC,
        falsification.SPEC,
        max_sensitivity.SPEC,
        adversarial_drift.SPEC,
    ],
    group="xaieval.metrics",
)
"""All scores; other packages add theirs through the entry-point group ``xaieval.metrics``."""

MetricLike = str | Mapping[str, Option] | MetricCall
_KEY = re.compile(r"(?P<name>\w+)(?:\[(?P<binarisation>[^\]]+)\])?(?:@(?P<options>.+))?")


def parse_metric(metric: MetricLike) -> MetricCall:
    """Return the score that a key or a mapping names.

    Parameters
    ----------
    metric : str, mapping or MetricCall
        ``"iou"``, ``"iou[mean+1std]"``, ``"precision@K=412"``,
        ``"pointing_game@tolerance_px=15"``, or ``{"id": "precision", "K": 412}``.

    Raises
    ------
    ConfigError
        For an unknown score or option, with the nearest known one; for a value of the wrong type,
        a missing required option, or a key that does not follow the form.

    >>> parse_metric({"id": "precision", "K": 412}).key, parse_metric("iou[mean+1.0std]").key
    ('precision@K=412', 'iou[mean+1std]')
    """
    if isinstance(metric, MetricCall):
        return metric
    given: dict[str, Option]
    if isinstance(metric, str):
        name, given = _split(metric)
    elif isinstance(metric, Mapping) and isinstance(metric.get("id"), str):
        name = str(metric["id"])
        given = {key: value for key, value in metric.items() if key != "id"}
    else:
        raise ConfigError("not a metric", expected='a key or a mapping with "id"', got=repr(metric))
    spec, variant = _find(name)
    label, fn, read, params = spec.label, spec.fn, spec.read, spec.params
    of: MetricSpec | Variant = spec
    if variant is not None:
        label, of = variant.label, variant
        if variant.fn is not None:
            fn, params = variant.fn, variant.params
        read = variant.read or read
    options = _checked(name, given, params)
    notes = [f"{k}={_text(v)}" for k, v in options.items() if k != "binarisation"]
    key, bracket = name, options.get("binarisation")
    key += f"[{bracket}]" if bracket is not None else ""
    key += f"@{','.join(notes)}" if notes else ""
    notes = [str(bracket), *notes] if bracket is not None else notes
    bounds = next((v.bounds for v in spec.variants if v.key == key), of.bounds)
    return MetricCall(
        key=key,
        spec=spec,
        options=MappingProxyType(options),
        name=name,
        label=f"{label} ({', '.join(notes)})" if notes else label,
        fn=fn,
        read=read,
        higher_is_better=of.higher_is_better,
        bounds=bounds,
        chance=of.chance,
    )


def resolve_metrics(metrics: MetricLike | Sequence[MetricLike]) -> tuple[MetricCall, ...]:
    """Return the scores that a list names, in its order; the same score twice counts once."""
    if isinstance(metrics, (str, Mapping, MetricCall)):
        metrics = [metrics]
    return tuple(dict.fromkeys(parse_metric(metric) for metric in metrics))


def _split(key: str) -> tuple[str, dict[str, Option]]:
    match = _KEY.fullmatch(key.strip())
    if match is None:
        raise ConfigError(
            f"cannot read the metric key {key!r}",
            expected="such as iou, iou[mean+1std], precision@K=412",
        )
    given: dict[str, Option] = {}
    if match["binarisation"]:
        given["binarisation"] = match["binarisation"]
    for part in match["options"].split(",") if match["options"] else ():
        option, equals, value = part.partition("=")
        if not equals:
            raise ConfigError(f"cannot read the metric key {key!r}", expected="@option=value")
        given[option.strip()] = value.strip()
    return match["name"], given


def _find(name: str) -> tuple[MetricSpec, Variant | None]:
    if name in METRICS:
        return METRICS[name], None
    named = {v.name: (s, v) for s in METRICS.values() for v in s.variants if v.name}
    if name not in named:
        raise unknown("metric", name, [*METRICS, *named])
    return named[name]


def _checked(name: str, given: Mapping[str, Option], params: Iterable[Param]) -> dict[str, Option]:
    known = {param.name: param for param in params}
    for option in given:
        if option not in known:
            if not known:
                raise ConfigError(f"the metric {name!r} has no option {option!r}")
            raise unknown(f"option of the metric {name!r}", option, known)
    options: dict[str, Option] = {}
    for param in known.values():
        if param.name in given:
            value = _value(name, param, given[param.name])
            if param.default is None or value != param.default:
                options[param.name] = value
        elif param.required:
            raise ConfigError(
                f"the metric {name!r} needs {param.name}",
                expected=param.summary,
                fix=f"write for example {name}@{param.name}=412",
            )
    return options


def _value(name: str, param: Param, given: Option) -> Option:
    """Return an option in its canonical form, or raise a ConfigError."""
    value: Option
    try:
        value = param.type(given)
    except (TypeError, ValueError, OverflowError):
        value = float("nan")
    bad = value != value or isinstance(given, bool) or value in (float("inf"), float("-inf"))
    if not isinstance(given, str) and not isinstance(value, str):
        bad = bad or value != given  # an int option given as 1.5
    if param.minimum is not None and not isinstance(value, str):
        bad = bad or value < param.minimum
    if param.maximum is not None and not isinstance(value, str):
        bad = bad or value > param.maximum
    if bad:
        least = f" >= {param.minimum:g}" if param.minimum is not None else ""
        least += f" and <= {param.maximum:g}" if param.maximum is not None else ""
        raise ConfigError(
            f"bad {param.name} of the metric {name!r}",
            expected=f"{param.type.__name__}{least}",
            got=repr(given),
        )
    if param.choices and value not in param.choices:
        raise unknown(f"{param.name} of the metric {name!r}", value, param.choices)
    if param.name == "binarisation":
        kind, number = parse_binarisation(str(value))
        return {
            "minmax": f"minmax>={number:g}",
            "std": f"mean+{number:g}std",
            "percentile": "percentile" if number == 90 else f"percentile={number:g}",
            "otsu": "otsu",
        }[kind]
    return value


def _text(value: Option) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
