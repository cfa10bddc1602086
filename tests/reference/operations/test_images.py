"""Windows as columns and back, pixel and channel shuffles, and local response normalisation."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reference import operations as ops
from reference.operations import Operation
from tests.reference.operations.checking import (
    assert_derivatives,
    assert_every_arithmetic,
    assert_mistakes_change_the_gradient,
    assert_value,
    row_errors,
)
from tests.reference.operations.linear_in_each import arrays, check

Shape = tuple[int, ...]
X = np.arange(48.0).reshape(2, 4, 2, 3)

MOVED: tuple[tuple[Operation, Shape, Shape], ...] = (
    (ops.unfold(2), (2, 3, 3, 4), (2, 12, 6)),
    (ops.unfold((1, 2), dilation=2, padding=(0, 1), stride=(1, 2)), (2, 2, 5), (4, 6)),
    (ops.unfold(1), (1, 1, 1, 1), (1, 1, 1)),
    (ops.unfold(3, stride=3), (1, 6, 3), (9, 2)),
    (ops.fold((3, 4), 2), (2, 12, 6), (2, 3, 3, 4)),
    (ops.fold((2, 5), (1, 2), dilation=2, padding=(0, 1), stride=(1, 2)), (4, 6), (2, 2, 5)),
    (ops.fold(5, 2, stride=2), (1, 4, 4), (1, 1, 5, 5)),
    (ops.pixel_shuffle(2), (2, 8, 2, 3), (2, 2, 4, 6)),
    (ops.pixel_shuffle(3), (9, 1, 2), (1, 3, 6)),
    (ops.pixel_shuffle(1), (3, 2, 2, 1, 1), (3, 2, 2, 1, 1)),
    (ops.pixel_unshuffle(2), (2, 1, 4, 2), (2, 4, 2, 1)),
    (ops.pixel_unshuffle(3), (2, 3, 6), (18, 1, 2)),
    (ops.channel_shuffle(2), (2, 6, 3), (2, 6, 3)),
    (ops.channel_shuffle(3), (1, 3, 2, 1), (1, 3, 2, 1)),
)


def _name(case: Any) -> str:
    return f"{case[0].name}-{','.join(f'{k}={v}' for k, v in case[0].parameters.items())}-{case[1]}"


@pytest.mark.parametrize("case", MOVED, ids=_name)
def test_numbers_move_and_come_back_in_every_arithmetic(case: Any) -> None:
    row, shape, made = case
    rng = np.random.default_rng(0)
    inputs = arrays(rng, shape)
    assert row.value(*inputs).shape == made
    check(row, inputs, rng)


@pytest.mark.parametrize(
    "row",
    [c[0] for c in MOVED if c[0].mistakes] + [ops.unfold(2, 2, 1, 2), ops.fold((3, 4), 2, 2, 1)],
    ids=lambda row: f"{row.name}-{dict(row.parameters)}",
)
def test_every_mistake_shows_at_a_probe(row: Operation) -> None:
    assert_mistakes_change_the_gradient(row, np.random.default_rng(1))


def test_rows_without_room_for_a_mistake_have_none() -> None:
    assert not ops.pixel_shuffle(1).mistakes
    assert not ops.unfold(2, stride=2).mistakes.keys() - {"the stride left out"}


def test_columns_are_the_windows() -> None:
    found = ops.unfold((2, 2)).value(X[:1])
    expected = np.lib.stride_tricks.sliding_window_view(X[:1], (2, 2), axis=(2, 3)).transpose(0, 1, 4, 5, 2, 3)
    np.testing.assert_array_equal(found, expected.reshape(1, 16, 2))


def test_fold_adds_up_what_unfold_copied() -> None:
    copies = ops.fold((2, 3), 2).value(ops.unfold(2).value(np.ones((1, 2, 3))))
    np.testing.assert_array_equal(copies, [[[1, 2, 1], [1, 2, 1]]])


def test_a_convolution_is_a_product_with_the_columns() -> None:
    rng = np.random.default_rng(2)
    x, weight = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 3, 2, 3))
    columns = ops.unfold((2, 3), padding=1, stride=2).value(x)
    y = ops.conv2d(padding=1, stride=2).value(x, weight)
    assert_value(ops.conv2d(padding=1, stride=2), (x, weight), (weight.reshape(2, -1) @ columns).reshape(y.shape))


def test_shuffles_are_the_orders_of_their_papers() -> None:
    y = ops.pixel_shuffle(2).value(X)
    for c, h, w, i, j in np.ndindex(1, 2, 3, 2, 2):
        assert np.all(y[:, c, 2 * h + i, 2 * w + j] == X[:, 4 * c + 2 * i + j, h, w])
    np.testing.assert_array_equal(ops.pixel_unshuffle(2).value(y), X)
    np.testing.assert_array_equal(ops.channel_shuffle(2).value(X), X[:, [0, 2, 1, 3]])


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (lambda: ops.unfold(2), (4, 4), r"unfold: input: expected shape \(N, C, n₁, n₂\)"),
        (lambda: ops.unfold(5), (1, 4, 4), r"unfold: input: expected an image that the kernel \(5, 5\) fits in"),
        (lambda: ops.fold((2, 2), 3), (1,), "fold: output_size: expected an image that the kernel"),
        (lambda: ops.fold(3, 2), (1, 4, 5), r"fold: input: expected shape \(N, C·4, 4\)"),
        (lambda: ops.fold(3, 2), (1, 6, 4), "fold: input"),
        (lambda: ops.unfold((1, 2, 3)), (1,), "unfold: kernel_size: expected one number or 2"),
        (lambda: ops.pixel_shuffle(2), (6, 2, 2), r"pixel_shuffle: input: expected shape \(…, C·4, H, W\)"),
        (lambda: ops.pixel_unshuffle(2), (1, 3, 2), "pixel_unshuffle: input"),
        (lambda: ops.pixel_shuffle(0), (1,), "pixel_shuffle: upscale_factor: expected 1 at least"),
        (lambda: ops.channel_shuffle(2), (1, 3, 2), "channel_shuffle: input: .* C a multiple of 2"),
        (lambda: ops.local_response_norm(2), (3, 4), "local_response_norm: x: expected shape"),
        (lambda: ops.local_response_norm(0), (1,), "local_response_norm: size: expected 1 at least"),
        (lambda: ops.local_response_norm(2, k=-1.0), (1,), "local_response_norm: k must be a finite number"),
        (lambda: ops.local_response_norm(2, beta=np.nan), (1,), "local_response_norm: beta must be a finite number"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(make: Any, shape: Shape, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make().value(np.ones(shape))


# ── local response normalisation ─────────────────────────────────────────────────────────────────────


def _case(value: Any) -> str:
    return str(dict(value.parameters)) if isinstance(value, Operation) else str(value)


NORMS = (
    (ops.local_response_norm(2), (2, 3, 2)),
    (ops.local_response_norm(5, alpha=2.0, beta=0.5, k=0.25), (1, 4, 2, 2)),
    (ops.local_response_norm(3, alpha=0.5, beta=1.3, k=2.0), (2, 1, 1)),
    (ops.local_response_norm(4, alpha=1.0, beta=0.75, k=0.0), (1, 6, 1)),
    (ops.local_response_norm(1, alpha=3.0), (2, 2, 2)),
    (ops.local_response_norm(2, beta=0.0), (1, 2, 2)),
)


@pytest.mark.parametrize(("row", "shape"), NORMS, ids=_case)
def test_local_response_normalisation_is_right_in_every_arithmetic(row: Operation, shape: Shape) -> None:
    rng = np.random.default_rng(3)
    (x,) = arrays(rng, shape)
    assert_derivatives(row, (x,), rng)
    assert_every_arithmetic(row, (x,), rng)


@pytest.mark.parametrize(("row", "shape"), NORMS[:5], ids=_case)
def test_local_response_normalisation_is_what_defines_it(row: Operation, shape: Shape) -> None:
    (x,), p = arrays(np.random.default_rng(4), shape), row.parameters
    expected = np.empty(shape)
    for c in range(shape[1]):
        window = x[:, max(0, c - p["size"] // 2) : c + (p["size"] - 1) // 2 + 1]
        s = p["k"] + p["alpha"] / p["size"] * np.sum(window**2, axis=1)
        expected[:, c] = x[:, c] / s ** p["beta"]
    assert_value(row, (x,), expected)


FEW = 16.0
"""Ulps of a row's largest element: some ten roundings of size u, and those of √α and β, stand between x and d_x."""
_NORMAL = np.random.default_rng(5).normal(size=(2, 4, 3))
EXTREME = {
    "squares overflow": (ops.local_response_norm(3, alpha=1.0), 1e200 * _NORMAL),
    "squares underflow, k = 0": (ops.local_response_norm(3, alpha=1.0, beta=0.5, k=0.0), 1e-200 * _NORMAL),
    "one large channel, β = ½": (ops.local_response_norm(1, alpha=1.0, beta=0.5), 1e5 * _NORMAL),
}


@pytest.mark.parametrize("values", EXTREME)
def test_few_ulps_where_others_lose_digits(values: str) -> None:
    """Torch's error in each of these is stated in the README."""
    row, x = EXTREME[values]
    d_y = np.random.default_rng(6).normal(size=x.shape)
    assert row_errors(row, (x,), d_y)["x"] <= FEW


def test_the_customary_difference_would_not_pass() -> None:
    """The test of one large channel can fail: 1 − q²/t leaves few digits of k/s."""
    row, x = EXTREME["one large channel, β = ½"]
    s = 1 + x * x
    customary = (1 - x * x / s) / np.sqrt(s)
    found: Any = row.pullback((x,), None, np.ones(x.shape))[0]
    assert np.abs(customary / found - 1).max() > 1e4 * np.finfo(float).eps


def test_every_mistake_of_local_response_normalisation_changes_the_gradient() -> None:
    for row in (ops.local_response_norm(2, alpha=1.0), ops.local_response_norm(3, alpha=1.0)):
        assert_mistakes_change_the_gradient(row, np.random.default_rng(6))
        assert ("the window not mirrored" in row.mistakes) == (row.parameters["size"] == 2)
        for wrong in row.mistakes.values():
            with pytest.raises(ValueError, match="pullback"):
                replace(row, pullback=wrong)


def test_rows_are_known_by_their_call() -> None:
    for row in (ops.unfold(2), ops.fold(3, 2), ops.pixel_shuffle(2), ops.local_response_norm(2, k=2.0)):
        assert pickle.loads(pickle.dumps(row)) == row
