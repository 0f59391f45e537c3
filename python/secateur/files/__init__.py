"""Arrays from files: .npy, .npz, .csv, .tsv, .mat, .h5, .hdf5, .nc, with the names of their stimuli.

``features.npz:X`` names one array of a file that holds several; fields of MATLAB structs and HDF5 groups have slashes,
``FMRI.mat:FMRI/vTC/set1/pairwisedistances``. Pickles are never loaded.
"""

from __future__ import annotations

import csv
import math
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..features import Indices, Matrix
from ..pairs import pair_positions, stimulus_count
from ..provenance import file_digest
from ..reading import Reader, ReadError, can_be_stored, load_npy, npy_header, npz_headers, npz_member

Array = npt.NDArray[Any]
Names = tuple[str, ...]

FORMATS = (".npy", ".npz", ".csv", ".tsv", ".mat", ".h5", ".hdf5", ".nc")
STIMULI = ("labels", "stimuli", "stimulus", "items", "conditions", "conds")
FEATURES = ("feature", "feature_names", "nodes")
# Column headings that say that a first column of numbers names rows.
_ROW_HEADINGS = {
    *STIMULI,
    "label",
    "item",
    "condition",
    "name",
    "names",
    "id",
    "index",
    "image",
    "images",
    "file",
    "filename",
}
_MISSING = {"", "na", "n/a", "nan", "null"}


class FileError(ValueError):
    """A file that can't be used, and why, in one sentence."""


@dataclass(frozen=True)
class Loaded:
    """What a file held.

    Attributes
    ----------
    values : ndarray
        Numbers, as they were stored; text for groups.
    stimuli, names : tuple of str, or None
        Names of the stimuli (rows) and of the features (columns).
    path : Path
    key : str
        The array's name in the file; empty where a file has one array.
    notes : tuple of str
        What the reader decided that a user should know, each a sentence.
    kind : {"similarity", "dissimilarity"}, optional
        What the file says that a target holds: the array's attribute ``kind`` (netCDF, HDF5), or rsatoolbox's format.
    """

    values: Array
    stimuli: Names | None
    names: Names | None
    path: Path
    key: str = ""
    notes: tuple[str, ...] = ()
    kind: str | None = None

    def record(self) -> dict[str, Any]:
        """Name, key, shape and SHA-256 of the file and its first names of stimuli, for ``settings.json``."""
        return {
            "file": str(self.path), "key": self.key, "shape": list(self.values.shape), "sha256": file_digest(self.path),
            "first_stimuli": None if self.stimuli is None else list(self.stimuli[:3]),
        }  # fmt: skip


@dataclass(frozen=True)
class _Entry:
    """An array in a file, not loaded yet."""

    shape: tuple[int, ...]
    text: bool
    load: Callable[[], Array]
    hidden: bool = False  # never taken unless asked for by name
    kind: str | None = None  # its attributes, where it has these
    stimuli: Names | None = None


Entries = dict[str, _Entry]


# The face -------------------------------------------------------------------------------------------------------


def read_features_file(place: str) -> Loaded:
    """Read an embedding, (n stimuli, d features).

    Parameters
    ----------
    place : str
        A file, or ``file:key``. In a .csv or .tsv a heading row and a first column of names are found by their
        text; in the other formats names of stimuli are a text array called ``labels``, ``stimuli``, ``items``…,
        names of features one called ``feature`` or ``nodes``.

    Raises
    ------
    FileError
        Where the file is missing or can't be read, where several arrays fit and no key is given, or where names
        don't fit the array. The values themselves are checked by :func:`secateur.features.read_features`.
    """
    path, key = _locate(place, "FEATURES")
    if path.suffix.lower() in (".csv", ".tsv"):
        return _read_csv(path, square=False)
    with _opened(path) as entries:
        key = _choose(entries, key, path, "FEATURES", {2})
        values = _load(entries[key], path)
        if values.ndim != 2:
            raise FileError(f"{_said(path, key)} must have shape (stimuli, features), got {values.shape}")
        stimuli = _names_in(entries, STIMULI, values.shape[0], path, "stimuli")
        return Loaded(values, stimuli, _names_in(entries, FEATURES, values.shape[1], path, "features"), path, key)


def read_target_file(place: str) -> Loaded:
    """Read one target or several: (n, n), (P,), (T, P) or (T, n, n).

    Parameters
    ----------
    place : str
        As in :func:`read_features_file`. A .mat file's (n, n, T) stack is turned into (T, n, n), which is noted, and
        rows or columns of length 1 there are dropped.

    Raises
    ------
    FileError
        As in :func:`read_features_file`.

    Notes
    -----
    An array of a netCDF or HDF5 file may say with attributes what it holds: ``kind``, and ``stimuli`` (their names), as
    the DataArrays of :mod:`secateur.datasets` do. A ``kind`` of another word says nothing.
    """
    path, key = _locate(place, "TARGET")
    if path.suffix.lower() in (".csv", ".tsv"):
        return _read_csv(path, square=True)
    with _opened(path) as entries:
        key = _choose(entries, key, path, "TARGET", {1, 2, 3})
        values, notes = _load(entries[key], path), []
        if values.ndim == 2 and 1 in values.shape and values.shape != (1, 1):
            values = values.ravel()
        if path.suffix.lower() == ".mat" and values.ndim == 3 and values.shape[0] == values.shape[1] != values.shape[2]:
            values = np.moveaxis(values, 2, 0)
            notes.append(f"{_said(path, key)} was read as {values.shape[0]} targets along its last dimension")
        count, kind = _stimulus_count(values), entries[key].kind
        stimuli = _names_in(entries, STIMULI, count, path, "stimuli") or _own_names(entries[key], count, path, key)
    return Loaded(values, stimuli, None, path, key, tuple(notes), "dissimilarity" if key == "dissimilarities" else kind)


def read_groups_file(place: str, n: int, stimuli: Names | None) -> Loaded:
    """Read the group of each stimulus.

    Parameters
    ----------
    place : str
        A file, or ``file:key``: a .csv or .tsv with one column (groups, in the order of the stimuli) or two (name
        of the stimulus, group), or an array of n words or numbers.
    n : int
        Number of stimuli.
    stimuli : names of the stimuli of X, or None
        Where both are named they are matched by name.

    Raises
    ------
    FileError
        As in :func:`read_features_file`, and where the number or the names of stimuli don't fit.
    """
    path, key = _locate(place, "--groups")
    if path.suffix.lower() in (".csv", ".tsv"):
        return _read_groups_csv(path, n, stimuli)
    with _opened(path) as entries:
        if not key and "groups" in entries:
            key = "groups"
        key = _choose(entries, key, path, "--groups", {1, 2}, text=True)
        groups = _load(entries[key], path).ravel().astype(str)
    if len(groups) != n:
        raise FileError(f"{_said(path, key)} must have one group for each of {n} stimuli, got {len(groups)}")
    _check_names(groups, path)
    return Loaded(groups, None, None, path, key)


def read_arrays(place: str, wanted: Callable[[str], bool], what: str) -> dict[str, Array]:
    """Read every array of a .npz, .mat or HDF5 file whose name is wanted.

    Parameters
    ----------
    place : str
        A file.
    wanted : function of str to bool
        Asked for each array's name; fields of structs and groups have slashes in theirs.
    what : str
        What is looked for, for the message.

    Returns
    -------
    dict of str to ndarray
        As stored; in the order of the file, at least one.

    Raises
    ------
    FileError
        Where the file is missing or can't be read, or holds no such array.
    """
    path, key = _locate(place, "path")
    if key or path.suffix.lower() in (".npy", ".csv", ".tsv"):
        raise FileError(f"path must be a .npz, .mat or HDF5 file, got {place!r}")
    with _opened(path) as entries:
        chosen = [name for name in entries if wanted(name)]
        if not chosen:
            raise FileError(f"{path.name} must hold {what}, got {_listed(entries) or 'no arrays'}")
        return {name: _load(entries[name], path) for name in chosen}


def stated_kind(target: Loaded, kind: str | None) -> str | None:
    """What a target holds: what its file says, or what is said here; None where neither tells.

    Parameters
    ----------
    target : Loaded
        From :func:`read_target_file`.
    kind : {"similarity", "dissimilarity"}, optional
        What is said here.

    Raises
    ------
    FileError
        Where the two say different things.
    """
    if None not in (kind, target.kind) and kind != target.kind:
        told = "holds rsatoolbox RDMs, which are" if target.key == "dissimilarities" else "says that it holds"
        held = {"similarity": "similarities", "dissimilarity": "dissimilarities"}[str(target.kind)]
        raise FileError(f"{_said(target.path, target.key)} {told} {held}: pass kind={target.kind!r}, got {kind!r}")
    return target.kind or kind


def match(target: Loaded, features: Loaded) -> tuple[Array, str | None]:
    """The target's values in the order of the features' stimuli.

    Parameters
    ----------
    target : Loaded
        From :func:`read_target_file`.
    features : Loaded
        From :func:`read_features_file`.

    Returns
    -------
    values : ndarray
        Reordered by name where both files name their stimuli in different orders.
    note : str or None
        A sentence on what was done or taken for granted.

    Raises
    ------
    FileError
        Where both files name their stimuli and the names differ, or one comes twice.
    """
    if target.stimuli is None and features.stimuli is None:
        return target.values, order_taken(features.path.name, target.path.name, None)
    if target.stimuli is None or features.stimuli is None:
        silent, named = (target, features) if target.stimuli is None else (features, target)
        return target.values, order_taken(silent.path.name, named.path.name, named.stimuli)
    order = _order(target.stimuli, features.stimuli, target.path.name, features.path.name)
    if (order == np.arange(len(order))).all():
        return target.values, None
    note = (
        f"the stimuli of {target.path.name} were reordered by name to the order of {features.path.name}: "
        f"{_first(features.stimuli)} where they were {_first(target.stimuli)}"
    )
    values, n = target.values, len(order)
    if values.ndim >= 2 and values.shape[-2:] == (n, n):
        return values[..., order[:, None], order], note
    return values[..., pair_positions(order, n)], note


def order_taken(silent: str, other: str, names: Sequence[str] | None) -> str:
    """What is said where stimuli can't be matched by name: the greatest risk of a run, since nothing can notice.

    Parameters
    ----------
    silent, other : str
        What has no names, and what it is laid against.
    names : sequence of str or None
        Those of the other, if it has any.
    """
    if names is None:
        return f"neither {silent} nor {other} names stimuli: their order is taken to be the same"
    return f"{silent} names no stimuli: its order is taken to be that of {other}: {_first(names)}"


def _first(names: Sequence[str]) -> str:
    return ", ".join(map(str, names[:3])) + (", …" if len(names) > 3 else "")


# Names ----------------------------------------------------------------------------------------------------------


def _order(names: Names, wanted: Names, here: str, there: str) -> Indices:
    """Where each wanted name is among names; both must be the same set."""
    for listed, file in ((names, here), (wanted, there)):
        seen: set[str] = set()
        for name in listed:
            if name in seen:
                raise FileError(f"{file} must name each stimulus once to be matched by name, got {name!r} twice")
            seen.add(name)
    missing = [name for name in wanted if name not in set(names)]
    extra = [name for name in names if name not in set(wanted)]
    if missing or extra:
        lacks = f"lacks {_few(missing)}" if missing else ""
        adds = f"has {_few(extra)} beside them" if extra else ""
        raise FileError(f"{here} must name the stimuli of {there}, but it {' and '.join(filter(None, (lacks, adds)))}")
    at = {name: i for i, name in enumerate(names)}
    return np.array([at[name] for name in wanted], dtype=np.int64)


def _check_names(names: Iterable[str], path: Path) -> None:
    """Refuse names that no results file can hold, before any work."""
    for name in names:
        if not can_be_stored(name):
            raise FileError(f"{path.name} must hold names that can be stored, without NUL and in Unicode, got {name!r}")


def _few(names: Sequence[str]) -> str:
    return ", ".join(repr(n) for n in names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _stimulus_count(values: Array) -> int | None:
    """How many stimuli a target covers, where its shape says so."""
    if values.ndim >= 2 and values.shape[-1] == values.shape[-2]:
        return int(values.shape[-1])
    return stimulus_count(values.shape[-1]) if values.ndim else None


def _own_names(entry: _Entry, count: int | None, path: Path, key: str) -> Names | None:
    """Names of stimuli that an array has among its attributes."""
    if entry.stimuli is not None:
        if count is not None and len(entry.stimuli) != count:
            got = f"got {len(entry.stimuli)} names in its attribute stimuli"
            raise FileError(f"{_said(path, key)} must name each of {count} stimuli, {got}")
        _check_names(entry.stimuli, path)
    return entry.stimuli


def _names_in(entries: Entries, keys: Sequence[str], count: int | None, path: Path, what: str) -> Names | None:
    """Names from the first text array that is called as names are called."""
    for wanted in keys:
        for key, entry in entries.items():
            if (
                key.rsplit("/", 1)[-1].lower() == wanted
                and entry.text
                and math.prod(entry.shape) == max(entry.shape, default=0)
            ):
                names = tuple(str(name).strip() for name in _load(entry, path).ravel())
                if count is not None and len(names) != count:
                    raise FileError(f"{_said(path, key)} must name each of {count} {what}, got {len(names)} names")
                _check_names(names, path)
                return names
    return None


# Choosing -------------------------------------------------------------------------------------------------------


def _said(path: Path, key: str) -> str:
    return f"{path.name}:{key}" if key else path.name


def _locate(place: str, name: str) -> tuple[Path, str]:
    """The file, and the key after a colon if there is one."""
    path, key = Path(place), ""
    if not path.exists() and ":" in place:
        before, _, after = place.rpartition(":")
        if before and Path(before).exists():
            path, key = Path(before), after
    if not can_be_stored(place):
        raise FileError(f"{name} must have a name that is UTF-8 text, to be kept in the results, got {place!a}")
    if not path.exists():
        raise FileError(f"{name} must be a file, got {place!r}, which does not exist")
    if path.is_dir():
        raise FileError(f"{name} must be a file, got {place!r}, which is a folder")
    if not path.is_file():
        raise FileError(f"{name} must be a file, got {place!r}, which is a pipe or a device")
    if path.suffix.lower() not in FORMATS:
        raise FileError(f"{name} must end in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, got {path.name!r}")
    if key and path.suffix.lower() in (".npy", ".csv", ".tsv"):
        raise FileError(f"{name} must be given without a key where a file holds one array, got {place!r}")
    return path, key


def _choose(entries: Entries, key: str, path: Path, name: str, dimensions: set[int], text: bool = False) -> str:
    """The key that is asked for, or the only one that fits."""
    if key:
        if key not in entries:
            raise FileError(f"{path.name} must hold the array {key!r}, got {_listed(entries) or 'none'}")
        if entries[key].text and not text:
            raise FileError(f"{_said(path, key)} must hold numbers, got text")
        return key
    usable = {k: e for k, e in entries.items() if not e.hidden and math.prod(e.shape) > 1 and (text or not e.text)}
    fit = [k for k, e in usable.items() if len(e.shape) in dimensions]
    if len(fit) == 1:
        return fit[0]
    if not fit:
        raise FileError(
            f"{path.name} must hold an array for {name}, with {' or '.join(map(str, sorted(dimensions)))} dimensions, "
            f"got {_listed(entries) or 'no arrays'}"
        )
    raise FileError(
        f"{path.name} must be given with a key, such as {_said(path, fit[0])}, got several arrays: {_listed(usable)}"
    )


def _listed(entries: Entries) -> str:
    shown = [
        f"{key} {entry.shape}" + (" of text" if entry.text else "")
        for key, entry in entries.items()
        if not entry.hidden
    ]
    return ", ".join(shown[:12]) + (f" and {len(shown) - 12} more" if len(shown) > 12 else "")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Whatever a broken file makes a reader say, as one sentence."""
    try:
        yield
    except FileError:
        raise
    except ReadError as error:
        if error.whole:
            raise FileError(str(error)) from error
        reason = str(error)[:160].rstrip(".")
        raise FileError(f"{path.name} could not be read as a {path.suffix.lower()} file: {reason}") from error
    except PermissionError as error:
        raise FileError(f"{path.name} could not be read: permission denied") from error
    except (
        ArithmeticError,
        AttributeError,
        EOFError,
        LookupError,
        MemoryError,
        OSError,
        RuntimeError,
        SyntaxError,
        TypeError,
        ValueError,
        csv.Error,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        if any(word in str(error).lower() for word in ("pickle", "python objects")):
            reason = "it holds Python objects (a pickle) or no array at all; only numbers and text are loaded"
        else:
            reason = (" ".join(str(error).split()) or type(error).__name__)[:160].rstrip(".")
        raise FileError(f"{path.name} could not be read as a {path.suffix.lower()} file: {reason}") from error


def _load(entry: _Entry, path: Path) -> Array:
    with _reading(path):
        return np.asarray(entry.load())


@contextmanager
def _opened(path: Path) -> Iterator[Entries]:
    """The arrays of a file, which can be loaded in the ``with`` block."""
    suffix = path.suffix.lower()
    if suffix in (".npy", ".npz"):
        with _reading(path):
            entries = {"": _npy_entry(path)} if suffix == ".npy" else _npz_entries(path)
        yield entries
        return
    with ExitStack() as stack:
        with _reading(path):
            path.open("rb").close()  # a file that may not be read is said here
            reader = stack.enter_context(Reader(path))
            told = reader.ask("entries")
            entries = {
                name: _Entry(
                    tuple(shape), text, partial(reader.ask, "array", form=told["format"], name=name), hidden,
                    said.get("kind"), tuple(said["stimuli"]) if "stimuli" in said else None,
                )
                for name, shape, text, hidden, said in (one for one in told["entries"])
            }  # fmt: skip
        yield entries


# NumPy ----------------------------------------------------------------------------------------------------------


def _decoded(values: Array) -> Array:
    """Bytes as text."""
    return np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values


def _npy_entry(path: Path) -> _Entry:
    with path.open("rb") as stream:
        if stream.read(2) == b"PK":
            raise FileError(f"{path.name} must hold one array, got an archive: call it .npz")
        stream.seek(0)
        shape, dtype = npy_header(stream)
    if dtype.kind == "O":
        raise ValueError("a pickle")
    return _Entry(shape, dtype.kind in "SU", lambda: _decoded(load_npy(path)))


def _npz_entries(path: Path) -> Entries:
    return {
        name: _Entry(shape, dtype.kind in "SUO", partial(_from_npz, path, name), hidden=dtype.kind == "O")
        for name, (shape, dtype) in npz_headers(path).items()
    }


def _from_npz(path: Path, name: str) -> Array:
    return _decoded(npz_member(path, name))


# Text -----------------------------------------------------------------------------------------------------------


def _number(cell: str) -> float | None:
    """The number in a cell, NaN where it is empty or says so, None where it is no number."""
    word = cell.strip()
    if word.lower() in _MISSING:
        return math.nan
    try:
        return float(word)
    except ValueError:
        return None


def _csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and cells, cut at commas; at semicolons where the first line has some; in a .tsv at tabs.

    Comments stand above the table alone: below, a name may begin with #.
    """
    with path.open(encoding="utf-8-sig", newline="") as stream:
        lines = [line for line in stream if line.strip()]
        first = next((line for line in lines if not line.lstrip().startswith("#")), lines[0] if lines else "")
        stream.seek(0)
        cut = "\t" if path.suffix.lower() == ".tsv" else ";" if ";" in first else ","
        reader, started = csv.reader(stream, delimiter=cut), False
        for row in reader:
            if any(cell.strip() for cell in row) and (started or not _comments(row)):
                started = True
                yield reader.line_num, row


def _comments(row: list[str]) -> bool:
    """Whether a line above the table is a comment: it begins with # and is no name with numbers behind it."""
    return row[0].lstrip().startswith("#") and (len(row) == 1 or any(_number(cell) is None for cell in row[1:]))


def _parsed(row: list[str], line: int, first: int, path: Path) -> Matrix:
    """Cells of a row as numbers; ``first`` is the column that the row starts at, for the message."""
    try:
        return np.array(row, dtype=np.float64)
    except ValueError:
        numbers = [_number(cell) for cell in row]
    for column, number in enumerate(numbers):
        if number is None:
            where = f"line {line}, column {first + column + 1}"
            raise FileError(f"{path.name} must hold numbers below its heading, got {row[column]!r} in {where}")
    return np.array(numbers, dtype=np.float64)


def _read_csv(path: Path, square: bool) -> Loaded:
    """A table of numbers with or without a heading row and a first column of names."""
    with _reading(path):
        rows = _csv_rows(path)
        line, head = next(rows, (0, []))
        if not head:
            raise FileError(f"{path.name} must hold a table of numbers, got an empty file")
        heads = [cell.strip() for cell in head]
        lead, body = [], []
        for line, row in rows:
            if len(row) != len(head):
                raise FileError(f"{path.name} must have {len(head)} cells in every line, got {len(row)} in line {line}")
            lead.append(row[0].strip())
            body.append(_parsed(row[1:], line, 1, path))
    numbers = [_number(cell) for cell in heads]
    first = [_number(cell) for cell in lead]
    worded = any(number is None for number in first)
    # A data frame writes an empty corner, and counters where it has no names.
    corner = heads[0] == "" and len(heads) > 1
    columns_counted = heads[1:] == [str(i) for i in range(len(heads) - 1)]
    rows_counted = lead == [str(i) for i in range(len(lead))]
    says_so = heads[0].lower() in _ROW_HEADINGS
    heading = (
        any(number is None for number in numbers[1:])
        or (numbers[0] is None and (says_so or not worded))
        or (corner and (worded or (columns_counted and rows_counted)))
    )
    named = worded or (heading and (corner or says_so))
    if not heading:
        lead.insert(0, heads[0])
        body.insert(0, _parsed(head[1:], 1, 1, path))
        first.insert(0, numbers[0])
    if not body:
        raise FileError(f"{path.name} must hold a table of numbers, got a heading alone")
    values = np.stack(body)
    if not named:
        values = np.column_stack([np.array([math.nan if v is None else v for v in first]), values])
    if values.shape[1] == 0:
        raise FileError(f"{path.name} must hold numbers, got one column of words")
    stimuli = tuple(lead) if named and not (corner and rows_counted) else None
    names = tuple(heads[1:] if named else heads) if heading and not (named and columns_counted) else None
    _check_names((*(stimuli or ()), *(names or ())), path)
    if square:
        return _target_table(path, values, stimuli, names, heading, named)
    notes = [_table_words(path, values, heading, named)]
    if not named and len(values) > 2 and values.shape[1] > 1 and _counts(values[:, 0]):
        notes.append(
            f"the first column of {path.name} counts the rows and was read as a feature: head it 'id' if it is none"
        )
    return Loaded(values, stimuli, names, path, "", tuple(notes))


def _counts(column: Matrix) -> bool:
    return any(np.array_equal(column, np.arange(start, start + len(column))) for start in (0, 1))


def _target_table(
    path: Path, values: Matrix, stimuli: Names | None, names: Names | None, heading: bool, named: bool
) -> Loaded:
    """A square table may be named by its rows, its columns, or both alike; any other is pairs."""
    note = _table_words(path, values, heading, named)
    if values.shape[0] == values.shape[1]:
        if stimuli and names and stimuli != names:
            i = next(i for i, (a, b) in enumerate(zip(stimuli, names, strict=True)) if a != b)
            raise FileError(
                f"{path.name} must name its rows and columns alike, got {stimuli[i]!r} and {names[i]!r} at {i}"
            )
        return Loaded(values, stimuli or names, None, path, "", (note,))
    if 1 in values.shape:
        values = values.ravel()
    return Loaded(values, None, None, path, "", (note,))


def _table_words(path: Path, values: Matrix, heading: bool, named: bool) -> str:
    parts = [*(["a heading"] if heading else []), *(["a first column of names"] if named else [])]
    told = " and ".join(parts) or "neither heading nor names"
    return f"{path.name} was read as {values.shape[0]} × {values.shape[1]} numbers with {told}"


def _read_groups_csv(path: Path, n: int, stimuli: Names | None) -> Loaded:
    with _reading(path):
        rows = [[cell.strip() for cell in row] for _, row in _csv_rows(path)]
    width = {len(row) for row in rows}
    if width not in ({1}, {2}):
        raise FileError(f"{path.name} must have one column (group) or two (stimulus, group), got {sorted(width)}")
    if len(rows) == n + 1:
        rows = rows[1:]
    if len(rows) != n:
        raise FileError(f"{path.name} must have one line for each of {n} stimuli, got {len(rows)}")
    groups = np.array([row[-1] for row in rows])
    _check_names(groups, path)
    if width == {1} or stimuli is None:
        taken = () if width == {1} else (f"{path.name} was taken in its own order: FEATURES names no stimuli",)
        return Loaded(groups, None, None, path, "", taken)
    named = tuple(row[0] for row in rows)
    order = _order(named, stimuli, path.name, "FEATURES")
    return Loaded(groups[order], stimuli, None, path)
