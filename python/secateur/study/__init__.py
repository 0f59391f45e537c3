"""Whole studies from one TOML file: read and check its inputs, compute, and write a results folder.

config    TOML -> a dataclass, every key and value checked
fmri      pruning to regions of the brain
"""

from .config import ConfigError, Place, read_config

__all__ = ["ConfigError", "Place", "read_config"]
