"""What experiments find: claims and their verdicts, gates, and the folder that keeps them."""

from xaieval.outcomes.claims import (
    Claim,
    Finding,
    Gate,
    GateResult,
    gated,
    judged,
    untested,
)
from xaieval.outcomes.outcome import Outcome, Picture, Sheet
from xaieval.outcomes.store import (
    EXPERIMENT,
    About,
    Experiment,
    is_experiment,
    read_outcome,
    write_outcome,
)

__all__ = [
    "EXPERIMENT",
    "About",
    "Claim",
    "Experiment",
    "Finding",
    "Gate",
    "GateResult",
    "Outcome",
    "Picture",
    "Sheet",
    "gated",
    "is_experiment",
    "judged",
    "read_outcome",
    "untested",
    "write_outcome",
]
