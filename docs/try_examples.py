"""Apply the worked examples of developer.md to a copy of the tree, build what is compiled, and run their tests.

python docs/try_examples.py                    # the compiled ones: a metric, a comparator, an engine
python docs/try_examples.py search network     # those of pure Python, with the compiled module of the installed package
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "developer.md"
COMPILED = ("metric", "comparator", "engine")
COPIED = ("CMakeLists.txt", "pyproject.toml", "README.md", "LICENSE", "cpp", "python", "tests", "docs")


def examples(text: str | None = None) -> dict[str, list[tuple[str, str]]]:
    """By name, the fenced blocks of each worked example: (language, text), in their order."""
    text = PAGE.read_text(encoding="utf-8") if text is None else text
    found = {}
    heading, until = r"^### Example: .*?\((\w+)\)\n", r"(?=^#{2,3} |\Z)"
    for name, section in re.findall(f"{heading}(.*?){until}", text, re.MULTILINE | re.DOTALL):
        found[name] = re.findall(r"^```(\w+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return found


def apply(diff: str, tree: Path) -> list[str]:
    """Apply a diff without line numbers to a tree: what a hunk takes away, with its context, must be there once.

    Returns the files that it touches.
    """
    touched = []
    for part in re.split(r"^(?=--- )", diff, flags=re.MULTILINE)[1:]:
        old_name, new_name, *rest = part.splitlines(keepends=True)
        path = tree / new_name.removeprefix("+++ ").strip().removeprefix("b/")
        name = path.relative_to(tree).as_posix()
        fresh = old_name.strip() == "--- /dev/null"
        text = "" if fresh else path.read_text(encoding="utf-8")
        for hunk in re.split(r"^@@.*\n", "".join(rest), flags=re.MULTILINE)[1:]:
            lines = [line if line.strip() else " " + line.lstrip(" ") for line in hunk.splitlines(keepends=True)]
            before = "".join(line[1:] for line in lines if line[0] in " -")
            after = "".join(line[1:] for line in lines if line[0] in " +")
            times = 1 if fresh else text.count(before)
            if times != 1:
                raise ValueError(f"{name} must hold what the hunk changes once, got {times} times:\n{before}")
            text = after if fresh else text.replace(before, after)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        touched.append(name)
    return touched


def prepare(names: tuple[str, ...], tree: Path) -> list[list[str]]:
    """Apply examples to a tree; returns the test commands that they name, as arguments of pytest."""
    commands = []
    for name in names:
        for language, text in examples()[name]:
            if language == "diff":
                apply(text, tree)
                continue
            for line in text.splitlines():
                if line.startswith("python -m pytest "):
                    commands.append(shlex.split(line)[3:])
                else:
                    subprocess.run(["bash", "-c", line], cwd=tree, check=True)
    return commands


def take_compiled(python: Path) -> None:
    """Copy the installed package's compiled module into a tree's Python, with the libraries that its wheel brought."""
    import secateur

    installed = Path(secateur.__file__).parent
    for compiled in installed.glob("_core*.so"):
        shutil.copy2(compiled, python / "secateur")
    for libraries in (installed.parent / "secateur.libs", installed / ".dylibs"):
        if libraries.is_dir():
            shutil.copytree(libraries, python / libraries.relative_to(installed.parent))


def run_tests(commands: list[list[str]], tree: Path, package: Path) -> None:
    """Run pytest in a tree, with the package that lies in a folder."""
    environment = os.environ | {"PYTHONPATH": str(package), "OMP_NUM_THREADS": "1"}
    shown = subprocess.run(
        [sys.executable, "-c", "import secateur; print(secateur.__file__)"],
        cwd=tree, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    if package.resolve() not in Path(shown.stdout.strip()).resolve().parents:
        raise RuntimeError(f"the package must be the copy in {package}, got {shown.stdout.strip()}")
    for command in commands:
        arguments = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *command]
        subprocess.run(arguments, cwd=tree, env=environment, check=True)


def taken(started: float) -> str:
    """How long this took until now, by the clock and of the processor."""
    spent = os.times()
    return (
        f"{time.perf_counter() - started:.0f} s ({spent.children_user + spent.children_system:.0f} s of processor time)"
    )


def main(names: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tree, started = Path(folder) / "tree", time.perf_counter()
        tree.mkdir()
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
            else:
                shutil.copy2(ROOT / name, tree / name)
        commands, package = prepare(names, tree), tree / "python"
        if set(names) & set(COMPILED):
            package = Path(folder) / "built"
            install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(package), str(tree)]
            for setting in ("define.CUDA=OFF", "define.MULTIVERSION=OFF"):
                install += [f"--config-settings=cmake.{setting}"]  # pip before 23.1 has no -C
            subprocess.run(install, check=True)
        else:
            take_compiled(package)
        built = taken(started)
        run_tests(commands, tree, package)
        print(f"{', '.join(names)}: built in {built}, built and tested in {taken(started)}")  # noqa: T201


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or COMPILED)
