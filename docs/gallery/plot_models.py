"""
Models side by side
===================

Which of several networks or layers fits people better, before and after pruning? And would the right one be found?
"""

# %%
# Three "layers" of 50 features. Twelve features of the second make what six people share.

import numpy as np

import secateur as sc

rng = np.random.default_rng(7)
layers = {name: rng.normal(size=(45, 50)) for name in ("conv3", "conv5", "fc7")}
layers["fc7"][:, :10] += layers["conv5"][:, :10]  # layers of one network have much in common
shared = sc.similarity(layers["conv5"], subset=range(12))
people = shared + rng.normal(scale=0.3, size=(6, len(shared)))
pruner = sc.Pruner(kind="similarity")
found = sc.compare_models(layers, people, ["full", "pruned"], pruner=pruner, cv=4, n=99, seed=0)

# %%
# A bar is a mean with its interval over stimuli and subjects; the band is the noise ceiling; lines join models that
# differ after Holm's correction.

sc.report.models(found)

# %%
# The differences themselves:

sc.models.differences_table(found)[["difference", "lower", "upper", "p_holm"]].round(3)

# %%
# Model recovery: targets are simulated from each model, and every model is fitted to them. A method that fits
# everything equally well can't tell who made the data.

sc.report.recovery(sc.model_recovery(layers, n=4, noise=[1, 3, 9], subjects=4, cv=4, seed=0))
