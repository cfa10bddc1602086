"""A module of any kind with its loss: the problem that they state, and the gradients that they make."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import reference as ref

from .arguments import Arguments, arguments_of, copied, named_tensors, plain_name, replaced, tensors_of
from .exported import Loss, Place, original
from .module_network import ModuleNetwork, read_module
from .modules import known_loss, scalar
from .tensors import array, tensor
from .translation import NAMES, Table, base_of

_CLASSES_FIRST = ("cross_entropy", "nll")
"""Losses whose classes torch has on axis 1, before all others but the examples'."""


@dataclass(frozen=True)
class Judgement:
    """What a verdict on a module needs.

    Attributes:
        problem: what its gradients are gradients of.
        given: those that it makes, tensors by place.
        base: the format of its parameters.
        islands: the steps that compute in another format, by format.
        places: the submodule and the source line of every step, by the step's name.
        untraced: why the loss's derivative is taken as torch.autograd gives it, and not judged; "" if it is judged.
    """

    problem: ref.Problem
    given: Mapping[str, Tensor]
    base: str
    islands: Mapping[str, tuple[str, ...]]
    places: Mapping[str, Place]
    untraced: str


def judgement(module: nn.Module, inputs: Any, target: Any, loss_fn: Any, operations: Table | None = None) -> Judgement:
    """The problem of any module and loss, and the gradients that torch.autograd makes of it; it stays as it was.

    Args:
        module: the module, compiled or not; see `network_from_module` for what it may be.
        inputs: its arguments: a tuple of positional ones, a mapping of keyword ones, or the only one.
        target: what loss_fn compares the output with.
        loss_fn: a loss of torch.nn or torch.nn.functional, which becomes the problem's where the module gives one
            tensor of its parameters' number type; or any callable (output, target) ↦ scalar tensor, whose output
            is whatever the module gives. The latter is traced like the module, and becomes steps of the network; if
            that cannot be done, ∂loss/∂output is taken as given (the loss `inner_product`).
        operations: see `network_from_module`.

    Raises:
        TypeError, ValueError: as for `network_from_module`; or a loss that is none, or uses the parameters itself.
    """
    arguments = arguments_of(inputs)
    goal = tensor(target) if isinstance(target, np.ndarray | np.generic) else copied(target)
    with _unchanged(module), torch.inference_mode(False), torch.enable_grad():
        made = _made(module, arguments, goal, loss_fn)
    known = known_loss(loss_fn)
    found = None if known is None else _with_row(module, inputs, operations, made, goal, known)
    untraced = ""
    try:
        found = found or _traced(module, inputs, operations, lambda output: loss_fn(output, goal))
    except (TypeError, ValueError) as error:
        untraced = str(error)
    read, problem = found or _with_cotangents(module, inputs, operations, made)
    network, places = problem.graph, problem.gradient_shapes()
    given = {name: d for name, d in made.gradients.items() if name in places}
    if found is not None:
        given["loss"] = made.loss
    by_format: dict[str, list[str]] = {}
    for step in network.steps:
        if step.compute is not None:
            by_format.setdefault(str(step.compute), []).append(step.name)
    islands = {form: tuple(names) for form, names in by_format.items()}
    return Judgement(problem, given, NAMES[read.base], islands, read.places, untraced)


@dataclass(frozen=True)
class _Made:
    """What torch made: the loss, the gradients by name, the outputs that the loss depends on and their gradients."""

    loss: Tensor
    gradients: Mapping[str, Tensor]
    alone: bool
    chosen: tuple[int, ...]
    outputs: tuple[Tensor, ...]
    cotangents: tuple[Tensor, ...]


def _made(module: nn.Module, arguments: Arguments, target: Any, loss_fn: Any) -> _Made:
    fresh = copied(arguments)
    leaves = {plain_name(name): p for name, p in module.named_parameters() if p.requires_grad}
    floats = {name: t for name, t in named_tensors(original(module), fresh).items() if t.is_floating_point()}
    for t in floats.values():
        t.requires_grad_()
    output = module(*fresh[0], **fresh[1])
    drawn = torch.random.get_rng_state()
    loss = scalar(loss_fn(output, target))
    wanted = {**leaves, **floats}
    gradients = dict(zip(wanted, _gradients(loss, list(wanted.values())), strict=True))
    torch.random.set_rng_state(drawn)  # a loss that draws random numbers is the same function again
    chosen, outputs, cotangents = _cotangents(output, target, loss_fn, list(leaves.values()))
    return _Made(loss.detach(), gradients, isinstance(output, Tensor), chosen, outputs, cotangents)


def _gradients(loss: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    """By torch.autograd.grad, which leaves `.grad` alone; a reentrant checkpoint takes backward() only."""
    if not loss.requires_grad:
        raise ValueError("loss: it depends on no parameter and on no input, as far as torch.autograd can see")
    try:
        found: Sequence[Tensor | None] = torch.autograd.grad(loss, leaves, retain_graph=True, allow_unused=True)
    except RuntimeError as error:
        if "use_reentrant" not in str(error) and "checkpoint" not in str(error).lower():
            raise
        found = _by_backward(loss, leaves)
    return [torch.zeros_like(leaf) if d is None else d.detach() for d, leaf in zip(found, leaves, strict=True)]


def _by_backward(loss: Tensor, leaves: list[Tensor]) -> tuple[Tensor | None, ...]:
    before = [leaf.grad for leaf in leaves]
    for leaf in leaves:
        leaf.grad = None
    try:
        loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
        return tuple(leaf.grad for leaf in leaves)
    finally:
        for leaf, grad in zip(leaves, before, strict=True):
            leaf.grad = grad


def _cotangents(
    output: Any, target: Any, loss_fn: Any, parameters: list[Tensor]
) -> tuple[tuple[int, ...], tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The places of the outputs that the loss depends on, these outputs, and ∂loss/∂ of each, by torch.autograd."""
    cut = {id(t): t.detach().requires_grad_() for t in tensors_of(output) if t.is_floating_point() and t.requires_grad}
    loss = scalar(loss_fn(replaced(output, cut), target))
    if not loss.requires_grad:
        raise ValueError("loss_fn: its result does not depend on the output, as far as torch.autograd can see")
    found = torch.autograd.grad(loss, [*cut.values(), *parameters], allow_unused=True)
    if any(d is not None for d in found[len(cut) :]):
        raise ValueError(
            "loss_fn: it uses the module's parameters; the oracle takes a loss of the output and target alone"
        )
    by_output = {key: d for key, d in zip(cut, found, strict=False) if d is not None}
    places = [(k, t) for k, t in enumerate(tensors_of(output)) if id(t) in by_output]
    chosen = {id(t): (k, t) for k, t in reversed(places)}  # what is given twice counts once
    kept = sorted(chosen.values(), key=lambda pair: pair[0])
    return tuple(k for k, _ in kept), tuple(t.detach() for _, t in kept), tuple(by_output[id(t)] for _, t in kept)


Stated = tuple[ModuleNetwork, ref.Problem]


def _with_row(
    module: nn.Module, inputs: Any, operations: Table | None, made: _Made, target: Any, known: tuple[ref.Loss, str]
) -> Stated | None:
    """The problem with the oracle's own row of a loss of torch's; None where its output is not what the row takes."""
    loss, reduction = known
    y, t = made.outputs[0], np.asarray(array(target)) if isinstance(target, Tensor) else np.asarray(target)
    fits = y.ndim in (1, 2) or (y.ndim > 2 and loss.name in (*_CLASSES_FIRST, *_ELEMENTWISE))
    if not made.alone or not fits or y.dtype != base_of(made.gradients.values()):
        return None
    read = read_module(module, inputs, outputs=made.chosen, operations=operations)
    network, number = read.network, _number_of(read)
    t = t.astype(number) if t.dtype.kind == "f" else t
    if y.ndim > 2 and loss.name in _CLASSES_FIRST:
        network, t = _classes_last(network), np.moveaxis(t, 1, -1) if t.ndim == y.ndim else t
    return read, ref.Problem(network, read.x, t, loss, reduction)


def _traced(module: nn.Module, inputs: Any, operations: Table | None, loss: Loss) -> Stated:
    """The problem whose network computes the loss as well. Errors, where it cannot be traced, as for `read_module`."""
    read = read_module(module, inputs, operations=operations, loss=loss)
    return read, ref.Problem(read.network, read.x, np.ones((), _number_of(read)), "inner_product")


def _with_cotangents(module: nn.Module, inputs: Any, operations: Table | None, made: _Made) -> Stated:
    """The problem with the loss's derivative as given."""
    read = read_module(module, inputs, outputs=made.chosen, operations=operations)
    flat = [np.asarray(array(d)).astype(_number_of(read)) for d in made.cotangents]
    aim = flat[0] if len(flat) == 1 else np.concatenate([d.ravel() for d in flat])
    return read, ref.Problem(read.network, read.x, aim, "inner_product")


_ELEMENTWISE = (
    "mse",
    "l1",
    "smooth_l1",
    "huber",
    "bce",
    "bce_with_logits",
    "poisson_nll",
    "soft_margin",
    "hinge_embedding",
)
"""Losses of each number by itself, whatever the shape."""


def _classes_last(network: ref.Network) -> ref.Network:
    """The network with axis 1 of its output moved to the end, where the oracle's losses have the classes."""
    name = f"{network.output}, classes last"
    step = ref.Step(name, ref.operations.movedim(source=1, destination=-1), network.output)
    return ref.Network(network.parameters, (*network.steps, step), network.inputs, name, network.constants)


def _number_of(read: ModuleNetwork) -> Any:
    arrays = [*read.network.parameters.values(), *read.x.values()]
    return arrays[0].dtype


@contextlib.contextmanager
def _unchanged(module: nn.Module) -> Iterator[None]:
    """Buffers, their numbers and torch's random state are afterwards what they were."""
    before = {part: dict(part._buffers) for part in module.modules()}
    numbers = {id(b): b.detach().clone() for buffers in before.values() for b in buffers.values() if b is not None}
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        with torch.no_grad():
            for part, buffers in before.items():
                part._buffers.update(buffers)
                for b in buffers.values():
                    if b is not None and not torch.equal(b, numbers[id(b)]):
                        b.copy_(numbers[id(b)])
