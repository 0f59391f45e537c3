"""Networks: activations of photographs, and what a pruned network still knows. PyTorch is loaded when it is needed."""

from . import feature_maps as feature_maps
from . import heatmaps as heatmaps
from . import occlusion as occlusion
from . import pruned, retention, siamese
from . import saliency as saliency
from .extraction import embed
from .images import Images, read_images
from .network import Network, Preprocessing, wrap
from .perceptual import lpips_rdm
from .registry import available, load

__all__ = [
    "Images",
    "Network",
    "Preprocessing",
    "available",
    "embed",
    "load",
    "lpips_rdm",
    "pruned",
    "read_images",
    "retention",
    "siamese",
    "wrap",
]
