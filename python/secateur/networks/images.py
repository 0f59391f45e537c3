"""Every accepted form of a set of images -> names, categories, and PIL images in RGB, one at a time."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..provenance import digest
from ..reading import LIFT, can_be_stored, current

if TYPE_CHECKING:
    import PIL.Image
    from numpy.typing import NDArray

    from .._typing import ImagesLike, NamesLike

__all__ = ["SUFFIXES", "Images", "natural", "read_images"]

_unlimited = threading.Lock()
SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")


@dataclass(frozen=True, eq=False)
class Images(Sequence[Any]):
    """Images in their order; ``images[i]`` is a PIL image in RGB, read when it is asked for.

    Attributes
    ----------
    names : tuple of str
        Distinct: of a file its stem, behind its sub-folder where there are some ("cat/001"); otherwise the number.
    categories : tuple of str or None
        The sub-folder of each.
    notes : tuple of str
        What was converted or left out, a sentence each.
    named : bool
        The names are more than numbers.
    """

    names: tuple[str, ...]
    categories: tuple[str, ...] | None
    notes: tuple[str, ...]
    sources: tuple[Any, ...] = field(repr=False)
    named: bool = True

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, i: Any) -> Any:  # of a Sequence[Any]: PIL is loaded late
        if isinstance(i, slice):
            raise TypeError("images must be asked for one at a time, got a slice")
        source = self.sources[i]
        if not isinstance(source, Path):
            return _to_rgb(source)
        with _opened(source) as image:
            return _to_rgb(image)

    def digest(self, i: int) -> str:
        """SHA-256 of an image: the bytes of its file, or its pixels in RGB.

        Parameters
        ----------
        i : int
            Which.

        Returns
        -------
        str
            64 hexadecimal digits.
        """
        source = self.sources[i]
        if isinstance(source, Path):
            return digest(source.read_bytes())
        image = self[i]  # in RGB: the same indices may stand for other colours
        return digest(f"{image.size}", image.tobytes())

    def digest_of_all(self) -> str:
        """SHA-256 of all images, in order: of their digests.

        Returns
        -------
        str
            64 hexadecimal digits.
        """
        return digest(*(self.digest(i) for i in range(len(self))))

    def thumbnails(self, chosen: Iterable[int] | None = None, side: int = 96) -> NDArray[np.uint8]:
        """The images, or some of them, cut square and made small.

        Parameters
        ----------
        chosen : iterable of int, optional
            Their positions; all by default.
        side : int
            Pixels of an edge.

        Returns
        -------
        (n, side, side, 3) uint8
        """
        small = []
        for image in (self[i] for i in (range(len(self)) if chosen is None else chosen)):
            edge = min(image.size)
            left, top = ((whole - edge) // 2 for whole in image.size)
            cut = image.crop((left, top, left + edge, top + edge)).resize((side, side))
            small.append(np.asarray(cut, dtype=np.uint8))
        return np.stack(small)

    def check_count(self, n: int, what: str = "target") -> None:
        """Raise unless there are ``n`` images.

        Parameters
        ----------
        n : int
            How many stimuli the other side has.
        what : str
            What the other side is called.

        Raises
        ------
        ValueError
            Where there are more or fewer.
        """
        if len(self) != n:
            raise ValueError(f"images must be as many as the stimuli of {what}, got {len(self)} images for {n} stimuli")


def read_images(images: ImagesLike, names: NamesLike | None = None) -> Images:
    """Read a set of images.

    Parameters
    ----------
    images : folder, path, sequence of paths, PIL images or arrays, or one array
        A folder holds images, or sub-folders of images, whose names are the categories; files come in natural order
        (2 before 10), sub-folders alike, hidden files never. An array has shape (n, height, width, 3); 1 (grey) or 4
        (RGBA) channels, or none (n, height, width), are taken too. Its values are uint8, or floats from 0 to 1.
        Anything that is not RGB is converted, and ``notes`` says so: grey to three equal channels, transparency
        laid over white, 16 bits to 8. A photograph's own orientation is obeyed.
    names : sequence of str, optional
        What to call them, one an image, distinct; by default as :class:`Images` says.

    Returns
    -------
    Images

    Raises
    ------
    FileNotFoundError
        Where a path does not exist, or a folder has no images.
    TypeError, ValueError
        Where a file is no image that Pillow can read (it is named), or an array's shape or values are others.

    Examples
    --------
    >>> import numpy as np
    >>> images = read_images(np.zeros((2, 32, 32), np.uint8))
    >>> images[1].mode, images.notes
    ('RGB', ('2 images were grey and became RGB: 0, 1',))
    """
    if isinstance(images, Images):
        return images
    from PIL import Image

    notes: list[str] = []
    categories: tuple[str, ...] | None = None
    if isinstance(images, (str, os.PathLike)):
        path = Path(images)
        if not path.exists():
            raise FileNotFoundError(f"images must be a folder or files that exist, got {str(path)!r}")
        if path.is_dir():
            files, folders = _in_folder(path, notes)
            categories = None if folders is None else tuple(folders)
        else:
            files = [path]
        sources: list[Any] = list(files)
    elif hasattr(images, "__array__") and not isinstance(images, Image.Image):
        sources = _from_array(np.asarray(images))
    else:
        sources = [images] if isinstance(images, Image.Image) else list(images)
        for i, one in enumerate(sources):
            if isinstance(one, (str, os.PathLike)):
                sources[i] = Path(one)
                if not sources[i].is_file():
                    raise FileNotFoundError(f"images must be files that exist, got {str(one)!r} at {i}")
            elif hasattr(one, "__array__") and not isinstance(one, Image.Image):
                sources[i] = _from_array(np.asarray(one)[None])[0]
            elif not isinstance(one, Image.Image):
                raise TypeError(f"images must be paths, PIL images or arrays, got {type(one).__name__} at {i}")
    if not sources:
        raise ValueError("images must hold at least one image, got none")
    named = names is not None or any(isinstance(one, Path) for one in sources)
    if names is None:
        names = _names(sources, categories)
    elif len(names) != len(sources) or len({str(name) for name in names}) < len(sources):
        raise ValueError(
            f"names must be distinct, one for each of {len(sources)} images, got {len(names)} names, "
            f"{len({str(name) for name in names})} of them distinct"
        )
    names = tuple(map(str, names))
    for name in names:
        if not can_be_stored(name):
            raise ValueError(f"images must have names that are UTF-8 text, to be kept in the results, got {name!a}")
    found: dict[str, list[str]] = {}
    for name, source in zip(names, sources, strict=True):
        for change in _changes_of(source):
            found.setdefault(change, []).append(name)
    for change, who in found.items():
        few = ", ".join(who[:3]) + (", …" if len(who) > 3 else "")
        notes.append(f"{len(who)} image{'s were' if len(who) > 1 else ' was'} {change}: {few}")
    return Images(names, categories, tuple(notes), tuple(sources), named)


def natural(text: str) -> list[tuple[int, int, str]]:
    """A key that sorts numbers in names as numbers."""
    parts = re.split(r"(\d+)", text)
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part]


def _in_folder(folder: Path, notes: list[str]) -> tuple[list[Path], list[str] | None]:
    """Images of a folder, and the sub-folder of each where it has some."""

    def sorted_in(place: Path, wanted: Callable[[Path], bool]) -> list[Path]:
        inside = (one for one in place.iterdir() if not one.name.startswith(".") and wanted(one))
        return sorted(inside, key=lambda one: natural(one.name))

    left_out = 0

    def images_in(place: Path) -> list[Path]:
        nonlocal left_out
        files = sorted_in(place, Path.is_file)
        pictures = [file for file in files if file.suffix.lower() in SUFFIXES]
        left_out += len(files) - len(pictures)
        return pictures

    own, folders = images_in(folder), sorted_in(folder, Path.is_dir)
    inside = [(file, place.name) for place in folders for file in images_in(place)]
    if own and inside:
        raise ValueError(
            f"images must lie in a folder or in its sub-folders, got both in {str(folder)!r}: {own[0].name} and "
            f"{inside[0][1]}/{inside[0][0].name}"
        )
    if not own and not inside:
        raise FileNotFoundError(
            f"images must be a folder with images ({', '.join(SUFFIXES)}), got none in {str(folder)!r}"
        )
    if left_out:
        notes.append(f"{left_out} file{'s' if left_out > 1 else ''} of other kinds in {folder.name} left out")
    return ([file for file, _ in inside], [name for _, name in inside]) if inside else (own, None)


def _from_array(values: NDArray[Any]) -> list[PIL.Image.Image]:
    from PIL import Image

    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    if values.ndim not in (3, 4) or (values.ndim == 4 and values.shape[3] not in (3, 4)):
        raise ValueError(f"images must have shape (n, height, width, 3), got {values.shape}")
    if values.ndim == 3 and values.shape[2] == 3:
        raise ValueError(
            f"images must have shape (n, height, width, 3), got {values.shape}: one colour image is image[None]"
        )
    if values.dtype.kind == "f":
        if values.size and not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise ValueError(
                f"images as floats must lie from 0 to 1, got {values.min()} to {values.max()}: divide by "
                "255, or pass uint8"
            )
        values = np.round(values * 255).astype(np.uint8)
    if values.dtype != np.uint8:
        raise TypeError(f"images must be of dtype uint8, or floats from 0 to 1, got {values.dtype}")
    return [Image.fromarray(np.ascontiguousarray(one)) for one in values]


def _names(sources: list[Any], categories: tuple[str, ...] | None) -> tuple[str, ...]:
    def called(form: Callable[[Path], str]) -> list[str]:
        names = [form(one) if isinstance(one, Path) else str(i) for i, one in enumerate(sources)]
        return [f"{c}/{name}" for c, name in zip(categories, names, strict=True)] if categories else names

    for form in (lambda path: path.stem, lambda path: path.name, str):
        names = called(form)
        if len(set(names)) == len(names):
            return tuple(names)
    return tuple(f"{i} {name}" for i, name in enumerate(names))


def _opened(path: Path) -> PIL.Image.Image:
    from PIL import Image, UnidentifiedImageError

    try:
        with _unlimited:  # ours is the limit
            theirs, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                image = Image.open(path)
            finally:
                Image.MAX_IMAGE_PIXELS = theirs
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise ValueError(f"images must be files that Pillow can read, got {str(path)!r}") from error
    most = current().pixels
    if image.width * image.height > most:
        size = f"{image.width} × {image.height}"
        image.close()
        raise ValueError(f"images must have at most {most:.0f} pixels, got {size} in {str(path)!r}: {LIFT}")
    return image


def _changes_of(source: Any) -> list[str]:
    """What turning an image into RGB changes; of a file the header is read, not the pixels."""
    if not isinstance(source, Path):
        return _changes(source)
    with _opened(source) as image:
        try:
            return _changes(image)
        except (OSError, SyntaxError, EOFError) as error:
            raise ValueError(f"images must be files that Pillow can read, got {str(source)!r}") from error


def _transparent(image: PIL.Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def _changes(image: PIL.Image.Image) -> list[str]:
    changes = []
    if image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I"):
        changes.append("grey and became RGB")
    elif image.mode == "F":
        raise ValueError("images must be of 8 or 16 bits, got one of floats, whose scale is not known")
    elif image.mode not in ("RGB", "RGBA", "RGBa", "P", "PA"):
        changes.append(f"{image.mode} and became RGB")
    if _transparent(image):
        changes.append("transparent and laid over white")
    if getattr(image, "n_frames", 1) > 1:
        changes.append("of several frames, the first of which is taken")
    # A PNG without this chunk before its pixels would be read to its end.
    if (image.format != "PNG" or "exif" in image.info) and image.getexif().get(0x0112, 1) not in (0, 1):
        changes.append("turned as its orientation says")
    return changes


def _to_rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    from PIL import Image, ImageOps

    try:
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):
            values = np.asarray(image)
            deep = image.mode != "I" or values.max(initial=0) > 255
            image = Image.fromarray((values // 256 if deep else values).astype(np.uint8))
        if _transparent(image):
            image = image.convert("RGBA")
            ground = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(ground, image)
        return image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        name = getattr(image, "filename", "") or "an image"
        raise ValueError(f"images must be whole, got {str(name)!r}, which can't be read to its end") from error
