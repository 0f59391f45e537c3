"""Every accepted form of an embedding -> a float64 matrix and its labels; every form of a subset -> indices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeGuard, overload

import numpy as np
import numpy.typing as npt

from . import _core

__all__ = [
    "DLPACK_CUDA", "LARGEST", "LARGEST_WEIGHT", "SMALLEST", "CudaArray", "DLPackArray", "DeviceFeatures", "Features",
    "Indices", "InterfaceArray", "Matrix", "as_array", "as_float64", "check_magnitude", "check_same_stimuli",
    "is_device_array", "read_features", "read_labels", "read_order", "read_subset", "refuse_mask",
]  # fmt: skip

Matrix = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


# A similarity may be a product of two values, an alignment sums squares of similarities over pairs: within these
# magnitudes nothing of that overflows or loses digits to underflow, for as many features and pairs as memory holds.
LARGEST, LARGEST_WEIGHT = 1e50, 1e60
# Where nothing larger is kept of a stimulus, squares of smaller values are lost.
SMALLEST = 1e-140


def as_array(array: object, name: str) -> npt.NDArray[Any]:
    """What numpy makes of an array, with its mask if it has one; what it can't take is refused in a sentence."""
    if array is None:
        raise TypeError(f"{name} must be given, got None")
    if hasattr(array, "data_vars"):
        first = next(iter(array.data_vars), "name")
        raise TypeError(f"{name} must be a DataArray, got an xarray Dataset: take a variable, as in {name}[{first!r}]")
    if hasattr(array, "toarray") and not hasattr(array, "__array__"):
        raise TypeError(f"{name} must be dense, got a sparse {type(array).__name__}: pass its toarray()")
    if is_device_array(array):
        raise TypeError(f"{name} must lie in host memory here, got a CUDA array: pass {name}.cpu()")
    if getattr(array, "requires_grad", False) is True:
        raise TypeError(f"{name} must be detached, got a tensor that requires grad: pass {name}.detach()")
    if str(getattr(array, "dtype", "")) == "torch.bfloat16":
        raise TypeError(f"{name} must be of a type that numpy has, got torch.bfloat16: pass {name}.float()")
    if isinstance(array, (list, tuple)) and any(np.ma.isMaskedArray(row) for row in array):
        array = np.ma.array(array)
    try:
        return np.asanyarray(array) if np.ma.isMaskedArray(array) else np.asarray(array)
    except (TypeError, ValueError, RuntimeError) as error:
        if "inhomogeneous" in str(error):
            raise ValueError(f"{name} must have rows of one length, got rows of several") from error
        words = f"{type(array).__name__}: {' '.join(str(error).split())}".rstrip(".")
        raise TypeError(f"{name} must be an array that numpy can take, got a {words}") from error


def refuse_mask(array: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """The array without its mask, which may mask nothing."""
    if np.ma.is_masked(array):
        count = int(np.ma.getmaskarray(array).sum())
        raise ValueError(
            f"{name} must not be masked, got {count} masked entries: pass {name}.filled(value) or leave them out"
        )
    return np.asarray(array)


def as_float64(array: Any, name: str, *, missing: bool = False) -> Matrix:
    """A float64 array of numbers; complex numbers, text, objects and sparse matrices are refused.

    ``missing``: whether entries may be masked (``numpy.ma``), and become NaN.
    """
    if hasattr(array, "iloc") and array.ndim == 2 and all(column.kind in "fiub" for column in array.dtypes):
        array = array.to_numpy(dtype=np.float64, na_value=np.nan)  # columns may be of several types, or pandas' own
    values = as_array(array, name)
    if values.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got dtype {values.dtype}")
    if missing and np.ma.is_masked(values):
        values = values.astype(np.float64).filled(np.nan)  # type: ignore[attr-defined]
    return np.asarray(refuse_mask(values, name), dtype=np.float64, order="C")


def check_magnitude(values: Matrix, name: str, limit: float = LARGEST) -> None:
    """Refuse finite values (NaN: missing) so large or small that their products are lost."""
    check_largest(float(max(np.nanmax(values, initial=0.0), -np.nanmin(values, initial=0.0))), name, limit)


def check_largest(largest: float, name: str, limit: float = LARGEST) -> None:
    """The same, of the largest magnitude there is."""
    if largest and not 1 / limit <= largest <= limit:
        raise ValueError(
            f"{name} must have a largest magnitude from {1 / limit:g} to {limit:g}, got {largest:g}: change the unit"
        )


def check_same_stimuli(name: str, spaces: Mapping[str, tuple[int, Sequence[str] | None]]) -> None:
    """Refuse embeddings that are not of the same stimuli: how many each has, and their names, which must agree in
    order where they are known. ``name``: the argument that holds them."""
    (first, (n, _)), *rest = spaces.items()
    for other, (count, _) in rest:
        if count != n:
            raise ValueError(f"{name} must be of the same stimuli, got {n} in {first!r} and {count} in {other!r}")
    named = [(one, names) for one, (_, names) in spaces.items() if names]
    for other, names in named[1:]:
        first, known = named[0]
        odd = next((i for i in range(n) if known[i] != names[i]), None)
        if odd is not None:
            raise ValueError(
                f"{name} must name the same stimuli in one order, got {known[odd]!r} in {first!r} and {names[odd]!r} "
                f"in {other!r} at {odd}"
            )


def read_labels(labels: Any, count: int, name: str, of: str) -> npt.NDArray[Any]:
    """One label for each of ``count`` stimuli or features: integers or text, none missing."""
    mixed = isinstance(labels, (list, tuple)) and len({isinstance(label, str) for label in labels}) > 1
    values = refuse_mask(as_array(labels, name), name)
    if values.shape != (count,):
        raise ValueError(f"{name} must have one entry for each of {count} {of}, got shape {values.shape}")
    if values.dtype == object:
        texts = [isinstance(label, (str, np.str_)) for label in values]
        whole = [isinstance(label, (int, np.integer)) for label in values]
        mixed = not (all(texts) or all(whole))
        values = values if mixed else values.astype(str if all(texts) else np.int64)
    if mixed:
        got = sorted({type(label).__name__ for label in labels})
        raise TypeError(f"{name} must hold labels of one type, integers or text, got {' and '.join(got)}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"{name} must not have missing labels, got {values[~np.isfinite(values)][0]}")
    return values


class InterfaceArray(Protocol):
    """An array that says by ``__cuda_array_interface__`` where it lies (torch, cupy, numba)."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def __cuda_array_interface__(self) -> dict[str, Any]: ...


class DLPackArray(Protocol):
    """An array that says by DLPack where it lies (torch, cupy, jax)."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __dlpack__(self, *, stream: int | None = None) -> Any: ...
    def __dlpack_device__(self) -> tuple[Any, int]: ...


# An array in a CUDA device's memory.
CudaArray: TypeAlias = InterfaceArray | DLPackArray

DLPACK_CUDA = (2, 13)  # DLPack's numbers: a CUDA device's memory, and memory that it shares with the host


def is_device_array(array: object) -> TypeGuard[CudaArray]:
    """Whether an array lies in a CUDA device's memory."""
    if isinstance(array, np.ndarray) or getattr(array, "requires_grad", False) is True:
        return False  # torch raises where it is asked; what reads it says so in a sentence
    if hasattr(array, "__cuda_array_interface__"):
        return True
    if not hasattr(array, "__dlpack__") or not hasattr(array, "__dlpack_device__"):
        return False
    try:
        return int(array.__dlpack_device__()[0]) in DLPACK_CUDA
    except (BufferError, RuntimeError, ValueError):  # of an array that lies nowhere, as torch's meta tensors
        return False


@dataclass(frozen=True)
class Features:
    """An embedding in host memory: ``values`` (n stimuli, d features), with labels where the input had them.

    Values are float64, or float32 where :func:`read_features` was told to leave them so: then they are for the core's
    verbs alone, which make doubles of those stimuli's that they are asked about.
    """

    values: Matrix
    stimuli: tuple[str, ...] | None = None
    names: tuple[str, ...] | None = None

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
        return Features(np.ascontiguousarray(self.values[stimuli], dtype=np.float64), labels, self.names)


@dataclass(frozen=True)
class DeviceFeatures:
    """An embedding that came as an array in a CUDA device's memory, as it was given: the compiled core checks it."""

    values: CudaArray
    stimuli: None = None
    names: None = None

    @property
    def n(self) -> int:
        return int(self.values.shape[0])

    @property
    def d(self) -> int:
        return int(self.values.shape[1])


@overload
def read_features(X: object) -> Features: ...
@overload
def read_features(X: object, *, device_arrays: bool, single: bool = ...) -> Features | DeviceFeatures: ...
def read_features(X: object, *, device_arrays: bool = False, single: bool = False) -> Features | DeviceFeatures:
    """Read an array, a pandas DataFrame or an xarray DataArray of shape (n stimuli, d features).

    Values are converted to float64; rows and columns keep their order. Labels come from a DataFrame's
    index and columns (unless they are plain counters) or a DataArray's coordinates. An array in a CUDA device's memory
    is left as it lies where ``device_arrays`` may come, and refused elsewhere. So is a numpy array of float32 with
    ``single``: no copy of twice its size is made.

    Raises
    ------
    TypeError
        Where the values are no real numbers, or an array that numpy can't take (a tensor that requires grad).
    ValueError
        Where ``X`` is not two-dimensional, holds NaN or infinity (the first place is named), masked entries, magnitudes
        whose products would overflow or vanish, or two features of one name.
    """
    if isinstance(X, Features):
        return X
    if device_arrays and is_device_array(X):
        if len(X.shape) != 2:
            raise ValueError(f"X must have shape (stimuli, features), got shape {tuple(X.shape)}")
        return DeviceFeatures(X)
    stimuli, names = None, None
    if hasattr(X, "coords") and hasattr(X, "dims") and not hasattr(X, "data_vars"):
        stimuli, names = (
            tuple(map(str, X.coords[dim].values)) if dim in X.coords and X.coords[dim].ndim == 1 else None
            for dim in (*X.dims, None, None)[:2]
        )
    elif hasattr(X, "columns") and hasattr(X, "index"):
        stimuli = tuple(map(str, X.index)) if X.index.dtype.kind != "i" else None
        names = tuple(map(str, X.columns)) if X.columns.dtype.kind != "i" else None
    values = X if single and _is_single(X) else as_float64(X, "X")
    if values.ndim != 2:
        raise ValueError(f"X must have shape (stimuli, features), got shape {values.shape}")
    if values.shape[0] < 3:
        raise ValueError(f"X must have at least 3 stimuli (rows), got shape {values.shape}")
    if values.shape[1] < 1:
        raise ValueError(f"X must have at least 1 feature (column), got shape {values.shape}")
    largest, smallest = _core.magnitudes(values)
    if np.isnan(largest):
        i, k = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(f"X must hold no NaN or infinity, got {values[i, k]} at stimulus {i}, feature {k}")
    check_largest(largest, "X")
    if smallest < SMALLEST:
        i, k = np.argwhere((values != 0) & (np.abs(values) < SMALLEST))[0]
        raise ValueError(
            f"X must hold zeros and magnitudes of at least {SMALLEST:g}, got {values[i, k]:g} at stimulus {i}, feature "
            f"{k}: set what is as good as zero to zero"
        )
    if names is not None and len(set(names)) < len(names):
        again = next(name for k, name in enumerate(names) if name in names[:k])
        raise ValueError(f"X must name each feature once, got {again!r} more than once")
    return Features(values, stimuli, names)


def _is_single(X: object) -> TypeGuard[Matrix]:
    """Whether it is a plain array of float32, row after row in memory (typed as what it stands for)."""
    return type(X) is np.ndarray and X.dtype == np.float32 and X.flags.c_contiguous


def read_subset(subset: object, d: int, *, empty: bool = False) -> Indices:
    """Feature indices, ascending, from a boolean mask (d,), from distinct indices, or from None (all features)."""
    return np.arange(d, dtype=np.int64) if subset is None else np.sort(read_order(subset, d, "subset", empty=empty))


def read_order(order: object, d: int, name: str = "order", *, empty: bool = False) -> Indices:
    """Distinct feature indices as they come, from indices or a boolean mask (d,)."""
    values = refuse_mask(as_array(order, name), name)
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
