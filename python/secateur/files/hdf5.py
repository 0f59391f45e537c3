""".mat, HDF5 and netCDF files, read in a process of their own: their readers crash on some damaged files."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path

from ..reading import Reader
from .entries import Entries, Entry

__all__ = ["isolated_entries"]


def isolated_entries(path: Path, stack: ExitStack) -> Entries:
    """The arrays of a file, which can be loaded until the stack is closed."""
    path.open("rb").close()  # a file that may not be read is said here
    reader = stack.enter_context(Reader(path))
    found = reader.ask("entries")
    return {
        name: Entry(
            tuple(shape), text, partial(reader.ask, "array", form=found["format"], name=name), hidden,
            stated.get("kind"), tuple(stated["stimuli"]) if "stimuli" in stated else None,
        )
        for name, shape, text, hidden, stated in found["entries"]
    }  # fmt: skip
