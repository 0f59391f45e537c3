"""Pictures of a time course: alignment and its gain, what is kept, and from one time to another.

Every function draws one figure; :func:`course_page` puts them all on one A4 page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from textwrap import wrap
from typing import Any, TypeAlias

import numpy as np
import xarray

from ..arguments import check_integer
from ..features import Matrix
from ..timecourse.group import by_subject, group_test, mean_sem
from . import drawing
from .drawing import Axes, Figure
from .results import run_facts

__all__ = [
    "CEILING", "RELABELLED", "SIDES", "Clock", "Given", "alignment_over_time", "clock_of", "course_page", "facts",
    "flips_words", "generalisation", "kept_over_time", "selection_over_time", "spans_of", "subjects_words",
    "synthetic_title", "test_words",
]  # fmt: skip

CEILING = "#C8C8C8"
RELABELLED = "#000000"
Given: TypeAlias = "xarray.Dataset | None"
SIDES = {"greater": "pruned > full", "less": "pruned < full", "two-sided": "two-sided"}


@dataclass(frozen=True)
class Clock:
    """The times of a course in the units of the axis, and how wide each is."""

    at: Matrix
    half: Matrix
    label: str
    windows: bool

    @property
    def points(self) -> bool:
        """Whether times are drawn as points: a line through one would not be seen."""
        return self.windows or len(self.at) == 1

    @property
    def unit(self) -> str:
        """The unit alone, as in its label."""
        return self.label.split("(")[1].split(",")[0].rstrip(")")

    @property
    def names(self) -> list[str]:
        """From when to when each window is."""
        return [f"{at - half:g}–{at + half:g}" for at, half in zip(self.at, self.half, strict=True)]

    @property
    def edges(self) -> Matrix:
        """Where the cells of times in a picture begin and end; windows stand side by side."""
        if self.windows:
            return np.arange(len(self.at) + 1, dtype=np.float64) - 0.5
        middle = (self.at[1:] + self.at[:-1]) / 2
        return np.concatenate([[self.at[0] - self.half[0]], middle, [self.at[-1] + self.half[-1]]])

    @property
    def reach(self) -> tuple[float, float]:
        room = 0.04 * np.ptp(self.at) + self.half.max() if self.windows else 0.0
        return float((self.at - self.half).min() - room), float((self.at + self.half).max() + room)


def clock_of(course: xarray.Dataset) -> Clock:
    time = course["time"]
    seconds = str(time.attrs.get("units", "s")) in ("s", "sec", "second", "seconds")
    scale = 1000.0 if seconds else 1.0
    at = scale * time.values.astype(float)
    label = "time (ms, 0 = stimulus onset)" if seconds else f"time ({time.attrs['units']})"
    if "window_start" in course.coords:
        half = scale * (course["window_stop"].values - course["window_start"].values) / 2
        return Clock(at, half, label, True)
    step = float(np.median(np.diff(at))) if len(at) > 1 else 1.0
    return Clock(at, np.full(len(at), step / 2), label, False)


def _subjects_alone(course: xarray.Dataset) -> bool:
    """Whether subjects alone were left out: each has one choice, of all the others, on all stimuli."""
    return str(course.attrs.get("over")) == "subjects"


def subjects_words(course: xarray.Dataset) -> str:
    """How many subjects, and what a band is."""
    count = course.sizes["subject"]
    return f"mean ± SEM over {count} subjects" if count > 1 else "one subject, mean over folds"


def synthetic_title(course: xarray.Dataset, words: str) -> str:
    """A heading, which says so where the recording was made up."""
    if not course.attrs.get("synthetic"):
        return words
    return f"Synthetic recording: {words[0].lower() if words[1:2].islower() else words[0]}{words[1:]}"


def _checked(course: xarray.Dataset, test: Given, ceiling: Given, permutations: Given) -> Given:
    """The test over subjects, computed where it is not given; all that is given is of the course's times."""
    for name, one in (("test", test), ("permutations", permutations), ("ceiling", ceiling)):
        if one is not None and not np.array_equal(one["time"].values, course["time"].values):
            raise ValueError(f"{name} must be of the course's times, got others")
    return group_test(course) if test is None and course.sizes["subject"] > 1 else test


def _draw_course(
    axes: Axes, clock: Clock, values: Matrix, colour: str, label: str | None = None, each: bool = False
) -> None:
    """Mean over subjects with a band of its standard error; bars for windows. ``each``: and every subject, thin."""
    mean, sem = mean_sem(values)
    if each and len(values) > 1:
        ink: dict[str, Any] = {"color": colour, "linewidth": 0.5, "alpha": max(0.12, min(0.45, 5 / len(values)))}
        axes.plot(clock.at, values.T, ".-" if clock.points else "-", markersize=2, zorder=1, **ink)
    sem = np.nan_to_num(sem)
    if clock.points:
        wide = clock.half if clock.windows else None
        axes.errorbar(clock.at, mean, sem, wide, fmt="o", color=colour, markersize=4, linewidth=1.2, label=label)
        return
    axes.fill_between(clock.at, mean - sem, mean + sem, color=colour, alpha=0.22, linewidth=0)
    axes.plot(clock.at, mean, color=colour, linewidth=1.4, label=label)


def _dress_time(axes: Axes, clock: Clock, y: str, named: bool = True) -> None:
    drawing.dress(axes, clock.label if named else "", y)
    axes.yaxis.set_label_coords(-0.55 / (axes.bbox.width / axes.figure.dpi), 0.5)  # inches: labels line up
    axes.set_xlim(*clock.reach)
    if clock.reach[0] < 0 < clock.reach[1]:
        axes.axvline(0, color="black", linewidth=0.6, linestyle=":", zorder=0)
    if not named:
        axes.tick_params(labelbottom=False)


def _draw_alignment(
    axes: Axes, course: xarray.Dataset, ceiling: xarray.Dataset | None, named: bool, each: bool = False
) -> None:
    clock = clock_of(course)
    full, pruned, _ = by_subject(course)
    if ceiling is not None:
        low, high = ceiling["lower"].values, ceiling["upper"].values
        ink: dict[str, Any] = {"color": CEILING, "label": "noise ceiling", "zorder": 0, "linewidth": 0}
        if clock.points:
            axes.bar(clock.at, high - low, 2 * clock.half, low, **ink)
        else:
            axes.fill_between(clock.at, low, high, **ink)
    axes.axhline(0, color="black", linewidth=0.6)
    _draw_course(axes, clock, full, drawing.FULL, f"all {course.sizes['feature']} features", each)
    _draw_course(axes, clock, pruned, drawing.PRUNED, "pruned", each)
    _dress_time(axes, clock, f"held-out alignment\n({drawing.unit_of(course)})", named)
    drawing.legend_above(axes, 3)


def _draw_gain(axes: Axes, course: xarray.Dataset, test: Given, permutations: Given, each: bool = False) -> None:
    """Pruned - full, with bars below where a cluster is significant; for windows q and p of relabellings above each.

    ``each``: every subject, and dots below where q of the single time is at most alpha.
    """
    clock = clock_of(course)
    full, pruned, _ = by_subject(course)
    axes.axhline(0, color="black", linewidth=0.6)
    _draw_course(axes, clock, pruned - full, drawing.GAIN, each=each)
    _dress_time(axes, clock, f"gain\n({drawing.unit_of(course)})")
    tests = [(test, "", drawing.GAIN), (permutations, "_gain", RELABELLED)]
    drawn = [(one, suffix, colour) for one, suffix, colour in tests if one is not None]
    low, high = axes.get_ylim()
    height = high - low
    if clock.windows:
        axes.set_ylim(low, high + 0.2 * len(drawn) * height)
        for row, (one, suffix, colour) in enumerate(drawn):
            name = "p_max_gain" if suffix else "q"
            for x, value in zip(clock.at, one[name].values, strict=True):
                words = "–" if np.isnan(value) else f"{name[0]} = {value:.2g}"
                up = high + (0.05 + 0.2 * row) * height
                axes.text(x, up, words, fontsize=drawing.SMALL, color=colour, ha="center", va="bottom")
        return
    marked = [(spans, colour) for one, suffix, colour in drawn if (spans := spans_of(one, suffix))]
    dots = each and test is not None and bool(test["significant"].any())
    ticks = [tick for tick in axes.get_yticks() if low <= tick <= high]
    axes.set_ylim(low - (0.26 * len(marked) + 0.05 + 0.1 * dots) * height, high)
    axes.set_yticks(ticks)  # none beside the marks, which have no value
    axes.spines["left"].set_bounds(low, high)
    if dots and test is not None:
        found = clock.at[test["significant"].values]
        below = np.full(len(found), low - (0.26 * len(marked) + 0.06) * height)
        axes.plot(found, below, "s", color=drawing.GAIN, markersize=2.5, alpha=0.6)
    for row, (spans, colour) in enumerate(marked):
        for span, p in spans:
            left, right = clock.at[span[0]] - clock.half[span[0]], clock.at[span[-1]] + clock.half[span[-1]]
            y = low - (0.05 + 0.26 * row) * height
            axes.plot([left, right], [y, y], color=colour, linewidth=4, solid_capstyle="butt")
            at = (left + right) / 2, y - 0.06 * height
            axes.text(*at, f"p = {p:.2g}", fontsize=drawing.SMALL, color=colour, ha="center", va="top")


def spans_of(test: xarray.Dataset, suffix: str = "") -> list[tuple[Any, float]]:
    """Positions in time, and p, of the clusters that are significant at the test's alpha."""
    labels, p = test[f"cluster{suffix}"].values, test[f"cluster_p{suffix}"].values
    spans = [np.flatnonzero(labels == k) for k in range(1, int(labels.max(initial=0)) + 1)]
    return [(span, float(p[span[0]])) for span in spans if p[span[0]] <= test.attrs["alpha"]]


def test_words(course: xarray.Dataset, test: xarray.Dataset | None) -> str:
    """What marks the gain."""
    if test is None:
        return "One subject is not tested."
    side = SIDES[test.attrs["alternative"]]
    alpha, count = float(test.attrs["alpha"]), int(test.attrs["subjects"])
    if "window_start" in course.coords:
        return f"q: paired t over {count} subjects ({side}), false discovery rate over {test.sizes['time']} windows."
    flips = flips_words(test)
    found = "Bar:" if spans_of(test) else f"No cluster with p ≤ {alpha:g};"
    limit = f"p ≤ {alpha:g}, " if spans_of(test) else ""
    return f"{found} {limit}cluster-based permutation test over {count} subjects ({side}, {flips})."


def _tests_words(course: xarray.Dataset, test: xarray.Dataset | None, permutations: xarray.Dataset | None) -> list[str]:
    """What marks the gain and, where stimuli were relabelled too, which question each test answers."""
    if permutations is None:
        return [test_words(course, test)]
    alpha, n = float(permutations.attrs["alpha"]), int(permutations.attrs["n"])
    how = f"stimuli relabelled alike for all subjects {n} times ({SIDES[permutations.attrs['alternative']]})"
    how += f", so no p can be below {1 / (1 + n):.2g}" if 1 / (1 + n) > alpha else ""
    if "window_start" in permutations.coords:
        words = f"Black p: {how}, largest value over {permutations.sizes['time']} windows."
    elif spans_of(permutations, "_gain"):
        words = f"Black bar: p ≤ {alpha:g}, {how}, largest cluster."
    else:
        words = f"No cluster with p ≤ {alpha:g} where {how}."
    if test is None:
        return [f"{words} It asks whether these features fit better than if dealt to other stimuli."]
    return [
        re.sub("^Bar:", "Green bar:", test_words(course, test)),
        f"{words} The test over subjects asks whether other people would show the gain with these features and "
        "stimuli; relabelling, whether these features fit better than if dealt to other stimuli.",
    ]


def flips_words(test: xarray.Dataset) -> str:
    """How many sign flips there were, and whether they were too few to find anything."""
    flips, least = int(test.attrs["flips"]), 1 / (1 + int(test.attrs["flips"]))
    words = f"{'all ' if test.attrs['exact'] else ''}{flips} sign flips"
    return words + (f", so no p can be below {least:.2g}" if least > test.attrs["alpha"] else "")


def alignment_over_time(
    course: xarray.Dataset,
    test: xarray.Dataset | None = None,
    ceiling: xarray.Dataset | None = None,
    permutations: xarray.Dataset | None = None,
) -> Figure:
    """Held-out alignment over time, full and pruned, and the gain with the times where it is significant.

    Parameters
    ----------
    course : xarray.Dataset
        From :func:`secateur.timecourse.prune`.
    test : xarray.Dataset, optional
        From :func:`secateur.timecourse.group_test`; computed with its defaults where there are 2 subjects or more.
    ceiling : xarray.Dataset, optional
        From :func:`secateur.timecourse.noise_ceiling`, of the same folds.
    permutations : xarray.Dataset, optional
        From :func:`secateur.timecourse.permutation_test`: a second, black bar, and which question each test answers.

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    Tarigopula, Fairhall, Bavaresco, Truong & Hasson (2023), §3.2.2, for two windows.

    Examples
    --------
    >>> from secateur.timecourse import prune, rdm_movies, simulate
    >>> patterns, truth = simulate(18, subjects=3, sensors=20, times=np.arange(6) * 0.08, seed=1)
    >>> figure = alignment_over_time(prune(truth.X, rdm_movies(patterns), cv=3))
    >>> figure.axes[1].get_xlabel()
    'time (ms, 0 = stimulus onset)'
    """
    test = _checked(course, test, ceiling, permutations)
    notes = [_band_words(course, ceiling), *_tests_words(course, test, permutations)]
    more = 0.0 if permutations is None else 0.72  # inches, for the words below
    figure = drawing.blank_figure(6.4, 4.85 + more)
    upper = drawing.axes_at(figure, 0.95, 2.45 + more, 5.2, 1.7)
    lower = drawing.axes_at(figure, 0.95, 1.1 + more, 5.2, 1.15)
    _draw_alignment(upper, course, ceiling, named=False)
    _draw_gain(lower, course, test, permutations)
    drawing.heading(upper, synthetic_title(course, "Held-out alignment over time"), 20)
    _footnotes(figure, 0.2, notes)
    return figure


def _footnotes(figure: Figure, left: float, notes: list[str]) -> None:
    """Notes at the bottom, each from a new line, broken where the figure ends."""
    most = int(18 * (figure.get_size_inches()[0] - 2 * left))
    lines = [line for note in notes for line in wrap(note, most)]
    for below, line in enumerate(lines, start=1):
        drawing.write_note(figure, left, 0.09 + 0.145 * (len(lines) - below), line)


def _band_words(course: xarray.Dataset, ceiling: xarray.Dataset | None = None) -> str:
    """What lines and bands are."""
    points = clock_of(course).points
    drawn = "Point and vertical line" if points else "Line and band"
    if course.sizes["subject"] == 1:
        drawn = f"{'Point' if points else 'Line'}: mean over folds."
    else:
        drawn += f": {subjects_words(course)}."
    if ceiling is not None:
        drawn += " Grey: from the lower to the upper bound of what any model could reach for these subjects."
    return drawn


def _draw_kept(axes: Axes, course: xarray.Dataset) -> None:
    clock = clock_of(course)
    _draw_course(axes, clock, by_subject(course)[2], drawing.PRUNED)
    _dress_time(axes, clock, "features kept")
    axes.set_ylim(0, min(1.15 * axes.get_ylim()[1], course.sizes["feature"]))


def kept_over_time(course: xarray.Dataset) -> Figure:
    """How many features the pruning keeps at each time.

    Parameters
    ----------
    course : xarray.Dataset
        From :func:`secateur.timecourse.prune`.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from secateur.timecourse import prune, rdm_movies, simulate
    >>> patterns, truth = simulate(18, subjects=2, sensors=20, times=np.arange(6) * 0.08, seed=1)
    >>> kept_over_time(prune(truth.X, rdm_movies(patterns), cv=3)).axes[0].get_ylabel()
    'features kept'
    """
    figure = drawing.blank_figure(5.2, 3.0)
    axes = drawing.axes_at(figure, 0.8, 0.75, 4.2, 1.75)
    _draw_kept(axes, course)
    drawing.heading(axes, synthetic_title(course, f"Features kept, of {course.sizes['feature']}"), 8)
    _footnotes(figure, 0.2, [_band_words(course)])
    return figure


def _draw_selection(axes: Axes, course: xarray.Dataset, most: int) -> tuple[Any, str]:
    """The image, and what its rows are."""
    clock = clock_of(course)
    share = np.asarray(course["selection"].transpose("subject", "time", "feature").mean("subject").values, dtype=float)
    ever = np.flatnonzero((share > 0).any(axis=0))
    order = ever[np.argsort(-share[:, ever].mean(axis=0), kind="stable")][:most]
    edges = np.arange(len(order) + 1) + 0.5
    image = axes.pcolormesh(clock.edges, edges, share[:, order].T, cmap="viridis", vmin=0, vmax=1, rasterized=True)
    axes.invert_yaxis()
    shown = f"{len(order)} of the {len(ever)} features" if len(order) < len(ever) else f"the {len(ever)} features"
    drawing.dress(axes, "window (ms)" if clock.windows else clock.label, "features, most often kept first")
    axes.locator_params(axis="y", integer=True, nbins=6)
    if clock.windows:
        axes.set_xticks(range(len(clock.at)), clock.names)
    elif clock.reach[0] < 0 < clock.reach[1]:
        axes.axvline(0, color="white", linewidth=0.8, linestyle=":")
    by = "any choice" if _subjects_alone(course) else "any fold of any subject"
    return image, f"Rows: {shown} that {by} kept at any time"


def selection_over_time(course: xarray.Dataset, *, most: int = 100) -> Figure:
    """Which features are kept at each time: share of folds, averaged over subjects.

    Parameters
    ----------
    course : xarray.Dataset
        From :func:`secateur.timecourse.prune`.
    most : int
        How many features are shown, most often kept (over all times) first. Features never kept are not shown.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from secateur.timecourse import prune, rdm_movies, simulate
    >>> patterns, truth = simulate(18, subjects=2, sensors=20, times=np.arange(6) * 0.08, seed=1)
    >>> selection_over_time(prune(truth.X, rdm_movies(patterns), cv=3)).axes[0].get_ylabel()
    'features, most often kept first'
    """
    most = check_integer("most", most, 1)
    figure = drawing.blank_figure(5.2, 4.2)
    axes = drawing.axes_at(figure, 0.7, 0.8, 3.6, 2.9)
    image, words = _draw_selection(axes, course, most)
    drawing.draw_bar(figure, drawing.axes_at(figure, 4.45, 0.8, 0.09, 2.9), image, _share_label(course), "vertical")
    drawing.heading(axes, synthetic_title(course, "Features kept over time"), 8)
    _footnotes(figure, 0.2, [f"{words}."])
    return figure


def _share_label(course: xarray.Dataset) -> str:
    count = course.sizes["subject"]
    if _subjects_alone(course):
        return f"share of the {count} choices, one\nwithout each subject, that kept it"
    return "share of folds that kept it" + (f",\nmean of {count} subjects" if count > 1 else "")


def _generalisations(course: xarray.Dataset) -> tuple[Matrix, Matrix]:
    """(times, times scored): pruned alignment, and its gain over full; means over subjects and folds."""
    if "generalisation_pruned" not in course:
        raise ValueError("course must hold generalisation_pruned: prune with generalise=True, got none")
    order = ("subject", "fold", "time", "time_scored")
    full, pruned = (
        course[f"generalisation_{name}"].transpose(*order).values.reshape(-1, *[course.sizes["time"]] * 2)
        for name in ("full", "pruned")
    )
    return mean_sem(pruned)[0], mean_sem(pruned - full)[0]


def _draw_generalisation(figure: Figure, axes: Axes, bar: Axes, course: xarray.Dataset, gain: bool) -> None:
    clock = clock_of(course)
    values = _generalisations(course)[int(gain)]
    reach = float(np.nanmax(np.abs(values), initial=1e-12))
    edges = clock.edges
    image = axes.pcolormesh(edges, edges, values, cmap="PuOr_r", vmin=-reach, vmax=reach, rasterized=True)
    axes.set_aspect("equal")
    ends = (edges[0], edges[-1])
    axes.plot(ends, ends, color="black", linewidth=0.6, linestyle="--")
    drawing.dress(axes, f"scored at ({clock.unit})", f"features chosen at ({clock.unit})")
    axes.locator_params(nbins=5)
    if clock.windows:
        axes.set_xticks(range(len(clock.at)), clock.names)
        axes.set_yticks(range(len(clock.at)), clock.names)
    elif clock.reach[0] < 0 < clock.reach[1]:
        axes.axvline(0, color="black", linewidth=0.6, linestyle=":")
        axes.axhline(0, color="black", linewidth=0.6, linestyle=":")
    drawing.draw_bar(figure, bar, image, f"{'gain' if gain else 'alignment'} ({drawing.unit_of(course)})", "vertical")


def generalisation(course: xarray.Dataset) -> Figure:
    """From one time to another: features chosen at one time, scored at every time on the same held-out stimuli.

    Parameters
    ----------
    course : xarray.Dataset
        From :func:`secateur.timecourse.prune` with ``generalise=True``.

    Returns
    -------
    matplotlib.figure.Figure

    References
    ----------
    King & Dehaene (2014), Trends in Cognitive Sciences 18, 203-210.

    Examples
    --------
    >>> from secateur.timecourse import prune, rdm_movies, simulate
    >>> patterns, truth = simulate(18, subjects=2, sensors=20, times=np.arange(6) * 0.08, seed=1)
    >>> figure = generalisation(prune(truth.X, rdm_movies(patterns), cv=3, generalise=True))
    >>> figure.axes[0].get_xlabel()
    'scored at (ms)'
    """
    figure = drawing.blank_figure(8.0, 3.7)
    for column, (words, gain) in enumerate((("Pruned", False), ("Gain: pruned − full", True))):
        left = 0.8 + 3.9 * column
        axes = drawing.axes_at(figure, left, 0.75, 2.35, 2.35)
        bar = drawing.axes_at(figure, left + 2.47, 0.75, 0.08, 2.35)
        _draw_generalisation(figure, axes, bar, course, gain)
        axes.set_title(words, fontsize=drawing.NORMAL, loc="left", pad=4)
    drawing.write_title(figure, 0.2, 3.42, synthetic_title(course, "From one time to another"))
    _footnotes(figure, 0.2, [_generalisation_words(course)])
    return figure


def _generalisation_words(course: xarray.Dataset) -> str:
    count = course.sizes["subject"]
    over = f"{count} subjects and {course.sizes['fold']} folds" if count > 1 else f"{course.sizes['fold']} folds"
    return f"Mean over {over}, scored on stimuli left out of the choice; dashed: the same time."


def course_page(
    course: xarray.Dataset,
    test: xarray.Dataset | None = None,
    ceiling: xarray.Dataset | None = None,
    permutations: xarray.Dataset | None = None,
    *,
    title: str | None = None,
) -> Figure:
    """All pictures of a time course on one A4 page in landscape.

    Parameters
    ----------
    course : xarray.Dataset
        From :func:`secateur.timecourse.prune`; with ``generalise=True`` the page also shows from one time to another.
    test, ceiling, permutations : xarray.Dataset, optional
        As in :func:`alignment_over_time`.
    title : str, optional
        The page's heading.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from secateur.timecourse import prune, rdm_movies, simulate
    >>> patterns, truth = simulate(18, subjects=2, sensors=20, times=np.arange(6) * 0.08, seed=1)
    >>> figure = course_page(prune(truth.X, rdm_movies(patterns), cv=3))
    >>> figure.get_size_inches().tolist()
    [11.69, 8.27]
    """
    test = _checked(course, test, ceiling, permutations)
    heading = synthetic_title(course, title or "Pruning along a time course")
    figure, head = drawing.page_of(heading, 100, facts(course))
    left, wide = 0.45, 6.1
    upper, lower = drawing.axes_at(figure, 1.1, 5.35, wide, 1.6), drawing.axes_at(figure, 1.1, 4.05, wide, 1.1)
    _draw_alignment(upper, course, ceiling, named=False, each=True)
    _draw_gain(lower, course, test, permutations, each=True)
    head(left, 7.25, f"Held-out alignment: {subjects_words(course)}")
    kept = drawing.axes_at(figure, 8.35, 4.05, 3.0, 2.9)
    _draw_kept(kept, course)
    head(7.65, 7.25, f"Features kept, of {course.sizes['feature']}")
    both = "generalisation_pruned" in course
    lift = 0.15 * (test is not None) + 0.3 * (permutations is not None)  # inches, for the words below
    width, low, side = (3.55 if both else 9.0), 0.95 + lift, 2.1 - lift
    axes = drawing.axes_at(figure, 1.1, low, width, side)
    image, rows = _draw_selection(axes, course, 100)
    bar = drawing.axes_at(figure, 1.1 + width + 0.12, low, 0.08, side)
    drawing.draw_bar(figure, bar, image, _share_label(course), "vertical")
    head(left, low + side + 0.2, "Which features are kept")
    if both:
        for at, words, gain in ((6.15, "Chosen at one time, scored at another", False), (8.95, "Its gain", True)):
            wide = side - 0.3
            panel = drawing.axes_at(figure, at, low + 0.3, wide, wide)
            bar = drawing.axes_at(figure, at + wide + 0.08, low + 0.3, 0.07, wide)
            _draw_generalisation(figure, panel, bar, course, gain)
            if gain:
                panel.set_ylabel("")
                panel.set_yticklabels([])
            head(at - (0.1 if gain else 0.6), low + side + 0.2, words)
    notes = [_band_words(course, ceiling), *_tests_words(course, test, permutations)]
    if test is not None:
        notes[0] += " Thin: single subjects."
    if test is not None and not clock_of(course).windows:
        notes[1] += f" {_q_words(test)}"
    notes.append(f"C: {rows[0].lower()}{rows[1:]}.")
    if both:
        notes[-1] += f" D and E: {_generalisation_words(course)[0].lower()}{_generalisation_words(course)[1:]}"
    _footnotes(figure, left, notes)
    return figure


def _q_words(test: xarray.Dataset) -> str:
    """What single times show."""
    alpha, q = float(test.attrs["alpha"]), test["q"].values
    if test["significant"].any():
        return f"Squares: q ≤ {alpha:g} at that time (false discovery rate over times)."
    least = f"; least q = {float(np.nanmin(q)):.2g}" if np.isfinite(q).any() else ""
    return f"No time with q ≤ {alpha:g} (false discovery rate over times{least})."


def facts(course: xarray.Dataset) -> list[str]:
    """How a course was made, in a line."""
    attrs, count = course.attrs, course.sizes["subject"]
    names = course["subject"].values
    who = f"{count} subjects" if count > 1 else f"subject {drawing.shortened(str(names[0]), 20)}"
    what = "window" if "window_start" in course.coords else "time point"
    what += "" if course.sizes["time"] == 1 else "s"
    return [
        who, f"{course.sizes['time']} {what}", f"{course.sizes['stimulus']} stimuli",
        f"{course.sizes['feature']} features", f"{attrs['metric']} similarity", f"{attrs['search']} search",
        *run_facts(course),
    ]  # fmt: skip
