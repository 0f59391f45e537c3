"""What people bring and type: pipelines, other words for a kind, sentences without Python, tables in notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from typer.testing import CliRunner

import secateur as sc
from secateur import cli
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
    monkeypatch.setattr(folder, "page", lambda *_, **__: Figure())
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
    with pytest.raises(TypeError, match=r"pruner must be a secateur\.Pruner, got Pipeline"):
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


# The command line -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["rdm", "RDM", "distance", "dissimilarity"])
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
        (("x.npy", "s.npy", "--kind", "foo"), "secateur: --kind must be 'similarity' or 'dissimilarity', got 'foo'."),
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
