"""
Several subjects
================

Each subject's matrix is a target of its own: pruned to, scored out of sample, and tested over subjects.
"""

# %%
# Ten people who share what they judge by (10 of 60 features), each with noise of their own.

import numpy as np

import secateur as sc

rng = np.random.default_rng(3)
X = rng.normal(size=(48, 60))
shared = sc.similarity(X, subset=range(10))
people = shared + rng.normal(scale=[[0.2 + 0.05 * person] for person in range(10)], size=(10, len(shared)))
result = sc.cross_validate(X, people, sc.Pruner(kind="similarity"), cv=5, seed=0)

# %%
# Left: everyone, all features against those kept, with the mean. Right: every person alone. Folds of one person
# share stimuli; people do not share noise, so the test is over people.

result.attrs["targets"] = "subjects"
sc.report.overview(result, title="Ten simulated people")

# %%
# The same as numbers, and the ceiling: how well could any model do, given how much people agree?

print(sc.summary(result)[["full_test", "pruned_test", "n_kept"]].round(3))
ceiling = sc.noise_ceiling(people)
print(f"noise ceiling: {float(ceiling.lower):.2f} to {float(ceiling.upper):.2f}")
