"""Choices of odd ones out: three stimuli a line, by number or by name."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from .entries import FileError, Loaded, broken_files_refused
from .matching import ENDING, check_names

__all__ = ["choices_words", "match_triplets", "named_triplets"]

NUMBER = re.compile(r"[-+]?[\d.]+(e[-+]?\d+)?", re.IGNORECASE)


def named_triplets(path: Path) -> Loaded | None:
    """Three names a line, with commas, tabs or, where names have none, blanks between; None where it is no such text.

    A first line that is a heading is still among them: :func:`match_triplets` knows.
    """
    with broken_files_refused(path), path.open(encoding="utf-8-sig", newline="") as stream:
        lines = [line.strip() for line in stream if line.strip() and not line.startswith("#")]
        cut = next((mark for mark in (",", ";", "\t") if lines and mark in lines[0]), None)
        rows = [line.split() for line in lines] if cut is None else list(csv.reader(lines, delimiter=cut))
    cells = [[cell.strip() for cell in row] for row in rows]
    if len(cells) < 2 or any(len(row) != 3 for row in cells) or any(map(_numbers, cells)):
        return None
    check_names((name for row in cells for name in row), path)
    return Loaded(np.array(cells, dtype=str), None, None, path)


def _numbers(row: list[str]) -> bool:
    return all(NUMBER.fullmatch(cell) for cell in row)


def match_triplets(choices: Loaded, features: Loaded) -> Loaded:
    """Choices by number: names are looked for among those of the features' stimuli.

    Raises
    ------
    FileError
        Where the features name no stimuli, or one is not among them.
    """
    if choices.values.dtype.kind not in "US":
        return choices
    here, there = choices.path.name, features.path.name
    if features.stimuli is None:
        raise FileError(f"{here} must hold numbers of stimuli, from 0, where {there} names none, got names")
    places = {name: i for i, name in enumerate(features.stimuli)}
    given, notes = choices.values.astype(str), list(choices.notes)
    unknown = sum(name not in places for name in given.ravel())
    if unknown:
        short = {ENDING.sub("", name): i for i, name in enumerate(features.stimuli)}
        cut = np.array([[ENDING.sub("", name) for name in row] for row in given])
        if len(short) == len(places) and sum(name not in short for name in cut.ravel()) < unknown:
            places, given = short, cut
            notes.append(f"names of {here} and {there} were matched without the extensions of files")
    if not any(name in places for name in given[0]):
        notes.append(f"the first line of {here} was read as a heading: {', '.join(choices.values[0])}")
        given = given[1:]
    for row, names in enumerate(given):
        for name in names:
            if name not in places:
                raise FileError(f"{here} must name stimuli of {there}, got {str(name)!r} in choice {row}")
    numbers = np.array([[places[name] for name in row] for row in given], dtype=np.int64)
    notes.append(f"the stimuli of {len(numbers)} choices in {here} were found by name among those of {there}")
    return replace(choices, values=numbers, notes=tuple(notes))


def choices_words(place: str, values: object = None) -> str:
    """What to pass where a file that was read as matrices looks as if it held choices; empty where it doesn't.

    ``values``: what was read; where nothing could be, the text itself is looked at.
    """
    pass_this = "three stimuli a line look like choices of odd ones out: pass --kind triplets"
    if values is not None:
        array = np.asarray(values)
        whole = array.ndim == 2 and array.shape[1] == 3 and array.shape[0] > 3 and array.dtype.kind in "iuf"
        return pass_this if whole and (array == np.floor(array)).all() and (array >= 0).all() else ""
    path = Path(place)
    if path.suffix.lower() not in (".txt", ".csv", ".tsv") or not path.is_file():
        return ""
    try:
        words = named_triplets(path)
        numbers = None if words is not None else np.loadtxt(path, max_rows=100, ndmin=2, encoding="utf-8-sig")
    except ValueError:  # FileError too: it is no such table
        return ""
    return pass_this if numbers is None else choices_words(place, numbers)
