"""Small vision models with random weights, of every family that is taken apart: support for tests, not a test."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="networks need PyTorch")

SIDE = 32


def _shaken(module: Any, seed: int = 0) -> Any:
    """Weights far from the zeros and ones that many begin with, so that every part matters."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return module.eval()


def _torchvision() -> None:
    """torchvision, as the library loads it; its test skips where there is none."""
    from secateur.networks.network import import_torchvision

    if find_spec("torchvision") is None:
        pytest.skip("these models' packages need torchvision")
    import_torchvision()


def _timm(name: str, **changes: Any) -> Callable[[], Any]:
    def make() -> Any:
        _torchvision()
        timm = pytest.importorskip("timm", reason="timm is not installed")
        return timm.create_model(name, **changes)

    return make


_SMALL = {"img_size": SIDE, "patch_size": 8, "depth": 2, "embed_dim": 32, "num_heads": 4, "num_classes": 5}
_SWIN = {"img_size": SIDE, "patch_size": 2, "window_size": 4, "embed_dim": 16, "depths": (1, 2), "num_heads": (2, 4)}


def _transformers(kind: str, **options: Any) -> Callable[[], Any]:
    def make() -> Any:
        _torchvision()
        package = pytest.importorskip("transformers", reason="transformers is not installed")
        name = kind.replace("ForImageClassification", "").replace("ModelWithProjection", "").removesuffix("Model")
        config = getattr(package, f"{name}Config")(image_size=SIDE, **options)
        return getattr(package, kind)(config)

    return make


_HF = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, "patch_size": 8}
_DINO = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "mlp_ratio": 2, "patch_size": 8}


def _open_clip(**vision: Any) -> Callable[[], Any]:
    def make() -> Any:
        _torchvision()
        package = pytest.importorskip("open_clip", reason="open_clip is not installed")
        text = {"context_length": 8, "vocab_size": 50, "width": 16, "heads": 2, "layers": 1}
        return package.model.CLIP(16, {"image_size": SIDE, "patch_size": 8, **vision}, text)

    return make


MODELS: dict[str, Callable[[], Any]] = {
    "vit": _timm("vit_tiny_patch16_224", **_SMALL),
    "deit": _timm("deit_tiny_patch16_224", **_SMALL),
    "dinov2": _timm("vit_small_patch14_reg4_dinov2", **_SMALL),
    "clip": _timm("vit_base_patch16_clip_224", **_SMALL),
    "siglip": _timm("vit_base_patch16_siglip_224", **_SMALL),
    "dinov3": _timm("vit_small_patch16_dinov3", **_SMALL),
    "swin": _timm("swin_tiny_patch4_window7_224", **_SWIN),
    "swinv2": _timm("swinv2_tiny_window8_256", **_SWIN),
    "convnext": _timm("convnext_tiny", depths=(1, 1, 1, 2), dims=(8, 8, 16, 16)),
    "open_clip": _open_clip(layers=2, width=32, head_width=8, ls_init_value=0.5),
    "transformers-vit": _transformers("ViTModel", **_HF),
    "transformers-classifier": _transformers("ViTForImageClassification", num_labels=5, **_HF),
    "transformers-clip": _transformers("CLIPVisionModelWithProjection", projection_dim=16, **_HF),
    "transformers-siglip": _transformers("SiglipVisionModel", **_HF),
    "transformers-dinov2": _transformers("Dinov2Model", **_DINO),
    "transformers-swin": _transformers(
        "SwinModel", patch_size=4, embed_dim=16, depths=[1, 1], num_heads=[2, 4], window_size=4
    ),
    "transformers-convnext": _transformers("ConvNextModel", hidden_sizes=[8, 16], depths=[1, 1], num_stages=2),
}


def make(name: str) -> Any:
    """The network of that name, wrapped; with pixels as they come where its family says nothing else of them."""
    from secateur import networks

    plain = networks.Preprocessing(resize=None, crop=SIDE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = MODELS[name]()
    return networks.wrap(_shaken(module), preprocessing=plain, name=name)
