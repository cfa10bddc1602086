"""Where an optimiser of torch.optim departs from its formula by more than rounding in the parameters' type.

A published list, like that of the gradients in `deviations`. If it can, a row says what torch computes instead, so
that torch is held against its own arithmetic and a deviation hides no further mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reference.network.unchecked import changed
from reference.optimizers import Optimizer, asgd

Array = Any
State = dict[str, Any]
LAST_STEP = 2**24
"""The largest whole number that float32 can count to by ones."""


@dataclass(frozen=True)
class OptimizerDeviation:
    """One row of the list.

    Attributes:
        name: what the benchmark counts it by.
        where: the optimiser and its circumstances.
        what: what torch computes there, and why.
        size: how far that is from the formula.
        since: the first version that is known to do so.
        reference: file and function of PyTorch's source.
        applies: (optimizer, type of the parameters or its name, steps made so far) ↦ whether the circumstances are
            given.
        as_torch: optimizer ↦ one of the same state that computes what torch computes; None if that is what ours
            computes, too, or if it reads memory that belongs to nobody.
        slots: those of the state that it makes another number of, with another rounding.
    """

    name: str
    where: str
    what: str
    size: str
    since: str
    reference: str
    applies: Callable[[Optimizer, Any, int], bool] = field(repr=False)
    as_torch: Callable[[Optimizer], Optimizer] | None = field(default=None, repr=False)
    slots: tuple[str, ...] = ()


def as_torch(optimizer: Optimizer, dtype: Any, steps: int = 0) -> tuple[Optimizer, tuple[str, ...]]:
    """The optimiser with torch's own arithmetic, and the names of the deviations that this took.

    >>> from reference import optimizers
    >>> as_torch(optimizers.nadam(), np.dtype(np.float64))[1], as_torch(optimizers.adam(), np.dtype(np.float64))[1]
    (('nadam_float32_product',), ())
    """
    names = []
    for row in OPTIMIZER_DEVIATIONS:
        if row.as_torch is not None and row.applies(optimizer, dtype, steps):
            optimizer = row.as_torch(optimizer)
            names.append(row.name)
    return optimizer, tuple(names)


def _around(optimizer: Optimizer, before: Callable[[State], State], after: Callable[[State], State]) -> Optimizer:
    def step(params: Any, grads: Any, state: State, evaluate: Any) -> tuple[Any, State]:
        new, state = optimizer.step(params, grads, before(state), evaluate)
        return new, after(state)

    return changed(optimizer, step=step)


def _in_float32(*keys: str) -> Callable[[State], State]:
    """A state with these slots rounded to float32."""

    def rounded(state: State) -> State:
        return state | {key: tuple(a.astype(np.float32).astype(a.dtype) for a in state[key]) for key in keys}

    return rounded


def _asgd_as_torch(optimizer: Optimizer) -> Optimizer:
    """The first step takes η from the hyperparameters, every other one from the state."""
    rounded = _in_float32("eta", "mu")
    h = dict(optimizer.hyperparameters)
    first = asgd(**h | {"lr": float(np.float32(h["lr"]))})

    def step(params: Any, grads: Any, state: State, evaluate: Any) -> tuple[Any, State]:
        new, after = optimizer.step(params, grads, state, evaluate)
        if state["step"] == 0:
            new, begun = first.step(params, grads, state, evaluate)
            after = begun | {"eta": after["eta"]}
        return new, rounded(after)

    return changed(optimizer, step=step)


def _nadam_as_torch(optimizer: Optimizer) -> Optimizer:
    """The product before the step is chosen such that the step, which multiplies it by μ, gets torch's."""
    beta, decay = optimizer.hyperparameters["betas"][0], optimizer.hyperparameters["momentum_decay"]

    def fitted(state: State) -> State:
        mu = beta * (1 - 0.5 * 0.96 ** ((state["step"] + 1) * decay))
        products = (a.astype(np.float32) * np.float32(mu) for a in state["mu_product"])
        return state | {"mu_product": tuple(np.float64(a) / mu if mu else np.float64(a) for a in products)}

    return _around(optimizer, fitted, _in_float32("mu_product"))


def _counting_as_torch(optimizer: Optimizer) -> Optimizer:
    return _around(optimizer, lambda state: state | {"step": min(state["step"], LAST_STEP - 1)}, lambda state: state)


def _muon_as_torch(optimizer: Optimizer) -> Optimizer:
    """The buffer that is kept is the one that the iteration has divided by its norm, or by ε if that is larger."""
    eps = optimizer.hyperparameters["eps"]

    def divided(state: State) -> State:
        if "matrices" in state:
            return state | {"matrices": divided(state["matrices"])}
        if "momentum_buffer" not in state:
            return state
        kept = (b / np.maximum(np.sqrt((b * b).sum()), eps) for b in state["momentum_buffer"])
        return state | {"momentum_buffer": tuple(kept)}

    return _around(optimizer, lambda state: state, divided)


def _is(name: str) -> Callable[[Optimizer, Any, int], bool]:
    return lambda optimizer, dtype, steps: optimizer.name == name and dtype == np.float64


OPTIMIZER_DEVIATIONS: tuple[OptimizerDeviation, ...] = (
    OptimizerDeviation(
        "nadam_float32_product",
        "NAdam on float64 parameters",
        "the product μ₁…μₜ is a float32 tensor unless torch's default type is float64; after load_state_dict it is a "
        "float64 one, so that training that was saved and resumed departs from training that was not",
        "relative error of a step 1e−7 and more",
        "2.13 or earlier",
        "torch/optim/nadam.py, NAdam._init_group; torch/optim/optimizer.py, _get_scalar_dtype",
        _is("nadam"),
        _nadam_as_torch,
    ),
    OptimizerDeviation(
        "asgd_float32_rates",
        "ASGD on float64 parameters",
        "the step size η and the weight μ of the average are rounded to float32 unless torch's default type is float64",
        "relative error of a step up to 6.0e−8",
        "2.13 or earlier",
        "torch/optim/asgd.py, ASGD._init_group; torch/optim/optimizer.py, _get_scalar_dtype",
        _is("asgd"),
        _asgd_as_torch,
    ),
    OptimizerDeviation(
        "muon_bfloat16_buffer",
        "Muon with nesterov=False on bfloat16 parameters",
        "the cast to bfloat16 makes no copy of a bfloat16 momentum buffer, and the iteration divides it by its norm in "
        "place: from the next step on it weighs otherwise beside the gradient",
        "the buffer by the factor of its norm",
        "2.13 or earlier",
        "torch/optim/_muon.py, _zeropower_via_newtonschulz",
        lambda optimizer, dtype, steps: (
            optimizer.name == "muon" and str(dtype) == "bfloat16" and not optimizer.hyperparameters["nesterov"]
        ),
        _muon_as_torch,
        slots=("momentum_buffer",),
    ),
    OptimizerDeviation(
        "sgd_fused_half_precision",
        "SGD with fused=True on bfloat16 or float16 parameters on the CPU, of as many elements as a vector register "
        "holds (8, 16 or 32) and more",
        "the loop over whole registers stores no parameter: they stay as they were, and only what is left over after "
        "the last one moves; from the second step on it reads the momentum buffer as float32, two elements as one "
        "number, to beyond the buffer's end (pytorch/pytorch#191763)",
        "the whole step; the buffer by as much as it holds",
        "2.12 or earlier, up to 2.13",
        "aten/src/ATen/native/cpu/FusedSGDKernel.cpp, sgd_math",
        lambda optimizer, dtype, steps: optimizer.name == "sgd" and str(dtype) in ("bfloat16", "float16"),
    ),
    OptimizerDeviation(
        "float32_step_count",
        "every optimiser that counts its steps, from step 2²⁴ = 16,777,216 on",
        "the count is a float32 tensor, and 2²⁴ + 1 rounds to 2²⁴: it stands still, and with it every schedule that "
        "follows it (lr_decay of Adagrad, η of ASGD, μ of NAdam)",
        "any",
        "2.13 or earlier",
        "torch/optim/optimizer.py, _get_scalar_dtype",
        lambda optimizer, dtype, steps: steps >= LAST_STEP and optimizer.name not in ("sgd", "muon"),
        _counting_as_torch,
    ),
    OptimizerDeviation(
        "rmsprop_centered_cancellation",
        "RMSprop with centered=True where the gradient hardly changes",
        "the variance v − ḡ² is formed by subtraction and may round below 0; the reference follows this order",
        "NaN parameters: in 105 of 200 runs of 100 steps with a constant float64 gradient and alpha in [0.1, 0.6]",
        "2.13 or earlier",
        "torch/optim/rmsprop.py, _single_tensor_rmsprop",
        lambda optimizer, dtype, steps: optimizer.name == "rmsprop" and optimizer.hyperparameters["centered"],
    ),
)
"""The order is that in which `as_torch` applies them."""
