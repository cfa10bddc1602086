"""Arrays of any library are taken as what they are, and everything else is refused by name."""

import pickle
import re

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


@pytest.mark.parametrize("place", ["layers[0].weight", "layers[0].bias", "input"])
def test_masked_arrays_are_refused_by_place(place):
    problem = small_problem()
    found = ref.gradients(problem).leaves()
    found[place] = np.ma.masked_less(found[place], 0.0)
    with pytest.raises(TypeError, match=f"^{re.escape(place)}: a masked array, whose mask would be lost"):
        tc.check(problem, found)
    with pytest.raises(TypeError, match=f"^{re.escape(place)}: a masked array"):
        tc.check(problem, ref.Gradients.from_leaves(found))


def test_gradients_of_a_bfloat16_problem_are_judged_in_bfloat16():
    bfloat16 = pytest.importorskip("ml_dtypes", reason="an optional extra").bfloat16
    plain = small_problem()
    mlp = ref.MLP(tuple(
        ref.Layer(a.weight.astype(bfloat16), None if a.bias is None else a.bias.astype(bfloat16), a.activation)
        for a in plain.mlp.layers
    ))  # fmt: skip
    problem = ref.Problem(mlp, plain.x.astype(bfloat16), plain.target.astype(bfloat16), "mse")
    given = {place: leaf.astype(bfloat16) for place, leaf in ref.gradients(problem).leaves().items()}
    verdict = tc.check(problem, given)
    assert verdict.agrees
    assert verdict.dtype.startswith("bfloat16")


@pytest.mark.parametrize("kind", [np.longdouble])
def test_a_problem_that_float64_does_not_hold_is_refused_as_by_the_certificate(kind):
    mlp = ref.MLP((ref.Layer(np.ones((2, 3), kind), None, "tanh"),))
    problem = ref.Problem(mlp, np.ones((4, 3), kind), np.ones((4, 2), kind).real, "mse")
    for what, judge in (("check", lambda: tc.check(problem, {"input": np.ones((4, 3))})),
                        ("certify", lambda: ref.certified_gradients(problem))):  # fmt: skip
        with pytest.raises(
            TypeError, match=rf"layers\[0\]\.weight: expected float64, .* to {what}, got {np.dtype(kind)}"
        ):
            judge()


@pytest.mark.parametrize("factor", [1.0, 1.1])
def test_a_verdict_is_pickled(factor):
    problem = small_problem()
    verdict = tc.check(problem, ref.gradients(problem).map(lambda leaf: factor * leaf))
    again = pickle.loads(pickle.dumps(verdict))
    assert again == verdict
    assert (str(again), again.runner_up) == (str(verdict), verdict.runner_up)
