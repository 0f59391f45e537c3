"""Regions of the brain: the four tests of pruning over regions, subjects, two image sets and a network's layers."""

from .scoring import four_tests
from .tables import nodes, paired_tests, scores

__all__ = ["four_tests", "nodes", "paired_tests", "scores"]
