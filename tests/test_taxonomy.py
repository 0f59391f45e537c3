"""The taxonomy's rules, by hand on a small one."""

import itertools

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster
from scipy.cluster.hierarchy import linkage as scipy_linkage
from scipy.spatial.distance import pdist

import secateur as sc
from secateur.report import dendrograms
from secateur.taxonomy import (
    ancestors,
    assign_groups,
    concordance_table,
    depths,
    held_out_jaccard,
    jaccard,
    linkage,
    neighbourhoods,
    path_similarity,
    wu_palmer,
)

# entity - animal - mammal - canine - dog - {terrier, poodle}     depths 1 2 3 4 5 6
#                 \ pet ----------- dog, hamster (also a mammal)
#                 \ insect - ant
HYPERNYMS = {
    "entity": (),
    "animal": ("entity",),
    "mammal": ("animal",),
    "canine": ("mammal",),
    "pet": ("animal",),
    "dog": ("canine", "pet"),
    "terrier": ("dog",),
    "poodle": ("dog",),
    "wolf": ("canine",),
    "hamster": ("mammal", "pet"),
    "insect": ("animal",),
    "ant": ("insect",),
}
LEAVES = ("terrier", "poodle", "wolf", "hamster", "ant")


def test_ancestors_include_the_node_and_every_path() -> None:
    assert ancestors("terrier", HYPERNYMS) == {
        "terrier",
        "dog",
        "canine",
        "mammal",
        "pet",
        "animal",
        "entity",
    }
    assert ancestors("entity", HYPERNYMS) == {"entity"}


def test_depth_counts_the_nodes_of_the_longest_path() -> None:
    depth = depths(LEAVES, HYPERNYMS)
    assert depth == {
        "entity": 1, "animal": 2, "mammal": 3, "pet": 3, "insect": 3, "canine": 4, "hamster": 4, "ant": 4,
        "dog": 5, "wolf": 5, "terrier": 6, "poodle": 6,
    }  # fmt: skip


def test_wu_palmer_by_hand() -> None:
    dogs, dog_wolf, dog_hamster, dog_ant = 2 * 5 / 12, 2 * 4 / 11, 2 * 3 / 10, 2 * 2 / 10
    wolf_hamster, wolf_ant, hamster_ant = 2 * 3 / 9, 2 * 2 / 9, 2 * 2 / 8
    expected = [
        [1.0, dogs, dog_wolf, dog_hamster, dog_ant],
        [dogs, 1.0, dog_wolf, dog_hamster, dog_ant],
        [dog_wolf, dog_wolf, 1.0, wolf_hamster, wolf_ant],
        [dog_hamster, dog_hamster, wolf_hamster, 1.0, hamster_ant],
        [dog_ant, dog_ant, wolf_ant, hamster_ant, 1.0],
    ]
    np.testing.assert_allclose(wu_palmer(LEAVES, HYPERNYMS), expected, rtol=0, atol=1e-15)


def test_wu_palmer_agrees_with_the_definition_pair_by_pair() -> None:
    rng = np.random.default_rng(0)
    hypernyms: dict[str, tuple[str, ...]] = {"0": ()}
    for node in range(1, 60):
        parents = rng.choice(node, size=min(node, int(rng.integers(1, 4))), replace=False)
        hypernyms[str(node)] = tuple(map(str, parents))

    def depth(node: str) -> int:
        return 1 + max((depth(parent) for parent in hypernyms[node]), default=0)

    leaves = [str(node) for node in range(20, 60)]
    expected = np.empty((40, 40))
    for i, a in enumerate(leaves):
        for j, b in enumerate(leaves):
            deepest = max(depth(node) for node in ancestors(a, hypernyms) & ancestors(b, hypernyms))
            expected[i, j] = 2 * deepest / (depth(a) + depth(b))
    np.testing.assert_array_equal(wu_palmer(leaves, hypernyms), expected)


def test_a_leaf_above_another_and_two_roots() -> None:
    np.testing.assert_allclose(wu_palmer(["dog", "terrier"], HYPERNYMS)[0, 1], 2 * 5 / 11)
    np.testing.assert_array_equal(wu_palmer(["a", "b"], {"a": (), "b": ()}), np.eye(2))
    assert wu_palmer([], {}).shape == (0, 0)


def test_a_long_chain_needs_no_recursion() -> None:
    chain = {"0": (), **{str(i): (str(i - 1),) for i in range(1, 5000)}}
    assert depths(["4999"], chain)["4999"] == 5000


def test_groups() -> None:
    heads = {"mammal": "warm", "insect": "small"}
    assert assign_groups(LEAVES, HYPERNYMS, heads) == ("warm", "warm", "warm", "warm", "small")
    with pytest.raises(ValueError, match=r"heads must put every leaf in exactly one group, got \[\] for 'ant'"):
        assign_groups(["ant"], HYPERNYMS, {"mammal": "warm"})
    with pytest.raises(ValueError, match="exactly one group"):
        assign_groups(["dog"], HYPERNYMS, {"mammal": "warm", "pet": "tame"})


def test_a_broken_table_is_refused() -> None:
    with pytest.raises(ValueError, match="entry for every node that is reached, got none for 'unicorn'"):
        wu_palmer(["horse"], {"horse": ("unicorn",)})
    with pytest.raises(ValueError, match="must not contain a cycle"):
        wu_palmer(["a"], {"a": ("b",), "b": ("c",), "c": ("b",)})


# Paths


def test_path_similarity_by_hand() -> None:
    expected = [
        [0, 2, 3, 3, 5],
        [2, 0, 3, 3, 5],
        [3, 3, 0, 3, 5],
        [3, 3, 3, 0, 4],
        [5, 5, 5, 4, 0],
    ]  # steps; a terrier reaches a hamster through pet
    np.testing.assert_allclose(path_similarity(LEAVES, HYPERNYMS), 1 / (1 + np.array(expected)), rtol=0, atol=1e-15)
    np.testing.assert_array_equal(path_similarity(["a", "b"], {"a": (), "b": ()}), np.eye(2))
    assert path_similarity(["dog", "terrier"], HYPERNYMS)[0, 1] == 0.5


def test_path_similarity_is_the_shortest_way_up_and_down() -> None:
    from scipy.sparse.csgraph import shortest_path

    rng = np.random.default_rng(1)
    hypernyms: dict[str, tuple[str, ...]] = {"0": ()}
    for node in range(1, 40):
        hypernyms[str(node)] = tuple(map(str, rng.choice(node, size=min(node, 2), replace=False)))
    up = np.zeros((40, 40))
    for node, parents in hypernyms.items():
        up[int(node), [int(p) for p in parents]] = 1
    ways = shortest_path(up, unweighted=True)  # upwards alone
    both = (ways[:, None, :] + ways[None, :, :]).min(axis=2)
    np.fill_diagonal(both, 0)
    leaves = [str(node) for node in range(40)]
    np.testing.assert_allclose(path_similarity(leaves, hypernyms), 1 / (1 + both), rtol=1e-15)


# Clusters and neighbourhoods


def test_neighbourhoods_by_hand() -> None:
    near = neighbourhoods(LEAVES, HYPERNYMS)  # grandparents: canine, canine, mammal, animal, animal
    expected = {
        "terrier": {"poodle", "wolf"},
        "poodle": {"terrier", "wolf"},
        "wolf": {"terrier", "poodle", "hamster"},
        "hamster": {"terrier", "poodle", "wolf", "ant"},
        "ant": {"terrier", "poodle", "wolf", "hamster"},
    }
    for i, leaf in enumerate(LEAVES):
        assert {LEAVES[j] for j in np.flatnonzero(near[i])} == expected[leaf]
    np.testing.assert_array_equal(neighbourhoods(LEAVES, HYPERNYMS, itself=True), near | np.eye(5, dtype=bool))
    assert not neighbourhoods(LEAVES, HYPERNYMS, levels=0).any()
    assert neighbourhoods(LEAVES, HYPERNYMS, levels=9).sum() == 20  # all under the root
    with pytest.raises(ValueError, match="levels must be an integer of at least 0, got -1"):
        neighbourhoods(LEAVES, HYPERNYMS, levels=-1)


@pytest.mark.parametrize("itself", [False, True])
def test_jaccard_by_sets(itself: bool) -> None:
    animals = sc.datasets.load_imagenet_animals()
    chosen = np.arange(0, 398, 5)
    X, leaves = animals.X[chosen], [str(name) for name in animals.synsets[chosen]]
    kept = np.arange(0, 1280, 3)
    found = jaccard(X, leaves, animals.hypernyms, (3, 7), subset=kept, levels=3, sizes=(2, 40), itself=itself)
    distances = pdist(X[:, kept], "cosine")
    np.testing.assert_allclose(linkage(X, subset=kept)[:, 2], scipy_linkage(distances, "complete")[:, 2], atol=1e-12)
    for cut in (3, 7):
        clusters = fcluster(scipy_linkage(distances, "complete"), cut, "maxclust")
        for i, leaf in enumerate(leaves):
            node = leaf
            for _ in range(3):
                node = animals.hypernyms[node][0]
            near = {other for other in leaves if node in ancestors(other, animals.hypernyms)}
            mine = {other for other, label in zip(leaves, clusters, strict=True) if label == clusters[i]}
            if not itself:
                near, mine = near - {leaf}, mine - {leaf}
            value = found.jaccard.sel(cut=cut, category=leaf).item()
            if 2 <= len(near) <= 40:
                assert value == pytest.approx(len(near & mine) / len(near | mine), abs=1e-15)
            else:
                assert np.isnan(value)
    assert found.scored + found.too_few + found.too_many == len(leaves)
    assert found.scored == (~np.isnan(found.jaccard.values[0])).sum() > 10
    # similarities in the place of features
    again = jaccard(1 - distances, leaves, animals.hypernyms, (3, 7), levels=3, sizes=(2, 40), itself=itself)
    np.testing.assert_array_equal(again.jaccard, found.jaccard)


def test_the_papers_count_of_animals() -> None:
    animals = sc.datasets.load_imagenet_animals()
    leaves = list(animals.synsets)
    alone = jaccard(animals.X, leaves, animals.hypernyms, [6])
    assert (alone.scored, alone.too_few, alone.too_many, alone.alone) == (245, 145, 8, 18)
    assert jaccard(animals.X, leaves, animals.hypernyms, [6], itself=True).scored == 248


def test_categories_are_scored_where_they_were_held_out() -> None:
    animals = sc.datasets.load_imagenet_animals()
    chosen = np.arange(0, 398, 4)
    X, leaves = animals.X[chosen, :200], [str(name) for name in animals.synsets[chosen]]
    rules = {"cuts": (4, 6), "sizes": (2, 60), "levels": 3}
    result = sc.cross_validate(X, animals.target[np.ix_(chosen, chosen)], cv=4, repeats=2, progress=False)
    near = neighbourhoods(leaves, animals.hypernyms, levels=3)
    eligible = (near.sum(axis=1) >= 2) & (near.sum(axis=1) <= 60)
    for space in ("pruned", "full"):
        held = held_out_jaccard(X, result, leaves, animals.hypernyms, space=space, **rules)
        seen: dict[tuple[int, int], list[float]] = {}
        for f in range(8):
            test = np.flatnonzero(result.test.values[f])
            kept = result.kept.values[0, f] if space == "pruned" else np.ones(200, dtype=bool)
            tree = scipy_linkage(np.maximum(pdist(X[np.ix_(test, kept)], "cosine"), 0), "complete")
            for c, cut in enumerate((4, 6)):
                clusters = fcluster(tree, cut, "maxclust")
                for i, one in enumerate(test):
                    mine = {int(other) for other in test[clusters == clusters[i]]} - {int(one)}
                    wordnet = {int(other) for other in test if near[one, other]}
                    if eligible[one] and wordnet:
                        seen.setdefault((c, int(one)), []).append(len(mine & wordnet) / len(mine | wordnet))
        expected = np.full((2, len(chosen)), np.nan)
        for place, values in seen.items():
            expected[place] = np.mean(values)
        np.testing.assert_allclose(held.jaccard, expected, atol=1e-14)
        assert held.scored == np.isfinite(expected).any(axis=0).sum() > 40
    once = held_out_jaccard(X, result.isel(fold=[0]), leaves, animals.hypernyms, **rules)
    assert np.isnan(once.jaccard.values[:, ~result.test.values[0]]).all()
    with pytest.raises(ValueError, match="from 1 to 25, the test categories of a fold, got 26"):
        held_out_jaccard(X, result, leaves, animals.hypernyms, cuts=[26])
    with pytest.raises(ValueError, match="space must be 'pruned' or 'full', got 'both'"):
        held_out_jaccard(X, result, leaves, animals.hypernyms, space="both")
    with pytest.raises(ValueError, match="must be of the 99 categories of X, got 99 and 100"):
        held_out_jaccard(X[:-1], result, leaves[:-1], animals.hypernyms)


@pytest.mark.parametrize("itself", [False, True])
def test_chance_is_the_mean_over_all_ways_to_place_the_categories(itself: bool) -> None:
    """Six categories, all 720 orders of their similarities."""
    X = np.random.default_rng(0).normal(size=(6, 4))
    leaves = [*LEAVES, "dog"]
    rules = {"cuts": (2, 3, 5), "sizes": (1, 6), "itself": itself}
    found = jaccard(X, leaves, HYPERNYMS, **rules)
    orders = [list(order) for order in itertools.permutations(range(6))]
    exact = np.mean([jaccard(X[order], leaves, HYPERNYMS, **rules).jaccard.values for order in orders], axis=0)
    np.testing.assert_allclose(found.chance, exact, atol=1e-12)
    assert np.isfinite(exact).any()


def test_held_out_clusters_of_noise_are_no_better_than_full_ones() -> None:
    """X and taxonomy unrelated: the interval leaves 0 out in about 5 %, and the mean difference is 0."""
    tree = {"top": [], **{f"g{g}": ["top"] for g in range(12)}, **{f"l{i}": [f"g{i // 4}"] for i in range(48)}}
    leaves = [f"l{i}" for i in range(48)]
    target, rules = wu_palmer(leaves, tree), {"cuts": [5], "levels": 1, "sizes": (1, 9)}
    found = []
    for seed in range(60):
        X = np.random.default_rng([8, seed]).normal(size=(48, 20))
        result = sc.cross_validate(X, target, cv=3, seed=seed, curves=False, progress=False)
        pair = [held_out_jaccard(X, result, leaves, tree, space=space, **rules) for space in ("full", "pruned")]
        found.append(concordance_table(*pair).loc[5, ["beyond", "lower", "upper"]].values.astype(float))
    beyond, lower, upper = np.transpose(found)
    assert abs(beyond.mean()) < 4 * beyond.std(ddof=1) / np.sqrt(60)
    assert ((lower > 0) | (upper < 0)).sum() <= 9  # expected 3; 10 or more come once in a thousand
    assert np.ptp(beyond) > 0.01


def test_the_table_of_cuts() -> None:
    from scipy.stats import t as student

    animals = sc.datasets.load_imagenet_animals()
    chosen = np.arange(0, 398, 2)
    X, leaves = animals.X[chosen], [str(name) for name in animals.synsets[chosen]]
    how = {"leaves": leaves, "hypernyms": animals.hypernyms, "cuts": (5, 6, 7), "sizes": (5, 80)}
    full, some = jaccard(X, **how), jaccard(X, subset=np.arange(60), **how)
    table = concordance_table(full, some)
    for cut in (5, 6, 7):
        a, b = (one.jaccard.sel(cut=cut).dropna("category") for one in (full, some))
        by_chance = (some.chance - full.chance).sel(cut=cut).dropna("category")
        row = table.loc[cut]
        assert (row.full, row.pruned, row.categories) == pytest.approx((a.values.mean(), b.values.mean(), len(a)))
        assert row.chance == pytest.approx(by_chance.mean().item())
        beyond = (b - a - by_chance).values
        assert row.beyond == pytest.approx(beyond.mean())
        # sums of residuals by ancestor, as if each ancestor were drawn anew
        sums = [(beyond - beyond.mean())[a.above.values == node].sum() for node in sorted(set(a.above.values))]
        g = len(sums)
        error = np.sqrt(g / (g - 1) * np.sum(np.square(sums))) / len(beyond)
        half = student.ppf(0.975, g - 1) * error
        assert (row.lower, row.upper, row.groups) == pytest.approx((beyond.mean() - half, beyond.mean() + half, g))
    assert "p" not in table
    single = concordance_table(full, some, groups=np.arange(len(leaves)), confidence=0.9).loc[5]
    spread = (some.jaccard - some.chance - full.jaccard + full.chance).sel(cut=5).dropna("category").values
    half = student.ppf(0.95, len(spread) - 1) * spread.std(ddof=1) / np.sqrt(len(spread))  # each by itself: a plain t
    assert single.upper - single.lower == pytest.approx(2 * half)
    assert np.isnan(concordance_table(full, some, groups=np.zeros(len(leaves))).lower).all()
    same = concordance_table(full, full)
    assert (same[["difference", "beyond", "lower", "upper"]] == 0).all(axis=None)
    with pytest.raises(ValueError, match="confidence must be above 0 and below 1, got 95"):
        concordance_table(full, some, confidence=95)
    with pytest.raises(ValueError, match="groups must name one for each of 199 categories, got"):
        concordance_table(full, some, groups=[1, 2])
    with pytest.raises(ValueError, match="full and pruned must be of the same cuts, got others"):
        concordance_table(full, full.isel(cut=[0]))


def test_what_cannot_be_clustered_is_refused() -> None:
    X = np.random.default_rng(0).normal(size=(5, 4))
    with pytest.raises(ValueError, match="leaves must name the 5 categories of X, got 4"):
        jaccard(X, LEAVES[:4], HYPERNYMS)
    with pytest.raises(ValueError, match="cuts must be numbers of clusters from 1 to 5, got 6"):
        jaccard(X, LEAVES, HYPERNYMS)
    X[2] = 0
    with pytest.raises(ValueError, match="X must give every stimulus a direction"):
        jaccard(X, LEAVES, HYPERNYMS, [2])


def test_dendrograms() -> None:
    X = np.random.default_rng(0).normal(size=(12, 6))
    figure = dendrograms(X, [0, 1, 4], ["a", "b", "c"] * 4, clusters=3)
    for axes, subset in zip(figure.axes, (None, [0, 1, 4]), strict=True):
        (lines,) = axes.collections
        assert len(lines.get_segments()) == 11
        cut = axes.lines[0].get_ydata()[0]
        heights = linkage(X, subset=subset)[:, 2]
        assert (heights > cut).sum() == 2
        assert max(segment[:, 1].max() for segment in lines.get_segments()) == heights.max()
    with pytest.raises(ValueError, match="clusters must be from 2 to 12, got 13"):
        dendrograms(X, [0], clusters=13)
