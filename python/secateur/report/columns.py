"""What the columns of tables and the variables of netCDF files mean, by their names: for a folder's data dictionary.

A name means the same in all folders (:data:`COLUMNS`), or something of its own in those of one command (:data:`OWN`),
or in one file there (``"file:name"``). ``"file:*"`` is what all further columns of a file hold.
"""

from __future__ import annotations

import re

__all__ = ["COLUMNS", "OWN", "column_words", "course_words", "words_of"]

_ALIGNMENT = "in units of the comparator (settings.json), as correlations are: 1 at most"
COLUMNS = {
    "target": "name of the target, or its position, counted from 0",
    "feature": "name of the feature, or its index, counted from 0",
    "index_from_0": "column of the feature in FEATURES, counted from 0 (Python)",
    "index_from_1": "column of the feature in FEATURES, counted from 1 (MATLAB, R, Julia)",
    "final": "whether the feature is in the final set, chosen on all stimuli: the result",
    "rank": "place in the order of the fit on all stimuli, from 1; the final set comes first",
    "importance": (
        "in the fit on all stimuli: alignment of all features minus the alignment without this one (searches step by "
        "step: what its entry added; stable: the share of halves that chose it)"
    ),
    "majority": "whether at least half of the folds kept the feature",
    "frequency": "share of folds that kept the feature, 0 to 1",
    "folds_kept": "number of folds that kept the feature",
    "folds": "number of folds",
    "mean_importance": "mean over folds of the importance in their training stimuli; empty where it was indispensable",
    "fold": "fold, counted from 0",
    "repeat": "round of folds, counted from 0",
    "n_train": "stimuli that the fold learnt from",
    "n_test": "stimuli that the fold held out",
    "full_train": f"alignment of all features among the training stimuli (in-sample), {_ALIGNMENT}",
    "full_test": f"alignment of all features among the test stimuli (held out), {_ALIGNMENT}",
    "pruned_train": f"alignment of the kept features among the training stimuli (in-sample), {_ALIGNMENT}",
    "pruned_test": f"alignment of the kept features among the test stimuli (held out), {_ALIGNMENT}",
    "gain": "pruned_test minus full_test; the mean over folds in summary.csv",
    "n_kept": "features kept",
    "n_features": "features that there are; in curve.csv, of the set that the row scores",
    "undefined_pairs": "pairs of test stimuli that the kept features leave without a similarity: not scored",
    "ceiling_lower": "lower noise ceiling: alignment with the mean of the other targets, among the test stimuli",
    "ceiling_upper": "upper noise ceiling: alignment with the mean of all targets, among the test stimuli",
    "stimulus": "name of the stimulus, or its position, counted from 0",
    "group": "group of the stimulus",
    "fold_mean": f"training alignment of the folds' sets of this size, mean, {_ALIGNMENT}",
    "fold_sd": "its standard deviation over folds",
    "all_stimuli": f"alignment of the set of this size in the fit on all stimuli (in-sample), {_ALIGNMENT}",
    "t": "paired t of pruned against full over folds: it describes them",
    "df": "degrees of freedom of t",
    "p": "two-sided p of t; descriptive, since folds share stimuli; empty where folds share test stimuli",
    "p_gain": "p of the gain, from relabellings of the stimuli",
    "below_zero": "whether the pruned alignment ends below zero, so that no gain is evidence of a fit",
    "p_permutation_pruned_test": "one-sided p of pruned_test, from relabellings of the stimuli",
    "p_permutation_gain": "one-sided p of the gain, from relabellings of the stimuli",
    "p_permutation_gain_holm": "the same, corrected for the number of regions (Holm)",
    "permutations": "number of relabellings",
    "test": "whether the stimulus was held out in the fold",
    "test_pairs": "pairs of test stimuli with weight: those that a score is of",
    "step": "number of features of a set, from 1",
    "kept": "whether the fold (in final_set.nc: the fit on all stimuli) kept the feature",
    "curve": f"training alignment of the best set of each number of features, {_ALIGNMENT}",
    "permutation": "relabelling of the stimuli, counted from 0",
    "resample": "draw of the bootstrap, counted from 0",
    "bound": "lower or upper end",
    "approach": "method: full, pruned, or a reweighting",
    "layer": "layer of the network",
    "subject": "name of the subject, or its position, counted from 0",
    "region": "name of the region",
    "set": "name of the image set",
    "metric": "similarity of two stimuli",
    "search": "how features are searched",
    "prunes_by": "comparator that the pruning goes by",
    "max_features": "most features that may be kept; empty where any number may",
}
# What the same words mean in other folders: of a time course (subjects, times), of a network's maps.
_TIME = "in units of the comparator (settings.json); mean over subjects, or over the folds of one subject"
COURSE_COLUMNS = {
    "full": f"held-out alignment of all features at this time, {_TIME}",
    "pruned": f"held-out alignment of the kept features at this time, {_TIME}",
    "gain": f"pruned minus full at this time, {_TIME}",
    "n_kept": "features kept at this time, mean over subjects or folds",
    "subjects": "subjects whose scores are defined at this time",
    "t": "paired t over subjects of the gain in Fisher's z",
    "df": "degrees of freedom of t",
    "p": "p of t, not corrected over times (settings.json says which side)",
    "d": "Cohen's d, paired",
    "q": "p corrected over times by the false discovery rate (Benjamini-Hochberg)",
    "significant": "whether q is at most the level of the test",
    "cluster": "number of the cluster of times that the time belongs to, 0: none",
    "cluster_mass": "sum of t over the cluster",
    "cluster_p": "p of the cluster by sign flips over subjects, corrected over times",
    "ceiling_lower": "lower noise ceiling: alignment of a subject with the mean of the others, among the test stimuli",
    "ceiling_upper": "upper noise ceiling: alignment of a subject with the mean of all, among the test stimuli",
    "mean_share": "share of folds that kept the feature, mean over subjects and times, 0 to 1",
    "share_then": "share of folds that kept the feature at the time when most did, mean over subjects",
}
_COURSE_STARTS = {
    "permutation_": "of the null over features, from relabellings of the stimuli: ",
    "time_": "time, in the unit that the name ends in; of a window its middle",
    "window_start_": "first time of the window, in the unit that the name ends in",
    "window_stop_": "last time of the window, in the unit that the name ends in",
    "most_at_": "time at which most folds kept the feature, in the unit that the name ends in",
}
_ENDS = {
    "_sd": "its standard deviation over folds",
    "_r2": "the square of its mean over folds, with its sign",
    "_lower": "lower end of its bootstrap interval",
    "_upper": "upper end of its bootstrap interval",
}

_HELD_OUT = f"among the test stimuli (held out), {_ALIGNMENT}"

_OF_NULL = "mean over folds, of relabelled stimuli: the null"
_PRUNING = {
    "permutations.nc:pruned_test": f"held-out alignment of the kept features, {_OF_NULL}, {_ALIGNMENT}",
    "permutations.nc:gain": f"pruned minus full, {_OF_NULL}, {_ALIGNMENT}",
    "bootstrap.nc:full_test": f"held-out alignment of all features in each draw, {_ALIGNMENT}",
    "bootstrap.nc:pruned_test": f"held-out alignment of the kept features in each draw, {_ALIGNMENT}",
    "bootstrap.nc:gain": "pruned_test minus full_test in each draw",
    "undefined_resamples": "draws of the bootstrap without any score, left out",
    "summary.csv:target": COLUMNS["target"],
    "features_pruned.csv:*": "value of the feature of that name",
    "rdm_pruned.csv:*": "dissimilarity to the stimulus of that name",
}
_COURSE = {
    **COURSE_COLUMNS,
    "time": "time, in the unit that its attribute says; of a window its middle",
    "time_scored": "time at which features kept at another time are scored, in the same unit",
    "window_start": "first time of the window",
    "window_stop": "last time of the window",
    "selection": "share of folds that kept the feature, 0 to 1",
    "generalisation_full": f"held-out alignment of all features at time_scored, {_ALIGNMENT}",
    "generalisation_pruned": f"alignment at time_scored of the features kept at time, {_HELD_OUT}",
    "kept_features.csv:feature": COLUMNS["feature"],
    "course.nc:n_kept": "features kept in the fold",
    "alternative": "side of the test",
}
_NETWORK = {
    "embedding": "what the layer answers to the image",
    "embedding.csv:*": "value of the feature of that name",
    "X": "what the layer answers to the image (images × features)",
    "stimuli": "names of the images",
    "feature": "name of the feature or feature map, or its index, counted from 0",
    "stimulus": "name of the image",
    "image": "name of the image",
    "category": "folder of the image",
    "y": "row of the pixel, from the top",
    "x": "column of the pixel, from the left",
    "heatmap": "mean of the maps, weighted by their importance where that is positive; in the maps' units",
    "empty": "whether no map of the image has a positive importance, so that its heatmap is zero throughout",
    "undefined_maps": "maps of the image whose importance is undefined",
    "map": "feature map, counted from 0",
    "part": "part of the network, by block and index",
    "block": "block of the network, counted from 0",
    "index": "head, neuron or channel in the block, counted from 0",
    "baseline": f"alignment of all maps or parts, {_ALIGNMENT}",
    "image_baseline": f"the same, over the pairs of one image with all others, {_ALIGNMENT}",
    "importance": "alignment with all maps or parts minus the alignment without this one",
    "image_importance": "the same, over the pairs of one image with all others",
    "precision": "share of the salient pixels that are warm",
    "recall": "share of the warm pixels that are salient",
    "heat_percentile": "percentile of the heatmap above which a pixel is warm",
    "saliency_percentile": "percentile of the saliency map above which a pixel is salient",
    "relative_risk": "probability of a warm pixel to be salient, by that of another: given_salient / given_not",
    "given_salient": "probability of heat where it is salient",
    "given_not": "probability of heat where it is not salient",
    "top": "percent of the pixels that count as warm and as salient",
    "group": "category of the images, or all",
    "mean": "mean relative risk over the images where it is finite",
    "sd": "its standard deviation over images",
    "median": "median relative risk",
    "above_one": "share of the images with a risk above 1",
    "images": "number of images",
    "infinite": "images with an infinite risk: every warm pixel is salient",
    "undefined": "images without a risk: an empty heatmap or a flat saliency map",
    "left": "left edge of the network's view in the photograph, in its pixels",
    "upper": "upper edge of the network's view in the photograph, in its pixels",
    "right": "right edge of the network's view in the photograph, in its pixels",
    "lower": "lower edge of the network's view in the photograph, in its pixels",
    "width": "width of the photograph, in pixels",
    "height": "height of the photograph, in pixels",
    "chance_pruned_test": "held-out alignment of the selected, mean over folds, with the target relabelled: the null",
    "chance_gain": "selected minus all, mean over folds, with the target relabelled: the null",
}
_COMPARED = {
    "train_alignment": f"alignment among the training stimuli (in-sample), {_ALIGNMENT}",
    "test_alignment": f"alignment {_HELD_OUT}",
    "nodes": "features with a weight other than zero; empty where the method doesn't say",
    "penalty": "penalty that the method chose within the training stimuli; NaN where it has none",
    "dimensions": "dimensions that the method chose within the training stimuli; NaN where it has none",
    "undefined_pairs": "pairs of test stimuli without a similarity: not scored",
    "chance": f"test alignment with relabelled targets, mean over folds, {_ALIGNMENT}",
    "predicted": "similarity of the pair that the method predicts; NaN but for pairs of test stimuli",
    "train": f"mean over folds of the alignment among the training stimuli (in-sample), {_ALIGNMENT}",
    "comparison.csv:test": f"mean over folds of the alignment {_HELD_OUT}",
    "below_zero": "whether the held-out alignment is below zero, so that a gain is no evidence of a fit",
    "p_test": "one-sided p that the held-out alignment is above chance, from relabellings of the stimuli",
}
_FINETUNING = {
    **_COMPARED,
    "epoch": "epoch of the training; 0 is before it",
    "loss": "mean loss of the training pairs in the epoch",
    "history.csv:*": "alignment of the layer of that name on held-out images after the epoch",
}
_FMRI = {
    "test": "which of the four tests: behaviour, within, across, upper_bound",
    "space": "image set that is scored, with all features or pruned",
    "full": f"alignment of all features, {_ALIGNMENT}; mean in tables",
    "pruned": f"alignment of the kept features, {_ALIGNMENT}; mean in tables",
    "full_fold": f"alignment of all features in each fold of the test within, {_HELD_OUT}",
    "pruned_fold": f"alignment of the kept features in each fold of the test within, {_HELD_OUT}",
    "n_kept": "features kept, mean over folds where there are some",
    "n_kept_fold": "features kept in each fold of the test within",
    "improved": "measurements that pruning raised",
    "n": "measurements",
    "t": "paired t of pruned against full, in Fisher's z",
    "p": "one-sided p of t: pruned above full",
    "d": "Cohen's d of the paired differences",
    "p_fdr": "p corrected over the regions of a test and layer by the false discovery rate (Benjamini-Hochberg)",
    "scores.csv:*": f"alignment in the region of that name, mean over subjects, {_ALIGNMENT}",
    "nodes.csv:*": "features kept for the region of that name",
}
_MODELS = {
    "model": "network or layer",
    "space": "full, pruned, or a reweighting",
    "test_alignment": f"alignment {_HELD_OUT}",
    "nodes": "features with a weight other than zero",
    "undefined_pairs": "pairs of test stimuli without a similarity: not scored",
    "score": f"held-out alignment, mean over folds and targets, {_ALIGNMENT}",
    "error_score": "its standard error",
    "interval_score": "ends of its 95 % interval",
    "pair": "the two that are compared, first minus second",
    "difference": "score of the first minus score of the second",
    "error_difference": "its standard error",
    "interval_difference": "ends of its 95 % interval",
    "lower": "lower end of the 95 % interval",
    "upper": "upper end of the 95 % interval",
    "t": "difference by its standard error",
    "p": "two-sided p of t",
    "p_holm": "p corrected within the family for any false find (Holm)",
    "q": "p corrected within the family by the false discovery rate (Benjamini-Hochberg)",
    "family": "what p is corrected within: all models in one space, or all spaces of one model",
    "a": "score of the first",
    "b": "score of the second",
    "model_a": "model of the first",
    "model_b": "model of the second",
    "space_a": "space of the first",
    "space_b": "space of the second",
    "ceiling": f"lower and upper noise ceiling, {_ALIGNMENT}",
    "noise": "noise of the simulated targets, by the spread of what is measured",
    "made_by": "model that made the simulated target",
    "chosen": "share of the simulated targets for which the model has the highest score",
    "accuracy": "share of the simulated targets that the model that made them wins",
    "accuracy_error": "its standard error",
}
_NESTED = {
    "candidate": "candidate, counted from 0: a layer, metric, comparator, search and size",
    "chosen": "candidate that the inner folds chose",
    "inner_score": f"alignment among the test stimuli of the inner folds, mean, {_ALIGNMENT}",
    "candidate_test": f"what the candidate reaches {_HELD_OUT}",
    "candidates.csv:test": f"what the candidate reaches {_HELD_OUT}; mean over outer folds",
    "folds_chosen": "outer folds that chose the candidate",
    "folds": "number of outer folds",
    "fold": "outer fold, counted from 0",
    "full_test": f"alignment of all features of the chosen layer {_HELD_OUT}",
    "pruned_test": f"alignment of what was chosen {_HELD_OUT}",
    "null_pruned_test": "pruned_test, mean over folds, of relabelled stimuli, with the choice made anew: the null",
    "p_pruned_test": "one-sided p of pruned_test, from relabellings of the stimuli",
    "p": "one-sided p of the whole procedure, from relabellings of the stimuli",
}
_RETENTION = {
    "version": "network: full, pruned, or reweighted",
    "top1": "share of the images whose own class is the first",
    "top5": "share of the images whose own class is among the first five",
    "rank": "place of the image's own class, counted from 0",
    "predicted": "class that the network puts first, counted from 0",
    "truth": "the image's own class, counted from 0",
    "correspondence_mean": "Pearson r of two folds' class probabilities, mean over images",
    "correspondence_min": "the least r of an image",
    "correspondence_max": "the largest r of an image",
    "fold_a": "first fold of the pair",
    "fold_b": "second fold of the pair",
    "place": "images in or out of the category",
    "images": "number of images",
    "errors": "images whose own class is not among the first five",
    "landed": "those of them that the network takes for a member of the category",
    "share": "landed by errors",
    "multiplier": "what the feature is multiplied by: 0 or 1 where pruned, a weight's root where reweighted",
    "stimulus": "name of the image",
}
_SIMILARITY = _COMPARED | {"test": COLUMNS["test"]}
_TAXONOMY = {
    "cut": "number of clusters that the tree is cut into",
    "space": "all features, or those that the fold kept",
    "category": "category of animals, by its synset",
    "label": "its name",
    "group": "its group",
    "above": "ancestor in WordNet that its neighbours share",
    "jaccard": "Jaccard index of the category's neighbours in WordNet and in its cluster, among test categories",
    "chance": "what the sizes of the clusters alone give",
    "jaccard_of_all": "Jaccard index with all categories in one tree of all features (in-sample)",
    "cluster": "cluster of the category in that tree",
    "neighbours": "neighbours of the category in WordNet",
    "scored": "whether the category is scored, or why not",
    "full": "mean Jaccard index of all features, held out",
    "pruned": "mean Jaccard index of the kept features, held out",
    "difference": "pruned minus full",
    "beyond": "difference minus what the sizes of the clusters alone make",
    "lower": "lower end of its 95 % interval over groups",
    "upper": "upper end of its 95 % interval over groups",
    "categories": "categories that both score",
    "groups": "groups that the interval is over",
    "concordance.csv:chance": "difference that the sizes of the clusters alone make",
}
OWN = {
    "pruning": _PRUNING, "course": _COURSE, "network": _NETWORK, "finetuning": _FINETUNING, "fmri": _FMRI,
    "models": _MODELS, "nested": _NESTED, "retention": _RETENTION, "similarity": _SIMILARITY, "taxonomy": _TAXONOMY,
}  # fmt: skip

# What stands before a name, and what it makes of it.
_STARTS = {
    "observed_mean_": "mean over targets of what was observed: ",
    "observed_": "as observed, mean over folds: ",
    "interval_": "ends of the bootstrap interval: ",
    "error_": "standard error: ",
    "p_max_": "p against the largest null value of all targets (family-wise): ",
    "p_mean_": "p of the mean over targets: ",
    "p_holm_": "p corrected for the number of methods (Holm), against the method: ",
    "gain_": "held-out alignment minus that of the method: ",
    "t_": "paired t over folds (a description), against the method: ",
    "p_": "p, from relabellings of the stimuli: ",
    "kept_": "whether the feature was kept, of the layer: ",
    "feature_": "name of the feature, or its index, counted from 0, of the layer: ",
    "ceiling_": "noise ceiling: ",
    "permutation_": "of the null over features, from relabellings of the stimuli: ",
    "cluster_p_": "p of the cluster of times, corrected over times: ",
    "cluster_mass_": "sum of z over the cluster of times: ",
    "cluster_": "number of the cluster of times that the time belongs to, 0: none: ",
}


def words_of(context: str, file: str, name: str) -> str | None:
    """What a column or a variable of a file holds; None where nothing is known of it.

    Parameters
    ----------
    context : str
        Whose folder: a key of :data:`OWN`.
    file : str
        The file's name, without the number of a target.
    name : str
        The column or variable.
    """
    own = OWN[context]
    for key in (f"{file}:{name}", name):
        if key in own:
            return own[key]
    known = course_words(name) if context == "course" else column_words(name)
    if known is None:
        for end, words in _ENDS.items():
            if name.endswith(end) and name.removesuffix(end) in own:
                known = f"{name.removesuffix(end)}: {words}"
    if known is None:
        start = next((start for start in _STARTS if name.startswith(start)), None)
        known = None if start is None else _STARTS[start] + name.removeprefix(start).replace("_", " ")
    return own.get(f"{file}:*") if known is None else known


def column_words(column: str) -> str | None:
    """What a column holds; None where nothing is known of it."""
    if column in COLUMNS:
        return COLUMNS[column]
    for end, words in _ENDS.items():
        if column.endswith(end) and column.removesuffix(end) in COLUMNS:
            return f"{column.removesuffix(end)}: {words}"
    if re.fullmatch(r"fold_of_repeat_\d+", column):
        return "the fold in which the stimulus was held out, counted from 0; empty where in none"
    return None


def course_words(column: str) -> str | None:
    """What a column of a time course's tables holds."""
    if column in COURSE_COLUMNS:
        return COURSE_COLUMNS[column]
    if column.endswith("_sem") and column.removesuffix("_sem") in COURSE_COLUMNS:
        return f"{column.removesuffix('_sem')}: standard error over subjects"
    for start, words in _COURSE_STARTS.items():
        if column.startswith(start):
            own = column.removeprefix(start).replace("_", " ")
            return words + (own if words.endswith(": ") else "")
    return column_words(column)
