"""Partial alignment: what a space shares with a target beyond what control matrices share with both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .measures import COMPARATOR_TABLE, check_comparator, comparator_row, enumerated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .features import Indices, Matrix
    from .measures import ComparatorOrAlias
    from .targets import Targets

__all__ = ["Freed", "Partial", "check_other", "explained", "target_words"]

# Of a squared norm 1: what is left of a variable that the controls explain, but for rounding.
EXPLAINED = 1e-10


def _check_partial(comparator: ComparatorOrAlias) -> None:
    """Refuse comparators without a partial form: those that are no correlation."""
    if not comparator_row(comparator).is_r:
        taken = enumerated(repr(name) for name, row in COMPARATOR_TABLE.items() if row.is_r)
        raise ValueError(f"comparator must be {taken} where control is given, got {comparator!r}")


def check_other(targets: Targets, controls: Matrix, names: Sequence[str] | None = None) -> None:
    """Refuse controls (q, P) that are a target over again, but for scale and sign: nothing of it would be left.

    ``names``: of the controls, for the message; their numbers by default.
    """
    for t in range(len(targets)):
        for k, control in enumerate(controls):
            counted = targets.has_weight(t) & ~np.isnan(control)
            rows = np.stack([targets.values[t, counted], control[counted]])
            one, other = _standardised(rows, targets.weight(t)[counted], False)
            if abs(float(one @ other)) > 1 - EXPLAINED:
                raise ValueError(
                    f"control must say something other than the target, got {names[k] if names else f'control {k}'}, "
                    f"which is {target_words(targets, t)} over again but for scale: nothing is left to fit"
                )


def target_words(targets: Targets, t: int) -> str:
    """A target by its name or its number."""
    return f"target {targets.labels[t] if targets.labels else t}"


@dataclass(frozen=True)
class Partial:
    """Partial correlations, of the correlations of a space with targets and with controls.

    With r the correlations and W such that the controls times W are orthonormal, the partial correlation of a space s
    and a target h, given the controls c, is (r_sh - r_sc W W' r_ch) / sqrt((1 - |r_sc W|^2) (1 - |r_hc W|^2)). So a
    verb that takes targets takes controls as well: as more targets.

    Attributes
    ----------
    rows : T targets, and behind them the q controls under each of the U patterns of weights
    pattern : (T,) int64; the pattern of each target
    basis : (U, q, q); W of each pattern, zero for what other controls, or a constant, say too
    shared : (T, q); correlations of the targets with the orthonormal controls
    left : (T,); the root of the target's share that no control explains; NaN where that is rounding alone

    References
    ----------
    The partial correlation by the inverse of a correlation matrix: e.g. Whittaker (1990), Graphical Models in Applied
    Multivariate Statistics, §5.8.
    """

    rows: Targets
    pattern: Indices
    basis: Matrix
    shared: Matrix
    left: Matrix

    @classmethod
    def of(cls, targets: Targets, comparator: ComparatorOrAlias) -> Partial:
        """Of targets with controls; a comparator without a partial form is refused."""
        _check_partial(comparator)
        assert targets.controls is not None
        controls = np.nan_to_num(targets.controls)  # where one is missing no pair has weight
        ranked = COMPARATOR_TABLE[check_comparator(comparator)].rank
        T, q = len(targets), len(controls)
        weights = np.ones((1, controls.shape[1])) if targets.weights is None else targets.weights
        pattern = np.zeros(T, dtype=np.int64) if targets.weight_of is None else targets.weight_of
        basis, shared, left = np.zeros((len(weights), q, q)), np.zeros((T, q)), np.full(T, np.nan)
        for u, weight in enumerate(weights):
            mine = np.flatnonzero(pattern == u)
            counted = weight > 0
            if not counted.any():
                continue
            standard = _standardised(controls[:, counted], weight[counted], ranked)
            sizes, axes = np.linalg.eigh(standard @ standard.T)
            kept = sizes > EXPLAINED * q
            basis[u][:, kept] = axes[:, kept] / np.sqrt(sizes[kept])
            own = _standardised(targets.values[mine][:, counted], weight[counted], ranked)
            shared[mine] = own @ standard.T @ basis[u]
            rest = (own**2).sum(axis=1) - (shared[mine] ** 2).sum(axis=1)
            left[mine] = np.sqrt(np.where(rest > EXPLAINED, rest, np.nan))
        rows = replace(
            targets,
            values=np.vstack([targets.values, np.tile(controls, (len(weights), 1))]),
            weight_of=None if targets.weights is None else np.r_[pattern, np.repeat(np.arange(len(weights)), q)],
            labels=None,
            controls=None,
        )
        return cls(rows, pattern, basis, shared, left)

    def of_correlations(self, found: Matrix) -> Matrix:
        """Partial correlations (T, ...), of the correlations (T + U q, ...) of spaces with all rows.

        NaN where a target, or the space, is what the controls say, but for rounding.
        """
        T, (patterns, q, _) = len(self.left), self.basis.shape
        behind = found[T:].reshape(patterns, q, -1)
        useless = (self.basis == 0).all(axis=2)  # a constant control correlates with nothing: the core says NaN
        behind = np.where(useless[..., None], 0.0, behind)
        shares = np.einsum("uqk,uqm->ukm", self.basis, behind)[self.pattern]
        whole = found[:T].reshape(T, -1)
        with np.errstate(invalid="ignore"):
            rest = 1 - (shares**2).sum(axis=1)
            rest = np.where(rest > EXPLAINED, rest, np.nan)
            partial = (whole - np.einsum("tk,tkm->tm", self.shared, shares)) / (np.sqrt(rest) * self.left[:, None])
        return np.asarray(partial.reshape(found[:T].shape))


@dataclass(frozen=True)
class Freed:
    """What controls leave of targets, and the controls as orthonormal rows: as the core takes partial Pearson.

    Attributes
    ----------
    values : (T, P); zero where a pair has no weight, and throughout where what is left is rounding alone
    weights, weight_of : of the targets
    controls : (U, k, P); under each pattern of weights, times these; zero behind those that say what others don't
    """

    values: Matrix
    weights: Matrix | None
    weight_of: Indices | None
    controls: Matrix

    @classmethod
    def of(cls, targets: Targets, comparator: ComparatorOrAlias) -> Freed:
        """Of targets with controls; a comparator without a partial form is refused, and ranks are not taken."""
        _check_partial(comparator)
        assert targets.controls is not None
        T, (q, pairs) = len(targets), targets.controls.shape
        weights = np.ones((1, pairs)) if targets.weights is None else targets.weights
        pattern = np.zeros(T, dtype=np.int64) if targets.weight_of is None else targets.weight_of
        values, controls, most = np.zeros((T, pairs)), np.zeros((len(weights), q, pairs)), 0
        for u, weight in enumerate(weights):
            mine, counted = np.flatnonzero(pattern == u), weight > 0
            if not counted.any():
                continue
            at = slice(None) if counted.all() else counted  # all pairs are not copied
            root = np.sqrt(weight[at])
            basis = _orthonormal(_standardised(targets.controls[:, at], weight[at], False))
            own = _standardised(targets.values[mine][:, at], weight[at], False)
            own -= (own @ basis.T) @ basis
            own[np.einsum("tp,tp->t", own, own) <= EXPLAINED] = 0
            for t, row in zip(mine, own, strict=True):
                values[t, at] = row / root
            controls[u, : len(basis)][:, at] = basis * root
            most = max(most, len(basis))
        return cls(values, targets.weights, targets.weight_of, np.ascontiguousarray(controls[:, :most]))

    @property
    def rows(self) -> tuple[Matrix, Matrix | None, Indices | None, Matrix]:
        """As the core takes targets."""
        return self.values, self.weights, self.weight_of, self.controls


def explained(targets: Targets) -> Matrix:
    """What least squares on the controls, with a constant, says of each target (T, P)."""
    assert targets.controls is not None
    controls = np.nan_to_num(targets.controls)
    design = np.vstack([np.ones(controls.shape[1]), controls]).T
    fitted = np.empty_like(targets.values)
    for t, values in enumerate(targets.values):
        root = np.sqrt(targets.weight(t))
        fitted[t] = design @ np.linalg.lstsq(design * root[:, None], values * root, rcond=None)[0]
    return fitted


def _orthonormal(rows: Matrix) -> Matrix:
    """Orthonormal rows (k, P) of the same span, but for what is rounding beside the rest."""
    for _ in range(2):  # the second time for the digits that the first one loses where rows are much alike
        sizes, axes = np.linalg.eigh(rows @ rows.T)
        kept = sizes > EXPLAINED * len(rows)
        rows = (axes[:, kept] / np.sqrt(sizes[kept])).T @ rows
    return rows


def _standardised(rows: Matrix, weight: Matrix, ranked: bool) -> Matrix:
    """Rows whose products are (weighted) correlations; zero where a row is constant."""
    if ranked:
        from scipy.stats import rankdata

        rows = rankdata(rows, axis=1)
    mean = (rows @ weight / weight.sum())[:, None]
    gaps = rows - mean
    gaps *= np.sqrt(weight)
    squares = (gaps**2).sum(axis=1, keepdims=True)
    size = np.sqrt(squares)
    vary = size > 1e-13 * np.sqrt(squares + weight.sum() * mean**2)  # what there was before the mean was taken away
    gaps /= np.where(vary, size, np.inf)
    return np.asarray(gaps)
