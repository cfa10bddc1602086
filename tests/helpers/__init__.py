"""Small helpers by concern, handed on: comparing, networks, pages of HTML; `source_faults` plants faults."""

from .comparing import DTYPES, assert_same, assert_same_gradients, derivatives, fraction, gamma, leaves
from .networks import ELEMENTWISE, EXACT, HOMOGENEOUS, ROWWISE, exact_mlp, exact_names, integers, random_mlp
from .pages import Reader

__all__ = [
    "DTYPES", "ELEMENTWISE", "EXACT", "HOMOGENEOUS", "ROWWISE", "Reader", "assert_same", "assert_same_gradients",
    "derivatives", "exact_mlp", "exact_names", "fraction", "gamma", "integers", "leaves", "random_mlp",
]  # fmt: skip
