"""Secateur: prune deep-network features until their similarity space fits a mind's.

    features, targets          what may come in
    _core (C++/CUDA)           similarity, leave_one_out, add_one, insertion_curve
    similarity, contributions  checked wrappers: numpy in, numpy out
    pruning                    Pruner, a scikit-learn selector
    validation, statistics     out of sample, the null, the table
    datasets, taxonomy         wings: real examples
    report, cli                pictures, tables, the command line

Imports run downwards in this list.
"""

from importlib.metadata import version as _version

from . import datasets
from .contributions import add_one, insertion_curve, leave_one_out
from .pruning import Pruner
from .similarity import UndefinedPairsWarning, alignment, similarity
from .validation import cross_validate, kept_features, permutation_test, summary, to_rsatoolbox

__version__ = _version("secateur")
__all__ = [
    "Pruner",
    "UndefinedPairsWarning",
    "add_one",
    "alignment",
    "cross_validate",
    "datasets",
    "insertion_curve",
    "kept_features",
    "leave_one_out",
    "permutation_test",
    "similarity",
    "summary",
    "to_rsatoolbox",
]
