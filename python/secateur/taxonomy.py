"""A taxonomy as a target: which things lie under which, and how alike that makes them.

A taxonomy is a mapping from every node to its direct hypernyms (its parents), in their given order; a
root has none. WordNet is such a taxonomy, in which a node may have several hypernyms and so several
paths to the root.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["ancestors", "assign_groups", "depths", "wu_palmer"]

Hypernyms = Mapping[str, Sequence[str]]


def _parents(node: str, hypernyms: Hypernyms) -> Sequence[str]:
    if node not in hypernyms:
        raise ValueError(f"hypernyms must have an entry for every node that is reached, got none for {node!r}")
    return hypernyms[node]


def ancestors(node: str, hypernyms: Hypernyms) -> set[str]:
    """Return the node itself and everything above it.

    Parameters
    ----------
    node : str
        Where to start.
    hypernyms : mapping of str to sequence of str
        The direct hypernyms of every node; a root has an empty sequence.

    Returns
    -------
    set of str
        All nodes on all paths from `node` to the roots, `node` included.

    Raises
    ------
    ValueError
        If a node that is reached has no entry in `hypernyms`.

    Examples
    --------
    >>> sorted(ancestors("dog", {"animal": [], "pet": ["animal"], "dog": ["pet"], "ant": ["animal"]}))
    ['animal', 'dog', 'pet']
    """
    found = {node}
    waiting = [node]
    while waiting:
        for parent in _parents(waiting.pop(), hypernyms):
            if parent not in found:
                found.add(parent)
                waiting.append(parent)
    return found


def depths(nodes: Sequence[str], hypernyms: Hypernyms) -> dict[str, int]:
    """Return the depth of the nodes and of everything above them.

    The depth of a node is the number of nodes on its *longest* hypernym path to a root, both ends counted:
    a root has depth 1.

    Parameters
    ----------
    nodes : sequence of str
        Where to start.
    hypernyms : mapping of str to sequence of str
        The direct hypernyms of every node; a root has an empty sequence.

    Returns
    -------
    dict of str to int
        Depth by node, for `nodes` and all their ancestors.

    Raises
    ------
    ValueError
        If a node that is reached has no entry in `hypernyms`, or if it lies above itself.

    Examples
    --------
    >>> depths(["dog"], {"animal": [], "pet": ["animal"], "dog": ["pet", "animal"]})
    {'animal': 1, 'pet': 2, 'dog': 3}
    """
    depth: dict[str, int] = {}
    for start in nodes:
        if start in depth:
            continue
        # Depth first without recursion: a node gets its depth when all its parents have theirs.
        path: dict[str, Iterator[str]] = {start: iter(_parents(start, hypernyms))}
        while path:
            node, parents = next(reversed(path.items()))
            parent = next((p for p in parents if p not in depth), None)
            if parent is None:
                depth[node] = 1 + max((depth[p] for p in hypernyms[node]), default=0)
                del path[node]
            elif parent in path:
                raise ValueError(f"hypernyms must not contain a cycle, got one through {parent!r}")
            else:
                path[parent] = iter(_parents(parent, hypernyms))
    return depth


def wu_palmer(leaves: Sequence[str], hypernyms: Hypernyms) -> NDArray[np.float64]:
    """Return the Wu-Palmer similarity of every two leaves of a taxonomy.

    similarity(a, b) = 2 depth(c) / (depth(a) + depth(b)), c being the deepest common ancestor of a and b
    (Wu & Palmer 1994, Verb semantics and lexical selection, section 4).

    Parameters
    ----------
    leaves : sequence of n str
        The categories to compare. One may lie above another.
    hypernyms : mapping of str to sequence of str
        The direct hypernyms of every node; a root has an empty sequence.

    Returns
    -------
    (n, n) ndarray of float64
        Symmetric, between 0 and 1, with a unit diagonal; 0 for two leaves with no common ancestor.

    Raises
    ------
    ValueError
        If a node that is reached has no entry in `hypernyms`, or if it lies above itself.

    Notes
    -----
    Conventions part where a node has several paths to the root. Here a node has one depth, the number of
    nodes on its longest path to the root (root = 1, see `depths`), and the common ancestor is the one of
    greatest depth. NLTK's ``wup_similarity`` gives the same values wherever paths are unique. Elsewhere it
    picks the common ancestor by the *shortest* path to the root, and measures a leaf by the shortest way to
    that ancestor, up and down through any part of the graph. In WordNet a dog is a canine and, near the
    root, a domestic animal, so that there two dogs meet at *canine* only, and a dog is 0.93 similar to
    itself.

    Examples
    --------
    >>> tree = {"animal": [], "mammal": ["animal"], "dog": ["mammal"], "cat": ["mammal"], "ant": ["animal"]}
    >>> wu_palmer(["dog", "cat", "ant"], tree).round(2)
    array([[1.  , 0.67, 0.4 ],
           [0.67, 1.  , 0.4 ],
           [0.4 , 0.4 , 1.  ]])
    """
    depth = depths(leaves, hypernyms)
    below: dict[str, list[int]] = {node: [] for node in depth}
    for i, leaf in enumerate(leaves):
        for node in ancestors(leaf, hypernyms):
            below[node].append(i)

    common = np.zeros((len(leaves), len(leaves)))
    for node in sorted(depth, key=depth.__getitem__):  # the deepest is written last
        common[np.ix_(below[node], below[node])] = depth[node]
    own = np.array([depth[leaf] for leaf in leaves], dtype=np.float64)
    return 2.0 * common / (own[:, None] + own)


def assign_groups(leaves: Sequence[str], hypernyms: Hypernyms, heads: Mapping[str, str]) -> tuple[str, ...]:
    """Return the group of every leaf: the name of the one head that it lies under.

    Parameters
    ----------
    leaves : sequence of n str
        The categories to sort.
    hypernyms : mapping of str to sequence of str
        The direct hypernyms of every node; a root has an empty sequence.
    heads : mapping of str to str
        The name of the group that a node heads.

    Returns
    -------
    tuple of n str
        Group names.

    Raises
    ------
    ValueError
        If a leaf lies under no head or under heads of different names.

    Examples
    --------
    >>> tree = {"animal": [], "chordate": ["animal"], "dog": ["chordate"], "ant": ["animal"]}
    >>> assign_groups(["dog"], tree, {"chordate": "with a backbone"})
    ('with a backbone',)
    """
    groups = []
    for leaf in leaves:
        names = sorted({heads[node] for node in ancestors(leaf, hypernyms) if node in heads})
        if len(names) != 1:
            raise ValueError(f"heads must put every leaf in exactly one group, got {names} for {leaf!r}")
        groups.append(names[0])
    return tuple(groups)
