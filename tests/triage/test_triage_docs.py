"""Every id of triage's tables is in its page of the docs, and its Python block runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from xaieval.cli import main
from xaieval.journal import OPERATIONS
from xaieval.triage import COLUMNS, ORDERS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "triage.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [*ORDERS, *COLUMNS, *OPERATIONS])
def test_every_id_is_explained(name: str) -> None:
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("name", main.commands["tags"].commands)  # type: ignore[attr-defined]
def test_every_command_of_tags_is_there(name: str) -> None:
    assert f"`xaieval tags {name}" in PAGE


def test_the_keys_of_the_orders_are_those_of_the_table() -> None:
    for order in ORDERS.values():
        lines = [line for line in PAGE.splitlines() if line.startswith(f"| `{order.id}` |")]
        assert any(line.endswith(f"| {order.formula} |") for line in lines)


def test_the_python_block_runs(tmp_path: Path) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mistakes.csv").read_text().startswith("sample_id,")
