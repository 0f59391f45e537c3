"""Fine-tuning: a network is trained until 1 - Pearson of its features is an observed RDM (PyTorch)."""

from .fold_method import FineTuned
from .trainable import TrainingError
from .trainer import PRESETS, DissimilarityTrainer

__all__ = ["PRESETS", "DissimilarityTrainer", "FineTuned", "TrainingError"]
