"""The former name of :mod:`secateur.networks.architectures`."""

from .architectures import *  # noqa: F403
from .architectures import __all__ as __all__
