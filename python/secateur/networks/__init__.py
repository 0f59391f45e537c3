"""Networks: activations of photographs, and what a pruned network still knows. PyTorch is loaded when it is needed."""

from . import pruned, retention
from .extraction import embed
from .images import Images, read_images
from .network import Network, Preprocessing, wrap
from .registry import available, load

__all__ = [
    "Images",
    "Network",
    "Preprocessing",
    "available",
    "embed",
    "load",
    "pruned",
    "read_images",
    "retention",
    "wrap",
]
