"""Arrays by their file and key: embeddings, targets, groups."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from ..pairs import stimulus_count
from ..reading import can_be_stored
from .entries import (
    Array,
    Entries,
    Entry,
    FileError,
    Loaded,
    Names,
    broken_files_refused,
    choose,
    listed,
    load,
    place_words,
    taken_words,
)
from .folders import NAMES, holds_features, read_features_folder
from .hdf5 import isolated_entries
from .matching import FEATURES, STIMULI, TARGETS, check_names
from .numpy import npy_entry, npz_entries
from .text import read_csv, read_groups_csv, read_triplets_text
from .triplets import named_triplets

__all__ = [
    "FORMATS", "locate", "opened", "read_arrays", "read_features_file", "read_groups_file", "read_target_file",
    "read_triplets_file", "stimuli_of_target",
]  # fmt: skip

PICKLES = (".pkl", ".pickle")
FORMATS = (".npy", ".npz", ".csv", ".tsv", ".mat", ".h5", ".hdf5", ".nc")


def read_features_file(place: str) -> Loaded:
    """Read an embedding, (n stimuli, d features).

    Parameters
    ----------
    place : str
        A file, or ``file:key``. In a .csv or .tsv a heading row and a first column of names are found by their
        text; in the other formats names of stimuli are a text array called ``labels``, ``stimuli``, ``items``…,
        names of features one called ``feature`` or ``nodes``. Or a folder of thingsvision, with ``features.npy`` (or
        ``.txt``, ``.mat``, ``.hdf5``) and the names of the photographs in ``file_names.txt``.

    Raises
    ------
    FileError
        Where the file is missing or can't be read, where several arrays fit and no key is given, or where names
        don't fit the array. The values themselves are checked by ``secateur.features.read_features``.
    """
    if holds_features(Path(place)):
        return read_features_folder(Path(place))
    path, key = locate(place, "FEATURES")
    if path.suffix.lower() in (".csv", ".tsv"):
        return read_csv(path, square=False)
    with opened(path) as entries:
        asked, key = key, choose(entries, key, path, "FEATURES", {2}, likely=[lambda shape: shape[0] != shape[1]])
        values, notes = load(entries[key], path), taken_words(entries, key if asked else "", key, path, "FEATURES")
        if values.ndim != 2:
            raise FileError(f"{place_words(path, key)} must have shape (stimuli, features), got {values.shape}")
        stimuli = _names_in(entries, STIMULI, values.shape[0], path, "stimuli")
        names = _names_in(entries, FEATURES, values.shape[1], path, "features")
        if stimuli is None and path.stem == "features" and path.with_name(NAMES).is_file():
            notes.append(f"{NAMES} beside {path.name} was not read: give the folder {path.parent} to name its stimuli")
        return Loaded(values, stimuli, names, path, key, tuple(notes))


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
    path, key = locate(place, "TARGET")
    if path.suffix.lower() in (".csv", ".tsv"):
        return read_csv(path, square=True)
    with opened(path) as entries:
        asked, key = key, choose(entries, key, path, "TARGET", {1, 2, 3}, likely=[_square, _packed])
        values, notes = load(entries[key], path), taken_words(entries, key if asked else "", key, path, "TARGET")
        if values.ndim == 2 and 1 in values.shape and values.shape != (1, 1):
            values = values.ravel()
        if path.suffix.lower() == ".mat" and values.ndim == 3 and values.shape[0] == values.shape[1] != values.shape[2]:
            values = np.moveaxis(values, 2, 0)
            notes.append(f"{place_words(path, key)} was read as {values.shape[0]} targets along its last dimension")
        count, kind = stimuli_of_target(values), entries[key].kind
        stimuli = _names_in(entries, STIMULI, count, path, "stimuli") or _own_names(entries[key], count, path, key)
        names, whose = _target_names(entries, values, path)
    kind = "dissimilarity" if key == "dissimilarities" else kind
    return Loaded(values, stimuli, None, path, key, tuple(notes), kind, names, whose=whose)


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
    path, key = locate(place, "--groups")
    if path.suffix.lower() in (".csv", ".tsv"):
        return read_groups_csv(path, n, stimuli)
    with opened(path) as entries:
        if not key and "groups" in entries:
            key = "groups"
        key = choose(entries, key, path, "--groups", {1, 2}, text=True)
        groups = load(entries[key], path).ravel().astype(str)
    if len(groups) != n:
        raise FileError(f"{place_words(path, key)} must have one group for each of {n} stimuli, got {len(groups)}")
    check_names(groups, path)
    return Loaded(groups, None, None, path, key)


def read_triplets_file(place: str) -> Loaded:
    """Read choices of odd ones out, (m, 3): the numbers, or in text the names, of three stimuli in a row.

    Parameters
    ----------
    place : str
        A file, or ``file:key``. A .txt, as THINGS has them, holds three stimuli a line, with blanks or commas between;
        a .csv or .tsv may have a heading. ``match_triplets`` finds names among the features' stimuli.

    Raises
    ------
    FileError
        As in :func:`read_features_file`. The values themselves are checked by :func:`secateur.targets.from_triplets`.
    """
    path, key = locate(place, "TARGET", (*FORMATS, ".txt"))
    if path.suffix.lower() in (".txt", ".csv", ".tsv"):
        named = named_triplets(path)
        if named is not None:
            return named
        return read_triplets_text(path) if path.suffix.lower() == ".txt" else read_csv(path, square=False)
    with opened(path) as entries:
        key = choose(entries, key, path, "TARGET", {2})
        return Loaded(load(entries[key], path), None, None, path, key)


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
    path, key = locate(place, "path")
    if key or path.suffix.lower() in (".npy", ".csv", ".tsv"):
        raise FileError(f"path must be a .npz, .mat or HDF5 file, got {place!r}")
    with opened(path) as entries:
        chosen = [name for name in entries if wanted(name)]
        if not chosen:
            raise FileError(f"{path.name} must hold {what}, got {listed(entries) or 'no arrays'}")
        return {name: load(entries[name], path) for name in chosen}


def stimuli_of_target(values: Array) -> int | None:
    """How many stimuli a target covers, where its shape says so."""
    if values.ndim >= 2 and values.shape[-1] == values.shape[-2]:
        return int(values.shape[-1])
    return stimulus_count(values.shape[-1]) if values.ndim else None


def _square(shape: tuple[int, ...]) -> bool:
    """Whether an array can be matrices over stimuli; MATLAB stacks them along the last dimension."""
    return len(shape) > 1 and (shape[-1] == shape[-2] or (len(shape) == 3 and shape[0] == shape[1]))


def _packed(shape: tuple[int, ...]) -> bool:
    """Whether an array can be the pairs of stimuli."""
    own = [size for size in shape if size > 1]
    return 0 < len(own) < 3 and stimulus_count(own[-1]) is not None


def _target_names(entries: Entries, values: Array, path: Path) -> tuple[Names | None, str | None]:
    """What several targets are called, in a text array that has one for each, and what these are."""
    square = values.ndim == 3 or (values.ndim == 2 and values.shape[0] != values.shape[1])
    if not square or values.shape[0] < 2:
        return None, None
    fit = {
        key: key.rsplit("/", 1)[-1].lower()
        for key, entry in entries.items()
        if entry.text and math.prod(entry.shape) == max(entry.shape, default=0) == values.shape[0]
    }
    called = [key for wanted in TARGETS for key, own in fit.items() if own == wanted]
    called += [key for key in fit if key.startswith("rdm_descriptors/")]
    if not called:
        return None, None
    names = tuple(str(name).strip() for name in load(entries[called[0]], path).ravel())
    check_names(names, path)
    return names, TARGETS.get(fit[called[0]])


def _own_names(entry: Entry, count: int | None, path: Path, key: str) -> Names | None:
    """Names of stimuli that an array has among its attributes."""
    if entry.stimuli is not None:
        if count is not None and len(entry.stimuli) != count:
            got = f"got {len(entry.stimuli)} names in its attribute stimuli"
            raise FileError(f"{place_words(path, key)} must name each of {count} stimuli, {got}")
        check_names(entry.stimuli, path)
    return entry.stimuli


def _names_in(entries: Entries, keys: Sequence[str], count: int | None, path: Path, what: str) -> Names | None:
    """Names from the first text array that is called as names are called."""
    for wanted in keys:
        for key, entry in entries.items():
            own, flat = key.rsplit("/", 1)[-1].lower(), math.prod(entry.shape) == max(entry.shape, default=0)
            if own == wanted and entry.text and flat:
                names = tuple(str(name).strip() for name in load(entry, path).ravel())
                if count is not None and len(names) != count:
                    raise FileError(
                        f"{place_words(path, key)} must name each of {count} {what}, got {len(names)} names"
                    )
                check_names(names, path)
                return names
    return None


def pickle_words(path: Path) -> str:
    """Why a pickle is refused, and what to do."""
    return (
        f"{path.name} must be an HDF5 file, got a pickle, which can run code when it is opened: where you trust it, "
        "load it with rsatoolbox and save it with file_type='hdf5'"
    )


def locate(place: str, name: str, formats: Sequence[str] = FORMATS) -> tuple[Path, str]:
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
    if path.suffix.lower() in PICKLES:
        raise FileError(pickle_words(path))
    if path.suffix.lower() not in formats:
        raise FileError(f"{name} must end in {', '.join(formats[:-1])} or {formats[-1]}, got {path.name!r}")
    if key and path.suffix.lower() in (".npy", ".csv", ".tsv", ".txt"):
        raise FileError(f"{name} must be given without a key where a file holds one array, got {place!r}")
    return path, key


@contextmanager
def opened(path: Path) -> Iterator[Entries]:
    """The arrays of a file, which can be loaded in the ``with`` block."""
    suffix = path.suffix.lower()
    if suffix in (".npy", ".npz"):
        with broken_files_refused(path):
            entries = {"": npy_entry(path)} if suffix == ".npy" else npz_entries(path)
        yield entries
        return
    with ExitStack() as stack:
        with broken_files_refused(path):
            entries = isolated_entries(path, stack)
        yield entries
