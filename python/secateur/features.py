"""Every accepted form of an embedding -> a float64 matrix and its labels; every form of a subset -> indices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


def as_float64(array: Any, name: str) -> Matrix:
    """A float64 array of numbers; complex numbers, text, objects and sparse matrices are refused."""
    if hasattr(array, "toarray") and not hasattr(array, "__array__"):
        raise TypeError(f"{name} must be dense, got a sparse {type(array).__name__}: pass its toarray()")
    if hasattr(array, "iloc") and array.ndim == 2 and all(column.kind in "fiub" for column in array.dtypes):
        array = array.to_numpy(dtype=np.float64, na_value=np.nan)  # columns may be of several types, or pandas' own
    try:
        values = np.asarray(array)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        raise ValueError(f"{name} must have rows of one length, got rows of several") from error
    if values.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got dtype {values.dtype}")
    return np.asarray(values, dtype=np.float64, order="C")


def lies_on_cuda(array: Any) -> bool:
    """Whether an array lies in a CUDA device's memory (torch, cupy, numba, ...)."""
    return hasattr(array, "__cuda_array_interface__")


@dataclass(frozen=True)
class Features:
    """An embedding: ``values`` (n stimuli, d features), with labels where the input had them.

    Where ``read_features`` was told to leave it there, ``values`` may be an array in a CUDA device's memory.
    ``held``: a copy on a device, for the compiled verbs that take one.
    """

    values: Matrix
    stimuli: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None
    held: Any = None

    @property
    def on_cuda(self) -> bool:
        return lies_on_cuda(self.values)

    @property
    def n(self) -> int:
        return int(self.values.shape[0])

    @property
    def d(self) -> int:
        return int(self.values.shape[1])

    def stimulus(self, i: int) -> str:
        """What to call a stimulus in a message: its label, or its row."""
        return self.stimuli[i] if self.stimuli else str(i)

    def among(self, stimuli: Indices) -> Features:
        """These stimuli alone, in this order, still called as they were."""
        labels = tuple(self.stimulus(i) for i in stimuli)
        return Features(np.ascontiguousarray(self.values[stimuli]), labels, self.names)


def read_features(X: Any, *, on_device: bool = False) -> Features:
    """Read an array, a pandas DataFrame or an xarray DataArray of shape (n stimuli, d features).

    Values are converted to float64; rows and columns keep their order. Labels come from a DataFrame's
    index and columns (unless they are plain counters) or a DataArray's coordinates. An array in a CUDA device's memory
    is left as it lies where ``on_device`` allows it (the compiled core checks it), and refused elsewhere.

    Raises
    ------
    TypeError
        Where the values are no real numbers.
    ValueError
        Where ``X`` is not two-dimensional, or holds NaN or infinity (the first place is named).
    """
    if isinstance(X, Features):
        return X
    if lies_on_cuda(X):
        if not on_device:
            raise TypeError("X must lie in host memory here, got a CUDA array: pass X.cpu()")
        if len(X.shape) != 2:
            raise ValueError(f"X must have shape (stimuli, features), got shape {tuple(X.shape)}")
        return Features(X)
    stimuli, names = None, None
    if hasattr(X, "coords") and hasattr(X, "dims"):
        stimuli, names = (
            tuple(map(str, X.coords[dim].values)) if dim in X.coords and X.coords[dim].ndim == 1 else None
            for dim in (*X.dims, None, None)[:2]
        )
    elif hasattr(X, "columns") and hasattr(X, "index"):
        stimuli = tuple(map(str, X.index)) if X.index.dtype.kind != "i" else None
        names = tuple(map(str, X.columns)) if X.columns.dtype.kind != "i" else None
    values = as_float64(X, "X")
    if values.ndim != 2:
        raise ValueError(f"X must have shape (stimuli, features), got shape {values.shape}")
    if values.shape[0] < 3:
        raise ValueError(f"X must have at least 3 stimuli (rows), got shape {values.shape}")
    if values.shape[1] < 1:
        raise ValueError(f"X must have at least 1 feature (column), got shape {values.shape}")
    if not np.isfinite(values).all():
        i, k = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(f"X must hold no NaN or infinity, got {values[i, k]} at stimulus {i}, feature {k}")
    return Features(values, stimuli, names)


def read_subset(subset: Any, d: int, *, empty: bool = False) -> Indices:
    """Feature indices, ascending, from a boolean mask (d,), from distinct indices, or from None (all features)."""
    return np.arange(d, dtype=np.int64) if subset is None else np.sort(read_order(subset, d, "subset", empty=empty))


def read_order(order: Any, d: int, name: str = "order", *, empty: bool = False) -> Indices:
    """Distinct feature indices as they come, from indices or a boolean mask (d,)."""
    values = np.asarray(order)
    if values.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, got shape {values.shape}")
    if values.dtype == np.bool_:
        if len(values) != d:
            raise ValueError(f"{name} as a mask must have {d} entries, one a feature, got {len(values)}")
        values = np.flatnonzero(values)
    elif values.size and values.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold booleans or integers, got dtype {values.dtype}")
    indices = np.ascontiguousarray(values, dtype=np.int64)
    outside = indices[(indices < 0) | (indices >= d)]
    if outside.size:
        raise ValueError(f"{name} must hold feature indices from 0 to {d - 1}, got {outside[0]}")
    again = np.flatnonzero(np.bincount(indices, minlength=d) > 1)
    if again.size:
        raise ValueError(f"{name} must name each feature once, got {again[0]} more than once")
    if not empty and not indices.size:
        raise ValueError(f"{name} must hold at least one feature, got none")
    return indices
