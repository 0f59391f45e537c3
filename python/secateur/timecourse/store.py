"""A course in a Zarr store, chunk by chunk: a killed run goes on where it was.

A store is a Zarr group (format 2) that xarray opens. A folder in it says what it is made of, and has a mark for every
chunk that is done: the digest of its values, written after them. What a mark does not vouch for is redone.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray

from ..arguments import is_integer
from ..provenance import digest
from ..resuming import Place, write_json
from .codecs import check_zarr

__all__ = ["FRAME", "LAYOUT", "OWN", "Laid", "Store", "open_store", "opened", "place_of"]

OWN = Path("test", ".secateur")  # inside an array: in a group Zarr would take it for one of its own, and say so
LAYOUT = 2
FRAME = "frame.json"  # what a store holds besides scores: coordinates, test stimuli, attributes, layout

Laid = dict[str, tuple[tuple[str, ...], npt.NDArray[Any]]]


def place_of(dims: Sequence[str], subject: int, span: slice) -> tuple[Any, ...]:
    """Where a chunk lies in a variable of these dims."""
    return tuple(subject if dim == "subject" else span if dim == "time" else slice(None) for dim in dims)


@dataclass
class Store:
    """A store that this process writes; ``done`` are the chunks that it holds whole."""

    path: Path
    group: Any
    dims: dict[str, tuple[str, ...]]
    attrs: dict[str, Any]
    places: list[tuple[int, slice]]
    done: set[int] = field(default_factory=set)

    def put(self, key: int, made: Laid) -> None:
        """Write a chunk, then its mark."""
        subject, span = self.places[key]
        self._mark(key).unlink(missing_ok=True)  # what it vouched for is about to go
        for name, (dims, values) in made.items():
            self._file(name, key).unlink(missing_ok=True)  # a torn one would be read before it is written
            self.group[name][place_of(dims, subject, span)] = values
        write_json(self._mark(key), {name: _digest(values) for name, (_, values) in made.items()})
        self.done.add(key)

    def check(self) -> None:
        """Find the chunks whose values are those that their marks say."""
        for folder in self.dims:
            for torn in (self.path / folder).glob("*.partial"):
                torn.unlink()
        for key in range(len(self.places)):
            if self._vouched(key):
                self.done.add(key)

    def finish(self) -> xarray.Dataset:
        """The whole result, read from the store, which from now on says that it is whole."""
        import zarr

        recorded = [xarray.open_zarr(self.path, chunks=None, consolidated=whole).attrs for whole in (True, False)]
        if any("unfinished" in attrs for attrs in recorded):
            self.group.attrs.put(self.attrs)
            zarr.consolidate_metadata(str(self.path))
        course: xarray.Dataset = xarray.open_zarr(self.path, chunks=None)
        return course.load()

    def lost(self, course: xarray.Dataset, whole: bool) -> tuple[str, int] | None:
        """A variable and a chunk that is done by its mark, or because all is, and has no file."""
        for key, (subject, span) in enumerate(self.places):
            recorded = self._recorded(key)
            if recorded is None and not whole and not self._mark(key).exists():
                continue
            for name, dims in self.dims.items():
                if self._file(name, key).is_file():
                    continue
                # Zarr writes no file where all values are NaN, or 0.
                if recorded is None or _digest(course[name][place_of(dims, subject, span)].values) != recorded[name]:
                    return name, key
        return None

    def _recorded(self, key: int) -> dict[str, str] | None:
        """The digests of a chunk's variables by its mark; None where that says nothing of the kind."""
        try:
            recorded = json.loads(self._mark(key).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return recorded if isinstance(recorded, dict) and recorded.keys() == self.dims.keys() else None

    def _mark(self, key: int) -> Path:
        return self.path / OWN / "done" / f"{key}.json"

    def _file(self, name: str, key: int) -> Path:
        """The one file of a variable that holds a chunk."""
        subject, span = self.places[key]
        length = self.places[0][1].stop
        at = {"subject": subject, "time": span.start // length}
        return self.path / name / ".".join(str(at.get(dim, 0)) for dim in self.dims[name])

    def _vouched(self, key: int) -> bool:
        recorded = self._recorded(key)
        if recorded is None:
            return False
        subject, span = self.places[key]
        for name, dims in self.dims.items():
            try:
                values = np.asarray(self.group[name][place_of(dims, subject, span)])
            except Exception:  # codecs differ in what they say of a torn file
                return False
            if _digest(values) != recorded[name]:
                return False
        return True


@contextmanager
def opened(
    path: str | os.PathLike[str],
    blank: xarray.Dataset,
    settings: dict[str, Any],
    places: list[tuple[int, slice]],
) -> Iterator[Store]:
    """A store to write: a new one, or one that a run with the same settings has begun.

    Parameters
    ----------
    path : path
        Of the store.
    blank : xarray.Dataset
        The result before anything is in it.
    settings : dict
        What the result depends on.
    places : list of (subject, times)
        The chunks.

    Raises
    ------
    FileExistsError
        Where something else is at the path.
    RuntimeError
        Where another process writes it.
    ValueError
        Where it was begun with other settings, or is damaged; what differs is named.
    """
    try:
        import zarr
    except ImportError as error:
        raise ImportError("store needs zarr and dask: pip install 'secateur[cluster]'") from error
    place = Path(path).absolute()
    if (place / OWN).is_dir():
        check_zarr(place, "store")
    settings = {"layout": LAYOUT, "chunk": places[0][1].stop, **settings}
    dims = {str(name): tuple(map(str, array.dims)) for name, array in blank.data_vars.items() if "time" in array.dims}
    own = _place(place)
    lock = None if own.begun() else own.begin(settings, lambda draft: _fill(draft, blank, dims, settings["chunk"]))
    lock = own.lock() if lock is None else lock
    try:
        own.check(settings)
        _check_frame(place, _frame(blank, _chunks(blank, dims, settings["chunk"])), str(path), "store")
        store = Store(place, zarr.open_group(str(place), mode="r+"), dims, dict(blank.attrs), places)
        store.check()
        yield store
    finally:
        os.close(lock)


def open_store(path: str | os.PathLike[str]) -> xarray.Dataset:
    """Open what :func:`secateur.timecourse.prune` keeps in a store, finished or not.

    Parameters
    ----------
    path : path
        Of the store.

    Returns
    -------
    xarray.Dataset
        Read when it is needed. Of an unfinished run: NaN, and no features kept, where nothing is yet.

    Raises
    ------
    FileNotFoundError
        Where there is no such store.
    ValueError
        Where its metadata, its coordinates or its test stimuli are not those that were written, or a file of scores is
        lost; the message names the part. Values are read when they are needed, and not compared with what was written:
        ``prune`` with the same arguments does that, and makes again what is lost or damaged.

    Warns
    -----
    UserWarning
        Where the run has not finished: how many chunks are done.

    Examples
    --------
    >>> import tempfile
    >>> from secateur.timecourse import prune
    >>> rng = np.random.default_rng(0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     movies, store = rng.normal(size=(2, 3, 36)), folder + "/course.zarr"
    ...     course = prune(rng.normal(size=(9, 5)), movies, cv=3, kind="dissimilarity", store=store)
    ...     again = open_store(folder + "/course.zarr").load()
    >>> again.identical(course)
    True
    """
    place = Path(path).absolute()
    if not (place / OWN).is_dir():
        raise FileNotFoundError(f"path must be a store that prune has written, got {str(path)!r}")
    check_zarr(place)
    settings, frame = (_place(place).read(file, str(path), "path") for file in ("settings.json", FRAME))
    _check_frame(place, frame, str(path), "path")
    course: xarray.Dataset = xarray.open_zarr(place, chunks=None)
    unfinished, length = "unfinished" in course.attrs, _chunk_length(settings, str(path))
    spans = [slice(t, min(t + length, course.sizes["time"])) for t in range(0, course.sizes["time"], length)]
    places = [(subject, span) for subject in range(course.sizes["subject"]) for span in spans]
    dims = {name: tuple(frame[name]["dims"]) for name in _chunked(frame)}
    store = Store(place, None, dims, {}, places)
    lost = store.lost(course, whole=not unfinished)
    if lost is not None:
        subject, span = places[lost[1]]
        who, (first, last) = course["subject"].values[subject], course["time"].values[[span.start, span.stop - 1]]
        raise ValueError(
            f"path must be as prune wrote it, got {str(path)!r}, whose {lost[0]} of subject {who} from {first:g} to "
            f"{last:g} is lost: prune with the same arguments makes it again"
        )
    if unfinished:
        done = f"{len(list((place / OWN / 'done').glob('*.json')))} of {len(places)} chunks are done"
        message = f"{str(path)!r} is unfinished, {done}: prune with the same arguments goes on"
        warnings.warn(message, UserWarning, stacklevel=2)
    return course


def _place(path: Path) -> Place:
    return Place(path, OWN, "prune")


def _fill(draft: Path, blank: xarray.Dataset, dims: dict[str, tuple[str, ...]], times: int) -> None:
    """A store without any chunk."""
    import dask.array
    import zarr

    full: Any = dask.array.full
    empty = blank.copy()
    for name, chunks in _chunks(blank, dims, times).items():
        own, array = dims[name], blank[name]
        fill = np.nan if array.dtype.kind == "f" else 0
        empty[name] = own, full(array.shape, fill, dtype=array.dtype, chunks=chunks)
    empty.attrs["unfinished"] = "secateur.timecourse.open_store says how far it is"
    form: dict[str, Any] = {"zarr_format": 2} if int(zarr.__version__.split(".")[0]) > 2 else {}
    empty.to_zarr(draft, mode="w-", compute=False, consolidated=True, **form)
    (draft / OWN / "done").mkdir(parents=True)
    write_json(draft / OWN / FRAME, _frame(blank, _chunks(blank, dims, times)))


def _chunk_length(settings: dict[str, Any], path: str) -> int:
    """Times in a chunk."""
    length = settings.get("chunk")
    if not is_integer(length) or length < 1:
        file = OWN / "settings.json"
        raise ValueError(f"path must be as prune wrote it, got {path!r}, whose {file} has {length!r} times a chunk")
    return length


def _chunks(blank: xarray.Dataset, dims: dict[str, tuple[str, ...]], times: int) -> dict[str, list[int]]:
    """How scores are cut: a subject and so many times in each file."""
    most = {"subject": 1, "time": times}
    return {name: [min(most.get(str(dim), size), size) for dim, size in blank[name].sizes.items()] for name in dims}


def _frame(course: xarray.Dataset, chunks: dict[str, Any]) -> dict[str, Any]:
    """What a course is besides the values of its scores (those with chunks), as JSON has it."""
    frame: dict[str, Any] = {"attributes": {name: v for name, v in course.attrs.items() if name != "unfinished"}}
    for name, array in course.variables.items():
        dtype = array.dtype.name if array.dtype.kind in "biuf" else array.dtype.kind
        recorded = {"dims": list(array.dims), "shape": list(array.shape), "dtype": dtype, **array.attrs}
        if name in chunks:
            recorded["chunks"] = list(chunks[name])
        else:
            recorded["values"] = digest(json.dumps(array.values.tolist()))
        frame[str(name)] = recorded
    return json.loads(json.dumps(frame))  # type: ignore[no-any-return]


def _chunked(frame: dict[str, Any]) -> list[str]:
    """The variables of a frame that are written chunk by chunk."""
    return [name for name, recorded in frame.items() if name != "attributes" and "chunks" in recorded]


def _check_frame(place: Path, frame: dict[str, Any], path: str, name: str) -> None:
    """Refuse a store that says otherwise, in its arrays' own metadata or in the consolidated copy of them."""
    scores = _chunked(frame)
    for consolidated in (True, False):
        try:
            with xarray.open_zarr(place, chunks=None, consolidated=consolidated) as course:
                found = _frame(course, {score: course[score].encoding["chunks"] for score in scores})
        except Exception as error:  # xarray, Zarr and codecs differ in what they say of damage
            reason = " ".join(str(error).split())[:120].rstrip(".") or type(error).__name__
            words = f"{name} must be as prune wrote it, got {path!r}, which can't be opened: {reason}"
            raise ValueError(words) from error
        other = [what for what in {**frame, **found} if frame.get(what) != found.get(what)]
        if other:
            raise ValueError(
                f"{name} must be as prune wrote it, got {path!r}, whose {other[0]} is damaged or another's: "
                "prune into a new one"
            )


def _digest(values: npt.NDArray[Any]) -> str:
    if values.dtype.kind == "f":
        values = np.where(np.isnan(values), values.dtype.type(np.nan), values)  # one NaN: zarr keeps no other in a fill
    return digest(values)
