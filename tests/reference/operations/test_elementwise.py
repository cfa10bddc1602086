"""Operations element by element: shapes, broadcasts and strides, kinks and ties, digits on the whole range."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flint import arb

import reference as ref
from reference import operations as ops
from reference.arithmetic.ball import Ball
from reference.arithmetic.ball_decisions import Undecided, precision
from reference.operations.by_element import by_element
from reference.operations.row import Operation

from .checking import (
    Arrays,
    assert_derivatives,
    assert_every_arithmetic,
    assert_mistakes_change_the_gradient,
    problem_of,
)

ROWS: tuple[tuple[Operation, int], ...] = (
    (ops.add(), 2), (ops.add(alpha=-0.75), 2), (ops.sub(), 2), (ops.sub(alpha=2.5), 2), (ops.mul(), 2), (ops.div(), 2),
    (ops.neg(), 1), (ops.pow(), 2), (ops.pow(2), 1), (ops.pow(-1.5), 1), (ops.pow(0.1), 1), (ops.pow(0.0), 1),
    (ops.exp(), 1), (ops.expm1(), 1), (ops.log(), 1), (ops.log1p(), 1), (ops.sqrt(), 1), (ops.rsqrt(), 1),
    (ops.reciprocal(), 1), (ops.abs(), 1), (ops.sin(), 1), (ops.cos(), 1), (ops.erf(), 1), (ops.clamp(0.5, 1.25), 1),
    (ops.clamp(max=1.0), 1), (ops.maximum(), 2), (ops.minimum(), 2), (ops.lerp(), 3), (ops.lerp(0.25), 2),
    (ops.lerp(1.5), 2), (ops.addcmul(), 3), (ops.addcmul(-0.5), 3), (ops.addcdiv(0.3), 3), (ops.prelu(), 2),
    (ops.erfc(), 1), (ops.tan(), 1), (ops.sinh(), 1), (ops.cosh(), 1), (ops.atan(), 1), (ops.asinh(), 1),
    (ops.hypot(), 2), (ops.atan2(), 2), (ops.exp2(), 1), (ops.log2(), 1), (ops.log10(), 1), (ops.logaddexp(), 2),
    (ops.sign(), 1), (ops.floor(), 1), (ops.ceil(), 1), (ops.trunc(), 1), (ops.round(), 1), (ops.fmod(), 2),
    (ops.remainder(), 2),
)  # fmt: skip
"""Rows of real inputs, all of them positive here, and how many they take."""
SHAPES = (((), (), ()), ((1,), (1,), (1,)), ((3,), (1,), (3,)), ((2, 3), (3,), (2, 1)), ((1, 3), (2, 1), (3,)),
          ((2, 1, 3), (4, 1), (1,)), ((3, 3), (3,), (3, 1)))  # fmt: skip


def _name(case: Any) -> str:
    return f"{case.name}({', '.join(f'{v}' for v in case.parameters.values())})" if isinstance(case, Operation) else ""


def _inputs(row: Operation, count: int, shapes: tuple[tuple[int, ...], ...], rng: np.random.Generator) -> Arrays:
    if row.name == "prelu":
        shape = shapes[0] or (1,)
        weight = (shape[1],) if len(shape) > 1 else (1,)
        return rng.normal(size=shape), rng.uniform(0.1, 0.5, weight)
    return tuple(rng.uniform(0.3, 2.0, shape) for shape in shapes[:count])


@pytest.mark.parametrize(("row", "count"), ROWS, ids=_name)
def test_derivatives_on_any_shapes_broadcasts_and_strides(row: Operation, count: int) -> None:
    rng = np.random.default_rng(1)
    for shapes in SHAPES:
        inputs = _inputs(row, count, shapes, rng)
        assert_derivatives(row, inputs, rng)
        wide = tuple(np.repeat(x, 2, axis=-1)[..., ::2] if x.ndim else x for x in inputs)
        assert_derivatives(row, tuple(x.T.copy().T for x in wide), rng)


@pytest.mark.parametrize(("row", "count"), ROWS, ids=_name)
def test_floats_are_within_the_noise_of_the_certified_gradients(row: Operation, count: int) -> None:
    rng = np.random.default_rng(2)
    assert_every_arithmetic(row, _inputs(row, count, ((2, 3), (3,), (2, 1)), rng), rng)


@pytest.mark.parametrize("row", [row for row, _ in ROWS if row.mistakes], ids=_name)
def test_every_mistake_changes_the_gradient(row: Operation) -> None:
    assert_mistakes_change_the_gradient(row, np.random.default_rng(3))


@pytest.mark.parametrize("row", [ops.where(), ops.masked_fill(2.5), ops.dropout(0.3)], ids=_name)
def test_mistakes_of_rows_with_masks_change_the_gradient(row: Operation) -> None:
    assert_mistakes_change_the_gradient(row, np.random.default_rng(3))


def test_masks_choose_and_their_inputs_have_no_gradient() -> None:
    rng = np.random.default_rng(4)
    x, other, mask = rng.normal(size=(3, 3)), rng.normal(size=3), rng.random((3, 1)) < 0.5
    for row, inputs in (
        (ops.where(), (mask, x, other)),
        (ops.masked_fill(-1.5), (x, mask)),
        (ops.dropout(0.25), (x, mask)),
        (ops.dropout(0.25), (x, mask.astype(float))),
    ):
        if inputs[-1].dtype == float and row.name == "dropout":
            y = row.value(*inputs)
            np.testing.assert_array_equal(row.pullback(inputs, y, x)[0], x * inputs[1] / 0.75)
            continue
        assert_derivatives(row, inputs, rng)
        assert_every_arithmetic(row, inputs, rng)


def test_a_masked_score_of_minus_infinity_leaves_exact_zeros() -> None:
    x, mask = np.array([[0.5, 1.0, -2.0]]), np.array([[False, True, False]])
    steps = [ref.Step("h", ops.masked_fill(float("-inf")), "x", "mask"), ref.Step("y", ops.softmax(), "h")]
    network = ref.Network({}, steps, constants={"mask": mask})
    problem = ref.Problem(network, x, np.array([[1.0, 2.0, 3.0]]), loss="inner_product", reduction="sum")
    assert ref.gradients(problem)["x"][0, 1] == 0
    leaf = ref.certified_gradients(problem).leaves()["x"]
    assert leaf.lower[0, 1] == leaf.upper[0, 1] == 0


def test_dropout_of_all_gives_zero_and_of_none_the_same() -> None:
    x, mask = np.array([1.5, -2.0]), np.array([1.0, 0.0])
    np.testing.assert_array_equal(ops.dropout(1.0).value(x, mask), [0.0, 0.0])
    np.testing.assert_array_equal(ops.dropout(0.0).value(x, mask), [1.5, 0.0])


def test_one_less_a_probability_keeps_its_digits_in_float32() -> None:
    """1 − float32(0.999999) would be 5% off."""
    found = ops.dropout(0.999999).value(np.ones(1, np.float32), np.ones(1, bool))
    assert abs(float(found[0]) * (1 - 0.999999) - 1) < np.finfo(np.float32).eps


# ── kinks and ties ───────────────────────────────────────────────────────────────────────────────────


def _pulled(row: Operation, *inputs: Any) -> tuple[Any, ...]:
    arrays = tuple(np.asarray(x, dtype=float) for x in inputs)
    y = row.value(*arrays)
    return row.pullback(arrays, y, np.ones_like(y))


def _convention(row: Operation, name: str, *inputs: Any) -> tuple[Any, ...]:
    arrays = tuple(np.asarray(x, dtype=float) for x in inputs)
    y = row.value(*arrays)
    return row.conventions[name](arrays, y, np.ones_like(y))


def test_the_bounds_of_clamp_let_the_gradient_through() -> None:
    row = ops.clamp(-1.0, 2.0)
    x = [-1.5, -1.0, 0.0, 2.0, 2.5]
    np.testing.assert_array_equal(_pulled(row, x)[0], [0, 1, 1, 1, 0])
    np.testing.assert_array_equal(_convention(row, "0 at the bounds", x)[0], [0, 0, 1, 0, 0])
    np.testing.assert_array_equal(_convention(row, "the mean of both slopes", x)[0], [0, 0.5, 1, 0.5, 0])
    np.testing.assert_array_equal(_convention(row, "0 at the lower bound", x)[0], [0, 0, 1, 1, 0])
    np.testing.assert_array_equal(_convention(row, "0 at the upper bound", x)[0], [0, 1, 1, 0, 0])
    assert "0 at the lower bound" not in ops.clamp(-1.0).conventions
    assert [s[k] for s, k in zip(row.switches(np.array(x)), (1, 3), strict=True)] == [0, 0]


def test_clamp_with_crossed_bounds_is_its_upper_one() -> None:
    row = ops.clamp(2.0, -1.0)
    np.testing.assert_array_equal(row.value(np.array([-3.0, 0.0, 5.0])), [-1.0, -1.0, -1.0])
    np.testing.assert_array_equal(_pulled(row, [-3.0, 0.0, 5.0])[0], [0, 0, 0])


@pytest.mark.parametrize("bounds", [{}, {"min": float("nan")}, {"max": "1"}])
def test_clamp_needs_a_bound(bounds: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"clamp: expected a number for min or max or both"):
        ops.clamp(**bounds)
    assert "clamp" not in ref.OPERATIONS


@pytest.mark.parametrize("row", [ops.maximum(), ops.minimum()], ids=_name)
def test_one_of_two_may_be_a_constant_in_every_arithmetic(row):
    network = ref.Network({}, [ref.Step("y", row, "bound", "x")], constants={"bound": np.array([0.25])})
    problem = ref.Problem(network, np.array([[0.5, -1.0]]), np.array([[2.0, 3.0]]), "inner_product")
    expected = [[2.0, 0.0]] if row.name == "maximum" else [[0.0, 3.0]]
    assert ref.gradients(problem)["x"].tolist() == expected
    assert ref.certified_gradients(problem)["x"].nearest.tolist() == expected
    assert ref.rounding_scale(problem)["x"].shape == (1, 2)


@pytest.mark.parametrize("row", [ops.maximum(), ops.minimum()], ids=_name)
def test_equal_ones_share_evenly(row: Operation) -> None:
    a, b = [1.0, 2.0, -0.0], [1.0, 3.0, 0.0]
    first, second = _pulled(row, a, b)
    larger = row.name == "maximum"
    np.testing.assert_array_equal(first, [0.5, float(not larger), 0.5])
    np.testing.assert_array_equal(second, [0.5, float(larger), 0.5])
    np.testing.assert_array_equal(_convention(row, "all to the first of two equal ones", a, b)[0][[0, 2]], [1, 1])
    np.testing.assert_array_equal(_convention(row, "all to the second of two equal ones", a, b)[1][[0, 2]], [1, 1])


def test_slopes_at_zero() -> None:
    np.testing.assert_array_equal(_pulled(ops.abs(), [-2.0, 0.0, -0.0, 3.0])[0], [-1, 0, 0, 1])
    np.testing.assert_array_equal(_convention(ops.abs(), "the slope from the right", [-2.0, 0.0, 3.0])[0], [-1, 1, 1])
    np.testing.assert_array_equal(_convention(ops.abs(), "the slope from the left", [-2.0, 0.0, 3.0])[0], [-1, -1, 1])
    np.testing.assert_array_equal(_pulled(ops.prelu(), [[-2.0, 0.0]], [0.25, 0.5])[0], [[0.25, 0.5]])
    np.testing.assert_array_equal(_pulled(ops.prelu(), [[-2.0, 0.0]], [0.25, 0.5])[1], [-2.0, 0.0])
    right = _convention(ops.prelu(), "the slope from the right", [[-2.0, 0.0]], [0.25, 0.5])
    np.testing.assert_array_equal(right[0], [[0.25, 1.0]])


def test_powers_at_zero_and_of_negative_numbers() -> None:
    x = [-2.0, -0.0, 0.0, 3.0]
    np.testing.assert_array_equal(_pulled(ops.pow(0), x)[0], [0, 0, 0, 0])
    np.testing.assert_array_equal(_pulled(ops.pow(1), x)[0], [1, 1, 1, 1])
    np.testing.assert_array_equal(_pulled(ops.pow(2), x)[0], [-4, 0, 0, 6])
    np.testing.assert_array_equal(_pulled(ops.pow(3), x)[0], [12, 0, 0, 27])
    np.testing.assert_array_equal(_pulled(ops.pow(1.5), [0.0, 4.0])[0], [0, 3])
    base, exponent = _pulled(ops.pow(), [0.0, 0.0, 0.0, 2.0], [0.0, 1.0, 2.5, 0.0])
    np.testing.assert_array_equal(base, [0, 1, 0, 0])
    np.testing.assert_allclose(exponent, [0, 0, 0, np.log(2.0)], rtol=4e-16)
    with np.errstate(invalid="ignore"):
        base, exponent = _pulled(ops.pow(), [-2.0], [3.0])
    assert base == [12.0]
    assert np.isnan(exponent[0])


def test_prelu_says_how_many_weights_it_expects() -> None:
    with pytest.raises(ValueError, match=r"prelu: weight: expected shape \(1,\) or \(3,\), got \(2,\)"):
        ops.prelu().value(np.ones((2, 3)), np.ones(2))


# ── digits ───────────────────────────────────────────────────────────────────────────────────────────

EXTREME: tuple[tuple[str, Operation, Callable[[Any], Any], tuple[float, ...]], ...] = (
    ("expm1 far below", ops.expm1(), lambda x: x.exp(), (-40.0, -700.0, -1e-300, 1e-20, 700.0)),
    ("log1p beside 0 and −1", ops.log1p(), lambda x: 1 / (1 + x), (1e-20, -1 + 2.0**-53, -1e-300, 1e300)),
    ("rsqrt", ops.rsqrt(), lambda x: -1 / (2 * x * x.sqrt()), (1e-200, 1e200, 3.0)),
    ("reciprocal", ops.reciprocal(), lambda x: -1 / (x * x), (1e-150, 1e150, -3.0)),
    ("erf", ops.erf(), lambda x: 2 * (-x * x).exp() / arb.pi().sqrt(), (0.0, 1.3, -5.7, 12.25, 26.123, -25.9)),
    ("erfc", ops.erfc(), lambda x: -2 * (-x * x).exp() / arb.pi().sqrt(), (0.0, 1.3, -5.7, 12.25, 26.123)),
    ("tan", ops.tan(), lambda x: 1 / x.cos() ** 2, (1e-300, 1.5707963267948966, -1.57, 1e5)),
    ("asin beside ±1", ops.asin(), lambda x: 1 / (1 - x * x).sqrt(), (1e-300, 1 - 2.0**-53, -1 + 2.0**-53, 0.7)),
    ("acos beside ±1", ops.acos(), lambda x: -1 / (1 - x * x).sqrt(), (0.0, 1 - 2.0**-53, -1 + 2.0**-53, 0.7)),
    ("atanh beside ±1", ops.atanh(), lambda x: 1 / (1 - x * x), (1e-300, 1 - 2.0**-53, -1 + 2.0**-53, 0.7)),
    ("acosh beside 1", ops.acosh(), lambda x: 1 / (x * x - 1).sqrt(), (1 + 2.0**-52, 1.5, 1e200)),
    ("atan", ops.atan(), lambda x: 1 / (1 + x * x), (1e-300, 1e154, -1e153, 0.7)),
    ("asinh", ops.asinh(), lambda x: 1 / (1 + x * x).sqrt(), (1e-300, 1e200, -1e200, 0.7)),
    ("log10", ops.log10(), lambda x: 1 / (x * arb(10).log()), (1e-300, 1e300, 3.0)),
    ("exp2", ops.exp2(), lambda x: arb(2) ** x * arb(2).log(), (-1000.0, 1000.5, 1e-300)),
    ("logit beside 0 and 1", ops.logit(), lambda x: 1 / (x * (1 - x)), (1e-300, 1 - 2.0**-53, 0.5, 0.3)),
    ("square", ops.pow(2), lambda x: 2 * x, (1e-200, -1e200, 1e-320)),
    ("x^0.1", ops.pow(0.1), lambda x: arb(0.1) * x ** (arb(0.1) - 1), (1e-300, 1e300, 0.7)),
    ("x^-3.7", ops.pow(-3.7), lambda x: arb(-3.7) * x ** (arb(-3.7) - 1), (1e-60, 1e60, 0.7)),
    ("sin beside π", ops.sin(), lambda x: x.cos(), (1.5707963267948966, 1e10, 3.0)),
    ("cos beside π", ops.cos(), lambda x: -x.sin(), (3.141592653589793, 1e10, 1e-300)),
)


@pytest.mark.parametrize(("label", "row", "truth", "points"), EXTREME, ids=[case[0] for case in EXTREME])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_derivatives_keep_their_digits(
    label: str, row: Operation, truth: Callable[[Any], Any], points: tuple[float, ...], dtype: Any
) -> None:
    """Within 4 ulps, as the derivatives of the activations: on the whole range of the type."""
    with precision(400), np.errstate(all="ignore"):
        x = np.array(points, dtype=dtype)
        x = x[np.isfinite(x)]
        found = row.pullback((x,), row.value(x), np.ones_like(x))[0]
        assert found.dtype == dtype
        for at, got in zip(x, found, strict=True):
            exact = truth(arb(float(at)))
            if not exact.is_finite():  # a pole, which float32 rounds the point to
                assert np.isinf(got)
                continue
            nearest = dtype(float(exact.mid()))
            if np.isinf(nearest):
                assert got == nearest
                continue
            error = abs(arb(float(got)) - exact) / arb(float(np.spacing(np.abs(nearest))))
            assert error < 4, (label, at, got)


def test_expm1_keeps_the_derivative_that_y_plus_1_loses() -> None:
    """torch's derivative, y + 1, is 0 from x = −37.5 on: all digits lost, and the textbook size says so."""
    x = np.array([-40.0])
    y = ops.expm1().value(x)
    assert y + 1 == 0
    (d_x,) = ops.expm1().pullback((x,), y, np.ones(1))
    np.testing.assert_allclose(d_x, np.exp(x), rtol=4e-16)
    (size,) = ops.expm1().textbook_pullback((x,), y, np.ones(1))
    assert size >= 1


def test_quotients_whose_squares_over_and_underflow() -> None:
    """−a/b² is 0 or ∞ where b² is no number of the type; −(a/b)/b is not."""
    a, b = np.array([1e200, 1e-200]), np.array([1e180, 1e-180])
    _, d_b = _pulled(ops.div(), a, b)
    np.testing.assert_allclose(d_b, [-1e-160, -1e160], rtol=4e-16)


def test_lerp_ends_at_its_ends() -> None:
    a, b = np.array([1.0, 1e20]), np.array([1e-20, 1.0])
    np.testing.assert_array_equal(ops.lerp(1.0).value(a, b), b)
    np.testing.assert_array_equal(ops.lerp(0.0).value(a, b), a)
    np.testing.assert_array_equal(ops.lerp().value(a, b, np.ones(2)), b)


def test_erf_in_balls_has_the_constant_of_its_derivative() -> None:
    with precision(200):
        x = Ball.exact(np.array([0.75]))
        found = ops.erf().pullback((x,), ops.erf().value(x), Ball.exact(np.ones(1)))[0].flat[0]
        exact = 2 * (-arb(0.75) * arb(0.75)).exp() / arb.pi().sqrt()
        assert abs(found - exact) < arb(10) ** -50


# ── what must be refused or found ────────────────────────────────────────────────────────────────────


def test_a_row_with_a_wrong_product_is_refused() -> None:
    x = np.array([0.25, 0.5])
    with pytest.raises(ValueError, match="pushforward"):
        by_element("bad", "a²", "none", ("input",), lambda a: a * a, (lambda v, y, a: 2.001 * v * a,), ((x,),))


def test_a_derivative_wrong_by_1e_30_is_outside_the_certificate() -> None:
    x = np.array([0.75, -1.25])
    problem = problem_of(ops.exp(), (x,), np.ones(2))
    leaf = ref.certified_gradients(problem, target_bits=110).leaves()["input_"]
    with precision(200):
        for at, low, high in zip(x, np.ravel(leaf.lower), np.ravel(leaf.upper), strict=True):
            exact = arb(float(at)).exp()
            assert arb(float(low)) <= exact <= arb(float(high))
        balls = Ball.exact(x)
        found = ops.exp().pullback((balls,), ops.exp().value(balls), Ball.exact(np.ones(2)))[0]
        for ball, at in zip(found.flat, x, strict=True):
            exact = arb(float(at)).exp()
            assert ball.overlaps(exact)
            assert not ball.overlaps(exact * (1 + arb(10) ** -30))


def test_an_undecided_tie_of_balls_is_said() -> None:
    with precision(60):
        third = Ball.exact(np.array([1.0])) / 3
        with pytest.raises(Undecided):
            ops.maximum().pullback((third, third * 3 / 3), third, third)


@pytest.mark.parametrize("name", sorted(ref.OPERATIONS))
def test_every_operation_computes_float16_in_float16(name: str) -> None:
    """SciPy has no function of it, and gave float64 for erf."""
    row = ref.OPERATIONS[name]
    inputs = tuple(x if x is None or x.dtype.kind != "f" else x.astype(np.float16) for x in row.probes[0])
    y = row.value(*inputs)
    d_y = tuple(map(np.ones_like, y)) if isinstance(y, tuple) else np.ones_like(y)
    found = row.pullback(inputs, y, d_y)
    made = [*(y if isinstance(y, tuple) else (y,)), *(d for d in found if d is not None)]
    assert {array.dtype for array in made if array.dtype.kind == "f"} == {np.dtype(np.float16)}
