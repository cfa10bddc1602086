"""The noise model: it rounds where formats round, nowhere else, and by as much."""

import numpy as np
import pytest
import torch

import reference as ref
from reference.arithmetic import dispatch as arithmetic
from reference.arithmetic.constants import SQRT_HALF
from reference.arithmetic.noise_source import NoiseSource, Split, granularity
from reference.arithmetic.noisy import Noisy
from reference.network.in_arithmetic import TANH_TAIL, TANH_ULPS
from reference.rounding.scale import FORMATS, get_format, rounding_scale
from tests.helpers import derivatives


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


def test_granularity():
    assert granularity(np.array([0.75, -2.5, 0.0])) == 0.25
    assert granularity(np.zeros(3)) == 0


def test_scale_is_zero_exactly_where_every_implementation_is_exact():
    layer = ref.Layer(np.array([[2.0, -1.0]]), np.array([1.0]), "relu")
    problem = ref.Problem(ref.MLP((layer,)), np.array([[1.0, 2.0], [3.0, 1.0]]), np.zeros((2, 1)), "mse", "sum")
    scale = rounding_scale(problem)
    assert all(np.all(leaf == 0) for leaf in derivatives(scale).values())


def test_scale_grows_with_the_unit_roundoff():
    mlp = ref.initialize([8, 16, 16, 4], ["tanh", "tanh", "identity"], seed=3)
    rng = np.random.default_rng(4)
    problem = ref.Problem(mlp, rng.normal(size=(8, 8)), rng.normal(size=(8, 4)), "mse")
    sizes = {f: np.linalg.norm(rounding_scale(problem, f).layers[0].weight) for f in FORMATS}
    for coarse, fine in (("float32", "float64"), ("float16", "float32"), ("bfloat16", "float16")):
        ratio = FORMATS[coarse].unit_roundoff / FORMATS[fine].unit_roundoff
        assert 0.5 < sizes[coarse] / sizes[fine] / ratio < 2


def test_scale_is_reproducible_and_seeded():
    problem = ref.Problem(ref.initialize([3, 2], ["tanh"], seed=0), np.ones((1, 3)), np.zeros((1, 2)), "mse")
    a, b, c = (rounding_scale(problem, seed=s).layers[0].weight for s in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_the_textbook_scale_is_wide_where_textbook_formulas_cancel():
    layer = ref.Layer(np.array([[20.0]]), None, "tanh")
    problem = ref.Problem(ref.MLP((layer,)), np.array([[1.1]]), np.array([[0.3]]), "mse")
    accurate = rounding_scale(problem).layers[0].weight[0, 0]
    textbook = rounding_scale(problem, textbook=True).layers[0].weight[0, 0]
    assert accurate < 1e-30
    assert 1e-17 < textbook < 2e-15


def test_float32_reference_lies_within_its_scale():
    """The model against reality: 300 float32 gradients of the reference against its float64 ones."""
    worst = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        names = [str(n) for n in rng.choice([n for n in ref.ACTIVATIONS if n != "threshold"], 3)]
        mlp = ref.initialize([5, 8, 8, 3], names, seed=seed, dtype=np.float32)
        x, t = rng.normal(size=(6, 5)).astype(np.float32), rng.normal(size=(6, 3)).astype(np.float32)
        problem = ref.Problem(mlp, x, t, "mse")
        double = problem.map(lambda a: a.astype(float)).replace(target=t.astype(float))
        scale = rounding_scale(problem).leaves()
        exact = ref.gradients(double).leaves()
        for place, leaf in ref.gradients(problem).leaves().items():
            error = np.abs(leaf - exact[place])
            assert np.all((error == 0) | (scale[place] > 0))
            worst.append(np.max(error / np.where(scale[place] > 0, scale[place], 1)))
    assert max(worst) < 8
    assert np.median(worst) > 0.3


def test_bad_input_is_named():
    problem = ref.Problem(ref.initialize([3, 2], ["tanh"], seed=0), np.ones((1, 3)), np.zeros((1, 2)), "mse")
    with pytest.raises(ValueError, match="float7"):
        rounding_scale(problem, "float7")
    with pytest.raises(ValueError, match="at least 2"):
        rounding_scale(problem, runs=1)
    assert get_format("bfloat16").bits == 8


@pytest.mark.parametrize("name", ["float64", "float32", "bfloat16"])
def test_underflow_makes_errors_of_the_smallest_number(name):
    fmt = FORMATS[name]
    x = noisy([[fmt.smallest * 7, fmt.smallest * 9]], name)
    spread = (x * 0.3).spread()
    assert np.all((spread > 0.1 * fmt.smallest) & (spread < 3 * fmt.smallest))


def test_equal_numbers_are_rounded_alike_in_half_of_the_runs():
    thirds = noisy(np.full(64, 1.0), runs=64) / 3
    deviation = thirds.data[1:] - thirds.data[0]
    alike = [len(set(run.tolist())) == 1 for run in deviation]
    assert sum(alike) == 32


def test_a_sum_that_float64_rounds_to_a_float32_is_not_exact():
    """1 + 1e-16 is 1 in float64, and 1 is a float32; the sum is rounded all the same."""
    assert np.all((noisy([1.0], "float32") + noisy([2.0**-54], "float32")).spread() > 0)


def test_behind_a_jump_units_are_found_where_some_implementation_has_them():
    """hardshrink jumps by 1/2 at z = 1/2: hardtanh's z is −1.2, where its slope is 0, or −0.7, where it is 1."""
    layers = (
        ref.Layer(np.array([[3.0]]), None, "hardshrink"),  # 3·(1/6) = 1/2, or a little more or less
        ref.Layer(np.array([[1.0]]), np.array([-1.2]), "hardtanh"),
    )
    for x in (1 / 6, np.nextafter(1 / 6, 1)):  # 3·x rounds to 1/2 from either side
        problem = ref.Problem(ref.MLP(layers), np.array([[x]]), np.array([[1.0]]), "mse")
        scale = rounding_scale(problem)
        other = 2 * (-0.7 - 1.0)  # ∂L/∂b of hardtanh's layer on the other side of the jump
        assert scale.layers[1].bias[0] > abs(other) / 8


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


def test_tanh_near_one_errs_in_libraries_by_what_the_table_says():
    """1 − tanh z = 2/(e^2z + 1), to which 1 − t is compared in units of u, the ulp of numbers below 1."""
    import jax

    z = np.random.default_rng(0).uniform(8, 20, 50_000)
    with jax.enable_x64(True):
        values = {"JAX": np.asarray(jax.jit(jax.numpy.tanh)(z)), "torch": torch.tanh(torch.from_numpy(z)).numpy(),
                  "NumPy": np.tanh(z)}  # fmt: skip
    ulps = {name: ((1 - t) - 2 / (np.exp(2 * z) + 1)) * 2.0**53 for name, t in values.items()}
    tail = z > 13
    allowed = TANH_ULPS / np.sqrt(3)
    assert np.sqrt(np.mean(ulps["JAX"][tail] ** 2)) == pytest.approx(allowed, rel=0.1)
    assert 5 < np.abs(ulps["JAX"]).max() < 8
    assert np.abs(ulps["torch"]).max() < 1
    assert np.abs(ulps["NumPy"]).max() < 1


@pytest.mark.parametrize("name", TANH_TAIL)
def test_the_scale_allows_for_the_tanh_of_any_library(name):
    """σ of a′ is 7 u where tanh is near 1 in float64: a value that is 6.5 ulps off stays within 3 of it."""
    layers = (ref.Layer(np.array([[9.0]]), None, name),)
    problem = ref.Problem(ref.MLP(layers), np.array([[1.0]]), np.array([[0.0]]), "l1")
    wide, narrow = (rounding_scale(problem, t, textbook=True).layers[0].weight for t in ("float64", "float32"))
    least = 2 * TANH_ULPS / np.sqrt(3) / 1.5
    assert wide > least * 2.0**-53
    assert narrow < 2.0**29 * wide / 4
