"""What a problem asks of its network, which is an MLP or a network of operations: checks, leaves, the two passes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike

from .. import activations
from ..activations.row import Activation
from ..arithmetic.array import Array, DType, NumPyArray, is_numpy, kept, refuse_masked, widened
from ..arithmetic.names import meant
from ..functions.recipe import ReadOnly
from ..losses.row import Loss
from ..operations.of_activation import activation_of
from . import graph, mlp
from .composed import composed
from .gradients import Gradients
from .graph import Network, NetworkTrace
from .mlp import MLP, Layer, Trace, kept_network
from .unchecked import changed, unchecked
from .validation import check_array

AnyNetwork = MLP | Network
AnyTrace = Trace | NetworkTrace


def forward(network: AnyNetwork, x: Any, *, keep: bool = False) -> AnyTrace:
    """The forward pass of either kind; `keep` for a backward pass that follows, see `graph.forward`."""
    if isinstance(network, Network):
        return graph.forward(network, x, keep=keep)
    return mlp.forward(network, x, keep=keep)


def backward(network: AnyNetwork, trace: AnyTrace, d_output: Array, wanted: Collection[str] | None = None) -> Gradients:
    """The backward pass of either kind, to the leaves at the wanted places; None for all."""
    if isinstance(network, Network):
        return graph.backward(network, cast(NetworkTrace, trace), d_output, wanted)
    return mlp.backward(network, cast(Trace, trace), d_output, wanted)


def named_inputs(network: AnyNetwork, x: Any) -> dict[str, Array]:
    """What was handed in, by name: "x" of an MLP."""
    return dict(x) if isinstance(network, Network) else {"x": x}


def leaves(network: AnyNetwork, x: Any) -> dict[str, Array]:
    """Every array that gradients are taken of, by the place of its gradient."""
    if isinstance(network, Network):
        return network.named_parameters() | {name: v for name, v in x.items() if graph.has_gradient(v)}
    return network.named_parameters() | {"input": x}


def dtype_of(network: AnyNetwork, x: Any) -> DType:
    """The number type of the parameters; where there are none, of the first input of floating numbers."""
    if network.dtype is not None:
        return network.dtype
    return next((v.dtype for v in x.values() if graph.has_gradient(v)), np.dtype(float))


def mapped(network: AnyNetwork, x: Any, f: Callable[[Array], Array]) -> tuple[AnyNetwork, Any]:
    """Network and inputs with f applied to every leaf, in the order of `leaves`; nothing is checked."""
    if isinstance(network, Network):
        parameters = ReadOnly({name: f(values) for name, values in network.parameters.items()})
        inputs = ReadOnly({name: f(v) if graph.has_gradient(v) else v for name, v in x.items()})
        return changed(network, parameters=parameters), inputs
    layers = tuple(
        unchecked(
            Layer,
            weight=f(layer.weight),
            bias=None if layer.bias is None else f(layer.bias),
            activation=layer.activation,
        )
        for layer in network.layers
    )
    return unchecked(MLP, layers=layers), f(x)


def with_constants(network: AnyNetwork, dtype: DTypeLike) -> AnyNetwork:
    """The network with its floating constants in another type."""
    if not isinstance(network, Network):
        return network
    constants = {name: np.asarray(v, dtype) if _floats(v) else v for name, v in network.constants.items()}
    return changed(network, constants=ReadOnly(constants))


def with_constants_alone(network: AnyNetwork, f: Callable[[Array], Array]) -> AnyNetwork:
    """The network with f applied to the floating constants that some step computes with alone.

    NumPy would round what such a step makes, before any other arithmetic meets it; other constants lose nothing.
    """
    if not isinstance(network, Network):
        return network
    fixed, alone = set(network.constants), set[str]()
    for step in network.steps:
        own = {name for name in step.inputs if name is not None}
        if own <= fixed:
            fixed.update(step.outputs)
            alone |= own
    if not alone:
        return network
    constants = {name: f(v) if name in alone and _floats(v) else v for name, v in network.constants.items()}
    return changed(network, constants=ReadOnly(constants))


def as_one(network: AnyNetwork, loss: Loss, unit_roundoff: float, least: float = 0.0) -> tuple[AnyNetwork, Loss]:
    """The network without its last activation, and the loss that has it in it; both as they are if none states it."""
    if isinstance(network, Network):
        last = network.steps[-1] if network.steps else None
        if last is None or last.output != network.output or last.operation.activation is None or _is_cast(last):
            return network, loss
        together = composed(last.operation.activation, loss, unit_roundoff, least)
        if together is None or activation_of(last.operation) is None:
            return network, loss  # it computes something else than it was made with
        return changed(network, steps=network.steps[:-1], output=last.inputs[0]), together
    *below, top = network.layers
    together = composed(top.activation, loss, unit_roundoff, least)
    if together is None:
        return network, loss
    bare = unchecked(Layer, weight=top.weight, bias=top.bias, activation=activations.ACTIVATIONS["identity"])
    return unchecked(MLP, layers=(*below, bare)), together


def last_activation(network: AnyNetwork) -> Activation | None:
    """The activation whose output the loss gets; None where another operation makes it."""
    if isinstance(network, Network):
        step = network.step_of(network.output)
        return None if step is None else step.operation.activation
    return network.layers[-1].activation


def largest(network: AnyNetwork, x: Any) -> int:
    """The numbers in the largest array of the two passes."""
    return max(_sizes(network, x))


def kept_numbers(network: AnyNetwork, x: Any) -> int:
    """The numbers in all arrays of a forward pass together."""
    return sum(_sizes(network, x))


def work(network: AnyNetwork, x: Any) -> int:
    """About how many multiply-adds a forward pass costs."""
    if isinstance(network, Network):
        return sum(_sizes(network, x)) * max(
            (int(np.shape(v)[-1]) for v in network.parameters.values() if np.ndim(v)), default=1
        )
    return network.parameters * int(x.shape[0])


def _sizes(network: AnyNetwork, x: Any) -> list[int]:
    if isinstance(network, Network):
        with np.errstate(all="ignore"):
            return [int(np.size(value)) for value in graph.forward(network, x).values.values()]
    examples = x.shape[0]
    return [max(layer.weight.size, examples * max(layer.weight.shape)) for layer in network.layers]


def _is_cast(step: graph.Step) -> bool:
    return step.compute is not None or step.store is not None


# ── checks ───────────────────────────────────────────────────────────────────────────────────────────


def checked(network: AnyNetwork, x: Any) -> tuple[AnyNetwork, Any, tuple[int, ...], Callable[[], Array]]:
    """Network and inputs, read-only; the shape of the output, and what computes it.

    Raises:
        TypeError, ValueError: an input does not fit the network; see `Problem`.
    """
    if isinstance(network, Network):
        inputs = _checked_inputs(network, x)
        output = _run(network, inputs)
        return network, inputs, tuple(output.shape), lambda: output
    batch = check_array("x", x, ndim=2)
    first = network.layers[0]
    if batch.shape[1] != first.fan_in:
        raise ValueError(
            f"x: expected shape (N, {first.fan_in}) for layers[0].weight {first.weight.shape}, got {batch.shape}"
        )
    if batch.dtype != network.dtype:
        raise TypeError(f"x: expected {network.dtype} like the network, got {batch.dtype}")
    shape = (batch.shape[0], network.layers[-1].width)
    return kept_network(network), batch, shape, lambda: mlp.forward(network, batch).output


def _checked_inputs(network: Network, x: Any) -> ReadOnly:
    given = dict(x) if isinstance(x, Mapping) else {network.inputs[0]: x} if len(network.inputs) == 1 else None
    names = ", ".join(network.inputs)
    if given is None:
        raise TypeError(f"x: the network has the inputs {names}: give a mapping from these names to arrays")
    if missing := [name for name in network.inputs if name not in given]:
        raise ValueError(f"x: the input {missing[0]!r} is missing; the network has {names}")
    if unknown := [name for name in given if name not in network.inputs]:
        raise ValueError(
            f"x: the network has no input {unknown[0]!r}{meant(unknown[0], network.inputs)}; it has {names}"
        )
    found = {name: _checked_input(name, given[name]) for name in network.inputs}
    number = dtype_of(network, found)
    for name, values in {**found, **network.constants}.items():
        if _floats(values) and values.dtype != number:
            raise TypeError(f"{name}: expected {number} like the parameters, got {values.dtype}")
    return ReadOnly(found)


def _checked_input(name: str, values: object) -> Array:
    refuse_masked(name, values)
    if is_numpy(values) or not hasattr(values, "__array_ufunc__"):
        array: NumPyArray = widened(np.asarray(values))
        if array.dtype.kind in "iub":
            return cast(Array, kept(array))
    return check_array(name, values, ndim=None)


def _floats(values: Any) -> bool:
    return is_numpy(values) and values.dtype.kind == "f"


def _run(network: Network, inputs: Mapping[str, Array]) -> Array:
    """The output; an operation that cannot take its inputs is named, with their shapes."""
    values: dict[str, Any] = {**network.constants, **network.parameters, **inputs}
    for index, step in enumerate(network.steps):
        try:
            with np.errstate(all="ignore"):
                values.update(graph.made_by(step, values))
        except (ValueError, IndexError, TypeError, ZeroDivisionError) as error:
            given = ", ".join(f"{n} {np.shape(values[n])}" for n in step.inputs if n is not None)
            raise type(error)(f"steps[{index}] ({step.name}, {step.operation.name}) of {given}: {error}") from None
    return cast(Array, values[network.output])
