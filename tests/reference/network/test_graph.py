"""Networks of operations: the same gradients as the MLP's, every way that a value is used, every error of a network."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import reference as ref
from reference import operations as ops
from reference.network import graph
from reference.operations import Operation
from reference.operations.row import STEP
from reference.rounding.distance import FACTOR
from tests.helpers import DTYPES, assert_same, assert_same_gradients
from torch_compare.random_problems.spec import build, random_spec

Net, Step = ref.Network, ref.Step
COVERING = 150
"""Specs from which every activation and every loss of the table comes up."""


def rng_of(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def of_sum(network: ref.Network, x: Any) -> ref.Problem:
    """⟨d, output⟩ with a random d."""
    output = graph.forward(network, x if isinstance(x, dict) else {network.inputs[0]: x}).output
    d = rng_of(7).normal(size=output.shape).astype(network.dtype or float)
    return ref.Problem(network, x, d, "inner_product", "sum")


def nearest(problem: ref.Problem) -> ref.Gradients:
    """The correctly rounded gradients."""
    certified = ref.certified_gradients(problem)
    assert certified.status == "certified"
    return certified.map(lambda leaf: leaf.nearest)


def check_against_the_complex_step(problem: ref.Problem) -> None:
    """Every leaf, element by element; what the two differ by is rounding in both, as the scale measures it."""
    found, scale = ref.gradients(problem), ref.rounding_scale(problem, "float64", seed=0)
    for place, values in problem.leaves().items():
        assert found[place].shape == values.shape
        for at in np.ndindex(values.shape):
            shifted = problem.map(lambda v, mine=values, at=at: _stepped(v, at) if v is mine else v.astype(complex))
            exact = ref.loss_value(shifted).imag / STEP
            # Two errors of rounding, each within the factor at which a verdict calls a gradient wrong.
            assert abs(found[place][at] - exact) <= 2 * FACTOR * scale[place][at], (place, at)


def _stepped(v: Any, at: tuple[int, ...]) -> Any:
    z = v.astype(complex)
    z[at] += 1j * STEP
    return z


# ── the chapter's network ────────────────────────────────────────────────────────────────────────────


def as_networks(problem: ref.Problem) -> ref.Problem:
    return problem.replace(network=ref.as_network(problem.mlp), x={"input": problem.x})


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_mlp_as_a_network_gives_the_same_bits(dtype: str) -> None:
    seen: set[str] = set()
    for case in range(COVERING):
        problem = build(random_spec(rng_of(case), case, dtype))
        twin = as_networks(problem)
        assert_same_gradients(ref.gradients(twin), ref.gradients(problem))
        assert_same(ref.loss_value(twin.replace(reduction="none")), ref.loss_value(problem.replace(reduction="none")))
        assert twin.leaves().keys() == problem.leaves().keys()
        assert twin.gradient_shapes() == problem.gradient_shapes()
        seen |= {problem.loss.name, *(layer.activation.name for layer in problem.mlp.layers)}
    assert set(ref.ACTIVATIONS) | set(ref.LOSSES) <= seen


def test_an_mlp_as_a_network_has_the_same_certificate_and_scale() -> None:
    for case in range(0, 30, 3):
        problem = build(random_spec(rng_of(case), case, "float64"))
        twin = as_networks(problem)
        assert_same_gradients(nearest(twin), nearest(problem))
        for dtype in ("float64", "bfloat16"):
            one, two = (ref.rounding_scale(p, dtype, seed=3) for p in (twin, problem))
            for (place, a), b in zip(one.leaves().items(), two.leaves().values(), strict=True):
                np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=place)


def test_a_checked_network_is_that_of_the_mlp_too() -> None:
    """Through `Problem`'s own checks, not `replace`."""
    problem = build(random_spec(rng_of(1), 1, "float32"))
    twin = ref.Problem(ref.as_network(problem.mlp), problem.x, problem.target, problem.loss, problem.reduction)
    assert_same_gradients(ref.gradients(twin), ref.gradients(problem))


@pytest.mark.parametrize("row", ["sigmoid", "softmax", "softmin"])
def test_a_last_activation_and_bce_are_taken_as_one(row: str) -> None:
    """At z = ±40 the probability rounds to 0 or 1, and only the two together keep the digits."""
    layer = ref.Layer(np.eye(2), None, row)
    problem = ref.Problem(ref.MLP((layer,)), np.array([[40.0, -40.0]]), np.array([[0.25, 0.75]]), "bce", "sum")
    twin = as_networks(problem)
    assert [s.name for s in twin.as_one().network.steps] == ["layers[0].z"]
    assert_same_gradients(ref.gradients(twin), ref.gradients(problem))
    assert ref.gradients(problem).input[0, 0] != 0


def test_an_activation_that_is_cast_or_changed_or_not_last_is_not_taken_as_one() -> None:
    w = {"w": np.eye(2)}
    x, t = np.ones((1, 2)), np.full((1, 2), 0.5)
    linear = Step("z", "linear", "x", "w")
    plain = Net(w, [linear, Step("y", "sigmoid", "z")])
    assert len(ref.Problem(plain, x, t, "bce").as_one().network.steps) == 1
    cast = Net(w, [linear, Step("y", "sigmoid", "z", store="bfloat16")])
    other = graph.Network(w, [linear, Step("y", ops.of_activation("softmax", dim=0), "z")])
    again = Net(w, [linear, Step("p", "sigmoid", "z"), Step("y", "mul", "p", "p")])
    for network in (cast, other, again):
        problem = ref.Problem(network, x, t, "bce")
        assert problem.as_one() is problem or problem.as_one().network is network


def test_an_output_that_another_step_uses_as_well_is_taken_as_one_without_losing_it() -> None:
    """The last step's output is the network's: no later step can use it, so nothing is lost."""
    network = Net({"w": np.array([[2.0]])}, [Step("z", "linear", "x", "w"), Step("s", "sigmoid", "z"),
                                              Step("h", "add", "z", "s"), Step("y", "sigmoid", "h")])  # fmt: skip
    check_against_the_complex_step(ref.Problem(network, np.array([[0.5]]), np.array([[0.25]]), "bce", "sum"))


# ── how values are used ──────────────────────────────────────────────────────────────────────────────


def test_a_value_used_three_times_adds_up_its_gradients() -> None:
    network = Net({"w": rng_of(0).normal(size=(3, 3))}, [
        Step("h", "linear", "x", "w"), Step("a", "tanh", "h"), Step("b", "mul", "h", "a"), Step("c", "add", "b", "h"),
        Step("y", "mul", "c", "h"),
    ])  # fmt: skip
    check_against_the_complex_step(of_sum(network, rng_of(1).normal(size=(2, 3))))


def test_a_value_used_twice_by_one_step() -> None:
    network = Net({"w": np.array([3.0, -2.0])}, [Step("y", "mul", "w", "w")], inputs=())
    problem = ref.Problem(network, {}, np.array([1.0, 10.0]), "inner_product", "sum")
    np.testing.assert_array_equal(ref.gradients(problem)["w"], [6.0, -40.0])


def test_a_residual_keeps_both_branches() -> None:
    network = Net({"w": rng_of(2).normal(size=(3, 3))}, [
        Step("h", "linear", "x", "w"), Step("a", "tanh", "h"), Step("y", "add", "x", "a"),
    ])  # fmt: skip
    problem = of_sum(network, rng_of(3).normal(size=(4, 3)))
    check_against_the_complex_step(problem)
    alone = Net(network.parameters, [*network.steps[:2]], output="a")
    branch = ref.gradients(ref.Problem(alone, problem.x["x"], problem.target, "inner_product", "sum"))
    np.testing.assert_array_equal(ref.gradients(problem)["x"], problem.target + branch["x"])


def test_a_parameter_that_two_steps_share_adds_up_its_gradients() -> None:
    """As tied embeddings do: the same weight as a table of rows and as the last layer."""
    network = Net({"table": rng_of(4).normal(size=(5, 3))}, [
        Step("h", "embedding", "tokens", "table"), Step("a", "tanh", "h"), Step("y", "linear", "a", "table"),
    ], inputs=("tokens",))  # fmt: skip
    tokens = np.array([[0, 4, 4], [1, 0, 4]])
    problem = ref.Problem(network, tokens, np.array([[1, 2, 3], [0, 0, 4]]), "cross_entropy")
    assert problem.leaves().keys() == {"table"}
    check_against_the_complex_step(problem)
    apart = Net({"table": network.parameters["table"], "head": network.parameters["table"]}, [
        *network.steps[:2], Step("y", "linear", "a", "head"),
    ], inputs=("tokens",))  # fmt: skip
    g = ref.gradients(ref.Problem(apart, tokens, problem.target, "cross_entropy"))
    np.testing.assert_array_equal(ref.gradients(problem)["table"], g["head"] + g["table"])


def test_several_inputs_each_get_their_gradient_and_integers_none() -> None:
    network = Net({"w": rng_of(5).normal(size=(2, 3))}, [
        Step("h", "linear", "a", "w"), Step("g", ops.gather(1), "b", "at"), Step("y", "mul", "h", "g"),
    ], inputs=("a", "b", "at"))  # fmt: skip
    x = {"a": rng_of(6).normal(size=(4, 3)), "b": rng_of(7).normal(size=(4, 3)), "at": np.array([[0, 0]] * 4)}
    problem = of_sum(network, x)
    assert list(problem.leaves()) == ["w", "a", "b"]
    assert list(ref.gradients(problem).derivatives()) == ["w", "a", "b"]
    assert list(problem.arrays()) == ["a", "b", "at", "target", "w"]
    check_against_the_complex_step(problem)
    assert ref.gradients(problem, to_input=False).derivatives().keys() == {"w"}


def test_a_network_without_parameters_is_a_vector_jacobian_product() -> None:
    network = Net({}, [Step("y", "matmul", "a", "b")], inputs=("a", "b"))
    a, b = (rng_of(k).normal(size=(2, 2)).astype(np.float32) for k in (8, 9))
    d = rng_of(10).normal(size=(2, 2)).astype(np.float32)
    problem = ref.Problem(network, {"a": a, "b": b}, d, "inner_product", "sum")
    assert problem.dtype == np.float32
    assert network.dtype is None
    g = ref.gradients(problem)
    assert_same(g["a"], d @ b.T)
    assert_same(g["b"], a.T @ d)


def test_a_network_of_one_parameter_and_no_steps() -> None:
    network = Net({"w": np.array([[1.0, 2.0]])}, [], inputs=(), output="w")
    problem = ref.Problem(network, {}, np.array([[3.0, 5.0]]), "mse", "sum")
    np.testing.assert_array_equal(ref.gradients(problem)["w"], [[-4.0, -6.0]])


def test_an_input_that_is_the_output() -> None:
    problem = ref.Problem(Net({}, [], output="x"), np.array([[1.0]]), np.array([[3.0]]), "half_squared_error", "sum")
    np.testing.assert_array_equal(ref.gradients(problem)["x"], [[-2.0]])


@pytest.mark.parametrize("names", [("layers[1].weight",), ("layers[0].bias",), ("layers[0].weight", "layers[2].bias"),
                                   ("input", "layers[0].weight")])  # fmt: skip
def test_names_that_look_like_places_of_an_mlp(names: tuple[str, ...]) -> None:
    values = {name: np.array([float(k + 1)]) for k, name in enumerate(names)}
    steps, last = [], names[0]
    for k, name in enumerate(names[1:]):
        steps.append(Step(f"h{k}", "mul", last, name))
        last = f"h{k}"
    network = Net(values, [*steps, Step("y", "mul", last, "x")])
    problem = ref.Problem(network, np.array([2.0]), np.array([1.0]), "inner_product", "sum")
    g = ref.gradients(problem)
    assert g.derivatives().keys() == problem.leaves().keys()
    for name in names:
        np.testing.assert_array_equal(g[name], 2.0 * np.prod([values[n] for n in names if n != name], axis=0))
    assert g.map(lambda v: v * 2)[names[0]] == 2 * g[names[0]]


def test_constants_take_part_and_have_no_gradient() -> None:
    constants = {"scale": np.array([2.0, -1.0]), "at": np.array([1, 1]), "table": np.array([[True, False]])}
    network = Net({"w": rng_of(11).normal(size=(2, 3))}, [
        Step("h", "linear", "x", "w"), Step("s", "mul", "h", "scale"), Step("y", ops.index_select(1), "s", "at"),
    ], constants=constants)  # fmt: skip
    problem = of_sum(network, rng_of(12).normal(size=(2, 3)))
    assert list(problem.leaves()) == ["w", "x"]
    check_against_the_complex_step(problem)


def test_several_outputs_of_which_one_is_not_used() -> None:
    """The gradient of what nothing uses is 0, and of all three parts only one comes back."""
    network = Net({"w": rng_of(13).normal(size=(6, 2))}, [
        Step("h", "linear", "x", "w"), Step(("q", "k", "v"), ops.chunk(3, dim=-1), "h"), Step("y", "mul", "q", "v"),
    ])  # fmt: skip
    problem = of_sum(network, rng_of(14).normal(size=(3, 2)))
    check_against_the_complex_step(problem)
    assert not ref.gradients(problem)["w"][2:4].any()
    assert_same(nearest(problem)["w"][2:4], np.zeros((2, 2)))


def test_an_operation_with_one_part_still_gives_a_tuple() -> None:
    network = Net({}, [Step(("y",), ops.unbind(0), "x")])
    problem = ref.Problem(network, np.array([[1.0, 2.0]]), np.array([3.0, 4.0]), "inner_product", "sum")
    np.testing.assert_array_equal(ref.gradients(problem)["x"], [[3.0, 4.0]])


def test_an_input_whose_gradient_is_0_gets_zeros() -> None:
    network = Net({"w": np.ones((2, 2))}, [Step("z", ops.addmm(beta=0.0), "c", "x", "w"), Step("y", "tanh", "z")],
                  inputs=("x", "c"))  # fmt: skip
    g = ref.gradients(of_sum(network, {"x": np.ones((2, 2)), "c": np.ones((2, 2))}))
    assert_same(g["c"], np.zeros((2, 2)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_network_keeps_its_number_type(dtype: Any) -> None:
    network = Net({"w": np.ones((2, 3), dtype)}, [Step("h", "linear", "x", "w"), Step("y", "gelu", "h")])
    g = ref.gradients(of_sum(network, np.ones((2, 3), dtype)))
    assert {leaf.dtype for leaf in g.leaves().values()} == {np.dtype(dtype)}


# ── reductions ───────────────────────────────────────────────────────────────────────────────────────


def three_d(loss: str, target: Any, reduction: str = "mean") -> ref.Problem:
    network = Net({"w": rng_of(15).normal(size=(4, 3))}, [Step("y", "linear", "x", "w")])
    return ref.Problem(network, rng_of(16).normal(size=(2, 5, 3)), target, loss, reduction)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy", "l1"])
def test_a_loss_of_tokens_is_that_of_as_many_examples(loss: str) -> None:
    many = rng_of(17).integers(0, 4, size=(2, 5)) if loss == "cross_entropy" else rng_of(17).normal(size=(2, 5, 4))
    none = ref.loss_value(three_d(loss, many, "none"))
    assert none.shape[:2] == (2, 5)
    flat = Net({"w": rng_of(15).normal(size=(4, 3))}, [Step("y", "linear", "x", "w")])
    rows = many.reshape(10) if loss == "cross_entropy" else many.reshape(10, 4)
    for reduction in ("sum", "mean"):
        problem = three_d(loss, many, reduction)
        x = problem.x["x"].reshape(10, 3)
        expected = ref.gradients(ref.Problem(flat, x, rows, loss, reduction))
        found = ref.gradients(problem)
        assert_same(found["w"], expected["w"])
        assert_same(found["x"], expected["x"].reshape(2, 5, 3))
        assert_same(np.asarray(found.loss), np.asarray(expected.loss))
    same = ref.loss_value(ref.Problem(flat, x, rows, loss, "none"))
    assert_same(none, same.reshape(none.shape))
    with pytest.raises(ValueError, match='reduction "none"'):
        ref.gradients(three_d(loss, many, "none"))


def test_a_target_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"target: mse expects shape \(2, 5, 4\)"):
        three_d("mse", np.zeros((10, 4)))
    with pytest.raises(ValueError, match=r"target"):
        three_d("cross_entropy", np.zeros((2, 4), int))


@pytest.mark.parametrize("shape", [(), (3,)])
def test_an_output_of_no_or_one_axis(shape: tuple[int, ...]) -> None:
    network = Net({}, [Step("y", "tanh", "x")])
    x, t = np.full(shape, 0.5), np.full(shape, 2.0)
    for loss in ("mse", "inner_product"):
        problem = ref.Problem(network, x, t, loss, "sum")
        check_against_the_complex_step(problem)
        assert ref.gradients(problem)["x"].shape == shape


# ── certificate and scale ────────────────────────────────────────────────────────────────────────────


def small_network() -> ref.Problem:
    rng = rng_of(18)
    parameters = {"e": rng.normal(size=(5, 4)), "qk": rng.normal(size=(8, 4)), "o": rng.normal(size=(3, 4))}
    network = Net(parameters, [
        Step("x", "embedding", "tokens", "e"),
        Step("h", "linear", "x", "qk"),
        Step(("q", "k"), ops.chunk(2, dim=-1), "h"),
        Step("scores", ops.einsum("bqd,bkd->bqk"), "q", "k"),
        Step("p", "softmax", "scores"),
        Step("mixed", "matmul", "p", "x"),
        Step("r", "add", "mixed", "x"),
        Step("y", "linear", "r", "o"),
    ], inputs=("tokens",))  # fmt: skip
    return ref.Problem(network, rng.integers(0, 5, size=(2, 3)), rng.integers(0, 3, size=(2, 3)), "cross_entropy")


def test_a_network_is_certified_and_its_floats_are_within_the_scale() -> None:
    problem = small_network()
    check_against_the_complex_step(problem)
    found, exact = ref.gradients(problem), nearest(problem)
    scale = ref.rounding_scale(problem, "float64", seed=0)
    for place, leaf in found.derivatives().items():
        sigma = np.asarray(scale[place])
        assert sigma.shape == leaf.shape
        assert np.all(np.abs(leaf - exact[place]) <= FACTOR * sigma), place
    coarse = ref.rounding_scale(problem, "bfloat16", seed=0)
    assert all(np.median(coarse[p]) > 1e10 * np.median(scale[p]) for p in problem.leaves())


def test_a_step_that_stores_bfloat16_makes_its_noise_and_no_other() -> None:
    w = {"w": rng_of(19).normal(size=(3, 3)), "v": rng_of(20).normal(size=(3, 3))}

    def network(**formats: str) -> ref.Network:
        return Net(w, [Step("h", "linear", "x", "w"), Step("a", "tanh", "h", **formats), Step("y", "linear", "a", "v")])

    x, t = rng_of(21).normal(size=(4, 3)), rng_of(22).normal(size=(4, 3))
    sigma = {
        name: np.median(ref.rounding_scale(ref.Problem(network(**formats), x, t, "mse"), "float32", seed=1)["v"])
        for name, formats in {"plain": {}, "stored": {"store": "bfloat16"}, "fine": {"compute": "float64"}}.items()
    }
    assert sigma["stored"] > 100 * sigma["plain"]
    assert sigma["fine"] <= 2 * sigma["plain"]


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────

W = {"w": np.ones((2, 2))}
L = Step("y", "linear", "x", "w")


def _net(steps: Any, parameters: Any = None, **options: Any) -> Any:
    return lambda: Net(W if parameters is None else parameters, steps, **options)


def _two_outputs(count: int) -> Any:
    names = tuple("abc"[:count])
    return lambda: ref.Problem(
        Net({}, [Step(names if count > 1 else "a", ops.unbind(0), "x"), Step("y", "tanh", "a")]),
        np.ones((2, 2)), np.ones(2), "mse",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (_net([Step("y", "linear", "x", "v")]), ValueError,
         r"steps\[0\] \(y, linear\): 'v' is not there; nothing makes it"),
        (_net([Step("y", "linear", "h", "w"), Step("h", "tanh", "x")]), ValueError,
         r"steps\[0\] \(y, linear\): 'h' is not there; a later step or this one makes it"),
        (_net([Step("a", "add", "b", "x"), Step("b", "linear", "a", "w"), Step("y", "tanh", "b")]), ValueError,
         r"steps\[0\] \(a, add\): 'b' is not there; a later step or this one makes it: put the steps in order"),
        (_net([Step("y", "linear", "y", "w")]), ValueError, "let no value depend on itself"),
        (_net([L, Step("y", "tanh", "x")]), ValueError, r"\(y, tanh\): 'y' is there already, from steps\[0\]"),
        (_net([Step("w", "linear", "x", "w")], output="w"), ValueError, "'w' is there already, from parameters"),
        (_net([L], inputs=("x", "w")), ValueError, "parameters: 'w' is there already, from inputs"),
        (_net([L], inputs=("x", "x")), ValueError, "inputs: 'x' is there already, from inputs"),
        (_net([L], constants={"x": np.ones(2)}), ValueError, "constants: 'x' is there already, from inputs"),
        (_net([L], output="z"), ValueError, "output: 'z' is not there; the steps make y"),
        (_net([], parameters={}, output="z"), ValueError, "output: 'z' is not there; the steps make nothing"),
        (_net([Step("y", "tanh", "x")]), ValueError, "w: no step uses it"),
        (_net([L], inputs=("x", "mask")), ValueError, "mask: no step uses it"),
        (_net([L, Step("h", "tanh", "y")]), ValueError,
         r"step 'h' \(tanh\): the output 'y' does not depend on it"),
        (_net([Step("h", "linear", "x", "w"), Step("y", "tanh", "x")]), ValueError,
         r"step 'h' \(linear\): the output 'y' does not depend on it"),
        (_net([Step("loss", "linear", "x", "w")], output="loss"), ValueError, "no value may have the name of 'loss'"),
        (_net([Step("target", "linear", "x", "w"), Step("y", "tanh", "target")]), ValueError, "name of 'target'"),
        (_net([L], parameters={"loss": np.ones(1)}), ValueError, "loss: no value may have the name of loss"),
        (_net([Step("y", "tanh", "target")], parameters={}, inputs=("target",)), ValueError, "name of 'target'"),
        (_net([L], constants={"target": np.ones(1)}), ValueError, "constants: no value may have the name of 'target'"),
        (_net(["y"]), TypeError, r"steps\[0\]: expected a Step, got str"),
        (_net([L], parameters={"w": np.ones((2, 2), int)}), TypeError, "w: expected an array of floating numbers"),
        (_net([L], parameters={"w": np.ones((0, 2))}), ValueError, "w: expected dimensions, none of length 0"),
        (_net([Step("y", "linear", "x", "w", "b")], parameters={"w": np.ones((2, 2)), "b": np.ones(2, np.float32)}),
         TypeError, "b: expected float64 like w, got float32"),
        (_net([L], constants={"c": np.array(["a"])}), TypeError, "c: expected numbers or truth values"),
        (_net([L], constants={"c": np.ma.masked_less([1.0, -1.0], 0)}), TypeError, "c: a masked array"),
        (lambda: Step("y", "linear", "x"), ValueError, "step 'y': linear needs its input 'weight'"),
        (lambda: Step("y", "linear", "x", None), ValueError, "step 'y': linear needs its input 'weight'"),
        (lambda: Step("y", "linear", None, "w"), ValueError, "step 'y': linear needs its input 'x'"),
        (lambda: Step("y", "linear", "x", "w", "b", "c"), ValueError, "linear takes x, weight, bias: 3 inputs, got 4"),
        (lambda: Step("y", "cat"), ValueError, "step 'y': cat needs its input 'tensors'"),
        (lambda: Step("y", "cat", "a", None), ValueError, "step 'y': cat needs its input 'tensors\\[1\\]'"),
        (lambda: Step("y", "nope", "x"), ValueError, "step 'y': operation: no row is named 'nope'"),
        (lambda: Step("y", "reshape", "x"), ValueError, "step 'y': operation: reshape needs parameters"),
        (lambda: Step("y", 3, "x"), TypeError, "step 'y': operation: expected a name or a row, got int"),
        (lambda: Step("y", "tanh", 3), TypeError, "step 'y': expected names, got 3"),
        (lambda: Step("", "tanh", "x"), TypeError, "step '': expected names, got ''"),
        (_net([Step(("a", "a"), ops.chunk(2), "x"), Step("y", "linear", "a", "w")]), ValueError,
         r"steps\[0\] \(a, chunk\): 'a' is there already, from steps\[0\]"),
        (lambda: Step((), "tanh", "x"), ValueError, "a step needs a name of its output"),
        (lambda: Step("y", "tanh", "x", compute="float19"), ValueError, "step 'y': .*float19"),
        (lambda: ref.Problem(Net(W, [L]), np.ones((2, 3)), np.ones((2, 2)), "mse"), ValueError,
         r"steps\[0\] \(y, linear\) of x \(2, 3\), w \(2, 2\): linear: x: expected shape"),
        (lambda: ref.Problem(Net(W, [L]), np.ones((2, 2), np.float32), np.ones((2, 2)), "mse"), TypeError,
         "x: expected float64 like the parameters, got float32"),
        (lambda: ref.Problem(Net(W, [Step("h", "mul", "x", "c"), Step("y", "linear", "h", "w")],
                                 constants={"c": np.ones(2, np.float32)}), np.ones((2, 2)), np.ones((2, 2)), "mse"),
         TypeError, "c: expected float64 like the parameters, got float32"),
        (lambda: ref.Problem(Net(W, [L]), {"z": np.ones((2, 2))}, np.ones((2, 2)), "mse"), ValueError,
         "x: the input 'x' is missing; the network has x"),
        (lambda: ref.Problem(Net(W, [L]), {"x": np.ones((2, 2)), "z": 1.0}, np.ones((2, 2)), "mse"), ValueError,
         "x: the network has no input 'z'; it has x"),
        (lambda: ref.Problem(Net(W, [L, Step("z", "add", "y", "b")], ("x", "b"), "z"), np.ones((2, 2)), np.ones((2, 2)),
                             "mse"), TypeError, "x: the network has the inputs x, b: give a mapping"),
        (lambda: ref.Problem(Net(W, [L]), np.array([["a", "b"]]), np.ones((1, 2)), "mse"), TypeError,
         "x: expected an array of floating numbers"),
        (lambda: ref.Problem(Net(W, [L]), np.ones((0, 2)), np.ones((0, 2)), "mse"), ValueError, "x: expected dim"),
        (_two_outputs(1), ValueError, r"step 'a': unbind has 2 outputs: name them all"),
        (_two_outputs(3), ValueError, r"step 'a': unbind has 2 outputs, got 3 names"),
        (lambda: ref.Problem(Net({}, [Step(("y", "z"), "tanh", "x")]), np.ones((2, 2)), np.ones((2, 2)), "mse"),
         ValueError, "step 'y': tanh has 1 outputs?, got 2 names"),
        (lambda: ref.Problem("net", np.ones(1), np.ones(1), "mse"), TypeError, "network: expected an MLP or a Network"),
        (lambda: ref.Problem(Net(W, [L]), np.ones((2, 2)), np.ones((2, 2)), "mse").mlp, TypeError, "has no layers"),
    ],
)  # fmt: skip
def test_every_error_of_a_network_is_named(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_wrong_operation_is_named_with_its_index_and_its_place() -> None:
    network = Net({"e": np.ones((3, 2))}, [Step("y", "embedding", "t", "e")], inputs=("t",))
    with pytest.raises(ValueError, match=r"steps\[0\] \(y, embedding\) of t \(1, 2\), e \(3, 2\): .*input\[0, 1\]"):
        ref.Problem(network, np.array([[0, 9]]), np.ones((1, 2, 2)), "mse")


# ── what a network is as data ────────────────────────────────────────────────────────────────────────


def _same_problem(a: ref.Problem, b: ref.Problem) -> None:
    assert a.arrays().keys() == b.arrays().keys()
    for place, values in a.arrays().items():
        assert_same(b.arrays()[place], values, place)
    assert_same_gradients(ref.gradients(b), ref.gradients(a))


def _writable(problem: ref.Problem) -> list[str]:
    arrays = {**problem.arrays(), **problem.network.constants}  # type: ignore[union-attr]
    return [place for place, values in arrays.items() if values.flags.writeable]


@pytest.mark.parametrize("again", [lambda p: pickle.loads(pickle.dumps(p)), copy.deepcopy, copy.copy],
                         ids=["pickle", "deepcopy", "copy"])  # fmt: skip
def test_a_problem_of_a_network_is_copied_and_stays_read_only(again: Any) -> None:
    network = Net({"w": np.ones((3, 2))}, [Step("h", "linear", "x", "w"), Step("y", ops.index_select(1), "h", "at")],
                  constants={"at": np.array([2, 0])})  # fmt: skip
    problem = of_sum(network, rng_of(23).normal(size=(2, 2)))
    other = again(problem)
    _same_problem(problem, other)
    assert not _writable(problem)
    assert not _writable(other)
    assert other.network.steps[1].operation == problem.network.steps[1].operation  # type: ignore[union-attr]
    with pytest.raises(TypeError, match="read-only"):
        other.network.parameters["w"] = np.zeros((3, 2))  # type: ignore[union-attr]


def test_no_later_change_reaches_a_network() -> None:
    w, x, c, t = np.ones((2, 2)), np.ones((1, 2)), np.ones(2), np.ones((1, 2))
    parameters, steps = {"w": w}, [L, Step("z", "mul", "y", "c")]
    network = Net(parameters, steps, output="z", constants={"c": c})
    problem = ref.Problem(network, {"x": x}, t, "mse")
    before = ref.gradients(problem)
    for array in (w, x, c, t):
        array += 5.0
    parameters.clear()
    steps.clear()
    assert_same_gradients(ref.gradients(problem), before)
    with pytest.raises(ValueError, match="read-only"):
        problem.network.parameters["w"][0, 0] = 3.0  # type: ignore[union-attr]


def test_passes_change_nothing_that_they_are_given() -> None:
    problem = small_network()
    before = {place: values.copy() for place, values in problem.arrays().items()}
    trace = graph.forward(problem.network, problem.x)  # type: ignore[arg-type]
    kept = {name: np.array(v) for name, v in trace.values.items()}
    d = ref.loss_gradient(problem, trace.output)
    d.flags.writeable = False
    graph.backward(problem.network, trace, d)  # type: ignore[arg-type]
    for name, values in kept.items():
        assert_same(np.asarray(trace.values[name]), values, name)
    for place, values in problem.arrays().items():
        assert_same(values, before[place], place)


def test_in_dtype_changes_every_number_and_no_index() -> None:
    network = Net({"w": np.ones((3, 2))}, [
        Step("h", "linear", "x", "w"), Step("s", "mul", "h", "c"), Step("y", ops.index_select(1), "s", "at"),
    ], constants={"c": np.full(3, 0.1), "at": np.array([2, 0])})  # fmt: skip
    problem = of_sum(network, rng_of(24).normal(size=(2, 2)))
    coarse = problem.in_dtype(np.float32)
    assert coarse.dtype == np.float32
    assert {str(v.dtype) for v in coarse.arrays().values()} == {"float32"}
    assert coarse.network.constants["c"].dtype == np.float32  # type: ignore[union-attr]
    assert coarse.network.constants["at"].dtype == problem.network.constants["at"].dtype  # type: ignore[union-attr]
    assert {v.dtype for v in ref.gradients(coarse).derivatives().values()} == {np.dtype(np.float32)}
    again = coarse.in_float64()
    assert again.dtype == np.float64
    assert again.network.constants["c"][0] == np.float32(0.1)  # type: ignore[union-attr]
    assert problem.in_float64() is problem


def test_map_visits_parameters_then_inputs_and_leaves_the_rest() -> None:
    problem = small_network()
    seen: list[tuple[int, ...]] = []
    doubled = problem.map(lambda v: seen.append(v.shape) or v * 2)  # type: ignore[func-returns-value]
    assert seen == [v.shape for v in problem.leaves().values()]
    assert_same(doubled.x["tokens"], problem.x["tokens"])
    assert_same(doubled.leaves()["e"], problem.leaves()["e"] * 2)


def test_replace() -> None:
    problem = small_network()
    assert problem.replace(reduction="sum").reduction == "sum"
    assert problem.replace(loss="mse").loss.name == "mse"
    with pytest.raises(TypeError, match="a problem has no layers"):
        problem.replace(layers=())


def test_a_row_that_was_made_outside_the_package_is_used_as_any_other() -> None:
    squared_relu = Operation(
        "squared_relu", "max(x, 0)²", "So et al. 2021, Primer, §3", ("input",),
        lambda x: np.maximum(x, 0) ** 2,
        lambda inputs, y, d_y: (d_y * 2 * np.maximum(inputs[0], 0),),
        lambda inputs, y, changes: 2 * np.maximum(inputs[0], 0) * changes[0],
        probes=((np.array([-1.0, 0.5, 2.0]),),),
        switches=lambda x: (x,),
    )  # fmt: skip
    network = Net({"w": rng_of(25).normal(size=(3, 2))}, [Step("h", "linear", "x", "w"), Step("y", squared_relu, "h")])
    problem = of_sum(network, rng_of(26).normal(size=(4, 2)))
    check_against_the_complex_step(problem)
    scale = ref.rounding_scale(problem, "float64", seed=0)
    assert np.all(np.abs(nearest(problem)["w"] - ref.gradients(problem)["w"]) <= FACTOR * scale["w"])
