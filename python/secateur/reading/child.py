"""The process that reads .mat, HDF5 and netCDF files: asked over its standard input, it answers over its output.

SciPy's and HDF5's readers crash on some damaged files and never end on others. Here that ends this process alone. It is
started as a script and imports nothing of the library, so that it starts fast; :mod:`secateur.reading.process` asks it.

A question is a line of JSON. An answer is eight bytes (the length of what follows), JSON, and the bytes of the arrays
that the JSON names by dtype and shape, in that order.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["NUMERIC", "Files", "Refused", "answer", "coded", "main"]

NUMERIC = {"double", "single", "logical", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}


class Refused(Exception):
    """A file that is refused, in a sentence of ours."""


class Files:
    """What can be asked, and the limits of this process."""

    def __init__(self, size: float, seconds: float, lift: str) -> None:
        self.size, self.seconds, self.lift = size, seconds, lift
        self.held = 0.0  # bytes of what one answer holds, where it is of many parts

    # Limits -----------------------------------------------------------------------------------------------------

    def allow(self, work: float) -> None:
        """Processor time for the next step: what every file gets, and a second for each 10 MB."""
        try:
            import resource

            used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
            soft = math.ceil(used + min(self.seconds + work / 1e7, 1e8))
            resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        except (ImportError, OSError, ValueError):
            pass  # no such limits here: the parent's clock is left

    def check(self, size: float, name: str) -> None:
        if size > self.size:
            message = f"{name} must hold arrays of at most {self.size:.3g} bytes"
            raise Refused(f"{message}, got one of {size:.3g}: {self.lift}")

    # What is in a file ------------------------------------------------------------------------------------------

    def entries(self, path: str) -> dict[str, Any]:
        """The arrays of a file: name, shape, whether it is text, whether it is hidden, what its attributes say."""
        import h5py

        self.allow(os.path.getsize(path))
        place = Path(path)
        if h5py.is_hdf5(path):
            return {"format": "hdf5", "entries": self._hdf5_entries(place, place.suffix.lower() == ".mat")}
        if place.suffix.lower() == ".mat":
            return {"format": "mat", "entries": self._mat_entries(place)}
        if place.suffix.lower() == ".nc":
            raise Refused(
                f"{place.name} must be netCDF 4 (HDF5), got another format: nccopy -k nc4 turns classic files into it"
            )
        raise Refused(f"{place.name} must be an HDF5 file, got another format")

    def array(self, path: str, form: str, name: str) -> Any:
        """One of the arrays that :meth:`entries` names."""
        place = Path(path)
        if form == "hdf5":
            return self._from_hdf5(place, name, place.suffix.lower() == ".mat")
        return self._from_mat(place, name)

    def variables(self, path: str, names: list[str] | None, fields: list[str] | None = None) -> dict[str, Any]:
        """Variables of a .mat file as SciPy gives them, those of -v7.3 too.

        ``fields`` are the only ones that are read of a variable's structs in -v7.3; others may be long histories.
        """
        import h5py
        from scipy.io import loadmat

        self.allow(16 * os.path.getsize(path))
        if not h5py.is_hdf5(path):
            held = loadmat(path, variable_names=names)
            return {name: value for name, value in held.items() if not name.startswith("__")}
        self.held = 0.0
        with h5py.File(path, "r") as file:
            self._check_sources(file, Path(path))
            own = [name for name in file if not name.startswith("#") and (names is None or name in names)]
            return {name: self._matlab(file, file[name], f"{Path(path).name}:{name}", fields) for name in own}

    def netcdf(self, path: str, key: str | None, dims: list[str] | None) -> dict[str, Any]:
        """One array of a netCDF file as xarray decodes it; ``array`` is None where none or several fit.

        With ``dims`` the only array that has one of these dims is taken.
        """
        import h5py
        import xarray

        self.allow(os.path.getsize(path))
        with h5py.File(path, "r") as file:
            self._check_sources(file, Path(path))
        with xarray.open_dataset(path, engine="h5netcdf") as held:
            own = [str(name) for name, one in held.data_vars.items() if dims is None or set(dims) & set(one.dims)]
            if (key is None and len(own) != 1) or (key is not None and key not in own):
                return {"own": own, "array": None}
            array = held[own[0] if key is None else key]
            self.check(array.nbytes, Path(path).name)
            self.allow(array.nbytes)
            array = array.load()
        parts = {"": array.variable, **{str(name): one.variable for name, one in array.coords.items()}}
        coded = {}
        for name, one in parts.items():
            values = one.values
            if values.dtype == object:
                values = values.astype(str)
            coded[name] = {"dims": [str(d) for d in one.dims], "values": values, "attrs": dict(one.attrs)}
        return {"own": own, "array": coded, "name": str(array.name)}

    def dataset(self, path: str) -> dict[str, Any]:
        """All arrays of a netCDF file's root as xarray decodes them."""
        import h5py
        import xarray

        self.allow(os.path.getsize(path))
        with h5py.File(path, "r") as file:
            self._check_sources(file, Path(path))
        with xarray.open_dataset(path, engine="h5netcdf") as held:
            self.check(held.nbytes, Path(path).name)
            self.allow(held.nbytes)
            held = held.load()
        parts = {}
        for name, one in held.variables.items():
            values = one.values.astype(str) if one.values.dtype == object else one.values
            parts[str(name)] = {"dims": [str(d) for d in one.dims], "values": values, "attrs": dict(one.attrs)}
        return {"own": [str(name) for name in held.data_vars], "parts": parts, "attrs": dict(held.attrs)}

    # MATLAB -----------------------------------------------------------------------------------------------------

    def _mat_entries(self, path: Path) -> list[Any]:
        from scipy.io import whosmat

        entries: list[Any] = []
        for name, shape, kind in whosmat(str(path)):
            if kind in NUMERIC:
                self.check(8.0 * math.prod(shape), f"{path.name}:{name}")
                entries.append((name, list(shape), False, False, {}))
            elif kind in ("char", "cell"):
                # A matrix of characters has a row per name.
                entries.append((name, list(shape[:1] if kind == "char" else shape), True, False, {}))
            elif kind == "struct":
                entries += self._fields(name, self._variable(path, name))
        if not entries:
            raise Refused(f"{path.name} must hold a matrix, got none (of struct arrays save the matrix itself)")
        return entries

    def _variable(self, path: Path, name: str) -> Any:
        return self._dense(self.variables(str(path), [name])[name], f"{path.name}:{name}")

    def _dense(self, value: Any, name: str) -> Any:
        import numpy as np

        if hasattr(value, "toarray"):
            self.check(float(math.prod(value.shape)) * value.dtype.itemsize, name)
            return value.toarray()
        return np.asarray(value)

    def _fields(self, name: str, struct: Any) -> list[Any]:
        """Fields of a struct, and of structs in it, as ``struct/field``; arrays of several structs are left out."""
        if struct.dtype.names is None:
            if struct.dtype.kind in "fiub":
                return [(name, list(struct.shape), False, False, {})]
            if struct.dtype.kind in "UO":
                shape = struct.shape[:1] if struct.dtype.kind == "U" else struct.shape
                return [(name, list(shape), True, False, {})]
            return []
        if struct.size != 1:
            return []
        entries: list[Any] = []
        for field in struct.dtype.names:
            entries += self._fields(f"{name}/{field}", self._dense(struct.ravel()[0][field], name))
        return entries

    def _from_mat(self, path: Path, name: str) -> Any:
        variable, *fields = name.split("/")
        value = self._variable(path, variable)
        for field in fields:
            value = self._dense(value.ravel()[0][field], name)
        return self._words(path, name, value) if value.dtype.kind in "UO" else value

    def _words(self, path: Path, name: str, cells: Any) -> Any:
        import numpy as np

        words = []
        for item in cells.ravel():
            word = np.asarray(item).ravel()
            if word.dtype.kind not in "US" or word.size > 1:
                raise Refused(f"{path.name}:{name} must be a cell array of words, got {np.asarray(item).dtype} in it")
            words.append(str(word[0]).strip() if word.size else "")
        return np.array(words)

    def _matlab(self, file: Any, item: Any, name: str, fields: list[str] | None = None) -> Any:
        """A variable of a -v7.3 file, with all that it refers to; None for functions, tables and other objects."""
        import h5py
        import numpy as np

        kind = _attribute(item, "MATLAB_class")
        if isinstance(item, h5py.Group):
            if kind not in ("struct", "") or "MATLAB_sparse" in item.attrs:
                return None
            own = [field for field in item if fields is None or field in fields]
            # The fields of an array of structs are arrays of references, as cells are, but without a class.
            several = [_refers(item[field]) and not _attribute(item[field], "MATLAB_class") for field in own]
            if any(several) and all(several):
                columns = [self._referred(file, item[field], f"{name}.{field}") for field in own]
                shape = columns[0].shape
                if any(column.shape != shape for column in columns):
                    raise ValueError(f"the fields of {name} are of different sizes")
            else:
                columns, shape = [], (1, 1)
                for field in own:
                    cell = np.empty((1, 1), dtype=object)
                    cell[0, 0] = self._matlab(file, item[field], f"{name}.{field}")
                    columns.append(cell)
            struct = np.empty(shape, dtype=[(field, object) for field in own])
            for field, column in zip(own, columns, strict=True):
                struct[field] = column
            return struct
        if item.attrs.get("MATLAB_empty", 0) or item.shape is None:
            return np.zeros((0, 0))
        if _refers(item):
            return self._referred(file, item, name, fields)
        if kind not in (*NUMERIC, "char", ""):
            return None
        self.held += float(math.prod(item.shape)) * item.dtype.itemsize
        self.check(self.held, name)
        values = item[()].T
        if kind == "char":
            return np.array([_characters(row) for row in np.atleast_2d(values)])
        if values.dtype.names == ("real", "imag"):
            return values["real"] + 1j * values["imag"]
        return values

    def _referred(self, file: Any, item: Any, name: str, fields: list[str] | None = None) -> Any:
        """What the references of a cell, or of a field of several structs, refer to."""
        import numpy as np

        self.held += 64.0 * math.prod(item.shape)  # of an array in Python, however small
        self.check(self.held, name)
        places = np.atleast_1d(item[()]).T
        cells = np.empty(places.size, dtype=object)
        for i, place in enumerate(places.ravel()):
            cells[i] = self._matlab(file, file[place], name, fields)
        return cells.reshape(places.shape)

    # HDF5 -------------------------------------------------------------------------------------------------------

    def _check_sources(self, file: Any, path: Path) -> None:
        """Refuse values that lie in other files, unless all that a virtual array needs is there."""
        import h5py

        links: list[str] = []
        arrays: list[str] = []

        def look_at_link(name: bytes | str, info: Any) -> None:
            if info.type == h5py.h5l.TYPE_EXTERNAL:
                links.append(name.decode("utf-8", "replace") if isinstance(name, bytes) else name)

        def look_at(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                arrays.append(name)

        file.id.links.visit(look_at_link, info=True)
        if links:
            raise Refused(
                f"{path.name} must hold its arrays itself, got a link to another file at {links[0]!r}: copy it in"
            )
        file.visititems(look_at)
        for name in arrays:
            if file[name].external:
                raise Refused(f"{path.name} must hold its arrays itself, got values in another file for {name!r}")
            if file[name].is_virtual:
                self._check_virtual(file[name], name, path)

    def _check_virtual(self, item: Any, name: str, path: Path) -> None:
        import h5py

        for source in item.virtual_sources():
            message = f"{path.name} must hold its arrays itself, or beside it, got the virtual array {name!r}"
            if "%" in source.file_name or "%" in source.dset_name:
                raise Refused(f"{message} of a pattern of files, {source.file_name!r}: copy the values into one array")
            if source.file_name == ".":
                if source.dset_name not in item.file:
                    raise Refused(f"{message}, whose source {source.dset_name!r} is missing")
                continue
            other = path.parent / source.file_name
            if not other.is_file():
                raise Refused(f"{message}, whose source {source.file_name!r} is missing")
            with h5py.File(other, "r") as held:
                if not isinstance(held.get(source.dset_name), h5py.Dataset):
                    raise Refused(f"{message}, whose source {source.file_name}:{source.dset_name} is missing")

    def _hdf5_entries(self, path: Path, matlab: bool) -> list[Any]:
        import h5py

        entries: list[Any] = []

        def visit(name: str, item: Any) -> None:
            if not isinstance(item, h5py.Dataset) or name.startswith("#") or item.shape is None:
                return
            kind = _attribute(item, "MATLAB_class")
            words = h5py.check_string_dtype(item.dtype) is not None or (matlab and kind in ("cell", "char"))
            if not words and item.dtype.kind not in "fiub":
                return
            dimension = _attribute(item, "CLASS") == "DIMENSION_SCALE"
            if dimension and _attribute(item, "NAME").startswith("This is a netCDF dimension but not"):
                return
            # MATLAB counts dimensions from the other end.
            shape = list(reversed(item.shape)) if matlab else list(item.shape)
            said = {} if matlab else _said_of(item)
            entries.append((name, shape[:1] if kind == "char" else shape, words, dimension and not words, said))

        with h5py.File(path, "r") as file:
            self._check_sources(file, path)
            file.visititems(visit)
        return entries

    def _from_hdf5(self, path: Path, name: str, matlab: bool) -> Any:
        import h5py
        import numpy as np

        with h5py.File(path, "r") as file:
            item = file[name]
            size = float(math.prod(item.shape)) * item.dtype.itemsize
            self.check(size, f"{path.name}:{name}")
            self.allow(size)
            if h5py.check_string_dtype(item.dtype) is not None:
                return np.asarray(item.asstr()[()]).astype(str)
            if not matlab:
                return np.asarray(item[()])
            kind = _attribute(item, "MATLAB_class")
            if kind == "cell":
                return np.array([_characters(file[one][()]) for one in item[()].T.ravel(order="F")])
            if kind == "char":
                return np.array([_characters(row) for row in item[()].T])
            return np.asarray(item[()].T)


def _refers(item: Any) -> bool:
    """Whether an array of an HDF5 file holds references to others."""
    import h5py

    return isinstance(item, h5py.Dataset) and h5py.check_ref_dtype(item.dtype) is h5py.Reference


def _attribute(item: Any, name: str) -> str:
    value = item.attrs.get(name, b"")
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _said_of(item: Any) -> dict[str, Any]:
    """What an array says of itself as a target: its kind, and the names of its stimuli."""
    import numpy as np

    said: dict[str, Any] = {}
    if _attribute(item, "kind") in ("similarity", "dissimilarity"):
        said["kind"] = _attribute(item, "kind")
    names = item.attrs.get("stimuli")
    if isinstance(names, np.ndarray) and names.ndim == 1 and names.dtype.kind in "OSU":
        said["stimuli"] = [one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in names]
    return said


def _characters(codes: Any) -> str:
    if codes.dtype.kind not in "ui":
        raise ValueError("a cell array of names must hold words alone")
    return "".join(chr(int(code)) for code in codes.ravel() if code).strip()


# Answers --------------------------------------------------------------------------------------------------------


def coded(value: Any, arrays: list[Any]) -> Any:
    """A value as JSON, its arrays aside."""
    import numpy as np

    if hasattr(value, "toarray"):
        value = value.toarray()
    if isinstance(value, np.generic):
        value = np.asarray(value)
    if isinstance(value, np.ndarray):
        shape = list(value.shape)
        if value.dtype.names is not None:
            rows = [[coded(row[name], arrays) for name in value.dtype.names] for row in value.ravel()]
            return {"struct": [list(value.dtype.names), shape, rows]}
        if value.dtype.kind == "O":
            return {"cell": [shape, [coded(one, arrays) for one in value.ravel()]]}
        if value.dtype.kind not in "fiubcMmSU":
            raise ValueError(f"its arrays are of dtype {value.dtype}")
        arrays.append(np.ascontiguousarray(value))
        return {"array": [value.dtype.str, shape]}
    if isinstance(value, dict):
        return {"dict": [[str(name), coded(one, arrays)] for name, one in value.items()]}
    if isinstance(value, (list, tuple)):
        return {"list": [coded(one, arrays) for one in value]}
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return {"plain": value if isinstance(value, (str, int, float, bool, type(None))) else str(value)}


def answer(out: BinaryIO, ask: Callable[[], Any]) -> None:
    """What a question gives, or why it gives nothing."""
    arrays: list[Any] = []
    try:
        message = {"answer": coded(ask(), arrays)}
        words = json.dumps(message).encode("ascii")
    except Refused as error:
        words = json.dumps({"refused": str(error)}).encode("ascii")
    except Exception as error:  # whatever a damaged file makes a reader say
        arrays.clear()
        words = json.dumps({"error": [type(error).__name__, str(error)]}).encode("ascii")
    out.write(len(words).to_bytes(8, "little") + words)
    for array in filter(lambda one: one.nbytes, arrays):
        out.write(array.reshape(-1).view("u1").data)
    out.flush()


def main() -> None:
    """Answer until nothing more is asked."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, who ends this process
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no answer
    start = json.loads(sys.stdin.buffer.readline())
    sys.path[:] = start["path"]
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if start["memory"] is not None:
            resource.setrlimit(resource.RLIMIT_AS, (start["memory"], resource.getrlimit(resource.RLIMIT_AS)[1]))
    except (ImportError, OSError, ValueError):
        pass  # no such limits here
    files = Files(math.inf if start["size"] is None else start["size"], start["seconds"], start["lift"])
    while question := sys.stdin.buffer.readline():
        verb, arguments = json.loads(question)
        answer(out, lambda verb=verb, given=arguments: getattr(files, verb)(**given))  # type: ignore[misc]


if __name__ == "__main__":
    main()
