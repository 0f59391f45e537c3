"""Digests of what a run is given, by name: whoever goes on with it must have been given the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..features import Features, Indices, Matrix
from ..problem import Problem
from ..provenance import digest_of
from ..pruning import Pruner

if TYPE_CHECKING:
    from .._typing import LabelsLike
from .folds import Fold

__all__ = ["digests_of_features", "digests_of_folds", "settings_of_run"]


def digests_of_features(features: Features, pruner: Pruner, stimuli: tuple[str, ...] | None) -> dict[str, str]:
    """Of X, its names, and what the pruner was told of its features."""
    fixed = pruner.fixed_features
    return {
        "X": digest_of(features.values),
        "features": digest_of(features.names),
        "feature_groups": digest_of(np.asarray(pruner.feature_groups).tolist()),
        **({} if fixed is None else {"fixed_features": digest_of(np.asarray(fixed).tolist())}),
        "stimuli": digest_of(features.stimuli or stimuli),
    }


def digests_of_folds(folds: list[Fold], controls: Matrix | None, groups: LabelsLike | None) -> dict[str, str]:
    """Of the folds, and of what is the same in all of them."""
    return {
        "folds": digest_of([side.tolist() for fold in folds for side in fold]),
        **({} if controls is None else {"control": digest_of(controls)}),
        **({} if groups is None else {"groups": digest_of(np.asarray(groups).tolist())}),
    }


def settings_of_run(
    attrs: dict[str, Any], problem: Problem, pruner: Pruner, folds: list[Fold], groups: LabelsLike | None,
    whose: Indices | None = None, **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """What the parts of a run depend on: how it was asked, and digests of all that it was given."""
    features, targets = problem.host
    settings = attrs | more | digests_of_features(features, pruner, targets.stimuli)
    settings |= {"targets": digest_of(targets.labels), "target": digest_of(targets.values)}
    if targets.weights is not None and targets.weight_of is not None:
        settings["weights"] = digest_of([digest_of(targets.weights), targets.weight_of.tolist()])
    if whose is not None:
        settings["subjects"] = digest_of(whose.tolist())
    return settings | digests_of_folds(folds, targets.controls, groups)
