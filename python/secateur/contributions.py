"""What single features contribute: checked wrappers over the compiled core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _core
from .device import Place, multiply_adds, place
from .features import Features, as_array, read_features, read_order, read_subset, refuse_mask
from .measures import check_comparator, check_metric
from .similarity import on_cuda, placed
from .targets import Targets, read_target


@dataclass(frozen=True)
class _Call:
    """What the three verbs share of their arguments, read and checked."""

    features: Features
    targets: Targets
    terms: tuple[str, str]
    where: Place

    @classmethod
    def read(cls, X: Any, target: Any, terms: tuple[str, str], kind: str | None, weights: Any, *where: Any) -> _Call:
        features = read_features(X, on_device=True)
        targets = read_target(target, features.n, kind, weights, features.stimuli, on_device=True)
        metric, comparator = check_metric(terms[0]), check_comparator(terms[1])
        work = multiply_adds(features.n, features.d, len(targets))
        lies = on_cuda(features, targets)
        found = place(*where, comparator=comparator, stimuli=features.n, on_cuda=lies, work=work)
        return cls(features, targets, (metric, comparator), found)

    @property
    def sides(self) -> tuple[Any, Any, Any, Any]:
        """X, targets and weights as the compiled verbs take them here; host targets are standardised on the host."""
        if self.targets.on_cuda:
            return placed(*self.where.hold(self.features, self.targets))
        return self.where.holding(self.features.values), *self.targets.rows


def leave_one_out(
    X: Any,
    target: Any,
    metric: str = "cosine",
    comparator: str = "pearson",
    *,
    subset: Any = None,
    kind: str | None = None,
    weights: Any = None,
    device: str = "auto",
    threads: int | None = None,
    precision: str = "double",
) -> Any:
    """Alignment with each feature removed.

    Removal means that the feature is absent from the similarity: the norms (cosine) or mean and norm
    (correlation) are those of the rest.

    Parameters
    ----------
    X : array (n stimuli, d features)
        Finite; converted to float64. A float64 array on a CUDA device (``__cuda_array_interface__``) stays there, as
        does a target (P,) or (T, P) without missing pairs.
    target, metric, comparator, kind, weights, device, threads
        As in :func:`secateur.alignment`.
    subset : bool mask (d,) or integer indices, optional
        The features present before the removal; all by default.
    precision : {"double", "single"}
        ``"single"``, on a CUDA device alone: the changes that features make are summed in single precision and added
        to a double baseline, which keeps the order of the features but for near ties. Similarities that hardly
        vary stay in double.

    Returns
    -------
    ndarray (d,), or (T, d) for several targets; float64
        For a feature that is not in the subset: the alignment of the subset itself. NaN where the removal
        leaves a stimulus without direction.

    Raises
    ------
    TypeError, ValueError
        Where an argument is not as said above; the message names it.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §2.2, "Determining contribution".

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(8, 5))
    >>> leave_one_out(X, X @ X.T).shape
    (5,)
    """
    call = _Call.read(X, target, (metric, comparator), kind, weights, device, threads, precision)
    chosen = read_subset(subset, call.features.d)
    return call.targets.shaped(_core.leave_one_out(*call.sides, *call.terms, chosen, call.where.threads))


def add_one(
    X: Any,
    target: Any,
    subset: Any,
    metric: str = "cosine",
    comparator: str = "pearson",
    *,
    kind: str | None = None,
    weights: Any = None,
    device: str = "auto",
    threads: int | None = None,
    precision: str = "double",
) -> Any:
    """Alignment with each feature added to a subset.

    Parameters
    ----------
    X : array (n stimuli, d features)
        Finite; converted to float64. A float64 array on a CUDA device (``__cuda_array_interface__``) stays there, as
        does a target (P,) or (T, P) without missing pairs.
    subset : bool mask (d,) or integer indices
        The features present before the addition; may be empty.
    target, metric, comparator, kind, weights, device, threads
        As in :func:`secateur.alignment`.
    precision : {"double", "single"}
        As in :func:`secateur.leave_one_out`.

    Returns
    -------
    ndarray (d,), or (T, d) for several targets; float64
        For a feature of the subset: the alignment of the subset itself (NaN where that is empty). NaN where
        a stimulus has no direction.

    Raises
    ------
    TypeError, ValueError
        Where an argument is not as said above; the message names it.

    References
    ----------
    The step of greedy forward selection, which Tarigopula, Fairhall & Hasson (2023), §2.2, replace by a ranking.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(8, 5))
    >>> add_one(X, X @ X.T, subset=[0, 3]).shape
    (5,)
    """
    call = _Call.read(X, target, (metric, comparator), kind, weights, device, threads, precision)
    chosen = read_subset(subset, call.features.d, empty=True)
    return call.targets.shaped(_core.add_one(*call.sides, *call.terms, chosen, call.where.threads))


def insertion_curve(
    X: Any,
    target: Any,
    order: Any,
    metric: str = "cosine",
    comparator: str = "pearson",
    *,
    kind: str | None = None,
    weights: Any = None,
    device: str = "auto",
    threads: int | None = None,
    precision: str = "double",
) -> Any:
    """Alignment of each prefix of an order of features.

    Parameters
    ----------
    X : array (n stimuli, d features)
        Finite; converted to float64. A float64 array on a CUDA device (``__cuda_array_interface__``) stays there, as
        does a target (P,) or (T, P) without missing pairs.
    order : integer array (m,) or (T, m)
        Distinct feature indices, first to be inserted first; one order for all targets, or one each.
    target, metric, comparator, kind, weights, device, threads
        As in :func:`secateur.alignment`.
    precision : {"double", "single"}
        As in :func:`secateur.leave_one_out`; the sums of an insertion run in double either way.

    Returns
    -------
    ndarray (m,), or (T, m) for several targets; float64
        Entry s is the alignment of the first s + 1 features. NaN while a stimulus has no direction.

    Raises
    ------
    TypeError, ValueError
        Where an argument is not as said above; the message names it.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §2.2, "Selection-to-criterion".

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(8, 5))
    >>> insertion_curve(X, X @ X.T, order=[4, 2, 0]).shape
    (3,)
    """
    call = _Call.read(X, target, (metric, comparator), kind, weights, device, threads, precision)
    rows = np.atleast_2d(refuse_mask(as_array(order, "order"), "order"))
    if rows.ndim != 2 or len(rows) not in (1, len(call.targets)):
        raise ValueError(f"order must have shape (m,) or ({len(call.targets)}, m), got shape {np.shape(order)}")
    if rows.dtype == np.bool_:
        raise TypeError("order must hold feature indices, got booleans")
    orders = np.stack([read_order(row, call.features.d) for row in rows])
    return call.targets.shaped(_core.insertion_curve(*call.sides, *call.terms, orders, call.where.threads))
