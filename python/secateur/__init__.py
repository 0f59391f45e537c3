"""Secateur: prune deep-network features until their similarity space fits human or neural similarity.

    _core (C++/CUDA)           similarity, leave_one_out, add_one, insertion_curve
    measures                   metrics, comparators and searches: one table that everything else reads
    arguments, progress        integers, shares and seeds checked; progress bars
    provenance, atomic         digests and versions; files written whole or not at all
    reading                    files of others, within limits; in a process of their own where readers crash
    execution                  where a call runs: CPU or GPU, the number of threads (``device``, its first name)
    features, pairs, targets   what may come in, in host memory or on a device
    controls                   partial alignment: what a space and a target share beyond control matrices
    problem                    features and targets, loaded once; its methods are the verbs of the core
    cost                       time and memory that a run will take, said before a long one
    statistics                 paired tests, Fisher's z, permutation p-values, false discoveries
    similarity, contributions  the verbs for users: numpy in, numpy out
    relabelling                stimuli or groups of stimuli in new orders, for permutation tests
    pruning                    Pruner, a scikit-learn selector; its settings, and the searches, one class each
    search                     the searches as functions: ranking, forward, backward, floating
    validation                 out of sample: folds, scores, cross-validation, tables
    odd_one_out                choices of odd ones out: accuracy, leave-one-out, held out, the null
    inference                  the null, intervals, the noise ceiling, stability, transfer
    timecourse                 MEG/EEG recordings: RDM movies, pruning at every time, tests over subjects
    regions                    of the brain: four tests over two image sets

Optional subpackages, which nothing above imports:

    reweighting, comparison    ridge, LASSO and Sim-DR beside pruning, on the same folds
    models                     several networks or layers: which fits better, and what each says alone
    taxonomy                   WordNet and other taxonomies: as targets, and as a measure of clusters
    networks, finetuning       photographs through networks, feature maps (PyTorch, loaded when it is needed)
    files, datasets            arrays from files; real examples
    report                     pictures, tables, the results folder
    study, cli                 whole studies from one file; the command line

Each imports only from those above it. ``import secateur`` loads NumPy and what :func:`similarity` needs; all else is
loaded when it is first used, as ``secateur.Pruner`` or ``secateur.timecourse``.
"""

from . import _command as _command  # isort: skip  # first: Ctrl-C at the command line while the rest loads

from importlib import import_module as _import_module
from typing import TYPE_CHECKING

# Loaded at once: the function has the name of its module, which would take its place when it is loaded later.
from .similarity import OpposedWarning, UndefinedPairsWarning, alignment, similarity

if TYPE_CHECKING:
    from . import (
        baselines,
        comparison,
        datasets,
        fmri,
        models,
        networks,
        odd_one_out,
        regions,
        report,
        reweighting,
        search,
        targets,
        taxonomy,
        timecourse,
    )
    from .comparison import compare, comparison_table
    from .contributions import add_one, insertion_curve, leave_one_out
    from .inference import bootstrap, noise_ceiling, noise_normalised_r2, permutation_test, stability, transfer
    from .models import compare_models, model_recovery, unique_variance
    from .networks import feature_maps, heatmaps, occlusion, saliency
    from .odd_one_out import choice_accuracy
    from .pruning import Pruner
    from .search import SearchInterrupted
    from .statistics import benjamini_hochberg
    from .validation import (
        SmallFoldsWarning,
        cross_validate,
        final_set,
        kept_features,
        nested,
        nested_table,
        over_targets,
        summary,
        to_rsatoolbox,
    )

    __version__: str

# Everything else is loaded when it is first used: the names above, module by module, and modules by their own names.
_LAZY = {
    "comparison": ("compare", "comparison_table"),
    "contributions": ("add_one", "insertion_curve", "leave_one_out"),
    "inference": (*("bootstrap", "noise_ceiling", "noise_normalised_r2", "permutation_test", "stability", "transfer"),),
    "models": ("compare_models", "model_recovery", "unique_variance"),
    "networks": ("feature_maps", "heatmaps", "occlusion", "saliency"),
    "odd_one_out": ("choice_accuracy",),
    "pruning": ("Pruner",),
    "search": ("SearchInterrupted",),
    "statistics": ("benjamini_hochberg",),
    "validation": (
        *(
            "SmallFoldsWarning",
            "cross_validate",
            "final_set",
            "kept_features",
            "nested",
            "nested_table",
            "over_targets",
        ),
        *("summary", "to_rsatoolbox"),
    ),
}
_MODULE_OF = {name: module for module, names in _LAZY.items() for name in names}

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
    "choice_accuracy",
    "compare",
    "compare_models",
    "comparison",
    "comparison_table",
    "cross_validate",
    "datasets",
    "feature_maps",
    "final_set",
    "fmri",
    "heatmaps",
    "insertion_curve",
    "kept_features",
    "leave_one_out",
    "model_recovery",
    "models",
    "nested",
    "nested_table",
    "networks",
    "noise_ceiling",
    "noise_normalised_r2",
    "occlusion",
    "odd_one_out",
    "over_targets",
    "permutation_test",
    "regions",
    "report",
    "reweighting",
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
    "unique_variance",
]


if not TYPE_CHECKING:  # type checkers see the imports above, and refuse other names

    def __getattr__(name: str) -> object:
        if name == "__version__":
            value: object = _import_module("importlib.metadata").version(__name__)
        elif name in _MODULE_OF:
            value = getattr(_import_module(f".{_MODULE_OF[name]}", __name__), name)
        else:
            module = f"{__name__}.{name}"
            try:
                if name.startswith("_"):
                    raise ModuleNotFoundError(name=module)
                value = _import_module(module)
            except ModuleNotFoundError as error:
                if error.name != module:
                    raise
                raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name) from None
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        modules = (module.name for module in _import_module("pkgutil").iter_modules(__path__))
        return sorted({*globals(), *__all__, "__version__", *(name for name in modules if name[0] != "_")})
