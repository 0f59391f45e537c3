"""Activations of images: one layer of a network, as a labelled embedding."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import xarray

from ..arguments import check_integer
from ..atomic import whole_file
from ..progress import with_progress
from ..provenance import digest
from .images import Images, read_images
from .network import Network, find_device, import_torch, placed, running, tensor_of
from .parts import blocks_of, channels_axis, copy_of, first_tensor, grid_of, numbered_blocks

if TYPE_CHECKING:
    import torch

    from .._typing import ImagesLike

__all__ = ["embed", "fingerprint"]

_BATCH: Final = 64  # on a GPU, at most
_SHARE: Final = 0.25  # of its free memory that a batch may take


def embed(
    net: Network,
    images: ImagesLike,
    layer: str | int = "penultimate",
    *,
    pool: str = "flatten",
    tokens: str | None = None,
    batch: int | None = None,
    device: str | torch.device | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> xarray.DataArray:
    """What a layer of a network answers to each image.

    Parameters
    ----------
    net : Network
        From :func:`secateur.networks.load` or :func:`secateur.networks.wrap`.
    images : folder, paths, PIL images, arrays or Images
        Anything that :func:`secateur.networks.read_images` takes. Sub-folders of a folder are categories.
    layer : str or int
        ``"penultimate"``, ``"final"`` (what the module returns), ``"last_conv"``, or the name of any module of
        ``net.module``, whose output is taken, as it leaves that module. A number is a block's, counted from 0, or from
        the end by negative numbers (see ``secateur.networks.parts.blocks_of``).
    pool : {"flatten", "mean"}
        What becomes of a layer of maps (M, h, w): M·h·w features, or the mean of each map; of tokens, their mean.
    tokens : {"cls", "mean", "cls+mean", "all"}, optional
        What becomes of a layer of tokens (T, D): the class token, the mean of the patches' tokens (neither class token
        nor registers), both in a row (2·D), or all T·D. For the penultimate layer they are the tokens that the model's
        own embedding is made of, those that leave the trunk; without ``tokens`` it is that embedding. Maps have a mean.
    batch : int, optional
        Images at a time. By default one on a CPU, where more are no faster, and so an image's features do not depend
        on its company; on a GPU up to 64, fewer where they would take more than a quarter of its free memory.
    device : str, optional
        Where to compute; where the weights are, by default. They go back afterwards.
    cache : folder, optional
        Where features are kept, under a hash of weights, layer, preprocessing and images; found there, nothing is
        computed. A file that is not whole is made anew.
    progress : bool
        Whether a progress bar may show, once two seconds have passed.

    Returns
    -------
    xarray.DataArray, dims (stimulus, feature), float32
        Images in their order, called by their names where these were files, with ``category`` where sub-folders gave
        it. ``attrs``: the network, layer, preprocessing, hashes of weights and images, and ``notes`` (what was
        converted; a warning says so too). It can be passed to :func:`secateur.cross_validate` as it is.

    Raises
    ------
    ValueError
        Where an image can't be read, no module has the layer's name (the nearest are named), the device is not there,
        or the cache is a file.
    TypeError
        Where ``net`` is no Network, or the layer's output is no tensor.

    Notes
    -----
    The same call gives the same bits. Another batch size, device or number of threads may change the last ones, since
    sums are then taken in another order: about 1e-6 of the largest value. On CUDA, TensorFloat-32 is off.

    Examples
    --------
    >>> import numpy as np
    >>> from secateur.networks import load
    >>> net = load("squeezenet1_1", weights=None)
    >>> photographs = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    >>> embed(net, photographs).sizes
    Frozen({'stimulus': 3, 'feature': 512})
    """
    if not isinstance(net, Network):
        raise TypeError(f"net must be a secateur.networks.Network, got {type(net).__name__}")
    if pool not in ("flatten", "mean"):
        raise ValueError(f"pool must be 'flatten' or 'mean', got {pool!r}")
    if tokens not in (None, "cls", "mean", "cls+mean", "all") or (tokens is not None and pool != "flatten"):
        raise ValueError(
            "tokens must be 'cls', 'mean', 'cls+mean' or 'all', and pool left as it is beside them, got "
            f"tokens={tokens!r}, pool={pool!r}"
        )
    layer = _named(net, layer)
    check_integer("batch", batch, 1, optional=True)
    read = _reader(net, "last_conv" if tokens is not None and layer == "penultimate" else layer)
    place = net.device if device is None else find_device(device)
    if cache is not None and Path(cache).is_file():
        raise ValueError(f"cache must be a folder, got {str(cache)!r}, which is a file")
    shown = read_images(images)
    if shown.notes:
        warnings.warn("; ".join(shown.notes), stacklevel=2)
    weights = fingerprint(net)
    digests = shown.digest_of_all()
    module = net.layers.get(layer, layer)
    settings = {"layer": layer, "module": module, "pool": pool, "preprocessing": json.dumps(asdict(net.preprocessing))}
    settings |= {} if tokens is None else {"tokens": tokens}

    def compute() -> npt.NDArray[np.float32]:
        with placed(net, place):
            return _activations(net, shown, read, layer, (pool, tokens), batch, progress)

    if cache is None:
        values = compute()
    else:
        recipe = json.dumps(["secateur 2", weights, digests, settings], sort_keys=True)
        file = Path(cache) / f"{digest(recipe)}.npy"
        values = _kept(file, len(shown), compute)
    attrs = {
        "network": net.name, **settings, **net.provenance,
        "weights_sha256": weights, "images_sha256": digests, "device": str(place), "notes": "\n".join(shown.notes),
    }  # fmt: skip
    coords: dict[str, Any] = {"stimulus": list(shown.names)} if shown.named else {}
    if shown.categories is not None:
        coords["category"] = ("stimulus", list(shown.categories))
    return xarray.DataArray(values, coords, ("stimulus", "feature"), net.name, attrs)


def fingerprint(net: Network) -> str:
    """SHA-256 of a network: its modules and every value of its weights.

    Parameters
    ----------
    net : Network
        Any.

    Returns
    -------
    str
        64 hexadecimal digits; the same wherever the weights lie.
    """
    total, seen = hashlib.sha256(), set()
    for part in (net.module, net.trunk, net.neck):
        total.update(repr(part).encode())
        for key, value in part.state_dict().items() if part is not None else ():
            total.update(f"{key} {tuple(value.shape)} {value.dtype}".encode())
            if value.data_ptr() not in seen:
                seen.add(value.data_ptr())
                total.update(memoryview(value.detach().cpu().contiguous().numpy().reshape(-1).view(np.uint8)))
    return total.hexdigest()


def _kept(file: Path, n: int, compute: Callable[[], Any]) -> Any:
    """The features in a file, or computed and put there, whole or not at all."""
    try:
        values = np.load(file, allow_pickle=False)
        if values.ndim == 2 and len(values) == n and values.dtype == np.float32:
            return values
    except (OSError, EOFError, ValueError):
        pass  # not there, or torn
    values = compute()
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(file) as draft, draft.open("wb") as stream:
        np.save(stream, values)
    return values


def _reader(net: Network, layer: str) -> Callable[[Any], Any]:
    """From a batch of images to a layer's output."""
    if layer == "final":
        return lambda x: tensor_of(net.module(x))
    if layer == "last_conv" and net.trunk is not None:
        return lambda x: net.trunk(x)
    if layer == "penultimate" and net.neck is not None:
        return lambda x: net.neck(net.trunk(x))
    modules = {name: module for name, module in net.module.named_modules() if name}
    name = net.layers.get(layer, layer)
    if name not in modules:
        known = ["penultimate", "final", "last_conv", *modules]
        near = difflib.get_close_matches(str(layer), known, 3, 0.5)
        words = f"near are {', '.join(near)}" if near else f"there are {', '.join(list(modules)[:5])}, …"
        raise ValueError(f"layer must be a module of {net.name}, got {layer!r}: {words}")

    several = any(block.name == name for block in blocks_of(net.module))  # transformers' blocks may give more

    def hooked(x: Any) -> Any:
        outputs = []
        # A copy: what comes after may write in place.
        handle = modules[name].register_forward_hook(
            lambda _module, _inputs, out: outputs.append(copy_of(first_tensor(out) if several else out))
        )
        try:
            net.module(x)
        finally:
            handle.remove()
        if not outputs:
            raise ValueError(f"layer must be a module that {net.name} runs, got {layer!r}, which it does not")
        return outputs[-1]

    return hooked


def _named(net: Network, layer: str | int) -> str:
    """The name of a layer; of a block by its number."""
    if isinstance(layer, str):
        return layer
    found = numbered_blocks(net)
    return found[check_integer("layer", layer, -len(found), len(found) - 1)].name


def _of_tokens(net: Network, out: Any, layer: str, tokens: str, size: tuple[int, int]) -> Any:
    """Features (B, d) of tokens (B, T, D), or of maps."""
    torch = import_torch()
    if not isinstance(out, torch.Tensor) or out.ndim not in (3, 4):
        shape = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
        raise ValueError(f"layer must give tokens or maps where tokens are asked for, got {shape} from {layer!r}")
    if tokens == "all":
        return out.flatten(1)
    if out.ndim == 4:
        before, patches = 0, out.movedim(channels_axis(net.module, layer, out), -1).flatten(1, 2)
    else:
        before, _ = grid_of(net, out, size)
        patches = out[:, before:]
    mean = patches.mean(1)
    if tokens == "mean":
        return mean
    if not before or not getattr(net.module, "has_class_token", True):
        raise ValueError(
            f"tokens must be 'mean' or 'all' where there is no class token, got {tokens!r} for {net.name!r}"
        )
    return out[:, 0] if tokens == "cls" else torch.cat([out[:, 0], mean], 1)


def _flat(out: Any, layer: str, pool: str) -> Any:
    torch = import_torch()
    if not isinstance(out, torch.Tensor) or out.ndim < 2:
        raise TypeError(f"layer must give a tensor for each image, got {type(out).__name__} from {layer!r}")
    if out.ndim == 3 and pool == "mean":
        return out.mean(1)
    if out.ndim > 3 and (pool == "mean" or layer == "penultimate"):
        return out.flatten(2).mean(2)
    return out.flatten(1)


def _activations(
    net: Network,
    images: Images,
    read: Callable[[Any], Any],
    layer: str,
    how: tuple[str, str | None],
    batch: int | None,
    progress: bool,
) -> npt.NDArray[np.float32]:
    torch, (pool, tokens) = import_torch(), how
    values, shape = None, None
    with running():
        size = batch or 1
        if batch is None and net.device.type == "cuda":
            size = _batch_that_fits(net, images[0], torch.cuda.mem_get_info(net.device)[0])
        starts = range(0, len(images), size)
        for start in with_progress(starts, len(starts), "images", progress):
            pixels = [net.preprocessing(images[i]) for i in range(start, min(start + size, len(images)))]
            shape = pixels[0].shape if shape is None else shape
            for one in pixels:
                if one.shape != shape:
                    raise ValueError(
                        "images must be of one size where the preprocessing crops none, got "
                        f"{shape[1]} x {shape[2]} and {one.shape[1]} x {one.shape[2]} pixels"
                    )
            out = read(torch.stack(pixels).to(net.device))
            if tokens is not None:
                out = _of_tokens(net, out, layer, tokens, (int(shape[1]), int(shape[2])))
            out = _flat(out, layer, pool).float().cpu().numpy()
            if values is None:
                values = np.empty((len(images), out.shape[1]), np.float32)
            values[start : start + len(out)] = out
    assert values is not None  # there is at least one image
    return values


def _batch_that_fits(net: Network, image: Any, free: int) -> int:
    """64 images, or fewer where all that one leaves behind, times their number, is too much of ``free`` bytes."""
    torch = import_torch()
    count = 0

    def weigh(_module: Any, _inputs: Any, out: Any) -> None:
        nonlocal count
        count += out.numel() * out.element_size() if isinstance(out, torch.Tensor) else 0

    leaves = [module for module in net.module.modules() if not any(module.children())]
    handles = [module.register_forward_hook(weigh) for module in leaves]
    try:
        net.module(net.preprocessing(image)[None].to(net.device))
    finally:
        for handle in handles:
            handle.remove()
    size = _BATCH
    while size > 1 and size * count > _SHARE * free:
        size //= 2
    return size
