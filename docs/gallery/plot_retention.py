"""
What a pruned network still classifies
======================================

A network pruned to similarities has a classifier too. Without any training, how much does it still know, do the
networks of the folds agree, and where do errors go?
"""

# %%
# The classifier is real: EfficientNet-lite0's weights for 398 animals, which are also what is pruned. Photographs are
# not bundled, so their activations are made up: the weights of the class and noise. With photographs: ``activations =
# sc.networks.embed(net, folder)``.

import numpy as np
import torch
import xarray

import secateur as sc

animals = sc.datasets.load_imagenet_animals()
rng = np.random.default_rng(17)
truth = np.arange(398)  # one image of each class
activations = animals.X + 7 * animals.X.std() * rng.normal(size=animals.X.shape)
trunk, pool = (
    torch.nn.Conv2d(3, 1280, 1),
    torch.nn.AdaptiveAvgPool2d(1),
)  # what comes before the classifier is not used here
body = torch.nn.Sequential(trunk, pool, torch.nn.Flatten(), torch.nn.Linear(1280, 398, bias=False))
body[3].weight.data = torch.tensor(animals.X).float()
net = sc.networks.wrap(body, trunk=["0"], neck=["1", "2"], classifier=["3"], name="classifier of lite0", size=8)

# %%
# Each fold keeps features of its own. Beside it, as many features at random.

kept = sc.cross_validate(animals.X, animals.target, cv=5, seed=0).kept.values[0]
versions = {"pruned": kept, "random": np.array([rng.permutation(fold) for fold in kept])}
result = sc.networks.retention.accuracy(net, activations, truth, versions)
agreed = sc.networks.retention.correspondence(net, activations, kept)
result["correspondence_mean"] = agreed.correlation.mean("stimulus")
mammals = animals.groups == "mammal"
result = result.merge(
    sc.networks.retention.error_shift(net, activations, mammals, truth, versions), combine_attrs="drop"
)
result = xarray.concat([result], "target").assign_coords(target=["WordNet"])

# %%
# Some 40 of 1280 features keep little more of the classes than as many at random: what similarities need is not what
# a classifier needs. The dashed line is the network as it is.

sc.report.classification(result)

# %%
# Do two folds' networks answer alike (left), and do errors land among mammals (right)?

sc.report.consistency(result)
