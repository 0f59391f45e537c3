"""Out of sample: folds over stimuli, their scores, cross-validation, and its tables."""

from .choices import nested, nested_table
from .cross_validation import Over, cross_validate, left_out, left_out_folds, pruner_of
from .final import final_set
from .fingerprints import digests_of_features, digests_of_folds, settings_of_run
from .folds import Fold, SmallFoldsWarning, held_out_pairs, split, warn_of_small_folds
from .scores import FoldScores, attributes, collect, cv_name, names_or_numbers, score_fold
from .subjects import bounds, subjects_of, with_ceiling
from .tables import dissimilarity, kept_features, over_targets, summary, tested_once, to_rsatoolbox

__all__ = [
    "Fold", "FoldScores", "Over", "SmallFoldsWarning", "attributes", "bounds", "collect", "cross_validate", "cv_name",
    "digests_of_features", "digests_of_folds", "dissimilarity", "final_set", "held_out_pairs", "kept_features",
    "left_out", "left_out_folds", "names_or_numbers", "nested", "nested_table", "over_targets", "pruner_of",
    "score_fold", "settings_of_run", "split", "subjects_of", "summary", "tested_once", "to_rsatoolbox",
    "warn_of_small_folds", "with_ceiling",
]  # fmt: skip
