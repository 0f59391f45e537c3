"""Every accepted form of several subjects' movies -> one movie a subject, sliced when it is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray

from ..features import Matrix, as_array, as_float64
from ..pairs import pack, pair_count
from ..provenance import digest
from .movies import check_step

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .._typing import NamesLike
    from ..targets import Kind

__all__ = ["WINDOW", "Movies", "digests", "read_movies"]

WINDOW = ("window_start", "window_stop")


@dataclass(frozen=True)
class Movies:
    """Movies of S subjects over the same n stimuli and times.

    Attributes
    ----------
    arrays : S DataArrays (time, pair) or (time, stimulus, stimulus2), in memory or not
    subjects : (S,) names or numbers
    times : (T,) float64, in ``units``
    windows : (T,) starts and stops by coordinate, where times are windows
    kind : what they say they hold, or None
    stimuli : the names they give to the stimuli, or None
    """

    arrays: tuple[xarray.DataArray, ...]
    subjects: npt.NDArray[Any]
    times: Matrix
    units: str
    windows: dict[str, Matrix]
    kind: Kind | None
    stimuli: tuple[str, ...] | None

    def at(self, subject: int, span: slice) -> Any:
        """Some time points of one subject: an array, or a dask array that has not been computed."""
        part = self.arrays[subject].isel(time=span)
        return part.data if part.chunks is not None else part.values


def digests(constant: bool, names: Sequence[str], values: Any) -> npt.NDArray[np.uint8]:
    """SHA-256 (times, 32) of each time point's pairs, as float64: of a matrix, those above its diagonal.

    Every value passes here before anything is pruned, so what can't be pruned to is refused here, by the names of the
    times: infinite values, a time without values and, unless ``constant`` ones will do, without variation.
    """
    rows = as_float64(values, "movies")
    if np.isinf(rows).any():
        t, *_ = np.argwhere(np.isinf(rows))[0]
        raise ValueError(f"movies must not be infinite, got {rows[t][np.isinf(rows[t])][0]} at {names[t]}")
    rows = pack(rows) if rows.ndim == 3 else rows
    for name, row in zip(names, rows, strict=True):
        there = row[~np.isnan(row)]
        if not there.size:
            raise ValueError(f"movies must hold a pair that is not NaN, got none at {name}")
        if not constant and np.ptp(there) == 0:
            raise ValueError(f"movies must vary over the pairs, got {there[0]:g} throughout at {name}")
    return np.array([list(bytes.fromhex(digest(row))) for row in rows], dtype=np.uint8)


def read_movies(movies: Any, n: int, subjects: NamesLike | None = None, times: ArrayLike | None = None) -> Movies:
    """Read the movies of one or several subjects.

    Parameters
    ----------
    movies : DataArray with dims (subject, time, pair), array, or list or dict of one movie a subject
        As :func:`secateur.timecourse.prune` has it.
    n : int
        Number of stimuli.
    subjects, times : optional
        Names, and seconds, in place of the movies' own.

    Raises
    ------
    TypeError, ValueError
        Where shapes don't fit n, or subjects differ in times, stimuli or kind.
    """
    names: Sequence[Any] | None = None
    if hasattr(movies, "data_vars"):
        as_array(movies, "movies")
    if isinstance(movies, Mapping):
        names, movies = list(movies), list(movies.values())
    if isinstance(movies, list | tuple):
        if not movies:
            raise ValueError("movies must hold at least one subject, got none")
        if np.ndim(movies[0]) < 2:
            raise ValueError(f"movies must have dims (time, pair) for each subject, got shape {np.shape(movies[0])}")
        arrays = [_oriented(movie, n) for movie in movies]
        if any("subject" in array.dims for array in arrays):
            raise ValueError("movies must hold one subject in each entry of a list, got an entry with a dim 'subject'")
    else:
        whole = _oriented(movies, n)
        if "subject" in whole.dims:
            arrays = [whole.isel(subject=s) for s in range(whole.sizes["subject"])]
            names = whole.coords["subject"].values if "subject" in whole.coords else None
        else:
            arrays = [whole]
            names = [whole.coords["subject"].item()] if "subject" in whole.coords else None
    if subjects is not None:
        names = list(subjects)
    if names is not None and len(names) != len(arrays):
        raise ValueError(f"subjects must name each of {len(arrays)} subjects, got {len(names)} names")
    called = np.arange(len(arrays)) if names is None else np.asarray(names)
    if called.dtype.kind not in "iuU":
        called = np.array([str(name) for name in called])  # numpy's variable-width strings are cast by nothing else
    if len(np.unique(called)) < len(called):
        raise ValueError("subjects must be distinct, got a name twice")
    first = _described(arrays[0], times)
    for name, array in zip(called, arrays, strict=True):
        described = _described(array, times)
        for what in ("times", "units", "windows", "kind", "stimuli"):
            if not _same(described[what], first[what]):
                raise ValueError(f"movies must have the same {what} for every subject, got others for subject {name}")
    return Movies(tuple(arrays), called, **first)


def _oriented(movie: Any, n: int) -> xarray.DataArray:
    """A DataArray ([subject,] time, pair) or ([subject,] time, stimulus, stimulus2)."""
    pairs = pair_count(n)
    if isinstance(movie, xarray.DataArray):
        space = ("pair",) if "pair" in movie.dims else ("stimulus", "stimulus2")
        wanted = (*(("subject",) if "subject" in movie.dims else ()), "time", *space)
        if set(movie.dims) != set(wanted):
            raise ValueError(
                "movies must have dims ([subject,] time, pair) or ([subject,] time, stimulus, stimulus2), got "
                f"{', '.join(map(str, movie.dims))}"
            )
        array = movie.transpose(*wanted)
    else:
        masked = any(np.ma.is_masked(one) for one in (movie if isinstance(movie, list | tuple) else [movie]))
        movie = np.ma.filled(np.ma.asarray(movie, dtype=np.float64), np.nan) if masked else movie  # as a missing pair
        shaped = movie if hasattr(movie, "shape") and hasattr(movie, "dtype") else np.asarray(movie)
        square = shaped.ndim >= 3 and shaped.shape[-2:] == (n, n)
        space = ("stimulus", "stimulus2") if square else ("pair",)
        leading = shaped.ndim - len(space)
        if leading not in (1, 2):
            raise ValueError(f"movies must have shape ([subjects,] times, {pairs}), got {shaped.shape}")
        array = xarray.DataArray(shaped, dims=(*(("subject",) if leading == 2 else ()), "time", *space))
    sides = (pairs,) if space == ("pair",) else (n, n)
    if array.shape[-len(sides) :] != sides or not array.size:
        raise ValueError(
            f"movies must have {pairs} pairs, or ({n}, {n}) matrices, for the {n} stimuli of X, got shape {array.shape}"
        )
    if array.dtype.kind not in "fiub":
        raise TypeError(f"movies must hold real numbers, got dtype {array.dtype}")
    return array


def _described(array: xarray.DataArray, times: ArrayLike | None) -> dict[str, Any]:
    """What one movie says of itself."""
    count = array.sizes["time"]
    units = "s"
    if times is not None:
        given = times
    elif "time" in array.coords:
        given, units = array.coords["time"].values, str(array.coords["time"].attrs.get("units", "s"))
    else:
        given, units = np.arange(count), "sample"
    seconds = as_float64(given, "times")
    if seconds.shape != (count,):
        raise ValueError(f"times must have shape ({count},), one a time point, got {seconds.shape}")
    if not np.isfinite(seconds).all():
        raise ValueError(f"times must be finite, got {seconds[~np.isfinite(seconds)][0]}")
    windows = {name: as_float64(array.coords[name].values, name) for name in WINDOW if name in array.coords}
    if not windows and units in ("s", "sec", "second", "seconds"):
        check_step(seconds)
    if not windows and (np.diff(seconds) <= 0).any():  # neighbours in time form clusters
        t = int(np.argmax(np.diff(seconds) <= 0))
        raise ValueError(f"times must be increasing, got {seconds[t + 1]:g} after {seconds[t]:g}")
    named = array.attrs.get("stimuli")
    if named is None and "stimulus" in array.coords:
        named = array.coords["stimulus"].values
        other = array.coords["stimulus2"].values if "stimulus2" in array.coords else named
        if list(map(str, other)) != list(map(str, named)):
            raise ValueError("movies must name the same stimuli along dims stimulus and stimulus2, got others")
    kind = array.attrs.get("kind")
    if kind not in (None, "similarity", "dissimilarity"):
        raise ValueError(f"movies' attribute kind must be 'similarity' or 'dissimilarity', got {kind!r}")
    stimuli = None if named is None else tuple(map(str, named))
    return {"times": seconds, "units": units, "windows": windows, "kind": kind, "stimuli": stimuli}


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, np.ndarray):
        return one.shape == other.shape and np.allclose(one, other, rtol=0, atol=1e-9)
    return bool(one == other)
