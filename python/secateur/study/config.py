"""Study files: TOML read into a dataclass. The fields of the dataclass are the keys, its defaults their defaults."""

from __future__ import annotations

import difflib
import os
import sys
import types
from collections.abc import Iterable
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING or sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from ..parameters import Pruning

__all__ = ["ConfigError", "Folds", "Place", "Pruning", "plain", "read_config"]

Place = NewType("Place", str)
"""A path, or FILE:KEY; relative ones are taken from the folder of the study file."""

Schema = TypeVar("Schema")


class ConfigError(ValueError):
    """A study file that can't be used, and why, in one sentence."""


@dataclass(frozen=True)
class Folds:
    """``[folds]``: folds of the stimuli, as in :func:`secateur.cross_validate`."""

    cv: int = 5
    repeats: int = 1
    seed: int = 0


def read_config(path: str | os.PathLike[str], schema: type[Schema]) -> Schema:
    """Read a study file.

    Parameters
    ----------
    path : path
        A TOML file.
    schema : dataclass
        Its fields are the keys: ``str``, ``int``, ``float``, ``bool``, ``Literal`` words, ``Place``, ``list``, ``dict``
        with keys of the user's choice, other dataclasses (tables), each ``| None`` where it may be left out. A field
        without a default must be given.

    Returns
    -------
    schema
        With every :data:`Place` made absolute.

    Raises
    ------
    ConfigError
        Where the file is missing or is no TOML, a key is unknown (near ones are named), missing, or of another type.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "a.toml").write_text("cv = 10")
    ...     read_config(Path(folder) / "a.toml", Folds)
    Folds(cv=10, repeats=1, seed=0)
    """
    place = Path(path)
    if not place.is_file():
        raise ConfigError(f"CONFIG must be a file, got {str(path)!r}, which does not exist or is a folder")
    try:
        held = tomllib.loads(place.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{place.name} must be TOML, got a file that is not: {' '.join(str(error).split())}"
        ) from error
    made: Schema = _table(held, schema, "", place)
    return made


def plain(study: Any) -> dict[str, Any]:
    """The settings of a study without its paths, which the records of its inputs stand for.

    Parameters
    ----------
    study : dataclass
        From :func:`read_config`.

    Returns
    -------
    dict
        The same wherever the files lie.
    """
    hints, settings = get_type_hints(type(study)), {}
    for name in (field.name for field in fields(study)):
        value = getattr(study, name)
        if is_dataclass(value):
            settings[name] = plain(value)
        elif isinstance(value, dict) and all(is_dataclass(one) for one in value.values()) and value:
            settings[name] = {key: plain(one) for key, one in value.items()}
        elif not _places(hints[name]):
            settings[name] = value
    return settings


def _places(hint: Any) -> bool:
    return hint is Place or any(_places(inner) for inner in get_args(hint))


def _table(held: Any, schema: Any, where: str, file: Path) -> Any:
    """A TOML table as a dataclass."""
    if not isinstance(held, dict):
        raise ConfigError(f"{file.name}: {where} must be a table, got {held!r}")
    known: dict[str, Field[Any]] = {field.name: field for field in fields(schema)}
    for key in held:
        if key not in known:
            raise ConfigError(f"{file.name}: {_key(where, key)} is no key here, {_near(key, known)}")
    hints, values = get_type_hints(schema), {}
    for name, field in known.items():
        if name in held:
            values[name] = _value(held[name], hints[name], _key(where, name), file)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ConfigError(f"{file.name} must have the key {_key(where, name)}, got none")
    return schema(**values)


def _near(key: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(key, names, n=2)
    return f"the nearest is {' or '.join(near)}" if near else f"the keys are {', '.join(names)}"


def _key(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _value(held: Any, hint: Any, where: str, file: Path) -> Any:
    """A TOML value, checked against a type."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        (hint,) = (kind for kind in inner if kind is not type(None))
        return _value(held, hint, where, file)
    if is_dataclass(hint):
        return _table(held, hint, where, file)
    if origin is dict:
        if not isinstance(held, dict):
            raise ConfigError(f"{file.name}: {where} must be a table, got {held!r}")
        return {key: _value(value, inner[1], _key(where, key), file) for key, value in held.items()}
    if origin is list:
        if not isinstance(held, list):
            raise ConfigError(f"{file.name}: {where} must be a list, got {held!r}")
        return [_value(value, inner[0], f"{where}[{i}]", file) for i, value in enumerate(held)]
    if origin is Literal:
        if held not in inner:
            raise ConfigError(f"{file.name}: {where} must be one of {', '.join(map(repr, inner))}; got {held!r}")
        return held
    if hint is Place:
        if not isinstance(held, str) or not held:
            raise ConfigError(f"{file.name}: {where} must be a path, got {held!r}")
        return Place(str(file.resolve().parent / Path(held).expanduser()))
    if hint is float and isinstance(held, int) and not isinstance(held, bool):
        return float(held)
    if not isinstance(held, hint) or (isinstance(held, bool) and hint is not bool):
        words = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}[hint]
        raise ConfigError(f"{file.name}: {where} must be {words}, got {held!r}")
    return held
