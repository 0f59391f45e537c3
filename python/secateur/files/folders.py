"""thingsvision's output folders: features.npy, .txt, .mat or .hdf5, the photographs' names in file_names.txt."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from ..reading import Reader
from .entries import Array, Entries, FileError, Loaded, Names, broken_files_refused, listed, load
from .hdf5 import isolated_entries
from .matching import check_names
from .numpy import npy_entry

__all__ = ["NAMES", "holds_features", "read_features_folder"]

NAMES = "file_names.txt"
_PART = re.compile(r"features(_[0-9]+(-[0-9]+)?)?")
_ENDING = re.compile(r"(.eps|.jpg|.jpeg|.png|.PNG|.tif|.tiff)$")  # what thingsvision cuts off a name
_SUFFIXES = (".npy", ".txt", ".mat", ".hdf5", ".h5", ".pt")


def _found(folder: Path) -> list[Path]:
    """The files of features, in the order of the numbers in their names."""
    own = [one for one in folder.iterdir() if one.suffix in _SUFFIXES and _PART.fullmatch(one.stem) and one.is_file()]
    return sorted(own, key=lambda one: [int(number) for number in re.findall("[0-9]+", one.stem)])


def holds_features(folder: Path) -> bool:
    """Whether a folder holds features as thingsvision saves them."""
    return folder.is_dir() and bool(_found(folder))


def read_features_folder(folder: Path) -> Loaded:
    """Read the features of a folder, with the names of their stimuli where it has some.

    Parameters
    ----------
    folder : Path
        With ``features.npy``, ``.txt``, ``.mat`` or ``.hdf5``, or several of one format with numbers behind, which are
        laid behind each other.

    Raises
    ------
    FileError
        Where a file can't be read, there are several formats or shapes, or the names don't fit.
    """
    files = _found(folder)
    formats = sorted({one.suffix for one in files})
    if len(formats) > 1:
        raise FileError(f"{folder} must hold features in one format, got {', '.join(formats)}: give the file instead")
    if formats == [".pt"]:
        raise FileError(
            f"{files[0].name} must be .npy, .txt, .mat or .hdf5, got a pickle of PyTorch, which can run code when it "
            "is opened: where you trust it, np.save('features.npy', torch.load('features.pt'))"
        )
    names, stimuli = folder / NAMES, None
    if names.is_file():
        with broken_files_refused(names):
            stimuli = tuple(line.strip() for line in names.read_text(encoding="utf-8-sig").splitlines() if line.strip())
        check_names(stimuli, names)
    alone = len(files) == 1
    parts = [part for one in files for part in _parts(one, stimuli if alone else None)]
    shapes = sorted({part.shape[1:] for part in parts})
    if len(shapes) > 1 or len(shapes[0]) != 1:
        raise FileError(
            f"{files[0]} must have shape (stimuli, features), got {', '.join(str(part.shape) for part in parts[:3])}: "
            "thingsvision flattens with flatten_acts=True"
        )
    values = np.concatenate(parts)
    notes = [f"{folder.name} was read as a folder of thingsvision: {len(values)} × {values.shape[1]} numbers"]
    if stimuli is None:
        notes.append(f"{folder.name} has no {NAMES}, which would name its stimuli")
    elif len(stimuli) != len(values):
        raise FileError(f"{names} must name each of {len(values)} stimuli, got {len(stimuli)} names")
    along = tuple(files[1:]) + ((names,) if stimuli is not None else ())
    return Loaded(values, stimuli, None, files[0], "", tuple(notes), along=along)


def _parts(path: Path, stimuli: Names | None) -> list[Array]:
    """The matrices of a file: one, or numbered ones; or a variable per stimulus, as its .mat has them."""
    with broken_files_refused(path):
        if path.suffix == ".npy":
            return [load(npy_entry(path), path)]
        if path.suffix == ".txt":
            return [np.loadtxt(path, ndmin=2)]
        if path.suffix == ".mat":
            with Reader(path) as reader:
                held = reader.ask("variables", names=None)
            return [_of_mat(held, stimuli, path)]
        with ExitStack() as stack:
            entries = isolated_entries(path, stack)
            return [load(entries[name], path) for name in _numbered(entries, path)]


def _of_mat(held: dict[str, Array], stimuli: Names | None, path: Path) -> Array:
    if "features" in held:
        return held["features"]
    short = [_ENDING.sub("", name) for name in stimuli or ()]
    lacking = [name for name in short if name not in held]
    if not short or lacking or len(held) != len(short):
        got = f"no {lacking[0]!r}" if lacking else f"{len(held)} variables for {len(short)} names in {NAMES}"
        raise FileError(f"{path.name} must hold an array 'features', or one per stimulus, got {got}")
    return np.stack([np.ravel(held[name]) for name in short])


def _numbered(entries: Entries, path: Path) -> list[str]:
    own = [name for name in entries if _PART.fullmatch(name)]
    if not own:
        raise FileError(f"{path.name} must hold an array 'features', got {listed(entries) or 'none'}")
    return sorted(own)
