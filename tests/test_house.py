"""The house is built as it says: directions of imports, the stub, docstrings, what an import costs."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pickle
import pkgutil
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

import reference
import secateur

PACKAGE = Path(secateur.__file__).parent
CPP = Path(__file__).parent.parent / "cpp"

# Core rooms, each with the level it stands on: a room imports lower ones alone.
LEVELS = {
    "_core": 0,
    "arguments": 0,
    "atomic": 0,
    "display": 0,
    "progress": 0,
    "provenance": 0,
    "resuming": 1,
    "measures": 1,
    "features": 1,
    "reading": 1,
    "execution": 2,
    "pairs": 2,
    "statistics": 2,
    "device": 3,
    "targets": 3,
    "controls": 4,
    "problem": 5,
    "cost": 6,
    "similarity": 6,
    "contributions": 6,
    "relabelling": 6,
    "pruning": 7,
    "search": 8,
    "validation": 9,
    "inference": 10,
    "odd_one_out": 10,
    "timecourse": 11,
    "regions": 12,
    "fmri": 13,
}
HEAVY = {"torch", "torchvision", "matplotlib", "xarray", "pandas", "rsatoolbox", "typer", "pooch", "mne", "tqdm"}
HEAVY |= {"dask", "distributed", "zarr", "jinja2"}

SOURCES = sorted(path for path in PACKAGE.rglob("*.py"))


def name_of(path):
    """secateur/report/curves.py -> report.curves; a package is named by its folder."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_rooms(path):
    """First-level names of the package that a module imports, anywhere in it."""
    here = ["secateur", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = here[: len(here) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            modules = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for module in modules:
            parts = module.split(".")
            if parts[0] == "secateur" and len(parts) > 1:
                yield parts[1]


# Python


def test_core_rooms_import_downwards():
    seen = {room: set() for room in LEVELS if room != "_core"}
    for path in SOURCES:
        room = name_of(path).split(".")[0]
        if room in seen:  # a room is a file, or a folder of files that may import each other
            seen[room] |= {other for other in imported_rooms(path) if other != room or path.parent == PACKAGE}
            seen[room] -= {"_typing"}  # which no program loads: see below
    for room, imports in seen.items():
        for other in imports:
            assert other in LEVELS, f"{room} is a core room and imports {other}, which is none"
            assert LEVELS[other] < LEVELS[room], f"{room} imports {other}"
    assert "targets" in seen["similarity"]  # the walk does see imports


def for_type_checkers(tree):
    """Imports that type checkers alone see."""
    blocks = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    return [node for block in blocks for node in ast.walk(block) if isinstance(node, ast.ImportFrom)]


def test_names_of_types_are_for_type_checkers():
    """``_typing`` names what many rooms and libraries have: no program loads it, and it loads none of them."""
    users = 0
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        seen = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        of_types = [node for node in seen if node.module == "_typing" or (path.stem == "_typing" and node.level)]
        assert all(node in for_type_checkers(tree) for node in of_types), name_of(path)
        users += bool(of_types)
    assert users > 40


OPTIONAL = [
    *("datasets", "taxonomy", "reweighting", "baselines", "comparison", "networks", "finetuning", "report", "files"),
    *("study", "cli", "models"),
]


@pytest.mark.parametrize("name", OPTIONAL)
def test_optional_subpackages_stand_apart(name):
    """Data, networks, files and reports are imported by no core room, and nothing imports the command line."""
    allowed = {
        "cli": {"__main__"},
        "files": {"cli", "datasets", "study"},
        "report": {"", "cli", "study"},
        "study": {"cli"},
    }
    for path in SOURCES:
        room = name_of(path).split(".")[0]
        if name in allowed and name in imported_rooms(path):
            assert room in allowed[name] | {name}, f"{name_of(path)} imports {name}"
        elif name in imported_rooms(path):
            assert room not in LEVELS, f"{name_of(path)} imports {name}"
    # only studies and the command line may bind them together
    own = [path for path in SOURCES if name_of(path).split(".")[0] == name]
    if name in ("datasets", "taxonomy", "networks"):
        above = {"cli", "report", "study"} | (set() if name == "networks" else {"validation", "pruning"})
        for path in own:
            assert not set(imported_rooms(path)) & above


def printed_by(code):
    """The words that a program prints, in a process of its own."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


AT_ONCE = {"secateur", *(f"secateur.{room}" for room in ("_command", "_core", "execution", "features", "targets"))}
AT_ONCE |= {f"secateur.{room}" for room in ("arguments", "controls", "measures", "pairs", "problem", "similarity")}


def test_an_import_loads_numpy_and_the_core():
    loaded = printed_by(
        "import sys, numpy\nbefore = set(sys.modules)\nimport secateur\nprint(*set(sys.modules) - before)"
    )
    assert {name for name in loaded if name.split(".")[0] == "secateur"} == AT_ONCE
    foreign = {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"secateur", "numpy"}
    assert not foreign, f"import secateur loads {sorted(foreign)}"


def test_pruning_loads_nothing_heavy():
    loaded = printed_by(
        "import sys, numpy, sklearn.base, sklearn.feature_selection, sklearn.utils.validation\n"
        "before = set(sys.modules)\n"
        "import secateur\n"
        "X = numpy.random.default_rng(0).normal(size=(9, 4))\n"
        "secateur.Pruner(kind='similarity').fit(X, X @ X.T)\n"
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})"
    )
    assert "secateur" in loaded
    assert not HEAVY & set(loaded)
    foreign = set(loaded) - set(sys.stdlib_module_names) - {"secateur", "numpy", "scipy", "sklearn"}
    assert not foreign, f"pruning loads {sorted(foreign)}"


def test_help_loads_the_command_line_alone():
    loaded = printed_by(
        "import contextlib, io, sys\n"
        "from secateur.cli import app\n"
        "from typer.main import get_command\n"
        "def visit(command, words):\n"
        "    global visited\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as text, contextlib.suppress(SystemExit):\n"
        "        whole.main([*words, '--help'], prog_name='secateur')\n"
        "    assert ' '.join(['Usage: secateur', *words]) in text.getvalue(), text.getvalue()\n"
        "    for name, inner in getattr(command, 'commands', {}).items():\n"
        "        visit(inner, [*words, name])\n"
        "    visited += 1\n"
        "visited, whole = 0, get_command(app)\n"
        "visit(whole, [])\n"
        "print(visited, *sys.modules)"
    )
    assert int(loaded[0]) >= 14  # secateur, its commands, and those of secateur study
    ours = {name for name in loaded if name.split(".")[0] == "secateur"}
    assert {name for name in ours if name.split(".")[:2] != ["secateur", "cli"]} == AT_ONCE | {
        "secateur.parameters",
        "secateur.provenance",
    }
    heavy = (HEAVY - {"typer"} | {"scipy", "sklearn", "h5py"}) & {name.split(".")[0] for name in loaded}
    assert not heavy, f"--help loads {sorted(heavy)}"


def test_importing_any_module_loads_no_torch():
    names = [name_of(path) for path in SOURCES if name_of(path) != "__main__"]
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module('secateur.' + name if name else 'secateur')\n"
        "heavy = ('torch', 'torchvision', 'timm', 'PIL', 'rsatoolbox', 'pooch', 'mne', 'dask', 'zarr')\n"
        "print(*(name for name in heavy if name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == []


def test_public_names():
    assert secateur.__all__ == sorted(secateur.__all__)
    for name in secateur.__all__:
        assert hasattr(secateur, name)
    assert {*secateur.__all__, "__version__"} <= set(dir(secateur))
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", secateur.__version__)
    with pytest.raises(AttributeError, match=r"^module 'secateur' has no attribute 'prunner'$"):
        secateur.prunner  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'prunner'"):
        from secateur import prunner  # noqa: F401


def test_type_checkers_see_what_is_loaded_later():
    """The imports that only a type checker runs, the table of __getattr__ and __all__ agree."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (checked,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imports = {
        node.module: [alias.name for alias in node.names] for node in checked.body if isinstance(node, ast.ImportFrom)
    }
    modules = imports.pop(None)
    assert {module: tuple(names) for module, names in imports.items()} == secateur._LAZY
    later = [*modules, *(name for names in imports.values() for name in names)]
    at_once = ["OpposedWarning", "UndefinedPairsWarning", "alignment", "similarity"]
    assert sorted([*later, *at_once]) == secateur.__all__


def test_names_load_in_any_order():
    """Each public name and each module is the first that is asked for; a function keeps its name from its module."""
    modules = [name for name in dir(secateur) if name[0] != "_" and (PACKAGE / f"{name}.py").is_file()]
    names = [*secateur.__all__, *modules]
    code = (
        "import sys, types\n"
        "import secateur, sklearn.feature_selection, sklearn.utils.validation\n"
        f"for name in {names!r}:\n"
        "    for module in [module for module in sys.modules if module.split('.')[0] == 'secateur']:\n"
        "        if module != 'secateur._core':\n"
        "            del sys.modules[module]\n"
        "    import secateur\n"
        "    assert name in dir(secateur), name\n"
        "    value = getattr(secateur, name)\n"
        "    assert getattr(value, '__name__', name).split('.')[-1] == name, (name, value)\n"
        "    assert isinstance(secateur.similarity, types.FunctionType), name\n"
        "    assert name == 'similarity' or getattr(secateur, name) is value\n"
        "print('done')"
    )
    assert printed_by(code) == ["done"]


def test_modules_are_attributes():
    """Without an import of their own, as they are written in the examples."""
    names = [
        *("timecourse.prune", "timecourse.group.group_test", "finetuning.FineTuned", "report.figures.page"),
        *("networks.siamese.pair_loss", "networks.registry.available", "baselines.Ridge", "fmri.four_tests"),
        *("networks.feature_maps", "networks.heatmaps", "networks.occlusion", "networks.saliency", "report.folder"),
        *("statistics.holm", "datasets.rdms", "report.tables", "files.match", "validation.split", "device.available"),
    ]
    code = "".join(f"assert sc.{name} is not None\n" for name in names)
    assert set(secateur.__all__) <= set(
        printed_by(f"import secateur as sc\n{code}from secateur import *\nprint(*dir())")
    )


def test_a_pruner_is_unpickled_where_nothing_is_imported():
    pruner = secateur.Pruner(metric="correlation", search="forward", max_features=3)
    code = f"import pickle\nprint(pickle.loads({pickle.dumps(pruner)!r}))"
    assert "".join(printed_by(code)) == "".join(repr(pruner).split())


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_is_printed_or_swallowed(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            assert name_of(path) == "cli", f"{path.name}:{node.lineno} prints"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{path.name}:{node.lineno} has a bare except"


def test_integers_are_checked_in_their_own_room():
    """``isinstance(value, bool)`` is how a check by hand begins; types of TOML are another matter."""
    for path in SOURCES:
        if name_of(path) not in ("arguments", "study.config"):
            assert not re.search(r"isinstance\(\w+, bool\)", path.read_text(encoding="utf-8")), name_of(path)


def test_private_names_stay_in_their_room():
    found = set()
    for path in SOURCES:
        here = ["secateur", *path.relative_to(PACKAGE).parts[:-1]]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom):
                continue
            above = here[: len(here) - node.level + 1] if node.level else []
            parts = [*above, *(node.module or "").split(".")]
            if parts[0] != "secateur" or parts[1] in ("", name_of(path).split(".")[0]):
                continue  # another library's, the package's face, or the room's own
            found |= {".".join([*parts[1:], one.name]) for one in node.names if re.match("_(?!_all__)", one.name)}
    assert not found, f"private names of other rooms: {sorted(found)}"


@pytest.mark.parametrize(
    ("word", "rooms"),
    [
        ("tqdm", {"progress"}),
        ("hashlib", {"provenance", "networks.extraction"}),  # there of weights, as they lie
        ("importlib.metadata", {"provenance"}),
    ],
)
def test_what_one_room_does_for_all(word, rooms):
    found = {name_of(path) for path in SOURCES if word in path.read_text(encoding="utf-8")}
    assert found - {""} == rooms


# Docstrings

DOCUMENTED = (
    *("search", "timecourse", "regions", "reweighting", "comparison", "datasets", "taxonomy", "statistics"),
    *("report", "study", "models", "odd_one_out"),
    *("networks", "networks.pruned", "networks.retention", "networks.feature_maps"),
    *("networks.heatmaps", "networks.occlusion", "networks.saliency", "finetuning", "targets"),
)
ROOMS = ["secateur", *(f"secateur.{room}" for room in DOCUMENTED)]


def public_functions():
    """Functions that a user calls, and the methods of public classes that are written here."""
    for room in ROOMS:
        module = importlib.import_module(room)
        names = getattr(module, "__all__", None) or [
            name for name, value in vars(module).items() if inspect.isfunction(value) and value.__module__ == room
        ]
        for name in names:
            value = getattr(module, name)
            if name.startswith("_") or (inspect.isclass(value) and issubclass(value, Warning)):
                continue
            if inspect.isfunction(value):
                yield pytest.param(value, id=f"{room}.{name}")
            elif inspect.isclass(value):
                for method, function in vars(value).items():
                    if inspect.isfunction(function) and not method.startswith("_") and method != "prune":
                        yield pytest.param(function, id=f"{room}.{name}.{method}")


def sections(text):
    """Headings of a NumPy docstring and the lines below each."""
    found, heading = {}, None
    lines = inspect.cleandoc(text).splitlines()
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if below and set(below) == {"-"} and len(below) == len(line):
            heading = line
            found[heading] = []
        elif heading and set(line) != {"-"}:
            found[heading].append(line)
    return found


@pytest.mark.parametrize("function", list(public_functions()))
def test_docstrings(function):
    assert function.__doc__, "no docstring"
    found = sections(function.__doc__)
    signature = inspect.signature(function)
    parameters = [name for name in signature.parameters if name not in ("self", "cls")]
    if parameters:
        lines = found.get("Parameters", [])
        described = {
            name.strip().lstrip("*")
            for line in lines
            if line and not line.startswith(" ")
            for name in line.split(":")[0].split(",")
        }
        assert described == set(parameters)
    if signature.return_annotation not in (None, "None"):
        assert "Returns" in found
    if "." not in function.__qualname__:  # a method's example may be its class's
        assert "Examples" in found
        assert any(line.startswith(">>>") for line in found["Examples"])


def test_the_verbs_of_the_core_are_asked_in_one_room():
    """So that a change of the compiled functions is met in one place; others ask :class:`secateur.problem.Problem`."""
    verbs = (
        "similarity|compare|leave_one_out|add_one|insertion_curve|ranking|held_out_alignment|rank|cuda_load(_targets)?"
    )
    found = {name_of(path) for path in SOURCES if re.search(rf"_core\.({verbs})\(", path.read_text(encoding="utf-8"))}
    assert found == {"problem"}


def lists_of(argument):
    """What docstrings list as the values of an argument, each with its module."""
    for path in SOURCES:
        for listed in re.findall(rf"^ *{argument} : \{{(.*)\}}", path.read_text(encoding="utf-8"), re.MULTILINE):
            yield name_of(path), re.findall(r'"([^"]+)"', listed)


def test_metrics_and_comparators_are_listed_in_one_docstring_each():
    """Others refer to it, so that a new one is added there alone."""
    from secateur.measures import COMPARATORS, METRICS

    own = {"timecourse.movies", "reweighting.ridge", "reweighting.simdr"}  # of sensors; those that a model is linear in
    assert [one for one in lists_of("metric") if one[0] not in own] == [("similarity", list(METRICS))]
    assert list(lists_of("comparator")) == [("similarity", list(COMPARATORS))]
    for name, listed in lists_of("metric"):
        if name.startswith("reweighting"):
            assert set(listed) < set(METRICS), name


def test_every_list_of_comparators_holds_them_all():
    from secateur.measures import ALIASES, COMPARATOR_TABLE, COMPARATORS
    from secateur.study.config import Pruning

    assert set(reference.COMPARATORS) | {"corr_cov", "cosine_cov"} == set(COMPARATORS)
    assert tuple(name for name, row in COMPARATOR_TABLE.items() if row.rank) == reference.RANK_COMPARATORS
    assert tuple(name for name, row in COMPARATOR_TABLE.items() if row.whitened) == reference.WHITENED
    assert set(get_args(get_type_hints(Pruning)["comparator"])) == {*COMPARATORS, *ALIASES}


def test_parameters_of_pruning_stand_in_one_record():
    """Study files and the command line read it: what is added there is offered by both, and reaches the Pruner."""
    from typer.main import get_command

    from secateur.cli import app
    from secateur.parameters import Pruning
    from secateur.study import config

    names = {one.name for one in fields(Pruning)}
    assert config.Pruning is Pruning
    assert names <= set(inspect.signature(secateur.Pruner).parameters)
    for command in ("prune", "timecourse"):
        assert names <= {one.name for one in get_command(app).commands[command].params}, command
    given = Pruning("dot", "spearman", "forward", 3, "cpu", 2)
    made = given.pruner("similarity").get_params()
    assert {name: made[name] for name in names} == vars(given)


def test_every_list_of_searches_holds_them_all():
    from secateur.measures import SEARCHES
    from secateur.parameters import Pruning

    assert set(get_args(get_type_hints(Pruning)["search"])) == set(SEARCHES)
    (option,) = (one.metadata for one in fields(Pruning) if one.name == "search")
    assert set(re.findall(r"[a-z-]+", option["help"].split(":")[1])) - {"or"} == set(SEARCHES)
    assert list(lists_of("search")) == [("pruning.pruner", list(SEARCHES))]


def test_names_of_measures_are_compared_in_their_own_room():
    """Elsewhere what a measure is like is asked of its row, so that a new one need not be added in many places."""
    from secateur.measures import ALIASES, COMPARATORS, METRICS, SEARCHES

    names = {*METRICS, *COMPARATORS, *ALIASES, *SEARCHES}
    elsewhere = {"measures", "timecourse.movies", "cli.timecourse", "finetuning.trainer"}  # of sensors; of a training
    for path in SOURCES:
        if name_of(path) in elsewhere:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare):
                spelled = {leaf.value for leaf in ast.walk(node) if isinstance(leaf, ast.Constant)} & names
                assert not spelled, f"{name_of(path)}:{node.lineno} compares with {spelled}"


MODULES = ["secateur", *(m.name for m in pkgutil.walk_packages([str(PACKAGE)], "secateur.") if "_core" not in m.name)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = doctest.testmod(importlib.import_module(name))
    assert outcome.failed == 0, f"{outcome.failed} of {outcome.attempted} examples in {name} fail"


# The compiled module


def signatures(tree):
    """Arguments and their defaults of every function in a syntax tree."""
    return {
        node.name: (
            [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)],
            [ast.unparse(default) for default in (*node.args.defaults, *node.args.kw_defaults) if default],
        )
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }


def test_the_stub_is_the_compiled_module():
    from secateur import _core

    def compiled_signature(function):
        first, *rest = function.__doc__.splitlines()
        assert rest, f"_core's {first} says nothing of what it does"
        return signatures(ast.parse(f"def {first}: ..."))

    tree = ast.parse((PACKAGE / "_core.pyi").read_text(encoding="utf-8"))
    public = {name: value for name, value in vars(_core).items() if not name.startswith("_")}
    classes = {name: value for name, value in public.items() if inspect.isclass(value)}
    compiled = {}
    for value in public.values():
        if not inspect.isclass(value):
            compiled |= compiled_signature(value)
    assert compiled == signatures(tree)
    stubs = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    assert set(stubs) == set(classes)
    for name, value in classes.items():
        assert value.__doc__, f"_core.{name} says nothing of what it is"
        stub = signatures(stubs[name])
        own = {member for member in vars(value) if not member.startswith("_")}
        assert own == set(stub) - {"__init__"}, name
        assert ("__init__" in stub) is value.__init__.__doc__.startswith("__init__("), name
        if "__init__" in stub:
            assert compiled_signature(value.__init__)["__init__"] == stub["__init__"], name


def test_types_are_shipped():
    assert (PACKAGE / "py.typed").is_file()
    assert (PACKAGE / "_core.pyi").is_file()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                bare = [a.arg for a in arguments if a.annotation is None and a.arg not in ("self", "cls")]
                assert not bare, f"{path.name}:{node.lineno} {node.name} has bare arguments {bare}"
                assert node.returns is not None, f"{path.name}:{node.lineno} {node.name} does not say what it returns"


# Any in what users call, where no type says more than the words of the docstring.
UNTYPED = {
    "search.find": {"limits"},  # of the searches, each checked by Search.named
    **{f"search.{name}": {"how"} for name in ("ranking", "parsimonious", "stable", "forward", "backward", "floating")},
    "timecourse.rdm_movies": {"how"},  # of rdm_movie
    "timecourse.read_recordings": {"how"},  # of read_recording
}


def test_what_users_call_is_typed():
    """``Any`` by itself, or beside others, is no type; inside another (``dict[str, Any]``) it may be all there is."""
    found = {}
    for parameter in public_functions():
        function, name = parameter.values[0], parameter.id.removeprefix("secateur.")
        for argument, words in function.__annotations__.items():
            node = ast.parse(words, mode="eval").body
            while isinstance(node, ast.BinOp):  # a union
                if "Any" in (ast.unparse(node.right), ast.unparse(node.left)):
                    break
                node = node.left
            if isinstance(node, ast.BinOp) or ast.unparse(node) == "Any":
                found.setdefault(name, set()).add(argument)
    assert found == UNTYPED


@pytest.mark.parametrize(
    ("literal", "refuse"),
    [
        ("measures.Metric", "measures.check_metric({!r})"),
        ("measures.ComparatorOrAlias", "measures.check_comparator({!r})"),
        ("measures.Search", "measures.check_search({!r})"),
        ("measures.Joint", "measures.check_joint({!r})"),
        ("execution.Device", "execution.resolve({!r})"),
        ("execution.Precision", "execution.Execution.resolved('cpu', precision={!r})"),
        ("targets.Kind", "targets.read_target([0.1, 0.2, 0.3], 3, {!r})"),
        ("timecourse.movies.SensorMetric", "timecourse.rdm_movie([[[0.1], [0.2]], [[0.3], [0.5]]], {!r})"),
    ],
)
def test_literals_are_what_the_code_accepts(literal, refuse):
    """Another word is refused, by a sentence that names those of the type."""
    module, _, name = literal.rpartition(".")
    words = get_args(getattr(importlib.import_module(f"secateur.{module}"), name))
    rooms = {
        room: importlib.import_module(f"secateur.{room}") for room in ("execution", "measures", "targets", "timecourse")
    }
    with pytest.raises(ValueError, match=r"must be .*got 'nothing'") as refusal:
        eval(refuse.format("nothing"), rooms)
    assert re.findall("'([^']+)'", str(refusal.value).split("got")[0]) == list(words)
    with pytest.raises(ValueError, match="got ''"):
        eval(refuse.format(""), rooms)


# C++


def includes(path):
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', path.read_text(encoding="utf-8"), re.MULTILINE)


def sources(*folders):
    found = [path for folder in folders for path in sorted((CPP / folder).rglob("*"))]
    return [path for path in found if path.suffix in (".hpp", ".cpp", ".cu", ".cuh")]


# Folders of C++, each with those that it includes beside its own.
FOLDERS = {
    "include": set(),
    "core": {"include"},
    "cpu": {"include", "core"},
    "cuda": {"include", "core"},
    "bindings": {"include", "core", "cpu", "cuda"},
}
INCLUDE = ("portable", "maths", "data", "engine")  # each includes those before it


def folder_of(path, name):
    """The folder of ours that an include names; None for another's header."""
    first, _, rest = name.partition("/")
    if first == "secateur":
        return "include"
    if first in FOLDERS and rest:
        return first
    return path.relative_to(CPP).parts[0] if (path.parent / name).is_file() else None


@pytest.mark.skipif(not CPP.is_dir(), reason="the C++ sources are not beside these tests")
class TestIncludes:
    def test_folders_include_downwards(self):
        """The two engines never include each other, and nothing below the bindings knows that there are two."""
        assert {path.name for path in CPP.iterdir()} == set(FOLDERS)
        seen = set()
        for path in sources(*FOLDERS):
            own = path.relative_to(CPP).parts[0]
            for name in includes(path):
                folder = folder_of(path, name)
                assert folder is None or folder in FOLDERS[own] | {own}, f"{own}/{path.name} includes {name}"
                seen.add((own, folder))
        assert {("cpu", "core"), ("core", "include"), ("bindings", "cuda")} <= seen  # the walk does see includes

    def test_headers_of_all_include_downwards(self):
        for path in sources("include"):
            ours = {name for name in includes(path) if folder_of(path, name)}
            below = {f"secateur/{name}.hpp" for name in INCLUDE[: INCLUDE.index(path.stem)]}
            assert ours <= below, f"{path.name} includes {ours - below}"

    def test_nothing_below_the_bindings_knows_python(self):
        for path in sources("include", "core", "cpu", "cuda"):
            for name in includes(path):
                assert not name.startswith(("pybind11", "Python", "numpy")), f"{path.name} includes {name}"
        assert any(name.startswith("pybind11/") for path in sources("bindings") for name in includes(path))

    def test_one_folder_knows_of_cuda(self):
        for path in sources("include", "core", "cpu"):
            for name in includes(path):
                assert not name.startswith(("cuda", "cub/", "thrust/")), f"{path.name} includes {name}"
            if path.name not in ("portable.hpp", "maths.hpp"):  # marks for both compilers
                words = re.sub(r"//.*", "", path.read_text(encoding="utf-8"))
                assert "cuda" not in words.lower(), f"{path.name} speaks of CUDA"

    def test_every_switch_names_all_that_it_may_meet(self):
        """So that the compiler finds what a new member of an enum lacks."""
        for path in sources(*FOLDERS):
            found = re.search(r"\bdefault\s*:", path.read_text(encoding="utf-8"))
            assert not found, f"{path.name} has a switch with a default"
