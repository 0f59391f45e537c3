"""Inputs the verbs are tested on, and how close to the reference they must come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import reference

Array = np.ndarray[Any, Any]

# Sizes on both sides of the widths of vectors and tiles.
STIMULI = (3, 4, 5, 7, 8, 9, 16, 17, 33)
FEATURES = (2, 3, 7, 8, 9, 23, 24, 25, 31, 33, 64, 65, 130, 300)

MISSING = ("none", "same", "different", "stimulus")

# (targets, subset, weights): every value of one with most of the others. None targets: one target (P,).
CALLS = (
    (None, None, None),
    (None, "mask", "shared"),
    (1, "indices", None),
    (1, None, "own"),
    (3, "mask", None),
    (3, "indices", "own"),
    (13, None, "shared"),
    (13, "mask", None),
)


def embedding(n: int, d: int, kind: str = "normal", seed: int = 0) -> Array:
    """(n, d): 'normal'; 'sparse' as after a ReLU, no stimulus empty; 'integers' of both signs, with ties."""
    rng = np.random.default_rng([n, d, seed])
    if kind == "sparse":
        X = np.maximum(rng.normal(-0.3, 1, (n, d)), 0)
        X[np.arange(n), rng.integers(d, size=n)] += 0.5
        return X
    if kind == "integers":
        return rng.integers(-3, 4, (n, d)).astype(float)
    return rng.normal(size=(n, d))


def target(n: int, targets: int | None = None, missing: str = "none", seed: int = 0, ties: bool = False) -> Array:
    """(P,) or (T, P) target values; missing pairs are NaN: the same in all targets, or each target's own."""
    rng = np.random.default_rng([n, targets or 0, seed])
    P = n * (n - 1) // 2
    shape = (P,) if targets is None else (targets, P)
    h = rng.normal(0.2, 1, shape)
    if ties:
        h = np.round(h * 2) / 2
    if missing == "same":
        h[..., rng.permutation(P)[: P // 4]] = np.nan
    if missing == "different":
        h[rng.random(shape) < 0.2] = np.nan
    if missing == "stimulus":
        i, j = np.triu_indices(n, 1)
        h[..., (i == n // 2) | (j == n // 2)] = np.nan
    return h


def subset(d: int, form: str | None, seed: int = 0) -> Array | None:
    """About two thirds of the features: None (all), as a 'mask' (d,) or as 'indices' in no order."""
    if form is None:
        return None
    chosen = np.random.default_rng([d, seed]).permutation(d)[: max(2, 2 * d // 3)]
    if form == "indices":
        return chosen
    mask = np.zeros(d, bool)
    mask[chosen] = True
    return mask


def weights(shape: tuple[int, ...], form: str | None, comparator: str, seed: int = 0) -> Array | None:
    """Pair weights: None, 'shared' (P,) or each target's 'own'; some are zero, all 0 or 1 for ranks."""
    if form is None:
        return None
    rng = np.random.default_rng([*shape, seed])
    shape = shape[-1:] if form == "shared" else shape
    w = rng.choice([0.0, 0.5, 1.0, 3.0], shape, p=[0.2, 0.3, 0.3, 0.2])
    return np.minimum(np.ceil(w), 1.0) if comparator in reference.RANK_COMPARATORS else w


def close(actual: Any, expected: Any, atol: Any = 1e-10) -> None:
    """Same shape, NaN at the same places, values within ``atol``."""
    actual, expected = np.asarray(actual), np.asarray(expected, float)
    assert actual.dtype == np.float64
    assert actual.shape == expected.shape
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected), "NaN at other places than the reference")
    error = np.abs(np.where(np.isnan(expected), 0, actual - expected))
    assert (error <= atol).all(), f"largest error {error.max():.3g} at {np.unravel_index(error.argmax(), error.shape)}"


def disagreement(
    value: Any,
    s: Any,
    h: Any,
    w: Any,
    comparator: str,
    atol: float = 1e-10,
    unit: float = 0.0,
    metric: str | None = None,
) -> str | None:
    """Why an alignment is not that of similarities ``s`` (P,) and target ``h`` (P,); None where it is.

    Where the definition itself rounds away digits, the tolerance grows with its condition; nearly constant values of
    ``s`` (sd / rms of 1e-14 to 1e-10) are not judged. ``unit``: the size of the terms that a similarity is the sum of,
    where they may cancel. ``metric``: of ``s``, whose ties go by its scale.
    """
    expected = reference.compare(s, h, w, comparator, metric)
    if abs(value - expected) <= atol or (np.isnan(value) and np.isnan(expected)):
        return None
    magnified = reference.condition(s, h, w, comparator, unit)
    if 1e10 < magnified < 1e14 or (magnified >= 1e14 and unit > 0 and not np.isnan(expected)):
        return None
    if np.isnan(expected) or np.isnan(value):
        return f"{value} where the reference has {expected}"
    atol += 64 * np.finfo(float).eps * (magnified if magnified < 1e14 else 0)
    if abs(value - expected) <= atol:
        return None
    return f"{value!r} is not {expected!r} by {atol:.3g}"


def agree(
    actual: Any,
    similarities: Spaces,
    h: Array,
    w: Any,
    comparator: str,
    atol: float = 1e-10,
    unit: float = 0.0,
) -> None:
    """``actual`` (m,) or (T, m): alignments of m sets of similarities with one or T targets, but for rounding."""
    actual = np.asarray(actual)
    assert actual.shape == (*h.shape[:-1], len(similarities))
    rows, targets = np.atleast_2d(actual), np.atleast_2d(h)
    own = [None] * len(targets) if w is None else np.broadcast_to(w, targets.shape)
    for t in range(len(targets)):
        for k, s in enumerate(similarities):
            problem = disagreement(rows[t, k], s, targets[t], own[t], comparator, atol, unit, similarities.metric)
            assert problem is None, f"target {t}, entry {k}: {problem}"


class Spaces(list[Array]):
    """Similarities (P,), some of them, in one metric."""

    def __init__(self, metric: str, features: Any, X: Array) -> None:
        super().__init__(reference.similarity(X, metric, one) for one in features)
        self.metric = metric


def without_each(X: Array, metric: str, chosen: Any = None) -> Spaces:
    """Similarities with each feature left out in turn."""
    kept = reference.columns(chosen, X.shape[1])
    return Spaces(metric, (np.array([c for c in kept if c != k], int) for k in range(X.shape[1])), X)


def with_each(X: Array, metric: str, chosen: Any) -> Spaces:
    """Similarities with each feature added in turn."""
    kept = reference.columns(chosen, X.shape[1])
    return Spaces(metric, (np.array(sorted({*kept, k}), int) for k in range(X.shape[1])), X)


def prefixes(X: Array, metric: str, order: Any) -> Spaces:
    """Similarities of the first 1, 2, ... features of an order."""
    return Spaces(metric, (order[: m + 1] for m in range(len(order))), X)


@dataclass
class Problem:
    X: Array
    target: Array
    weights: Array | None
    metric: str
    comparator: str
    subset: Array

    @property
    def unit(self) -> float:
        """How large the terms of a similarity are."""
        return float(np.abs(self.X).max()) ** reference.POWERS[self.metric]


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Small inputs full of zeros, ties, duplicates and missing pairs; exact in binary or not."""
    n, d = draw(st.integers(3, 12)), draw(st.integers(2, 40))
    comparator = draw(st.sampled_from(reference.COMPARATORS))
    fill = draw(st.sampled_from([st.nothing(), st.just(0), st.just(1)]))
    X = draw(hnp.arrays(np.int64, (n, d), elements=st.integers(-8, 8), fill=fill)).astype(float)
    if draw(st.booleans()):
        X = np.maximum(X, 0)
    X *= draw(st.sampled_from([1.0, 0.25, 1 / 3, 0.1]))
    if draw(st.booleans()):  # values in general position, among the zeros there are
        X *= np.random.default_rng(draw(st.integers(0, 9))).uniform(0.5, 2, X.shape)
    if draw(st.booleans()):
        X[draw(st.integers(0, n - 1))] = X[draw(st.integers(0, n - 1))]
    if draw(st.booleans()):
        X[:, draw(st.integers(0, d - 1))] = X[:, draw(st.integers(0, d - 1))]
    targets = draw(st.sampled_from([(), (1,), (3,)]))
    if (n, targets) == (3, (3,)):
        targets = (2,)  # (3, 3) could be one square target
    P = n * (n - 1) // 2
    h = draw(hnp.arrays(np.int64, (*targets, P), elements=st.integers(-4, 4))).astype(float)
    if draw(st.booleans()):
        h[draw(hnp.arrays(bool, h.shape))] = np.nan
    form = draw(st.sampled_from([None, "shared", "own"]))
    w = weights(h.shape, form, comparator, draw(st.integers(0, 9)))
    chosen = draw(st.lists(st.integers(0, d - 1), min_size=1, max_size=d, unique=True))
    return Problem(X, h, w, draw(st.sampled_from(reference.METRICS)), comparator, np.array(chosen))
