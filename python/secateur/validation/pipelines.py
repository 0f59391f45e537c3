"""Pipelines that end in a Pruner: what stands before it is fitted to training stimuli alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..features import Features, Indices
from ..pruning import Pruner

__all__ = ["ends_in_pruner", "transformed"]


def ends_in_pruner(given: Any) -> bool:
    """Whether this is a scikit-learn Pipeline whose last step is a Pruner."""
    steps: Any = getattr(given, "steps", None)
    return bool(steps) and isinstance(steps[-1][1], Pruner)


def transformed(pipeline: Any, features: Features, train: Indices) -> Features:
    """The features of all stimuli after the steps before the Pruner, which learn from the training stimuli alone."""
    from sklearn.base import clone

    values, names = np.asarray(features.values, dtype=np.float64), features.names
    for name, step in pipeline.steps[:-1]:
        if step is None or isinstance(step, str):  # "passthrough"
            continue
        own = clone(step)
        try:
            own.fit(values[train])
        except TypeError as error:
            raise ValueError(
                f"pipeline must have steps before its Pruner that fit X alone, got {name!r} ({type(step).__name__}), "
                "which needs y: a target is pairwise, and no step but the Pruner is given it"
            ) from error
        count = values.shape[1]
        values = np.asarray(own.transform(values), dtype=np.float64)
        if not hasattr(own, "get_feature_names_out"):
            names = names if values.shape[1] == count else None
        elif names is not None or values.shape[1] != count:
            names = tuple(map(str, own.get_feature_names_out(None if names is None else np.asarray(names, object))))
    return Features(np.ascontiguousarray(values), features.stimuli, names)
