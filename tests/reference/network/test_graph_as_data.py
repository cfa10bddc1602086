"""Networks as data: read-only, copied, pickled, in other number types, and with rows from outside the package."""

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
from reference.rounding.distance import FACTOR
from tests.helpers import assert_same, assert_same_gradients
from tests.reference.network.networks import check_against_the_complex_step, nearest, of_sum, rng_of, small_network

Net, Step = ref.Network, ref.Step


def _same_problem(a: ref.Problem, b: ref.Problem) -> None:
    assert a.arrays().keys() == b.arrays().keys()
    for place, values in a.arrays().items():
        assert_same(b.arrays()[place], values, place)
    assert_same_gradients(ref.gradients(b), ref.gradients(a))


def _writable(problem: ref.Problem) -> list[str]:
    arrays = {**problem.arrays(), **problem.network.constants}
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
    assert other.network.steps[1].operation == problem.network.steps[1].operation
    with pytest.raises(TypeError, match="read-only"):
        other.network.parameters["w"] = np.zeros((3, 2))


def test_no_later_change_reaches_a_network() -> None:
    w, x, c, t = np.ones((2, 2)), np.ones((1, 2)), np.ones(2), np.ones((1, 2))
    parameters, steps = {"w": w}, [Step("y", "linear", "x", "w"), Step("z", "mul", "y", "c")]
    network = Net(parameters, steps, output="z", constants={"c": c})
    problem = ref.Problem(network, {"x": x}, t, "mse")
    before = ref.gradients(problem)
    for array in (w, x, c, t):
        array += 5.0
    parameters.clear()
    steps.clear()
    assert_same_gradients(ref.gradients(problem), before)
    with pytest.raises(ValueError, match="read-only"):
        problem.network.parameters["w"][0, 0] = 3.0


def test_passes_change_nothing_that_they_are_given() -> None:
    problem = small_network()
    before = {place: values.copy() for place, values in problem.arrays().items()}
    trace = graph.forward(problem.network, problem.x)
    kept = {name: np.array(v) for name, v in trace.values.items()}
    d = ref.loss_gradient(problem, trace.output)
    d.flags.writeable = False
    graph.backward(problem.network, trace, d)
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
    assert coarse.network.constants["c"].dtype == np.float32
    assert coarse.network.constants["at"].dtype == problem.network.constants["at"].dtype
    assert {v.dtype for v in ref.gradients(coarse).derivatives().values()} == {np.dtype(np.float32)}
    again = coarse.in_float64()
    assert again.dtype == np.float64
    assert again.network.constants["c"][0] == np.float32(0.1)
    assert problem.in_float64() is problem


def test_map_visits_parameters_then_inputs_and_leaves_the_rest() -> None:
    problem = small_network()
    seen: list[tuple[int, ...]] = []
    doubled = problem.map(lambda v: seen.append(v.shape) or v * 2)
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
