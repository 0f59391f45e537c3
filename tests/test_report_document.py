"""One report per run: every command has one, it is made from the files alone, and the page stands by itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from matplotlib.figure import Figure
from typer.main import get_command
from typer.testing import CliRunner

import browser
import secateur as sc
from secateur import cli, timecourse
from secateur.measures import COMPARATORS, METRICS, SEARCHES
from secateur.report import folder
from secateur.report.contents import FILES, REPORT, described
from secateur.report.document import cautions, methods, side_by_side, write_report
from secateur.report.document.markdown import blocks_of
from secateur.report.document.parts import Bullets, Table, Words
from secateur.report.document.references import REFERENCES, bibtex, listed
from secateur.report.document.run import read_run
from secateur.report.document.sections import SECTIONS, section_of

PARTS = ["verdict", "inputs", "results", "held-out", "features", "methods", "reproduce"]
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Read(HTMLParser):
    """A page's elements, with a check that they are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def checked(text: str) -> Read:
    """A page that stands by itself and can be read by anyone."""
    page = Read(text)
    assert len(text.encode()) < 5e6
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for tag, attrs in page.elements:
        for name in ("src", "href", "srcset", "data", "action"):
            assert not re.match(r"(https?:)?//", attrs.get(name) or ""), (tag, attrs)
        for name in ("aria-controls", "aria-labelledby"):
            assert attrs.get(name) is None or attrs[name] in ids
        if tag == "a" and (attrs["href"] or "").startswith("#"):
            assert attrs["href"][1:] in ids  # type: ignore[index]
    assert "@import" not in text
    assert "url(" not in text
    assert all(attrs.get("alt") for attrs in page.of("img"))
    assert all((attrs.get("src") or "").startswith("data:image/") for attrs in page.of("img"))
    tags = [tag for tag, _ in page.elements]
    assert tags.count("table") == tags.count("caption") == tags.count("thead")
    assert tags.count("figure") == tags.count("figcaption") == tags.count("img")
    assert {attrs.get("scope") for attrs in page.of("th")} <= {"col", "row"}
    assert tags.count("h1") == 1
    assert page.of("html")[0]["lang"] == "en"
    panels = [attrs for _, attrs in page.elements if attrs.get("role") == "tabpanel"]
    assert len(panels) == len([1 for _, attrs in page.elements if attrs.get("role") == "tab"])
    return page


def verdict(text: str) -> str:
    return " ".join(re.findall(r'<div class="verdict">(.*?)</div>', text, re.DOTALL))


@pytest.fixture(scope="module")
def planted() -> Any:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(24, 12))
    return X, np.stack([X[:, :4] @ X[:, :4].T, X[:, 4:6] @ X[:, 4:6].T])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, planted: Any) -> dict[str, Path]:
    """Folders of one target with a null, of two, and of a time course."""
    parent, (X, S) = tmp_path_factory.mktemp("runs"), planted
    quiet: dict[str, Any] = {"cv": 3, "progress": False}
    notes = ["x.npy names no stimuli: its order is taken to be that of s.npy: a, b, c, …"]
    inputs = [{"role": "features", "file": "x <b>.npy", "shape": [24, 12], "sha256": "0" * 64, "first_stimuli": ["a"]}]
    one, null = sc.cross_validate(X, S[0], **quiet), sc.permutation_test(X, S[0], 19, **quiet)
    said = {"notes": notes, "inputs": inputs, "command": ["secateur", "prune", "x <b>.npy", "s.npy"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder, "page", lambda *_, **__: Figure((8, 2)))  # drawing it is another test's
        folder.write(parent / "one", X, S[0], one, null, title="Stimuli <i>& more", settings=said)
        folder.write(parent / "two", X, S, sc.cross_validate(X, S, **quiet))
    patterns, truth = timecourse.simulate(18, subjects=3, sensors=20, times=[-0.1, 0.25, 0.3], seed=1)
    course = timecourse.prune(truth.X, timecourse.rdm_movies(patterns), cv=3)
    folder.write_course(parent / "course", course, timecourse.group_test(course, n=7))
    return {path.name: path for path in parent.iterdir()}


def commands() -> list[str]:
    """Every command that computes, by the words that call it."""
    found = []
    for name, command in get_command(cli.app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        found += [f"{name} {one}" for one in inner] if inner else [name]
    return found


def test_every_command_has_a_report() -> None:
    have = [name for section in SECTIONS for name in section.commands]
    assert sorted(have) == sorted(set(commands()) - {"report", "study example"})


def test_every_file_of_every_command_is_described() -> None:
    for section in SECTIONS:
        for name in section.contents():
            assert described(name), name
    assert described("maps_3.png") == FILES["maps"]
    assert described("features_pruned_07.csv") == FILES["features_pruned.csv"]
    assert described("nothing.xyz") == ""


@pytest.mark.parametrize("name", ["one", "two", "course"])
def test_a_page_stands_by_itself(runs: dict[str, Path], name: str) -> None:
    text = (runs[name] / "report.html").read_text(encoding="utf-8")
    page = checked(text)
    assert [attrs["id"] for attrs in page.of("section")] == PARTS
    for file in {*runs[name].iterdir()}:
        assert file.name == "report.html" or f'<a href="{file.name}">' in text
    assert "<b>" not in text
    assert "<i>" not in text
    assert text.count('role="tab"') == {"one": 0, "two": 4, "course": 4}[name]


@pytest.mark.parametrize("name", ["one", "two", "course"])
def test_it_is_made_anew_from_the_files(runs: dict[str, Path], name: str, tmp_path: Path) -> None:
    """By the command, which reads netCDF files in another process, from another folder, with its own files gone."""
    shutil.copytree(runs[name], tmp_path / "run")
    for file in REPORT:
        (tmp_path / "run" / file).unlink()
    done = CliRunner().invoke(cli.app, ["report", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    for file in REPORT:
        assert (tmp_path / "run" / file).read_bytes() == (runs[name] / file).read_bytes(), file


def test_the_verdict_says_what_was_computed(runs: dict[str, Path], planted: Any) -> None:
    X, S = planted
    result = sc.cross_validate(X, S[0], cv=3, progress=False)
    null = sc.permutation_test(X, S[0], 19, cv=3, progress=False)
    full, pruned = float(result.full_test.mean()), float(result.pruned_test.mean())
    said = verdict((runs["one"] / "report.html").read_text(encoding="utf-8"))
    assert f"Pearson r = {pruned:.3f} against {full:.3f}, a gain of {pruned - full:+.3f}" in said
    assert f"p = {float(null.p_gain[0]):.2g} (one-sided; n = 24 stimuli, 3 folds)" in said
    reached = int((null.gain[0] >= null.observed_gain[0]).sum())
    assert f"Of 19 relabellings of the stimuli, with the whole selection run again, {reached or 'none'} gave" in said
    without = verdict((runs["two"] / "report.html").read_text(encoding="utf-8"))
    assert "2 of 2 targets" in without
    assert "No permutation null was computed, so there is no p-value" in without
    assert "p =" not in without


def test_the_verdict_of_a_course_says_first_whether_any_gain_is_shown(runs: dict[str, Path], tmp_path: Path) -> None:
    course = shutil.copytree(runs["course"], tmp_path / "course")
    table = pandas.read_csv(course / "summary.csv")
    for q, opening in (
        (0.01, "Pruning helps: 3 of 3 times have a gain with q ≤ 0.05"),
        (0.4, "No gain is shown at any"),
    ):
        table.assign(q=q, significant=q < 0.05).to_csv(course / "summary.csv", index=False)
        first, second = section_of(read_run(course)).verdict()
        assert first.startswith(opening)
        assert ("least q = 0.4" in first) == (q == 0.4)
        assert "gain of pruning is largest at" in second
    table.assign(q=0.4, significant=False, cluster=1, cluster_p=0.01).to_csv(course / "summary.csv", index=False)
    assert section_of(read_run(course)).verdict()[0].startswith("Pruning helps in a run of times (cluster-based")
    table.drop(columns=[name for name in table if name in ("significant", "cluster", "cluster_p")]).to_csv(
        course / "summary.csv", index=False
    )
    assert section_of(read_run(course)).verdict()[0].startswith("Whether any gain is more than chance was not tested")


def test_intervals_and_the_final_set_where_they_are(runs: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(runs["one"], tmp_path / "run")
    table = pandas.read_csv(tmp_path / "run" / "summary.csv")
    table.assign(gain_lower=0.1, gain_upper=0.2).to_csv(tmp_path / "run" / "summary.csv", index=False)
    kept = pandas.read_csv(tmp_path / "run" / "kept_features.csv")
    kept.assign(final=kept["feature"].isin([3, 7])).to_csv(tmp_path / "run" / "kept_features.csv", index=False)
    write_report(tmp_path / "run", ours=True)
    text = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "(bootstrap interval +0.100 to +0.200)" in verdict(text)
    assert "bootstrap interval" not in verdict((runs["one"] / "report.html").read_text(encoding="utf-8"))
    assert "The set: the 2 features that pruning keeps when it is fitted to all stimuli." in text
    assert "fitted once to all stimuli" in (tmp_path / "run" / "methods.md").read_text(encoding="utf-8")


def test_warnings_are_given_where_due(runs: dict[str, Path], planted: Any) -> None:
    text = (runs["one"] / "report.html").read_text(encoding="utf-8")
    for words in ("matched by position, not by name: x.npy names", "Few test pairs: 3 of 3 folds", "Few relabellings"):
        assert words in text
    assert "below zero" not in text
    X, S = planted
    pairs = -S[0][np.triu_indices(24, 1)]
    opposed = sc.report.html(sc.cross_validate(X, pairs, sc.Pruner(kind="similarity"), cv=2, progress=False)).text
    assert "The mean full alignment is below zero" in opposed
    assert "Few test pairs" not in opposed
    assert cautions.undefined(0) == []
    assert "3 pairs" in cautions.undefined(3)[0]
    assert cautions.first_epoch({"best_epoch": 2}) == []
    assert "epoch 0" in cautions.first_epoch({"best_epoch": 0})[0]
    assert cautions.coarse_null(1000) == []
    assert cautions.random_weights({"weights": "IMAGENET1K_V1"}) == []
    assert cautions.random_weights({"network": {"weights": "random, seed 0"}})
    inputs = [{"role": "network", "weights": "random, seed 0"}]  # of a study
    assert cautions.random_weights({"network": {"weights": "none"}, "inputs": inputs})
    assert cautions.baseline([-0.1, 0, 0.1], [False, True, True], "s") == []
    assert "1 time before 0 s (-0.1 to -0.1 s)" in cautions.baseline([-0.1, 0, 0.1], [True, True, True], "s")[0]


def test_the_paragraph_for_a_paper(runs: dict[str, Path]) -> None:
    words, entries = ((runs["one"] / name).read_text(encoding="utf-8") for name in ("methods.md", "references.bib"))
    settings = json.loads((runs["one"] / "settings.json").read_text(encoding="utf-8"))
    for said in ("12 features", "24 stimuli", "3 folds", "(seed 0)", "relabelled 19 times", "Pearson's correlation",
                 f"Secateur {settings['versions']['secateur']}", f"NumPy {settings['versions']['numpy']}"):  # fmt: skip
        assert said in words
    assert [entry for entry in re.findall(r"^@\w+\{(\w+),$", entries, re.MULTILINE)] == listed(words)
    assert "tarigopula2023" in listed(words)
    assert "()" not in words
    assert words.count("(") == words.count(")")
    course = (runs["course"] / "methods.md").read_text(encoding="utf-8")
    assert "all 7 sign flips (Maris & Oostenveld, 2007)" in course
    assert "entered negated" in course


def test_methods_know_every_name() -> None:
    assert set(methods.METRIC_WORDS) == set(METRICS)
    assert set(methods.COMPARATOR_WORDS) == set(COMPARATORS)
    assert set(methods.SEARCH_WORDS) == set(SEARCHES)
    for comparator in COMPARATORS:
        words = methods.measured({"metric": "dot", "comparator": comparator})
        assert methods.COMPARATOR_WORDS[comparator] in words
        assert words.count("(") == words.count(")")
    for search in SEARCHES:
        words = methods.searched({"search": search})
        assert words.count("(") == words.count(")")
    for key, one in REFERENCES.items():
        assert {"author", "title", "year"} <= set(one.fields), key
        assert one.fields["year"] in one.short
        assert bibtex([key]).count("{") == bibtex([key]).count("}")
        assert not set("{}\\") & set(one.line()), key
        assert "others" not in one.line()
    assert "Novovičová, Jana" in REFERENCES["pudil1994"].line()
    assert "van der Walt, Stéfan J.; et al. (2020)" in REFERENCES["harris2020"].line()


def test_tables_to_read_become_tables() -> None:
    text = "# Title\n\nfacts\n\n| a | b |\n| --- | ---: |\n| x \\| y | 1 |\n\n- one\n  more\n- two\n\n"
    text += "## Part\n\n**c**\n\n| d |\n| ---: |\n| 2 |\n"
    head, tabs = blocks_of(text)
    words, table, bullets = head
    assert isinstance(words, Words)
    assert isinstance(table, Table)
    assert isinstance(bullets, Bullets)
    assert table.rows == [["x | y", "1"]]
    assert table.numbers == [False, True]
    assert list(bullets.items) == ["one more", "two"]
    assert [tab.title for tab in tabs] == ["Part"]
    assert tabs[0].blocks[0].caption == "c"  # type: ignore[union-attr]


def test_numbers_are_shown_as_they_sort() -> None:
    table = Table("t", ["name", "r", "p", "n"], [["b", 0.25, 0.00012, 12], ["a", float("nan"), None, 3]])
    assert table.shown() == [
        [("b", ""), ("0.250", "0.25"), ("0.00012", "0.00012"), ("12", "12.0")],
        [("a", ""), ("–", ""), ("–", ""), ("3", "3.0")],
    ]


def test_a_notebook_shows_a_result(planted: Any, tmp_path: Path) -> None:
    X, S = planted
    compared = sc.report.html(sc.compare(X, S[0], ["full", "pruned"], cv=3, permutations=9), title="Both")
    page = checked(compared.text)
    assert not [attrs for attrs in page.of("a") if (attrs["href"] or "").endswith(".csv")]  # no folder is beside it
    shown = Read(compared._repr_html_()).of("iframe")[0]
    assert shown["srcdoc"] == compared.text
    assert shown["title"] == "Both"
    assert compared.save(tmp_path / "r.html").read_text(encoding="utf-8") == compared.text
    assert "@article{tarigopula2023" in compared.references
    with pytest.raises(
        ValueError, match=r"^result must be from cross_validate, .* with the dimensions target, resample"
    ):
        sc.report.html(sc.bootstrap(X, S[0], 3, cv=2, progress=False))


def test_several_runs_side_by_side(runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = side_by_side([runs["two"], runs["course"]], tmp_path)
    checked(page.text)
    assert (
        f'<a href="{Path(os.path.relpath(runs["two"].resolve() / "report.html", tmp_path.resolve())).as_posix()}"'
        in page.text
    )
    for words in ('<td data-order="">yes</td>', "largest at", "Warning: Few test pairs"):
        assert words in page.text
    monkeypatch.chdir(tmp_path)
    call = ["report", str(runs["two"]), str(runs["course"])]
    assert CliRunner().invoke(cli.app, call).exit_code == 0
    again = CliRunner().invoke(cli.app, call)
    assert again.exit_code == 2
    assert "--out must be a new file unless --overwrite is given" in again.stderr


@pytest.mark.parametrize("held", [None, "{}", "no json", '{"program": "another"}'])
def test_other_folders_are_refused(tmp_path: Path, held: str | None) -> None:
    if held is not None:
        (tmp_path / "settings.json").write_text(held)
    done = CliRunner().invoke(cli.app, ["report", str(tmp_path)])
    assert done.exit_code == 2
    assert "FOLDER must be a results folder of Secateur" in done.stderr
    assert len(list(tmp_path.iterdir())) == (held is not None)


def test_a_folder_of_no_known_command_is_shown_as_it_is(tmp_path: Path) -> None:
    files = folder.write_network(tmp_path / "out", {"summary.md": "# All\n\nis well"})
    assert section_of(read_run(tmp_path / "out")).commands == ()
    text = files[-3].read_text(encoding="utf-8")
    checked(text)
    assert "<h1>All</h1>" in text
    assert write_report(tmp_path / "out") == list(REPORT)


def with_charts(run: Path, folder: Path) -> Path:
    shutil.copytree(run, folder)
    write_report(folder, interactive=True)
    return folder / "report.html"


@pytest.mark.parametrize(("name", "axis"), [("one", "training alignment"), ("course", "held-out alignment")])
def test_charts_are_added_where_they_are_asked_for(runs: dict[str, Path], tmp_path: Path, name: str, axis: str) -> None:
    """The page holds Bokeh's script once, and their values; an ordinary page holds neither."""
    pytest.importorskip("bokeh")
    page = with_charts(runs[name], tmp_path / name)
    text, plain = page.read_text(encoding="utf-8"), (runs[name] / "report.html").read_text(encoding="utf-8")
    assert text.count("BEGIN bokeh.min.js") == 1
    assert page.stat().st_size < 5e6
    assert f'"{axis}' in text
    assert not re.search(r"<(script|link|img)[^>]* (src|href)=.?(https?:)?//", text)
    assert "bokeh" not in plain
    assert "Explore" not in plain


def test_charts_without_bokeh_are_refused(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bokeh.plotting", None)
    shutil.copytree(runs["course"], tmp_path / "course")
    before = (tmp_path / "course/report.html").read_bytes()
    done = CliRunner().invoke(cli.app, ["report", str(tmp_path / "course"), "--interactive"])
    assert done.exit_code == 2
    assert "pip install 'secateur[interactive]'" in done.stderr
    assert (tmp_path / "course/report.html").read_bytes() == before


@pytest.mark.skipif(bool(browser.MISSING), reason=browser.MISSING)
def test_charts_in_a_browser(runs: dict[str, Path], tmp_path: Path) -> None:
    pytest.importorskip("bokeh")
    with browser.Browser() as window:
        window.open(with_charts(runs["one"], tmp_path / "one"), 390)
        drawn = "return Bokeh.documents[0].roots().map(one => one.renderers.length)"
        assert window.run("return new Promise(r => setTimeout(() => r(Bokeh.documents.length), 500))") == 1
        assert min(window.run(drawn)) > 0
        assert window.run("return document.documentElement.scrollWidth") <= 390
        assert [line for line in window.complaints() if "[bokeh" not in line] == []


@pytest.mark.skipif(bool(browser.MISSING), reason=browser.MISSING)
def test_in_a_browser(runs: dict[str, Path]) -> None:
    """It opens without a word on the console; tabs, keys, sorting and copying work; nothing is wider than a phone."""
    with browser.Browser() as window:
        for width, scheme in ((1280, "light"), (390, "dark")):
            window.open(runs["two"] / "report.html", width, scheme=scheme)
            assert window.complaints() == []
            assert window.run("return document.documentElement.scrollWidth") <= width
            back = window.run("return getComputedStyle(document.body).backgroundColor")
            assert (back == "rgb(255, 255, 255)") == (scheme == "light")
            assert all(window.run("return [...document.images].map(one => one.complete && one.naturalWidth > 0)"))
        hidden = "return [...document.querySelectorAll('#results [role=tabpanel]')].map(one => one.hidden)"
        assert window.run(hidden) == [False, True]
        window.run("document.getElementById('results-tab-2').click()")
        assert window.run(hidden) == [True, False]
        press = "document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: arguments[0], bubbles: true}))"
        window.run("document.getElementById('results-tab-2').focus();" + press, "ArrowRight")
        assert window.run(hidden) == [False, True]
        assert window.run("return document.activeElement.id") == "results-tab-1"
        rows = "return [...document.querySelectorAll('#held-out tbody tr')].map(row => row.cells[3].textContent)"
        sort = "document.querySelectorAll('#held-out thead th')[3].querySelector('button').click()"
        before = window.run(rows)
        window.run(sort)
        assert window.run(rows) == sorted(before, key=lambda words: float(words.replace("−", "-")))
        window.run(sort)
        assert window.run(rows) == sorted(before, key=lambda words: -float(words.replace("−", "-")))
        state = "return document.querySelectorAll('#held-out thead th')[3].getAttribute('aria-sort')"
        assert window.run(state) == "descending"
        window.run("document.querySelector('.copy').click()")
        assert window.run(
            "return new Promise(r => setTimeout(() => r(document.querySelector('.copy').textContent), 300))"
        ).startswith("Copied")
        window.open(runs["two"] / "report.html", media="print")
        shown = "return [...document.querySelectorAll('[role=tabpanel]')].every(one => one.offsetHeight > 0)"
        assert window.run(shown)
        assert window.complaints() == []
