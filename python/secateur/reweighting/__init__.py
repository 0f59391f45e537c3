"""Reweighting baselines: ridge, non-negative LASSO and Sim-DR, which weigh features where pruning drops them.

A pair of stimuli is predicted from its features' products, s_ij = sum_k w_k x_ik x_jk + b, or from their squared
differences. Ridge and LASSO learn w, Sim-DR a map to few dimensions. All choose their penalty on inner folds of the
training stimuli: pairs of an inner test fold share no stimulus with the pairs that are learnt from. A LinearTransform
is fixed: it was learnt elsewhere.
"""

from .estimators import Reweighting
from .lasso import Lasso
from .pruned import PrunedRidge
from .ridge import Ridge
from .simdr import SimDR
from .transform import LinearTransform

__all__ = ["Lasso", "LinearTransform", "PrunedRidge", "Reweighting", "Ridge", "SimDR"]
