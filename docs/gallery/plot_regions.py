"""
Regions of the brain
====================

Features pruned to each region, on two sets of images: within a set in folds, across sets, and without validation.
"""

# %%
# Two sets of 40 images, 60 features, three regions, five subjects. Early areas follow the first ten features, ventral
# ones the next ten.

import numpy as np

import secateur as sc

rng = np.random.default_rng(10)
layers = [rng.normal(size=(40, 60)) for _ in range(2)]
follows = {"early visual": range(10), "ventral": range(10, 20), "parietal": range(15, 30)}


def measured(X):
    spaces = {name: sc.similarity(X, subset=subset) for name, subset in follows.items()}
    return {name: space + rng.normal(scale=0.4, size=(5, len(space))) for name, space in spaces.items()}


sets = [measured(X) for X in layers]
result = sc.regions.four_tests({"fc7": layers}, sets, kind="similarity", cv=4, seed=0)

# %%
# Held out within each set: a line is a subject, a dot the mean over subjects with its standard error.

sc.report.regions(result, "within")

# %%
# Chosen on one set of images, scored on the other. This shows whether a region's features are the same for new
# images.

sc.report.regions(result, "across")

# %%
# How many features each region keeps, one set against the other.

sc.report.kept_by_region(result)

# %%
# The tests over subjects:

sc.regions.paired_tests(result, over="subjects").round(3).head(8)
