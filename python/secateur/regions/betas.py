"""Matrices of regions from the responses of single trials: NumPy, NIfTI, HDF5 as of NSD and GLMsingle."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray

from ..arguments import is_integer, quoted
from ..features import Matrix
from ..reading import Reader, ReadError, check_size, load_npy
from ..timecourse.movies import CROSS_VALIDATED, rdm_movie
from .plan import Mask

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .._typing import BetasLike, LabelsLike, MasksLike
    from ..timecourse.movies import SensorMetric

__all__ = ["rdm_from_betas"]

_NIFTI = (".nii", ".nii.gz", ".img", ".hdr")
_HDF5 = (".h5", ".hdf5", ".mat")


def rdm_from_betas(
    betas: BetasLike,
    masks: MasksLike | None,
    stimuli: ArrayLike,
    metric: SensorMetric = "correlation",
    *,
    splits: int | LabelsLike | None = None,
    noise: Mapping[str, ArrayLike] | str | None = None,
    order: Sequence[object] | None = None,
    drop_missing: bool = False,
    key: str | None = None,
    threads: int | None = None,
) -> xarray.DataArray:
    """Dissimilarities of the stimuli in each region, from the response of each voxel in each trial.

    Parameters
    ----------
    betas : array (voxels, trials) or (x, y, z, trials), NIfTI image, path, or a list of these
        A list is one after the other, such as sessions; an image of three dimensions is one trial. Paths: ``.nii``,
        ``.nii.gz``, ``.npy``, and ``.hdf5``, ``.h5``, ``.mat`` (-v7.3 too), where the shape of the masks says whether
        trials come last, or first with space reversed (trials, z, y, x), as Python sees what NSD and MATLAB wrote.
    masks : mapping of names to masks, one mask, or None
        Where each region is: arrays of space's shape or NIfTI, of True and False or 1 and 0. One array or image of
        whole numbers is an atlas: each number above 0 is a region. None: one region of all voxels.
    stimuli : array (trials,)
        What was shown in each trial: names or numbers.
    metric : str
        As in :func:`secateur.timecourse.rdm_movie`, over voxels. ``correlation``, ``euclidean`` and ``mahalanobis`` are
        of the mean over each stimulus's trials: noise makes their distances larger. ``crossnobis`` and ``split-half``
        compare trials of different splits, so that noise alone has a crossnobis distance of 0 on average.
    splits : int or array (trials,), optional
        For ``crossnobis`` and ``split-half``: into how many splits the trials of each stimulus are dealt, in turn; or a
        label per trial, such as its session. Trials of one run share noise: prefer labels of runs or sessions.
    noise : "residuals" or mapping of regions to (voxels, voxels), optional
        For ``mahalanobis`` and ``crossnobis``: the precision (inverse covariance) of the noise; or take it from what
        trials differ from the mean of their stimulus, shrunk as by Ledoit and Wolf (2004). With splits the mean is that
        of the split, so that each needs 2 trials of a stimulus: a mean over splits would bias crossnobis upwards.
    order : sequence, optional
        Which stimuli, in which order; all in ascending order by default.
    drop_missing : bool
        Leave out voxels that have NaN, or the same value, in all trials or some; else NaN is refused.
    key : str, optional
        Which array of an HDF5 or .mat file that holds several.
    threads : int, optional
        All available processors by default.

    Returns
    -------
    xarray.DataArray, dims (region, pair), float64
        Dissimilarities, a target for all that takes one: pairs in ``numpy.triu_indices(n, 1)`` order, the coordinate
        ``voxels`` (region) the number that was used, attributes ``kind``, ``stimuli``, ``trials`` (of each stimulus),
        ``metric`` and ``how``.

    Raises
    ------
    ValueError
        Where shapes, grids or names don't fit, a region has fewer than 2 voxels, a stimulus has no trial in a split, or
        betas hold NaN.
    ImportError
        Where NIfTI is read without nibabel (extra ``fmri``).

    Notes
    -----
    NSD's files hold integers, 300 times the percent signal change; correlations don't depend on it. Masks on another
    grid are refused: ``nilearn.image.resample_to_img(mask, betas, interpolation="nearest")`` brings them to it.

    References
    ----------
    Allen et al. (2022), Nature Neuroscience 25 (NSD). Prince et al. (2022), eLife 11 (GLMsingle). Walther et al.
    (2016), NeuroImage 137 (crossnobis). Ledoit & Wolf (2004), J Multivariate Anal 88.

    Examples
    --------
    >>> from secateur.regions import rdm_from_betas
    >>> betas, shown = np.random.default_rng(0).normal(size=(50, 12)), ["a", "b", "c", "d"] * 3
    >>> rdms = rdm_from_betas(betas, {"V1": np.arange(50) < 20, "V4": np.arange(50) >= 20}, shown)
    >>> rdms.dims, rdms.shape, rdms.region.values.tolist(), rdms.stimuli
    (('region', 'pair'), (2, 6), ['V1', 'V4'], ['a', 'b', 'c', 'd'])
    """
    regions, grid = _regions(masks)
    labels = np.asarray(stimuli)
    if labels.ndim != 1 or labels.dtype.kind not in "iufUS":
        raise ValueError(f"stimuli must be one name or number per trial, got shape {labels.shape}")
    values = _voxels(betas, regions, grid, key)
    found = next(iter(values.values())).shape[1]
    if found != len(labels):
        raise ValueError(f"stimuli must have one name for each of {found} trials, got {len(labels)}")
    words = np.array([str(one) for one in labels.tolist()])
    known = [str(one) for one in np.unique(labels).tolist()]
    names = known if order is None else [str(one) for one in order]
    strange = [name for name in names if name not in known]
    if strange or len(set(names)) < len(names):
        raise ValueError(f"order must name stimuli of trials, each once, got {quoted(strange or names)}")
    if metric in CROSS_VALIDATED and splits is None:
        raise ValueError(f"splits must say which trials are independent for metric {metric!r}, got none")
    if isinstance(noise, str) and noise != "residuals":
        raise ValueError(f"noise must be 'residuals' or precision matrices by region, got {noise!r}")
    code = np.array([known.index(word) for word in words])
    events = np.column_stack([np.arange(found), np.zeros(found, dtype=int), code])
    rows, counts = [], []
    for name, own in values.items():
        kept = _usable(own, name, drop_missing)
        counts.append(len(kept))
        precision = None
        if isinstance(noise, str):
            precision = _precision(kept, words, splits, names)
        elif noise is not None:
            if name not in noise:
                raise ValueError(f"noise must have a precision matrix for each region, got none for {name!r}")
            precision = np.asarray(noise[name])
        trials = SimpleNamespace(
            event_id={word: k for k, word in enumerate(known)}, events=events, times=np.zeros(1),
            get_data=lambda kept=kept: kept.T[:, :, None],
        )  # fmt: skip
        try:
            movie = rdm_movie(trials, metric, stimuli=names, splits=splits, noise=precision, threads=threads)
        except (TypeError, ValueError) as error:
            raise type(error)(f"region {name}: {error}") from error
        rows.append(movie.values[0])
    how = f"{metric} over voxels" + (", noise from residuals" if noise == "residuals" else "")
    attrs = {
        "metric": metric, "kind": "dissimilarity", "how": how, "stimuli": names,
        "trials": [int((words == name).sum()) for name in names],
    }  # fmt: skip
    coords = {"region": list(values), "voxels": ("region", counts)}
    return xarray.DataArray(np.stack(rows), coords, ("region", "pair"), "dissimilarity", attrs)


def _regions(masks: Any) -> tuple[dict[str, Mask] | None, Any]:
    """Where each region is, by its name, and the affine of the images, if they are images."""
    if masks is None:
        return None, None
    held, grid = {}, None
    if isinstance(masks, Mapping):
        for name, given in masks.items():
            values, affine = _space(given, f"mask {name!r}")
            if not np.isin(values, (0, 1)).all():
                raise ValueError(f"mask {name!r} must be True and False, or 1 and 0, got other values")
            _check_grid(grid, affine, f"mask {name!r}", "the other masks")
            held[str(name)], grid = values.astype(bool), affine if grid is None else grid
    else:
        values, grid = _space(masks, "masks")
        numbers = np.unique(values[values != 0])
        if numbers.size and not (
            np.isfinite(numbers).all() and (numbers == np.round(numbers)).all() and numbers[0] > 0
        ):
            raise ValueError(f"masks must hold whole numbers above 0, one per region, got {numbers[0]:g}")
        held = {"mask" if values.dtype == bool else f"{number:g}": values == number for number in numbers}
    if not held:
        raise ValueError("masks must hold at least one region, got none")
    shapes = {values.shape for values in held.values()}
    if len(shapes) > 1:
        raise ValueError(f"masks must have one shape, got {' and '.join(map(str, sorted(shapes)))}")
    small = [name for name, values in held.items() if values.sum() < 2]
    if small:
        raise ValueError(f"masks must have 2 voxels or more in each region, got fewer in {quoted(small)}")
    return held, grid


def _check_grid(one: Any, other: Any, name: str, whose: str) -> None:
    if one is not None and other is not None and not np.allclose(one, other, rtol=0, atol=1e-3):
        raise ValueError(
            f"{name} must lie on the grid of {whose}, got another affine: nilearn.image.resample_to_img brings it there"
        )


def _suffix(given: Any) -> str:
    name = str(given).lower()
    return ".nii.gz" if name.endswith(".nii.gz") else Path(name).suffix


def _space(given: Any, name: str) -> tuple[npt.NDArray[Any], Any]:
    """The values of an array, an image or a file of one of these, and the affine of an image."""
    if isinstance(given, str | os.PathLike):
        if not Path(given).is_file():
            raise ValueError(f"{name} must be a file, got {str(given)!r}, which does not exist")
        if _suffix(given) == ".npy":
            try:
                return load_npy(Path(given)), None
            except (EOFError, OSError, ValueError) as error:
                raise _unread(name, Path(given), error) from error
        if _suffix(given) not in _NIFTI:
            raise ValueError(f"{name} must be .nii, .nii.gz or .npy, got {Path(given).name!r}")
        try:
            import nibabel
        except ImportError as error:
            raise ImportError(
                "reading NIfTI needs nibabel, which nilearn brings: pip install 'secateur[fmri]'"
            ) from error
        try:
            given = nibabel.load(given)
        except (OSError, ValueError, nibabel.filebasedimages.ImageFileError) as error:
            raise ValueError(f"{name} must be NIfTI, got {Path(given).name}: {str(error)[:160]}") from error
    if hasattr(given, "dataobj") and hasattr(given, "affine"):
        check_size(8.0 * math.prod(given.shape), name)
        return np.asarray(given.dataobj), given.affine
    values = np.asarray(given)
    if values.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, got dtype {values.dtype}")
    return values, None


def _unread(name: str, path: Path, error: Exception) -> Exception:
    """What a file that can't be read says, with its name."""
    if isinstance(error, ReadError) and error.whole:
        return error
    return ValueError(
        f"{name} must be a {path.suffix} file of numbers, got {path.name}: {str(error)[:160].rstrip('.')}"
    )


def _voxels(betas: Any, regions: dict[str, Mask] | None, grid: Any, key: str | None) -> dict[str, Matrix]:
    """The voxels of each region (voxels, trials), of all parts behind each other."""
    parts = list(betas) if isinstance(betas, list | tuple) else [betas]
    found: dict[str, list[Matrix]] = {}
    for i, part in enumerate(parts):
        name = "betas" if len(parts) == 1 else f"betas[{i}]"
        is_file = isinstance(part, str | os.PathLike)
        if is_file and _suffix(part) in _HDF5 and Path(part).is_file():
            values, affine = _from_hdf5(Path(part), regions, key), None
        else:
            values, affine = _space(part, name)
        _check_grid(grid, affine, name, "the masks")
        if affine is not None and values.ndim == 3:
            values = values[..., None]
        shape = values.shape[:-1] if regions is None else next(iter(regions.values())).shape
        if values.ndim not in (2, 4) or values.shape[:-1] != shape:
            expected = "voxels or (x, y, z)" if regions is None else f"{shape} of the masks"
            raise ValueError(f"{name} must have the shape {expected}, and trials last, got {values.shape}")
        for region, mask in ({"all": np.ones(shape, dtype=bool)} if regions is None else regions).items():
            found.setdefault(region, []).append(values[mask].astype(np.float64))
    if not found:
        raise ValueError("betas must hold at least one part, got an empty list")
    return {region: np.concatenate(own, axis=1) for region, own in found.items()}


def _from_hdf5(path: Path, regions: dict[str, Mask] | None, key: str | None) -> npt.NDArray[Any]:
    """An array with trials last, by the shape of the masks."""
    try:
        with Reader(path) as reader:
            held = reader.ask("entries")
            fit = [name for name, shape, text, *_ in held["entries"] if not text and len(shape) in (2, 4)]
            if (key is None and len(fit) == 1) or key in fit:
                values: npt.NDArray[Any] = reader.ask("array", form=held["format"], name=fit[0] if key is None else key)
            else:
                raise ValueError(f"key must name the betas among the arrays of {path.name}, {quoted(fit)}, got {key!r}")
    except ReadError as error:
        raise _unread("betas", path, error) from error
    if regions is None:
        raise ValueError(f"masks must be given for {path.name}, whose order of trials and space they tell, got None")
    shape = next(iter(regions.values())).shape
    last, first = values.shape[:-1] == shape, values.T.shape[:-1] == shape
    if last and first:
        raise ValueError(
            f"betas of {path.name} could have trials first or last by their shape {values.shape}: pass an array"
        )
    return values.T if first else values


def _usable(values: Matrix, name: str, drop_missing: bool) -> Matrix:
    """The voxels that are measured in all trials."""
    finite: Mask = np.asarray(np.isfinite(values).all(axis=1))
    if not drop_missing and not finite.all():
        raise ValueError(
            f"betas must be finite, got {int((~finite).sum())} of {len(values)} voxels with NaN or infinity in region "
            f"{name!r}: drop_missing=True leaves them out"
        )
    kept = values[finite & (np.ptp(np.where(finite[:, None], values, 0), axis=1) > 0)] if drop_missing else values
    if len(kept) < 2:
        raise ValueError(f"betas must have 2 usable voxels or more in each region, got {len(kept)} in {name!r}")
    return kept


def _precision(values: Matrix, words: npt.NDArray[Any], splits: int | LabelsLike | None, names: list[str]) -> Matrix:
    """Inverse covariance of what trials differ from the mean of their stimulus in their split.

    Residuals from means over splits would depend on the differences between splits, and bias crossnobis upwards.
    """
    from sklearn.covariance import ledoit_wolf

    of = np.zeros(len(words), dtype=int)
    if is_integer(splits) and splits > 1:
        for name in names:  # dealt in turn, as rdm_movie does
            of[words == name] = np.arange((words == name).sum()) % int(splits)
    elif splits is not None and (labels := np.asarray(splits)).shape == (len(words),):
        of = np.unique(labels, return_inverse=True)[1]
    residuals, means = [], 0
    for name in names:
        for split in range(of.max() + 1):
            own = values[:, (words == name) & (of == split)].T
            if len(own) > 1:
                residuals.append(own - own.mean(axis=0))
                means += 1
    if not residuals:
        raise ValueError("noise='residuals' must have a stimulus with 2 trials in one split, got none")
    left = np.concatenate(residuals)
    covariance = ledoit_wolf(left, assume_centered=True)[0] * (len(left) / (len(left) - means))
    return np.asarray(np.linalg.inv(covariance))
