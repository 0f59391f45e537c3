"""
Similarity matrices before and after
====================================

The full space, the pruned one and the target, stimuli in one order.
"""

# %%
# 398 animals, sorted by group. In ranks, each matrix uses the whole range of colours, so that patterns can be held
# against each other.

import secateur as sc

animals = sc.datasets.load_imagenet_animals()
result = sc.cross_validate(animals.X, animals.target, cv=5, seed=0)
sc.report.matrices(animals.X, result, animals.target, groups=animals.groups)

# %%
# In values, the full and the pruned space share a scale: pruned features spread the similarities out.

sc.report.matrices(animals.X, result, animals.target, groups=animals.groups, scale="value")
