"""A rule on blocks of a large array gives the numbers that it gives on the whole, bit for bit."""

import numpy as np
import pytest

import reference as ref
from reference.functions.elementwise import BLOCK
from reference.optimizers import blocks

CUT = ("adadelta", "adagrad", "adam", "adamax", "adamw", "asgd", "nadam", "radam", "rmsprop", "rprop", "sgd")


@pytest.mark.parametrize("name", CUT)
def test_large_arrays_take_the_same_step(name, monkeypatch):
    options = {"momentum": 0.9} if name == "sgd" else {}
    optimizer, rng = ref.optimizers.OPTIMIZERS[name](**options), np.random.default_rng(1)
    params = [rng.normal(size=shape) for shape in ((300, 7), (2100,), (1, 2100), (0, 3))]
    grads = [[rng.normal(size=p.shape) for p in params] for _ in range(3)]

    def steps():
        p, state = params, optimizer.init(params)
        for g in grads:
            p, state = optimizer.update(p, g, state)
        return p, state

    whole, before = steps()
    monkeypatch.setattr(blocks, "BLOCK", 64)
    found, after = steps()
    for a, b in zip(whole, found, strict=True):
        np.testing.assert_array_equal(a, b)
    assert before.keys() == after.keys()
    for key in before.keys() - {"step"}:
        for a, b in zip(before[key], after[key], strict=True):
            np.testing.assert_array_equal(a, b)
            assert np.shape(a) == np.shape(b)


def test_a_large_array_is_cut_and_a_small_one_is_not():
    sizes = []

    def rule(p, g, slots, t):
        sizes.append(p.size)
        return p - g, {}

    cut = blocks.in_blocks(rule)
    for p in (np.ones((BLOCK, 3)), np.ones(5)):
        cut(p, p, {}, 1)
    assert sizes[-1] == 5
    assert sum(sizes[:-1]) == 3 * BLOCK
    assert max(sizes[:-1]) <= BLOCK
