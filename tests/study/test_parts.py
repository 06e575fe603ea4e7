"""Parts: equal rows give equal files, and no kill at any moment doubles or loses a row."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from xaieval.errors import ResultsError
from xaieval.study import parts
from xaieval.study.parts import SCHEMAS, live_parts, merge_parts, read_part, write_part


def rows(*samples: str, seed: int = 1) -> pa.Table:
    found = [
        {"sample_id": s, "model_id": "m", "seed": seed, "method_id": "gradcam", "region": "r"}
        | {"method_digest": "d", "metric_key": "auroc", "rule_digest": "q", "value": 0.1 + i}
        for i, s in enumerate(samples)
    ]
    return pa.Table.from_pylist(found, schema=SCHEMAS["scores"])


def ids(out: Path) -> list[str]:
    found = [read_part(part, "scores") for part in live_parts(out, "scores")]
    return sorted(i for table in found for i in table.column("sample_id").to_pylist())


def test_equal_rows_equal_file_whatever_their_order(tmp_path: Path):
    a = write_part(tmp_path / "a", "scores", rows("x", "y"), base="b", stem="s")
    b = write_part(tmp_path / "b", "scores", rows("x", "y").take([1, 0]), base="b", stem="s")
    assert a.name == b.name
    assert a.read_bytes() == b.read_bytes()
    c = write_part(tmp_path / "b", "scores", rows("x", "y"), base="other", stem="s")
    assert c.name != a.name


def test_doubles_survive_exactly(tmp_path: Path):
    value = 0.1 + 0.2
    table = rows("x").set_column(8, "value", pa.array([value]))
    write_part(tmp_path, "scores", table, base="b", stem="s")
    (part,) = live_parts(tmp_path, "scores")
    assert read_part(part, "scores").column("value").to_pylist() == [value]


def test_merging_does_not_depend_on_the_chunks(tmp_path: Path):
    for name in "wxyz":
        write_part(tmp_path / "four", "scores", rows(name), base="b", stem="s")
    write_part(tmp_path / "two", "scores", rows("w"), base="b", stem="s")
    merge_parts(tmp_path / "four", "scores", base="b")
    assert ids(tmp_path / "four") == ["w", "x", "y", "z"]
    assert len(list((tmp_path / "four" / "scores").iterdir())) == 1


@pytest.mark.parametrize("moment", ["note", "part", "deleting"])
def test_a_kill_while_merging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str):
    for name in "xyz":
        write_part(tmp_path, "scores", rows(name), base="b", stem="s")

    class Killed(Exception):
        pass

    def die(*args: object) -> None:
        raise Killed

    write = parts.write_bytes
    if moment == "note":
        monkeypatch.setattr(parts, "write_json", die)
    elif moment == "part":
        monkeypatch.setattr(parts, "write_bytes", die)
    else:

        def write_then_lose_tidy(path: Path, data: bytes) -> None:
            write(path, data)
            monkeypatch.setattr(parts, "_tidy", die)

        monkeypatch.setattr(parts, "write_bytes", write_then_lose_tidy)
    with pytest.raises(Killed):
        merge_parts(tmp_path, "scores", base="b")
    assert ids(tmp_path) == ["x", "y", "z"]
    monkeypatch.undo()
    write_part(tmp_path, "scores", rows("w"), base="b", stem="s")
    assert ids(tmp_path) == ["w", "x", "y", "z"]
    merge_parts(tmp_path, "scores", base="b")
    assert ids(tmp_path) == ["w", "x", "y", "z"]
    assert len(list((tmp_path / "scores").iterdir())) == 1


def test_damaged_and_foreign_parts_are_named(tmp_path: Path):
    path = write_part(tmp_path, "scores", rows("x"), base="b", stem="s")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ResultsError, match=r"damaged part.*delete this file|damaged part"):
        live_parts(tmp_path, "scores")
    path.unlink()
    import pyarrow.parquet as pq

    facts = {parts._META: json.dumps({"schema": 99, "base": "b"})}
    pq.write_table(rows("x").replace_schema_metadata(facts), path)
    with pytest.raises(ResultsError, match="schema version; expected 1, got 99"):
        live_parts(tmp_path, "scores")
