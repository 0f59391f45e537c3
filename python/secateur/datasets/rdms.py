"""Published and exported matrices of minds and brains, read from their authors' files as labelled arrays.

====================  ==========================================  =====================================================
function              reads                                       which must hold
====================  ==========================================  =====================================================
load_king2019         a folder: BEHAVIOR.mat, FMRI.mat            BEHAVIOR.setN.pairwisedistances and
                                                                  FMRI.ROI.setN.pairwisedistances, (subjects, pairs)
load_algonauts2019    target_fmri.mat or target_meg.mat           EVC_RDMs, IT_RDMs (subjects, n, n); MEG_RDMs_early,
                                                                  MEG_RDMs_late (subjects, [times,] n, n)
load_peterson2018     .mat, .npz, .npy, .csv                      a square matrix of similarities
load_rsatoolbox       .hdf5, .h5 (never .pkl)                     what ``RDMs.save(file_type="hdf5")`` writes
load_meadows          .mat, .json                                 rdmutv and stimuli, [of each participant]; a tree with
                                                                  multi-arrangement tasks
====================  ==========================================  =====================================================

.mat files are MATLAB's version 5, 7 or 7.3 (HDF5). The 92 images of Kriegeskorte et al. (2008) have their own room.

Every loader checks what it reads and gives DataArrays that say their ``kind`` and, where the file names them, their
``stimuli``, so that they go straight into :func:`secateur.cross_validate`, :class:`secateur.Pruner` and
:func:`secateur.regions.four_tests`. Nothing is downloaded and no pickle is opened.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ..arguments import quoted
from ..files import FileError, broken_files_refused, read_arrays, read_target_file, stimuli_of_target
from ..pairs import pack, pair_positions
from ..targets import names_in, read_target

if TYPE_CHECKING:
    import xarray

__all__ = ["King2019", "load_algonauts2019", "load_king2019", "load_meadows", "load_peterson2018", "load_rsatoolbox"]

Array = npt.NDArray[Any]
Names = tuple[str, ...]
Kind = Literal["similarity", "dissimilarity"]
FilePath = str | os.PathLike[str]

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def _checked(values: Array, n: int, kind: Kind, place: str, packed: bool = True) -> Array:
    """(..., P) float64 of matrices over n stimuli, packed or square; what is wrong is said with its place."""
    square = not packed and values.ndim > 1
    own = values.shape[-2:] if square else values.shape[-1:]
    rows = values.reshape(-1, *own)
    for i, row in enumerate(rows):
        try:
            read_target(row, n, kind)
        except (TypeError, ValueError) as error:
            words = str(error).replace("target must", "it must", 1).replace(" at target 0,", " at")
            which = f" (matrix {i} of {len(rows)})" if len(rows) > 1 else ""
            raise FileError(f"{place}{which} could not be used: {words}") from error
    values = np.asarray(values, dtype=np.float64)
    return pack(values) if square else values


def _images(values: Array) -> int | None:
    """How many stimuli (S, P) rows of pairs cover; None where they are no such rows."""
    return stimuli_of_target(values[0]) if values.ndim == 2 and len(values) else None


def _labelled(
    values: Array, coords: Mapping[str, Sequence[str]], kind: Kind, stimuli: Names | None, source: Path
) -> xarray.DataArray:
    """(..., pair) values with names along all other dims."""
    import xarray

    attrs: dict[str, Any] = {"kind": kind, "source": source.name}
    if stimuli is not None:
        attrs["stimuli"] = list(stimuli)
    named = {dim: np.array(list(names), dtype=object).astype(str) for dim, names in coords.items()}
    return xarray.DataArray(values, named, (*coords, "pair"), attrs=attrs)


def _numbered(count: int) -> Names:
    return tuple(f"S{i + 1:02d}" for i in range(count))


# King et al. 2019 -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class King2019:
    """Behaviour and regions of the brain for two sets of images; all matrices are dissimilarities.

    Attributes
    ----------
    behaviour : two DataArrays, dims (subject, pair)
        Image sets 1 and 2.
    regions : two DataArrays, dims (region, subject, pair)
        Image sets 1 and 2.
    """

    behaviour: tuple[xarray.DataArray, xarray.DataArray] = field(repr=False)
    regions: tuple[xarray.DataArray, xarray.DataArray] = field(repr=False)


def load_king2019(folder: FilePath, *, same_subjects: bool = False) -> King2019:
    """Load the behavioural and fMRI matrices of King et al. (2019) from ``BEHAVIOR.mat`` and ``FMRI.mat``.

    Parameters
    ----------
    folder : path
        It holds both files, MATLAB version 5, 7 or 7.3. ``BEHAVIOR.setN.pairwisedistances`` and
        ``FMRI.ROI.setN.pairwisedistances``, N = 1, 2, are (subjects, pairs), pairs as MATLAB's ``pdist`` orders them,
        which is ``numpy.triu_indices`` order.
    same_subjects : bool
        Whether row s of both sets is the same person in the scanner. Otherwise, and for behaviour always, subjects of
        the sets have different names, so that no test pairs them.

    Returns
    -------
    King2019
        ``behaviour`` and ``regions`` of both sets. Where a region has fewer subjects than others of its set, rows of
        NaN fill it up.

    Raises
    ------
    FileError
        Where a file is missing or can't be read, or does not hold what is said above; the message names the file, the
        array, the rule and the value.

    Warns
    -----
    UserWarning
        Where regions of a set have different numbers of subjects: their rows are matched by position.

    Notes
    -----
    King, Groen, Steel, Kravitz & Baker (2019), Similarity judgments and cortical visual responses reflect different
    properties of object and scene categories in naturalistic images, NeuroImage 197. The data are their authors' and
    no part of this package; the files name neither images nor people.

    Examples
    --------
    >>> from secateur import datasets, regions
    >>> king = datasets.load_king2019("king2019")                                       # doctest: +SKIP
    >>> regions.four_tests((X1, X2), king.regions, king.behaviour, supervise="mean")    # doctest: +SKIP
    """
    place = Path(folder)
    behaviour, regions = _king_file(place / "BEHAVIOR.mat", "BEHAVIOR"), _king_file(place / "FMRI.mat", "FMRI")
    behaviours, of_regions = [], []
    for number in ("1", "2"):
        given = {region: sets[number] for region, sets in regions.items() if number in sets}
        missing = [region for region in regions if region not in given]
        if missing or "" not in behaviour or number not in behaviour[""]:
            lacking = f"FMRI/{missing[0]}" if missing else "BEHAVIOR"
            name = "FMRI.mat" if missing else "BEHAVIOR.mat"
            raise FileError(f"{name} must hold {lacking}/set{number}/pairwisedistances, got none")
        judged = behaviour[""][number]
        sizes = {"BEHAVIOR": _images(judged), **{name: _images(v) for name, v in given.items()}}
        n = sizes["BEHAVIOR"]
        other = [name for name, size in sizes.items() if size != n]
        if other:
            raise FileError(
                f"FMRI.mat must cover the {n} images of BEHAVIOR/set{number} in every region, got "
                f"{sizes[other[0]]} in {other[0]}"
            )
        most = max(len(values) for values in given.values())
        short = [name for name, values in given.items() if len(values) < most]
        if short:
            warnings.warn(
                f"FMRI.mat has {len(given[short[0]])} subjects in {short[0]} and {most} in other regions of set "
                f"{number}: rows are matched by position, and rows of NaN fill it up",
                stacklevel=2,
            )
        values = np.full((len(given), most, judged.shape[1]), np.nan)
        for r, each in enumerate(given.values()):
            values[r, : len(each)] = each
        subjects = _numbered(most) if same_subjects else tuple(f"set{number} {s}" for s in _numbered(most))
        judges = tuple(f"set{number} {s}" for s in _numbered(len(judged)))
        coords = {"region": tuple(given), "subject": subjects}
        of_regions.append(_labelled(values, coords, "dissimilarity", None, place / "FMRI.mat"))
        behaviours.append(_labelled(judged, {"subject": judges}, "dissimilarity", None, place / "BEHAVIOR.mat"))
    return King2019((behaviours[0], behaviours[1]), (of_regions[0], of_regions[1]))


def _king_file(file: Path, top: str) -> dict[str, dict[str, Array]]:
    """Region ("" for behaviour) -> set number -> (subjects, pairs)."""
    depth = 3 if top == "BEHAVIOR" else 4

    def wanted(name: str) -> bool:
        parts = name.split("/")
        return parts[0] == top and parts[-1] == "pairwisedistances" and len(parts) == depth and parts[-2][:3] == "set"

    found: dict[str, dict[str, Array]] = {}
    words = f"{top}/{'' if depth == 3 else 'ROI/'}setN/pairwisedistances"
    for name, values in read_arrays(str(file), wanted, words).items():
        *_, parent, number, _ = ["", *name.split("/")]
        values, place = np.atleast_2d(values), f"{file.name}:{name}"
        n = _images(values)
        if n is None:
            raise FileError(f"{place} must have shape (subjects, pairs) with n(n-1)/2 pairs, got {values.shape}")
        region = "" if depth == 3 else parent
        found.setdefault(region, {})[number[3:]] = _checked(values, n, "dissimilarity", place)
    return found


# Algonauts 2019 -------------------------------------------------------------------------------------------------

_ALGONAUTS = {
    "region": {"EVC_RDMs": "EVC", "IT_RDMs": "IT"},
    "interval": {"MEG_RDMs_early": "early", "MEG_RDMs_late": "late"},
}


def load_algonauts2019(path: FilePath) -> xarray.DataArray:
    """Load a target file of the Algonauts 2019 challenge: ``target_fmri.mat`` or ``target_meg.mat``.

    Parameters
    ----------
    path : path
        MATLAB version 5, 7 or 7.3. fMRI: ``EVC_RDMs`` and ``IT_RDMs``, (subjects, n, n). MEG: ``MEG_RDMs_early`` and
        ``MEG_RDMs_late``, (subjects, n, n) or (subjects, times, n, n). Arrays with their dimensions in reverse, as HDF5
        readers give them, are turned round.

    Returns
    -------
    xarray.DataArray
        Dissimilarities, dims (region, subject, pair) with regions EVC and IT, or (interval, subject[, time], pair) with
        intervals early and late.

    Raises
    ------
    FileError
        Where the file is missing or can't be read, or does not hold what is said above; the message names the file, the
        array, the rule and the value.

    Notes
    -----
    Cichy, Roig, Andonian, Dwivedi, Lahner, Lascelles, Mohsenzadeh, Ramakrishnan & Oliva (2019), The Algonauts Project:
    a platform for communication between the sciences of biological and artificial intelligence. The data are their
    authors' and no part of this package.

    Examples
    --------
    >>> from secateur import datasets
    >>> datasets.load_algonauts2019("target_fmri.mat").dims        # doctest: +SKIP
    ('region', 'subject', 'pair')
    """
    place = Path(path)
    keys = {key: dim for dim, names in _ALGONAUTS.items() for key in names}
    arrays = read_arrays(str(place), keys.__contains__, "EVC_RDMs and IT_RDMs, or MEG_RDMs_early and MEG_RDMs_late")
    dim = keys[next(iter(arrays))]
    matrices = []
    for key in _ALGONAUTS[dim]:
        if key not in arrays:
            raise FileError(f"{place.name} must hold {key} beside {next(iter(arrays))}, got none")
        values = arrays[key]
        if values.ndim > 2 and values.shape[0] == values.shape[1] != values.shape[-1]:
            values = values.T
        wanted = (3,) if dim == "region" else (3, 4)
        if values.ndim not in wanted or values.shape[-1] != values.shape[-2]:
            rule = "(subjects, n, n)" + (" or (subjects, times, n, n)" if dim == "interval" else "")
            raise FileError(f"{place.name}:{key} must have shape {rule}, got {arrays[key].shape}")
        matrices.append(_checked(values, values.shape[-1], "dissimilarity", f"{place.name}:{key}", False))
    if matrices[0].shape != matrices[1].shape:
        got = " and ".join(str(arrays[key].shape) for key in _ALGONAUTS[dim])
        raise FileError(f"{place.name} must hold {' and '.join(_ALGONAUTS[dim])} of one shape, got {got}")
    values = np.stack(matrices)
    coords: dict[str, Sequence[str]] = {dim: tuple(_ALGONAUTS[dim].values()), "subject": _numbered(values.shape[1])}
    if values.ndim == 4:
        coords["time"] = [str(t) for t in range(values.shape[2])]
    return _labelled(values, coords, "dissimilarity", None, place)


# Peterson et al. 2018 -------------------------------------------------------------------------------------------


def load_peterson2018(path: FilePath) -> xarray.DataArray:
    """Load human similarity ratings of one category as Peterson et al. (2018) share them.

    Parameters
    ----------
    path : path, or ``"file:key"``
        A .mat, .npz, .npy or .csv file with a square matrix of *similarities* (0 to 10 in the original), larger on the
        diagonal than elsewhere; called ``similarity`` where the file holds several.

    Returns
    -------
    xarray.DataArray
        Dims (pair,); its stimuli are named where the file names them.

    Raises
    ------
    FileError
        Where the file is missing or can't be read, or does not hold what is said above; the message names the file, the
        array, the rule and the value.

    Notes
    -----
    Peterson, Abbott & Griffiths (2018), Evaluating (and improving) the correspondence between deep neural networks and
    human representations, Cognitive Science 42: six categories of 120 images. The data are their authors' and no part
    of this package.

    Examples
    --------
    >>> import tempfile
    >>> S = np.array([[10.0, 4, 1], [4, 10, 2], [1, 2, 10]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/animals.npz", similarity=S)
    ...     load_peterson2018(f"{folder}/animals.npz").values.tolist()
    [4.0, 1.0, 2.0]
    """
    try:
        held = read_target_file(str(path))
    except FileError as error:
        if "must be given with a key" not in str(error):
            raise
        held = read_target_file(f"{path}:similarity")
    place = f"{held.path.name}:{held.key}" if held.key else held.path.name
    values = held.values
    if values.ndim != 2 or values.shape[0] != values.shape[1] or len(values) < 3:
        raise FileError(f"{place} must be a square matrix of at least 3 stimuli, got shape {values.shape}")
    diagonal = np.diagonal(values)
    if not (diagonal >= np.nanmax(values)).all():
        i = int(np.argmin(diagonal))
        raise FileError(
            f"{place} must hold similarities, the largest on the diagonal, got {diagonal[i]} at ({i}, {i}) and "
            f"{np.nanmax(values)} elsewhere"
        )
    packed = _checked(values, len(values), "similarity", place, False)
    return _labelled(packed, {}, "similarity", held.stimuli, held.path)


# rsatoolbox -----------------------------------------------------------------------------------------------------


def load_rsatoolbox(path: FilePath, dim: str = "subject") -> xarray.DataArray:
    """Load RDMs that rsatoolbox saved, ``rdms.save(path, file_type="hdf5")``; rsatoolbox itself is not needed.

    Parameters
    ----------
    path : path
        An .hdf5 or .h5 file. Pickles (.pkl) can run code when they are opened and are refused.
    dim : str
        What its matrices are: ``"subject"``, ``"region"``, ``"time"`` …

    Returns
    -------
    xarray.DataArray
        Dissimilarities, dims (dim, pair). Matrices are named by the RDM descriptor, stimuli by the pattern descriptor,
        that holds distinct text, where just one does.

    Raises
    ------
    FileError
        Where the file is missing, can't be read, or is not rsatoolbox's; the message names the file, the rule and the
        value.

    Examples
    --------
    >>> from secateur import datasets
    >>> datasets.load_rsatoolbox("rdms.hdf5").dims        # doctest: +SKIP
    ('subject', 'pair')
    """
    place = Path(path)
    arrays = read_arrays(str(place), lambda name: True, "rsatoolbox RDMs")
    values = arrays.get("dissimilarities")
    if values is None:
        raise FileError(
            f"{place.name} must hold rsatoolbox RDMs, in an array 'dissimilarities', got {quoted([*arrays])}"
        )
    n, where = _images(values), f"{place.name}:dissimilarities"
    if n is None:
        raise FileError(f"{where} must have shape (RDMs, pairs) with n(n-1)/2 pairs, got {values.shape}")
    own_names = [_named(arrays, f"{what}_descriptors/", size) for what, size in (("rdm", len(values)), ("pattern", n))]
    packed = _checked(values, n, "dissimilarity", where)
    return _labelled(packed, {dim: own_names[0] or _numbered(len(values))}, "dissimilarity", own_names[1], place)


def _named(arrays: Mapping[str, Array], start: str, count: int) -> Names | None:
    """The one descriptor that holds distinct text."""
    texts = {
        name: [str(word) for word in values.ravel()]
        for name, values in arrays.items()
        if name.startswith(start) and values.dtype.kind == "U" and values.size == count
    }
    return names_in(texts)


# Meadows --------------------------------------------------------------------------------------------------------


def load_meadows(path: FilePath) -> xarray.DataArray:
    """Load the multi-arrangement matrices of a Meadows export (meadows-research.com).

    Parameters
    ----------
    path : path
        A .mat file of one participant (``rdmutv`` and ``stimuli``) or of several (``rdmutv_NAME`` and
        ``stimuli_NAME``), or a .json tree of one participant, with one matrix a multi-arrangement task.

    Returns
    -------
    xarray.DataArray
        Dissimilarities, dims (subject, pair) or, from .json, (task, pair). Stimuli are named as in the file, without
        the ending of an image file; where participants saw them in other orders, in the order of the first.

    Raises
    ------
    FileError
        Where the file is missing or can't be read, or does not hold what is said above, or matrices are of different
        stimuli; the message names the file, the array, the rule and the value.

    Notes
    -----
    A participant is called as in the file or, where it is one alone, by the name of the file.

    Examples
    --------
    >>> from secateur import datasets
    >>> datasets.load_meadows("Meadows_things_v_v1_arrangement_1D.mat").sizes["subject"]        # doctest: +SKIP
    20
    """
    place = Path(path)
    if place.suffix.lower() == ".json":
        return _meadows_tree(place)
    arrays = read_arrays(str(place), lambda name: name.startswith(("rdmutv", "stimuli")), "a Meadows matrix 'rdmutv'")
    keys = [key for key in arrays if key.startswith("rdmutv")]
    if not keys:
        raise FileError(f"{place.name} must hold a Meadows matrix 'rdmutv', got {quoted([*arrays])}")
    matrices, names, subjects = [], [], []
    for key in keys:
        stimuli = "stimuli" + key.removeprefix("rdmutv")
        if stimuli not in arrays:
            raise FileError(f"{place.name} must hold {stimuli!r} beside {key!r}, got none")
        matrices.append(arrays[key].ravel())
        names.append(tuple(str(word).strip() for word in arrays[stimuli].ravel()))
        subjects.append(key.removeprefix("rdmutv_").replace("_", "-") if key != "rdmutv" else place.stem)
    return _arranged(place, "subject", subjects, matrices, names, keys)


def _meadows_tree(place: Path) -> xarray.DataArray:
    if not place.is_file():
        raise FileError(f"path must be a file, got {str(place)!r}, which does not exist")
    with broken_files_refused(place):
        tree = json.loads(place.read_text(encoding="utf-8"))
        tasks = tree.get("tasks") if isinstance(tree, dict) else None
        if not isinstance(tasks, list):
            raise FileError(f"{place.name} must be a Meadows tree of one participant with a list 'tasks', got none")
        arranged = [task for task in tasks if task.get("task", {}).get("task_type") == "multiarrange"]
        if not arranged:
            raise FileError(f"{place.name} must hold a task of type 'multiarrange', got none among {len(tasks)} tasks")
        titles = [str(task["task"]["name"]) for task in arranged]
        names = [tuple(str(stimulus["name"]) for stimulus in task["stimuli"]) for task in arranged]
        matrices = [np.asarray(task["rdm"], dtype=np.float64) for task in arranged]
    if len(set(titles)) < len(titles):
        titles = [f"{title} {i + 1}" for i, title in enumerate(titles)]
    return _arranged(place, "task", titles, matrices, names, [f"task {title!r}" for title in titles])


def _arranged(
    place: Path, dim: str, labels: list[str], matrices: list[Array], names: list[Names], keys: list[str]
) -> xarray.DataArray:
    """Matrices of the same stimuli, all in the order of the first."""
    stimuli, rows = names[0], []
    for key, matrix, own in zip(keys, matrices, names):
        n = len(own)
        if matrix.shape != (n * (n - 1) // 2,) or n < 3:
            raise FileError(
                f"{place.name}:{key} must have one value for each pair of its {n} stimuli (at least 3), got shape "
                f"{matrix.shape}"
            )
        if sorted(own) != sorted(stimuli) or len(set(own)) < n:
            odd = sorted(set(own) ^ set(stimuli)) or [name for name in own if own.count(name) > 1]
            raise FileError(
                f"{place.name} must hold matrices of the same stimuli, each named once, but {keys[0]} and {key} "
                f"don't agree on {quoted(odd)}"
            )
        order = np.array([own.index(name) for name in stimuli], dtype=np.int64)
        rows.append(matrix[pair_positions(order, n)])
    values = _checked(np.stack(rows), len(stimuli), "dissimilarity", place.name)
    bare = tuple(name[: name.rfind(".")] if name.lower().endswith(PICTURES) else name for name in stimuli)
    own_names = bare if len(set(bare)) == len(bare) else stimuli
    return _labelled(values, {dim: labels}, "dissimilarity", own_names, place)
