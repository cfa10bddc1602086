"""Where the noise comes from: what a format holds, and how its errors are drawn."""

import numpy as np
import pytest

from reference.arithmetic.noise_source import NoiseSource, Split, granularity
from reference.rounding.scale import FORMATS


def source(name="float64", runs=200, seed=0):
    return NoiseSource(FORMATS[name], runs, np.random.default_rng(seed))


def test_granularity():
    assert granularity(np.array([0.75, -2.5, 0.0])) == 0.25
    assert granularity(np.zeros(3)) == 0


@pytest.mark.parametrize("runs", [2, 5, 64])
def test_every_other_run_rounds_all_elements_alike(runs):
    errors = source(runs=runs).errors((3, 4))
    assert errors.shape == (runs + 1, 3, 4)
    assert not np.any(errors[0])
    kinds = [len(set(run.ravel().tolist())) for run in errors[1:]]
    assert kinds == [12 if index % 2 == 0 else 1 for index in range(runs)]
    assert np.all((errors >= -1) & (errors <= 1))


def test_errors_are_uniform_between_minus_one_and_one():
    """Mean 0 and variance ⅓, within six deviations of a mean of n; and both ends are reached within 20/n."""
    errors = source(runs=2, seed=3).errors((10_000,))[1].astype(float)
    n = errors.size
    assert abs(errors.mean()) <= 6 * np.sqrt(1 / 3 / n)
    assert abs(np.mean(errors**2) - 1 / 3) <= 6 * np.sqrt((1 / 5 - 1 / 9) / n)
    assert errors.min() < -1 + 20 / n
    assert errors.max() > 1 - 20 / n


@pytest.mark.parametrize(("name", "dtype"), [("float32", np.float32), ("float16", np.float16), ("float64", np.float64)])
def test_what_a_format_holds_is_what_numpy_holds(name, dtype):
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(size=50), rng.normal(size=50).astype(dtype), [0.0, 1.0, 1 + 2.0**-10, 1 / 3]])
    assert np.array_equal(source(name).representable(values), values.astype(dtype) == values)


def test_a_source_does_not_decide():
    with pytest.raises(Split, match="both sides of a comparison"):
        source().decide()
