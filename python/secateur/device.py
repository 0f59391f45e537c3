"""The devices, by their first name: :mod:`secateur.execution` has them."""

from .execution import *  # noqa: F403
