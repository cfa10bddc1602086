"""What must hold of every network's forward and backward pass.

Most tests use integers, with which float64 makes no rounding error: equal means equal. The others compare
within Higham's a-priori bound γ_n for a chain of matrix products, computed on the absolute values.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference as ref
from reference.network.gradients import is_parameter
from tests.helpers import (
    ELEMENTWISE,
    EXACT,
    HOMOGENEOUS,
    assert_same,
    assert_same_gradients,
    exact_mlp,
    exact_names,
    gamma,
    integers,
    random_mlp,
)

seeds = st.integers(0, 2**32 - 1)
depths = st.integers(1, 4)
widths = st.integers(1, 8)
batches = st.sampled_from([1, 2, 4, 8])


def exact_case(seed: int, depth: int, batch: int, bias: bool = True) -> tuple[Any, ref.MLP, Any, Any]:
    """A generator, a network, a batch and a cotangent, all of integers."""
    rng = np.random.default_rng(seed)
    mlp = exact_mlp(rng, rng.integers(1, 9, depth + 1).tolist(), exact_names(rng, depth), bias)
    x = integers(rng, batch, mlp.layers[0].fan_in)
    return rng, mlp, x, integers(rng, batch, mlp.layers[-1].width, size=4)


def pushforward(mlp: ref.MLP, trace: ref.Trace, dx: Any, directions: Any = None) -> Any:
    """J·u: the change of the output when the input changes by dx and each (weight, bias) by a direction."""
    dh = dx
    for index, (layer, x, z) in enumerate(zip(mlp.layers, trace.inputs, trace.preactivations, strict=True)):
        dz = dh @ layer.weight.T
        if directions is not None:
            d_weight, d_bias = directions[index]
            dz = dz + x @ d_weight.T
            if d_bias is not None:
                dz = dz + d_bias
        dh = layer.activation.pushforward(z, dz)
    return dh


# ── sums over examples ───────────────────────────────────────────────────────────────────────────────


@given(seed=seeds, depth=depths, batch=batches, loss=st.sampled_from(["half_squared_error", "mse", "l1", "huber"]))
def test_the_mean_gradient_is_the_mean_of_the_examples_gradients(seed, depth, batch, loss):
    _, mlp, x, target = exact_case(seed, depth, batch)
    # Widths of a power of two keep the divisor N·K one, and the division exact.
    last = mlp.layers[-1]
    keep = 2 ** int(np.log2(last.width))
    mlp = ref.MLP((*mlp.layers[:-1], replace(last, weight=last.weight[:keep], bias=last.bias[:keep])))
    target = target[:, :keep]
    whole = ref.gradients(ref.Problem(mlp, x, target, loss))
    each = [ref.gradients(ref.Problem(mlp, x[[n]], target[[n]], loss)) for n in range(batch)]
    mean = each[0].map(lambda *leaves: sum(leaves) / batch, *each[1:])
    for mine, theirs in zip(whole.layers, mean.layers, strict=True):
        assert_same(mine.weight, theirs.weight)
        assert_same(mine.bias, theirs.bias)
    assert_same(whole.loss, mean.loss)
    assert_same(whole.input, np.concatenate([g.input for g in each]) / batch)
    total = ref.gradients(ref.Problem(mlp, x, target, loss, reduction="sum"))
    divisor = ref.LOSSES[loss].divisor(np.zeros(target.shape), target)
    assert_same_gradients(total.map(lambda leaf: leaf / divisor), whole)


@given(seed=seeds, depth=depths, batch=st.integers(2, 8))
def test_permuting_the_examples_permutes_the_input_gradient_alone(seed, depth, batch):
    rng, mlp, x, d_output = exact_case(seed, depth, batch)
    order = rng.permutation(batch)
    plain = ref.backward(mlp, ref.forward(mlp, x), d_output)
    permuted = ref.backward(mlp, ref.forward(mlp, x[order]), d_output[order])
    assert_same_gradients(permuted, replace(plain, input=plain.input[order]))


# ── linear algebra of the backward pass ──────────────────────────────────────────────────────────────


@given(seed=seeds, depth=depths, batch=batches, bias=st.booleans())
def test_backward_is_linear_in_the_cotangent(seed, depth, batch, bias):
    rng, mlp, x, first = exact_case(seed, depth, batch, bias)
    second = integers(rng, *first.shape, size=4)
    trace = ref.forward(mlp, x)
    left, right = ref.backward(mlp, trace, first), ref.backward(mlp, trace, second)
    both = ref.backward(mlp, trace, 3 * first - 2 * second)
    assert_same_gradients(both, left.map(lambda p, q: 3 * p - 2 * q, right))


@given(seed=seeds, depth=st.integers(2, 4), batch=batches, bias=st.booleans())
def test_permuting_hidden_units_permutes_gradients(seed, depth, batch, bias):
    rng, mlp, x, d_output = exact_case(seed, depth, batch, bias)
    hidden = int(rng.integers(depth - 1))
    order = rng.permutation(mlp.layers[hidden].width)

    def rows(layer: Any) -> Any:
        return replace(layer, weight=layer.weight[order], bias=None if layer.bias is None else layer.bias[order])

    def columns(layer: Any) -> Any:
        return replace(layer, weight=layer.weight[:, order])

    def permute(layers: Any) -> Any:
        changed = list(layers)
        changed[hidden], changed[hidden + 1] = rows(changed[hidden]), columns(changed[hidden + 1])
        return tuple(changed)

    permuted = ref.MLP(permute(mlp.layers))
    trace = ref.forward(permuted, x)
    assert_same(trace.output, ref.forward(mlp, x).output)
    plain = ref.backward(mlp, ref.forward(mlp, x), d_output)
    assert_same_gradients(ref.backward(permuted, trace, d_output), replace(plain, layers=permute(plain.layers)))


@given(seed=seeds, depth=depths, batch=batches, bias=st.booleans())
def test_backward_is_the_adjoint_of_the_pushforward(seed, depth, batch, bias):
    """⟨v, Ju⟩ = ⟨Jᵀv, u⟩, u a direction of the input and of every parameter."""
    rng, mlp, x, v = exact_case(seed, depth, batch, bias)
    dx = integers(rng, *x.shape)
    directions = [
        (integers(rng, *layer.weight.shape), None if layer.bias is None else integers(rng, *layer.bias.shape))
        for layer in mlp.layers
    ]
    trace = ref.forward(mlp, x)
    g = ref.backward(mlp, trace, v)
    pulled = np.sum(g.input * dx)
    for layer, (d_weight, d_bias) in zip(g.layers, directions, strict=True):
        pulled += np.sum(layer.weight * d_weight) + (0 if d_bias is None else np.sum(layer.bias * d_bias))
    assert np.sum(v * pushforward(mlp, trace, dx, directions)) == pulled


@given(seed=seeds, depth=depths, names=st.lists(st.sampled_from(ELEMENTWISE), min_size=1))
def test_backward_is_the_adjoint_of_the_pushforward_for_every_activation(seed, depth, names):
    """⟨v, Ju⟩ and ⟨Jᵀv, u⟩ are the same sum of products, so each is within γ_n of it (Higham 2002, §3.5)."""
    rng = np.random.default_rng(seed)
    mlp = random_mlp(rng, depth, names=names)
    x, dx = rng.normal(size=(2, 3, mlp.layers[0].fan_in))
    trace = ref.forward(mlp, x)
    v = rng.normal(size=trace.output.shape)
    pulled = np.sum(ref.backward(mlp, trace, v).input * dx)
    pushed = np.sum(v * pushforward(mlp, trace, dx))
    size, roundings = np.abs(dx), v.size + dx.size
    for layer, z in zip(mlp.layers, trace.preactivations, strict=True):
        size = (size @ np.abs(layer.weight).T) * np.abs(layer.activation.derivative(z))
        roundings += layer.fan_in + layer.width + 1
    # The bound's own sum of non-negative terms is within a factor 1 + γ of the exact one.
    bound = 2 * gamma(roundings) * (1 + gamma(roundings)) * np.sum(np.abs(v) * size)
    assert abs(pushed - pulled) <= bound


def test_the_adjoint_test_notices_a_stale_layer():
    """The bound above must be able to fail: one weight off by 1e-12 in the pushforward alone is seen."""
    rng = np.random.default_rng(1)
    mlp = random_mlp(rng, 3, names=["tanh"])
    x, dx = rng.normal(size=(2, 3, mlp.layers[0].fan_in))
    trace = ref.forward(mlp, x)
    v = rng.normal(size=trace.output.shape)
    other = ref.MLP((*mlp.layers[:-1], replace(mlp.layers[-1], weight=mlp.layers[-1].weight * (1 + 1e-12))))
    difference = np.sum(v * pushforward(other, trace, dx)) - np.sum(ref.backward(mlp, trace, v).input * dx)
    assert abs(difference) > 1e-13 * abs(np.sum(v * pushforward(mlp, trace, dx)))


@given(
    seed=seeds,
    depth=depths,
    batch=batches,
    names=st.lists(st.sampled_from(["identity", "relu"]), min_size=4, max_size=4),
)
def test_homogeneous_layers_share_the_inner_product_of_weight_and_gradient(seed, depth, batch, names):
    """⟨W_l, ∂L/∂W_l⟩ is the same for every layer (Du, Hu & Lee 2018, theorem 2.1), and equals ⟨x, ∂L/∂x⟩."""
    rng = np.random.default_rng(seed)
    mlp = exact_mlp(rng, rng.integers(1, 9, depth + 1).tolist(), names[:depth], bias=False)
    assert all(layer.activation.homogeneous for layer in mlp.layers)
    x = integers(rng, batch, mlp.layers[0].fan_in)
    trace = ref.forward(mlp, x)
    v = integers(rng, *trace.output.shape, size=4)
    g = ref.backward(mlp, trace, v)
    expected = np.sum(v * trace.output)
    for layer, d in zip(mlp.layers, g.layers, strict=True):
        assert np.sum(layer.weight * d.weight) == expected
    assert np.sum(x * g.input) == expected


@given(seed=seeds, depth=depths, batch=batches)
def test_homogeneous_layers_with_a_slope(seed, depth, batch):
    """The same with a leaky slope of ¼, whose products are exact too."""
    rng = np.random.default_rng(seed)
    row = ref.activations.leaky_relu(negative_slope=0.25)
    mlp = exact_mlp(rng, rng.integers(1, 9, depth + 1).tolist(), [row] * depth, bias=False)
    x = integers(rng, batch, mlp.layers[0].fan_in)
    trace = ref.forward(mlp, x)
    v = integers(rng, *trace.output.shape, size=4)
    g = ref.backward(mlp, trace, v)
    products = {float(np.sum(layer.weight * d.weight)) for layer, d in zip(mlp.layers, g.layers, strict=True)}
    assert products == {float(np.sum(v * trace.output))}


def test_the_homogeneous_rows_are_those_that_the_tests_above_use():
    assert {n for n, row in ref.ACTIVATIONS.items() if row.homogeneous} == {*HOMOGENEOUS, "rrelu"}


@given(seed=seeds, width=widths, batch=batches, name=st.sampled_from(EXACT))
def test_one_layer_by_its_definition(seed, width, batch, name):
    """Every entry of a layer's gradients, one at a time: d_W[o, i] = Σ_n d_y[n, o]·a′(z[n, o])·x[n, i]."""
    rng = np.random.default_rng(seed)
    mlp = exact_mlp(rng, [width, 3], [name])
    x, v = integers(rng, batch, width), integers(rng, batch, 3, size=4)
    trace = ref.forward(mlp, x)
    g = ref.backward(mlp, trace, v)
    (layer,) = mlp.layers
    for o in range(3):
        for n in range(batch):
            z = sum(float(x[n, i] * layer.weight[o, i]) for i in range(width)) + float(layer.bias[o])
            assert trace.preactivations[0][n, o] == z
        d_z = v[:, o] * layer.activation.derivative(trace.preactivations[0][:, o])
        assert g.layers[0].bias[o] == sum(d_z.tolist())
        for i in range(width):
            assert g.layers[0].weight[o, i] == sum((d_z * x[:, i]).tolist())


# ── cost ─────────────────────────────────────────────────────────────────────────────────────────────


class Counted(np.ndarray):
    """An array that notes the operands of every matrix product that it takes part in, in `products`."""

    products: list[tuple[Any, Any]]

    def __array_finalize__(self, made_from: Any) -> None:
        self.products = getattr(made_from, "products", [])

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        plain = [np.asarray(i) if isinstance(i, Counted) else i for i in inputs]
        if ufunc is np.matmul:
            self.products.append((plain[0], plain[1]))
        result = getattr(ufunc, method)(*plain, **kwargs)
        return counted(result, self.products) if isinstance(result, np.ndarray) else result

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Keep the class through np.where and np.concatenate, which would drop it."""
        result = super().__array_function__(func, types, args, kwargs)
        return counted(result, self.products) if isinstance(result, np.ndarray) else result


def counted(array: Any, products: list[tuple[Any, Any]]) -> Counted:
    """A view of the array whose products are noted in the list."""
    view: Counted = np.asarray(array).view(Counted)
    view.products = products
    return view


def problem_of(mlp: ref.MLP, rng: np.random.Generator) -> ref.Problem:
    x = rng.normal(size=(3, mlp.layers[0].fan_in))
    return ref.Problem(mlp, x, rng.normal(size=(3, mlp.layers[-1].width)), "half_squared_error")


@given(seed=seeds, depth=st.integers(1, 12))
def test_forward_takes_one_product_a_layer_and_backward_two(seed, depth):
    rng = np.random.default_rng(seed)
    products: list[Any] = []
    problem = problem_of(random_mlp(rng, depth), rng)
    watched = problem.map(lambda array: counted(array, products))
    trace = ref.forward(watched.mlp, watched.x)
    assert len(products) == depth
    forward_pairs = list(products)
    products.clear()
    g = ref.backward(watched.mlp, trace, rng.normal(size=trace.output.shape))
    assert len(products) == 2 * depth
    for left, right in products:
        for x, weight in forward_pairs:
            assert not (np.shares_memory(left, x) and np.shares_memory(right, weight)), "a pre-activation again"
    products.clear()
    whole = ref.gradients(watched)
    assert len(products) == 3 * depth
    assert g.input.shape == whole.input.shape == problem.x.shape


def test_the_count_notices_an_extra_product():
    products: list[Any] = []
    array = counted(np.ones((2, 2)), products)
    np.exp(array) @ (array + 1).T
    np.matmul(np.ones((3, 2)), array)
    assert len(products) == 2
    np.add(array, array)
    assert len(products) == 2


@given(seed=seeds, depth=depths)
def test_a_trace_holds_the_inputs_and_preactivations_and_nothing_else(seed, depth):
    """S10: what the forward pass stores is what the backward pass reads."""
    rng = np.random.default_rng(seed)
    mlp = random_mlp(rng, depth)
    x = rng.normal(size=(3, mlp.layers[0].fan_in))
    trace = ref.forward(mlp, x)
    assert set(trace.__slots__) == {"inputs", "preactivations", "output", "slopes"}
    assert trace.slopes == ()  # without a backward pass to follow, nothing is kept for it
    for layer, z, slope in zip(mlp.layers, trace.preactivations, ref.forward(mlp, x, keep=True).slopes, strict=True):
        assert (slope is not None) == layer.activation.shares_parts
        assert slope is None or np.array_equal(slope, layer.activation.derivative(z))
    assert trace.inputs[0] is x
    h = x
    for layer, stored, z in zip(mlp.layers, trace.inputs, trace.preactivations, strict=True):
        assert_same(stored, h)
        assert z.shape == (3, layer.weight.shape[0])
        h = layer.activation.value(z)
    assert_same(trace.output, h)


# ── depth ────────────────────────────────────────────────────────────────────────────────────────────


@given(seed=seeds, depth=st.integers(1, 5), batch=batches)
def test_collapse_is_the_network(seed, depth, batch):
    """S3: with linear activations only, any depth is one layer, input gradients included."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 7, depth + 1).tolist()
    layers = [
        ref.Layer(integers(rng, o, i), integers(rng, o) if rng.random() < 0.6 else None, "identity")
        for i, o in pairwise(sizes)
    ]
    mlp = ref.MLP(tuple(layers))
    one = ref.collapse(mlp)
    assert one.activation.name == "identity"
    assert (one.bias is None) == all(layer.bias is None for layer in layers)
    x = integers(rng, batch, mlp.layers[0].fan_in)
    trace, single = ref.forward(mlp, x), ref.forward(ref.MLP((one,)), x)
    assert_same(single.output, trace.output)
    v = integers(rng, *trace.output.shape, size=4)
    deep, shallow = ref.backward(mlp, trace, v), ref.backward(ref.MLP((one,)), single, v)
    assert_same(shallow.input, deep.input)
    if mlp.layers[-1].bias is not None:
        assert_same(shallow.layers[0].bias, deep.layers[-1].bias)


@pytest.mark.parametrize("name", sorted(set(ref.ACTIVATIONS) - {"identity"}))
def test_collapse_refuses_a_layer_that_is_not_linear_and_names_it(name):
    mlp = ref.initialize([4, 4, 4, 2], activations=["identity", name, "identity"], seed=0)
    with pytest.raises(ValueError, match=rf"layers\[1\]: {name} is not linear"):
        ref.collapse(mlp)


@given(seed=seeds, names=st.lists(st.sampled_from(["identity", "relu"]), min_size=100, max_size=100))
def test_100_layers_that_permute(seed, names):
    """S2: each weight a permutation, so positive inputs pass 100 layers unchanged but for their places."""
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(5) for _ in names]
    mlp = ref.MLP(tuple(ref.Layer(np.eye(5)[order], None, name) for order, name in zip(orders, names, strict=True)))
    x, v = rng.integers(1, 9, (2, 3, 5)).astype(float)
    total = np.arange(5)
    for order in orders:
        total = total[order]
    trace = ref.forward(mlp, x)
    assert_same(trace.output, x[:, total])
    g = ref.backward(mlp, trace, v)
    assert_same(g.input, v[:, np.argsort(total)])
    h, d = x, g.input
    for order, layer in zip(orders, g.layers, strict=True):
        d = d[:, order]
        assert_same(layer.weight, d.T @ h)
        h = h[:, order]


@pytest.mark.parametrize("name", ref.ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_100_layers_of_every_activation_run(name, dtype):
    mlp = ref.initialize([4] * 101, [name] * 99 + ["identity"], seed=1, dtype=dtype, scheme="lecun_normal")
    rng = np.random.default_rng(2)
    # Small enough that `square`, x^(2^99) at that depth, vanishes rather than overflows.
    x, t = rng.normal(size=(2, 2, 4)).astype(dtype) / 16
    with np.errstate(under="ignore", over="ignore"):
        g = ref.gradients(ref.Problem(mlp, x, t, "half_squared_error"))
    assert len(g.layers) == 100
    for place, leaf in g.leaves().items():
        assert leaf.dtype == dtype, place
        assert np.isfinite(leaf).all(), place


# ── types and places ─────────────────────────────────────────────────────────────────────────────────


@given(seed=seeds, depth=depths, dtype=st.sampled_from([np.float32, np.float64]))
def test_the_type_and_shapes_stay_through_the_whole_problem(seed, depth, dtype):
    rng = np.random.default_rng(seed)
    mlp = random_mlp(rng, depth, dtype)
    x = rng.normal(size=(3, mlp.layers[0].fan_in)).astype(dtype)
    target = rng.normal(size=(3, mlp.layers[-1].width)).astype(dtype)
    for reduction in ("mean", "sum"):
        g = ref.gradients(ref.Problem(mlp, x, target, "mse", reduction=reduction))
        assert g.loss.dtype == dtype
        assert g.input.dtype == dtype
        assert g.input.shape == x.shape
        for layer, d in zip(mlp.layers, g.layers, strict=True):
            assert d.weight.dtype == dtype
            assert d.weight.shape == layer.weight.shape
            assert (d.bias is None) == (layer.bias is None)
            if d.bias is not None:
                assert d.bias.dtype == dtype
                assert d.bias.shape == layer.bias.shape
    assert mlp.dtype == dtype
    assert mlp.parameters == sum(leaf.size for place, leaf in g.leaves().items() if is_parameter(place))
