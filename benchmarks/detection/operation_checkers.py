"""How people check a kernel's backward pass: tolerances against torch eager, gradcheck; and this project's check.

A test of a kernel runs torch eager on the same numbers in a wider type, and allows a tolerance. Those here are:
Triton's and llm.c's 1e-2 (relative and absolute), torch.testing's defaults by type, 2e-2 absolute, and
flash-attention's rule, twice the error that eager makes in the kernel's own type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

import reference as ref
import torch_compare as tc
from torch_compare.torch_side.gradients import torch_gradients
from torch_compare.torch_side.networks import run_network
from torch_compare.torch_side.tensors import tensor

from ..implementations.correct_gradients import NUMBERS, TORCH_NUMBERS
from .checkers import PASSED

Leaves = Mapping[str, Any]
WIDER = {"float64": np.float64, "float32": np.float64, "bfloat16": np.float32}
"""What the run that a kernel is held against computes in."""
COMPUTED_IN = {"float64": np.float64, "float32": np.float32, "bfloat16": np.float32}
"""What a kernel of a type computes in; it stores its gradients in the type."""


@dataclass(frozen=True)
class Subject:
    """What a kernel was asked: the problem in float64, and the type that the kernel computes in.

    Attributes:
        problem: its numbers are those that the type holds.
        name: the type.
    """

    problem: ref.Problem
    name: str

    @cached_property
    def wider(self) -> Leaves:
        """torch eager's gradients in the wider type."""
        return _leaves(torch_gradients(in_type(self.problem, WIDER[self.name])))

    @cached_property
    def eager(self) -> Leaves:
        """torch eager's gradients in the kernel's own type."""
        return _leaves(torch_gradients(self.problem, self.name))


def in_type(problem: ref.Problem, dtype: Any) -> ref.Problem:
    """The problem with its floating arrays in another type."""

    def cast(values: Any) -> Any:
        return values.astype(dtype) if values.dtype.kind == "f" else values

    graph = problem.graph
    parameters = {key: cast(values) for key, values in graph.parameters.items()}
    network = ref.Network(parameters, graph.steps, graph.inputs, graph.output, graph.constants)
    x = {key: cast(values) for key, values in problem.x.items()}
    return ref.Problem(network, x, cast(np.asarray(problem.target)), problem.loss, problem.reduction)


def _leaves(found: ref.Gradients) -> dict[str, Any]:
    return {place: np.asarray(leaf) for place, leaf in found.leaves().items() if place != "loss"}


def stored(leaves: Leaves, name: str) -> dict[str, Any]:
    """The gradients as a kernel of a type stores them."""
    with np.errstate(over="ignore"):
        return {
            place: np.asarray(leaf).astype(NUMBERS[name]).astype(COMPUTED_IN[name]) for place, leaf in leaves.items()
        }


# ── the checks ───────────────────────────────────────────────────────────────────────────────────────

Check = Callable[[Subject, Leaves], bool]


SUMS = "sums accumulated in bfloat16, not in float32"
"""What is said of torch's embedding, whose gradient torch adds up in bfloat16 on the CPU: true, and no refusal. A wrong
gradient of which it is said counts as let through."""


def _ours(subject: Subject, given: Leaves) -> bool:
    verdict = tc.check(subject.problem, dict(given), subject.name, diagnose=False)
    return verdict.status in PASSED or (verdict.status == "imprecise" and verdict.diagnosis == SUMS)


def _close(rtol: float, atol: float) -> Check:
    def passes(subject: Subject, given: Leaves) -> bool:
        return all(np.allclose(leaf, subject.wider[place], rtol=rtol, atol=atol) for place, leaf in given.items())

    return passes


def _torch_testing(subject: Subject, given: Leaves) -> bool:
    number = TORCH_NUMBERS[subject.name]
    try:
        for place, leaf in given.items():
            pair = (torch.from_numpy(np.array(values)).to(number) for values in (leaf, subject.wider[place]))
            torch.testing.assert_close(*pair)
    except AssertionError:
        return False
    return True


def _twice_eager(subject: Subject, given: Leaves) -> bool:
    def error(leaf: Any, place: str) -> float:
        return float(np.max(np.abs(np.asarray(leaf, float) - subject.wider[place]), initial=0.0))

    return all(error(leaf, place) <= 2 * error(subject.eager[place], place) for place, leaf in given.items())


def _gradcheck(subject: Subject, given: Leaves) -> bool:
    """torch.autograd.gradcheck by its defaults, of the loss ⟨d_y, y⟩ with the given gradients for its derivative."""
    network, x = subject.problem.graph, subject.problem.x
    d_output = tensor(np.asarray(subject.problem.target), torch.float64)
    arrays = subject.problem.leaves()
    gradients = [torch.from_numpy(np.array(given[place], float)) for place in arrays]

    class Loss(torch.autograd.Function):
        @staticmethod
        def forward(_: Any, *inputs: torch.Tensor) -> torch.Tensor:
            rest = dict(zip(arrays, inputs, strict=True))
            names = {id(values): place for place, values in arrays.items()}
            output, _leaves = run_network(network, x, torch.float64, lambda values, _: rest[names[id(values)]])
            return (output * d_output.reshape(output.shape)).sum()

        @staticmethod
        def backward(_: Any, d_loss: torch.Tensor) -> Any:
            return tuple(d_loss * g for g in gradients)

    inputs = [torch.from_numpy(np.array(values)).requires_grad_() for values in arrays.values()]
    apply: Any = Loss.apply
    return bool(torch.autograd.gradcheck(apply, inputs, raise_exception=False))


@dataclass(frozen=True)
class OperationChecker:
    """One way to check a kernel's gradients.

    Attributes:
        name: as the table has it.
        passes: (what was asked, gradients by place) ↦ whether they pass.
        formats: the types that it is for.
    """

    name: str
    passes: Check
    formats: tuple[str, ...]


LOW = ("float32", "bfloat16")
OURS = "gradient-oracle"
CHECKERS: tuple[OperationChecker, ...] = (
    OperationChecker(OURS, _ours, ("float64", *LOW)),
    OperationChecker("allclose, 1e-2 and 1e-2", _close(1e-2, 1e-2), LOW),
    OperationChecker("torch.testing's defaults", _torch_testing, LOW),
    OperationChecker("2e-2 absolute", _close(0.0, 2e-2), LOW),
    OperationChecker("twice eager's error", _twice_eager, LOW),
    OperationChecker("gradcheck", _gradcheck, ("float64",)),
)
