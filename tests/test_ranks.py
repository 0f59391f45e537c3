"""Ranks are exact for any values, whatever values were ranked before them and on however many threads."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from secateur import _core

Array = NDArray[np.float64]
COUNTS = (2, 3, 64, 65, 129, 1001, 4560, 16384, 16385, 30001)  # keys are wider beyond 16384


def vectors(count: int) -> Iterator[tuple[str, Array]]:
    """Kinds of values that make a map of values to places hard to keep."""
    rng = np.random.default_rng(count)
    normal = rng.normal(size=count)
    some = rng.random(count)
    yield "normal", normal
    yield "alike", normal + 1e-3 * rng.normal(size=count)
    yield "elsewhere", 1e6 + normal
    yield "heavy tails", rng.standard_cauchy(count)
    yield "integers", rng.integers(-20, 20, count).astype(float)
    yield "most are zero", np.where(some < 0.7, 0.0, normal)
    yield "signed zeros", np.where(some < 0.3, -0.0, np.where(some < 0.6, 0.0, normal))
    yield "far away", np.where(some < 2 / count, 1e12, normal)
    yield "two values", np.where(some < 0.5, 1.0, 2.0)
    yield "nearly equal", 1 + 1e-16 * rng.integers(0, 9, count)
    yield "chains", 1e-14 * rng.permutation(count) + rng.integers(0, 3, count)
    yield "chains that break", 1e-12 * np.cumsum(rng.choice([0.5, 0.9, 1.1, 2.0], count))[rng.permutation(count)]
    yield "small", 1e-300 * normal
    yield "smallest", 5e-324 * rng.integers(-9, 9, count)
    yield "largest", 1e308 * np.tanh(normal)
    yield "sorted", np.sort(normal)
    yield "reversed", np.sort(normal)[::-1]
    yield "constant", np.full(count, 3.0)
    yield "a crowd and few", np.where(some < 0.9, 1e-9 * normal, normal)
    yield "infinite", np.where(some < 0.1, -np.inf, np.where(some > 0.9, np.inf, normal))


def tied(s: Array, metric: str | None) -> NDArray[np.int64]:
    """The tie that each value is of, numbered upwards: neighbours within 1e-12 of the scale are of one."""
    with np.errstate(invalid="ignore", over="ignore"):
        upwards = np.argsort(s, kind="stable")
        gaps = np.where(s[upwards][1:] == s[upwards][:-1], 0.0, np.diff(s[upwards]))
        scale = 1.0 if metric == "cosine" else np.abs(s).max()
        number = np.zeros(len(s), int)
        number[upwards[1:]] = np.cumsum(gaps > 1e-12 * scale)
    return number


def by_scipy(s: Array, h: Array, comparator: str, metric: str | None) -> float:
    groups, constant = tied(s, metric), 0.0 if comparator in ("rho-a", "tau-a") else np.nan
    m = len(s)
    if groups.max() == 0:
        return constant
    a, b = 2 * stats.rankdata(groups) - (m + 1), 2 * stats.rankdata(h) - (m + 1)
    if comparator == "spearman":
        return float(a @ b / np.sqrt((a @ a) * (b @ b)))
    if comparator == "rho-a":
        return float(3 * (a @ b) / (float(m) ** 3 - m))
    tau_b = float(stats.kendalltau(groups, h)[0])
    if comparator == "tau-b":
        return tau_b
    pairs = m * (m - 1) / 2
    untied = [pairs - sum(c * (c - 1) / 2 for c in np.unique(v, return_counts=True)[1]) for v in (groups, h)]
    return float(tau_b * np.sqrt(untied[0] * untied[1]) / pairs)


def compare(s: Array, h: Array, comparator: str, metric: str | None, threads: int = 1) -> Array:
    s, h = np.ascontiguousarray(s), np.ascontiguousarray(h)
    return np.asarray(_core.compare(s, 0, _core.Targets(h), comparator, threads, metric))


def each_kind(count: int, comparator: str, metric: str | None, by: Callable[..., float]) -> None:
    named = list(vectors(count))
    rng = np.random.default_rng(1)
    h = np.stack([np.arange(count), np.arange(count) % 9]).astype(float)[:, rng.permutation(count)]
    rng.shuffle(named)
    s = np.stack([value for _, value in named])
    found = compare(s, h, comparator, metric)
    for (name, value), row in zip(named, found):
        expected = [by(value, target, comparator, metric) for target in h]
        np.testing.assert_allclose(row, expected, rtol=0, atol=1e-14, err_msg=name)
        np.testing.assert_array_equal(compare(value[None], h, comparator, metric)[0], row, f"{name}, alone")
    np.testing.assert_array_equal(compare(s[::-1], h, comparator, metric)[::-1], found)
    np.testing.assert_array_equal(compare(s, h, comparator, metric, threads=3), found)
    np.testing.assert_array_equal(np.stack([compare(s, one[None], comparator, metric)[:, 0] for one in h], 1), found)


@pytest.mark.parametrize("metric", [None, "cosine"])
@pytest.mark.parametrize("count", COUNTS)
def test_any_values_after_any_others(count: int, metric: str | None) -> None:
    each_kind(count, "spearman", metric, by_scipy)


@pytest.mark.parametrize(
    ("comparator", "count"),
    [*itertools.product(["rho-a", "tau-a", "tau-b"], [2, 65, 1001]), ("tau-a", 16384), ("tau-b", 16385)],
)
def test_other_comparators_have_the_same_order(comparator: str, count: int) -> None:
    each_kind(count, comparator, "cosine", by_scipy)


def test_ranks_of_many_like_vectors_are_scipys() -> None:
    rng = np.random.default_rng(7)
    base, h = rng.normal(size=2926), rng.normal(size=(6, 2926))
    s = base + 0.02 * np.cumsum(rng.normal(size=(40, 2926)), axis=0)
    expected = [[stats.spearmanr(one, target)[0] for target in h] for one in s]
    np.testing.assert_allclose(compare(s, h, "spearman", None), expected, rtol=0, atol=1e-14)
