"""What holds after some events, against a slow twin that only knows the rules' sentences."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from xaieval.journal import Event, Ledger, Note, marks, saved_stories, saved_views


def event(number: int, operation: str, value: object, author: str = "ada", image: str = "i"):
    return Event(number, f"t{number}", author, "s", image, operation, value)


def test_tags_and_notes_in_the_order_of_events() -> None:
    events = [
        event(1, "tag", "b"),
        event(2, "tag", "a", author="bob"),
        event(3, "note", "why", author="bob"),
        event(4, "tag", "b", author="bob"),
        event(5, "tag", "x", image="other"),
    ]
    found = marks(events)
    assert found["i"].tags == ("b", "a")
    assert found["i"].taggers == ("ada", "bob")
    assert found["i"].notes == (Note(3, "t3", "bob", "why"),)
    assert found["other"].tags == ("x",)
    assert Ledger(events).of("s", "nobody").tags == ()


def test_the_last_of_two_authors_decides() -> None:
    tagged = [event(1, "tag", "a"), event(2, "untag", "a", author="bob")]
    assert marks(tagged) == {}
    assert marks([*tagged, event(3, "tag", "a")])["i"].tags == ("a",)
    # Who takes back the taking away gives the tag of the other one back.
    assert marks([*tagged, event(3, "undo", 2, author="bob")])["i"].taggers == ("ada",)
    # Taking back one's own tag leaves that of the other.
    both = [event(1, "tag", "a"), event(2, "tag", "a", author="bob"), event(3, "undo", 1)]
    assert marks(both)["i"].taggers == ("bob",)


def test_an_undo_of_others_or_of_the_future_says_nothing() -> None:
    assert marks([event(1, "tag", "a"), event(2, "undo", 1, author="eve")])["i"].tags == ("a",)
    assert marks([event(1, "undo", 2), event(2, "tag", "a")])["i"].tags == ("a",)
    assert marks([event(1, "undo", 1), event(2, "undo", 99)]) == {}


def test_undone_undos() -> None:
    events = [event(1, "tag", "a"), event(2, "undo", 1), event(3, "undo", 2), event(4, "undo", 3)]
    assert [bool(marks(events[:n])) for n in range(5)] == [False, True, False, True, False]


def test_a_long_chain_of_undos() -> None:
    chain = [event(1, "tag", "a"), *(event(n, "undo", n - 1) for n in range(2, 1502))]
    assert bool(marks(chain)) is True
    assert bool(marks(chain[:-1])) is False


def test_views_and_stories_are_replaced_and_dropped() -> None:
    events = [
        event(1, "save-view", {"name": "a", "link": "?x"}, image=""),
        event(2, "save-view", {"name": "b", "link": "?y"}, image=""),
        event(3, "save-view", {"name": "a", "link": "?z"}, image=""),
        event(4, "drop-view", "b", image=""),
        event(5, "save-story", {"name": "a", "story": [1]}, image=""),
    ]
    assert saved_views(events) == {"a": "?z"}
    assert saved_stories(events) == {"a": [1]}
    assert saved_views([*events, event(6, "undo", 4)]) == {"a": "?z", "b": "?y"}
    assert saved_views([*events, event(6, "undo", 3)]) == {"a": "?x"}
    assert saved_stories([*events, event(6, "drop-story", "a")]) == {}


AUTHORS = st.sampled_from(["ada", "bob"])


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    events = []
    for number in range(1, draw(st.integers(0, 14)) + 1):
        operation = draw(st.sampled_from(["tag", "tag", "untag", "note", "undo", "undo"]))
        value: object = draw(st.sampled_from(["x", "y"]))
        if operation == "undo":
            value = draw(st.integers(1, 15))
        image = draw(st.sampled_from(["i", "j"]))
        events.append(event(number, operation, value, draw(AUTHORS), image))
    return events


def slow_twin(events: list[Event]) -> dict[str, tuple[list[str], list[int]]]:
    """Word by word: an event counts unless a counting later undo of its author names it."""

    def counts(one: Event) -> bool:
        return not any(
            undo.operation == "undo"
            and undo.value == one.id
            and undo.id > one.id
            and undo.author == one.author
            and counts(undo)
            for undo in events
        )

    found = {}
    for image in ("i", "j"):
        about = [e for e in events if e.sample_id == image and e.operation != "undo" and counts(e)]
        tags = []
        for tag in ("x", "y"):
            said = [e for e in about if e.operation in ("tag", "untag") and e.value == tag]
            if said and said[-1].operation == "tag":
                taken = [e.id for e in said if e.operation == "untag"]
                since = min(e.id for e in said if e.id > max(taken, default=0))
                tags.append((since, tag))
        notes = [e.id for e in about if e.operation == "note"]
        if tags or notes:
            found[image] = ([tag for _, tag in sorted(tags)], notes)
    return found


@settings(max_examples=300, deadline=None)
@given(histories())
def test_folding_agrees_with_the_twin(events: list[Event]) -> None:
    found = {
        image: (list(held.tags), [note.id for note in held.notes])
        for image, held in marks(events).items()
    }
    assert found == slow_twin(events)


@settings(max_examples=300, deadline=None)
@given(histories(), st.data())
def test_batches_and_their_order_do_not_matter(events: list[Event], data: st.DataObject) -> None:
    arrival = data.draw(st.permutations(events))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=4)))
    ledger = Ledger()
    for start, end in zip([0, *cuts], [*cuts, len(events)], strict=True):
        before = ledger.marks()
        touched = ledger.add(arrival[start:end])
        after = ledger.marks()
        changed = {key for key in before | after if before.get(key) != after.get(key)}
        assert changed <= touched
    ledger.add(arrival)  # what comes twice counts once
    assert ledger.marks() == Ledger(events).marks()
    assert ledger.last == max((e.id for e in events), default=0)
