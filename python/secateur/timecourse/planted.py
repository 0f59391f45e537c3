"""A planted recording: features that drive its patterns for a while, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray

from ..arguments import check_integer
from ..features import Indices, Matrix, read_features, read_order
from .movies import read_times

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .._typing import HostEmbeddingLike

__all__ = ["PlantedTimecourse", "simulate"]


@dataclass(frozen=True)
class PlantedTimecourse:
    """What :func:`simulate` planted.

    Attributes
    ----------
    X : (n stimuli, d features) float64
    features : (k,) int64
        The features that drive the patterns, ascending.
    times : (times,) float64
        Seconds.
    window : (start, stop)
        Seconds; the signal is zero at and beyond both ends.
    envelope : (times,) float64
        The signal's amplitude, 1 at most.
    leadfield : (subjects, sensors, k) float64
    noise : float
        Standard deviation of the noise; the signal's is about 1 where the envelope is 1.
    seed : int
    """

    X: Matrix
    features: Indices
    times: Matrix
    window: tuple[float, float]
    envelope: Matrix
    leadfield: Matrix
    noise: float
    seed: int

    @property
    def inside(self) -> npt.NDArray[np.bool_]:
        """Which time points (times,) hold signal."""
        return np.asarray(self.envelope > 0)


def simulate(
    n_stimuli: int = 24,
    *,
    X: HostEmbeddingLike | None = None,
    features: ArrayLike | None = None,
    subjects: int = 1,
    sensors: int = 64,
    times: ArrayLike | None = None,
    window: tuple[float, float] = (0.2, 0.35),
    noise: float = 1.0,
    seed: int = 0,
) -> tuple[xarray.DataArray, PlantedTimecourse]:
    """Make a synthetic MEG-like recording in which some features drive the patterns for a while.

    Nothing in it was measured. The standardised planted features pass through a random leadfield of each subject,
    shaped in time by a raised cosine over the window. Noise is first-order autoregressive in time, with a time
    constant of 20 ms, and half of its variance is shared between sensors through 8 random sources.

    Parameters
    ----------
    n_stimuli : int
        At least 3.
    X : array (n_stimuli, features), optional
        The embedding that drives the patterns; 40 independent normal features by default.
    features : boolean mask or integer indices, optional
        The planted features, not constant over stimuli; a random quarter by default.
    subjects, sensors : int
        How many of each.
    times : array (times,), optional
        Seconds, increasing; -0.1 to 0.59 in steps of 0.01 by default.
    window : (start, stop)
        Seconds, between which the signal is not zero.
    noise : float
        Standard deviation of the noise; the signal's is about 1 at its peak.
    seed : int
        The same seed, the same recording.

    Returns
    -------
    patterns : xarray.DataArray, dims (subject, stimulus, sensor, time), float64
        Arbitrary units, with coordinates and ``attrs["synthetic"] = "true"``.
    truth : PlantedTimecourse
        What was planted.

    Raises
    ------
    TypeError, ValueError
        Where a count is no integer in its range, noise is negative, the window has no time point, X has other stimuli,
        or a planted feature does not vary.

    Examples
    --------
    >>> patterns, truth = simulate(10, sensors=30, seed=1)
    >>> dict(patterns.sizes)
    {'subject': 1, 'stimulus': 10, 'sensor': 30, 'time': 70}
    >>> from secateur.timecourse import rdm_movie
    >>> rdm_movie(patterns[0]).shape
    (70, 45)
    """
    check_integer("n_stimuli", n_stimuli, 3)
    check_integer("subjects", subjects, 1)
    check_integer("sensors", sensors, 1)
    if not np.isfinite(noise) or noise < 0:
        raise ValueError(f"noise must be finite and not negative, got {noise!r}")
    seconds = np.round(np.arange(-10, 60) * 0.01, 2) if times is None else read_times(times, int(np.size(times)))
    start, stop = float(window[0]), float(window[1])
    inside = (seconds > start) & (seconds < stop)
    if not inside.any():
        raise ValueError(f"window must have a time point inside, got {(start, stop)} s")
    rng = np.random.default_rng(seed)
    embedding = read_features(rng.normal(size=(n_stimuli, 40)) if X is None else X)
    if embedding.n != n_stimuli:
        raise ValueError(f"X must have {n_stimuli} stimuli, one a row, got {embedding.n}")
    d = embedding.d
    drawn = rng.choice(d, size=max(1, d // 4), replace=False) if features is None else features
    planted = np.sort(read_order(drawn, d, "features"))
    source = embedding.values[:, planted] - embedding.values[:, planted].mean(axis=0)
    spread = source.std(axis=0)
    if (spread <= 1e-13 * np.abs(embedding.values).max()).any():
        raise ValueError(f"features must vary over stimuli, got a constant one at {planted[np.argmin(spread)]}")
    source /= spread
    phase = np.where(inside, (seconds - start) / (stop - start), 0.0)
    envelope = np.where(inside, 0.5 - 0.5 * np.cos(2 * np.pi * phase), 0.0)
    leadfield = rng.normal(size=(subjects, sensors, len(planted))) / np.sqrt(len(planted))
    memory = np.exp(-np.diff(seconds) / 0.02)

    patterns = np.empty((subjects, n_stimuli, sensors, len(seconds)))
    for subject in range(subjects):
        mixing = rng.normal(size=(8, sensors)) / np.sqrt(8)
        shared, own = (rng.normal(size=(len(seconds), n_stimuli, width)) for width in (8, sensors))
        for series in (shared, own):
            for t, kept in enumerate(memory, start=1):
                series[t] = kept * series[t - 1] + np.sqrt(1 - kept**2) * series[t]
        field = noise * np.sqrt(0.5) * (shared @ mixing + own)
        signal = source @ leadfield[subject].T
        patterns[subject] = np.moveaxis(field + envelope[:, None, None] * signal, 0, -1)
    labels = [embedding.stimulus(i) if embedding.stimuli else f"stimulus {i}" for i in range(n_stimuli)]
    coords: dict[str, Any] = {
        "subject": np.arange(subjects),
        "stimulus": labels,
        "sensor": [f"sensor {c}" for c in range(sensors)],
    }
    coords["time"] = ("time", seconds, {"units": "s"})
    attrs = {"synthetic": "true", "how": "secateur.timecourse.simulate", "seed": seed}
    array = xarray.DataArray(patterns, coords, ("subject", "stimulus", "sensor", "time"), "pattern", attrs)
    truth = PlantedTimecourse(
        embedding.values, planted, seconds, (start, stop), envelope, leadfield, float(noise), seed
    )
    return array, truth
