"""Recordings from files: MNE, FieldTrip, EEGLAB, NumPy, netCDF, Zarr, and a folder of subjects."""

from __future__ import annotations

import math
import os
import re
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray

from ..arguments import quoted
from ..features import as_float64
from ..reading import Reader, ReadError, check_size, load_npy, netcdf_array, npz_headers, npz_member
from .codecs import check_zarr
from .movies import (
    BAD,
    BY_POSITION,
    DIMS,
    NUMBER,
    SENSOR_TYPES,
    Recording,
    _read_epochs,
    _read_evoked,
    _read_recording,
    picked,
    rdm_movie,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .._typing import LabelsLike, PicksLike, RecordingsLike
    from .movies import SensorMetric

__all__ = ["FORMATS", "STIMULUS_KEYS", "SUBJECT", "rdm_movies", "read_recording", "read_recordings", "subject_files"]

FORMATS = (".fif", ".fif.gz", ".mat", ".set", ".npy", ".npz", ".nc", ".zarr")
STIMULUS_KEYS = (*DIMS["stimulus"], "conditions", "labels")
FIELDTRIP = ("label", "trial", "avg", "time", "trialinfo", "dimord")
EEGLAB = ("data", "nbchan", "pnts", "trials", "srate", "xmin", "chanlocs", "event")
SUBJECT = re.compile(r"(?<![A-Za-z0-9])sub-([A-Za-z0-9]+)")


def read_recording(
    path: str | os.PathLike[str],
    *,
    stimuli: Sequence[str] | None = None,
    picks: PicksLike | None = None,
    splits: int | LabelsLike | None = None,
    times: ArrayLike | None = None,
    key: str | None = None,
    column: int = 0,
) -> xarray.DataArray:
    """Read the sensor patterns of a recording, one a stimulus, as :func:`rdm_movie` takes them.

    Parameters
    ----------
    path : path
        ``.fif``: MNE epochs, averaged by condition, or evoked, one a stimulus. ``.mat``: FieldTrip structures of the
        raw kind (``trial`` a cell) or of ``ft_timelockanalysis`` (``trial`` an array, or ``avg``: several structures,
        or a cell of them, are a stimulus each), saved in any version, -v7.3 too. ``.set``: EEGLAB's epochs, with the
        ``.fdt`` beside it where there is one; a stimulus is the type of the event at time 0 (of several, all types
        with ``/`` between), averaged over epochs. ``.npy``, ``.npz``: (stimuli, sensors, times), a first axis of splits
        allowed; in an archive ``times`` and ``stimuli`` (or ``labels``) are read along. ``.nc``, ``.zarr``: a DataArray
        with dims ([subject,] [split,] stimulus, sensor, time), in any order.
    stimuli : sequence of str, optional
        Which, in which order; names, where the file has none. By default the file's order: of ``event_id`` for epochs,
        ascending codes for FieldTrip and EEGLAB, words by the alphabet. The coordinate ``stimulus`` of the result says
        which is which.
    picks : str or sequence of str, optional
        MNE: sensor type ("mag", "grad", "meg", "eeg") or names. Bad channels are always left out. Needed where the
        file has sensors of several types: their units differ, and patterns over both follow the larger numbers.
        FieldTrip: names of sensors. EEGLAB: names, or a type of channel; needed where channels are of several types.
    splits : int or array (epochs,), optional
        As in :func:`rdm_movie`, for files of single epochs.
    times : array (times,), optional
        Seconds, for ``.npy`` and ``.npz`` files that don't hold them.
    key : str, optional
        Which variable of a ``.mat``, ``.npz``, ``.nc`` or ``.zarr`` file that holds several.
    column : int
        FieldTrip: the column of ``trialinfo`` that holds the condition.

    Returns
    -------
    xarray.DataArray, dims ([subject,] [split,] stimulus, sensor, time), float64
        In the file's units, with coordinates ``stimulus``, ``sensor`` and ``time`` (seconds) where the file has them,
        ``epochs`` (stimulus), how many were averaged, and ``attrs["source"]``, the file's name;
        ``attrs["bad_channels"]`` names those of an MNE file that were left out, where there are some.

    Raises
    ------
    ValueError
        Where the file is missing, is of another kind, or an argument does not fit it.
    ImportError
        Where a ``.fif`` file is read without MNE (extra ``interop``), or ``.zarr`` without zarr (``cluster``).

    Notes
    -----
    ``.mat``, ``.set`` and netCDF files are read in a process of their own, within :func:`secateur.reading.limits`. Of
    MATLAB's files trials of tables (``trialinfo``) and the former ``.dat`` of EEGLAB are not read.

    Examples
    --------
    >>> np.savez("speech.npz", patterns=np.zeros((3, 5, 4)), times=[0, 0.1, 0.2, 0.3], stimuli=["a", "o", "u"])
    >>> recording = read_recording("speech.npz", stimuli=["u", "a"])
    >>> recording.dims, recording.stimulus.values.tolist()
    (('stimulus', 'sensor', 'time'), ['u', 'a'])
    """
    place = Path(path)
    if not place.exists():
        raise ValueError(f"path must be a file, got {str(path)!r}, which does not exist")
    names = None if stimuli is None else tuple(map(str, stimuli))
    suffix = ".fif.gz" if place.name.lower().endswith(".fif.gz") else place.suffix.lower()
    for name, given, fits in (
        ("picks", picks, (".fif", ".fif.gz", ".mat", ".set")),
        ("splits", splits, (".fif", ".fif.gz", ".mat", ".set")),
        ("times", times, (".npy", ".npz")),
        ("key", key, (".mat", ".npz", ".nc", ".zarr")),
    ):
        if given is not None and suffix in FORMATS and suffix not in fits:
            raise ValueError(f"{name} must be left out for a {suffix} file, got {given!r} for {place.name}")
    if suffix in (".fif", ".fif.gz"):
        array = _from_mne(place, names, picks, splits)
    elif suffix == ".mat":
        array = _from_fieldtrip(place, names, picks, splits, key, column)
    elif suffix == ".set":
        array = _from_eeglab(place, names, picks, splits)
    elif suffix in (".npy", ".npz"):
        array = _from_numpy(place, names, times, key)
    elif suffix in (".nc", ".zarr"):
        array = _from_xarray(place, names, key)
    else:
        raise ValueError(f"path must end in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, got {place.name!r}")
    array.attrs["source"] = place.name
    return array


def read_recordings(
    folder: str | os.PathLike[str], pattern: str = "sub-*/**/*_epo.fif", **how: Any
) -> dict[str, xarray.DataArray]:
    """Read one recording a subject from a folder such as a BIDS derivative.

    Parameters
    ----------
    folder : path
        Where the subjects' folders lie.
    pattern : str
        Which files, as in :meth:`pathlib.Path.glob`: narrow it where a subject has several, as in
        ``"sub-*/ses-01/meg/*_task-view_proc-clean_epo.fif"``. The subject is what follows ``sub-`` in the path.
    **how
        As in :func:`read_recording`. Without ``stimuli`` the first subject's stimuli, in its order, are asked of all.

    Returns
    -------
    dict of str to xarray.DataArray
        By subject label, in the order of the labels.

    Raises
    ------
    ValueError
        Where no file matches, two match for one subject, or a subject lacks a stimulus.

    Examples
    --------
    >>> for subject in ("02", "01"):
    ...     Path(f"study/sub-{subject}").mkdir(parents=True)
    ...     np.savez(f"study/sub-{subject}/patterns.npz", patterns=np.zeros((3, 5, 4)), times=np.arange(4) * 0.1)
    >>> list(read_recordings("study", "sub-*/patterns.npz"))
    ['01', '02']
    """
    found: dict[str, xarray.DataArray] = {}
    for subject, path in subject_files(folder, pattern).items():
        try:
            found[subject] = read_recording(path, **how)
        except (ValueError, TypeError) as error:
            raise type(error)(f"sub-{subject}: {error}") from error
        if how.get("stimuli") is None and "stimulus" in found[subject].coords:
            how["stimuli"] = found[subject].stimulus.values.tolist()
    return found


def subject_files(folder: str | os.PathLike[str], pattern: str) -> dict[str, Path]:
    """One file a subject, in the order of their labels."""
    place = Path(folder)
    files: dict[str, Path] = {}
    if not place.is_dir():
        raise ValueError(f"folder must be a folder, got {str(folder)!r}")
    for path in sorted(place.glob(pattern)):
        label = SUBJECT.search(str(path.relative_to(place)))
        if label is None:
            raise ValueError(f"pattern must match files of subjects (sub-…), got {str(path.relative_to(place))!r}")
        subject = label.group(1)
        if subject in files:
            here, there = (str(p.relative_to(place)) for p in (files[subject], path))
            raise ValueError(f"pattern must match one file a subject, got {here!r} and {there!r}")
        files[subject] = path
    if not files:
        held = sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.suffix in FORMATS)
        words = f": it holds {quoted(held)}" if held else ", and it holds no recording"
        raise ValueError(f"pattern must match a file in {str(folder)!r}, got {pattern!r}, which matches none{words}")
    return {subject: files[subject] for subject in sorted(files)}


def rdm_movies(
    recordings: RecordingsLike,
    metric: SensorMetric = "correlation",
    **how: Any,
) -> dict[Any, xarray.DataArray]:
    """One movie a subject, as :func:`prune` takes them.

    Parameters
    ----------
    recordings : dict or list of recordings, or DataArray with a dim subject
        One a subject, each in any form that :func:`rdm_movie` takes.
    metric : str
        As in :func:`rdm_movie`.
    **how
        As in :func:`rdm_movie`: ``windows``, ``smoothing``, ``stimuli``, ``picks``, …

    Returns
    -------
    dict of subject to xarray.DataArray (time, pair)

    Raises
    ------
    TypeError, ValueError
        As :func:`rdm_movie` does, with the subject before the sentence.

    Examples
    --------
    >>> from secateur.timecourse import simulate
    >>> patterns, _ = simulate(8, subjects=2, sensors=20)
    >>> movies = rdm_movies(patterns, windows=[(0.175, 0.185), (0.275, 0.285)])
    >>> {subject: movie.shape for subject, movie in movies.items()}
    {0: (2, 28), 1: (2, 28)}
    """
    if isinstance(recordings, Mapping):
        pairs = list(recordings.items())
    elif isinstance(recordings, list | tuple):
        pairs = list(enumerate(recordings))
    elif "subject" in getattr(recordings, "dims", ()):
        names = recordings.coords["subject"].values if "subject" in recordings.coords else range(len(recordings))
        pairs = [
            (getattr(name, "item", lambda name=name: name)(), recordings.isel(subject=s, drop=True))
            for s, name in enumerate(names)
        ]
    else:
        raise TypeError(
            "recordings must be a dict or a list of one recording a subject, or a DataArray with a dim subject, got "
            f"{type(recordings).__name__}"
        )
    if not pairs:
        raise ValueError("recordings must hold at least one subject, got none")
    made = {}
    for subject, recording in pairs:
        try:
            made[subject] = rdm_movie(recording, metric, **how)
        except (TypeError, ValueError) as error:
            raise type(error)(f"subject {subject}: {error}") from error
    return made


# From here on: one reader a format


def _labelled(
    recording: Recording, sensors: Iterable[str] | None, counts: npt.NDArray[Any] | None = None
) -> xarray.DataArray:
    """A recording as a DataArray; an axis of one split is left out."""
    values = np.asarray(recording.values, dtype=np.float64)
    dims: tuple[str, ...] = ("split", "stimulus", "sensor", "time")
    coords: dict[str, Any] = {}
    if recording.stimuli is not None:
        coords["stimulus"] = list(recording.stimuli)
    if sensors is not None:
        coords["sensor"] = list(sensors)
    if recording.times is not None:
        coords["time"] = ("time", recording.times, {"units": "s"})
    if counts is not None:
        coords["epochs"] = ("stimulus", counts)
    if len(values) == 1:
        values, dims = values[0], dims[1:]
    return xarray.DataArray(values, dims=dims, coords=coords, name="pattern")


def _counted(epochs: Any, names: tuple[str, ...]) -> npt.NDArray[np.int64]:
    """How many epochs each stimulus has."""
    codes = np.asarray(epochs.events)[:, 2]
    return np.array([int((codes == epochs.event_id[name]).sum()) for name in names])


def _from_mne(
    path: Path, names: tuple[str, ...] | None, picks: PicksLike | None, splits: int | LabelsLike | None
) -> xarray.DataArray:
    try:
        import mne
    except ImportError as error:
        raise ImportError("reading .fif files needs mne: pip install 'secateur[interop]'") from error
    kind = mne.what(path)
    if kind == "epochs":
        whole = mne.read_epochs(path, preload=True, verbose="error")
        epochs = picked(whole, picks, "path", path.name)
        read = _read_epochs(epochs, names, splits)
        return _without_bad(_labelled(read, epochs.ch_names, _counted(epochs, read.stimuli or ())), whole, picks)
    if kind != "evoked":
        raise ValueError(f"path must hold epochs or evoked, got {kind} in {path.name}")
    if splits is not None:
        raise ValueError(f"splits must be left out for evoked, got {splits!r} for {path.name}")
    found = mne.read_evokeds(path, verbose="error")
    evoked = [picked(one, picks, "path", path.name) for one in found]
    read = _read_evoked(evoked, names)
    by_name = {str(one.comment): int(one.nave) for one in evoked}
    counts = [by_name.get(name, 0) for name in read.stimuli] if read.stimuli else [int(one.nave) for one in evoked]
    return _without_bad(_labelled(read, evoked[0].ch_names, np.array(counts)), found[0], picks)


def _without_bad(array: xarray.DataArray, thing: Any, picks: PicksLike | None) -> xarray.DataArray:
    """The array with the names of the bad channels, of those that are asked for, which it lacks."""
    bad = list(thing.info["bads"])
    if bad:
        kinds = set(thing.get_channel_types()) & SENSOR_TYPES
        asked = thing.copy().pick(next(iter(kinds)) if picks is None else picks, exclude=[], verbose="error").ch_names
        bad = [name for name in bad if name in asked and name not in array["sensor"].values]
    return array.assign_attrs({BAD: bad}) if bad else array


def _from_numpy(
    path: Path, names: tuple[str, ...] | None, times: ArrayLike | None, key: str | None
) -> xarray.DataArray:
    alone = path.suffix.lower() == ".npy"
    try:
        held = {"": load_npy(path)} if alone else {name: npz_member(path, name) for name in npz_headers(path)}
    except (EOFError, LookupError, OSError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, ReadError):
            raise
        raise ValueError(
            f"path must be a {path.suffix} file without Python objects, got {path.name}, which numpy can't read"
        ) from error
    taken = {} if names is None else {BY_POSITION: 1}
    if alone:
        return _labelled(_plain(held[""], times, names), None).assign_attrs(taken)
    fit = [name for name in held if held[name].ndim in (3, 4)]
    if (key is None and len(fit) != 1) or (key is not None and key not in held):
        raise ValueError(f"key must name the patterns among the arrays of {path.name}, {', '.join(held)}, got {key!r}")
    own_times, stimuli, sensors = (
        next((held[name] for name in called if name in held), None)
        for called in (DIMS["time"], STIMULUS_KEYS, DIMS["sensor"])
    )
    known = names if stimuli is None else tuple(stimuli.astype(str))
    read = _plain(held[fit[0] if key is None else key], own_times if times is None else times, known)
    found = _chosen(_labelled(read, None if sensors is None else sensors.astype(str)), names)
    return found.assign_attrs(taken) if stimuli is None else found


def _plain(patterns: Any, times: ArrayLike | None, names: tuple[str, ...] | None) -> Recording:
    """Patterns of an array, their times and names fitting it."""
    read = _read_recording(patterns, names, None)
    n, seconds = read.values.shape[1], None
    if names is not None and len(names) != n:
        raise ValueError(f"stimuli must name each of {n} stimuli, got {len(names)} names")
    if times is not None:
        seconds = as_float64(times, "times").ravel()
        if len(seconds) != read.values.shape[-1]:
            raise ValueError(f"times must have one entry for each of {read.values.shape[-1]}, got {len(seconds)}")
    return Recording(read.values, seconds, names)


def _chosen(array: xarray.DataArray, names: tuple[str, ...] | None) -> xarray.DataArray:
    """The stimuli that are asked for, in that order."""
    if names is None:
        return array
    known = [str(name) for name in array.stimulus.values] if "stimulus" in array.coords else None
    if known is None:
        if len(names) != array.sizes["stimulus"]:
            raise ValueError(f"stimuli must name each of {array.sizes['stimulus']} stimuli, got {len(names)} names")
        return array.assign_coords(stimulus=list(names))
    strange = [name for name in names if name not in known]
    if strange:
        raise ValueError(f"stimuli must be names in the file, got {strange[0]!r}")
    return array.isel(stimulus=[known.index(name) for name in names])


def _from_xarray(path: Path, names: tuple[str, ...] | None, key: str | None) -> xarray.DataArray:
    if path.suffix.lower() == ".zarr":
        check_zarr(path)
    array: xarray.DataArray | None = None
    try:
        if path.suffix.lower() == ".zarr":
            with xarray.open_zarr(path) as held:
                own = list(map(str, held.data_vars))
                if key in own or (key is None and len(own) == 1):
                    array = held[own[0] if key is None else key].load()
        else:
            own, array = netcdf_array(path, key)
    except ImportError as error:
        raise ImportError("reading .zarr stores needs zarr: pip install 'secateur[cluster]'") from error
    except (OSError, ValueError) as error:
        if isinstance(error, ReadError) and error.whole:
            raise
        reason = " ".join(str(error).split())[:160].rstrip(".")
        raise ValueError(f"path must be a {path.suffix} file that xarray reads, got {path.name}: {reason}") from error
    if array is None:
        raise ValueError(f"key must name one of the arrays of {path.name}, {', '.join(own)}, got {key!r}")
    words = {"subject": ("subject", "subjects", "participant"), **DIMS}
    own_dims = {str(dim): kind for dim in array.dims for kind, called in words.items() if str(dim).lower() in called}
    if len(own_dims) != array.ndim or not {"stimulus", "sensor", "time"} <= set(own_dims.values()):
        raise ValueError(
            f"path must hold dims ([subject,] [split,] stimulus, sensor, time), got {', '.join(map(str, array.dims))}"
        )
    array = array.rename({dim: kind for dim, kind in own_dims.items() if dim != kind})
    array = array.transpose(*(kind for kind in words if kind in own_dims.values()))
    return _chosen(array, names)


def _matlab(path: Path, names: list[str] | None, fields: Sequence[str]) -> dict[str, Any]:
    """Variables of MATLAB's file, in the form of SciPy's reader."""
    try:
        with Reader(path) as reader:
            held: dict[str, Any] = reader.ask("variables", names=names, fields=list(fields))
    except ReadError as error:
        if error.whole:
            raise
        if error.kind == "NotImplementedError":  # SciPy's word on -v7.3, for what HDF5 does not take for its own
            told = "in -v7.3, which is damaged: save it anew, or with '-v7'"
        else:
            told = f"which can't be read: {str(error)[:120].rstrip('.')}"
        raise ValueError(f"path must be a {path.suffix} file, got {path.name}, {told}") from error
    return held


def _from_fieldtrip(
    path: Path,
    names: tuple[str, ...] | None,
    picks: Any,
    splits: int | LabelsLike | None,
    key: str | None,
    column: int,
) -> xarray.DataArray:
    """FieldTrip's raw and timelock structures."""
    held = _matlab(path, None if key is None else [key], FIELDTRIP)
    found: dict[str, Any] = {}
    for name, value in held.items():
        if isinstance(value, np.ndarray) and key in (None, name):
            found |= _structures(name, value)
    if not found:
        raise ValueError(f"path must hold a FieldTrip structure with label and trial or avg, got none in {path.name}")
    first = next(iter(found.values()))
    labels = [str(np.ravel(label)[0]) for label in first["label"].ravel()]
    sensors = labels if picks is None else [picks] if isinstance(picks, str) else list(picks)
    strange = [name for name in sensors if name not in labels]
    if strange:
        raise ValueError(f"picks must name sensors of {path.name}, got {strange[0]!r}")
    rows = [labels.index(name) for name in sensors]
    if "trial" in first.dtype.names:
        if len(found) > 1:
            raise ValueError(f"key must name one of the structures of {path.name}, {', '.join(found)}, got {key!r}")
        epochs = _fieldtrip_epochs(first, path, column, rows)
        read = _read_epochs(epochs, names, splits)
        return _labelled(read, sensors, _counted(epochs, read.stimuli or ()))
    if splits is not None:
        raise ValueError(f"splits must be left out for averages, got {splits!r} for {path.name}")
    evoked: Mapping[str, Any] = {
        name: SimpleNamespace(data=one["avg"][rows], times=one["time"].ravel(), ch_names=sensors)
        for name, one in found.items()
    }
    return _labelled(_read_evoked(evoked, names), sensors)


def _structures(name: str, value: Any) -> dict[str, Any]:
    """FieldTrip's structures in a variable, by its name; numbered where it is a cell or an array of them."""
    cells = list(value.ravel()) if value.dtype == object else [value]
    structs = [one for cell in cells if getattr(cell, "dtype", None) is not None for one in np.ravel(cell)]
    fields = [set(one.dtype.names or ()) for one in structs]
    fit = [one for one, held in zip(structs, fields, strict=True) if "label" in held and held & {"trial", "avg"}]
    return {name: fit[0]} if len(fit) == 1 else {str(k): one for k, one in enumerate(fit, start=1)}


def _fieldtrip_epochs(struct: Any, path: Path, column: int, rows: list[int]) -> Any:
    """Single trials in the form of MNE's epochs, conditions by a column of trialinfo."""
    trial, time = struct["trial"], struct["time"]
    if trial.dtype == object:
        shapes = {one.shape for one in trial.ravel()}
        clocks = [np.ravel(one) for one in time.ravel()] if time.dtype == object else [time.ravel()]
        if len(shapes) != 1 or any(not np.array_equal(one, clocks[0]) for one in clocks):
            raise ValueError(f"path must hold trials of the same times, got others in {path.name}: cut them first")
        data, seconds = np.stack(list(trial.ravel())), clocks[0]
    else:
        data, seconds = trial, time.ravel()
    if data.ndim != 3:
        raise ValueError(f"path must hold trials (trials, sensors, times), got shape {data.shape} in {path.name}")
    if "trialinfo" not in struct.dtype.names:
        raise ValueError(f"path must hold trialinfo, the condition of each trial, got none in {path.name}")
    info = np.atleast_2d(struct["trialinfo"])
    if info.dtype.kind not in "iufb":
        raise ValueError(f"path must hold trialinfo as a matrix of numbers, got other in {path.name}")
    if len(info) != len(data) and info.size == len(data):
        info = info.reshape(-1, 1)
    if len(info) != len(data) or not 0 <= column < info.shape[1]:
        raise ValueError(
            f"column must be a column of trialinfo, {len(info)} × {info.shape[1]} for {len(data)} trials, got {column}"
        )
    codes, events = np.unique(info[:, column], return_inverse=True)
    return SimpleNamespace(
        event_id={f"{code:g}": k for k, code in enumerate(codes)},
        events=np.column_stack([np.arange(len(events)), np.zeros(len(events), dtype=int), events]),
        times=seconds,
        get_data=lambda: data[:, rows],
    )


def _from_eeglab(
    path: Path, names: tuple[str, ...] | None, picks: PicksLike | None, splits: int | LabelsLike | None
) -> xarray.DataArray:
    """EEGLAB's epochs: a struct EEG or, as newer versions save it, its fields as variables."""
    held = _matlab(path, ["EEG", *EEGLAB], (*EEGLAB, "labels", "type", "latency", "epoch"))
    whole = held.get("EEG")
    if whole is not None and getattr(whole, "dtype", None) is not None and whole.dtype.names and whole.size == 1:
        held = {name: whole.ravel()[0][name] for name in whole.dtype.names}
    lacking = [name for name in EEGLAB if not isinstance(held.get(name), np.ndarray)]
    if lacking:
        raise ValueError(f"path must hold EEGLAB's data set, with a field {lacking[0]!r}, got none in {path.name}")
    channels, points, epochs = (_one_number(held, name, path) for name in ("nbchan", "pnts", "trials"))
    if epochs < 2:
        raise ValueError(f"path must hold epochs, got continuous data in {path.name}: extract epochs first")
    data = _eeglab_data(held["data"], (int(channels), int(points), int(epochs)), path)
    rate, start = _one_number(held, "srate", path), _one_number(held, "xmin", path)
    if not rate > 0:
        raise ValueError(f"path must hold a sampling rate above 0, got {rate:g} in {path.name}")
    rows, sensors = _eeglab_channels(held["chanlocs"], int(channels), picks, path)
    types = _eeglab_types(held["event"], start * rate, int(points), int(epochs), path)
    known = sorted(set(types), key=lambda word: (0, float(word), word) if _is_number(word) else (1, 0.0, word))
    read = _read_epochs(
        made := SimpleNamespace(
            event_id={word: code for code, word in enumerate(known)},
            events=np.array([(i, 0, known.index(word)) for i, word in enumerate(types)]),
            times=start + np.arange(int(points)) / rate,
            get_data=lambda: np.moveaxis(data[rows], 2, 0).astype(np.float64),
        ),
        names,
        splits,
    )
    return _labelled(read, sensors, _counted(made, read.stimuli or ()))


def _is_number(word: str) -> bool:
    return re.fullmatch(NUMBER, word) is not None


def _one_number(held: Mapping[str, Any], name: str, path: Path) -> float:
    value = held[name]
    if value.size != 1 or value.dtype.kind not in "iufb" or not np.isfinite(value).all():
        raise ValueError(f"path must hold one number {name!r}, got other in {path.name}")
    return float(value.ravel()[0])


def _word(value: Any) -> str:
    """Text, or a number as text; empty where there is neither."""
    one = np.ravel(np.asarray(value))
    if one.size != 1 or one.dtype.kind not in "USiufb":
        return ""
    return str(one[0]).strip() if one.dtype.kind in "US" else f"{float(one[0]):g}"


def _eeglab_data(data: Any, shape: tuple[int, int, int], path: Path) -> npt.NDArray[Any]:
    """Values (channels, times, epochs), from the file itself or the .fdt beside it."""
    if data.dtype.kind in "US":
        # A name alone: a set that was moved or renamed has its .fdt beside it, and no set names files elsewhere.
        named = re.split(r"[\\/]", _word(data))[-1]
        if not named.lower().endswith(".fdt"):
            raise ValueError(f"path must hold its data or name a .fdt file, got {named!r} in {path.name}")
        beside = next((one for one in (path.with_name(named), path.with_suffix(".fdt")) if one.is_file()), None)
        if beside is None:
            raise ValueError(f"path must have {named} beside it, which holds the data of {path.name}, got none")
        size, wanted = beside.stat().st_size, 4 * math.prod(shape)
        check_size(size, beside.name)
        if size != wanted:
            raise ValueError(
                f"{beside.name} must hold {' × '.join(map(str, shape))} numbers of {path.name} in {wanted} bytes, "
                f"got {size}"
            )
        return np.fromfile(beside, dtype="<f4").reshape(shape, order="F")
    if data.shape != shape or data.dtype.kind not in "fiu":
        raise ValueError(f"path must hold data (channels, times, epochs) {shape}, got {data.shape} in {path.name}")
    return np.asarray(data)


def _eeglab_channels(places: Any, count: int, picks: Any, path: Path) -> tuple[list[int], list[str] | None]:
    """Which channels are asked for, and their names, where they have some."""
    fields = places.dtype.names or ()
    labels = [_word(one["labels"]) for one in places.ravel()] if "labels" in fields else []
    types = [_word(one["type"]).lower() for one in places.ravel()] if "type" in fields else []
    if len(labels) != count:
        if picks is not None:
            raise ValueError(f"picks must be left out where channels have no names, got {picks!r} for {path.name}")
        return list(range(count)), None
    kinds = sorted(set(types) - {""})
    if picks is None:
        if len(kinds) > 1:
            words = " or ".join(f"picks={kind!r}" for kind in kinds)
            raise ValueError(
                f"picks must choose among the channels of {path.name}, of several types: {words}, got none"
            )
        return list(range(count)), labels
    asked = [picks] if isinstance(picks, str) else [str(one) for one in picks]
    rows: list[int] = []
    for one in asked:
        fit = [labels.index(one)] if one in labels else [i for i, kind in enumerate(types) if kind == one.lower()]
        if not fit or not one:
            raise ValueError(f"picks must name channels of {path.name}, or a type of channel, got {one!r}")
        rows += [i for i in fit if i not in rows]
    return rows, [labels[i] for i in rows]


def _eeglab_types(events: Any, start: float, points: int, count: int, path: Path) -> list[str]:
    """The type of the event at time 0 of each epoch; ``start`` is the first sample's distance from it, in samples."""
    if not {"type", "latency", "epoch"} <= set(events.dtype.names or ()):
        raise ValueError(f"path must hold events with type, latency and epoch, got others in {path.name}")
    found: list[list[str]] = [[] for _ in range(count)]
    for event in events.ravel():
        numbers = [np.ravel(np.asarray(event[name])) for name in ("latency", "epoch")]
        if any(one.size != 1 or one.dtype.kind not in "iufb" for one in numbers):
            raise ValueError(f"path must hold one latency and epoch per event, got others in {path.name}")
        latency, epoch = float(numbers[0][0]), float(numbers[1][0])
        if epoch not in range(1, count + 1):
            raise ValueError(f"path must hold events of epochs 1 to {count}, got {epoch:g} in {path.name}")
        # Latencies count samples of all epochs behind each other, from 1.
        if abs(latency - 1 - (epoch - 1) * points + start) <= 0.5:
            word, own = _word(event["type"]), found[int(epoch) - 1]
            if word and word not in own:
                own.append(word)
    without = [i for i, own in enumerate(found, start=1) if not own]
    if without:
        raise ValueError(
            f"path must hold an event at time 0 of each epoch, got none in epoch {without[0]} of {path.name}"
        )
    return ["/".join(own) for own in found]
