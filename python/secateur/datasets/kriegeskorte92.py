"""The 92 object images of Kriegeskorte et al. (2008): photographs, judgments, and monkey and human brains."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..atomic import whole_file
from ..provenance import file_digest
from ..reading import Reader, ReadError

__all__ = ["Kriegeskorte92", "fetch_kriegeskorte92"]

_NPZ: Final = "kriegeskorte92.npz"
_STIMULI: Final = "Kriegeskorte_Neuron2008_supplementalData.mat"
_BEHAVIOUR: Final = "92_behavRDMs.mat"
_BRAIN: Final = "92_brainRDMs.mat"
_URL: Final = "https://raw.githubusercontent.com/rsagroup/rsatoolbox/main/demos/92imageData/"
_HASHES: Final = "sha256.json"  # beside the downloads: of each file, what it was when it was first fetched

_SHAPES: Final = {
    "images": (92, 175, 175, 3),
    "categories": (92,),
    "behaviour": (16, 92, 92),
    "human_it": (4, 2, 92, 92),
    "monkey_it": (92, 92),
    "animate": (92,),
    "human": (92,),
    "face": (92,),
    "natural": (92,),
}


@dataclass(frozen=True, eq=False)
class Kriegeskorte92:
    """The 92 images and what minds and brains make of them; all arrays are read-only.

    All matrices are *dissimilarities* with a zero diagonal: pass ``kind="dissimilarity"``.

    Attributes
    ----------
    images : (92, 175, 175, 3) ndarray of uint8
        Photographs on a grey ground, RGB.
    labels : (92,) ndarray of str
        A name for every image: its category and its number there.
    categories : (92,) ndarray of str
        human bodypart, human face, nonhuman bodypart, nonhuman face, natural inanimate, artificial inanimate.
    behaviour : (16, 92, 92) ndarray of float64
        Dissimilarity judgments by 16 people (Mur et al. 2013), from distances on the screen.
    human_it : (4, 2, 92, 92) ndarray of float64
        1 - Pearson over voxels of human inferior temporal cortex: 4 subjects, 2 sessions.
    human_it_mean : (92, 92) ndarray of float64
        The mean of these eight.
    monkey_it : (92, 92) ndarray of float64
        1 - Pearson over 674 cells of monkey inferior temporal cortex.
    animate, human, face, natural : (92,) ndarray of bool
        Flags of the images.
    """

    images: NDArray[np.uint8] = field(repr=False)
    labels: NDArray[np.str_] = field(repr=False)
    categories: NDArray[np.str_] = field(repr=False)
    behaviour: NDArray[np.float64] = field(repr=False)
    human_it: NDArray[np.float64] = field(repr=False)
    human_it_mean: NDArray[np.float64] = field(repr=False)
    monkey_it: NDArray[np.float64] = field(repr=False)
    animate: NDArray[np.bool_] = field(repr=False)
    human: NDArray[np.bool_] = field(repr=False)
    face: NDArray[np.bool_] = field(repr=False)
    natural: NDArray[np.bool_] = field(repr=False)


def fetch_kriegeskorte92(path: str | os.PathLike[str] | None = None) -> Kriegeskorte92:
    """Load the 92-image data set, from disk where it is there, otherwise from rsatoolbox's repository.

    Parameters
    ----------
    path : str or path, optional
        A folder that holds ``kriegeskorte92.npz``, or the three files ``92_behavRDMs.mat``,
        ``92_brainRDMs.mat`` and ``Kriegeskorte_Neuron2008_supplementalData.mat``. By default
        ``kriegeskorte92.npz`` in the folder that the environment variable ``SECATEUR_DATA`` names; where
        there is none, the three files are downloaded once and kept in the user's cache, with their SHA-256
        in ``sha256.json``. Their authors publish no hashes, so the first download is taken as it comes; from then on
        a file in the cache that differs is fetched again, and a download that differs is refused.

    Returns
    -------
    Kriegeskorte92
        Images, dissimilarities and flags.

    Raises
    ------
    FileNotFoundError
        If `path` holds none of these files.
    ImportError
        If a download is needed and pooch is not installed.
    ConnectionError
        If a download fails.
    ValueError
        If the files do not hold what they should, or are others than were first fetched.

    Notes
    -----
    Images and brains: Kriegeskorte et al. (2008), Matching categorical object representations in inferior
    temporal cortex of man and monkey, Neuron 60. Judgments: Mur et al. (2013), Human object-similarity
    judgments reflect and transcend the primate-IT object representation, Frontiers in Psychology 4. The
    data are their authors' and no part of this package.

    Examples
    --------
    >>> from secateur import datasets
    >>> data = datasets.fetch_kriegeskorte92()        # doctest: +SKIP
    >>> data.images.shape, data.human_it.shape        # doctest: +SKIP
    ((92, 175, 175, 3), (4, 2, 92, 92))
    """
    if path is not None:
        folder = Path(path)
        if (folder / _NPZ).is_file():
            return _build(_read_npz(folder / _NPZ), folder)
        if all((folder / name).is_file() for name in (_STIMULI, _BEHAVIOUR, _BRAIN)):
            return _build(_read_mat(folder / _STIMULI, folder / _BEHAVIOUR, folder / _BRAIN), folder)
        raise FileNotFoundError(
            f"path must be a folder that holds {_NPZ}, or {_STIMULI}, {_BEHAVIOUR} and {_BRAIN}, got {str(folder)!r}"
        )
    named = os.environ.get("SECATEUR_DATA")
    if named and (Path(named) / _NPZ).is_file():
        return _build(_read_npz(Path(named) / _NPZ), Path(named))
    stimuli, behaviour, brain = (_download(name) for name in (_STIMULI, _BEHAVIOUR, _BRAIN))
    return _build(_read_mat(stimuli, behaviour, brain), stimuli.parent)


def _download(name: str) -> Path:
    try:
        import pooch
    except ImportError as error:
        raise ImportError(
            "fetch_kriegeskorte92 needs pooch to download: pip install 'secateur[datasets]', or pass path="
        ) from error
    folder = Path(pooch.os_cache("secateur")) / "kriegeskorte92"
    known = _known_hashes(folder)
    try:
        # pooch writes to a temporary file and moves it, so that a file in the cache is whole; one of another hash is
        # fetched again.
        file = Path(pooch.retrieve(_URL + name, known_hash=known.get(name), fname=name, path=folder))
    except OSError as error:
        raise ConnectionError(
            f"{name} could not be downloaded from {_URL} ({type(error).__name__}): go online, or pass"
            " path= to a folder that holds it"
        ) from error
    except ValueError as error:  # pooch's, of another hash; its draft is removed
        raise ValueError(
            f"{name} from {_URL} must be the file that was first fetched, with SHA-256 {known[name]}, got another: "
            f"where the authors have changed theirs, remove {folder / _HASHES}"
        ) from error
    if name not in known:
        known[name] = file_digest(file)
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(folder / _HASHES) as draft:
            draft.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
    return file


def _known_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of files that were fetched before."""
    place = folder / _HASHES
    if not place.exists():
        return {}
    try:
        known = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{place} must hold the hashes of the files beside it, got what can't be read") from error
    if not isinstance(known, dict) or not all(re.fullmatch("[0-9a-f]{64}", str(one)) for one in known.values()):
        raise ValueError(f"{place} must hold a SHA-256 for each of the files beside it, got others")
    return {str(name): str(one) for name, one in known.items()}


def _read_npz(file: Path) -> dict[str, NDArray[Any]]:
    other = {"categories": "category", "animate": "animal"}  # what a file calls by another name
    other |= {"human_it": "kriegeskorte_hIT", "monkey_it": "kriegeskorte_mIT_mean"}
    names = {name: other.get(name, name) for name in _SHAPES}
    with np.load(file, allow_pickle=False) as stored:
        missing = sorted(set(names.values()) - set(stored.files))
        if missing:
            raise ValueError(f"{file} must hold the array {missing[0]!r}, got {sorted(stored.files)}")
        return {name: stored[key] for name, key in names.items()}


def _read_mat(stimuli: Path, behaviour: Path, brain: Path) -> dict[str, NDArray[Any]]:
    # MATLAB struct arrays: stimuli_92objs (1, 92), rdms_behav_92 (1, 16), RDMs (1, 4 subjects, 2 sessions),
    # RDMs_mIT_hIT_fig1 (1, 2: monkey, human).
    neuron = _load_mat(stimuli, "stimuli_92objs", "RDMs_mIT_hIT_fig1")
    objects = neuron["stimuli_92objs"].ravel()

    def flag(key: str) -> NDArray[np.bool_]:
        return np.array([bool(np.asarray(one[key]).item()) for one in objects])

    return {
        "images": np.stack([one["image"] for one in objects]),
        "categories": np.array([str(np.asarray(one["category"]).item()) for one in objects]),
        "behaviour": _rdms(_load_mat(behaviour, "rdms_behav_92")["rdms_behav_92"].ravel()),
        "human_it": _rdms(_load_mat(brain, "RDMs")["RDMs"].reshape(4, 2)),
        "monkey_it": _rdms(neuron["RDMs_mIT_hIT_fig1"].ravel())[0],
        "animate": flag("animal"),
        "human": flag("human"),
        "face": flag("face"),
        "natural": flag("natural"),
    }


def _load_mat(file: Path, *names: str) -> dict[str, NDArray[Any]]:
    try:
        with Reader(file) as reader:
            variables = reader.ask("variables", names=list(names))
    except ReadError as error:
        raise ValueError(f"{file} must be a MATLAB file that scipy can read, got {error}") from error
    for name in names:
        if name not in variables:
            raise ValueError(f"{file} must hold the variable {name!r}, got none of that name")
    return {name: variables[name] for name in names}


def _rdms(structs: NDArray[Any]) -> NDArray[np.float64]:
    """Stack the field RDM of structs of any shape; a matrix is stored square or as its upper triangle."""
    from scipy.spatial.distance import squareform

    def square(rdm: NDArray[Any]) -> NDArray[np.float64]:
        values = np.asarray(rdm, dtype=np.float64)
        return values if 1 not in values.shape else squareform(values.ravel())

    return np.stack([square(one["RDM"]) for one in structs.flat]).reshape(*structs.shape, 92, 92)


def _build(raw: dict[str, NDArray[Any]], source: Path) -> Kriegeskorte92:
    for name, shape in _SHAPES.items():
        if raw[name].shape != shape:
            raise ValueError(f"{name} from {source} must have shape {shape}, got {raw[name].shape}")
    categories = [str(category) for category in raw["categories"]]
    seen: Counter[str] = Counter()
    labels = []
    for category in categories:
        seen[category] += 1
        labels.append(f"{category} {seen[category]}")
    human_it = raw["human_it"].astype(np.float64)
    data = Kriegeskorte92(
        images=raw["images"].astype(np.uint8), labels=np.array(labels), categories=np.array(categories),
        behaviour=raw["behaviour"].astype(np.float64), human_it=human_it, human_it_mean=human_it.mean(axis=(0, 1)),
        monkey_it=raw["monkey_it"].astype(np.float64), animate=raw["animate"].astype(bool),
        human=raw["human"].astype(bool), face=raw["face"].astype(bool), natural=raw["natural"].astype(bool),
    )  # fmt: skip
    for one in fields(data):
        getattr(data, one.name).setflags(write=False)
    return data
