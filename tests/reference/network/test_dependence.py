"""What the backward pass does not read is let go of, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

import reference as ref
from benchmarks.implementations.transformers import gpt2, next_tokens
from reference.network import graph
from reference.network.unchecked import changed
from reference.operations.row import Operation, Unread
from reference.operations.table import OPERATIONS

UNREAD = {name: row for name, row in OPERATIONS.items() if row.unread is not None}


def _without_numbers(values):
    """Of NumPy's floating numbers alone, and of all of several outputs."""
    if isinstance(values, tuple):
        return tuple(map(_without_numbers, values))
    values = np.asarray(values)
    return np.full(values.shape, np.nan) if values.dtype.kind == "f" else values


def _random_like(rng, y):
    return tuple(_random_like(rng, part) for part in y) if isinstance(y, tuple) else rng.normal(size=np.shape(y))


@pytest.mark.parametrize("name", UNREAD)
def test_a_pullback_reads_no_number_of_what_its_row_says_it_does_not(name):
    row, rng = UNREAD[name], np.random.default_rng(0)
    assert set(row.unread.names) <= {*row.inputs, "output"}
    for inputs in row.probes:
        y = row.value(*inputs)
        d_y = _random_like(rng, y)
        given = tuple(_without_numbers(x) if x is not None and row.leaves(row.name_at(k)) else x
                      for k, x in enumerate(inputs))  # fmt: skip
        expected = row.pullback(inputs, y, d_y)
        if row.kept is None:
            found = row.pullback(given, _without_numbers(y) if row.leaves("output") else y, d_y)
        else:
            found = row.kept.backward(given, row.kept.forward(*inputs)[1], d_y)
        for ours, right in zip(found, expected, strict=True):
            np.testing.assert_array_equal(ours, right)


def test_most_values_of_a_transformer_are_let_go_of_and_its_gradients_are_the_same():
    problem = next_tokens(gpt2(layers=2, width=16, heads=2, shape=(2, 5), seed=0), (2, 5), 0)
    trace = graph.forward(problem.network, problem.x, keep=True)
    left = {name for name, v in trace.values.items() if v.dtype.kind == "f" and v.size and not any(v.strides)}
    assert {problem.network.step_of(name).operation.name for name in left} >= {"linear", "add", "gelu_tanh"} - {
        "gelu_tanh"
    }
    assert not left & {*problem.network.parameters, *problem.x, problem.network.output}
    d_y = np.random.default_rng(1).normal(size=trace.output.shape)
    whole = graph.backward(problem.network, graph.forward(problem.network, problem.x), d_y)
    for place, found in graph.backward(problem.network, trace, d_y).leaves().items():
        np.testing.assert_array_equal(found, whole[place])


@pytest.mark.parametrize("name", ["silu", "layer_norm"])
def test_without_its_kept_form_a_row_reads_its_input(name):
    row = OPERATIONS[name]
    x = np.array([[1.0, 3.0]])
    for plain in (replace(row, kept=None), changed(row, kept=None)):
        assert row.leaves(row.inputs[0])
        assert not plain.leaves(row.inputs[0])
        steps = [ref.Step("a", "add", "x", "x"), ref.Step("b", plain, "a"), ref.Step("c", "add", "b", "b")]
        net = ref.Network({}, steps, ("x",), output="c")
        problem = ref.Problem(net, x, np.array([[1.0, 2.0]]), "inner_product", "sum")
        whole = graph.backward(net, graph.forward(net, {"x": x}), np.array([[1.0, 2.0]]))
        np.testing.assert_array_equal(ref.gradients(problem)["x"], whole["x"])


@pytest.mark.parametrize(
    ("names", "error"),
    [(("input",), "reads what it is said not to read"), (("inptu",), "'inptu' is no input")],
)
def test_a_row_whose_pullback_reads_what_it_says_it_does_not_is_refused(names, error):
    def square(names):
        return Operation(
            "square", "a²", "none", ("input",), lambda a: a * a, lambda inputs, y, d: (2 * inputs[0] * d,),
            lambda inputs, y, changes: 2 * inputs[0] * changes[0], ((np.array([1.0, 2.0]),),), unread=Unread(names),
        )  # fmt: skip

    assert square(("output",)).leaves("output")
    with pytest.raises(ValueError, match=error):
        square(names)


def test_another_pullback_than_the_rows_may_read_everything():
    row = ref.operations.add()
    wrong = changed(row, pullback=lambda inputs, y, d_y: (d_y * inputs[0], d_y * y))
    steps = [ref.Step("h", "tanh", "x"), ref.Step("y", wrong, "h", "x"), ref.Step("z", "add", "y", "y")]
    net = ref.Network({}, steps, output="z")
    x = np.array([[0.5, 2.0]])
    trace = graph.forward(net, {"x": x}, keep=True)
    assert not row.leaves("nothing")
    assert row.leaves("input")
    assert not wrong.leaves("input")
    np.testing.assert_array_equal(trace.values["h"], np.tanh(x))
    np.testing.assert_array_equal(trace.values["y"], np.tanh(x) + x)
    found, slope = graph.backward(net, trace, np.ones((1, 2)))["x"], ref.ACTIVATIONS["tanh"].derivative(x)
    np.testing.assert_array_equal(found, 2 * np.tanh(x) * slope + 2 * (np.tanh(x) + x))
