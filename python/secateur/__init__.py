"""Secateur: prune deep-network features until their similarity space fits a mind's.

    features, targets          what may come in
    _core (C++/CUDA)           similarity, leave_one_out, add_one, insertion_curve
    similarity, contributions  checked wrappers: numpy in, numpy out
    search                     ranking, forward, backward, floating: how features are found
    pruning                    Pruner, a scikit-learn selector
    validation, statistics     out of sample, the table
    inference                  the null, intervals, the noise ceiling, stability, transfer
    timecourse                 from MEG/EEG recordings to movies of RDMs, pruned at every time point
    datasets, taxonomy         wings: real examples
    report, files, cli         pictures, tables, the command line

Imports run downwards in this list.
"""

from importlib.metadata import version as _version

from . import datasets, search, timecourse
from .contributions import add_one, insertion_curve, leave_one_out
from .inference import bootstrap, noise_ceiling, permutation_test, stability, transfer
from .pruning import Pruner
from .search import SearchInterrupted
from .similarity import UndefinedPairsWarning, alignment, similarity
from .statistics import benjamini_hochberg
from .validation import cross_validate, kept_features, summary, to_rsatoolbox

__version__ = _version("secateur")
__all__ = [
    "Pruner",
    "SearchInterrupted",
    "UndefinedPairsWarning",
    "add_one",
    "alignment",
    "benjamini_hochberg",
    "bootstrap",
    "cross_validate",
    "datasets",
    "insertion_curve",
    "kept_features",
    "leave_one_out",
    "noise_ceiling",
    "permutation_test",
    "search",
    "similarity",
    "stability",
    "summary",
    "timecourse",
    "to_rsatoolbox",
    "transfer",
]
