"""Correct gradients, computed by several implementations in several formats: what no checker may call wrong.

A problem's numbers are first made representable in the format, so that every implementation is asked the same question.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import torch

import reference as ref
from reference.network.gradients import place_of
from reference.network.validation import require_finite
from torch_compare.random_problems.spec import build, random_spec
from torch_compare.torch_side.functions import ACTIVATIONS, LOSSES

from .naive import Leaves, Naive
from .peer_functions import Library, autograd_library, jax_library
from .peer_losses import arrays_of, loss_function

Array = Any
NUMBERS: Mapping[str, Any] = {
    "float64": np.dtype(np.float64),
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}
TORCH_NUMBERS = {name: getattr(torch, name) for name in NUMBERS}
NAIVE_ACTIVATIONS = ("identity", "tanh", "sigmoid", "relu", "gelu")
NAIVE_LOSSES = ("mse", "half_squared_error", "cross_entropy", "bce_with_logits")


# ── problems ─────────────────────────────────────────────────────────────────────────────────────────


def representable(problem: ref.Problem, name: str) -> ref.Problem:
    """The problem in float64 with every number rounded to the format, the parameters of its loss too.

    Raises:
        ValueError: a number lies beyond the format's range, the loss does not take the rounded ones, or the gradients
            are beyond even float64's range.
    """
    number = NUMBERS[name]

    def rounded(values: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.asarray(values).astype(number).astype(np.float64)

    target = rounded(problem.target) if np.asarray(problem.target).dtype.kind == "f" else problem.target
    parameters = {
        key: rounded(value) if isinstance(value, np.ndarray) else value
        for key, value in problem.loss.parameters.items()
    }
    loss = getattr(ref.losses, problem.loss.name)(**parameters)
    mlp = problem.map(rounded).mlp
    found = ref.Problem(mlp, rounded(problem.x), target, loss, problem.reduction)
    require_finite(found.arrays())
    with np.errstate(all="ignore"):
        exact = ref.gradients(found)
    if not all(np.all(np.isfinite(leaf)) for leaf in exact.leaves().values()):
        raise ValueError(f"problem: rounded to {name}, its gradients overflow even in float64")
    return found


def random_problem(seed: int, case: int, name: str, *, naive: bool = False, depth: int = 100) -> ref.Problem:
    """Problem number `case` in a format.

    Args:
        seed: of all problems.
        case: its number; every activation and loss comes round in turn.
        name: the format.
        naive: only what `Naive` knows, and nowhere so far in the tails that its formulas overflow.
        depth: the largest number of layers.
    """
    for attempt in range(50):
        rng = np.random.default_rng([seed, case, attempt])
        spec = random_spec(rng, case, "float64" if name == "float64" else "float32")
        if naive:
            rows = tuple(str(rng.choice(NAIVE_ACTIVATIONS)) for _ in spec.activations)
            features = tuple(f for f in spec.features if f not in ("saturated", "huge", "dead"))
            loss = NAIVE_LOSSES[case % len(NAIVE_LOSSES)]
            spec = replace(spec, activations=rows, loss=loss, features=features, variants=False)
        if len(spec.activations) > depth:
            continue
        try:
            problem = representable(build(spec), name)
        except ValueError:
            continue
        if not (naive and problem.loss.name == "cross_entropy" and np.asarray(problem.target).dtype.kind == "f"):
            return problem
    raise ValueError(f"no problem number {case} of seed {seed} came out representable in {name}")


def family(problem: ref.Problem, size: int, rng: np.random.Generator) -> list[ref.Problem]:
    """The problem, and others of its structure: numbers of x and of the parameters with their signs drawn anew."""
    found = [problem]
    for _ in range(10 * size):
        if len(found) >= size:
            break
        other = problem.map(lambda values: values * rng.choice([-1.0, 1.0], size=values.shape))
        try:
            found.append(ref.Problem(other.mlp, other.x, problem.target, problem.loss, problem.reduction))
        except ValueError:  # the output has left the loss's domain
            continue
    return found


# ── implementations ──────────────────────────────────────────────────────────────────────────────────


def torch_function(problem: ref.Problem, name: str) -> tuple[Callable[..., torch.Tensor], dict[str, torch.Tensor]]:
    """The problem's loss as a function of tensors, in the order of the places that come with it."""
    number = TORCH_NUMBERS[name]

    def tensor(values: Array) -> torch.Tensor:
        plain = torch.from_numpy(np.array(values))
        return plain.to(number) if plain.is_floating_point() else plain.long()

    leaves = {}
    for index, layer in enumerate(problem.mlp.layers):
        leaves[place_of(index, "weight")] = tensor(layer.weight)
        if layer.bias is not None:
            leaves[place_of(index, "bias")] = tensor(layer.bias)
    leaves["input"] = tensor(problem.x)
    parameters = {
        key: tensor(value) if key in ("weight", "pos_weight", "var") and value is not None else value
        for key, value in problem.loss.parameters.items()
    }
    target = tensor(problem.target)

    def loss(*tensors: torch.Tensor) -> torch.Tensor:
        *rest, h = tensors
        given = iter(rest)
        for layer in problem.mlp.layers:
            z = torch.nn.functional.linear(h, next(given), None if layer.bias is None else next(given))
            h = ACTIVATIONS[layer.activation.name](z, **layer.activation.parameters)
        return LOSSES[problem.loss.name](h, target, reduction=problem.reduction, **parameters)

    return loss, leaves


def by_torch(problem: ref.Problem, name: str) -> Leaves:
    """torch.autograd on torch.nn.functional."""
    function, leaves = torch_function(problem, name)
    tensors = [leaf.requires_grad_() for leaf in leaves.values()]
    loss = function(*tensors)
    found = torch.autograd.grad(loss, tensors, materialize_grads=True)
    return dict(zip(leaves, found, strict=True)) | {"loss": loss.detach()}


def _named(pairs: Any, d_x: Array, loss: Array) -> Leaves:
    leaves: Leaves = {}
    for index, (weight, bias) in enumerate(pairs):
        leaves[place_of(index, "weight")] = np.asarray(weight)
        if bias is not None:
            leaves[place_of(index, "bias")] = np.asarray(bias)
    return leaves | {"input": np.asarray(d_x), "loss": np.asarray(loss)}


_LIBRARIES: dict[str, Library] = {}


def library(name: str) -> Library:
    """A library by its name, JAX or autograd, loaded once."""
    if name not in _LIBRARIES:
        _LIBRARIES[name] = jax_library() if name == "JAX" else autograd_library()
    return _LIBRARIES[name]


def differentiated(problem: ref.Problem, number: Any) -> Callable[..., Any]:
    """jax.value_and_grad: (parameters of each layer, x) ↦ the loss, and the gradients of both."""
    import jax  # noqa: PLC0415

    return jax.value_and_grad(loss_function(library("JAX"), problem, number), argnums=(0, 1))


def jitted(problem: ref.Problem, number: Any) -> Callable[..., Any]:
    """jax.jit of `differentiated`."""
    import jax  # noqa: PLC0415

    return jax.jit(differentiated(problem, number))


def takes_a_maximum(problem: ref.Problem) -> bool:
    """Whether JAX computes the loss with a maximum or a minimum of two numbers."""
    import jax  # noqa: PLC0415

    made = jax.make_jaxpr(loss_function(library("JAX"), problem))(*arrays_of(problem))
    return re.search(r"= (max|min) ", str(made)) is not None


def compiled(problem: ref.Problem) -> Callable[[], Any]:
    """Loss and gradients by `jitted`, of arrays that are there already, until they are there."""
    import jax  # noqa: PLC0415

    number = np.dtype(problem.dtype).type
    function, arrays = jitted(problem, number), jax.device_put(arrays_of(problem, number))
    return lambda: jax.block_until_ready(function(*arrays))


def by_jax(problem: ref.Problem, name: str, jit: bool = True) -> Callable[[ref.Problem], Leaves]:
    """By `jitted`, compiled once for all problems that differ from this one in x and parameters; or not at all."""
    number = NUMBERS[name]
    function = jitted(problem, number) if jit else differentiated(problem, number)

    def gradients(problem: ref.Problem) -> Leaves:
        loss, (d_pairs, d_x) = function(*arrays_of(problem, number))
        return _named(d_pairs, d_x, loss)

    return gradients


def forget_compilations() -> None:
    """Free what JAX keeps of every shape that it has ever compiled for: gigabytes, over thousands of problems."""
    jax = sys.modules.get("jax")
    if jax is not None:
        jax.clear_caches()


def by_autograd(problem: ref.Problem, name: str) -> Leaves:
    """autograd.value_and_grad, which knows NumPy's types alone."""
    from autograd import value_and_grad  # noqa: PLC0415

    pairs, x = arrays_of(problem, NUMBERS[name])
    flat = [array for pair in pairs for array in pair if array is not None]
    function = loss_function(library("autograd"), problem, NUMBERS[name])

    def loss(arrays: tuple[Array, ...]) -> Array:
        rest = iter(arrays[1:])
        parameters = [(next(rest), None if bias is None else next(rest)) for _, bias in pairs]
        return function(parameters, arrays[0])

    with np.errstate(all="ignore"):
        value, found = value_and_grad(loss)((x, *flat))
    rest = iter(found[1:])
    return _named([(next(rest), None if bias is None else next(rest)) for _, bias in pairs], found[0], value)


def by_numpy(problem: ref.Problem, name: str, order: np.random.Generator) -> Leaves:
    """A backward pass written by hand, every sum in a random order.

    Its loss is left out where it takes the logarithm of a probability, which may have been rounded to 0: that is no
    correct one.
    """
    with np.errstate(all="ignore"):
        leaves = Naive(problem, (), name, order).run()
    return {
        k: v for k, v in leaves.items() if k != "loss" or problem.loss.name not in ("cross_entropy", "bce_with_logits")
    }


def by_reference(problem: ref.Problem, name: str) -> Leaves:
    """The oracle's own formulas in the format."""
    with np.errstate(all="ignore"):
        found = ref.gradients(problem.in_dtype(NUMBERS[name]))
    return found.leaves()


Implementation = Callable[[ref.Problem, str, np.random.Generator], Callable[[ref.Problem], Leaves]]
"""(problem, format, order of sums) ↦ what gives the gradients of this problem, and of others of the same structure."""
IMPLEMENTATIONS: Mapping[str, Implementation] = {
    "torch": lambda problem, name, order: lambda p: by_torch(p, name),
    "JAX": lambda problem, name, order: by_jax(problem, name),
    "autograd": lambda problem, name, order: lambda p: by_autograd(p, name),
    "NumPy, shuffled": lambda problem, name, order: lambda p: by_numpy(p, name, order),
    "reference": lambda problem, name, order: lambda p: by_reference(p, name),
}
FORMATS_OF = {name: tuple(NUMBERS) for name in IMPLEMENTATIONS} | {
    "autograd": ("float64", "float32"),
    "reference": ("float32", "float16"),
}
"""autograd's special functions answer float16 in float64. The calculus runs on NumPy's own types, of which bfloat16 is
none; in float64 it is the oracle itself."""
