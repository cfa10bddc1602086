"""What the choice of activations makes of a network: `collapse` and `linear_bottleneck`."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference as ref
from reference.arithmetic.ball import Ball
from reference.arithmetic.ball_decisions import Decisions, precision
from reference.arithmetic.noise_source import NoiseSource
from reference.rounding.distance import FACTOR, in_scales
from reference.rounding.scale import Noisy, get_format
from tests.helpers import DTYPES, assert_same, integers

seeds = st.integers(0, 2**32 - 1)
widths = st.lists(st.integers(1, 9), min_size=2, max_size=9)


def linear(rng, depth, draw=np.random.Generator.normal, dtype=np.float64):
    """A linear network, some of its layers without a bias."""
    sizes = rng.integers(1, 9, depth + 1).tolist()
    return ref.MLP(
        tuple(
            ref.Layer(
                draw(rng, size=(o, i)).astype(dtype),
                draw(rng, size=o).astype(dtype) if rng.random() < 0.6 else None,
                "identity",
            )
            for i, o in pairwise(sizes)
        )
    )


def with_row(mlp, index, name):
    layers = list(mlp.layers)
    layers[index] = ref.Layer(layers[index].weight, layers[index].bias, name)
    return ref.MLP(tuple(layers))


def converted(mlp, exactly):
    layers = (
        ref.Layer(exactly(one.weight), None if one.bias is None else exactly(one.bias), one.activation)
        for one in mlp.layers
    )
    return ref.MLP(tuple(layers))


def differences(mlp, x, v, spoil=0.0):
    """Output and input gradient of the one layer, its weight relatively off by `spoil`, less those of the network."""
    layer = ref.collapse(mlp)
    one = ref.MLP((ref.Layer(layer.weight * (1 + spoil) if spoil else layer.weight, layer.bias, "identity"),))
    deep, single = ref.forward(mlp, x), ref.forward(one, x)
    return single.output - deep.output, ref.backward(one, single, v).input - ref.backward(mlp, deep, v).input


def worst_in_scales(mlp, x, v, dtype, spoil=0.0):
    """The largest difference in units of the spread that it has in noisy arithmetic."""
    source = NoiseSource(get_format(dtype), 32, np.random.default_rng(0))

    def noisy(a):
        return Noisy.exact(a, source)

    sigma = [d.spread() for d in differences(converted(mlp, noisy), noisy(x), noisy(v))]
    found = differences(mlp, x, v, dtype(spoil))
    return max(np.max(in_scales(f, 0.0, s, get_format(dtype))) for f, s in zip(found, sigma, strict=True))


# ── collapse ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=seeds, depth=st.integers(1, 12))
def test_the_collapsed_layer_differs_by_rounding(seed, depth, dtype):
    rng = np.random.default_rng(seed)
    mlp = linear(rng, depth, dtype=dtype)
    one = ref.collapse(mlp)
    assert one.weight.dtype == dtype
    assert one.weight.shape == (mlp.layers[-1].width, mlp.layers[0].fan_in)
    x = rng.normal(size=(3, mlp.layers[0].fan_in)).astype(dtype)
    v = rng.normal(size=(3, mlp.layers[-1].width)).astype(dtype)
    assert worst_in_scales(mlp, x, v, dtype) <= FACTOR


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_rounding_scale_sees_a_spoiled_layer(dtype):
    rng = np.random.default_rng(1)
    mlp = linear(rng, 5, dtype=dtype)
    x = rng.normal(size=(3, mlp.layers[0].fan_in)).astype(dtype)
    v = rng.normal(size=(3, mlp.layers[-1].width)).astype(dtype)
    assert worst_in_scales(mlp, x, v, dtype, spoil=1e4 * np.finfo(dtype).eps) > FACTOR


@pytest.mark.parametrize("depth", [1, 2, 7, 100])
def test_the_collapsed_layer_is_the_network_exactly_in_rational_arithmetic(depth):
    rng = np.random.default_rng(depth)
    mlp = linear(rng, depth)
    x, v = rng.normal(size=(2, mlp.layers[0].fan_in)), rng.normal(size=(2, mlp.layers[-1].width))

    def exactly(a):
        return Ball.exact(a, Decisions(rational=True))

    with precision(64):
        for difference in differences(converted(mlp, exactly), exactly(x), exactly(v)):
            assert all(number == 0 for number in difference.flat)


@given(seed=seeds, depth=st.integers(1, 8))
def test_integers_collapse_without_rounding(seed, depth):
    rng = np.random.default_rng(seed)
    mlp = linear(rng, depth, draw=lambda rng, size: integers(rng, *np.atleast_1d(size)))
    x, v = integers(rng, 3, mlp.layers[0].fan_in), integers(rng, 3, mlp.layers[-1].width)
    for difference in differences(mlp, x, v):
        assert_same(difference, np.zeros_like(difference))


@given(seed=seeds, depth=st.integers(1, 30), data=st.data())
def test_one_layer_that_is_not_linear_is_named(seed, depth, data):
    mlp = linear(np.random.default_rng(seed), depth)
    index = data.draw(st.integers(0, depth - 1))
    name = data.draw(st.sampled_from(sorted(n for n in ref.ACTIVATIONS if n not in ("identity", "glu"))))
    with pytest.raises(ValueError, match=rf"^layers\[{index}\]: {name} is not linear"):
        ref.collapse(with_row(mlp, index, name))


def test_collapsing_leaves_the_network_as_it_was():
    mlp = linear(np.random.default_rng(3), 4)
    before = [layer.weight.copy() for layer in mlp.layers]
    ref.collapse(mlp)
    for layer, weight in zip(mlp.layers, before, strict=True):
        assert_same(layer.weight, weight)


# ── linear bottlenecks ───────────────────────────────────────────────────────────────────────────────


@given(widths=widths, name=st.sampled_from(sorted(ref.ACTIVATIONS)), last=st.sampled_from(["identity", "sigmoid"]))
def test_the_activation_follows_the_widths(widths, name, last):
    rows = ref.linear_bottleneck(widths, name, last=last)
    assert len(rows) == len(widths) - 1
    assert rows[-1] is ref.ACTIVATIONS[last]
    for (fan_in, width), row in zip(pairwise(widths[:-1]), rows[:-1], strict=True):
        assert row.name == ("identity" if width < fan_in else name)


@given(widths=widths, seed=seeds)
def test_the_rows_make_a_network_of_those_widths(widths, seed):
    mlp = ref.initialize(widths, activations=ref.linear_bottleneck(widths, "relu6"), seed=seed)
    assert [layer.width for layer in mlp.layers] == list(widths[1:])
    assert ref.forward(mlp, np.ones((2, widths[0]))).output.shape == (2, widths[-1])


def test_every_kind_of_layer():
    grow, keep, shrink = (16, 32), (32,), (8, 64, 3)
    rows = ref.linear_bottleneck([*grow, *keep, *shrink], "tanh")
    assert [row.name for row in rows] == ["tanh", "tanh", "identity", "tanh", "identity"]
    assert [row.name for row in ref.linear_bottleneck([2, 5])] == ["identity"]  # grows, but is the last
    assert [row.name for row in ref.linear_bottleneck([2, 5, 1])] == ["relu6", "identity"]


def test_a_row_with_parameters_is_kept():
    row = ref.activations.leaky_relu(negative_slope=0.25)
    assert ref.linear_bottleneck([1, 2, 1], row)[0] is row


@given(widths=widths)
def test_a_network_that_only_narrows_collapses(widths):
    widths = sorted({*widths, 10}, reverse=True)
    mlp = ref.initialize(widths, activations=ref.linear_bottleneck(widths), seed=0)
    assert ref.collapse(mlp).weight.shape == (widths[-1], 10)


@pytest.mark.parametrize("wrong", [[], [3], [3, 0], [3, 2.0], [3, "4"], [3, -1, 2]])
def test_widths_that_make_no_network_are_refused(wrong):
    with pytest.raises(ValueError, match="widths: expected at least two whole numbers of at least 1"):
        ref.linear_bottleneck(wrong)


def test_activations_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="no row is named 'relu7'"):
        ref.linear_bottleneck([1, 2, 1], "relu7")
    with pytest.raises(ValueError, match="no row is named 'line'"):
        ref.linear_bottleneck([1, 2, 1], last="line")
    with pytest.raises(TypeError, match="expected a name or a row"):
        ref.linear_bottleneck([1, 2, 1], 6)
