"""What a report is made of: words, tables, pictures, lists, tabs."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas

__all__ = [
    "Block", "Bullets", "Chart", "Code", "Download", "Part", "Picture", "Tab", "Table", "Words", "cell_words",
    "table_of",
]  # fmt: skip

Cell = str | int | float | bool | None


@dataclass(frozen=True)
class Words:
    """A paragraph."""

    text: str
    kind: str = "words"


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    items: Sequence[str]
    kind: str = "bullets"


@dataclass(frozen=True)
class Code:
    """Text to be copied as it is; its style is ``wrap`` where lines may be broken, ``prose`` where it is sentences."""

    label: str
    text: str
    style: str = ""
    kind: str = "code"


@dataclass(frozen=True)
class Download:
    """A file that the page itself holds."""

    name: str
    text: str
    label: str
    kind: str = "download"

    @property
    def address(self) -> str:
        return "data:text/plain;charset=utf-8;base64," + base64.b64encode(self.text.encode()).decode()


@dataclass(frozen=True)
class Table:
    """A table with a caption; its columns sort.

    Attributes
    ----------
    caption : str
    head : names of the columns
    rows : one list of cells per row; numbers are formatted by their size, text stays as it is
    first : how many columns from the left hold words
    linked : whether the first column names files beside the page
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    first: int = 1
    linked: bool = False
    kind: str = "table"

    @property
    def numbers(self) -> list[bool]:
        """Which columns stand to the right: those beyond the first that hold numbers, as such or as text."""
        columns = [[row[k] for row in self.rows] for k in range(len(self.head))]
        return [k >= self.first and all(map(_numeric, column)) for k, column in enumerate(columns)]

    def shown(self) -> list[list[tuple[str, str]]]:
        """Rows of cells as they are read, with what they are sorted by; a column has one number of decimals."""
        digits = [_digits(name, [row[k] for row in self.rows]) for k, name in enumerate(self.head)]
        return [[(cell_words(value, digits[k]), _order(value)) for k, value in enumerate(row)] for row in self.rows]


@dataclass(frozen=True)
class Picture:
    """A picture as a data address, with words for those who don't see it; a wide one scrolls on a narrow screen."""

    address: str
    alt: str
    caption: str
    wide: bool = False
    kind: str = "picture"


@dataclass(frozen=True)
class Chart:
    """A chart whose values show under the pointer: a figure of Bokeh's, and words for those who don't see it."""

    figure: Any
    alt: str
    kind: str = "chart"


Block = Words | Bullets | Code | Download | Table | Picture | Chart


@dataclass(frozen=True)
class Tab:
    """One of several leaves of which one is shown."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Part:
    """A part of the page: blocks, then tabs where there are several of a thing."""

    key: str
    title: str
    blocks: Sequence[Block] = ()
    tabs: Sequence[Tab] = field(default_factory=tuple)


def _numeric(value: Cell) -> bool:
    return not isinstance(value, str) or re.match(r"[-−+]?[\d.]|–?$", value) is not None


def _digits(name: str, column: Sequence[Cell]) -> int | None:
    """Decimals of a column: fewer for larger values; None for p-values, which have digits of their own."""
    if re.match(r"(p|q|alpha)\b", name):
        return None
    numbers = [abs(value) for value in column if isinstance(value, float) and math.isfinite(value)]
    if numbers and all(value.is_integer() for value in numbers):
        return 0
    most = max(numbers, default=0)
    return 3 if most < 10 else 2 if most < 100 else 1


def cell_words(value: Cell, digits: int | None = 3) -> str:
    """A cell as it is read: so many decimals, or two digits that matter; nothing as a dash."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if type(value) is bool:
        return "yes" if value else "no"
    number = float(value)
    if math.isnan(number):
        return "–"
    if isinstance(value, int):
        return str(value)
    words = f"{number:.2g}" if digits is None or abs(number) >= 1e6 else f"{number:.{digits}f}"
    return words.replace("-", "−") if "e" not in words else words


def _order(value: Cell) -> str:
    """What a column is sorted by: the number itself; empty where there is none, which comes last."""
    if value is None or isinstance(value, str):
        return ""
    return "" if math.isnan(float(value)) else repr(float(value))


def table_of(caption: str, table: pandas.DataFrame, first: int = 1, names: Iterable[str] | None = None) -> Table:
    """A DataFrame's columns as a table; ``names`` takes some of them, in this order."""
    shown = table if names is None else table[[name for name in names if name in table.columns]]
    rows = [[_plain(value) for value in row] for row in shown.itertuples(index=False, name=None)]
    return Table(caption, [str(name).replace("_", " ") for name in shown.columns], rows, first)


def _plain(value: Any) -> Cell:
    value = value.item() if hasattr(value, "item") else value
    return value if isinstance(value, str | int | float) or value is None else str(value)
