"""Asks the process that reads .mat, HDF5 and netCDF files."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from .limits import LIFT, ReadError, current

if TYPE_CHECKING:
    import xarray

__all__ = ["GRACE", "Reader", "netcdf_array", "netcdf_dataset"]

GRACE = 30.0  # seconds by the clock beside thrice the processor's: for disks and busy machines, a start included
_OWN_MEMORY = 3 << 30  # address space of Python and the readers themselves
_KINDS = "fiubcMmSU"


class Reader:
    """A process that reads one file, for the time of a ``with`` block.

    Parameters
    ----------
    path : path
        The file.

    Raises
    ------
    ReadError
        Where the reader refuses the file, crashes, or takes more time or memory than the limits allow.

    Examples
    --------
    >>> import h5py, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with h5py.File(f"{folder}/a.h5", "w") as file:
    ...         file["x"] = [1.0, 2.0]
    ...     with Reader(f"{folder}/a.h5") as reader:
    ...         reader.ask("array", form="hdf5", name="x")
    array([1., 2.])
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.limits = current()

    def __enter__(self) -> Reader:
        single = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
        self.process = subprocess.Popen(
            [_interpreter(), "-I", "-S", str(Path(__file__).with_name("child.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={**os.environ, **single},
        )  # fmt: skip
        size = None if math.isinf(self.limits.size) else int(self.limits.size)
        memory = None if size is None else 2 * size + _OWN_MEMORY
        try:
            self._send({"path": sys.path, "size": size, "memory": memory, "seconds": self.limits.seconds, "lift": LIFT})
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            with suppress(OSError):  # what was not sent has nobody to go to
                stream.close()
        self.process.wait()

    def ask(self, verb: str, **arguments: Any) -> Any:
        """Ask what ``child.Files`` answers.

        Parameters
        ----------
        verb : str
            Its method.
        **arguments
            What the method takes beside the path.

        Returns
        -------
        Any
            Arrays, and lists and dicts of them.
        """
        try:
            work = self.path.stat().st_size
        except OSError as error:
            raise ReadError(str(error)) from error
        # The process limits its own processor time; the clock is for what waits, and where there is no such limit.
        allowed, late = GRACE + 3 * self.limits.seconds + work / 1e6, threading.Event()

        def end() -> None:
            late.set()
            self.process.kill()

        clock = threading.Timer(allowed, end)
        clock.daemon = True
        clock.start()
        try:
            self._send([verb, {"path": os.path.abspath(self.path), **arguments}])
            reply = json.loads(self._bytes(int.from_bytes(self._bytes(8), "little")))
            if "refused" in reply:
                raise ReadError(reply["refused"], whole=True)
            if "error" in reply:
                kind, words = reply["error"]
                if kind == "MemoryError":
                    words = "it takes more memory than its limit allows"
                raise ReadError(" ".join(words.split()) or kind, kind=kind)
            return self._decoded(reply["answer"])
        except (EOFError, BrokenPipeError, ConnectionError) as error:
            if late.is_set():
                raise ReadError(f"its reader takes more than {allowed:.3g} s", kind="SIGKILL") from error
            raise self._died() from error
        except (LookupError, RecursionError, TypeError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ReadError("its reader gave no sense") from error
        finally:
            clock.cancel()

    def _died(self) -> ReadError:
        code = self.process.wait()
        name = signal.Signals(-code).name if code < 0 else str(code)
        if name == "SIGXCPU":
            words = f"it takes more than {self.limits.seconds:g} s of processor time beyond what its size explains"
        elif name == "SIGKILL":
            words = "its reader was killed, as for want of memory"
        else:
            words = f"its reader crashed on it ({name}), so the file is damaged"
        return ReadError(words, kind=name)

    def _send(self, words: Any) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(words).encode("ascii") + b"\n")
            self.process.stdin.flush()
        except OSError as error:
            raise self._died() from error

    def _bytes(self, count: int) -> bytes:
        assert self.process.stdout is not None
        found = self.process.stdout.read(count)
        if len(found) < count:
            raise EOFError
        return found

    def _decoded(self, reply: dict[str, Any]) -> Any:
        ((form, held),) = reply.items()
        if form == "array":
            dtype, shape = np.dtype(held[0]), tuple(held[1])
            if dtype.kind not in _KINDS:
                raise TypeError(dtype)
            return self._values(dtype, shape)
        if form == "struct":
            names, shape, rows = held
            struct = np.empty(len(rows), dtype=[(name, object) for name in names])
            for i, row in enumerate(rows):
                struct[i] = tuple(self._decoded(one) for one in row)
            return struct.reshape(shape)
        if form == "cell":
            shape, items = held
            cells = np.empty(len(items), dtype=object)
            for i, one in enumerate(items):
                cells[i] = self._decoded(one)
            return cells.reshape(shape)
        if form == "dict":
            return {name: self._decoded(one) for name, one in held}
        if form == "list":
            return [self._decoded(one) for one in held]
        return reply["plain"]

    def _values(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Any:
        assert self.process.stdout is not None
        values = np.empty(shape, dtype)
        if values.nbytes == 0:
            return values
        place, got = values.reshape(-1).view(np.uint8).data, 0
        while got < len(place):
            count = self.process.stdout.readinto(place[got:])  # type: ignore[attr-defined]
            if not count:
                raise EOFError
            got += count
        return values


def _interpreter() -> str:
    """The Python that runs, also where a host program has it inside."""
    base, own = Path(sys.prefix), [sys.executable, getattr(sys, "_base_executable", None)]
    own += [str(base / "bin" / "python3"), str(base / "python.exe"), str(base / "Scripts" / "python.exe")]
    for one in own:
        if one and Path(one).name.lower().startswith(("python", "pypy")) and Path(one).is_file():
            return one
    raise ReadError(
        "these files are read in a Python process of their own, and no Python interpreter was found to start it"
    )


def netcdf_array(
    path: str | os.PathLike[str], key: str | None = None, dims: Sequence[str] | None = None
) -> tuple[list[str], xarray.DataArray | None]:
    """One array of a netCDF file with its coordinates, as xarray decodes them.

    Parameters
    ----------
    path : path
        A netCDF 4 file.
    key : str, optional
        The array's name; may be left out where there is one.
    dims : sequence of str, optional
        Arrays without any of these dims don't count.

    Returns
    -------
    names : list of str
        The arrays that there are.
    array : xarray.DataArray or None
        None where there is no such array, or no only one.

    Raises
    ------
    ReadError
        Where the file can't be read.
    """
    import xarray

    with Reader(path) as reader:
        reply = reader.ask("netcdf", key=key, dims=None if dims is None else list(dims))
    if reply["array"] is None:
        return reply["own"], None
    parts = {name: (one["dims"], one["values"], one["attrs"]) for name, one in reply["array"].items()}
    own, values, attrs = parts.pop("")
    return reply["own"], xarray.DataArray(values, parts, own, reply["name"], attrs)


def netcdf_dataset(path: str | os.PathLike[str]) -> xarray.Dataset:
    """All arrays of a netCDF file's root, as xarray decodes them.

    Parameters
    ----------
    path : path
        A netCDF 4 file.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    ReadError
        Where the file can't be read.
    """
    import xarray

    with Reader(path) as reader:
        reply = reader.ask("dataset")
    parts = {name: (one["dims"], one["values"], one["attrs"]) for name, one in reply["parts"].items()}
    own = {name: parts.pop(name) for name in reply["own"]}
    attrs = {
        name: value.item() if getattr(value, "shape", None) == () else value for name, value in reply["attrs"].items()
    }
    return xarray.Dataset(own, parts, attrs)
