"""The most that a file may hold and take."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["GIB", "LIFT", "Limits", "ReadError", "check_size", "current", "in_units", "limits"]

GIB = 1 << 30
LIFT = "--any-size, or secateur.reading.limits, lifts this"


def _half_of_memory() -> float:
    """Half of this machine's memory in bytes; 8 GiB where it can't be asked."""
    try:
        return max(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2, GIB)
    except (AttributeError, OSError, ValueError):
        return 8.0 * GIB


class ReadError(ValueError):
    """A file that can't be read.

    Attributes
    ----------
    whole : bool
        The message is a sentence that names the file; else it is what its reader said.
    kind : str
        The name of the reader's error, or how its process ended.
    """

    def __init__(self, words: str, whole: bool = False, kind: str = "") -> None:
        super().__init__(words)
        self.whole, self.kind = whole, kind


@dataclass(frozen=True)
class Limits:
    """The most that a file may hold and take.

    Attributes
    ----------
    size : float
        Bytes of one array, unpacked.
    pixels : float
        Pixels of one image, unpacked. The default is the number from which Pillow speaks of a bomb.
    seconds : float
        Of processor time before a reader of .mat, HDF5 and netCDF files is ended; by the clock 30 s and thrice as many,
        for disks that are slow and machines that are busy. Files get more by their size: a second of processor time for
        10 MB, by the clock for one.
    """

    size: float
    pixels: float = 178_956_970
    seconds: float = 10.0


_now: ContextVar[Limits | None] = ContextVar("limits", default=None)


def current() -> Limits:
    """The limits that hold."""
    return _now.get() or Limits(_half_of_memory())


@contextmanager
def limits(size: float | None = None, pixels: float | None = None, seconds: float | None = None) -> Iterator[Limits]:
    """Set what files may hold and take, for what is read in the ``with`` block of this thread.

    Parameters
    ----------
    size : float, optional
        The most bytes of one array, unpacked; half of the machine's memory by default, ``math.inf`` for no limit.
    pixels : float, optional
        The most pixels of one image; 178 956 970 by default, ``math.inf`` for no limit.
    seconds : float, optional
        Processor time of the readers of .mat, HDF5 and netCDF files, beside what their size takes; 10 by default. By
        the clock they have 30 s more than thrice as many: a minute by default.

    Yields
    ------
    Limits

    Raises
    ------
    ValueError
        Where a limit is not above 0.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from secateur.files import read_features_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/x.npy", np.zeros((100, 50)))
    ...     with limits(size=1000):
    ...         read_features_file(f"{folder}/x.npy")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    secateur.files.FileError: x.npy must hold arrays of at most 1000 B, got one of 39.1 KiB: ...
    """
    held = current()
    given = {"size": size, "pixels": pixels, "seconds": seconds}
    for name, value in given.items():
        if value is not None and not value > 0:
            raise ValueError(f"{name} must be above 0, got {value!r}")
    chosen = Limits(*(getattr(held, name) if value is None else float(value) for name, value in given.items()))
    token = _now.set(chosen)
    try:
        yield chosen
    finally:
        _now.reset(token)


def check_size(size: float, name: str) -> None:
    """Raise where an array would be too large, before it is read.

    Parameters
    ----------
    size : float
        Its bytes, as its header says.
    name : str
        Its file, for the message.

    Raises
    ------
    ReadError
        Where it is above the limit.
    """
    most = current().size
    if size > most:
        message = f"{name} must hold arrays of at most {in_units(most)}, got one of {in_units(size)}: {LIFT}"
        raise ReadError(message, whole=True)


def in_units(size: float) -> str:
    """Bytes in words."""
    if math.isinf(size):
        return "any size"
    step = 0 if size < 1024 else min(int(math.log(size, 1024)), 6)
    return f"{size / 1024**step:.1f} {('B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB')[step]}".replace(".0 B", " B")
