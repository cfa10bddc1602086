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
        ("sofmax", {"input": X}, D, ValueError, "no row is named 'sofmax', is softmax meant\\?"),
        (
            "rms_norm",
            {"x": X},
            D,
            ValueError,
            r"rms_norm needs parameters, .*: rms_norm\(normalized_shape=None, \*, eps\)",
        ),
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
    with pytest.raises(TypeError, match=r"cat: .*unexpected keyword argument 'axis'; it is cat\(dim=0\)"):
        tc.check_operation("cat", {"tensors": [X]}, D, {"tensors[0]": D}, axis=1)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([X], TypeError, "gradients: expected a mapping from names to arrays, got list"),
        ({"input": X[0, 0]}, ValueError, r"input: expected shape \(2, 5, 8\), got \(8,\)$"),
    ],
)
def test_bad_gradients_are_named(given, error, message):
    with pytest.raises(error, match=message):
        tc.check_operation("softmax", {"input": X}, D, given)


def test_a_transposed_input_is_no_weight():
    with pytest.raises(ValueError, match=r"got \(8, 5\); it is the transpose$"):
        tc.check_operation("softmax", {"input": X[0]}, D[0], {"input": X[0].T})


def test_the_precision_may_be_a_type_of_torch():
    verdict = tc.check_operation("softmax", {"input": X}, D, {"input": softmax_pulled(X, D)}, dtype=torch.bfloat16)
    assert verdict.dtype.startswith("bfloat16")


def test_several_wrong_gradients_are_plural():
    x, w, d = X[0], RNG.normal(size=8), D[0]
    noise = {"x": RNG.normal(size=(5, 8)), "weight": RNG.normal(size=8)}
    verdict = tc.check_operation("layer_norm", {"x": x, "weight": w}, d, noise)
    assert "x and weight of the step output (layer_norm) are the first that are wrong" in verdict.diagnosis


def norm_with_another_variance(x, d):
    """Computed in float32, stored in bfloat16, with n − 1 for n in the variance."""
    x, d, n = x.float(), d.float(), x.shape[-1]
    deviation = x - x.mean(dim=-1, keepdim=True)
    r = torch.rsqrt((deviation**2).sum(dim=-1, keepdim=True) / (n - 1) + 1e-5)
    s = deviation * r
    return (r * (d - d.mean(dim=-1, keepdim=True) - s * (d * s).mean(dim=-1, keepdim=True))).bfloat16()


def test_what_rounded_steps_hide_says_how_to_look():
    torch.manual_seed(0)
    x, d = (torch.randn(16, 64).bfloat16() for _ in range(2))
    given = {"x": norm_with_another_variance(x, d)}
    verdict = tc.check_operation("layer_norm", {"x": x}, d, given)
    assert verdict.agrees
    assert 'where yours computes in float32, say so with dtype="float32"' in verdict.diagnosis
    assert not tc.check_operation("layer_norm", {"x": x}, d, given, dtype="float32").agrees


def test_rows_added_up_exactly_in_float32_are_rounded_once():
    """Sums of bfloat16 numbers that float32 holds: the wrong row is named, not one that is right to its last digit."""
    rng = np.random.default_rng(0)
    indices, d = rng.integers(0, 10, (4, 7)), torch.tensor(rng.normal(size=(4, 7, 16))).bfloat16()
    total = torch.zeros(10, 16).index_add_(0, torch.tensor(indices.ravel()), d.float().reshape(-1, 16))
    inputs = {"input": indices, "weight": torch.zeros(10, 16).bfloat16()}
    assert tc.check_operation("embedding", inputs, d, {"weight": total.bfloat16()}).agrees
    total[3] = 0
    verdict = tc.check_operation("embedding", inputs, d, {"weight": total.bfloat16()})
    assert verdict.status == "wrong"
    assert verdict.worst.index[0] == 3
    assert "repeated rows overwritten" not in verdict.diagnosis
