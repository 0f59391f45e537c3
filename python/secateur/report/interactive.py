"""Charts whose values show under the pointer, drawn by Bokeh (the extra ``interactive``); the page holds its script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas
import xarray

from ..features import Matrix
from .drawing import FULL, GAIN, PRUNED, unit_of
from .results import by_importance, search_of, things_of

__all__ = ["course", "curves", "embedded", "features", "require_bokeh", "stimuli"]


def require_bokeh() -> None:
    """Refuse where Bokeh is not installed.

    Raises
    ------
    ImportError
        With how to install it.
    """
    try:
        import bokeh.plotting  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "interactive charts need Bokeh, which is not installed: pip install 'secateur[interactive]'"
        ) from error


def _chart(x: str, y: str, tips: Sequence[tuple[str, str]], **more: Any) -> Any:
    from bokeh.models import HoverTool
    from bokeh.plotting import figure

    chart = figure(
        height=380, sizing_mode="stretch_width", tools="pan,box_zoom,wheel_zoom,reset", active_drag=None,
        active_scroll=None, x_axis_label=x, y_axis_label=y, background_fill_color="#FFFFFF", **more,
    )  # fmt: skip
    chart.add_tools(HoverTool(tooltips=list(tips)))
    chart.toolbar.logo = None
    return chart


def _legend(chart: Any) -> Any:
    chart.add_layout(chart.legend[0], "above")
    chart.legend.orientation, chart.legend.click_policy = "horizontal", "hide"
    return chart


def course(table: pandas.DataFrame, unit: str, label: str) -> Any:
    """Held-out alignment over time: all features, kept ones, and the gain.

    Parameters
    ----------
    table : DataFrame
        One row per time, as ``summary.csv`` of a time course: the time first, then ``full``, ``pruned``, ``gain``,
        ``n_kept`` and, where there was a test, ``q``.
    unit, label : str
        Of the time, and of the alignment.

    Returns
    -------
    bokeh.plotting.figure
    """
    from bokeh.models import ColumnDataSource

    own = {"time": table.iloc[:, 0]} | {name: table[name] for name in ("full", "pruned", "gain", "n_kept")}
    tips = [("time", f"@time{{0.[000]}} {unit}"), ("full", "@full{0.000}"), ("pruned", "@pruned{0.000}"),
            ("gain", "@gain{+0.000}"), ("features kept", "@n_kept{0.0}")]  # fmt: skip
    if "q" in table:
        own, tips = own | {"q": table["q"]}, [*tips, ("q of the gain", "@q{0.0000}")]
    source = ColumnDataSource({name: np.asarray(column, dtype=float) for name, column in own.items()})
    chart = _chart(f"time ({unit})", f"held-out alignment ({label})", tips)
    for name, words, colour in (("full", "all features", FULL), ("pruned", "kept", PRUNED), ("gain", "gain", GAIN)):
        chart.line("time", name, source=source, color=colour, line_width=2, legend_label=words)
        chart.scatter("time", name, source=source, color=colour, size=5, legend_label=words)
    return _legend(chart)


def curves(result: xarray.Dataset, target: int) -> Any:
    """Training alignment against the number of features kept, one line per fold, its maximum marked.

    Parameters
    ----------
    result : xarray.Dataset
        With its curves, as for :func:`secateur.report.insertion_curves`.
    target : int
        Position of the target.

    Returns
    -------
    bokeh.plotting.figure
    """
    from bokeh.models import NumeralTickFormatter

    things, steps = things_of(result), np.arange(1, result.sizes["step"] + 1)
    tips = [("fold", "@fold"), (f"{things} kept", "@kept"), ("training alignment", "@alignment{0.0000}")]
    order = "most important first" if by_importance(result) else f"best sets of the {search_of(result)} search"
    order = f"{things} kept, {order} (of {result.sizes['feature']})"
    scale = "log" if len(steps) >= 100 else "linear"
    chart = _chart(order, f"training alignment ({unit_of(result)})", tips, x_axis_type=scale)
    chart.xaxis.formatter = NumeralTickFormatter(format="0")
    for f in range(result.sizes["fold"]):
        values = result["curve"].values[target, f]
        there = np.unique(np.round(np.geomspace(1, len(steps), 400)).astype(int)) - 1  # of what a screen shows
        there = there[np.isfinite(values[there])]
        own = {"kept": steps[there], "alignment": values[there], "fold": np.full(len(there), f + 1)}
        chart.line("kept", "alignment", source=own, color=FULL, line_alpha=0.6, legend_label="one fold")
        best, most = result["n_kept"].values[target, f], result["pruned_train"].values[target, f]
        own = {"kept": [best], "alignment": [most], "fold": [f + 1]}
        chart.scatter("kept", "alignment", source=own, color=PRUNED, size=8, legend_label="the kept set")
    return _legend(chart)


def stimuli(places: Matrix, names: Sequence[str], unit: str) -> Any:
    """A map of the stimuli (MDS) whose names show under the pointer.

    Parameters
    ----------
    places : array (n, 2)
        From :func:`secateur.scaling.mds`.
    names : sequence of str
        One per stimulus.
    unit : str
        Of the dissimilarity.

    Returns
    -------
    bokeh.plotting.figure
    """
    there = np.isfinite(places).all(axis=1)
    own = {"x": places[there, 0], "y": places[there, 1], "name": [str(names[int(i)]) for i in np.flatnonzero(there)]}
    chart = _chart(f"MDS 1 ({unit})", f"MDS 2 ({unit})", [("stimulus", "@name")], match_aspect=True, max_width=620)
    chart.height = 560
    chart.scatter("x", "y", source=own, color=PRUNED, size=8, alpha=0.7)
    return chart


def features(table: pandas.DataFrame, things: str) -> Any:
    """How often each feature was kept against how much it matters.

    Parameters
    ----------
    table : DataFrame
        One row per feature: ``feature``, ``frequency``, ``mean_importance``.
    things : str
        What they are called: features, feature maps, heads.

    Returns
    -------
    bokeh.plotting.figure
    """
    own = {name: table[name].to_numpy() for name in ("frequency", "mean_importance")}
    own["feature"] = table["feature"].astype(str).to_numpy()
    tips = [("name", "@feature"), ("importance", "@mean_importance{0.0000}"), ("kept in", "@frequency{0%} of folds")]
    chart = _chart("importance (mean over folds)", "share of folds that kept it", tips)
    chart.scatter("mean_importance", "frequency", source=own, color=FULL, size=7, alpha=0.5)
    chart.title.text = f"{len(table)} {things}"
    return chart


def embedded(charts: Sequence[Any]) -> tuple[str, list[str]]:
    """The script that a page with these charts needs, Bokeh's own in it, and each chart's place as HTML.

    Parameters
    ----------
    charts : sequence of bokeh.plotting.figure
        In the order of the places.

    Returns
    -------
    script : str
    places : list of str
    """
    from bokeh.embed import components
    from bokeh.resources import Resources

    script, places = components(tuple(charts))
    return Resources(mode="inline", components=["bokeh"]).render_js() + script, list(places)
