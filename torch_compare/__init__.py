"""Gradients from different sources, held against each other.

>>> import numpy as np, reference as ref, torch_compare as tc
>>> mlp = ref.initialize([2, 2, 1], activations=["tanh", "identity"], seed=0)
>>> problem = ref.Problem(mlp, np.array([[0.5, -1.0]]), np.array([[1.0]]), loss="half_squared_error")
>>> tc.check(problem, tc.SOURCES["torch"](problem)).status
'agrees'
"""

from .deviations import DEVIATIONS, Deviation
from .measure import Place
from .sources import SOURCES
from .strategies import Spec, build, problems, specs
from .verdict import Verdict, assert_gradients, check, check_module

__all__ = [
    "DEVIATIONS", "SOURCES", "Deviation", "Place", "Spec", "Verdict", "assert_gradients", "build", "check",
    "check_module", "problems", "specs",
]  # fmt: skip
