"""The rounding scale: exact where every implementation is, and as wide as real roundings are."""

import numpy as np
import pytest

import reference as ref
from reference.arithmetic.formats import FORMATS, get_format
from reference.rounding import scale as module
from reference.rounding.scale import rounding_scale
from tests.helpers import derivatives
from tests.helpers.comparing import ONCE_IN_A_BILLION


def test_scale_is_zero_exactly_where_every_implementation_is_exact():
    layer = ref.Layer(np.array([[2.0, -1.0]]), np.array([1.0]), "relu")
    problem = ref.Problem(ref.MLP((layer,)), np.array([[1.0, 2.0], [3.0, 1.0]]), np.zeros((2, 1)), "mse", "sum")
    scale = rounding_scale(problem)
    assert all(np.all(leaf == 0) for leaf in derivatives(scale).values())


def test_scale_grows_with_the_unit_roundoff():
    mlp = ref.initialize([8, 16, 16, 4], ["tanh", "tanh", "identity"], seed=3)
    rng = np.random.default_rng(4)
    problem = ref.Problem(mlp, rng.normal(size=(8, 8)), rng.normal(size=(8, 4)), "mse")
    sizes = {f: np.linalg.norm(rounding_scale(problem, f).layers[0].weight) for f in FORMATS}
    for coarse, fine in (("float32", "float64"), ("float16", "float32"), ("bfloat16", "float16")):
        ratio = FORMATS[coarse].unit_roundoff / FORMATS[fine].unit_roundoff
        assert 0.5 < sizes[coarse] / sizes[fine] / ratio < 2


def test_scale_is_reproducible_and_seeded():
    problem = ref.Problem(ref.initialize([3, 2], ["tanh"], seed=0), np.ones((1, 3)), np.zeros((1, 2)), "mse")
    a, b, c = (rounding_scale(problem, seed=s).layers[0].weight for s in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_float32_reference_lies_within_its_scale():
    """The model against reality: 300 float32 gradients of the reference against its float64 ones."""
    worst = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        names = [str(n) for n in rng.choice([n for n in ref.ACTIVATIONS if n != "threshold"], 3)]
        mlp = ref.initialize([5, 8, 8, 3], names, seed=seed, dtype=np.float32)
        x, t = rng.normal(size=(6, 5)).astype(np.float32), rng.normal(size=(6, 3)).astype(np.float32)
        problem = ref.Problem(mlp, x, t, "mse")
        double = problem.map(lambda a: a.astype(float)).replace(target=t.astype(float))
        scale = rounding_scale(problem).leaves()
        exact = ref.gradients(double).leaves()
        for place, leaf in ref.gradients(problem).leaves().items():
            error = np.abs(leaf - exact[place])
            assert np.all((error == 0) | (scale[place] > 0))
            worst.append(np.max(error / np.where(scale[place] > 0, scale[place], 1)))
    assert max(worst) < 8
    assert np.median(worst) > 0.3


def test_bad_input_is_named():
    problem = ref.Problem(ref.initialize([3, 2], ["tanh"], seed=0), np.ones((1, 3)), np.zeros((1, 2)), "mse")
    with pytest.raises(ValueError, match="float7"):
        rounding_scale(problem, "float7")
    with pytest.raises(ValueError, match="at least 2"):
        rounding_scale(problem, runs=1)
    assert get_format("bfloat16").bits == 8


def test_behind_a_jump_units_are_found_where_some_implementation_has_them():
    """hardshrink jumps by 1/2 at z = 1/2: hardtanh's z is −1.2, where its slope is 0, or −0.7, where it is 1."""
    layers = (
        ref.Layer(np.array([[3.0]]), None, "hardshrink"),  # 3·(1/6) = 1/2, or a little more or less
        ref.Layer(np.array([[1.0]]), np.array([-1.2]), "hardtanh"),
    )
    for x in (1 / 6, np.nextafter(1 / 6, 1)):  # 3·x rounds to 1/2 from either side
        problem = ref.Problem(ref.MLP(layers), np.array([[x]]), np.array([[1.0]]), "mse")
        scale = rounding_scale(problem)
        other = 2 * (-0.7 - 1.0)  # ∂L/∂b of hardtanh's layer on the other side of the jump
        assert scale.layers[1].bias[0] > abs(other) / 8


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "float64"])
def test_numbers_that_the_format_cannot_hold_are_rounded_and_the_scale_says_so(name):
    mlp = ref.MLP((ref.Layer(np.array([[1.0]]), None, "identity"),))
    held, beyond = (ref.Problem(mlp, np.array([[x]]), np.array([[0.0]]), "mse", "sum") for x in (0.5, 0.1))
    assert np.all(rounding_scale(held, name).layers[0].weight == 0)
    assert np.all(rounding_scale(beyond, name).layers[0].weight > 0)


def test_a_scale_made_in_parts_is_that_of_all_runs(monkeypatch):
    mlp = ref.initialize([24, 32, 32, 5], ["tanh", "gelu", "identity"], seed=0)
    rng = np.random.default_rng(0)
    problem = ref.Problem(mlp, rng.normal(size=(48, 24)), rng.normal(size=(48, 5)), "mse")
    whole = rounding_scale(problem, runs=64).leaves()
    monkeypatch.setattr(module, "LARGEST", 2**14)
    parts = rounding_scale(problem, runs=64).leaves()
    for place, sigma in whole.items():
        ratio = np.sqrt(np.mean(parts[place] ** 2) / np.mean(sigma**2))
        assert 0.7 < ratio < 1.4, place


def test_an_example_that_overflows_leaves_the_noise_of_underflow_to_the_others():
    """A NaN among the numbers hid that others lie below the format's range: their σ was far below its smallest one."""
    layers = [ref.Layer(np.array([[1.0]]), None, "square") for _ in range(12)]
    mlp = ref.MLP((*layers, ref.Layer(np.array([[1.0]]), None, "identity")))
    x = np.array([[0.9], [1e200]])
    problem = ref.Problem(mlp, x, np.zeros((2, 1)), "half_squared_error", reduction="sum")
    sigma = rounding_scale(problem, "float32").input
    alone = rounding_scale(problem.replace(x=x[:1], target=np.zeros((1, 1))), "float32").input
    assert alone[0, 0] > 0
    assert 1 / ONCE_IN_A_BILLION < sigma[0, 0] / alone[0, 0] < ONCE_IN_A_BILLION
