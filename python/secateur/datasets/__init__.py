"""Data to begin with: one bundled example, and one classic data set that is fetched."""

from secateur.datasets.imagenet_animals import ImageNetAnimals, load_imagenet_animals
from secateur.datasets.kriegeskorte92 import Kriegeskorte92, fetch_kriegeskorte92

__all__ = ["ImageNetAnimals", "Kriegeskorte92", "fetch_kriegeskorte92", "load_imagenet_animals"]
