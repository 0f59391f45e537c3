"""Secateur: prune deep-network features until their similarity space fits a mind's.

    features, targets          what may come in
    _core (C++/CUDA)           similarity, leave_one_out, add_one, insertion_curve
    similarity, contributions  checked wrappers: numpy in, numpy out
    search                     ranking, forward, backward, floating: how features are found
    pruning                    Pruner, a scikit-learn selector
    validation, statistics     out of sample, the table
    inference                  the null, intervals, the noise ceiling, stability, transfer
    timecourse                 MEG/EEG recordings: RDM movies, pruning at every time, tests over subjects
    datasets, taxonomy         wings: real examples
    networks                   a wing: photographs through networks, feature maps (PyTorch, loaded when it is needed)
    report, files, cli         pictures, tables, the command line

Imports run downwards in this list.
"""

from importlib.metadata import version as _version

from . import datasets, networks, search, timecourse
from .contributions import add_one, insertion_curve, leave_one_out
from .inference import bootstrap, noise_ceiling, permutation_test, stability, transfer
from .networks import feature_maps, heatmaps, occlusion, saliency
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
    "feature_maps",
    "heatmaps",
    "insertion_curve",
    "kept_features",
    "leave_one_out",
    "networks",
    "noise_ceiling",
    "occlusion",
    "permutation_test",
    "saliency",
    "search",
    "similarity",
    "stability",
    "summary",
    "timecourse",
    "to_rsatoolbox",
    "transfer",
]
