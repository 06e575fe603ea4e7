"""One results folder of drawn numbers for all tests here."""

from __future__ import annotations

from pathlib import Path

import pytest
from triage_made import make

from xaieval.study import Results


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return Results(make(tmp_path_factory.mktemp("made")))


@pytest.fixture
def empty_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A journal of one's own."""
    monkeypatch.setenv("XAIEVAL_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("XAIEVAL_AUTHOR", "ada")
    return tmp_path / "state"
