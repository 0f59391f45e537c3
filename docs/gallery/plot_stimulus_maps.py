"""
Maps of the stimuli
===================

Multidimensional scaling (MDS) lays similar stimuli near each other: once with all features, once with those kept. The
pruned map is turned or mirrored to fit the full one, not scaled.
"""

# %%
# The animals, coloured by group. The features are those that at least half of the folds keep.

import numpy as np

import secateur as sc

animals = sc.datasets.load_imagenet_animals()
some = np.random.default_rng(0).permutation(398)[:150]  # fewer animals: easier to see
X, target, groups = animals.X[some], animals.target[np.ix_(some, some)], animals.groups[some]
result = sc.cross_validate(X, target, cv=5, seed=0)
sc.report.embedding(X, sc.report.consensus(result), groups)

# %%
# With ``pictures``, photographs take the places of the markers. Here patches of colour stand for photographs:
# features 0 and 1 are warmth and brightness, 12 others are noise, and people are said to have judged by colour.

rng = np.random.default_rng(2)
colour = rng.uniform(-1, 1, size=(36, 2))
X = np.hstack([colour, rng.normal(scale=0.4, size=(36, 12))])
warmth, light = (127 + 110 * colour).T
rgb = np.stack([warmth * (light / 255 + 0.3), light * 0.7, (255 - warmth) * (light / 255 + 0.3)], axis=1)
patches = np.broadcast_to(rgb.clip(0, 255).astype(np.uint8)[:, None, None], (36, 24, 24, 3))
pruner = sc.Pruner("sqeuclidean", kind="similarity").fit(X, sc.similarity(colour, "sqeuclidean"))
sc.report.embedding(X, pruner.support_, metric="euclidean", pictures=patches)
