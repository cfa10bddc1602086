"""How the cost grows: exponents, and when they refute the claim."""

import numpy as np
import pytest

import reference as ref
from benchmarks.harness.multiply_adds import multiply_adds
from benchmarks.harness.report import exponent
from benchmarks.speed import growth
from benchmarks.speed.speed import transformer


def test_an_exponent_has_an_interval_that_noise_widens():
    sizes, rng = [64, 128, 256, 512], np.random.default_rng(0)
    costs = [3.0 * n**1.5 * rng.uniform(0.9, 1.1) for n in sizes]
    slope, half = exponent(sizes, costs)
    assert abs(slope - 1.5) <= half
    assert half > exponent(sizes, [n**1.5 for n in sizes])[1]


@pytest.mark.parametrize(("slope", "half", "stands"), [(1.9, 0.1, True), (2.1, 0.2, True), (2.3, 0.2, False)])
def test_only_an_exponent_that_lies_above_refutes(slope, half, stands):
    row = {"name": "width", "exponent": slope, "half": half, "expected": 2.0}
    assert growth.steeper([row]) == ([] if stands else ["width"])


@pytest.mark.parametrize(("name", "layers"), [("depth", (15, 31)), ("batch", (1, 2))])
def test_the_multiply_adds_grow_as_they_must(name, layers):
    row = next(g for g in growth.GROWTHS if g.name == name)
    short, long = (multiply_adds(ref.gradients, row.problem(size, 0)) for size in (16, 32))
    assert long * layers[0] == short * layers[1]


def test_products_of_stacked_matrices_are_counted_whole():
    short, long = (multiply_adds(ref.gradients, transformer(0, 32, 1, (1, n))) for n in (4, 8))
    alone = multiply_adds(ref.gradients, transformer(0, 32, 1, (2, 4)))
    assert alone == 2 * short
    assert long > 2 * short
