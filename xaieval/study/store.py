"""The tables of a results folder through DuckDB: in memory, one cursor per thread, read only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from xaieval.errors import ResultsError
from xaieval.study.parts import SCHEMAS, live_parts

_SQL_TYPES = {"string": "VARCHAR", "int32": "INTEGER", "double": "DOUBLE", "bool": "BOOLEAN"}


class Store:
    """Views ``predictions``, ``scores`` and ``map_stats`` over the parts that count.

    ``empty`` names the tables without any part. No file is kept open for writing, so a run may
    add parts meanwhile; they are seen when the folder is opened again.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._local = threading.local()
        self._connection = duckdb.connect(":memory:")
        empty = []
        for table, schema in SCHEMAS.items():
            files = [str(part.path) for part in live_parts(out, table)]
            if files:
                self._connection.read_parquet(files).create_view(table)
                continue
            empty.append(table)
            columns = ", ".join(f'"{f.name}" {_SQL_TYPES[str(f.type)]}' for f in schema)
            self._connection.execute(f"CREATE TABLE {table} ({columns})")
        self.empty = frozenset(empty)

    def query(self, sql: str, values: Sequence[Any] = ()) -> pd.DataFrame:
        """Return the rows of a query; ``?`` stand for the values."""
        frame: pd.DataFrame = self._ask(lambda cursor: cursor.execute(sql, list(values)).df())
        return frame

    def arrow(self, sql: str, values: Sequence[Any] = ()) -> pa.Table:
        """Return the same as Arrow: no Python object per text, for millions of rows."""
        return self._ask(lambda cursor: cursor.sql(sql, params=list(values)).to_arrow_table())

    def _ask(self, take: Callable[[Any], Any]) -> Any:
        if not hasattr(self._local, "cursor"):
            self._local.cursor = self._connection.cursor()
        try:
            return take(self._local.cursor)
        except (duckdb.IOException, duckdb.InvalidInputException) as error:
            raise ResultsError(
                "a part cannot be read",
                where=self._out,
                got=str(error).splitlines()[0],
                fix="open the results again; if it stays, run the study again",
            ) from None

    def distinct(self, table: str, column: str) -> list[Any]:
        """Return the values of a column, sorted, each once."""
        found = self.query(f'SELECT DISTINCT "{column}" AS it FROM {table} ORDER BY it')
        return [value for value in found["it"].tolist() if value is not None]


def where_clause(wanted: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Return SQL that wants each expression to equal its value (None: any), and those values.

    >>> where_clause({"p.split": "test", "s.seed": None})
    (' WHERE p.split = ?', ['test'])
    """
    given = {key: value for key, value in wanted.items() if value is not None}
    if not given:
        return "", []
    return " WHERE " + " AND ".join(f"{key} = ?" for key in given), list(given.values())


def conditions(**wanted: Any) -> tuple[str, list[Any]]:
    """Return ``where_clause`` of plain column names."""
    return where_clause({f'"{key}"': value for key, value in wanted.items()})
