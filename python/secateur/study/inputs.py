"""What studies read: embeddings, from files or of photographs through a network, and targets, each with its record."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import numpy.typing as npt
import xarray

from .. import datasets
from ..comparison import REWEIGHTING
from ..features import Features, check_same_stimuli, read_features
from ..files import FileError, Loaded, match, read_features_file, read_groups_file, read_target_file, stated_kind
from ..reweighting import Ridge
from ..statistics import mean_of_defined
from ..targets import Kind, read_target
from ..targets import read_controls as read_control_matrices
from ..validation import split
from .config import ConfigError, Folds, Place

if TYPE_CHECKING:
    from ..networks import Images, Network

__all__ = [
    "Layers", "Matrices", "Net", "Records", "Seen", "Space", "Target", "Task", "as_toml", "check_folds",
    "check_reweighting", "network_record", "open_network", "read_as", "read_controls", "read_goals", "read_layers",
    "read_space", "read_tasks", "record", "see",
]  # fmt: skip

Records = list[dict[str, Any]]


@dataclass(frozen=True)
class Net:
    """``[network]``: what makes features of photographs; see :func:`secateur.networks.load` and ``embed``."""

    name: str
    weights: str = "default"
    weights_file: Place | None = None
    layer: str = "penultimate"
    pool: Literal["flatten", "mean"] = "flatten"
    device: str = "auto"
    seed: int = 0
    cache: Place | None = None


@dataclass(frozen=True)
class Matrices:
    """``[target]``: a matrix over the stimuli, or several."""

    file: Place
    format: Literal["matrix", "algonauts2019", "meadows", "peterson2018", "rsatoolbox"] = "matrix"
    kind: Kind | None = None
    mean: bool = False


@dataclass(frozen=True)
class Target(Matrices):
    """``[targets.NAME]``: a matrix over the stimuli, which may have features or images of their own."""

    features: Place | None = None
    images: Place | None = None
    groups: Place | None = None


@dataclass(frozen=True)
class Seen:
    """Photographs, and the network that will embed them.

    Attributes
    ----------
    images, network : of :mod:`secateur.networks`
    settings : Net
    d : how many features the layer has
    """

    images: Images
    network: Network
    settings: Net
    d: int

    def embed(self, progress: bool = True) -> xarray.DataArray:
        """Features of all of them, (stimulus, feature)."""
        from .. import networks

        how = self.settings
        with _quiet():
            return networks.embed(
                self.network, self.images, how.layer, pool=how.pool, cache=how.cache, progress=progress
            )


@dataclass(frozen=True)
class Space:
    """Stimuli with features that are there, or that a network will make.

    Attributes
    ----------
    n, d : how many stimuli and features
    groups : (n,) their groups, or None
    stimuli : what a target's names are held against
    features : as read, or None
    seen : the photographs, or None
    """

    n: int
    d: int
    groups: tuple[str, ...] | None
    stimuli: Loaded
    features: Features | None = field(repr=False)
    seen: Seen | None = field(repr=False)

    def embedding(self, progress: bool = True) -> Features:
        """The features, made now where they were not there."""
        if self.features is not None:
            return self.features
        assert self.seen is not None  # one of the two
        return read_features(self.seen.embed(progress))

    def thumbnails(self, side: int = 96, most: int = 200) -> npt.NDArray[np.uint8] | None:
        """The photographs, square and small (n, side, side, 3), where there are some, and not too many to be seen."""
        if self.seen is None or self.n > most:
            return None
        with _quiet():
            return self.seen.images.thumbnails(side=side)

    def words(self) -> str:
        """How many stimuli and features."""
        of = "" if self.seen is None else f" (layer {self.seen.settings.layer} of {self.seen.network.name})"
        return f"{self.n} stimuli, {self.d} features{of}"


@dataclass(frozen=True)
class Task:
    """Targets over the same stimuli.

    Attributes
    ----------
    space : Space
    targets : DataArray, dims (target, pair): similarities, NaN where a pair has none
    """

    space: Space
    targets: xarray.DataArray


def read_tasks(
    study: Any, network: Network | None = None, *, dry: bool = False
) -> tuple[list[Task], Records, list[str]]:
    """The targets of a study with the stimuli that they are over, those of one space together.

    Parameters
    ----------
    study : dataclass
        With ``targets``, ``features``, ``images``, ``network`` and ``folds``, and ``groups`` where they are of use.
    network : Network, optional
        That of ``[network]``, where it is open already.
    dry : bool
        Whether this is a dry run, which downloads nothing.

    Returns
    -------
    tasks, records, notes

    Raises
    ------
    ConfigError
        Where there is no target, or no embedding of its stimuli, or two.
    FileError, TypeError, ValueError
        Where an input is missing or is not what it should be; the message names the file or the key.
    """
    if not study.targets:
        raise ConfigError("targets must have a table for each target, [targets.NAME], got none")
    spaces: dict[tuple[str | None, ...], Space] = {}
    targets: dict[tuple[str | None, ...], list[xarray.DataArray]] = {}
    records: Records = []
    notes: list[str] = []
    for name, target in study.targets.items():
        own = target if target.features or target.images else study
        where = f"targets.{name}" if own is target else "the study"
        if bool(own.features) == bool(own.images):
            raise ConfigError(f"{where} must have either features or images, got {'both' if own.features else 'none'}")
        if "/" in name:
            raise ConfigError(f"targets must have names without a slash, got {name!r}")
        key = (own.features, own.images, target.groups or getattr(own, "groups", None))
        if key not in spaces:
            if own.images and network is None:
                network, noted = open_network(study.network, dry=dry)
                notes += noted
            with_net = None if network is None else (study.network, network)
            spaces[key], entry, noted = read_space(own.features, own.images, key[2], with_net, where)
            records += entry
            notes += noted
            check_folds(spaces[key].n, study.folds)
        found, record_of, noted = read_goals(name, target, spaces[key])
        targets.setdefault(key, []).append(found)
        records.append(record_of)
        notes += noted
    tasks = [Task(space, xarray.concat(targets[key], "target")) for key, space in spaces.items()]
    if network is not None:
        records.append(network_record(study.network, network))
    return tasks, records, list(dict.fromkeys(notes))


def check_folds(n: int, folds: Folds) -> int:
    """How many folds there will be; each must leave test stimuli that have pairs."""
    made, _ = split(n, folds.cv, folds.repeats, folds.seed)
    return len(made)


def check_reweighting(study: Any, tasks: list[Task]) -> None:
    """Whether the reweightings' inner folds have stimuli enough, 3 each."""
    least = 3 * Ridge().inner_cv
    learners = [name for name in study.methods if name in REWEIGHTING]
    for task in tasks:
        folds, _ = split(task.space.n, study.folds.cv, study.folds.repeats, study.folds.seed)
        count = min(len(train) for train, _ in folds)
        if learners and count < least:
            raise ConfigError(
                f"methods must be full and pruned alone with fewer than {least} training stimuli, got {count} for "
                f"{task.targets['target'].values[0]}"
            )


def open_network(net: Net | None, *, dry: bool = False) -> tuple[Network, list[str]]:
    """The network of ``[network]``, and notes on it; in a dry run with random weights where its own are not here."""
    from .. import networks
    from ..networks.weights import WeightsNotHere

    if net is None:
        raise ConfigError("network must be given where there are images, [network] with a name, got none")
    weights = net.weights_file or (None if net.weights == "none" else net.weights)
    try:
        return networks.load(net.name, weights, seed=net.seed, device=net.device, download=not dry), []
    except WeightsNotHere:
        network = networks.load(net.name, None, seed=net.seed, device=net.device)
        return network, [f"the weights of {net.name} are not on this machine: a run downloads them, a dry run doesn't"]


def network_record(net: Net, network: Network) -> dict[str, Any]:
    """A network by its architecture and weights; a file of weights by its name."""
    from ..networks.extraction import fingerprint

    entry = {"role": "network", "name": network.name, **network.provenance, "weights_sha256": fingerprint(network)}
    return entry | ({"weights": Path(net.weights_file).name} if net.weights_file else {})


def see(folder: Place, net: Net, network: Network) -> tuple[Seen, dict[str, Any]]:
    """A folder of photographs, through a network; one of them is embedded, to see that it can be."""
    from .. import networks

    images = networks.read_images(folder)
    with _quiet():
        one = networks.embed(network, [images[0]], net.layer, pool=net.pool, progress=False)
    entry = {"role": "images", "folder": Path(folder).name, "images": len(images), "sha256": images.digest_of_all()}
    return Seen(images, network, net, one.sizes["feature"]), entry


def read_space(
    features: Place | None, images: Place | None, groups: Place | None, net: tuple[Net, Network] | None, where: str
) -> tuple[Space, Records, list[str]]:
    """Features from a file or photographs from a folder, and their groups.

    Parameters
    ----------
    features, images : Place
        One of the two.
    groups : Place, optional
        Of the stimuli; sub-folders of images are groups otherwise.
    net : Net and Network
        Where there are images.
    where : str
        What this is, for the records.

    Returns
    -------
    Space, records, notes
    """
    if features is not None:
        held = read_features_file(features)
        made = replace(read_as(held, read_features), stimuli=held.stimuli, names=held.names)
        space = Space(made.n, made.d, None, held, made, None)
        records, notes = [{"role": f"features of {where}", **record(held)}], list(held.notes)
    else:
        assert images is not None  # the caller's two checks
        assert net is not None
        seen, entry = see(images, *net)
        stimuli = Loaded(np.empty(0), seen.images.names if seen.images.named else None, None, Path(images))
        space = Space(len(seen.images), seen.d, seen.images.categories, stimuli, None, seen)
        records, notes = [{**entry, "role": f"images of {where}"}], list(seen.images.notes)
    if groups is not None:
        held = read_groups_file(groups, space.n, space.stimuli.stimuli)
        space = replace(space, groups=tuple(map(str, held.values)))
        records.append({"role": f"groups of {where}", **record(held)})
        notes += held.notes
    return space, records, notes


@dataclass(frozen=True)
class Layers:
    """Several embeddings of the same stimuli with what they are held against.

    Attributes
    ----------
    features : by the name of the layer or the model
    space : the first of them, with the stimuli's groups
    targets : DataArray, dims (target, pair): similarities
    controls : matrices over the same stimuli, or None
    records, notes : of all files
    """

    features: dict[str, Features] = field(repr=False)
    space: Space
    targets: xarray.DataArray
    controls: list[Any] | None
    records: Records
    notes: list[str]


def read_layers(
    table: str, layers: dict[str, Place], target: Matrices, groups: Place | None, folds: Folds,
    control: list[Place] | None = None,
) -> Layers:  # fmt: skip
    """Embeddings of the same stimuli, one file each, a target, and controls.

    Parameters
    ----------
    table : str
        What the study calls its table of layers.
    layers : dict of names to files
        The table.
    target : Matrices
        Over their stimuli.
    groups : Place, optional
        Of the stimuli.
    folds : Folds
        Checked against the number of stimuli.
    control : list of Place, optional
        Matrices over the same stimuli.

    Raises
    ------
    ConfigError
        Where there is no layer, or layers are of different stimuli.
    FileError, TypeError, ValueError
        Where an input is missing or is not what it should be; the message names the file or the key.
    """
    if not layers:
        raise ConfigError(f"{table} must name at least one file, NAME = FILE, got none")
    spaces: dict[str, Space] = {}
    records: Records = []
    notes: list[str] = []
    for name, place in layers.items():
        spaces[name], entry, noted = read_space(place, None, None if spaces else groups, None, f"{table}.{name}")
        records += entry
        notes += noted
    try:
        check_same_stimuli(table, {name: (space.n, space.stimuli.stimuli) for name, space in spaces.items()})
    except ValueError as error:
        raise ConfigError(str(error)) from error
    first = next(iter(spaces.values()))
    first = next((replace(one, groups=first.groups) for one in spaces.values() if one.stimuli.stimuli), first)
    check_folds(first.n, folds)
    targets, record_of, noted = read_goals("target", target, first, "target")
    records.append(record_of)
    notes += noted
    controls, entries, noted = read_controls(control, first)
    features = {name: space.embedding() for name, space in spaces.items()}
    return Layers(features, first, targets, controls, [*records, *entries], list(dict.fromkeys([*notes, *noted])))


def read_controls(control: list[Place] | None, space: Space) -> tuple[list[Any] | None, Records, list[str]]:
    """Control matrices over the stimuli of a space, in its order; None where there are none."""
    records: Records = []
    notes: list[str] = []
    values: list[Any] = []
    for place in control or ():
        held = read_target_file(place)
        matrix, note = match(held, space.stimuli)
        try:
            read_control_matrices(matrix, space.n)
        except (TypeError, ValueError) as error:
            raise FileError(f"control: {held.path.name} could not be used: {error}") from error
        values.append(matrix)
        records.append({"role": "control", **record(held)})
        notes += [*held.notes, *([note] if note else [])]
    return values or None, records, notes


def read_goals(
    name: str, target: Matrices, space: Space, where: str | None = None
) -> tuple[xarray.DataArray, dict[str, Any], list[str]]:
    """A target's matrices as similarities over the stimuli of a space.

    Parameters
    ----------
    name : str
        What the study calls it.
    target : Matrices
        Its table.
    space : Space
        Whose stimuli it is over.
    where : str, optional
        The key of its table, ``targets.NAME`` by default.

    Returns
    -------
    targets : DataArray, dims (target, pair)
        One, or one for each matrix in the file.
    record, notes
    """
    where = where or f"targets.{name}"
    held, labels, kind = _read_matrices(where, target)
    values, note = match(held, space.stimuli)
    try:
        read = read_target(values, space.n, kind)
    except (TypeError, ValueError) as error:
        raise as_toml(error, f"{where}: {held.path.name} could not be used: ") from error
    rows = np.stack([np.where(read.has_weight(t), read.values[t], np.nan) for t in range(len(read))])
    if target.mean and len(rows) > 1:
        rows = mean_of_defined(rows)[None]
    called = [name] if len(rows) == 1 else [f"{name} {label}" for label in labels or range(len(rows))]
    targets = xarray.DataArray(rows, {"target": called}, ("target", "pair"), attrs={"kind": "similarity"})
    entry = {"role": where, **record(held), "kind": read.kind, "matrices": len(read), "mean": target.mean}
    return targets, entry, [*held.notes, *([note] if note else [])]


def as_toml(error: Exception, where: str = "") -> FileError:
    """A refusal of a target, with what to say of its kind as a study file spells it."""
    words = re.sub(r"\bkind='(\w+)'", r'kind = "\1"', str(error).replace("pass kind=", "say kind="))
    return FileError(f"{where}{words}")


def _read_matrices(where: str, target: Matrices) -> tuple[Loaded, tuple[str, ...] | None, Kind | None]:
    """What a file of matrices holds, what they are called, and their kind where it is said."""
    if target.format == "matrix":
        held = read_target_file(target.file)
        try:
            return held, None, stated_kind(held, target.kind)
        except FileError as error:
            raise as_toml(error) from error
    if target.kind is not None:
        raise ConfigError(f"{where}.kind must be left out where the format says it, got {target.kind!r}")
    load: Callable[[str], xarray.DataArray] = getattr(datasets, f"load_{target.format}")
    array = load(target.file)
    flat = array.stack(target=array.dims[:-1]).transpose("target", "pair") if array.ndim > 1 else array
    labels = None if array.ndim == 1 else tuple(_label(one) for one in flat["target"].values)
    stimuli = array.attrs.get("stimuli")
    path = Path(target.file) if Path(target.file).exists() else Path(target.file.rpartition(":")[0])
    held = Loaded(np.atleast_2d(flat.values), None if stimuli is None else tuple(stimuli), None, path)
    return held, labels, cast("Kind", str(array.attrs["kind"]))


def _label(one: Any) -> str:
    return " ".join(map(str, one)) if isinstance(one, tuple) else str(one)


def read_as(held: Loaded, read: Callable[[Any], Any]) -> Any:
    """What a reader makes of a file's values; its refusal with the file's name."""
    try:
        return read(held.values)
    except (TypeError, ValueError) as error:
        raise FileError(f"{held.path.name} could not be used: {error}") from error


def record(held: Loaded) -> dict[str, Any]:
    """A file by its name alone, so that a study that is moved writes what it wrote before."""
    return {**held.record(), "file": held.path.name}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the notes on images, which the study tells."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield
