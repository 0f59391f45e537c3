"""Data to begin with: a bundled example, a classic data set that is fetched, and readers of others' files."""

from .imagenet_animals import ImageNetAnimals, load_imagenet_animals
from .kriegeskorte92 import Kriegeskorte92, fetch_kriegeskorte92
from .rdms import King2019, load_algonauts2019, load_king2019, load_meadows, load_peterson2018, load_rsatoolbox

__all__ = [
    "ImageNetAnimals", "King2019", "Kriegeskorte92", "fetch_kriegeskorte92", "load_algonauts2019",
    "load_imagenet_animals", "load_king2019", "load_meadows", "load_peterson2018", "load_rsatoolbox",
]  # fmt: skip
