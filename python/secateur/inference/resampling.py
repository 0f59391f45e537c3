"""The bootstrap: intervals over stimuli, subjects or both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..arguments import check_integer, check_share
from ..cost import announce_measured
from ..features import Indices, Matrix, read_features
from ..measures import comparator_row
from ..pairs import pair_count
from ..problem import Problem
from ..progress import with_progress
from ..pruning import Pruner
from ..pruning.ranking import SMALLEST_FOLD
from ..pruning.settings import Search
from ..relabelling import equal_groups, relabelled, relabelling
from ..resuming import Arrays, Parts, kept_parts
from ..similarity import warn_of_opposition, warn_of_undefined_pairs
from ..statistics import mean_of_defined
from ..targets import Targets, read_target
from ..validation import (
    Fold,
    attributes,
    names_or_numbers,
    pruner_of,
    settings_of_run,
    split,
)

if TYPE_CHECKING:
    import xarray

    from .._typing import HostEmbeddingLike, HostTargetLike, LabelsLike, PathOrPaths, Splits, WeightsLike
    from ..targets import Kind
from .permutation import at_once_of

__all__ = ["bootstrap", "fewest_of_half", "interval_of", "joined_error", "variance_over_stimuli"]


SCORES = ("full_test", "pruned_test", "gain")


@dataclass(frozen=True)
class _Draw:
    """How often each stimulus and each subject was drawn; None: each once."""

    stimuli: Indices | None = None
    subjects: Indices | None = None


def bootstrap(
    X: HostEmbeddingLike,
    target: HostTargetLike,
    n: int = 200,
    over: str = "stimuli",
    pruner: Pruner | None = None,
    cv: Splits = 5,
    repeats: int = 1,
    seed: int = 0,
    groups: LabelsLike | None = None,
    *,
    kind: Kind | None = None,
    weights: WeightsLike | None = None,
    confidence: float = 0.95,
    method: str | None = None,
    resample: str = "procedure",
    store: PathOrPaths | None = None,
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
    store : path, optional
        As in :func:`secateur.cross_validate`: a folder that takes the draws as they are done. A run that was killed
        goes on where it was, and ends with the same bits.

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
        As :func:`secateur.cross_validate`; where over, method or resample is none of these or does not go with another,
        groups to be drawn differ in size, or there are fewer than two subjects to draw.

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
    settings.search.refuse_joint("a bootstrap")
    targets = read_target(target, features.n, pruner.kind, weights, features.stimuli)
    folds, _ = split(features.n, cv, repeats, seed, groups)
    if over != "stimuli":
        _check_subjects(targets, over)
    members = equal_groups(None if over == "subjects" else groups, features.n)
    rng = np.random.default_rng(seed)
    problem = settings.problem(features, targets, folds)
    resampler = _Resampler(problem, targets, over != "stimuli", folds, settings.search, groups, members)
    attrs = attributes(pruner, targets.kind, cv, repeats, seed)
    attrs |= {"n": n, "over": over, "confidence": confidence, "method": method, "resample": resample}
    asked = {("draws" if name == "n" else name): value for name, value in attrs.items()}
    with kept_parts(store, "bootstrap", lambda: settings_of_run(asked, problem, pruner, folds, groups)) as kept:
        resampler.kept = kept
        start = time.perf_counter()
        observed = resampler.scores([_Draw()])[:, 0]
        left = _runs_left(kept, resampler, n, over, method)
        what = f"{n} draws, each with {len(folds)} folds of {features.n} stimuli x {features.d} features"
        announce_measured(left * (time.perf_counter() - start), what, progress and resample == "procedure")
        if method == "t":
            found = _by_standard_error(resampler, observed, n, over, confidence, rng, progress)
        else:
            found = _by_percentiles(resampler, observed, n, over, confidence, method, resample, rng, progress)
        draws, bounds, errors = found
    warn_of_undefined_pairs(resampler.undefined)
    warn_of_opposition(observed[0], targets.held)
    variables: dict[str, Any] = {}
    for s, name in enumerate(SCORES):
        variables[name] = (("target", "resample"), draws[s].T)
        variables[f"observed_{name}"] = (("target",), observed[s])
        variables[f"interval_{name}"] = (("target", "bound"), bounds[s])
        variables[f"error_{name}"] = (("target",), errors[s])
    variables["undefined_resamples"] = (("target",), np.isnan(draws[2]).sum(axis=0))
    names = names_or_numbers(targets.labels, len(targets)) if over == "stimuli" else np.array(["mean"])
    coords = {"target": names, "resample": np.arange(n), "bound": ["lower", "upper"]}
    return xarray.Dataset(variables, coords, attrs)


def _runs_left(kept: Parts, resampler: _Resampler, n: int, over: str, method: str) -> float:
    """How many prunings in all folds are to be done; those of half the stimuli have a quarter of the pairs."""
    at_once = len(resampler.batches([_Draw()] * n)[0])
    if method == "percentile":
        return max(0, n - kept.first("batch") * at_once)
    divisions = 0 if over == "subjects" else n - kept.first("stimuli")
    people = 0 if over == "stimuli" else n - kept.first("subjects") * at_once
    return 1.5 * divisions + max(0, people)


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
    values = resampler.of_draws("batch", draws, progress)
    drawn, left_out = values[:, :n], values[:, n:]
    bounds = np.empty((*observed.shape, 2))
    for s, t in np.ndindex(observed.shape):
        jackknife = [left_out[s, :, t]] if method == "bca" else []
        bounds[s, t] = interval_of(drawn[s, :, t], float(observed[s, t]), confidence, jackknife)
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
        draws = resampler.of_draws("subjects", [_Draw(subjects=_counts(rng, people)) for _ in range(n)], progress)
        parts.append((_variance(draws) * people / (people - 1), people - 1))
    error, freedom = joined_error(parts)
    half = student.ppf((1 + confidence) / 2, freedom) * error
    return draws, np.stack([observed - half, observed + half], axis=-1), error


def joined_error(parts: list[tuple[Matrix, int]]) -> tuple[Matrix, Matrix]:
    """Standard error of a sum of variances, each with its degrees of freedom, and Satterthwaite's of the sum."""
    variance = np.sum([one for one, _ in parts], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = variance**2 / np.sum([one**2 / df for one, df in parts], axis=0)
    return np.sqrt(variance), np.where(variance > 0, freedom, 1)


def _over_stimuli(resampler: _Resampler, n: int, rng: np.random.Generator, progress: bool) -> tuple[Matrix, Matrix]:
    """Scores with folds drawn anew (3, n, T), and the variance (3, T) of the observed ones over sets of stimuli."""
    targets = resampler.averaged([_Draw()]) if resampler.mean else resampler.targets
    inner = resampler.search.inner_cv if resampler.search.row.inner_folds else None
    scores, variance = variance_over_stimuli(
        lambda folds: resampler.by_fold(targets, folds), resampler.folds, resampler.members, n, rng, inner, progress,
        part=resampler.part, done=resampler.kept.first("stimuli"),
    )  # fmt: skip
    return scores.reshape(n, 3, -1).swapaxes(0, 1), variance.reshape(3, -1)


def variance_over_stimuli(
    by_fold: Callable[[list[Fold]], Matrix], folds: list[Fold], members: Indices, n: int, rng: np.random.Generator,
    inner_cv: int | None, progress: bool,
    part: Callable[[str, int, Callable[[], Arrays]], Arrays] | None = None, done: int = 0,
) -> tuple[Matrix, Matrix]:  # fmt: skip
    """Means over folds of K scores with folds drawn anew (n, K), and their variance (K,) over sets of stimuli.

    ``by_fold`` gives (F, K) scores of a procedure in any folds. ``members`` (G, size): what is drawn together.
    ``inner_cv``: the most inner folds that the procedure makes of training stimuli, or None. ``part`` makes, or has
    kept, what is of one division (``"stimuli"``); ``done`` are kept.

    Of folds with score r: Var(mean) is the mean over all pairs f, g of Cov(f, g) = Var(r) - E(r_f - r_g)^2 / 2. Where
    f and g test other stimuli and nothing is learnt, Cov is 0, so that Var(r) is E(r_f - r_g)^2 / 2 of such pairs: with
    one round of K folds, Var(mean) is the variance between folds by K. Both are means over random folds. What folds
    learn binds them too; by how much can't be had from one set of stimuli without bias (Bengio & Grandvalet 2004). The
    variance due to learning stands in for it: halves of the training stimuli have no stimulus in common, so that
    half the squared difference of what they lead to is its variance at half the stimuli, and half of that at all.
    """
    apart = np.array([[np.intersect1d(f, g).size == 0 for _, g in folds] for _, f in folds])
    if not apart.any():
        raise ValueError("cv must have two folds without a common test stimulus where method is 't', got none")
    scores, between, among, learnt = [], [], [], []
    half, least = len(members) // 2, fewest_of_half(folds, members)
    if inner_cv is not None and least // members.shape[1] // inner_cv * members.shape[1] < SMALLEST_FOLD:
        raise ValueError(
            f"inner_cv must leave at least {SMALLEST_FOLD} stimuli in each inner fold of half the training stimuli "
            f"where method is 't', got {inner_cv} folds of as few as {least} stimuli: lower it, or pass "
            "method='percentile'"
        )
    for number in with_progress(range(n), n, "resamples", progress, done=done):
        order = relabelling(rng, members)
        drawn = [(np.sort(order[train]), np.sort(order[test])) for train, test in folds]
        places = rng.permutation(len(members))
        halves = [np.sort(members[part].ravel()) for part in (places[:half], places[half : 2 * half])]
        divisions = [drawn, *([(np.intersect1d(train, side), test) for train, test in drawn] for side in halves)]
        made = (part or Parts().part)("stimuli", number, partial(_each, by_fold, divisions))
        whole, first, second = made["scores"]
        scores.append(mean_of_defined(whole))
        between.append(_half_square_gap(whole, apart))
        among.append(_half_square_gap(whole, np.ones_like(apart)))
        learnt.append(mean_of_defined(first - second) ** 2 / 4)
    fold, gap, learning = (mean_of_defined(np.stack(part)) for part in (between, among, learnt))
    # Two noisy means differ, with many repeats by little: no less than if all folds had stimuli of their own.
    testing = np.maximum(fold - gap, fold / len(apart))
    return np.stack(scores), testing + learning


def fewest_of_half(folds: Iterable[Fold], members: Indices) -> int:
    """How many stimuli half of all has at least among the training stimuli of a fold, in whole groups (G, size)."""
    size, tested = int(members.shape[1]), max(len(test) for _, test in folds)
    return max(len(members) // 2 - tested // size, 0) * size


def _each(by_fold: Callable[[list[Fold]], Matrix], divisions: list[list[Fold]]) -> Arrays:
    """Scores (divisions, F, K)."""
    return {"scores": np.stack([by_fold(folds) for folds in divisions])}


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
        self, problem: Problem, targets: Targets, mean: bool, folds: list[Fold], search: Search, groups: LabelsLike |
        None, members: Indices,
    ) -> None:  # fmt: skip
        self.problem, self.search = problem, search
        self.targets, self.mean, self.folds, self.members = targets, mean, folds, members
        self.groups = None if groups is None else np.asarray(groups)
        self.per_draw = 1 if mean else len(targets)
        self.masks: list[npt.NDArray[np.bool_]] | None = None
        self.undefined = 0
        self.kept = Parts()

    def part(self, what: str, number: int, make: Callable[[], Arrays]) -> Arrays:
        """What ``make`` gives, now or in an earlier run; the pairs that it leaves undefined are counted."""
        before = self.undefined

        def counted() -> Arrays:
            return {**make(), "undefined": np.array(self.undefined - before)}

        made = self.kept.part(what, number, counted)
        self.undefined = before + int(made["undefined"])
        return made

    def of_draws(self, what: str, draws: list[_Draw], progress: bool) -> npt.NDArray[np.float64]:
        """(3, draws, targets): :meth:`scores` of many, in batches."""
        batches = self.batches(draws)
        steps = with_progress(enumerate(batches), len(batches), "resamples", progress, done=self.kept.first(what))
        each = [self.part(what, b, partial(self._scored, batch))["scores"] for b, batch in steps]
        return np.concatenate(each, axis=1)

    def _scored(self, draws: list[_Draw]) -> Arrays:
        return {"scores": self.scores(draws)}

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
        at_once = (
            1 if copied else at_once_of(self.problem.features.d, self.per_draw, pair_count(self.problem.features.n))
        )
        return [draws[b : b + at_once] for b in range(0, len(draws), at_once)]

    def learn(self) -> None:
        """Keep what pruning to the targets as they are keeps in each fold, for all draws to come."""
        targets = self.averaged([_Draw()]) if self.mean else self.targets
        problem = self.problem.against(targets)
        self.masks = [
            self.search.run(problem, stimuli=train, detail="support", groups=self.groups).support
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
        self,
        problem: Problem,
        fold: Fold,
        f: int,
        rows: Indices,
        full: Matrix,
        pruned: Matrix,
        groups: LabelsLike | None,
    ) -> None:
        """Fill in the scores of some targets in one fold; where there is nothing to learn from they stay NaN."""
        train, test = fold
        if self.masks is not None:
            chosen = [(self.masks[f][t], rows[rows % self.per_draw == t]) for t in range(self.per_draw)]
        else:
            rows = rows[_learnable(problem.among(train))[rows]]
            support: Any = ()
            if rows.size:
                some = problem.against(problem.host[1].select(rows))
                support = self.search.run(some, stimuli=train, detail="support", groups=groups).support
            chosen = [(mask, np.array([row])) for mask, row in zip(support, rows)]
        tested = problem.among(test).on_one_thread()
        targets = tested.host[1]
        if rows.size:
            all_features = np.ones(problem.features.d, dtype=bool)
            full[rows], _ = tested.against(targets.select(rows)).held_out_alignment(None, all_features)
        for mask, mine in chosen:
            if mine.size:
                pruned[mine], undefined = tested.against(_some(targets, mine)).held_out_alignment(None, mask)
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
        copies = copies.mask_pairs((of[a] == of[b]) & ((copy[a] != copy[b]) | (drawn[a] == drawn[b])))
        folds = [tuple(np.flatnonzero(np.isin(drawn, side)) for side in fold) for fold in self.folds]
        return drawn, copies, [(train, test) for train, test in folds]


def _learnable(problem: Problem) -> npt.NDArray[np.bool_]:
    """Which targets (T,) leave something to learn from: variation."""
    baseline, targets = problem.compare(problem.similarities()), problem.host[1]
    able = ~np.isnan(baseline)
    for t in map(int, np.flatnonzero(able & (baseline == 0))):
        varies = np.ptp(targets.values[t, targets.has_weight(t)]) > 0
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


def interval_of(draws: Matrix, observed: float, confidence: float, jackknife: list[Matrix]) -> Matrix:
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
