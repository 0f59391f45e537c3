"""
Fine-tuned beside pruned
========================

A network can also be trained to the target. Pruning and fine-tuning are compared on the same folds of the images.
"""

# %%
# Stripes of all colours, judged by their direction by five people, and a small network of random weights.

import numpy as np
import torch

import secateur as sc
from secateur.finetuning import DissimilarityTrainer, FineTuned

rng = np.random.default_rng(16)
y, x = np.mgrid[:24, :24]
turn = rng.uniform(0, np.pi, size=(36, 1))
waves = [np.sin((x * np.cos(a) + y * np.sin(a)) * rng.uniform(0.7, 1.1) + rng.uniform(0, 6)) for a in turn[:, 0]]
images = (127 + 100 * np.stack(waves)[..., None] * rng.uniform(-1, 1, size=(36, 1, 1, 3))).astype(np.uint8)
pairs = np.triu_indices(36, 1)
shared = (1 - np.cos(2 * (turn - turn.T)))[pairs] / 2
people = shared + rng.normal(scale=0.3, size=(5, len(shared)))
rdm = sc.targets.average(people)  # z-scored, averaged, rescaled

_ = torch.manual_seed(0)
body = torch.nn.Sequential(
    torch.nn.Conv2d(3, 24, 7, stride=2), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
)
looks = sc.networks.Preprocessing(resize=24, crop=24, mean=(0.45,) * 3, std=(0.25,) * 3)
net = sc.networks.wrap(body, trunk=["0", "1"], neck=["2", "3"], layers={"penultimate": "3"}, preprocessing=looks)

# %%
# Layer and epoch are chosen on images held out of the training; the loss says little about that.

trainer = DissimilarityTrainer(net, lr=0.05, momentum=0.9, batch=200, epochs=10, validation=3, layers=["penultimate"])
sc.report.training(trainer.fit(images, rdm).history_)

# %%
# In folds, beside the network as it is and the pruned one, as percent of what any model could explain of single
# people.

tuned, pruner = FineTuned(trainer, images), sc.Pruner("correlation", kind="dissimilarity")
methods = {"full": "full", "pruned": "pruned", "fine-tuned": tuned, "tuned + pruned": tuned.then(pruner)}
result = sc.compare(sc.networks.embed(net, images), rdm, methods, cv=3, pruner=pruner, predictions=True)
sc.report.finetuning.explained_variance(sc.comparison.explained_variance(result, people))
