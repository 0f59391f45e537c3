"""
Occlusion
=========

Parts of an image are covered, and the network looks again: where does the alignment of this image's similarities
fall? This needs no feature maps, and one run of the network per place.
"""

# %%
# Faces drawn with a brush: a network of random weights looks at them. The target follows the mouth alone.

import numpy as np
import torch

import secateur as sc

rng = np.random.default_rng(13)
y, x = np.mgrid[:48, :48]
bend = np.linspace(-1, 1, 10)  # from sad to happy
images = np.full((10, 48, 48, 3), 40, dtype=np.uint8)
for image, bow in zip(images, bend, strict=True):
    image[(x - 24) ** 2 + (y - 24) ** 2 < 480] = (200, 170, 140)
    for side in (15, 33):
        image[(x - side) ** 2 + (y - 17) ** 2 < rng.integers(6, 16)] = 20
    image[(abs(x - 24) < 11) & (abs(y - 35 + bow * ((x - 24) ** 2 - 40) / 16) < 2)] = (150, 20, 30)
target = -np.abs(bend[:, None] - bend)  # similar where the mouth is

_ = torch.manual_seed(0)
body = torch.nn.Sequential(
    torch.nn.Conv2d(3, 24, 5, padding=2), torch.nn.ReLU(), torch.nn.AvgPool2d(8), torch.nn.Flatten()
)
looks = sc.networks.Preprocessing(resize=48, crop=48, mean=(0.4,) * 3, std=(0.3,) * 3)
net = sc.networks.wrap(body, trunk=["0", "1"], neck=["2", "3"], layers={"penultimate": "3"}, preprocessing=looks)

# %%
# Every fall is the loss of alignment when a mask of that size covers the place; masks of two sizes are averaged where
# they overlap.

result = sc.occlusion.occlude(net, images, target, kind="similarity", sizes=(12, 16), stride=6, metric="correlation")
sc.report.overlays(sc.heatmaps.seen(net, images), result["drop"], images=[0, 3, 6, 9], title="Loss by occlusion")
