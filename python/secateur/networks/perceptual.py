"""Perceptual distances of image pairs (LPIPS), as a baseline beside embeddings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray

from ..arguments import check_integer
from ..progress import with_progress
from .architectures import load
from .images import read_images
from .network import import_torch, import_torchvision, quiet, running

if TYPE_CHECKING:
    from .._typing import ImagesLike

__all__ = ["TRUNKS", "lpips_rdm"]

TRUNKS = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet1_1"}


def lpips_rdm(
    images: ImagesLike,
    net: str = "alex",
    *,
    weights: str | os.PathLike[str] | None = "default",
    size: int = 224,
    batch: int = 16,
    seed: int = 0,
    progress: bool = True,
) -> xarray.DataArray:
    """LPIPS distance of every pair of images: a target's baseline that is neither fitted nor pruned.

    Features of an image are computed once a block, not once a pair; the values are those of the ``lpips`` package.

    Parameters
    ----------
    images : folder, paths, PIL images or array
        What :func:`secateur.networks.read_images` takes.
    net : {"alex", "vgg", "squeeze"}
        The network whose layers are compared; its linear weights come with the package.
    weights : "default", path or None
        Of that network itself (AlexNet, VGG-16, SqueezeNet 1.1), as in :func:`secateur.networks.load`: torchvision's
        ImageNet weights, a file of them, or random ones, drawn from ``seed``.
    size : int
        Images are stretched to ``size`` × ``size`` pixels, bilinear.
    batch : int
        Images in a block. Two blocks' features are held at a time: 2 MB an image for AlexNet at 224 pixels, 26 MB for
        VGG.
    seed : int
        Of the random weights.
    progress : bool
        A bar on stderr for runs of more than two seconds.

    Returns
    -------
    xarray.DataArray (pair,), float64
        Dissimilarities in ``numpy.triu_indices(n, 1)`` order, with ``kind`` in attrs: :func:`secateur.alignment` and
        the rest take it as a target.

    Raises
    ------
    ImportError
        Where ``lpips`` is not installed: ``pip install 'secateur[lpips]'``.
    ConnectionError, FileNotFoundError
        Where weights can't be had.
    ValueError
        Where there is no such network, or a file does not hold the network's weights.

    References
    ----------
    Zhang, Isola, Efros, Shechtman & Wang (2018); Truong, Pesenti & Hasson (2024), §3.1.

    Examples
    --------
    >>> from secateur import networks
    >>> rdm = networks.lpips_rdm("photographs/")                             # doctest: +SKIP
    >>> sc.alignment(X, rdm, comparator="spearman")                          # doctest: +SKIP
    """
    if net not in TRUNKS:
        raise ValueError(f"net must be one of {', '.join(map(repr, TRUNKS))}, got {net!r}")
    check_integer("size", size, 32)
    check_integer("batch", batch, 1)
    pictures = read_images(images)
    n = len(pictures)
    if n < 3:
        raise ValueError(f"images must be at least 3, got {n}")
    model, source = _model(net, weights, seed)
    blocks = [range(start, min(start + batch, n)) for start in range(0, n, batch)]
    square = np.zeros((n, n))
    with running():
        for a, first in with_progress(list(enumerate(blocks)), len(blocks), "LPIPS", progress):
            own = _layers(model, pictures, first, size)
            for second in blocks[a:]:
                others = own if second is first else _layers(model, pictures, second, size)
                square[np.ix_(first, second)] = _distances(own, others)
    rows, columns = np.triu_indices(n, 1)
    attrs = {
        "kind": "dissimilarity", "long_name": "LPIPS distance", "net": net, "size": int(size),
        "weights": source,
    }  # fmt: skip
    if pictures.named:
        attrs["stimuli"] = list(pictures.names)
    return xarray.DataArray(square[rows, columns], dims=("pair",), name="lpips", attrs=attrs)


def _model(net: str, weights: Any, seed: int) -> tuple[Any, str]:
    """The package's own model with these weights, and where they are from."""
    try:
        torch = import_torch()
        import_torchvision()
        import lpips
    except ImportError as error:
        raise ImportError("lpips_rdm needs the package lpips, and PyTorch: pip install 'secateur[lpips]'") from error
    loaded = load(TRUNKS[net], weights, seed=seed)
    state = loaded.module.features.state_dict()
    with quiet(), torch.random.fork_rng(devices=[]):  # torchvision speaks of arguments that lpips passes by old names
        model = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    # The package cuts torchvision's features into slices and keeps their numbers.
    model.net.load_state_dict({name: state[name.split(".", 1)[1]] for name in model.net.state_dict()})
    return model.eval(), loaded.provenance["weights"]


def _layers(model: Any, pictures: Any, block: range, size: int) -> list[Any]:
    """Features of a block's images, layer by layer (b, channels × places); their squared distances are LPIPS."""
    import lpips
    import torch
    from PIL import Image

    pixels = [np.asarray(pictures[i].resize((size, size), Image.Resampling.BILINEAR), dtype=np.float32) for i in block]
    images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2) / 127.5 - 1
    found = []
    for features, linear in zip(model.net(model.scaling_layer(images)), model.lins, strict=True):
        weights = linear.model[-1].weight.clamp(min=0)  # none is below zero
        places = features.shape[2] * features.shape[3]
        found.append((lpips.normalize_tensor(features) * (weights / places).sqrt()).flatten(1))
    return found


def _distances(own: list[Any], others: list[Any]) -> Any:
    """(a, b) squared distances, summed over layers."""
    return sum(
        np.stack([((layer - one) ** 2).sum(dim=1).double().numpy() for one in mine])
        for mine, layer in zip(own, others, strict=True)
    )
