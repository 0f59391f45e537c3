"""What users may pass, by name: for annotations alone, so that type checkers read it and no program does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    import numpy as np
    import pandas
    import PIL.Image
    import xarray
    from numpy.typing import ArrayLike, NDArray

    from .features import CudaArray, DeviceFeatures, Features
    from .networks.images import Images
    from .networks.network import Preprocessing
    from .targets import DeviceTargets, Targets

__all__ = [
    "BetasLike",
    "ControlLike",
    "EmbeddingLike",
    "HostEmbeddingLike",
    "HostTargetLike",
    "ImageProcessor",
    "ImagesLike",
    "LabelsLike",
    "LayersLike",
    "MasksLike",
    "MatricesLike",
    "MovieLike",
    "MoviesLike",
    "NamesLike",
    "OfTwoSets",
    "PairsLike",
    "PathOrPaths",
    "PatternsLike",
    "PicksLike",
    "PreprocessingLike",
    "RDMs",
    "Recorded",
    "RecordingsLike",
    "RegionsLike",
    "Sparse",
    "Splits",
    "Splitter",
    "SubsetLike",
    "TargetLike",
    "Transforms",
    "TripletsLike",
    "Volume",
    "VolumeLike",
    "WeightsLike",
    "WindowsLike",
]  # fmt: skip


class Volume(Protocol):
    """What is read of nibabel's images."""

    @property
    def dataobj(self) -> Any: ...
    @property
    def affine(self) -> Any: ...


class RDMs(Protocol):
    """What is read of rsatoolbox's ``RDMs``."""

    @property
    def dissimilarities(self) -> Any: ...  # rsatoolbox does not say
    @property
    def pattern_descriptors(self) -> Any: ...
    @property
    def n_cond(self) -> int: ...


class Sparse(Protocol):
    """What is read of scipy's sparse matrices and arrays; they have no types of their own."""

    @property
    def shape(self) -> Any: ...
    def tocoo(self) -> Any: ...


class Recorded(Protocol):
    """What is asked of MNE's ``Evoked`` and ``Epochs``, and of what is like them; channels, where there are any."""

    @property
    def times(self) -> Any: ...  # mne has no types


class ImageProcessor(Protocol):
    """What is read of an image processor of transformers, besides what not all have."""

    @property
    def image_mean(self) -> Any: ...
    @property
    def image_std(self) -> Any: ...
    @property
    def size(self) -> Any: ...


class Transforms(Protocol):
    """torchvision's ``Compose``."""

    @property
    def transforms(self) -> Any: ...  # torchvision has no types


class Splitter(Protocol):
    """A scikit-learn splitter; it has no types of its own."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Any, Any]]: ...


# X: stimuli by features. Arrays in a CUDA device's memory are not taken everywhere.
HostEmbeddingLike: TypeAlias = "ArrayLike | pandas.DataFrame | xarray.DataArray | Features"
EmbeddingLike: TypeAlias = "HostEmbeddingLike | CudaArray | DeviceFeatures"
# Targets: square or packed, one or T.
MatricesLike: TypeAlias = "ArrayLike | pandas.DataFrame | xarray.DataArray | RDMs"
HostTargetLike: TypeAlias = "MatricesLike | Targets"
TargetLike: TypeAlias = "HostTargetLike | CudaArray | DeviceTargets"
# Shaped like a target; on a CUDA device beside a target there.
WeightsLike: TypeAlias = "ArrayLike | pandas.DataFrame | xarray.DataArray | CudaArray"
ControlLike: TypeAlias = "MatricesLike | Sequence[MatricesLike]"
# Targets as lists: pairs with their values, choices of odd ones out.
PairsLike: TypeAlias = "ArrayLike | pandas.DataFrame | Sparse"
TripletsLike: TypeAlias = "ArrayLike | pandas.DataFrame"
# One a stimulus, or a feature: integers or text; and a mask of features, or their indices.
LabelsLike: TypeAlias = "ArrayLike | pandas.Series[Any] | pandas.Index[Any] | xarray.DataArray"
SubsetLike: TypeAlias = "ArrayLike | pandas.Series[Any] | pandas.Index[Any] | xarray.DataArray"
NamesLike: TypeAlias = "Sequence[object] | NDArray[Any] | pandas.Series[Any] | pandas.Index[Any] | xarray.DataArray"
# list[Any]: a list of indices is no list of array-likes to a type checker.
Splits: TypeAlias = "int | np.integer[Any] | Splitter | Iterable[tuple[ArrayLike, ArrayLike] | list[Any]]"
PathOrPaths: TypeAlias = "str | PathLike[str]"
ImagesLike: TypeAlias = (
    "PathOrPaths | PIL.Image.Image | NDArray[Any] | Iterable[PathOrPaths | PIL.Image.Image | NDArray[Any]] | Images"
)
# One for each of two image sets, in order or by name.
_T = TypeVar("_T")
OfTwoSets: TypeAlias = "Sequence[_T] | Mapping[str, _T]"
RegionsLike: TypeAlias = "OfTwoSets[xarray.DataArray] | OfTwoSets[Mapping[str, HostTargetLike]]"
LayersLike: TypeAlias = "OfTwoSets[HostEmbeddingLike] | Mapping[str, OfTwoSets[HostEmbeddingLike]]"
# MEG/EEG. Keys of a mapping are the subjects, or the stimuli: a type checker takes them as they are declared.
WindowsLike: TypeAlias = "str | Iterable[str | Sequence[float | str]] | NDArray[Any]"
PicksLike: TypeAlias = "str | slice | Sequence[str] | Sequence[int] | NDArray[Any]"
PatternsLike: TypeAlias = "ArrayLike | xarray.DataArray | Recorded | Sequence[Recorded] | Mapping[Any, Recorded]"
RecordingsLike: TypeAlias = "Mapping[Any, PatternsLike] | list[Any] | tuple[PatternsLike, ...] | xarray.DataArray"
MovieLike: TypeAlias = "ArrayLike | xarray.DataArray"
MoviesLike: TypeAlias = "MovieLike | Sequence[MovieLike] | Mapping[Any, MovieLike]"
# fMRI: values over space, and over trials.
VolumeLike: TypeAlias = "ArrayLike | PathOrPaths | Volume"
BetasLike: TypeAlias = "VolumeLike | Sequence[VolumeLike]"
MasksLike: TypeAlias = "VolumeLike | Mapping[str, VolumeLike]"
# How photographs become a network's input.
PreprocessingLike: TypeAlias = "Preprocessing | ImageProcessor | Transforms"
