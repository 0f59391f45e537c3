"""
Trees, and clusters held against WordNet
========================================

The same spaces as trees (complete linkage). Do clusters of the pruned features lie closer to a taxonomy?
"""

# %%
# Strips below the trees show the groups; the dashed line cuts each tree in eight clusters.

import secateur as sc

animals = sc.datasets.load_imagenet_animals()
result = sc.cross_validate(animals.X, animals.target, cv=3, seed=0)
sc.report.dendrograms(animals.X, sc.report.consensus(result), animals.groups, clusters=8)

# %%
# In numbers: the test animals of each fold are clustered by themselves, with the features that the fold kept, and
# each cluster is compared (Jaccard index) with the animals under the same grandparent in WordNet. ``beyond`` is the
# difference beyond what cluster sizes alone make, with its interval over groups of categories.

given = animals.X, result, animals.synsets, animals.hypernyms
full, pruned = (sc.taxonomy.held_out_jaccard(*given, space=space) for space in ("full", "pruned"))
sc.taxonomy.concordance_table(full, pruned).round(3)
