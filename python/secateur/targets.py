"""Every accepted form of a target -> (T, P) values oriented as similarities, with weights and labels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, Literal, cast, overload

import numpy as np
import numpy.typing as npt

from .arguments import check_integer
from .features import (
    LARGEST_WEIGHT,
    CudaArray,
    Indices,
    Matrix,
    as_array,
    as_float64,
    check_magnitude,
    is_device_array,
    refuse_mask,
)
from .pairs import pack, pair_count, pair_places, pair_positions, stimulus_count

if TYPE_CHECKING:
    import xarray
    from numpy.typing import ArrayLike

    from ._typing import ControlLike, MatricesLike, PairsLike, TripletsLike, WeightsLike

__all__ = ["ReorderedWarning", "average", "from_pairs", "from_triplets"]

Kind = Literal["similarity", "dissimilarity"]
VALUES_AT_ONCE = 1 << 20  # of matrices that are looked through
PACKED = "packed pairs, which don't tell whether larger means more alike"


class ReorderedWarning(UserWarning):
    """A target that names the stimuli of X in another order was brought to that of X."""


@dataclass(frozen=True)
class Targets:
    """T targets over the pairs of n stimuli.

    Attributes
    ----------
    values : (T, P) float64
        In host memory, oriented as similarities; 0 where a pair was missing (its weight is 0).
    weights, weight_of : (U, P) float64 and (T,) int64, or None
        Distinct weight patterns and the one of each target; None where every pair counts once.
    n : int
    single : bool
        One target came without a leading axis.
    labels : names of the targets, or None.
    stimuli : labels of the stimuli, or None.
    kind : what they were before they were oriented.
    controls : (q, P) float64 or None
        What alignments are freed of: they become partial. NaN where a pair was missing (its weight is 0).
    choices : whether they count choices of odd ones out.
    """

    values: Matrix
    weights: Matrix | None
    weight_of: Indices | None
    n: int
    single: bool = False
    labels: tuple[str, ...] | None = None
    stimuli: tuple[str, ...] | None = None
    kind: Kind = "similarity"
    controls: Matrix | None = None
    choices: bool = False

    def __len__(self) -> int:
        return int(self.values.shape[0])

    @property
    def held(self) -> str:
        """What they were made of: ``"choices"``, or their kind."""
        return "choices" if self.choices else self.kind

    @property
    def control_rows(self) -> int:
        """As how many more targets the controls take part: each under each pattern of weights."""
        return 0 if self.controls is None else len(self.controls) * (1 if self.weights is None else len(self.weights))

    @property
    def rows(self) -> tuple[Matrix, Matrix | None, Indices | None]:
        """Values, weights and the pattern of each target, row after row in memory."""
        weights = None if self.weights is None else np.ascontiguousarray(self.weights)
        return np.ascontiguousarray(self.values), weights, self.weight_of

    def among(self, stimuli: Indices) -> Targets:
        """The targets over the pairs among these stimuli alone, in this order."""
        at = pair_positions(stimuli, self.n)
        weights = None if self.weights is None else np.ascontiguousarray(self.weights[:, at])
        values = np.ascontiguousarray(self.values[:, at])
        names = None if self.stimuli is None else tuple(self.stimuli[i] for i in stimuli)
        controls = None if self.controls is None else np.ascontiguousarray(self.controls[:, at])
        return replace(self, values=values, weights=weights, n=len(stimuli), stimuli=names, controls=controls)

    def select(self, chosen: slice | Indices) -> Targets:
        """Some of the targets."""
        return replace(
            self,
            values=np.ascontiguousarray(self.values[chosen]),
            weight_of=None if self.weight_of is None else np.ascontiguousarray(self.weight_of[chosen]),
            labels=None if self.labels is None else tuple(np.asarray(self.labels, dtype=object)[chosen]),
            single=False,
        )

    def mask_pairs(self, pairs: npt.NDArray[np.bool_]) -> Targets:
        """The targets with these pairs given no weight."""
        weights = np.ones((1, len(pairs))) if self.weights is None else self.weights.copy()
        weights[:, pairs] = 0
        weight_of = np.zeros(len(self), dtype=np.int64) if self.weight_of is None else self.weight_of
        return replace(self, weights=weights, weight_of=weight_of)

    def weight(self, t: int) -> Matrix:
        """The weights (P,) of target t."""
        if self.weights is None or self.weight_of is None:
            return np.ones(self.values.shape[1])
        return np.asarray(self.weights[self.weight_of[t]])

    def has_weight(self, t: int) -> npt.NDArray[np.bool_]:
        """Which pairs (P,) have weight in target t."""
        return self.weight(t) > 0

    def squeeze(self, result: Matrix) -> Any:  # a float of (T,), else an array, as the caller knows
        """Drop the leading target axis where one target came without it."""
        return _squeezed(result, self.single)


def _squeezed(result: Matrix, single: bool) -> Any:
    if not single:
        return result
    return float(result[0]) if result.ndim == 1 else result[0]


@dataclass(frozen=True)
class DeviceTargets:
    """Targets that came as an array in a CUDA device's memory, packed or square, as it was given; the core checks it.

    Attributes
    ----------
    values : (P,), (T, P), (n, n) or (T, n, n) array on a device
    negated : whether they are oriented as similarities by a change of sign, where they are loaded.
    weights, weight_of : in host memory, as of :class:`Targets`
    loose_weights : the weights as they were given, on a device: see :meth:`with_weights`
    """

    values: CudaArray
    n: int
    kind: Kind
    negated: bool
    weights: Matrix | None = None
    weight_of: Indices | None = None
    loose_weights: CudaArray | None = None
    labels: None = None
    stimuli: None = None
    controls: None = None
    control_rows = 0

    @property
    def held(self) -> str:
        return self.kind

    @property
    def single(self) -> bool:
        """Whether one target came without a leading axis."""
        shape = tuple(self.values.shape)
        return len(shape) == 1 or shape == (self.n, self.n)

    def __len__(self) -> int:
        return 1 if self.single else int(self.values.shape[0])

    def squeeze(self, result: Matrix) -> Any:  # a float of (T,), else an array, as the caller knows
        """Drop the leading target axis where one target came without it."""
        return _squeezed(result, self.single)

    def with_weights(self, given: Matrix) -> DeviceTargets:
        """The same with the weights that lay on a device, brought to the host: (1, P) or (T, P), checked here."""
        pattern, weight_of = _patterns(_checked_weights(given, len(self)))
        return replace(self, weights=pattern, weight_of=weight_of, loose_weights=None)


def _kind_of(square: Matrix) -> Kind | None:
    """What matrices (T, n, n) hold by their own diagonals: every pair of stimuli is at most as alike as the two are
    with themselves on average (similarities), or at least as far apart (dissimilarities). None: neither, or both, or no
    pair is above a diagonal of zeros: negated distances, or distances that noise has brought below zero."""
    diagonal = np.diagonal(square, axis1=-2, axis2=-1)
    size = np.zeros(len(square))
    for t, i in _blocks(square):
        size[t] = np.maximum(size[t], np.nanmax(np.abs(square[t, i]), axis=(1, 2), initial=0.0))
    room = 1e-9 * size[:, None, None]  # what rounding leaves of equal values, as between stimuli that are alike in all
    similar = apart = True
    for t, i in _blocks(square):
        with np.errstate(invalid="ignore"):  # infinities are refused by name, later
            excess = square[t, i] - (diagonal[t, i, None] + diagonal[t, None, :]) / 2
        excess = np.triu(excess, 1 + i.start)
        similar, apart = similar and not (excess > room[t]).any(), apart and not (excess < -room[t]).any()
    if similar == apart or (similar and not diagonal.any()):
        return None
    return "similarity" if similar else "dissimilarity"


def _blocks(square: Matrix) -> Iterator[tuple[slice, slice]]:
    """Which matrices, and which rows of them, (T, n, n) may be gone through at a time, so that little is held beside.

    Several matrices where they are small, else some rows of one.
    """
    count, n = square.shape[:2]
    matrices, rows = max(1, VALUES_AT_ONCE // n**2), min(n, max(1, VALUES_AT_ONCE // n))
    for t in range(0, count, matrices):
        for i in range(0, n, rows):
            yield slice(t, t + matrices), slice(i, i + rows)


def _kind_needed(what: str, got: str) -> ValueError:
    return ValueError(
        f"kind must be said for {what}, got None and {got}: pass kind='similarity' or kind='dissimilarity'"
    )


def _from_square(square: Matrix, kind: Kind | None, name: str) -> tuple[Matrix, Kind]:
    """(T, n, n) -> (T, P), and their kind; refused are what is not symmetric and what is plainly of the other kind."""
    swapped = np.swapaxes(square, -1, -2)
    for of, rows in _blocks(square):
        same = np.isclose(square[of, rows], swapped[of, rows], rtol=1e-6, atol=1e-9, equal_nan=True)
        if same.all():
            continue
        t, i, j = np.argwhere(~same)[0] + (of.start, rows.start, 0)
        raise ValueError(
            f"{name} must be symmetric, got {square[t, i, j]} at ({i}, {j}) and {square[t, j, i]} at ({j}, {i})"
        )
    if name != "target":
        return pack(square), kind or "similarity"
    diagonal = np.diagonal(square, axis1=-2, axis2=-1)
    if kind is None:
        kind = _kind_of(square)
    if kind is None:
        got = f"{diagonal[0, 0]:g} first on the diagonal"
        raise _kind_needed("a matrix whose diagonal doesn't tell whether larger means more alike", got)
    empty = (diagonal == 0).all(axis=1) & (square > 0).any(axis=(1, 2))  # distances that were negated may pass
    if kind == "similarity" and empty.any():
        raise ValueError(
            "target must not have an all-zero diagonal while kind is 'similarity', got one: it looks like a "
            "dissimilarity matrix, pass kind='dissimilarity'"
        )
    packed = pack(square)
    if kind == "dissimilarity":
        top = np.nanmax(packed, axis=1, initial=-np.inf)
        alike = (diagonal == diagonal[:, :1]).all(axis=1) & (diagonal[:, 0] > 0) & (diagonal[:, 0] >= top)
        if alike.any():
            raise ValueError(
                f"target must have a zero diagonal while kind is 'dissimilarity', got {diagonal[alike][0, 0]} "
                "throughout, its largest value: it looks like a similarity matrix, pass kind='similarity'"
            )
    return packed, kind


def _read_pairs(array: object, n: int, kind: Kind | None, name: str) -> tuple[Matrix, bool, Kind | None]:
    """(n, n) | (P,) | (T, P) | (T, n, n) -> (T, P), whether it came without a leading axis, and its kind if known."""
    values, pairs = as_float64(array, name, missing=name != "weights"), pair_count(n)
    if values.ndim == 1 and values.shape == (pairs,):
        return values[None], True, kind
    if values.ndim == 2 and values.shape == (n, n):
        packed, kind = _from_square(values[None], kind, name)
        return packed, True, kind
    if values.ndim == 2 and values.shape[1] == pairs and len(values):
        return values, False, kind
    if values.ndim == 3 and values.shape[1:] == (n, n) and len(values):
        packed, kind = _from_square(values, kind, name)
        return packed, False, kind
    cure = ""
    if name == "target" and values.ndim == 2 and values.shape[0] == n < values.shape[1]:
        cure = (
            ": rows alone were split, as scikit-learn's GridSearchCV and cross_val_score do; use "
            "secateur.cross_validate, or secateur.nested to choose parameters, which split both sides"
        )
    raise ValueError(
        f"{name} must have shape ({n}, {n}), ({pairs},), (T, {pairs}) or (T, {n}, {n}) for {n} stimuli, "
        f"got {values.shape}{cure}"
    )


def _patterns(rows: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], Indices]:
    """Distinct rows in order of appearance, and the one of each row."""
    seen: dict[bytes, int] = {}
    of = np.array([seen.setdefault(row.tobytes(), len(seen)) for row in rows], dtype=np.int64)
    first = [int(np.flatnonzero(of == u)[0]) for u in range(len(seen))]
    return rows[first], of


def _checked_weights(given: Matrix, count: int) -> Matrix:
    """Weights (1, P) or (T, P) of each of so many targets: (T, P)."""
    if len(given) not in (1, count):
        raise ValueError(f"weights must be one pattern or one for each of {count} targets, got {len(given)}")
    if not (np.isfinite(given) & (given >= 0)).all():
        t, p = np.argwhere(~(np.isfinite(given) & (given >= 0)))[0]
        raise ValueError(f"weights must be finite and not negative, got {given[t, p]} at pair {p}")
    for row in given:
        check_magnitude(row, "weights", LARGEST_WEIGHT)
    return np.broadcast_to(given, (count, given.shape[1]))


def _check_device_shape(array: CudaArray, n: int, name: str) -> None:
    shape, pairs = tuple(array.shape), pair_count(n)
    own = 2 if shape[-2:] == (n, n) else 1
    if len(shape) not in (own, own + 1) or (own == 1 and shape[-1] != pairs) or not shape[0]:
        raise ValueError(
            f"{name} must have shape ({n}, {n}), ({pairs},), (T, {pairs}) or (T, {n}, {n}) on a CUDA device for {n} "
            f"stimuli, got {shape}"
        )


_Read = tuple[Matrix, "tuple[str, ...] | None", "tuple[str, ...] | None", "Kind | None"]


def _read_dataarray(target: xarray.DataArray, n: int, kind: Kind | None, name: str = "target") -> _Read:
    """(T, P) values, the names of targets (None: one target, no leading dims) and of stimuli, and the kind if known."""
    own = (pair_count(n),) if target.dims[-1:] == ("pair",) else (n, n)
    leading, rest = target.dims[: -len(own)], target.dims[-len(own) :]
    if target.shape[-len(own) :] != own or not target.size:
        raise ValueError(
            f"{name} must have dims (..., pair) with {pair_count(n)} pairs or (..., stimulus, stimulus2) with {n} "
            f"stimuli each, got dims ({', '.join(map(str, target.dims))}) of shape {target.shape}"
        )
    values = as_float64(target.values, name, missing=True).reshape(-1, *own)
    named_in = target.attrs.get("stimuli")
    stimuli = None if named_in is None else tuple(map(str, named_in))
    if stimuli is not None and len(stimuli) != n:
        raise ValueError(f"{name}'s attribute stimuli must name the {n} stimuli of X, got {len(stimuli)} names")
    if len(own) == 2:
        values, kind = _from_square(values, kind, name)
        named = {tuple(map(str, target.coords[dim].values)) for dim in rest if dim in target.coords}
        if len(named) > 1:
            raise ValueError(f"{name} must name the same stimuli along dims {rest[0]} and {rest[1]}, got others")
        stimuli = named.pop() if named else stimuli
    if not leading:
        return values, None, stimuli, kind
    axes = [target.coords[dim].values if dim in target.coords else range(target.sizes[dim]) for dim in leading]
    return values, tuple(" ".join(map(str, name)) for name in product(*axes)), stimuli, kind


def names_in(descriptors: Any) -> tuple[str, ...] | None:
    """Names among rsatoolbox's descriptors, of stimuli or RDMs: the one that holds distinct text, if just one does."""
    texts = [tuple(values) for values in descriptors.values() if all(isinstance(v, str) for v in values)]
    names = [text for text in texts if len(set(text)) == len(text)]
    return names[0] if len(names) == 1 else None


def _read_form(
    given: Any, n: int, kind: Kind | None, name: str
) -> tuple[Matrix, bool, tuple[str, ...] | None, tuple[str, ...] | None, Kind | None]:
    """Any accepted form: (T, P) values, whether one came alone, names of targets and of stimuli, the kind if known."""
    if hasattr(given, "dissimilarities") and hasattr(given, "pattern_descriptors"):  # rsatoolbox RDMs
        packed = np.asarray(given.dissimilarities)
        if packed.shape[1] != pair_count(n):
            raise ValueError(f"{name} must cover the {n} stimuli of X, got rsatoolbox RDMs over {given.n_cond}")
        labels = names_in(given.rdm_descriptors) if len(packed) > 1 and hasattr(given, "rdm_descriptors") else None
        values = as_float64(packed, name, missing=True)
        return values, False, labels, names_in(given.pattern_descriptors), "dissimilarity"
    if hasattr(given, "coords") and hasattr(given, "dims") and not hasattr(given, "data_vars"):  # xarray DataArray
        kind = cast("Kind | None", given.attrs.get("kind", kind))
        if kind not in (None, "similarity", "dissimilarity"):
            raise ValueError(f"{name}'s attribute kind must be 'similarity' or 'dissimilarity', got {kind!r}")
        values, labels, own, kind = _read_dataarray(given, n, kind, name)
        return values, labels is None, labels, own, kind
    own = None
    if hasattr(given, "columns") and given.shape == (n, n) and given.index.dtype.kind != "i":  # pandas DataFrame
        own = tuple(map(str, given.index))
        if own != tuple(map(str, given.columns)):
            raise ValueError(f"{name} must name the same stimuli along rows and columns, got others")
    values, single, kind = _read_pairs(given, n, kind, name)
    return values, single, None, own, kind


def _pairs_by_name(own: tuple[str, ...] | None, stimuli: tuple[str, ...] | None, name: str) -> Indices | None:
    """Where the pairs of X's stimuli are among those of ``own``, with a warning; None where the order is the same.

    Other names are refused.
    """
    if not (own and stimuli) or own == stimuli or set(own) != set(stimuli) or len(set(own)) < len(own):
        _check_names(own, stimuli, name)
        return None
    at = {label: i for i, label in enumerate(own)}
    order = np.array([at[label] for label in stimuli], dtype=np.int64)
    few = [", ".join(labels[:3]) + (", …" if len(labels) > 3 else "") for labels in (stimuli, own)]
    warnings.warn(
        f"the stimuli of {name} were reordered by name to the order of X: {few[0]} where they were {few[1]}",
        ReorderedWarning,
        stacklevel=4,
    )
    return pair_positions(order, len(order))


def _check_names(own: tuple[str, ...] | None, stimuli: tuple[str, ...] | None, name: str) -> None:
    if own and stimuli and own != stimuli:
        i = next(i for i, (mine, known) in enumerate(zip(own, stimuli, strict=True)) if mine != known)
        lacks = next((one for one in stimuli if one not in own), None)
        missing = "" if lacks is None else f": it has no {lacks!r}"
        raise ValueError(
            f"{name} must name the stimuli of X in the same order, got {own[i]!r} where X has {stimuli[i]!r} "
            f"(stimulus {i}){missing}"
        )


def read_controls(control: Any, n: int, stimuli: tuple[str, ...] | None = None) -> Matrix:
    """Control matrices (q, P), of any forms that a target has and of either kind; a list or tuple may mix forms."""
    given = control if isinstance(control, (list, tuple)) and np.ndim(control[0]) else [control]
    read = []
    for one in given:
        values, _, _, own, _ = _read_form(one, n, "similarity", "control")  # of either kind: what is shared is the same
        at = _pairs_by_name(own, stimuli, "control")
        read.append(values if at is None else values[:, at])
    values = np.concatenate(read)
    if np.isinf(values).any():
        k, p = np.argwhere(np.isinf(values))[0]
        raise ValueError(f"control must not be infinite, got {values[k, p]} at control {k}, pair {p}")
    for row in values:
        check_magnitude(row, "control")
    return values


@overload
def read_target(
    target: Any, n: int, kind: Kind | None = ..., weights: WeightsLike | None = ..., stimuli: tuple[str, ...] | None =
    ..., *, control: ControlLike | None = ...,
) -> Targets: ...  # fmt: skip
@overload
def read_target(
    target: Any, n: int, kind: Kind | None = ..., weights: WeightsLike | None = ..., stimuli: tuple[str, ...] | None =
    ..., *, control: ControlLike | None = ..., device_arrays: bool,
) -> Targets | DeviceTargets: ...  # fmt: skip
def read_target(
    target: Any, n: int, kind: Kind | None = None, weights: WeightsLike | None = None, stimuli: tuple[str, ...] | None =
    None, *, control: ControlLike | None = None, device_arrays: bool = False,
) -> Targets | DeviceTargets:  # fmt: skip
    """Read a target in any accepted form.

    Parameters
    ----------
    target : (n, n) | (P,) | (T, P) | (T, n, n) array, rsatoolbox ``RDMs``, xarray DataArray, or Targets
        :class:`Targets` are what :func:`from_pairs` and :func:`from_triplets` give. A DataArray has dims (..., "pair")
        or (..., stimulus, stimulus2); leading dims become targets. It, a square pandas DataFrame and rsatoolbox's
        pattern descriptors may name the stimuli, which are then matched with X's.
        Pairs are in ``numpy.triu_indices(n, 1)`` order. NaN, or masked (``numpy.ma``): that pair has weight 0 in that
        target.
        With n = 3 a (3, 3) array is read as one matrix.
    n : int
        Number of stimuli.
    kind : {"similarity", "dissimilarity"}, optional
        Dissimilarities enter negated. rsatoolbox RDMs are dissimilarities whatever is said here, and a DataArray that
        says its kind in ``attrs`` is what it says. None: matrices tell it by their diagonals (top: similarities;
        bottom: dissimilarities); it has to be said for packed pairs, and where a diagonal is neither.
    weights : array of one of the same shapes, optional
        Weight of each pair, finite and not negative; one pattern for all targets, or one each.
    stimuli : tuple of str, optional
        What X calls its stimuli.
    control : matrices, optional
        One or more, of the same forms and of either kind: alignments become partial. What one of them lacks (NaN) has
        no weight in any target.
    device_arrays : bool
        Whether an array in a CUDA device's memory is left as it lies, or refused.

    Raises
    ------
    TypeError
        Where values are no real numbers.
    ValueError
        Where shapes don't fit n, the kind is neither said nor told, a matrix is not symmetric, a value is infinite or
        of a magnitude whose squares are lost, weights are masked, a matrix with an all-zero diagonal is said to be a
        similarity, or the target names other stimuli (in another order, where there are weights, which have no names).

    Warns
    -----
    ReorderedWarning
        Where the target names the stimuli of X in another order: it is brought to that of X.
    """
    if isinstance(target, Targets):
        if target.n != n:
            raise ValueError(f"target must cover the {n} stimuli of X, got {target.n}")
        if weights is not None:
            raise ValueError("weights must be None for a target that was read before, and has its own, got some")
        if control is None:
            return target
        if target.controls is not None:
            raise ValueError("control must be None for a target that was read with some, got more")
        given_controls = read_controls(control, n, stimuli)
        lacking = np.asarray(np.isnan(given_controls).any(axis=0))
        return replace(target.mask_pairs(lacking) if lacking.any() else target, controls=given_controls)
    if hasattr(target, "tocoo"):
        raise TypeError(
            f"target must be dense, got a sparse {type(target).__name__}: secateur.targets.from_pairs takes what it "
            "stores for the pairs that there are"
        )
    if kind not in (None, "similarity", "dissimilarity"):
        raise ValueError(f"kind must be 'similarity' or 'dissimilarity', got {kind!r}")
    if device_arrays and is_device_array(target):
        if control is not None:
            raise ValueError("control must be None for a target on a CUDA device, got some: pass target.cpu()")
        _check_device_shape(target, n, "target")
        if kind is None:
            raise _kind_needed("a target on a CUDA device", f"one of shape {tuple(target.shape)}")
        read = DeviceTargets(target, n, kind, negated=kind == "dissimilarity")
        if weights is None:
            return read
        if is_device_array(weights):
            _check_device_shape(weights, n, "weights")
            return replace(read, loose_weights=weights)
        return read.with_weights(_read_pairs(weights, n, kind, "weights")[0])
    values, single, labels, own, kind = _read_form(target, n, kind, "target")
    if weights is not None:
        _check_names(own, stimuli, "target")  # weights have no names: their order would be a guess
    at = _pairs_by_name(own, stimuli, "target")
    if at is not None:
        values, own = values[:, at], stimuli
    if np.isinf(values).any():
        t, p = np.argwhere(np.isinf(values))[0]
        raise ValueError(f"target must not be infinite, got {values[t, p]} at target {t}, pair {p}")
    for row in values:
        check_magnitude(row, "target")
    if kind is None:
        raise _kind_needed(PACKED, f"a target of shape {np.shape(target)}")
    given: Matrix | None = None
    if weights is not None:
        given = _checked_weights(_read_pairs(weights, n, kind, "weights")[0], len(values))
    missing = np.isnan(values)
    controls = None
    if control is not None:
        controls = read_controls(control, n, stimuli)
        missing = missing | np.isnan(controls).any(axis=0)
    pattern, weight_of = None, None
    if given is not None or missing.any():
        pattern, weight_of = _patterns(np.where(missing, 0.0, 1.0 if given is None else given))
        values = np.where(missing, 0.0, values)
    if kind == "dissimilarity":
        values = -values
    return Targets(np.ascontiguousarray(values), pattern, weight_of, n, single, labels, own, kind, controls)


def average(rdms: MatricesLike, zscore: bool = True, rescale: tuple[float, float] | None = (2, 5)) -> Matrix:
    """One matrix of many: each brought to one scale, then their mean.

    Parameters
    ----------
    rdms : (..., P) or (..., n, n) array, DataArray, or rsatoolbox RDMs
        Dissimilarities of subjects, and of time points or any other leading axes. NaN: a subject has no such pair.
    zscore : bool
        Whether each matrix is z-scored over its pairs first, as MATLAB's ``zscore`` does (SD of n - 1).
    rescale : (a, b) or None
        What becomes of the mean: (x + a) / b. By default (x + 2) / 5, which brings z-scores about back to the range of
        dissimilarities 1 - r, for a loss that compares values; None leaves it.

    Returns
    -------
    (P,) float64
        In ``numpy.triu_indices(n, 1)`` order; NaN where no matrix has the pair.

    Raises
    ------
    ValueError
        Where shapes don't fit, a matrix is not symmetric, a value is infinite, or a matrix to be z-scored is constant.

    References
    ----------
    Agrawal (2019), Methods: tracks 1 (z-scores) and 2 (z-scores, time points, rescaled).

    Examples
    --------
    >>> average([[1.0, 2.0, 3.0], [30.0, 10.0, 20.0]], rescale=None)
    array([ 0. , -0.5,  0.5])
    """
    values = as_float64(getattr(rdms, "dissimilarities", rdms), "rdms", missing=True)
    if values.ndim >= 2 and values.shape[-1] == values.shape[-2]:
        n = values.shape[-1]
        values, _ = _from_square(values.reshape(-1, n, n), "dissimilarity", "rdms")
    elif values.ndim:
        values = values.reshape(-1, values.shape[-1])
    pairs = values.shape[-1] if values.ndim else 0
    if not values.size or (stimulus_count(pairs) or 0) < 3:
        raise ValueError(
            f"rdms must have shape (..., n, n) or (..., n(n-1)/2), got {np.shape(cast('ArrayLike', rdms))}"
        )
    if np.isinf(values).any():
        raise ValueError(f"rdms must not be infinite, got matrix {np.argwhere(np.isinf(values))[0][0]}")
    for row in values:
        check_magnitude(row, "rdms")
    there = ~np.isnan(values)
    if zscore:
        count = there.sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            values = values - np.where(there, values, 0).sum(axis=1, keepdims=True) / count
            sd = np.sqrt(np.where(there, values**2, 0).sum(axis=1, keepdims=True) / (count - 1))
        flat = np.flatnonzero(~(sd[:, 0] > 1e-13 * np.nanmax(np.abs(values), initial=1e-300)))
        if flat.size:
            raise ValueError(f"rdms must vary over pairs to be z-scored, got a constant matrix at {flat[0]}")
        values = values / sd
    with np.errstate(invalid="ignore"):
        mean = np.where(there, values, 0).sum(axis=0) / there.sum(axis=0)
    return np.asarray(mean if rescale is None else (mean + rescale[0]) / rescale[1])


def from_pairs(pairs: PairsLike, n: int | None = None, *, kind: Kind) -> Targets:
    """A target of some pairs alone: a list of them, or a sparse matrix.

    Parameters
    ----------
    pairs : (m, 3) or (m, 4) array or DataFrame, or sparse matrix (n, n) of scipy
        One row a pair: stimulus i, stimulus j (from 0, in either order), value, and its weight if there is a fourth
        column (above zero; 1 by default). A row whose value is NaN is a missing pair. Of a sparse matrix the entries
        that it stores, zeros too, off its diagonal: above it, below it, or both where they agree.
    n : int, optional
        Number of stimuli; a sparse matrix says it itself.
    kind : {"similarity", "dissimilarity"}
        What the values are.

    Returns
    -------
    Targets
        One target for every verb, pruner and test; all other pairs are missing: they have weight 0.

    Raises
    ------
    TypeError
        Where values are no real numbers, or stimuli no whole ones.
    ValueError
        Where the shape is none of these, a stimulus is not from 0 to n - 1, a pair is one of a stimulus with itself or
        comes twice, or a value or weight is infinite; a weight that is not above zero.

    Notes
    -----
    The target takes 16 bytes for each of the n (n - 1) / 2 pairs, missing or not. Leave-one-out and insertion of one
    target pass over the pairs that are there, where they are few.

    Examples
    --------
    >>> import secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(5, 4))
    >>> pairs = [(0, 1, 0.9), (0, 2, 0.1), (3, 1, 0.5), (2, 4, 0.3)]
    >>> target = sc.targets.from_pairs(pairs, 5, kind="similarity")
    >>> sc.leave_one_out(X, target).shape
    (4,)
    """
    if kind not in ("similarity", "dissimilarity"):
        raise ValueError(f"kind must be 'similarity' or 'dissimilarity', got {kind!r}")
    if hasattr(pairs, "tocoo"):
        rows, n = _stored_pairs(pairs, n)
    else:
        n = check_integer("n", n, 3)
        rows = as_float64(pairs, "pairs")
        if rows.ndim != 2 or rows.shape[1] not in (3, 4) or not len(rows):
            raise ValueError(f"pairs must have shape (pairs, 3) or (pairs, 4), got {rows.shape}")
    rows = rows[~np.isnan(rows[:, 2])]
    i, j = _stimuli_of(rows[:, :2], n, "pairs", "pair").T
    places = pair_places(i, j, n)
    order = np.argsort(places, kind="stable")
    again = np.flatnonzero(np.diff(places[order]) == 0)
    if again.size:
        first, second = np.sort(order[again[0] : again[0] + 2])
        raise ValueError(f"pairs must hold each pair once, got {i[first]}, {j[first]} in rows {first} and {second}")
    values, weights = rows[:, 2], rows[:, 3] if rows.shape[1] == 4 else np.ones(len(rows))
    if np.isinf(values).any():
        raise ValueError(f"pairs must not have infinite values, got one in row {np.flatnonzero(np.isinf(values))[0]}")
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights > 0)))
    if bad.size:
        raise ValueError(f"pairs must have finite weights above 0, got {weights[bad[0]]:g} in row {bad[0]}")
    check_magnitude(values, "pairs")
    check_magnitude(weights, "weights", LARGEST_WEIGHT)
    return _of_some_pairs(places, values if kind == "similarity" else -values, weights, n, kind)


def _of_some_pairs(places: Indices, values: Matrix, weights: Matrix, n: int, kind: Kind) -> Targets:
    """One target, oriented, of the pairs at these places of the packed order."""
    packed, pattern = np.zeros((1, pair_count(n))), np.zeros((1, pair_count(n)))
    packed[0, places], pattern[0, places] = values, weights
    return Targets(packed, pattern, np.zeros(1, dtype=np.int64), n, True, kind=kind)


def _stored_pairs(pairs: Any, n: int | None) -> tuple[Matrix, int]:
    """The entries off the diagonal of a sparse matrix, as rows (i, j, value), and its number of stimuli."""
    shape = tuple(pairs.shape)
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] < 3 or n not in (None, shape[0]):
        raise ValueError(
            f"pairs must be square where they are sparse, of {n or '3 or more'} stimuli, got shape {shape}"
        )
    entries = pairs.tocoo(copy=True)
    entries.sum_duplicates()
    values = as_float64(entries.data, "pairs")
    i, j = np.asarray(entries.row, dtype=np.int64), np.asarray(entries.col, dtype=np.int64)
    off = i != j
    i, j, values = i[off], j[off], values[off]
    places = pair_places(i, j, shape[0])
    _, first, of = np.unique(places, return_index=True, return_inverse=True)
    same = np.isclose(values, values[first][of], rtol=1e-6, atol=1e-9, equal_nan=True)
    if not same.all():
        k = int(np.flatnonzero(~same)[0])
        other = first[of[k]]
        raise ValueError(
            f"pairs must be symmetric where a sparse matrix has both sides, got {values[other]} at ({i[other]}, "
            f"{j[other]}) and {values[k]} at ({i[k]}, {j[k]})"
        )
    return np.column_stack([i[first], j[first], values[first]]).astype(np.float64), int(shape[0])


def _stimuli_of(values: npt.NDArray[Any], n: int, name: str, of: str) -> Indices:
    """Rows of different stimuli from 0 to n - 1, checked."""
    if values.dtype.kind not in "iuf":
        raise TypeError(f"{name} must hold numbers of stimuli, got dtype {values.dtype}")
    if values.dtype.kind == "f":
        broken = np.argwhere(~(values == np.floor(values)))  # NaN too
        if len(broken):
            row, column = broken[0]
            raise TypeError(f"{name} must hold whole numbers of stimuli, got {values[row, column]} in row {row}")
    outside = np.argwhere((values < 0) | (values >= n))
    if len(outside):
        row, column = outside[0]
        counted = ": they look counted from 1, subtract 1" if values.min() == 1 and values.max() == n else ""
        raise ValueError(
            f"{name} must hold stimuli from 0 to {n - 1}, got {int(values[row, column])} in row {row}{counted}"
        )
    ordered = np.sort(values, axis=1)
    again = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
    if again.size:
        row = ", ".join(str(int(s)) for s in values[again[0]])
        raise ValueError(f"{name} must have different stimuli in a {of}, got {row} in row {again[0]}")
    return np.ascontiguousarray(values, dtype=np.int64)


def read_triplets(triplets: object, n: int, odd: int = 2) -> Indices:
    """Choices of odd ones out (m, 3) int64: the two stimuli that were kept together, then the odd one.

    Raises
    ------
    TypeError
        Where they are no whole numbers.
    ValueError
        Where their shape is not (m, 3), a stimulus is not from 0 to n - 1, or one is in a triplet twice.
    """
    odd = check_integer("odd", odd, 0, 2)
    values = refuse_mask(as_array(triplets, "triplets"), "triplets")
    if values.ndim != 2 or values.shape[1] != 3 or not len(values):
        raise ValueError(f"triplets must have shape (choices, 3), got {values.shape}")
    columns = [column for column in range(3) if column != odd]
    return np.ascontiguousarray(_stimuli_of(values, n, "triplets", "triplet")[:, [*columns, odd]])


def from_triplets(triplets: TripletsLike, n: int, *, odd: int = 2, weighted: bool = True) -> Targets:
    """A target of choices of odd ones out: how often each pair was kept together when it was shown.

    Parameters
    ----------
    triplets : (m, 3) integers
        The three stimuli of each choice, from 0.
    n : int
        Number of stimuli.
    odd : {2, 0, 1}
        The column that holds the odd one out. The last by default, as in the files of THINGS, SPoSE, VICE and
        thingsvision: the first two were kept together.
    weighted : bool
        Whether a pair weighs as often as it was shown; else once (rank comparators take no other weights).

    Returns
    -------
    Targets
        One target, of similarities from 0 to 1 (chance: 1/3); pairs that were never shown are missing.

    Raises
    ------
    TypeError
        Where triplets hold no whole numbers.
    ValueError
        Where their shape is not (m, 3), a stimulus is not from 0 to n - 1, or one is in a triplet twice.

    See Also
    --------
    secateur.odd_one_out : scores the choices themselves.

    References
    ----------
    Hebart, Zheng, Pereira & Baker (2020), Nature Human Behaviour 4, 1173-1185.

    Examples
    --------
    >>> from secateur.targets import from_triplets
    >>> target = from_triplets([(0, 1, 2), (0, 1, 3), (0, 2, 1)], 4)
    >>> target.values.round(2)[0], target.weights[0]
    (array([0.67, 0.5 , 0.  , 0.  , 0.  , 0.  ]), array([3., 2., 1., 2., 1., 0.]))
    """
    a, b, c = read_triplets(triplets, n, odd).T
    pairs = pair_count(n)
    kept = np.bincount(pair_places(a, b, n), minlength=pairs)
    shown = kept + np.bincount(np.concatenate([pair_places(a, c, n), pair_places(b, c, n)]), minlength=pairs)
    places = np.flatnonzero(shown)
    counts = shown[places].astype(np.float64)
    rows = places, kept[places] / counts, counts if weighted else np.ones(len(counts))
    return replace(_of_some_pairs(*rows, n, "similarity"), choices=True)
