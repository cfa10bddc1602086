"""Ball arithmetic: every operation encloses, and every trap of python-flint has its guard."""

import pickle
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, arb_mat, fmpq
from scipy import special

from reference.arithmetic import constants
from reference.arithmetic import dispatch as arithmetic
from reference.arithmetic.ball import Ball
from reference.arithmetic.ball_decisions import Decisions, Mask, Undecided, precision
from reference.arithmetic.ball_elements import outward, restored, stored
from reference.arithmetic.constants import Constant

HULL = Decisions(hull=True)
RATIONAL = Decisions(rational=True)


@pytest.fixture(autouse=True)
def _bits():
    with precision(128):
        yield


def ball(middle, radius=0.0, decisions=HULL):
    """Balls of the given midpoints and radii."""
    middle, radius = np.broadcast_arrays(np.asarray(middle, dtype=float), np.asarray(radius, dtype=float))
    pairs = zip(middle.ravel().tolist(), radius.ravel().tolist(), strict=True)
    return Ball([arb(m, r) for m, r in pairs], middle.shape, decisions)


def contains(b, points):
    return all(e.contains(arb(float(p))) for e, p in zip(b.flat, np.ravel(points), strict=True))


# ── the traps of python-flint ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("f", [np.maximum, np.minimum])
def test_extremes_keep_the_radius(f):
    """The larger of [−1, 1] and 0.25 may be anything from 0.25 to 1."""
    x = ball([0.0, 0.0], [1.0, 1.0])
    low, high = (f(x, 0.25)).bounds()
    ends = f(np.array([-1.0, 1.0]), 0.25)
    assert np.all(low <= ends.min())
    assert np.all(high >= ends.max())


def test_a_ball_does_not_turn_into_numbers():
    x = ball([1.0], 0.5)
    for convert in (float, np.asarray, lambda b: np.array(b, dtype=float), lambda b: b.astype(float)):
        with pytest.raises((TypeError, AttributeError)):
            convert(x)


@pytest.mark.parametrize("f", [np.greater, np.less, np.greater_equal, np.less_equal, np.equal, np.not_equal])
def test_undecided_comparisons_raise_or_say_so(f):
    overlapping = ball([5.0, 0.0], [0.0, 1.0], Decisions())
    with pytest.raises(Undecided, match=rf"{f.__name__} is undecided at \[1\]") as caught:
        f(overlapping, 0)
    assert caught.value.index == (1,)
    mask = f(ball([5.0, 0.0], [0.0, 1.0]), 0)
    assert isinstance(mask, Mask)
    assert mask.undecided.tolist() == [False, True]
    decided = f(ball([5.0, -5.0, 0.0], [1.0, 1.0, 0.0], Decisions()), 0)
    assert decided.dtype == bool
    assert decided.tolist() == f(np.array([5.0, -5.0, 0.0]), 0).tolist()


def test_zero_is_no_truth_value():
    assert bool(arb(0))  # the trap
    with pytest.raises(TypeError, match="truth"):
        bool(ball([0.0]))


def test_error_functions_at_infinity():
    assert arb("inf").erf().is_nan()  # the trap
    ends = Ball([arb("inf"), arb("-inf")], (2,))
    assert [float(b) for b in special.erf(ends).flat] == [1.0, -1.0]
    assert [float(b) for b in special.erfc(ends).flat] == [0.0, 2.0]
    assert float(special.erfcx(ends[:1]).flat[0]) == 0.0


def test_erfcx_stays_accurate_where_the_exponential_leaves_the_range():
    x = Ball.exact(np.array([0.0, 0.3, 5.0, 2.0**19, 2.0**21, 1e300]))
    for b, expected in zip(special.erfcx(x).flat, special.erfcx(np.array([float(b) for b in x.flat])), strict=True):
        assert b.rel_accuracy_bits() > 60
        assert abs(float(b) - expected) <= 4 * np.spacing(expected)


def test_logarithms_at_zero():
    y = np.log(Ball.exact(np.array([0.0, 1.0])))
    assert y.flat[0] < -1000
    assert outward(y.flat[1]) == (0.0, 0.0)
    assert np.maximum(y, -100.0).bounds()[1].tolist() == [-100.0, 0.0]
    assert np.log1p(Ball.exact(np.array([-1.0]))).flat[0] < -1000


def test_logarithms_of_balls_down_to_zero_are_bounded_above():
    tiny = Ball([arb(0, arb(2) ** -300), arb(0, 0.5)], (2,), HULL)
    y = np.log(tiny)
    limited = np.maximum(y, -100.0)
    assert outward(limited.flat[0]) == (-100.0, -100.0)
    assert limited.flat[1].is_nan()
    mask = y > -100.0
    assert mask.possible.tolist() == [False, True]
    assert (y + 1).flat[0].is_nan()


def test_balls_pickle_exactly():
    with pytest.raises(TypeError):
        pickle.dumps(arb(1))  # the trap
    with precision(1000):
        x = Ball([arb(1) / 3, arb("nan"), arb("-inf"), arb(0), arb(2) ** -5000, fmpq(2, 7)], (2, 3), HULL)
    with precision(53):
        y = pickle.loads(pickle.dumps(x))
        assert y.shape == x.shape
        assert y.decisions == x.decisions
        assert [stored(b) for b in y.flat] == [stored(b) for b in x.flat]
        assert restored(stored(x.flat[0])).mid() == x.flat[0].mid()


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64, bool])
def test_numbers_become_balls_exactly(dtype):
    values = np.array([[0.1, 1.7, -3.3]]).astype(dtype)
    x = Ball.exact(values)
    assert [Fraction(int(m), 1) * Fraction(2) ** int(e) for m, e in (b.man_exp() for b in x.flat)] == [
        Fraction(*float(v).as_integer_ratio()) for v in values.ravel()
    ]


def test_other_numbers_are_refused():
    for values in (np.array([1j]), np.array(["1"]), np.array([1.0], dtype=np.longdouble)):
        with pytest.raises(TypeError, match="floating numbers"):
            Ball.exact(values)


def test_negative_zero_becomes_zero():
    assert outward(Ball.exact(np.array([-0.0])).flat[0]) == (0.0, 0.0)
    assert np.copysign(1.0, Ball.exact(np.array([-0.0])).bounds()[1][0]) == 1.0


def test_negation_negates_and_keeps_the_radius():
    x = -ball([3.0], 0.5)
    low, high = outward(x.flat[0])
    assert -3.5 - 1e-8 < low <= -3.5 < -2.5 <= high < -2.5 + 1e-8
    assert not x.flat[0].is_exact()


# ── enclosure ────────────────────────────────────────────────────────────────────────────────────────

UNARY = {
    np.exp: (-3, 3), np.expm1: (-3, 3), np.log: (0.5, 9), np.log1p: (-0.4, 9), np.tanh: (-3, 3), np.sqrt: (1, 9),
    np.absolute: (-1, 1), np.negative: (-1, 1), np.sign: (-1, 1), special.erf: (-3, 3), special.erfc: (-3, 3),
    special.erfcx: (0.5, 5),
}  # fmt: skip


@pytest.mark.parametrize("f", UNARY)
def test_functions_enclose_their_values_on_the_whole_ball(f):
    rng = np.random.default_rng(0)
    middle, radius = rng.uniform(*UNARY[f], 50), rng.uniform(0, 0.2, 50)
    low, high = f(ball(middle, radius)).bounds()
    for part in np.linspace(-1, 1, 9):
        y = f(middle + part * radius * (1 - 2.0**-20))
        assert np.all((low <= y + 1e-14) & (y - 1e-14 <= high))
    exact = f(ball(middle))
    assert np.all(exact.bounds()[1] - exact.bounds()[0] <= 1.01 * np.spacing(np.abs(f(middle))) + 0)


@pytest.mark.parametrize("f", [np.add, np.subtract, np.multiply, np.true_divide, np.maximum, np.minimum])
@pytest.mark.parametrize(
    "shapes", [((3, 4), (3, 4)), ((3, 4), (4,)), ((3, 1), (4,)), ((), (3, 4)), ((2, 3, 1), (3, 4))]
)
def test_binary_operations_broadcast_and_enclose(f, shapes):
    rng = np.random.default_rng(1)
    a, b = (rng.normal(size=s) for s in shapes)
    b = np.where(np.abs(b) < 0.3, 1.0, b)
    for x, y in ((ball(a, 0.1), ball(b, 0.1)), (ball(a, 0.1), b), (a, ball(b, 0.1))):
        if not isinstance(x, Ball) and x.shape == ():
            x = float(x)
        z = f(x, y)
        assert z.shape == f(a, b).shape
        for s, t in ((0.09, 0.09), (-0.09, 0.09), (0.09, -0.09)):
            shift, other = (s if isinstance(x, Ball) else 0.0), (t if isinstance(y, Ball) else 0.0)
            assert contains(z, f(a + shift, b + other)) or f is np.true_divide or _nearly(z, f(a + shift, b + other))


def _nearly(z, values):
    low, high = z.bounds()
    return np.all((low <= values + 1e-14) & (values - 1e-14 <= high))


def test_products_sums_and_shapes():
    rng = np.random.default_rng(2)
    a, b = rng.integers(-9, 10, (3, 4)).astype(float), rng.integers(-9, 10, (4, 5)).astype(float)
    x, y = Ball.exact(a), Ball.exact(b)
    for got, expected in (
        (x @ y, a @ b), (x @ b, a @ b), (a @ y, a @ b), (y.T @ x.T, b.T @ a.T), (x.sum(), a.sum()),
        (x @ b[:, 0], a @ b[:, 0]),
        (x.sum(axis=0), a.sum(axis=0)), (x.sum(axis=1, keepdims=True), a.sum(axis=1, keepdims=True)),
        (x[:, None, :].sum(axis=2), a[:, None, :].sum(axis=2)), (x[1:, ::2], a[1:, ::2]), (x[..., :2], a[..., :2]),
        (np.concatenate([x, x + 1], axis=-1), np.concatenate([a, a + 1], axis=-1)),
        (np.where(a > 0, x, 7), np.where(a > 0, a, 7)), (np.where(x > 0, 1.0, x), np.where(a > 0, 1.0, a)),
    ):  # fmt: skip
        assert got.shape == np.shape(expected)
        assert np.array_equal(got.bounds()[0], expected)
        assert np.array_equal(got.bounds()[1], expected)
    with pytest.raises(ValueError, match="matmul"):
        _ = x.T @ y


@pytest.mark.parametrize("decisions", [HULL, RATIONAL])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1, -2, -3])
def test_a_sum_over_any_axis_counted_from_either_end(axis, keepdims, decisions):
    values = np.arange(24.0).reshape(2, 3, 4) ** 2
    got, expected = Ball.exact(values, decisions).sum(axis=axis, keepdims=keepdims), values.sum(axis, keepdims=keepdims)
    assert got.shape == expected.shape
    assert np.array_equal(got.bounds()[0], expected)
    assert np.array_equal(got.bounds()[1], expected)


def test_what_an_undecided_mask_chooses_holds_both():
    x = ball([0.0, 3.0], [1.0, 0.0])
    low, high = np.where(x > 0, ball([10.0, 10.0]), -10.0).bounds()
    assert low[0] <= -10.0 < 10.0 <= high[0]
    assert (low[1], high[1]) == (10.0, 10.0)
    low, high = x.indicator(x > 0).bounds()
    assert low[0] <= 0.0
    assert high[0] >= 1.0
    assert (low[1], high[1]) == (1.0, 1.0)
    low, high = np.sign(x).bounds()
    assert low[0] <= -1.0 < 1.0 <= high[0]
    both = (x > 0) & np.array([True, False])
    either = (x > 0) | ~(x > 0)
    assert both.undecided.tolist() == [True, False]
    assert either.certain.tolist() == [False, True]


def test_what_the_calculus_asks():
    x = ball([[0.5, -2.0]])
    s, lost = arithmetic.two_sum(x, 0.25)
    assert contains(s, [0.75, -1.75])
    assert outward(lost.flat[0]) == (0.0, 0.0)
    p, lost = arithmetic.two_product(x, x)
    assert contains(p, [0.25, 4.0])
    assert outward(lost.flat[0]) == (0.0, 0.0)
    assert arithmetic.limited(x, 0.1) is x
    assert contains(arithmetic.magnitude(x), [0.5, 2.0])
    assert arithmetic.parameter(np.float32([0.1]), x).flat[0] == arb(float(np.float32(0.1)))
    mask, peak = arithmetic.largest(x)
    assert mask.tolist() == [[True, False]]
    assert peak.shape == (1, 1)
    assert peak.flat[0].is_exact()
    residual = arithmetic.tanh_residual(x)
    assert contains(residual + np.tanh(x), [0.5, -2.0])


@pytest.mark.parametrize("name", [n for n, c in vars(constants).items() if isinstance(c, Constant)])
@pytest.mark.parametrize("decisions", [HULL, RATIONAL])
def test_constants_have_every_digit(name, decisions):
    c = getattr(constants, name)
    value = ball([1.0], decisions=decisions).constant(c)[0].flat[0]
    digits = fmpq(c.exact.numerator, c.exact.denominator)
    difference = abs(value - digits)
    assert difference < arb(2) ** -90 * abs(arb(digits)) or float(difference) == 0


# ── rational numbers ─────────────────────────────────────────────────────────────────────────────────


def test_rational_numbers_are_carried_exactly():
    x = Ball.exact(np.array([[1.0, 2.0], [3.0, 0.0]]), RATIONAL)
    thirds = x / 3
    assert thirds.flat[0] == fmpq(1, 3)
    assert (thirds @ np.array([[1.0], [1.0]])).flat == [1, 1]
    assert ((thirds * 3 - x) == 0).all()
    assert np.exp(x * 0).flat[0] == fmpq(1)
    assert isinstance(np.exp(x).flat[0], arb)
    mixed = np.concatenate([np.exp(x), x], axis=0)
    product = mixed @ thirds
    assert product.flat[4] == fmpq(1, 3) + 2
    assert isinstance(product.flat[0], arb)
    assert (x / 0).flat[0].is_nan()


def test_matrix_and_elements_agree():
    m = Ball(None, (2, 2), matrix=arb_mat(2, 2, [1, 2, 3, 4]))
    assert [float(b) for b in m.flat] == [1, 2, 3, 4]
    assert [float(b) for b in m.T.flat] == [1, 3, 2, 4]
    assert "1.0" in repr(m)
