"""Arrays of any library are taken as what they are, and everything else is refused by name."""

import numpy as np
import pytest
import torch

import reference as ref
import torch_compare as tc
from torch_compare.verdict.given import as_array, read_given


def small_problem():
    mlp = ref.initialize([3, 4, 2], ["tanh", "identity"], seed=0, bias=[True, False])
    rng = np.random.default_rng(0)
    return ref.Problem(mlp, rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), "mse")


class OnlyDLPack:
    """An array that speaks nothing but DLPack."""

    def __init__(self, values):
        self.values = values

    def __dlpack__(self, **arguments):
        return self.values.__dlpack__(**arguments)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


def test_every_library_gives_the_same_numbers():
    jax = pytest.importorskip("jax", reason="JAX is an optional extra, which the benchmarks install")
    values = np.array([[0.5, -1.25], [3.0, 2.0**-30]], dtype=np.float32)
    for other in (values, values.tolist(), torch.tensor(values, requires_grad=True), jax.numpy.asarray(values),
                  OnlyDLPack(values)):  # fmt: skip
        array, _ = as_array("input", other)
        np.testing.assert_array_equal(array, values)
    assert as_array("input", torch.tensor(values))[1] == as_array("input", jax.numpy.asarray(values))[1] == "float32"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (torch.bfloat16, "bfloat16"),
        (torch.float16, "float16"),
        (torch.float8_e4m3fn, "float8_e4m3"),
        (torch.float8_e5m2, "float8_e5m2"),
    ],
)
def test_narrow_types_of_torch_keep_their_name(kind, name):
    array, found = as_array("input", torch.tensor([0.5, 1.75], dtype=kind))
    assert found == name
    assert array.tolist() == [0.5, 1.75]


@pytest.mark.parametrize("name", ["bfloat16", "float8_e5m2", "float8_e4m3fn"])
def test_narrow_types_of_jax_keep_their_name(name):
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="it comes with JAX, an optional extra")
    array, found = as_array("input", np.array([0.5, 1.75]).astype(getattr(ml_dtypes, name)))
    assert found == name.removesuffix("fn")
    assert array.tolist() == [0.5, 1.75]


def test_gradients_of_torch_itself_go_in_as_they_are():
    problem = small_problem()
    layers = [(torch.tensor(a.weight, requires_grad=True), a.bias) for a in problem.mlp.layers]
    h = torch.tanh(torch.tensor(problem.x) @ layers[0][0].T + torch.tensor(layers[0][1])) @ layers[1][0].T
    torch.nn.functional.mse_loss(h, torch.tensor(problem.target)).backward()
    verdict = tc.check(problem, [(weight.grad, None) for weight, _ in layers])
    assert verdict.agrees


def test_places_are_those_of_the_gradient_tree():
    problem = small_problem()
    found = ref.gradients(problem)
    shapes = {place: leaf.shape for place, leaf in found.leaves().items()} | {"loss": ()}
    assert problem.gradient_shapes() == shapes


def test_what_cannot_be_judged_is_named():
    problem = small_problem()
    weight = ref.gradients(problem).layers[0].weight
    for given, message in (
        (
            {"layers[0].weight": weight.T},
            r"layers\[0\]\.weight: expected shape \(4, 3\), got \(3, 4\); weights are stored",
        ),
        ({"layers[0].weight": weight[:1]}, r"expected shape \(4, 3\), got \(1, 3\)$"),
        ({"layers[1].bias": np.zeros(2)}, r"layers\[1\]\.bias: the problem has no such gradient"),
        ({}, "nothing was given"),
    ):
        with pytest.raises(ValueError, match=message):
            read_given(problem, given)
    for given, message in (
        ({"input": [[1.0], [1.0, 2.0]]}, "input: .* ragged"),
        ({"input": torch.zeros(5, 3, dtype=torch.int32)}, "input: expected floating numbers, got int32"),
        ({"input": np.zeros((5, 3), complex)}, "input: expected floating numbers, got complex128"),
        ({"input": "gradients.npy"}, "input: expected floating numbers, got <U13"),
        ("gradients.npy", "expected a Gradients"),
    ):
        with pytest.raises(TypeError, match=message):
            read_given(problem, given)
