"""What a network is here: a module in three parts (trunk, neck, classifier), its layers by name, its preprocessing."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .. import _core
from ..display import as_table
from ..execution import Execution, available, resolve, thread_count

if TYPE_CHECKING:
    import torch

    from .._typing import PreprocessingLike

__all__ = [
    "IMAGENET_MEAN", "IMAGENET_STD", "Network", "Preprocessing", "execution_on", "find_device", "function_module",
    "import_torch", "import_torchvision", "maps_of", "noise", "parts_agree", "placed", "quiet", "running", "same",
    "sequence", "steps", "tensor_of", "wrap",
]  # fmt: skip

IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)


def import_torch() -> Any:
    """PyTorch, or a sentence that says how to get it."""
    try:
        import torch
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError("secateur.networks needs PyTorch: pip install 'secateur[torch]'") from error
    return torch


def import_torchvision() -> Any:
    """torchvision; beside a torch that its compiled part doesn't fit, its Python models alone.

    A torchvision wheel built for CUDA can't load its operators next to a CPU-only torch, and its import then fails over
    fake versions of two of them, ``nms`` and ``qnms``. No model here uses them: their schemas are enough.
    """
    torch = import_torch()
    try:
        import torchvision
    except ModuleNotFoundError as error:
        if error.name != "torchvision":
            raise
        raise ImportError("secateur.networks needs torchvision: pip install 'secateur[torch]'") from error
    except RuntimeError as error:
        if not re.search(r"operator torchvision::q?nms does not exist", str(error)):
            raise
        for name in ("nms", "qnms"):  # operators of torchvision's own library, which another build of torch left out
            schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            torch.library.define(f"torchvision::{name}", schema)
        import torchvision
    import torchvision.models

    return torchvision


def find_device(device: str | torch.device) -> torch.device:
    """A torch device that can be used: "cpu", "cuda", "cuda:1", …, or "auto" (CUDA where there is one)."""
    torch = import_torch()
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device must be 'auto' or one that torch knows, as 'cpu' or 'cuda', got {device!r}"
        ) from error
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device must be one of the {torch.cuda.device_count()} CUDA devices that torch sees here, got {device!r}: "
            "use device='cpu'"
        )
    return found


@contextmanager
def running(gradients: bool = False) -> Iterator[None]:
    """A network runs without gradients, or with, and with whole single precision on CUDA too: no TensorFloat-32."""
    torch = import_torch()
    precision = torch.get_float32_matmul_precision()
    mode = torch.enable_grad() if gradients else torch.inference_mode()
    with mode, torch.backends.cudnn.flags(enabled=True, benchmark=False, allow_tf32=False):
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(precision)


@contextmanager
def placed(net: Network, device: str | torch.device | None) -> Iterator[torch.device]:
    """The network on a device for a while; None: where it is."""
    home = net.device
    place = home if device is None else find_device(device)
    parts = [part for part in (net.module, net.trunk, net.neck, net.classifier) if part is not None]
    try:
        for part in parts:
            part.to(place)
        yield place
    finally:
        for part in parts:
            part.to(home)


def execution_on(place: torch.device, device: str | torch.device | None, threads: int | None) -> Execution:
    """Where the compiled core works beside a network on this place, asked for as ``device``.

    On a CUDA device beside a network there; where none was asked for and the core can't, on the processor.

    Raises
    ------
    RuntimeError
        Where a CUDA device was asked for, and the core has none.
    ValueError
        Where it is not the first of those that are visible: the core's.
    """
    count = thread_count(threads)
    if place.type != "cuda":
        return Execution(threads=count)
    others = place.index or 0
    named = device is not None and str(device) != "auto"
    if named and others:
        raise ValueError(
            f"device must be 'cuda' or 'cuda:0' where the compiled core works beside the network, got {str(device)!r}: "
            f"start with CUDA_VISIBLE_DEVICES={others}"
        )
    if others or (not named and not available("cuda")[0]):
        return Execution(threads=count)
    return Execution(resolve("cuda"), count, "double", _core.cuda_open())


@dataclass(frozen=True)
class Preprocessing:
    """From a photograph to what a network was trained on.

    Attributes
    ----------
    resize : int, (height, width) or None
        The shorter side, in pixels, the other in proportion; or both, stretched; or left as it is.
    crop : int or None
        The side of the square cut from the middle.
    mean, std : three floats each
        Of the channels R, G, B on a scale of 0 to 1: subtracted, divided by.
    interpolation : {"bilinear", "bicubic", "nearest"}
        Of the resizing, with antialiasing (Pillow's).
    """

    resize: int | tuple[int, int] | None = 256
    crop: int | None = 224
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        if self.interpolation not in ("bilinear", "bicubic", "nearest"):
            raise ValueError(f"interpolation must be 'bilinear', 'bicubic' or 'nearest', got {self.interpolation!r}")
        for name in ("mean", "std"):
            if len(getattr(self, name)) != 3:
                raise ValueError(f"{name} must have three values, one a channel, got {getattr(self, name)}")

    def placed(self, size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Where the input lies in a photograph of this width and height.

        Parameters
        ----------
        size : (int, int)
            Width and height, as PIL gives them.

        Returns
        -------
        (width, height), (left, upper)
            The photograph's size once resized, and the crop's corner in it.

        Raises
        ------
        ValueError
            Where the crop is larger than the resized photograph.
        """
        width, height = size
        if isinstance(self.resize, int):
            short, long = sorted(size)
            scaled = int(self.resize * long / short)
            width, height = (self.resize, scaled) if width <= height else (scaled, self.resize)
        elif self.resize is not None:
            height, width = self.resize
        if self.crop is None:
            return (width, height), (0, 0)
        if self.crop > min(width, height):
            raise ValueError(
                f"crop must fit the image, got {self.crop} for {width} x {height} pixels (resize is {self.resize})"
            )
        return (width, height), (round((width - self.crop) / 2.0), round((height - self.crop) / 2.0))

    def __call__(self, image: Any) -> torch.Tensor:
        """PIL image in RGB -> float32 tensor (3, height, width)."""
        from PIL import Image

        torch = import_torch()
        size, (left, top) = self.placed(image.size)
        if size != image.size:
            image = image.resize(size, Image.Resampling[self.interpolation.upper()])
        if self.crop is not None:
            image = image.crop((left, top, left + self.crop, top + self.crop))
        pixels = torch.from_numpy(np.array(image, dtype=np.float32)).permute(2, 0, 1).contiguous().div_(255)
        mean, std = (torch.tensor(values, dtype=torch.float32)[:, None, None] for values in (self.mean, self.std))
        return pixels.sub_(mean).div_(std)


@dataclass(frozen=True, eq=False)
class Network:
    """A network taken apart: ``module(x) == classifier(neck(trunk(x)))`` where the classifier is there.

    Made by :func:`secateur.networks.load`, or by :func:`secateur.networks.wrap` from a module of your own.

    Attributes
    ----------
    name : str
    module : torch.nn.Module
        In evaluation mode, its parameters without gradients.
    layers : mapping
        Of ``last_conv``, ``penultimate`` and ``final``, those that have a module of their own: its name in ``module``.
        Where that gives maps, the penultimate layer is their mean over space.
    preprocessing : Preprocessing
    trunk : torch.nn.Module or None
        Images (B, 3, H, W) -> maps (B, M, h, w) of the last convolution, after their activation and before any pooling.
    neck : torch.nn.Module or None
        Maps -> embedding (B, d), the penultimate layer, after its activation where it has one.
    classifier : torch.nn.Module or None
        Embedding -> logits (B, classes).
    pooled : bool
        The neck is the mean over space: M == d, and map k masked is feature k zero.
    classes : tuple of str or None
        What the logits stand for.
    provenance : mapping of str
        Where architecture and weights come from.
    """

    name: str
    module: Any = field(repr=False)
    layers: Mapping[str, str] = field(default_factory=dict)
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    trunk: Any = field(default=None, repr=False)
    neck: Any = field(default=None, repr=False)
    classifier: Any = field(default=None, repr=False)
    pooled: bool = False
    classes: tuple[str, ...] | None = field(default=None, repr=False)
    provenance: Mapping[str, str] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        """The table that a notebook shows."""
        of = self.preprocessing
        support, layer = getattr(self, "support", None), getattr(self, "layer", None)
        facts: dict[str, object] = {
            "parameters": f"{sum(p.numel() for p in self.module.parameters()):,}",
            "kept": None if support is None else f"{int(support.sum())} of {len(support)}, {layer}",
            **{name.replace("_", " "): module for name, module in self.layers.items()},
            "images": f"resized to {of.resize}, cropped to {of.crop}",
            "classes": None if self.classes is None else len(self.classes),
            **self.provenance,
        }
        return as_table(f"{type(self).__name__} {self.name}", facts)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", MappingProxyType(dict(self.layers)))
        object.__setattr__(self, "provenance", MappingProxyType(dict(self.provenance)))
        for part in (self.module, self.trunk, self.neck, self.classifier):
            if part is not None:
                part.eval().requires_grad_(False)

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: views of mappings can't be."""
        return {**vars(self), "layers": dict(self.layers), "provenance": dict(self.provenance)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.__post_init__()

    @property
    def device(self) -> torch.device:
        """The torch device that the weights are on."""
        torch = import_torch()
        return next((p.device for p in self.module.parameters()), torch.device("cpu"))

    def part(self, name: str) -> torch.nn.Module:
        """One of the three parts.

        Parameters
        ----------
        name : {"trunk", "neck", "classifier"}
            Which.

        Returns
        -------
        torch.nn.Module

        Raises
        ------
        ValueError
            Where the network has no such part.
        """
        part = getattr(self, name)
        if part is None:
            raise ValueError(f"net must have a {name}, got {self.name!r}, which has none")
        return part


def maps_of(net: Network, pixels: torch.Tensor) -> torch.Tensor:
    """Maps (B, M, h, w) of images (B, 3, H, W); refused where the trunk gives something else, as tokens."""
    maps = net.part("trunk")(pixels.to(net.device))
    if maps.ndim != 4:
        raise ValueError(
            f"net must give maps (images, maps, height, width) behind its trunk, got shape {tuple(maps.shape)} from "
            f"{net.name!r}: of tokens, pass parts='channels', 'neurons', 'heads' or 'blocks'"
        )
    return maps


def sequence(module: torch.nn.Module, parts: Sequence[Any]) -> torch.nn.Module:
    """Some of a module's own modules in a row, sharing its weights.

    A part is a name ("layer4", "classifier.0"), a slice of a sequence ("features[:30]"), "flatten", or a module.
    """
    torch = import_torch()
    found = []
    for part in parts:
        cut = re.fullmatch(r"(.+)\[(\d*):(\d*)\]", part) if isinstance(part, str) else None
        if not isinstance(part, str):
            found.append(part)
        elif cut:
            name, *ends = cut.groups()
            found.append(module.get_submodule(name)[slice(*(int(end) if end else None for end in ends))])
        elif part == "flatten":
            found.append(torch.nn.Flatten(1))
        else:
            found.append(module.get_submodule(part))
    return torch.nn.Sequential(*found)


def function_module(function: Callable[[Any, Any], Any], owner: torch.nn.Module) -> torch.nn.Module:
    """A module that calls a function of another, whose weights it shares: ``function(owner, x)``.

    The owner is passed, not bound, so that a copy calls the copy; a function with a name of its own pickles.
    """
    from .modules import make

    return make("Called", function, owner)


def steps(module: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """The modules of sequences in sequences, in the order in which they run."""
    nn = import_torch().nn
    if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
        for child in module:
            yield from steps(child)
    else:
        yield module


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of other packages about themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def noise(size: int) -> torch.Tensor:
    """One image of noise (1, 3, size, size), always the same."""
    values = np.random.default_rng(0).standard_normal((1, 3, size, size), dtype=np.float32)
    image: torch.Tensor = import_torch().from_numpy(values)
    return image


def same(a: Any, b: Any) -> bool:
    """Whether two tensors are the same but for rounding."""
    return bool(a.shape == b.shape and import_torch().allclose(a, b, rtol=1e-4, atol=1e-5 * float(b.abs().max())))


def tensor_of(out: Any) -> Any:
    """What a network gives: a tensor, or of transformers' answers that have several the one that is its last."""
    for name in ("logits", "image_embeds", "pooler_output", "last_hidden_state"):
        if getattr(out, name, None) is not None:
            return getattr(out, name)
    return out


def parts_agree(
    module: torch.nn.Module, trunk: torch.nn.Module, neck: torch.nn.Module, classifier: torch.nn.Module, size: int
) -> tuple[bool, bool]:
    """Whether the parts make the whole, and whether the neck is the mean over space: one image of noise, tried."""
    torch = import_torch()
    parameter = next(module.parameters(), torch.zeros(()))
    x = noise(size).to(parameter.device)
    with torch.no_grad():
        whole, maps = tensor_of(module(x)), trunk(x)
        means = maps.mean((2, 3)) if maps.ndim == 4 else None
        embedding = neck(maps.clone())
        pooled = means is not None and same(embedding, means)
        try:
            whole_again = None if classifier is None else classifier(embedding)
        except (TypeError, RuntimeError, IndexError):  # such as a pair of heads, or a head of other inputs
            return False, pooled
        return whole_again is not None and isinstance(whole, torch.Tensor) and same(whole_again, whole), pooled


def _checked(layers: Mapping[str, str] | None, module: torch.nn.Module) -> Mapping[str, str]:
    """Layers by their roles; refused where there are no such modules or roles."""
    names = {key for key, _ in module.named_modules()}
    for role, layer in (layers or {}).items():
        if role not in ("last_conv", "penultimate", "final"):
            raise ValueError(f"layers must name last_conv, penultimate or final, got {role!r}")
        if layer not in names:
            raise ValueError(f"layers must name modules of module, got {layer!r} for {role}")
    return layers or {}


def wrap(
    module: torch.nn.Module,
    *,
    trunk: torch.nn.Module | str | Sequence[str] | None = None,
    neck: torch.nn.Module | str | Sequence[str] | None = None,
    classifier: torch.nn.Module | str | Sequence[str] | None = None,
    layers: Mapping[str, str] | None = None,
    preprocessing: PreprocessingLike | None = None,
    classes: Sequence[str] | None = None,
    name: str = "own",
    size: int | None = None,
) -> Network:
    """Make a network of a module of your own.

    Parameters
    ----------
    module : torch.nn.Module
        Images (B, 3, H, W) -> logits, or an embedding. It is put in evaluation mode, without gradients. A vision model
        of timm, open_clip or Hugging Face's transformers is taken apart where no parts are given, and its preprocessing
        is found (see ``secateur.networks.families``); a CLIP of open_clip stands for its ``visual``.
    trunk, neck, classifier : torch.nn.Module, or a sequence of names and modules, optional
        The three parts of :class:`Network`. A sequence names modules of ``module`` to run in a row: ``"layer4"``, a
        slice ``"features[:30]"``, or ``"flatten"``. Alignment importance needs trunk and neck, retention the
        classifier; without them, layers can be embedded.
    layers : mapping, optional
        Names of modules for any of ``last_conv``, ``penultimate``, ``final``.
    preprocessing : Preprocessing, image processor of transformers, or torchvision's transforms, optional
        By default a known model's own, so far as it says; else ImageNet's: 256, 224, its mean and SD.
    classes : sequence of str, optional
        What the logits stand for.
    name : str
        What to call it in results.
    size : int, optional
        Side of the image that the parts are tried on; the preprocessing's crop by default, or else 224.

    Returns
    -------
    Network

    Raises
    ------
    TypeError
        Where ``module`` is no torch module, or ``preprocessing`` none of those.
    ValueError
        Where a layer is not in ``module``, or the parts in a row do not give what the whole gives.

    Examples
    --------
    >>> import torch
    >>> body = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1),
    ...                            torch.nn.Flatten(), torch.nn.Linear(8, 5))
    >>> net = wrap(body, trunk=["0", "1"], neck=["2", "3"], classifier=["4"], layers={"penultimate": "3"})
    >>> net.pooled
    True
    """
    torch = import_torch()
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"module must be a torch.nn.Module, got {type(module).__name__}")
    from .families import read_preprocessing, taken_apart

    provenance = {"architecture": type(module).__name__, "weights": "the module's own"}
    if trunk is None and neck is None and classifier is None:
        if hasattr(module, "pretrained_cfg") and hasattr(module, "forward_head"):
            from .architectures import assemble_timm

            net = assemble_timm(name, module, provenance)
            return replace(
                net,
                layers={**net.layers, **_checked(layers, module)},
                classes=net.classes if classes is None else tuple(map(str, classes)),
                preprocessing=net.preprocessing if preprocessing is None else read_preprocessing(preprocessing),
            )
        known = taken_apart(module, preprocessing)
        if known is not None:
            module, trunk, neck, classifier = known.module, known.trunk, known.neck, known.classifier
            preprocessing, provenance = known.preprocessing, {**provenance, "package": known.source}
    layers = _checked(layers, module)
    if (trunk is None) != (neck is None) or (classifier is not None and neck is None):
        raise ValueError("trunk and neck must come together, and a classifier with both, got some of them")
    preprocessing = Preprocessing() if preprocessing is None else read_preprocessing(preprocessing)
    module.eval().requires_grad_(False)
    pooled = False
    if trunk is not None:
        given: dict[str, Any] = {"trunk": trunk, "neck": neck, "classifier": classifier}
        for role, part in given.items():
            if part is None or isinstance(part, torch.nn.Module):
                continue
            try:
                given[role] = sequence(module, [part] if isinstance(part, str) else part)
            except AttributeError as error:
                raise ValueError(f"{role} must name modules of module, got {part!r} ({error})") from error
        trunk, neck, classifier = (None if part is None else part.eval() for part in given.values())
        whole, pooled = parts_agree(module, trunk, neck, classifier, size or preprocessing.crop or 224)
        if classifier is not None and not whole:
            raise ValueError(
                "trunk, neck and classifier must give in a row what module gives, got other values: is an activation, "
                "a pooling or 'flatten' left out?"
            )
    return Network(
        name=name, module=module, layers=layers, preprocessing=preprocessing, trunk=trunk, neck=neck,
        classifier=classifier, pooled=pooled, classes=None if classes is None else tuple(map(str, classes)),
        provenance=provenance,
    )  # fmt: skip
