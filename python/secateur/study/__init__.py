"""Whole studies from one TOML file: read and check its inputs, compute, and write a results folder.

config      TOML -> a dataclass, every key and value checked
inputs      embeddings and targets, with a record of each
steps       what all studies share: read, compute, write
similarity  pruning beside reweightings (Table 1, Figure 1)
taxonomy    clusters against WordNet (Table 2)
retention   what a pruned network still classifies (Figure 2)
fmri        pruning to regions of the brain
models      networks and layers side by side
nested      layer, metric, comparator, search and size chosen on inner folds
"""

from .config import ConfigError, Place, read_config

__all__ = ["ConfigError", "Place", "read_config"]
