"""Networks of operations: a straight-line program of named values, its forward pass and its backward pass.

Every step applies an operation to named values and names what comes out. The forward pass goes through the steps in
order and keeps every value; the backward pass goes through them in reverse, asks each step's operation for its
pullback, and adds up the gradients of a value that several steps use:

    v_k = f_k(v_i, v_j, …)          d_i += J_iᵀ d_k,  d_j += J_jᵀ d_k, …

That is backpropagation in general (Griewank & Walther 2008, §3.2; the sum over uses is the multivariate chain rule).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import operations
from ..arithmetic.array import Array, DType, empty_like, is_numpy
from ..arithmetic.dispatch import in_format, keeps, stored_like, zeros
from ..arithmetic.formats import Format, get_format
from ..functions.recipe import ReadOnly
from ..operations.row import Operation, Pull, Selective
from .dependence import depending, last_readers, read_by
from .gradients import Gradients
from .graph_checks import check_names, constant, parameter, parts_of
from .shown import shown
from .unchecked import restore


@dataclass(frozen=True, eq=False, init=False)
class Step:
    """One operation applied to named values.

    Attributes:
        output: the name of what comes out, or one name for each output of an operation with several.
        operation: a row of `OPERATIONS`; its name may be given instead.
        inputs: names of parameters, inputs, constants, and outputs of earlier steps; None for an optional input that is
            left out.
        compute: the format that the step computes in, if it is not the one that the problem is judged by.
        store: the format that its output is stored in, if it is not the one that it computes in.

    Raises:
        TypeError, ValueError: no such operation or format, too few or too many inputs, or a name is no text.

    >>> Step("y", "linear", "x", "weight").inputs
    ('x', 'weight')
    """

    output: str | tuple[str, ...]
    operation: Operation
    inputs: tuple[str | None, ...]
    compute: str | Format | None
    store: str | Format | None
    __repr__ = shown

    def __init__(
        self,
        output: str | Iterable[str],
        operation: Operation | str,
        *inputs: str | None,
        compute: str | None = None,
        store: str | None = None,
    ) -> None:
        names = output if isinstance(output, str) else tuple(output)
        at = f"step {names!r}"
        for name in (*((names,) if isinstance(names, str) else names), *(i for i in inputs if i is not None)):
            if not isinstance(name, str) or not name:
                raise TypeError(f"{at}: expected names, got {name!r}")
        if not names:
            raise ValueError("a step needs a name of its output")
        try:
            row = operations.get(operation)
            row.check_count(inputs)
            for fmt in (compute, store):
                if fmt is not None:
                    get_format(fmt)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{at}: {error}") from None
        for part, value in (("output", names), ("operation", row), ("inputs", inputs), ("compute", compute),
                             ("store", store)):  # fmt: skip
            object.__setattr__(self, part, value)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of everything that comes out."""
        return (self.output,) if isinstance(self.output, str) else self.output

    @property
    def name(self) -> str:
        """The name of the step: that of its first output."""
        return self.outputs[0]

    def __copy__(self) -> Step:
        return self


@dataclass(frozen=True, eq=False, init=False)
class Network:
    """A network of operations.

    Attributes:
        parameters: floating arrays by name, of one number type: what gradients are taken of.
        steps: what is computed, in order.
        inputs: the names of what a problem hands in as x.
        output: the name of the value that the loss gets.
        constants: arrays of any type by name, which no gradient is taken of: masks, indices, tables.

    Raises:
        TypeError: a parameter is no floating array, or of another type than the first; a step is no `Step`.
        ValueError: a name is used before a step makes it, or is made twice, or reaches nothing; the output is not made.

    >>> import numpy as np
    >>> net = Network({"w": np.array([[2.0, -1.0]])}, [Step("y", "linear", "x", "w")])
    >>> forward(net, {"x": np.array([[1.0, 3.0]])}).output
    array([[-1.]])
    """

    parameters: Mapping[str, Array]
    steps: tuple[Step, ...]
    inputs: tuple[str, ...]
    output: str
    constants: Mapping[str, Array]
    __repr__ = shown

    def __init__(
        self,
        parameters: Mapping[str, Any],
        steps: Iterable[Step],
        inputs: Iterable[str] = ("x",),
        output: str = "y",
        constants: Mapping[str, Any] | None = None,
    ) -> None:
        checked = {name: parameter(name, values) for name, values in dict(parameters).items()}
        fixed = {name: constant(name, values) for name, values in dict(constants or {}).items()}
        names = (inputs,) if isinstance(inputs, str) else tuple(inputs)
        program = tuple(steps)
        for index, step in enumerate(program):
            if not isinstance(step, Step):
                raise TypeError(f"steps[{index}]: expected a Step, got {type(step).__name__}")
        first = next(iter(checked.items()), None)
        for name, values in checked.items():
            if first is not None and values.dtype != first[1].dtype:
                raise TypeError(f"{name}: expected {first[1].dtype} like {first[0]}, got {values.dtype}")
        check_names(names, checked, fixed, program, output)
        for part, value in (("parameters", ReadOnly(checked)), ("steps", program), ("inputs", names),
                             ("output", output), ("constants", ReadOnly(fixed))):  # fmt: skip
            object.__setattr__(self, part, value)

    def __copy__(self) -> Network:
        return self

    def __setstate__(self, state: dict[str, Any]) -> None:
        restore(self, state)

    @property
    def dtype(self) -> DType | None:
        """The number type of the parameters; None where there are none."""
        return next((values.dtype for values in self.parameters.values()), None)

    def named_parameters(self) -> dict[str, Array]:
        """Every parameter by its name."""
        return dict(self.parameters)

    def step_of(self, name: str) -> Step | None:
        """The step that makes a value; None for a parameter, an input or a constant."""
        return next((step for step in self.steps if name in step.outputs), None)


# ── the two passes ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, eq=False, slots=True)
class NetworkTrace:
    """Every value of a forward pass.

    Attributes:
        values: by name: parameters, inputs, constants, and what each step made; of what no pullback reads the shape
            alone, if the pass was one to keep things for them.
        output: the value that the loss gets.
        pullbacks: by the name of a step: its pullback, where the forward pass kept for it what it needs.
    """

    values: Mapping[str, Any]
    output: Array
    pullbacks: Mapping[str, Pull] = field(default_factory=dict)


def forward(network: Network, x: Mapping[str, Array], *, keep: bool = False) -> NetworkTrace:
    """Run every step on the inputs x, by name, and keep every value.

    With `keep`, a step that can do so keeps for its pullback what its output was computed from (not in noise, see
    `dispatch.keeps`), and the numbers of NumPy's arrays that no step reads any more are let go of.
    """
    values, pullbacks = {**network.constants, **network.parameters, **x}, dict[str, Pull]()
    last = last_readers(network.steps) if keep else {}
    read = {*values, network.output}
    for step in network.steps:
        given, has_kept = inputs_of(step, values), keep and step.operation.kept is not None
        if has_kept and all(x is None or keeps(x) for x in given):
            made, pullbacks[step.name] = step.operation.linearized(given)
        else:
            made = step.operation.value(*given)
        values.update(_stored(step, made))
        if keep:
            read.update(read_by(step, step.name in pullbacks))
            for name in last.get(step.name, ()):
                values[name] = values[name] if name in read else empty_like(values[name])
    return NetworkTrace(values, values[network.output], pullbacks)


def made_by(step: Step, values: Mapping[str, Any]) -> dict[str, Any]:
    """What a step makes of the values, by name, in the format that it is stored in."""
    return _stored(step, step.operation.value(*inputs_of(step, values)))


def _stored(step: Step, made: Any) -> dict[str, Any]:
    form = step.store or step.compute
    return {name: in_format(part, form) for name, part in zip(step.outputs, parts_of(step, made), strict=True)}


def inputs_of(step: Step, values: Mapping[str, Any]) -> tuple[Any, ...]:
    """The inputs of a step, in the format that it computes in."""
    return tuple(None if name is None else in_format(values[name], step.compute) for name in step.inputs)


def backward(
    network: Network, trace: NetworkTrace, d_output: Array, wanted: Collection[str] | None = None
) -> Gradients:
    """The gradients of ⟨d_output, output⟩ with respect to the wanted parameters and inputs; None for all.

    >>> import numpy as np
    >>> net = Network({"w": np.array([[2.0]])}, [Step("h", "linear", "x", "w"), Step("y", "add", "h", "x")])
    >>> g = backward(net, forward(net, {"x": np.array([[3.0]])}), np.array([[1.0]]))
    >>> g["w"], g["x"]
    (array([[3.]]), array([[3.]]))
    """
    leaves = [name for name in (*network.parameters, *network.inputs) if wanted is None or name in wanted]
    return of_leaves(trace, cotangents(network, trace, {network.output: d_output}, leaves, keep=False), leaves)


def of_leaves(trace: NetworkTrace, d: Mapping[str, Any], leaves: Iterable[str]) -> Gradients:
    """The tree of the leaves' gradients, from those of all values; one that nothing depends on is 0."""
    return Gradients.from_leaves({
        name: in_format(d[name], None) if name in d else zeros(trace.values[name].shape, trace.values[name])
        for name in leaves if has_gradient(trace.values[name])
    })  # fmt: skip


def cotangents(
    network: Network, trace: NetworkTrace, d: Mapping[str, Any], leaves: Iterable[str], *, keep: bool = True
) -> dict[str, Any]:
    """The gradients of every value that lies between the leaves and the values whose gradients d are given.

    Without `keep` the gradients of the others are forgotten as soon as they have been handed on.
    """
    wanted, found = depending(network.steps, leaves), dict(d)
    for step in reversed(network.steps):
        if not any(name in found for name in step.outputs):
            continue
        pull = trace.pullbacks.get(step.name)
        for name, change in zip(step.inputs, pulled_back(step, trace.values, found, pull, wanted), strict=True):
            if name in wanted and change is not None:
                found[name] = found[name] + change if name in found else change
        for name in () if keep else step.outputs:
            found.pop(name, None)
    return found


def pulled_back(
    step: Step, values: Mapping[str, Any], d: Mapping[str, Any], pull: Pull | None = None,
    wanted: Collection[str] | None = None,
) -> tuple[Any, ...]:  # fmt: skip
    """The gradients that a step hands to its inputs, from those of its outputs; one that nothing used is 0.

    `pull` is the step's pullback if the forward pass kept what it needs; see `NetworkTrace`. Where the pullback may be
    asked for some inputs alone, those that are not among the wanted names get None.
    """
    parts = [values[name] for name in step.outputs]
    given = [
        in_format(d[name] if name in d else zeros(part.shape, part), step.compute)
        for name, part in zip(step.outputs, parts, strict=True)
    ]
    parts = [in_format(part, step.compute) for part in parts]
    d_output, output = (given[0], parts[0]) if isinstance(step.output, str) else (tuple(given), tuple(parts))
    if pull is not None:
        found = pull(d_output)
    elif wanted is not None and isinstance(step.operation.pullback, Selective):
        positions = [k for k, name in enumerate(step.inputs) if name in wanted]
        found = step.operation.pullback.gradients(inputs_of(step, values), d_output, positions)
    else:
        found = step.operation.pullback(inputs_of(step, values), output, d_output)
    stored = (None if name is None else values[name] for name in step.inputs)
    return tuple(None if g is None else stored_like(g, value) for g, value in zip(found, stored, strict=True))


def has_gradient(values: Any) -> bool:
    """Whether these are numbers that a gradient is taken of: no indices, no truth values."""
    return not is_numpy(values) or values.dtype.kind in "fc"
