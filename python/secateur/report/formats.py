"""Files of a results folder: netCDF, CSV, settings, notes, pictures."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import xarray

from ..provenance import versions
from .drawing import Figure

__all__ = [
    "SETTINGS",
    "keep_notes",
    "plain_value",
    "save_figure",
    "write_matlab",
    "write_netcdf",
    "write_settings",
    "write_table",
]

SETTINGS = "settings.json"


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


def write_settings(draft: Path, attrs: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    content = {**versions(), **{name: plain_value(value) for name, value in attrs.items()}, **settings}
    keep_notes(draft, settings.get("notes", ()))
    (draft / SETTINGS).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def keep_notes(draft: Path, notes: Sequence[str]) -> None:
    """Add to the page of tables, if there is one, how the inputs were read and laid against one another."""
    page = draft / "summary.md"
    if notes and page.exists():
        words = "\n".join(f"- {note}." for note in notes)
        text = page.read_text(encoding="utf-8").rstrip("\n")
        page.write_text(f"{text}\n\n## Inputs\n\n{words}\n", encoding="utf-8", newline="\n")


def plain_value(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def write_matlab(path: Path, arrays: Mapping[str, Any]) -> None:
    """Arrays by name as a MATLAB file (v5), by way of memory, so that a full disk is said as elsewhere."""
    import scipy.io

    content = io.BytesIO()
    scipy.io.savemat(content, dict(arrays), do_compression=True)
    path.write_bytes(content.getbuffer())


def save_figure(figure: Figure, stem: Path) -> None:
    """A figure as .png and .svg, the same bytes whenever the picture is the same."""
    import matplotlib

    figure.savefig(stem.with_suffix(".png"), dpi=200, metadata={"Software": None})
    with matplotlib.rc_context({"svg.hashsalt": "secateur"}):  # ids of parts of the picture are drawn from it
        figure.savefig(stem.with_suffix(".svg"), metadata={"Date": None})
