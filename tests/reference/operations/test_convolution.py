"""Convolutions and transposed ones, along one to three axes, and the windows that they read."""

from __future__ import annotations

import pickle
from dataclasses import replace
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from flint import fmpq

import reference as ref
from reference import operations as ops
from reference.arithmetic.ball import Ball
from reference.arithmetic.ball_decisions import RAISE, precision
from reference.operations import MAKERS, Operation
from reference.operations.windows import Windows, columns, gathered, images, of_all, scattered
from tests.helpers.comparing import gamma
from tests.reference.operations.checking import assert_every_arithmetic, assert_mistakes_change_the_gradient
from tests.reference.operations.linear_in_each import arrays, bound, check

Shape = tuple[int, ...]

CONVOLUTIONS: tuple[tuple[Operation, tuple[Shape | None, ...], Shape], ...] = (
    (ops.conv1d(), ((2, 3, 5), (4, 3, 2), (4,)), (2, 4, 4)),
    (ops.conv1d(), ((3, 5), (4, 3, 5), None), (4, 1)),
    (ops.conv1d(), ((1, 1, 1), (1, 1, 1)), (1, 1, 1)),
    (ops.conv1d(stride=3, padding=2, dilation=2), ((2, 1, 7), (2, 1, 3), (2,)), (2, 2, 3)),
    (ops.conv1d(padding="same"), ((1, 2, 4), (2, 2, 4)), (1, 2, 4)),
    (ops.conv1d(padding="same", dilation=3), ((2, 3), (1, 2, 2)), (1, 3)),
    (ops.conv1d(padding=3), ((1, 1, 1), (1, 1, 2)), (1, 1, 6)),
    (ops.conv1d(groups=3), ((2, 6, 3), (3, 2, 2), (3,)), (2, 3, 2)),
    (ops.conv2d(), ((2, 2, 3, 4), (3, 2, 2, 3), (3,)), (2, 3, 2, 2)),
    (ops.conv2d(stride=(1, 2), padding=(1, 0), dilation=(2, 1)), ((1, 1, 3, 5), (2, 1, 2, 2)), (1, 2, 3, 2)),
    (ops.conv2d(padding="valid", stride=2, groups=2), ((2, 4, 3), (4, 1, 1, 2), (4,)), (4, 2, 1)),
    (ops.conv2d(padding="same", groups=2), ((1, 2, 2, 3), (2, 1, 3, 2)), (1, 2, 2, 3)),
    (ops.conv3d(padding=(0, 1, 0), stride=(1, 2, 1)), ((2, 1, 2, 3, 2), (2, 1, 1, 2, 2), (2,)), (2, 2, 2, 2, 1)),
    (ops.conv_transpose1d(), ((2, 3, 4), (3, 2, 2), (2,)), (2, 2, 5)),
    (ops.conv_transpose1d(stride=3, padding=1, output_padding=2), ((2, 3), (2, 1, 2)), (1, 8)),
    (ops.conv_transpose1d(dilation=3, output_padding=2), ((1, 1, 2), (1, 2, 2)), (1, 2, 7)),
    (ops.conv_transpose1d(stride=3), ((1, 1, 2), (1, 1, 1)), (1, 1, 4)),
    (ops.conv_transpose2d(stride=2, padding=(1, 0), groups=2), ((2, 2, 2, 2), (2, 2, 3, 1), (4,)), (2, 4, 3, 3)),
    (ops.conv_transpose2d(dilation=(2, 1)), ((3, 2, 1), (3, 1, 2, 2)), (1, 4, 2)),
    (ops.conv_transpose3d(stride=(1, 2, 1)), ((1, 2, 1, 2, 1), (2, 1, 2, 1, 2), (1,)), (1, 1, 2, 3, 2)),
)  # fmt: skip


def _name(case: Any) -> str:
    row, shapes = case[:2]
    given = ",".join(f"{k}={v}" for k, v in row.parameters.items())
    return f"{row.name}-{given}-{'-'.join(map(str, shapes))}"


def drawn(rng: np.random.Generator, shapes: tuple[Shape | None, ...]) -> tuple[Any, ...]:
    return tuple(None if s is None else arrays(rng, s)[0] for s in shapes)


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=_name)
def test_a_convolution_is_right_in_every_arithmetic(case: Any) -> None:
    row, shapes, made = case
    rng = np.random.default_rng(0)
    inputs = drawn(rng, shapes)
    assert row.value(*inputs).shape == made
    check(row, inputs, rng)


def by_definition(row: Operation, x: Any, weight: Any, bias: Any) -> Any:
    """Every term of the sum by itself, of examples: y[o] += W[j]·x[o·s + j·d − p], or y[o·s + j·d − p] += W[j]·x[o]."""
    p, axes, transposed = row.parameters, x.ndim - 2, "output_padding" in row.parameters
    shape = row.value(x, weight, None).shape
    around = p["padding"] if isinstance(p["padding"], tuple) else (0,) * axes
    if p["padding"] == "same":
        around = tuple(d * (k - 1) // 2 for d, k in zip(p["dilation"], weight.shape[2:], strict=True))
    y = np.zeros(shape)
    places, image = (x.shape[2:], shape[2:]) if transposed else (shape[2:], x.shape[2:])
    for r, q in np.ndindex(weight.shape[:2]):
        group = r // (weight.shape[0] // p["groups"])
        other = group * weight.shape[1] + q
        for j, o in product(np.ndindex(weight.shape[2:]), np.ndindex(places)):
            i = tuple(o[a] * p["stride"][a] + j[a] * p["dilation"][a] - around[a] for a in range(axes))
            if all(0 <= n < m for n, m in zip(i, image, strict=True)):
                if transposed:
                    y[(slice(None), other, *i)] += weight[(r, q, *j)] * x[(slice(None), r, *o)]
                else:
                    y[(slice(None), r, *o)] += weight[(r, q, *j)] * x[(slice(None), other, *i)]
    return y if bias is None else y + bias.reshape(-1, *(1,) * axes)


@pytest.mark.parametrize("case", [c for c in CONVOLUTIONS if len(c[1][0] or ()) == len(c[1][1] or ())], ids=_name)
def test_a_convolution_is_the_sum_that_defines_it(case: Any) -> None:
    row, shapes, _ = case
    x, weight, bias = (*drawn(np.random.default_rng(2), shapes), None)[:3]
    size = row.value(*(None if one is None else np.abs(one) for one in (x, weight, bias)))
    error = np.abs(row.value(x, weight, bias) - by_definition(row, x, weight, bias))
    assert np.all(error <= 2 * (weight.size + 1) * 2.0**-53 * size)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_a_transposed_convolution_is_the_adjoint_of_a_convolution(axes: int) -> None:
    """⟨conv(x, W), y⟩ = ⟨x, conv_transpose(y, W)⟩: one formula is the other's backward pass."""
    rng = np.random.default_rng(3)
    forward = MAKERS[f"conv{axes}d"](stride=2, padding=1, groups=2)
    backward = MAKERS[f"conv_transpose{axes}d"](stride=2, padding=1, groups=2)
    x, weight = rng.normal(size=(2, 4, *(5,) * axes)), rng.normal(size=(6, 2, *(3,) * axes))
    y = forward.value(x, weight)
    d_y = rng.normal(size=y.shape)
    np.testing.assert_array_equal(forward.pullback((x, weight), y, d_y)[0], backward.value(d_y, weight))
    np.testing.assert_array_equal(backward.pullback((d_y, weight), x, x)[1], forward.pullback((x, weight), y, d_y)[1])


def test_a_kernel_of_one_number_is_a_linear_layer() -> None:
    rng = np.random.default_rng(4)
    x, weight, bias = rng.normal(size=(3, 4, 5)), rng.normal(size=(2, 4)), rng.normal(size=2)
    d_y = rng.normal(size=(3, 2, 5))
    rows, kernel = x.swapaxes(1, 2), weight[..., None]
    y = ops.conv1d().value(x, kernel, bias)
    most = bound(ops.conv1d(), (x, kernel, bias), d_y)
    found = ops.conv1d().pullback((x, kernel, bias), y, d_y)
    same: Any = ops.linear().pullback((rows, weight, bias), None, d_y.swapaxes(1, 2))
    for one, other, m in zip(found, (same[0].swapaxes(1, 2), same[1][..., None], same[2]), most, strict=True):
        assert np.all(np.abs(one - other) <= m)


@pytest.mark.parametrize(
    "row",
    [
        *(MAKERS[f"conv{axes}d"](**p) for axes in (1, 2, 3)
          for p in ({}, {"stride": 2, "padding": 1, "dilation": 2}, {"groups": 2, "padding": "same"})),
        *(MAKERS[f"conv_transpose{axes}d"](**p) for axes in (1, 2, 3)
          for p in ({}, {"stride": 2, "padding": 1, "dilation": 2}, {"groups": 3})),
    ],
    ids=lambda row: _name((row, ())),
)  # fmt: skip
def test_every_mistake_changes_the_gradient(row: Operation) -> None:
    assert_mistakes_change_the_gradient(row, np.random.default_rng(1))


def test_the_mistakes_are_those_that_the_parameters_leave_room_for() -> None:
    plain, full = ops.conv2d().mistakes, ops.conv2d(stride=2, padding=1, dilation=2, groups=2).mistakes
    assert "the stride left out" not in plain
    assert {"the stride left out", "the dilation left out", "the padding not taken off"} < set(full)
    assert "the groups mixed in the input's gradient" in full
    assert "the kernel's axes exchanged in the weight's gradient" not in ops.conv1d().mistakes


def test_a_wrong_pullback_cannot_be_made() -> None:
    row = ops.conv2d()
    for name in ("the kernel not flipped in the input's gradient", "the mean of the bias's gradient"):
        with pytest.raises(ValueError, match="pullback"):
            replace(row, pullback=row.mistakes[name])
    with pytest.raises(ValueError, match="pushforward"):
        replace(row, pushforward=lambda inputs, y, changes: y)


def test_an_error_of_1e_30_is_caught_by_the_certificate() -> None:
    """The gradients in balls hold the exact rational numbers, and times 1 + 1e−30 they do not."""
    rng = np.random.default_rng(2)
    x, weight, d_y = rng.normal(size=(1, 4)), rng.normal(size=(1, 1, 2)), rng.normal(size=(1, 3))
    with precision(256):
        balls = [Ball.exact(v, RAISE) for v in (x, weight)]
        row = ops.conv1d()
        d_x: Any = row.pullback(tuple(balls), row.value(*balls), Ball.exact(d_y, RAISE))[0]
        wrong = d_x * (1 + Ball.exact(1e-30, RAISE))
        for i in range(4):
            terms = [Fraction(weight[0, 0, j]) * Fraction(d_y[0, i - j]) for j in range(2) if 0 <= i - j < 3]
            truth = fmpq(sum(terms).numerator, sum(terms).denominator)
            assert d_x.flat[i].contains(truth)
            assert not wrong.flat[i].contains(truth)


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d"])
def test_float_gradients_lie_within_the_noise_of_the_certified_ones(name: str) -> None:
    rng = np.random.default_rng(5)
    inputs = (rng.normal(size=(2, 2, 3, 3)), rng.normal(size=(2, 2, 2, 2)), rng.normal(size=2))
    assert_every_arithmetic(MAKERS[name](stride=2, padding=1), inputs, rng)


def test_a_network_of_convolutions_is_certified() -> None:
    rng = np.random.default_rng(6)
    network = ref.Network(
        {"a": rng.normal(size=(2, 1, 2, 2)), "b": rng.normal(size=2), "c": rng.normal(size=(2, 1, 2, 2))},
        [
            ref.Step("h", ops.conv2d(padding="same"), "x", "a", "b"),
            ref.Step("r", "relu", "h"),
            ref.Step("y", ops.conv_transpose2d(stride=2), "r", "c"),
        ],
    )
    problem = ref.Problem(network, rng.normal(size=(2, 1, 2, 3)), rng.normal(size=(2, 1, 4, 6)), loss="mse")
    exact, found = ref.certified_gradients(problem), ref.gradients(problem).leaves()
    assert exact.status == "certified"
    sigma = ref.rounding_scale(problem).leaves()
    for place, leaf in exact.leaves().items():
        assert np.all(np.abs(np.asarray(found[place]) - leaf.nearest) <= 32 * sigma[place])


@pytest.mark.parametrize(
    ("row", "shapes", "message"),
    [
        (ops.conv2d(), ((3, 4), (2, 3, 1, 1)), r"conv2d: x: expected 4 dimensions, or 3 without examples"),
        (ops.conv2d(), ((1, 3, 4, 4), (2, 3, 2)), r"conv2d: weight: expected shape \(O, C/groups, \*kernel\)"),
        (ops.conv1d(groups=2), ((1, 4, 4), (3, 2, 2)), "conv1d: weight: .* for groups=2"),
        (ops.conv1d(), ((1, 3, 4), (2, 2, 2)), r"conv1d: x: expected 2 channels for weight \(2, 2, 2\)"),
        (ops.conv1d(), ((1, 2, 4), (2, 2, 2), (3,)), r"conv1d: bias: expected shape \(2,\), got \(3,\)"),
        (ops.conv1d(dilation=3), ((1, 1, 3), (1, 1, 2)), r"conv1d: x: expected an image that the kernel"),
        (ops.conv_transpose1d(), ((1, 3, 4), (2, 3, 2)), "conv_transpose1d: x: expected 2 channels"),
        (ops.conv_transpose1d(groups=2), ((1, 2, 4), (2, 3, 2), (3,)), r"transpose1d: bias: expected shape \(6,\)"),
        (ops.conv_transpose1d(padding=2), ((1, 1, 1), (1, 1, 2)), "conv_transpose1d: x: expected an image"),
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit_are_named(row: Operation, shapes: tuple[Shape, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        row.value(*(np.ones(s) for s in shapes))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ops.conv2d(stride=0), "conv2d: stride: expected 1 at least, got 0"),
        (lambda: ops.conv2d(dilation=(1, 2, 3)), "conv2d: dilation: expected one number or 2"),
        (lambda: ops.conv2d(padding=-1), "conv2d: padding: expected 0 at least"),
        (lambda: ops.conv2d(padding="full"), "conv2d: padding: expected 'same', 'valid' or numbers, got full"),
        (lambda: ops.conv2d(padding="same", stride=2), "conv2d: stride: expected 1 with padding 'same'"),
        (lambda: ops.conv2d(groups=0), "conv2d: groups: expected 1 at least"),
        (lambda: ops.conv_transpose2d(output_padding=1), "output_padding: expected less than stride or dilation"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_rows_are_known_by_their_call() -> None:
    row = ops.conv2d(stride=(1, 2), padding="valid")
    assert pickle.loads(pickle.dumps(row)) == row != ops.conv2d(stride=(2, 1), padding="valid")
    assert ref.OPERATIONS["conv2d"] == ops.conv2d()


# ── windows ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("windows", [
    Windows((2, 3), (1, 2), (2, 1), (1, 0), (0, 2)), Windows((1, 1), (3, 1), (1, 1), (0, 0), (0, 0)),
    Windows((3, 2), (1, 1), (1, 1), (2, 2), (2, 2)),
])  # fmt: skip
def test_windows_are_those_of_the_padded_image(windows: Windows) -> None:
    """Against numpy's sliding windows of an image with zeros around it; and columns come back by the adjoint."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(5, 4, 6))
    widths = [(0, 0), *zip(windows.before, windows.after, strict=True)]
    views = np.lib.stride_tricks.sliding_window_view(np.pad(x, widths), windows.reach, axis=(1, 2))
    (s, t), (d, e) = windows.stride, windows.dilation
    expected = views[:, ::s, ::t, ::d, ::e].transpose(0, 3, 4, 1, 2)
    image = (4, 6)
    places = windows.places(image, windows.positions(image))
    found = gathered(x.reshape(5, 24), places)
    np.testing.assert_array_equal(found, expected.reshape(found.shape))
    columns = rng.normal(size=found.shape)
    back = scattered(columns, places, 24).reshape(x.shape)
    terms = columns * found  # each added up twice at the most on either side, after one product
    assert abs(np.sum(back * x) - np.sum(terms)) <= 2 * gamma(terms.size + 1) * np.sum(np.abs(terms))


@pytest.mark.parametrize("windows", [
    Windows((2, 3), (1, 2), (2, 1), (1, 0), (0, 2)), Windows((1, 1), (3, 1), (1, 1), (0, 0), (0, 0)),
    Windows((3, 3), (1, 1), (1, 1), (0, 0), (0, 0)), Windows((3, 2), (2, 2), (1, 2), (0, 1), (0, 0)),
])  # fmt: skip
def test_a_kernel_reads_and_gives_back_by_slices_what_it_does_by_places(windows: Windows) -> None:
    """Bit for bit, and also where it reads beyond the zeros around an image, as mistakes do."""
    rng = np.random.default_rng(3)
    x, image = rng.normal(size=(2, 3, 5, 6)), (5, 6)
    for positions in (windows.positions(image), (4, 5)):
        places = of_all(windows.places(image, positions), 30, 3)
        read = columns(windows, x, positions)
        np.testing.assert_array_equal(read, gathered(x.reshape(2, 90), places))
        cotangent = rng.normal(size=read.shape)
        back = images(windows, cotangent, 3, image, positions)
        np.testing.assert_array_equal(back.reshape(2, 90), scattered(cotangent, places, 90))
