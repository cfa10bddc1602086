"""Where the noise comes from: what a format holds, and how its errors are drawn."""

import numpy as np
import pytest

from reference.arithmetic.noise_source import NoiseSource, Split, granularity, multiplicities
from reference.arithmetic.noisy import Noisy
from reference.rounding.scale import FORMATS


def source(name="float64", runs=200, seed=0):
    return NoiseSource(FORMATS[name], runs, np.random.default_rng(seed))


def test_granularity():
    assert granularity(np.array([0.75, -2.5, 0.0])) == 0.25
    assert granularity(np.zeros(3)) == 0


@pytest.mark.parametrize("runs", [2, 5, 64])
def test_every_other_run_rounds_equal_numbers_alike(runs):
    values = np.array([[0.3, 0.7, 0.3], [-0.3, 0.9, 0.6]])
    errors = source(runs=runs).errors(values)
    assert errors.shape == (runs + 1, 2, 3)
    assert not np.any(errors[0])
    for index, run in enumerate(errors[1:]):
        kinds = len({abs(e) for e in run.ravel().tolist()})
        assert kinds == (6 if index % 2 == 0 else 3), "0.3, its double and its negative are one number to rounding"
    alike = errors[2::2]
    assert np.array_equal(alike[:, 0, 0], -alike[:, 1, 0])
    assert np.array_equal(alike[:, 0, 0], alike[:, 1, 2])
    assert np.all((errors >= -1) & (errors <= 1))


@pytest.mark.parametrize("values", [[1.0], [0.25, 2.0, 1024.0, -8.0], [0.0]])
def test_powers_of_two_are_rounded_at_random(values):
    """The significand of each is 0, which every factor leaves 0: their errors were a full ulp then, always."""
    errors = source(runs=4000, seed=4).errors(np.array(values))[1:]
    assert abs(np.mean(errors**2) - 1 / 3) <= 6 * np.sqrt((1 / 5 - 1 / 9) / (len(errors) / 2))
    assert np.mean(np.abs(errors) > 0.99) < 0.03
    assert len(np.unique(errors[1::2, 0])) == len(errors) / 2, "another error in every run"


@pytest.mark.parametrize(("name", "shared"), [("float64", 0), ("float32", 4), ("bfloat16", 4)])
def test_numbers_that_the_format_cannot_tell_apart_are_rounded_alike_in_every_fourth_run(name, shared):
    """All of them are 1 in float32, where 1 less a sum of them is lost altogether."""
    errors = source(name, runs=16).errors(1 - 1e-10 * np.arange(1, 50))[1:]
    alike = [len(np.unique(run)) == 1 for run in errors]
    assert sum(alike) == shared
    assert all(index % 4 == 3 for index, equal in enumerate(alike) if equal)


def test_a_coarse_format_s_numbers_of_other_binades_err_apart():
    """bfloat16 has 128 significands only: were they all, the errors of ordinary numbers would add up."""
    alike = source("bfloat16", runs=4).errors(1.5 * 2.0 ** np.arange(-20, 20))[4]
    assert len(np.unique(alike)) == 40


def test_a_common_error_is_that_of_all_elements():
    """The mean over 10,000 different numbers is 0 within 6 deviations without one, and a quarter of ξ with one."""
    values = np.random.default_rng(1).normal(size=10_000)
    apart, common = (source(runs=400, seed=2).errors(values, c)[2::2].mean(axis=1) for c in (0.0, 0.25))
    assert np.all(np.abs(apart) <= 6 * np.sqrt(1 / 3 / 10_000))
    assert np.sqrt(np.mean(common**2)) == pytest.approx(0.25 / np.sqrt(3), rel=0.2)


@pytest.mark.parametrize("run", [1, 2])
@pytest.mark.parametrize("step", [1.0, 2.0**-52, 2.0**-7])
def test_errors_are_uniform_between_minus_one_and_one(run, step):
    """Mean 0 and variance ⅓, within six deviations of a mean of n; and both ends are reached within 20/n."""
    values = 1 + step * np.arange(10_000) if step < 2.0**-10 else step * (2 * np.arange(10_000) + 1)
    errors = source(runs=2, seed=3).errors(values)[run].astype(float)
    n = errors.size
    assert abs(errors.mean()) <= 6 * np.sqrt(1 / 3 / n)
    assert abs(np.mean(errors**2) - 1 / 3) <= 6 * np.sqrt((1 / 5 - 1 / 9) / n)
    assert abs(np.mean(errors[1:] * errors[:-1])) <= 6 / 3 / np.sqrt(n), "neighbours err apart"
    assert errors.min() < -1 + 20 / n
    assert errors.max() > 1 - 20 / n


def test_multiplicities_are_those_of_numpy_s_unique():
    values = np.random.default_rng(0).integers(-3, 4, (4, 9, 5)) / 4
    for axis in range(3):
        found = multiplicities(values, axis, 53)
        for row, counts in zip(
            np.moveaxis(values, axis, -1).reshape(-1, values.shape[axis]),
            np.moveaxis(found, axis, -1).reshape(-1, values.shape[axis]),
            strict=True,
        ):
            assert counts.tolist() == [float(np.sum(row == v)) for v in row]
    assert multiplicities(np.array([1.0, 1.001, 1.5]), 0, 8).tolist() == [2, 2, 1]


@pytest.mark.parametrize(("name", "dtype"), [("float32", np.float32), ("float16", np.float16), ("float64", np.float64)])
def test_what_a_format_holds_is_what_numpy_holds(name, dtype):
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(size=50), rng.normal(size=50).astype(dtype), [0.0, 1.0, 1 + 2.0**-10, 1 / 3]])
    assert np.array_equal(source(name).representable(values), values.astype(dtype) == values)


def test_a_source_does_not_decide():
    with pytest.raises(Split, match="both sides of a comparison"):
        source().decide()


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
def test_below_the_smallest_normal_number_a_format_holds_whole_steps_alone(name):
    fmt = FORMATS[name]
    steps = np.array([0.0, 1.0, -3.0, 0.5, 2.0**-3, 1.5])
    held = source(name).stores(fmt.smallest * steps)
    assert held.tolist() == [True, True, True, False, False, False]


def test_a_product_with_a_power_of_two_that_underflows_rounds():
    """Weights and a divisor that are powers of two: exact, but for what float16 has no room for."""
    made = source("float16")
    x = Noisy.held(np.array([[2.0**-24]]), made)
    tiny, whole = x @ Noisy.held(np.array([[0.3125]]), made), x @ Noisy.held(np.array([[3.0]]), made)
    assert tiny.spread()[0, 0] > 0
    assert whole.spread()[0, 0] == 0
    assert (x / 4).spread()[0, 0] > 0
