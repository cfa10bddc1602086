"""`check`: what agrees, what does not, and what is refused."""

import numpy as np
import pytest

import reference as ref
import torch_compare as tc
from reference.rounding.distance import FACTOR
from tests.torch_compare.verdict.helpers import tanh_problem


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_reference_and_torch_agree(dtype):
    problem = tanh_problem(dtype)
    for source in ("reference", "torch"):
        verdict = tc.check(problem, tc.SOURCES[source](problem))
        assert verdict.status == "agrees", str(verdict)
        assert verdict.dtype == np.dtype(dtype).name


def test_one_part_in_a_trillion_is_caught_where_gradcheck_lets_one_in_ten_thousand_pass():
    """1e-12 relative in the derivative of one layer of a float64 tanh network (BASELINES.md)."""
    import torch

    problem = tanh_problem()

    class Tanh(torch.autograd.Function):
        error = 0.0

        @staticmethod
        def forward(ctx, z):
            y = torch.tanh(z)
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, d_y):
            (y,) = ctx.saved_tensors
            return d_y * (1 - y * y) * (1 + Tanh.error)

    def loss(x, *parameters):
        h = x
        for index in range(3):
            z = torch.nn.functional.linear(h, parameters[2 * index], parameters[2 * index + 1])
            h = Tanh.apply(z) if index == 1 else torch.tanh(z) if index == 0 else z
        return torch.nn.functional.mse_loss(h, torch.tensor(problem.target))

    arrays = [problem.x, *(a for layer in problem.mlp.layers for a in (layer.weight, layer.bias))]
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]

    def gradients(error):
        Tanh.error = error
        found = [g.numpy() for g in torch.autograd.grad(loss(*tensors), tensors)]
        return [(found[1 + 2 * i], found[2 + 2 * i]) for i in range(3)]

    assert tc.check(problem, gradients(0.0)).status == "agrees"
    assert tc.check(problem, gradients(1e-12)).status == "wrong"
    Tanh.error = 1e-4
    assert torch.autograd.gradcheck(loss, tensors), "gradcheck's defaults let 1e-4 pass"


def test_nan_and_infinity_are_wrong_where_the_truth_is_finite():
    problem = tanh_problem()
    for bad in (np.nan, np.inf):
        leaf = ref.gradients(problem).layers[0].bias.copy()
        leaf[2] = bad
        verdict = tc.check(problem, {"layers[0].bias": leaf})
        assert (verdict.status, verdict.worst.index) == ("wrong", (2,))


def test_leaves_that_are_none_are_not_judged():
    problem = tanh_problem()
    g = ref.gradients(problem)
    broken = ref.Gradients((ref.LayerGradients(None, g.layers[0].bias), *g.layers[1:]), None)
    assert tc.check(problem, broken).agrees
    assert tc.check(problem, [(layer.weight, layer.bias) for layer in g.layers]).agrees


def test_bad_input_is_named():
    problem = tanh_problem()
    g = ref.gradients(problem)
    with pytest.raises(ValueError, match=r"layers\[0\].weight: expected shape \(16, 8\), got \(8, 16\)"):
        tc.check(problem, {"layers[0].weight": g.layers[0].weight.T})
    with pytest.raises(ValueError, match=r"layers\[7\].weight: the problem has no such gradient"):
        tc.check(problem, {"layers[7].weight": g.layers[0].weight})
    with pytest.raises(ValueError, match="nothing was given"):
        tc.check(problem, {})
    with pytest.raises(TypeError, match=r"layers\[0\].bias: expected floating numbers, got int64"):
        tc.check(problem, {"layers[0].bias": np.zeros(16, int)})
    with pytest.raises(TypeError, match="say with dtype="):
        tc.check(problem, {"layers[0].bias": g.layers[0].bias.astype(np.float32), "input": g.input})
    with pytest.raises(TypeError, match="expected a Gradients"):
        tc.check(problem, 3.0)
    with pytest.raises(TypeError, match=r"layers\[0\]: expected a \(weight, bias\) pair"):
        tc.check(problem, [g.layers[0].weight])
    x = problem.x.copy()
    x[2, 3] = np.nan
    with pytest.raises(ValueError, match=r"x\[2, 3\]: expected a finite number, got nan"):
        tc.check(problem.replace(x=x), g)


def test_modules_of_a_user():
    import torch
    from sklearn.datasets import load_digits

    digits = load_digits()
    x = torch.tensor(digits.data[:64] / 16, dtype=torch.float32)
    t = torch.tensor(digits.target[:64])
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.GELU(), torch.nn.Linear(32, 10))
    verdict = tc.check_module(module, x, t, torch.nn.CrossEntropyLoss())
    assert verdict.status == "agrees", str(verdict)
    normed = torch.nn.Sequential(torch.nn.Linear(64, 10), torch.nn.BatchNorm1d(10))
    assert tc.check_module(normed, x, t, torch.nn.CrossEntropyLoss()).agrees


def test_certified_gradients_that_are_at_hand_are_not_computed_again(monkeypatch):
    problem = tanh_problem()
    found = ref.certified_gradients(problem)
    monkeypatch.setattr(ref, "certified_gradients", None)
    given = ref.gradients(problem)
    verdict = tc.check(problem, given, certified=found)
    assert verdict.agrees
    worst = verdict.worst
    assert eval(f"found.{worst.leaf}.nearest", {"found": found})[worst.index] == worst.expected
    assert verdict.reproduce.startswith("ref.certified_gradients(problem).")
    wrong = given.map(lambda leaf: leaf * (1 + 1e-10))
    assert tc.check(problem, wrong, certified=found, diagnose=False).status == "wrong"
    tc.assert_gradients(problem, given, certified=found, diagnose=False)
    other = ref.Problem(ref.initialize([8, 4], ["tanh"], seed=0), problem.x, problem.target, "mse")
    with pytest.raises(ValueError, match=r"certified: expected a gradient of layers\[0\].weight of shape \(4, 8\)"):
        tc.check(other, {"input": given.input}, certified=found)


def test_a_small_mistake_is_not_taken_for_a_low_precision():
    """gelu's tanh formula is off by as much as tf32 is, but it explains the numbers to the last bit of a float32."""
    rng = np.random.default_rng(0)
    x, target = (rng.normal(size=(8, width)).astype(np.float32) for width in (8, 4))
    right, theirs = (
        ref.Problem(
            ref.initialize([8, 16, 16, 4], [name, name, "identity"], seed=0, dtype=np.float32), x, target, "mse"
        )
        for name in ("gelu", "gelu_tanh")
    )
    assert tc.check(right, ref.gradients(theirs), diagnose=False).status == "wrong"
    verdict = tc.check(right, ref.gradients(theirs))
    assert (verdict.status, verdict.diagnosis.names) == ("wrong", ("tanh formula for GELU",)), str(verdict)


def within_a_small_mistake(size, noise):
    """The weight of one unit, whose elements all have the same σ, off by one factor and by as many σ of float32.

    tf32 has 2^13 times the σ of float32: from 0.05·2^13 = 410 σ on, errors may be those of tf32.
    """
    x = np.array([[1.0, -1.25, 1.5, -1.75, 1.125, -1.375, 1.625, 1.875]])
    mlp = ref.MLP((ref.Layer(np.linspace(0.5, 1, 8)[None, :], None, "identity"),))
    problem = ref.Problem(mlp, x, np.array([[3.0]]), "half_squared_error")
    right = ref.gradients(problem).layers[0].weight
    scales = [ref.rounding_scale(problem, "float32", textbook=t).layers[0].weight for t in (False, True)]
    sigma = np.maximum(*scales)
    given = right * (1 + size * np.median(sigma / np.abs(right))) + noise * sigma * np.array([1, -1] * 4)
    return tc.check(problem, {"layers[0].weight": given}, "float32")


def test_an_imprecise_gradient_with_a_small_mistake_in_it_is_imprecise():
    """A mistake is named only if it leaves no more of the error than rounding does: 20 σ of 500 are more."""
    alone = within_a_small_mistake(500, 0)
    assert (alone.status, alone.diagnosis.names) == ("wrong", ("constant factor",))
    both = within_a_small_mistake(500, 20)
    assert FACTOR < both.worst.scales / 20 * FACTOR < 32 * FACTOR
    assert (both.status, both.diagnosis) == (
        "imprecise",
        "the errors are those of tf32 (or float16) products, not of float32",
    )
