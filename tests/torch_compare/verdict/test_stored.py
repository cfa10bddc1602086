"""Correct gradients that are computed finely and stored, or printed, coarsely: equal numbers are rounded alike."""

import ml_dtypes
import numpy as np
import pytest
import torch

import reference as ref
import torch_compare as tc
from reference.arithmetic.formats import FORMATS
from reference.rounding.scale import rounding_errors

HALF = {"bfloat16": ml_dtypes.bfloat16, "float16": np.float16}


def held(values, name):
    """The numbers that a format holds, in float32."""
    return np.asarray(values, np.float32).astype(HALF[name]).astype(np.float32)


def torch_half(values, name):
    return torch.tensor(values).to({"bfloat16": torch.bfloat16, "float16": torch.float16}[name])


@pytest.mark.parametrize("name", HALF)
def test_gradients_of_opposite_signs_are_right_together(name):
    """d_input = d·other and d_other = d·input: one stream of noise for both would cancel in their projection."""
    for seed in range(40):
        x, y, d = (held(v, name) for v in np.random.default_rng(seed).normal(size=(3, 1)))
        given = {"input": torch_half(d * y, name), "other": torch_half(d * x, name)}
        inputs = {"input": torch_half(x, name), "other": torch_half(y, name)}
        verdict = tc.check_operation("mul", inputs, torch_half(d, name), given, dtype="float32")
        assert verdict.agrees, (seed, str(verdict))


@pytest.mark.parametrize("name", HALF)
@pytest.mark.parametrize("spread", [0.0, 1e-5])
def test_thousands_of_equal_numbers_are_rounded_alike(name, spread):
    """Or of nearly equal ones: their rounding errors add up like their number."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        x = held(np.full(4000, rng.normal()) * (1 + spread * rng.normal(size=4000)), name)
        d = held(np.full(4000, rng.normal()), name)
        given = {"input": torch_half((d * (1 - np.tanh(x.astype(float)) ** 2)).astype(np.float32), name)}
        found = tc.check_operation("tanh", {"input": torch_half(x, name)}, torch_half(d, name), given, dtype="float32")
        assert found.agrees, (seed, str(found))


def test_few_digits_of_few_numbers_are_no_direction():
    """`%g` of a network one unit wide: six digits of gradients that are proportional to each other."""
    for seed in range(30):
        mlp = ref.initialize([1, 1, 1], ["tanh", "identity"], seed=seed)
        x = np.random.default_rng(seed).normal(size=(2, 1))
        problem = ref.Problem(mlp, x, np.zeros((2, 1)), "mse")
        leaves = ref.gradients(problem).leaves()
        given = {k: [[f"{v:g}" for v in row] for row in np.atleast_2d(leaf)] for k, leaf in leaves.items()}
        printed = {k: np.array(v, dtype=float).reshape(np.shape(leaves[k])) for k, v in given.items()}
        scale = rounding_errors(problem)
        for place, leaf in leaves.items():
            if place != "loss":
                unit = 10.0 ** (np.floor(np.log10(np.abs(np.where(leaf == 0, 1, leaf)))) - 5)
                scale = scale.printed(place, leaf, 0.5 * unit)
        white = ref.rounding.statistics.Whitened.of(printed, leaves, scale)
        worst = max(ref.rounding.statistics.statistics(white), key=lambda s: s.excess, default=None)
        assert worst is None or worst.excess <= 1.0, (seed, str(worst))


@pytest.mark.parametrize("name", HALF)
def test_an_error_of_a_common_factor_is_caught_behind_the_storing(name):
    """What rounding alike makes likely hides no mistake of a few roundings."""
    mlp = ref.initialize([64, 64, 10], ["tanh", "identity"], seed=3, dtype=np.float32)
    rng = np.random.default_rng(3)
    problem = ref.Problem(mlp, rng.normal(size=(32, 64)).astype(np.float32), rng.integers(0, 10, 32), "cross_entropy")
    for factor, agrees in ((1.0, True), (1 + 2 * FORMATS[name].unit_roundoff, False)):
        leaves = {k: torch_half(v * np.float32(factor), name) for k, v in ref.gradients(problem).leaves().items()}
        given = {k: v for k, v in leaves.items() if k != "loss"}
        assert tc.check(problem, given, "float32", diagnose=False).agrees == agrees


@pytest.mark.parametrize("dtype", [None, "float32"])
@pytest.mark.parametrize(("factor", "cut", "status"), [(1.0, True, "imprecise"), (0.998, False, "wrong")])
def test_numbers_that_are_cut_off_are_imprecise_and_said_to_be(factor, cut, status, dtype):
    """Towards 0, as by keeping the upper half of a float32's bits: on the whole a factor, in each number none."""
    rng = np.random.default_rng(0)
    x, w, d = (held(rng.normal(size=shape), "bfloat16") for shape in ((30, 16), (8, 16), (30, 8)))
    right = {"x": (d @ w * np.float32(factor)), "weight": d.T @ x * np.float32(factor)}
    if cut:
        right = {k: (v.view(np.int32) & ~0xFFFF).view(np.float32) for k, v in right.items()}
    given = {k: torch_half(v, "bfloat16") for k, v in right.items()}
    inputs = {"x": torch_half(x, "bfloat16"), "weight": torch_half(w, "bfloat16")}
    found = tc.check_operation("linear", inputs, torch_half(d, "bfloat16"), given, dtype)
    assert found.status == status, str(found)
    assert ("cut off to bfloat16" in found.diagnosis) == cut
