"""The searches as functions: how the features to keep are found, from one ranking to floating sequential selection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .measures import SEARCHES
from .pruning.result import STEP, TIE, Pruned, SearchInterrupted
from .pruning.sequential import subset_at
from .pruning.settings import Search, Settings

if TYPE_CHECKING:
    from ._typing import ControlLike, EmbeddingLike, LabelsLike, TargetLike, WeightsLike
    from .execution import Device, Precision
    from .measures import ComparatorOrAlias, Metric
    from .measures import Search as SearchName
    from .targets import Kind

__all__ = [
    "SEARCHES", "STEP", "TIE", "Pruned", "SearchInterrupted", "backward", "find", "floating", "forward", "parsimonious",
    "ranking", "stable", "subset_at",
]  # fmt: skip


def find(
    X: EmbeddingLike,
    target: TargetLike,
    search: SearchName = "ranking",
    metric: Metric = "cosine",
    comparator: ComparatorOrAlias = "pearson",
    *,
    kind: Kind | None = None,
    weights: WeightsLike | None = None,
    control: ControlLike | None = None,
    device: Device = "auto",
    threads: int | None = None,
    precision: Precision = "double",
    groups: LabelsLike | None = None,
    progress: bool = True,
    **limits: Any,
) -> Pruned:
    """Find the features to keep, for each of T targets or for all of them: what :class:`secateur.Pruner` does for one.

    Parameters
    ----------
    X : array (n stimuli, d features), DataFrame or DataArray
        Finite; converted to float64.
    target, metric, comparator, kind, weights, control, device, threads, precision
        As in :func:`secateur.leave_one_out`; one target or T of them.
    search : Search
        As :class:`secateur.Pruner` has them.
    groups : array (n,), optional
        Stimuli of one group stay on one side of the inner folds of ``"parsimonious"``, and in one half of ``"stable"``.
    progress : bool
        Whether a sequential search's bar may show, on stderr, once two seconds have passed.
    **limits
        ``max_features``, ``min_features``, ``tol``, ``patience``, ``feature_groups``, ``inner_cv``, ``seed``,
        ``joint``, ``fixed_features``, ``half_samples``, ``threshold``, ``max_false``, as :class:`secateur.Pruner` has
        them.

    Returns
    -------
    Pruned
        One row a target, also where there is one. In-sample: for an honest number use
        :func:`secateur.cross_validate`.

    Raises
    ------
    TypeError
        Where X, target or weights hold no real numbers, or feature_groups neither integers nor text.
    ValueError
        As :func:`secateur.leave_one_out`; where search or a limit is none of these, a stimulus has no direction, a
        target does not vary, or no set that the limits allow has an alignment.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(20, 6))
    >>> found = find(X, X[:, :3] @ X[:, :3].T, "forward", metric="dot")
    >>> np.flatnonzero(found.support[0]).tolist()
    [0, 1, 2]
    """
    settings = Settings(metric, comparator, kind, Search.named(search, **limits), device, threads, precision).checked()
    problem = settings.problem(*settings.read(X, target, weights, control), runs=1)
    return settings.search.run(problem, groups=groups, progress=progress)


def ranking(X: EmbeddingLike, target: TargetLike, **how: Any) -> Pruned:
    """Rank features by leaving each out, insert them in that order, keep the best prefix.

    Parameters
    ----------
    X, target, **how
        As in :func:`find`.

    Returns
    -------
    Pruned

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), §2.2.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(20, 6))
    >>> ranking(X, X[:, :3] @ X[:, :3].T, metric="dot").support.shape
    (1, 6)
    """
    return find(X, target, "ranking", **how)


def parsimonious(X: EmbeddingLike, target: TargetLike, **how: Any) -> Pruned:
    """Of the ranking's order, the shortest prefix within one standard error, over inner folds, of the best.

    Parameters
    ----------
    X, target, **how
        As in :func:`find`.

    Returns
    -------
    Pruned

    References
    ----------
    Breiman, Friedman, Olshen & Stone (1984), §3.4.3.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(20, 6))
    >>> parsimonious(X, X[:, :3] @ X[:, :3].T, metric="dot").support.shape
    (1, 6)
    """
    return find(X, target, "parsimonious", **how)


def stable(X: EmbeddingLike, target: TargetLike, **how: Any) -> Pruned:
    """The features that are among the most important ones in most of many random halves of the stimuli.

    Parameters
    ----------
    X, target, **how
        As in :func:`find`.

    Returns
    -------
    Pruned
        ``importance`` is the share of halves in which a feature was selected.

    References
    ----------
    Meinshausen & Buehlmann (2010), J. R. Stat. Soc. B 72, 417-473.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(20, 6))
    >>> found = stable(X, X[:, :3] @ X[:, :3].T, metric="dot", max_false=4, half_samples=10)
    >>> np.flatnonzero(found.support[0]).tolist()
    [0, 1, 2]
    """
    return find(X, target, "stable", **how)


def forward(X: EmbeddingLike, target: TargetLike, **how: Any) -> Pruned:
    """From none, add the best feature again and again; the best set on the way is kept.

    Parameters
    ----------
    X, target, **how
        As in :func:`find`.

    Returns
    -------
    Pruned

    References
    ----------
    Whitney (1971), IEEE Trans. Comput. C-20, 1100-1103.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(20, 6))
    >>> forward(X, X[:, :3] @ X[:, :3].T, metric="dot").support.shape
    (1, 6)
    """
    return find(X, target, "forward", **how)


def backward(X: EmbeddingLike, target: TargetLike, **how: Any) -> Pruned:
    """From all, remove the least needed feature again and again; the best set on the way is kept.

    Parameters
    ----------
    X, target, **how
        As in :func:`find`.

    Returns
    -------
    Pruned

    References
    ----------
    Marill & Green (1963), IEEE Trans. Inf. Theory 9, 11-17.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(20, 6))
    >>> backward(X, X[:, :3] @ X[:, :3].T, metric="dot").support.shape
    (1, 6)
    """
    return find(X, target, "backward", **how)


def floating(X: EmbeddingLike, target: TargetLike, backward: bool = False, **how: Any) -> Pruned:
    """Forward, and after each addition backward while that beats every set seen of its size; or the mirror image.

    Parameters
    ----------
    X, target, **how
        As in :func:`find`.
    backward : bool
        Whether to begin with all features.

    Returns
    -------
    Pruned

    References
    ----------
    Pudil, Novovičová & Kittler (1994), Pattern Recognition Letters 15, 1119-1125.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(20, 6))
    >>> floating(X, X[:, :3] @ X[:, :3].T, metric="dot").support.shape
    (1, 6)
    """
    return find(X, target, "floating-backward" if backward else "floating", **how)
