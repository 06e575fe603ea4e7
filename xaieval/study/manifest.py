"""The manifest of a results folder: under which settings, by whom and when it was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from xaieval.errors import ResultsError
from xaieval.study.parts import SCHEMA_VERSION

MANIFEST = "manifest.json"
STUDY_FILE = "study.toml"


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return ``manifest.json`` of a results folder.

    Raises
    ------
    ResultsError
        When there is none, it is damaged, or of another schema version.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise ResultsError(
            "not a results folder",
            where=folder,
            expected=f"a folder with {MANIFEST}",
            got="a file" if folder.is_file() else "no such folder" if not folder.exists() else None,
            fix="give the --out folder of a finished 'xaieval run'",
        ) from None
    except ValueError as error:
        raise ResultsError(f"damaged manifest: {error}", where=path) from None
    version = manifest.get("schema") if isinstance(manifest, dict) else None
    if version != SCHEMA_VERSION:
        raise ResultsError(
            "cannot read this schema version",
            where=path,
            expected=SCHEMA_VERSION,
            got=version,
            fix="run the study again with this version of xaieval and another --out",
        )
    found: dict[str, Any] = manifest
    return found
