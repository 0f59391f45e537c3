"""What a Zarr store may be packed with: its metadata are read here as JSON, before Zarr opens an array.

Zarr unpacks chunks with whatever codec a store names, and one of numcodecs' is Python's pickle, which runs code. Only a
short list passes here, in both of Zarr's formats and whichever version of Zarr reads them afterwards.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

__all__ = ["FORMAT_2", "FORMAT_3", "LARGEST", "METADATA", "PLAIN", "STRINGS", "check_zarr"]

# Codecs that compress, filter or sum up numbers, and those of strings; none makes Python objects of another kind.
PLAIN = {"blosc", "zstd", "gzip", "zlib", "bz2", "lz4", "lzma", "shuffle", "delta", "fixedscaleoffset"}
PLAIN |= {"quantize", "bitround", "packbits", "astype", "crc32", "crc32c", "adler32", "fletcher32"}
STRINGS = {"vlen-utf8", "vlen-bytes"}
FORMAT_2 = PLAIN | STRINGS
FORMAT_3 = FORMAT_2 | {"bytes", "transpose", "sharding_indexed", "endian"} | {f"numcodecs.{name}" for name in PLAIN}
METADATA = (".zarray", ".zgroup", ".zattrs", ".zmetadata", "zarr.json")
LARGEST = 1 << 26  # bytes of one file of metadata: a store of ours has some ten thousand in all


def check_zarr(path: str | os.PathLike[str], name: str = "path") -> None:
    """Refuse a store that asks for anything but plain codecs.

    Parameters
    ----------
    path : path
        A folder.
    name : str
        The argument that the sentence names.

    Raises
    ------
    ValueError
        Where it is no folder, has no metadata of Zarr's or such as can't be read, or one of its arrays asks for a codec
        that is not on the list.
    """
    place = Path(path)
    if not place.is_dir():
        raise ValueError(f"{name} must be a Zarr store, a folder, got {str(path)!r}, which is none")
    seen: set[str] = set()
    found = False
    waiting = [place]
    while waiting:
        folder = waiting.pop()
        real = os.path.realpath(folder)  # a link may lead anywhere, but once
        if real in seen:
            continue
        seen.add(real)
        held = {}
        for file in METADATA:
            if (folder / file).is_file():
                held[file] = _json(folder / file, str(path), name)
                _check_node(file, held[file], (folder / file).relative_to(place), str(path), name)
        found = found or bool(held)
        if ".zarray" in held and ".zgroup" not in held and "zarr.json" not in held:
            continue  # chunks alone lie in an array: there may be a million
        if _is_array(held.get("zarr.json")) and not held.keys() & {".zarray", ".zgroup"}:
            continue
        waiting += [Path(entry.path) for entry in os.scandir(folder) if entry.is_dir()]
    if not found:
        raise ValueError(f"{name} must be a Zarr store, got {str(path)!r}, a folder without metadata of one")


def _is_array(node: Any) -> bool:
    return isinstance(node, dict) and node.get("node_type") == "array"


def _json(file: Path, path: str, name: str) -> Any:
    """A file of metadata, as Zarr reads it."""
    try:
        if file.stat().st_size > LARGEST:
            raise ValueError(f"more than {LARGEST >> 20} MiB")
        return json.loads(file.read_bytes().decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{name} must be a Zarr store with metadata in JSON, got {path!r}, whose {file.parent.name}/{file.name} "
            "can't be read as such"
        ) from error


def _check_node(file: str, node: Any, where: Path, path: str, name: str) -> None:
    """One file's metadata, and those of other arrays that it repeats."""
    if not isinstance(node, dict):
        raise ValueError(f"{name} must be a Zarr store, got {path!r}, whose {where} is no JSON object")
    try:
        asked = list(_codecs_of(file, node))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a Zarr store, got {path!r}, whose {where} is damaged") from error
    for codec, allowed in asked:
        if codec not in allowed:
            raise ValueError(
                f"{name} must be a Zarr store of plain codecs, got {path!r}, whose {where} asks for {codec!r}: "
                "a few known ones are read alone, since some codecs run code"
            )


def _codecs_of(file: str, node: dict[str, Any]) -> Any:
    """(codec, what is allowed in its place) of all that a node asks for."""
    if file == ".zarray":
        for codec in (node.get("compressor"), *(node.get("filters") or ())):
            if codec is not None:
                yield str(codec["id"]), FORMAT_2
        if _objects(node["dtype"]) and not STRINGS & {str(one["id"]) for one in node.get("filters") or ()}:
            yield "object", FORMAT_2
    elif file == ".zmetadata":
        for key, other in node["metadata"].items():
            yield from _codecs_of(key.rsplit("/", 1)[-1], other)
    elif file == "zarr.json":
        for codec in node.get("codecs") or ():
            yield from _codecs_of_3(codec)
        for extension in node.get("storage_transformers") or ():
            yield f"storage transformer {_name_of(extension)}", FORMAT_3
        repeated = node.get("consolidated_metadata") or {}
        for other in (repeated.get("metadata") or {}).values():
            yield from _codecs_of(".zarray" if other.get("zarr_format") == 2 else file, other)


def _objects(dtype: Any) -> bool:
    """Whether a dtype, or a field of it, is of Python objects."""
    return "O" in dtype if isinstance(dtype, str) else any(_objects(field[1]) for field in dtype)


def _codecs_of_3(codec: Any) -> Any:
    yield _name_of(codec), FORMAT_3
    configuration = codec.get("configuration") or {} if isinstance(codec, dict) else {}
    for inner in ("codecs", "index_codecs"):
        for one in configuration.get(inner) or ():
            yield from _codecs_of_3(one)


def _name_of(extension: Any) -> str:
    return str(extension if isinstance(extension, str) else extension["name"])
