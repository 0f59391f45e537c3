"""The former name of :mod:`secateur.reweighting`."""

from .reweighting import *  # noqa: F403
from .reweighting import __all__ as __all__
