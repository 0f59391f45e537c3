"""Data to begin with: a bundled example, a classic data set that is fetched, and readers of others' files."""

from secateur.datasets.imagenet_animals import ImageNetAnimals, load_imagenet_animals
from secateur.datasets.kriegeskorte92 import Kriegeskorte92, fetch_kriegeskorte92
from secateur.datasets.rdms import (
    King2019,
    load_algonauts2019,
    load_king2019,
    load_meadows,
    load_peterson2018,
    load_rsatoolbox,
)

__all__ = [
    "ImageNetAnimals", "King2019", "Kriegeskorte92", "fetch_kriegeskorte92", "load_algonauts2019",
    "load_imagenet_animals", "load_king2019", "load_meadows", "load_peterson2018", "load_rsatoolbox",
]  # fmt: skip
