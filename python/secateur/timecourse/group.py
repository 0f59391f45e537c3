"""Over subjects: when does pruning help, how well could any model do, and the paper's two windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas
import xarray

from .. import inference
from ..features import Matrix
from ..pairs import stimulus_count
from ..statistics import benjamini_hochberg, cluster_test, cohens_d, fisher_z
from .movies import read_windows
from .pruning import prune
from .recordings import rdm_movies
from .subjects import WINDOW, read_movies

if TYPE_CHECKING:
    from .._typing import ControlLike, HostEmbeddingLike, LabelsLike, MoviesLike, RecordingsLike, Splits, WindowsLike
    from ..measures import ComparatorOrAlias
    from ..pruning import Pruner
    from ..targets import Kind

__all__ = [
    "TAILS", "Alternative", "apart_of", "by_subject", "check_alternative", "finite_z", "group_test", "mean_sem",
    "means_of_folds", "noise_ceiling", "over_times", "paper_windows",
]  # fmt: skip

TAILS = {"greater": 1, "two-sided": 0, "less": -1}
Alternative = Literal["greater", "two-sided", "less"]


def group_test(
    course: xarray.Dataset,
    *,
    alpha: float = 0.05,
    n: int = 1000,
    seed: int = 0,
    alternative: Alternative = "greater",
    against_zero: bool = False,
) -> xarray.Dataset:
    """Test at every time point whether pruning helps over subjects: pruned > full, held out.

    The alignments of a subject are averaged over folds and taken through Fisher's z; the differences enter a paired t
    over subjects at each time, with false discoveries controlled over time, and a cluster-based permutation test.

    It generalises to other subjects, with this X and these stimuli. Structure that subjects share aligns with any X by
    chance, in every subject: whether it is these features and not just any is what :func:`permutation_test` asks.

    Parameters
    ----------
    course : xarray.Dataset
        From :func:`prune`, with at least 2 subjects.
    alpha : float
        Of the false discovery rate.
    n : int
        Sign flips of the cluster test; all, exactly, where there are no more.
    seed : int
        Of the flips.
    alternative : {"greater", "two-sided", "less"}
        Of the gain: pruned above, different from, or below full.
    against_zero : bool
        Whether full and pruned alignment are also tested against 0 (one-sided, greater): ``full_t``, ``pruned_p``, ….

    Returns
    -------
    xarray.Dataset, dim time
        ``full``, ``pruned``, ``gain``, ``n_kept``: means over subjects, the first three in the comparator's units, each
        with ``…_sem``, the standard error over subjects. ``t``, ``df``, ``p``, ``d`` (Cohen's, paired) of the gain in
        Fisher's z, uncorrected; ``q``, ``significant`` (Benjamini-Hochberg over time); ``cluster`` (0: none),
        ``cluster_mass``, ``cluster_p``: of the cluster that a time belongs to, corrected over time; windows with time
        between them are clusters of their own. ``subjects``: how
        many are defined at that time; those with no fold in which both alignments are defined are left out there.

    Raises
    ------
    ValueError
        Where there are fewer than 2 subjects, course is no result of :func:`prune`, or alternative is none of these.

    References
    ----------
    Tarigopula, Fairhall, Bavaresco, Truong & Hasson (2023), §3.2.1 (Fisher's z, paired one-sided t over participants).
    Maris & Oostenveld (2007); Benjamini & Hochberg (1995).

    Examples
    --------
    >>> from secateur.timecourse import rdm_movies, simulate
    >>> patterns, truth = simulate(18, subjects=4, sensors=20, times=np.arange(5) * 0.1, noise=0.3, seed=1)
    >>> course = prune(truth.X, rdm_movies(patterns), cv=3)
    >>> test = group_test(course)
    >>> test.p.dims, dict(test.sizes), test.attrs["flips"]
    (('time',), {'time': 5}, 15)
    """
    check_alternative(alternative)
    full, pruned, n_kept = by_subject(course)
    if len(full) < 2:
        raise ValueError(f"course must have at least 2 subjects, got {len(full)}")
    variables: dict[str, Any] = {}
    for name, values in (("full", full), ("pruned", pruned), ("gain", pruned - full), ("n_kept", n_kept)):
        variables[name], variables[f"{name}_sem"] = mean_sem(values)
    variables["subjects"] = (~np.isnan(full)).sum(axis=0)
    z = {"full": finite_z(full), "pruned": finite_z(pruned)}
    start, stop = (course.coords[name].values if name in course.coords else None for name in WINDOW)
    apart = apart_of(start, stop, course.sizes["time"])
    found, clusters = _tested(z["pruned"] - z["full"], alpha, n, seed, alternative, apart)
    variables |= found
    if against_zero:
        for name, values in z.items():
            found, _ = _tested(values, alpha, n, seed, "greater", apart)
            variables |= {f"{name}_{what}": value for what, value in found.items()}
    kept = ("metric", "comparator", "kind", "search", "cv", "repeats", "seed", "secateur_version", "synthetic")
    attrs = {name: course.attrs[name] for name in kept if name in course.attrs}
    attrs |= {
        "subjects": len(full), "alpha": float(alpha), "alternative": alternative, "test_seed": int(seed),
        "flips": len(clusters.null), "exact": int(clusters.exact), "cluster_threshold": clusters.threshold,
        "features": course.sizes["feature"], "folds": course.sizes["fold"],
    }  # fmt: skip
    coords = {name: course.coords[name] for name in ("time", *WINDOW) if name in course.coords}
    return xarray.Dataset({name: ("time", value) for name, value in variables.items()}, coords, attrs)


def by_subject(course: xarray.Dataset) -> tuple[Matrix, Matrix, Matrix]:
    """Full and pruned alignment, and features kept: (subjects, times), means of the folds that have both."""
    missing = {"full_test", "pruned_test", "n_kept"} - set(course)
    if missing or not {"subject", "time", "fold"} <= set(course["full_test"].dims):
        raise ValueError("course must be what secateur.timecourse.prune returns, with dims subject, time, fold")
    order = ("subject", "time", "fold")
    full, pruned, kept = (course[name].transpose(*order).values for name in ("full_test", "pruned_test", "n_kept"))
    (full, pruned), (kept,) = means_of_folds(full, pruned, kept)
    return full, pruned, kept


def means_of_folds(full: Matrix, pruned: Matrix, *others: Matrix) -> tuple[list[Matrix], list[Matrix]]:
    """Means over the last axis, of the folds in which full and pruned alignment are both defined."""
    both = ~(np.isnan(full) | np.isnan(pruned))
    count = both.sum(axis=-1)
    means = [np.where(both, values, 0).sum(axis=-1) / np.maximum(count, 1) for values in (full, pruned, *others)]
    means = [np.where(count > 0, mean, np.nan) for mean in means]
    return means[:2], means[2:]


def check_alternative(alternative: str) -> None:
    if alternative not in TAILS:
        raise ValueError(f"alternative must be one of {', '.join(map(repr, TAILS))}; got {alternative!r}")


def finite_z(r: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Fisher's z, large where r is 1: a perfect alignment, as of X with itself, is no reason to test nothing."""
    return fisher_z(np.clip(r, -1 + 1e-12, 1 - 1e-12))


def mean_sem(values: Matrix) -> tuple[Matrix, Matrix]:
    """Mean over subjects and its standard error, NaN left out."""
    there = ~np.isnan(values)
    count = there.sum(axis=0)
    mean = np.where(there, values, 0).sum(axis=0) / np.maximum(count, 1)
    square = np.where(there, values - mean, 0) ** 2
    sem = np.sqrt(square.sum(axis=0) / np.maximum(count - 1, 1) / np.maximum(count, 1))
    return np.where(count > 0, mean, np.nan), np.where(count > 1, sem, np.nan)


def apart_of(start: Matrix | None, stop: Matrix | None, count: int) -> npt.NDArray[np.bool_]:
    """Which of so many times don't go on where the one before ends: windows with time between them; no time points."""
    if start is None or stop is None:
        return np.zeros(count, dtype=bool)
    ends = np.r_[-np.inf, stop[:-1]]
    return np.asarray((start > ends + 1e-9) | (start < np.r_[-np.inf, start[:-1]]))


def _tested(
    values: Matrix, alpha: float, n: int, seed: int, alternative: Alternative, apart: npt.NDArray[np.bool_]
) -> tuple[dict[str, Any], Any]:
    """t, p, d, discoveries and clusters of courses (subjects, times) against 0."""
    from scipy.stats import t as student

    clusters = cluster_test(values, tail=TAILS[alternative], n=n, seed=seed, apart=apart)
    t, df = clusters.t, np.maximum((~np.isnan(values)).sum(axis=0) - 1, 0)
    with np.errstate(invalid="ignore"):
        p = {"greater": student.sf(t, df), "less": student.cdf(t, df), "two-sided": 2 * student.sf(np.abs(t), df)}
    found = benjamini_hochberg(p[alternative], alpha)
    return {
        "t": t, "df": df, "p": p[alternative], "d": cohens_d(values), "q": found.adjusted,
        "significant": found.rejected, "cluster": clusters.labels,
        "cluster_mass": over_times(clusters.masses, clusters.labels),
        "cluster_p": over_times(clusters.p, clusters.labels),
    }, clusters  # fmt: skip


def over_times(of_clusters: Matrix, labels: npt.NDArray[np.int64]) -> Matrix:
    """What clusters have, at each of their times; NaN outside of them."""
    return np.asarray(np.r_[np.nan, of_clusters][labels], dtype=np.float64)


def noise_ceiling(
    movies: MoviesLike,
    comparator: ComparatorOrAlias = "pearson",
    *,
    cv: Splits | None = None,
    repeats: int = 1,
    seed: int = 0,
    groups: LabelsLike | None = None,
    kind: Kind = "dissimilarity",
    control: ControlLike | None = None,
) -> xarray.Dataset:
    """How well any model could align with single subjects at each time: :func:`secateur.noise_ceiling` over time.

    Parameters
    ----------
    movies : any form of several subjects that :func:`prune` takes
        At least 2 subjects.
    comparator : Comparator
        What models are scored by, as in :func:`secateur.alignment`.
    cv, repeats, seed, groups
        As in :func:`prune`: give them as there, and the bounds are of held-out alignments, which these can be laid
        against; among all stimuli by default.
    kind : {"similarity", "dissimilarity"}
        What the movies hold, where they don't say it.
    control : matrices, optional
        As in :func:`prune`: the bounds are of partial alignments, given these.

    Returns
    -------
    xarray.Dataset
        ``lower``, ``upper`` (time), and ``lower_by_subject``, ``upper_by_subject`` (subject, time), in the
        comparator's units.

    Raises
    ------
    ValueError
        As :func:`secateur.noise_ceiling`, with the time before the sentence.

    References
    ----------
    Nili et al. (2014, PLoS Comput Biol 10), "Noise ceiling".

    Examples
    --------
    >>> from secateur.timecourse import rdm_movies, simulate
    >>> patterns, _ = simulate(10, subjects=3, sensors=20, times=[0.0, 0.27, 0.5], noise=0.2)
    >>> bounds = noise_ceiling(rdm_movies(patterns))
    >>> bool(bounds.lower[1] > 0.2 > bounds.lower[0]), bool((bounds.lower <= bounds.upper).all())
    (True, True)
    """
    read = read_movies(movies, _stimuli_of(movies))
    if len(read.arrays) < 2:
        raise ValueError(f"movies must be of at least 2 subjects, got {len(read.arrays)}")
    found = []
    for t, time in enumerate(read.times):
        matrices = np.stack([np.asarray(read.at(s, slice(t, t + 1)))[0] for s in range(len(read.arrays))])
        try:
            bounds = inference.noise_ceiling(
                matrices, comparator, cv=cv, repeats=repeats, seed=seed, groups=groups, kind=read.kind or kind,
                control=control,
            )  # fmt: skip
        except ValueError as error:
            raise ValueError(f"movies at {time:g} {read.units}: {error}") from error
        found.append(bounds.assign_coords(subject=read.subjects))
    whole = xarray.concat(found, "time").assign_coords(time=("time", read.times, {"units": read.units}))
    whole = whole.assign_coords({name: ("time", values, {"units": "s"}) for name, values in read.windows.items()})
    return whole.transpose(..., "time").assign_attrs(subjects=len(read.subjects))


def _stimuli_of(movies: Any) -> int:
    """Number of stimuli, from the last side of one movie."""
    if hasattr(movies, "values") and callable(movies.values):
        movies = list(movies.values())
    one = movies[0] if isinstance(movies, list | tuple) and movies else movies
    shape = tuple(np.shape(one))
    if not shape:
        raise ValueError("movies must hold at least one subject, got none")
    square = len(shape) >= 3 and shape[-1] == shape[-2] and "pair" not in getattr(one, "dims", ())
    n = shape[-1] if square else stimulus_count(shape[-1])
    if n is None:
        raise ValueError(f"movies must hold n(n-1)/2 pairs at each time, got {shape[-1]}")
    return n


def paper_windows(
    X: HostEmbeddingLike,
    recordings: RecordingsLike,
    windows: WindowsLike = ((0.175, 0.185), (0.275, 0.285)),
    pruner: Pruner | None = None,
    cv: Splits = 5,
    repeats: int = 1,
    seed: int = 0,
    groups: LabelsLike | None = None,
    *,
    alternative: Alternative = "greater",
    progress: bool = True,
) -> pandas.DataFrame:
    """The paper's MEG analysis: pruning in two windows of time, tested over participants.

    A matrix at each time (1 - Pearson over sensors), averaged in each window; five-fold pruning for each window and
    participant; mean held-out alignments in Fisher's z; a paired one-sided t over participants.

    Parameters
    ----------
    X : array (n stimuli, d features)
        The embedding.
    recordings : dict or list of recordings, or DataArray with a dim subject
        As :func:`rdm_movies` takes them, with times in seconds.
    windows : sequence of (start, stop) or of str, or str
        As in :func:`rdm_movie`: seconds, both ends included, or such as ``"175-185ms"``.
    pruner, cv, repeats, seed, groups
        As in :func:`prune`.
    alternative : {"greater", "two-sided", "less"}
        Of pruned against full.
    progress : bool
        Whether a progress bar may show.

    Returns
    -------
    pandas.DataFrame
        One row a window, index ``window`` ("175-185 ms"). ``full``, ``pruned``: means over participants, in the
        comparator's units; ``t``, ``df``, ``p`` (not corrected over windows), ``d``; ``n_kept``; ``subjects``.

    Raises
    ------
    TypeError, ValueError
        As :func:`rdm_movies` and :func:`prune`; where there are fewer than 2 participants.

    References
    ----------
    Tarigopula, Fairhall, Bavaresco, Truong & Hasson (2023), §3.2: in 20 participants, p = 0.21 for 175-185 ms and
    t(19) = 1.99, p = 0.03 for 275-285 ms.

    Examples
    --------
    >>> from secateur.timecourse import simulate
    >>> patterns, truth = simulate(24, subjects=5, sensors=40, times=np.arange(0, 0.4, 0.005), noise=0.5, seed=1)
    >>> table = paper_windows(truth.X, patterns)
    >>> table.index.tolist(), table.df.tolist()
    (['175-185 ms', '275-285 ms'], [4, 4])
    """
    windows = read_windows(windows)
    movies = rdm_movies(recordings, windows=windows)
    if len(movies) < 2:
        raise ValueError(f"recordings must be of at least 2 participants, got {len(movies)}")
    course = prune(X, movies, pruner, cv, repeats, seed, groups, kind="dissimilarity", progress=progress)
    test = group_test(course, alternative=alternative, n=1)
    names = [f"{1000 * start:g}-{1000 * stop:g} ms" for start, stop in windows]
    columns = ("full", "pruned", "t", "df", "p", "d", "n_kept", "subjects")
    table = pandas.DataFrame({name: test[name].values for name in columns}, index=names)
    return table.rename_axis("window")
