"""Tables kept exactly: a Parquet file for programs beside the CSV for people.

CSV alone cannot tell "001" from 1, an empty text from a missing one, or True from "True".
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from xaieval.errors import ResultsError

_JSON = b"xaieval_json"  # names the columns of mixed values, kept as JSON texts


def frame_files(frame: pd.DataFrame, *, where: str) -> dict[str, bytes]:
    """Return a table as files by extension: ``csv`` and ``parquet``. The index is not kept.

    Parameters
    ----------
    where : str
        Name of the table, for messages.

    Raises
    ------
    ResultsError
        When two columns share a name, or a cell holds what is neither text nor number.
    """
    if not frame.columns.is_unique:
        twice = sorted({str(name) for name in frame.columns[frame.columns.duplicated()]})
        raise ResultsError("two columns of a table share a name", where=where, got=twice)
    kept = frame.reset_index(drop=True)
    kept.columns = pd.Index([str(name) for name in frame.columns])
    mixed = [str(name) for name in kept.columns if kept[name].dtype == object]
    try:
        for name in mixed:
            kept[name] = pd.Series([json.dumps(_plain(v)) for v in kept[name]], dtype="str")
        table = pa.Table.from_pandas(kept, preserve_index=False)
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise ResultsError(
            f"a table holds what no file keeps ({error})",
            where=where,
            expected="texts, numbers, booleans",
        ) from None
    metadata = {**(table.schema.metadata or {}), _JSON: json.dumps(mixed).encode()}
    stream = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), stream)
    text = frame.to_csv(index=False, lineterminator="\n")
    return {"csv": text.encode(), "parquet": stream.getvalue()}


def read_frame(path: Path) -> pd.DataFrame:
    """Return a table as it was written, from its Parquet file.

    Raises
    ------
    ResultsError
        When the file is no table.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise ResultsError(f"no table ({error})", where=path) from None
    frame: pd.DataFrame = table.to_pandas()
    for name in json.loads((table.schema.metadata or {}).get(_JSON, b"[]")):
        values = np.empty(len(frame), object)
        values[:] = [json.loads(text) for text in frame[name]]
        frame[name] = pd.Series(values, dtype=object, index=frame.index)
    return frame


def plain(value: Any) -> Any:
    """Return a value as JSON knows it: numpy numbers as numbers, NaN as None.

    >>> plain({"a": np.float32(0.5), "b": (1, math.nan)})
    {'a': 0.5, 'b': [1, None]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Path):
        return value.as_posix()
    return value


def number_kept(value: float | None) -> float | str | None:
    """Return a number for JSON, which knows none that are not finite.

    >>> number_kept(0.5), number_kept(math.nan), number_kept(-math.inf), number_kept(None)
    (0.5, 'nan', '-inf', None)
    """
    if value is None:
        return None
    return float(value) if math.isfinite(value) else str(float(value))


def number_read(kept: float | str | None) -> float | None:
    """Return the number that was kept.

    >>> number_read("-inf"), number_read(0.5), number_read(None)
    (-inf, 0.5, None)
    """
    return None if kept is None else float(kept)


def _plain(value: Any) -> Any:
    """Return a cell as JSON keeps it; NaN stays NaN."""
    if value is pd.NA or value is pd.NaT:
        return None
    return value.item() if isinstance(value, np.generic) else value
