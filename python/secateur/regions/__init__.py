"""Regions of the brain: the four tests of pruning over regions, subjects, two image sets and a network's layers; and
matrices of regions from the responses of single trials."""

from .betas import rdm_from_betas
from .scoring import four_tests
from .tables import nodes, paired_tests, scores

__all__ = ["four_tests", "nodes", "paired_tests", "rdm_from_betas", "scores"]
