"""
What drives a feature
=====================

The images that a kept feature answers to most, for the features that matter most.
"""

# %%
# Patches of texture, and a network whose filters are random. The target follows the direction of the stripes.

import numpy as np
import torch

import secateur as sc
from secateur.report.drivers import best_images

rng = np.random.default_rng(15)
y, x = np.mgrid[:32, :32]
turn = np.linspace(0, np.pi, 40, endpoint=False)
waves = [np.sin((x * np.cos(a) + y * np.sin(a)) * rng.uniform(0.6, 1.4) + rng.uniform(0, 6)) for a in turn]
images = (127 + 100 * np.stack(waves)[..., None] * rng.uniform(0.3, 1, size=(40, 1, 1, 3))).astype(np.uint8)
target = np.cos(2 * (turn[:, None] - turn))

_ = torch.manual_seed(3)
body = torch.nn.Sequential(
    torch.nn.Conv2d(3, 60, 7, bias=False), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
)
looks = sc.networks.Preprocessing(resize=32, crop=32, mean=(0.5,) * 3, std=(0.25,) * 3)
net = sc.networks.wrap(body, layers={"penultimate": "3"}, preprocessing=looks)
X = sc.networks.embed(net, images)

# %%
# Pruned in folds, then from all images. The order of importance is the pruner's.

print(sc.summary(sc.cross_validate(X, target, cv=4, seed=0))[["full_test", "pruned_test", "n_kept"]].round(3))
pruner = sc.Pruner().fit(X, target)
labels = [f"feature {k}" for k in range(60)]
best_images(sc.heatmaps.seen(net, images), X.values, pruner.order_, labels, title="Largest answers")
