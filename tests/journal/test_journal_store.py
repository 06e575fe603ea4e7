"""The journal's file: many writers, kills, damage; each trouble one clear error, nothing lost."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from xaieval.errors import ConfigError, JournalError
from xaieval.journal import Journal, author_name, journal_path, marks
from xaieval.journal.file import APPLICATION_ID, SCHEMA_VERSION

WRITER = """
import sys
from pathlib import Path
from xaieval.journal import Journal
journal, name, n = Journal(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
for i in range(n):
    event = journal.append(author=name, study="s", sample_id=f"a/{i}", operation="tag",
                           value=f"{name}-{i}")
    print(event.id, flush=True)
"""


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "state" / "journal.sqlite3")


def tag(journal: Journal, value: str = "odd", author: str = "ada", image: str = "a/1"):
    return journal.append(author=author, study="s", sample_id=image, operation="tag", value=value)


def writer(path: Path, name: str, n: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(n)], stdout=subprocess.PIPE, text=True
    )


def test_an_event_comes_back_as_it_was_written(journal: Journal) -> None:
    first = tag(journal, " odd ")
    note = journal.append(
        author="bob", study="s", sample_id="a/1", operation="note", value="two\nlines ü 漢"
    )
    assert (first.id, note.id, first.value) == (1, 2, "odd")
    assert Journal(journal.path).events() == [first, note]
    assert journal.last_id() == 2
    assert journal.events(after=1) == [note]
    assert journal.events(study="other") == []
    assert journal.events(operations=["note"]) == [note]
    assert first.time.endswith("+00:00")


def test_reading_makes_no_file(journal: Journal) -> None:
    assert journal.events() == []
    assert journal.last_id() == 0
    assert not journal.path.parent.exists()


def test_four_processes_write_while_one_reads(journal: Journal) -> None:
    writers = [writer(journal.path, f"w{i}", 200) for i in range(4)]
    seen: list[int] = []
    while any(process.poll() is None for process in writers):
        new = [event.id for event in journal.events(after=seen[-1] if seen else 0)]
        assert new == sorted(set(new))
        seen += new
    printed = [[int(line) for line in process.communicate()[0].split()] for process in writers]
    assert [process.returncode for process in writers] == [0] * 4
    assert all(ids == sorted(set(ids)) and len(ids) == 200 for ids in printed)
    events = journal.events()
    assert [event.id for event in events] == list(range(1, 801))
    assert sorted(number for ids in printed for number in ids) == list(range(1, 801))
    assert {e.value for e in events} == {f"w{i}-{n}" for i in range(4) for n in range(200)}
    # A reader who asks for what came since misses nothing and sees nothing twice.
    seen += [event.id for event in journal.events(after=seen[-1] if seen else 0)]
    assert seen == list(range(1, 801))


def test_a_killed_writer_loses_only_what_was_not_written(journal: Journal) -> None:
    process = writer(journal.path, "w", 100_000)
    assert process.stdout is not None
    told = [int(process.stdout.readline()) for _ in range(50)]
    os.kill(process.pid, signal.SIGKILL)
    told += [int(line) for line in process.communicate()[0].split()]
    ids = [event.id for event in journal.events()]
    assert ids[: len(told)] == told
    assert len(ids) <= len(told) + 1  # written, but killed before it could say so
    check = sqlite3.connect(journal.path)
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()
    assert tag(journal).id == len(ids) + 1


@pytest.mark.parametrize("again", range(8))
def test_threads_share_a_journal(journal: Journal, again: int) -> None:
    # All four make the file: the first of several races.
    threads = [
        threading.Thread(target=lambda n=n: [tag(journal, f"t{n}-{i}") for i in range(20)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [event.id for event in journal.events()] == list(range(1, 81))


def test_writers_who_look_first_wait_for_each_other(journal: Journal) -> None:
    # An undo reads before it writes: both in one turn, or it fails where another wrote between.
    def work(author: str) -> None:
        for i in range(25):
            event = tag(journal, f"{author}-{i}", author=author)
            journal.append(author=author, study="s", operation="undo", value=event.id)

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert journal.last_id() == 200
    assert marks(journal.events()) == {}


def test_many_are_written_all_or_none(journal: Journal) -> None:
    good = {"author": "ada", "study": "s", "sample_id": "a/1", "operation": "tag", "value": "x"}
    assert len(journal.append_many([good, good | {"value": "y"}])) == 2
    with pytest.raises(JournalError, match="no event of this id"):
        journal.append_many(
            [good, {"author": "ada", "study": "s", "operation": "undo", "value": 9}]
        )
    with pytest.raises(JournalError, match="not a valid tag"):
        journal.append_many([good, good | {"value": ""}])
    assert journal.last_id() == 2
    assert journal.append_many([]) == []


def test_undo_and_redo_walk_through_ones_own_events(journal: Journal) -> None:
    def tags() -> tuple[str, ...]:
        found = marks(journal.events())
        return found["a/1"].tags if found else ()

    tag(journal, "one")
    tag(journal, "two")
    tag(journal, "hers", author="eve")
    journal.undo(author="ada")
    assert tags() == ("one", "hers")
    journal.undo(author="ada")
    assert tags() == ("hers",)
    assert journal.undo(author="ada") is None
    journal.redo(author="ada")
    journal.redo(author="ada")
    assert tags() == ("one", "two", "hers")
    assert journal.redo(author="ada") is None
    journal.undo(author="ada")
    tag(journal, "three")
    assert journal.redo(author="ada") is None
    assert tags() == ("one", "hers", "three")


def test_nobody_undoes_what_another_wrote(journal: Journal) -> None:
    event = tag(journal)
    with pytest.raises(JournalError, match="only one's own"):
        journal.append(author="eve", study="s", operation="undo", value=event.id)


def test_an_undo_is_kept_under_the_study_and_image_it_is_about(journal: Journal) -> None:
    event = tag(journal)
    undo = journal.append(author="ada", study="other", operation="undo", value=event.id)
    assert (undo.study, undo.sample_id) == ("s", "a/1")
    assert marks(journal.events(study="s")) == {}


@pytest.mark.parametrize(
    ("operation", "value"),
    [
        ("tag", ""),
        ("tag", "  "),
        ("tag", "x" * 65),
        ("tag", "a\nb"),
        ("tag", "a;b"),
        ("tag", 3),
        ("tag", "\ud800"),
        ("note", ""),
        ("note", "x" * 10_001),
        ("note", "bell\a"),
        ("note", "\ud800"),
        ("undo", "1"),
        ("undo", True),
        ("undo", 0),
        ("save-view", {"name": "x"}),
        ("save-view", {"name": "x", "link": "a\nb"}),
        ("save-view", "x"),
        ("drop-view", ""),
        ("save-story", {"name": "x"}),
        ("save-story", {"name": "x", "story": float("nan")}),
        ("save-story", {"name": "x", "story": {1, 2}}),
        ("save-story", {"name": "x", "story": "y" * 1_000_001}),
        ("save-story", {"name": "x", "story": "\ud800"}),
    ],
)
def test_bad_values_are_refused(journal: Journal, operation: str, value: object) -> None:
    with pytest.raises(JournalError):
        journal.append(author="ada", study="s", sample_id="a/1", operation=operation, value=value)
    assert not journal.path.exists()


def test_bad_names_are_refused(journal: Journal) -> None:
    with pytest.raises(JournalError, match="needs a study and an image"):
        journal.append(author="ada", study="s", operation="tag", value="x")
    with pytest.raises(JournalError, match="author"):
        tag(journal, author="")
    with pytest.raises(JournalError, match="sample id"):
        tag(journal, image="a\0b")
    with pytest.raises(ConfigError, match="Did you mean"):
        journal.append(author="ada", study="s", operation="tagg", value="x")
    with pytest.raises(ConfigError, match="operation"):
        journal.events(operations=["tags"])


def test_a_later_version_is_left_alone(journal: Journal) -> None:
    tag(journal)
    journal.close()
    raw = sqlite3.connect(journal.path)
    raw.execute("PRAGMA journal_mode = DELETE")
    raw.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    raw.close()
    before = journal.path.read_bytes()
    with pytest.raises(JournalError, match="version of the journal; expected 1, got 2"):
        tag(journal)
    with pytest.raises(JournalError, match="version"):
        journal.events()
    assert journal.path.read_bytes() == before


def test_another_sqlite_file_is_left_alone(journal: Journal) -> None:
    journal.path.parent.mkdir()
    raw = sqlite3.connect(journal.path)
    raw.execute("CREATE TABLE diary (text)")
    raw.commit()
    raw.close()
    before = journal.path.read_bytes()
    with pytest.raises(JournalError, match="not a journal"):
        tag(journal)
    assert journal.path.read_bytes() == before


def test_a_damaged_file_is_left_alone(journal: Journal) -> None:
    journal.path.parent.mkdir()
    journal.path.write_bytes(b"not a database, " * 400)
    before = journal.path.read_bytes()
    with pytest.raises(JournalError, match="damaged"):
        tag(journal)
    with pytest.raises(JournalError, match="damaged"):
        journal.last_id()
    assert journal.path.read_bytes() == before


def test_damage_in_the_middle_is_told(journal: Journal) -> None:
    journal.append_many(
        {"author": "a", "study": "s", "sample_id": "i", "operation": "note", "value": "x" * 3000}
        for _ in range(40)
    )
    journal.close()
    data = bytearray(journal.path.read_bytes())
    data[4096 * 6 : 4096 * 8] = b"\xff" * 8192
    journal.path.write_bytes(data)
    with pytest.raises(JournalError, match="damaged"):
        journal.events()


def test_an_empty_file_becomes_a_journal(journal: Journal) -> None:
    journal.path.parent.mkdir()
    journal.path.touch()
    assert journal.events() == []
    assert tag(journal).id == 1
    raw = sqlite3.connect(journal.path)
    assert raw.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
    raw.close()


def test_a_folder_is_no_journal(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="a folder, not a journal"):
        tag(Journal(tmp_path))
    with pytest.raises(JournalError, match="a folder, not a journal"):
        Journal(tmp_path).events()


def test_a_state_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(JournalError, match="folder cannot be made"):
        tag(Journal(tmp_path / "state" / "journal.sqlite3"))


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder nobody may write")
def test_a_folder_that_nobody_may_write() -> None:
    with pytest.raises(JournalError, match=r"cannot be (written|made)"):
        tag(Journal(Path("/proc/self/journal.sqlite3")))


NOBODY = """
import os, sys
from pathlib import Path
from xaieval.journal import Journal
import datetime, json, platformdirs, sqlite3
if os.getuid() == 0:  # root may write everywhere
    os.setgid(65534)
    os.setuid(65534)
journal = Journal(Path(sys.argv[1]))
for work in (
    journal.last_id,
    lambda: journal.append(author="a", study="s", sample_id="i", operation="tag", value="x"),
):
    try:
        print("done", work())
    except Exception as error:
        print(type(error).__name__, error)
"""


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="needs POSIX permissions")
@pytest.mark.parametrize(("mode", "reads"), [(0o555, "cannot be written"), (0o000, "cannot be")])
def test_a_folder_without_permission(mode: int, reads: str) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        journal = Journal(folder / "state" / "journal.sqlite3")
        tag(journal)
        journal.close()
        folder.chmod(0o755)
        journal.path.parent.chmod(mode)
        done = subprocess.run(
            [sys.executable, "-c", NOBODY, str(journal.path)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        said = done.stdout.splitlines()
        assert len(said) == 2
        for line in said:
            assert line.startswith(f"JournalError {journal.path}: the journal {reads}")
    finally:
        (folder / "state").chmod(0o755)
        assert [event.value for event in journal.events()] == ["odd"]
        shutil.rmtree(folder)


def test_events_cannot_be_changed_or_deleted(journal: Journal) -> None:
    tag(journal)
    raw = sqlite3.connect(journal.path)
    with pytest.raises(sqlite3.IntegrityError, match="never changed"):
        raw.execute("UPDATE events SET author = 'eve'")
    with pytest.raises(sqlite3.IntegrityError, match="never deleted"):
        raw.execute("DELETE FROM events")
    raw.close()


def test_a_file_moved_away_is_not_written_any_more(journal: Journal) -> None:
    tag(journal)
    journal.close()
    tag(journal)
    for file in journal.path.parent.glob("journal.sqlite3*"):
        file.rename(file.with_name(f"old-{file.name}"))
    assert journal.events() == []
    assert tag(journal, "new").id == 1
    assert [event.value for event in Journal(journal.path).events()] == ["new"]


def test_a_waiting_writer_says_who_waits(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xaieval.journal.file.WAIT_S", 0.01)
    tag(journal)
    other = sqlite3.connect(journal.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(JournalError, match="locked"):
        tag(journal)
    assert len(journal.events()) == 1  # readers never wait
    other.execute("ROLLBACK")
    other.close()
    assert tag(journal).id == 2


def test_where_and_who(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XAIEVAL_STATE", str(tmp_path))
    assert journal_path() == tmp_path / "journal.sqlite3"
    assert Journal().path == journal_path()
    monkeypatch.delenv("XAIEVAL_STATE")
    assert journal_path().parent.name == "xaieval"
    monkeypatch.setenv("XAIEVAL_AUTHOR", " Ada ")
    assert author_name() == "Ada"
    monkeypatch.setenv("XAIEVAL_AUTHOR", "x" * 99)
    with pytest.raises(JournalError, match="XAIEVAL_AUTHOR"):
        author_name()
    monkeypatch.delenv("XAIEVAL_AUTHOR")
    assert author_name()
