"""Blocks, wide numbers and common parts change nothing but the time: the same results, to the last bit in float64."""

from functools import wraps

import numpy as np
import pytest

import reference as ref
from reference.functions import elementwise, softmax
from reference.functions.elementwise import rowwise, share_parts, together
from tests.helpers.comparing import assert_within_rounding, gamma

Z = np.linspace(-30.0, 30.0, 211)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elementwise, "BLOCK", 16)


SHARING = [name for name, row in ref.ACTIVATIONS.items() if row.shares_parts]


def test_the_rows_whose_two_formulas_are_dear_share_their_parts() -> None:
    assert {"silu", "gelu", "gelu_tanh", "mish", "sigmoid", "softplus"} <= set(SHARING)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("name", SHARING)
def test_value_and_derivative_together_are_both_to_the_last_bit(name: str, dtype: type, small_blocks: None) -> None:
    row, z = ref.ACTIVATIONS[name], Z.astype(dtype)
    for found, alone in zip(row.with_slope(z), (row.value(z), row.derivative(z)), strict=True):
        assert found.dtype == dtype
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, alone)


@pytest.mark.parametrize("name", SHARING)
def test_blocks_give_what_the_whole_array_gives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row, z = ref.ACTIVATIONS[name], Z.reshape(1, 211).T
    whole = row.value(z)
    monkeypatch.setattr(elementwise, "BLOCK", 16)
    blocks = row.value(z)
    assert blocks.shape == z.shape
    np.testing.assert_array_equal(blocks, whole)


def test_every_block_is_gone_through(small_blocks: None) -> None:
    sizes = []

    @elementwise.elementwise()
    def noted(z: np.ndarray) -> np.ndarray:
        sizes.append(z.size)
        return z

    noted(Z)
    assert sum(sizes) == Z.size
    assert max(sizes) == 16


def test_a_function_that_took_the_place_of_another_shares_nothing() -> None:
    row = ref.ACTIVATIONS["gelu"]
    assert not share_parts(np.tanh, row.derivative)
    assert not share_parts(np.tanh, np.tanh)
    assert not share_parts(row.derivative, row.second_derivative)
    assert not share_parts(row.value, wraps(row.derivative)(lambda z: -row.derivative(z)))


def test_complex_numbers_go_through_blocks_too(small_blocks: None) -> None:
    row = ref.ACTIVATIONS["silu"]
    slope = np.imag(row.value(Z + 1e-100j)) / 1e-100
    network = ref.Network({}, [ref.Step("y", "silu", "x")])
    problem = ref.Problem(network, Z, np.ones(Z.shape), "inner_product")  # whose gradient is the derivative
    assert_within_rounding(problem, {"x": slope}, {"x": row.derivative(Z)})


def test_rows_are_never_cut(small_blocks: None) -> None:
    z = Z[:210].reshape(2, 5, 21)  # longer than a block
    _, found = softmax.masked_softmax(z, np.broadcast_to(np.tri(5, 21, k=3, dtype=bool), z.shape))
    # the sum that is divided by, the division, and the sum here
    assert np.all(np.abs(found.sum(axis=-1) - 1) <= gamma(20 + 1 + 20))


def test_leading_axes_of_rows_are_broadcast(small_blocks: None) -> None:
    product = rowwise(lambda a, b: a * b)
    a, b = Z[:105].reshape(5, 21), Z[105:210].reshape(5, 21)[:, None]
    np.testing.assert_array_equal(product(a, b), a * b)


@pytest.mark.parametrize("z", [np.float32(0.5), np.array(0.5, np.float32), np.zeros((0, 3), np.float32)])
def test_single_numbers_and_no_numbers_keep_their_kind(z: np.ndarray) -> None:
    row = ref.ACTIVATIONS["silu"]
    assert type(row.value(z)) is type(z)
    assert row.value(z).shape == z.shape
    assert together(row.value, row.derivative, z)[1].dtype == np.float32
