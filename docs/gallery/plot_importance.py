"""
Two networks' feature maps
==========================

How important are the maps of two networks, which images drive the most important ones, and do the networks' heatmaps
agree?
"""

# %%
# Pictures of coloured blots, judged by colour, and two small networks with random weights: the first sees colour, the
# second light alone.

import numpy as np
import torch

import secateur as sc

rng = np.random.default_rng(14)
y, x = np.mgrid[:40, :40]
hue = rng.uniform(0, 2 * np.pi, size=(30, 1))
ink = 120 + 100 * np.cos(hue - np.array([0, 2.1, 4.2]))
images = np.full((30, 40, 40, 3), 110, dtype=np.uint8)
for image, colour in zip(images, ink, strict=True):
    for at in rng.uniform(6, 34, size=(3, 2)):
        image[(x - at[0]) ** 2 + (y - at[1]) ** 2 < rng.uniform(20, 60)] = colour
people = np.cos(hue - hue.T)


def network(name, seed, grey):
    torch.manual_seed(seed)
    first, last = torch.nn.Conv2d(3, 40, 5, padding=2), torch.nn.Linear(40, 10)
    if grey:
        first.weight.data[:] = first.weight.data.mean(1, keepdim=True)
    last.weight.data *= 40  # so that it is sure of some images
    pooled = (torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    body = torch.nn.Sequential(first, torch.nn.ReLU(), *pooled, last)
    looks = sc.networks.Preprocessing(resize=40, crop=40, mean=(0.43,) * 3, std=(0.2,) * 3)
    parts = {"trunk": ["0", "1"], "neck": ["2", "3"], "classifier": ["4"]}
    return sc.networks.wrap(body, **parts, preprocessing=looks, name=name)


nets = network("colour", 0, False), network("grey", 1, True)
how = {"kind": "similarity", "per_image": True}
scores = [sc.feature_maps.alignment_importance(net, images, people, **how) for net in nets]

# %%
# How importance is spread over maps and images, with Kolmogorov-Smirnov tests between the networks.

sc.report.importance_histograms(*scores)

# %%
# Where do both networks look? Match is the correlation of their heatmaps of an image; doubt is the entropy of class
# probabilities.

heat = [sc.heatmaps.heatmap(net, images, one, progress=False) for net, one in zip(nets, scores, strict=True)]
doubt = [sc.heatmaps.entropy(net, images) for net in nets]
sc.report.agreement(sc.heatmaps.agreement(*heat, doubt))
