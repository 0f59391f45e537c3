"""Networks: activations of photographs, and what a pruned network still knows. PyTorch is loaded when it is needed."""

from .images import Images, read_images
from .network import Network, Preprocessing, wrap
from .registry import available, load

__all__ = [
    "Images",
    "Network",
    "Preprocessing",
    "available",
    "load",
    "read_images",
    "wrap",
]
