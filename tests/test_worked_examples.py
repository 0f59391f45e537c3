"""The worked examples of docs/developer.md fit the tree, and those of pure Python do what they say."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "docs" / "try_examples.py"
pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="the docs are not beside these tests")

if SCRIPT.is_file():
    spec = importlib.util.spec_from_file_location("try_examples", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    try_examples = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(try_examples)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The sources, with the compiled module of the package under test."""
    for name in ("cpp", "python", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    shutil.copy2(ROOT / "CMakeLists.txt", tmp_path)
    try_examples.take_compiled(tmp_path / "python")
    return tmp_path


def printed_by(code: str, tree: Path) -> str:
    """What a program prints that runs with the package of a tree."""
    environment = os.environ | {"PYTHONPATH": str(tree / "python")}
    run = [sys.executable, "-c", code]
    return subprocess.run(run, cwd=tree, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_all_of_them_fit_one_tree(tree):
    found = try_examples.examples()
    assert set(found) == {*try_examples.COMPILED, "search", "network"}
    before = {path: path.read_text(encoding="utf-8") for path in tree.rglob("*.py")}
    commands = try_examples.prepare(tuple(found), tree)
    assert len(commands) == len(found)
    changed = {path.relative_to(tree).as_posix() for path, text in before.items() if path.read_text("utf-8") != text}
    assert {"python/secateur/measures.py", "tests/reference.py", "python/secateur/pruning/pruner.py"} <= changed


def test_each_touches_one_room_of_code_one_table_and_tests():
    """Of the four whose contracts say so; an engine is bound, built and loaded too."""
    rooms = {
        "metric": {"cpp/include/secateur"},
        "comparator": {"cpp/include/secateur"},  # its row, and its last step
        "search": {"python/secateur/pruning"},
        "network": {"python/secateur/networks"},
    }
    for name, expected in rooms.items():
        files = {
            line.split()[1].removeprefix("b/")
            for language, text in try_examples.examples()[name]
            if language == "diff"
            for line in text.splitlines()
            if line.startswith("+++ ")
        }
        listed = {"python/secateur/similarity.py"} if name in ("metric", "comparator") else set()  # in a docstring
        code = {path for path in files if not path.startswith("tests/")} - {"python/secateur/measures.py"} - listed
        assert {str(Path(path).parent) for path in code} == expected, name


def test_a_hunk_that_does_not_fit_is_refused(tree):
    diff = "--- a/python/secateur/measures.py\n+++ b/python/secateur/measures.py\n@@\n-{}\n+other\n"
    for line, times in (("class NoSuchRow:", 0), ("@dataclass(frozen=True)", 3)):
        with pytest.raises(ValueError, match=f"must hold what the hunk changes once, got {times} times"):
            try_examples.apply(diff.format(line), tree)


def test_the_search_is_found_by_its_name(tree):
    try_examples.prepare(("search",), tree)
    code = (
        "import numpy as np, secateur as sc\n"
        "X = np.random.default_rng(0).normal(size=(16, 21))\n"
        "h = X[:, :5] @ X[:, :5].T\n"
        "half, best = (sc.Pruner(kind='similarity', search=name).fit(X, h) for name in ('half', 'ranking'))\n"
        "assert sorted(best.order_[:11]) == np.flatnonzero(half.support_).tolist()\n"
        "assert half.alignment_ == best.curve_[10]\n"
        "result = sc.cross_validate(X, h, half, cv=2, progress=False)\n"
        "print(result.attrs['search'], *result.n_kept.values.ravel())"
    )
    assert printed_by(code, tree) == "half 11 11"


def test_the_network_is_loaded_by_its_name(monkeypatch):
    pytest.importorskip("torch", reason="torch is not installed")
    from secateur import networks
    from secateur.networks import architectures

    diff = dict(try_examples.examples()["network"])["diff"]
    (row,) = re.findall(r'^\+    (".*": _.*),$', diff, re.MULTILINE)
    (added,) = eval(f"{{{row}}}", vars(architectures)).items()  # the project's own page
    monkeypatch.setitem(architectures.ARCHITECTURES, *added)
    net = networks.load("ResNet-34", weights=None)
    assert (net.name, net.module.fc.in_features, len(net.module.layer3)) == ("resnet34", 512, 6)
