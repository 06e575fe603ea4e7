"""The table of experiments, by reference system, and how one is run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from xaieval.errors import ConfigError, ResultsError, unknown
from xaieval.outcomes import About, Experiment, read_outcome, write_outcome
from xaieval.reproduce.base import ExperimentSpec, Setup
from xaieval.reproduce.celebamask_regions import CELEBAMASK_REGIONS
from xaieval.reproduce.explanation_alignment import (
    decoy_mnist,
    feature_ranking,
    model_comparison,
    smile_bias,
    transfer,
)
from xaieval.reproduce.project_iml import PROJECT_IML
from xaieval.table import Table

EXPERIMENTS: Table[ExperimentSpec] = Table(
    "experiment",
    (
        *PROJECT_IML,
        *CELEBAMASK_REGIONS,
        decoy_mnist.SPEC,
        smile_bias.SPEC,
        feature_ranking.SPEC,
        transfer.SPEC,
        model_comparison.SPEC,
    ),
)


def find_experiments(target: str) -> list[ExperimentSpec]:
    """Return the experiments of a system, or the one of an id.

    Raises
    ------
    ConfigError
        For an unknown one, with the nearest.
    """
    found = [spec for spec in EXPERIMENTS.values() if target in (spec.id, spec.system)]
    if not found:
        known = [*dict.fromkeys(spec.system for spec in EXPERIMENTS.values()), *EXPERIMENTS]
        raise unknown("system or experiment", target, known)
    return found


def run_experiment(spec: ExperimentSpec, setup: Setup) -> Experiment:
    """Run an experiment and write its folder; return it as read back.

    Raises
    ------
    ConfigError
        When the experiment has no such size.
    ResultsError
        When its claims and findings do not match, or the folder cannot be written.
    """
    if setup.size not in spec.sizes:
        raise ConfigError(
            f"this experiment has no {setup.size} form",
            where=spec.id,
            expected=" or ".join(f"--{size}" for size in spec.sizes),
        )
    began = time.monotonic()
    outcome = spec.run(setup)
    found, stated = [f.claim.id for f in outcome.findings], [c.id for c in spec.claims]
    if sorted(found) != sorted(stated):
        raise ResultsError(
            "findings do not match the claims", where=spec.id, expected=stated, got=found
        )
    about = About(
        experiment=spec.id,
        title=spec.label,
        summary=spec.summary,
        source=spec.source,
        size=setup.size,
        command=setup.command,
        device=setup.device,
        elapsed_s=time.monotonic() - began,
    )
    write_outcome(setup.out, about, outcome)
    return read_outcome(setup.out)


def default_folder(
    target: str, specs: Sequence[ExperimentSpec], spec: ExperimentSpec, out: Path | None
) -> Path:
    """Return the folder of one experiment: ``out`` itself when it is the only one, else inside."""
    if out is None:
        return Path("results") / spec.id
    return out if len(specs) == 1 else out / spec.name
