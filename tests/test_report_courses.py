"""Pictures, tables and the results folder of a time course."""

from __future__ import annotations

import json

import numpy as np
import pandas
import pytest
import xarray

from dictionaries import check_dictionary
from secateur import report, timecourse
from secateur.report import courses, drawing
from secateur.report import folder as folder_module
from secateur.report.contents import REPORT
from test_report import check_layout, words

TIMES = np.round(np.arange(-8, 50, 2) * 0.01, 2)
WINDOWS = [(0.17, 0.19), (0.25, 0.29), (0.4, 0.45)]


class Study:
    """A planted recording, pruned; its test and its ceiling."""

    def __init__(self, subjects=6, windows=None, generalise=True, seed=1):
        patterns, truth = timecourse.simulate(30, subjects=subjects, sensors=60, times=TIMES, noise=0.6, seed=seed)
        movies = timecourse.rdm_movies(patterns, windows=windows)
        self.course = timecourse.prune(truth.X, movies, cv=3, generalise=generalise, progress=False)
        self.test = timecourse.group_test(self.course, n=63) if subjects > 1 else None
        self.ceiling = timecourse.noise_ceiling(movies, cv=3) if subjects > 1 else None
        self.null = timecourse.permutation_test(truth.X, movies, 29, cv=3, progress=False)


@pytest.fixture(scope="module")
def many():
    return Study()


@pytest.fixture(scope="module")
def windows():
    return Study(windows=WINDOWS)


@pytest.fixture(scope="module")
def single():
    return Study(subjects=1, generalise=False)


def told(figure):
    return " ".join(text.get_text() for text in words(figure))


def lines(axes):
    """Curves over all times, by label or colour."""
    return {line.get_color(): line for line in axes.lines if len(line.get_xdata()) == len(TIMES)}


# Alignment and gain


def test_alignment_shows_the_means_of_the_test(many):
    figure = report.alignment_over_time(many.course, many.test, many.ceiling)
    upper, lower = figure.axes
    colours = {"full": drawing.FULL, "pruned": drawing.PRUNED, "gain": drawing.GAIN}
    for name, colour in colours.items():
        line = lines(lower if name == "gain" else upper)[colour]
        np.testing.assert_allclose(line.get_xdata(), 1000 * TIMES, atol=1e-9)
        np.testing.assert_allclose(line.get_ydata(), many.test[name], atol=1e-12)
    assert lower.get_xlabel() == "time (ms, 0 = stimulus onset)"
    assert upper.get_ylabel() == "held-out alignment\n(Pearson r)"
    assert "mean ± SEM over 6 subjects" in told(figure)
    assert "cluster-based permutation test over 6 subjects (pruned > full, all 63 sign flips)" in told(figure)
    assert "noise ceiling" in told(figure)
    check_layout(figure)


def test_bands_are_standard_errors(many):
    upper = report.alignment_over_time(many.course, many.test).axes[0]
    for collection, name in zip(upper.collections, ("full", "pruned"), strict=True):
        corners = collection.get_paths()[0].vertices
        at = corners[np.isclose(corners[:, 0], 280)]
        mean, sem = (float(many.test[f"{name}{what}"].sel(time=0.28, method="nearest")) for what in ("", "_sem"))
        assert (at[:, 1].min(), at[:, 1].max()) == pytest.approx((mean - sem, mean + sem))


def test_the_bar_is_the_significant_cluster(many):
    found = many.test.time.values[many.test.cluster_p.values <= 0.05]
    assert 0.2 < found.min() < found.max() < 0.35
    lower = report.alignment_over_time(many.course, many.test).axes[1]
    (bar,) = [line for line in lower.lines if line.get_linewidth() == 4]
    assert list(bar.get_xdata()) == pytest.approx([1000 * found.min() - 10, 1000 * found.max() + 10])
    assert any(text.get_text() == "p = 0.016" for text in lower.texts)  # 1 of 64
    nothing = many.test.assign(cluster_p=many.test.cluster_p + 1)
    figure = report.alignment_over_time(many.course, nothing)
    assert not [line for line in figure.axes[1].lines if line.get_linewidth() == 4]
    assert "No cluster with p ≤ 0.05" in told(figure)


def test_the_test_is_made_where_it_is_not_given(many):
    given = report.alignment_over_time(many.course, timecourse.group_test(many.course))
    assert told(report.alignment_over_time(many.course)) == told(given)


def test_windows_are_points(windows):
    figure = report.alignment_over_time(windows.course, windows.test, windows.ceiling)
    shown = [text.get_text() for text in figure.axes[1].texts]
    assert shown == [f"q = {q:.2g}" for q in windows.test.q.values]
    assert "false discovery rate over 3 windows" in told(figure)
    check_layout(figure)


def test_relabelling_has_a_bar_of_its_own_and_each_test_its_question(many, windows, single):
    found = many.null.time.values[many.null.cluster_p_gain.values <= 0.05]
    assert 0.2 < found.min() < found.max() < 0.35
    for figure in (
        report.alignment_over_time(many.course, many.test, many.ceiling, many.null),
        report.course_page(many.course, many.test, many.ceiling, many.null),
    ):
        check_layout(figure)
        bars = {line.get_color(): line for line in figure.axes[1].lines if line.get_linewidth() == 4}
        assert set(bars) == {drawing.GAIN, courses.RELABELLED}
        ends = [1000 * found.min() - 10, 1000 * found.max() + 10]
        assert list(bars[courses.RELABELLED].get_xdata()) == pytest.approx(ends)
        said = " ".join(told(figure).split())
        assert "Black bar: p ≤ 0.05, stimuli relabelled alike for all subjects 29 times (pruned > full)" in said
        assert "Green bar: p ≤ 0.05, cluster-based" in said
        assert "asks whether other people would show the gain with these features and stimuli; relabelling," in said
    nothing = many.null.assign(cluster_p_gain=many.null.cluster_p_gain + 1)
    said = " ".join(told(report.alignment_over_time(many.course, many.test, None, nothing)).split())
    assert "No cluster with p ≤ 0.05 where stimuli relabelled" in said
    few = many.null.assign_attrs(n=9)
    assert "so no p can be below 0.1" in told(report.alignment_over_time(many.course, many.test, None, few))
    figure = report.alignment_over_time(windows.course, windows.test, None, windows.null)
    shown = [text.get_text() for text in figure.axes[1].texts]
    assert shown[3:] == [f"p = {p:.2g}" for p in windows.null.p_max_gain.values]
    check_layout(figure)
    figure = report.alignment_over_time(single.course, permutations=single.null)
    said = " ".join(told(figure).split())
    assert "It asks whether these features fit better than if dealt to other stimuli." in said
    assert "not tested" not in said
    check_layout(figure)
    with pytest.raises(ValueError, match="permutations must be of the course's times, got others"):
        report.alignment_over_time(many.course, many.test, None, many.null.isel(time=slice(3)))


def test_relabelling_in_tables(many, single):
    text = " ".join(report.course_text(many.course, many.test, many.null).split())
    found = 1000 * many.null.time.values[many.null.cluster_p_gain.values <= 0.05]
    assert f"gain {found.min():g}–{found.max():g} ms (p = " in text
    assert f"least p over time {float(many.null.p_max_gain.min()):.2g}" in text
    assert "the test over subjects, whether other people would show the gain" in text
    assert "other people" not in report.course_text(single.course, None, single.null)
    assert "relabelled" not in report.course_text(many.course, many.test)


def test_names_are_drawn_as_they_are(single):
    """A dollar is no mathematics: an odd one, or a wrong formula, would lose the picture."""
    course = single.course.assign_coords(subject=["$1^{2$_\\frac$"])
    course["time"].attrs["units"] = "$\\frac$"
    page = drawn(courses.course_page(course, title="Cost in $ and $x^$"))
    assert r"\$1^{2\$_\frac\$" in told(page)  # the backslashes are matplotlib's: they are not drawn
    for draw in (report.alignment_over_time, report.kept_over_time, report.selection_over_time):
        assert any(r"\$\frac\$" in axes.get_xlabel() for axes in drawn(draw(course)).axes)


def drawn(figure):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure).draw()
    return figure


def test_one_subject(single):
    figure = report.alignment_over_time(single.course)
    assert "One subject is not tested." in told(figure)
    np.testing.assert_allclose(
        lines(figure.axes[0])[drawing.PRUNED].get_ydata(), single.course.pruned_test.values[0].mean(axis=-1), atol=1e-12
    )
    check_layout(figure)
    page = report.course_page(single.course)
    check_layout(page)
    assert "subject 0" in told(page)


def test_samples_are_no_seconds():
    rng = np.random.default_rng(0)
    course = timecourse.prune(rng.normal(size=(18, 8)), 1 + rng.random((2, 5, 153)), cv=3, kind="dissimilarity")
    assert report.kept_over_time(course).axes[0].get_xlabel() == "time (sample)"
    check_layout(report.course_page(course))


def test_many_features_and_small_gains():
    rng = np.random.default_rng(0)
    course = timecourse.prune(
        rng.normal(size=(18, 1280)), 1 + rng.random((8, 5, 153)), cv=3, kind="dissimilarity",
        times=np.arange(5) * 0.1, generalise=True,
    )  # fmt: skip
    for name in ("full_test", "pruned_test"):
        course[name] = 0.05 * course[name]
    check_layout(report.alignment_over_time(course))
    check_layout(report.course_page(course, title="A title of very many words, " * 5))
    shown = told(report.selection_over_time(course))
    assert "100 of the 1280 features" in shown


# What is kept, and from one time to another


def test_kept(many):
    figure = report.kept_over_time(many.course)
    np.testing.assert_allclose(lines(figure.axes[0])[drawing.PRUNED].get_ydata(), many.test.n_kept, rtol=1e-12)
    assert "of 40" in told(figure)
    check_layout(figure)


def test_selection_is_sorted(many):
    figure = report.selection_over_time(many.course)
    (image,) = figure.axes[0].collections
    shown = image.get_array().reshape(-1, len(TIMES))
    means = shown.mean(axis=1)
    assert (np.diff(means) <= 1e-7).all()
    share = many.course.selection.values.mean(axis=0)
    ever = (share > 0).any(axis=0)
    assert len(shown) == ever.sum()
    np.testing.assert_allclose(np.sort(share[:, ever].mean(axis=0))[::-1], means, atol=1e-6)
    check_layout(figure)
    few = report.selection_over_time(many.course, most=7)
    assert f"7 of the {ever.sum()} features" in told(few)
    with pytest.raises(ValueError, match="most must be an integer of at least 1, got 0"):
        report.selection_over_time(many.course, most=0)


def test_generalisation(many, windows):
    figure = report.generalisation(many.course)
    image = figure.axes[0].collections[0]
    expected = many.course.generalisation_pruned.mean(("subject", "fold"))
    np.testing.assert_allclose(image.get_array().reshape(expected.shape), expected.transpose("time", "time_scored"))
    low, high = image.get_clim()
    assert low == -high  # zero has the colour of nothing
    gain = figure.axes[2].collections[0].get_array().reshape(expected.shape)
    np.testing.assert_allclose(np.diag(gain), many.test.gain, atol=1e-12)  # the same time is what the course says
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == ("scored at (ms)", "features chosen at (ms)")
    check_layout(figure)
    check_layout(report.generalisation(windows.course))
    with pytest.raises(ValueError, match="prune with generalise=True"):
        report.generalisation(many.course.drop_vars("generalisation_pruned"))


# The page


def test_pages(many, windows):
    for study in (many, windows):
        page = report.course_page(study.course, study.test, study.ceiling, title="MEG of six")
        check_layout(page)
        assert "MEG of six" in told(page)
        assert "6 subjects · " in told(page)
    without = report.course_page(many.course.drop_vars(["generalisation_full", "generalisation_pruned"]))
    check_layout(without)
    assert len(without.axes) < len(page.axes)


def test_what_is_synthetic_says_so(many):
    made_up = many.course.assign_attrs(synthetic="true")
    for draw in (
        report.alignment_over_time,
        report.kept_over_time,
        report.selection_over_time,
        report.generalisation,
        report.course_page,
    ):
        assert "Synthetic recording: " in told(draw(made_up))
        assert "ynthetic" not in told(draw(many.course))
    assert report.course_markdown(made_up, title="MEG").startswith("# Synthetic recording: MEG\n")


def test_other_times_are_refused(many):
    for name in ("test", "ceiling"):
        with pytest.raises(ValueError, match=f"{name} must be of the course's times, got others"):
            report.alignment_over_time(many.course, **{name: getattr(many, name).isel(time=slice(3))})


def test_one_time_point_is_seen(many):
    course, at = many.course.isel(time=[18], time_scored=[18]), 1000 * TIMES[18]
    figure = courses.course_page(course, timecourse.group_test(course), many.ceiling.isel(time=[18]))
    check_layout(figure)
    alignment, gain, kept = figure.axes[:3]
    for axes, count in ((alignment, 2), (gain, 1), (kept, 1)):
        points = [line for line in axes.lines if line.get_marker() == "o"]
        assert [line.get_xdata().tolist() for line in points] == [[at]] * count
    assert alignment.patches  # the ceiling
    assert "1 time point ·" in told(figure)


def test_a_p_that_can_t_be_reached_is_said(many):
    course = many.course.isel(subject=slice(4))
    test = timecourse.group_test(course)
    said = "all 15 sign flips, so no p can be below 0.062"
    assert said in told(courses.alignment_over_time(course, test))
    assert said in " ".join(report.course_text(course, test).split())
    assert "no p can be" not in told(courses.alignment_over_time(many.course, many.test))


# Tables and the folder


def test_table_of_clusters(many):
    text = report.course_text(many.course, many.test)
    found = many.test.time.values[many.test.cluster_p.values <= 0.05]
    row = next(line for line in text.splitlines() if f"{1000 * found.min():g}–{1000 * found.max():g}" in line).split()
    best = many.test.gain.values.argmax()
    assert row[2:] == [
        "0.016",
        f"{1000 * TIMES[best]:g}",
        f"{float(many.test.full[best]):.3f}",
        f"{float(many.test.pruned[best]):.3f}",
        f"{float(many.test.gain[best]):+.3f}",
        f"{float(many.test.n_kept[best]):.1f}",
    ]
    assert max(map(len, text.splitlines())) <= 80


def test_table_of_windows_and_of_one_subject(windows, single):
    table = report.course_markdown(windows.course, windows.test)
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| ")][2:]
    assert [row[0] for row in rows] == ["| 170–190", "| 250–290", "| 400–450"]
    assert [row[6] for row in rows] == [f"{p:.2g}" for p in windows.test.p.values]
    text = report.course_text(single.course)
    assert "looked for, so it is no estimate" in " ".join(text.split())


def test_what_has_no_score_is_counted(many):
    course = many.course.copy(deep=True)
    course.pruned_test.values[2, 3, 1] = course.full_test.values[0, 0, 0] = np.nan
    total = course.pruned_test.size
    assert f"2 of {total} held-out scores are undefined and left out" in " ".join(report.course_text(course).split())
    assert "are undefined" not in report.course_text(many.course)


def test_folder(many, tmp_path):
    files = report.write_course(
        tmp_path / "out", many.course, many.test, many.ceiling, many.null, title="T", settings={"command": ["x"]}
    )
    assert sorted(f.name for f in files) == sorted([*folder_module.COURSE_CONTENTS, *REPORT])
    assert sorted(f.name for f in files) == sorted(p.name for p in (tmp_path / "out").iterdir())
    told = check_dictionary(tmp_path / "out")
    assert "over subjects" in told["summary.csv"]["columns"]["t"]
    with xarray.open_dataset(tmp_path / "out" / "course.nc", engine="h5netcdf") as back:
        xarray.testing.assert_equal(back.load(), many.course)
    with xarray.open_dataset(tmp_path / "out" / "group.nc", engine="h5netcdf") as back:
        np.testing.assert_array_equal(back.ceiling_upper, many.ceiling.upper)
        np.testing.assert_array_equal(back.cluster, many.test.cluster)
        np.testing.assert_array_equal(back.permutation_gain, many.null.gain)
        np.testing.assert_array_equal(back.permutation_cluster_p_pruned, many.null.cluster_p_pruned)
        assert (back.attrs["flips"], back.attrs["permutation_n"]) == (63, 29)
    written = " ".join((tmp_path / "out" / "summary.md").read_text(encoding="utf-8").split())
    assert "Stimuli relabelled alike for all subjects, 29 times" in written
    table = pandas.read_csv(tmp_path / "out" / "summary.csv")
    np.testing.assert_allclose(table.time_s, TIMES)
    np.testing.assert_allclose(table.permutation_p_max_gain, many.null.p_max_gain, rtol=1e-12)
    np.testing.assert_allclose(table.p, many.test.p, rtol=1e-12)
    np.testing.assert_allclose(table.ceiling_lower, many.ceiling.lower, rtol=1e-12)
    kept = pandas.read_csv(tmp_path / "out" / "kept_features.csv")
    share = many.course.selection.mean("subject")
    assert kept.mean_share[0] == pytest.approx(float(share.mean("time").max()), rel=1e-6)
    first = share.sel(feature=kept.feature[0]).values
    assert kept.most_at_s[0] == TIMES[first.argmax()]
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert settings["program"] == "secateur"
    assert settings["inputs_sha256"] == many.course.attrs["inputs_sha256"]
    for name in folder_module.PICTURES:
        assert (tmp_path / "out" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (tmp_path / "out" / f"{name}.svg").read_text(encoding="utf-8")[:1000]


def test_a_folder_that_can_t_be_written_is_found_first(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(folder_module.os, "access", lambda path, mode: asked.append(path))
    (tmp_path / "there").mkdir()
    for place in ("there", "new", "new/deep"):
        with pytest.raises(PermissionError, match=f"in a folder that can be written, got .*{place}' in '{tmp_path}'"):
            folder_module.check_destination(tmp_path / place)
    assert asked == [tmp_path] * 3


def test_folder_is_whole_or_absent(single, tmp_path, monkeypatch):
    monkeypatch.setattr(courses, "course_page", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        report.write_course(tmp_path / "deep" / "out", single.course)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    report.write_course(tmp_path / "out", single.course)
    before = sorted(p.name for p in (tmp_path / "out").iterdir())
    pictures = {name: (tmp_path / "out" / name).read_bytes() for name in before if name.endswith(("svg", "png"))}
    assert "group.nc" not in before
    with pytest.raises(FileExistsError, match="unless overwrite is given"):
        report.write_course(tmp_path / "out", single.course)
    report.write_course(tmp_path / "out", single.course, overwrite=True)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == before
    assert len(pictures) == 8
    for name, held in pictures.items():
        assert (tmp_path / "out" / name).read_bytes() == held, name
