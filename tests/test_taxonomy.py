"""The taxonomy's rules, by hand on a small one."""

import numpy as np
import pytest

from secateur.taxonomy import ancestors, assign_groups, depths, wu_palmer

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
