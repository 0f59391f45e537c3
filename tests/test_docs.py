"""The pages of docs/: every public name has its place, and the check of the built pages finds what is wrong."""

from __future__ import annotations

import importlib
import importlib.util
import operator
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import secateur
import test_house

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
API = ROOT / "docs" / "api"
pytestmark = pytest.mark.skipif(not API.is_dir(), reason="the docs are not beside these tests")


# The programming interface


def documented():
    """The names on the API's pages: those of their tables, and the constants."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in API.glob("*.md"))
    constants = re.findall(r"^\.\. py:data:: (\w+)\n   :module: ([\w.]+)$", text, re.MULTILINE)
    return re.findall(r"^   (secateur[\w.]+)$", text, re.MULTILINE) + [f"{room}.{name}" for name, room in constants]


def rooms_of(module):
    """A module, and those that it names as public."""
    yield module.__name__
    for name in module.__all__:
        value = getattr(module, name)
        if isinstance(value, ModuleType):
            yield from rooms_of(value)


def test_every_public_name_is_on_a_page_once():
    names = documented()
    assert len(names) == len(set(names)) >= 150
    values = {}
    for name in names:
        values.setdefault(name.rpartition(".")[2], []).append(operator.attrgetter(name.partition(".")[2])(secateur))
    rooms = {*rooms_of(secateur), *test_house.ROOMS}
    assert {"secateur.timecourse", "secateur.networks.pruned"} <= rooms
    for room in rooms:
        module = importlib.import_module(room)
        for name in module.__all__:
            value = getattr(module, name)
            there = isinstance(value, ModuleType) or any(value is one for one in values.get(name, []))
            assert there, f"{room}.{name} is on no page of docs/api"


# Dependencies


def test_every_extra_is_on_the_page_of_installation():
    page = (ROOT / "docs" / "guide" / "install.md").read_text(encoding="utf-8")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    rows = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert sorted(rows) == sorted(extras)


def test_groups_hold_what_extras_hold():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups, extras = project["dependency-groups"], project["project"]["optional-dependencies"]
    for name in ("test", "docs"):
        assert groups[name] == extras[name]
    assert {tuple(entry.items()) for entry in groups["dev"] if isinstance(entry, dict)} == {
        (("include-group", "test"),),
        (("include-group", "docs"),),
    }


# The check of the built pages


@pytest.fixture(scope="module")
def check_site():
    specification = importlib.util.spec_from_file_location("check_site", ROOT / "docs" / "check_site.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


GOOD = """<html><head><link rel="stylesheet" href="_static/a.css?v=1"><link rel="canonical" href="https://a.org/"></head>
<h1 id="first part">A</h1><a name="old"></a><a href="b/">b</a><a href="#first%20part">up</a>
<a href="https://a.org/x">out</a><a href="b/index.html?q=1#there">b</a>
<img src="a%20b.png" srcset="a%20b.png, a%20b.png 2x">
<img src="data:image/png;base64,AA"><style>p { background: url("a%20b.png") }</style></body></html>"""


@pytest.fixture
def site(tmp_path):
    for name, text in {
        "index.html": GOOD,
        "b/index.html": '<p id="there"><a href="../index.html#old">a</a></p>',
        "_static/a.css": "/* url(https://a.org/x.png) */ p { background: url(../a%20b.png) } i { mask: url(data:AA) }",
        "a b.png": "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_whole_pages_pass(check_site, site):
    assert list(check_site.problems_of(site)) == []
    assert check_site.main([str(site), "--no-browser"]) is None


@pytest.mark.parametrize(
    ("added", "problem"),
    [
        ('<a href="c.html">', "a link leads nowhere: c.html"),
        ('<a href="../b/#here">', "a link's anchor is not on its page: ../b/#here"),
        ('<a href="#second">', "a link's anchor is not on its page: #second"),
        ('<a href="../../else.html">', "a link leads out of the pages: ../../else.html"),
        ('<a href="file:///etc/hosts">', "a link leads out of the pages: file:///etc/hosts"),
        ('<img src="c.png">', "a picture, script or style sheet is missing: c.png"),
        ('<img srcset="../a%20b.png 1x, c.png 2x">', "a picture, script or style sheet is missing: c.png"),
        ('<script src="https://a.org/a.js"></script>', "this would come from the net: https://a.org/a.js"),
        ('<img src="//a.org/a.png"/>', "this would come from the net: //a.org/a.png"),
        (
            '<link rel="preload stylesheet" href="https://a.org/a.css">',
            "this would come from the net: https://a.org/a.css",
        ),
        ('<style>@import "https://a.org/a.css";</style>', "this would come from the net: https://a.org/a.css"),
        ('<p style="background: url(c.png)">', "a picture, script or style sheet is missing: c.png"),
    ],
)
def test_what_is_wrong_is_named(check_site, site, added, problem):
    page = site / "b" / "index.html"
    page.write_text(added + page.read_text(encoding="utf-8"), encoding="utf-8")
    assert list(check_site.problems_of(site)) == [f"b/index.html: {problem}"]


def test_style_sheets_are_read(check_site, site):
    (site / "_static" / "a.css").write_text(
        'p { src: url("https://a.org/f.woff") } i { src: url(c.png) }', encoding="utf-8"
    )
    assert list(check_site.problems_of(site)) == [
        "_static/a.css: this would come from the net: https://a.org/f.woff",
        "_static/a.css: a picture, script or style sheet is missing: c.png",
    ]


def test_a_folder_without_pages_is_no_site(check_site, tmp_path):
    assert "got no index.html there" in check_site.main([str(tmp_path), "--no-browser"])
    assert check_site.main([]).startswith("Check the built pages")
