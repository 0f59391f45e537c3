"""
Beside reweighting
==================

Choosing features, or giving each a weight? Both on the same folds of the stimuli, with as many features chosen
without labels beside them.
"""

# %%
# 90 of the animals, and 100 of the features. ``"ridge"`` learns a weight for every feature, ``"lasso"`` weights of
# which many are zero; ``"variance"`` and ``"random"`` keep as many features as pruning, and never see the target.

import numpy as np

import secateur as sc

animals = sc.datasets.load_imagenet_animals()
some = np.random.default_rng(0).permutation(398)[:90]
X, target = animals.X[some, :100], animals.target[np.ix_(some, some)]
methods = ["full", "pruned", "ridge", "lasso", "variance", "random"]
result = sc.compare(X, target, methods, cv=5, seed=0)

# %%
# A bar is the mean over folds with its SD, a point is a fold.

sc.report.comparison(result)

# %%
# As a table. ``nodes`` is how many features a method uses.

sc.comparison_table(result)[["test", "test_sd", "nodes"]].round(3)
