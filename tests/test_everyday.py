"""What people bring and type: pipelines, other words for a kind, sentences without Python, tables in notebooks."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas
import pytest
import scipy.io
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from typer.testing import CliRunner

import secateur as sc
from secateur import cli, files
from secateur.validation import split

N, D = 24, 10


@pytest.fixture(scope="module")
def X() -> Any:
    return np.random.default_rng(0).normal(size=(N, D)) * np.arange(1, D + 1)


@pytest.fixture(scope="module")
def S(X: Any) -> Any:
    return X[:, :3] @ X[:, :3].T


@pytest.fixture
def here(tmp_path: Path, X: Any, S: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with x.npy and s.npy; pictures are not drawn."""
    from matplotlib.figure import Figure

    from secateur.report import folder

    monkeypatch.chdir(tmp_path)
    for draw in ("page", "overview"):
        monkeypatch.setattr(folder, draw, lambda *_, **__: Figure())
    np.save("x.npy", X)
    np.save("s.npy", S)
    return tmp_path


def run(*words: str) -> Any:
    return CliRunner().invoke(cli.app, ["prune", *words, "--out", "out", "--cv", "3"])


# Pipelines ------------------------------------------------------------------------------------------------------


def test_a_pipeline_learns_from_training_stimuli_alone(X: Any, S: Any) -> None:
    pruner = sc.Pruner("correlation", kind="similarity")
    result = sc.cross_validate(X, S, make_pipeline(StandardScaler(), PCA(6), pruner), cv=3, progress=False)
    assert list(result["feature"].values) == [f"pca{k}" for k in range(6)]
    for f, (train, test) in enumerate(split(N, 3, 1, 0, None)[0]):
        scaler = StandardScaler().fit(X[train])
        pca = PCA(6).fit(scaler.transform(X[train]))
        space = pca.transform(scaler.transform(X))
        fitted = sc.Pruner("correlation", kind="similarity").fit(space[train], S[np.ix_(train, train)])
        assert result["pruned_test"].values[0, f] == pytest.approx(fitted.score(space[test], S[np.ix_(test, test)]))
        full = sc.alignment(space[test], S[np.ix_(test, test)], "correlation", kind="similarity")
        assert result["full_test"].values[0, f] == pytest.approx(full)
    assert not hasattr(pruner, "support_")  # nothing given is fitted or changed


def test_a_pipeline_of_a_pruner_alone_is_the_pruner(X: Any, S: Any) -> None:
    alone = sc.cross_validate(X, S, sc.Pruner(kind="similarity"), cv=3)
    for pipeline in (
        make_pipeline(sc.Pruner(kind="similarity")),
        make_pipeline("passthrough", sc.Pruner(kind="similarity")),
    ):
        np.testing.assert_array_equal(sc.cross_validate(X, S, pipeline, cv=3)["kept"], alone["kept"])
    final = sc.final_set(X, S, make_pipeline(StandardScaler(), sc.Pruner(kind="similarity")))
    expected = sc.Pruner(kind="similarity").fit(StandardScaler().fit_transform(X), S)
    np.testing.assert_array_equal(final["kept"].values[0], expected.support_)


def test_pipelines_that_cannot_be_are_refused(X: Any, S: Any) -> None:
    folds = [(np.arange(4), np.arange(4, 24)), (np.arange(4, 24), np.arange(4))]
    with pytest.raises(ValueError, match="pipeline must give as many features in each fold, got"):
        sc.cross_validate(X, S, make_pipeline(PCA(), sc.Pruner(kind="similarity")), cv=folds)
    with pytest.raises(TypeError, match="which cross_validate and final_set take"):
        sc.permutation_test(X, S, n=1, pruner=make_pipeline(PCA(3), sc.Pruner()))
    with pytest.raises(TypeError, match="got Pipeline that ends in StandardScaler, not in a Pruner"):
        sc.cross_validate(X, S, make_pipeline(PCA(3), StandardScaler()))


def test_a_grid_search_is_told_the_cure(X: Any, S: Any) -> None:
    search = GridSearchCV(sc.Pruner(kind="similarity"), {"metric": ["cosine", "dot"]}, cv=3)
    with pytest.raises(ValueError, match=r"use secateur\.cross_validate, or secateur\.nested to choose parameters"):
        search.fit(X, S)


def test_a_fitted_pruner_becomes_an_rdm(X: Any, S: Any) -> None:
    pytest.importorskip("rsatoolbox")
    pruner = sc.Pruner("correlation", kind="similarity").fit(X, S)
    rdms = sc.to_rsatoolbox(X, pruner)
    expected = sc.to_rsatoolbox(X, pruner.support_, "correlation")
    np.testing.assert_array_equal(rdms.dissimilarities, expected.dissimilarities)
    assert rdms.dissimilarity_measure == "correlation"
    assert sc.to_rsatoolbox(X, pruner, "euclidean").dissimilarity_measure == "euclidean"
    for first in (pruner, pruner.support_):
        with pytest.raises(TypeError, match="X must come before support, got them the other way round"):
            sc.to_rsatoolbox(first, X)
    result = sc.cross_validate(X, S, sc.Pruner(kind="similarity"), cv=3)
    for given in ((result,), (X, result)):
        with pytest.raises(TypeError, match=r"got a Dataset: of a result pass its masks"):
            sc.to_rsatoolbox(*given)


# The command line -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["RDM", "distance"])
def test_other_words_for_a_kind(here: Path, S: Any, word: str) -> None:
    np.save("s.npy", (S.max() - S)[np.triu_indices(N, 1)])
    assert run("x.npy", "s.npy", "--kind", word).exit_code == 0
    assert '"kind": "dissimilarity"' in Path("out/settings.json").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("x.npy", "s.npy", "--max-features", "99"),
            "secateur: --max-features must be at most the 10 features of X, got 99.",
        ),
        (
            ("x.npy", "s.npy", "--kind", "foo"),
            "secateur: --kind must be similarity, dissimilarity or triplets, got 'foo'.",
        ),
        (("x.npy", "s.npy", "--fixed", "77"), "secateur: --fixed must hold feature indices from 0 to 9, got 77."),
        (
            ("x.npy", "wide.npy"),
            "secateur: wide.npy: target must have shape 24 × 24, 276 values, T × 276 or T × 24 × 24 for 24 stimuli, "
            "got 24 × 30.",
        ),
    ],
)
def test_sentences_have_no_python_in_them(here: Path, words: tuple[str, ...], said: str) -> None:
    np.save("wide.npy", np.zeros((N, 30)))
    outcome = run(*words)
    assert outcome.exit_code == 2
    assert outcome.stderr.splitlines()[-1] == said


# Notebooks ------------------------------------------------------------------------------------------------------


def test_what_pruning_gives_is_shown_in_words(X: Any, S: Any) -> None:
    from secateur.features import Features
    from secateur.targets import read_target

    pruned = sc.Pruner(kind="similarity").prune(Features(X), read_target(S, N, "similarity"))
    assert repr(pruned).startswith(f"Pruned(targets: 1, features kept: {int(pruned.support.sum())} of 10, training")
    assert f"<td style='text-align:left'>{int(pruned.support.sum())} of 10</td>" in pruned._repr_html_()


def test_networks_are_shown_as_tables() -> None:
    pytest.importorskip("torch")
    from secateur import networks

    net = networks.load("squeezenet1_1", weights=None)
    shown = net._repr_html_()
    assert "Network squeezenet1_1" in shown
    assert "random, seed 0" in shown
    small = networks.pruned.apply(net, np.arange(512) < 100)
    assert "100 of 512, penultimate" in small._repr_html_()


def test_a_table_escapes_what_names_hold() -> None:
    from secateur.display import as_table

    assert "<script>" not in as_table("<script>", {"<b>": "<i>", "none": None})


# Files as people have them --------------------------------------------------------------------------------------


def read(path: Path) -> Any:
    return files.read_target_file(str(path))


@pytest.mark.parametrize("between", [";", "\t"])
def test_decimal_commas(tmp_path: Path, between: str) -> None:
    path = tmp_path / ("x.tsv" if between == "\t" else "x.csv")
    path.write_text(
        "\n".join(between.join(row) for row in (["id", "a", "b"], ["u", "0,5", "-1,25e2"], ["v", "3", ",5"]))
    )
    loaded = files.read_features_file(str(path))
    np.testing.assert_array_equal(loaded.values, [[0.5, -125], [3, 0.5]])
    assert f"{path.name} writes decimals with commas: they were read as points" in loaded.notes
    path.write_text(path.read_text().replace("3", "3.5"))
    with pytest.raises(files.FileError, match="must write decimals one way, got commas and points by line 3"):
        files.read_features_file(str(path))


def test_pairs_in_long_format(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text("first,second,rating\nb,a,1\na,c,2\nc,b,3\nd,a,4\nd,b,\n")
    loaded = read(path)
    assert loaded.stimuli == ("b", "a", "c", "d")
    np.testing.assert_array_equal(loaded.values, [1, 3, np.nan, 2, 4, np.nan])  # b-a, b-c, b-d, a-c, a-d, c-d
    assert loaded.notes == (
        "long.csv was read as pairs of 4 stimuli in long format, its column 'rating'",
        "2 pairs have no line in long.csv and are missing",
    )
    path.write_text("subject;s1;s2;d\n")  # words first: this is another table, and its own sentence
    with pytest.raises(files.FileError):
        read(path)
    path.write_text("s1;s2;subject;d\nx;y;P1;0,5\nx;z;P1;1\ny;z;P1;2\ny;x;P2;3\nx;z;P2;4\nz;y;P2;5\n")
    loaded = read(path)
    np.testing.assert_array_equal(loaded.values, [[0.5, 1, 2], [3, 4, 5]])
    assert (loaded.targets, loaded.whose) == (("P1", "P2"), "subjects")
    path.write_text("s1,s2,d\nx,y,1\nx,z,1\ny,z,2\ny,x,3\n")
    with pytest.raises(files.FileError, match="must give each pair one value, got 1 and 3 for 'y', 'x'"):
        read(path)
    path.write_text("s1,s2,d\nx,x,0\ny,y,0\nz,z,0\nx,y,1\nx,z,1\ny,z,2\n")
    assert read(path).values.shape == (3, 3)  # with its diagonal, which shows the kind


@pytest.mark.parametrize(
    ("head", "line"),
    [
        ("subject,item 1,item 2,d", "{s},{a},{b},{d}"),
        ("item 1,Participant_ID,item 2,d", "{a},{s},{b},{d}"),
        ("a,b,d,sub", "{a},{b},{d},{s}"),
        ("rater,a,b,d", "{s},{a},{b},{d}"),  # no heading that is known: stimuli are the columns that share their words
        (None, "{s},{a},{b},{d}"),
        (None, "{a},{b},{d},{s}"),
        (",subject,a,b,d", "{i},{s},{a},{b},{d}"),  # of a data frame, with its index
    ],
)
@pytest.mark.parametrize("subjects", [("P1", "P2"), ("1", "2")])
def test_the_columns_of_a_long_table_may_stand_in_any_order(
    tmp_path: Path, head: str | None, line: str, subjects: tuple[str, str]
) -> None:
    pairs = [(s, a, b) for s in subjects for a, b in (("x", "y"), ("x", "z"), ("y", "z"))]
    cells = [{"i": i, "s": s, "a": a, "b": b, "d": i + 0.5} for i, (s, a, b) in enumerate(pairs)]
    lines = [] if head is None else [head]
    (tmp_path / "long.csv").write_text("\n".join(lines + [line.format(**one) for one in cells]) + "\n")
    loaded = read(tmp_path / "long.csv")
    assert (loaded.stimuli, loaded.targets) == (("x", "y", "z"), subjects)
    np.testing.assert_array_equal(loaded.values, [[0.5, 1.5, 2.5], [3.5, 4.5, 5.5]])


@pytest.mark.parametrize(("heading", "kind"), [("Distance", "dissimilarity"), ("similarity", "similarity")])
def test_the_heading_of_a_long_table_says_what_it_holds(here: Path, S: Any, heading: str, kind: str) -> None:
    i, j = np.tril_indices(N, -1)
    pandas.DataFrame({"a": [f"s{k}" for k in i], "b": [f"s{k}" for k in j], heading: S[i, j]}).to_csv("long.csv")
    assert read(Path("long.csv")).kind == kind
    outcome = run("x.npy", "long.csv")
    assert outcome.exit_code == 0, outcome.output
    held = {"similarity": "similarities", "dissimilarity": "dissimilarities"}[kind]
    said = " ".join(outcome.stderr.split())
    assert f"note: its heading '{heading}' was taken to say that long.csv holds {held}." in said
    other = ({"similarity", "dissimilarity"} - {kind}).pop()
    refused = run("x.npy", "long.csv", "--kind", other, "--overwrite")
    assert refused.exit_code == 2
    assert f"pass --kind {kind}, got '{other}'" in " ".join(refused.stderr.split())


def test_names_with_and_without_extensions(here: Path, X: Any, S: Any) -> None:
    names = [f"animal {i}" for i in range(N)]
    np.savez("x.npz", X=X, labels=[f"{name}.JPG" for name in names])
    np.savez("s.npz", S=S[::-1, ::-1], labels=names[::-1])
    outcome = run("x.npz", "s.npz", "--kind", "similarity")
    assert outcome.exit_code == 0, outcome.output
    assert "names of s.npz and x.npz were matched without the extensions of files" in outcome.stderr
    expected = sc.cross_validate(X, S, cv=3, kind="similarity")
    assert f"{float(expected['pruned_test'].mean()):.3f} ± " in outcome.stdout
    np.savez("x.npz", X=X, labels=[f"animal {i // 2}.{('jpg', 'png')[i % 2]}" for i in range(N)])  # would fall together
    assert run("x.npz", "s.npz", "--kind", "similarity").exit_code == 2


def test_stimuli_are_left_out_by_name_with_and_without_extensions(here: Path, X: Any, S: Any) -> None:
    names = [f"animal {i}" for i in range(N)]
    np.savez("x.npz", X=X[1:], labels=[f"{name}.jpg" for name in names[1:]])
    np.savez("s.npz", S=S, labels=names)
    for name in ("animal 3", "animal 3.jpg"):
        outcome = run("x.npz", "s.npz", "--kind", "similarity", "--exclude", name, "--drop-missing", "--overwrite")
        assert outcome.exit_code == 0, outcome.output
        said = " ".join(outcome.stderr.split())
        assert "note: 1 stimuli were left out as asked: animal 3." in said
        assert "note: 1 stimuli of s.npz that x.npz lacks were left out: animal 0." in said
        assert "22 stimuli" in outcome.stdout


def test_features_and_target_the_other_way_round(here: Path) -> None:
    outcome = run("s.npy", "x.npy", "--kind", "similarity")
    assert outcome.exit_code == 2
    assert "are FEATURES and TARGET given the other way round?" in outcome.stderr


def test_groups_in_the_table_of_features(here: Path, X: Any) -> None:
    frame = pandas.DataFrame(X, columns=[f"f{k}" for k in range(D)])
    frame.insert(3, "category", ["ab"[i % 2] for i in range(N)])
    frame.to_csv("x.csv", index=False)
    loaded = files.read_features_file("x.csv")
    np.testing.assert_allclose(loaded.values, X)
    assert loaded.groups == tuple("ab" * (N // 2))
    outcome = run("x.csv", "s.npy", "--kind", "similarity")
    assert outcome.exit_code == 0, outcome.output
    assert "the column 'category' of x.csv was taken for groups, no feature" in outcome.stderr
    assert list(pandas.read_csv("out/test_folds.csv")["group"]) == list("ab" * (N // 2))
    frame.assign(category=np.arange(N)).to_csv("x.csv", index=False)  # numbers stay a feature
    assert files.read_features_file("x.csv").values.shape == (N, D + 1)


@pytest.mark.parametrize("packed", [False, True])
def test_stimuli_are_left_out_with_their_number(here: Path, X: Any, S: Any, packed: bool) -> None:
    names = [f"s{i}" for i in range(N)]
    np.savez(
        "x.npz", X=X[:-2], labels=names[:-2], groups=["ab"[i % 2] for i in range(N - 2)]
    )  # s22, s23 are the target's alone
    both = np.stack([S, S + 1])
    both[1, 5] = both[1, :, 5] = np.nan  # the second subject has not seen s5
    both = both[:, 1:, 1:]  # s0 is that of the features alone
    np.savez("s.npz", S=both[(slice(None), *np.triu_indices(N - 1, 1))] if packed else both, labels=names[1:])
    outcome = run(
        "x.npz:X", "s.npz:S", "--kind", "similarity", "--drop-missing", "--exclude", "s7", "--groups", "x.npz:groups"
    )
    assert outcome.exit_code == 0, outcome.output
    for said in (
        "note: 1 stimuli were left out as asked: s7.",
        "note: 2 stimuli of s.npz that x.npz lacks were left out: s22, s23.",
        "note: 1 stimuli of x.npz that s.npz lacks were left out: s0.",
        "note: 1 stimuli without any pair in some target were left out: s5.",
    ):
        assert said in outcome.stderr
    stay = [i for i in range(N - 2) if i not in (0, 5, 7)]
    targets = np.stack([S, S + 1])[:, stay][:, :, stay]
    expected = sc.cross_validate(X[stay], targets, cv=3, kind="similarity")
    table = pandas.read_csv("out/folds.csv")
    np.testing.assert_allclose(table["pruned_test"], expected["pruned_test"].values.ravel(), atol=1e-10)
    assert list(pandas.read_csv("out/test_folds.csv")["group"]) == ["ab"[i % 2] for i in stay]


@pytest.mark.parametrize("excluded", ["s7", "s7.jpg", "class/s7.jpg"])
def test_stimuli_are_left_out_by_names_without_extensions(here: Path, X: Any, S: Any, excluded: str) -> None:
    np.savez("x.npz", X=X[:-1], labels=[f"class/s{i}.jpg" for i in range(N - 1)])
    np.savez("s.npz", S=S[1:, 1:], labels=[f"s{i}.jpg" for i in range(1, N)])
    outcome = run("x.npz:X", "s.npz:S", "--kind", "similarity", "--drop-missing", "--exclude", excluded)
    assert outcome.exit_code == 0, outcome.output
    assert f"note: 1 stimuli of s.npz that x.npz lacks were left out: s{N - 1}." in outcome.stderr
    assert "were matched without the folders and extensions of files" in outcome.stderr
    stay = [i for i in range(1, N - 1) if i != 7]
    expected = sc.cross_validate(X[stay], S[stay][:, stay], cv=3, kind="similarity")
    table = pandas.read_csv("out/folds.csv")
    np.testing.assert_allclose(table["pruned_test"], expected["pruned_test"].values.ravel(), atol=1e-10)


def test_what_is_left_out_must_be_there(here: Path) -> None:
    outcome = run("x.npy", "s.npy", "--kind", "similarity", "--exclude", "99")
    assert outcome.exit_code == 2
    assert "--exclude must name stimuli of s.npy or x.npy, got '99'" in outcome.stderr
    assert run("x.npy", "s.npy", "--kind", "similarity", "--exclude", "0", "--exclude", "3").exit_code == 0
    assert len(pandas.read_csv("out/test_folds.csv")) == N - 2


def test_the_array_that_fits_is_taken_and_said(here: Path, X: Any, S: Any) -> None:
    np.savez("both.npz", X=X, rdm=S, labels=[f"s{i}" for i in range(N)])
    features, target = files.read_features_file("both.npz"), read(Path("both.npz"))
    assert (features.key, target.key) == ("X", "rdm")
    assert features.notes == (
        "both.npz:X was taken as FEATURES, the only array of a shape that fits: X (24, 10), rdm (24, 24), labels (24,) "
        "of text",
    )
    assert read(Path("both.npz:rdm")).notes == ()
    np.savez("both.npz", X=X, Y=X[:, :4], rdm=S)
    with pytest.raises(files.FileError, match="must be given with a key, such as both"):
        files.read_features_file("both.npz")


# What other toolboxes save ---------------------------------------------------------------------------------------

PHOTOGRAPHS = [f"class{i % 3}/photo{i:02d}.jpg" for i in range(N)]


def save_as_thingsvision(folder: Path, X: Any, form: str) -> None:
    """A folder as thingsvision.utils.storing.save_features leaves it."""
    folder.mkdir()
    (folder / "file_names.txt").write_text("".join(f"{name}\n" for name in PHOTOGRAPHS))
    if form == "npy":
        np.save(folder / "features.npy", X)
    elif form == "parts":
        for i, part in enumerate(np.array_split(X, 11), start=1):
            np.save(folder / f"features_{i:02d}.npy", part)
    elif form == "txt":
        np.savetxt(folder / "features.txt", X)
    elif form == "mat":  # a variable per stimulus
        scipy.io.savemat(folder / "features.mat", dict(zip([name[:-4] for name in PHOTOGRAPHS], X, strict=True)))
    else:
        with h5py.File(folder / "features.hdf5", "w") as file:
            file["features"] = X


@pytest.mark.parametrize("form", ["npy", "parts", "txt", "mat", "hdf5"])
def test_folders_of_thingsvision_are_features(here: Path, X: Any, form: str) -> None:
    save_as_thingsvision(here / "vgg", X, form)
    held = files.read_features_file("vgg")
    np.testing.assert_array_equal(held.values, X)
    assert held.stimuli == tuple(PHOTOGRAPHS)
    assert "file_names.txt" in held.record()["along"]


def test_stimuli_of_thingsvision_are_matched_without_folders(here: Path, X: Any, S: Any) -> None:
    save_as_thingsvision(here / "vgg", X, "npy")
    order = np.random.default_rng(1).permutation(N)
    names = [Path(PHOTOGRAPHS[i]).stem for i in order]
    np.savez("rdm.npz", S=S[np.ix_(order, order)], stimuli=names)
    values, note = files.match(files.read_target_file("rdm.npz:S"), files.read_features_file("vgg"))
    np.testing.assert_array_equal(values, S)
    assert note is not None
    assert "matched without the folders and extensions of files" in note
    done = run("vgg", "rdm.npz:S", "--kind", "similarity")
    assert done.exit_code == 0, done.output
    (note,) = files.read_features_file("vgg/features.npy").notes
    assert note == "file_names.txt beside features.npy was not read: give the folder vgg to name its stimuli"


def test_folders_of_thingsvision_that_do_not_fit(here: Path, X: Any) -> None:
    save_as_thingsvision(here / "vgg", X, "npy")
    names = here / "vgg" / "file_names.txt"
    names.write_text("one.jpg\n")
    with pytest.raises(files.FileError, match=r"file_names\.txt must name each of 24 stimuli, got 1 names"):
        files.read_features_file("vgg")
    np.save("vgg/features.npy", X.reshape(N, 2, 5))
    with pytest.raises(files.FileError, match=r"got \(24, 2, 5\): thingsvision flattens with flatten_acts=True"):
        files.read_features_file("vgg")
    np.savetxt("vgg/features.txt", X)
    with pytest.raises(files.FileError, match=r"features in one format, got \.npy, \.txt: give the file"):
        files.read_features_file("vgg")
    Path("torch").mkdir()
    Path("torch/features.pt").write_bytes(b"PK")
    with pytest.raises(files.FileError, match=r"features\.pt must be \.npy, .* got a pickle of PyTorch"):
        files.read_features_file("torch")


def test_rdms_of_rsatoolbox_are_read_and_its_pickles_refused(here: Path, S: Any) -> None:
    toolbox = pytest.importorskip("rsatoolbox")
    distances = S.max() - S
    rdms = toolbox.rdm.RDMs(
        np.stack([distances, 2 * distances]), rdm_descriptors={"subject": ["ann", "bob"]},
        pattern_descriptors={"stimulus": [f"s{i}" for i in range(N)]},
    )  # fmt: skip
    rdms.save("rdms.hdf5", file_type="hdf5")
    held = files.read_target_file("rdms.hdf5")
    np.testing.assert_allclose(held.values, rdms.dissimilarities)
    assert (held.kind, held.targets, held.whose) == ("dissimilarity", ("ann", "bob"), "subjects")
    assert held.stimuli == tuple(f"s{i}" for i in range(N))
    Path("rdms.pkl").write_bytes(pickle.dumps(rdms.to_dict()))  # as rdms.save(file_type="pkl") does
    done = run("x.npy", "rdms.pkl")
    assert done.exit_code == 2
    words = " ".join(done.output.split())
    assert "rdms.pkl must be an HDF5 file, got a pickle, which can run code" in words
    assert "save it with file_type='hdf5'" in words
