"""A row of the table of operations, which checks itself when it is made: its pullback against the complex step.

An operation maps arrays to an array (or to several). Its pullback takes the gradient of a loss with respect to the
output to that with respect to each input: d_x = Jᵀ d_y, without J. Its pushforward takes changes of the inputs to the
change of the output, J dx. Both are written by hand, beside the value.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from math import prod
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from ..activations.row import AGREE
from ..arithmetic.array import Array, Term, empty_like
from ..functions.recipe import Recorded, frozen

Inputs: TypeAlias = "tuple[Any, ...]"
"""The inputs of one step, in order; None where an optional one is left out."""
Output: TypeAlias = "Any"
"""An array, or a tuple of them from an operation with several outputs."""
Pullback: TypeAlias = "Callable[[Inputs, Output, Output], tuple[Array | None, ...]]"
Pull: TypeAlias = "Callable[[Output], tuple[Array | None, ...]]"
"""d_output ↦ one gradient an input, at inputs that it knows."""


@dataclass(frozen=True)
class Kept:
    """A row's value and pullback where the pullback has at hand what the value was computed from.

    Attributes:
        forward: (*inputs) ↦ (output, what is kept).
        backward: (inputs, what is kept, d_output) ↦ one gradient an input.
        row: the value and pullback that these are another form of; the row sets it.
    """

    forward: Callable[..., tuple[Output, Any]]
    backward: Callable[[Inputs, Any, Output], tuple[Array | None, ...]]
    row: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Unread:
    """What a row's pullback, or the kept one, asks the shape and the type of, and reads no number of.

    Attributes:
        names: of inputs, and "output".
        row: the pullback and the kept one that this is said of; the row sets it.
    """

    names: tuple[str, ...]
    row: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Selective:
    """A pullback that may be asked for the gradients of some inputs alone.

    Attributes:
        gradients: (inputs, d_output, wanted) ↦ one gradient an input; None for an input whose position is not wanted.
    """

    gradients: Callable[[Inputs, Output, Container[int]], tuple[Array | None, ...]]

    def __call__(self, inputs: Inputs, output: Output, d_output: Output) -> tuple[Array | None, ...]:  # noqa: ARG002
        """All of them."""
        return self.gradients(inputs, d_output, range(len(inputs)))


Passes: TypeAlias = "tuple[Callable[..., Output], Pullback]"
"""A value and its pullback."""

STEP = 1e-100
"""Of the complex step: f(x + iεv) = f(x) + iεf′(x)v with nothing lost, for any ε whose square underflows."""


def _no_switches(*inputs: Array) -> tuple[Array, ...]:
    return ()


def _no_term(inputs: Inputs, output: Output) -> Term:
    return 0.0


def _no_terms(inputs: Inputs, output: Output, d_output: Output) -> tuple[Term, ...]:
    return (0.0,) * len(inputs)


@dataclass(frozen=True, eq=False)
class Operation(Recorded):
    """One row of the table of operations.

    Attributes:
        name: torch.nn.functional's name, or torch's.
        formula: the operation in plain mathematics.
        source: where it is defined or best described.
        inputs: the names of the inputs, in order. If the operation is `variadic`, the last one stands for any number.
        value: (*inputs) ↦ output. A left-out optional input is None.
        pullback: (inputs, output, d_output) ↦ one gradient an input, None where an input has none (it is left out, an
            index, a mask). d_output has the shape of output; from an operation with several outputs both are tuples.
        pushforward: (inputs, output, d_inputs) ↦ the change of the output; d_inputs has None for what stays as it is.
        optional: names of inputs that may be left out.
        data: names of inputs that no derivative is taken of: indices, running statistics. So is every input of integers
            or truth values, whatever its name: a mask may be of truth values, or be added and be learned.
        variadic: the last input's name stands for any number of inputs, one at least.
        switches: (*inputs) ↦ real arrays; the formula changes where one of them passes 0.
        conventions: pullbacks with other slopes where a switch is exactly 0, by what they take there; not wrong.
        mistakes: pullbacks as they are known to be got wrong, by what is wrong with them.
        other_passes: other functions that are known to be computed in the operation's place, value and pullback, by
            what they do otherwise.
        losing: other formulas of the same function that lose digits, value and pullback, by what they do.
        parameters: the numbers that the row was made with, read-only.
        probes: inputs that the row is checked with when it is made, on no switch.
        textbook_value: (inputs, output) ↦ size of the largest intermediate term of the customary formula of `value`,
            for the textbook rounding scale; 0 where none exceeds the result.
        textbook_pullback: (inputs, output, d_output) ↦ the same for each gradient.
        activation: the row of `ACTIVATIONS` that the operation applies along the last axis, if it is one.
        kept: the same value and pullback with less to compute, for a forward pass that is followed by a backward one.
        unread: what the pullback does not read, so that nobody needs to keep it; None: it may read everything.

    Raises:
        ValueError: pullback or pushforward contradict `value` at a probe, or a name is not among the inputs.
    """

    name: str
    formula: str
    source: str
    inputs: tuple[str, ...]
    value: Callable[..., Output] = field(repr=False)
    pullback: Pullback = field(repr=False)
    pushforward: Callable[[Inputs, Output, Inputs], Output] = field(repr=False)
    probes: tuple[Inputs, ...] = field(repr=False)
    optional: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    variadic: bool = False
    switches: Callable[..., tuple[Array, ...]] = field(default=_no_switches, repr=False)
    conventions: Mapping[str, Pullback] = field(default_factory=dict, repr=False)
    mistakes: Mapping[str, Pullback] = field(default_factory=dict, repr=False)
    other_passes: Mapping[str, Passes] = field(default_factory=dict, repr=False)
    losing: Mapping[str, Passes] = field(default_factory=dict, repr=False)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    textbook_value: Callable[[Inputs, Output], Term] = field(default=_no_term, repr=False)
    textbook_pullback: Callable[[Inputs, Output, Output], tuple[Term, ...]] = field(default=_no_terms, repr=False)
    activation: Any = field(default=None, repr=False)
    kept: Kept | None = field(default=None, repr=False)
    unread: Unread | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", frozen(self.parameters))
        for name in ("conventions", "mistakes", "other_passes", "losing"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        if self.kept is not None:
            object.__setattr__(self, "kept", replace(self.kept, row=(self.value, self.pullback)))
        if self.unread is not None and not self.unread.row:
            object.__setattr__(self, "unread", replace(self.unread, row=self._backward()))
        unread = () if self.unread is None else (name for name in self.unread.names if name != "output")
        unknown = [name for name in (*self.optional, *self.data, *unread) if name not in self.inputs]
        if unknown:
            raise ValueError(f"operation {self.name!r}: {unknown[0]!r} is no input; it has {', '.join(self.inputs)}")
        if not self.probes:
            raise ValueError(f"operation {self.name!r}: give it probes, or it cannot check itself")
        with np.errstate(all="ignore"):
            for inputs in self.probes:
                self._check(inputs)

    def linearized(self, inputs: Inputs) -> tuple[Output, Pull]:
        """The output, and d_output ↦ one gradient an input, which uses what the output was computed from.

        >>> from reference.operations.table import OPERATIONS
        >>> y, pull = OPERATIONS["silu"].linearized((np.array([0.0, 40.0]),))
        >>> y, pull(np.array([1.0, 2.0]))
        (array([ 0., 40.]), (array([0.5, 2. ]),))
        """
        kept = self.kept
        if kept is None or kept.row != (self.value, self.pullback):  # a noisy or a wrong one took the place of either
            y = self.value(*inputs)
            return y, lambda d_y: self.pullback(inputs, y, d_y)
        y, parts = kept.forward(*inputs)
        given = self._read(inputs)
        return y, lambda d_y: kept.backward(given, parts, d_y)

    def leaves(self, name: str) -> bool:
        """Whether the pullback reads no number of an input, or of the "output"."""
        return self.unread is not None and name in self.unread.names and self.unread.row == self._backward()

    def _read(self, inputs: Inputs) -> Inputs:
        """The inputs, without the numbers of those that the pullback does not read."""
        return tuple(empty_like(x) if self.leaves(self.name_at(k)) else x for k, x in enumerate(inputs))

    def _backward(self) -> tuple[Any, ...]:
        """What computes the gradients."""
        return self.pullback, None if self.kept is None else self.kept.backward

    def name_at(self, position: int) -> str:
        """The name of the input at a position; that of the last one for all further ones of a variadic row."""
        return self.inputs[min(position, len(self.inputs) - 1)]

    def name_of(self, position: int) -> str:
        """The name of an input by its position.

        >>> from reference.operations.table import OPERATIONS
        >>> OPERATIONS["linear"].name_of(1), OPERATIONS["cat"].name_of(2)
        ('weight', 'tensors[2]')
        """
        last = len(self.inputs) - 1
        return (
            f"{self.inputs[last]}[{position - last}]" if self.variadic and position >= last else self.inputs[position]
        )

    def is_data(self, position: int) -> bool:
        """Whether no derivative is taken of the input at a position."""
        return self.name_at(position) in self.data

    def check_count(self, inputs: Sequence[object]) -> None:
        """Raise ValueError unless there are as many inputs as the operation takes, none missing that it needs."""
        most = None if self.variadic else len(self.inputs)
        if most is not None and len(inputs) > most:
            raise ValueError(f"{self.name} takes {', '.join(self.inputs)}: {most} inputs, got {len(inputs)}")
        for position in range(max(len(self.inputs), len(inputs))):
            missing = position >= len(inputs) or inputs[position] is None
            if missing and self.name_at(position) not in self.optional:
                shown = self.name_of(position) if position >= len(self.inputs) else self.inputs[position]
                raise ValueError(f"{self.name} needs its input {shown!r}")

    # ── its own check ────────────────────────────────────────────────────────────────────────────────

    def _check(self, inputs: Inputs) -> None:
        """One probe: the pushforward against the complex step, and ⟨Jᵀd_y, dx⟩ = ⟨d_y, J dx⟩."""
        directions = tuple(
            None if x is None or self.is_data(k) or x.dtype.kind != "f" else _direction(x.shape, k)
            for k, x in enumerate(inputs)
        )
        stepped = (x if dx is None else x + 1j * STEP * dx for x, dx in zip(inputs, directions, strict=True))
        exact = [y.imag / STEP for y in _parts(self.value(*stepped))]
        output, pull = self.linearized(inputs)
        pushed = _parts(self.pushforward(inputs, output, directions))
        for got, expected in zip(pushed, exact, strict=True):
            self._require("pushforward", np.asarray(got), expected)
        d_output = tuple(_direction(y.shape, 7 + k) for k, y in enumerate(exact))
        cotangent = d_output if isinstance(output, tuple) else d_output[0]
        found = self.pullback(inputs, output, cotangent)
        if self.kept is not None:
            for got, expected in zip((output, *pull(cotangent)), (self.value(*inputs), *found), strict=True):
                if got is not None:
                    self._require("kept form", got, expected)
        elif self.unread is not None:
            y = tuple(map(empty_like, _parts(output))) if self.leaves("output") else _parts(output)
            again = self.pullback(self._read(inputs), y if isinstance(output, tuple) else y[0], cotangent)
            for got, expected in zip(again, found, strict=True):
                if got is not None:
                    self._require("pullback, which reads what it is said not to read,", got, expected)
        if len(found) != len(inputs):
            raise ValueError(f"operation {self.name!r}: {len(inputs)} inputs, but its pullback gives {len(found)}")
        total = 0.0
        for k, (x, dx, d_x) in enumerate(zip(inputs, directions, found, strict=True)):
            if dx is None:
                continue
            if d_x is None or d_x.shape != x.shape:
                got = "None" if d_x is None else f"shape {d_x.shape}"
                raise ValueError(
                    f"operation {self.name!r}: its pullback gives {got} for {self.name_of(k)} of shape {x.shape}"
                )
            total += float((d_x * dx).sum())
        pulled = sum(float((d * y).sum()) for d, y in zip(d_output, exact, strict=True))
        self._require("pullback, along a direction,", np.asarray(total), np.asarray(pulled))

    def _require(self, what: str, got: Any, expected: Any) -> None:
        if got.shape != expected.shape or not (abs(got - expected) <= AGREE * np.maximum(1, abs(expected))).all():
            raise ValueError(f"operation {self.name!r}: its {what} is {got}, its value says {expected}")


def _parts(output: Output) -> tuple[Any, ...]:
    return output if isinstance(output, tuple) else (output,)


@cache
def _direction(shape: tuple[int, ...], k: int) -> Any:
    """A direction of numbers of both signs, another one for each k; read-only, for it is handed out again."""
    found = np.sin(1.0 + 2.3 * np.arange(prod(shape)) + 0.7 * k).reshape(shape)
    found.flags.writeable = False
    return found
