"""What a run has done, kept on disk: a killed run goes on where it was, and ends with the same bits.

A :class:`Place` is a folder in which a corner of ours says what its results depend on, and who writes it. How results
lie in it is its user's matter: a time course is a Zarr store, the parts of other runs are one file (:class:`Parts`).
"""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .atomic import whole_file
from .provenance import digest

__all__ = ["VERBS", "Arrays", "Parts", "Place", "kept_parts", "write_json"]

Arrays = dict[str, npt.NDArray[Any]]

SETTINGS = "settings.json"
FILE = "parts"
# A folder each, so that one store serves them all.
VERBS = ("cross_validate", "final_set", "bootstrap", "permutation_test", "timecourse.permutation_test")


@dataclass(frozen=True)
class Place:
    """A folder that one process writes, of results that depend on certain settings.

    Attributes
    ----------
    path : absolute, of the folder
    own : within it, where our corner is
    verb : the function that makes such places, for messages
    """

    path: Path
    own: Path
    verb: str

    @property
    def corner(self) -> Path:
        return self.path / self.own

    def begun(self) -> bool:
        return self.corner.is_dir()

    def begin(self, settings: Mapping[str, Any], fill: Callable[[Path], None]) -> int | None:
        """Fill a draft beside the place, locked, and move it there; None where another run was faster."""
        path = self.path
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise FileExistsError(
                f"store must be new, or one that {self.verb} has begun, got {str(path)!r}, which is neither"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.parent / f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}.partial"
        try:
            fill(draft)
            (draft / self.own).mkdir(parents=True, exist_ok=True)
            write_json(draft / self.own / SETTINGS, settings)
            lock = Place(draft, self.own, self.verb).lock()
            try:
                draft.rename(path)
            except OSError:
                os.close(lock)
                if not self.begun():
                    raise
                return None
            return lock
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def lock(self) -> int:
        """The place's lock, held until it is closed or the process ends, however it ends."""
        import fcntl

        lock = os.open(self.corner / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(lock, 99).decode() or "another"
            os.close(lock)
            raise RuntimeError(
                f"store {str(self.path)!r} is being written by process {owner}: let it end first"
            ) from None
        os.truncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
        return lock

    def check(self, settings: Mapping[str, Any]) -> None:
        """Refuse a place of a run with other settings or inputs; the first that differs is named."""
        begun = self.read(SETTINGS, str(self.path), "store")
        now = json.loads(json.dumps(settings))
        for name in [*now, *begun]:
            if begun.get(name) != now.get(name):
                raise ValueError(
                    f"store must be of a run with the same {name}, got {str(self.path)!r}, begun with "
                    f"{_short(begun.get(name))} where this run has {_short(now.get(name))}"
                )

    def read(self, file: str, given: str, name: str) -> dict[str, Any]:
        """A JSON object of our corner; ``given`` and ``name``: the argument, for messages."""
        whole = f"{name} must be as {self.verb} wrote it, got {given!r}, whose {self.own / file}"
        try:
            held = json.loads((self.corner / file).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ValueError(f"{whole} can't be read") from error
        if not isinstance(held, dict):
            raise ValueError(f"{whole} holds something else")
        return held


class Parts:
    """What a run makes part by part; with a file, what is in it is not made again.

    The file has one part behind the other: a line with its name, its length and the digest of what follows, then its
    arrays (npz). It is read up to the first part that is not whole, as a killed run, or a full disk, left it; what
    stands behind that is gone.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.file, self._lock = file, threading.Lock()
        self._places: dict[str, tuple[int, int]] = {}
        if file is not None:
            self._find(file)

    def part(self, what: str, number: int, make: Callable[[], Arrays]) -> Arrays:
        """A part by its name: from the file, or made now and kept."""
        held = self.held(what, number)
        if held is None:
            held = make()
            self.keep(what, number, held)
        return held

    def held(self, what: str, number: int) -> Arrays | None:
        """A part that is in the file, or None."""
        found = self._places.get(f"{what} {number}")
        if self.file is None or found is None:
            return None
        start, length = found
        with self.file.open("rb") as stream:
            stream.seek(start)
            held = io.BytesIO(stream.read(length))
        with np.load(held, allow_pickle=False) as arrays:
            return dict(arrays)

    def keep(self, what: str, number: int, made: Arrays) -> None:
        """Write a part behind the others, where there is a file."""
        if self.file is not None:
            self._append(self.file, f"{what} {number}", made)

    def first(self, what: str) -> int:
        """How many parts of this name, from the first on, are there."""
        count = 0
        while f"{what} {count}" in self._places:
            count += 1
        return count

    def _find(self, file: Path) -> None:
        end = 0
        with file.open("rb") as stream:
            while line := stream.readline():
                try:
                    name, length, expected = json.loads(line)
                    start = stream.tell()
                    held = stream.read(length)
                except (ValueError, TypeError, OverflowError):
                    break
                if not isinstance(name, str) or len(held) != length or digest(held) != expected:
                    break
                self._places[name] = start, length
                end = stream.tell()
        os.truncate(file, end)

    def _append(self, file: Path, name: str, made: Arrays) -> None:
        held = io.BytesIO()
        np.savez(held, **made)  # type: ignore[arg-type]  # numpy's stub takes these for its own argument
        values = held.getvalue()
        line = json.dumps([name, len(values), digest(values)]).encode() + b"\n"
        with self._lock, file.open("ab") as stream:  # two threads make parts on a device
            self._places[name] = stream.tell() + len(line), len(values)
            stream.write(line + values)


@contextmanager
def kept_parts(
    store: str | os.PathLike[str] | None, verb: str, settings: Callable[[], Mapping[str, Any]]
) -> Iterator[Parts]:
    """The parts of a run of one of :data:`VERBS`, kept in its folder of a store; without a store none are kept.

    Parameters
    ----------
    store : path, optional
        A folder: new, empty, or one that such runs have begun. It has one writer for each verb.
    verb : str
        Which of the functions.
    settings : function
        Gives what the parts depend on, by name, as JSON has it. Asked only where there is a store.

    Raises
    ------
    FileExistsError
        Where something else is at the path.
    RuntimeError
        Where another process writes it.
    ValueError
        Where it was begun with other settings, or is damaged; what differs is named.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for value in (1.0, 2.0):  # the second is never asked for
    ...         with kept_parts(folder + "/store", "bootstrap", lambda: {"seed": 0}) as kept:
    ...             print(kept.part("draws", 0, lambda: {"scores": np.array([value])})["scores"])
    [1.]
    [1.]
    """
    if store is None:
        yield Parts()
        return
    above = Path(store).absolute()
    if above.exists() and (
        not above.is_dir() or any(one.name not in VERBS and one.suffix != ".partial" for one in above.iterdir())
    ):
        raise FileExistsError(f"store must be new, or one that {verb} has begun, got {str(store)!r}, which is neither")
    place = Place(above / verb, Path(".secateur"), verb)
    depends = settings()

    def fill(draft: Path) -> None:
        draft.mkdir()
        (draft / FILE).touch()

    lock = None if place.begun() else place.begin(depends, fill)
    lock = place.lock() if lock is None else lock
    try:
        place.check(depends)
        file = place.path / FILE
        if not file.is_file():
            raise ValueError(f"store must be as {verb} wrote it, got {str(store)!r}, whose {verb}/{FILE} is lost")
        yield Parts(file)
    finally:
        os.close(lock)


def write_json(path: Path, thing: Any) -> None:
    """JSON, whole or not at all."""
    with whole_file(path) as draft:
        draft.write_text(json.dumps(thing), encoding="utf-8")


def _short(value: Any) -> str:
    if value is None:
        return "none"
    return value[:12] + "…" if isinstance(value, str) and len(value) == 64 else repr(value)
