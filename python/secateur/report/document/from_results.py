"""A report of results in memory, for a notebook."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray

from ...comparison import comparison_table
from ...validation import kept_features
from ..folder import write, write_course, write_folder
from ..formats import save_figure, write_netcdf, write_settings, write_table
from ..frames import tabled
from ..held_out_scores import comparison
from ..results import check_null
from ..tables import comparison_markdown, markdown
from .page import Page, report_of
from .run import read_run

if TYPE_CHECKING:
    from ..._typing import HostEmbeddingLike, HostTargetLike, LabelsLike

__all__ = ["html"]


def html(
    result: xarray.Dataset,
    permutations: xarray.Dataset | None = None,
    *,
    X: HostEmbeddingLike | None = None,
    target: HostTargetLike | None = None,
    groups: LabelsLike | None = None,
    test: xarray.Dataset | None = None,
    ceiling: xarray.Dataset | None = None,
    title: str | None = None,
    settings: Mapping[str, Any] | None = None,
    interactive: bool = False,
) -> Page:
    """The report of a result as one HTML page, as the commands write it into their folders.

    Parameters
    ----------
    result : xarray.Dataset
        From :func:`secateur.cross_validate`, :func:`secateur.feature_maps.select`, :func:`secateur.compare` or
        :func:`secateur.timecourse.prune`.
    permutations : xarray.Dataset, optional
        From the permutation test of the same name's module.
    X, target, groups : as in :func:`secateur.report.page`, optional
        With features and target, matrices and maps of the stimuli are drawn too (of :func:`secateur.cross_validate`).
    test, ceiling : xarray.Dataset, optional
        Of a time course: from :func:`secateur.timecourse.group_test` and ``noise_ceiling``.
    title : str, optional
        The heading.
    settings : mapping, optional
        What else is known of the run: ``inputs``, ``notes``, ``command``, as in ``settings.json``.
    interactive : bool
        Whether to add charts whose values show under the pointer (with Bokeh, the extra ``interactive``; the page
        then holds its script, about a megabyte).

    Returns
    -------
    Page
        A notebook shows it; ``save("report.html")`` writes it; ``text`` is the page, ``methods`` a paragraph for a
        paper, ``references`` its BibTeX.

    Raises
    ------
    ValueError
        Where result is none of these.
    ImportError
        Where interactive and Bokeh is not installed.

    Examples
    --------
    >>> import numpy as np, secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(30, 12))
    >>> page = html(sc.cross_validate(X, X[:, :4] @ X[:, :4].T, cv=3))
    >>> "<h2 id=\\"verdict-title\\">Verdict</h2>" in page.text
    True
    """
    dims, more = set(result.dims), dict(settings or {})
    with tempfile.TemporaryDirectory() as parent:
        out = Path(parent) / "run"
        if {"subject", "time", "fold"} <= dims:
            write_course(out, result, test, ceiling, permutations, title=title, settings=more)
        elif {"approach", "target", "fold"} <= dims:
            write_folder(out, _compared(result, title, more), {}, False)
        elif {"target", "fold", "feature"} <= dims and "pruned_test" in result:
            check_null(result, permutations)
            if X is not None and target is not None:
                write(out, X, target, result, permutations, groups, title=title, settings=more)
            else:
                write_folder(out, _validated(result, permutations, title, more), {}, False)
        else:
            raise ValueError(
                "result must be from cross_validate, feature_maps.select, compare or timecourse.prune, got a Dataset "
                f"with the dimensions {', '.join(map(str, result.dims)) or 'none'}"
            )
        return report_of(read_run(out, ours=True), links=False, interactive=interactive)


def _validated(
    result: xarray.Dataset, permutations: xarray.Dataset | None, title: str | None, settings: Mapping[str, Any]
) -> Callable[[Path], None]:
    def fill(draft: Path) -> None:
        maps = "network" in result.attrs
        write_netcdf(draft / ("selection.nc" if maps else "result.nc"), result)
        if permutations is not None:
            write_netcdf(draft / "permutations.nc", permutations)
        write_table(draft / "kept_features.csv", kept_features(result))
        write_table(draft / "summary.csv", tabled(result, permutations), index=True)
        words = title or "Pruning to a similarity space"
        (draft / "summary.md").write_text(markdown(result, permutations, title=words), encoding="utf-8")
        write_settings(draft, result.attrs, settings)

    return fill


def _compared(result: xarray.Dataset, title: str | None, settings: Mapping[str, Any]) -> Callable[[Path], None]:
    def fill(draft: Path) -> None:
        write_table(draft / "comparison.csv", comparison_table(result).reset_index())
        words = title or "Methods beside each other"
        (draft / "summary.md").write_text(comparison_markdown(result, title=words), encoding="utf-8")
        save_figure(comparison(result), draft / "comparison")
        attrs = {name: value.item() if hasattr(value, "item") else value for name, value in result.attrs.items()}
        own = {
            "methods": [str(name) for name in result["approach"].values],
            "permutations": int(result.sizes.get("permutation", 0)), "kind": attrs.get("kind"),
            "pruning": {name: attrs[name] for name in ("metric", "comparator", "search") if name in attrs},
            "folds": {name: attrs[name] for name in ("cv", "repeats", "seed") if name in attrs},
        }  # fmt: skip
        write_settings(draft, {}, {**settings, "settings": own})

    return fill
