""".csv and .tsv tables of numbers, with or without a heading and a first column of names."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

import numpy as np

from ..features import Matrix
from .entries import FileError, Loaded, Names, broken_files_refused
from .long import find_columns, read_long
from .matching import STIMULI, check_names, order_by_name

__all__ = ["read_csv", "read_groups_csv", "read_triplets_text"]
# Column headings that say that a first column of numbers names rows.
_ROW_HEADINGS = {
    *STIMULI, "label", "item", "condition", "name", "names", "id", "index", "image", "images", "file", "filename",
}  # fmt: skip
_GROUP_HEADINGS = {"group", "groups", "category", "categories", "class", "superordinate"}
_COMMA = re.compile(r"[-+]?(\d+,\d*|,\d+)([eE][-+]?\d+)?")
_MISSING = {"", "na", "n/a", "nan", "null"}


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


def _with_points(rows: Iterator[tuple[int, list[str]]], path: Path, found: set[str]) -> Iterator[tuple[int, list[str]]]:
    """The same with decimal commas made points; ``found`` is told of them. A file writes decimals one way."""
    for line, row in rows:
        for c, cell in enumerate(row):
            word = cell.strip()
            if _COMMA.fullmatch(word):
                row[c] = word.replace(",", ".")
                found.add("comma")
            elif "." in word and _number(word) is not None:
                found.add("point")
        if len(found) > 1:
            raise FileError(f"{path.name} must write decimals one way, got commas and points by line {line}")
        yield line, row


def _long_form(path: Path, rows: list[list[str]]) -> Loaded | None:
    """A target in long format, where it is in one."""
    if len(rows) < 3 or len({len(row) for row in rows}) != 1:
        return None
    if rows[0][0] == "" and [row[0] for row in rows[1:]] == [str(i) for i in range(len(rows) - 1)]:
        rows = [row[1:] for row in rows]  # the index of a data frame
    numbers = [[_number(cell) for cell in row] for row in rows]
    headed = all(number is None for number in numbers[0])
    head = rows[0] if headed else [f"column {c + 1}" for c in range(len(rows[0]))]
    at = find_columns(head, rows[headed:], numbers[headed:])
    if at is None or len(rows) - headed < 3:
        return None
    return read_long(path, head, rows[headed:], numbers[headed:], at)


def _group_column(first: list[tuple[int, list[str]]]) -> int | None:
    """A column of words that is headed as groups are, by the first two lines of a table."""
    if len(first) < 2:
        return None
    (_, head), (_, row) = first
    columns = range(1, min(len(head), len(row)))
    return next((c for c in columns if head[c].strip().lower() in _GROUP_HEADINGS and _number(row[c]) is None), None)


def _taken_out(rows: Iterator[tuple[int, list[str]]], column: int, words: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Rows without a column, whose cells are put down."""
    for line, row in rows:
        words += row[column : column + 1]
        yield line, row[:column] + row[column + 1 :]


def read_csv(path: Path, square: bool) -> Loaded:
    """A table of numbers with or without a heading row and a first column of names."""
    found: set[str] = set()
    words: list[str] = []
    rows = _with_points(_csv_rows(path), path, found)
    with broken_files_refused(path):
        first = list(islice(rows, 2))
        rows = chain(first, rows)
        if square and first and len(first[0][1]) in (3, 4, 5):
            lines = list(rows)
            loaded = _long_form(path, [[cell.strip() for cell in row] for _, row in lines])
            if loaded is not None:
                return _noted(loaded, found, [])
            rows = iter(lines)
    column = None if square else _group_column(first)
    if column is not None:
        rows = _taken_out(rows, column, words)
    return _noted(_table(path, rows, square), found, words)


def _noted(loaded: Loaded, found: set[str], words: list[str]) -> Loaded:
    """With what was found on the way: decimal commas, a heading of groups and the groups."""
    name, notes = loaded.path.name, list(loaded.notes)
    if "comma" in found:
        notes.append(f"{name} writes decimals with commas: they were read as points")
    if not words:
        return replace(loaded, notes=tuple(notes))
    groups = tuple(word.strip() for word in words[1:])
    check_names(groups, loaded.path)
    notes.append(f"the column {words[0].strip()!r} of {name} was taken for groups, no feature")
    return replace(loaded, notes=tuple(notes), groups=groups)


def _table(path: Path, rows: Iterator[tuple[int, list[str]]], square: bool) -> Loaded:
    with broken_files_refused(path):
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
    check_names((*(stimuli or ()), *(names or ())), path)
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
    return Loaded(values, None, None, path, "", (note,), targets=stimuli if values.ndim == 2 else None)


def _table_words(path: Path, values: Matrix, heading: bool, named: bool) -> str:
    parts = [*(["a heading"] if heading else []), *(["a first column of names"] if named else [])]
    found = " and ".join(parts) or "neither heading nor names"
    return f"{path.name} was read as {values.shape[0]} × {values.shape[1]} numbers with {found}"


def read_groups_csv(path: Path, n: int, stimuli: Names | None) -> Loaded:
    with broken_files_refused(path):
        rows = [[cell.strip() for cell in row] for _, row in _csv_rows(path)]
    width = {len(row) for row in rows}
    if width not in ({1}, {2}):
        raise FileError(f"{path.name} must have one column (group) or two (stimulus, group), got {sorted(width)}")
    if len(rows) == n + 1:
        rows = rows[1:]
    if len(rows) != n:
        raise FileError(f"{path.name} must have one line for each of {n} stimuli, got {len(rows)}")
    groups = np.array([row[-1] for row in rows])
    check_names(groups, path)
    if width == {1} or stimuli is None:
        taken = () if width == {1} else (f"{path.name} was taken in its own order: FEATURES names no stimuli",)
        return Loaded(groups, None, None, path, "", taken)
    named = tuple(row[0] for row in rows)
    order = order_by_name(named, stimuli, path.name, "FEATURES")
    return Loaded(groups[order], stimuli, None, path)


def read_triplets_text(path: Path) -> Loaded:
    """Lines of three numbers, with blanks or commas between; what follows # is a comment."""
    with broken_files_refused(path):
        with path.open(encoding="utf-8-sig") as stream:
            first = next((line for line in stream if line.split("#")[0].strip()), "")
        if not first:
            raise FileError(f"{path.name} must hold three numbers a line, got an empty file")
        try:
            values = np.loadtxt(path, delimiter="," if "," in first else None, ndmin=2, encoding="utf-8-sig")
        except ValueError as error:
            words = str(error).split("; ")[0].rstrip(".")
            raise FileError(f"{path.name} must hold three numbers a line, got a line of others: {words}") from error
    return Loaded(values, None, None, path)
