"""Fine-tuning: a network is trained until 1 - Pearson of its features is an observed RDM (PyTorch)."""

from .trainer import PRESETS, DissimilarityTrainer, FineTuned, TrainingError

__all__ = ["PRESETS", "DissimilarityTrainer", "FineTuned", "TrainingError"]
