"""The former name of :mod:`secateur.report.spaces`."""

from .spaces import *  # noqa: F403
from .spaces import __all__ as __all__
