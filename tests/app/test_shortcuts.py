"""The table of keys: complete, without collisions, and what the help overlay is made of."""

from __future__ import annotations

from app.help import SIGNS, TOPICS, Help
from app.pages import PAGES
from app.shortcuts import LEADERS, SHORTCUTS


def test_every_page_has_its_own_key_after_g() -> None:
    assert sorted(LEADERS.values()) == sorted(spec.id for spec in PAGES)
    assert all(len(key) == 1 and key.isalpha() for key in LEADERS)
    assert LEADERS["e"] == "explore"


def test_no_key_means_two_things_in_one_place() -> None:
    everywhere = {key for s in SHORTCUTS if s.page == "" for key in s.keys}
    usual = {"Tab", "Shift+Tab", "Enter", "Space", "Escape", "↑", "↓"}  # wherever the focus is
    for page in {s.page for s in SHORTCUTS if s.page}:
        places = [(key, s.on) for s in SHORTCUTS if s.page == page for key in s.keys]
        assert len(places) == len(set(places)), page
        own = [key for key, _ in places]
        assert not (set(own) & everywhere) - usual, page
        assert "g" not in own, page


def test_lines_name_pages_that_exist_and_say_something() -> None:
    pages = {"", *(spec.id for spec in PAGES)}
    for shortcut in SHORTCUTS:
        assert shortcut.page in pages
        assert shortcut.keys
        assert shortcut.what
        assert not shortcut.text.endswith(".")


def test_the_overlay_goes_only_to_pages_that_exist() -> None:
    aid = Help("explore")
    aid._handle_msg({"type": "go", "page": "parts"})
    assert aid.page == "parts"
    aid._handle_msg({"type": "go", "page": "nowhere"})
    assert aid.page == "parts"
    assert len(aid.signs) == len(SIGNS)
    assert all(len(text) < 400 for _, text in TOPICS)
