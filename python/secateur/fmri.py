"""The former name of :mod:`secateur.regions`."""

from .regions import *  # noqa: F403
from .regions import __all__ as __all__
