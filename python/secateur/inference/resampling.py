"""How sure a held-out score is: the permutation null, the bootstrap, the noise ceiling, stability, transfer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..arguments import check_integer, check_share
from ..features import Indices, Matrix, read_features
from ..measures import check_comparator, comparator_row
from ..pairs import pair_positions, stimulus_count
from ..problem import Problem, compare, compare_where_defined
from ..progress import with_progress
from ..provenance import own_version
from ..pruning import Pruner
from ..pruning.ranking import SMALLEST_FOLD
from ..pruning.settings import Search
from ..relabelling import equal_groups, relabelled, relabelling, relabellings
from ..similarity import warn_of_opposition, warn_of_undefined_pairs
from ..statistics import mean_of_defined, permutation_p
from ..targets import Targets, read_target
from ..validation import (
    Fold,
    _cv_name,
    _names,
    _settings,
    pruner_of,
    score_fold,
    split,
)

if TYPE_CHECKING:
    import xarray

SCORES = ("full_test", "pruned_test", "gain")


def _at_once(d: int, targets: int) -> int:
    """How many variants of all targets go through the core in one call."""
    return max(1, min(64, (32 << 20) // (8 * d * max(1, targets))))


# The permutation null


def permutation_test(
    X: Any,
    target: Any,
    n: int = 1000,
    pruner: Pruner | None = None,
    cv: Any = 5,
    repeats: int = 1,
    seed: int = 0,
    groups: Any = None,
    *,
    kind: str | None = None,
    weights: Any = None,
    progress: bool = True,
) -> xarray.Dataset:
    """The null of the whole procedure: the target's stimuli relabelled, the cross-validated pruning rerun.

    Parameters
    ----------
    X, target, pruner, cv, repeats, kind, weights, progress
        As in :func:`secateur.cross_validate`.
    n : int
        Number of relabellings; each permutes the stimuli of every target (and its missing pairs and weights)
        in one way. Folds stay as they are.
    groups : array (n,), optional
        As in :func:`secateur.cross_validate`; all of one size. A relabelling moves whole groups to the places of
        others, and is free within each.
    seed : int
        Of the folds, and of the relabellings.

    Returns
    -------
    xarray.Dataset, dims (target[, permutation])
        ``pruned_test`` and ``gain`` (target, permutation): means, over the folds that have a score, of the held-out
        pruned alignment and of its excess over the full one, under the null; ``observed_pruned_test``,
        ``observed_gain``, ``p_pruned_test``, ``p_gain`` (target), with p = (1 + #{null >= observed}) / (1 + n).
        For more than one target also ``p_max_pruned_test`` and ``p_max_gain`` (target): the same against the largest
        null value of all targets in each relabelling, which bounds the chance of one false find among them
        (family-wise error); targets without an observed score are not of the family.

    Notes
    -----
    A relabelling is exact where stimuli are exchangeable. Exemplars of categories are not: they are alike within their
    category in X and target both, whether or not categories relate, so that relabelling them one by one finds too
    much (12 categories of 3: 25 % false positives at 5 %; ``benchmarks/simulate_inference.py groups``). Give the
    categories as ``groups``. G groups have G! places: with 4 of them no p is far below 1/24.

    ``gain`` under the null is the gain of pruning to a target
    that has nothing to do with X; a target that fits X and gains nothing is not of this null. The largest value is
    taken in correlation units: a target whose null is wide rules the family's. For many targets and a laxer rule,
    see :func:`secateur.benjamini_hochberg`.

    References
    ----------
    The relabelling of stimuli is Mantel's (1967, Cancer Research 27); Kriegeskorte, Mur & Bandettini (2008) for
    similarity spaces. The largest value: Nichols & Holmes (2002, Human Brain Mapping 15), "Single threshold test".

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(20, 10))
    >>> null = permutation_test(X, X[:, :3] @ X[:, :3].T, n=9, cv=3)
    >>> null.sizes["permutation"]
    9
    """
    import xarray

    n = check_integer("n", n, 1)
    pruner = pruner_of(pruner, kind)
    settings = pruner.settings()
    features = read_features(X, device_arrays=settings.search.runs_on_device)
    targets = read_target(target, features.n, pruner.kind, weights, features.stimuli)
    folds, _ = split(features.n, cv, repeats, seed, groups)
    orders = np.vstack([np.arange(features.n), relabellings(features.n, n, seed, groups)])
    at_once = _at_once(features.d, len(targets))
    batches = [orders[b : b + at_once] for b in range(0, len(orders), at_once)]
    found: dict[str, list[Matrix]] = {"pruned_test": [], "gain": []}
    undefined = 0
    full: list[Matrix] = []
    pruned: list[Matrix] = []
    problem = settings.problem(features, targets, folds, runs=n + 1)
    for step, batch in enumerate(
        with_progress([b for b in batches for _ in folds], len(batches) * len(folds), "relabelled folds", progress)
    ):
        if not full:
            moved = problem.against(relabelled(targets, batch))
        scores = score_fold(moved, folds[step % len(folds)], settings.search, groups=groups)
        undefined += int(scores.undefined.sum())
        full.append(scores.full_test)
        pruned.append(scores.pruned_test)
        if len(full) == len(folds):
            kept, shape = np.stack(pruned), (len(batch), len(targets))
            found["pruned_test"].append(mean_of_defined(kept).reshape(shape))
            found["gain"].append(mean_of_defined(kept - np.stack(full)).reshape(shape))
            full, pruned = [], []
    warn_of_undefined_pairs(undefined)
    variables: dict[str, Any] = {}
    for name, parts in found.items():
        values = np.concatenate(parts).T
        observed, null = values[:, 0], values[:, 1:]
        variables[name] = (("target", "permutation"), null)
        variables[f"observed_{name}"] = (("target",), observed)
        variables[f"p_{name}"] = (("target",), permutation_p(observed, null))
        if len(targets) > 1:
            variables[f"p_max_{name}"] = (("target",), _family_wise_p(observed, null))
    full_test = variables["observed_pruned_test"][1] - variables["observed_gain"][1]
    warn_of_opposition(full_test, targets.kind)
    coords = {"target": _names(targets.labels, len(targets)), "permutation": np.arange(n)}
    return xarray.Dataset(variables, coords, {**_settings(pruner, targets, cv, repeats, seed), "n": n})


def _family_wise_p(observed: Matrix, null: Matrix) -> Matrix:
    """p (T,) against the largest of the targets' null values (T, n); an undefined one counts as the largest."""
    family = ~np.isnan(observed)
    if not family.any():
        return np.full(len(observed), np.nan)
    largest = np.where(np.isnan(null[family]), np.inf, null[family]).max(axis=0)
    return permutation_p(observed, np.broadcast_to(largest, null.shape))


# The bootstrap


@dataclass(frozen=True)
class _Draw:
    """How often each stimulus and each subject was drawn; None: each once."""

    stimuli: Indices | None = None
    subjects: Indices | None = None


def bootstrap(
    X: Any,
    target: Any,
    n: int = 200,
    over: str = "stimuli",
    pruner: Pruner | None = None,
    cv: Any = 5,
    repeats: int = 1,
    seed: int = 0,
    groups: Any = None,
    *,
    kind: str | None = None,
    weights: Any = None,
    confidence: float = 0.95,
    method: str | None = None,
    resample: str = "procedure",
    progress: bool = True,
) -> xarray.Dataset:
    """Intervals of the held-out scores: what they would be with other stimuli, other subjects, or both.

    Parameters
    ----------
    X, pruner, cv, repeats, kind, progress
        As in :func:`secateur.cross_validate`.
    target : array, rsatoolbox RDMs, or xarray DataArray
        One or T targets, in any form that :func:`secateur.alignment` takes. Where ``over`` is ``"subjects"`` or
        ``"both"``: a stack, one a subject, whose mean (over the drawn subjects who have a pair) is the one target.
        Values are averaged as they are: standardise subjects first where their ranges differ.
    n : int
        Number of draws; 1000 or more for percentiles.
    over : {"stimuli", "subjects", "both"}
        What the interval generalises to: other stimuli, other people, or both.
    seed : int
        Of the folds, and of the draws.
    groups : array (n,), optional
        As in :func:`secateur.cross_validate`. Over stimuli or both: all of one size, and whole groups are drawn, so
        that the interval generalises to other groups.
    weights : array shaped like a target, optional
        Weight of each pair; 0 or 1 for rank comparators. One pattern for all subjects where these are drawn.
    confidence : float
        Coverage of the intervals, between 0 and 1.
    method : {"t", "percentile", "bca"}, optional
        ``"t"``, the default: the observed score ± Student's t × its standard error (see Notes). ``"percentile"``:
        between quantiles of draws with replacement. ``"bca"``: quantiles corrected for bias and acceleration (jackknife
        over stimuli or groups), for ``resample="scores"`` alone. Over stimuli or both the last two are far too wide.
    resample : {"procedure", "scores"}
        ``"procedure"``: every draw chooses features anew, in every fold; percentiles are moved so that the mean draw
        lies on the observed score. ``"scores"``, over stimuli alone: features are chosen once, in each fold from the
        training stimuli as they are, and draws of stimuli score them, with percentiles (the default there) or BCa.

    Returns
    -------
    xarray.Dataset, dims (target[, resample or bound])
        ``full_test``, ``pruned_test``, ``gain`` (target, resample): means over folds, in the comparator's units, of the
        draws as they came: of subjects where these are drawn, else with ``"t"`` of folds, else of stimuli.
        ``observed_full_test`` … (target). ``error_full_test`` … (target): the standard error (percentiles: the SD of
        the draws). ``interval_full_test``, ``interval_pruned_test``, ``interval_gain`` (target, bound).
        ``undefined_resamples`` (target): draws without any score, left out. An interval is NaN where nothing is
        observed or nothing could be drawn, or where for ``"bca"`` all draws lie on one side.

    Raises
    ------
    TypeError, ValueError
        Where an argument is not as said above; the message names it.

    Warns
    -----
    UndefinedPairsWarning
        Once, where held-out pairs were left out.
    OpposedWarning
        Once, where ``observed_full_test`` is below zero for a target: it may be of the other kind, and a gain that ends
        below zero is no evidence of a fit, whatever its interval.

    Notes
    -----
    *What it is an interval of.* The expected held-out score of this procedure with so many stimuli (or subjects) and
    folds as there are, drawn from where these were drawn.

    *The standard error over stimuli.* Test folds share no stimuli: the variance between their scores, by their number,
    is the variance of their mean, but for what their prunings have in common. It is averaged over n random
    divisions of the stimuli into the same folds, so that a lucky division matters little. What prunings have in common
    can't be estimated without bias from one set of stimuli (Bengio & Grandvalet 2004); the variance of the mean that is
    due to learning stands in for it, which pruning to two halves of the training stimuli shows. Degrees of freedom:
    stimuli (or groups) - 1. Each draw prunes three times in every fold. ``cv`` must have folds that test other stimuli.

    *Over subjects* the standard error is the SD of draws of subjects, made larger by sqrt(m / (m - 1)) for m subjects,
    with m - 1 degrees of freedom; *over both*, the two variances are added, which counts what is particular to a
    subject and a stimulus twice, with Satterthwaite's degrees of freedom.

    *How often they hold.* 95 % intervals over stimuli held the expected scores in 90 to 99 % of simulated data sets
    (n from 24 to 60, 20 to 400 features; but see Limits), where percentiles of draws with replacement are 1.4 to 2.4
    times as wide as scores spread; over 16 subjects in 91 to 97 %, where percentiles hold 85 to 94 %; over both in 96 %
    or more (``benchmarks/simulate_inference.py``; ``benchmarks/README.md`` has the tables).

    *Draws of stimuli with replacement* (percentiles, BCa). A stimulus drawn c times is there c times, so the pair
    (i, j) counts c_i c_j times; within a group drawn c times, c times. Copies of one stimulus or group make no pairs
    with each other (they would be perfectly alike in both spaces), and lie on one side of each fold. A fold with fewer
    than 3 distinct stimuli on a side, or in which nothing varies, has no score in that draw. Such draws vary more than
    scores do, threefold in variance where pairs are noisy (Owen 2007), and learn from 63 % of the stimuli, which moving
    mends in the mean alone.

    *Limits.* Where pruning drops next to nothing, halves of the stimuli choose far worse than all: intervals of the
    gain are then several times too wide. An interval above zero is no test of the gain: see
    :func:`secateur.permutation_test`.

    References
    ----------
    Bengio & Grandvalet (2004, JMLR 5): the variance of cross-validation. Nili et al. (2014, PLoS Comput Biol 10) and
    Schütt et al. (2023, eLife 12): the bootstrap over stimuli, subjects and both, and its correction; Owen (2007, Ann
    Appl Stat 1): its width. Efron (1987, JASA 82): BCa.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(24, 10))
    >>> result = bootstrap(X, X[:, :3] @ X[:, :3].T, n=50, cv=3)
    >>> lower, upper = result.interval_gain.values[0]
    >>> bool(lower < result.observed_gain[0] < upper)
    True
    """
    import xarray

    n = check_integer("n", n, 1)
    if method is None:
        method = "percentile" if resample == "scores" else "t"
    confidence = check_share("confidence", confidence)
    for name, value, choices in (
        ("over", over, ("stimuli", "subjects", "both")),
        ("resample", resample, ("procedure", "scores")),
        ("method", method, ("t", "percentile", "bca")),
    ):
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}; got {value!r}")
    if resample == "scores" and over != "stimuli":
        raise ValueError(f"resample must be 'procedure' where over is {over!r}, got 'scores'")
    if method not in (able := {"procedure": ("t", "percentile"), "scores": ("percentile", "bca")}[resample]):
        raise ValueError(f"method must be {able[0]!r} or {able[1]!r} where resample is {resample!r}, got {method!r}")
    features = read_features(X)
    pruner = pruner_of(pruner, kind)
    settings = pruner.settings()
    targets = read_target(target, features.n, pruner.kind, weights, features.stimuli)
    folds, _ = split(features.n, cv, repeats, seed, groups)
    if over != "stimuli":
        _check_subjects(targets, over)
    members = equal_groups(None if over == "subjects" else groups, features.n)
    rng = np.random.default_rng(seed)
    problem = settings.problem(features, targets, folds)
    resampler = _Resampler(problem, targets, over != "stimuli", folds, settings.search, groups, members)
    observed = resampler.scores([_Draw()])[:, 0]
    if method == "t":
        found = _by_standard_error(resampler, observed, n, over, confidence, rng, progress)
    else:
        found = _by_percentiles(resampler, observed, n, over, confidence, method, resample, rng, progress)
    draws, bounds, errors = found
    warn_of_undefined_pairs(resampler.undefined)
    warn_of_opposition(observed[0], targets.kind)
    variables: dict[str, Any] = {}
    for s, name in enumerate(SCORES):
        variables[name] = (("target", "resample"), draws[s].T)
        variables[f"observed_{name}"] = (("target",), observed[s])
        variables[f"interval_{name}"] = (("target", "bound"), bounds[s])
        variables[f"error_{name}"] = (("target",), errors[s])
    variables["undefined_resamples"] = (("target",), np.isnan(draws[2]).sum(axis=0))
    names = _names(targets.labels, len(targets)) if over == "stimuli" else np.array(["mean"])
    coords = {"target": names, "resample": np.arange(n), "bound": ["lower", "upper"]}
    attrs = _settings(pruner, targets, cv, repeats, seed)
    attrs |= {"n": n, "over": over, "confidence": confidence, "method": method, "resample": resample}
    return xarray.Dataset(variables, coords, attrs)


def _by_percentiles(
    resampler: _Resampler, observed: Matrix, n: int, over: str, confidence: float, method: str, resample: str,
    rng: np.random.Generator, progress: bool,
) -> tuple[Matrix, Matrix, Matrix]:  # fmt: skip
    """Draws (3, n, T) with replacement, intervals (3, T, 2) between their quantiles, and SD (3, T)."""
    people, members = len(resampler.targets), resampler.members
    if resample == "scores":
        resampler.learn()

    def of_stimuli(counts: Indices) -> Indices:
        """Whole groups are drawn: all of a group as often."""
        each = np.empty(members.size, dtype=np.int64)
        each[members] = counts[:, None]
        return each

    draws = []
    for _ in range(n):
        counts = of_stimuli(_counts(rng, len(members))) if over != "subjects" else None
        draws.append(_Draw(counts, _counts(rng, people) if over != "stimuli" else None))
    if method == "bca":
        draws += [_Draw(of_stimuli(one)) for one in 1 - np.eye(len(members), dtype=np.int64)]
    batches = resampler.batches(draws)
    steps = with_progress(batches, len(batches), "resamples", progress)
    values = np.concatenate([resampler.scores(batch) for batch in steps], axis=1)
    drawn, left_out = values[:, :n], values[:, n:]
    bounds = np.empty((*observed.shape, 2))
    for s, t in np.ndindex(observed.shape):
        jackknife = [left_out[s, :, t]] if method == "bca" else []
        bounds[s, t] = _interval(drawn[s, :, t], float(observed[s, t]), confidence, jackknife)
        if resample == "procedure":
            bounds[s, t] += observed[s, t] - mean_of_defined(drawn[s, :, t, None])[0]
    return drawn, bounds, np.sqrt(_variance(drawn))


def _by_standard_error(
    resampler: _Resampler, observed: Matrix, n: int, over: str, confidence: float, rng: np.random.Generator,
    progress: bool,
) -> tuple[Matrix, Matrix, Matrix]:  # fmt: skip
    """Draws (3, n, T), intervals (3, T, 2) of Student's t about what was observed, and standard errors (3, T)."""
    from scipy.stats import t as student

    people, members = len(resampler.targets), resampler.members
    parts: list[tuple[Matrix, int]] = []  # variances and their degrees of freedom
    draws = np.empty((3, 0, observed.shape[1]))
    if over != "subjects":
        draws, variance = _over_stimuli(resampler, n, rng, progress)
        parts.append((variance, len(members) - 1))
    if over != "stimuli":
        batches = resampler.batches([_Draw(subjects=_counts(rng, people)) for _ in range(n)])
        steps = with_progress(batches, len(batches), "resamples", progress)
        draws = np.concatenate([resampler.scores(batch) for batch in steps], axis=1)
        parts.append((_variance(draws) * people / (people - 1), people - 1))
    variance = np.sum([one for one, _ in parts], axis=0)
    # Satterthwaite's: of the sum, where there are two
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = variance**2 / np.sum([one**2 / df for one, df in parts], axis=0)
    error = np.sqrt(variance)
    half = student.ppf((1 + confidence) / 2, np.where(variance > 0, freedom, 1)) * error
    return draws, np.stack([observed - half, observed + half], axis=-1), error


def _over_stimuli(resampler: _Resampler, n: int, rng: np.random.Generator, progress: bool) -> tuple[Matrix, Matrix]:
    """Scores with folds drawn anew (3, n, T), and the variance (3, T) of the observed ones over sets of stimuli.

    Of folds with score r: Var(mean) is the mean over all pairs f, g of Cov(f, g) = Var(r) - E(r_f - r_g)^2 / 2. Where
    f and g test other stimuli and nothing is learnt, Cov is 0, so that Var(r) is E(r_f - r_g)^2 / 2 of such pairs: with
    one round of K folds, Var(mean) is the variance between folds by K. Both are means over random folds. What folds
    learn binds them too; by how much can't be had from one set of stimuli without bias (Bengio & Grandvalet 2004). The
    variance due to learning stands in for it: halves of the training stimuli have no stimulus in common, so that
    half the squared difference of what they lead to is its variance at half the stimuli, and half of that at all.
    """
    targets = resampler.averaged([_Draw()]) if resampler.mean else resampler.targets
    apart = np.array([[np.intersect1d(f, g).size == 0 for _, g in resampler.folds] for _, f in resampler.folds])
    if not apart.any():
        raise ValueError("cv must have two folds without a common test stimulus where method is 't', got none")
    scores, between, among, learnt = [], [], [], []
    members = resampler.members
    half = len(members) // 2
    tested = max(len(test) for _, test in resampler.folds) // members.shape[1]
    _check_inner_folds(resampler.search, half - tested, members.shape[1])
    for _ in with_progress(range(n), n, "resamples", progress):
        order = relabelling(rng, members)
        folds = [(np.sort(order[train]), np.sort(order[test])) for train, test in resampler.folds]
        places = rng.permutation(len(members))
        halves = [np.sort(members[part].ravel()) for part in (places[:half], places[half : 2 * half])]
        whole = resampler.by_fold(targets, folds)
        first, second = (
            resampler.by_fold(targets, [(np.intersect1d(train, side), test) for train, test in folds])
            for side in halves
        )
        scores.append(mean_of_defined(whole))
        between.append(_half_square_gap(whole, apart))
        among.append(_half_square_gap(whole, np.ones_like(apart)))
        learnt.append(mean_of_defined(first - second) ** 2 / 4)
    fold, gap, learning = (mean_of_defined(np.stack(part)) for part in (between, among, learnt))
    # Two noisy means differ, with many repeats by little: no less than if all folds had stimuli of their own.
    testing = np.maximum(fold - gap, fold / len(apart))
    return np.stack(scores).reshape(n, 3, -1).swapaxes(0, 1), (testing + learning).reshape(3, -1)


def _check_inner_folds(search: Search, groups: int, size: int) -> None:
    """Refuse inner folds that half the training stimuli, so many groups of a size at the least, may be too few for."""
    if search.row.inner_folds and groups // search.inner_cv * size < SMALLEST_FOLD:
        raise ValueError(
            f"inner_cv must leave at least {SMALLEST_FOLD} stimuli in each inner fold of half the training stimuli "
            f"where method is 't', got {search.inner_cv} folds of as few as {max(groups, 0) * size} stimuli: lower it, "
            f"or pass method='percentile'"
        )


def _half_square_gap(folds: Matrix, pairs: npt.NDArray[np.bool_]) -> Matrix:
    """Mean (T,) of (r_f - r_g)^2 / 2 over some pairs of folds (F, F), from scores (F, T); NaN where none is defined."""
    there = ~np.isnan(folds)
    r = np.where(there, folds - mean_of_defined(folds), 0)
    joined = pairs.astype(float)
    count = (there * (joined @ there)).sum(axis=0)
    squares = ((joined @ there) * r**2).sum(axis=0) - (r * (joined @ r)).sum(axis=0)
    return np.where(count > 0, squares / np.maximum(count, 1), np.nan)


def _variance(draws: Matrix) -> Matrix:
    """Over the draws (3, n, T) that have a score; NaN for fewer than two."""
    folds = draws.swapaxes(0, 1)
    count = (~np.isnan(folds)).sum(axis=0)
    squares = mean_of_defined((folds - mean_of_defined(folds)) ** 2)
    return np.where(count > 1, squares * count / np.maximum(count - 1, 1), np.nan)


def _counts(rng: np.random.Generator, size: int) -> Indices:
    """How often each of ``size`` things comes up in as many draws with replacement."""
    return np.bincount(rng.integers(size, size=size), minlength=size)


def _check_subjects(targets: Targets, over: str) -> None:
    if len(targets) < 2:
        raise ValueError(f"target must be a stack of at least 2 subjects where over is {over!r}, got {len(targets)}")
    if targets.weights is not None:
        most = targets.weights.max(axis=0)
        other = (targets.weights > 0) & (targets.weights != most)
        if other.any():
            raise ValueError(
                f"weights must be one pattern for all subjects where over is {over!r}, got several for pair "
                f"{np.argwhere(other)[0, 1]}"
            )


class _Resampler:
    """Scores of the cross-validated pruning for draws of stimuli and subjects."""

    def __init__(
        self, problem: Problem, targets: Targets, mean: bool, folds: list[Fold], search: Search, groups: Any,
        members: Indices,
    ) -> None:  # fmt: skip
        self.problem, self.search = problem, search
        self.targets, self.mean, self.folds, self.members = targets, mean, folds, members
        self.groups = None if groups is None else np.asarray(groups)
        self.per_draw = 1 if mean else len(targets)
        self.masks: list[npt.NDArray[np.bool_]] | None = None
        self.undefined = 0

    def by_fold(self, targets: Targets, folds: list[Fold]) -> Matrix:
        """(F, 3 T): full, pruned and gain of T targets, held out; NaN where a fold can't be learnt from or scored."""
        full, pruned = np.full((2, len(folds), len(targets)), np.nan)
        for f, (train, test) in enumerate(folds):
            if min(len(train), len(test)) < SMALLEST_FOLD:
                continue
            able = _distinct(targets.among(test)) & _distinct(targets.among(train))
            if able.any():
                rows = np.flatnonzero(able)
                self._score(self.problem.against(targets), (train, test), f, rows, full[f], pruned[f], self.groups)
        return np.concatenate([full, pruned, pruned - full], axis=1)

    def batches(self, draws: list[_Draw]) -> list[list[_Draw]]:
        """Draws that go through the core together: ranks can't be weighted, so their draws go one by one."""
        copied = comparator_row(self.problem.comparator).rank and any(draw.stimuli is not None for draw in draws)
        at_once = 1 if copied else _at_once(self.problem.features.d, self.per_draw)
        return [draws[b : b + at_once] for b in range(0, len(draws), at_once)]

    def learn(self) -> None:
        """Keep what pruning to the targets as they are keeps in each fold, for all draws to come."""
        targets = self.averaged([_Draw()]) if self.mean else self.targets
        problem = self.problem.against(targets)
        self.masks = [
            self.search.run(problem, stimuli=train, wanted="support", groups=self.groups).support
            for train, _ in self.folds
        ]

    def scores(self, draws: list[_Draw]) -> npt.NDArray[np.float64]:
        """(3, draws, targets): full, pruned and gain, held out, means over folds."""
        n, folds, groups, drawn = self.problem.features.n, self.folds, self.groups, None
        as_given = np.tile(np.arange(n), (len(draws), 1))
        targets = self.averaged(draws) if self.mean else relabelled(self.targets, as_given)
        counted = targets
        if any(draw.stimuli is not None for draw in draws):
            once = np.ones(n, dtype=np.int64)
            counts = np.stack([once if draw.stimuli is None else draw.stimuli for draw in draws])
            counted = _weighted(targets, counts, self.members)
            if comparator_row(self.problem.comparator).rank:
                drawn, targets, folds = self._copied(counts[0], targets)
                groups = groups if groups is None else groups[drawn]
            else:
                targets = counted
        features, _ = self.problem.host
        problem = self.problem.against(targets) if drawn is None else self.problem.over(features.among(drawn), targets)
        full, pruned = np.full((2, len(folds), len(targets)), np.nan)
        for f, (train, test) in enumerate(self.folds):
            able = _distinct(counted.among(test))
            if self.masks is None:
                able &= _distinct(counted.among(train))
            if able.any():
                self._score(problem, folds[f], f, np.flatnonzero(able), full[f], pruned[f], groups)
        means = [mean_of_defined(part) for part in (full, pruned, pruned - full)]
        return np.stack(means).reshape(3, len(draws), self.per_draw)

    def _score(
        self, problem: Problem, fold: Fold, f: int, rows: Indices, full: Matrix, pruned: Matrix, groups: Any
    ) -> None:
        """Fill in the scores of some targets in one fold; where there is nothing to learn from they stay NaN."""
        train, test = fold
        if self.masks is not None:
            chosen = [(self.masks[f][t], rows[rows % self.per_draw == t]) for t in range(self.per_draw)]
        else:
            rows = rows[_learnable(problem.among(train))[rows]]
            support: Any = ()
            if rows.size:
                some = problem.against(problem.host[1].only(rows))
                support = self.search.run(some, stimuli=train, wanted="support", groups=groups).support
            chosen = [(mask, np.array([row])) for mask, row in zip(support, rows)]
        tested = problem.among(test).on_one_thread()
        goals = tested.host[1]
        if rows.size:
            everything = np.ones(problem.features.d, dtype=bool)
            full[rows], _ = tested.against(goals.only(rows)).held_out_alignment(None, everything)
        for mask, mine in chosen:
            if mine.size:
                pruned[mine], undefined = tested.against(_some(goals, mine)).held_out_alignment(None, mask)
                self.undefined += int(undefined.sum())

    def averaged(self, draws: list[_Draw]) -> Targets:
        """The mean over the drawn subjects who have the pair, one target a draw."""
        once = np.ones(len(self.targets), dtype=np.int64)
        drawn = np.stack([once if draw.subjects is None else draw.subjects for draw in draws]).astype(np.float64)
        if self.targets.weights is None or self.targets.weight_of is None:
            return Targets(drawn @ self.targets.values / drawn.sum(axis=1, keepdims=True), None, None, self.targets.n)
        each = self.targets.weights[self.targets.weight_of]
        share = drawn @ (each > 0)
        values = drawn @ np.where(each > 0, self.targets.values, 0) / np.maximum(share, 1)
        weights = np.where(share > 0, each.max(axis=0), 0)
        return Targets(values, weights, np.arange(len(draws)), self.targets.n)

    def _copied(self, counts: Indices, targets: Targets) -> tuple[Indices, Targets, list[Fold]]:
        """The drawn stimuli, as often as they were drawn, and their target; pairs of copies have no weight."""
        drawn = np.repeat(np.arange(targets.n), counts)
        copy = np.concatenate([np.arange(count) for count in counts])
        of = _group_of(self.members)[drawn]
        copies = relabelled(targets, drawn[None])
        a, b = np.triu_indices(len(drawn), 1)
        copies = copies.without((of[a] == of[b]) & ((copy[a] != copy[b]) | (drawn[a] == drawn[b])))
        folds = [tuple(np.flatnonzero(np.isin(drawn, side)) for side in fold) for fold in self.folds]
        return drawn, copies, [(train, test) for train, test in folds]


def _learnable(problem: Problem) -> npt.NDArray[np.bool_]:
    """Which targets (T,) leave something to learn from: variation."""
    baseline, targets = problem.compare(problem.similarities()), problem.host[1]
    able = ~np.isnan(baseline)
    for t in map(int, np.flatnonzero(able & (baseline == 0))):
        varies = np.ptp(targets.values[t, targets.counts(t)]) > 0
        able[t] = varies or comparator_row(problem.comparator).takes_constants
    return able


def _group_of(members: Indices) -> Indices:
    """The group (n,) of each stimulus, from the stimuli of each group (G, size)."""
    of = np.empty(members.size, dtype=np.int64)
    of[members] = np.arange(len(members))[:, None]
    return of


def _weighted(targets: Targets, counts: Indices, members: Indices) -> Targets:
    """Each pair as often as its stimuli were drawn together: the product of their counts (draws, n).

    Within a group, whose stimuli were drawn together, as often as the group; copies of a group make no pairs.
    """
    rows, columns = np.triu_indices(targets.n, 1)
    of = _group_of(members)
    times = np.where(of[rows] == of[columns], counts[:, rows], counts[:, rows] * counts[:, columns]).astype(np.float64)
    of_draw = np.repeat(np.arange(len(counts)), len(targets) // len(counts))
    if targets.weights is None or targets.weight_of is None:
        return replace(targets, weights=times, weight_of=of_draw)
    patterns, weight_of = np.unique(np.stack([targets.weight_of, of_draw]), axis=1, return_inverse=True)
    weights = targets.weights[patterns[0]] * times[patterns[1]]
    return replace(targets, weights=weights, weight_of=np.ascontiguousarray(weight_of.ravel(), dtype=np.int64))


def _distinct(targets: Targets) -> npt.NDArray[np.bool_]:
    """Which targets (T,) have pairs with weight among at least as many stimuli as a fold needs."""
    if targets.weights is None or targets.weight_of is None:
        return np.ones(len(targets), dtype=bool)
    rows, columns = np.triu_indices(targets.n, 1)
    met = np.zeros((len(targets.weights), targets.n), dtype=bool)
    u, p = np.nonzero(targets.weights)
    met[u, rows[p]] = met[u, columns[p]] = True
    return np.asarray((met.sum(axis=1) >= SMALLEST_FOLD)[targets.weight_of])


def _some(targets: Targets, chosen: Indices) -> Targets:
    """Some of many targets, with their own weights alone."""
    weights, weight_of = targets.weights, targets.weight_of
    if weights is not None and weight_of is not None:
        patterns, weight_of = np.unique(weight_of[chosen], return_inverse=True)
        weights, weight_of = weights[patterns], np.ascontiguousarray(weight_of, dtype=np.int64)
    return Targets(targets.values[chosen], weights, weight_of, targets.n)


def _interval(draws: Matrix, observed: float, confidence: float, jackknife: list[Matrix]) -> Matrix:
    """Lower and upper bound from the draws: percentiles, or where there is a jackknife, BCa (Efron 1987)."""
    draws = draws[~np.isnan(draws)]
    levels = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    if not draws.size or np.isnan(observed):
        return np.full(2, np.nan)
    if jackknife:
        from scipy.stats import norm

        z = norm.ppf(levels)
        below = np.mean((draws < observed - 1e-12) + 0.5 * (np.abs(draws - observed) <= 1e-12))
        bias = norm.ppf(below)
        cubes = squares = 0.0
        for values in jackknife:
            defined = values[~np.isnan(values)]
            if defined.size:
                pull = (defined.size - 1) / defined.size * (defined.mean() - defined)
                cubes, squares = cubes + float((pull**3).sum()), squares + float((pull**2).sum())
        acceleration = cubes / (6 * squares**1.5) if squares > 0 else 0.0
        if not np.isfinite(bias):
            return np.full(2, np.nan)
        levels = norm.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))
    bounds: Matrix = np.quantile(draws, levels)
    return bounds


# The noise ceiling


def noise_ceiling(
    rdms: Any,
    comparator: str = "pearson",
    *,
    subjects: Any = None,
    cv: Any = None,
    repeats: int = 1,
    seed: int = 0,
    groups: Any = None,
    kind: str = "dissimilarity",
    weights: Any = None,
) -> xarray.Dataset:
    """How well any model could align with single subjects, given how these differ: lower and upper bound.

    Parameters
    ----------
    rdms : (T, P) | (T, n, n) array, rsatoolbox RDMs, or xarray DataArray
        One matrix a subject, two at least. NaN: the subject has no such pair.
    comparator : {"pearson", "cosine", "corr_cov", "cosine_cov", "spearman", "rho-a", "tau-a", "tau-b"}
        What models are scored by.
    subjects : array (T,), optional
        Whose each matrix is, where a subject has several (sessions); these are left out together.
    cv, repeats, seed, groups
        As in :func:`secateur.cross_validate`. Where ``cv`` is given, alignments are taken among the test stimuli of
        each fold and averaged, as held-out scores are; among all stimuli by default.
    kind : {"similarity", "dissimilarity"}
        What the matrices hold.
    weights : array shaped like a target, optional
        Weight of each pair; 0 or 1 for rank comparators.

    Returns
    -------
    xarray.Dataset
        ``lower``, ``upper``: means over subjects of ``lower_by_subject`` and ``upper_by_subject`` (subject), in the
        comparator's units.

    Raises
    ------
    TypeError, ValueError
        Where an argument is not as said above, there are fewer than two subjects, or a matrix doesn't vary.

    Notes
    -----
    The upper bound aligns each subject with the mean of all, itself included; the lower bound with the mean of the
    others. Matrices are brought to one scale before the mean: z-scored for pearson, divided by their root mean square
    for cosine, by their whitened length for cosine_cov and (centred) corr_cov, ranked (relative to the number of pairs)
    for spearman, rho-a, tau-a and tau-b; for the taus the mean of ranks need not be the best matrix: the upper bound is
    approximate. A subject enters the mean, and is aligned, in the pairs that it has; a pair that no other subject has
    is left out of the lower bound. Where subjects miss different pairs the upper bound is approximate too.

    With ``cv`` the means are of whole matrices, compared among the test stimuli, as in rsatoolbox's
    ``cv_noise_ceiling``: a model that knew those alone could lie a little above the upper bound.

    The bounds are of alignments with *single* subjects, averaged: a score against the mean of subjects is another
    quantity, and may well lie above them.

    References
    ----------
    Nili et al. (2014, PLoS Comput Biol 10), "Noise ceiling"; the means are those of rsatoolbox's ``pool_rdm``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> bounds = noise_ceiling(rng.normal(size=45) + rng.normal(size=(8, 45)))
    >>> bool(bounds.lower < bounds.upper)
    True
    """
    import xarray

    comparator = check_comparator(comparator)
    n = _stimulus_count(rdms)
    targets = read_target(rdms, n, kind, weights)
    names = _names(targets.labels, len(targets)) if subjects is None else np.asarray(subjects)
    if names.shape != (len(targets),):
        raise ValueError(f"subjects must name the subject of each of {len(targets)} matrices, got shape {names.shape}")
    own, whose = np.unique(names, return_inverse=True)
    order = np.argsort([np.flatnonzero(whose == s)[0] for s in range(len(own))])  # as they come, not by name
    if len(own) < 2:
        raise ValueError(f"rdms must be of at least 2 subjects, got {len(own)}")
    everyone = np.arange(n, dtype=np.int64)
    tests = [everyone] if cv is None else [test for _, test in split(n, cv, repeats, seed, groups)[0]]
    present, scaled = _on_one_scale(targets, comparator)
    upper, lower = np.full((2, len(tests), len(targets)), np.nan)
    for s in range(len(own)):
        mine, others = np.flatnonzero(whose == s), np.flatnonzero(whose != s)
        for scores, pooled in ((upper, np.arange(len(targets))), (lower, others)):
            count = present[pooled].sum(axis=0)
            mean = np.where(count > 0, scaled[pooled].sum(axis=0) / np.maximum(count, 1), np.nan)
            for f, test in enumerate(tests):
                goal, at = targets.only(mine).among(test), pair_positions(test, n)
                if np.isnan(mean[at]).any():
                    goal = goal.without(np.isnan(mean[at]))
                scores[f, mine] = compare(mean[at], goal, comparator, 1)
    variables: dict[str, Any] = {}
    for name, scores in (("lower", lower), ("upper", upper)):
        each = mean_of_defined(scores)
        by_subject = np.array([mean_of_defined(each[whose == s][:, None])[0] for s in order])
        variables[f"{name}_by_subject"] = (("subject",), by_subject)
        variables[name] = ((), float(mean_of_defined(by_subject[:, None])[0]))
    attrs: dict[str, Any] = {"comparator": comparator, "kind": targets.kind, "secateur_version": own_version()}
    if cv is not None:
        attrs |= {"cv": _cv_name(cv), "repeats": int(repeats), "seed": int(seed)}
    return xarray.Dataset(variables, {"subject": own[order]}, attrs)


def noise_normalised_r2(
    models: Any, rdms: Any, comparator: str = "spearman", n: int = 200, seed: int = 0
) -> xarray.Dataset:
    """How much of what any model could explain of the subjects' matrices models do explain, in percent.

    Parameters
    ----------
    models : (P,) or (n, n) array, or a mapping of names to such
        Dissimilarities by models. NaN leaves a pair out for all of them and for the ceiling.
    rdms : (T, P) | (T, n, n) array, rsatoolbox RDMs, or xarray DataArray
        Dissimilarities, a matrix a subject, two at least. NaN: the subject has no such pair.
    comparator : {"spearman", "pearson", ...}
        What is squared; the challenge took Spearman's.
    n : int
        Relabellings of the subjects' stimuli, alike in all subjects, whose mean r² is what chance gives.
    seed : int
        Of the relabellings.

    Returns
    -------
    xarray.Dataset, dims (model, subject)
        ``correlation`` and its square ``r2``, whose mean over subjects is ``mean_r2`` (model). ``upper`` and ``lower``:
        the same with the mean of all subjects' matrices, and with that of the other subjects, in the model's place, and
        both by subject. ``chance`` (model, subject), ``upper_chance`` and ``lower_chance``: their means over
        relabellings. ``explained`` (model): percent of explainable variance beyond chance, 100 (``mean_r2`` - mean
        ``chance``) / (``upper`` - ``upper_chance``); ``explained_by_subject`` (model, subject) and ``explained_lower``
        (of the lower bound) are in the same percent, NaN where the upper bound is not above chance.

    Raises
    ------
    ValueError
        Where there are fewer than two subjects, or shapes don't fit.

    Notes
    -----
    A square hides the sign: a model that is aligned the wrong way round explains variance all the same, so look at
    ``correlation`` too. Squares are above zero by chance, the more so the fewer the stimuli; with what chance gives
    taken off, a model that knows nothing explains 0 percent on average, and may explain less. The challenge's own
    percentage is 100 ``mean_r2`` / ``upper``. :func:`noise_ceiling` gives bounds of the alignment itself, from means of
    ranks.

    References
    ----------
    Cichy et al. (2019), The Algonauts Project; Agrawal (2019), Results.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.normal(size=45)
    >>> scores = noise_normalised_r2({"truth": truth, "noise": rng.normal(size=45)}, truth + rng.normal(size=(6, 45)))
    >>> bool(scores.explained.sel(model="truth") > scores.explained.sel(model="noise"))
    True
    """
    stimuli = _stimulus_count(rdms)
    targets = _read_subjects(rdms, stimuli)
    named = dict(models) if isinstance(models, Mapping) else {"model": models}
    if not named:
        raise ValueError("models must hold at least one model, got none")
    for name, model in named.items():
        if np.shape(model) not in ((stimuli, stimuli), (stimuli * (stimuli - 1) // 2,)):
            raise ValueError(
                f"models must be one matrix of {stimuli} stimuli each, got shape {np.shape(model)} for {name!r}"
            )
    read = {name: read_target(one, stimuli, "dissimilarity") for name, one in named.items()}
    values = {name: np.where(one.counts(0), one.values[0], np.nan) for name, one in read.items()}
    return _in_percent(_explained(values, targets, comparator, n, seed))


def _read_subjects(rdms: Any, n: int) -> Targets:
    """Dissimilarities of two subjects or more."""
    targets = read_target(rdms, n, "dissimilarity")
    if len(targets) < 2:
        raise ValueError(f"rdms must be of at least 2 subjects, got {len(targets)}")
    return targets


def _explained(models: Mapping[str, Matrix], targets: Targets, comparator: str, n: int, seed: int) -> xarray.Dataset:
    """Squares by model (similarities, NaN where there is none) and subject, what chance gives, and the ceilings."""
    import xarray

    n = check_integer("n", n, 1)
    check_comparator(comparator)
    people = len(targets)
    left_out = np.asarray(np.isnan(list(models.values())).any(axis=0))
    as_given = targets.without(left_out) if left_out.any() else targets
    present = np.array([as_given.counts(t) for t in range(people)])

    def mean_of(chosen: Any) -> Matrix:
        count = present[chosen].sum(axis=0)
        total = np.where(present[chosen], targets.values[chosen], 0).sum(axis=0)
        return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))

    everyone = np.arange(people)
    guesses = [*models.values(), mean_of(everyone)]
    others = [mean_of(everyone != t) for t in everyone]
    orders = np.vstack([np.arange(targets.n), relabellings(targets.n, n, seed)])
    at_once = max(1, (32 << 20) // targets.values.nbytes)
    parts = []
    for first in range(0, n + 1, at_once):  # the first order is the stimuli as they are
        moved = relabelled(targets, orders[first : first + at_once])
        if left_out.any():
            moved = moved.without(left_out)
        scores = [compare_where_defined(np.ascontiguousarray(one), moved, comparator, 1)[0] for one in guesses]
        own = [moved.only(np.arange(t, len(moved), people)) for t in everyone]
        rest = [compare_where_defined(one, goal, comparator, 1)[0] for one, goal in zip(others, own, strict=True)]
        parts.append(np.stack([*(one.reshape(-1, people) for one in scores), np.stack(rest, axis=1)], axis=1))
    found = np.moveaxis(np.concatenate(parts), 0, 1)  # (model ... upper, lower; order; subject)
    model, upper, lower = found[:-2], found[-2] ** 2, found[-1] ** 2
    variables = {
        "correlation": (("model", "subject"), model[:, 0]),
        "r2": (("model", "subject"), model[:, 0] ** 2),
        "mean_r2": ("model", (model[:, 0] ** 2).mean(axis=1)),
        "chance": (("model", "subject"), (model[:, 1:] ** 2).mean(axis=1)),
        "upper_by_subject": ("subject", upper[0]),
        "lower_by_subject": ("subject", lower[0]),
        "upper": ((), upper[0].mean()),
        "lower": ((), lower[0].mean()),
        "upper_chance": ((), upper[1:].mean()),
        "lower_chance": ((), lower[1:].mean()),
    }
    coords = {"model": list(models), "subject": _names(targets.labels, people)}
    attrs = {"comparator": check_comparator(comparator), "n": n, "seed": int(seed)}
    return xarray.Dataset(variables, coords, {**attrs, "secateur_version": own_version()})


def _in_percent(scores: xarray.Dataset) -> xarray.Dataset:
    """With what models and the lower bound explain beyond chance, in percent of what the upper bound does."""
    possible = (scores["upper"] - scores["upper_chance"]).where(lambda room: room > 0)
    each = 100 * (scores["r2"] - scores["chance"]) / possible
    lower = 100 * (scores["lower"] - scores["lower_chance"]) / possible
    return scores.assign(explained=each.mean("subject"), explained_by_subject=each, explained_lower=lower)


def _stimulus_count(rdms: Any) -> int:
    """Number of stimuli of a stack of matrices, square or packed."""
    if hasattr(rdms, "dissimilarities") and hasattr(rdms, "n_cond"):
        return int(rdms.n_cond)
    shape = np.shape(rdms)
    packed = len(shape) == 2 if not hasattr(rdms, "dims") else tuple(rdms.dims[-1:]) == ("pair",)
    if len(shape) < 2 or (not packed and len(shape) < 3):
        raise ValueError(f"rdms must be a stack of matrices, of shape (T, P) or (T, n, n), got shape {shape}")
    n = stimulus_count(shape[-1]) if packed else int(shape[-1])
    if n is None:
        raise ValueError(f"rdms must hold n(n-1)/2 pairs a row, got {shape[-1]}")
    return n


def _on_one_scale(targets: Targets, comparator: str) -> tuple[npt.NDArray[np.bool_], Matrix]:
    """Which pairs each subject has (T, P), and the values that a mean may be taken of (0 where there is none)."""
    from scipy.stats import rankdata

    row = comparator_row(comparator)
    weights = np.ones(targets.values.shape)
    if targets.weights is not None and targets.weight_of is not None:
        weights = targets.weights[targets.weight_of]
    present, scaled = weights > 0, np.zeros_like(targets.values)
    for t in range(len(targets)):
        has, w = present[t], weights[t, present[t]]
        values = targets.values[t, has]
        if not has.any() or (not values.any() if row.takes_constants else np.ptp(values) == 0):
            name = targets.labels[t] if targets.labels else t
            raise ValueError(f"rdms must vary over the pairs, got a constant or empty one (subject {name})")
        if row.rank:
            # About 0, so that order and reverse order give one mean; as wide as ranks of the most pairs.
            scaled[t, has] = (rankdata(values) - (len(values) + 1) / 2) * (present.sum(axis=1).max() / len(values))
            continue
        values = values - (np.average(values, weights=w) if row.centred else 0)
        square = np.average(values**2, weights=w)
        if row.whitened:
            square = _whitened_square(values, targets.n)
        scaled[t, has] = values / np.sqrt(square)
    return present, scaled


def _whitened_square(values: Matrix, n: int) -> float:
    """v' V^-1 v of a matrix (P,), up to a factor; pairs that share a stimulus covary by a quarter of their variance.

    So V is B B' + 2 I, with B the stimuli of each pair, and V^-1 has this closed form (Woodbury).
    """
    rows, columns = np.triu_indices(n, 1)
    sums = np.bincount(rows, values, n) + np.bincount(columns, values, n)
    return float((values**2).sum() - ((sums**2).sum() - values.sum() ** 2 * 2 / n) / n)


# What is kept again and again


def stability(result: xarray.Dataset, share: float = 0.8, confidence: float = 0.95) -> xarray.Dataset:
    """Whether folds keep the same features.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.cross_validate`.
    share : float
        A feature is of the stable core where at least this share of folds keeps it; above 0, at most 1.
    confidence : float
        Coverage of the interval of the stability index.

    Returns
    -------
    xarray.Dataset, dims (target[, feature or bound])
        ``frequency`` (target, feature): share of folds that keep the feature. ``core`` (target, feature), ``n_core``.
        ``jaccard``: mean over pairs of folds of the shared part of what either keeps; ``jaccard_chance``: the same
        expected of random sets of these sizes. ``stability``: Nogueira's index, 1 where all folds keep the same
        set, 0 where they agree no more than chance; ``interval_stability`` (bound), asymptotic. NaN with a single
        fold, and the index where every fold keeps all features.

    Raises
    ------
    ValueError
        Where the result is another, or a share is out of range.

    Notes
    -----
    Folds share training stimuli (three quarters between any two of five folds), so they agree more than independent
    samples would: the interval, which takes them as independent, describes these folds and infers nothing.
    Agreement over subjects or time points, fold by fold, is had by exchanging the two names first:
    ``stability(result.rename(target="fold", fold="target"))``.

    References
    ----------
    Nogueira, Sechidis & Brown (2018, JMLR 18, 174): the index and its asymptotic variance.

    Examples
    --------
    >>> from secateur import cross_validate
    >>> X = np.random.default_rng(0).normal(size=(30, 40))
    >>> found = stability(cross_validate(X, X[:, :8] @ X[:, :8].T, cv=3))
    >>> bool(found.jaccard[0] > found.jaccard_chance[0])
    True
    """
    import xarray

    if not isinstance(result, xarray.Dataset) or "kept" not in result:
        raise ValueError(f"result must be a Dataset of secateur.cross_validate, got {_what(result)}")
    share, confidence = check_share("share", share, one=True), check_share("confidence", confidence)
    kept = result["kept"].transpose("target", "fold", "feature").values.astype(bool)
    frequency = kept.mean(axis=1)
    core = frequency >= share - 1e-12
    overlap = np.array([_jaccard(one) for one in kept])
    index = np.array([_nogueira(one, confidence) for one in kept])
    variables = {
        "frequency": (("target", "feature"), frequency),
        "core": (("target", "feature"), core),
        "n_core": (("target",), core.sum(axis=1)),
        "jaccard": (("target",), overlap[:, 0]),
        "jaccard_chance": (("target",), overlap[:, 1]),
        "stability": (("target",), index[:, 0]),
        "interval_stability": (("target", "bound"), index[:, 1:]),
    }
    coords = {"target": result.target.values, "feature": result.feature.values, "bound": ["lower", "upper"]}
    attrs = {**result.attrs, "folds": kept.shape[1], "share": share, "confidence": confidence}
    return xarray.Dataset(variables, coords, attrs)


def _what(result: Any) -> str:
    return "one without 'kept'" if hasattr(result, "data_vars") else type(result).__name__


def _jaccard(kept: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Mean Jaccard index over pairs of sets (M, d), and that of random sets of the same sizes."""
    from scipy.stats import hypergeom

    m, d = kept.shape
    if m < 2:
        return np.nan, np.nan
    a, b = np.triu_indices(m, 1)
    sizes, both = kept.sum(axis=1), kept.astype(np.int64) @ kept.T.astype(np.int64)
    found = both[a, b] / (sizes[a] + sizes[b] - both[a, b])
    pairs, count = np.unique(np.sort(np.stack([sizes[a], sizes[b]]), axis=0), axis=1, return_counts=True)
    chance = 0.0
    for small, large, times in zip(*pairs, count):
        shared = np.arange(max(0, small + large - d), small + 1)
        chance += times * float(hypergeom.pmf(shared, d, small, large) @ (shared / (small + large - shared)))
    return float(found.mean()), chance / len(a)


def _nogueira(kept: npt.NDArray[np.bool_], confidence: float) -> tuple[float, float, float]:
    """The stability index of M sets (M, d), and its asymptotic interval."""
    from scipy.stats import norm

    m, d = kept.shape
    p, size = kept.mean(axis=0), kept.sum(axis=1) / d
    spread = size.mean() * (1 - size.mean())
    if m < 2 or spread == 0:
        return np.nan, np.nan, np.nan
    index = 1 - m / (m - 1) * float((p * (1 - p)).mean()) / spread
    each = (kept @ p / d - size * size.mean() + index / 2 * (2 * size * size.mean() - size - size.mean() + 1)) / spread
    half = norm.ppf((1 + confidence) / 2) * np.sqrt(4 / m**2 * ((each - each.mean()) ** 2).sum())
    return index, index - half, index + half


# From one target to another


def transfer(
    X: Any,
    target: Any,
    pruner: Pruner | None = None,
    cv: Any = 5,
    repeats: int = 1,
    seed: int = 0,
    groups: Any = None,
    *,
    kind: str | None = None,
    weights: Any = None,
    progress: bool = True,
) -> xarray.Dataset:
    """How features chosen for one target do on every other: learnt on training stimuli, scored on test stimuli.

    Parameters
    ----------
    X, target, pruner, cv, repeats, seed, groups, kind, weights, progress
        As in :func:`secateur.cross_validate`, with T targets: regions, subjects, time points, behaviour.

    Returns
    -------
    xarray.Dataset, dims (source, target[, fold])
        ``pruned_test`` (source, target, fold): the held-out alignment with the target of the features chosen for the
        source; ``full_test`` (target, fold) that of all features; ``transfer`` and ``gain`` (source, target): means
        over the folds that have a score of ``pruned_test``, and of its excess over ``full_test``. ``n_kept``
        (source, fold); ``undefined_pairs`` (source, target, fold): pairs that were not scored.

    Raises
    ------
    TypeError, ValueError
        Where an argument is not as said above; the message names it.

    Warns
    -----
    UndefinedPairsWarning
        Once, where held-out pairs were left out.
    OpposedWarning
        Once, where the mean of ``full_test`` is below zero for a target: it may be of the other kind.

    Notes
    -----
    The diagonal of ``transfer`` is what :func:`secateur.cross_validate` finds. Target b's test pairs are new to target
    a's features, also where the two share noise (sessions of a subject, neighbouring time points).

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023) prune by behaviour and score on regions of the brain: here every two targets.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(30, 20))
    >>> targets = np.stack([X[:, :5] @ X[:, :5].T, X[:, 5:10] @ X[:, 5:10].T])
    >>> (transfer(X, targets, cv=3).gain > 0).values
    array([[ True, False],
           [False,  True]])
    """
    import xarray

    features = read_features(X)
    pruner = pruner_of(pruner, kind)
    settings = pruner.settings()
    targets = read_target(target, features.n, pruner.kind, weights, features.stimuli)
    folds, repeat = split(features.n, cv, repeats, seed, groups)
    everything = np.ones(features.d, dtype=bool)
    pruned_test = np.empty((len(targets), len(targets), len(folds)))
    undefined = np.empty(pruned_test.shape, dtype=np.int64)
    full_test = np.empty((len(targets), len(folds)))
    n_kept = np.empty(full_test.shape, dtype=np.int64)
    problem = settings.problem(features, targets, folds, runs=1)
    for f, (train, test) in enumerate(with_progress(folds, len(folds), "folds", progress)):
        support = settings.search.run(problem, stimuli=train, wanted="support", groups=groups).support
        tested = problem.among(test)
        full_test[:, f], _ = tested.held_out_alignment(None, everything)
        for source, mask in enumerate(support):
            pruned_test[source, :, f], undefined[source, :, f] = tested.held_out_alignment(None, mask)
        n_kept[:, f] = support.sum(axis=1)
    warn_of_undefined_pairs(int(undefined.sum()))
    warn_of_opposition(mean_of_defined(full_test.T), targets.kind)
    by_fold = np.moveaxis(pruned_test, -1, 0)
    variables = {
        "transfer": (("source", "target"), mean_of_defined(by_fold)),
        "gain": (("source", "target"), mean_of_defined(by_fold - full_test.T[:, None])),
        "pruned_test": (("source", "target", "fold"), pruned_test),
        "full_test": (("target", "fold"), full_test),
        "n_kept": (("source", "fold"), n_kept),
        "undefined_pairs": (("source", "target", "fold"), undefined),
    }
    names = _names(targets.labels, len(targets))
    coords = {"source": names, "target": names, "fold": np.arange(len(folds)), "repeat": ("fold", repeat)}
    return xarray.Dataset(variables, coords, _settings(pruner, targets, cv, repeats, seed))
