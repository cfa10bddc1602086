"""A test vector before it is certified, and the flags that say what it exercises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import reference as ref
from reference.losses.reduced import in_rows
from reference.network import passes

from ..files.case_file import Case

FLAGS: Mapping[str, str] = {
    "activation": "one activation on ordinary numbers, between two layers of its own",
    "batch_1": "one example: a sum over the batch and its mean are the same",
    "bfloat16": "every number of the problem is a bfloat16, held in float32: for what computes in bfloat16, too",
    "class_weights": "the loss weighs classes or elements, and its mean may divide by the sum of those weights",
    "data": "an input of indices or truth values, which has no gradient",
    "deep": "100 layers",
    "float32": "every number of the problem is a float32; the gradients are those of these numbers, exactly",
    "formats": "a step that computes or stores in a format of its own; the certified gradients are not rounded to it",
    "half_range": "every number of the problem is a float16, for half precision too",
    "ignored": "examples whose class is ignore_index: they have no gradient, and the mean does not count them",
    "kink": "a pre-activation is exactly a kink of its activation, and the derivative is the one that `kinks` states; "
    "or a step is exactly at a kink, tie or bound of its operation, and the derivative is torch's",
    "known_bug": "a defect of a known program, under `link`",
    "label_smoothing": "class indices with label smoothing",
    "loss": "one loss on ordinary numbers",
    "loss_switch": "an output is exactly where the formula of the loss changes",
    "mixed": "another activation in every layer",
    "negative_zero": "a −0.0 among the numbers",
    "no_bias": "a layer without a bias",
    "operation": "one operation, from the gradient of its output: the loss is the inner product of both",
    "parameters": "an activation or a loss with parameters that are not the default",
    "random": "drawn from the seed of the manifest",
    "rowwise": "an activation that acts along a row, as softmax",
    "saturated": "pre-activations or outputs far in the tails, where customary formulas lose their digits",
    "square_weights": "every weight is square, so that a transposed one has the right shape",
    "steps": "a network of several operations",
    "subnormal": "a gradient that is below the smallest normal number of the problem's type, and not 0",
    "sum": "reduction is sum; it is mean in every other case",
    "underflow": "a gradient that is not 0 and rounds to 0",
    "unresolved": "no precision decides on which side of a kink a pre-activation lies: the bounds hold both slopes",
    "zero_weights": "every weight of a layer is 0",
}
"""Each flag, explained; here and nowhere else."""


@dataclass(frozen=True, eq=False)
class Draft:
    """A case without its certificate.

    Attributes:
        name: of the case.
        problem: to be certified.
        flags: what `certify` cannot see from the problem.
        note: what it shows.
        link: of the bug that it reproduces, or "".
    """

    name: str
    problem: ref.Problem
    flags: tuple[str, ...]
    note: str
    link: str = ""


def draft(
    name: str,
    layers: Sequence[tuple[Any, Any, Any]],
    x: Any,
    target: Any,
    loss: Any = "half_squared_error",
    *,
    flags: Sequence[str] = (),
    note: str,
    link: str = "",
    reduction: str = "mean",
    dtype: str = "float64",
) -> Draft:
    """A draft from nested lists: layers as (weight, bias or None, activation); an integer target stays integer."""

    def numbers(values: Any) -> Any:
        array = np.array(values)
        return array.astype(dtype) if array.dtype.kind == "f" else array

    def floats(values: Any) -> Any:
        return np.array(values, dtype)

    made = tuple(ref.Layer(floats(w), None if b is None else floats(b), row) for w, b, row in layers)
    problem = ref.Problem(ref.MLP(made), floats(x), numbers(target), loss, reduction)
    return Draft(name, problem, tuple(flags), note, link)


def certify(made: Draft) -> Case:
    """The case of a draft: its gradients certified, its flags completed by those that the numbers show."""
    with np.errstate(all="ignore"):
        certified = ref.certified_gradients(made.problem)
        flags = {*made.flags, *seen_flags(made.problem, certified)}
    if unknown := flags - set(FLAGS):
        raise ValueError(f"{made.name}: no flag is named {min(unknown)!r}")
    return Case(made.name, made.problem, certified, tuple(sorted(flags)), made.note, made.link)


def seen_flags(problem: ref.Problem, certified: ref.CertifiedGradients) -> set[str]:
    """The flags that follow from the numbers."""
    leaves = [leaf for place, leaf in certified.leaves().items() if place != "loss"]
    normal = float(np.finfo(problem.dtype).tiny)
    arrays = [values for values in problem.leaves().values() if np.asarray(values).dtype.kind == "f"]
    output = passes.forward(problem.network, problem.x).output
    switches = problem.loss.switches(in_rows(output), problem.target)
    parameters = problem.loss.parameters
    seen = {
        "class_weights": any(parameters.get(key) is not None for key in ("weight", "pos_weight")),
        "float32": problem.dtype == np.float32,
        "ignored": problem.loss.ignore_index is not None and bool(np.any(problem.target == problem.loss.ignore_index)),
        "kink": bool(certified.kinks),
        "label_smoothing": bool(parameters.get("label_smoothing")),
        "loss_switch": any(bool(np.any(s == 0)) for s in switches),
        "negative_zero": any(bool(np.any((a == 0) & np.signbit(a))) for a in arrays),
        "subnormal": any(bool(np.any((leaf.nearest != 0) & (np.abs(leaf.nearest) < normal))) for leaf in leaves),
        "sum": problem.reduction == "sum",
        "underflow": any(
            bool(np.any((leaf.nearest == 0) & (leaf.lower < leaf.upper) & leaf.resolved)) for leaf in leaves
        ),
        "unresolved": certified.status != "certified",
    }
    seen |= _of_steps(problem) if isinstance(problem.network, ref.Network) else _of_layers(problem)
    return {flag for flag, present in seen.items() if present}


def _of_layers(problem: ref.Problem) -> dict[str, bool]:
    layers = problem.mlp.layers
    plain = [ref.ACTIVATIONS[layer.activation.name].parameters == layer.activation.parameters for layer in layers]
    return {
        "batch_1": problem.x.shape[0] == 1,
        "deep": len(layers) >= 100,
        "no_bias": any(layer.bias is None for layer in layers),
        "parameters": not all(plain) or not same_parameters(problem.loss, ref.LOSSES[problem.loss.name]),
        "rowwise": any(layer.activation.rowwise for layer in layers),
        "zero_weights": any(not np.any(layer.weight) for layer in layers),
    }


def _of_steps(problem: ref.Problem) -> dict[str, bool]:
    steps = problem.graph.steps
    return {
        "data": any(np.asarray(values).dtype.kind != "f" for values in problem.x.values()),
        "formats": any(step.compute is not None or step.store is not None for step in steps),
        "steps": len({step.operation.name for step in steps} - {"reshape", "cat"}) > 1,
    }


def same_parameters(left: ref.Loss, right: ref.Loss) -> bool:
    """Whether two losses of one name have the same parameters."""
    return all(np.array_equal(left.parameters[key], value) for key, value in right.parameters.items())
