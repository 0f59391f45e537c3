"""The pairs of stimuli as a regression: their features' products, and the sums that ridge and LASSO need of them.

A pair of stimuli is predicted from its features' products, s_ij = sum_k w_k x_ik x_jk + b, or from their squared
differences. The design (P pairs x d features) is never laid out whole. Its sums are those of the features: over all
pairs, sum z_a z_b = ((X'X)_ab^2 - ((X*X)'(X*X))_ab) / 2, and sum_ij r_ij z_ij,a = (X'RX)_aa / 2 for R symmetric with an
empty diagonal. Pair weights go through blocks of pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..features import Features, Indices, Matrix
from ..measures import METRIC_TABLE, check_metric
from ..pairs import pack, pair_count, unpack

if TYPE_CHECKING:
    from ..measures import Metric

__all__ = ["BLOCK", "PRODUCTS", "SQUARES", "Design", "predict_pairs", "rows_of"]

PRODUCTS = tuple(name for name, row in METRIC_TABLE.items() if row.adds == "product")
SQUARES = tuple(name for name, row in METRIC_TABLE.items() if row.adds == "square" and not row.rooted)
BLOCK = 1 << 22  # entries of a block of the design: 32 MB


def rows_of(features: Features, metric: Metric, allowed: tuple[str, ...]) -> Matrix:
    """The features whose products are the metric's terms; NaN for a stimulus without a direction."""
    row = METRIC_TABLE[check_metric(metric, allowed)]
    values = features.values
    if not row.angular:
        return values
    if row.centred:
        flat = (values == values[:, :1]).all(axis=1)
        values = np.where(flat[:, None], 0.0, values - values.mean(axis=1, keepdims=True))
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(np.where(norms > 0, values / np.where(norms > 0, norms, 1), np.nan))


def predict_pairs(rows: Matrix, coef: Matrix, *, squared: bool) -> Matrix:
    """(..., d) weights -> (..., P) weighted sums of the pairs' predictors; NaN for a stimulus without a direction."""
    lost = np.isnan(rows).any(axis=1)
    if squared:
        rows = rows - rows.mean(axis=0)
    out = np.empty((*coef.shape[:-1], pair_count(len(rows))))
    for at in np.ndindex(coef.shape[:-1]):
        here = np.flatnonzero(coef[at])
        x = rows[:, here]
        inner = (x * coef[at][here]) @ x.T
        if squared:
            inner = 2 * inner - np.add.outer(np.diag(inner), np.diag(inner))
        inner[lost] = inner[:, lost] = np.nan
        out[at] = pack(inner)
    return out


class Design:
    """The pairs' predictors: products z_a = x_ia x_ja, or negated squared differences; centred, with pair weights.

    Attributes
    ----------
    mean, variance : (d,) float64
        Weighted, over pairs.
    unit : (d,) float64
        What the predictors are divided by.
    share : (P,) float64
        Weight of each pair, with sum 1.
    """

    def __init__(self, rows: Matrix, *, squared: bool, weights: Matrix | None, standardize: bool) -> None:
        self.squared, self.weights = squared, weights
        self.rows = rows - rows.mean(axis=0) if squared else rows
        self.n, self.d = rows.shape
        self.pairs = np.triu_indices(self.n, 1)
        self.share = np.full(pair_count(self.n), 1 / pair_count(self.n)) if weights is None else weights / weights.sum()
        self.mean = self.adjoint(self.share[None])[0]
        self.variance = self._variance()
        varies = self.variance > 1e-13 * self.mean**2  # else it is rounding
        self.unit = np.sqrt(self.variance, out=np.ones(self.d), where=varies & standardize)

    def _variance(self) -> Matrix:
        if self.weights is not None:
            squares = sum((s[:, None] * z * z).sum(axis=0) for z, s in self._blocks(np.arange(self.d)))
            return np.asarray(squares, dtype=np.float64)
        x2 = self.rows**2
        raw = self.n * (x2 * x2).sum(axis=0) + 3 * x2.sum(axis=0) ** 2
        if not self.squared:
            raw = (x2.sum(axis=0) ** 2 - (x2 * x2).sum(axis=0)) / 2
        return np.asarray(np.maximum(raw / len(self.share) - self.mean**2, 0))

    def _pairs_of(self, features: Indices, at: slice) -> Matrix:
        """Rows ``at`` of the design, centred, for these features."""
        i, j = self.pairs[0][at], self.pairs[1][at]
        x = self.rows[:, features]
        z = -((x[i] - x[j]) ** 2) if self.squared else x[i] * x[j]
        return np.asarray(z - self.mean[features])

    def _blocks(self, features: Indices) -> Iterator[tuple[Matrix, Matrix]]:
        """Blocks of pairs: the centred design, and the pairs' shares."""
        step = max(1, BLOCK // max(1, len(features)))
        for start in range(0, len(self.share), step):
            at = slice(start, start + step)
            yield self._pairs_of(features, at), self.share[at]

    def gram(self, features: Indices) -> Matrix:
        """Covariance of these predictors over pairs, in their units."""
        if self.weights is not None:
            found = np.zeros((len(features), len(features)))
            for z, share in self._blocks(features):
                found += (z * share[:, None]).T @ z
        else:
            x = self.rows[:, features]
            x2, inner = x * x, x.T @ x
            if self.squared:
                found = self.n * (x2.T @ x2) + np.outer(x2.sum(axis=0), x2.sum(axis=0)) + 2 * inner * inner
            else:
                found = (inner * inner - x2.T @ x2) / 2
            found /= len(self.share)
            found -= np.outer(self.mean[features], self.mean[features])
        unit = self.unit[features]
        found /= unit[:, None]
        found /= unit
        return np.asarray(found)

    def kernel(self, used: npt.NDArray[np.bool_]) -> Matrix:
        """Inner products (pairs x pairs) of the rows of the used pairs, each times the root of its share."""
        root = np.sqrt(self.share[used])[:, None]
        found = np.zeros((len(root), len(root)))
        step = max(1, BLOCK // len(self.share))
        for start in range(0, self.d, step):
            block = np.arange(start, min(start + step, self.d))
            z = self._pairs_of(block, slice(None))[used] * root / self.unit[block]
            found += z @ z.T
        return found

    def adjoint(self, values: Matrix) -> Matrix:
        """(m, P) -> (m, d): sums over pairs of value times predictor, neither centred nor in units."""
        out = np.empty((len(values), self.d))
        for row, packed in zip(out, values, strict=True):
            square = unpack(packed, self.n)
            row[:] = np.einsum("ia,ia->a", self.rows, square @ self.rows) / (1 if self.squared else 2)
            if self.squared:
                row -= square.sum(axis=1) @ (self.rows * self.rows)
        return out

    def against(self, centred: Matrix) -> Matrix:
        """(T, P) centred targets -> (T, d): their covariance with the predictors, in units."""
        found = self.adjoint(centred * self.share) - self.mean * (centred @ self.share)[:, None]
        return np.asarray(found / self.unit)
