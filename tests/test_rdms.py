"""Files in the layouts that others publish, written here, read back; broken ones refused by name."""

from __future__ import annotations

import json
import re

import h5py
import numpy as np
import pytest
import scipy.io
import xarray
from scipy.spatial.distance import squareform

import secateur as sc
from secateur import datasets, files

N, P = 12, 66


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def write_hdf5(place, tree):
    """As MATLAB 7.3 does: a block for its header, structs as groups, dimensions the other way round."""

    def fill(group, held):
        for name, value in held.items():
            if isinstance(value, dict):
                inner = group.create_group(name)
                inner.attrs["MATLAB_class"] = np.bytes_("struct")
                fill(inner, value)
            else:
                group.create_dataset(name, data=np.asarray(value).T).attrs["MATLAB_class"] = np.bytes_("double")

    with h5py.File(place, "w", userblock_size=512) as file:
        fill(file, tree)


WRITERS = {"v5": scipy.io.savemat, "v7": lambda p, t: scipy.io.savemat(p, t, do_compression=True), "v7.3": write_hdf5}
REGIONS = ("vTC", "FFA", "PPA")


def king_trees(rng, people=(5, 4), judges=(7, 8)):
    def one(count):
        return {"pairwisedistances": rng.uniform(size=(count, P)), "note": np.arange(3.0)}

    behaviour = {f"set{i + 1}": one(count) for i, count in enumerate(judges)}
    fmri = {region: {f"set{i + 1}": one(count) for i, count in enumerate(people)} for region in REGIONS}
    return behaviour, fmri


def write_king(folder, behaviour, fmri, writer="v5"):
    WRITERS[writer](folder / "BEHAVIOR.mat", {"BEHAVIOR": behaviour})
    WRITERS[writer](folder / "FMRI.mat", {"FMRI": fmri})


class TestKing2019:
    @pytest.mark.parametrize("writer", WRITERS)
    def test_read_back(self, tmp_path, rng, writer):
        behaviour, fmri = king_trees(rng)
        write_king(tmp_path, behaviour, fmri, writer)
        king = datasets.load_king2019(tmp_path)
        for i, name in enumerate(("set1", "set2")):
            assert king.regions[i].dims == ("region", "subject", "pair")
            assert king.behaviour[i].dims == ("subject", "pair")
            assert set(king.regions[i].region.values) == set(REGIONS)
            assert king.regions[i].attrs == {"kind": "dissimilarity", "source": "FMRI.mat"}
            np.testing.assert_array_equal(king.behaviour[i], behaviour[name]["pairwisedistances"])
            for region in REGIONS:
                np.testing.assert_array_equal(
                    king.regions[i].sel(region=region), fmri[region][name]["pairwisedistances"]
                )
        assert not set(king.regions[0].subject.values) & set(king.regions[1].subject.values)

    def test_straight_into_pruning(self, tmp_path, rng):
        behaviour, fmri = king_trees(rng, people=(4, 4))
        write_king(tmp_path, behaviour, fmri)
        X = [rng.normal(size=(N, 20)) for _ in range(2)]
        king = datasets.load_king2019(tmp_path)
        result = sc.cross_validate(X[0], king.regions[0], cv=3)
        assert result.attrs["kind"] == "dissimilarity"
        assert str(result.target.values[0]).endswith("set1 S01")
        sc.Pruner().fit(X[0], king.behaviour[0].mean("subject", keep_attrs=True))
        whole = sc.regions.four_tests(X, king.regions, king.behaviour, supervise="mean", cv=3)
        assert dict(whole.sizes) | {"region": 3, "subject": 8, "test": 4} == dict(whole.sizes)
        same = datasets.load_king2019(tmp_path, same_subjects=True)
        assert sc.regions.four_tests(X, same.regions, same.behaviour, cv=3).sizes["subject"] == 4

    def test_a_region_with_fewer_subjects(self, tmp_path, rng):
        behaviour, fmri = king_trees(rng)
        whole = fmri["FFA"]["set1"]["pairwisedistances"]
        fmri["FFA"]["set1"]["pairwisedistances"] = whole[:3]
        write_king(tmp_path, behaviour, fmri)
        with pytest.warns(UserWarning, match=r"FMRI.mat has 3 subjects in FFA and 5 in other regions of set 1"):
            king = datasets.load_king2019(tmp_path)
        face = king.regions[0].sel(region="FFA")
        np.testing.assert_array_equal(face[:3], whole[:3])
        assert face[3:].isnull().all()
        result = sc.regions.four_tests(
            [rng.normal(size=(N, 9)) for _ in range(2)], king.regions, king.behaviour, supervise="mean", cv=3
        )
        assert result.pruned.sel(region="FFA", set="1").notnull().sum("subject").values.ravel().tolist() == [3] * 4

    def test_refusals(self, tmp_path, rng):
        with pytest.raises(files.FileError, match=r"BEHAVIOR\.mat', which does not exist"):
            datasets.load_king2019(tmp_path)

        def refused(words, change):
            behaviour, fmri = king_trees(rng)
            change(behaviour, fmri)
            write_king(tmp_path, behaviour, fmri)
            with pytest.raises(files.FileError, match=re.escape(words)):
                datasets.load_king2019(tmp_path)

        refused("FMRI.mat must hold FMRI/FFA/set2/pairwisedistances", lambda b, f: f["FFA"].pop("set2"))
        refused("BEHAVIOR.mat must hold BEHAVIOR/set1/pairwisedistances", lambda b, f: b.pop("set1"))
        refused("BEHAVIOR.mat must hold BEHAVIOR/setN/pairwisedistances, got BEHAVIOR/x (1, 1)",
                lambda b, f: (b.clear(), b.update(x=1.0)))  # fmt: skip
        refused("FMRI.mat:FMRI/PPA/set1/pairwisedistances must have shape (subjects, pairs) with n(n-1)/2 pairs, got "
                "(66, 5)", lambda b, f: f["PPA"]["set1"].update(pairwisedistances=np.zeros((P, 5))))  # fmt: skip
        refused("FMRI.mat must cover the 12 images of BEHAVIOR/set1 in every region, got 11 in PPA",
                lambda b, f: f["PPA"]["set1"].update(pairwisedistances=np.zeros((5, 55))))  # fmt: skip
        infinite = rng.uniform(size=(7, P))
        infinite[2, 5] = np.inf
        refused("BEHAVIOR.mat:BEHAVIOR/set1/pairwisedistances (matrix 2 of 7) could not be used: it must not be "
                "infinite, got inf at pair 5", lambda b, f: b["set1"].update(pairwisedistances=infinite))  # fmt: skip


def rdms(rng, *shape):
    return np.stack([squareform(row) for row in rng.uniform(size=(*shape, P)).reshape(-1, P)]).reshape(*shape, N, N)


class TestAlgonauts2019:
    @pytest.mark.parametrize("writer", WRITERS)
    def test_fmri(self, tmp_path, rng, writer):
        held = {"EVC_RDMs": rdms(rng, 5), "IT_RDMs": rdms(rng, 5)}
        WRITERS[writer](tmp_path / "target_fmri.mat", held)
        read = datasets.load_algonauts2019(tmp_path / "target_fmri.mat")
        assert read.dims == ("region", "subject", "pair")
        assert read.region.values.tolist() == ["EVC", "IT"]
        assert read.attrs["kind"] == "dissimilarity"
        for region in ("EVC", "IT"):
            for s in range(5):
                np.testing.assert_array_equal(squareform(read.sel(region=region)[s]), held[f"{region}_RDMs"][s])
        np.testing.assert_array_equal(sc.alignment(rng.normal(size=(N, 6)), read).shape, (10,))

    def test_meg_with_times_and_reversed(self, tmp_path, rng):
        early, late = rdms(rng, 5, 20), rdms(rng, 5, 20)
        scipy.io.savemat(tmp_path / "target_meg.mat", {"MEG_RDMs_early": early, "MEG_RDMs_late": late})
        read = datasets.load_algonauts2019(tmp_path / "target_meg.mat")
        assert dict(read.sizes) == {"interval": 2, "subject": 5, "time": 20, "pair": P}
        np.testing.assert_array_equal(squareform(read.sel(interval="late")[3, 7]), late[3, 7])
        scipy.io.savemat(tmp_path / "turned.mat", {"MEG_RDMs_early": early.T, "MEG_RDMs_late": late.T})
        turned = datasets.load_algonauts2019(tmp_path / "turned.mat")
        np.testing.assert_array_equal(turned.values, read.values)
        averaged = {"MEG_RDMs_early": early.mean(axis=1), "MEG_RDMs_late": late.mean(axis=1)}
        scipy.io.savemat(tmp_path / "averaged.mat", averaged)
        assert datasets.load_algonauts2019(tmp_path / "averaged.mat").dims == ("interval", "subject", "pair")

    def test_refusals(self, tmp_path, rng):
        place = tmp_path / "target_fmri.mat"

        def refused(words, **held):
            scipy.io.savemat(place, held)
            with pytest.raises(files.FileError, match=re.escape(words)):
                datasets.load_algonauts2019(place)

        good, one = rdms(rng, 5), rng.uniform(size=(5, N, N))
        refused("target_fmri.mat must hold EVC_RDMs and IT_RDMs, or MEG_RDMs_early and MEG_RDMs_late, got x", x=good)
        refused("target_fmri.mat must hold IT_RDMs beside EVC_RDMs, got none", EVC_RDMs=good)
        refused("target_fmri.mat:IT_RDMs must have shape (subjects, n, n), got (5, 66)",
                EVC_RDMs=good, IT_RDMs=np.zeros((5, P)))  # fmt: skip
        refused("of one shape, got (5, 12, 12) and (4, 12, 12)", EVC_RDMs=good, IT_RDMs=good[:4])
        refused("target_fmri.mat:IT_RDMs (matrix 0 of 5) could not be used: it must be symmetric, got ",
                EVC_RDMs=good, IT_RDMs=one)  # fmt: skip
        refused("could not be used: it must have a zero diagonal while kind is 'dissimilarity', got 2.0",
                EVC_RDMs=2 - good, IT_RDMs=good)  # fmt: skip


class TestPeterson2018:
    def ratings(self, rng):
        S = 10 - squareform(rng.uniform(1, 9, P))
        np.fill_diagonal(S, 10)
        return S

    def test_read_back(self, tmp_path, rng):
        S = self.ratings(rng)
        scipy.io.savemat(tmp_path / "animals.mat", {"simMatrix": S})
        names = np.array([f"a{i}" for i in range(N)])
        np.savez(tmp_path / "animals.npz", similarity=S, first_batch=S - 1, labels=names)
        for name in ("animals.mat", "animals.npz"):
            read = datasets.load_peterson2018(tmp_path / name)
            assert read.dims == ("pair",)
            assert read.attrs["kind"] == "similarity"
            np.testing.assert_array_equal(read, S[np.triu_indices(N, 1)])
        assert read.attrs["stimuli"] == names.tolist()
        X = rng.normal(size=(N, 5))
        assert sc.alignment(X, read) == sc.alignment(X, S)
        assert sc.Pruner(kind="dissimilarity").fit(X, read).alignment_ == sc.Pruner().fit(X, S).alignment_

    def test_the_authors_animals(self, data_folder):
        read = datasets.load_peterson2018(data_folder / "peterson_animals.npz")
        assert read.shape == (7140,)
        assert 0 <= read.min() < read.max() <= 10

    def test_refusals(self, tmp_path, rng):
        S = self.ratings(rng)

        def refused(words, **held):
            np.savez(tmp_path / "a.npz", **held)
            with pytest.raises(files.FileError, match=re.escape(words)):
                datasets.load_peterson2018(tmp_path / "a.npz")

        refused("a.npz:x must hold similarities, the largest on the diagonal, got 0.0 at (0, 0)", x=10 - S)
        refused("a.npz:x must be a square matrix of at least 3 stimuli, got shape (12, 11)", x=S[:, :11])
        refused("a.npz must hold the array 'similarity', got one (12, 12), two (12, 12)", one=S, two=S)
        S[0, 1] -= 1
        refused("a.npz:x could not be used: it must be symmetric", x=S)


class TestRsatoolbox:
    def test_what_it_saved(self, tmp_path, rng):
        rsatoolbox = pytest.importorskip("rsatoolbox")
        made = rsatoolbox.rdm.RDMs(
            rng.uniform(size=(3, P)), dissimilarity_measure="correlation",
            rdm_descriptors={"subject": ["ann", "bob", "cy"], "session": [1, 1, 2], "site": ["x", "x", "x"]},
            pattern_descriptors={"conds": [f"c{i}" for i in range(N)], "half": ["a"] * N},
        )  # fmt: skip
        made.save(str(tmp_path / "r.hdf5"), file_type="hdf5")
        read = datasets.load_rsatoolbox(tmp_path / "r.hdf5")
        theirs = rsatoolbox.rdm.load_rdm(str(tmp_path / "r.hdf5"))
        np.testing.assert_array_equal(read, theirs.dissimilarities)
        assert read.subject.values.tolist() == ["ann", "bob", "cy"]
        assert read.attrs["stimuli"] == [f"c{i}" for i in range(N)]
        X = rng.normal(size=(N, 6))
        np.testing.assert_array_equal(sc.alignment(X, read), sc.alignment(X, theirs))
        named = xarray.DataArray(X, dims=("stimulus", "feature"), coords={"stimulus": [f"d{i}" for i in range(N)]})
        with pytest.raises(ValueError, match="target must name the stimuli of X"):
            sc.alignment(named, read)
        assert datasets.load_rsatoolbox(tmp_path / "r.hdf5", dim="region").dims == ("region", "pair")

    def test_no_names_and_square_counts(self, tmp_path, rng):
        rsatoolbox = pytest.importorskip("rsatoolbox")
        values = rng.uniform(size=(3, 3))  # three matrices of three stimuli
        rsatoolbox.rdm.RDMs(values).save(str(tmp_path / "r.h5"), file_type="hdf5")
        read = datasets.load_rsatoolbox(tmp_path / "r.h5")
        np.testing.assert_array_equal(read, values)
        assert read.subject.values.tolist() == ["S01", "S02", "S03"]
        assert "stimuli" not in read.attrs

    def test_refusals(self, tmp_path):
        (tmp_path / "r.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
        with pytest.raises(files.FileError, match=r"r\.pkl must be an HDF5 file, got a pickle"):
            datasets.load_rsatoolbox(tmp_path / "r.pkl")
        with h5py.File(tmp_path / "r.h5", "w") as file:
            file["x"] = np.zeros((2, P))
        with pytest.raises(files.FileError, match=r"r\.h5 must hold rsatoolbox RDMs, .*, got 'x'"):
            datasets.load_rsatoolbox(tmp_path / "r.h5")
        with h5py.File(tmp_path / "s.h5", "w") as file:
            file["dissimilarities"] = np.zeros((2, P + 1))
        with pytest.raises(files.FileError, match=r"s.h5:dissimilarities must have shape \(RDMs, pairs\)"):
            datasets.load_rsatoolbox(tmp_path / "s.h5")


class TestMeadows:
    NAMES = tuple(f"stim{i:03d}" for i in range(N))

    def test_one_participant(self, tmp_path, rng):
        place = tmp_path / "Meadows_mine_v_v1_arctic-fox_1_1D.mat"
        pairs = rng.uniform(size=P)
        scipy.io.savemat(place, {"rdmutv": pairs, "stimuli": np.array([f"{name}.png" for name in self.NAMES])})
        read = datasets.load_meadows(place)
        assert read.dims == ("subject", "pair")
        assert read.subject.values.tolist() == [place.stem]
        assert read.attrs["stimuli"] == list(self.NAMES)
        np.testing.assert_array_equal(read[0], pairs)
        self.like_rsatoolbox(place, read)

    def like_rsatoolbox(self, place, read):
        meadows = pytest.importorskip("rsatoolbox.io.meadows")
        theirs = meadows.load_rdms(str(place), sort=False)
        np.testing.assert_array_equal(np.atleast_2d(theirs.dissimilarities), read.values)
        assert list(theirs.pattern_descriptors["conds"]) == read.attrs["stimuli"]

    def test_several_participants_in_other_orders(self, tmp_path, rng):
        place = tmp_path / "Meadows_mine_v_v1_arrangement_1D.mat"
        names = np.array([f"{name}.jpg" for name in self.NAMES])
        pairs, order = rng.uniform(size=(2, P)), rng.permutation(N)
        scipy.io.savemat(place, {"rdmutv_arctic_fox": pairs[0], "stimuli_arctic_fox": names,
                                 "rdmutv_shy_bee": pairs[1], "stimuli_shy_bee": names})  # fmt: skip
        read = datasets.load_meadows(place)
        assert read.subject.values.tolist() == ["arctic-fox", "shy-bee"]
        np.testing.assert_array_equal(read, pairs)
        self.like_rsatoolbox(place, read)
        turned = squareform(squareform(pairs[1])[np.ix_(order, order)])
        scipy.io.savemat(place, {"rdmutv_arctic_fox": pairs[0], "stimuli_arctic_fox": names,
                                 "rdmutv_shy_bee": turned, "stimuli_shy_bee": names[order]})  # fmt: skip
        np.testing.assert_array_equal(datasets.load_meadows(place), pairs)

    def test_tree(self, tmp_path, rng):
        place = tmp_path / "Meadows_mine_v_v1_arctic-fox_tree.json"
        pairs = rng.uniform(size=(2, P)).tolist()
        stimuli = [{"name": name} for name in self.NAMES]
        tasks = [{"task": {"task_type": "instructions"}}]
        tasks += [{"task": {"task_type": "multiarrange", "name": n}, "stimuli": stimuli, "rdm": p} for n, p in
                  zip(("animals", "tools"), pairs)]  # fmt: skip
        place.write_text(json.dumps({"tasks": tasks}))
        read = datasets.load_meadows(place)
        assert read.dims == ("task", "pair")
        assert read.task.values.tolist() == ["animals", "tools"]
        np.testing.assert_array_equal(read, pairs)
        self.like_rsatoolbox(place, read)

    def test_refusals(self, tmp_path, rng):
        place = tmp_path / "a.mat"

        def refused(words, **held):
            scipy.io.savemat(place, held)
            with pytest.raises(files.FileError, match=re.escape(words)):
                datasets.load_meadows(place)

        names = np.array(self.NAMES)
        refused("a.mat must hold a Meadows matrix 'rdmutv', got x (1, 66)", x=np.zeros(P))
        refused("a.mat must hold 'stimuli_b' beside 'rdmutv_b', got none", rdmutv_b=np.zeros(P))
        refused("a.mat:rdmutv must have one value for each pair of its 12 stimuli (at least 3), got shape (55,)",
                rdmutv=np.zeros(55), stimuli=names)  # fmt: skip
        other = names.copy()
        other[3] = "else"
        refused("each named once, but rdmutv_a and rdmutv_b don't agree on 'else', 'stim003'", rdmutv_a=np.ones(P),
                stimuli_a=names, rdmutv_b=np.ones(P), stimuli_b=other)  # fmt: skip
        tree = tmp_path / "a.json"
        for content, words in (
            ("[1]", "a.json must be a Meadows tree of one participant with a list 'tasks', got none"),
            ('{"tasks": []}', "a.json must hold a task of type 'multiarrange', got none among 0 tasks"),
            ("{", "a.json could not be read as a .json file"),
            ('{"tasks": [{"task": {"task_type": "multiarrange"}}]}', "a.json could not be read as a .json file"),
        ):
            tree.write_text(content)
            with pytest.raises(files.FileError, match=re.escape(words)):
                datasets.load_meadows(tree)
        with pytest.raises(files.FileError, match="which does not exist"):
            datasets.load_meadows(tmp_path / "b.json")


class TestStructs:
    def test_fields_by_name(self, tmp_path, rng):
        place = tmp_path / "s.mat"
        X = rng.normal(size=(5, 3))
        held = {"deep": {"X": X, "labels": np.array(["a", "b", "c", "d", "e"], dtype=object)}, "n": 1.0}
        scipy.io.savemat(place, {"top": held, "many": np.zeros((2,), dtype=[("a", object)])})
        read = files.read_features_file(f"{place}:top/deep/X")
        np.testing.assert_array_equal(read.values, X)
        assert read.stimuli == ("a", "b", "c", "d", "e")
        assert files.read_features_file(str(place)).key == "top/deep/X"
        with pytest.raises(files.FileError, match=r"must hold the array 'top/X', got top/deep/X \(5, 3\)"):
            files.read_features_file(f"{place}:top/X")

    def test_struct_arrays_alone(self, tmp_path):
        place = tmp_path / "s.mat"
        scipy.io.savemat(place, {"many": np.zeros((2,), dtype=[("a", object)])})
        with pytest.raises(files.FileError, match=r"s\.mat must hold a matrix, got none"):
            files.read_features_file(str(place))
