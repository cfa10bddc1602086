"""What the tests of functions share: where they are judged, and by what."""

import numpy as np

from benchmarks.exactness.independent_formulas import ULPS, error_in_ulps, exactly

DTYPES = (np.float64, np.float32, np.float16)


def points(dtype):
    """Numbers of both signs from the smallest to where every exponential has underflowed, and some beside 0 and 1."""
    sizes = np.concatenate([10.0 ** np.arange(-7, 3.5, 0.25), np.random.default_rng(0).uniform(0, 40, 60), [1.0, 2.0]])
    beside = [np.nextafter(dtype(1), dtype(0)), np.nextafter(dtype(1), dtype(2)), np.finfo(dtype).smallest_subnormal]
    found = np.concatenate([sizes.astype(dtype), np.array(beside, dtype)])
    return np.unique(np.concatenate([-found, [dtype(0)], found]))


def assert_digits(function, terms, dtype, at=None):
    """Every value is of the type and within `ULPS` of the sum of its terms, the package's goal for any function."""
    at = points(dtype) if at is None else np.asarray(at, dtype)
    values = function(at)
    assert values.dtype == dtype
    assert values.shape == at.shape
    for z, value in zip(at, values, strict=True):
        assert error_in_ulps(value, terms(exactly(z)), dtype) <= ULPS, f"{function.__name__}({z!r}) is {value!r}"
