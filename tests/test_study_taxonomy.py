"""The study of taxonomy: the bundled animals by hand, own features and photographs, the same bytes, refusals."""

from __future__ import annotations

import json
import re
import shutil
from itertools import pairwise

import numpy as np
import pandas
import pytest
import xarray
from scipy.cluster.hierarchy import fcluster, linkage
from typer.testing import CliRunner

import secateur as sc
from dictionaries import check_dictionary
from secateur.cli import app
from secateur.files import FileError
from secateur.report.contents import REPORT
from secateur.study import ConfigError, read_config, taxonomy

ANIMALS = sc.datasets.load_imagenet_animals()
BIRDS = np.flatnonzero(ANIMALS.groups == "bird")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    home = tmp_path_factory.mktemp("taxonomy")
    (home / "study.toml").write_text('title = "Animals"\ncuts = [6, 9]\n[folds]\ncv = 3\nseed = 2\n')
    return taxonomy.run(home / "study.toml", home / "out", progress=False)


@pytest.fixture(scope="module")
def result(written):
    with xarray.open_dataset(written[0], engine="h5netcdf") as held:
        return held.load()


def neighbours(i):
    """The leaves under the first hypernym's first hypernym, walked anew."""
    above = ANIMALS.hypernyms
    node = above[above[ANIMALS.synsets[i]][0]][0]
    found = set()
    for j, leaf in enumerate(ANIMALS.synsets):
        reached, edge = set(), [leaf]
        while edge:
            edge = [p for n in edge for p in above[n] if p not in reached]
            reached |= set(edge)
        if node in reached and j != i:
            found.add(j)
    return found


def test_the_full_net_by_hand(result):
    """A few categories at one cut, with scipy and sets alone."""
    unit = ANIMALS.X / np.linalg.norm(ANIMALS.X, axis=1, keepdims=True)
    i, j = np.triu_indices(len(unit), 1)
    tree = linkage(np.maximum(1 - (unit @ unit.T)[i, j], 0), "complete")
    cluster = fcluster(tree, 6, "maxclust")
    scored = 0
    for one in range(0, 398, 23):
        wordnet, net = neighbours(one), set(np.flatnonzero(cluster == cluster[one])) - {one}
        assert int(result["neighbours"][one]) == len(wordnet)
        found = result["jaccard_of_all"].sel(cut=6).values[one]
        if 10 <= len(wordnet) <= 160:
            assert found == pytest.approx(len(wordnet & net) / len(wordnet | net))
            scored += 1
        else:
            assert np.isnan(found)
    assert scored > 5


def test_both_nets_are_held_out(written, result):
    """Each category by the fold that it was tested in: that fold's test categories and features, clustered anew."""
    with xarray.open_dataset(written[0], engine="h5netcdf", group="pruning") as held:
        kept, test = held["kept"].values[0].astype(bool), held["test"].values.astype(bool)
        own = sc.cross_validate(ANIMALS.X, ANIMALS.target, cv=3, seed=2, progress=False)
        np.testing.assert_array_equal(kept, own["kept"].values[0])
    for f in range(3):
        rows, near = ANIMALS.X[test[f]], np.array([len(neighbours(i)) for i in np.flatnonzero(test[f])])
        eligible = (near >= 10) & (near <= 160)
        for space, subset in (("pruned", kept[f]), ("full", None)):
            rules = {"subset": subset, "sizes": (1, 400)}
            mine = sc.taxonomy.jaccard(rows, ANIMALS.synsets[test[f]], ANIMALS.hypernyms, [6, 9], **rules)
            expected = np.where(eligible, mine["jaccard"].values, np.nan)
            np.testing.assert_allclose(result["jaccard"].sel(space=space).values[:, test[f]], expected, atol=1e-15)


def test_tables(written, result):
    home = written[0].parent
    assert [path.name for path in written] == [*taxonomy.CONTENTS, *REPORT]
    check_dictionary(home)
    assert all(path.stat().st_size > 30 for path in written)
    table = pandas.read_csv(home / "concordance.csv", index_col="cut")
    full, pruned = (result["jaccard"].sel(space=space, cut=9).values for space in ("full", "pruned"))
    both = np.isfinite(full)
    assert 235 < both.sum() <= 245  # the paper's count, less those without a neighbour among the test categories
    row = table.loc[9]
    assert (row.full, row.pruned) == pytest.approx((full[both].mean(), pruned[both].mean()))
    assert row.lower < row.beyond < row.upper
    assert 20 < row.groups < 30
    page = (home / "summary.md").read_text(encoding="utf-8")
    assert page.startswith("# Animals\n\n| Jaccard index | N = 6 | N = 9 |\n")
    assert f"{both.sum()} of 398 categories are scored; 145 have fewer than 10 neighbours in WordNet (18 of" in page
    assert "p (" not in page.split("## The pruning")[0]
    each = pandas.read_csv(home / "categories.csv")
    assert each["scored"].value_counts().to_dict() == {
        "scored": both.sum(), "too few neighbours": 145, "too many neighbours": 8,
        **({"no neighbour among the test categories": 245 - both.sum()} if both.sum() < 245 else {}),
    }  # fmt: skip
    assert each.label[0] == "tench"


def test_the_same_bytes_again(written, tmp_path):
    shutil.copy(written[0].parent / "study.toml", tmp_path)
    again = taxonomy.run(tmp_path / "study.toml", tmp_path / "again", progress=False)
    for one, other in zip(written, again, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


SMALL = 'features = "birds.csv"\ncuts = [4]\nsizes = [2, 50]\n[folds]\ncv = 3\n'


@pytest.fixture
def birds(tmp_path):
    """A table of the birds by label, in an order of its own, with fewer features."""
    order = np.random.default_rng(0).permutation(BIRDS)
    names = [str(label).replace(" ", "_").title() for label in ANIMALS.labels[order]]
    pandas.DataFrame(ANIMALS.X[order, :60], names).to_csv(tmp_path / "birds.csv")
    (tmp_path / "study.toml").write_text(SMALL)
    return tmp_path, order


def test_own_features_by_label(birds):
    home, order = birds
    taxonomy.run(home / "study.toml", home / "out", progress=False)
    mine = sc.taxonomy.jaccard(ANIMALS.X[order, :60], ANIMALS.synsets[order], ANIMALS.hypernyms, [4], sizes=(2, 50))
    with xarray.open_dataset(home / "out" / "result.nc", engine="h5netcdf") as held:
        assert held["category"].values.tolist() == ANIMALS.synsets[order].tolist()
        np.testing.assert_array_equal(held["jaccard_of_all"], mine["jaccard"])


def test_a_dry_run_writes_nothing(birds):
    home = birds[0]
    before = sorted(home.rglob("*"))
    done = CliRunner().invoke(app, ["study", "taxonomy", str(home / "study.toml"), "--dry-run"])
    assert done.exit_code == 0, done.stderr
    assert "categories: 59, of 59 stimuli, 60 features" in done.stdout
    assert "prunings: 3" in done.stdout
    assert sorted(home.rglob("*")) == before
    (home / "all.toml").write_text("")
    done = CliRunner().invoke(app, ["study", "taxonomy", str(home / "all.toml"), "--dry-run"])
    assert "categories: 398, of the bundled animals, 1280 features" in done.stdout


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("birds.csv", "gone.csv", "FEATURES must be a file, got '.*gone.csv', which does not exist$"),
        ("cuts", "cut", "bad.toml: cut is no key here, the nearest is cuts"),
        ("[4]", "[4, 60]", "cuts must be numbers of clusters from 2 to 19, the test categories of a fold, got 60$"),
        ("[4]", "[]", "cuts must hold at least one number of clusters, got none$"),
        ("[2, 50]", "[2]", r"sizes must be two numbers, the least and the most neighbours, got \[2\]$"),
        ("[2, 50]", "[80, 90]", r"sizes must leave categories to score, got \[80, 90\] where they have \d+ to"),
        ("cuts", 'images = "x"\ncuts', "the study must have features or images or neither, got both$"),
        ('"birds.csv"', '"x.npy"', "features must name the category of each row, got no names in x.npy: a first"),
        ('"birds.csv"', '"wrong.csv"', "among ImageNet's 398 animals, got 'Ostrych'; the nearest is ostrich"),
        ('"birds.csv"', '"twice.csv"', "categories must come once each, got 'ostrich' again$"),
        ("cv = 3", "cv = 30", "cv must leave at least 3 test stimuli"),
    ],
)
def test_refusals(birds, tmp_path, old, new, words):
    home = birds[0]
    np.save(home / "x.npy", np.ones((5, 4)))
    table = (home / "birds.csv").read_text()
    (home / "wrong.csv").write_text(re.sub("(?m)^Ostrich,", "Ostrych,", table))
    (home / "twice.csv").write_text(re.sub("(?m)^Kite,", "ostrich,", table))
    (home / "bad.toml").write_text(SMALL.replace(old, new, 1))
    with pytest.raises((ConfigError, FileError, ValueError), match=words) as caught:
        taxonomy.run(home / "bad.toml", home / "out", progress=False)
    assert "\n" not in str(caught.value)
    assert not (home / "out").exists()


class TestPhotographs:
    """Two photographs a category through a planted network of ImageNet's classes."""

    @pytest.fixture
    def home(self, tmp_path, monkeypatch):
        torch = pytest.importorskip("torch", reason="torch is not installed")
        from PIL import Image

        from secateur import networks

        nn = torch.nn
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(3, 9, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(9, 1000))
        net = networks.wrap(
            module, trunk=["0", "1"], neck=["2", "3"], classifier="4", name="planted",
            preprocessing=networks.Preprocessing(None, 8), classes=[f"class {i}" for i in range(1000)],
        )  # fmt: skip
        monkeypatch.setattr(networks, "load", lambda *_, **__: net)
        rng = np.random.default_rng(0)
        for i in BIRDS[:30]:
            folder = tmp_path / "photographs" / str(ANIMALS.synsets[i])
            folder.mkdir(parents=True)
            for name in "ab":
                colour = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(colour).save(folder / f"{name}.png")
        text = 'images = "photographs"\nrepresent = "mean"\ncuts = [3]\nsizes = [1, 30]\n[network]\nname = "x"\n'
        (tmp_path / "study.toml").write_text(text + "[folds]\ncv = 3\n")
        return tmp_path, net

    def embedded(self, home, net):
        from secateur import networks

        X = networks.embed(net, home / "photographs", progress=False)
        assert [len(set(pair)) for pair in zip(X.category.values[::2], X.category.values[1::2])] == [1] * 30
        assert all(a != b for a, b in pairwise(X.category.values[::2]))
        return X.values.reshape(30, 2, -1)

    def test_means_and_exemplars(self, home):
        home, net = home
        X, sets = self.embedded(home, net), {"mean": None, "exemplar": None}
        study = read_config(home / "study.toml", taxonomy.TaxonomyStudy)
        inputs = taxonomy.load(study)
        order = [str(s) for s in inputs.space.groups[::2]]
        index = [int(np.flatnonzero(ANIMALS.synsets == name)[0]) for name in order]
        W, b = (part.numpy().astype(float) for part in (net.module[4].weight, net.module[4].bias))
        expected = []
        for rows, i in zip(X.astype(float), index, strict=True):
            logits = rows @ W.T + b
            p = np.exp(logits - logits.max(1, keepdims=True))
            expected.append(rows[np.argmax(p[:, i] / p.sum(1))])
        for represent in sets:
            (home / "b.toml").write_text((home / "study.toml").read_text().replace('"mean"', f'"{represent}"'))
            study = read_config(home / "b.toml", taxonomy.TaxonomyStudy)
            sets[represent] = taxonomy.compute(study, taxonomy.load(study), progress=False).X
        np.testing.assert_allclose(sets["mean"], X.astype(float).mean(1), rtol=1e-6)
        np.testing.assert_array_equal(sets["exemplar"], np.array(expected))
        assert 5 < (sets["exemplar"] == X[:, 0]).all(1).sum() < 25

    def test_the_whole_of_it(self, home):
        home, _ = home
        files = taxonomy.run(home / "study.toml", home / "out", progress=False)
        assert [path.name for path in files] == [*taxonomy.CONTENTS, *REPORT]
        told = json.loads((home / "out" / "settings.json").read_text())
        assert [one["role"] for one in told["inputs"]] == ["images of the categories", "network"]
        assert str(home) not in json.dumps(told)

    def test_refusals(self, home):
        home, _ = home
        text = (home / "study.toml").read_text()
        for old, new, words in (
            ('"mean"', '"exemplar"\n', None),
            ("photographs", f"photographs/{ANIMALS.synsets[BIRDS[0]]}", "images must be in a sub-folder for each"),
            ('"x"', '"x"\nlayer = "final"', "network.layer must be 'penultimate' for exemplars"),
        ):
            changed = text.replace('"mean"', '"exemplar"') if "layer" in new else text
            (home / "bad.toml").write_text(changed.replace(old, new, 1))
            study = read_config(home / "bad.toml", taxonomy.TaxonomyStudy)
            if words is None:
                taxonomy.load(study)
            else:
                with pytest.raises(ConfigError, match=words):
                    taxonomy.load(study)
