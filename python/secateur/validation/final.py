"""The set of features to use: chosen once, from all stimuli."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..features import read_features
from ..resuming import kept_parts
from ..targets import Targets

if TYPE_CHECKING:
    import xarray
    from sklearn.pipeline import Pipeline

    from .._typing import ControlLike, HostEmbeddingLike, HostTargetLike, LabelsLike, PathOrPaths, WeightsLike
    from ..pruning import Pruner
    from ..targets import Kind
from .cross_validation import pruner_of
from .fingerprints import settings_of_run
from .pipelines import ends_in_pruner, transformed
from .scores import arrays_of, attributes, names_or_numbers, pruned_of

__all__ = ["final_set"]


def final_set(
    X: HostEmbeddingLike,
    target: HostTargetLike,
    pruner: Pruner | Pipeline | None = None,
    groups: LabelsLike | None = None,
    *,
    kind: Kind | None = None,
    weights: WeightsLike | None = None,
    control: ControlLike | None = None,
    store: PathOrPaths | None = None,
    progress: bool = True,
) -> xarray.Dataset:
    """The features to use: the same pruning as in :func:`cross_validate`, once, on all stimuli.

    Cross-validation chooses a set in each fold to say how well the procedure does on stimuli that it never saw; this is
    the set that the procedure gives where nothing has to be held out.

    Parameters
    ----------
    X, target, pruner, kind, weights, control
        As in :func:`secateur.cross_validate`, with one or T targets.
    groups : array (n,), optional
        As in :meth:`secateur.Pruner.fit`.
    store : path, optional
        As in :func:`secateur.cross_validate`: a folder that keeps the result.
    progress : bool
        Whether, before a run of more than a minute, a line says what it will take.

    Returns
    -------
    xarray.Dataset, dims (target[, feature or step])
        ``kept`` and ``importance`` (feature); ``rank`` (feature), counted from 1, the kept features first, as in the
        pruner's ``order_``; ``n_kept``; ``full_train``, ``pruned_train``: alignments of all and of the kept features
        with the target that chose them, in correlation units; ``curve`` (step): the training alignment of each number
        of features. All of it is in-sample.

    Raises
    ------
    TypeError, ValueError
        As :func:`secateur.cross_validate`.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(30, 20))
    >>> final = final_set(X, X[:, :4] @ X[:, :4].T)
    >>> bool(final["kept"][0, :4].all()), int(final["rank"].min())
    (True, 1)
    """
    import xarray

    pipeline = pruner if ends_in_pruner(pruner) else None
    pruner = pruner_of(pruner if pipeline is None else pipeline.steps[-1][1], kind)
    settings = pruner.settings()
    if pipeline is not None:
        read = read_features(X)
        X = transformed(pipeline, read, np.arange(read.n))
    features, targets = settings.read(X, target, weights, control)
    problem = settings.problem(features, targets, runs=1)
    controls = targets.controls if isinstance(targets, Targets) else None
    attrs = attributes(pruner, targets.kind, 0, 1, 0, controls)
    for name in ("cv", "repeats", "seed"):
        del attrs[name]
    with kept_parts(store, "final_set", lambda: settings_of_run(attrs, problem, pruner, [], groups)) as kept:
        settings.cost(problem, runs=1 - kept.first("set")).announce(progress)
        pruned = pruned_of(kept.part("set", 0, lambda: arrays_of(settings.search.run(problem, groups=groups))))
    shape = (len(targets), features.d)
    order = np.broadcast_to(pruned.order, shape)  # one row for all where they share a set
    rank = np.empty(shape, dtype=np.int64)
    np.put_along_axis(rank, order, np.arange(1, features.d + 1)[None], axis=1)
    wide: dict[str, Any] = {"kept": pruned.support, "importance": pruned.importance, "rank": rank}
    variables: dict[str, Any] = {
        name: (("target", "feature"), np.broadcast_to(values, shape).copy()) for name, values in wide.items()
    }
    scores = {"full_train": pruned.baseline, "pruned_train": pruned.alignment, "n_kept": wide["kept"].sum(axis=-1)}
    variables |= {name: (("target",), np.broadcast_to(values, shape[:1]).copy()) for name, values in scores.items()}
    variables["curve"] = (("target", "step"), np.broadcast_to(pruned.curve, shape).copy())
    coords = {
        "target": names_or_numbers(targets.labels, len(targets)),
        "feature": names_or_numbers(features.names, features.d),
        "step": np.arange(1, features.d + 1),
    }
    return xarray.Dataset(variables, coords, attrs)
