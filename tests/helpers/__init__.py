"""Small helpers by concern, handed on: comparing, networks; planting faults in a source is in `source_faults`."""

from .comparing import DTYPES, assert_same, assert_same_gradients, derivatives, fraction, gamma, leaves
from .networks import ELEMENTWISE, EXACT, HOMOGENEOUS, ROWWISE, exact_mlp, exact_names, integers, random_mlp

__all__ = [
    "DTYPES", "ELEMENTWISE", "EXACT", "HOMOGENEOUS", "ROWWISE", "assert_same", "assert_same_gradients", "derivatives",
    "exact_mlp", "exact_names", "fraction", "gamma", "integers", "leaves", "random_mlp",
]  # fmt: skip
