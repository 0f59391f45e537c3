"""The definitions, slow and plain: what every number of the library is checked against.

Nothing here is imported from the project. Each function recomputes everything from the features that are
kept: no update formula, no running sum, one loop step per feature, target and fold. Means are taken in two
passes. ``dtype=np.longdouble`` gives the same definitions with a longer mantissa, to weigh the rounding of the
double ones.

Arrays: ``X`` (n stimuli, d features); ``P = n(n-1)/2`` pairs in the order of ``numpy.triu_indices(n, 1)``;
``target`` (P,) or (T, P); ``weights`` None, (P,) or (T, P). One target in, no leading axis out.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.stats import rankdata

# Each with the power of the features' unit that its sums over features have.
POWERS = {"cosine": 0, "correlation": 0, "dot": 2, "sqeuclidean": 2, "euclidean": 2, "cityblock": 1}
METRICS = tuple(POWERS)
COMPARATORS = ("pearson", "cosine", "spearman", "rho-a", "tau-a", "tau-b")
WHITENED = ("corr_cov", "cosine_cov")  # of all pairs of a set of stimuli, none missing
RANK_COMPARATORS = ("spearman", "rho-a", "tau-a", "tau-b")

Array = np.ndarray[Any, Any]


def columns(subset: Any, d: int) -> list[int]:
    """The features of a subset: None (all), a bool mask (d,) or integer indices."""
    if subset is None:
        return list(range(d))
    subset = np.asarray(subset)
    if subset.dtype == bool:
        return [k for k in range(d) if subset[k]]
    return sorted(int(k) for k in subset)


def similarity(X: Any, metric: str = "cosine", subset: Any = None, dtype: Any = np.float64) -> Array:
    """Similarity of every pair of stimuli, larger = more alike; NaN where a stimulus has no direction."""
    X = np.asarray(X, dtype)
    X = X[:, columns(subset, X.shape[1])]
    n, d = X.shape
    i, j = np.triu_indices(n, 1)
    if metric in ("sqeuclidean", "euclidean"):
        squares = ((X[i] - X[j]) ** 2).sum(axis=1)
        return -squares if metric == "sqeuclidean" else -np.sqrt(squares)
    if metric == "cityblock":
        return -np.abs(X[i] - X[j]).sum(axis=1)
    if metric == "dot":
        return (X @ X.T)[i, j]
    if metric == "cosine":
        undefined = (X == 0).all(axis=1)
    elif metric == "correlation":
        undefined = (X[:, :1] == X).all(axis=1) if d else np.ones(n, bool)
        X = X - X.mean(axis=1, keepdims=True) if d else X
    else:
        raise ValueError(metric)
    norm = np.sqrt((X * X).sum(axis=1))
    norm[undefined] = 1
    s = (X @ X.T / np.outer(norm, norm))[i, j]
    s[undefined[i] | undefined[j]] = np.nan
    return np.asarray(s)


def weighted_mean(x: Array, w: Array) -> Any:
    return (w * x).sum() / w.sum()


def spread(x: Array, w: Array) -> tuple[Any, Any]:
    """Weighted standard deviation and root mean square."""
    mean = weighted_mean(x, w)
    return np.sqrt(weighted_mean((x - mean) ** 2, w)), np.sqrt(weighted_mean(x * x, w))


def is_constant(x: Array, w: Array) -> bool:
    sd, rms = spread(x, w)
    return bool(sd <= 1e-13 * rms)


def pearson(s: Array, h: Array, w: Array) -> Any:
    s = s - weighted_mean(s, w)
    h = h - weighted_mean(h, w)
    return (w * s * h).sum() / np.sqrt((w * s * s).sum() * (w * h * h).sum())


def used_pairs(s: Array, h: Array, w: Array | None) -> tuple[Array, Array, Array]:
    """Similarities, target and weights of the pairs with a target value and a weight above zero."""
    w = np.ones(len(h)) if w is None else np.asarray(w, float)
    used = ~np.isnan(h) & (w > 0)
    return s[used], h[used], w[used].astype(s.dtype)


def whitened(s: Array, h: Array, comparator: str) -> Any:
    """s' V^-1 h over their lengths, V the covariance of distances between independent patterns (Diedrichsen 2021)."""
    n = round((1 + np.sqrt(1 + 8 * len(s))) / 2)
    contrasts = np.zeros((len(s), n))
    pairs = np.arange(len(s))
    rows, columns = np.triu_indices(n, 1)
    contrasts[pairs, rows], contrasts[pairs, columns] = 1, -1
    V = (contrasts @ contrasts.T) ** 2
    if comparator == "corr_cov":
        s, h = s - s.mean(), h - h.mean()
    inverse = np.linalg.inv(V)
    return s @ inverse @ h / np.sqrt((s @ inverse @ s) * (h @ inverse @ h))


def ties(s: Array, metric: str | None = None) -> Array:
    """The tie that each similarity is of, numbered upwards.

    Neighbours along the sorted order are of one tie where they are within 1e-12 of the scale: 1 for cosine and
    correlation, the largest absolute value for others; euclidean distances are squared first.
    """
    values = [x * abs(x) for x in s] if metric == "euclidean" else list(s)
    scale = 1 if metric in ("cosine", "correlation") else max(abs(x) for x in values)
    number = np.zeros(len(values), int)
    upwards = sorted(range(len(values)), key=lambda p: values[p])
    for before, after in pairwise(upwards):
        number[after] = number[before] + (values[after] - values[before] > 1e-12 * scale)
    return number


def compare(s: Any, h: Any, w: Any = None, comparator: str = "pearson", metric: str | None = None) -> Any:
    """One alignment of similarities (P,) with target values (P,), both larger = more alike."""
    s, h, w = used_pairs(np.asarray(s), np.asarray(h, float), w)
    h = h.astype(s.dtype)
    m = len(s)
    if m == 0 or np.isnan(s).any():
        return np.nan
    if comparator == "cosine":
        ss, hh = (w * s * s).sum(), (w * h * h).sum()
        return (w * s * h).sum() / np.sqrt(ss * hh) if ss > 0 and hh > 0 else np.nan
    if comparator in WHITENED:
        return np.nan if is_constant(s, w) or is_constant(h, w) else whitened(s, h, comparator)
    if comparator in ("pearson", "corr"):
        return np.nan if is_constant(s, w) or is_constant(h, w) else pearson(s, h, w)
    s = ties(s, metric)
    flat = s.max() == 0 or h.min() == h.max()
    if comparator == "spearman":
        return np.nan if flat else pearson(rankdata(s), rankdata(h), w)
    if comparator == "tau-b":
        return np.nan if flat else concordance(s, h) / np.sqrt(concordance(s, s) * concordance(h, h))
    if flat:
        return 0.0
    if comparator == "rho-a":
        centre = (m + 1) / 2
        return 12 * ((rankdata(s) - centre) * (rankdata(h) - centre)).sum() / (float(m) ** 3 - m)
    if comparator == "tau-a":
        return concordance(s, h) / (m * (m - 1) / 2)
    raise ValueError(comparator)


def concordance(s: Array, h: Array) -> float:
    """Concordant pairs of places less discordant ones; of a vector with itself, those that are not tied."""
    return float(sum((np.sign(s[a] - s[a + 1 :]) * np.sign(h[a] - h[a + 1 :])).sum() for a in range(len(s))))


def oriented(target: Any, kind: str) -> Array:
    """Target values with larger = more alike."""
    target = np.asarray(target, float)
    return -target if kind == "dissimilarity" else target


def against_targets(s: Array, target: Array, weights: Any, comparator: str, metric: str | None = None) -> Any:
    """Alignment of one set of similarities with one target (a number) or with T (an array)."""
    if target.ndim == 1:
        return compare(s, target, weights, comparator, metric)
    weights = None if weights is None else np.broadcast_to(np.asarray(weights, float), target.shape)
    own = [None] * len(target) if weights is None else weights
    return np.array([compare(s, h, w, comparator, metric) for h, w in zip(target, own)])


def alignment(
    X: Any,
    target: Any,
    metric: str = "cosine",
    comparator: str = "pearson",
    subset: Any = None,
    kind: str = "similarity",
    weights: Any = None,
    dtype: Any = np.float64,
) -> Any:
    return against_targets(similarity(X, metric, subset, dtype), oriented(target, kind), weights, comparator, metric)


def leave_one_out(
    X: Any,
    target: Any,
    metric: str = "cosine",
    comparator: str = "pearson",
    subset: Any = None,
    kind: str = "similarity",
    weights: Any = None,
    dtype: Any = np.float64,
) -> Array:
    """(d,) or (T, d): alignment without feature k; for k outside the subset: of the subset itself."""
    d = np.shape(X)[1]
    kept = columns(subset, d)
    values = []
    for k in range(d):
        rest = np.array([c for c in kept if c != k], int)
        values.append(alignment(X, target, metric, comparator, rest, kind, weights, dtype))
    return np.stack(values, axis=-1)


def add_one(
    X: Any,
    target: Any,
    subset: Any,
    metric: str = "cosine",
    comparator: str = "pearson",
    kind: str = "similarity",
    weights: Any = None,
    dtype: Any = np.float64,
) -> Array:
    """(d,) or (T, d): alignment of the subset with feature k; k inside the subset: of the subset itself."""
    d = np.shape(X)[1]
    kept = columns(subset, d)
    values = []
    for k in range(d):
        more = np.array(sorted({*kept, k}), int)
        values.append(alignment(X, target, metric, comparator, more, kind, weights, dtype))
    return np.stack(values, axis=-1)


def insertion_curve(
    X: Any,
    target: Any,
    order: Any,
    metric: str = "cosine",
    comparator: str = "pearson",
    kind: str = "similarity",
    weights: Any = None,
    dtype: Any = np.float64,
) -> Array:
    """(m,) or (T, m): alignment of the first 1, 2, ..., m features of an order (m,), or each target's own (T, m)."""
    order = np.asarray(order)
    target = np.asarray(target, float)
    if order.ndim == 2:
        curves = []
        for t in range(len(order)):
            w = None if weights is None else np.broadcast_to(np.asarray(weights, float), target.shape)[t]
            curves.append(insertion_curve(X, target[t], order[t], metric, comparator, kind, w, dtype))
        return np.stack(curves)
    steps = range(1, len(order) + 1)
    return np.stack([alignment(X, target, metric, comparator, order[:m], kind, weights, dtype) for m in steps], axis=-1)


@dataclass
class Pruning:
    baseline: float
    importance: Array
    order: Array
    curve: Array
    support: Array
    alignment: float


def rank_features(importance: Any) -> Array:
    """Most important first; NaN (indispensable) before all; ties by index."""
    first = [k for k in range(len(importance)) if np.isnan(importance[k])]
    rest = [k for k in range(len(importance)) if not np.isnan(importance[k])]
    return np.array(first + sorted(rest, key=lambda k: (-importance[k], k)), int)


def best_prefix(curve: Any) -> int:
    """Length of the shortest prefix that reaches the maximum of the curve; 0 where no step is defined."""
    best, length = -np.inf, 0
    for step, value in enumerate(curve):
        if value > best:  # false for NaN
            best, length = value, step + 1
    return length


def prune(
    X: Any,
    target: Any,
    metric: str = "cosine",
    comparator: str = "pearson",
    kind: str = "similarity",
    weights: Any = None,
) -> Pruning:
    """Ranking by leaving one out, then the best prefix, for one target (P,)."""
    baseline = alignment(X, target, metric, comparator, None, kind, weights)
    importance = baseline - leave_one_out(X, target, metric, comparator, None, kind, weights)
    order = rank_features(importance)
    curve = insertion_curve(X, target, order, metric, comparator, kind, weights)
    length = best_prefix(curve)
    support = np.zeros(np.shape(X)[1], bool)
    support[order[:length]] = True
    return Pruning(baseline, importance, order, curve, support, curve[length - 1] if length else np.nan)


def square(values: Any, n: int) -> Array:
    """(P,) to a symmetric (n, n) with a NaN diagonal."""
    matrix = np.full((n, n), np.nan)
    i, j = np.triu_indices(n, 1)
    matrix[i, j] = matrix[j, i] = values
    return matrix


def among(values: Any, stimuli: Any, n: int) -> Array:
    """The pairs among some stimuli, in the pair order of those stimuli."""
    stimuli = np.asarray(stimuli)
    part = square(values, n)[np.ix_(stimuli, stimuli)]
    return part[np.triu_indices(len(stimuli), 1)]


def held_out_alignment(
    X: Any, target: Array, metric: str, comparator: str, subset: Any, weights: Array
) -> tuple[float, int]:
    """Alignment with undefined pairs left out, and how many of the pairs of weight above zero they were."""
    s = similarity(X, metric, subset)
    undefined = np.isnan(s) & ~np.isnan(target) & (weights > 0)
    return float(compare(s, target, np.where(np.isnan(s), 0.0, weights), comparator, metric)), int(undefined.sum())


def cross_validate(
    X: Any,
    target: Any,
    folds: list[tuple[Any, Any]],
    metric: str = "cosine",
    comparator: str = "pearson",
    kind: str = "similarity",
    weights: Any = None,
) -> dict[str, Array]:
    """Prune on the training stimuli's pairs, score on the test stimuli's, by fold (train, test) and target (T, P).

    Arrays have leading axes (target, fold); ``undefined_full`` and ``undefined_pruned`` count test pairs.
    """
    X = np.asarray(X, float)
    n, d = X.shape
    target = np.atleast_2d(oriented(target, kind))
    weights = np.broadcast_to(1.0 if weights is None else np.asarray(weights, float), target.shape)
    shape = (len(target), len(folds))
    scores = ("full_train", "full_test", "pruned_train", "pruned_test")
    out: dict[str, Array] = {name: np.full(shape, np.nan) for name in scores}
    out |= {name: np.zeros(shape, int) for name in ("n_kept", "undefined_full", "undefined_pruned")}
    out |= {name: np.full((*shape, d), np.nan) for name in ("importance", "curve")}
    out["kept"] = np.zeros((*shape, d), bool)
    for t in range(len(target)):
        for f, (train, test) in enumerate(folds):
            train, test = np.asarray(train), np.asarray(test)
            pruned = prune(
                X[train], among(target[t], train, n), metric, comparator, weights=among(weights[t], train, n)
            )
            of_test = (among(target[t], test, n), metric, comparator)
            w_test = among(weights[t], test, n)
            out["full_train"][t, f] = pruned.baseline
            out["pruned_train"][t, f] = pruned.alignment
            out["importance"][t, f] = pruned.importance
            out["curve"][t, f] = pruned.curve
            out["kept"][t, f] = pruned.support
            out["n_kept"][t, f] = pruned.support.sum()
            out["full_test"][t, f], out["undefined_full"][t, f] = held_out_alignment(X[test], *of_test, None, w_test)
            out["pruned_test"][t, f], out["undefined_pruned"][t, f] = held_out_alignment(
                X[test], *of_test, pruned.support, w_test
            )
    return out


def condition(s: Any, h: Any, w: Any = None, comparator: str = "pearson", unit: float = 0.0) -> float:
    """How far rounding of similarities is magnified in an alignment; inf where they are constant, NaN if undefined.

    For Pearson (and ranks) rms / sd of either side, added; for cosine 2. With ``unit``, the size of the terms
    that a similarity is the sum of, that stands for the rms of the similarities where it is larger.
    """
    s, h, w = used_pairs(np.asarray(s), np.asarray(h, float), w)
    if len(s) == 0 or np.isnan(s).any():
        return np.nan
    (sd_s, rms_s), (sd_h, rms_h) = spread(s, w), spread(h, w)
    if comparator == "cosine":
        return float(1 + max(rms_s, unit) / rms_s) if rms_s > 0 else np.inf
    return float(max(rms_s, unit) / sd_s + rms_h / sd_h) if sd_s > 0 and sd_h > 0 else np.inf
