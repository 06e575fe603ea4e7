"""Stories: edits of a value object, files, the journal behind them, and stamps."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xaieval.errors import ConfigError, StoryError
from xaieval.journal import Journal
from xaieval.story import (
    Slide,
    Stamp,
    Stories,
    Story,
    changes,
    changes_text,
    new_slide_id,
    parse_story,
    read_story,
    stamp_of,
    story_json,
)


def slide(number: int, **values: object) -> Slide:
    return Slide(id=f"v{number:08x}", link=f"?page=batch&metric=m{number}", page="batch", **values)  # type: ignore[arg-type]


def story_with(n: int) -> Story:
    slides = tuple(slide(i, caption=f"no. {i}") for i in range(n))
    return Story(id="t00000001", title="A talk", slides=slides)


@pytest.fixture
def stories(tmp_path: Path) -> Stories:
    return Stories(Journal(tmp_path / "journal.sqlite3"), author="ada")


def order(story: Story) -> list[int]:
    return [int(one.id[1:], 16) for one in story.slides]


@given(n=st.integers(1, 8), data=st.data())
def test_moving_is_taking_out_and_putting_in(n: int, data: st.DataObject):
    at = data.draw(st.integers(0, n - 1))
    to = data.draw(st.integers(-2, n + 2))
    expected = list(range(n))
    expected.insert(min(max(to, 0), n - 1), expected.pop(at))
    assert order(story_with(n).moved(f"v{at:08x}", to)) == expected


def test_a_removed_slide_comes_back_where_it_was():
    story = story_with(4)
    gone = story.slides[1]
    assert order(story.without(gone.id)) == [0, 2, 3]
    assert story.without(gone.id).plus(gone, at=1) == story
    assert story.plus(gone) == story  # it is there already


def test_a_copy_stands_behind_its_original_under_an_id_of_its_own():
    story = story_with(2).doubled("v00000000")
    assert [one.link for one in story.slides] == [story.slides[0].link] * 2 + [
        "?page=batch&metric=m1"
    ]
    assert len({one.id for one in story.slides}) == 3


def test_captions_are_one_line_and_cut():
    story = story_with(1).captioned("v00000000", " two\nlines\t" + "x" * 700)
    assert story.slides[0].caption.startswith("two lines xxx")
    assert len(story.slides[0].caption) == 600
    assert story.titled("  ").title == "A talk"


def test_a_file_holds_all_of_a_story(tmp_path: Path):
    story = story_with(3).plus(
        slide(9, facts={"study": "s", "sample": "ä/ö"}, stamp="x", added="y")
    )
    path = tmp_path / "story.json"
    path.write_text(story_json(story), encoding="utf-8")
    assert read_story(path) == story


BAD = {
    "no JSON": "{",
    "not a story": "[]",
    "another format": '{"format": "other", "version": 1}',
    "another version": '{"format": "xaieval-story", "version": 9}',
    "no slides": '{"format": "xaieval-story", "version": 1, "id": "t00000001", "slides": 3}',
    "no title": '{"format": "xaieval-story", "version": 1, "id": "t00000001"}',
    "bad id": '{"format": "xaieval-story", "version": 1, "id": "1", "title": "a", "slides": []}',
    "bad slide": json.dumps(
        {"format": "xaieval-story", "version": 1, "id": "t00000001", "title": "a", "slides": [{}]}
    ),
    "bad link": json.dumps(
        {
            "format": "xaieval-story",
            "version": 1,
            "id": "t00000001",
            "title": "a",
            "slides": [{"id": "v00000001", "link": "a\nb"}],
        }
    ),
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_a_bad_file_is_an_error_that_names_it(text: str, tmp_path: Path):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(StoryError, match=r"bad\.json|slide 1"):
        read_story(path)
    with pytest.raises(StoryError):
        parse_story(text)


def test_no_file_is_an_error(tmp_path: Path):
    with pytest.raises(StoryError, match="cannot be read"):
        read_story(tmp_path / "none.json")


def test_stories_last_and_are_shared(stories: Stories):
    made = stories.create("Defense")
    assert stories.latest() == made
    changed = stories.change(made.id, lambda story: story.plus(slide(1)))
    other = Stories(Journal(stories.journal.path), author="bob")
    assert other.all() == {made.id: changed}
    other.change(made.id, lambda story: story.captioned("v00000001", "seen by all"))
    assert stories.named("Defense").slides[0].caption == "seen by all"


def test_a_change_starts_from_what_is_there_now(stories: Stories):
    made = stories.create()
    others = [Stories(stories.journal) for _ in range(1)] * 8  # one process, eight threads

    def pin(number: int) -> None:
        others[number].change(made.id, lambda story: story.plus(slide(number)))

    threads = [threading.Thread(target=pin, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(order(stories.all()[made.id])) == list(range(8))


def test_a_dropped_story_is_gone_until_it_is_saved_again(stories: Stories):
    made = stories.create("One")
    stories.drop(made.id)
    assert stories.all() == {}
    assert stories.latest() is None
    with pytest.raises(ConfigError, match="unknown story"):
        stories.change(made.id, lambda story: story)
    stories.save(made)
    assert stories.all() == {made.id: made}


def test_a_story_from_a_file_replaces_none(stories: Stories):
    made = stories.create("Mine")
    taken = stories.take(Story(id=made.id, title="Theirs"))
    assert taken.id != made.id
    assert {story.title for story in stories.all().values()} == {"Mine", "Theirs"}


def test_what_cannot_be_read_is_left_out(stories: Stories):
    made = stories.create("Mine")
    stories.journal.append(
        author="x", study="", operation="save-story", value={"name": "t99999999", "story": 3}
    )
    assert list(stories.all()) == [made.id]


STAMP = Stamp(results="a" * 8, rules="b" * 8, data="c" * 8, version="0.1.0")


def test_a_stamp_never_reads_as_a_number():
    digits = Stamp(results="1" * 8, rules="2" * 8, data="3" * 8, version="1.0")
    assert str(digits).startswith("r")
    with pytest.raises(ValueError, match="could not convert"):
        float(str(digits))
    assert Stamp.read(str(digits)) == digits


@pytest.mark.parametrize("text", ["", "r1.q2", "r11111111.q22222222.d33333333", str(STAMP) + "<"])
def test_a_bad_stamp_is_an_error(text: str):
    with pytest.raises(StoryError, match="not a stamp"):
        Stamp.read(text)


@pytest.mark.parametrize(
    ("field", "said"),
    [("results", "run again"), ("rules", "scoring rules"), ("data", "dataset"), ("version", "9.9")],
)
def test_what_changed_is_said_and_nothing_else(field: str, said: str):
    values = vars(STAMP) | {field: "9.9" if field == "version" else "d" * 8}
    found = changes(STAMP, Stamp(**values))
    assert len(found) == 1
    assert said in changes_text(found)


def test_stamps_of_results(demo_results):
    assert stamp_of([demo_results]) == stamp_of([demo_results])
    assert stamp_of([demo_results]) != stamp_of([demo_results, demo_results])
    assert new_slide_id() != new_slide_id()
