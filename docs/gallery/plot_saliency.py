"""
Heatmaps against saliency
=========================

Is a heatmap only where the eye goes anyway? Warm pixels are held against a saliency map: precision and recall, and
relative risk.
"""

# %%
# Synthetic heatmaps: the warm spot lies on the salient one in the first twelve images, beside it in the other twelve.
# With your own, ``heat`` comes from ``sc.heatmaps.heatmap``, and ``salient`` from ``sc.saliency.read`` or
# ``sc.saliency.spectral_residual``.

import numpy as np

import secateur as sc

rng = np.random.default_rng(12)
y, x = np.mgrid[:48, :48]


def spot(at, wide):
    return np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * wide**2))


eyes = rng.uniform(14, 34, size=(24, 2))
warm = eyes + np.where(np.arange(24) < 12, 3, 13)[:, None] * rng.choice([-1, 1], size=(24, 2))
images = np.stack([60 + 150 * spot(at, 5) + 80 * spot(also, 4) for at, also in zip(eyes, warm, strict=True)])
images = np.repeat(images.clip(0, 255)[..., None], 3, axis=3).astype(np.uint8)
maps = np.stack([spot(at, 6) for at in warm])[:, None]  # one map of each image
heat = sc.heatmaps.of_maps(maps, np.ones((24, 1)), (48, 48))
salient = sc.saliency.read(np.stack([spot(at, 8) + 0.02 * rng.random((48, 48)) for at in eyes]), heat)
groups = np.repeat(["on the salient spot", "beside it"], 12)

# %%
# The warmest pixels outlined, the most salient ones beside them. Relative risk: how much likelier is a salient pixel
# to be warm?

pictures = sc.heatmaps.as_pictures(images)
sc.report.contours(pictures, heat, salient, images=[0, 1, 12, 13], columns=2)

# %%
# Precision against recall while the threshold on saliency moves; dashed: chance.

sc.report.precision_recall(sc.saliency.precision_recall(heat, salient), groups)

# %%
# Relative risk by group:

sc.saliency.table(sc.saliency.relative_risk(heat, salient), groups)
