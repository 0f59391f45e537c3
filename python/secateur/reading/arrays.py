"""NumPy's files. Pickles are never loaded, and what a header says is checked before values are read."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from .limits import check_size

__all__ = ["Array", "Header", "load_npy", "npy_header", "npz_headers", "npz_member"]

Array = npt.NDArray[Any]
Header = tuple[tuple[int, ...], np.dtype[Any]]


def npy_header(stream: IO[bytes]) -> Header:
    """Shape and dtype of an array, its values unread; the stream stands at their start.

    Parameters
    ----------
    stream : binary file
        At the start of the array.

    Returns
    -------
    tuple of int, dtype

    Raises
    ------
    ValueError
        Where no array begins there.
    """
    try:
        version = np.lib.format.read_magic(stream)
    except ValueError:
        raise ValueError("no array, perhaps a pickle") from None
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, _, dtype = read(stream)
    except (ArithmeticError, LookupError, MemoryError, RecursionError, SyntaxError, TypeError, TokenError) as error:
        raise ValueError("its header is no array's") from error
    if any(length < 0 for length in shape):
        raise ValueError(f"its header says shape {shape}")
    return shape, dtype


def _size(header: Header) -> int:
    return math.prod(header[0]) * header[1].itemsize


def _readable(stream: IO[bytes], name: str) -> Header:
    """The header of an array of numbers or text that may be read."""
    header = npy_header(stream)
    if header[1].hasobject:
        raise ValueError("it holds Python objects (a pickle); only numbers and text are loaded")
    check_size(_size(header), name)
    return header


def load_npy(path: Path) -> Array:
    """The array of a .npy file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    ndarray

    Raises
    ------
    OSError, ValueError
        Where it can't be read, holds Python objects, is cut off or is above the limits.
    """
    with path.open("rb") as stream:
        header = _readable(stream, path.name)
        held = path.stat().st_size - stream.tell()
        if held < _size(header):
            raise ValueError(f"it is cut off: its header says {_size(header)} bytes of values, got {held}")
        stream.seek(0)
        return np.asarray(np.load(stream, allow_pickle=False))


def npz_headers(path: Path) -> dict[str, Header]:
    """Shape and dtype of every array of a .npz file, by name.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict of str to (shape, dtype)

    Raises
    ------
    OSError, ValueError, zipfile.BadZipFile
        Where it can't be read.
    """
    headers = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            if member.endswith(".npy"):
                with archive.open(member) as stream:
                    headers[member.removesuffix(".npy")] = npy_header(stream)
    return headers


def npz_member(path: Path, name: str) -> Array:
    """One array of a .npz file.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        The array's name.

    Returns
    -------
    ndarray

    Raises
    ------
    OSError, ValueError, zipfile.BadZipFile
        Where it can't be read, holds Python objects, or is above the limits.
    """
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as stream:
        header = _readable(stream, f"{path.name}:{name}")
        held = archive.getinfo(f"{name}.npy").file_size
        if held < _size(header):
            raise ValueError(f"it is cut off: the header of {name} says {_size(header)} bytes of values, got {held}")
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as stream:
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
