"""
Insertion curves
================

Features enter one by one, the most important first. Alignment with the target rises, reaches a maximum, and falls as
features enter that say nothing about it.
"""

# %%
# A planted truth: 12 of 200 features make the target, the others are noise to it.

import numpy as np

import secateur as sc

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 200))
target = X[:, :12] @ X[:, :12].T  # similarities of 60 stimuli
result = sc.cross_validate(X, target, cv=5, seed=0)

# %%
# One line per fold, its maximum marked. This is alignment among *training* stimuli: the best prefix was chosen there,
# so its height is no evidence.

sc.report.insertion_curves(result)

# %%
# What the features reach on the stimuli that were left out, a pair of points per fold.

sc.report.held_out(result)

# %%
# Planted features among those that every fold keeps, and how often each is kept:

kept = sc.kept_features(result)
print(kept.head(15))
