"""Pickles of plain values and numpy arrays, read without running anything they name."""

from __future__ import annotations

import io
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from xaieval.errors import DataError


class RefusedPickle(DataError):
    """A pickle asks for something that plain data does not need."""


def read_plain_pickle(path: Path) -> Any:
    """Return the value in a pickle file: dicts, lists, numbers, text, bytes, arrays of bytes.

    A pickle can name any function and have it called. Here every name is looked up in a short
    table whose entries are stand-ins of this module, so that not even numpy's own functions run;
    any other name is refused before anything is called. Text of Python 2 comes back as bytes.

    Raises
    ------
    RefusedPickle
        When the file names a function or class outside the table.
    DataError
        When it is missing, damaged, no pickle, or holds other arrays than of uint8.
    """
    try:
        value = _Reader(io.BytesIO(path.read_bytes()), encoding="bytes").load()
        return _arrays(value)
    except RefusedPickle as error:
        raise RefusedPickle(
            error.what,
            where=path,
            expected="numbers, text, lists, dicts and arrays alone",
            fix="do not open it with anything else; get the file from its source",
        ) from None
    except OSError as error:
        raise DataError("cannot be read", where=path, got=error.strerror) from error
    except Exception as error:  # the unpickler raises whatever damaged bytes lead it to
        raise DataError(
            "damaged or no pickle",
            where=path,
            got=str(error) or type(error).__name__,
            fix="replace it by an intact copy",
        ) from error


class _Array:
    """What stands for an array until its bytes are known."""

    def __init__(self) -> None:
        self.values: npt.NDArray[np.uint8] | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, column_major, data = state
        data = data.encode("latin-1") if isinstance(data, str) else data
        if not isinstance(dtype, _Type) or not dtype.is_byte:
            raise ValueError(f"an array of {getattr(dtype, 'name', dtype)!r}, not of uint8")
        if len(data) != math.prod(shape):
            raise ValueError(f"{len(data)} bytes for an array of {shape}")
        flat = np.frombuffer(data, np.uint8)
        self.values = flat.reshape(shape, order="F" if column_major else "C")


class _Type:
    """What stands for a numpy dtype."""

    def __init__(self, name: Any) -> None:
        self.name = name.decode("latin-1") if isinstance(name, bytes) else str(name)
        self.is_byte = self.name in ("u1", "uint8", "|u1")

    def __setstate__(self, state: Any) -> None:
        """Byte order and fields: a byte has none."""


class _StandIns:
    """What the names in the table lead to; bound methods, which a pickle cannot change."""

    def reconstruct(self, *_: Any) -> _Array:
        return _Array()

    def dtype(self, name: Any, *_: Any) -> _Type:
        return _Type(name)

    def frombuffer(self, data: Any, dtype: Any, shape: Any, order: Any) -> _Array:
        """Protocol 5's way to write an array."""
        array = _Array()
        array.__setstate__((1, shape, dtype, order in ("F", b"F"), bytes(data)))
        return array

    def encode(self, text: str, encoding: str) -> bytes:
        """Python 3's way to write bytes for Python 2."""
        if encoding not in ("latin1", "latin-1"):
            raise ValueError(f"encoding {encoding!r}")
        return text.encode("latin-1")

    def empty_bytes(self) -> bytes:
        return b""


_IN = _StandIns()
_NUMPY_CORES = ("numpy.core", "numpy._core")
_TABLE: dict[tuple[str, str], Any] = {
    **{(f"{core}.multiarray", "_reconstruct"): _IN.reconstruct for core in _NUMPY_CORES},
    **{(f"{core}.numeric", "_frombuffer"): _IN.frombuffer for core in _NUMPY_CORES},
    ("numpy", "ndarray"): None,  # handed to _reconstruct, never called
    ("numpy", "dtype"): _IN.dtype,
    ("_codecs", "encode"): _IN.encode,
    ("__builtin__", "bytes"): _IN.empty_bytes,
    ("builtins", "bytes"): _IN.empty_bytes,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _TABLE[module, name]
        except KeyError:
            raise RefusedPickle(f"refused: the pickle calls for {module}.{name}") from None

    def persistent_load(self, pid: Any) -> Any:
        raise RefusedPickle("refused: the pickle calls for something outside the file")


def _arrays(value: Any) -> Any:
    """Put arrays where their stand-ins are, in dicts and lists."""
    if isinstance(value, _Array):
        if value.values is None:
            raise ValueError("an array without values")
        return value.values
    if isinstance(value, dict):
        return {key: _arrays(inside) for key, inside in value.items()}
    if isinstance(value, list):
        return [_arrays(inside) for inside in value]
    return value
