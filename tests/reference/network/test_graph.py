"""Networks of operations: the same gradients as the MLP's, every way that a value is used, certificate and scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as ref
from reference import operations as ops
from reference.network import graph
from reference.rounding.distance import FACTOR
from tests.helpers import DTYPES, assert_same, assert_same_gradients
from tests.reference.network.networks import check_against_the_complex_step, nearest, of_sum, rng_of, small_network
from torch_compare.random_problems.spec import build, random_spec

Net, Step = ref.Network, ref.Step
COVERING = 150
"""Specs from which every activation and every loss of the table comes up."""


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
