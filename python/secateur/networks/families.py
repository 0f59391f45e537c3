"""Vision models of timm, open_clip and transformers taken apart: trunk, neck, classifier, preprocessing.

======================  ===================================  ===================================================
model                   trunk                                penultimate layer (the model's own embedding)
======================  ===================================  ===================================================
any of timm's           ``forward_features``                 ``forward_head(pre_logits=True)``
open_clip, ``visual``   tokens behind the last block         pooled and projected: what ``encode_image`` gives
open_clip, of timm's    timm's ``forward_features``          pooled and projected
transformers            ``last_hidden_state``                ``image_embeds`` of a CLIP with projection; else what
                                                             its classifier reads; else ``pooler_output``; else
                                                             the class token
======================  ===================================  ===================================================

Nothing of these packages is imported to tell them: a model is known by what it has, and one image of noise must come
out of the parts as it does of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from .network import IMAGENET_MEAN, IMAGENET_STD, Preprocessing, function_module, import_torch, noise, same

if TYPE_CHECKING:
    import torch

    from .._typing import PreprocessingLike

__all__ = ["Taken", "read_preprocessing", "taken_apart"]

_CLIP: Final = {"mean": (0.48145466, 0.4578275, 0.40821073), "std": (0.26862954, 0.26130258, 0.27577711)}
_HALVES: Final = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
_FILTERS: Final = {0: "nearest", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers
# Of transformers' models that come without their image processor, where it is not ImageNet's.
_COLOURS: Final[Mapping[str, Mapping[str, Any]]] = {
    "clip": _CLIP, "clip_vision_model": _CLIP, "vit": _HALVES, "siglip": _HALVES, "siglip_vision_model": _HALVES,
    "siglip2_vision_model": _HALVES,
}  # fmt: skip
_STRETCHED: Final = ("vit", "siglip", "siglip_vision_model", "siglip2_vision_model")


@dataclass(frozen=True)
class Taken:
    """A model's module and its parts."""

    module: Any
    trunk: Any
    neck: Any
    classifier: Any
    preprocessing: Preprocessing
    source: str


def read_preprocessing(given: PreprocessingLike) -> Preprocessing:
    """Preprocessing from what comes with a model.

    Parameters
    ----------
    given : Preprocessing, image processor of transformers, or torchvision's transforms in a row
        open_clip's ``preprocess`` is the last.

    Returns
    -------
    Preprocessing

    Raises
    ------
    TypeError
        Where it is none of them.

    Examples
    --------
    >>> read_preprocessing(Preprocessing(crop=96)).crop
    96
    """
    if isinstance(given, Preprocessing):
        return given
    if hasattr(given, "image_mean"):
        return _of_processor(given)
    if hasattr(given, "transforms"):
        return _of_transforms(given.transforms)
    raise TypeError(
        "preprocessing must be a Preprocessing, an image processor of transformers or torchvision's transforms, got "
        f"{type(given).__name__}"
    )


def _side(size: Any) -> int | tuple[int, int]:
    """One side or (height, width), from the words of both packages."""
    if isinstance(size, int):
        return size
    if isinstance(size, (list, tuple)):
        return int(size[0]) if len(size) == 1 else (int(size[0]), int(size[1]))
    sizes = dict(size)
    return int(sizes["shortest_edge"]) if "shortest_edge" in sizes else (int(sizes["height"]), int(sizes["width"]))


def _square(side: int | tuple[int, int], of: str) -> int:
    """The side of a square; refused where there are two."""
    if isinstance(side, tuple) and side[0] != side[1]:
        raise ValueError(f"preprocessing must crop a square, got {side} from {of}")
    return side if isinstance(side, int) else side[0]


def _of_processor(given: Any) -> Preprocessing:
    resize = _side(given.size) if getattr(given, "do_resize", True) else None
    crop = None
    if getattr(given, "do_center_crop", False):
        crop = _square(_side(given.crop_size), type(given).__name__)
    elif getattr(given, "crop_pct", None) and isinstance(resize, int):  # ConvNeXt's
        resize, crop = int(resize / given.crop_pct), resize
    return Preprocessing(
        resize, crop, tuple(given.image_mean), tuple(given.image_std),
        _FILTERS.get(int(getattr(given, "resample", None) or 2), "bilinear"),
    )  # fmt: skip


def _of_transforms(transforms: Any) -> Preprocessing:
    found: dict[str, Any] = {"resize": None, "crop": None, "mean": (0.0,) * 3, "std": (1.0,) * 3}
    for step in transforms:
        kind = type(step).__name__
        if kind == "Resize":
            found["resize"] = _side(step.size)
            found["interpolation"] = getattr(step.interpolation, "value", "bilinear")
        elif kind == "CenterCrop":
            found["crop"] = _square(_side(step.size), kind)
        elif kind == "Normalize":
            found["mean"], found["std"] = (tuple(float(v) for v in values) for values in (step.mean, step.std))
    return Preprocessing(**found)


def taken_apart(module: torch.nn.Module, preprocessing: PreprocessingLike | None = None) -> Taken | None:
    """The parts of a model of open_clip or transformers; None where it is neither."""
    visual = getattr(module, "visual", module)
    made = None
    if hasattr(visual, "_embeds") and hasattr(visual, "_pool"):
        made = _of_open_clip(visual, preprocessing)
    elif hasattr(getattr(visual, "trunk", None), "forward_features") and hasattr(visual, "head"):
        made = _of_open_clip_timm(visual, preprocessing)
    elif getattr(module, "main_input_name", None) == "pixel_values" and hasattr(module, "config"):
        made = _of_transformers(module, preprocessing)
    return made


def _open_clip_preprocessing(visual: Any) -> Preprocessing:
    own = dict(getattr(visual, "preprocess_cfg", None) or {})
    size = _square(_side(own.get("size") or visual.image_size), "open_clip")
    stretched = own.get("resize_mode") == "squash"
    mean, std = (own.get(key) or getattr(visual, f"image_{key}", None) or _CLIP[key] for key in ("mean", "std"))
    resize = (size, size) if stretched else size
    return Preprocessing(resize, size, tuple(mean), tuple(std), own.get("interpolation") or "bicubic")


def _tokens_of_open_clip(own: Any, x: Any) -> Any:
    return own.transformer(own._embeds(x))  # noqa: SLF001  # open_clip has no other name for it


def _projected(own: Any, tokens: Any) -> Any:
    pooled, _ = own._pool(tokens)  # noqa: SLF001  # the same
    return pooled if own.proj is None else pooled @ own.proj


def _tokens_of_timm(own: Any, x: Any) -> Any:
    return own.trunk.forward_features(x)


def _head_of_timm(own: Any, tokens: Any) -> Any:
    return own.head(own.trunk.forward_head(tokens))


def _of_open_clip(visual: Any, preprocessing: PreprocessingLike | None) -> Taken:
    trunk = function_module(_tokens_of_open_clip, visual)
    given = _open_clip_preprocessing(visual) if preprocessing is None else read_preprocessing(preprocessing)
    return Taken(visual, trunk, function_module(_projected, visual), None, given, "open_clip")


def _of_open_clip_timm(visual: Any, preprocessing: PreprocessingLike | None) -> Taken:
    trunk = function_module(_tokens_of_timm, visual)
    neck = function_module(_head_of_timm, visual)
    given = _open_clip_preprocessing(visual) if preprocessing is None else read_preprocessing(preprocessing)
    return Taken(visual, trunk, neck, None, given, "open_clip, timm")


def _with_mean(tokens: Any) -> Any:
    return import_torch().cat([tokens[:, 0], tokens[:, 1:].mean(1)], 1)


# From last_hidden_state to a model's embedding, in its own words; the first that gives what the model gives is it.
_NECKS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "projection": lambda own, x: own.visual_projection(own.base_model.post_layernorm(x[:, 0])),
    "head": lambda own, x: own.base_model.head(x),
    "pooler": lambda own, x: own.base_model.pooler(x),
    "pooler of channels": lambda own, x: own.base_model.pooler(x.transpose(1, 2)).flatten(1),
    "norm of the class token": lambda own, x: own.base_model.post_layernorm(x[:, 0]),
    "norm of the mean of maps": lambda own, x: own.base_model.layernorm(x.mean((-2, -1))),
    "pooler of maps": lambda own, x: own.base_model.pooler(x).flatten(1),
    "class token": lambda own, x: x[:, 0],
    "class token, mean": lambda own, x: _with_mean(x),
    "mean": lambda own, x: x.mean(1),
}


def _neck(name: str, own: Any, x: Any) -> Any:
    """One of them by its name, so that it pickles."""
    return _NECKS[name](own, x)


def _last_hidden_state(own: Any, x: Any) -> Any:
    return own.base_model(pixel_values=x).last_hidden_state


def _of_transformers(module: Any, preprocessing: PreprocessingLike | None) -> Taken:
    torch, config = import_torch(), module.config
    size = getattr(config, "image_size", 224)
    size = _square(_side(size), "the model")
    if preprocessing is None:
        kind = getattr(config, "model_type", "")
        colours = _COLOURS.get(kind, {"mean": IMAGENET_MEAN, "std": IMAGENET_STD})
        resize = (size, size) if kind in _STRETCHED else size
        given = Preprocessing(resize, size, **colours, interpolation="bilinear" if kind == "vit" else "bicubic")
    else:
        given = read_preprocessing(preprocessing)
    trunk = function_module(_last_hidden_state, module)
    head = getattr(module, "classifier", None)
    weight = next(module.parameters())
    x = noise(size).to(weight.device, weight.dtype)
    module.eval()
    with torch.no_grad():
        out, tokens = module(x), trunk(x)
        names = ("image_embeds",) if hasattr(out, "image_embeds") else ("pooler_output",)
        wanted = out.logits if head is not None else next((getattr(out, key, None) for key in names), None)
        for neck in (partial(_neck, name) for name in _NECKS):
            try:
                made = neck(module, tokens)
                made = made if head is None else head(made)
            except (AttributeError, TypeError, RuntimeError, IndexError, ValueError):  # not this model's way
                continue
            if (wanted is None and made.ndim == 2) or (wanted is not None and same(made, wanted)):
                parts = function_module(neck, module)
                return Taken(module, trunk, parts, head, given, f"transformers {type(module).__name__}")
    raise ValueError(
        f"module must pool its tokens in a way that is known here, got {type(module).__name__}: pass trunk and neck"
    )
