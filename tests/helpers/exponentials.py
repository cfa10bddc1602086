"""Whether NumPy's exponential of float64 is that of the C library, which compiled loops call."""

import math

import numpy as np

_NUMBERS = np.random.default_rng(0).standard_normal(20_000)
SAME_EXPONENTIAL = bool(np.array_equal(np.exp(_NUMBERS), list(map(math.exp, _NUMBERS))))
"""Not so on processors with AVX-512, for which NumPy has its own."""
