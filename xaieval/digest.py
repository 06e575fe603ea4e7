"""Names that are computed from content: digests, URL ids, and seeded random generators."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np


def _plain(value: Any) -> Any:
    """Reduce a value to JSON types in one canonical way."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {key: _plain(item) for key, item in counted_fields(value).items()}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": hashlib.sha256(value).hexdigest()}
    if isinstance(value, np.ndarray):
        data = np.ascontiguousarray(value)
        return {
            "array": hashlib.sha256(data.tobytes()).hexdigest(),
            "dtype": str(data.dtype),
            "shape": list(data.shape),
        }
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(v) for v in value), key=str)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if isinstance(value, PurePath):
        return value.as_posix()
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise TypeError(f"a {type(value).__name__} has no canonical form and cannot be digested")


LATER: Mapping[str, Any] = {"later": True}
"""Metadata of a dataclass field that came after values had been digested without it."""


def counted_fields(value: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that take part in its digest.

    A field marked ``field(default=…, metadata=LATER)`` counts only when it differs from its
    default, so that what was digested before it existed is still known as the same.
    """
    return {
        f.name: getattr(value, f.name)
        for f in dataclasses.fields(value)
        if not f.metadata.get("later") or getattr(value, f.name) != f.default
    }


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, arrays by their sha256.

    >>> canonical_json({"b": 1, "a": (True, None)})
    '{"a":[true,null],"b":1}'
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(*parts: Any) -> str:
    """Return the sha256 (64 hex digits) of the canonical form of some values."""
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


def digest_file(path: Path) -> str:
    """Return the sha256 (64 hex digits) of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sample_id(relative: PurePath) -> str:
    """Return a sample's id: path inside the dataset, POSIX, without extension, NFC.

    >>> sample_id(PurePath("test/crack/000.png"))
    'test/crack/000'
    """
    return unicodedata.normalize("NFC", relative.with_suffix("").as_posix())


def url_id(sample: str) -> str:
    """Return the short form of a sample id for URLs: a letter and 12 hex digits.

    The letter keeps any parser from reading the id as a number.
    """
    return "s" + hashlib.sha256(sample.encode()).hexdigest()[:12]


def rng(*parts: Any) -> np.random.Generator:
    """Return a generator seeded by the digest of some values, never by a position in a batch."""
    return np.random.default_rng(int(digest(*parts)[:32], 16))
