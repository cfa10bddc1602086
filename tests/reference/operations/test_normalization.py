"""The norms: derivatives, accuracy where the customary formula loses digits, mistakes, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as ref
from reference import operations as ops
from reference.operations.row import Operation

from .checking import assert_derivatives, assert_every_arithmetic, assert_mistakes_change_the_gradient, row_errors

FEW = 16.0
"""Ulps of a row's largest element: some ten roundings of size u each stand between x and d_x (README, "Norms")."""

ROWS = {
    "layer": (ops.layer_norm(), (2, 5), (5,), (5,)),
    "layer of one axis": (ops.layer_norm(4, eps=0.25), (4,), (4,), (4,)),
    "layer of two axes": (ops.layer_norm((3, 2), eps=0.0), (2, 2, 3, 2), (3, 2), (3, 2)),
    "layer of one number": (ops.layer_norm(), (3, 1), (1,), None),
    "rms": (ops.rms_norm(eps=1e-6), (2, 1, 5), (5,)),
    "rms of two axes": (ops.rms_norm((3, 2), eps=0.0), (3, 2), (3, 2)),
    "group": (ops.group_norm(2), (2, 4, 3), (4,), (4,)),
    "group of images": (ops.group_norm(1, eps=1e-3), (1, 2, 2, 3), (2,), None),
    "instance": (ops.instance_norm(), (2, 3, 4), (3,), (3,)),
    "batch": (ops.batch_norm(training=True), (4, 3), None, None, (3,), (3,)),
    "batch of images": (ops.batch_norm(training=True), (3, 2, 2, 2), None, None, (2,), None),
    "running": (ops.batch_norm(), (3, 2, 4), (2,), (2,), (2,), (2,)),
    "normalize": (ops.normalize(), (3, 4)),
    "normalize, p = 1": (ops.normalize(1.0, dim=0), (3, 4)),
    "normalize, p = 3": (ops.normalize(3.0, dim=-1), (2, 2, 4)),
    "normalize, p = ∞": (ops.normalize(np.inf), (3, 4)),
    "normalize below its bound": (ops.normalize(eps=100.0), (3, 4)),
}


def drawn(row: Operation, shapes: tuple[Any, ...], rng: np.random.Generator) -> tuple[Any, ...]:
    """Random inputs; the running variance, an input of data, is positive; x is a view with strides of its own."""
    found = [None if shape is None else rng.normal(size=shape) for shape in shapes]
    found[0] = rng.normal(size=(*shapes[0][:-1], 2 * shapes[0][-1]))[..., ::2]
    return tuple(np.abs(x) + 0.1 if x is not None and row.is_data(k) else x for k, x in enumerate(found))


@pytest.mark.parametrize("case", ROWS)
def test_derivatives(case: str) -> None:
    row, *shapes = ROWS[case]
    rng = np.random.default_rng(0)
    inputs = drawn(row, tuple(shapes), rng)
    assert_derivatives(row, inputs, rng)
    assert_derivatives(row, inputs[:1] if not row.data or row.parameters["training"] else inputs[:3], rng)


@pytest.mark.parametrize("case", ROWS)
def test_noise_and_balls(case: str) -> None:
    row, *shapes = ROWS[case]
    rng = np.random.default_rng(1)
    assert_every_arithmetic(row, drawn(row, tuple(shapes), rng), rng)


@pytest.mark.parametrize("case", ROWS)
def test_mistakes(case: str) -> None:
    assert_mistakes_change_the_gradient(ROWS[case][0], np.random.default_rng(2))


ROWWISE = {
    "layer": ops.layer_norm(),
    "layer, ε = 0": ops.layer_norm(eps=0.0),
    "rms": ops.rms_norm(eps=1e-6),
    "rms, ε = 0": ops.rms_norm(eps=0.0),
    "normalize": ops.normalize(),
    "normalize, p = 3": ops.normalize(3.0, eps=0.0),
    "normalize, p = ∞": ops.normalize(np.inf, eps=0.0),
}
_NORMAL = np.random.default_rng(3).normal(size=(3, 8))
EXTREME = {
    "nearly constant": 1e8 + 1e-6 * _NORMAL,
    "ulps apart": 1.0 + 2.0**-52 * np.round(4 * _NORMAL),
    "squares overflow": 1e200 * _NORMAL,
    "squares underflow": 1e-200 * _NORMAL,
    "squares overflow in float32": (1e30 * _NORMAL).astype(np.float32),
    "squares underflow in float32": (1e-30 * _NORMAL).astype(np.float32),
    "sums overflow": np.sign(_NORMAL) * np.linspace(0.2, 0.45, 8) * np.finfo(np.float64).max,
    "two numbers": _NORMAL[:, :2],
    "two numbers in float32": _NORMAL[:, :2].astype(np.float32),
    "one number": _NORMAL[:, :1],
    "one far away": _NORMAL + 1e9 * np.eye(3, 8),
}


def vanishes(name: str, width: int) -> bool:
    """Whether the gradient is 0, of which no share is right: see the test of gradients that vanish."""
    least = {"layer": 2, "layer, ε = 0": 3, "rms": 1}.get(name, 2)
    return width < least


@pytest.mark.parametrize(
    ("name", "values"),
    [(name, values) for name in ROWWISE for values, x in EXTREME.items() if not vanishes(name, x.shape[-1])],
)
def test_few_ulps_where_others_lose_digits(name: str, values: str) -> None:
    """Torch's error in each of these rows is stated in the README."""
    row, x = ROWWISE[name], EXTREME[values]
    d_y = np.random.default_rng(4).normal(size=x.shape).astype(x.dtype)
    assert row_errors(row, (x,), d_y)["x"] <= FEW


@pytest.mark.parametrize(
    ("row", "width"),
    [(ops.layer_norm(eps=0.0), 2), (ops.layer_norm(), 1), (ops.rms_norm(eps=0.0), 1), (ops.normalize(), 1)],
)
def test_a_gradient_that_vanishes_is_far_below_u(row: Operation, width: int) -> None:
    """Rounding in the customary formula leaves u·|d_y|/|x|; what is left here is less than u² of it."""
    x, d_y = np.random.default_rng(5).normal(size=(2, 40, width))
    (d_x,) = row.pullback((x,), row.value(x), d_y)
    assert np.all(np.abs(d_x) <= 2 * np.finfo(float).eps ** 2 * np.abs(d_y).max() / np.abs(x).min() ** 2)


def test_a_constant_row_has_the_bias_for_its_value_and_a_gradient() -> None:
    """The mean of 0.1 thrice is not 0.1 in float64: a mean taken once leaves 1e-17/√ε."""
    x, bias, d_y = np.full((1, 3), 0.1), np.array([1.0, 2.0, 3.0]), np.array([[1.0, 2.0, 4.0]])
    np.testing.assert_array_equal(ops.layer_norm().value(x, np.ones(3), bias), bias[None])
    assert row_errors(ops.layer_norm(), (x,), d_y)["x"] <= FEW


def test_rounding_of_a_row_does_not_change_what_it_is_divided_by() -> None:
    """One run with ε for its scale gave sums of all runs errors a million times too large, and NaN for their root."""
    x = np.array([[1.5, -2.25, 0.75, 2.5, -0.5, 1.0, -1.25, 2.0]])
    steps = [
        ref.Step("far", "add", "x", "constant"),
        ref.Step("near", "sub", "far", "constant"),  # off by a fifth in bfloat16
        ref.Step("y", ops.rms_norm(eps=1e-6), "near"),
    ]
    network = ref.Network({}, steps, constants={"constant": np.array([[200.0]])})
    problem = ref.Problem(network, x, np.arange(8.0)[None], loss="inner_product")
    sigma = ref.rounding_scale(problem, "bfloat16")["x"]
    assert np.all(sigma < np.abs(ref.gradients(problem)["x"]).max())


def test_a_mean_once_taken_would_not_pass() -> None:
    """The test of nearly constant rows can fail: the customary formula is off by 1e6 ulps and more."""
    x = EXTREME["nearly constant"]
    d = x - x.mean(axis=-1, keepdims=True)
    y = d / np.sqrt((d * d).mean(axis=-1, keepdims=True) + 1e-5)
    assert np.abs(y - ops.layer_norm().value(x)).max() > 1e4 * np.finfo(float).eps * np.abs(y).max()


def test_normalize_shares_a_tie_and_takes_the_norm_at_its_bound() -> None:
    x, d_y = np.array([[3.0, 0.0, 3.0]]), np.array([[1.0, 2.0, 4.0]])
    row = ops.normalize(np.inf)
    np.testing.assert_allclose(row.pullback((x,), row.value(x), d_y)[0], [[-0.5, 2 / 3, 0.5]])  # as torch 2.13
    first = row.conventions["the first of the largest alone"]((x,), row.value(x), d_y)[0]
    np.testing.assert_allclose(first, [[-4 / 3, 2 / 3, 4 / 3]])
    at_bound = ops.normalize(eps=2.0)
    np.testing.assert_array_equal(at_bound.pullback((np.array([[2.0]]),), None, np.array([[1.0]]))[0], [[0.0]])
    assert [float(s[0, 0]) for s in at_bound.switches(np.array([[2.0]]))] == [0.0]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: ops.layer_norm(eps=-1.0), "layer_norm: expected a finite eps"),
        (lambda: ops.layer_norm(()), "layer_norm: expected normalized_shape"),
        (lambda: ops.rms_norm(eps=None), "rms_norm: expected eps"),  # type: ignore[arg-type]
        (lambda: ops.group_norm(0), "group_norm: expected num_groups"),
        (lambda: ops.normalize(0.5), "normalize: expected p"),
        (lambda: ops.layer_norm((3,)).value(np.ones((2, 4))), r"layer_norm: x: expected the last axes \(3,\)"),
        (lambda: ops.layer_norm().value(np.ones((2, 4)), np.ones(3)), r"layer_norm: weight: expected shape \(4,\)"),
        (lambda: ops.group_norm(3).value(np.ones((2, 4))), "group_norm: x: expected a multiple of 3"),
        (lambda: ops.batch_norm().value(np.ones((2, 4)), np.ones(3), np.ones(4)), "batch_norm: running_mean"),
        (lambda: ops.normalize(dim=2).value(np.ones((2, 4))), "normalize: x: expected an axis 2"),
    ],
)
def test_errors_say_what_was_expected(make: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        make()


def test_a_row_with_a_mistake_for_its_pullback_is_refused() -> None:
    row = ops.layer_norm()
    for name in ("mean_term_left_out", "projection_left_out", "n_minus_1_for_n", "epsilon_outside_the_root"):
        with pytest.raises(ValueError, match="its pullback"):
            Operation(
                "wrong", "", "", row.inputs, row.value, row.mistakes[name], row.pushforward, row.probes,
                optional=row.optional,
            )  # fmt: skip
