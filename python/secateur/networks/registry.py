"""The former name of :mod:`secateur.networks.architectures` and :mod:`secateur.networks.weights`."""

from . import architectures, weights
from .architectures import *  # noqa: F403
from .weights import *  # noqa: F403

__all__ = [*architectures.__all__, *weights.__all__]
