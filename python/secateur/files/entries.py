"""What a file held, which arrays there are, which is meant, and what a broken file says."""

from __future__ import annotations

import csv
import math
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..provenance import file_digest
from ..reading import ReadError

__all__ = [
    "BROKEN", "DESCRIPTORS", "Array", "Entries", "Entry", "FileError", "Loaded", "Names", "broken_files_refused",
    "choose", "listed", "load", "place_words",
]  # fmt: skip

# What readers of formats raise at damaged files.
BROKEN = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError, SyntaxError, TypeError,
    ValueError, csv.Error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
DESCRIPTORS = ("pattern_descriptors/", "rdm_descriptors/")  # of rsatoolbox's files: what stimuli and RDMs are called
Array = npt.NDArray[Any]
Names = tuple[str, ...]


class FileError(ValueError):
    """A file that can't be used, and why, in one sentence."""

    __module__ = "secateur.files"  # as users know it


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
    targets : tuple of str, optional
        Names of several targets.
    groups : tuple of str, optional
        The group of each stimulus, where a table of features has such a column.
    whose : {"subjects", "regions"}, optional
        What several targets are, where the file calls their names so.
    along : tuple of Path
        Other files that were read with this one.
    """

    values: Array
    stimuli: Names | None
    names: Names | None
    path: Path
    key: str = ""
    notes: tuple[str, ...] = ()
    kind: str | None = None
    targets: Names | None = None
    groups: Names | None = None
    whose: str | None = None
    along: tuple[Path, ...] = ()

    def record(self) -> dict[str, Any]:
        """Name, key, shape and SHA-256 of the files and the first names of stimuli, for ``settings.json``."""
        return {
            "file": str(self.path), "key": self.key, "shape": list(self.values.shape), "sha256": file_digest(self.path),
            "first_stimuli": None if self.stimuli is None else list(self.stimuli[:3]),
            **({"along": {one.name: file_digest(one) for one in self.along}} if self.along else {}),
        }  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """An array in a file, not loaded yet."""

    shape: tuple[int, ...]
    text: bool
    load: Callable[[], Array]
    hidden: bool = False  # never taken unless asked for by name
    kind: str | None = None  # its attributes, where it has these
    stimuli: Names | None = None


Entries = dict[str, Entry]


def place_words(path: Path, key: str) -> str:
    return f"{path.name}:{key}" if key else path.name


def choose(
    entries: Entries, key: str, path: Path, name: str, dimensions: set[int], text: bool = False,
    likely: Sequence[Callable[[tuple[int, ...]], bool]] = (),
) -> str:  # fmt: skip
    """The key that is asked for, or the only one that fits: by dimensions or, of several, by a likely shape."""
    if key:
        if key not in entries:
            raise FileError(f"{path.name} must hold the array {key!r}, got {listed(entries) or 'none'}")
        if entries[key].text and not text:
            raise FileError(f"{place_words(path, key)} must hold numbers, got text")
        return key
    usable = {
        k: e
        for k, e in entries.items()
        if not e.hidden and not k.startswith(DESCRIPTORS) and math.prod(e.shape) > 1 and (text or not e.text)
    }
    fit = [k for k, e in usable.items() if len(e.shape) in dimensions]
    for of_shape in likely:
        narrowed = [k for k in fit if of_shape(usable[k].shape)]
        fit = narrowed if len(narrowed) == 1 else fit
    if len(fit) == 1:
        return fit[0]
    if not fit:
        raise FileError(
            f"{path.name} must hold an array for {name}, with {' or '.join(map(str, sorted(dimensions)))} dimensions, "
            f"got {listed(entries) or 'no arrays'}"
        )
    raise FileError(
        f"{path.name} must be given with a key, such as {place_words(path, fit[0])}, got several arrays: "
        f"{listed(usable)}"
    )


def taken_words(entries: Entries, asked: str, key: str, path: Path, name: str) -> list[str]:
    """A note, where no key was given and the array that was taken is not the only one of numbers."""
    others = [
        k for k, e in entries.items() if k != key and not e.hidden and not e.text and not k.startswith(DESCRIPTORS)
    ]
    if asked or not any(len(entries[k].shape) > 1 for k in others):
        return []
    return [f"{place_words(path, key)} was taken as {name}, the only array of a shape that fits: {listed(entries)}"]


def listed(entries: Entries) -> str:
    shown = [
        f"{key} {entry.shape}" + (" of text" if entry.text else "")
        for key, entry in entries.items()
        if not entry.hidden
    ]
    return ", ".join(shown[:12]) + (f" and {len(shown) - 12} more" if len(shown) > 12 else "")


@contextmanager
def broken_files_refused(path: Path) -> Iterator[None]:
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
    except BROKEN as error:
        if any(word in str(error).lower() for word in ("pickle", "python objects")):
            reason = "it holds Python objects (a pickle) or no array at all; only numbers and text are loaded"
        else:
            reason = (" ".join(str(error).split()) or type(error).__name__)[:160].rstrip(".")
        raise FileError(f"{path.name} could not be read as a {path.suffix.lower()} file: {reason}") from error


def load(entry: Entry, path: Path) -> Array:
    with broken_files_refused(path):
        return np.asarray(entry.load())
