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


@pytest.mark.parametrize("dtype", ["float32", None])
def test_a_mistake_is_named_where_its_numbers_are_stored_in_bfloat16(dtype):
    """Storing rounds the wrong numbers, far larger than the right ones where the mean of d_s is most of them."""
    x, d = (torch.randn(64, 32, generator=torch.manual_seed(seed)).bfloat16() for seed in (0, 1))
    deviation = x.float() - x.float().mean(-1, keepdim=True)
    r = torch.rsqrt(deviation.square().mean(-1, keepdim=True) + 1e-5)
    s = deviation * r
    wrong = r * (d.float() - s * (d.float() * s).mean(-1, keepdim=True))
    right = wrong - r * d.float().mean(-1, keepdim=True)
    assert tc.check_operation("layer_norm", {"x": x}, d, {"x": right.bfloat16()}, dtype=dtype).agrees
    verdict = tc.check_operation("layer_norm", {"x": x}, d, {"x": wrong.bfloat16()}, dtype=dtype)
    assert (verdict.status, verdict.diagnosis.names) == ("wrong", ("mean term left out",))


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
        ("softmax", {"input": X}, D[0], ValueError, r"^d_output: expected shape \(2, 5, 8\), that of the output"),
        ("softmax", X, D, TypeError, "inputs: expected a mapping from input to arrays, got ndarray"),
        ("softmax", {"input": [[1.0], [2.0, 3.0]]}, D, TypeError, "input: .*ragged"),
        ("softmax", {"input": torch.tensor(X) * 1j}, D, TypeError, "input: expected floating numbers, got complex128"),
        ("softmax", {"input": np.ones(X.shape, int)}, D, TypeError, "softmax: no input holds floating numbers"),
        ("softmax", {"input": "abc"}, D, TypeError, "input: "),
        (ref.OPERATIONS["mul"], {"input": X, "other": X[:, :, :3]}, D, ValueError, r"mul\) of input \(2, 5, 8\)"),
    ],
)
def test_bad_input_is_named(operation, inputs, d, error, message):
    with pytest.raises(error, match=message):
        tc.check_operation(operation, inputs, d, {"input": D})


@pytest.mark.parametrize(
    ("d", "message"),
    [
        (X, "d_output: expected a tuple of 2 arrays, as split gives, got one"),
        ((X,), "d_output: expected a tuple of 2 arrays, as split gives, got 1"),
        ((X[:, :2], X[:, 2:]), r"d_output\[0\]: expected shape \(2, 3, 8\), that of the output, got \(2, 2, 8\)"),
    ],
)
def test_several_outputs_have_as_many_gradients_of_their_shapes(d, message):
    with pytest.raises(ValueError, match=message):
        tc.check_operation("split", {"input": X}, d, {"input": X}, split_size_or_sections=3, dim=1)


def test_no_indices_are_refused_by_name():
    inputs = {"input": np.zeros(0, int), "weight": X[0]}
    with pytest.raises(ValueError, match=r"d_output: expected dimensions, none of length 0, got shape \(0, 8\)"):
        tc.check_operation("embedding", inputs, np.zeros((0, 8)), {"weight": X[0]})


@pytest.mark.parametrize("certified", [False, True])
def test_a_mask_may_hold_minus_infinity(certified):
    q, k, v = (torch.tensor(X, requires_grad=True) for _ in range(3))
    mask = torch.zeros(5, 5, dtype=torch.float64).masked_fill(torch.ones(5, 5).triu(1) > 0, -torch.inf)
    torch.nn.functional.scaled_dot_product_attention(q, k, v, mask).backward(torch.tensor(D))
    inputs = {"query": q, "key": k, "value": v, "attn_mask": mask}
    given = {"query": q.grad, "key": k.grad, "value": v.grad}
    judged = tc.check_operation("scaled_dot_product_attention", inputs, D, given, certified=certified)
    assert judged.status == "agrees"
    with pytest.raises(ValueError, match=r"attn_mask\[0, 1\]: expected a finite number"):
        tc.check_operation("scaled_dot_product_attention", inputs, D, {**given, "attn_mask": mask})
    with pytest.raises(ValueError, match=r"attn_mask.*: expected a finite number"):
        tc.check_operation("scaled_dot_product_attention", {**inputs, "attn_mask": -mask}, D, given)
    with pytest.raises(TypeError, match="attn_mask: expected truth values or floating numbers, got int64"):
        tc.check_operation("scaled_dot_product_attention", {**inputs, "attn_mask": mask.long()}, D, given)


@pytest.mark.parametrize("given", [0.0, 5.0])
def test_a_certificate_that_knows_nothing_is_unresolved(given):
    constant = np.full((1, 2), 0.1)
    found = {"x": np.full((1, 2), given)}  # of 0/0
    verdict = tc.check_operation("layer_norm", {"x": constant}, constant, found, certified=True, eps=0.0)
    assert verdict.status == "unresolved"


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
    """Computed in float32, stored in bfloat16, with a variance that is a hundredth too large."""
    x, d, n = x.float(), d.float(), x.shape[-1]
    deviation = x - x.mean(dim=-1, keepdim=True)
    r = torch.rsqrt((deviation**2).sum(dim=-1, keepdim=True) / (0.99 * n) + 1e-5)
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


def norm_of_squares(x, w, d):
    """Layer norm's gradients with the variance as mean x² − (mean x)², in the type of its inputs."""
    n = x.shape[-1]
    mean = x.mean(-1, keepdims=True)
    root = np.sqrt((x * x).mean(-1, keepdims=True) - mean * mean + x.dtype.type(1e-5))
    normal, g = (x - mean) / root, d * w
    d_x = (g - g.mean(-1, keepdims=True) - normal * (g * normal).sum(-1, keepdims=True) / n) / root
    return {"x": d_x, "weight": (d * normal).sum(0)}


def test_a_variance_of_squares_is_imprecise_and_said_to_be():
    rng = np.random.default_rng(0)
    x, w, d = (rng.normal(size=s).astype(np.float32) for s in ((4, 32), (32,), (4, 32)))
    assert tc.check_operation("layer_norm", {"x": x, "weight": w}, d, norm_of_squares(x, w, d)).status == "agrees"
    x += np.float32(100)
    found = norm_of_squares(x, w, d)
    verdict = tc.check_operation("layer_norm", {"x": x, "weight": w}, d, found)
    assert verdict.status == "imprecise"
    assert "layer_norm computes the variance as mean x² − (mean x)²" in verdict.diagnosis
    wrong = {place: leaf * np.float32(1.01) for place, leaf in found.items()}
    assert tc.check_operation("layer_norm", {"x": x, "weight": w}, d, wrong, diagnose=False).status == "wrong"


@pytest.mark.parametrize("rows", [4, 64])
def test_torchs_sums_in_bfloat16_are_said_to_be(rows):
    torch.manual_seed(rows)
    ids, w = torch.randint(0, 4, (16 * rows,)), torch.randn(4, 8).bfloat16().requires_grad_()
    d = torch.randn(16 * rows, 8).bfloat16()
    torch.nn.functional.embedding(ids, w).backward(d)
    verdict = tc.check_operation("embedding", {"input": ids, "weight": w}, d, {"weight": w.grad})
    assert verdict.status == "agrees" or verdict.diagnosis == "sums accumulated in bfloat16, not in float32"


def test_errors_of_bfloat16_numbers_are_counted_in_its_ulps():
    x, d = torch.tensor([[0.5, -2.0]]).bfloat16(), torch.tensor([[1.0, 3.0]]).bfloat16()
    given = {"input": (d * (x > 0)) * (1 + 2**-6)}  # two ulps at 1
    verdict = tc.check_operation("relu", {"input": x}, d, given, dtype="float32", diagnose=False)
    assert verdict.worst.ulps == 2


@pytest.mark.parametrize("operation", ["layer_norm", "batch_norm"])
def test_a_small_factor_is_no_rounding_of_sums_or_steps_in_bfloat16(operation):
    rng = np.random.default_rng(5)
    x, d = (torch.tensor(rng.normal(size=(64, 32))).bfloat16() for _ in range(2))
    w, b = (torch.tensor(rng.normal(size=32)).bfloat16() for _ in range(2))
    inputs, options = {"x": x, "weight": w, "bias": b}, {} if operation == "layer_norm" else {"training": True}
    right = {"bias": d.double().sum(0).bfloat16()}
    wrong = {"bias": (1.03 * d.double().sum(0)).bfloat16()}
    given = [tc.check_operation(operation, inputs, d, g, diagnose=False, **options) for g in (right, wrong)]
    assert [verdict.status for verdict in given] == ["agrees", "wrong"]


@pytest.mark.parametrize("inputs", [{"input": 2.0}, {"input": 2.0, "other": 3.0}])
def test_wrong_gradients_of_numbers_without_dimensions_are_wrong(inputs):
    name = "mul" if "other" in inputs else "tanh"
    arrays = {k: np.array(v) for k, v in inputs.items()}
    assert tc.check_operation(name, arrays, np.array(1.0), {"input": np.array(0.5)}).status == "wrong"


def test_no_first_mistake_that_comes_to_hand_is_named_where_nothing_rounds():
    """Noise for the gradient of a maximum: σ is 0, and no mistake within 0 of it."""
    rng = np.random.default_rng(0)
    x, d = rng.normal(size=(2, 3, 6, 6)).astype(np.float16), rng.normal(size=(2, 3, 3, 3)).astype(np.float16)
    noise = rng.normal(size=x.shape).astype(np.float16)
    found = tc.check_operation("max_pool2d", {"input": x}, d, {"input": noise}, kernel_size=2)
    assert found.status == "wrong"
    assert found.diagnosis.names == ()
