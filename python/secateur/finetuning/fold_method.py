"""Fine-tuning as a method of a comparison: a network is trained in each fold."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from ..features import Indices, Matrix
from ..networks.images import read_images
from ..progress import with_progress
from ..provenance import digest
from ..pruning import Pruner
from ..similarity import similarity
from ..targets import average, read_target
from .batches import task_of
from .trainable import TrainableNetwork, within_memory
from .trainer import DissimilarityTrainer

if TYPE_CHECKING:
    from .._typing import ImagesLike

__all__ = ["FineTuned"]


class FineTuned:
    """Fine-tuning as a method of :func:`secateur.compare`: in each fold a network is trained on its training images.

    Parameters
    ----------
    trainer : DissimilarityTrainer
        How; it is not fitted. Its validation is drawn among the training images of the fold (an integer, or None).
    images : as for :meth:`DissimilarityTrainer.fit`
        One set, in the order of the stimuli that are compared.
    pruner : Pruner, optional
        Prune the fine-tuned features on the training images, too; the similarity is then the pruner's.
    rescale : bool
        Whether the training target is z-scored and brought to the range of 1 - r first, as
        :func:`secateur.targets.average` does; alignments do not depend on its scale, the loss "mse" does.
    progress : bool
        Whether a progress bar may show.

    Attributes
    ----------
    n_features_ : int
        Of the last fit: features of the layer, or those kept.
    trainer_ : DissimilarityTrainer
        The last that was trained.

    Examples
    --------
    >>> import secateur as sc
    >>> from secateur.networks import embed, load
    >>> rng = np.random.default_rng(0)
    >>> photographs = rng.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    >>> net = load("squeezenet1_1", weights=None)
    >>> trainer = DissimilarityTrainer(net, freeze="up to features.11", epochs=1, validation=None, size=32)
    >>> tuned = FineTuned(trainer, photographs)
    >>> methods = {"full": "full", "tuned": tuned, "tuned + pruned": tuned.then(sc.Pruner("correlation"))}
    >>> X = embed(net, photographs)
    >>> sc.compare(X, rng.random(66), methods, cv=2, kind="dissimilarity").sizes["approach"]
    3
    """

    n_features_: int
    trainer_: DissimilarityTrainer

    def __init__(
        self,
        trainer: DissimilarityTrainer,
        images: ImagesLike,
        pruner: Pruner | None = None,
        *,
        rescale: bool = True,
        progress: bool = True,
    ) -> None:
        if not (trainer.validation is None or isinstance(trainer.validation, (int, np.integer))):
            raise ValueError(
                f"trainer must have a whole number of folds or None as validation, got {trainer.validation!r}"
            )
        self.trainer, self.images, self.pruner = trainer, read_images(images), pruner
        self.rescale, self.progress = rescale, progress
        self._shared = _Shared()

    def then(self, pruner: Pruner) -> FineTuned:
        """The same fine-tuning, pruned afterwards; networks that either has trained serve both.

        Parameters
        ----------
        pruner : Pruner
            What prunes the fine-tuned features.

        Returns
        -------
        FineTuned
        """
        other = copy.copy(self)
        other.pruner = pruner
        return other

    def fit_stimuli(self, stimuli: Indices, target: Matrix, weights: Matrix | None = None) -> FineTuned:
        """Train on these images.

        Parameters
        ----------
        stimuli : (n,) int64
            Their positions.
        target : (P,) float64
            Their similarities; NaN where a pair has none.
        weights : (P,) float64, optional
            Weight of each pair.

        Returns
        -------
        FineTuned
            Itself.
        """
        if stimuli.max(initial=0) >= len(self.images):
            raise ValueError(
                "images must be as many as the stimuli that are compared, got "
                f"{len(self.images)} images and stimulus {stimuli.max()}"
            )
        target = np.asarray(target, dtype=np.float64)
        key = digest(*(part for part in (stimuli, target, weights) if part is not None))
        self._features, self.trainer_ = self._shared.get(key, stimuli, lambda: self._train(stimuli, target, weights))
        self._support = None
        if self.pruner is not None:
            fitted = copy.deepcopy(self.pruner).set_params(kind="similarity")
            fitted.fit(self._features[stimuli].astype(np.float64), target)
            self._support = fitted.support_
        self.n_features_ = self._features.shape[1] if self._support is None else int(self._support.sum())
        return self

    def _train(self, stimuli: Indices, target: Matrix, weights: Matrix | None) -> tuple[Any, DissimilarityTrainer]:
        """Features of all images by the network trained on some, and its trainer."""
        trainer = copy.copy(self.trainer)
        line = TrainableNetwork(trainer)
        if self._shared.start is None:
            with within_memory(trainer.batch):
                self._shared.start = line.steps.start(
                    self.images, line.cut, lambda them: with_progress(them, len(them), "images", self.progress)
                )
        rdm = average(-target[None]) if self.rescale else -target
        names = tuple(self.images.names[i] for i in stimuli)
        task = task_of(
            [(names, read_target(rdm, len(stimuli), "dissimilarity", weights))], trainer.validation, trainer.seed
        )
        trainer.train(line, self._shared.start[stimuli], task, None, self.progress)
        everyone = np.arange(len(self.images), dtype=np.int64)
        at = line.steps.find(trainer.layer_)
        (_, pieces), *_ = line.steps.walk(self._shared.start, everyone, line.cut, [at])
        return np.concatenate([piece.float().cpu().numpy() for piece in pieces]), trainer

    def predict_stimuli(self, stimuli: Indices) -> Matrix:
        """Similarities of these images.

        Parameters
        ----------
        stimuli : (n,) int64
            Their positions.

        Returns
        -------
        (P,) float64
            Pearson of their features, or the pruner's similarity; NaN for an image without direction.
        """
        metric = "correlation" if self.pruner is None else self.pruner.metric
        return similarity(self._features[stimuli], metric, subset=self._support)


class _Shared:
    """What the methods of one fine-tuning have in common: frozen answers, and a fold's trained features."""

    def __init__(self) -> None:
        self.start: Any = None
        self._stimuli: bytes = b""
        self._trained: dict[str, tuple[Any, DissimilarityTrainer]] = {}

    def get(self, key: str, stimuli: Indices, train: Any) -> tuple[Any, DissimilarityTrainer]:
        if self._stimuli != stimuli.tobytes():  # another fold: features of the last are not asked for again
            self._trained.clear()
            self._stimuli = stimuli.tobytes()
        if key not in self._trained:
            self._trained[key] = train()
        return self._trained[key]
