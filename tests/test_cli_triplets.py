"""``secateur prune --kind triplets``: files of choices, what is said of them, how bad ones end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray
from typer.testing import CliRunner

import secateur as sc
from secateur import cli
from secateur.report import folder

N = 24


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folder, "page", lambda *_, **__: Figure())
    X = np.random.default_rng(0).normal(size=(N, 10))
    np.save("x.npy", X)
    return X, sc.odd_one_out.simulate(sc.similarity(X, subset=[0, 1, 2]), 3000, temperature=0.3)


def run(*words: str) -> Any:
    return CliRunner().invoke(cli.app, ["prune", "x.npy", *words])


def test_choices_of_every_file_are_the_same_run(here: tuple[Any, Any]) -> None:
    X, triplets = here
    np.savetxt("test_10.txt", triplets, fmt="%d")
    np.savetxt("t.csv", triplets, fmt="%d", delimiter=",", header="image1,image2,odd", comments="")
    np.save("t.npy", triplets[:, [2, 0, 1]])
    expected = sc.cross_validate(X, sc.targets.from_triplets(triplets, N), cv=3, progress=False)
    scores = sc.odd_one_out.held_out(X, triplets, expected)
    for name, more in (("test_10.txt", ()), ("t.csv", ()), ("t.npy", ("--odd", "0"))):
        outcome = run(name, "--kind", "triplets", "--cv", "3", "--out", f"of-{name}", *more)
        assert outcome.exit_code == 0, outcome.output
        result = xarray.open_dataset(Path(f"of-{name}") / "result.nc", engine="h5netcdf")
        assert np.array_equal(result.kept, expected.kept)
        assert np.array_equal(result.test_pairs, expected.test_pairs)
        said = json.loads((Path(f"of-{name}") / "settings.json").read_text())["odd_one_out"]
        assert said["pruned_test"] == scores.attrs["pruned_test"] > scores.attrs["full_test"] == said["full_test"]
        assert said["test_choices"] == int(scores.test_triplets.sum())
        assert f"full {said['full_test']:.3f}, pruned {said['pruned_test']:.3f}, of {said['test_choices']} choices" in (
            " ".join(outcome.stdout.split())
        )


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("0 1 2\n0 1\n", "t.txt must hold three numbers a line, got a line of others: "),
        ("0 1 2\n0 b 1\n", "t.txt must hold three numbers a line, got a line of others: "),
        ("# nothing\n", "t.txt must hold three numbers a line, got an empty file."),
        ("0 1\n1 2\n", "triplets must have shape (choices, 3), got 2 × 2."),
        ("0 1 24\n", "triplets must hold stimuli from 0 to 23, got 24 in row 0."),
        ("0 1 2\n3 4 3\n", "triplets must have different stimuli in a triplet, got 3, 4, 3 in row 1."),
    ],
)
def test_bad_choices_end_in_a_sentence(here: tuple[Any, Any], lines: str, words: str) -> None:
    Path("t.txt").write_text(lines)
    outcome = run("t.txt", "--kind", "triplets", "--out", "out")
    assert outcome.exit_code == 2
    last = outcome.stderr.strip().splitlines()[-1]
    assert words in last
    assert last.startswith("secateur: ")
    assert last.endswith(".")
    assert not Path("out").exists()


def test_an_odd_column_is_of_triplets(here: tuple[Any, Any]) -> None:
    np.save("s.npy", here[0] @ here[0].T)
    assert "--odd must come with --kind triplets, got 1" in run("s.npy", "--odd", "1", "--out", "out").stderr


def test_choices_by_name(here: tuple[Any, Any]) -> None:
    """Names of photographs, with their extension in one file and without in the other; a heading in one."""
    X, triplets = here
    names = np.array([f"item_{i}" for i in range(N)])
    np.savez("named.npz", X=X, labels=[f"{name}.jpg" for name in names])
    rows = names[triplets]
    Path("t.txt").write_text("\n".join(" ".join(row) for row in rows))
    Path("t.csv").write_text("\n".join(["one,two,odd", *(",".join(row) for row in rows)]))
    expected = sc.cross_validate(X, sc.targets.from_triplets(triplets, N), cv=3, progress=False)
    for name in ("t.txt", "t.csv"):
        outcome = CliRunner().invoke(
            cli.app, ["prune", "named.npz", name, "--kind", "triplets", "--cv", "3", "--out", f"of-{name}"]
        )
        assert outcome.exit_code == 0, outcome.output
        with xarray.open_dataset(Path(f"of-{name}") / "result.nc", engine="h5netcdf") as result:
            np.testing.assert_array_equal(result.kept, expected.kept)
        said = " ".join(outcome.stderr.split())
        assert f"note: the stimuli of 3000 choices in {name} were found by name among those of named.npz." in said
        assert ("was read as a heading: one, two, odd" in said) == (name == "t.csv")
    refused = run("t.txt", "--kind", "triplets", "--out", "out").stderr
    assert "t.txt must hold numbers of stimuli, from 0, where x.npy names none, got names" in refused
    Path("t.txt").write_text("item_1 item_2 item_3\nitem_1 item_2 nobody\n")
    refused = CliRunner().invoke(cli.app, ["prune", "named.npz", "t.txt", "--kind", "triplets", "--out", "out"]).stderr
    assert "t.txt must name stimuli of named.npz, got 'nobody' in choice 1." in refused


@pytest.mark.parametrize("name", ["t.txt", "t.csv", "t.npy", "named.csv"])
def test_choices_that_are_not_said_to_be_some(here: tuple[Any, Any], name: str) -> None:
    _, triplets = here
    np.savetxt("t.txt", triplets, fmt="%d")
    np.savetxt("t.csv", triplets, fmt="%d", delimiter=",")
    np.save("t.npy", triplets)
    Path("named.csv").write_text("\n".join(",".join(f"s{i}" for i in row) for row in triplets))
    outcome = run(name, "--kind", "similarity", "--out", "out")
    assert outcome.exit_code == 2
    assert "look like choices of odd ones out: pass --kind triplets." in outcome.stderr.strip().splitlines()[-1]
    np.save("t.npy", triplets + 0.5)
    assert "triplets" not in run("t.npy", "--kind", "similarity", "--out", "out").stderr


def test_choices_read_by_the_wrong_column_are_told_of_it(here: tuple[Any, Any]) -> None:
    np.save("t.npy", here[1])
    outcome = run("t.npy", "--kind", "triplets", "--odd", "0", "--cv", "3", "--out", "out")
    words = "the odd one out stands in another column of the choices than was said"
    assert words in outcome.stderr
    assert words in " ".join(outcome.stdout.split())
    assert words in Path("out/report.html").read_text(encoding="utf-8")
    assert "--kind dissimilarity" not in outcome.output
