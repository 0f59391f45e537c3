"""A results folder: pictures, tables and data in one place, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import xarray

from ..arguments import quoted
from ..atomic import clear_leftovers, whole_folder
from ..features import Features, read_features
from ..reading import can_be_stored
from ..validation import kept_features
from . import courses, dictionary
from .answer import write_answer
from .contents import REPORT
from .formats import SETTINGS, save_figure, write_matlab, write_netcdf, write_settings, write_table
from .frames import course_features, course_table, tabled
from .heatmaps import contact_sheet
from .overview import overview
from .pages import page
from .results import consensus, targets_of
from .stimulus_maps import embedding
from .tables import course_markdown, markdown

if TYPE_CHECKING:
    from .._typing import HostEmbeddingLike, HostTargetLike, LabelsLike
    from ..measures import Metric

__all__ = [
    "CONTENTS", "COURSE_CONTENTS", "FILES", "MOST_PAGES", "NETWORK_CONTENTS", "OURS", "PICTURES",
    "check_destination", "write", "write_course", "write_folder", "write_network",
]  # fmt: skip
CONTENTS = {
    "result.nc": "scores, kept features and curves of every fold (netCDF)",
    "permutations.nc": "the null (netCDF)",
    **{name: what for name, what in dictionary.FILES.items() if name not in ("rdm_pruned.npy", dictionary.DICTIONARY)},
    "summary.csv": "full against pruned, one row per target",
    "summary.md": "the same as tables to read",
    "figures.png": "one page of pictures",
    "figures.pdf": "the same for print",
    dictionary.DICTIONARY: dictionary.FILES[dictionary.DICTIONARY],
    SETTINGS: "command, versions, seeds, hashes of the input",
}
SOMETIMES = {
    "overview.png": "every target, their mean, the test over them",
    "overview.svg": "the same for print",
    "images.png": "photographs of the stimuli",
    "maps.png": "the stimuli before and after pruning (MDS), by their photographs",
    "bootstrap.nc": "bootstrap draws and intervals (netCDF)",
    "rdm_pruned.npy": dictionary.FILES["rdm_pruned.npy"],
}
PICTURES = {
    "course": "one page of pictures",
    "alignment": "alignment and its gain over time",
    "kept": "how many features are kept over time",
    "selection": "which features are kept over time",
    "generalisation": "from one time to another",
}
COURSE_CONTENTS = {
    "course.nc": "scores and kept features of every subject, time and fold (netCDF)",
    "group.nc": "means, tests over subjects, noise ceiling (netCDF)",
    "summary.csv": "the same, one row per time",
    "summary.md": "where pruning helps, as a table to read",
    "kept_features.csv": "how often each feature was kept, and when most",
    **{f"{name}.{kind}": what for name, what in PICTURES.items() for kind in ("png", "svg")},
    dictionary.DICTIONARY: dictionary.FILES[dictionary.DICTIONARY],
    SETTINGS: "command, versions, seeds, hashes of the input",
}
NETWORK_CONTENTS = {
    "embedding.nc": "activations, images × features (netCDF)",
    "embedding.npy": "the same for numpy, without names",
    "embedding.csv": "the same as a table",
    "embedding.mat": "the same for MATLAB: X, stimuli, feature",
    "heatmaps.nc": "heatmaps in the network's view (netCDF)",
    "importance.nc": "alignment importance of the feature maps (netCDF)",
    "selection.nc": "scores, kept maps and curves of every fold (netCDF)",
    "saliency.nc": "precision, recall and relative risk of every image (netCDF)",
    "kept_features.csv": "how often each map was kept",
    "saliency.csv": "relative risk, mean and SD over images",
    "summary.csv": "all maps against the selected",
    "summary.md": "the same as tables to read",
    "images.png": "what the network saw",
    "best_images.png": "the images that drive the best features or maps, a row each",
    "heatmaps.png": "every image with its heatmap",
    "contours.png": "the warmest percents, outlined",
    "precision_recall.png": "heat predicted from saliency",
    "curves.png": "inserting maps by importance",
    "held_out.png": "all maps against the selected, on test images",
    dictionary.DICTIONARY: dictionary.FILES[dictionary.DICTIONARY],
    SETTINGS: "command, versions, seeds, hashes of the input",
}
FILES = tuple(CONTENTS)
OURS = {*CONTENTS, *SOMETIMES, *COURSE_CONTENTS, *NETWORK_CONTENTS, *REPORT}
MOST_PAGES = 50


def check_destination(folder: str | os.PathLike[str], overwrite: bool = False, files: Collection[str] = ()) -> Path:
    """Where a results folder may be written, checked before anything is computed.

    Parameters
    ----------
    folder : path
        It may not exist yet, or be empty.
    overwrite : bool
        Whether an earlier result there may be replaced: a folder with a ``settings.json`` of this library that
        holds only what the library writes.
    files : names
        What else the library may have written there.

    Returns
    -------
    Path
        The absolute path, links followed.

    Raises
    ------
    FileExistsError
        Where something is there that may not be replaced. Nothing is changed.
    PermissionError
        Where nothing may be written beside it.
    ValueError
        Where its name can't be stored.
    """
    if not can_be_stored(os.fspath(folder)):
        raise ValueError(f"out must have a name that is UTF-8 text, to be kept in the results, got {folder!a}")
    place = Path(folder).resolve()
    beside = next(p for p in place.parents if p.exists())
    if beside.is_dir() and not os.access(beside, os.W_OK):
        raise PermissionError(f"out must be in a folder that can be written, got {str(folder)!r} in {str(beside)!r}")
    if not place.exists():
        above = next(p for p in place.parents if p.exists())
        if not above.is_dir():
            raise FileExistsError(f"out must be a folder, got {str(folder)!r}, where {above.name!r} is a file")
        return place
    if not place.is_dir():
        raise FileExistsError(f"out must be a folder, got {str(folder)!r}, which is a file")
    if place == Path.cwd() or place in Path.cwd().parents:
        raise FileExistsError(f"out must not be the folder that the command runs in, got {str(folder)!r}")
    held = sorted(p.name for p in place.iterdir())
    if not held:
        return place
    if not overwrite:
        raise FileExistsError(
            f"out must be a new or empty folder unless overwrite is given, got {str(folder)!r} with {quoted(held)}"
        )
    if not _is_ours(place):
        raise FileExistsError(
            f"only an earlier Secateur result may be overwritten, got {str(folder)!r}, which has no {SETTINGS} of one"
        )
    strange = [name for name in held if dictionary.one_of_many(name) not in {*OURS, *files}]
    if strange:
        raise FileExistsError(
            f"only a folder that holds a Secateur result alone may be overwritten, got {str(folder)!r}, "
            f"which also holds {quoted(strange)}"
        )
    return place


def _is_ours(folder: Path) -> bool:
    """Whether a folder's settings say that this library wrote it."""
    try:
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(settings, dict) and settings.get("program") == "secateur"


def write(
    folder: str | os.PathLike[str],
    X: HostEmbeddingLike,
    target: HostTargetLike,
    result: xarray.Dataset,
    permutations: xarray.Dataset | None = None,
    groups: LabelsLike | None = None,
    *,
    title: str | None = None,
    settings: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    seed: int = 0,
    final: xarray.Dataset | None = None,
    bootstrap: xarray.Dataset | None = None,
    pictures: npt.ArrayLike | None = None,
) -> list[Path]:
    """Write a results folder, whole or not at all.

    Everything is written into a hidden folder beside it, which is then renamed. On any failure, and on Ctrl-C, the
    hidden folder is removed, and what was there before is there still.

    Parameters
    ----------
    folder : path
        A new or empty folder; its parents are made.
    X : array (n stimuli, d features)
        The embedding.
    target : any form that :func:`secateur.alignment` takes
        What the result was made with.
    result : xarray.Dataset
        From :func:`secateur.cross_validate`.
    permutations : xarray.Dataset, optional
        From :func:`secateur.permutation_test`.
    groups : array (n,), optional
        Order and colours in the pictures.
    title : str, optional
        Heading of the pictures and the table.
    settings : mapping, optional
        What else ``settings.json`` should hold: the command, the names and hashes of the input.
    overwrite : bool
        Whether an earlier result may be replaced.
    seed : int
        Of the maps.
    final : xarray.Dataset, optional
        From :func:`secateur.final_set`: *the* set, which is drawn and written as files of its own.
    bootstrap : xarray.Dataset, optional
        From :func:`secateur.bootstrap` over stimuli.
    pictures : array (n, y, x, 3) of uint8, optional
        Photographs of the stimuli, drawn in their places on the maps and on a sheet of their own.

    Returns
    -------
    list of Path
        ``result.nc`` and ``permutations.nc`` (netCDF 4: ``xarray.open_dataset(..., engine="h5netcdf")``),
        ``kept_features.csv``, ``summary.csv``, ``summary.md``, ``figures.png`` (the first target),
        ``figures.pdf`` (a page for each of the first fifty targets), ``settings.json``; of several targets
        ``overview.png`` and ``.svg``, which is the first page of ``figures.pdf``. With ``bootstrap`` also
        ``bootstrap.nc``; with ``pictures``, ``images.png`` and ``maps.png``. With ``final`` also
        ``final_set.nc``, ``features_pruned.csv`` and ``.npy``, ``rdm_pruned.csv`` (numbered, ``features_pruned_1.csv``,
        where targets have sets of their own), ``folds.csv``, ``test_folds.csv`` and ``curve.csv``. And
        ``data_dictionary.json``, which says what each file, column and variable holds, and the report of the run:
        ``report.html``, ``methods.md``, ``references.bib``.

    Raises
    ------
    FileExistsError
        Where something is there that may not be replaced.
    OSError
        Where the disk refuses.

    Examples
    --------
    >>> import tempfile, numpy as np, secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(30, 20))
    >>> target = X[:, :4] @ X[:, :4].T
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     files = write(Path(parent) / "out", X, target, sc.cross_validate(X, target, cv=3))
    >>> files[0].name
    'result.nc'
    """

    def fill(draft: Path) -> None:
        from matplotlib.backends.backend_pdf import PdfPages

        features = read_features(X)
        values = features.values
        targets = targets_of(target, features, result)
        write_netcdf(draft / "result.nc", result)
        if permutations is not None:
            write_netcdf(draft / "permutations.nc", permutations)
        if final is None:
            write_table(draft / "kept_features.csv", kept_features(result))
        else:
            write_answer(draft, features, result, final, groups)
        if bootstrap is not None:
            write_netcdf(draft / "bootstrap.nc", bootstrap)
        write_table(draft / "summary.csv", tabled(result, permutations, bootstrap), index=True)
        words = markdown(result, permutations, title=title, intervals=bootstrap)
        words += "" if final is None else f"\n{dictionary.WHICH_SET}\n"
        (draft / "summary.md").write_text(words, encoding="utf-8")
        with PdfPages(draft / "figures.pdf", metadata={"Title": title or "Secateur"}) as pdf:
            if len(targets) > 1:
                figure = overview(result, title=title)
                pdf.savefig(figure, dpi=200)
                save_figure(figure, draft / "overview")
            for t in range(min(len(targets), MOST_PAGES)):
                figure = page(
                    result, values, targets, permutations, groups, which=t, title=title, seed=seed, final=final,
                    pictures=pictures,
                )  # fmt: skip
                pdf.savefig(figure, dpi=200)
                if t == 0:
                    figure.savefig(draft / "figures.png", dpi=200)
        if pictures is not None:
            _draw_photographs(draft, features, result, final, groups, seed, pictures)
        write_settings(draft, result.attrs, settings or {})

    names = [str(name) for name in result["target"].values]
    said = {} if final is None else {"which_set": dictionary.WHICH_SET, "numbering": dictionary.NUMBERING}
    return write_folder(folder, fill, {**CONTENTS, **SOMETIMES}, overwrite, "pruning", names, said)


def _draw_photographs(
    draft: Path, features: Features, result: xarray.Dataset, final: xarray.Dataset | None, groups: LabelsLike | None,
    seed: int, pictures: npt.ArrayLike,
) -> None:  # fmt: skip
    """A sheet of the photographs of the stimuli, and the maps of the first target with them in their places."""
    names, shown = result["stimulus"].values.astype(str), np.asarray(pictures)
    sheet = xarray.DataArray(shown, {"image": names}, ("image", "y", "x", "channel"))
    contact_sheet(sheet, columns=10, title="Photographs of the stimuli").savefig(draft / "images.png", dpi=150)
    kept = consensus(result) if final is None else final["kept"].values[0]
    metric = cast("Metric", str(result.attrs["metric"]))
    figure = embedding(features, kept, groups, metric=metric, seed=seed, pictures=shown)
    figure.savefig(draft / "maps.png", dpi=200)


def write_folder(
    folder: str | os.PathLike[str], fill: Callable[[Path], None], contents: Mapping[str, str], overwrite: bool,
    context: str | None = None, targets: Sequence[str] = (), said: Mapping[str, str] | None = None,
) -> list[Path]:  # fmt: skip
    """Fill a hidden folder, add its dictionary and its report, then put it in its place; the files that are there.

    ``context``, ``targets``, ``said``: as :func:`secateur.report.dictionary.write_dictionary` takes them; without a
    context there is no dictionary.
    """
    from .document import write_report

    clear_leftovers(folder)
    place = check_destination(folder, overwrite, contents)
    with whole_folder(place) as draft:
        fill(draft)
        if context is not None:
            dictionary.write_dictionary(draft, contents, context, targets, said)
        write_report(draft, ours=True)
        numbered: dict[str, list[str]] = {}
        for file in sorted(draft.iterdir()):
            numbered.setdefault(dictionary.one_of_many(file.name), []).append(file.name)
        own = {**contents, dictionary.DICTIONARY: "", **REPORT}
        names = [file for name in own for file in numbered.get(name, ())]
        check_destination(folder, overwrite, contents)  # the computation may have taken hours
    return [place / name for name in names]


def write_course(
    folder: str | os.PathLike[str],
    course: xarray.Dataset,
    test: xarray.Dataset | None = None,
    ceiling: xarray.Dataset | None = None,
    permutations: xarray.Dataset | None = None,
    *,
    title: str | None = None,
    settings: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write a results folder of a time course, whole or not at all, as :func:`write` does.

    Parameters
    ----------
    folder : path
        A new or empty folder; its parents are made.
    course : xarray.Dataset
        From :func:`secateur.timecourse.prune`.
    test : xarray.Dataset, optional
        From :func:`secateur.timecourse.group_test`, where there are 2 subjects or more.
    ceiling : xarray.Dataset, optional
        From :func:`secateur.timecourse.noise_ceiling`.
    permutations : xarray.Dataset, optional
        From :func:`secateur.timecourse.permutation_test`.
    title : str, optional
        Heading of the page and the table.
    settings : mapping, optional
        What else ``settings.json`` should hold.
    overwrite : bool
        Whether an earlier result may be replaced.

    Returns
    -------
    list of Path
        ``course.nc``, ``group.nc``, ``summary.csv``, ``summary.md``, ``kept_features.csv``, the pictures as PNG and
        SVG, ``data_dictionary.json``, ``settings.json``, ``report.html``, ``methods.md``, ``references.bib``.

    Raises
    ------
    FileExistsError
        Where something is there that may not be replaced.
    OSError
        Where the disk refuses.

    Examples
    --------
    >>> import tempfile
    >>> from secateur.timecourse import prune, rdm_movies, simulate
    >>> patterns, truth = simulate(18, subjects=1, sensors=20, times=[0.1, 0.25, 0.3])
    >>> course = prune(truth.X, rdm_movies(patterns), cv=3)
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     files = write_course(Path(parent) / "out", course)
    >>> files[0].name
    'course.nc'
    """

    def fill(draft: Path) -> None:
        write_netcdf(draft / "course.nc", course)
        group = _group(test, ceiling, permutations)
        if group is not None:
            write_netcdf(draft / "group.nc", group)
        write_table(draft / "summary.csv", course_table(course, test, ceiling, permutations))
        words = course_markdown(course, test, permutations, title=title)
        (draft / "summary.md").write_text(words, encoding="utf-8")
        write_table(draft / "kept_features.csv", course_features(course))
        pictures = {
            "course": courses.course_page(course, test, ceiling, permutations, title=title),
            "alignment": courses.alignment_over_time(course, test, ceiling, permutations),
            "kept": courses.kept_over_time(course),
            "selection": courses.selection_over_time(course),
        }
        if "generalisation_pruned" in course:
            pictures["generalisation"] = courses.generalisation(course)
        for name, figure in pictures.items():
            save_figure(figure, draft / name)
        attrs = {name: value for name, value in course.attrs.items() if name != "settings"}
        write_settings(draft, attrs, settings or {})

    return write_folder(folder, fill, COURSE_CONTENTS, overwrite, "course")


def write_network(
    folder: str | os.PathLike[str],
    content: Mapping[str, Any],
    *,
    settings: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write a folder of what a network gave, whole or not at all, as :func:`write` does.

    Parameters
    ----------
    folder : path
        A new or empty folder; its parents are made.
    content : mapping
        File names of ``NETWORK_CONTENTS`` to what they hold: xarray objects (.nc), a DataFrame (.csv), text (.md),
        an array (.npy), arrays by name (.mat), a Figure (.png).
    settings : mapping, optional
        What ``settings.json`` should hold.
    overwrite : bool
        Whether an earlier result may be replaced.

    Returns
    -------
    list of Path

    Raises
    ------
    FileExistsError
        Where something is there that may not be replaced.
    ValueError
        Where a name is none of these.
    OSError
        Where the disk refuses.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     files = write_network(Path(parent) / "out", {"summary.md": "All is well."})
    >>> [file.name for file in files]
    ['summary.md', 'data_dictionary.json', 'settings.json', 'report.html', 'methods.md', 'references.bib']
    """
    strange = [name for name in content if name not in NETWORK_CONTENTS]
    if strange:
        raise ValueError(f"content must have names of {', '.join(NETWORK_CONTENTS)}, got {strange[0]!r}")

    def fill(draft: Path) -> None:
        for name, what in content.items():
            file = draft / name
            if file.suffix == ".nc":
                write_netcdf(file, what)
            elif file.suffix == ".csv":
                write_table(file, what)
            elif file.suffix == ".npy":
                np.save(file, what)
            elif file.suffix == ".mat":
                write_matlab(file, what)
            elif file.suffix == ".md":
                file.write_text(what, encoding="utf-8")
            else:
                what.savefig(file, dpi=150)
        write_settings(draft, {}, settings or {})

    return write_folder(folder, fill, NETWORK_CONTENTS, overwrite, "network")


def _group(test: courses.Given, ceiling: courses.Given, permutations: courses.Given) -> courses.Given:
    """Tests and noise ceiling in one Dataset."""
    parts = [] if test is None else [test]
    for name, part in (("ceiling", ceiling), ("permutation", permutations)):
        if part is not None:
            parts.append(part.rename({own: f"{name}_{own}" for own in part.data_vars}))
    if not parts:
        return None
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.merge(part, compat="no_conflicts")
    if permutations is not None:
        kept = ("n", "alpha", "alternative", "seed")
        whole = whole.assign_attrs({f"permutation_{name}": permutations.attrs[name] for name in kept})
    return whole
