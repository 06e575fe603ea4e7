"""An experiment's folder comes back as it was written, or says what is wrong with it."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from outcome_made import ABOUT, outcome
from pandas.testing import assert_frame_equal

from xaieval.errors import ResultsError
from xaieval.figures.chart import Chart
from xaieval.outcomes import EXPERIMENT, is_experiment, read_outcome, write_outcome
from xaieval.outcomes.frames import frame_files, read_frame

FRAMES = {
    "texts that look like numbers": pd.DataFrame({"a": ["001", "1e5", "NaN", "", " ", "True"]}),
    "missing texts": pd.DataFrame({"a": ["x", np.nan, ""]}),
    "numbers": pd.DataFrame({"a": [0.1 + 0.2, math.nan, math.inf, -0.0, 1e-300]}),
    "whole numbers": pd.DataFrame({"a": [2**62 + 1, -1], "b": np.array([1, 2], "uint8")}),
    "booleans": pd.DataFrame({"a": [True, False]}),
    "missing booleans": pd.DataFrame({"a": pd.array([True, None], dtype="boolean")}),
    "mixed": pd.DataFrame({"a": pd.Series(["1", 1, 1.5, True, None, "é\n,\"'"], dtype=object)}),
    "categories": pd.DataFrame({"a": pd.Categorical(["b", "a"], categories=["b", "c", "a"])}),
    "no rows": pd.DataFrame({"a": pd.Series([], dtype="float64"), "b": pd.Series([], dtype="str")}),
    "no columns": pd.DataFrame(),
}


def kept(frame: pd.DataFrame, folder: Path) -> pd.DataFrame:
    (folder / "t.parquet").write_bytes(frame_files(frame, where="t")["parquet"])
    return read_frame(folder / "t.parquet")


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_a_table_comes_back_exactly(frame: pd.DataFrame, tmp_path: Path) -> None:
    assert_frame_equal(kept(frame, tmp_path), frame, check_exact=True, check_column_type=False)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(st.characters(exclude_categories=["Cs"])),
            st.integers(-(2**60), 2**60),
            st.floats(allow_nan=False),
            st.booleans(),
            st.none(),
        )
    )
)
def test_any_mixture_of_cells_comes_back(tmp_path_factory, cells: list[object]) -> None:
    values = np.empty(len(cells), object)
    values[:] = cells
    found = kept(
        pd.DataFrame({"a": pd.Series(values, dtype=object)}), tmp_path_factory.mktemp("t")
    )["a"].tolist()
    assert found == cells
    assert [type(cell) for cell in found] == [type(cell) for cell in cells]


def test_a_table_that_cannot_be_kept_says_why() -> None:
    with pytest.raises(ResultsError, match="share a name"):
        frame_files(pd.DataFrame([[1, 2]], columns=["a", "a"]), where="t")
    with pytest.raises(ResultsError, match="texts, numbers, booleans"):
        frame_files(pd.DataFrame({"a": [object()]}), where="t")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("experiment")
    write_outcome(out, ABOUT, outcome())
    return out


def test_the_same_outcome_gives_the_same_files(folder: Path, tmp_path: Path) -> None:
    write_outcome(tmp_path, ABOUT, outcome())
    first, second = (json.loads((out / EXPERIMENT).read_text()) for out in (folder, tmp_path))
    assert first["sha256"] == second["sha256"]
    assert len(first["sha256"]) == 7 * 4 + 2 * 3 + 1


def test_an_outcome_comes_back(folder: Path) -> None:
    made = outcome()
    read = read_outcome(folder)
    found = read.outcome
    assert read.about == ABOUT
    assert repr(found.findings) == repr(made.findings)  # NaN is not equal to itself
    assert repr(found.gates) == repr(made.gates)
    assert found.notes == made.notes
    assert found.studies == made.studies
    assert found.facts == {"r": -0.85, "undefined": None, "list": [1, 2]}
    for old, new in zip(made.sheets, found.sheets, strict=True):
        assert_frame_equal(new.frame, old.frame)
        assert (new.id, new.title, new.caption, new.decimals) == (
            old.id,
            old.title,
            old.caption,
            old.decimals,
        )
    for old, new in zip(made.charts, found.charts, strict=True):
        assert_frame_equal(new.table, old.table)
        assert new.settings() == old.settings()
    for old, new in zip(made.pictures, found.pictures, strict=True):
        assert np.array_equal(new.image, old.image)
        assert (new.id, new.alt, new.caption) == (old.id, old.alt, old.caption)


def test_a_damaged_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="no finished experiment"):
        read_outcome(tmp_path)
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    assert is_experiment(tmp_path)
    table = next((tmp_path / "tables").glob("*.csv"))
    table.write_text("changed")
    with pytest.raises(ResultsError, match="gone or was changed"):
        read_outcome(tmp_path)
    (tmp_path / EXPERIMENT).write_text('{"schema": 99}')
    with pytest.raises(ResultsError, match="schema"):
        read_outcome(tmp_path)


@pytest.mark.parametrize("wrong", [{"lines_at": ((math.nan, "x"),)}, {"y_range": (0, math.inf)}])
def test_a_chart_refuses_places_that_are_none(wrong: dict[str, object]) -> None:
    table = pd.DataFrame({"x": [1], "y": [1]})
    with pytest.raises(ResultsError, match="not finite"):
        Chart(id="c", kind="points", title="t", table=table, x="x", y="y", **wrong)
