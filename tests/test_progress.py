"""Bars: steps, and parts of a step that the core tells of."""

from __future__ import annotations

import importlib
import sys
import types
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import tqdm

import secateur as sc
from secateur import _core, progress


def rank(comparator, targets, told, n=500, d=256, threads=2):
    rng = np.random.default_rng(0)
    goal = _core.Targets(rng.normal(size=(targets, n * (n - 1) // 2)))
    rule = _core.PrefixRule(1, d, 0.0)
    X = rng.normal(size=(n, d))
    return _core.ranking(X, goal, _core.Measures("cosine", comparator), None, rule, "path", threads, told)


@pytest.mark.parametrize(("comparator", "targets"), [("pearson", 1), ("pearson", 12), ("spearman", 1)])
def test_the_core_tells_what_share_is_done(comparator, targets):
    shares = []
    found = rank(comparator, targets, shares.append, n=1000 if comparator == "pearson" else 300)
    assert shares == sorted(shares)
    assert all(0 <= share <= 1 for share in shares)
    untold = rank(comparator, targets, None, n=1000 if comparator == "pearson" else 300)
    np.testing.assert_array_equal(found.curve, untold.curve)
    np.testing.assert_array_equal(found.importance, untold.importance)


def test_both_halves_of_a_long_call_are_told():
    shares = []
    rank(
        "pearson", 1, shares.append, n=2000, d=1024, threads=1
    )  # 0.1 s each at a hundred billion multiply-adds a second
    assert any(0 < share < 0.5 for share in shares)
    assert any(0.5 < share < 1 for share in shares)


def test_threads_that_are_more_than_the_shares_of_a_target_let_the_first_tell():
    """Of few stimuli there is one share: the thread that asks whether to stop has it."""

    def tell(share):
        shares.append(share)
        if 0.5 < share < 1:
            raise StopIteration  # seen: the call may end

    for d in (20_000, 80_000, 320_000):  # until a call is long enough for the first question
        shares = []
        try:
            rank("pearson", 1, tell, n=20, d=d)
        except StopIteration:
            return
    pytest.fail(f"nothing was told of an insertion, but {shares}")


def test_an_error_of_what_is_told_comes_out():
    def refuse(share):
        raise RuntimeError("told")

    with pytest.raises(RuntimeError, match="told"):
        rank("pearson", 1, refuse, n=1000, d=2048, threads=1)


def test_a_bar_moves_through_parts_of_its_steps(monkeypatch):
    monkeypatch.setattr(progress, "in_log", lambda: False)
    with progress.bar(3, "steps", True) as shown:
        for step in range(3):
            report = progress.part_of(shown)
            for share in (0.0, 0.25, 0.252, 0.75, 0.5):  # never back
                report(share)
            assert shown.n == pytest.approx(step + 0.75)
            report(1.0)
            assert shown.n == pytest.approx(step + 1)
    whole = progress.bar(3, "steps", True, done=1)
    with whole as shown:
        shown.update()
        assert " 2/3 " in str(shown)


def test_steps_and_parts_are_counted_once(monkeypatch):
    seen = []

    class Shown:
        n = 0

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def update(self, by):
            self.n += by
            seen.append(self.n)

    monkeypatch.setattr(progress, "bar", lambda *how: Shown())
    assert list(progress.with_progress("ab", 2, "letters", True)) == ["a", "b"]
    assert seen == [1, 2]
    seen.clear()
    for _, report in progress.with_parts("ab", 2, "letters", True):
        report(0.5)
    assert seen == [0.5, 1, 1.5, 2]


@pytest.mark.parametrize("call", [sc.cross_validate, sc.permutation_test])
def test_folds_are_told_of_from_inside(monkeypatch, call):
    """Folds that take long move their bar; here each part is told of at once."""
    told = []
    monkeypatch.setattr(progress, "part_of", lambda shown: told.append)
    monkeypatch.setattr(progress, "_part_between", lambda *_: told.append)
    X = np.random.default_rng(0).normal(size=(1600, 2048))
    more = {"n": 1} if call is sc.permutation_test else {}
    call(X, X[:, :9] @ X[:, :9].T, pruner=sc.Pruner(threads=1), cv=2, **more)
    assert told.count(1.0) >= 2
    assert len(told) > 2
    assert max(told) <= 1


def test_a_long_fit_is_told_of(monkeypatch):
    told = []
    monkeypatch.setattr("secateur.pruning.settings.part_of", lambda shown: told.append)
    X = np.random.default_rng(0).normal(size=(300, 16_000))
    goal = X[:, :9] @ X[:, :9].T
    sc.Pruner(progress=False, threads=1).fit(X, goal)
    assert not told
    sc.Pruner(threads=1).fit(X, goal)
    assert told == sorted(told)
    assert told


def test_a_notebook_without_widgets_is_not_warned_of(monkeypatch):
    """As in a kernel of Jupyter where ipywidgets are not installed: there tqdm.auto warns when it is imported."""
    kernel = types.SimpleNamespace(get_ipython=lambda: types.SimpleNamespace(config={"IPKernelApp": {}}))
    monkeypatch.setitem(sys.modules, "IPython", kernel)
    monkeypatch.setitem(sys.modules, "ipykernel.zmqshell", kernel)  # what newer tqdm looks for
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    names = ("tqdm.auto", "tqdm.autonotebook", "tqdm.notebook")
    for name in ("auto", "autonotebook", "notebook"):  # so that the package has the modules of before again, afterwards
        if hasattr(tqdm, name):
            monkeypatch.setattr(tqdm, name, getattr(tqdm, name))

    def forget():
        for name in names:
            monkeypatch.delitem(sys.modules, name, raising=False)

    forget()
    with pytest.warns(Warning, match="IProgress not found"):
        importlib.import_module("tqdm.auto")
    forget()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with progress.bar(1, "steps", shown=True) as shown:
            shown.update()
    assert not warned


def test_steps_of_several_sizes_fill_the_count(monkeypatch):
    monkeypatch.setattr(progress, "in_log", lambda: True)
    counts = []
    update = progress._Lines.update
    monkeypatch.setattr(progress._Lines, "update", lambda self, by: (counts.append(by), update(self, by)))
    for step, report in progress.with_parts("abc", 100, "relabellings", True, [4, 4, 1]):
        report(0.5 if step == "c" else 0.0)
    assert counts == [0, 44, 0, 44, 6, 6]  # 44.4, 88.8, 94.4


def logged(monkeypatch, capsys, seconds, steps):
    """The lines of a log of steps that take so long each."""
    clock = iter(np.arange(1000) * seconds)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    list(progress.with_progress(range(steps), steps, "folds", True))
    out, err = capsys.readouterr()
    assert not out
    return err.splitlines()


def test_a_log_has_an_estimate_then_a_line_a_minute(monkeypatch, capsys):
    assert logged(monkeypatch, capsys, 25.0, 8) == [
        "folds: 1 of 8 in 25 s, about 3 min left",
        "folds: 4 of 8 in 2 min, about 2 min left",
        "folds: 7 of 8 in 3 min, about 25 s left",
        "folds: 8 of 8 in 3 min",
    ]


@pytest.mark.parametrize(("seconds", "steps"), [(0.01, 500), (5.0, 12)])
def test_a_log_has_nothing_of_what_takes_no_minute(monkeypatch, capsys, seconds, steps):
    assert logged(monkeypatch, capsys, seconds, steps) == []


def test_a_step_that_takes_long_says_so_from_inside(monkeypatch, capsys):
    clock = iter([0.0, 3.0, 30.0, 70.0])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with progress.bar(2, "folds", True) as shown:
        shown.set_postfix_str("alignment 0.5", refresh=False)
        report = progress.part_of(shown)
        for share in (0.02, 0.2, 0.5):
            report(share)
    assert capsys.readouterr().err.splitlines() == [
        "folds: 0.02 of 2 in 3 s, about 5 min left, alignment 0.5",
        "folds: 0.5 of 2 in 70 s, about 4 min left, alignment 0.5",
    ]


def test_where_nothing_is_asked_for_nothing_is_said(monkeypatch, capsys):
    clock = iter(np.arange(1000) * 25.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    list(progress.with_progress(range(8), 8, "folds", False))
    assert capsys.readouterr() == ("", "")


def test_a_terminal_and_a_notebook_are_no_log(monkeypatch):
    import sys

    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    assert progress.in_log()  # under pytest
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert not progress.in_log()
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    assert not progress.in_log()


@pytest.mark.parametrize("n", [1, 19])
def test_relabellings_are_counted(monkeypatch, n):
    seen = []
    monkeypatch.setattr(progress, "in_log", lambda: True)
    update = progress._Lines.update
    monkeypatch.setattr(
        progress._Lines, "update", lambda self, by: (seen.append((self.what, self.total, by)), update(self, by))
    )
    X = np.random.default_rng(0).normal(size=(20, 8))
    sc.permutation_test(X, X[:, :3] @ X[:, :3].T, n=n, cv=3)
    assert {(what, total) for what, total, _ in seen} == {("relabellings", n)}
    assert sum(by for *_, by in seen) == n
