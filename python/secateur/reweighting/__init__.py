"""Reweighting baselines: ridge, non-negative LASSO and Sim-DR, which weigh features where pruning drops them."""

from .estimators import Lasso, Ridge, SimDR

__all__ = ["Lasso", "Ridge", "SimDR"]
