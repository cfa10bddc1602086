"""The noise model: it rounds where formats round, nowhere else, and by as much."""

import numpy as np
import pytest

from reference.arithmetic import dispatch as arithmetic
from reference.arithmetic.constants import SQRT_HALF
from reference.arithmetic.noise_source import NoiseSource, Split
from reference.arithmetic.noisy import Noisy
from reference.rounding.scale import FORMATS


def source(name="float64", runs=200, seed=0):
    return NoiseSource(FORMATS[name], runs, np.random.default_rng(seed))


def noisy(values, name="float64", runs=200):
    return Noisy.exact(np.asarray(values, dtype=float), source(name, runs))


@pytest.mark.parametrize("name", FORMATS)
def test_elementwise_results_err_by_up_to_an_ulp(name):
    x = noisy([0.3, 1.7, 1e-3, 1e3], name)
    y = np.tanh(x)
    ulp = FORMATS[name].ulp(np.tanh(x.data[0]))
    assert np.all(y.spread() > 0.3 * ulp)
    assert np.all(np.abs(y.data - y.data[0]) <= ulp + FORMATS[name].smallest)


@pytest.mark.parametrize("name", FORMATS)
def test_exact_operations_make_no_error(name):
    x = noisy([0.5, -3.0, 0.0, 6.0], name)
    for y in (x + 0, x * 2, x * 0.25, -x, np.maximum(x, 0), x - 6, x.magnitude(), x * 0 + 1, np.where(x > 0, x, 0)):
        assert np.all(y.spread() == 0)


def test_products_of_small_integers_are_exact_and_others_are_not():
    rng = np.random.default_rng(0)
    whole = rng.integers(-9, 10, (5, 7)).astype(float)
    assert np.all((noisy(whole, "bfloat16") @ np.ones((7, 1))).spread() == 0)
    assert np.all((noisy(whole) @ whole.T).spread() == 0)
    assert np.all((noisy(whole / 3) @ whole.T).spread() > 0)


def test_shape_and_maximum_are_exact():
    x = np.tanh(noisy([[0.3, -0.7, 0.2], [1.1, 0.4, -2.0]]))
    assert np.array_equal(x.reshape(-1).data, x.data.reshape(201, 6))
    assert np.array_equal(x.reshape((3, 2)).data, x.data.reshape(201, 3, 2))
    assert np.array_equal(x.max().data, x.data.reshape(201, 6).max(axis=1))
    assert noisy([0.0, 2.0]).reshape(2, 1).shape == (2, 1)


def test_a_branch_goes_the_way_of_every_run_and_a_split_one_is_refused():
    third = noisy([1.0])[0] / 3
    assert third > 0.3
    assert not third < 0.3
    with pytest.raises(Split, match="both sides"):
        bool(third * 3 > 1.0)
    with pytest.raises(ValueError, match=r"shape \(1,\)"):
        bool(noisy([1.0]) > 0)


def test_zero_products_stay_zero():
    x = noisy([[0.0, 0.0], [0.3, 0.7]])
    spread = (x @ np.array([[0.1], [0.2]])).spread()
    assert spread[0, 0] == 0
    assert spread[1, 0] > 0


def test_products_with_nothing_in_common_add_up_to_zero_in_every_run():
    """The square root of a sum of squares of such gradients, as optimisers take it, must not become NaN."""
    x = noisy([[0.3, 0.0, 0.7, 0.0]])
    product = x @ np.array([[0.0, 0.3], [0.1, 0.0], [0.0, 0.7], [0.2, 0.0]])
    assert np.all(product.data[:, 0, 0] == 0)
    assert product.spread()[0, 1] > 0


@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16"])
def test_numbers_the_format_cannot_hold_are_rounded(name):
    x = noisy([1.0], name)
    assert np.all((x * 0.5).spread() == 0)
    assert np.all((x * 0.1).spread() > 0)
    assert np.all(x.parameter(np.array([0.1])).spread() > 0)
    assert np.all(x.parameter(np.array([0.5])).spread() == 0)


def test_a_sum_errs_as_adding_one_by_one_does():
    """The model's spread against real float32 sums of the same numbers in many random orders."""
    rng = np.random.default_rng(1)
    for signs in (1.0, rng.choice([-1.0, 1.0], 400)):
        terms = (rng.exponential(size=400) * signs).astype(np.float32)
        exact = float(terms.astype(float).sum())
        errors = []
        for _ in range(300):
            total = np.float32(0)
            for t in rng.permutation(terms):
                total += t
            errors.append(float(total) - exact)
        measured = float(np.sqrt(np.mean(np.square(errors))))
        model = float(Noisy.exact(terms.astype(float)[None], source("float32", 400)).sum(axis=1).spread()[0])
        fresh = noisy(terms.astype(float)[None] / 3, "float32", 400) * 3  # terms that are no short numbers
        assert model == 0 or 0.3 < measured / model < 3
        assert 0.3 < measured / float(fresh.sum(axis=1).spread()[0]) < 3


def test_two_sum_and_two_product_give_back_what_the_noise_took():
    x, y = noisy([0.1, 1e8, -3.3]), noisy([0.7, 0.3, 1e-9])
    for f, exact in ((arithmetic.two_sum, np.add), (arithmetic.two_product, np.multiply)):
        s, e = f(x, y)
        assert np.any(s.spread() > 0)
        restored = s.data.astype(np.longdouble) + e.data
        error = restored - exact(x.data.astype(np.longdouble), y.data.astype(np.longdouble))
        assert np.max(np.abs(error)) <= 2.0**-50 * np.max(np.abs(e.data))


def test_an_infinity_that_noise_makes_loses_nothing():
    lowest = np.finfo(float).min  # as a mask is, which float32 does not hold
    with np.errstate(over="ignore"):
        x = noisy([lowest]).in_format(FORMATS["float32"])
        s, e = arithmetic.two_sum(x, 0.0)
    assert np.isinf(s.data).any()
    assert np.isfinite(e.data).all()


def test_constants_err_and_their_low_part_mends_them():
    high, low = noisy([1.0], "float32").constant(SQRT_HALF)
    assert np.all(high.spread() > 0)
    np.testing.assert_array_equal((high + 0).data[0], np.sqrt(0.5))
    assert np.max(np.abs(high.data + low.data - np.sqrt(0.5))) < 2.0**-52


def test_a_unit_near_a_kink_is_found_on_both_sides():
    x = noisy([[1.0, 1.0 / 3]])
    z = x @ np.array([[1.0], [-3.0]])
    assert 0 < (z > 0).data.mean() < 1
    far = noisy([[1.0, 0.5]]) @ np.array([[1.0], [-3.1]])
    assert not np.any((far > 0).data)


@pytest.mark.parametrize("name", ["float64", "float32", "bfloat16"])
def test_underflow_makes_errors_of_the_smallest_number(name):
    fmt = FORMATS[name]
    x = noisy([[fmt.smallest * 7, fmt.smallest * 9]], name)
    spread = (x * 0.3).spread()
    assert np.all((spread > 0.1 * fmt.smallest) & (spread < 3 * fmt.smallest))


@pytest.mark.parametrize("name", ["float64", "float32", "bfloat16"])
def test_a_number_that_underflows_twice_is_not_zero_in_a_third_of_the_runs(name):
    """e^−1000 is 0 in most runs; scaled by a power of two it may come to the smallest number in any of them."""
    runs, tiny = 600, -1000.0 if name == "float64" else -100.0
    scaled = np.exp(noisy([tiny], name, runs=runs)) * 2.0**-46
    values = {"product": scaled, "quotient": np.exp(noisy([tiny], name, runs=runs)) / 3}
    for what, value in values.items():
        share = np.mean(value.data[1:] != 0)
        assert share > 1 / 3 - 4 * np.sqrt(1 / 3 * 2 / 3 / runs), what


def test_equal_numbers_are_rounded_alike_in_half_of_the_runs():
    thirds = noisy(np.full(64, 1.0), runs=64) / 3
    deviation = thirds.data[1:] - thirds.data[0]
    alike = [len(set(run.tolist())) == 1 for run in deviation]
    assert sum(alike) == 32


def test_a_sum_that_float64_rounds_to_a_float32_is_not_exact():
    """1 + 1e-16 is 1 in float64, and 1 is a float32; the sum is rounded all the same."""
    assert np.all((noisy([1.0], "float32") + noisy([2.0**-54], "float32")).spread() > 0)


@pytest.mark.parametrize("name", ["float64", "float32", "bfloat16"])
def test_what_is_zero_without_noise_is_rounded_like_any_other_number(name):
    """y − t is 0 where they are equal; in other implementations it is not, and 3·(y − t) then is rounded."""
    y = np.tanh(noisy([[0.3]], name))
    difference = y - y.data[0]
    weights = np.array([[3.0, -1.0, -1.0, -1.0, 7.0, -7.0]])
    through = (difference @ weights) @ np.ones((6, 1))
    size = np.abs(difference.data).max() * FORMATS[name].unit_roundoff
    assert difference.data[0] == 0
    assert size < through.spread()[0, 0] < 100 * size
    added = (difference * weights).sum(axis=1)
    assert size < added.spread()[0] < 100 * size


# ── the range of float64 ─────────────────────────────────────────────────────────────────────────────


FAR = np.array([[2.0**400], [2.0**-400]])
"""240 decades apart: the square of their quotient is no float64 number."""


def alike(make):
    """The noise that `make` draws from one state of the generator, of every argument in turn."""
    return lambda *arguments: [make(a, noisy(np.full((1, 2), 3.0))).data for a in arguments]


@pytest.mark.parametrize("order", [1, -1])
def test_a_term_240_decades_below_another_changes_no_error(order):
    """In a column, a row, and a sum: the smaller term changes no sum, and so no error."""
    both, near = FAR[::order], np.maximum(FAR, 1.0)[::order]
    for f in (lambda c, x: (1 / x) @ c, lambda c, x: (c.T / x) @ np.ones((2, 1)), lambda c, x: (c.T / x).sum(axis=1)):
        found, expected = alike(f)(both, near)
        assert np.array_equal(found, expected)
        assert len(set(found.ravel().tolist())) > 1
        assert np.all(np.isfinite(found))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("far", [2.0**-600, 2.0**600])
def test_a_product_is_scaled_by_what_scales_its_rows_and_columns(axis, far):
    """Powers of two change no digits: neither those of a product nor those of its error."""
    left, right = np.random.default_rng(0).normal(size=(2, 3, 3))
    scale = np.array([far, 1.0, 1 / far])
    plain = noisy(left) @ right
    scaled = noisy(left * scale[:, None]) @ right if axis == 0 else noisy(left) @ (right * scale)
    assert np.array_equal(scaled.data, plain.data * (scale[:, None] if axis == 0 else scale))


@pytest.mark.parametrize("far", [2.0**-600, 2.0**600])
def test_a_sum_and_a_spread_are_scaled_by_what_scales_their_numbers(far):
    values = np.random.default_rng(0).normal(size=(3, 5)) / 3
    plain, scaled = (1 / noisy(values)).sum(axis=1), (1 / noisy(values / far)).sum(axis=1)
    assert np.array_equal(scaled.data, plain.data * far)
    assert np.array_equal(scaled.spread(), plain.spread() * far)
    one = Noisy(np.array([[1.0, 1.0], [1.0 + 2.0**-40, 1.0], [1.0 - 2.0**-40, 1.0]]) - 1.0, plain.source)
    assert np.array_equal(Noisy(one.data * far, one.source).spread(), one.spread() * far)


def test_two_ways_to_the_same_numbers_take_turns_in_runs_of_either_kind():
    source = NoiseSource(FORMATS["float32"], 8, np.random.default_rng(0))
    one, other = (Noisy(np.broadcast_to(np.arange(9.0)[:, None] + step, (9, 2)), source) for step in (0.0, 100.0))
    assert one.in_turns(other).data[:, 0].tolist() == [0, 1, 102, 103, 4, 5, 106, 107, 8]
    exact = Noisy.exact([1.0], source)
    assert exact.in_turns(exact).data.tolist() == [[1.0]]


def test_a_sum_that_rounds_to_a_place_puts_half_of_the_runs_beyond_it():
    x = noisy([2.96875, 2.984375, 3.0, 3.015625, -2.984375], "bfloat16", 8)
    data = x.across(3.0, 3.0, 8).data
    assert data[:, 1].tolist() == [2.984375, 2.984375, 3.015625, 3.015625] * 2 + [2.984375]
    assert data[:, 3].tolist() == [3.015625, 3.015625, 2.984375, 2.984375] * 2 + [3.015625]
    assert np.all(data[:, [0, 2, 4]] == x.data[:, [0, 2, 4]])
    assert x.across(-3.0, 3.0, 8) is x
