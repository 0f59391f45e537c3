"""The pictures by the name of the module that they were in."""

from ..scaling import mds
from .curves import insertion_curves
from .held_out_scores import comparison, held_out
from .nulls import null
from .pages import page
from .results import consensus, target_name
from .spaces import RANK_LABEL, matrices
from .stimulus_maps import embedding
from .trees import dendrograms

__all__ = [
    "RANK_LABEL", "comparison", "consensus", "dendrograms", "embedding", "held_out", "insertion_curves", "matrices",
    "mds", "null", "page", "target_name",
]  # fmt: skip
