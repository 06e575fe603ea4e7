"""Bokeh figures as JSON that a page can draw, the same figure always as the same text."""

from __future__ import annotations

import json
import re
from typing import Any

_ID = re.compile(r"p\d+")


def bokeh_item(figure: Any, *, name: str) -> str:
    """Return a figure as JSON for ``Bokeh.embed.embed_item``.

    Bokeh counts its models through the whole process; here they are counted anew, so that the
    same figure gives the same text. No ``<`` is left in it: it may stand in a script element.

    Parameters
    ----------
    name : str
        Distinguishes its models from those of other figures on the page.
    """
    from bokeh.embed import json_item

    item = json_item(figure)
    item.pop("target_id", None)
    known: dict[str, str] = {}
    item = _renamed(item, known, name)
    item["root_id"] = known[item["root_id"]]
    return json.dumps(item, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _renamed(value: Any, known: dict[str, str], name: str) -> Any:
    """Return the same tree with the ids of models replaced, in order of appearance."""
    if isinstance(value, dict):
        found = {}
        for key, inner in value.items():
            if key == "id" and isinstance(inner, str) and _ID.fullmatch(inner):
                found[key] = known.setdefault(inner, f"{name}-{len(known)}")
            else:
                found[key] = _renamed(inner, known, name)
        return found
    if isinstance(value, (list, tuple)):
        return [_renamed(inner, known, name) for inner in value]
    return value


def bokeh_script() -> str:
    """Return the text of BokehJS, the part that draws figures."""
    from bokeh.resources import Resources

    scripts = Resources(mode="inline", components=["bokeh"], minified=True).js_raw
    return "\n".join(scripts).replace("</script", "<\\/script")
