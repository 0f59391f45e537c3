"""Fine-tuning: against plain torch and finite differences, planted truth, resuming to the same bits, refusals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import squareform

torch = pytest.importorskip("torch", reason="torch is not installed")

import secateur as sc  # noqa: E402
from secateur import networks  # noqa: E402
from secateur.finetuning import DissimilarityTrainer, FineTuned, TrainingError, batches, trainable  # noqa: E402
from secateur.finetuning import trainer as siamese  # noqa: E402
from secateur.networks import Preprocessing  # noqa: E402
from secateur.networks.extraction import fingerprint  # noqa: E402
from secateur.networks.steps import Steps  # noqa: E402


def blobs(n, seed=0, side=16):
    """Images (n, side, side, 3) of smooth noise."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 255, (n, 4, 4, 3))
    return np.kron(coarse, np.ones((1, side // 4, side // 4, 1))).astype(np.uint8)


def tiny(seed=0, dropout=False):
    """Two convolutions, and two linear layers."""
    nn = torch.nn
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(inplace=True), nn.Conv2d(6, 8, 3, stride=2), nn.Tanh(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.5 if dropout else 0.0), nn.Linear(32, 12), nn.Tanh(),
            nn.Linear(12, 5),
        )  # fmt: skip
    parts = {"trunk": ["0", "1", "2", "3"], "neck": ["4", "5", "6", "7", "8"], "classifier": "9"}
    return networks.wrap(module, **parts, preprocessing=Preprocessing(resize=None, crop=16), name="tiny")


def rdm_of(net, images):
    """1 - Pearson of the penultimate layer, (P,), in numpy."""
    features = networks.embed(net, images, progress=False).values.astype(float)
    return 1 - np.corrcoef(features)[np.triu_indices(len(features), 1)]


def weights_of(trainer):
    return {name: value.numpy().copy() for name, value in trainer.network_.module.state_dict().items()}


def trained(net, images, rdms, checkpoint=None, **settings):
    settings = {"validation": None, "layers": ["penultimate"], **settings}
    trainer = DissimilarityTrainer(net, settings.pop("layer", "penultimate"), **settings)
    return trainer.fit(images, rdms, checkpoint=checkpoint, progress=False)


def pixels_of(net, images):
    return torch.stack([net.preprocessing(one) for one in networks.read_images(images)])


# Gradients


@pytest.mark.parametrize("loss", ["mse", "correlation"])
def test_a_step_is_the_gradient_by_finite_differences(loss):
    net, images = tiny(), blobs(7)
    d = np.random.default_rng(1).random(21)
    lr = 0.5
    after = weights_of(trained(net, images, d, epochs=1, batch=21, lr=lr, loss=loss))
    double = tiny().module.double()
    x = pixels_of(net, images).double()
    rows, columns = np.triu_indices(7, 1)

    def value():
        with torch.no_grad():
            features = double[:9](x).numpy()
        r = np.array([np.corrcoef(features[i], features[j])[0, 1] for i, j in zip(rows, columns)])
        return np.mean((1 - r - d) ** 2) if loss == "mse" else 1 - np.corrcoef(1 - r, d)[0, 1]

    rng = np.random.default_rng(0)
    for name in ("0.weight", "2.bias", "7.weight"):
        tensor = double.get_parameter(name)
        before = tensor.detach().numpy().copy()
        for place in (tuple(rng.integers(s) for s in before.shape) for _ in range(4)):
            h, found = 1e-5, []
            for sign in (1, -1):
                with torch.no_grad():
                    tensor[place] = before[place] + sign * h
                found.append(value())
            with torch.no_grad():
                tensor[place] = before[place]
            gradient = (found[0] - found[1]) / (2 * h)
            moved = (net.module.state_dict()[name].numpy()[place] - after[name][place]) / lr
            assert moved == pytest.approx(gradient, abs=2e-6, rel=1e-4)
    assert np.array_equal(after["9.weight"], net.module.state_dict()["9.weight"].numpy())  # after the layer


def by_autograd(net, images, rdms, missing, steps, lr, learns=("0.", "2.", "7."), rounding=None):
    """Full-batch descent on the mean over the pairs of all sets: plain torch in double, every image through the whole
    module. ``rounding``: a generator that moves every weight and pixel by one rounding of a float32, up or down."""
    module = tiny().module.double()

    def rounded(values):
        if rounding is None:
            return values
        return values * (1 + np.finfo(np.float32).eps * torch.from_numpy(rounding.choice([-1.0, 1.0], values.shape)))

    with torch.no_grad():
        for value in module.parameters():
            value.copy_(rounded(value))
    names = [name for name, _ in module.named_parameters() if name.startswith(learns)]
    for name in names:
        module.get_parameter(name).requires_grad_(True)
    pixels = [rounded(pixels_of(net, x).double()) for x in images]
    for _ in range(steps):
        errors = []
        for x, rdm, gone in zip(pixels, rdms, missing):
            r = torch.corrcoef(module[:9](x))
            pairs = [pair for pair in combinations(range(len(x)), 2) if pair not in gone]
            i, j = np.transpose(pairs)
            errors.append((1 - r[i, j] - torch.from_numpy(squareform(rdm)[i, j])) ** 2)
        module.zero_grad()
        torch.cat(errors).mean().backward()
        with torch.no_grad():
            for name in names:
                module.get_parameter(name).sub_(lr * module.get_parameter(name).grad)
    return {name: value.detach().numpy() for name, value in module.state_dict().items()}


def assert_is_descent(found, *case, **settings):
    """The weights are those of descent in double, within what float32 can keep.

    A sum of K products in float32 is exact for factors changed by about sqrt(K) roundings (Higham & Mary 2019); the
    longest dot product of these layers has K = 54. What a rounding of every factor does to the result is measured."""
    expected = by_autograd(*case, **settings)
    draws = [by_autograd(*case, **settings, rounding=np.random.default_rng(seed)) for seed in range(2)]
    for name, value in weights_of(found).items():
        moved = max(np.abs(draw[name] - expected[name]).max() for draw in draws)
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=54**0.5 * moved, err_msg=name)
    return expected


@pytest.mark.parametrize("form", ["images", "pairs"])
def test_full_batches_of_either_form_are_plain_descent_on_the_pairs_of_all_sets(form):
    net, rng = tiny(), np.random.default_rng(2)
    images = [blobs(6, 1), blobs(8, 2)]
    rdms = [rng.random(15), rng.random(28)]
    given = [rdms[0].copy(), rdms[1]]
    given[0][3] = np.nan  # the pair (0, 4)
    terms = {"epochs": 4, "batch": 42, "lr": 0.3, "form": form}
    case = (net, images, rdms, [{(0, 4)}, set()], 4, 0.3)
    found = trained(net, images, given, **terms)
    expected = assert_is_descent(found, *case)
    assert np.abs(expected["7.weight"] - net.module.state_dict()["7.weight"].numpy()).max() > 0.05
    assert found.history_.attrs["training_pairs"] == 42
    # the first part frozen: its answers are computed once, the rest learns as before
    assert_is_descent(trained(net, images, given, freeze="up to 1", **terms), *case, learns=("2.", "7."))
    assert_is_descent(trained(net, images, given, freeze=["2"], **terms), *case, learns=("0.", "7."))


def test_batches_of_images_are_unbiased():
    """The mean of the losses of all subsets of images is the loss of all pairs, weights and missing pairs included."""
    rng = np.random.default_rng(0)
    n, m = 6, 3
    r, d, w = rng.random((3, n, n))
    w[0, 1] = w[2, 5] = 0
    used = np.triu_indices(n, 1)
    total = w[used].sum()
    losses = []
    for subset in combinations(range(n), m):
        rows, columns = zip(*combinations(subset, 2))
        one = [torch.from_numpy(v[rows, columns]) for v in (r, d, w)]
        losses.append(float(batches.pair_loss("mse", *one, total * m * (m - 1) / (n * (n - 1)))))
    expected = (w[used] * (1 - r[used] - d[used]) ** 2).sum() / total
    assert np.mean(losses) == pytest.approx(expected, rel=1e-12)


def test_a_batch_asks_for_pairs_and_images_are_forwarded_once():
    net, images = tiny(), blobs(20)
    d = np.random.default_rng(0).random(190)
    passed = {}
    for form in ("images", "pairs"):
        count = []
        trainer = DissimilarityTrainer(net, form=form, batch=45, validation=None, layers=["penultimate"], epochs=1)
        line = trainable.TrainableNetwork(trainer)
        line.steps.modules[7].register_forward_pre_hook(lambda _, x, seen=count: seen.append(len(x[0])))
        together = networks.read_images(images)
        task = batches.task_of([(together, sc.targets.read_target(d, 20, "dissimilarity"))], None, 0)
        start = line.steps.start(together, line.cut)
        line._epoch = trainer._epoch(
            line, start, task, torch.optim.SGD(line.learning, lr=0.1), np.random.default_rng(0)
        )
        passed[form] = count
    assert passed["images"] == [10] * 5  # 10 images have 45 pairs; 190 pairs are 4.2 batches
    assert passed["pairs"] == [90, 90, 90, 90, 20]


# Learning


@pytest.fixture(scope="module")
def planted():
    """A student that is to become its teacher: 40 images to learn from, 20 that neither training nor choice sees."""
    return blobs(40, 3), blobs(20, 4), tiny(seed=5)


def test_a_planted_matrix_is_learnt_and_holds_for_new_images(planted):
    images, new, teacher = planted
    net, goal = tiny(), rdm_of(teacher, images)
    before = fingerprint(net)
    trainer = DissimilarityTrainer(net, lr=0.3, momentum=0.9, epochs=30, batch=60, validation=4, comparator="spearman")
    assert trainer.fit(images, squareform(goal), progress=False) is trainer
    assert fingerprint(net) == before
    history = trainer.history_
    assert history.alignment.dims == ("epoch", "layer")
    assert list(history.layer.values) == ["0", "1", "2", "last_conv", "4", "7", "penultimate", "final"]
    best = history.alignment.values
    assert (trainer.epoch_, trainer.layer_) == (
        history.epoch.values[np.unravel_index(best.argmax(), best.shape)[0]],
        history.layer.values[np.unravel_index(best.argmax(), best.shape)[1]],
    )
    truth = rdm_of(teacher, new)
    untouched, tuned = (np.corrcoef(rdm, truth)[0, 1] for rdm in (rdm_of(net, new), trainer.rdm(new, "penultimate")))
    assert tuned > untouched + 0.3
    assert tuned > 0.6
    # the scores are those of the definition, on the held-out images, and epoch 0 is the untouched network
    _, held = sc.validation.split(40, 4, seed=0)[0][0]
    X = networks.embed(net, images[held], progress=False).values.astype(float)
    at = history.alignment.sel(epoch=0, layer="penultimate").item()
    among = squareform(goal)[np.ix_(held, held)]
    assert at == pytest.approx(sc.alignment(X, among, "correlation", "spearman", kind="dissimilarity"), abs=1e-6)
    Z = trainer.features(images[held]).values.astype(float)
    assert best.max() == pytest.approx(
        sc.alignment(Z, among, "correlation", "spearman", kind="dissimilarity"), abs=1e-6
    )


def test_beside_pruning_on_the_same_folds(planted):
    images, net, teacher = blobs(60, 3), tiny(), planted[2]
    X = networks.embed(net, images, progress=False)
    shuffled = squareform(rdm_of(teacher, images))
    order = np.random.default_rng(0).permutation(60)
    shuffled = shuffled[np.ix_(order, order)]
    rdms = np.stack([squareform(rdm_of(teacher, images)), shuffled])
    trainer = DissimilarityTrainer(
        net, lr=0.3, momentum=0.9, epochs=12, batch=100, validation=4, layers=["penultimate"]
    )
    tuned = FineTuned(trainer, images, progress=False)
    pruner = sc.Pruner("correlation")
    methods = {"full": "full", "pruned": "pruned", "tuned": tuned, "both": tuned.then(pruner)}
    terms = {"kind": "dissimilarity", "pruner": pruner, "progress": False}
    result = sc.compare(X, rdms, methods, 3, **terms)
    scores = result.test_alignment.mean("fold")
    assert scores.sel(approach="tuned")[0] > scores.sel(approach="full")[0] + 0.1
    assert abs(scores.sel(approach="tuned")[1]) < 0.25  # relabelled: nothing to learn about new images
    assert (result.nodes.sel(approach="tuned") == 12).all()
    assert (result.nodes.sel(approach="both") <= 12).all()
    alone = sc.compare(X, rdms, ["full", "pruned"], 3, **terms)
    for name in ("full", "pruned"):
        assert np.array_equal(alone.test_alignment.sel(approach=name), result.test_alignment.sel(approach=name))
    # a fold's tuned network has seen its training images alone: those of others may be anything
    train, test = sc.validation.split(60, 3)[0][0]
    target = -squareform(rdms[0][np.ix_(train, train)])
    own = FineTuned(trainer, images, progress=False).fit_stimuli(train, target).predict_stimuli(test)
    spoilt = images.copy()
    spoilt[test] = 255 - spoilt[test]
    other = FineTuned(trainer, spoilt, progress=False).fit_stimuli(train, target)
    for name, value in weights_of(other.trainer_).items():
        assert np.array_equal(value, weights_of(tuned.fit_stimuli(train, target).trainer_)[name])
    goal = rdms[0][np.ix_(test, test)][np.triu_indices(len(test), 1)]
    assert np.corrcoef(own, -goal)[0, 1] == pytest.approx(result.test_alignment.values[2, 0, 0], abs=1e-6)


def test_early_stopping():
    images = blobs(12)
    net = tiny()
    trainer = DissimilarityTrainer(net, epochs=50, patience=2, validation=3, layers=["penultimate"], lr=1e-12)
    trainer.fit(images, rdm_of(net, images), progress=False)
    assert trainer.epoch_ == 0
    assert trainer.history_.sizes["epoch"] == 3


def test_training_mode_is_for_training_alone():
    images = blobs(12)
    net = tiny(dropout=True)
    d = np.random.default_rng(0).random(66)
    terms = {"epochs": 2, "batch": 66, "lr": 0.1}
    still, again = (trained(net, images, d, **terms) for _ in range(2))
    noisy, noisy_again = (trained(net, images, d, train_mode=True, **terms) for _ in range(2))
    assert all(np.array_equal(v, weights_of(again)[k]) for k, v in weights_of(still).items())
    assert all(np.array_equal(v, weights_of(noisy_again)[k]) for k, v in weights_of(noisy).items())
    assert not np.array_equal(weights_of(still)["7.weight"], weights_of(noisy)["7.weight"])
    assert not noisy.network_.module.training
    assert np.array_equal(noisy.rdm(images), noisy.rdm(images))


def test_batch_normalisation_stays_as_it_is_unless_asked():
    nn = torch.nn

    def norm():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            module = nn.Sequential(
                nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
            )
        return networks.wrap(
            module, trunk=["0", "1", "2"], neck=["3", "4"], preprocessing=Preprocessing(resize=None, crop=16)
        )

    images, d = blobs(9), np.random.default_rng(0).random(36)
    for mode in (False, True):
        found = trained(norm(), images, d, epochs=1, train_mode=mode).network_.module.state_dict()
        assert bool((found["1.running_mean"] != 0).any()) is mode


def test_mixed_precision_is_near():
    images, d = blobs(12), np.random.default_rng(0).random(66)
    one, other = (
        trained(tiny(), images, d, epochs=3, batch=66, lr=0.1, precision=precision)
        for precision in ("float32", "bfloat16")
    )
    moved = weights_of(one)["7.weight"] - tiny().module.state_dict()["7.weight"].numpy()
    apart = weights_of(one)["7.weight"] - weights_of(other)["7.weight"]
    assert 0 < np.abs(apart).max() < 0.2 * np.abs(moved).max()


def test_size():
    images, net = blobs(9, side=32), tiny()
    trainer = trained(net, images, np.random.default_rng(0).random(36), epochs=1, size=24)
    assert trainer.network_.preprocessing == Preprocessing(resize=(24, 24), crop=None)
    larger = trainer.features(images, size=32, progress=False)
    x = torch.stack([Preprocessing(resize=(32, 32), crop=None)(one) for one in networks.read_images(images)])
    with torch.no_grad():
        np.testing.assert_allclose(larger, trainer.network_.module[:9](x).numpy(), atol=1e-5)


# Names and presets


def matconvnet(convolutions, pools, norms=()):
    """Layers in the order in which MatConvNet's imagenet models number them, from 1."""
    layers = []
    for name in convolutions:
        layers += [f"conv{name}", f"relu{name}"]
        layers += [f"norm{name}"] if name in norms else []
        layers += [f"pool{name.split('_')[0]}"] if name in pools else []
    return dict(enumerate([*layers, "fc6", "relu6", "fc7", "relu7", "fc8"], 1))


def test_layers_are_called_as_in_the_papers():
    alexnet = matconvnet("12345", "125", "12")
    vgg = matconvnet(
        ["1_1", "1_2", "2_1", "2_2", *(f"{b}_{i}" for b in (3, 4, 5) for i in (1, 2, 3))],
        {"1_2", "2_2", "3_3", "4_3", "5_3"},
    )
    assert siamese.PRESETS["meg_early"]["layer"] == alexnet[12]
    assert siamese.PRESETS["fmri_early"]["layer"] == alexnet[10]
    assert siamese.PRESETS["meg_late"]["layer"] == siamese.PRESETS["fmri_late"]["layer"] == vgg[34]
    with torch.device("meta"):
        steps = {
            name: Steps(networks.architectures.assemble(
                name, networks.architectures.build(name, meta=True), preprocessing=Preprocessing(), provenance={}
            ))
            for name in ("alexnet", "vgg16")
        }  # fmt: skip
    names = {key: [module for module in steps[key].modules] for key in steps}
    for key, numbered in (("alexnet", alexnet), ("vgg16", vgg)):
        for name in numbered.values():
            if name.startswith("norm"):
                continue
            module = names[key][steps[key].find(name)]
            kind = {"conv": "Conv2d", "relu": "ReLU", "pool": "MaxPool2d", "fc": "Linear"}
            assert type(module).__name__ == kind[name.rstrip("0123456789_")]
        assert set(steps[key].called) == {name for name in numbered.values() if not name.startswith("norm")}
    module = steps["vgg16"].net.module
    assert names["vgg16"][steps["vgg16"].find("conv5_2")] is module.features[26]
    assert names["vgg16"][steps["vgg16"].find("fc7")] is module.classifier[3]
    assert names["alexnet"][steps["alexnet"].find("relu4")] is steps["alexnet"].net.module.features[9]
    frozen = {id(p) for p in steps["vgg16"].frozen("up to conv5_2")}
    free = [name for name, p in module.named_parameters() if id(p) not in frozen]
    assert free == [
        f"{part}.{kind}"
        for part in ("features.28", "classifier.0", "classifier.3", "classifier.6")
        for kind in ("weight", "bias")
    ]
    early = steps["alexnet"]
    frozen = {id(p) for p in early.frozen("from conv5")}
    free = [name for name, p in early.net.module.named_parameters() if id(p) not in frozen]
    assert free == [f"features.{i}.{kind}" for i in (0, 3, 6, 8) for kind in ("weight", "bias")]


@pytest.fixture(scope="module")
def nets():
    return {name: networks.load(name, weights=None) for name in ("alexnet", "vgg16")}


@pytest.mark.parametrize("name", list(siamese.PRESETS))
def test_presets_take_a_step(name, nets):
    net = nets[siamese.PRESETS[name]["net"]]
    images, d = blobs(4, side=64), np.random.default_rng(0).random(6)
    trainer = DissimilarityTrainer.preset(name, net, epochs=1, size=64, validation=None, layers=None)
    assert (trainer.form, trainer.lr) == ("pairs", 0.005)
    assert trainer.batch == (16 if name.startswith("meg") else 32)
    trainer.fit(images, d, progress=False)
    before = net.module.state_dict()
    changed = {key for key, v in trainer.network_.module.state_dict().items() if not torch.equal(v, before[key])}
    convolutions = {"alexnet": (0, 3, 6, 8), "vgg16": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)}
    expected = {f"features.{i}" for i in convolutions[net.name]}
    if name == "fmri_late":
        expected = {"features.28"}
    expected -= {"features.8"} if name == "fmri_early" else set()  # relu3 comes before conv4
    expected |= {"classifier.0", "classifier.3"} if name.endswith("late") else set()
    assert {key.rsplit(".", 1)[0] for key in changed} == expected
    assert np.isfinite(trainer.history_.loss[1])


def test_input_of_300_pixels(nets):
    trainer = DissimilarityTrainer.preset("meg_early", nets["alexnet"], size=300)
    assert trainer.features(blobs(3, side=20), progress=False).sizes["feature"] == 256 * 17 * 17


def test_preset_of_another_network(nets):
    with pytest.raises(ValueError, match="net must be vgg16 for meg_late, got 'alexnet'"):
        DissimilarityTrainer.preset("meg_late", nets["alexnet"])
    with pytest.raises(ValueError, match="name must be one of meg_early, meg_late"):
        DissimilarityTrainer.preset("eeg")


@pytest.mark.parametrize("name", ["resnet18", "densenet161", "efficientnet-lite0", "timm:resnet10t"])
def test_other_networks_learn_and_their_originals_do_not(name):
    pytest.importorskip("timm") if name.startswith("timm") else None
    pytest.importorskip("efficientnet_lite_pytorch") if name.endswith("lite0") else None
    net = networks.load(name, weights=None)
    before = fingerprint(net)
    freeze = {
        "resnet18": "up to layer3",
        "densenet161": "up to features.transition3",
        "efficientnet-lite0": "up to _blocks.14",
    }
    trainer = trained(net, blobs(4, side=64), np.random.default_rng(0).random(6), size=64, epochs=1,
                      freeze=freeze.get(name))  # fmt: skip
    assert fingerprint(net) == before
    assert fingerprint(trainer.network_) != before
    moved = [
        k for k, v in trainer.network_.module.state_dict().items() if not torch.equal(v, net.module.state_dict()[k])
    ]
    assert moved
    if name == "resnet18":
        assert all(key.startswith("layer4") for key in moved)
    a = trainer.features(blobs(3, 1, 64), progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = torch.stack([trainer.network_.preprocessing(one) for one in networks.read_images(blobs(3, 1, 64))])
    with torch.no_grad():
        np.testing.assert_allclose(a, trainer.network_.neck(trainer.network_.trunk(x)).numpy(), atol=1e-4)


# Files


def same(one, other):
    for name, value in weights_of(one).items():
        assert np.array_equal(value, weights_of(other)[name]), name
    assert one.history_.identical(other.history_)
    assert (one.layer_, one.epoch_) == (other.layer_, other.epoch_)


@pytest.mark.parametrize("train_mode", [False, True])
def test_a_training_goes_on_to_the_same_bits(tmp_path, train_mode, planted):
    images, _, teacher = planted
    d = rdm_of(teacher, images)
    terms = {"lr": 0.2, "momentum": 0.9, "batch": 60, "validation": 4, "train_mode": train_mode, "layers": None}
    net = tiny(dropout=True)
    whole = trained(net, images, d, epochs=5, **terms)
    file = tmp_path / "training.pt"
    trained(net, images, d, file, epochs=2, **terms)
    same(trained(net, images, d, file, epochs=5, **terms), whole)
    same(trained(net, images, d, file, epochs=5, **terms), whole)  # nothing is left to do
    assert [path.name for path in tmp_path.iterdir()] == ["training.pt"]
    with pytest.raises(ValueError, match=r"same images, matrices, network and settings, got training\.pt of others"):
        trained(net, images, d[::-1], file, epochs=5, **terms)
    with pytest.raises(ValueError, match="of others"):
        trained(net, images, d, file, epochs=5, **{**terms, "lr": 0.1})
    torch.save({"state": 1}, file)
    with pytest.raises(ValueError, match=r"must be a training that was saved here, got training\.pt"):
        trained(net, images, d, file, epochs=5, **terms)


CODE = """
import sys, numpy as np
sys.path.insert(0, {tests!r})
import test_siamese as t
images = t.blobs(20, 3)
def slow(self, *a, own=t.siamese.DissimilarityTrainer._epoch):
    import time; time.sleep(0.3)
    return own(self, *a)
t.siamese.DissimilarityTrainer._epoch = slow
t.trained(t.tiny(), images, t.rdm_of(t.tiny(5), images), {file!r}, epochs=500, **{terms!r})
"""


def test_a_killed_training_goes_on_to_the_same_bits(tmp_path):
    file = tmp_path / "training.pt"
    terms = {"lr": 0.2, "momentum": 0.9, "batch": 60, "validation": 4}
    code = CODE.format(tests=str(Path(__file__).parent), file=str(file), terms=terms)
    child = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        limit = time.monotonic() + 120
        while not file.exists() and child.poll() is None and time.monotonic() < limit:
            time.sleep(0.05)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert child.returncode == -signal.SIGKILL
    images = blobs(20, 3)
    d = rdm_of(tiny(5), images)
    done = len(networks.weights.saved_by_torch(file)["progress"])
    assert done
    resumed = trained(tiny(), images, d, file, epochs=8, **terms)
    same(resumed, trained(tiny(), images, d, epochs=8, **terms))


def test_saved_weights_are_loaded_and_pruned(tmp_path):
    images = blobs(6, side=64)
    net = networks.load("squeezenet1_1", weights=None)
    trainer = trained(
        net, images, np.random.default_rng(0).random(15), size=64, epochs=2, lr=0.5, freeze="up to features.9"
    )
    trainer.save(tmp_path / "tuned.pt")
    again = networks.load("squeezenet1_1", tmp_path / "tuned.pt")
    for name, value in again.module.state_dict().items():
        assert torch.equal(value, trainer.network_.module.state_dict()[name])
    assert not torch.equal(again.module.features[12].squeeze.weight, net.module.features[12].squeeze.weight)
    pruned = networks.pruned.apply(trainer.network_, range(100), how="remove")
    X = networks.embed(pruned, images, progress=False)
    np.testing.assert_allclose(X, trainer.features(images, progress=False)[:, :100], atol=1e-5)
    twice = trained(pruned, images, np.random.default_rng(0).random(15), epochs=1)  # and the pruned one learns
    assert np.isfinite(twice.history_.loss[1])
    with pytest.raises(ValueError, match="must be fitted before its network is saved"):
        DissimilarityTrainer(net).save(tmp_path / "none.pt")


# What goes wrong


def test_a_loss_that_is_no_number_leaves_the_best_network(tmp_path, planted):
    images, _, teacher = planted
    d = rdm_of(teacher, images)
    terms = {"lr": 0.3, "batch": 100, "validation": 4, "layers": ["penultimate"]}
    good = trained(tiny(), images, d, tmp_path / "t.pt", epochs=3, **terms)
    calls = []

    def broken(*given):
        calls.append(1)
        return batches.pair_loss(*given) * (np.nan if len(calls) > 12 else 1)

    trainer = DissimilarityTrainer(tiny(), epochs=9, **terms)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(siamese, "pair_loss", broken)
        with pytest.raises(
            TrainingError, match=r"loss must stay a number, got nan: lower lr \(0\.3\); the network of epoch"
        ):
            trainer.fit(images, d, progress=False, checkpoint=tmp_path / "other.pt")
    assert trainer.history_.sizes["epoch"] == 3  # of 5 batches an epoch, the thirteenth broke
    assert trainer.epoch_ == good.history_.alignment.values[:3, 0].argmax()
    np.testing.assert_array_equal(trainer.history_.alignment, good.history_.alignment[:3])
    kept = trained(tiny(), images, d, tmp_path / "other.pt", epochs=3, **terms)
    same(kept, good)


def test_features_that_overflow():
    with pytest.raises(TrainingError, match="features of layer '1' must stay finite, got some that are too large"):
        trained(tiny(), blobs(8), np.random.default_rng(0).random(28), epochs=20, lr=1e30, layer="1", layers=["1"])


def test_constant_features():
    net = tiny()
    with torch.no_grad():
        net.module[0].weight.zero_()
        net.module[0].bias.zero_()
    with torch.no_grad():
        net.module[7].bias.zero_()
        net.module[2].bias.zero_()
    words = (
        r"layer 'penultimate' must vary over features to be correlated, got a constant for image '\d'; the network of"
    )
    with pytest.raises(TrainingError, match=words):
        trained(net, blobs(8), np.random.default_rng(0).random(28), epochs=1)


def test_short_memory():
    net, images = tiny(), blobs(8)
    with pytest.MonkeyPatch.context() as patch:

        def short(*_):
            raise torch.OutOfMemoryError("CUDA out of memory")

        patch.setattr(siamese, "pair_loss", short)
        with pytest.raises(
            TrainingError, match="batch must fit the memory, got 32 pairs, which do not: lower batch or size"
        ):
            trained(net, images, np.random.default_rng(0).random(28), epochs=1)


IMAGES = blobs(8)
RDM = np.random.default_rng(0).random(28)


@pytest.mark.parametrize(
    ("settings", "images", "rdms", "words"),
    [
        ({}, IMAGES, np.zeros(27), r"rdms must be of shape \(8, 8\) or \(28,\) for 8 images, got \(27,\)"),
        ({}, IMAGES, np.zeros((2, 28)), r"several matrices are averaged by secateur\.targets\.average"),
        ({}, [IMAGES], [RDM, RDM], "images must be a list of as many sets as rdms, got 1 sets and 2 matrices"),
        ({}, IMAGES, np.full(28, np.nan), "rdms must have pairs among the training images, got none"),
        ({"validation": 3}, IMAGES, RDM, "validation must be from 2 to 2 folds of 8 images"),
        ({"validation": [0, 1]}, IMAGES, RDM, "cv must leave at least 3 test stimuli, got 2"),
        ({"layer": "pool5"}, IMAGES, RDM, "layer must be a step of tiny, got 'pool5'"),
        ({"freeze": "from conv1"}, IMAGES, RDM, "layer must be a step of tiny, got 'conv1'"),
        ({"freeze": "up to 8"}, IMAGES, RDM, "freeze must leave something to learn up to layer 'penultimate'"),
        ({"freeze": "up to 2", "layers": ["0"]}, IMAGES, RDM, "layers must come after something that learns, got '0'"),
        ({"form": "triplets"}, IMAGES, RDM, "form must be 'images' or 'pairs', got 'triplets'"),
        ({"loss": "l1"}, IMAGES, RDM, "loss must be 'mse' or 'correlation', got 'l1'"),
        ({"precision": "float16"}, IMAGES, RDM, "precision must be 'float32' or 'bfloat16', got 'float16'"),
        ({"batch": 0}, IMAGES, RDM, "batch must be an integer of at least 1, got 0"),
        ({"batch": 2, "loss": "correlation"}, IMAGES, RDM, "batch must be an integer of at least 3, got 2"),
        ({"lr": 0.0}, IMAGES, RDM, "lr must be positive"),
        ({"patience": 0}, IMAGES, RDM, "patience must be an integer of at least 1 or None, got 0"),
        ({"comparator": "r"}, IMAGES, RDM, "comparator must be one of"),
        ({"device": "abacus"}, IMAGES, RDM, "device must be 'auto' or one that torch knows"),
    ],
)
def test_refusals(settings, images, rdms, words):
    with pytest.raises(ValueError, match=words):
        trained(tiny(), images, rdms, epochs=1, **settings)


def test_similarities_are_refused():
    xarray = pytest.importorskip("xarray")
    array = xarray.DataArray(RDM, dims="pair", attrs={"kind": "similarity"})
    with pytest.raises(ValueError, match="rdms must be dissimilarities, got similarities"):
        trained(tiny(), IMAGES, array)
    with pytest.raises(TypeError, match=r"net must be a secateur\.networks\.Network, got Sequential"):
        DissimilarityTrainer(tiny().module)
    with pytest.raises(ValueError, match="trainer must have a whole number of folds or None as validation"):
        FineTuned(DissimilarityTrainer(tiny(), validation=[0, 1, 2]), IMAGES)
    tuned = FineTuned(DissimilarityTrainer(tiny()), IMAGES)
    with pytest.raises(ValueError, match="images must be as many as the stimuli that are compared, got 8 images and"):
        sc.compare(np.eye(9), np.arange(36.0), {"tuned": tuned}, 3, kind="similarity")
