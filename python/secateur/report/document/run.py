"""A results folder as a report reads it: settings, tables, words, pictures; nothing else."""

from __future__ import annotations

import base64
import io
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas
import xarray

from ...reading import netcdf_dataset
from ..drawing import Figure
from ..formats import SETTINGS
from .parts import Picture

__all__ = ["Run", "picture_of", "read_run"]

SMALL = 320_000  # bytes of a picture that goes in as it is
WIDTH = 1500  # pixels that larger ones are brought to
MOST = 3_300_000  # bytes of all pictures of a page, which are a third more as text


@dataclass
class Run:
    """What a run wrote.

    Attributes
    ----------
    folder : Path
    settings : what ``settings.json`` holds
    names : the files that are there
    ours : whether this process wrote the folder, whose netCDF files then need no process of their own
    """

    folder: Path
    settings: dict[str, Any]
    names: tuple[str, ...]
    ours: bool = False
    left: int = field(default=MOST, repr=False)

    def dataset(self, name: str) -> xarray.Dataset | None:
        """A netCDF file, where it is there."""
        if name not in self.names:
            return None
        if self.ours:
            return xarray.load_dataset(self.folder / name, engine="h5netcdf")
        return netcdf_dataset(self.folder / name)

    def table(self, name: str) -> pandas.DataFrame | None:
        """A CSV file, where it is there."""
        if name not in self.names:
            return None
        return pandas.read_csv(self.folder / name)

    def text(self, name: str) -> str:
        """A text file; empty where it is not there."""
        return (self.folder / name).read_text(encoding="utf-8") if name in self.names else ""

    def picture(self, stem: str, alt: str, caption: str = "") -> list[Picture]:
        """A picture of the folder by its name without an ending, as one block or none."""
        found = [self.folder / f"{stem}.{end}" for end in ("svg", "png") if f"{stem}.{end}" in self.names]
        if not found:
            return []
        one = min(found, key=lambda path: (path.stat().st_size > SMALL, path.suffix == ".png"))
        return self._taken(*_fitting(one.read_bytes(), one.suffix == ".svg"), alt, caption or alt)

    def drawn(self, figure: Figure, alt: str, caption: str = "") -> list[Picture]:
        """A picture that is drawn now, as one block or none."""
        import matplotlib

        content = io.BytesIO()
        with matplotlib.rc_context({"svg.hashsalt": "secateur"}):
            figure.savefig(content, format="svg", metadata={"Date": None})
        return self._taken(*_fitting(content.getvalue(), True), alt, caption or alt)

    def _taken(self, content: bytes, kind: str, alt: str, caption: str) -> list[Picture]:
        if len(content) > self.left:  # the page would be too large: the file is beside it
            return []
        self.left -= len(content)
        return [picture_of(content, kind, alt, caption)]


def picture_of(content: bytes, kind: str, alt: str, caption: str) -> Picture:
    """A picture as a data address."""
    address = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return Picture(address, alt, caption, _inches(content, kind) > 6.5)


def _inches(content: bytes, kind: str) -> float:
    """How wide a picture was drawn, as its resolution says."""
    if kind == "svg+xml":
        found = re.search(rb'<svg[^>]* width="([\d.]+)pt"', content)
        return float(found[1]) / 72 if found else 0.0
    from PIL import Image

    with Image.open(io.BytesIO(content)) as opened:
        return float(opened.width / opened.info.get("dpi", (150, 150))[0])


def _fitting(content: bytes, vector: bool) -> tuple[bytes, str]:
    """A picture that a page can hold, and its kind: large ones are made smaller, in fewer colours if that does it."""
    if vector:
        return content, "svg+xml"
    if len(content) <= SMALL:
        return content, "png"
    from PIL import Image

    with Image.open(io.BytesIO(content)) as opened:
        image, dots = opened.convert("RGB"), opened.info.get("dpi", (150, 150))[0]
    if image.width > WIDTH:
        dots *= WIDTH / image.width
        image = image.resize((WIDTH, round(image.height * WIDTH / image.width)), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=82, optimize=True, dpi=(round(dots), round(dots)))
    return out.getvalue(), "jpeg"


def read_run(folder: str | os.PathLike[str], *, ours: bool = False) -> Run:
    """A results folder of this library.

    Parameters
    ----------
    folder : path
        It holds a ``settings.json`` that this library wrote.
    ours : bool
        Whether this process has just written it.

    Returns
    -------
    Run

    Raises
    ------
    ValueError
        Where it is no such folder.
    """
    place = Path(folder)
    try:
        settings = json.loads((place / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"FOLDER must be a results folder of Secateur, got {str(folder)!r}, which has no {SETTINGS} that can be "
            "read"
        ) from error
    if not isinstance(settings, dict) or settings.get("program") != "secateur":
        raise ValueError(
            f"FOLDER must be a results folder of Secateur, got {str(folder)!r}, whose {SETTINGS} is of another program"
        )
    return Run(place, settings, tuple(sorted(path.name for path in place.iterdir() if path.is_file())), ours)
