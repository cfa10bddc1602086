"""The published lists of JAX's deviations: JAX still gives what they say, and what they call right is right."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest

import reference as ref
from benchmarks.implementations.jax_deviation_row import array, by_jax
from benchmarks.implementations.jax_deviations import COMPILED_MAXIMUM, JAX_CONVENTIONS, JAX_DEVIATIONS, MEASURED_WITH
from reference.rounding.distance import FACTOR
from torch_compare.verdict.operation import operation_problem

ROWS = (*JAX_DEVIATIONS, *JAX_CONVENTIONS)
LOST = [pytest.param(e, id=f"{row.name}-{k}") for row in JAX_DEVIATIONS for k, e in enumerate(row.examples)]
KINKS = [pytest.param(e, id=f"{row.name}-{k}") for row in JAX_CONVENTIONS for k, e in enumerate(row.examples)]
BITS = 3000
"""A difference's step is 2^−3010, far below the smallest example's 1e−310."""
FAR = mp.mpf(10) ** 30
"""Stands for infinity: e^−FAR and 1/FAR are below every type's last place of the limits."""

# ── what JAX documents, in mpmath: (the inputs' elements, …) ↦ the output's elements ──────────────────


def each(function):
    return lambda x, **parameters: [function(z, **parameters) for z in x]


def std(x):
    mean = sum(x) / len(x)
    return [mp.sqrt(sum((z - mean) ** 2 for z in x) / len(x))]


def standardize(x, epsilon=1e-5):
    mean, variance = sum(x) / len(x), std(x)[0] ** 2
    return [(z - mean) / mp.sqrt(variance + epsilon) for z in x]


def attention(q, k, v):
    e = [mp.exp(q[0] * key) for key in k]
    return [sum(a * b for a, b in zip(e, v, strict=True)) / sum(e)]


def sigmoid(z):
    return 1 / (1 + mp.exp(-z))


def gelu(z, approximate=True):
    inner = mp.sqrt(2 / mp.pi) * (z + mp.mpf("0.044715") * z**3)
    return z / 2 * (1 + mp.tanh(inner) if approximate else mp.erfc(-z / mp.sqrt(2)))


def log_of_sum(x):
    return mp.log(mp.fsum(map(mp.exp, x)))


SELU = mp.mpf("1.0507009873554804934193349852946"), mp.mpf("1.6732632423543772848170429916717")
DOCUMENTED = {
    "jax.nn.gelu": each(gelu),
    "jax.nn.soft_sign": each(lambda z: z / (1 + abs(z))),
    "jax.nn.standardize": standardize,
    "jax.nn.silu": each(lambda z: z * sigmoid(z)),
    "jax.nn.mish": each(lambda z: z * mp.tanh(mp.log(1 + mp.exp(z)))),
    "jax.nn.hard_silu": each(lambda z: z * min(max(z + 3, 0), 6) / 6),
    "jax.nn.relu": each(lambda z: max(z, 0)),
    "jax.nn.selu": each(lambda z: SELU[0] * (z if z > 0 else SELU[1] * mp.expm1(z))),
    "jax.nn.leaky_relu": each(lambda z: z if z >= 0 else z / 100),
    "jax.nn.sigmoid": each(sigmoid),
    "jax.nn.hard_tanh": each(lambda z: min(max(z, -1), 1)),
    "jax.nn.dot_product_attention": attention,
    "jax.numpy.divide": lambda x, y: [x[0] / y[0]],
    "jax.numpy.power": lambda x, y: [x[0] ** y[0]],
    "jax.numpy.maximum": lambda x, y: [max(x[0], y[0])],
    "jax.numpy.logaddexp": lambda x, y: [log_of_sum([x[0], y[0]])],
    "jax.numpy.linalg.norm": lambda x: [mp.sqrt(sum(z * z for z in x))],
    "jax.numpy.std": std,
    "jax.numpy.cumprod": lambda x: [mp.fprod(x[: k + 1]) for k in range(len(x))],
    "jax.scipy.special.logsumexp": lambda x: [log_of_sum(x)],
    "jax.numpy.log": each(mp.log),
    "jax.numpy.sqrt": each(mp.sqrt),
    "jax.numpy.abs": each(abs),
    "jax.numpy.clip": each(lambda z, min, max: mp.mpf(sorted((min, z, max))[1])),
}


def elements(numbers, dtype):
    given = array(numbers, dtype).astype(float).ravel()
    return [mp.sign(z) * FAR if np.isinf(z) else mp.mpf(z) for z in given.tolist()]


def truth(example):
    """The least and the greatest that may be called right, rounded to the type: the slopes on both sides of a kink."""
    with mp.workprec(BITS):
        inputs = [elements(x, example.dtype) for x in example.inputs]
        function = DOCUMENTED[example.function]
        if example.by is None:
            found = [2 * [y] for y in function(*inputs, **example.parameters)]
        else:
            found = [slopes(function, inputs, example, place) for place in range(len(inputs[example.by]))]
        low, high = zip(*(sorted(float(y) for y in both) for both in found), strict=True)
    return tuple(array(side, example.dtype) for side in (low, high))


def slopes(function, inputs, example, place):
    d_y = elements(example.d_y, example.dtype)

    def along(step):
        moved = [list(x) for x in inputs]
        moved[example.by][place] += step
        y = function(*moved, **example.parameters)
        return sum(d * z for d, z in zip(d_y * (len(y) // len(d_y)), y, strict=True))

    return [mp.diff(along, 0, direction=side) for side in (-1, 1)]


# ── the tests ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("example", LOST + KINKS)
def test_jax_gives_what_the_list_says(example):
    found, listed = by_jax(example), array(example.jax, example.dtype)
    assert found.dtype == listed.dtype
    assert found.shape == listed.shape
    assert np.array_equal(found, listed, equal_nan=True)


def within(numbers, example):
    """Which elements are no less and no more than what may be called right."""
    low, high = (side.astype(float) for side in truth(example))
    found = array(numbers, example.dtype).ravel().astype(float)
    assert found.shape == low.shape
    return (low <= found) & (found <= high)


@pytest.mark.parametrize("example", LOST + KINKS)
def test_what_is_called_right_is_the_documented_functions_own(example):
    assert np.all(within(example.right, example))


def test_a_row_that_calls_a_wrong_number_right_is_found():
    """One unit in the last place off, of a smooth function; −0.1 at a kink with the slopes 0 and 1."""
    smooth, kink = JAX_DEVIATIONS[0].examples[0], JAX_CONVENTIONS[2].examples[0]
    assert not np.any(within(np.nextafter(smooth.right, 2), smooth))
    assert not np.any(within(-0.1, kink))


@pytest.mark.parametrize("example", KINKS)
def test_another_convention_lies_between_the_slopes_of_a_kink(example):
    low, high = truth(example)
    assert np.all(low < high)
    assert np.all(within(example.jax, example))


def our_row(function, parameters):
    """The row of ours that is JAX's function."""
    rows = {
        "jax.numpy.linalg.norm": lambda: ref.operations.vector_norm(dim=-1),
        "jax.numpy.std": lambda: ref.operations.std(dim=-1, correction=0),
        "jax.nn.standardize": lambda: ref.operations.layer_norm(eps=parameters.get("epsilon", 1e-5)),
        "jax.numpy.divide": lambda: ref.operations.get("div"),
        "jax.nn.dot_product_attention": ref.operations.scaled_dot_product_attention,
        "jax.nn.soft_sign": lambda: ref.operations.get("softsign"),
    }
    return rows.get(function, lambda: ref.operations.get(function.rpartition(".")[2]))()


def textbook_scale(example):
    """σ of the customary formulas, of the gradient or, with one element of the output, of the value."""
    row = our_row(example.function, example.parameters)
    inputs = [array(x, example.dtype) for x in example.inputs]
    if row.name == "scaled_dot_product_attention":
        inputs = [x.reshape(-1, 1) for x in inputs]
    elif row.activation is not None:
        inputs = [x.reshape(1, 1) for x in inputs]
    y = row.value(*inputs)
    first = np.zeros_like(y)
    first.flat[0] = 1
    d_y = first if example.by is None else np.ones_like(y) * array(example.d_y, example.dtype)
    problem = operation_problem(row, dict(zip(row.inputs, inputs, strict=False)), d_y)
    scales = ref.rounding_scale(problem, textbook=True).leaves()
    return scales["loss"] if example.by is None else scales[row.inputs[example.by]]


@pytest.mark.parametrize("example", LOST)
def test_no_rounding_explains_what_is_lost(example):
    assert not np.all(within(example.jax, example))
    found = array(example.jax, example.dtype).ravel().astype(float)
    if np.all(np.isfinite(found)) and np.all(np.isfinite(np.ravel(example.inputs[0]))):
        with np.errstate(all="ignore"):
            sigma = np.ravel(textbook_scale(example)).astype(float)
        error = np.abs(found - array(example.right, example.dtype).ravel().astype(float))
        assert np.any(error > FACTOR * sigma)


def test_every_row_has_a_name_of_its_own_and_examples():
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert [row for row in ROWS if not row.examples] == [COMPILED_MAXIMUM]


def test_the_version_is_the_one_that_is_installed_for_the_tests():
    pinned = (Path(__file__).parents[3] / "constraints.txt").read_text(encoding="utf-8")
    assert re.search(r"^jax==(.*)$", pinned, re.MULTILINE)[1] == MEASURED_WITH
    assert version("jax") == MEASURED_WITH
