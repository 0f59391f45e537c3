""".npy and .npz files, read within limits and without pickles."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from ..reading import load_npy, npy_header, npz_headers, npz_member
from .entries import Array, Entries, Entry, FileError

__all__ = ["npy_entry", "npz_entries"]


def _decoded(values: Array) -> Array:
    """Bytes as text."""
    return np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values


def npy_entry(path: Path) -> Entry:
    with path.open("rb") as stream:
        if stream.read(2) == b"PK":
            raise FileError(f"{path.name} must hold one array, got an archive: call it .npz")
        stream.seek(0)
        shape, dtype = npy_header(stream)
    if dtype.kind == "O":
        raise ValueError("a pickle")
    return Entry(shape, dtype.kind in "SU", lambda: _decoded(load_npy(path)))


def npz_entries(path: Path) -> Entries:
    return {
        name: Entry(shape, dtype.kind in "SUO", partial(_from_npz, path, name), hidden=dtype.kind == "O")
        for name, (shape, dtype) in npz_headers(path).items()
    }


def _from_npz(path: Path, name: str) -> Array:
    return _decoded(npz_member(path, name))
