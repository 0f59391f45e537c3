"""Secateur: prune deep-network features until their similarity space fits a mind's.

    features, targets          what may come in
    _core (C++/CUDA)           similarity, leave_one_out, add_one, insertion_curve
    similarity, contributions  checked wrappers: numpy in, numpy out
    search                     ranking, forward, backward, floating: how features are found
    pruning                    Pruner, a scikit-learn selector
    validation, statistics     out of sample, the table
    inference                  the null, intervals, the noise ceiling, stability, transfer
    timecourse                 MEG/EEG recordings: RDM movies, pruning at every time, tests over subjects
    fmri                       regions of the brain: four tests over two image sets
    baselines, comparison      reweighting (ridge, LASSO, Sim-DR) beside pruning, on the same folds
    datasets, taxonomy         wings: real examples
    networks                   a wing: photographs through networks, feature maps (PyTorch, loaded when it is needed)
    reading                    files of strangers, within limits; in a process of their own where readers crash
    report, files              pictures, tables; arrays from files
    study, cli                 whole studies from one file; the command line

Imports run downwards in this list.
"""

from . import _command as _command  # isort: skip  # first: Ctrl-C at the command line while the rest loads

from importlib.metadata import version as _version

from . import baselines, comparison, datasets, fmri, networks, report, search, targets, taxonomy, timecourse
from .comparison import compare, comparison_table
from .contributions import add_one, insertion_curve, leave_one_out
from .inference import bootstrap, noise_ceiling, noise_normalised_r2, permutation_test, stability, transfer
from .networks import feature_maps, heatmaps, occlusion, saliency
from .pruning import Pruner
from .search import SearchInterrupted
from .similarity import OpposedWarning, UndefinedPairsWarning, alignment, similarity
from .statistics import benjamini_hochberg
from .validation import SmallFoldsWarning, cross_validate, kept_features, summary, to_rsatoolbox

__version__ = _version("secateur")
__all__ = [
    "OpposedWarning",
    "Pruner",
    "SearchInterrupted",
    "SmallFoldsWarning",
    "UndefinedPairsWarning",
    "add_one",
    "alignment",
    "baselines",
    "benjamini_hochberg",
    "bootstrap",
    "compare",
    "comparison",
    "comparison_table",
    "cross_validate",
    "datasets",
    "feature_maps",
    "fmri",
    "heatmaps",
    "insertion_curve",
    "kept_features",
    "leave_one_out",
    "networks",
    "noise_ceiling",
    "noise_normalised_r2",
    "occlusion",
    "permutation_test",
    "report",
    "saliency",
    "search",
    "similarity",
    "stability",
    "summary",
    "targets",
    "taxonomy",
    "timecourse",
    "to_rsatoolbox",
    "transfer",
]
