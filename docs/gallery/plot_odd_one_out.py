"""
Odd ones out
============

People see three stimuli and say which is the odd one. Such choices are targets too: how many of them do features make
as people did?
"""

# %%
# 4000 simulated choices by people who look at 6 of 40 features. The third stimulus of a row is the odd one.

import numpy as np

import secateur as sc

rng = np.random.default_rng(9)
X = rng.normal(size=(50, 40))
triplets = sc.odd_one_out.simulate(sc.similarity(X, subset=range(6)), 4000, temperature=0.1, seed=0)
print("all features make", round(sc.choice_accuracy(X, triplets), 3), "of the choices; chance is 1/3")

# %%
# Features chosen by the alignment with how often each pair was kept together, and scored on triplets wholly of
# stimuli that were left out.

result = sc.odd_one_out.cross_validate(X, triplets, by="alignment", cv=5, seed=0)
print("held out: all features {full_test:.3f}, pruned {pruned_test:.3f}".format(**result.attrs))

# %%
# The same choices as a target of pairs, which all pictures take: insertion curves and held-out alignment.

target = sc.targets.from_triplets(triplets, n=50)
pairs = sc.cross_validate(X, target, cv=5, seed=0)
sc.report.insertion_curves(pairs)

# %%
# Held out:

sc.report.held_out(pairs)
