"""Where a NaN first arises, and the overflow that explains it."""

import numpy as np
import pytest

import reference as ref
from reference.arithmetic.formats import get_format
from tests.torch_compare.diagnosis.helpers import network
from torch_compare.diagnosis.overflow_origin import overflow_origin

ROWS = {
    "softplus": "e^(βz)/(e^(βz) + 1)", "sigmoid": "e^z/(e^z + 1)", "silu": "e^z/(e^z + 1)", "mish": "log(1 + e^z)",
    "tanh": "(e^z − e^−z)/(e^z + e^−z)", "elu": "(z > 0) + (z ≤ 0)·α·e^z", "selu": "(z > 0) + (z ≤ 0)·α·e^z",
    "softmax": "e^zᵢ/Σ e^zⱼ", "log_softmax": "e^zᵢ/Σ e^zⱼ",
}  # fmt: skip


def steep(row):
    """A network whose unit 2 of layer 1 overflows in example 3 alone, and its masks by hand."""
    problem = network([3, 5, 4, 2], ["relu", row, "identity"], examples=6)
    z = ref.forward(problem.mlp, problem.x).preactivations[1]
    first, middle, last = problem.mlp.layers
    weight, bias = np.zeros_like(middle.weight), np.zeros(4)
    weight[2], bias[0] = 100.0, 0.5
    x = np.zeros_like(problem.x)
    h = ref.ACTIVATIONS["relu"].value(x @ first.weight.T + first.bias)
    bias[2] = -float((h @ weight.T)[0, 2])
    middle = ref.Layer(weight, bias, middle.activation)
    x[3] = np.linalg.lstsq(first.weight[:3], np.ones(3), rcond=None)[0]
    return ref.Problem(ref.MLP((first, middle, last)), x, problem.target, "mse"), z


def masks(problem, whole_row):
    lost = {k: np.zeros(np.shape(v), bool) for k, v in ref.gradients(problem).leaves().items()}
    units = slice(None) if whole_row else 2
    lost["layers[1].weight"][units] = lost["layers[1].bias"][units] = True
    lost["layers[0].weight"][:] = lost["layers[0].bias"][:] = lost["input"][3] = True
    return lost


@pytest.mark.parametrize("row", ROWS)
def test_the_formula_that_loses_just_these_is_said(row):
    problem, _ = steep(row)
    z = ref.forward(problem.mlp, problem.x).preactivations[1]
    assert z[3, 2] > 89
    assert np.max(np.abs(np.delete(z.ravel(), 3 * 4 + 2))) < 2
    lost = masks(problem, row.endswith("softmax"))
    text = overflow_origin(problem, lost, get_format("float32"))
    assert text.startswith(f"; it first arises in layers[1], at unit 2 in example 3, where z = {z[3, 2]:.6g}: ")
    assert f"written {ROWS[row]}, is ∞" in text or f"written {ROWS[row]}, is 0·∞" in text
    assert "; write " in text
    assert overflow_origin(problem, lost, get_format("float64")) == "", "float64 holds e^z there"
    other = lost | {"layers[1].bias": ~lost["layers[1].bias"]}
    if not row.endswith("softmax"):
        assert overflow_origin(problem, other, get_format("float32")) == ""


@pytest.mark.parametrize(("loss", "y", "formula"), [
    ("cross_entropy", 95.0, "e^yᵢ/Σ e^yⱼ"), ("bce_with_logits", 95.0, "e^y/(e^y + 1)"),
    ("bce_with_logits", -95.0, "e^−y/(1 + e^−y)"), ("soft_margin", -95.0, "e^−ty/(1 + e^−ty)"),
])  # fmt: skip
def test_an_overflow_in_the_loss_is_said(loss, y, formula):
    mlp = ref.MLP((ref.Layer(np.eye(3), None, "identity"),))
    x = np.zeros((2, 3))
    x[1, 0] = y
    targets = {"cross_entropy": np.array([1, 2]), "soft_margin": np.ones((2, 3))}
    problem = ref.Problem(mlp, x, targets.get(loss, np.ones((2, 3))), loss)
    lost = np.zeros((2, 3), bool)
    lost[1, :] = True
    text = overflow_origin(problem, {"input": lost, "loss": np.array(False)}, get_format("bfloat16"))
    assert text.startswith(f"; it first arises in the loss, at output 0 in example 1, where y = {y:g}: ")
    assert f"written {formula}, is ∞/∞ there" in text


def test_without_a_loss_nothing_is_said():
    problem = network([3, 2], ["tanh"])
    lost = {k: np.zeros(np.shape(v), bool) for k, v in ref.gradients(problem).leaves().items()}
    assert overflow_origin(problem, lost, get_format("float32")) == ""
    assert overflow_origin(problem, lost | {"loss": np.array(True)}, get_format("float32")) == ""
