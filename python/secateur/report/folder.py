"""A results folder: pictures, tables and data in one place, written whole or not at all."""

from __future__ import annotations

import io
import json
import os
import re
import secrets
import shutil
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..features import read_features
from ..provenance import versions
from ..reading import can_be_stored
from ..timecourse.group import by_subject, mean_sem
from ..validation import kept_features, summary
from . import courses
from .spaces import _targets, page
from .tables import course_markdown, markdown

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure

SETTINGS = "settings.json"
CONTENTS = {
    "result.nc": "scores, kept features and curves of every fold (netCDF)",
    "permutations.nc": "the null (netCDF)",
    "kept_features.csv": "how often each feature was kept",
    "summary.csv": "full against pruned, one row a target",
    "summary.md": "the same as tables to read",
    "figures.png": "one page of pictures",
    "figures.pdf": "the same for print",
    SETTINGS: "command, versions, seeds, hashes of the input",
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
    "summary.csv": "the same, one row a time",
    "summary.md": "where pruning helps, as a table to read",
    "kept_features.csv": "how often each feature was kept, and when most",
    **{f"{name}.{kind}": what for name, what in PICTURES.items() for kind in ("png", "svg")},
    SETTINGS: "command, versions, seeds, hashes of the input",
}
NETWORK_CONTENTS = {
    "embedding.nc": "activations, images × features (netCDF)",
    "heatmaps.nc": "heatmaps in the network's view (netCDF)",
    "importance.nc": "alignment importance of the feature maps (netCDF)",
    "selection.nc": "scores, kept maps and curves of every fold (netCDF)",
    "saliency.nc": "precision, recall and relative risk of every image (netCDF)",
    "kept_features.csv": "how often each map was kept",
    "saliency.csv": "relative risk, mean and SD over images",
    "summary.csv": "all maps against the selected",
    "summary.md": "the same as tables to read",
    "images.png": "what the network saw",
    "heatmaps.png": "every image with its heatmap",
    "contours.png": "the warmest percents, outlined",
    "precision_recall.png": "heat predicted from saliency",
    "curves.png": "inserting maps by importance",
    "held_out.png": "all maps against the selected, on test images",
    SETTINGS: "command, versions, seeds, hashes of the input",
}
FILES = tuple(CONTENTS)
OURS = {*CONTENTS, *COURSE_CONTENTS, *NETWORK_CONTENTS}
MOST_PAGES = 12


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
            f"out must be a new or empty folder unless overwrite is given, got {str(folder)!r} with {_few(held)}"
        )
    if not _is_ours(place):
        raise FileExistsError(
            f"only an earlier Secateur result may be overwritten, got {str(folder)!r}, which has no {SETTINGS} of one"
        )
    strange = [name for name in held if name not in {*OURS, *files}]
    if strange:
        raise FileExistsError(
            f"only a folder that holds a Secateur result alone may be overwritten, got {str(folder)!r}, "
            f"which also holds {_few(strange)}"
        )
    return place


def _few(names: list[str]) -> str:
    return ", ".join(map(repr, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _is_ours(folder: Path) -> bool:
    """Whether a folder's settings say that this library wrote it."""
    try:
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(settings, dict) and settings.get("program") == "secateur"


def write(
    folder: str | os.PathLike[str],
    X: Any,
    target: Any,
    result: xarray.Dataset,
    permutations: xarray.Dataset | None = None,
    groups: Any = None,
    *,
    title: str | None = None,
    settings: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    seed: int = 0,
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

    Returns
    -------
    list of Path
        ``result.nc`` and ``permutations.nc`` (netCDF 4: ``xarray.open_dataset(..., engine="h5netcdf")``),
        ``kept_features.csv``, ``summary.csv``, ``summary.md``, ``figures.png`` (the first target),
        ``figures.pdf`` (a page for each of the first twelve targets), ``settings.json``.

    Raises
    ------
    FileExistsError
        Where something is there that may not be replaced.
    OSError
        Where the disk refuses.

    Examples
    --------
    >>> import tempfile, secateur as sc
    >>> X = np.random.default_rng(0).normal(size=(30, 20))
    >>> target = X[:, :4] @ X[:, :4].T
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     files = write(Path(parent) / "out", X, target, sc.cross_validate(X, target, cv=3))
    >>> files[0].name
    'result.nc'
    """

    def fill(draft: Path) -> None:
        _fill(draft, X, target, result, permutations, groups, title, settings or {}, seed)

    return _whole(folder, fill, CONTENTS, overwrite)


def _whole(
    folder: str | os.PathLike[str], fill: Callable[[Path], None], contents: Mapping[str, str], overwrite: bool
) -> list[Path]:
    """Fill a hidden folder, then put it in its place."""
    clear_leftovers(folder)
    place = check_destination(folder, overwrite, contents)
    made, held = _make_parents(place), None
    draft = place.parent / f".{place.name}-{_host()}-{os.getpid()}-{secrets.token_hex(4)}.partial"
    try:
        draft.mkdir()
        held = _lock(draft)
        fill(draft)
        names = [name for name in contents if (draft / name).exists()]
        check_destination(folder, overwrite, contents)  # the computation may have taken hours
        _swap(draft, place)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        for parent in made:
            if parent.is_dir() and not any(parent.iterdir()):
                parent.rmdir()
        raise
    finally:
        if held is not None:
            os.close(held)
    return [place / name for name in names]


def clear_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove what runs of this machine that were killed left beside a results folder.

    Where one was killed between its two renames, the earlier result is put back. Folders of other machines, which may
    share the disk, are left alone.

    Parameters
    ----------
    folder : path
        Where the results of this run go.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     clear_leftovers(Path(parent) / "out")
    """
    place = Path(folder).resolve()
    named = re.compile(rf"\.{re.escape(place.name)}-(?:{re.escape(_host())}-)?(\d+)-[0-9a-f]{{8}}\.(?:partial|old)")
    try:
        beside = sorted(place.parent.iterdir())
    except OSError:
        return
    for left in beside:
        found = named.fullmatch(left.name)
        if found is None or left.is_symlink() or not left.is_dir() or _runs(int(found[1])):
            continue
        free = _lock(left)
        if free is None:
            continue
        os.close(free)
        if left.suffix == ".old" and not place.exists():
            left.rename(place)
        else:
            shutil.rmtree(left, ignore_errors=True)


def _host() -> str:
    """This machine's name, as part of a file's name."""
    return re.sub(r"[^\w.]", "_", socket.gethostname())


def _lock(folder: Path) -> int | None:
    """A folder's lock, which goes with the process that holds it; None where it is held, or locks are not to be had."""
    try:
        import fcntl

        opened = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(opened)
        return None
    return opened


def _runs(pid: int) -> bool:
    """Whether a process of this machine lives; where that can't be asked, it is taken to."""
    if os.name != "posix" or pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)  # asks, and sends nothing
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def write_netcdf(
    path: Path, whole: xarray.Dataset | xarray.DataArray, groups: Mapping[str, xarray.Dataset] | None = None
) -> None:
    """Write a netCDF 4 file by way of memory: HDF5 itself crashes on a full disk, Python says so.

    Parameters
    ----------
    path : Path
        The file.
    whole : xarray.Dataset or xarray.DataArray
        Its root; of an array, the one variable, under its name.
    groups : mapping of str to xarray.Dataset, optional
        Its groups.

    Raises
    ------
    OSError
        Where the disk refuses.

    Examples
    --------
    >>> import tempfile, xarray
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     write_netcdf(Path(parent) / "a.nc", xarray.Dataset({"x": 1.5}))
    ...     float(xarray.load_dataset(Path(parent) / "a.nc", engine="h5netcdf").x)
    1.5
    """
    import h5netcdf
    import xarray
    from xarray.backends import H5NetCDFStore

    if isinstance(whole, xarray.DataArray):
        whole = whole.to_dataset(name=whole.name or "values")
    content = io.BytesIO()
    file = h5netcdf.File(content, "w")
    try:
        whole.dump_to_store(H5NetCDFStore(file))
        for name, one in (groups or {}).items():
            one.dump_to_store(H5NetCDFStore(file, group=name))
    finally:
        file.close()
    path.write_bytes(content.getbuffer())


# A spreadsheet takes a cell that begins so for a formula, and runs it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_table(path: Path, table: pandas.DataFrame, index: bool = False) -> None:
    """Write a CSV file that a spreadsheet reads as text: words that begin as formulas do get an apostrophe before them.

    Parameters
    ----------
    path : Path
        The file.
    table : pandas.DataFrame
        Numbers stay numbers, negative ones too.
    index : bool
        Whether the rows' names are written.

    Examples
    --------
    >>> import pandas, tempfile
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     write_table(Path(parent) / "a.csv", pandas.DataFrame({"feature": ["=1+1", "b"], "r": [-0.5, 0.5]}))
    ...     (Path(parent) / "a.csv").read_text().split()
    ['feature,r', "'=1+1,-0.5", 'b,0.5']
    """

    def plain(cell: Any) -> Any:
        return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell

    shown = table.rename(columns=plain, index=plain)
    for k, kind in enumerate(shown.dtypes):
        if kind.kind not in "fiub":
            shown.isetitem(k, [plain(cell) for cell in shown.iloc[:, k]])
    shown.to_csv(path, index=index, encoding="utf-8", lineterminator="\n")


def _make_parents(place: Path) -> list[Path]:
    """Make the parents that are missing; return them, innermost first."""
    missing = [p for p in place.parents if not p.exists()]
    place.parent.mkdir(parents=True, exist_ok=True)
    return missing


def _swap(draft: Path, place: Path) -> None:
    """Put the draft in its place. What was there is moved aside first, and back if that fails."""
    if not place.exists():
        draft.rename(place)
        return
    aside = draft.with_suffix(".old")
    try:
        place.rename(aside)
        draft.rename(place)
    except BaseException:
        if aside.exists() and not place.exists():
            aside.rename(place)
        raise
    finally:
        if aside.exists() and place.exists():
            shutil.rmtree(aside, ignore_errors=True)


def _fill(
    draft: Path,
    X: Any,
    target: Any,
    result: xarray.Dataset,
    permutations: xarray.Dataset | None,
    groups: Any,
    title: str | None,
    settings: Mapping[str, Any],
    seed: int,
) -> None:
    from matplotlib.backends.backend_pdf import PdfPages

    values = read_features(X).values
    targets = _targets(target, len(values), result)
    write_netcdf(draft / "result.nc", result)
    if permutations is not None:
        write_netcdf(draft / "permutations.nc", permutations)
    write_table(draft / "kept_features.csv", kept_features(result))
    write_table(draft / "summary.csv", tabled(result, permutations), index=True)
    (draft / "summary.md").write_text(markdown(result, permutations, title=title), encoding="utf-8")
    with PdfPages(draft / "figures.pdf", metadata={"Title": title or "Secateur"}) as pdf:
        for t in range(min(len(targets), MOST_PAGES)):
            figure = page(values, targets, result, permutations, groups, which=t, title=title, seed=seed)
            pdf.savefig(figure, dpi=200)
            if t == 0:
                figure.savefig(draft / "figures.png", dpi=200)
    write_settings(draft, {name: _plain(value) for name, value in result.attrs.items()}, settings)


def write_settings(draft: Path, attrs: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    told = {**versions(), **attrs, **settings}
    keep_notes(draft, settings.get("notes", ()))
    (draft / SETTINGS).write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def keep_notes(draft: Path, notes: Sequence[str]) -> None:
    """Add to the page of tables, if there is one, how the inputs were read and laid against one another."""
    page = draft / "summary.md"
    if notes and page.exists():
        words = "\n".join(f"- {note}." for note in notes)
        text = page.read_text(encoding="utf-8").rstrip("\n")
        page.write_text(f"{text}\n\n## Inputs\n\n{words}\n", encoding="utf-8", newline="\n")


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
        SVG, ``settings.json``.

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
        attrs = {name: _plain(value) for name, value in course.attrs.items() if name != "settings"}
        write_settings(draft, attrs, settings or {})

    return _whole(folder, fill, COURSE_CONTENTS, overwrite)


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
        a Figure (.png).
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
    ['summary.md', 'settings.json']
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
            elif file.suffix == ".md":
                file.write_text(what, encoding="utf-8")
            else:
                what.savefig(file, dpi=150)
        write_settings(draft, {}, settings or {})

    return _whole(folder, fill, NETWORK_CONTENTS, overwrite)


def _group(
    test: xarray.Dataset | None, ceiling: xarray.Dataset | None, permutations: xarray.Dataset | None
) -> xarray.Dataset | None:
    """Tests and noise ceiling in one Dataset."""
    parts = [] if test is None else [test]
    for name, part in (("ceiling", ceiling), ("permutation", permutations)):
        if part is not None:
            parts.append(part.rename({own: f"{name}_{own}" for own in part.data_vars}))
    if not parts:
        return None
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.merge(part)
    if permutations is not None:
        kept = ("n", "alpha", "alternative", "seed")
        whole = whole.assign_attrs({f"permutation_{name}": permutations.attrs[name] for name in kept})
    return whole


def course_table(
    course: xarray.Dataset,
    test: xarray.Dataset | None = None,
    ceiling: xarray.Dataset | None = None,
    permutations: xarray.Dataset | None = None,
) -> pandas.DataFrame:
    """One row a time: the group test, or the one subject's means over folds, with the noise ceiling beside it.

    Columns of times end in their unit: ``time_s``.
    """
    import pandas

    time = course["time"]
    unit = _time_unit(course)
    columns: dict[str, Any] = {f"time_{unit}": time.values}
    windows = [name for name in ("window_start", "window_stop") if name in course.coords]
    columns |= {f"{name}_{unit}": course[name].values for name in windows}
    if test is None:
        full, pruned, kept = (mean_sem(values)[0] for values in by_subject(course))
        columns |= {"full": full, "pruned": pruned, "gain": pruned - full, "n_kept": kept}
    else:
        columns |= {str(name): values.values for name, values in test.data_vars.items()}
    if ceiling is not None:
        columns |= {f"ceiling_{name}": ceiling[name].values for name in ("lower", "upper")}
    if permutations is not None:
        own = [str(name) for name, values in permutations.data_vars.items() if values.dims == ("time",)]
        columns |= {f"permutation_{name}": permutations[name].values for name in own}
    return pandas.DataFrame(columns)


def _time_unit(course: xarray.Dataset) -> str:
    """What columns of times end in: s, or what the movies say."""
    unit = str(course["time"].attrs.get("units", "s"))
    return "s" if unit in ("sec", "second", "seconds") else unit


def course_features(course: xarray.Dataset) -> pandas.DataFrame:
    """How often each feature is kept over folds, subjects and times, and at what time most; most often kept first."""
    import pandas

    share = course["selection"].transpose("subject", "time", "feature").mean("subject").values.astype(float)
    best = share.argmax(axis=0)
    table = pandas.DataFrame(
        {
            "feature": course["feature"].values,
            "mean_share": share.mean(axis=0),
            f"most_at_{_time_unit(course)}": course["time"].values[best],
            "share_then": share.max(axis=0),
        }
    )
    return table.sort_values("mean_share", ascending=False, kind="stable").reset_index(drop=True)


def tabled(result: xarray.Dataset, permutations: xarray.Dataset | None = None) -> pandas.DataFrame:
    """:func:`secateur.summary` with the permutation p-values beside it."""
    table = summary(result)
    if permutations is not None:
        for name in ("p_pruned_test", "p_gain"):
            table[name.replace("p_", "p_permutation_", 1)] = permutations[name].values
        table["permutations"] = permutations.sizes["permutation"]
    return table


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def save_figure(figure: Figure, stem: Path) -> None:
    """A figure as .png and .svg, the same bytes whenever the picture is the same."""
    import matplotlib

    figure.savefig(stem.with_suffix(".png"), dpi=200, metadata={"Software": None})
    with matplotlib.rc_context({"svg.hashsalt": "secateur"}):  # ids of parts of the picture are drawn from it
        figure.savefig(stem.with_suffix(".svg"), metadata={"Date": None})
