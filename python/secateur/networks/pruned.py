"""Networks with features or parts taken out: masks and weights as modules of their own, or layers that are smaller."""

from __future__ import annotations

import copy
import os
import re
from collections import OrderedDict
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import numpy.typing as npt

from ..atomic import whole_file
from ..features import as_float64, read_order
from . import architectures, surgery
from .modules import make
from .network import Network, Preprocessing, find_device, import_torch, parts_agree
from .network import steps as steps_of
from .weights import saved_by_torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import torch
    from numpy.typing import ArrayLike

    from .._typing import SubsetLike

__all__ = ["PrunedNetwork", "apply", "load"]

PARTS: Final = ("channels", "neurons", "heads", "blocks")
LAYERS: Final = ("penultimate", "last_conv", *PARTS)
FORMAT: Final = "secateur pruned network 1"
_SPARE: Final = r"(trunk|neck)\.(.*\.)?owner\."  # the whole classifier, in files of "remove" that were written with it


@dataclass(frozen=True, eq=False)
class PrunedNetwork(Network):
    """A network whose penultimate layer, last convolution or parts are pruned; made by :func:`apply`.

    It pickles. Its ``module`` is a ``torch.nn.Module`` like any other, from images to logits: for ``torch.save`` (read
    it with ``weights_only=False``, where secateur is installed), ``torch.export.export``, and ``torch.onnx.export``,
    which needs the extra ``onnx``.

    Attributes
    ----------
    support : (d,) ndarray of bool
        The features, maps or parts that are kept.
    weights : (d,) ndarray of float64, or None
        What each is multiplied by.
    layer, how : str
        As they were passed to :func:`apply`.
    blocks : tuple of int, or None
        Of parts: those of which blocks.
    """

    support: npt.NDArray[np.bool_] = field(default_factory=lambda: np.ones(0, bool), repr=False)
    weights: npt.NDArray[np.float64] | None = field(default=None, repr=False)
    layer: str = "penultimate"
    how: str = "zero"
    blocks: tuple[int, ...] | None = None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write weights and mask to a file that :func:`load` reads; whole, or not at all.

        Parameters
        ----------
        path : str or path
            Usually ``.pt``. What is there is replaced.
        """
        torch = import_torch()
        path = Path(path)
        classifier = None if self.classifier is None else [p for p in self.classifier.parameters() if p.ndim == 2]
        content = {
            "format": FORMAT, "name": self.name, "layer": self.layer, "how": self.how,
            "support": torch.from_numpy(self.support), "blocks": self.blocks and list(self.blocks),
            "weights": None if self.weights is None else torch.from_numpy(self.weights),
            "logits": len(classifier[-1]) if classifier else None, "state": self.module.state_dict(),
            "preprocessing": asdict(self.preprocessing), "provenance": dict(self.provenance),
            "classes": None if self.classes is None else list(self.classes),
        }  # fmt: skip
        with whole_file(path) as draft:
            torch.save(content, draft)


def apply(
    net: Network,
    support: SubsetLike,
    layer: str = "penultimate",
    how: str = "zero",
    *,
    weights: ArrayLike | None = None,
    blocks: int | Sequence[int] | None = None,
) -> PrunedNetwork:
    """A network that keeps some features, with the rest of the weights shared with the one it is made from.

    Parameters
    ----------
    net : Network
        With trunk and neck.
    support : bool mask (d,), indices, or None
        The features of the penultimate layer, maps of the last convolution, or parts of a transformer, to keep; None:
        all.
    layer : {"penultimate", "last_conv", "channels", "neurons", "heads", "blocks"}
        What is pruned. Parts are counted as :func:`secateur.feature_maps.alignment_importance` counts them.
    how : {"zero", "remove"}
        Zeroed by a module after the layer, so that d stays; or removed, so that the embedding has as many features as
        are kept: the linear layer that makes them (where there is one) and the one that reads them get smaller, and
        logits stay the same. Maps of a convolution and channels of a residual stream can only be zeroed (the norm
        behind them counts them all). Heads and neurons are zeroed in the weights that read them, and removed from all
        layers that make them, where one image of noise shows that the smaller network gives the same; a block that is
        left out gives what it gets, either way.
    weights : (d,) array, optional
        What features or maps are multiplied by, those that are kept. Similarities s_ij = Σ w_k x_ik x_jk take the
        square roots.

    blocks : int or sequence of int, optional
        Of parts: those of which blocks, as in :func:`secateur.feature_maps.alignment_importance`.

    Returns
    -------
    PrunedNetwork
        Of parts, ``module`` is a copy of the network's own, with names as they were.

    Raises
    ------
    ValueError
        Where support or weights don't fit the layer, or the layer can't be pruned that way.

    References
    ----------
    Tarigopula, Fairhall, Bavaresco, Truong & Hasson (2023), Figure 2.

    Examples
    --------
    >>> from secateur.networks import load
    >>> net = load("resnet18", weights=None)
    >>> small = apply(net, range(100), how="remove")
    >>> small.classifier[-1].in_features
    100
    """
    torch = import_torch()
    if layer not in LAYERS:
        raise ValueError(f"layer must be one of {', '.join(map(repr, LAYERS))}, got {layer!r}")
    if how not in ("zero", "remove"):
        raise ValueError(f"how must be 'zero' or 'remove', got {how!r}")
    if layer in PARTS:
        if weights is not None:
            raise ValueError(f"weights must be left out for {layer}, which are kept or not, got some")
        return _without_parts(net, support, layer, how, blocks)
    if blocks is not None:
        raise ValueError(f"blocks must be left out for layer {layer!r}, got {blocks!r}")
    if how == "remove" and layer == "last_conv":
        raise ValueError("how must be 'zero' for layer 'last_conv', got 'remove': maps can only be zeroed")
    trunk, neck, classifier = net.part("trunk"), net.part("neck"), net.classifier
    side = net.preprocessing.crop or 224
    with torch.no_grad():
        maps = trunk(torch.zeros(1, 3, side, side, device=net.device))
        d = int((maps if layer == "last_conv" else neck(maps)).shape[1])
    kept = _kept(support, d)
    factor = None if weights is None else as_float64(weights, "weights")
    if factor is not None and (factor.shape != (d,) or not np.isfinite(factor).all()):
        raise ValueError(f"weights must be {d} finite numbers, one a feature, got shape {factor.shape}")
    pooled = net.pooled and layer == "last_conv"
    multiplier = kept * (np.ones(d) if factor is None else factor)
    if layer == "last_conv":
        if maps.ndim != 4:
            raise ValueError(f"layer must give maps to be pruned as 'last_conv', got shape {tuple(maps.shape)}")
        trunk = torch.nn.Sequential(trunk, _scale(multiplier[:, None, None], net.device))
    elif how == "zero":
        neck = torch.nn.Sequential(neck, _scale(multiplier, net.device))
    else:
        if classifier is not None:
            bare = surgery.without_classifier(net)  # its inputs are those of another embedding
            trunk, neck = bare.part("trunk"), bare.part("neck")
        neck = _fewer_out(neck, np.flatnonzero(kept), d, net.device)
        if factor is not None:
            neck = torch.nn.Sequential(neck, _scale(factor[kept], net.device))
        classifier = None if classifier is None else _fewer_in(classifier, np.flatnonzero(kept), d)
    parts = OrderedDict(trunk=trunk, neck=neck)
    if classifier is not None:
        parts["classifier"] = classifier
    provenance = {**net.provenance, "pruned": f"{layer}, {how}, {int(kept.sum())} of {d} kept"}
    return PrunedNetwork(
        name=net.name, module=torch.nn.Sequential(parts), preprocessing=net.preprocessing, trunk=trunk, neck=neck,
        classifier=classifier, pooled=pooled, classes=net.classes, provenance=provenance,
        layers={"last_conv": "trunk", "penultimate": "neck", **({"final": "classifier"} if classifier else {})},
        support=kept, weights=factor, layer=layer, how=how,
    )  # fmt: skip


def _kept(support: SubsetLike, d: int) -> npt.NDArray[np.bool_]:
    """(d,) mask of what is kept; None: all."""
    kept = np.full(d, support is None)
    if support is not None:
        given = support if hasattr(support, "__array__") else list(cast("Iterable[int]", support))
        kept[read_order(given, d, "support")] = True
    return kept


def _without_parts(
    net: Network, support: SubsetLike, layer: str, how: str, blocks: int | Sequence[int] | None
) -> PrunedNetwork:
    """A network with some parts of a transformer alone."""
    counts = surgery.counts_of(net, layer, blocks)
    kept = _kept(support, sum(count for _, count in counts))
    made = surgery.without_parts(net, layer, blocks, kept, how)
    own = {one.name: getattr(made, one.name) for one in fields(Network)}
    own["provenance"] = {**net.provenance, "pruned": f"{layer}, {how}, {int(kept.sum())} of {len(kept)} kept"}
    side = net.preprocessing.crop or 224
    own["pooled"] = net.pooled and parts_agree(made.module, made.trunk, made.neck, None, side)[1]
    return PrunedNetwork(**own, support=kept, layer=layer, how=how, blocks=tuple(b for b, _ in counts))


def load(
    path: str | os.PathLike[str], net: Network | None = None, *, device: str | torch.device = "cpu"
) -> PrunedNetwork:
    """Read a pruned network that was saved.

    Parameters
    ----------
    path : str or path
        Of :meth:`PrunedNetwork.save`. No code in it is run.
    net : Network, optional
        For a network of your own: one of the same architecture, whatever its weights, which are left alone.
    device : str
        Where it should be.

    Returns
    -------
    PrunedNetwork

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        Where the file is no pruned network, or ``net`` is needed or another.

    Examples
    --------
    >>> from secateur.networks import load as load_network
    >>> net = apply(load_network("squeezenet1_1", weights=None), range(256), how="remove")
    >>> net.save("pruned.pt")
    >>> int(load("pruned.pt").support.sum())
    256
    """
    path, place = Path(path), find_device(device)
    if not path.is_file():
        raise FileNotFoundError(f"path must be a file, got {str(path)!r}")
    content = saved_by_torch(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"path must be a pruned network that was saved here, got {path.name}")
    name = content["name"]
    preprocessing = Preprocessing(**content["preprocessing"])
    details: dict[str, Any] = {"preprocessing": preprocessing, "provenance": content["provenance"]}
    if net is not None:
        module, trunk, neck, classifier = copy.deepcopy((net.module, net.trunk, net.neck, net.classifier))
        net = replace(net, module=module, trunk=trunk, neck=neck, classifier=classifier)
    elif name in architectures.ARCHITECTURES:
        net = architectures.assemble(name, architectures.build(name, classes=content["logits"], meta=True), **details)
    elif name.startswith("timm:"):
        net = architectures.load(name, weights=None)
    else:
        raise ValueError(f"net must be passed for a network of your own, got None for {name!r}")
    weights = None if content["weights"] is None else content["weights"].numpy()
    how = {"weights": weights, "blocks": content.get("blocks")}
    pruned = apply(net, content["support"].numpy(), content["layer"], content["how"], **how)
    own = pruned.module.state_dict()
    state = {k: v for k, v in content["state"].items() if k in own or not re.match(_SPARE, k)}
    try:
        pruned.module.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise ValueError(f"net must be of the architecture that was saved, got another than {name!r}") from error
    pruned.module.to(place).requires_grad_(False)
    classes = None if content["classes"] is None else tuple(content["classes"])
    return replace(pruned, name=name, classes=classes, **details)


def _scale(factor: npt.NDArray[np.float64], device: str | torch.device) -> torch.nn.Module:
    """A module that multiplies."""
    torch = import_torch()
    return make("Scale", torch.as_tensor(factor, dtype=torch.float32, device=device))


def _linear(old: torch.nn.Module, rows: Any, columns: Any) -> torch.nn.Module:
    """A linear layer with some of the outputs and inputs of another."""
    torch = import_torch()
    weight = old.weight[rows][:, columns].detach().clone()
    new = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=old.bias is not None, device="meta")
    new.weight = torch.nn.Parameter(weight, requires_grad=False)
    if old.bias is not None:
        new.bias = torch.nn.Parameter(old.bias[rows].detach().clone(), requires_grad=False)
    return new


def _fewer_out(
    neck: torch.nn.Module, kept: npt.NDArray[np.int64], d: int, device: str | torch.device
) -> torch.nn.Module:
    """The neck with some outputs: its last linear layer smaller where only what works one by one follows it."""
    nn = import_torch().nn
    one_by_one = (nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Hardswish, nn.Tanh, nn.Sigmoid, nn.Dropout, nn.Identity)
    steps = list(steps_of(neck))
    last = max((i for i, step in enumerate(steps) if isinstance(step, nn.Linear)), default=None)
    if last is not None and steps[last].out_features == d and all(isinstance(s, one_by_one) for s in steps[last + 1 :]):
        steps[last] = _linear(steps[last], kept, slice(None))
        return nn.Sequential(*steps)
    return nn.Sequential(neck, make("Select", import_torch().as_tensor(kept, device=device)))


def _fewer_in(classifier: torch.nn.Module, kept: npt.NDArray[np.int64], d: int) -> torch.nn.Module:
    """The classifier that reads some features."""
    nn = import_torch().nn
    steps = list(steps_of(classifier))
    first = next((i for i, step in enumerate(steps) if not isinstance(step, (nn.Dropout, nn.Identity))), 0)
    if not steps or not isinstance(steps[first], nn.Linear) or steps[first].in_features != d:
        raise ValueError(
            f"how must be 'zero' where the classifier does not begin with a linear layer of {d} inputs, got 'remove'"
        )
    steps[first] = _linear(steps[first], slice(None), kept)
    return nn.Sequential(*steps)
