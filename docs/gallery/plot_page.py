"""
One page for one target
=======================

The page of ``secateur demo``: 398 animals of ImageNet, as the 1280 weights that a network (EfficientNet-lite0) gives
to each class, pruned to how near the animals are in WordNet.
"""

# %%
# Cross-validation chooses features on four fifths of the animals and scores them on the rest. The final set is chosen
# from all of them: matrices and maps show that one.

import secateur as sc

animals = sc.datasets.load_imagenet_animals()
pruner = sc.Pruner(metric="cosine", comparator="pearson")
result = sc.cross_validate(animals.X, animals.target, pruner, cv=5, seed=0)
final = sc.final_set(animals.X, animals.target, pruner)

# %%
# The null relabels the animals of the target and prunes again. With 19 relabellings the least p is 0.05; use 1000 for
# a paper.

null = sc.permutation_test(animals.X, animals.target, n=19, pruner=pruner, cv=5, seed=0)

# %%
# Read it from the upper left: training alignment while features are added, alignment on animals that the pruning did
# not see, the null; below, the space before, after, and the target.

title = "ImageNet animals, pruned to WordNet"
sc.report.page(animals.X, animals.target, result, null, animals.groups, title=title, final=final)
