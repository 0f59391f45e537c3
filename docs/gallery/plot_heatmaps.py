"""
Heatmaps: which part of an image matters
========================================

Maps of a convolution are weighted by what each adds to an image's alignment with people. Held beside the plain mean
of the maps, one sees what the weights add.
"""

# %%
# Images with a coloured disc and a striped square. People are said to have judged the disc's colour; stripes mean
# nothing to them.

import numpy as np
import torch

import secateur as sc

rng = np.random.default_rng(11)
y, x = np.mgrid[:64, :64]
images = np.full((18, 64, 64, 3), 120.0)
hue = np.linspace(0, 2 * np.pi, 18, endpoint=False)
for image, angle in zip(images, hue, strict=True):
    sides = rng.permutation([16, 48])
    disc = (x - sides[0]) ** 2 + (y - rng.integers(16, 48)) ** 2 < 120
    image[disc] = 120 + 100 * np.cos(angle - np.array([0, 2.1, 4.2]))
    square = (abs(x - sides[1]) < 11) & (abs(y - rng.integers(16, 48)) < 11)
    image[square] = (120 + 90 * np.sign(np.sin((x if rng.random() < 0.5 else y)[square])))[:, None]
people = np.cos(hue[:, None] - hue)  # similarities of the colours

# %%
# A small network whose filters are known: six see colours, six see edges.

colours = np.cos(np.arange(6)[:, None] * np.pi / 3 - np.array([0, 2.1, 4.2]))[:, :, None, None] * np.ones((5, 5)) / 25
edges = np.array([np.outer(np.sin(np.arange(5) + k), np.ones(5)) for k in range(3)])
edges = np.stack([*edges, *edges.transpose(0, 2, 1)])[:, None].repeat(3, 1) / 25
body = torch.nn.Sequential(
    torch.nn.Conv2d(3, 12, 5, padding=2, bias=False), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
)
body[0].weight.data = torch.tensor(np.concatenate([colours, edges]), dtype=torch.float32)
looks = sc.networks.Preprocessing(resize=64, crop=64, mean=(0.47,) * 3, std=(0.25,) * 3)
net = sc.networks.wrap(body, trunk=["0", "1"], neck=["2", "3"], preprocessing=looks)

# %%
# The importance of each map in each image, and the heatmaps.

images = images.astype(np.uint8)
scores = sc.feature_maps.alignment_importance(net, images, people, kind="similarity", per_image=True)
heat = sc.heatmaps.heatmap(net, images, scores)
plain = sc.heatmaps.heatmap(net, images, np.ones(12))
alignment = scores.image_baseline.values
sc.report.overlays(sc.heatmaps.seen(net, images), heat, images=range(4), plain=plain, alignment=alignment)

# %%
# All images on one sheet:

sc.report.contact_sheet(sc.heatmaps.seen(net, images), heat, columns=6)
