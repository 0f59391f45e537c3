"""A fixed linear map of the features, learnt elsewhere: gLocal's, AlignNet's, DreamSim's, or one of your own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import is_zipfile

import numpy as np

from ..features import Matrix, as_float64
from ..measures import check_metric
from ..reading import npz_headers, npz_member
from ..similarity import similarity

if TYPE_CHECKING:
    import os

    from numpy.typing import ArrayLike

    from ..measures import Metric

__all__ = ["LinearTransform"]

# The map's names in files: ours and gLocal's; torch's own layers have a row for each output.
_WEIGHTS = ("weights", "W", "projection")
_TRANSPOSED = ("weight",)


class LinearTransform:
    """Similarities of features after a fixed linear map: ((x - mean) / std) W + bias.

    It learns nothing, so that in :func:`secateur.compare` its score on the test stimuli is out of sample as far as the
    map is: a map that was learnt from judgments of these stimuli has seen them.

    Parameters
    ----------
    weights : (d, k) array
        W: a row for each feature.
    bias : (k,) array or number, optional
        What is added.
    mean, std : (d,) array or number
        What features are standardised by first.
    metric : Metric
        Similarity of two rows of the result, as in :func:`secateur.similarity`.

    Attributes
    ----------
    n_features_ : int
        Features with a weight other than zero.

    Raises
    ------
    TypeError, ValueError
        Where shapes do not fit one another, a value is not finite, ``std`` is not positive or the metric is unknown.

    References
    ----------
    Muttenthaler et al. (2023), Improving neural network representations using human similarity judgments (gLocal).

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(12, 5))
    >>> halved = LinearTransform(np.eye(5)[:, :2])
    >>> halved.fit(X).predict(X).shape, halved.n_features_
    ((66,), 2)
    """

    def __init__(
        self,
        weights: ArrayLike,
        bias: ArrayLike | None = None,
        mean: ArrayLike = 0.0,
        std: ArrayLike = 1.0,
        *,
        metric: Metric = "cosine",
    ) -> None:
        self.weights = as_float64(weights, "weights")
        if self.weights.ndim != 2 or not self.weights.size:
            raise ValueError(f"weights must have shape (features, dimensions), got {self.weights.shape}")
        d, k = self.weights.shape
        given = (("bias", 0.0 if bias is None else bias, k), ("mean", mean, d), ("std", std, d))
        self.bias, self.mean, self.std = (_row(values, count, name) for name, values, count in given)
        if not np.isfinite(self.weights).all():
            raise ValueError(f"weights must be finite, got {self.weights[~np.isfinite(self.weights)][0]}")
        if (self.std <= 0).any():
            raise ValueError(f"std must be positive, got {self.std.min()}")
        self.metric = check_metric(metric)
        self.n_features_ = int(np.count_nonzero(self.weights.any(axis=1)))

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, metric: Metric = "cosine") -> LinearTransform:
        """A map from a .npz file.

        Parameters
        ----------
        path : str or path
            With ``weights`` (d, k), also called ``W`` or ``projection``, or ``weight`` (k, d) as torch's layers have
            it; and ``bias``, ``mean`` and ``std`` where there are any. gLocal's files are such.
        metric : Metric
            As for the class.

        Returns
        -------
        LinearTransform

        Raises
        ------
        FileNotFoundError
            Where there is no such file.
        ValueError
            Where it is no .npz file, or has no such array or several.

        Examples
        --------
        >>> np.savez("map.npz", weights=np.eye(4), mean=0.5, std=2.0)
        >>> LinearTransform.load("map.npz").transform(np.ones((1, 4))).tolist()
        [[0.25, 0.25, 0.25, 0.25]]
        """
        file = Path(path)
        if not file.is_file():
            raise FileNotFoundError(f"path must be a file, got {str(path)!r}")
        if not is_zipfile(file):
            raise ValueError(f"path must be a .npz file, got {file.name}, which is none")
        headers = npz_headers(file)
        names = [name for name in (*_WEIGHTS, *_TRANSPOSED) if name in headers]
        if len(names) != 1:
            words = ", ".join(map(repr, headers)) or "none"
            raise ValueError(f"path must hold one of weights, W, projection or weight, got {words} in {file.name}")
        found: dict[str, Any] = {name: npz_member(file, name) for name in ("bias", "mean", "std") if name in headers}
        weights = npz_member(file, names[0])
        return cls(weights.T if names[0] in _TRANSPOSED else weights, **found, metric=metric)

    def transform(self, X: ArrayLike) -> Matrix:
        """Features after the map.

        Parameters
        ----------
        X : (n, d) array
            Features.

        Returns
        -------
        (n, k) ndarray of float64

        Raises
        ------
        ValueError
            Where there are other features than the map has rows.

        Examples
        --------
        >>> LinearTransform([[2.0], [1.0]], bias=1.0).transform([[1.0, 3.0]]).tolist()
        [[6.0]]
        """
        values = as_float64(X, "X")
        if values.ndim != 2 or values.shape[1] != len(self.weights):
            raise ValueError(f"X must have shape (n, {len(self.weights)}), as the map has rows, got {values.shape}")
        return np.asarray(((values - self.mean) / self.std) @ self.weights + self.bias)

    def fit(self, X: ArrayLike, target: object = None, weights: object = None) -> LinearTransform:
        """Learn nothing; check that the features fit.

        Parameters
        ----------
        X : (n, d) array
            Features.
        target, weights
            Not used.

        Returns
        -------
        LinearTransform
            Itself.

        Raises
        ------
        ValueError
            Where there are other features than the map has rows.

        Examples
        --------
        >>> LinearTransform(np.eye(3)).fit(np.ones((2, 3))).n_features_
        3
        """
        self.transform(X)
        return self

    def predict(self, X: ArrayLike) -> Matrix:
        """Similarities of stimuli after the map.

        Parameters
        ----------
        X : (n, d) array
            Features.

        Returns
        -------
        (P,) ndarray of float64
            ``numpy.triu_indices`` order, larger more alike; NaN where a stimulus has no direction.

        Raises
        ------
        ValueError
            Where there are other features than the map has rows.

        Examples
        --------
        >>> LinearTransform(np.eye(2), metric="dot").predict([[1.0, 0.0], [2.0, 1.0], [0.0, 3.0]]).tolist()
        [2.0, 0.0, 3.0]
        """
        return np.asarray(similarity(self.transform(X), self.metric))


def _row(values: Any, count: int, name: str) -> Matrix:
    """A value for each of ``count``, from as many or one."""
    row = as_float64(np.squeeze(values), name)
    if row.shape not in ((), (count,)) or not np.isfinite(row).all():
        raise ValueError(f"{name} must be finite, one number or {count}, got shape {np.shape(values)}")
    return row
