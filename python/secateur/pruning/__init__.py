"""Pruning: which features to keep so that the similarity space fits a target."""

from .pruner import Pruned, Pruner

__all__ = ["Pruned", "Pruner"]
