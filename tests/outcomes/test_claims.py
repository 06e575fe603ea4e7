"""Claims and verdicts: what holds, what does not, what cannot be tested."""

from __future__ import annotations

import math

import pytest

from xaieval.errors import ResultsError
from xaieval.outcomes import Claim, Finding, Gate, GateResult, gated, judged, untested

CLAIM = Claim("sign", "A lies above B.", "planted", gates=("accuracy",))
GATE = Gate("accuracy", "balanced accuracy of every model", 0.9)


@pytest.mark.parametrize(
    ("low", "high", "side", "verdict", "why"),
    [
        (0.1, 0.3, "above", "holds", ""),
        (-0.3, -0.1, "above", "does not hold", "reversed"),
        (-0.1, 0.1, "above", "does not hold", "the interval contains 0"),
        (0.0, 0.1, "above", "does not hold", "the interval contains 0"),
        (-0.3, -0.1, "below", "holds", ""),
        (0.1, 0.3, "below", "does not hold", "reversed"),
    ],
)
def test_a_contrast_holds_only_when_its_whole_interval_does(low, high, side, verdict, why):
    found = judged(
        CLAIM, value=(low + high) / 2, low=low, high=high, n="5 seeds", unit="IoU", side=side
    )
    assert (found.verdict, found.why) == (verdict, why)


def test_an_undefined_figure_cannot_be_tested():
    found = judged(CLAIM, value=math.nan, low=0.1, high=0.2, n="0 images", unit="IoU")
    assert found.verdict == "cannot be tested here"
    assert found.why == "the figure is undefined"


def test_below_the_gate_no_claim_is_made():
    good = judged(CLAIM, value=0.2, low=0.1, high=0.3, n="5 seeds", unit="IoU")
    passed, failed = GateResult(GATE, (0.95, 0.9)), GateResult(GATE, (0.99, 0.89))
    assert passed.passed
    assert not failed.passed
    assert gated([good], [passed]) == [good]
    (found,) = gated([good], [failed])
    assert found.verdict == "cannot be tested here"
    assert "0.890 instead of at least 0.9" in found.why
    assert found.value == good.value, "what was measured stays visible"


def test_a_gate_that_nobody_measured_is_no_pass():
    assert not GateResult(GATE, ()).passed
    assert not GateResult(GATE, (math.nan,)).passed
    with pytest.raises(ResultsError, match="was not measured"):
        gated([untested(CLAIM, "no data")], [])


def test_a_verdict_needs_a_figure_and_a_reason():
    with pytest.raises(ResultsError, match="needs a reason"):
        Finding(CLAIM, "cannot be tested here")
    with pytest.raises(ResultsError, match="figure and the n"):
        Finding(CLAIM, "holds", value=0.5)
