"""Choices of odd ones out, against a plain loop over triplets and against planted features."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

import reference
import secateur as sc
from secateur.measures import METRICS
from secateur.odd_one_out import OverChoices

N = 14


def slow_share(X, triplets, metric, features):
    """Triplet by triplet, on similarities that are made anew; NaN where one of them is undefined."""
    S = reference.square(reference.similarity(X[:, features], metric), N) if features else np.full((N, N), np.nan)
    if metric == "euclidean":
        S = -(S**2)
    total = 0.0
    for a, b, c in triplets:
        kept, others = S[a, b], np.array([S[a, c], S[b, c]])
        room = 1e-12 * (1 if metric in ("cosine", "correlation") else max(abs(kept), *abs(others)))
        if np.isnan([kept, *others]).any():
            return np.nan
        if (others <= kept + room).all():
            total += 1 / (1 + np.sum(others >= kept - room))
    return total / len(triplets)


def triplets_of(rng, count):
    return np.array([rng.permutation(N)[:3] for _ in range(count)])


def embeddings():
    rng = np.random.default_rng(3)
    normal = rng.normal(size=(N, 8))
    binary = (rng.random((N, 8)) < 0.4).astype(float)  # many ties, removals that leave nothing
    dominated = normal.copy()
    dominated[3, 2], dominated[:, 5] = 1e9, dominated[:, 5] + 1e6  # an update would cancel
    return {"normal": normal, "relu": np.maximum(normal, 0), "binary": binary, "dominated": dominated}


@pytest.mark.parametrize("kind", list(embeddings()))
@pytest.mark.parametrize("metric", METRICS)
def test_every_share_is_that_of_a_slow_loop(metric, kind):
    X, rng = embeddings()[kind], np.random.default_rng(5)
    triplets, everything = triplets_of(rng, 60), list(range(8))
    subset = [0, 2, 3, 5, 6, 7]
    assert sc.choice_accuracy(X, triplets, metric) == pytest.approx(
        slow_share(X, triplets, metric, everything), abs=1e-14, nan_ok=True
    )
    found = sc.odd_one_out.leave_one_out(X, triplets, metric, subset=subset)
    left = [[f for f in subset if f != k] for k in everything]
    np.testing.assert_allclose(found, [slow_share(X, triplets, metric, f) for f in left], rtol=0, atol=1e-14)
    order = rng.permutation(8)
    curve = sc.odd_one_out.insertion_curve(X, triplets, order, metric)
    prefixes = [sorted(order[: k + 1].tolist()) for k in everything]
    np.testing.assert_allclose(curve, [slow_share(X, triplets, metric, f) for f in prefixes], rtol=0, atol=1e-14)


def test_the_same_bits_on_any_number_of_threads():
    rng = np.random.default_rng(0)
    X, triplets = rng.normal(size=(N, 40)), triplets_of(rng, 9000)
    for share in (
        lambda threads: sc.odd_one_out.leave_one_out(X, triplets, threads=threads),
        lambda threads: sc.odd_one_out.insertion_curve(X, triplets, np.arange(40), threads=threads),
    ):
        assert np.array_equal(share(1), share(2))


def test_a_row_again_is_a_choice_again_and_the_odd_column_may_be_any():
    X, triplets = embeddings()["normal"], triplets_of(np.random.default_rng(1), 30)
    once, more = (sc.choice_accuracy(X, triplets[part]) for part in (slice(0, 10), slice(10, None)))
    again = np.vstack([triplets, triplets[:10]])
    assert sc.choice_accuracy(X, again) == pytest.approx((2 * 10 * once + 20 * more) / 40)
    for odd, columns in enumerate(([2, 0, 1], [0, 2, 1], [0, 1, 2])):
        assert sc.choice_accuracy(X, triplets[:, columns], odd=odd) == sc.choice_accuracy(X, triplets)
        given = sc.targets.from_triplets(triplets[:, columns], N, odd=odd)
        assert np.array_equal(given.values, sc.targets.from_triplets(triplets, N).values)


def test_a_target_of_choices_counts_pairs():
    triplets = triplets_of(np.random.default_rng(2), 80)
    kept, shown = Counter(), Counter()
    for a, b, c in triplets.tolist():
        kept[frozenset((a, b))] += 1
        shown.update(map(frozenset, ((a, b), (a, c), (b, c))))
    target, flat = sc.targets.from_triplets(triplets, N), sc.targets.from_triplets(triplets, N, weighted=False)
    for p, pair in enumerate(itertools.combinations(range(N), 2)):
        times = shown[frozenset(pair)]
        assert target.weights[0, p] == times
        assert flat.weights[0, p] == (times > 0)
        assert target.values[0, p] == (kept[frozenset(pair)] / times if times else 0)
    X = embeddings()["normal"]
    packed = np.where(target.weights[0] > 0, target.values[0], np.nan)
    plain = sc.alignment(X, packed, kind="similarity", weights=target.weights[0])
    assert sc.alignment(X, target) == plain
    plain = sc.leave_one_out(X, packed, "cosine", "spearman", kind="similarity")
    assert np.array_equal(sc.leave_one_out(X, flat, "cosine", "spearman"), plain)


@pytest.mark.parametrize("by", ["choices", "alignment"])
def test_planted_features_are_found_again(by):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 30))
    planted = [1, 4, 9, 16, 25]
    space = sc.similarity(X, subset=planted)
    found = sc.odd_one_out.prune(X, sc.odd_one_out.simulate(space, 6000), by=by)  # the most similar pair is kept
    assert np.flatnonzero(found.support).tolist() == planted
    assert found.accuracy == 1
    noisy = sc.odd_one_out.simulate(space, 6000, temperature=0.2, seed=1)
    found = sc.odd_one_out.prune(X, noisy, by=by)
    assert set(planted) <= set(np.flatnonzero(found.support))
    for over in ("stimuli", "triplets"):
        result = sc.odd_one_out.cross_validate(X, noisy, cv=3, by=by, over=over)
        assert result.attrs["pruned_test"] > result.attrs["full_test"] + 0.05
        best = sc.choice_accuracy(X, noisy, subset=planted)
        assert result.attrs["pruned_test"] > best - 0.05


def test_folds_keep_choices_apart():
    rng = np.random.default_rng(4)
    X, triplets = rng.normal(size=(N, 6)), triplets_of(rng, 600)
    result = sc.odd_one_out.cross_validate(X, triplets, cv=2, seed=7)
    from secateur.validation import split

    for f, (train, test) in enumerate(split(N, 2, 1, 7)[0]):
        inside = {name: [row for row in triplets.tolist() if set(row) <= set(side)] for name, side in
                  (("train", train.tolist()), ("test", test.tolist()))}  # fmt: skip
        assert result.train_triplets[f] == len(inside["train"])
        assert result.test_triplets[f] == len(inside["test"])
        kept = np.flatnonzero(result.kept[f])
        assert float(result.pruned_test[f]) == sc.choice_accuracy(X, inside["test"], subset=kept)
        assert float(result.full_train[f]) == sc.choice_accuracy(X, inside["train"])
        again = sc.odd_one_out.prune(X, inside["train"])
        assert np.array_equal(again.support, result.kept[f])
    over = sc.odd_one_out.cross_validate(X, triplets, cv=4, over="triplets")
    assert int(over.test_triplets.sum()) == 600  # each is scored once
    pooled = np.average(over.pruned_test, weights=over.test_triplets)
    assert over.attrs["pruned_test"] == pytest.approx(pooled, abs=1e-14)
    doubled = np.vstack([triplets, triplets[:, [1, 2, 0]]])  # the same sets, chosen otherwise
    twice = sc.odd_one_out.cross_validate(X, doubled, cv=4, over="triplets")
    sets = Counter(frozenset(row) for row in doubled.tolist())
    assert min(sets.values()) >= 2
    assert (twice.test_triplets % 2 == 0).all()  # what shows one set stays on one side


def test_ceiling_against_single_choices():
    rng = np.random.default_rng(6)
    triplets = np.array([rng.permutation(5)[:3] for _ in range(60)])
    found = sc.odd_one_out.noise_ceiling(triplets)
    of = {}
    for row in triplets.tolist():
        of.setdefault(frozenset(row), []).append(row[2])
    of = {key: odd for key, odd in of.items() if len(odd) > 1}
    upper = [max(Counter(odd).values()) for odd in of.values()]
    lower = 0.0
    for key, odd in of.items():
        for k, one in enumerate(odd):
            votes = Counter(dict.fromkeys(key, 0)) + Counter()
            votes.update(dict.fromkeys(key, 0))
            votes.update(odd[:k] + odd[k + 1 :])
            top = [s for s in key if votes[s] == max(votes.values())]
            lower += (one in top) / len(top)
    assert (found.sets, found.choices) == (len(of), sum(map(len, of.values())))
    assert found.upper == pytest.approx(sum(upper) / found.choices)
    assert found.lower == pytest.approx(lower / found.choices)
    assert found.lower <= found.upper
    assert sc.odd_one_out.noise_ceiling(triplets.astype(float)) == found


def test_random_choices_are_at_chance_and_have_no_p():
    rng = np.random.default_rng(8)
    X = rng.normal(size=(30, 6))
    triplets = sc.odd_one_out.simulate(np.zeros(435), 2000, temperature=1.0)
    null = sc.odd_one_out.permutation_test(X, triplets, n=19, cv=3, over="triplets")
    # a share of 2000 choices: three standard errors are 0.032
    assert abs(float(null.observed_pruned_test) - 1 / 3) < 0.032
    assert abs(float(null.pruned_test.mean()) - 1 / 3) < 0.032
    planted = sc.odd_one_out.simulate(sc.similarity(X, subset=[2]), 2000)
    assert sc.odd_one_out.permutation_test(X, planted, n=19, cv=3).p_pruned_test == pytest.approx(0.05)


def test_simulated_choices_follow_their_rule():
    S = np.array([0.5, 0.1, 0.3])
    assert sc.odd_one_out.simulate(S, 50)[:, 2].tolist() == [2] * 50  # 0 and 1 are kept
    odd = sc.odd_one_out.simulate(S, 60000, temperature=0.4)[:, 2]
    share = np.exp(S / 0.4) / np.exp(S / 0.4).sum()
    found = np.array([(odd == s).mean() for s in (2, 1, 0)])
    assert np.abs(found - share).max() < 4.5 * np.sqrt(0.25 / 60000)


X = np.arange(12.0).reshape(4, 3) % 5


@pytest.mark.parametrize(
    ("triplets", "error", "words"),
    [
        ([(0, 1)], ValueError, r"^triplets must have shape \(choices, 3\), got \(1, 2\)$"),
        (np.zeros((0, 3), int), ValueError, r"^triplets must have shape \(choices, 3\), got \(0, 3\)$"),
        ([(0, 1, 4)], ValueError, "^triplets must hold stimuli from 0 to 3, got 4 in row 0$"),
        ([(0, 1, 2), (0, -1, 2)], ValueError, "^triplets must hold stimuli from 0 to 3, got -1 in row 1$"),
        ([(1, 2, 3), (2, 3, 4)], ValueError, "got 4 in row 1: they look counted from 1, subtract 1$"),
        ([(0, 1, 2), (3, 1, 3)], ValueError, "must have different stimuli in a triplet, got 3, 1, 3 in row 1$"),
        ([(0, 1, 2.5)], TypeError, "^triplets must hold whole numbers of stimuli, got 2.5 in row 0$"),
        ([(0, 1, np.nan)], TypeError, "^triplets must hold whole numbers of stimuli, got nan in row 0$"),
        ([("a", "b", "c")], TypeError, "^triplets must hold numbers of stimuli, got dtype <U1$"),
        (None, TypeError, "^triplets must be given, got None$"),
    ],
)
def test_bad_triplets_are_refused(triplets, error, words):
    for call in (
        lambda: sc.choice_accuracy(X, triplets),
        lambda: sc.odd_one_out.leave_one_out(X, triplets),
        lambda: sc.odd_one_out.prune(X, triplets),
        lambda: sc.targets.from_triplets(triplets, 4),
    ):
        with pytest.raises(error, match=words):
            call()


def test_other_refusals():
    good = [(0, 1, 2), (1, 2, 3)]
    for call, words in (
        (lambda: sc.choice_accuracy(X, good, odd=3), "odd must be an integer from 0 to 2, got 3"),
        (lambda: sc.odd_one_out.prune(X, good, by="luck"), "by must be 'choices' or 'alignment', got 'luck'"),
        (lambda: sc.odd_one_out.prune(X, good, sc.Pruner(search="forward")), "must search by 'ranking'"),
        (lambda: sc.odd_one_out.prune(X, good, sc.Pruner(joint="mean")), "joint must be 'each' for choices"),
        (lambda: sc.odd_one_out.noise_ceiling(good), "some set of three stimuli more than once"),
        (lambda: sc.odd_one_out.cross_validate(X, good, cv=3, over="subjects"), "over must be 'stimuli' or 'triplets'"),
        (lambda: sc.odd_one_out.cross_validate(X, good, cv=5, over="triplets"), "cv must be an integer from 2 to 2"),
        (lambda: sc.odd_one_out.prune(np.eye(4)[:, :2], good), "every stimulus of the triplets a direction"),
        (lambda: sc.odd_one_out.simulate(np.zeros(4), 3), "all pairs of 3 stimuli or more"),
        (lambda: sc.odd_one_out.simulate(np.zeros(3), 3, temperature=0), "temperature must be above 0 or None"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    many = np.random.default_rng(0).normal(size=(12, 3))
    with pytest.raises(
        ValueError, match=r"cv must leave triplets wholly within the training stimuli, got none of 2 in fold 0: fewer"
    ):
        sc.odd_one_out.cross_validate(many, good, cv=2)
    assert OverChoices.__args__ == ("stimuli", "triplets")
