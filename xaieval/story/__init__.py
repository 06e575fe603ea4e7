"""Stories of pinned views: kept, checked against what has changed, written for others to read."""

from __future__ import annotations

from xaieval.story.library import Stories
from xaieval.story.model import (
    Slide,
    Story,
    new_slide_id,
    new_story_id,
    now,
    parse_story,
    read_story,
    story_json,
)
from xaieval.story.stamps import Stamp, changes, changes_text, stamp_of

__all__ = [
    "Slide",
    "Stamp",
    "Stories",
    "Story",
    "changes",
    "changes_text",
    "new_slide_id",
    "new_story_id",
    "now",
    "parse_story",
    "read_story",
    "stamp_of",
    "story_json",
]
