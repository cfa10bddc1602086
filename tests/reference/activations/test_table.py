"""Every row of the table of activations: digits on the whole range, kinks, infinities, types, parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import given
from hypothesis import strategies as st

import reference as ref
from benchmarks.exactness import independent_formulas as truths
from benchmarks.exactness.independent_formulas import ULPS, error_in_ulps, exactly
from reference import activations as act
from reference.arithmetic.formats import FORMATS
from reference.arithmetic.noise_source import NoiseSource
from reference.arithmetic.noisy import Noisy
from tests.helpers import DTYPES, ELEMENTWISE, HOMOGENEOUS, ROWWISE, assert_same

ORDERS = ("value", "derivative", "second_derivative")

SELU_LEFT = float(Fraction("1.0507009873554804934193349852946") * Fraction("1.6732632423543772848170429916717"))

HARDEST = {
    "gelu": (-0.02978319, -0.12980652297191964, -0.20158682218739932, 0.015200361788606745, -0.002732455223423695),
    "gelu_tanh": (4.855397512621293, -17.229422130274834, -12.834024030410642, -8.305675814338347),
    "mish": (-0.38453561521976054, -0.3990626120545733, -0.10414, -18.184622399103525, 7.376393724829375e-06),
    "silu": (0.4935745024814431, -33.326240631789005, -0.06349444569117857),
    "sigmoid": (-4.828819791348015, -4.115446090698242),
    "tanh": (0.2613182294891523, 361.07185819621725),
    "tanhshrink": (0.05617560151987422, 0.22655737400054932),
}
"""Points that a longer search found to be the worst of their row."""


@dataclass(frozen=True)
class Case:
    """A row, its definition in balls, and a name for the report."""

    label: str
    row: ref.Activation
    truth: tuple[truths.Terms, ...]


WITH_PARAMETERS = (
    Case("leaky_relu(-0.25)", act.leaky_relu(-0.25), truths.leaky(-0.25)),
    Case("rrelu(0.25, 0.75)", act.rrelu(0.25, 0.75), truths.leaky(0.5)),
    Case("elu(-0.75)", act.elu(-0.75), truths.elu(-0.75)),
    Case("elu(2.5)", act.elu(2.5), truths.elu(2.5)),
    Case("celu(2.5)", act.celu(2.5), truths.celu(2.5)),
    Case("celu(0.375)", act.celu(0.375), truths.celu(0.375)),
    Case("softplus(2.5, inf)", act.softplus(2.5, math.inf), truths.softplus(2.5, math.inf)),
    Case("softplus(0.125, 4)", act.softplus(0.125, 4.0), truths.softplus(0.125, 4.0)),
    Case("hardtanh(-2, 0.5)", act.hardtanh(-2.0, 0.5), truths.hardtanh(-2.0, 0.5)),
    Case("hardshrink(0)", act.hardshrink(0.0), truths.hardshrink(0.0)),
    Case("softshrink(1.5)", act.softshrink(1.5), truths.softshrink(1.5)),
    Case("threshold(-1, 2)", act.threshold(-1.0, 2.0), truths.threshold(-1.0, 2.0)),
)
CASES = tuple(Case(name, ref.ACTIVATIONS[name], truths.ELEMENTWISE[name]) for name in ELEMENTWISE) + WITH_PARAMETERS


def by_label(case: Case) -> str:
    return case.label


each_case = pytest.mark.parametrize("case", CASES, ids=by_label)
each_type = pytest.mark.parametrize("dtype", DTYPES)
each_order = pytest.mark.parametrize("order", ORDERS)


def points(row: ref.Activation, dtype: Any) -> np.ndarray[Any, Any]:
    """Near 0, in the bulk, in both tails to beyond underflow, subnormal, and next to every kink; none on one."""
    rng = np.random.default_rng(20)
    info = np.finfo(dtype)
    smallest = int(info.minexp * math.log10(2)) + 1
    beside = [np.nextafter(dtype(k), dtype(side)) for k in row.all_breaks for side in (-np.inf, np.inf)]
    z = np.concatenate([
        rng.uniform(-1, 1, 25),
        rng.uniform(-5, 5, 40),
        rng.uniform(-40, 40, 30),
        rng.uniform(1.2 * info.minexp * math.log(2), -1.2 * info.minexp * math.log(2), 30),
        rng.choice([-1, 1], 25) * 10 ** rng.uniform(smallest, 6, 25),
        info.smallest_subnormal * rng.integers(1, 1000, 8).astype(float) * rng.choice([-1, 1], 8),
        np.array(beside, float),
        np.array(HARDEST.get(row.name, ())),
    ]).astype(dtype)  # fmt: skip
    return z[~np.isin(z, np.array(row.all_breaks, dtype))]


def test_every_row_has_a_definition_to_be_held_against():
    assert set(ELEMENTWISE) == set(truths.ELEMENTWISE)
    assert set(ROWWISE) == set(truths.ROWWISE)


@each_case
@each_type
@each_order
def test_the_digits_hold_on_the_whole_range(case, dtype, order):
    z = points(case.row, dtype)
    with np.errstate(under="ignore"):
        got = getattr(case.row, order)(z)
    assert got.dtype == dtype
    assert got.shape == z.shape
    terms = case.truth[ORDERS.index(order)]
    for point, number in zip(z, got, strict=True):
        with ctx.workprec(truths.BITS):
            error = error_in_ulps(number, terms(exactly(point)), dtype)
        assert error <= ULPS, f"{case.label} {order}({point!r}) = {number!r} is {error:.3g} ulps off ({dtype.__name__})"


@pytest.mark.parametrize("name", ["tanh", "gelu", "mish", "softplus"])
def test_the_measure_of_ulps_notices_the_last_digits(name):
    """The check above must be able to fail: a relative error of 16 roundings is seen at every point."""
    row, terms = ref.ACTIVATIONS[name], truths.ELEMENTWISE[name][0]
    z = np.array([-3.25, -0.5, 0.75, 2.5])
    for point, number in zip(z, row.value(z) * (1 + 16 * 2.0**-52), strict=True):
        with ctx.workprec(truths.BITS):
            assert error_in_ulps(number, terms(exactly(point)), np.float64) > ULPS


@each_type
@pytest.mark.parametrize("name", ROWWISE)
@pytest.mark.parametrize("spread", [0.5, 5.0, 40.0, 700.0])
def test_the_digits_of_rowwise_jacobians_hold(name, dtype, spread):
    """Each entry of J, by `vjp` and by `jvp` on unit vectors, and each value."""
    row, (value, jacobian) = ref.ACTIVATIONS[name], truths.ROWWISE[name]
    z = np.random.default_rng(3).uniform(-spread, spread, (1, 4)).astype(dtype)
    if dtype is np.float32:
        z = np.clip(z, -80, 80)
    y = row.value(z)
    unit_in, unit_out = np.eye(4, dtype=dtype), np.eye(y.shape[1], dtype=dtype)
    with np.errstate(under="ignore"):
        pushed = np.array([row.jvp(z, unit_in[[j]])[0] for j in range(4)]).T
        pulled = np.array([row.vjp(z, unit_out[[i]])[0] for i in range(y.shape[1])])
    assert y.dtype == pushed.dtype == pulled.dtype == dtype
    with ctx.workprec(truths.BITS):
        balls = [exactly(v) for v in z[0]]
        for number, ball in zip(y[0], value(balls), strict=True):
            assert error_in_ulps(number, [ball], dtype) <= ULPS
        for i, entries in enumerate(jacobian(balls)):
            for j, entry in enumerate(entries):
                for how, got in (("jvp", pushed), ("vjp", pulled)):
                    error = error_in_ulps(got[i, j], [entry], dtype)
                    assert error <= ULPS, f"{how} of {name}: J[{i}, {j}] at {z} is {error:.3g} ulps off"


# ── kinks and zeros ──────────────────────────────────────────────────────────────────────────────────


KINKED = tuple(c for c in CASES if c.row.kinks)


@each_type
@pytest.mark.parametrize("case", KINKED, ids=by_label)
def test_at_a_kink_the_declared_value_and_beside_it_the_declared_slopes(case, dtype):
    for kink in case.row.kinks:
        at = np.array([kink.at], dtype)
        if float(at[0]) != kink.at:
            continue  # the type has no number there: `threshold` at 0.1 in float32
        assert_same(case.row.derivative(at), np.array([kink.derivative], dtype), f"at {kink}")
        with ctx.workprec(truths.BITS):
            for side, slope in ((-np.inf, kink.left), (np.inf, kink.right)):
                beside = np.nextafter(at, dtype(side))
                got = case.row.derivative(beside)[0]
                assert error_in_ulps(got, case.truth[1](exactly(beside[0])), dtype) <= ULPS
                # The slope moves by less than |a″| ≤ 1 times the step on the way from the kink.
                assert abs(float(got) - slope) <= ULPS * float(np.spacing(np.abs(at) + 1)[0])


@pytest.mark.parametrize(
    ("name", "expected"),
    [  # torch's choices, as torch.autograd returns them (DESIGN.md, decision 3)
        ("relu", {0.0: 0}), ("relu6", {0.0: 0, 6.0: 0}), ("leaky_relu", {0.0: 0.01}),
        ("hardtanh", {-1.0: 0, 1.0: 0}), ("hardsigmoid", {-3.0: 0, 3.0: 0}), ("hardswish", {-3.0: 0, 3.0: 1}),
        ("hardshrink", {-0.5: 0, 0.5: 0}), ("softshrink", {-0.5: 0, 0.5: 0}), ("threshold", {0.1: 0}),
        ("elu", {0.0: 1}), ("celu", {0.0: 1}), ("softsign", {0.0: 1}),
        ("selu", {0.0: SELU_LEFT}),
    ],
)  # fmt: skip
def test_the_choices_at_kinks_are_those_of_torch(name, expected):
    for at, slope in expected.items():
        assert_same(ref.ACTIVATIONS[name].derivative(np.array([at])), np.array([float(slope)]))


def test_every_kink_of_a_row_is_one_of_its_breaks_in_order():
    for case in CASES:
        assert list(case.row.all_breaks) == sorted(case.row.all_breaks)
        assert {k.at for k in case.row.kinks} <= set(case.row.all_breaks)


@pytest.mark.parametrize("case", KINKED, ids=by_label)
def test_the_function_jumps_by_what_its_kink_declares(case):
    for kink in case.row.kinks:
        below, above = (truths.exactly(np.nextafter(kink.at, side)) for side in (-np.inf, np.inf))
        with ctx.workprec(truths.BITS):
            rise = case.truth[0](above)[0] - case.truth[0](below)[0]
            # Between the two neighbours a slope of at most 2 adds two spacings; so may the jump's own rounding.
            spacing = exactly(np.spacing(abs(kink.at) + 1.0))
            assert abs(rise - exactly(kink.jump)) <= 4 * spacing + abs(exactly(kink.jump)) * arb(2) ** -51


@each_case
@each_type
@each_order
def test_minus_zero_is_zero(case, dtype, order):
    f = getattr(case.row, order)
    assert_same(f(np.array([-0.0], dtype)), f(np.array([0.0], dtype)))


# ── infinities and NaN ───────────────────────────────────────────────────────────────────────────────

INF = math.inf
LIMITS: dict[str, tuple[tuple[float, float], ...]] = {
    # value, derivative and second derivative, each at −∞ and at +∞
    "identity": ((-INF, INF), (1, 1), (0, 0)),
    "relu": ((0, INF), (0, 1), (0, 0)),
    "relu6": ((0, 6), (0, 0), (0, 0)),
    "leaky_relu": ((-INF, INF), (0.01, 1), (0, 0)),
    "rrelu": ((-INF, INF), ((1 / 8 + 1 / 3) / 2, 1), (0, 0)),
    "elu": ((-1, INF), (0, 1), (0, 0)),
    "celu": ((-1, INF), (0, 1), (0, 0)),
    "selu": ((-SELU_LEFT, INF), (0, 1.0507009873554804934193349852946), (0, 0)),
    "gelu": ((0, INF), (0, 1), (0, 0)),
    "gelu_tanh": ((0, INF), (0, 1), (0, 0)),
    "sigmoid": ((0, 1), (0, 0), (0, 0)),
    "logsigmoid": ((-INF, 0), (1, 0), (0, 0)),
    "hardsigmoid": ((0, 1), (0, 0), (0, 0)),
    "silu": ((0, INF), (0, 1), (0, 0)),
    "hardswish": ((0, INF), (0, 1), (0, 0)),
    "mish": ((0, INF), (0, 1), (0, 0)),
    "softplus": ((0, INF), (0, 1), (0, 0)),
    "softsign": ((-1, 1), (0, 0), (0, 0)),
    "tanh": ((-1, 1), (0, 0), (0, 0)),
    "tanhshrink": ((-INF, INF), (1, 1), (0, 0)),
    "hardtanh": ((-1, 1), (0, 0), (0, 0)),
    "hardshrink": ((-INF, INF), (1, 1), (0, 0)),
    "softshrink": ((-INF, INF), (1, 1), (0, 0)),
    "threshold": ((20, INF), (0, 1), (0, 0)),
    "square": ((INF, INF), (-INF, INF), (2, 2)),
    "leaky_relu(-0.25)": ((INF, INF), (-0.25, 1), (0, 0)),
    "rrelu(0.25, 0.75)": ((-INF, INF), (0.5, 1), (0, 0)),
    "elu(-0.75)": ((0.75, INF), (0, 1), (0, 0)),
    "elu(2.5)": ((-2.5, INF), (0, 1), (0, 0)),
    "celu(2.5)": ((-2.5, INF), (0, 1), (0, 0)),
    "celu(0.375)": ((-0.375, INF), (0, 1), (0, 0)),
    "softplus(2.5, inf)": ((0, INF), (0, 1), (0, 0)),
    "softplus(0.125, 4)": ((0, INF), (0, 1), (0, 0)),
    "hardtanh(-2, 0.5)": ((-2, 0.5), (0, 0), (0, 0)),
    "hardshrink(0)": ((-INF, INF), (1, 1), (0, 0)),
    "softshrink(1.5)": ((-INF, INF), (1, 1), (0, 0)),
    "threshold(-1, 2)": ((2, INF), (0, 1), (0, 0)),
}  # fmt: skip


@each_case
@each_type
@each_order
def test_infinity_gives_the_limit(case, dtype, order):
    got = getattr(case.row, order)(np.array([-np.inf, np.inf], dtype))
    assert_same(got, np.array(LIMITS[case.label][ORDERS.index(order)], dtype), f"{case.label} {order}")


@each_case
@each_type
@each_order
def test_the_largest_numbers_give_the_limit_or_overflow_to_it(case, dtype, order):
    top = np.finfo(dtype).max
    z = np.array([-top, top])
    # Only a result that is beyond the type may warn of overflow.
    overflows = math.inf in np.abs(LIMITS[case.label][ORDERS.index(order)])
    with np.errstate(over="ignore" if overflows else "warn"):
        got = getattr(case.row, order)(z)
    for number, limit, point in zip(got, LIMITS[case.label][ORDERS.index(order)], z, strict=True):
        if math.isinf(limit):
            with ctx.workprec(truths.BITS):
                slope = case.truth[1](exactly(np.sign(point) * 1e6))[0]
            # A straight tail: slope·z to a rounding or two, or the infinity that it overflows to.
            straight = order == "value" and case.label != "square"
            expected = (slope if straight else exactly(point) if order == "value" else 2) * exactly(point)
            assert np.sign(number) == np.sign(limit)
            assert error_in_ulps(number, [expected], dtype) <= ULPS
        else:
            assert number == dtype(limit), f"{case.label} {order}({point!r}) = {number!r}, not {limit}"


@each_case
@each_type
@each_order
def test_nan_gives_nan(case, dtype, order):
    f = getattr(case.row, order)
    grid = f(np.linspace(-4, 4, 33).astype(dtype))
    got = f(np.array([np.nan], dtype))
    # A function that is constant on each side of its breaks need not look at z beyond comparing it, and a
    # comparison with NaN is false, as in torch; what depends on z passes NaN on.
    steps = len(set(grid.tolist())) <= len(case.row.all_breaks) + 1
    assert np.isnan(got[0]) or (order != "value" and steps and got[0] in grid)


@each_type
@pytest.mark.parametrize("name", ROWWISE)
def test_nan_in_a_row_gives_nan_in_that_row_alone(name, dtype):
    row = ref.ACTIVATIONS[name]
    z = np.array([[0.5, np.nan, -1.0, 2.0], [0.5, 1.5, -1.0, 2.0]], dtype)
    v = np.array([[0.25, -1.5, 0.5, 1.0]] * 2, dtype)
    for got in (row.value(z), row.jvp(z, v), row.vjp(z, v[:, : row.value(z).shape[1]])):
        assert np.isnan(got[0]).any()
        assert np.isfinite(got[1]).all()


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
def test_an_entry_of_minus_infinity_is_left_out(name):
    """e^−∞ = 0, as when logits are masked: the others are as without it."""
    row = ref.ACTIVATIONS[name]
    sign = -1 if name == "softmin" else 1
    z, v = np.array([[0.5, -1.0, 2.0]]), np.array([[0.25, -1.5, 0.5]])
    masked = np.concatenate([z, [[-sign * np.inf]]], axis=1)
    v_masked = np.concatenate([v, [[1.0]]], axis=1)
    assert_same(row.value(masked)[:, :3], row.value(z))
    if name != "log_softmax":
        assert_same(row.vjp(masked, v_masked)[:, :3], row.vjp(z, v))


# ── types ────────────────────────────────────────────────────────────────────────────────────────────


@each_case
@pytest.mark.parametrize("dtype", [*DTYPES, np.float16, np.longdouble])
@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_the_type_and_shape_stay(case, dtype, shape):
    z = np.full(shape, 0.40625, dtype)
    if dtype is np.longdouble and case.row.name == "gelu":
        with pytest.raises(TypeError, match=r"there is none in .*; float64 is the longest type that gelu takes"):
            case.row.value(z)
        return
    for order in ORDERS:
        got = getattr(case.row, order)(z)
        assert got.dtype == dtype, f"{case.label} {order}"
        assert got.shape == shape
    for product in (case.row.pullback, case.row.pushforward):
        got = product(z, z)
        assert got.dtype == dtype
        assert got.shape == shape


@pytest.mark.parametrize("dtype", [*DTYPES, np.float16, np.longdouble])
@pytest.mark.parametrize("name", ROWWISE)
def test_the_type_of_rowwise_products_stays(name, dtype):
    row = ref.ACTIVATIONS[name]
    z = np.array([[0.5, -1.25, 2.0, 0.75], [0.0, 0.0, 0.0, 0.0]], dtype)
    y = row.value(z)
    assert y.dtype == row.pullback(z, y).dtype == row.pushforward(z, z).dtype == dtype
    assert y.shape == (2, 4 // row.shrink)
    assert row.pullback(z, y).shape == z.shape
    assert row.pushforward(z, z).shape == y.shape


@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(tuple(ref.ACTIVATIONS)))
def test_nothing_is_modified_in_place(seed, name):
    row = ref.ACTIVATIONS[name]
    rng = np.random.default_rng(seed)
    z, dz = rng.normal(size=(2, 3, 4))
    d_y = rng.normal(size=row.value(z).shape)
    for array in (z, dz, d_y):
        array.flags.writeable = False
    row.value(z)
    row.pullback(z, d_y)
    row.pushforward(z, dz)


@pytest.mark.parametrize("name", HOMOGENEOUS)
@given(z=st.floats(-1e6, 1e6), power=st.integers(-20, 20))
def test_homogeneous_rows_scale(name, z, power):
    row, factor, point = ref.ACTIVATIONS[name], 2.0**power, np.array([np.float32(z)], float)
    # Powers of two scale without rounding, so the equality is exact (float32 points keep clear of subnormals).
    if point[0] == 0 or abs(point[0]) > 1e-30:
        assert_same(row.value(point * factor), row.value(point) * factor)


def test_only_homogeneous_rows_say_so():
    for case in CASES:
        z = np.array([-2.0, -0.25, 0.25, 2.0])
        scales = np.array_equal(case.row.value(64 * z), 64 * case.row.value(z))
        # Without a threshold hardshrink is the identity but for its declared jump at 0.
        assert case.row.homogeneous == scales or case.label == "hardshrink(0)", case.label


# ── parameters and names ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (act.leaky_relu, (math.nan,), "leaky_relu: negative_slope must be a finite number, got nan"),
        (act.leaky_relu, (math.inf,), "leaky_relu: negative_slope must be a finite number, got inf"),
        (act.leaky_relu, ("0.1",), "leaky_relu: negative_slope must be a finite number, got '0.1'"),
        (act.leaky_relu, (None,), "leaky_relu: negative_slope must be a finite number, got None"),
        (act.rrelu, (0.5, 0.25), "rrelu: lower must not exceed upper"),
        (act.rrelu, (math.nan, 0.25), "rrelu: lower must be a finite number"),
        (act.hardtanh, (1.0, 1.0), "hardtanh: min_val must be less than max_val"),
        (act.hardtanh, (2.0, -2.0), "hardtanh: min_val must be less than max_val"),
        (act.hardtanh, (-math.inf, 1.0), "hardtanh: min_val must be a finite number"),
        (act.hardshrink, (-0.5,), "hardshrink: lambd must not be negative"),
        (act.hardshrink, (math.nan,), "hardshrink: lambd must be a finite number"),
        (act.softshrink, (-0.5,), "softshrink: lambd must not be negative"),
        (act.softshrink, (math.inf,), "softshrink: lambd must be a finite number"),
        (act.threshold, (math.nan, 0.0), "threshold: threshold must be a finite number"),
        (act.threshold, (0.0, math.inf), "threshold: value must be a finite number"),
        (act.elu, (math.nan,), "elu: alpha must be a finite number"),
        (act.celu, (0.0,), "celu: alpha must not be 0"),
        (act.celu, (math.inf,), "celu: alpha must be a finite number"),
        (act.softplus, (0.0,), "softplus: beta must be positive"),
        (act.softplus, (-1.0,), "softplus: beta must be positive"),
        (act.softplus, (math.nan,), "softplus: beta must be a finite number"),
        (act.softplus, (1.0, math.nan), "softplus: .*threshold a number"),
    ],
)
def test_a_bad_parameter_is_named(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(*arguments)


def test_get_takes_a_name_or_a_row():
    row = act.leaky_relu(0.25)
    assert act.get(row) is row
    assert act.get("tanh") is ref.ACTIVATIONS["tanh"]


def test_get_lists_the_names_that_exist():
    with pytest.raises(
        ValueError, match=r"no row is named 'Tanh', is tanh meant\?; there are celu, elu, gelu, gelu_tanh, glu, "
    ) as error:
        act.get("Tanh")
    assert all(name in str(error.value) for name in ref.ACTIVATIONS)


@pytest.mark.parametrize("wrong", [None, 3, np.tanh, ["tanh"], b"tanh"])
def test_get_takes_nothing_else(wrong):
    with pytest.raises(TypeError, match=f"activation: expected a name or a row, got {type(wrong).__name__}"):
        act.get(wrong)


def test_glu_needs_an_even_number_of_features():
    with pytest.raises(ValueError, match="glu: needs an even number of features, got 3"):
        ref.ACTIVATIONS["glu"].value(np.ones((2, 3)))


class Silent(NoiseSource):
    """A source whose errors are all 0: what is left is which way each run goes."""

    def errors(self, values, *_):
        return np.zeros((self.runs + 1, *values.shape))


SILENT = Silent(FORMATS["float64"], 32, np.random.default_rng(1))


@pytest.mark.parametrize("name", [name for name, row in ref.ACTIVATIONS.items() if not row.rowwise])
def test_a_function_without_a_kink_answers_each_noisy_run_for_itself(name):
    """Runs far from the noise-free one took the form for the other side of 0: silu′(−0.8) was 0.86, not 0.14."""
    row, rng = ref.ACTIVATIONS[name], np.random.default_rng(0)
    functions = [row.value] if not any(kink.jump for kink in row.kinks) else []
    functions += [] if row.kinks else [row.derivative]
    for z in (-2.9, -0.9, -0.1, 0.1, 0.9, 2.9):
        runs = z + np.concatenate([[0.0], 0.05 * rng.normal(size=32)])
        for f in functions:
            together = f(Noisy(runs[:, None], SILENT)).data[:, 0]
            alone = [f(Noisy(np.array([[run]]), SILENT)).data[0, 0] for run in runs]
            assert_same(together, np.array(alone), name)
