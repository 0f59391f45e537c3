"""Files and folders that are whole or absent: written as a draft beside their place, and moved there."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["clear_leftovers", "host_name", "lock", "whole_file", "whole_folder"]


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Where to write: a draft, which takes the file's place once all of it is written, and is gone where it is not.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole_file(Path(folder) / "a.txt") as draft:
    ...         _ = draft.write_text("all of it")
    ...     [file.name for file in Path(folder).iterdir()]
    ['a.txt']
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        yield draft
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def whole_folder(place: Path) -> Iterator[Path]:
    """Where to write: a hidden folder, which takes the place once all of it is written, and is gone where it is not.

    What was there is replaced by then, and stays where anything fails. Parents are made, and gone again with the draft.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     with whole_folder(Path(parent) / "out") as draft:
    ...         _ = (draft / "a.txt").write_text("all of it")
    ...     [file.name for file in Path(parent, "out").iterdir()]
    ['a.txt']
    """
    made, held = _make_parents(place), None
    draft = place.parent / f".{place.name}-{host_name()}-{os.getpid()}-{secrets.token_hex(4)}.partial"
    try:
        draft.mkdir()
        held = lock(draft)
        yield draft
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


def clear_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove what runs of this machine that were killed left beside a folder.

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
    named = re.compile(rf"\.{re.escape(place.name)}-(?:{re.escape(host_name())}-)?(\d+)-[0-9a-f]{{8}}\.(?:partial|old)")
    try:
        beside = sorted(place.parent.iterdir())
    except OSError:
        return
    for left in beside:
        found = named.fullmatch(left.name)
        if found is None or left.is_symlink() or not left.is_dir() or _runs(int(found[1])):
            continue
        free = lock(left)
        if free is None:
            continue
        os.close(free)
        if left.suffix == ".old" and not place.exists():
            left.rename(place)
        else:
            shutil.rmtree(left, ignore_errors=True)


def host_name() -> str:
    """This machine's name, as part of a file's name."""
    return re.sub(r"[^\w.]", "_", socket.gethostname())


def lock(folder: Path) -> int | None:
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
