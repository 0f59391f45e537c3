"""Features that come and go together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..features import Indices, read_labels
from .result import Mask

__all__ = ["Groups", "read_groups"]


@dataclass(frozen=True)
class Groups:
    """Features that come and go together; groups are numbered by their first feature.

    Attributes
    ----------
    of : (d,) the group of each feature
    members : by group, its features
    sizes, first : (G,) how many they are, and the first
    """

    of: Indices
    members: tuple[Indices, ...]
    sizes: Indices
    first: Indices

    def __len__(self) -> int:
        return len(self.members)

    @property
    def single(self) -> bool:
        """Whether every feature is its own group."""
        return len(self.members) == len(self.of)

    def columns(self, inside: Mask) -> Indices:
        """The features of some groups, in order of index."""
        return np.asarray(np.flatnonzero(inside[self.of]), dtype=np.int64)

    def laid_out(self, order: Indices) -> Indices:
        """Features (..., d) of an order of groups (..., G)."""
        if self.single:
            return order
        rows = [np.concatenate([self.members[g] for g in row]) for row in order.reshape(-1, len(self))]
        return np.stack(rows).reshape(*order.shape[:-1], len(self.of))


def read_groups(labels: object, d: int) -> Groups:
    """Groups from one label a feature (d,); None: every feature is its own."""
    of = np.arange(d, dtype=np.int64)
    if labels is not None:
        given = read_labels(labels, d, "feature_groups", "features")
        if given.dtype.kind not in "iubUS":
            raise TypeError(f"feature_groups must hold integers or strings, got dtype {given.dtype}")
        _, first, inverse = np.unique(given, return_index=True, return_inverse=True)
        position = np.argsort(np.argsort(first))
        of = np.asarray(position[inverse.reshape(-1)], dtype=np.int64)
    count = int(of.max()) + 1
    by_group = np.argsort(of, kind="stable")
    sizes = np.bincount(of, minlength=count).astype(np.int64)
    members = tuple(np.split(by_group.astype(np.int64), np.cumsum(sizes)[:-1]))
    return Groups(of, members, sizes, np.array([group[0] for group in members], dtype=np.int64))
