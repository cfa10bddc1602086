"""Every mistake in a network is refused with an error that names the step, the value and what was expected."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reference as ref
from reference import operations as ops

Net, Step = ref.Network, ref.Step

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
