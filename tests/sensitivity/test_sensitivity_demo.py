"""The built-in study's stored answer is of today's study, and is what the docs quote."""

from __future__ import annotations

from pathlib import Path

from xaieval.cli.sensitivity import table
from xaieval.sensitivity import read_sensitivity, run_sensitivity
from xaieval.sensitivity.exhibit import Survival
from xaieval.study import demo_results

FIX = "run 'xaieval sensitivity demo --out assets/demo'"


def test_the_stored_answer_is_today_s_and_quoted() -> None:
    results = demo_results()
    found = read_sensitivity(results)
    assert found is not None, FIX
    shown = Survival(results, found)
    quoted = (Path(__file__).parents[2] / "docs" / "sensitivity.md").read_text(encoding="utf-8")
    assert shown.text in quoted, FIX
    assert table(found, shown.labels) in quoted, FIX
    steps: list[object] = []
    again = run_sensitivity(results, report=steps.append)
    assert not steps
    assert again.survived == found.survived
