"""Locks of a results folder: one run, several trainings, and what others see of them."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from xaieval.errors import ResultsError
from xaieval.progress import Progress
from xaieval.study.lock import PROGRESS, locked, recorded, training, work_in

STEP = Progress("explain and score", 3, 12, 4.5, "seed 7")
ELSEWHERE = """
import sys
from pathlib import Path
from xaieval.progress import Progress
from xaieval.study.lock import locked, recorded
folder = Path(sys.argv[1])
with locked(folder):
    recorded(folder, lambda _: None)(Progress("explain and score", 3, 12, 4.5, "seed 7"))
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_nobody_works_in_an_idle_folder(tmp_path: Path):
    assert work_in(tmp_path) is None
    assert work_in(tmp_path / "not there") is None
    (tmp_path / ".lock").touch()  # left by a process that was killed
    assert work_in(tmp_path) is None


def test_a_run_of_another_process_is_seen_with_its_progress(tmp_path: Path):
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        found = work_in(tmp_path)
        assert found is not None
        assert (found.kind, found.progress) == ("run", STEP)
        with pytest.raises(ResultsError, match="another run"), locked(tmp_path):
            pass
        process.communicate("\n")
    assert work_in(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_several_train_at_once_and_the_last_cleans_up(tmp_path: Path):
    with training(tmp_path):
        with training(tmp_path):
            found = work_in(tmp_path)
            assert found is not None
            assert (found.kind, found.progress) == ("training", None)
        assert work_in(tmp_path) is not None
        with locked(tmp_path):
            found = work_in(tmp_path)
            assert found is not None
            assert found.kind == "run"
    assert list(tmp_path.iterdir()) == []


def test_looking_keeps_no_run_out(tmp_path: Path):
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            work_in(tmp_path)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(50):
            with locked(tmp_path):
                pass
    finally:
        stop.set()
        thread.join()


def test_a_record_is_no_more_than_a_courtesy(tmp_path: Path):
    told: list[Progress] = []
    report = recorded(tmp_path / "gone" / "file", told.append)
    (tmp_path / "gone").touch()
    report(STEP)
    assert told == [STEP]
    with training(tmp_path):
        (tmp_path / PROGRESS).write_text("{")
        found = work_in(tmp_path)
        assert found is not None
        assert found.progress is None
