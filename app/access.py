"""What the document needs for everyone: a title per page, a skip link, names that widgets lack."""

from __future__ import annotations

from pathlib import Path

import param
from panel.custom import JSComponent


class Access(JSComponent):
    """Nothing to see; ``page`` is the title of the page shown."""

    page = param.String(default="")

    _esm = Path(__file__).parent / "access.js"
