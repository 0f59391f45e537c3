"""Networks: activations of photographs, and what a pruned network still knows. PyTorch is loaded when it is needed."""

from typing import TYPE_CHECKING as _TYPE_CHECKING

from . import attributions as attributions
from . import feature_maps as feature_maps
from . import heatmaps as heatmaps
from . import occlusion as occlusion
from . import parts as parts
from . import pruned, retention
from . import saliency as saliency
from .architectures import available, load
from .extraction import embed
from .images import Images, read_images
from .network import Network, Preprocessing, wrap
from .perceptual import lpips_rdm

if _TYPE_CHECKING:
    from . import siamese

__all__ = [
    "Images", "Network", "Preprocessing", "available", "embed", "load", "lpips_rdm", "pruned", "read_images",
    "retention", "siamese", "wrap",
]  # fmt: skip


if not _TYPE_CHECKING:  # fine-tuning stands on networks, so that its former name can't be loaded with them

    def __getattr__(name: str) -> object:
        if name not in ("registry", "siamese"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return import_module(f"{__name__}.{name}")
