"""``secateur study fmri``: a dry run, a run, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import secateur as sc
from secateur.cli import app
from secateur.report.contents import REPORT
from secateur.study import fmri


def study(*arguments: object):
    return CliRunner().invoke(app, ["study", "fmri", *map(str, arguments)])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    lines = ['title = "One region"', 'kind = "dissimilarity"', "supervise = 'subject'"]
    X = {name: rng.normal(size=(16, 8)) for name in "12"}
    np.savez(tmp_path / "x.npz", one=X["1"], two=X["2"])
    targets = {name: -sc.similarity(x[:, :3]) + rng.normal(size=(3, 120)) / 4 for name, x in X.items()}
    np.savez(tmp_path / "it.npz", one=targets["1"], two=targets["2"])
    for table, file in (("layers.final", "x.npz"), ("regions.IT", "it.npz")):
        lines += [f"[{table}]", f'1 = "{file}:one"', f'2 = "{file}:two"']
    (tmp_path / "study.toml").write_text("\n".join(lines))
    return tmp_path / "study.toml"


def test_dry_run_writes_nothing(config: Path) -> None:
    held = sorted(config.parent.iterdir())
    done = study(config, "--dry-run", "--out", config.parent / "out")
    assert done.exit_code == 0
    assert "layer final: 8 features; stimuli: 16 in set 1, 16 in set 2" in done.stdout
    assert sorted(config.parent.iterdir()) == held


def test_run(config: Path) -> None:
    done = study(config, "--out", config.parent / "out")
    assert done.exit_code == 0, done.stderr
    assert "# One region" in done.stdout
    written = {path.name for path in (config.parent / "out").iterdir()}
    assert written == {*REPORT, *(name for name in fmri.CONTENTS if not name.startswith("behaviour"))}
    for name in written:
        assert f"  {name} " in done.stdout
    again = study(config, "--out", config.parent / "out")
    assert again.exit_code == 2
    assert "unless overwrite is given" in again.stderr
    assert study(config, "--out", config.parent / "out", "--overwrite").exit_code == 0


def test_refusals(config: Path) -> None:
    missing = study(config)
    assert missing.exit_code == 2
    assert "--out DIR must be given unless --dry-run is, got none" in missing.stderr
    config.write_text(config.read_text().replace("supervise", "supervised"))
    done = study(config, "--out", config.parent / "out")
    assert done.exit_code == 2
    assert done.stderr == "secateur: study.toml: supervised is no key here, the nearest is supervise.\n"
    assert not (config.parent / "out").exists()
