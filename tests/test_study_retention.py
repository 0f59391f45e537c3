"""The study of retention: a planted classifier against loops by hand, the same bytes, refusals; its pictures."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas
import pytest
import xarray
from typer.testing import CliRunner

torch = pytest.importorskip("torch", reason="torch is not installed")

import secateur as sc  # noqa: E402
from dictionaries import check_dictionary  # noqa: E402
from secateur import networks  # noqa: E402
from secateur.cli import app  # noqa: E402
from secateur.files import FileError  # noqa: E402
from secateur.report import classification, consistency  # noqa: E402
from secateur.report.contents import REPORT  # noqa: E402
from secateur.study import ConfigError, read_config, retention  # noqa: E402

CLASSES, D, N = 20, 9, 24
STUDY = """
title = "Planted"
test_images = "data/val"
images = "data/mind"
mapping = "data/classes.csv"
category = ["0-3", "7", "class 9"]

[network]
name = "planted"

[targets.mind]
file = "data/mind.npy"
kind = "similarity"

[targets.brain]
file = "data/brain.npy"
kind = "dissimilarity"

[folds]
cv = 3
seed = 5
"""


def planted():
    """Nine features of colours, and a classifier of twenty classes."""
    nn = torch.nn
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, D, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(D, CLASSES))
    module[4].weight.data.mul_(6)
    return networks.wrap(
        module, trunk=["0", "1"], neck=["2", "3"], classifier="4", name="planted",
        preprocessing=networks.Preprocessing(None, 8), classes=[f"class {i}" for i in range(CLASSES)],
    )  # fmt: skip


@pytest.fixture(scope="module")
def net():
    return planted()


@pytest.fixture(autouse=True)
def stand_in(net, monkeypatch):
    """The registry knows the planted network alone."""
    monkeypatch.setattr(networks, "load", lambda *_, **__: net)


@pytest.fixture(scope="module")
def home(net, tmp_path_factory):
    """Photographs of a mind, and photographs to classify: most in the folder of the class that the network sees."""
    from PIL import Image

    home = tmp_path_factory.mktemp("retention")
    rng = np.random.default_rng(2)
    (home / "data" / "mind").mkdir(parents=True)
    for i in range(N):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(home / "data" / "mind" / f"{i}.png")
    X = networks.embed(net, home / "data" / "mind", progress=False).values.astype(float)
    np.save(home / "data" / "mind.npy", sc.similarity(X[:, :4]) + rng.normal(size=N * (N - 1) // 2) / 9)
    np.save(home / "data" / "brain.npy", rng.uniform(size=N * (N - 1) // 2) - sc.similarity(X[:, 3:7]))
    colours = rng.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8) // rng.integers(1, 9, (40, 1, 1, 3), dtype=np.uint8)
    seen = networks.embed(net, colours, progress=False).values
    with torch.no_grad():
        logits = net.module[4](torch.from_numpy(seen)).numpy()
    top = np.argsort(-logits, axis=1)[np.arange(40), rng.choice([0, 0, 0, 1, 3, 7, 12], 40)]
    for i, (colour, one) in enumerate(zip(colours, top, strict=True)):
        name = f"class_{one}" if one % 2 else f"folder{one}"
        (home / "data" / "val" / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(colour).save(home / "data" / "val" / name / f"{i}.png")
    rows = [f"folder{one},{one if one % 4 else f'class {one}'}" for one in range(0, CLASSES, 2)]
    (home / "data" / "classes.csv").write_text("\n".join(rows) + "\n")
    (home / "study.toml").write_text(STUDY)
    return home


@pytest.fixture(scope="module")
def written(home, net):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "load", lambda *_, **__: net)
        return retention.run(home / "study.toml", home / "out", progress=False)


@pytest.fixture
def result(written):
    with xarray.open_dataset(written[0], engine="h5netcdf") as held:
        return held.load()


def test_by_hand(home, net, result):
    """Every target, version, fold and image, from the multipliers, with numpy and loops."""
    E = networks.embed(net, home / "data" / "val", progress=False)
    W, b = (part.numpy().astype(float) for part in (net.module[4].weight, net.module[4].bias))
    truth = np.array([int(name.removeprefix("class_").removeprefix("folder")) for name in E.category.values])
    np.testing.assert_array_equal(result["truth"], truth)
    category = {0, 1, 2, 3, 7, 9}
    assert result["version"].values.tolist() == ["full", "pruned", "ridge", "lasso"]
    softmax = {}
    for t in range(2):
        for v, version in enumerate(result["version"].values):
            for f in range(3):
                one = {"target": t, "version": v, "fold": f}
                multiplier = result["multiplier"].isel(one).values
                logits = (E.values.astype(float) * multiplier).astype(np.float32).astype(float) @ W.T + b
                ranks = np.array([list(np.argsort(-row, kind="stable")).index(i) for row, i in zip(logits, truth)])
                assert float(result["top1"].isel(one)) == np.mean(ranks == 0)
                assert float(result["top5"].isel(one)) == np.mean(ranks < 5)
                for place, there in (("in", True), ("out", False)):
                    errors = [i for i in range(40) if ranks[i] >= 5 and (truth[i] in category) == there]
                    landed = [i for i in errors if int(np.argmax(logits[i])) in category]
                    assert int(result["errors"].isel(one).sel(place=place)) == len(errors)
                    assert int(result["landed"].isel(one).sel(place=place)) == len(landed)
                if version == "pruned":
                    e = np.exp(logits - logits.max(1, keepdims=True))
                    softmax[f] = e / e.sum(1, keepdims=True)
        for p, (a, b_) in enumerate([(0, 1), (0, 2), (1, 2)]):
            r = [np.corrcoef(x, y)[0, 1] for x, y in zip(softmax[a], softmax[b_], strict=True)]
            found = [float(result[f"correspondence_{what}"][t, p]) for what in ("mean", "min", "max")]
            assert found == pytest.approx([np.mean(r), min(r), max(r)], abs=1e-5)
    assert 0.2 < float(result["top1"].sel(version="full", fold=0, target="mind")) < 0.8


def test_multipliers(home, net, result):
    """Kept features are cross-validation's; roots of lasso's weights give its similarities; the mean square stays."""
    X = networks.embed(net, home / "data" / "mind", progress=False)
    values = X.values.astype(float)
    pairs = np.load(home / "data" / "mind.npy")
    own = sc.cross_validate(X, pairs, cv=3, seed=5, kind="similarity", progress=False)
    of = result["multiplier"].sel(target="mind")
    np.testing.assert_array_equal(of.sel(version="pruned"), own["kept"].values[0])
    np.testing.assert_array_equal(result["pruned_test"].sel(target="mind"), own["pruned_test"].values[0])
    np.testing.assert_array_equal(of.sel(version="full"), np.ones((3, D)))
    square = np.full((N, N), np.nan)
    square[np.triu_indices(N, 1)] = pairs
    square = np.fmax(square, square.T)
    lasso, ridge = sc.reweighting.Lasso(kind="similarity"), sc.reweighting.Ridge(kind="similarity")
    for f in range(3):
        train = np.flatnonzero(~own["test"].values[f].astype(bool))
        goal = square[np.ix_(train, train)][np.triu_indices(len(train), 1)]
        for version, learner in (("lasso", lasso), ("ridge", ridge)):
            weights = learner.fit(values[train], goal).coef_
            factor = of.sel(version=version, fold=f).values
            np.testing.assert_array_equal(np.sign(factor), np.sign(weights))
            ratio = (factor**2)[weights != 0] / np.abs(weights)[weights != 0]
            np.testing.assert_allclose(ratio, ratio[0])
            assert ((values * factor) ** 2).sum() == pytest.approx((values**2).sum())
            if version == "lasso":
                predicted = learner.predict(values) - learner.intercept_
                np.testing.assert_allclose(sc.similarity(values * factor, "dot"), ratio[0] * predicted, atol=1e-9)


def test_weights_themselves(home):
    (home / "weight.toml").write_text(STUDY.replace('title = "Planted"', 'scaling = "weight"'))
    study = read_config(home / "weight.toml", retention.RetentionStudy)
    made = retention.compute(study, retention.load(study), progress=False)
    plain = read_config(home / "study.toml", retention.RetentionStudy)
    root = retention.compute(plain, retention.load(plain), progress=False)
    (home / "weight.toml").unlink()
    a, b = (one["multiplier"].sel(version="ridge", target="brain", fold=1).values for one in (made, root))
    squares = np.sign(b) * b**2
    np.testing.assert_allclose(a / np.linalg.norm(a), squares / np.linalg.norm(squares))
    np.testing.assert_array_equal(made["multiplier"].sel(version="pruned"), root["multiplier"].sel(version="pruned"))


def test_tables(home, written, result):
    assert [path.name for path in written] == [*retention.CONTENTS, *REPORT]
    check_dictionary(home / "out")
    assert all(path.stat().st_size > 50 for path in written)
    out = home / "out"
    table = pandas.read_csv(out / "accuracy.csv").query("target == 'mind' and version == 'ridge'")
    np.testing.assert_allclose(table.top5, result["top5"].sel(target="mind", version="ridge"))
    assert len(pandas.read_csv(out / "errors.csv")) == 2 * 4 * 3 * 2
    assert pandas.read_csv(out / "correspondence.csv").fold_b.tolist() == [1, 2, 2] * 2
    page = (out / "summary.md").read_text(encoding="utf-8")
    values = 100 * result["top1"].sel(target="brain", version="pruned").values
    assert f" {values.mean():.1f} ± {values.std(ddof=1):.1f} |\n| pruned | top-5 |" in page
    assert f"| full | top-1 | {100 * float(result['top1'][0, 0, 0]):.1f} |" in page
    least = result["correspondence_mean"].values.min(axis=1)
    assert f"| least pair of folds | {least[0]:.3f} | {least[1]:.3f} |" in page
    told = json.loads((out / "settings.json").read_text(encoding="utf-8"))
    assert [one["role"] for one in told["inputs"]] == [
        "images of the study", "targets.mind", "targets.brain", "network", "test_images"
    ]  # fmt: skip
    assert str(home) not in json.dumps(told)


def test_the_same_bytes_again_from_another_folder(home, written, tmp_path):
    shutil.copytree(home / "data", tmp_path / "moved" / "data")
    shutil.copy(home / "study.toml", tmp_path / "moved")
    again = retention.run(tmp_path / "moved" / "study.toml", tmp_path / "again", progress=False)
    for one, other in zip(written, again, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


def test_features_in_a_file_and_no_category(home, net, tmp_path):
    X = networks.embed(net, home / "data" / "mind", progress=False)
    np.save(home / "data" / "x.npy", X.values)
    text = STUDY.replace('images = "data/mind"', 'features = "data/x.npy"\nmethods = ["pruned"]')
    text = text.replace('category = ["0-3", "7", "class 9"]\n', "")
    (home / "file.toml").write_text(text)
    files = retention.run(home / "file.toml", tmp_path / "out", progress=False)
    (home / "file.toml").unlink()
    assert "errors.csv" not in [path.name for path in files]
    assert "Substantial" not in (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")


def test_a_dry_run_writes_nothing(home):
    before = sorted(home.rglob("*"))
    done = CliRunner().invoke(app, ["study", "retention", str(home / "study.toml"), "--dry-run"])
    assert done.exit_code == 0, done.stderr
    assert "network: planted, 9 features in the penultimate layer" in done.stdout
    assert "test images: 40 of " in done.stdout
    assert "category: 6 classes, " in done.stdout
    assert "target mind, brain: 24 stimuli, 9 features (layer penultimate of planted)" in done.stdout
    assert "networks to classify with: 19" in done.stdout  # 2 targets × 3 folds × 3 versions, and the whole
    assert sorted(home.rglob("*")) == before


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("test_images", "test_image", "bad.toml: test_image is no key here, the nearest is test_images"),
        ("data/val", "data/none", "data/none"),
        ("data/val", "data/mind", "test_images must be in a sub-folder for each class, got photographs alone$"),
        ("classes.csv", "gone.csv", r"mapping must be a .csv file, got 'gone.csv', which does not exist$"),
        ('mapping = "data/classes.csv"\n', "", "names must each be one class, got 'folder.*pass it in mapping$"),
        ('"0-3"', '"0-30"', "category must hold classes from 0 to 19, got 20$"),
        ('"class 9"', '"calss 9"', "names must each be one class, got 'calss 9'"),
        ('"planted"\n\n[', '"planted"\nlayer = "final"\n[', "network.layer must be 'penultimate', which is what"),
        ("[folds]", "[fold]", "bad.toml: fold is no key here, the nearest is folds"),
        ("mapping", 'methods = ["ridge"]\nmapping', "methods must hold 'pruned', and each once"),
        ("mapping", 'scaling = "square"\nmapping', "scaling must be one of 'root', 'weight'; got 'square'$"),
        ('"data/mind.npy"', '"data/few.npy"', "targets.mind: few.npy could not be used: target must"),
        ("cv = 3", "cv = 2", "fewer than 15 training stimuli, got 12 for mind$"),
        ('images = "data/mind"', 'features = "data/thin.npy"', "the penultimate layer of planted, 9 features, got 5$"),
        ('images = "data/mind"', "", "the study must have either features or images, got none$"),
    ],
)
def test_refusals(home, tmp_path, old, new, words):
    np.save(home / "data" / "few.npy", np.arange(10.0))
    np.save(home / "data" / "thin.npy", np.ones((N, 5)))
    changed = STUDY.replace(old, new, 1)
    assert changed != STUDY
    (home / "bad.toml").write_text(changed)
    with pytest.raises((ConfigError, FileError, ValueError, FileNotFoundError), match=words) as caught:
        retention.run(home / "bad.toml", tmp_path / "out", progress=False)
    for name in ("bad.toml", "data/few.npy", "data/thin.npy"):
        (home / name).unlink()
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_pictures_show_the_numbers(result):
    figure = classification(result)
    for axes, top in zip(figure.axes, ("top1", "top5"), strict=True):
        heights = sorted(bar.get_height() for bar in axes.patches)
        means = 100 * result[top].sel(version=["pruned", "ridge", "lasso"]).values.mean(-1)
        assert heights == pytest.approx(sorted(means.ravel()))
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["mind", "brain"]
    figure = consistency(result)
    assert len(figure.axes) == 3
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert heights == pytest.approx(list(result["correspondence_mean"].values.mean(1)))
    assert len(consistency(result.drop_vars("share")).axes) == 1
