"""Names of files in results folders, with a line on each: what the reports and the command line say of them."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["FILES", "REPORT", "described"]

REPORT = {
    "report.html": "the whole run on one page, for a browser",
    "methods.md": "a paragraph for the methods section of a paper",
    "references.bib": "what it cites, as BibTeX",
}
FILES = {
    **REPORT,
    "accuracy.csv": "top-1 and top-5 of every target, version and fold",
    "alignment": "alignment and its gain over time",
    "best_images": "the images that drive the best features or maps, a row each",
    "bootstrap.nc": "intervals of the held-out scores (netCDF)",
    "candidates.csv": "every candidate: means over outer folds, how often it was chosen",
    "categories.csv": "every category: its neighbours in WordNet, and its mean Jaccard indices",
    "choices": "candidates, what each fold chose, and what that scored",
    "choices.csv": "what each outer fold chose, and what that scored",
    "classification": "top-1 and top-5",
    "comparison": "held-out alignment of all methods",
    "comparison.csv": "every method: means, SD, nodes, paired tests",
    "comparison.nc": "every method in every fold (netCDF)",
    "concordance.csv": "full against pruned at every cut",
    "consistency": "agreement of folds, and the shift of errors",
    "contours": "the warmest percents, outlined",
    "correspondence.csv": "how alike every two folds' class probabilities are",
    "course": "one page of pictures",
    "course.nc": "scores and kept features of every subject, time and fold (netCDF)",
    "curves": "inserting features by importance",
    "dendrograms": "the full and the pruned space as trees",
    "differences.csv": "every tested pair of models or spaces: difference, interval, p",
    "embedding.nc": "activations, images × features (netCDF)",
    "embedding.csv": "the same as a table, with names",
    "embedding.mat": "the same for MATLAB",
    "embedding.npy": "the same for numpy, without names",
    "errors.csv": "where substantial errors land",
    "explained": "explainable variance by method",
    "figures": "one page of pictures",
    "curve.csv": "alignment against the number of features",
    "data_dictionary.json": "what every file and column holds",
    "features_pruned.csv": "the final set's values, stimuli × kept features",
    "features_pruned.npy": "the same for numpy, without names",
    "final_set.nc": "the final set, its importance and curve (netCDF)",
    "folds.csv": "scores and features kept, one row per target and fold",
    "generalisation": "from one time to another",
    "group.nc": "means, tests over subjects, noise ceiling (netCDF)",
    "heatmaps": "every image with its heatmap",
    "heatmaps.nc": "heatmaps in the network's view (netCDF)",
    "held_out": "full against pruned, on test stimuli",
    "history.csv": "loss and held-out alignment of every epoch",
    "images": "what the network saw",
    "importance.nc": "alignment importance of the feature maps (netCDF)",
    "kept": "how many features are kept over time",
    "kept_features.csv": "how often each feature was kept",
    "maps": "the stimuli before and after pruning (MDS)",
    "models": "bars with intervals, the noise ceiling, lines over pairs that differ",
    "network.pt": "the trained network",
    "nodes": "features kept by region",
    "nodes.csv": "features kept by layer, set and region",
    "overview": "all targets, full against pruned, and their mean",
    "permutations.nc": "the null (netCDF)",
    "precision_recall": "heat predicted from saliency",
    "rdm_pruned.csv": "dissimilarities in the final set, stimuli × stimuli",
    "rdm_pruned.npy": "the same for numpy, where a table would be too large",
    "recovery": "how often the model that made a simulated target wins",
    "recovery.csv": "simulated targets: how often each model wins",
    "result.nc": "scores, kept features and curves of every fold (netCDF)",
    "saliency.csv": "relative risk, mean and SD over images",
    "saliency.nc": "precision, recall and relative risk of every image (netCDF)",
    "scores.csv": "alignment by test, layer, set and region",
    "selection": "which features are kept over time",
    "selection.nc": "scores, kept maps and curves of every fold (netCDF)",
    "settings.json": "command, versions, seeds, hashes of the input",
    "study.toml": "the study file, as it was read",
    "summary.csv": "means and tests, one row per target or time",
    "summary.md": "the tables to read",
    "test_folds.csv": "in which fold each stimulus was held out",
    "tests_over_regions.csv": "pruned against full, paired over regions and sets",
    "tests_over_subjects.csv": "the same, paired over subjects, by region",
    "training": "loss and alignment over epochs",
}
"""By name; pictures by their name without an ending, which is ``.png``, ``.svg`` or ``.pdf``."""


def described(name: str, contents: Mapping[str, str] | None = None) -> str:
    """What a file of a results folder holds: by a command's own contents, else by :data:`FILES`; empty if unknown."""
    stem, _, ending = name.rpartition(".")
    known = {**FILES, **(contents or {})}
    unnumbered = re.sub(r"_\d+$", "", stem)
    for one in (name, f"{unnumbered}.{ending}", *((stem, unnumbered) if ending in ("png", "svg", "pdf") else ())):
        if one in known:
            return known[one]
    return ""


def of_parts(contents: Mapping[str, str], parts: str) -> dict[str, str]:
    """The same of a transformer, whose heads, channels, neurons or blocks were scored in place of feature maps."""
    if parts == "maps":
        return dict(contents)
    one = parts.removesuffix("s")
    swaps = ((r"\bfeature maps\b|\bmaps\b", parts), (r"\bmap\b", one))
    found = dict(contents)
    for name, words in contents.items():
        for old, new in swaps:
            found[name] = words = re.sub(old, new, words)
    return found
