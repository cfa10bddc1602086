"""Which explanations of a network's gradients stand: close ones, closer than chance, of the pass that was given."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

import reference as ref
import torch_compare as tc
from reference.arithmetic.formats import FORMATS
from torch_compare.diagnosis import of_network
from torch_compare.diagnosis.network_search import Subject, nearest
from torch_compare.diagnosis.pattern import pattern
from torch_compare.mistakes.mistake import Mistake


def names_of(operation, inputs, d, given, **parameters):
    return tc.check_operation(operation, inputs, d, given, **parameters).diagnosis.names


def normalized(dtype, compute=torch.float32):
    """Inputs of batch_norm over 4·5·5 numbers, and the parts of its gradient in `compute`."""
    torch.manual_seed(0)
    x, w, b = (t.to(dtype) for t in (torch.randn(4, 3, 5, 5) * 2 + 1, torch.randn(3), torch.randn(3)))
    d = torch.randn(4, 3, 5, 5).to(dtype)
    axes, z, grad = (0, 2, 3), x.to(compute), d.to(compute)
    r = (z.var(axes, keepdim=True, unbiased=False) + 1e-5).rsqrt()
    h = (z - z.mean(axes, keepdim=True)) * r
    inner = grad - grad.mean(axes, keepdim=True) - h * (grad * h).mean(axes, keepdim=True)
    right = {"weight": (grad * h).sum(axes), "bias": grad.sum(axes)}
    return {"x": x, "weight": w, "bias": b}, d, w.to(compute).view(1, 3, 1, 1) * inner, r, right


def test_a_fit_beyond_8_scales_tells_no_story():
    """dx times σ in bfloat16 fits a factor to 32 σ: that is not it."""
    inputs, d, base, r, right = normalized(torch.bfloat16)
    given = {name: g.bfloat16() for name, g in {**right, "x": base / r}.items()}
    verdict = tc.check_operation("batch_norm", inputs, d, given, dtype="float32", training=True)
    assert verdict.status == "wrong"
    assert verdict.diagnosis.names == ()
    assert verdict.diagnosis.startswith("no known mistake explains it; going back from the loss, x of the step")


@pytest.mark.parametrize(("noise", "stands"), [(1e-7, True), (1e10, False)])
def test_where_the_wrong_pass_is_all_noise_it_explains_nothing(noise, stands):
    """An LSTM whose inputs are multiplied by 255 may have σ of 1e10: any numbers lie within it."""
    net = ref.Network({"w": np.ones((4, 4))}, [ref.Step("y", "linear", "x", "w")])
    problem = ref.Problem(net, np.ones((2, 4)), np.ones((2, 4)), "inner_product")
    expected, sigma = {"w": np.full((4, 4), 2.0)}, {"w": np.full((4, 4), 1e-7)}
    subject = Subject(problem, {"w": np.arange(16.0).reshape(4, 4)}, expected, sigma, FORMATS["float32"])
    wrong = {"w": np.full((4, 4), noise)}
    assert of_network._explains(subject, ["w"], wrong, 0.3, (Mistake("inputs scaled", "x", ""),)) is stands


def test_a_factor_of_few_numbers_that_say_little_is_none():
    """Two numbers in bfloat16 tell 16 bits: half as much as a factor that is fitted, and leaves one, must foretell."""
    expected, scale = {"w": np.array([1.0, 2.0])}, {"w": np.array([1.0, 2.0]) / 256}
    net = ref.Network({"w": np.ones(2)}, [ref.Step("y", "mul", "x", "w")])
    problem = ref.Problem(net, np.array([[1.0, 2.0]]), np.ones((1, 2)), "inner_product")
    for fmt, found in (("bfloat16", False), ("float32", True)):
        held = {"w": 1.37 * expected["w"]}
        subject = Subject(problem, held, expected, scale if not found else {"w": 1e-7 * expected["w"]}, FORMATS[fmt])
        assert (of_network._factor(subject, {"w"}) is not None) is found


def test_a_mistake_that_rounds_is_found_where_the_right_operation_does_not():
    """A row that should be 0 gets a sum, whose last bit depends on the order of adding; σ is 0 there."""
    torch.manual_seed(0)
    ids, table, d = torch.tensor([[1, 2, 2, 0], [0, 0, 1, 2]]), torch.randn(7, 5), torch.randn(2, 4, 5)
    weight = torch.zeros(7, 5)
    for row, grad in reversed(list(zip(ids.reshape(-1).tolist(), d.reshape(-1, 5), strict=True))):
        weight[row] += grad
    for fmt in (torch.float32, torch.float64):
        exact = (
            weight
            if fmt is torch.float32
            else torch.zeros(7, 5, dtype=fmt).index_add(
                0, ids.flip(0, 1).reshape(-1), d.to(fmt).flip(0, 1).reshape(-1, 5)
            )
        )
        found = names_of(
            "embedding", {"input": ids, "weight": table.to(fmt)}, d.to(fmt), {"weight": exact}, padding_idx=0
        )
        assert found == ("padding row not zero",)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_backward_pass_alone_tells_of_no_other_forward_pass(dtype):
    torch.manual_seed(0)
    q, k, v, d = (torch.randn(2, 4, 6, 8).to(dtype) for _ in range(4))
    leaves = [t.clone().requires_grad_() for t in (q, k, v)]
    found = torch.autograd.grad(F.scaled_dot_product_attention(*leaves), leaves, d)
    inputs = {"query": q, "key": k, "value": v}
    given = dict(zip(inputs, found, strict=True))
    said = tc.check_operation("scaled_dot_product_attention", inputs, d, given, is_causal=True).diagnosis
    assert said.names == ("mask not applied in backward",)
    assert said.runner_up.startswith("output: the forward pass differs, and the backward pass too: causal left out")


def test_a_leaf_that_is_0_is_said_to_be():
    right = {"w": np.ones((2, 3))}
    assert (
        pattern("w", {"w": np.zeros((2, 3))}, right, {"w": np.full((2, 3), 1e-16)}, FORMATS["float64"])
        == " (0 everywhere)"
    )


def test_the_sieve_keeps_what_differs_by_a_last_bit():
    net = ref.Network(
        {"w": np.ones((3, 2))}, [ref.Step("y", ref.operations.embedding(padding_idx=0), "x", "w")], inputs=("x",)
    )
    problem = ref.Problem(net, np.array([0, 0, 1]), np.full((3, 2), 0.1), "inner_product")
    expected = {"w": ref.gradients(problem).leaves()["w"]}
    held = {"w": np.array([[np.nextafter(0.2, 1), 0.2], [0.1, 0.1], [0.0, 0.0]])}
    subject = Subject(problem, held, expected, {"w": np.zeros((3, 2))}, FORMATS["float64"])
    fits, _, _ = nearest(subject, {"w"})
    assert fits[0].mistakes[0].name == "padding row not zero"
    assert fits[0].away < 8
