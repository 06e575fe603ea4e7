"""triage and tags from the command line, on the journal that the page writes too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from xaieval.cli import main
from xaieval.digest import url_id
from xaieval.journal import Journal, marks
from xaieval.study import Results
from xaieval.triage import Filters, open_triage


@pytest.fixture(autouse=True)
def _own_journal(empty_state: Path) -> None:
    pass


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def lines(result: Result) -> list[list[str]]:
    assert result.exit_code == 0, result.output
    return [line.split() for line in result.output.splitlines()[3:]]


def test_triage_prints_the_queue(made: Results) -> None:
    table = open_triage(made)
    done = run("triage", str(made.path), "--top", "5")
    rows = table.select()[:5]
    samples = [table.rows.samples[table.rows.sample[row]] for row in rows]
    assert [line[0] for line in lines(done)] == samples
    assert "60 of 60 rows, the first 5; order: most surprising" in done.output.splitlines()[0]


def test_triage_filters(made: Results) -> None:
    words = ["--split", "test", "--answers", "wrong", "--confidence", "0.5:", "--top", "all"]
    words += ["--order", "confident-mistake", "--method", "gradcam"]
    table = open_triage(made).of("gradcam")
    rows = table.select(
        Filters(split="test", answers="wrong", confidence=(0.5, 1)), order="confident-mistake"
    )
    found = lines(run("triage", str(made.path), *words))
    assert [line[0] for line in found] == [
        table.rows.samples[table.rows.sample[row]] for row in rows
    ]
    assert run("triage", str(made.path), "--text", "zzz").output.startswith("0 of 60 rows")


def test_triage_as_json(made: Results) -> None:
    done = run("triage", str(made.path), "--json", "--top", "2", "--outcome", "won:saliency")
    told = json.loads(done.output)
    assert len(told["rows"]) == 2
    assert told["found"] == len(open_triage(made).select(Filters(outcome="won:saliency")))
    assert told["about"]["parameters"]["filters"]["outcome"] == "won:saliency"
    assert "saliency" in told["rows"][0]["winner"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--order", "suprise"], "Did you mean 'surprise'"),
        (["--metric", "topk"], "unknown score"),
        (["--confidence", "1:0"], "no range"),
        (["--confidence", "0.5"], "no range"),
        (["--top", "-1"], "no number of rows"),
        (["--thresholds", "1,2"], "three numbers"),
        (["--thresholds", "0.1,0.8,0.5"], "bad thresholds"),
        (["--outcome", "beaten:x"], "not an outcome"),
    ],
)
def test_triage_names_what_is_wrong(made: Results, words: list[str], says: str) -> None:
    done = run("triage", str(made.path), *words)
    assert done.exit_code == 2
    assert says in done.output
    assert "Traceback" not in done.output


def test_triage_of_several_folders(arms: Path) -> None:
    done = run("triage", str(arms))
    assert done.exit_code == 2
    assert "2 results folders in there" in done.output


def test_tags_are_written_and_taken_away(made: Results) -> None:
    folder = str(made.path)
    assert run("tags", "list").output == "no tags or notes yet\n"
    done = run("tags", "add", folder, "crack/001", "odd", "look again")
    assert done.exit_code == 0
    run("tags", "add", folder, url_id("crack/001"), "third", "--author", "bob")
    run("tags", "note", folder, "crack/001", "two\nlines")
    held = marks(Journal().events())["crack/001"]
    assert held.tags == ("odd", "look again", "third")
    assert held.taggers == ("ada", "ada", "bob")
    assert "odd; look again; third  ada: two lines" in run("tags", "list", folder).output
    run("tags", "remove", folder, "crack/001", "third")
    told = json.loads(run("tags", "list", folder, "--image", "crack/001", "--json").output)
    assert told[0]["tags"] == ["odd", "look again"]
    assert json.loads(run("tags", "list", folder, "--image", "cut/001", "--json").output) == []
    assert "crack/001" in run("triage", folder, "--tag", "odd", "--seed", "2").output
    assert run("triage", folder, "--tag", "third").output.startswith("0 of 60")


def test_undo_walks_back_and_names_events(made: Results) -> None:
    folder = str(made.path)
    run("tags", "add", folder, "crack/001", "one", "two")
    assert "event 2 undone: tag 'two' of crack/001" in run("tags", "undo").output
    assert "event 1 undone" in run("tags", "undo", folder).output
    assert "nothing of ada to undo" in run("tags", "undo").output
    done = run("tags", "undo", "--event", "3")
    assert "event 3 undone: undo '2'" in done.output
    assert marks(Journal().events())["crack/001"].tags == ("two",)
    assert "no event of this id" in run("tags", "undo", "--event", "99").output
    assert "only one's own" in run("tags", "undo", "--event", "1", "--author", "eve").output


def test_what_is_not_there_is_not_tagged(made: Results) -> None:
    done = run("tags", "add", str(made.path), "crack/0001", "odd")
    assert done.exit_code == 2
    assert "Did you mean 'crack/001'" in done.output
    assert run("tags", "add", "no-such-study", "a", "odd").exit_code == 2
    done = run("tags", "remove", str(made.path), "crack/001", "odd")
    assert "unknown tag of this image" in done.output
    assert run("tags", "add", str(made.path), "crack/001", "x" * 65).exit_code == 2
    assert run("tags", "list", "--image", "crack/001").exit_code == 2
    assert Journal().last_id() == 0


def test_export_is_every_event_in_order(made: Results, tmp_path: Path) -> None:
    folder = str(made.path)
    run("tags", "add", folder, "crack/001", "one", "two")
    run("tags", "undo")
    out = tmp_path / "journal.jsonl"
    assert run("tags", "export", folder, "--out", str(out)).exit_code == 0
    read = [json.loads(line) for line in out.read_text().splitlines()]
    assert [event["operation"] for event in read] == ["tag", "tag", "undo"]
    assert [event["id"] for event in read] == [1, 2, 3]
    assert run("tags", "export").output == out.read_text()
    assert run("tags", "export", "other-study").output == ""


def test_a_folder_that_is_no_journal_is_told(
    made: Results, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state" / "journal.sqlite3").mkdir(parents=True)
    done = run("tags", "list")
    assert done.exit_code == 2
    assert "a folder, not a journal" in done.output
