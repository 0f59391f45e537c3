"""What the pictures share: colours, sizes, axes, headings, groups of stimuli, numbers in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import xarray

from ..features import Matrix
from ..measures import label_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .._typing import LabelsLike
else:
    Axes = Figure = Any  # matplotlib is loaded by what draws

    from .._typing import LabelsLike

__all__ = [
    "A4", "FAINT", "FULL", "GAIN", "LARGE", "MARKERS", "NORMAL", "OKABE_ITO", "OTHER", "PRUNED", "SMALL", "Axes",
    "Figure", "Groups", "as_written", "axes_at", "bare", "blank_figure", "by_rows", "draw_bar", "draw_groups",
    "draw_points", "draw_strip", "drawn_name", "dress", "from_zero", "heading", "legend_above", "legend_columns",
    "legend_height", "mean_sd", "name_bars", "p_words", "page_of", "plus_minus", "read_groups", "say_none",
    "shortened", "signed", "trimmed", "unit_of", "whiskers", "write_note", "write_title", "write_words",
]  # fmt: skip

# Okabe & Ito's colour-blind-safe colours, yellow last: it is faint on white.
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#F0E442")
FULL, PRUNED, GAIN, FAINT, OTHER = "#0072B2", "#D55E00", "#00785A", "#9A9A9A", "#B5B5B5"
SMALL, NORMAL, LARGE = 7.0, 8.0, 9.0
A4 = (11.69, 8.27)
MARKERS = "osD^vPXp"  # of groups in maps, for eyes and printers without colours


@dataclass(frozen=True)
class Groups:
    """Groups of stimuli and their colours. Beyond eight groups the smaller ones share one grey."""

    names: tuple[str, ...]
    colours: tuple[str, ...]
    of: npt.NDArray[np.int64]

    @property
    def order(self) -> npt.NDArray[np.int64]:
        """Stimuli by group, in their own order within a group."""
        return np.argsort(self.of, kind="stable")

    @property
    def labels(self) -> list[str]:
        """Names with counts."""
        return [f"{drawn_name(name, 30)} ({int((self.of == g).sum())})" for g, name in enumerate(self.names)]


def read_groups(groups: LabelsLike | None, n: int) -> Groups | None:
    """Groups in order of appearance; None where there are none."""
    if groups is None:
        return None
    given = [str(g) for g in np.asarray(groups).ravel()]
    if len(given) != n:
        raise ValueError(f"groups must have one entry for each of {n} stimuli, got {len(given)}")
    names = list(dict.fromkeys(given))
    most = len(OKABE_ITO)
    if len(names) <= most:
        return Groups(tuple(names), OKABE_ITO[: len(names)], np.array([names.index(g) for g in given]))
    count = {name: given.count(name) for name in names}
    shown = sorted(sorted(names, key=lambda g: -count[g])[: most - 1], key=names.index)
    of = np.array([shown.index(g) if g in shown else most - 1 for g in given])
    return Groups((*shown, f"{len(names) - len(shown)} other groups"), (*OKABE_ITO[: most - 1], OTHER), of)


def unit_of(result: xarray.Dataset) -> str:
    partial = "partial " if result.attrs.get("controls") else ""
    return partial + label_of(str(result.attrs["comparator"]))


def trimmed(words: str, most: int) -> str:
    return words if len(words) <= most else words[: most - 1] + "…"


def shortened(words: str, most: int) -> str:
    """Cut in the middle: names of one kind often differ at their ends alone."""
    return words if len(words) <= most else words[: most // 2] + "…" + words[len(words) - (most - 1 - most // 2) :]


def as_written(words: str) -> str:
    """Words as matplotlib draws them letter by letter: between dollars it would read mathematics."""
    return re.sub(r"(?<!\\)\$", r"\\$", words)


def drawn_name(name: str, most: int) -> str:
    """A name for a picture: shortened, its dollars letters."""
    return as_written(shortened(name, most))


def signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "−")


def mean_sd(values: Matrix) -> tuple[float, float]:
    """Mean and SD (one degree of freedom lost) of what is not NaN."""
    values = values[~np.isnan(values)]
    nan = float("nan")
    return (float(values.mean()) if len(values) else nan, float(values.std(ddof=1)) if len(values) > 1 else nan)


def plus_minus(values: Matrix, digits: int) -> str:
    mean, sd = mean_sd(np.asarray(values, dtype=float))
    if np.isnan(mean):
        return "–"
    return f"{mean:.{digits}f}" + ("" if np.isnan(sd) else f" ± {sd:.{digits}f}")


def p_words(p: float, n: int) -> str:
    """A permutation p-value; the smallest that n relabellings can give is called so."""
    if np.isnan(p):
        return "p undefined"
    floor = " (least possible)" if p <= 1 / (1 + n) + 1e-12 else ""
    return f"p = {p:.2g}{floor}"


def blank_figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=150, facecolor="white")
    # Notebooks show what has this; a figure as it is they show only where pyplot was set up for them.
    vars(figure)["_repr_png_"] = partial(_png_of, figure)
    return figure


def _png_of(figure: Figure) -> bytes:
    content = BytesIO()
    figure.savefig(content, format="png", dpi=100)
    return content.getvalue()


def axes_at(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place given in inches."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def write_words(figure: Figure, left: float, bottom: float, words: str, size: float, **how: Any) -> None:
    """Words at a place given in inches."""
    across, up = figure.get_size_inches()
    figure.text(left / across, bottom / up, as_written(words), fontsize=size, **how)


def write_title(figure: Figure, left: float, bottom: float, words: str) -> None:
    """What a figure shows, or a part of a page."""
    write_words(figure, left, bottom, words, LARGE, fontweight="bold")


def write_note(figure: Figure, left: float, bottom: float, words: str) -> None:
    """What is to be known of a figure, below it."""
    write_words(figure, left, bottom, words, SMALL, color="#404040")


def page_of(heading: str, most: int, facts: list[str]) -> tuple[Figure, Callable[[float, float, str], None]]:
    """An A4 page with its heading, of at most so many letters, and what writes the titles of its parts, A, B, …"""
    figure, letters = blank_figure(*A4), iter("ABCDE")
    write_words(figure, 0.45, 7.83, trimmed(heading, most), 13, fontweight="bold")
    write_words(figure, 0.45, 7.59, " · ".join(facts), NORMAL, color="#404040")
    return figure, lambda at, bottom, words: write_title(figure, at, bottom, f"{next(letters)}   {words}")


def bare(axes: Axes) -> None:
    """Axes of a picture alone."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def name_bars(axes: Axes, labels: Sequence[str]) -> None:
    """Room for bars at 0, 1, …, and a label below each."""
    axes.set_xlim(-0.6, len(labels) - 0.4)
    axes.set_xticks(range(len(labels)), labels)


def draw_points(axes: Axes, at: float, values: Matrix, reach: float, size: float = 3, **how: Any) -> None:
    """Single values over their bar, side by side."""
    spots = at + np.linspace(-reach, reach, len(values)) if len(values) > 1 else np.array([at])
    ink: dict[str, Any] = {"color": "white", "markeredgecolor": "#404040", "markersize": size, "markeredgewidth": 0.6}
    axes.plot(spots, values, "o", **ink, **how)


def draw_strip(axes: Axes, place: tuple[float, float, float, float], of: Any, groups: Groups) -> None:
    """The colours of groups, along an edge of a picture."""
    from matplotlib.colors import ListedColormap

    strip, count = axes.inset_axes(place), len(groups.colours)
    colours = ListedColormap(list(groups.colours))
    strip.imshow(of, cmap=colours, aspect="auto", vmin=-0.5, vmax=count - 0.5, interpolation="nearest")
    bare(strip)
    strip.set_axis_off()


def dress(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(as_written(x), fontsize=NORMAL)
    axes.set_ylabel(as_written(y), fontsize=NORMAL)
    axes.tick_params(labelsize=SMALL, width=0.6, length=3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_linewidth(0.6)


def by_rows(entries: Sequence[Any], columns: int) -> list[Any]:
    """Entries of a legend in the order in which matplotlib, which goes down its columns, makes them read by rows."""
    return [one for first in range(min(columns, len(entries))) for one in entries[first::columns]]


def legend_above(axes: Axes, columns: int, **how: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        by_rows(handles, columns), by_rows(labels, columns),
        loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, frameon=False, fontsize=SMALL, borderaxespad=0.2,
        **{"handlelength": 1.6, "columnspacing": 1.2, "handletextpad": 0.5, **how},
    )  # fmt: skip


def heading(axes: Axes, words: str, above: float = 16) -> None:
    axes.set_title(as_written(words), loc="left", fontsize=LARGE, fontweight="bold", pad=above)


def whiskers(rows: Matrix) -> Matrix:
    """Where means ± SD of rows of scores end, and the scores: what an axis has to hold."""
    ends = [mean + side * sd for mean, sd in map(mean_sd, rows) if not np.isnan(sd) for side in (-1, 1)]
    return np.concatenate([np.ravel(rows), ends])


def say_none(axes: Axes, at: float) -> None:
    """Where a bar would stand that there is no value for."""
    ink: dict[str, Any] = {"fontsize": SMALL, "color": "#404040", "ha": "center", "va": "bottom", "rotation": 90}
    axes.annotate("none", (at, 0), (0, 2), textcoords="offset points", **ink)


def from_zero(axes: Axes, scores: Matrix) -> None:
    """An axis that holds zero: no alignment at all is where the eye should start."""
    scores = scores[np.isfinite(scores)]
    low, high = (float(scores.min()), float(scores.max())) if scores.size else (0.0, 1.0)
    room = 0.08 * (max(high, 0) - min(low, 0) or 1)
    axes.set_ylim(min(low - room, 0.0), max(high + room, 0.0))
    if low < 0:
        axes.axhline(0, color="black", linewidth=0.5)


def draw_bar(
    figure: Figure, axes: Axes, image: Any, label: str, at: Literal["horizontal", "vertical"] = "horizontal"
) -> None:
    bar = figure.colorbar(image, cax=axes, orientation=at)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=SMALL, width=0.6, length=2)
    bar.set_label(label, fontsize=SMALL)


def draw_groups(figure: Figure, groups: Groups | None, top: float, shapes: bool = False) -> None:
    """A legend of groups, centred, its top at this height in inches; by the shapes of maps, or squares."""
    from matplotlib.lines import Line2D

    if groups is None:
        return
    across, up = figure.get_size_inches()
    columns = legend_columns(groups, across)
    marked = zip(groups.colours, MARKERS if shapes else "s" * len(groups.colours))
    squares = [Line2D([], [], marker=shape, linestyle="", color=c, markersize=5) for c, shape in marked]
    legend = figure.legend(
        handles=by_rows(squares, columns),
        labels=[str(g) for g in range(len(groups.names))],
        loc="upper center", bbox_to_anchor=(0.5, top / up), ncols=columns, frameon=False,
        fontsize=NORMAL, borderaxespad=0, columnspacing=1.4, handletextpad=0.3,
    )  # fmt: skip
    for text, words in zip(legend.get_texts(), by_rows(groups.labels, columns), strict=True):
        text.set_text(words)  # a label that begins with _ would be left out


def legend_columns(groups: Groups, width: float) -> int:
    longest = max(map(len, groups.labels))
    return max(1, min(len(groups.names), int(width / (0.065 * longest + 0.42))))


def legend_height(groups: Groups | None, width: float) -> float:
    if groups is None:
        return 0.0
    return 0.19 * -(-len(groups.names) // legend_columns(groups, width)) + 0.1
