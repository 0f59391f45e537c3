"""Where results come from: digests of what went in, and versions of the programs that made them."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["STANDS_ON", "digest", "digest_of", "file_digest", "own_version", "versions"]

STANDS_ON = ("numpy", "scipy", "scikit-learn", "xarray", "h5netcdf", "pandas", "matplotlib")


def digest(*parts: bytes | str | npt.NDArray[Any]) -> str:
    """SHA-256 of bytes, text and arrays' values (row after row), one behind the other; 64 hexadecimal digits.

    Examples
    --------
    >>> digest("ab", b"c")[:8] == digest("abc")[:8] == "ba7816bf"
    True
    """
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            part = part.encode()
        total.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).tobytes())
    return total.hexdigest()


def digest_of(thing: Any) -> str:
    """SHA-256 of an array's shape and values, or of anything that JSON can say."""
    if isinstance(thing, np.ndarray):
        return digest(str(thing.shape), thing)
    return digest(json.dumps(thing, sort_keys=True))


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, read in blocks; 64 hexadecimal digits."""
    total = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            total.update(block)
    return total.hexdigest()


def own_version() -> str:
    """Secateur's."""
    return version("secateur")


def versions() -> dict[str, Any]:
    """Who made a result: the program, its version, and those of what it stands on."""
    from datetime import datetime, timezone

    return {
        "program": "secateur",
        "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: version(name) for name in ("secateur", *STANDS_ON)},
    }
