"""The former name of :mod:`secateur.finetuning`."""

from ..finetuning import *  # noqa: F403
from ..finetuning import __all__ as __all__
from ..finetuning.batches import pair_loss as pair_loss
