"""Sim-DR: a linear map to few dimensions whose inner products are the similarities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..features import Matrix
from ..pairs import pack, unpack
from ..targets import Targets
from .estimators import Candidates, Reweighting

if TYPE_CHECKING:
    from .._typing import HostEmbeddingLike, HostTargetLike, LabelsLike, WeightsLike
    from ..measures import ComparatorOrAlias, Metric
    from ..targets import Kind

__all__ = ["Descent", "SimDR"]


class SimDR(Reweighting):
    """Sim-DR: a linear map to few dimensions, without a bias, whose inner products are the similarities.

    s_ij = (W'x_i) . (W'x_j), with W (d, k) minimising sum_ij g_ij (h_ij - s_ij)^2 + penalty ``|W|^2`` over the pairs of
    the training stimuli, where h is the target and g are the pair weights with sum 1.

    Parameters
    ----------
    dimensions : int or sequence of int
        Candidates for k.
    metric : {"dot", "cosine", "correlation"}
        Features as they are, or rows scaled to unit length, or centred and scaled.
    comparator, kind, inner_cv, seed
        As in :class:`Ridge`.
    penalties : array (L,), optional
        Candidates. By default 6, from a tenth of the least penalty that leaves nothing down to 1e-5 of it.
    max_iter : int
        Steps of each descent.

    Attributes
    ----------
    projection_ : (d, k) float64, or a list of them after a fit to T targets; likewise what follows
        W.
    intercept_ : float
        Added to the inner products: for dissimilarities minus the largest of the training pairs, so that the least
        alike have inner product 0; for similarities 0.
    n_dimensions_ : int
        The chosen k.
    penalty_ : float
        The chosen one.
    penalties_ : (L,) float64
        Candidates, strongest first.
    inner_scores_ : (K, L) float64
        Alignment among inner test stimuli, mean over inner folds, by dimensions and penalty.
    n_features_ : int
        d: the map takes all.

    Notes
    -----
    The best W lies in the space that the training stimuli span, so that the descent (L-BFGS) has n x k unknowns,
    whatever d is. It begins at the leading eigenvectors of X'HX, and each penalty at the weaker one's solution: no
    chance is involved. Of candidates that score alike, the one of fewer dimensions, then of the stronger penalty is
    kept.

    References
    ----------
    Jha, Peterson & Griffiths (2020), arXiv:2005.14363; (2023), Cognitive Science 47. As Sim-DR in Tarigopula,
    Fairhall & Hasson (2023), Table 1.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X, W = rng.normal(size=(30, 8)), rng.normal(size=(8, 2))
    >>> target = X @ W @ W.T @ X.T
    >>> simdr = SimDR(dimensions=(1, 2, 4)).fit(X[:20], target[:20, :20])
    >>> simdr.n_dimensions_ > 1, bool(simdr.score(X[20:], target[20:, 20:]) > 0.99)
    (True, True)
    """

    def __init__(
        self,
        dimensions: Any = (2, 4, 8, 16, 32, 64),
        metric: Metric = "dot",
        comparator: ComparatorOrAlias = "pearson",
        kind: Kind | None = None,
        penalties: Any = None,
        inner_cv: int = 5,
        seed: int = 0,
        max_iter: int = 300,
    ) -> None:
        self.dimensions = dimensions
        self.metric = metric
        self.comparator = comparator
        self.kind = kind
        self.penalties = penalties
        self.inner_cv = inner_cv
        self.seed = seed
        self.max_iter = max_iter

    def _dimensions(self) -> list[int]:
        given = np.unique(np.atleast_1d(np.asarray(self.dimensions)))
        if given.ndim != 1 or not given.size or given.dtype.kind not in "iu" or given[0] < 1:
            raise ValueError(f"dimensions must be positive integers, got {self.dimensions!r}")
        return [int(k) for k in given]

    def fit(
        self,
        X: HostEmbeddingLike,
        target: HostTargetLike,
        *,
        weights: WeightsLike | None = None,
        groups: LabelsLike | None = None,
    ) -> SimDR:
        """Choose dimensions and penalty on inner folds of the stimuli, then learn the map on all of them.

        Parameters
        ----------
        X : array (n stimuli, d features), DataFrame or DataArray
            Finite; converted to float64.
        target : any form that :func:`secateur.alignment` takes
            One target or T of them.
        weights : array shaped like a target, optional
            Weight of each pair, in the squared error and in the scores.
        groups : array (n,), optional
            Stimuli of one group stay on one side of the inner folds.

        Returns
        -------
        SimDR
            Itself, fitted.

        Raises
        ------
        TypeError, ValueError
            Where X, target or weights are not finite or do not fit one another; where penalties are not
            positive; where a stimulus has no direction; where a target is constant.
        """
        features, rows, targets = self._read(X, target, weights)
        sizes, given = self._dimensions(), self._given_penalties()
        problems = [Descent.of(rows, targets, t, int(self.max_iter)) for t in range(len(targets))]
        if given is None:
            penalties = np.array([one.greatest for one in problems])[:, None] * np.logspace(-1, -5, 6)
        else:
            penalties = np.broadcast_to(given, (len(targets), len(given)))
        shape = (len(targets), len(sizes), penalties.shape[1])
        scores = np.full(shape, np.nan)
        best = np.zeros((len(targets), 2), dtype=np.int64)
        if len(sizes) * penalties.shape[1] > 1:

            def learn(rows: Matrix, targets: Targets) -> Candidates:
                inner = [Descent.of(rows, targets, t, int(self.max_iter)) for t in range(len(targets))]
                maps = [[w for k in sizes for w in one.path(k, penalties[t])] for t, one in enumerate(inner)]
                shifts = np.array([one.shift for one in inner])[:, None, None]
                return lambda held: np.stack([[pack(held @ w @ w.T @ held.T) for w in of] for of in maps]) + shifts

            scores = self._inner_scores(rows, targets, learn, shape[1] * shape[2], groups).reshape(shape)
            best = np.stack(np.unravel_index(scores.reshape(len(scores), -1).argmax(axis=1), shape[1:]), axis=1)
        maps = [
            one.path(sizes[k], penalties[t, step:])[0]
            for t, (one, (k, step)) in enumerate(zip(problems, best, strict=True))
        ]
        chosen = [sizes[k] for k, _ in best]
        self.projection_ = maps[0] if targets.single else maps
        self.intercept_ = targets.squeeze(np.array([one.shift for one in problems]))
        self.n_dimensions_ = chosen[0] if targets.single else np.array(chosen)
        self.penalty_ = targets.squeeze(penalties[np.arange(len(targets)), best[:, 1]])
        self.penalties_ = targets.squeeze(penalties.copy())
        self.inner_scores_ = targets.squeeze(scores)
        self.n_features_ = features.d if targets.single else np.full(len(targets), features.d)
        return self

    def predict(self, X: HostEmbeddingLike) -> Matrix:
        rows = self._rows_to_predict(X)
        maps = self.projection_ if isinstance(self.projection_, list) else [self.projection_]
        found = np.stack([pack(rows @ w @ w.T @ rows.T) for w in maps])
        found += np.atleast_1d(self.intercept_)[:, None]
        return found if isinstance(self.projection_, list) else np.asarray(found[0])

    predict.__doc__ = Reweighting.predict.__doc__


class Descent:
    """Sim-DR's problem for one target, in the space that the stimuli span.

    Attributes
    ----------
    greatest : float
        The least penalty at which W = 0 is best near 0.
    shift : float
        What was taken from the target.
    """

    def __init__(self, rows: Matrix, share: Matrix, values: Matrix, shift: float, max_iter: int) -> None:
        n = len(rows)
        u, s, self.basis = np.linalg.svd(rows, full_matrices=False)
        self.span = u * s
        self.share, self.target = unpack(share, n), unpack(values - shift, n)
        self.shift, self.max_iter = shift, max_iter
        self.roots, self.vectors = np.linalg.eigh(self.span.T @ (self.share * self.target) @ self.span)
        self.greatest = max(float(self.roots[-1]), 1e-12 * float(np.abs(self.roots).max()), 1e-300)
        self.curvature = self.greatest * (s / s[0]) ** 2
        self.size = float((share * (values - shift) ** 2).sum())

    @classmethod
    def of(cls, rows: Matrix, targets: Targets, t: int, max_iter: int) -> Descent:
        values = targets.values[t]
        weights = np.ones_like(values)
        if targets.weights is not None and targets.weight_of is not None:
            weights = targets.weights[targets.weight_of[t]]
        if not weights.any():
            raise ValueError("target must have a pair of weight above zero in every inner fold, got none in one")
        shift = float(values[weights > 0].min()) if targets.kind == "dissimilarity" else 0.0
        return cls(rows, weights / weights.sum(), values, shift, max_iter)

    def _start(self, k: int) -> Matrix:
        """Leading eigenvectors of X'HX, of a length that fits the target best."""
        k = min(k, len(self.roots))
        lengths = np.sqrt(np.maximum(self.roots[::-1][:k], 1e-3 * self.greatest))
        start = self.vectors[:, ::-1][:, :k] * lengths
        found = self.span @ start
        found = found @ found.T
        fit = float((self.share * found * self.target).sum()) / max(float((self.share * found * found).sum()), 1e-300)
        return np.asarray(start * np.sqrt(max(fit, 1e-3 * self.size / max(self.greatest, 1e-300))))

    def path(self, k: int, penalties: Matrix) -> list[Matrix]:
        """Maps (d, k) at these penalties, strongest first as they are; found from the weakest on."""
        from scipy.optimize import minimize

        found = []
        current = self._start(k)
        for penalty in penalties[::-1]:
            scale = 1 / np.sqrt(self.curvature + penalty)[:, None]  # so that all directions bend alike

            outcome = minimize(
                self._loss, (current / scale).ravel(), (scale, float(penalty)), jac=True, method="L-BFGS-B",
                options={"maxiter": self.max_iter, "ftol": 1e-10, "gtol": 1e-8},
            )  # fmt: skip
            current = scale * outcome.x.reshape(current.shape)
            found.append(self.basis.T @ current)
        return found[::-1]

    def _loss(self, flat: Matrix, scale: Matrix, penalty: float) -> tuple[float, Matrix]:
        """Squared error with penalty, over the target's own size, and its slope."""
        b = scale * flat.reshape(len(scale), -1)
        f = self.span @ b
        error = f @ f.T - self.target
        pull = self.share * error
        value = float((pull * error).sum()) / 2 + penalty * float((b * b).sum())
        slope = 2 * (self.span.T @ (pull @ f) + penalty * b)
        return value / self.size, (scale * slope).ravel() / self.size
