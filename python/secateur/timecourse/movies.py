"""Movies of dissimilarity: one matrix for every time point of a MEG or EEG recording."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import xarray

from .. import _core
from ..arguments import is_integer, is_number
from ..execution import thread_count
from ..features import Indices, Matrix, as_float64
from ..pairs import pair_count

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .._typing import LabelsLike, PatternsLike, PicksLike, WindowsLike

__all__ = [
    "BAD", "BLOCK", "BY_POSITION", "CROSS_VALIDATED", "DIMS", "LENGTH", "METRICS", "NUMBER", "SENSOR_TYPES", "WINDOW",
    "Recording", "check_step", "picked", "rdm_movie", "read_seconds", "read_times", "read_windows",
]  # fmt: skip

SensorMetric = Literal["correlation", "euclidean", "mahalanobis", "crossnobis", "split-half"]
METRICS: tuple[SensorMetric, ...] = get_args(SensorMetric)
CROSS_VALIDATED = ("crossnobis", "split-half")
BY_POSITION = "stimuli_by_position"  # attribute of a recording whose file names no stimuli, as those were named to us
BAD = "bad_channels"  # attribute of a recording: the names of those that were left out
DIMS = {
    "split": ("split", "splits", "run", "fold"),
    "stimulus": ("stimulus", "stimuli", "condition"),
    "sensor": ("sensor", "sensors", "channel", "channels"),
    "time": ("time", "times"),
}
SENSOR_TYPES = {"mag", "grad", "eeg", "seeg", "ecog", "dbs", "csd"}
NUMBER = r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*"
LENGTH = re.compile(rf"\s*{NUMBER}(ms|s)?\s*")
WINDOW = re.compile(rf"\s*{NUMBER}(ms|s)?\s*[-–]\s*{NUMBER}(ms|s)?\s*")
BLOCK = 1 << 22  # bytes of matrices that wait to be averaged


@dataclass(frozen=True)
class Recording:
    """Patterns (splits, stimuli, sensors, times) of any real dtype, with what their input says of them."""

    values: npt.NDArray[Any]
    times: Matrix | None = None
    stimuli: tuple[str, ...] | None = None


# Reading


def _real(array: Any, name: str = "patterns") -> npt.NDArray[Any]:
    """An array of numbers, not copied: blocks are converted to float64 one by one."""
    masked = sum(int(np.ma.getmaskarray(one).sum()) for one in _parts(array) if isinstance(one, np.ma.MaskedArray))
    if masked:
        raise ValueError(
            f"{name} must hold no masked values, got {masked}: leave out what they lie in, or fill them with .filled()"
        )
    values = np.asarray(array)
    if values.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got dtype {values.dtype}")
    return values


def _parts(array: Any) -> list[Any]:
    """An array, or all those that lists hold, whose masks numpy would drop."""
    if not isinstance(array, list | tuple):
        return [array]
    return [part for one in array for part in _parts(one)] if array and not np.isscalar(array[0]) else []


def _select(known: Sequence[str], stimuli: tuple[str, ...] | None, where: str) -> list[int]:
    """Positions of the asked names among the known ones; all of them where none is asked for."""
    if stimuli is None:
        return list(range(len(known)))
    for name in stimuli:
        if name not in known:
            raise ValueError(f"stimuli must be names in {where}, got {name!r}")
    return [list(known).index(name) for name in stimuli]


def _read_dataarray(array: xarray.DataArray, stimuli: tuple[str, ...] | None) -> Recording:
    """A DataArray whose dims are named in any order."""
    own = {}
    rule = f"patterns must have dims ([split,] stimulus, sensor, time), got {', '.join(map(str, array.dims))}"
    for dim in array.dims:
        kind = next((kind for kind, words in DIMS.items() if str(dim).lower() in words), None)
        if kind is None or kind in own:
            raise ValueError(f"{rule}: choose one entry of any other dim with .sel()")
        own[kind] = dim
    if not {"stimulus", "sensor", "time"} <= set(own):
        raise ValueError(rule)
    values = _real(array.transpose(*(own[kind] for kind in DIMS if kind in own)).values)
    values = values if "split" in own else values[None]
    times = None
    if own["time"] in array.coords:
        units = str(array.coords[own["time"]].attrs.get("units", "s"))
        if units not in ("s", "sec", "second", "seconds"):
            raise ValueError(f"patterns must have their times in seconds, got units {units!r}")
        times = as_float64(array.coords[own["time"]].values, "times")
    if own["stimulus"] in array.coords:
        known = tuple(map(str, array.coords[own["stimulus"]].values))
        chosen = _select(known, stimuli, "the patterns' coordinate")
        values, stimuli = values[:, chosen], tuple(known[i] for i in chosen)
    return Recording(values, times, stimuli)


def _data(thing: Any) -> npt.NDArray[Any]:
    """The numbers of an Evoked-like object, or of an array."""
    get = getattr(thing, "get_data", None)
    return _real(get() if callable(get) else thing.data if hasattr(thing, "times") else thing)


def _check_sensors(thing: Any) -> None:
    """Refuse channels that are no sensors: they would enter the patterns."""
    types = getattr(thing, "get_channel_types", None)
    foreign = sorted(set(types()) - SENSOR_TYPES) if callable(types) else []
    if foreign:
        raise ValueError(f"patterns must hold sensors alone, got channels of type {foreign[0]!r}: pick sensors first")


def _read_evoked(patterns: Any, stimuli: tuple[str, ...] | None) -> Recording:
    """A dict or a list of Evoked-like objects, one a stimulus."""
    if isinstance(patterns, Mapping):
        names = tuple(map(str, patterns))
        chosen = _select(names, stimuli, "the dict's keys")
        things, stimuli = [list(patterns.values())[i] for i in chosen], tuple(names[i] for i in chosen)
    else:
        things = list(patterns)
        names = tuple(str(getattr(thing, "comment", None) or "") for thing in things)
        if "" not in names and len(set(names)) == len(names):
            chosen = _select(names, stimuli, "the comments of the list")
            things, stimuli = [things[i] for i in chosen], tuple(names[i] for i in chosen)
    if not things:
        raise ValueError("patterns must hold at least 2 stimuli, got none")
    times: Matrix | None = None
    first = things[0]
    for i, thing in enumerate(things):
        _check_sensors(thing)
        label = repr(stimuli[i]) if stimuli and i < len(stimuli) else str(i)
        if _data(thing).ndim != 2 or _data(thing).shape != _data(first).shape:
            raise ValueError(
                f"patterns must have shape (sensors, times), the same for every stimulus, got {_data(first).shape} "
                f"for the first and {_data(thing).shape} for stimulus {label}"
            )
        if list(getattr(thing, "ch_names", [])) != list(getattr(first, "ch_names", [])):
            raise ValueError(f"patterns must have the same sensors in one order, got others for stimulus {label}")
        if hasattr(thing, "times"):
            own = as_float64(thing.times, "times")
            if times is not None and not np.allclose(own, times, rtol=0, atol=1e-9):
                raise ValueError(f"patterns must have the same times, got others for stimulus {label}")
            times = own
    return Recording(np.stack([_data(thing) for thing in things])[None], times, stimuli)


def _read_epochs(epochs: Any, stimuli: tuple[str, ...] | None, splits: int | LabelsLike | None) -> Recording:
    """MNE Epochs: averaged by condition, and by split where splits are asked for."""
    _check_sensors(epochs)
    names = tuple(map(str, epochs.event_id))
    chosen = _select(names, stimuli, "the epochs' event_id")
    codes = [list(epochs.event_id.values())[i] for i in chosen]
    data, events = _real(epochs.get_data()), np.asarray(epochs.events)[:, 2]
    labels: list[Any] = [0]
    of = np.zeros(len(events), dtype=np.int64)
    if splits is not None and np.ndim(splits) == 0:
        if not is_integer(splits) or splits < 2:
            raise ValueError(f"splits must be at least 2, or one label an epoch, got {splits!r}")
        labels = list(range(int(splits)))
        for code in codes:  # in turn, so that slow changes meet every split
            of[events == code] = np.arange(np.sum(events == code)) % len(labels)
    elif splits is not None:
        if np.shape(splits) != (len(events),):
            raise ValueError(f"splits must have one label for each of {len(events)} epochs, got {np.shape(splits)}")
        distinct, of = np.unique(np.asarray(splits), return_inverse=True)
        labels = distinct.tolist()
    values = np.empty((len(labels), len(codes), *data.shape[1:]))
    for s, label in enumerate(labels):
        for i, code in enumerate(codes):
            member = (events == code) & (of == s)
            if not member.any():
                place = f" in split {label!r}" if len(labels) > 1 else ""
                name = names[chosen[i]]
                raise ValueError(f"patterns must have an epoch of every stimulus, got none of {name!r}{place}")
            values[s, i] = data[member].mean(axis=0)
    return Recording(values, as_float64(epochs.times, "times"), tuple(names[i] for i in chosen))


def picked(thing: Any, picks: PicksLike | None, what: str, where: str) -> Any:
    """The sensors of an MNE object that are asked for, without the bad ones.

    ``what`` is the argument that holds no sensors, and ``where`` what sensors are called after, in messages.
    """
    kinds = sorted(set(thing.get_channel_types()) & SENSOR_TYPES)
    if picks is None and len(kinds) != 1:
        words = " or ".join(f"picks={kind!r}" for kind in kinds)
        raise ValueError(
            f"picks must choose among the sensors of {where}, whose units differ: {words}, got none"
            if kinds
            else f"{what} must hold sensors, got channels of type {thing.get_channel_types()[0]!r} in {where}"
        )
    try:
        return thing.copy().pick(kinds[0] if picks is None else picks, exclude="bads", verbose="error")
    except ValueError as error:
        raise ValueError(f"picks must name sensors of {where}, got {picks!r}") from error


def _is_mne(thing: Any) -> bool:
    """Whether channels have types that can be picked."""
    return hasattr(thing, "get_channel_types") and hasattr(thing, "pick")


def _all_picked(patterns: Any, picks: PicksLike | None) -> Any:
    """Every MNE object in patterns with the sensors that are asked for."""
    listed = isinstance(patterns, list | tuple)
    things = list(patterns.values()) if isinstance(patterns, Mapping) else list(patterns) if listed else [patterns]
    if not any(map(_is_mne, things)):
        if picks is not None:
            raise ValueError(
                f"picks must be left out unless patterns are MNE objects, got {picks!r} for {type(patterns).__name__}"
            )
        return patterns
    chosen = [picked(one, picks, "patterns", "the patterns") if _is_mne(one) else one for one in things]
    if isinstance(patterns, Mapping):
        return dict(zip(patterns, chosen, strict=True))
    return chosen if listed else chosen[0]


def _read_recording(
    patterns: Any, stimuli: Any, splits: int | LabelsLike | None, picks: PicksLike | None = None
) -> Recording:
    """Every accepted form of patterns."""
    if isinstance(stimuli, str):
        raise TypeError(f"stimuli must be a sequence of names, got {stimuli!r}")
    names = None if stimuli is None else tuple(map(str, stimuli))
    if names is not None and len(set(names)) < len(names):
        raise ValueError("stimuli must be distinct, got a name twice")
    patterns = _all_picked(patterns, picks)
    if hasattr(patterns, "get_data") and hasattr(patterns, "events"):
        return _read_epochs(patterns, names, splits)
    if splits is not None:
        raise ValueError(
            f"splits must be left out unless patterns are epochs, got {type(patterns).__name__}: other patterns have "
            "shape (splits, stimuli, sensors, times)"
        )
    if hasattr(patterns, "dims") and hasattr(patterns, "coords"):
        return _read_dataarray(patterns, names)
    listed = isinstance(patterns, list | tuple) and bool(patterns) and hasattr(patterns[0], "times")
    if isinstance(patterns, Mapping) or listed:
        return _read_evoked(patterns, names)
    values = _real(patterns)
    if values.ndim not in (3, 4):
        raise ValueError(f"patterns must have shape ([splits,] stimuli, sensors, times), got shape {values.shape}")
    return Recording(values if values.ndim == 4 else values[None], None, names)


def read_times(times: ArrayLike, count: int) -> Matrix:
    """Seconds (count,), finite and increasing."""
    values = as_float64(times, "times")
    if values.shape != (count,):
        raise ValueError(f"times must have shape ({count},), one a time point, got {values.shape}")
    if not np.isfinite(values).all() or (np.diff(values) <= 0).any():
        raise ValueError("times must be finite and increasing, got others")
    return values


def check_step(times: Matrix) -> None:
    """Refuse steps that no recording has: of more than a second."""
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    if step > 1:
        raise ValueError(f"times must be in seconds, got steps of {step:g}: divide milliseconds by 1000")


def read_seconds(value: object, name: str) -> float:
    """Seconds from a number of them, or from words with a unit: 0.02, "0.02s", "20ms"."""
    if isinstance(value, str):
        match = LENGTH.fullmatch(value)
        if not match:
            raise ValueError(f"{name} must be in seconds, or have a unit, as in '20ms' and '0.02s', got {value!r}")
        return float(match[1]) / (1000 if match[2] == "ms" else 1)
    if not is_number(value):
        raise TypeError(f"{name} must be a number of seconds, or have a unit, as in '20ms', got {value!r}")
    return float(value)


def read_windows(windows: WindowsLike, name: str = "windows") -> list[tuple[float, float]]:
    """(start, stop) in seconds of each window; as one text, windows have commas between them: "150-185ms,275-285ms"."""
    found = []
    for window in windows.split(",") if isinstance(windows, str) else windows:
        if isinstance(window, str):
            match = WINDOW.fullmatch(window)
            if not match:
                raise ValueError(
                    f"{name} must be START-STOP, in seconds or with a unit, as in 0.175-0.185 and 150-300ms, got "
                    f"{window!r}"
                )
            first, second = match[2] or match[4] or "s", match[4] or match[2] or "s"
            start, stop = read_seconds(match[1] + first, name), read_seconds(match[3] + second, name)
        elif np.shape(window) == (2,):
            start, stop = (read_seconds(edge, name) for edge in window)
        else:
            raise ValueError(f"{name} must be pairs (start, stop) in seconds, got {window!r}")
        if not start <= stop:
            raise ValueError(f"{name} must be pairs (start, stop), START-STOP, the earlier first, got {window!r}")
        found.append((start, stop))
    return found


def _whitening(noise: ArrayLike | None, sensors: int) -> Matrix | None:
    """W (sensors, rank) with W W' = noise: distances in X W are Mahalanobis distances in X."""
    if noise is None:
        return None
    from threadpoolctl import threadpool_limits

    precision = as_float64(noise, "noise")
    if precision.shape != (sensors, sensors):
        raise ValueError(f"noise must have shape ({sensors}, {sensors}), a precision matrix, got {precision.shape}")
    if not np.isfinite(precision).all():
        i, j = np.argwhere(~np.isfinite(precision))[0]
        raise ValueError(f"noise must hold no NaN or infinity, got {precision[i, j]} at ({i}, {j})")
    scale = float(np.abs(precision).max())
    if np.abs(precision - precision.T).max() > 1e-8 * scale:
        raise ValueError("noise must be symmetric, got a matrix that is not")
    try:
        with threadpool_limits(1, "blas"):  # threads of BLAS spin on after a call, on cores that are wanted
            return np.asarray(np.linalg.cholesky(precision))  # half of it is zero, and costs nothing
    except np.linalg.LinAlgError:
        pass  # singular, or no precision at all
    values, vectors = np.linalg.eigh((precision + precision.T) / 2)
    if values[-1] <= 0 or values[0] < -1e-8 * values[-1]:
        raise ValueError(f"noise must be positive semidefinite and not zero, got an eigenvalue of {values[0]:.3g}")
    kept = values > 0
    return np.ascontiguousarray(vectors[:, kept] * np.sqrt(values[kept]))


# Matrices


def _rows(
    windows: list[tuple[float, float]] | None, smoothing: float | None, times: Matrix
) -> tuple[list[list[int]], Matrix]:
    """Time points averaged in each output row, with repeats where smoothing counts one more than once; and weights."""
    step = float(np.diff(times).min()) if len(times) > 1 else 1e-6
    edge = 1e-3 * step  # times may have been stored in single precision
    weights = np.eye(len(times))
    if smoothing is not None:
        if not np.isfinite(smoothing) or smoothing <= 0:
            raise ValueError(f"smoothing must be a positive width in seconds, got {smoothing!r}")
        half = (times[-1] - times[0]) / 2
        if len(times) > 1 and smoothing > half + edge:
            raise ValueError(
                f"smoothing must be at most half of the recording, {half:.6g} s, got {smoothing:g} s: milliseconds "
                "have their unit written, as in '20ms'"
            )
        near = np.abs(times[:, None] - times) <= smoothing / 2 + edge
        if len(times) > 1 and not (near.sum(axis=1) > 1).any():
            raise ValueError(
                f"smoothing must reach a neighbouring time point, {2 * step:.6g} s or more, got {smoothing!r}"
            )
        weights = near / near.sum(axis=1, keepdims=True)
    if windows is not None:
        members = np.zeros((len(windows), len(times)))
        for k, window in enumerate(windows):
            inside = (times >= window[0] - edge) & (times <= window[1] + edge)
            if not inside.any():
                unit = ", and milliseconds have their unit written, as in '150-300ms'" if window[1] > 10 else ""
                raise ValueError(
                    f"windows must each hold a time point, got none in {tuple(map(float, window))} s: times run from "
                    f"{times[0]:.6g} to {times[-1]:.6g} s{unit}"
                )
            members[k] = inside / inside.sum()
        weights = members @ weights
    return [np.flatnonzero(weights[:, t]).tolist() for t in range(len(times))], weights


def _matrices(
    values: npt.NDArray[Any], at: Indices, metric: SensorMetric, whitening: Matrix | None, threads: int
) -> Matrix:
    """Dissimilarities (times, pairs) at some time points; NaN is refused with its place."""
    if values.dtype not in (np.float32, np.float64):
        values, times = values[..., at].astype(np.float64), np.arange(len(at))
    else:
        times = at
    core = "euclidean" if metric == "mahalanobis" else metric
    finite, matrices = _core.rdm_movie(values, core, whitening, times, threads)
    if not finite:
        for t, column in zip(at, times):
            block = values[..., column]
            if not np.isfinite(block).all():
                s, i, c = np.argwhere(~np.isfinite(block))[0]
                split = f"split {s}, " if values.shape[0] > 1 else ""
                raise ValueError(
                    f"patterns must hold no NaN or infinity, got {block[s, i, c]} at {split}stimulus {i}, sensor {c}, "
                    f"time point {t}"
                )
    return np.asarray(matrices)


def rdm_movie(
    patterns: PatternsLike,
    metric: SensorMetric = "correlation",
    *,
    times: ArrayLike | None = None,
    stimuli: Sequence[str] | None = None,
    windows: WindowsLike | None = None,
    smoothing: float | str | None = None,
    noise: ArrayLike | None = None,
    splits: int | LabelsLike | None = None,
    picks: PicksLike | None = None,
    threads: int | None = None,
) -> xarray.DataArray:
    """Dissimilarity matrix of the sensor patterns at every time point, or averaged in windows.

    Parameters
    ----------
    patterns : array (stimuli, sensors, times) or (splits, stimuli, sensors, times); DataArray; MNE objects
        Cross-validated metrics need at least 2 splits: independent measurements of every stimulus, such as runs.
        A DataArray has these dims, by name, in any order; its coordinates name the stimuli and give the times in
        seconds. A dict or a list of MNE ``Evoked`` has one entry a stimulus (a list is named by its comments where
        they are distinct); MNE ``Epochs`` are averaged by condition; their bad channels are always left out.
    metric : {"correlation", "euclidean", "mahalanobis", "crossnobis", "split-half"}
        ``correlation``: 1 - Pearson over sensors. ``euclidean`` and ``mahalanobis``: squared, divided by the number
        of sensors, as in rsatoolbox. ``crossnobis``: the squared Mahalanobis distance with both factors from different
        splits; its expectation is 0 where two stimuli differ by noise alone, so it may be negative. ``split-half``:
        1 - Pearson between the patterns of two stimuli in different splits, averaged over all pairs of splits; noise
        independent between splits makes no two stimuli alike, but still draws correlations towards 0.
    times : array (times,), optional
        Seconds, increasing, in steps of 1 at most. Overrides what ``patterns`` say; sample numbers where neither does.
    stimuli : sequence of str, optional
        Which named stimuli, in which order; or the names, where ``patterns`` have none. By default the order of the
        patterns; of ``event_id`` for epochs.
    windows : sequence of (start, stop) or of str, or str, optional
        Seconds, both ends included: one matrix each, the mean of the matrices in it. Words may have a unit:
        ``"150-300ms"``, ``"0.15-0.3s"``, several with commas between them.
    smoothing : float or str, optional
        Seconds, or words with a unit (``"20ms"``): each matrix becomes the mean of those within half this width, fewer
        at both ends of the recording; twice the sampling step at least, and half of the recording at most.
        Windows average what was smoothed.
    noise : array (sensors, sensors), optional
        Precision (inverse covariance) of the noise, for ``mahalanobis`` and ``crossnobis``; the identity by default.
    splits : int or array (epochs,), optional
        For epochs: how many splits to deal the epochs of each condition into, in turn; or a label for each epoch,
        such as its run. Splits that share slow drifts are not independent: prefer runs.
    picks : str or sequence of str, optional
        MNE objects: sensor type ("mag", "grad", "meg", "eeg") or names. Needed where sensors are of several types:
        their units differ, and patterns over both follow the larger numbers.
    threads : int, optional
        All available processors by default. The result is the same, bit for bit, for any number.

    Returns
    -------
    xarray.DataArray, dims (time, pair), float64
        Pairs in ``numpy.triu_indices(n, 1)`` order. Coordinate ``time`` in seconds (a window's middle, with
        ``window_start`` and ``window_stop``). Attributes ``metric``, ``kind`` ("dissimilarity"), ``how`` and, where
        they have names, ``stimuli``, in order. NaN where a pattern is constant over sensors (correlations alone).

    Raises
    ------
    TypeError, ValueError
        Where shapes, sensors or times of patterns don't fit, a name, window, split or pick is none of these, noise is
        no precision matrix of the sensors, or patterns hold NaN at a time that is used (the place is named).

    Notes
    -----
    With M splits, ``crossnobis`` is the mean over folds of the left-out split against the mean of the others: every
    split counts the same, however many epochs it has. rsatoolbox weighs by epochs where they are unbalanced.
    Memory beyond the result is a few megabytes a thread.

    References
    ----------
    Tarigopula, Fairhall, Bavaresco, Truong & Hasson (2023), §3.2 (1 - Pearson over sensors; windows of averaged
    matrices). Walther, Nili, Ejaz, Alink, Kriegeskorte & Diedrichsen (2016), NeuroImage 137 (crossnobis, split-half
    correlation). Nili et al. (2014).

    Examples
    --------
    >>> patterns = np.random.default_rng(0).normal(size=(5, 20, 8))
    >>> movie = rdm_movie(patterns, times=np.arange(8) * 0.005, stimuli=list("abcde"), windows=[(0.01, 0.02)])
    >>> movie.dims, movie.shape, movie.attrs["kind"]
    (('time', 'pair'), (1, 10), 'dissimilarity')
    """
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(map(repr, METRICS))}; got {metric!r}")
    windows = None if windows is None else read_windows(windows)
    smoothing = None if smoothing is None else read_seconds(smoothing, "smoothing")
    recording = _read_recording(patterns, stimuli, splits, picks)
    values, names = recording.values, recording.stimuli
    n_splits, n, sensors, n_times = values.shape
    if n < 2 or sensors < 1 or n_times < 1:
        raise ValueError(f"patterns must have 2 stimuli, 1 sensor and 1 time point or more, got {values.shape[1:]}")
    if names is not None and len(names) != n:
        raise ValueError(f"stimuli must name each of {n} stimuli, got {len(names)} names")
    if metric in CROSS_VALIDATED and n_splits < 2:
        raise ValueError(f"patterns must have at least 2 splits for metric {metric!r}, got {n_splits}")
    if metric not in CROSS_VALIDATED and n_splits > 1:
        raise ValueError(f"patterns must have no splits for metric {metric!r}, got {n_splits}: average them first")
    if noise is not None and metric not in ("mahalanobis", "crossnobis"):
        raise ValueError(f"noise must be left out for metric {metric!r}, got one")
    whitening = _whitening(noise, sensors)
    count = thread_count(threads)
    given = recording.times if times is None else times
    if given is None and (windows is not None or smoothing is not None):
        raise ValueError("times must be given in seconds for windows or smoothing, got none")
    seconds = np.arange(n_times, dtype=np.float64) if given is None else read_times(given, n_times)
    if given is not None:
        check_step(seconds)
    if windows is not None and not len(windows):
        raise ValueError("windows must hold at least one window, got none")

    plain = windows is None and smoothing is None
    rows, weights = ([[t] for t in range(n_times)], None) if plain else _rows(windows, smoothing, seconds)
    used = np.array([t for t in range(n_times) if rows[t]], dtype=np.int64)
    pairs = pair_count(n)
    step = max(8, BLOCK // (8 * pairs) // 8 * 8)
    plain = plain and values.dtype in (np.float32, np.float64)
    if plain:
        out = _matrices(values, used, metric, whitening, count)
    else:
        out = np.zeros((n_times if windows is None else len(windows), pairs))
        for at in (used[k : k + step] for k in range(0, len(used), step)):
            for t, matrix in zip(at, _matrices(values, at, metric, whitening, count), strict=True):
                for row in rows[t]:
                    out[row] += (1 if weights is None else weights[row, t]) * matrix

    how = [f"{metric} over {sensors} sensors at each time point"]
    how += [f"{n_splits} splits"] if n_splits > 1 else []
    how += ["noise precision"] if noise is not None else []
    how += [f"boxcar of {smoothing:g} s"] if smoothing is not None else []
    how += ["mean of the matrices in each window"] if windows is not None else []
    attrs: dict[str, Any] = {"metric": metric, "kind": "dissimilarity", "how": ", ".join(how)}
    attrs |= {"stimuli": list(names)} if names is not None else {}
    coords: dict[str, Any] = {}
    if windows is None:
        coords["time"] = ("time", seconds, {"units": "sample" if given is None else "s"})
    else:
        bounds = np.array(windows, dtype=np.float64)
        coords["time"] = ("time", bounds.mean(axis=1), {"units": "s"})
        coords["window_start"] = ("time", bounds[:, 0], {"units": "s"})
        coords["window_stop"] = ("time", bounds[:, 1], {"units": "s"})
    return xarray.DataArray(out, dims=("time", "pair"), coords=coords, attrs=attrs, name="dissimilarity")
