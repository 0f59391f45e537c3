"""Out of sample: cross-validation over stimuli, and its tables."""

from .cross_validation import (
    Fold,
    FoldScores,
    SmallFoldsWarning,
    collect,
    cross_validate,
    kept_features,
    pruner_of,
    score_fold,
    split,
    summary,
    tested_once,
    to_rsatoolbox,
    warn_of_small_folds,
)
from .cross_validation import _cv_name as _cv_name
from .cross_validation import _names as _names
from .cross_validation import _settings as _settings

__all__ = [
    "Fold",
    "FoldScores",
    "SmallFoldsWarning",
    "collect",
    "cross_validate",
    "kept_features",
    "pruner_of",
    "score_fold",
    "split",
    "summary",
    "tested_once",
    "to_rsatoolbox",
    "warn_of_small_folds",
]
