"""One operation's backward pass, judged."""

import numpy as np
import pytest
import torch

import reference as ref
import torch_compare as tc

RNG = np.random.default_rng(5)
X, D = RNG.normal(size=(2, 5, 8)), RNG.normal(size=(2, 5, 8))


def softmax_pulled(x, d):
    return ref.operations.of_activation("softmax").pullback((x,), None, d)[0]


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_a_right_kernel_agrees(dtype):
    given = torch.tensor(softmax_pulled(X, D)).to(getattr(torch, dtype))
    assert tc.check_operation("softmax", {"input": X}, D, {"input": given}, dtype=dtype).status == "agrees"


def test_a_wrong_kernel_is_named():
    y = ref.operations.of_activation("softmax").value(X)
    verdict = tc.check_operation("softmax", {"input": X}, D, {"input": D * y * (1 - y)})
    assert verdict.status == "wrong"
    assert "softmax" in verdict.diagnosis
    assert verdict.diagnosis.names == ("softmax Jacobian diagonal",)


def test_inputs_may_be_torch_tensors_and_broadcast():
    a, b = torch.randn(4, 1, 3, dtype=torch.float64, requires_grad=True), torch.randn(2, 1, dtype=torch.float64)
    b.requires_grad_()
    d = torch.randn(4, 2, 3, dtype=torch.float64)
    (a * b).backward(d)
    assert tc.check_operation("mul", {"input": a, "other": b}, d, {"input": a.grad, "other": b.grad}).status == "agrees"
    wrong = tc.check_operation("mul", {"input": a, "other": b}, d, {"other": b.grad * 2})
    assert wrong.diagnosis.names == ("factor 2",)


def test_any_number_of_inputs_have_numbered_gradients():
    parts = [RNG.normal(size=(2, k)) for k in (1, 3)]
    d = RNG.normal(size=(2, 4))
    row = ref.operations.cat(dim=1)
    given = {"tensors[0]": d[:, :1], "tensors[1]": d[:, 1:]}
    assert tc.check_operation(row, {"tensors": parts}, d, given).status == "agrees"
    assert tc.check_operation("cat", {"tensors": parts}, d, given, dim=1).status == "agrees"


@pytest.mark.parametrize(
    ("operation", "inputs", "d", "error", "message"),
    [
        ("sofmax", {"input": X}, D, ValueError, "no row is named 'sofmax'"),
        ("softmax", {"x": X}, D, ValueError, "softmax has no input 'x'; it takes input"),
        ("mul", {"input": X}, D, ValueError, "mul needs its input 'other'"),
        ("softmax", {"input": X}, D[0], ValueError, "expects shape"),
        ("softmax", {"input": "abc"}, D, TypeError, "input: "),
        (ref.OPERATIONS["mul"], {"input": X, "other": X[:, :, :3]}, D, ValueError, r"mul\) of input \(2, 5, 8\)"),
    ],
)
def test_bad_input_is_named(operation, inputs, d, error, message):
    with pytest.raises(error, match=message):
        tc.check_operation(operation, inputs, d, {"input": D})


def test_unknown_parameters_are_named():
    with pytest.raises(TypeError, match=r"cat: .*unexpected keyword argument 'axis'"):
        tc.check_operation("cat", {"tensors": [X]}, D, {"tensors[0]": D}, axis=1)
