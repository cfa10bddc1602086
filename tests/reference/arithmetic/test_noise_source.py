"""Where the noise comes from: what a format holds, and how its errors are drawn."""

import numpy as np

from reference.arithmetic.noise_source import NoiseSource, granularity
from reference.rounding.scale import FORMATS


def source(name="float64", runs=200, seed=0):
    return NoiseSource(FORMATS[name], runs, np.random.default_rng(seed))


def test_granularity():
    assert granularity(np.array([0.75, -2.5, 0.0])) == 0.25
    assert granularity(np.zeros(3)) == 0
