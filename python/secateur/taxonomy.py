"""A taxonomy as a target, and as a yardstick for clusters: which things lie under which, how alike that makes them.

A taxonomy is a mapping from every node to its direct hypernyms (its parents), in their given order; a
root has none. WordNet is such a taxonomy, in which a node may have several hypernyms and so several
paths to the root.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from .arguments import check_integer, check_share
from .features import Indices, read_features
from .measures import metric_row
from .pairs import pair_count
from .similarity import similarity

if TYPE_CHECKING:
    import pandas
    import xarray
    from numpy.typing import ArrayLike

    from ._typing import HostEmbeddingLike, LabelsLike, SubsetLike
    from .measures import Metric

__all__ = [
    "ancestors", "assign_groups", "concordance_table", "depths", "held_out_jaccard", "jaccard", "linkage",
    "neighbourhoods", "path_similarity", "wu_palmer",
]  # fmt: skip

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


def path_similarity(leaves: Sequence[str], hypernyms: Hypernyms) -> NDArray[np.float64]:
    """Return the path similarity of every two leaves: 1 / (1 + steps), up to a common ancestor and down again.

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
        If a node that is reached has no entry in `hypernyms`.

    Notes
    -----
    The shortest of all ways counts, as in NLTK's ``path_similarity``.

    Examples
    --------
    >>> tree = {"animal": [], "mammal": ["animal"], "dog": ["mammal"], "cat": ["mammal"], "ant": ["animal"]}
    >>> path_similarity(["dog", "cat", "ant"], tree).round(2)
    array([[1.  , 0.33, 0.25],
           [0.33, 1.  , 0.25],
           [0.25, 0.25, 1.  ]])
    """
    steps = np.full((len(leaves), len(leaves)), np.inf)
    above: dict[str, list[tuple[int, int]]] = {}
    for i, leaf in enumerate(leaves):
        found, edge, away = {leaf: 0}, [leaf], 0
        while edge:  # breadth first: each node at its fewest steps
            away += 1
            edge = [p for p in dict.fromkeys(p for node in edge for p in _parents(node, hypernyms)) if p not in found]
            found.update(dict.fromkeys(edge, away))
        for node, away in found.items():
            above.setdefault(node, []).append((i, away))
    for below in above.values():
        at, up = np.array(below).T
        steps[np.ix_(at, at)] = np.minimum(steps[np.ix_(at, at)], up[:, None] + up)
    np.fill_diagonal(steps, 0)
    return 1.0 / (1.0 + steps)


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


# Clusters held against the taxonomy


def neighbourhoods(
    leaves: Sequence[str], hypernyms: Hypernyms, *, levels: int = 2, itself: bool = False
) -> NDArray[np.bool_]:
    """Return which leaves are near which: those under the same ancestor, a number of first hypernyms up.

    Parameters
    ----------
    leaves : sequence of n str
        The categories.
    hypernyms : mapping of str to sequence of str
        The direct hypernyms of every node; a root has an empty sequence.
    levels : int
        How often to go to the first hypernym: 2 is the grandparent. A root is its own ancestor.
    itself : bool
        Whether a category is in its own neighbourhood.

    Returns
    -------
    (n, n) ndarray of bool
        Row i: the leaves under the ancestor of leaf i (by any path). It need not be symmetric.

    Raises
    ------
    ValueError
        If `levels` is negative or a node that is reached has no entry in `hypernyms`.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), section 2.4.1.

    Examples
    --------
    >>> tree = {"animal": [], "mammal": ["animal"], "dog": ["mammal"], "cat": ["mammal"], "ant": ["animal"]}
    >>> neighbourhoods(["dog", "cat", "ant"], tree, levels=1)
    array([[False,  True, False],
           [ True, False, False],
           [ True,  True, False]])
    """
    check_integer("levels", levels, 0)
    below: dict[str, NDArray[np.bool_]] = {}
    for i, leaf in enumerate(leaves):
        for node in ancestors(leaf, hypernyms):
            below.setdefault(node, np.zeros(len(leaves), dtype=bool))[i] = True
    near = np.zeros((len(leaves), len(leaves)), dtype=bool)
    for i, leaf in enumerate(leaves):
        near[i] = below[_above(leaf, hypernyms, levels)]
    if not itself:
        np.fill_diagonal(near, False)
    return near


def linkage(
    X: HostEmbeddingLike, metric: Metric = "cosine", *, subset: SubsetLike | None = None
) -> NDArray[np.float64]:
    """Return the complete-linkage tree of a similarity space.

    Parameters
    ----------
    X : array (n stimuli, d features), or (P,) similarities
        What is clustered; pairs in ``numpy.triu_indices(n, 1)`` order.
    metric : Metric
        Similarity of two stimuli, where X holds features, as in :func:`secateur.similarity`.
    subset : bool mask (d,) or indices, optional
        The features that are present; all by default.

    Returns
    -------
    (n - 1, 4) ndarray of float64
        As :func:`scipy.cluster.hierarchy.linkage` gives it, of the distances 1 - s for cosine, correlation and given
        similarities, and of the largest similarity minus s otherwise.

    Raises
    ------
    ValueError
        If a stimulus has no direction in these features.

    Examples
    --------
    >>> linkage([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]])[:, :2].tolist()
    [[0.0, 1.0], [2.0, 3.0]]
    """
    from scipy.cluster.hierarchy import linkage as tree

    given = np.ndim(cast("ArrayLike", X)) == 1
    s = np.asarray(X, dtype=np.float64) if given else similarity(X, metric, subset=subset)
    if not np.isfinite(s).all():
        raise ValueError("X must give every stimulus a direction in the features that are present, got one without")
    top = 1.0 if given or metric_row(metric).angular else float(s.max())
    return np.asarray(tree(np.maximum(top - s, 0.0), method="complete"), dtype=np.float64)


def jaccard(
    X: HostEmbeddingLike,
    leaves: Sequence[str],
    hypernyms: Hypernyms,
    cuts: Iterable[int] = range(6, 13),
    metric: Metric = "cosine",
    *,
    subset: SubsetLike | None = None,
    levels: int = 2,
    sizes: tuple[int, int] = (10, 160),
    itself: bool = False,
) -> xarray.Dataset:
    """Return how far the clusters of a similarity space are the neighbourhoods of a taxonomy.

    The tree of :func:`linkage` is cut into so many clusters (``maxclust``). A category's neighbours in the net are the
    others in its cluster, in the taxonomy those of :func:`neighbourhoods`; the Jaccard index is the number of
    shared neighbours over that of all.

    Parameters
    ----------
    X : array (n categories, d features), or (P,) similarities
        The similarity space.
    leaves : sequence of n str
        The categories, as the taxonomy calls them.
    hypernyms : mapping of str to sequence of str
        The direct hypernyms of every node; a root has an empty sequence.
    cuts : integers
        Numbers of clusters.
    metric, subset
        As in :func:`linkage`.
    levels, itself
        As in :func:`neighbourhoods`; `itself` also says whether a category is in its own cluster.
    sizes : (least, most)
        Categories with fewer or more neighbours in the taxonomy are not scored.

    Returns
    -------
    xarray.Dataset, dims (cut, category)
        ``jaccard``: NaN for a category that is not scored. ``chance``: the mean over all ways to give the categories
        their places in the clusters, which depends on sizes alone. ``cluster``: its number. ``neighbours`` (category):
        how many in the taxonomy; coordinate ``above`` (category): the ancestor that they share. ``attrs``: ``scored``,
        ``too_few``, ``too_many`` (categories), ``alone`` (those of the too few without any other leaf under their
        ancestor), and the rules.

    Raises
    ------
    ValueError
        If the names are not as many as the categories, or a cut is not between 1 and n.

    Notes
    -----
    With these defaults 245 of the 398 animals of ImageNet are scored, the paper's number. 18 of them are alone under
    their grandparent in WordNet 3.0, where the paper says 100.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), section 2.4.1 and Table 2.

    Examples
    --------
    >>> tree = {"a": [], "b": ["a"], "c": ["a"], "ant": ["b"], "bee": ["b"], "cat": ["c"], "dog": ["c"]}
    >>> X = np.array([[1.0, 0.1], [1.0, 0.0], [0.0, 1.0], [0.1, 1.0]])
    >>> found = jaccard(X, ["ant", "bee", "cat", "dog"], tree, cuts=[2], levels=1, sizes=(1, 3))
    >>> found.jaccard.values.tolist(), found.scored
    ([[1.0, 1.0, 1.0, 1.0]], 4)
    """
    import xarray

    tree = linkage(X, metric, subset=subset)
    n = len(tree) + 1
    if len(leaves) != n:
        raise ValueError(f"leaves must name the {n} categories of X, got {len(leaves)} ({pair_count(n)} pairs)")
    numbers = _read_cuts(cuts, n, "")
    yard = _Yardstick.of(leaves, hypernyms, levels, sizes, itself)
    index, chance, cluster = yard.among(tree, np.arange(n), numbers)
    dims = ("cut", "category")
    variables = {"jaccard": (dims, index), "chance": (dims, chance), "cluster": (dims, cluster)}
    return xarray.Dataset({**variables, **yard.known()}, yard.coords(leaves, numbers), yard.attrs(metric))


def _read_cuts(cuts: Iterable[int], n: int, whose: str) -> list[int]:
    numbers = [int(cut) for cut in cuts]
    for cut in numbers:
        if not 1 <= cut <= n:
            raise ValueError(f"cuts must be numbers of clusters from 1 to {n}{whose}, got {cut}")
    return numbers


@dataclass(frozen=True)
class _Yardstick:
    """The neighbourhoods of a taxonomy that clusters are held against, and which categories are scored."""

    near: NDArray[np.bool_]
    above: tuple[str, ...]
    levels: int
    sizes: tuple[int, int]
    itself: bool

    @staticmethod
    def of(
        leaves: Sequence[str], hypernyms: Hypernyms, levels: int, sizes: tuple[int, int], itself: bool
    ) -> _Yardstick:
        near = neighbourhoods(leaves, hypernyms, levels=levels, itself=itself)
        return _Yardstick(near, tuple(_above(leaf, hypernyms, levels) for leaf in leaves), levels, sizes, itself)

    @property
    def count(self) -> NDArray[np.int64]:
        return np.asarray(self.near.sum(axis=1), dtype=np.int64)

    @property
    def scored(self) -> NDArray[np.bool_]:
        return np.asarray((self.count >= self.sizes[0]) & (self.count <= self.sizes[1]))

    def known(self) -> dict[str, Any]:
        return {"neighbours": ("category", self.count)}

    def coords(self, leaves: Sequence[str], cuts: list[int]) -> dict[str, Any]:
        names = np.array([str(leaf) for leaf in leaves])
        return {"cut": cuts, "category": names, "above": ("category", np.array(self.above))}

    def attrs(self, metric: str) -> dict[str, Any]:
        least, most = self.sizes
        return {
            "scored": int(self.scored.sum()), "too_few": int((self.count < least).sum()),
            "too_many": int((self.count > most).sum()), "alone": int((self.count == int(self.itself)).sum()),
            "levels": int(self.levels), "itself": int(self.itself), "sizes": [int(size) for size in self.sizes],
            "metric": metric,
        }  # fmt: skip

    def among(
        self, tree: NDArray[np.float64], these: Indices, cuts: list[int]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Of the clusters of some categories: the Jaccard index of each, what chance gives, and its cluster."""
        from scipy.cluster.hierarchy import fcluster

        m, own = len(these), int(self.itself)
        near = self.near[np.ix_(these, these)]
        size = near.sum(axis=1) - own
        scored = self.scored[these] & (size > 0)
        index, chance = np.full((len(cuts), m), np.nan), np.full((len(cuts), m), np.nan)
        cluster = np.empty((len(cuts), m), dtype=np.int64)
        for c, cut in enumerate(cuts):
            cluster[c] = fcluster(tree, cut, "maxclust")
            together = cluster[c][:, None] == cluster[c]
            if not self.itself:
                np.fill_diagonal(together, False)
            union = (near | together).sum(axis=1)
            index[c, scored] = ((near & together).sum(axis=1) / np.maximum(union, 1))[scored]
            others = together.sum(axis=1) - own
            expected = {k: _chance_jaccard(int(k), others, m, own) for k in np.unique(size[scored])}
            chance[c, scored] = [expected[k] for k in size[scored]]
        return index, chance, cluster


def _above(leaf: str, hypernyms: Hypernyms, levels: int) -> str:
    """The node so many first hypernyms up; a root is above itself."""
    node = leaf
    for _ in range(levels):
        parents = _parents(node, hypernyms)
        node = parents[0] if parents else node
    return node


def _chance_jaccard(k: int, others: NDArray[np.int64], m: int, own: int) -> float:
    """Mean index over all ways to give m categories their places, of one with k neighbours among the m - 1 others.

    ``others``: how many others are in the cluster at each place; ``own`` is 1 where a category is its own neighbour.
    """
    from scipy.stats import hypergeom

    total = 0.0
    for size, times in zip(*np.unique(others, return_counts=True), strict=True):
        shared = np.arange(max(0, k + size - (m - 1)), min(k, size) + 1)
        chances = hypergeom.pmf(shared, m - 1, k, size)
        total += times * float(chances @ ((shared + own) / np.maximum(k + size - shared + own, 1)))
    return total / len(others)


def held_out_jaccard(
    X: HostEmbeddingLike,
    result: xarray.Dataset,
    leaves: Sequence[str],
    hypernyms: Hypernyms,
    *,
    space: Literal["pruned", "full"] = "pruned",
    target: int = 0,
    cuts: Iterable[int] = range(6, 13),
    levels: int = 2,
    sizes: tuple[int, int] = (10, 160),
    itself: bool = False,
) -> xarray.Dataset:
    """Return the same for categories that pruning never saw: the test categories of each fold, clustered by themselves.

    In each fold of a cross-validation its test categories are clustered in the features that the fold kept, and held
    against their neighbours among the test categories; over repeats, means. Clusters with training categories in them
    would be fitted in part.

    Parameters
    ----------
    X : array (n categories, d features)
        The embedding.
    result : xarray.Dataset
        From :func:`secateur.cross_validate` of X.
    leaves, hypernyms
        As in :func:`jaccard`.
    space : {"pruned", "full"}
        The features: those that each fold kept, or all. Hold the one against the other, of the same folds.
    target : int
        Position of the target in the result.
    cuts, levels, itself
        As in :func:`jaccard`; the metric is the result's. A fold must have as many test categories as clusters.
    sizes : (least, most)
        Categories with fewer or more neighbours in the taxonomy, all categories counted, are not scored.

    Returns
    -------
    xarray.Dataset, dims (cut, category)
        ``jaccard``, ``chance`` and ``neighbours`` (all categories counted), as from :func:`jaccard`; NaN also for a
        category that was never held out, or never with one of its neighbours.

    Raises
    ------
    ValueError
        If a fold has fewer test categories than a cut, or one without a direction in the features.

    Examples
    --------
    >>> import secateur as sc
    >>> tree = {"top": [], **{f"g{g}": ["top"] for g in range(3)}, **{f"l{i}": [f"g{i % 3}"] for i in range(36)}}
    >>> X = np.random.default_rng(0).normal(size=(36, 9)) + 3 * np.eye(9)[np.arange(36) % 3]
    >>> leaves = [f"l{i}" for i in range(36)]
    >>> result = sc.cross_validate(X, wu_palmer(leaves, tree), cv=3)
    >>> found = held_out_jaccard(X, result, leaves, tree, cuts=[3], levels=1, sizes=(1, 12))
    >>> bool((found.jaccard.mean() > found.chance.mean()).item())
    True
    """
    import xarray

    if space not in ("pruned", "full"):
        raise ValueError(f"space must be 'pruned' or 'full', got {space!r}")
    metric, held = cast("Metric", str(result.attrs["metric"])), read_features(X).values
    tests = [np.flatnonzero(mask) for mask in result["test"].values]
    if len(leaves) != len(held) or result.sizes["stimulus"] != len(held):
        raise ValueError(
            f"leaves and result must be of the {len(held)} categories of X, got {len(leaves)} and "
            f"{result.sizes['stimulus']}"
        )
    numbers = _read_cuts(cuts, min(map(len, tests)), ", the test categories of a fold")
    yard = _Yardstick.of(leaves, hypernyms, levels, sizes, itself)
    shape = (len(numbers), len(held))
    total, by_chance, times = np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=np.int64)
    for test, kept in zip(tests, result["kept"].values[target], strict=True):
        tree = linkage(held[test], metric, subset=kept if space == "pruned" else None)
        index, chance, _ = yard.among(tree, test, numbers)
        times[:, test] += ~np.isnan(index)
        total[:, test] += np.nan_to_num(index)
        by_chance[:, test] += np.nan_to_num(chance)
    dims = ("cut", "category")
    mean = {
        name: (dims, np.where(times > 0, one / np.maximum(times, 1), np.nan))
        for name, one in (("jaccard", total), ("chance", by_chance))
    }
    attrs = yard.attrs(metric) | {"scored": int((times > 0).any(axis=0).sum()), "space": space, "folds": len(tests)}
    return xarray.Dataset({**mean, **yard.known()}, yard.coords(leaves, numbers), attrs)


def concordance_table(
    full: xarray.Dataset, pruned: xarray.Dataset, groups: LabelsLike | None = None, confidence: float = 0.95
) -> pandas.DataFrame:
    """Return full against pruned, one row per cut: mean Jaccard indices, and their difference beyond chance.

    Parameters
    ----------
    full, pruned : xarray.Dataset
        From :func:`jaccard` or :func:`held_out_jaccard`, of the same categories and cuts.
    groups : array (categories,), optional
        What is counted as one observation; by default the categories under one ancestor (``above``), whose neighbours,
        and so whose indices, are shared.
    confidence : float
        Coverage of the interval, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        Index: cut. Columns ``full``, ``pruned``, ``difference`` (means over the categories that both score);
        ``chance``, the difference that cluster sizes alone make; ``beyond``, the difference without it, with its
        interval over groups ``lower``, ``upper``; ``categories``, ``groups`` (NaN intervals where there is one).

    Raises
    ------
    ValueError
        If they are of other categories or cuts.

    Notes
    -----
    The interval is that of a mean over clusters of observations, t with as many degrees of freedom as groups, less one.
    The paper's Wilcoxon test over single categories takes hundreds that share clusters and neighbours for independent
    ones; no p of it is given. Features that were fitted to these categories (:func:`jaccard` of a pruned space) make a
    difference that no interval mends: hold them out.

    References
    ----------
    Tarigopula, Fairhall & Hasson (2023), Table 2; Liang & Zeger (1986, Biometrika 73): the interval.

    Examples
    --------
    >>> tree = {"top": [], **{f"g{g}": ["top"] for g in range(3)}, **{f"l{i}": [f"g{i % 3}"] for i in range(12)}}
    >>> X = np.random.default_rng(0).normal(size=(12, 40)) + 3 * np.eye(40)[np.arange(12) % 3]
    >>> how = {"leaves": [f"l{i}" for i in range(12)], "hypernyms": tree, "cuts": [3], "levels": 1, "sizes": (1, 9)}
    >>> table = concordance_table(jaccard(X, **how), jaccard(X, subset=[0, 1, 2], **how))
    >>> bool(table.loc[3, "beyond"] > 0)
    True
    """
    import pandas

    for name in ("cut", "category"):
        if not np.array_equal(full[name].values, pruned[name].values):
            raise ValueError(f"full and pruned must be of the same {name}s, got others")
    check_share("confidence", confidence)
    whose = full["above"].values if groups is None else np.asarray(groups).astype(str)
    if whose.shape != (full.sizes["category"],):
        raise ValueError(f"groups must name one for each of {full.sizes['category']} categories, got {whose.shape}")
    rows = []
    for c, cut in enumerate(full["cut"].values):
        (a, b), (by_a, by_b) = ([one[name].values[c] for one in (full, pruned)] for name in ("jaccard", "chance"))
        both = ~(np.isnan(a) | np.isnan(b))
        mean, half, count = _over_groups((b - a - by_b + by_a)[both], whose[both], confidence)
        means = [float(one[both].mean()) if both.any() else float("nan") for one in (a, b, by_b - by_a)]
        rows.append(
            {
                "cut": int(cut), "full": means[0], "pruned": means[1], "difference": means[1] - means[0],
                "chance": means[2], "beyond": mean, "lower": mean - half, "upper": mean + half,
                "categories": int(both.sum()), "groups": count,
            }
        )  # fmt: skip
    return pandas.DataFrame(rows).set_index("cut")


def _over_groups(values: NDArray[np.float64], groups: LabelsLike, confidence: float) -> tuple[float, float, int]:
    """Mean of values, half its interval where values of a group go together, and how many groups there are."""
    from scipy.stats import t as student

    nan = float("nan")
    if not len(values):
        return nan, nan, 0
    mean = float(values.mean())
    _, group = np.unique(groups, return_inverse=True)
    sums = np.bincount(group, values - mean)
    count = len(sums)
    if count < 2:
        return mean, nan, count
    error = np.sqrt(count / (count - 1) * float(sums @ sums)) / len(values)
    return mean, float(student.isf((1 - confidence) / 2, count - 1)) * error, count
