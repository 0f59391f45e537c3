"""Stimuli relabelled alike for all subjects: is it these features, or would unrelated ones do as well?"""

from __future__ import annotations

from contextlib import closing
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray

from ..arguments import check_integer, check_share
from ..features import Indices, Matrix
from ..pairs import pair_count
from ..progress import with_progress
from ..provenance import digest_of
from ..pruning import Pruner
from ..relabelling import relabelled, relabellings
from ..resuming import kept_parts
from ..similarity import warn_of_undefined_pairs
from ..statistics import clusters_along, largest_masses, permutation_p
from ..validation import score_fold
from .cluster import results
from .group import TAILS, Alternative, apart_of, check_alternative, finite_z, means_of_folds, over_times
from .pruning import BUDGET, Study, announce, divided, input_digests, planned, settings_of
from .subjects import WINDOW

if TYPE_CHECKING:
    import distributed
    from numpy.typing import ArrayLike

    from .._typing import ControlLike, HostEmbeddingLike, LabelsLike, MoviesLike, NamesLike, PathOrPaths, Splits
    from ..targets import Kind

__all__ = ["FORMING", "against_relabellings", "permutation_test", "relabelled_chunk"]

FORMING = 0.05  # the p whose standard normal deviate a course has to pass to be in a cluster


def permutation_test(
    X: HostEmbeddingLike,
    movies: MoviesLike,
    n: int = 1000,
    pruner: Pruner | None = None,
    cv: Splits = 5,
    repeats: int = 1,
    seed: int = 0,
    groups: LabelsLike | None = None,
    *,
    kind: Kind | None = None,
    subjects: NamesLike | None = None,
    times: ArrayLike | None = None,
    control: ControlLike | None = None,
    alpha: float = 0.05,
    alternative: Alternative = "greater",
    store: PathOrPaths | None = None,
    client: distributed.Client | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> xarray.Dataset:
    """Test whether X's features, and not just any, fit the movies: stimuli relabelled, the whole pruning rerun.

    One relabelling permutes the stimuli of all subjects and times alike, so that everything that subjects and times
    share stays as it is, and only what ties it to X is broken. Every fold of every subject and time is pruned again.
    The largest value over time of each relabelling, and its largest cluster mass, make the nulls that control the
    family-wise error over time.

    Parameters
    ----------
    X, movies, pruner, cv, repeats, kind, subjects, times, client, threads, progress
        As in :func:`prune`. One subject will do.
    n : int
        Number of relabellings.
    seed : int
        Of the folds, and of the relabellings, which are those of :func:`secateur.permutation_test`.
    groups : array (n stimuli,), optional
        Stimuli of one group stay on one side of each fold, and are relabelled as a whole: each group takes the place
        of another, its stimuli in any order. Groups have to be of one size.
    control : matrices, optional
        As in :func:`prune`: all alignments are partial. Controls, and what they say of a movie, stay with the stimuli
        of X; what is relabelled is the rest (Freedman & Lane 1983).
    alpha : float
        What pictures mark; recorded.
    alternative : {"greater", "two-sided", "less"}
        Whether scores above those of relabelled stimuli are looked for, different ones, or lower ones.
    store : path, optional
        A folder, not :func:`prune`'s, that takes the null in blocks of relabellings: as in
        :func:`secateur.permutation_test`. It needs no extra.

    Returns
    -------
    xarray.Dataset, dims (time[, permutation])
        For each of ``full``, ``pruned`` and ``gain`` (held-out alignments, means over folds in Fisher's z, and pruned -
        full; means over subjects): ``observed_gain`` (time); ``gain`` (permutation, time), the null; ``p_gain`` (time),
        not corrected; ``p_max_gain`` (time), corrected over time by the largest value; ``cluster_gain`` (0: none),
        ``cluster_mass_gain`` and ``cluster_p_gain`` (time), corrected over time by the largest mass. Values are
        standardised at each time by mean and SD of all relabellings, the true order among them, before a largest one is
        taken; a cluster is a run of neighbouring times above 1.645 (two-sided: 1.96).

    Raises
    ------
    TypeError, ValueError
        Where n, alpha or alternative is none of these, groups differ in size, or as :func:`prune`.

    Warns
    -----
    UndefinedPairsWarning
        Once, where held-out pairs were left out.

    Notes
    -----
    *Two tests, two questions.* :func:`group_test` asks whether other people, shown the same stimuli, would have the
    effect with the same X. Structure of the stimuli that people share aligns a little with any X by chance, and it does
    so in every subject: the test over subjects then finds it, rightly, and says nothing of the features. This test asks
    whether X tells more of these people's responses than the same features dealt to other stimuli would; it says
    nothing of other people. A claim about features and people needs both.

    The gain under the null is that of pruning to matrices that have nothing to do with X. A relabelling is exact where
    stimuli are exchangeable: where they come in categories or runs, pass ``groups``.

    References
    ----------
    Mantel (1967), Cancer Research 27: relabelled stimuli. Nichols & Holmes (2002), Human Brain Mapping 15: the largest
    value. Maris & Oostenveld (2007), Journal of Neuroscience Methods 164: the largest cluster mass.

    Examples
    --------
    >>> from secateur.timecourse import rdm_movies, simulate
    >>> patterns, truth = simulate(40, subjects=3, sensors=40, times=np.arange(6) * 0.07, noise=0.3, seed=1)
    >>> test = permutation_test(truth.X, rdm_movies(patterns), n=19, cv=3)
    >>> test.pruned.dims, test.time.values[test.p_max_pruned <= 0.05].round(2).tolist()
    (('permutation', 'time'), [0.28])
    """
    n = check_integer("n", n, 1)
    check_alternative(alternative)
    alpha = check_share("alpha", alpha)
    how = cv, repeats, seed, groups
    study, read, _ = planned(X, movies, pruner, how, kind, subjects, times, client, threads, control)
    chunks = divided(study, read, None)
    inputs = input_digests(study, read, chunks, client, progress)
    orders = np.vstack([np.arange(study.features.n), relabellings(study.features.n, n, seed, groups)])
    size = _at_once(study, max(chunk.span.stop - chunk.span.start for chunk in chunks))
    parts = [(chunk, slice(b, min(b + size, n + 1))) for chunk in chunks for b in range(0, n + 1, size)]
    attrs = settings_of(study, cv, repeats, seed)
    whole = {} if groups is None else {"groups": digest_of(np.asarray(groups).tolist())}
    asked = {**attrs, "permutations": n, **inputs, **whole, "orders at once": size}
    scores = np.empty((2, n + 1, len(read.subjects), len(read.times)))
    undefined = 0

    def fill(key: int, values: npt.NDArray[np.float64], left_out: int) -> None:
        nonlocal undefined
        chunk, rows = parts[key]
        scores[:, rows, chunk.subject, chunk.span] = values
        undefined += left_out

    with kept_parts(store, "timecourse.permutation_test", lambda: asked) as kept:
        left = []
        for key in range(len(parts)):
            held = kept.held("part", key)
            if held is None:
                left.append(key)
            else:
                fill(key, held["values"], int(held["undefined"]))
        if progress and client is None:
            announce(study, read, chunks, len(chunks), orders=-(-(n + 1) * len(left) // len(parts)))
        calls = (
            (key, (parts[key][0].names, read.at(parts[key][0].subject, parts[key][0].span), orders[parts[key][1]]))
            for key in left
        )
        with closing(results(relabelled_chunk, (study,), calls, client)) as made:
            sizes = [(rows.stop - rows.start) * (chunk.span.stop - chunk.span.start) for chunk, rows in parts]
            done = [key for key in range(len(parts)) if key not in set(left)]
            sizes = [sizes[key] for key in (*done, *left)]
            steps = with_progress(chain(done, made), n, "relabellings", progress, sizes, len(done))
            for key, (values, left_out) in islice(steps, len(done), None):
                kept.keep("part", key, {"values": values, "undefined": np.array(left_out)})
                fill(key, values, left_out)
    warn_of_undefined_pairs(undefined)

    full, pruned = finite_z(scores)
    windows = {name: ("time", values, {"units": read.units}) for name, values in read.windows.items()}
    coords = {"time": ("time", read.times, {"units": read.units}), **windows, "permutation": np.arange(n)}
    apart = apart_of(read.windows.get(WINDOW[0]), read.windows.get(WINDOW[1]), len(read.times))
    variables: dict[str, Any] = {}
    for name, z in (("full", full), ("pruned", pruned), ("gain", pruned - full)):
        course = _mean_over_subjects(z)
        variables[f"observed_{name}"] = "time", course[0]
        variables[name] = ("permutation", "time"), course[1:]
        found = against_relabellings(course, TAILS[alternative], apart)
        variables |= {f"{what}_{name}": ("time", values) for what, values in found.items()}
    attrs |= {
        "n": n, "alpha": float(alpha), "alternative": alternative, "subjects": len(read.subjects),
        "groups": "" if groups is None else "relabelled as a whole", "inputs_sha256": digest_of(inputs),
    }  # fmt: skip
    return xarray.Dataset(variables, coords, attrs)


def _at_once(study: Study, times: int) -> int:
    """How many relabellings of so many times go through the core in one call."""
    bytes_each = 160 * study.features.d + 32 * pair_count(study.features.n)
    return max(1, min(64, BUDGET // (bytes_each * times)))


def relabelled_chunk(
    study: Study, names: tuple[str, ...], values: Any, orders: Indices
) -> tuple[npt.NDArray[np.float64], int]:
    """Full and pruned alignment (2, orders, times) of some times in each order of the stimuli, means over folds.

    Also how many held-out pairs were not scored.
    """
    targets = study.targets(values, names)
    shape = len(orders), len(names)
    targets = relabelled(targets, orders)
    settings = study.pruner.settings()
    problem = settings.problem(study.features, targets, study.folds)
    found = [score_fold(problem, fold, settings.search) for fold in study.folds]
    full, pruned = (np.stack([getattr(one, name) for one in found], axis=-1) for name in ("full_test", "pruned_test"))
    means, _ = means_of_folds(full, pruned)
    return np.stack(means).reshape(2, *shape), sum(int(one.undefined.sum()) for one in found)


def _mean_over_subjects(z: npt.NDArray[np.float64]) -> Matrix:
    """(relabellings, subjects, times) -> (relabellings, times), of the subjects that are defined there."""
    there = ~np.isnan(z)
    count = there.sum(axis=1)
    return np.where(count > 0, np.where(there, z, 0).sum(axis=1) / np.maximum(count, 1), np.nan)


def against_relabellings(course: Matrix, tail: int, apart: npt.NDArray[np.bool_]) -> dict[str, npt.NDArray[Any]]:
    """p, p of the largest, and clusters of the first row of (1 + n, times) against the others.

    All rows are standardised alike, so that under the null any of them may be the first: p is exact. A null value that
    is undefined counts as the largest.
    """
    from scipy.stats import norm

    there = ~np.isnan(course)
    count = np.maximum(there.sum(axis=0), 1)
    gap = np.where(there, course - np.where(there, course, 0).sum(axis=0) / count, np.nan)
    spread = np.sqrt(np.where(there, gap**2, 0).sum(axis=0) / count)
    usable = there[0] & (spread > 1e-13)
    z = np.full(course.shape, np.nan)
    z[:, usable] = gap[:, usable] / spread[usable]
    reach = np.abs(z) if tail == 0 else tail * z
    family = np.where(np.isnan(reach[1:]) & usable, np.inf, np.where(usable, reach[1:], -np.inf))
    largest = family.max(axis=1, initial=-np.inf)
    threshold = float(norm.isf(FORMING / (2 if tail == 0 else 1)))
    labels, masses = clusters_along(z[0], threshold, tail, apart)
    null = largest_masses(np.nan_to_num(z[1:]), threshold, tail, apart)
    null[(np.isnan(z[1:]) & usable).any(axis=1)] = np.inf
    p = permutation_p(np.abs(masses), np.broadcast_to(null, (len(masses), len(null))))
    return {
        "p": permutation_p(reach[0], reach[1:].T),
        "p_max": permutation_p(reach[0], np.broadcast_to(largest, (len(usable), len(largest)))),
        "cluster": labels, "cluster_mass": over_times(masses, labels), "cluster_p": over_times(p, labels),
    }  # fmt: skip
