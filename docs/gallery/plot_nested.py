"""
A nested choice
===============

Metric, search and size chosen by held-out scores look better than they are, unless the choice is made again inside
each training set.
"""

# %%
# Candidates are scored on inner folds of the training stimuli; the winner of each outer fold is scored on stimuli
# that chose nothing.

import numpy as np

import secateur as sc

rng = np.random.default_rng(8)
X = rng.normal(size=(60, 80)) * rng.uniform(0.5, 2, size=80) + 0.5
target = sc.similarity(X, "correlation", subset=range(15)) + rng.normal(scale=0.3, size=60 * 59 // 2)
result = sc.nested(
    {"layer A": X, "layer B": rng.normal(size=(60, 80))},
    target,
    metrics=["cosine", "correlation", "dot"],
    searches=["ranking", "parsimonious"],
    pruner=sc.Pruner(kind="similarity"),
    cv=4,
    inner_cv=4,
)

# %%
# Left: the inner scores of each candidate in every outer fold, the chosen ones marked. Right: what the chosen ones
# reach outside.

sc.report.nested(result)

# %%
# What each outer fold chose:

sc.nested_table(result)
