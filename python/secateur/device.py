"""The devices, by their first name: :mod:`secateur.execution` has them."""

from .execution import (
    Device,
    Execution,
    ForkWarning,
    available,
    check_device,
    describe,
    processors,
    resolve,
    thread_count,
)

__all__ = [
    "Device",
    "Execution",
    "ForkWarning",
    "available",
    "check_device",
    "describe",
    "processors",
    "resolve",
    "thread_count",
]
